#include "store/arrow_message.hpp"

#include <cstring>
#include <utility>

namespace qautlra {
namespace {

std::size_t aligned(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

template <class T>
void put(std::uint8_t* to, std::size_t at, T value) {
  std::memcpy(to + at, &value, sizeof(T));
}

}  // namespace

void ArrowMessage::lay_out(std::size_t rows, std::vector<Column> columns) {
  rows_ = rows;
  columns_ = std::move(columns);
  places_.clear();
  std::size_t at = 0, buffers = 0;
  for (const auto& column : columns_) {
    Place& place = places_.emplace_back();
    place.present = at;
    place.values = at += aligned((rows + 7) / 8);
    at += aligned(column.width == 0 ? (rows + 1) * 4 : rows * column.width);
    place.text = at;
    if (column.width == 0) at += aligned(column.text_bytes);
    place.end = at;
    buffers += column.width == 0 ? 3 : 2;
  }
  body_bytes_ = at;
  head_bytes_ = 8 + 80 + 16 * columns_.size() + 16 * buffers;
}

// The message's metadata, a flatbuffer: Message{version, header_type, header, bodyLength} and in it
// RecordBatch{length, nodes, buffers}. Offsets are of where they stand, a table's first of its list of fields.
void ArrowMessage::write_head(std::uint8_t* out, std::span<const std::size_t> nulls_of) const {
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
  put<std::int64_t>(m, 56, static_cast<std::int64_t>(rows_));
  std::size_t at = 68;
  put<std::uint32_t>(m, at, static_cast<std::uint32_t>(columns_.size()));
  at += 4;
  for (const std::size_t nulls : nulls_of) {
    put<std::int64_t>(m, at, static_cast<std::int64_t>(rows_));
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
    buffer(place.present, nulls_of[c] ? (rows_ + 7) / 8 : 0);
    if (columns_[c].width == 0) {
      buffer(place.values, (rows_ + 1) * 4);
      buffer(place.text, columns_[c].text_bytes);
    } else {
      buffer(place.values, rows_ * columns_[c].width);
    }
  }
  put<std::uint32_t>(m, vector, buffers);
}

}  // namespace qautlra
