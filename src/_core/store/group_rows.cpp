#include "store/group_rows.hpp"

#include <algorithm>
#include <cstring>

namespace qautlra {
namespace {

constexpr std::size_t kSlackBytes = 8;
constexpr std::size_t kMostGroupBytes = 64 << 20;

std::size_t aligned(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }
std::size_t width_of(PageType type) { return type == PageType::kInt32 ? 4 : 8; }

GroupFound found_of(PageFault fault) {
  return fault == PageFault::kNone ? GroupFound::kRows
         : fault == PageFault::kDamaged ? GroupFound::kDamaged : GroupFound::kForeign;
}

template <class T>
void put(std::uint8_t* to, std::size_t at, T value) {
  std::memcpy(to + at, &value, sizeof(T));
}

// A kept buffer, so that a group's bytes need no new memory each time.
std::vector<std::uint8_t>& group_bytes() {
  thread_local std::vector<std::uint8_t> kept;
  return kept;
}

}  // namespace

ColumnChunk GroupRows::chunk(std::size_t column) const {
  const auto place = static_cast<std::size_t>(columns_[column].place);
  const auto& at = file_.chunk(group_, place);
  return {{group_bytes().data() + (at.offset - begin_), at.bytes}, columns_[column].type,
          static_cast<PageCodec>(at.codec), file_.columns()[place].is_optional, file_.rows(group_)};
}

GroupFound GroupRows::load(bool may_wait) {
  std::uint64_t begin = UINT64_MAX, end = 0;
  for (const auto& column : columns_) {
    if (column.place < 0) continue;
    const auto place = static_cast<std::size_t>(column.place);
    const auto& at = file_.chunk(group_, place);
    const auto codec = static_cast<PageCodec>(at.codec);
    if (file_.columns()[place].type != column.type || (codec != PageCodec::kNone && codec != PageCodec::kZstd))
      return GroupFound::kForeign;
    begin = std::min(begin, at.offset);
    end = std::max(end, at.offset + at.bytes);
  }
  if (begin >= end || end - begin > kMostGroupBytes) return GroupFound::kForeign;
  begin_ = begin;
  auto& bytes = group_bytes();
  if (bytes.size() < end - begin) bytes.resize(end - begin);
  switch (file_.read(begin, {bytes.data(), end - begin}, may_wait)) {
    case ParquetFile::Got::kAll: return GroupFound::kRows;
    case ParquetFile::Got::kWouldWait: return GroupFound::kWouldWait;
    case ParquetFile::Got::kFailed: break;
  }
  return GroupFound::kFailed;
}

GroupFound GroupRows::locate(const GroupQuestion& question) {
  group_ = question.group;
  symbol_ = question.instrument;
  count_ = 0;
  if (columns_[time_].place < 0 || columns_[time_].type != PageType::kInt64) return GroupFound::kForeign;
  if (const auto got = load(question.may_wait); got != GroupFound::kRows) return got;
  std::size_t begin = 0, end = file_.rows(group_);
  if (!question.is_only) {
    if (columns_[instrument_].place < 0 || columns_[instrument_].type != PageType::kText) return GroupFound::kForeign;
    if (const auto fault = chunk(instrument_).find(symbol_, begin, end); fault != PageFault::kNone)
      return found_of(fault);
  }
  times_.resize(end - begin);
  if (begin < end) {
    std::vector<std::uint8_t> present((end - begin + 7) / 8);
    ColumnRows out;
    out.values = reinterpret_cast<std::uint8_t*>(times_.data());
    out.present = present.data();
    if (const auto fault = chunk(time_).read(begin, end - begin, out); fault != PageFault::kNone)
      return found_of(fault);
    if (out.nulls || !std::is_sorted(times_.begin(), times_.end())) return GroupFound::kForeign;
  }
  auto from = std::lower_bound(times_.begin(), times_.end(), question.low);
  auto to = std::lower_bound(from, times_.end(), std::max(question.stop, question.low));
  const auto rows = static_cast<std::size_t>(to - from);
  if (rows > question.most_rows) {
    const auto over = static_cast<std::ptrdiff_t>(rows - question.most_rows);
    if (question.descending) {
      from += over;
    } else {
      to -= over;
    }
  }
  count_ = static_cast<std::size_t>(to - from);
  first_ = begin + static_cast<std::size_t>(from - times_.begin());
  times_.erase(to, times_.end());
  times_.erase(times_.begin(), from);
  if (const auto got = texts(); got != GroupFound::kRows) return got;
  lay_out();
  return GroupFound::kRows;
}

// Reads the columns of texts, whose size an answer's depends on.
GroupFound GroupRows::texts() {
  texts_.clear();
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (columns_[c].type != PageType::kText) continue;
    Text& mine = texts_.emplace_back();
    mine.present.resize((count_ + 7) / 8);
    if (c == instrument_) {
      mine.text.reserve(count_ * symbol_.size());
      for (std::size_t row = 0; row < count_; ++row) {
        mine.text += symbol_;
        mine.ends.push_back(static_cast<std::int32_t>(mine.text.size()));
      }
      std::fill(mine.present.begin(), mine.present.end(), std::uint8_t{0xFF});
    } else if (columns_[c].place < 0) {
      mine.nulls = count_;
      mine.ends.resize(count_);
    } else if (count_ > 0) {
      ColumnRows out;
      out.present = mine.present.data();
      out.ends = &mine.ends;
      out.text = &mine.text;
      if (const auto fault = chunk(c).read(first_, count_, out); fault != PageFault::kNone) return found_of(fault);
      mine.nulls = out.nulls;
    }
    if (mine.text.size() > INT32_MAX) return GroupFound::kForeign;
  }
  return GroupFound::kRows;
}

