// Rows of one row group, of one instrument or all there are, as one record batch message of an Arrow stream, decoded
// to where it is sent from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "store/arrow_message.hpp"
#include "store/parquet_file.hpp"

namespace qautlra {

struct GroupQuestion {
  std::size_t group = 0;
  std::string_view instrument;
  bool is_only = false;  // the group has no other instrument
  std::int64_t low = 0, stop = 0;  // of time, half open
  std::size_t most_rows = SIZE_MAX;
  bool descending = false;  // the last of them and not the first
  bool may_wait = true;     // for the disk
};

// What an answer's columns are, in order, and where the file has them. Owner: the caller.
struct GroupColumn {
  int place;  // -1: nowhere, no row has a value
  PageType type;
};

enum class GroupFound : std::uint8_t { kRows, kWouldWait, kForeign, kDamaged, kFailed };

// An answer on its way: `locate` says how large it is, `write` puts it where the caller wants it. Owner: one call.
class GroupRows {
 public:
  GroupRows(const ParquetFile& file, std::span<const GroupColumn> columns, std::size_t time,
            std::size_t instrument)
      : file_(file), columns_(columns), time_(time), instrument_(instrument) {}

  GroupFound locate(const GroupQuestion& question);
  // The same for all rows of a group, as they lie in it; of time and instrument nothing is known then.
  GroupFound locate_all(std::size_t group);
  std::size_t rows() const { return count_; }
  // Of the rows an instrument has, of which there must be one.
  std::int64_t first_us() const { return times_.front(); }
  std::int64_t last_us() const { return times_.back(); }
  std::size_t message_bytes() const { return message_.head_bytes() + message_.body_bytes(); }
  GroupFound write(std::span<std::uint8_t> out);

 private:
  ColumnChunk chunk(std::size_t column) const;
  GroupFound load(bool may_wait);
  GroupFound texts();
  void lay_out();

  const ParquetFile& file_;
  std::span<const GroupColumn> columns_;
  std::size_t time_, instrument_;
  std::size_t group_ = 0;
  bool is_all_ = false;
  std::string_view symbol_;
  std::uint64_t begin_ = 0;  // in the file, of the bytes read
  std::size_t first_ = 0, count_ = 0;
  std::vector<std::int64_t> times_;  // of the rows
  struct Text {
    std::vector<std::int32_t> ends;
    std::vector<std::uint8_t> present;
    std::string text;
    std::size_t nulls = 0;
  };
  std::vector<Text> texts_;  // of the text columns in order
  ArrowMessage message_;
  std::vector<std::size_t> nulls_;
};

}  // namespace qautlra
