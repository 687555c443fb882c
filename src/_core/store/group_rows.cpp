#include "store/group_rows.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace qautlra {
namespace {

constexpr std::size_t kSlackBytes = 8;
constexpr std::size_t kMostGroupBytes = 64 << 20;
constexpr std::size_t kMostGroupRows = 1 << 20;  // of all of which a message is made

std::size_t width_of(PageType type) { return type == PageType::kInt32 ? 4 : 8; }

GroupFound found_of(PageFault fault) {
  return fault == PageFault::kNone ? GroupFound::kRows
         : fault == PageFault::kDamaged ? GroupFound::kDamaged : GroupFound::kForeign;
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
  is_all_ = false;
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

GroupFound GroupRows::locate_all(std::size_t group) {
  group_ = group;
  is_all_ = true;
  first_ = 0;
  count_ = file_.rows(group_);
  if (count_ == 0 || count_ > kMostGroupRows) return GroupFound::kForeign;
  if (const auto got = load(true); got != GroupFound::kRows) return got;
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
    if (c == instrument_ && !is_all_) {
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
  std::vector<ArrowMessage::Column> columns;
  std::size_t text = 0;
  for (const auto& column : columns_) {
    if (column.type == PageType::kText) columns.push_back({0, texts_[text++].text.size()});
    else columns.push_back({width_of(column.type)});
  }
  message_.lay_out(count_, std::move(columns));
  nulls_.assign(columns_.size(), 0);
}

GroupFound GroupRows::write(std::span<std::uint8_t> out) {
  std::uint8_t* const body = out.data() + message_.head_bytes();
  std::size_t text = 0;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const auto& place = message_.place(c);
    const std::size_t end = place.end;
    std::uint8_t* const values = body + place.values;
    if (columns_[c].type == PageType::kText) {
      const Text& mine = texts_[text++];
      nulls_[c] = mine.nulls;
      std::memset(body + place.present, 0, end - place.present);
      std::ranges::copy(mine.present, body + place.present);
      if (count_) std::memcpy(values + 4, mine.ends.data(), count_ * 4);
      std::ranges::copy(mine.text, body + place.text);
    } else if (c == time_ && !is_all_) {
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
  message_.write_head(out.data(), nulls_);
  return GroupFound::kRows;
}

}  // namespace qautlra