void GroupRows::lay_out() {
  places_.clear();
  nulls_.assign(columns_.size(), 0);
  std::size_t at = 0, text = 0, buffers = 0;
  for (const auto& column : columns_) {
    Place& place = places_.emplace_back();
    place.present = at;
    at += aligned((count_ + 7) / 8);
    place.values = at;
    place.text = place.text_bytes = 0;
    buffers += 2;
    if (column.type == PageType::kText) {
      at += aligned((count_ + 1) * 4);
      place.text = at;
      place.text_bytes = texts_[text++].text.size();
      at += aligned(place.text_bytes);
      ++buffers;
    } else {
      at += aligned(count_ * width_of(column.type));
    }
  }
  body_bytes_ = at;
  head_bytes_ = 8 + 80 + 16 * columns_.size() + 16 * buffers;
}

// The message's metadata, a flatbuffer: Message{version, header_type, header, bodyLength} and in it
// RecordBatch{length, nodes, buffers}. Offsets are of where they stand, a table's first of its list of fields.
void GroupRows::write_head(std::uint8_t* out) const {
  std::memset(out, 0, head_bytes_);
  put<std::uint32_t>(out, 0, 0xFFFFFFFFu);
  put<std::int32_t>(out, 4, static_cast<std::int32_t>(head_bytes_ - 8));
  std::uint8_t* const m = out + 8;
  put<std::uint32_t>(m, 0, 16);
  const std::uint16_t message[] = {12, 20, 16, 18, 4, 8};
  std::memcpy(m + 4, message, sizeof message);
  put<std::int32_t>(m, 16, 12);
  put<std::uint32_t>(m, 20, 28);
  put<std::int64_t>(m, 24, static_cast<std::int64_t>(body_bytes_));
  put<std::int16_t>(m, 32, 4);  // MetadataVersion.V5
  put<std::uint8_t>(m, 34, 3);  // MessageHeader.RecordBatch
  const std::uint16_t batch[] = {10, 20, 8, 4, 16};
  std::memcpy(m + 36, batch, sizeof batch);
  put<std::int32_t>(m, 48, 12);
  put<std::uint32_t>(m, 52, 16);
  put<std::int64_t>(m, 56, static_cast<std::int64_t>(count_));
  std::size_t at = 68;
  put<std::uint32_t>(m, at, static_cast<std::uint32_t>(columns_.size()));
  at += 4;
  for (const std::size_t nulls : nulls_) {
    put<std::int64_t>(m, at, static_cast<std::int64_t>(count_));
    put<std::int64_t>(m, at + 8, static_cast<std::int64_t>(nulls));
    at += 16;
  }
  at += 4;
  put<std::uint32_t>(m, 64, static_cast<std::uint32_t>(at - 64));
  const std::size_t vector = at;
  at += 4;
  std::uint32_t buffers = 0;
  const auto buffer = [&](std::size_t offset, std::size_t bytes) {
    put<std::int64_t>(m, at, static_cast<std::int64_t>(offset));
    put<std::int64_t>(m, at + 8, static_cast<std::int64_t>(bytes));
    at += 16;
    ++buffers;
  };
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const Place& place = places_[c];
    buffer(place.present, nulls_[c] ? (count_ + 7) / 8 : 0);
    if (columns_[c].type == PageType::kText) {
      buffer(place.values, (count_ + 1) * 4);
      buffer(place.text, place.text_bytes);
    } else {
      buffer(place.values, count_ * width_of(columns_[c].type));
    }
  }
  put<std::uint32_t>(m, vector, buffers);
}

GroupFound GroupRows::write(std::span<std::uint8_t> out) {
  std::uint8_t* const body = out.data() + head_bytes_;
  std::size_t text = 0;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const Place& place = places_[c];
    const std::size_t end = c + 1 < columns_.size() ? places_[c + 1].present : body_bytes_;
    std::uint8_t* const values = body + place.values;
    if (columns_[c].type == PageType::kText) {
      const Text& mine = texts_[text++];
      nulls_[c] = mine.nulls;
      std::memset(body + place.present, 0, end - place.present);
      std::memcpy(body + place.present, mine.present.data(), mine.present.size());
      if (count_) std::memcpy(values + 4, mine.ends.data(), count_ * 4);
      std::memcpy(body + place.text, mine.text.data(), mine.text.size());
    } else if (c == time_) {
      std::memset(body + place.present, 0, place.values - place.present);
      if (count_) std::memcpy(values, times_.data(), count_ * 8);
    } else if (columns_[c].place < 0) {
      nulls_[c] = count_;
      std::memset(body + place.present, 0, end - place.present);
    } else if (count_) {
      std::memset(body + place.present, 0, place.values - place.present);
      std::memset(body + end - 8, 0, 8);  // of numbers of 4 bytes, the last may be no one's
      ColumnRows rows;
      rows.values = values;
      rows.present = body + place.present;
      if (const auto fault = chunk(c).read(first_, count_, rows); fault != PageFault::kNone) return found_of(fault);
      nulls_[c] = rows.nulls;
    }
  }
  write_head(out.data());
  return GroupFound::kRows;
}

}  // namespace qautlra
