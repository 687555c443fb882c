// The rows of one journal segment with the names its own definitions give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "journal/segment_reader.hpp"
#include "store/arrow_rows.hpp"
#include "store/row_codec.hpp"

namespace qautlra {

// Owner: the thread that made it; touches no instrument table, so a compaction thread may use it.
class SegmentRows {
 public:
  struct Row {
    std::uint64_t lsn;
    std::uint32_t name;  // into names()
    std::span<const std::byte> bytes;  // a row as encode_row writes it; valid until the next call
  };

  bool open(const std::string& path);
  bool open(std::span<const std::byte> bytes);
  bool next(Row& row);  // false at the end, or where the file is damaged
  void follow();        // next() goes on with what the writer has added to the file since

  std::uint64_t first_lsn() const { return reader_.header().first_lsn; }
  std::uint64_t next_lsn() const { return reader_.next_lsn(); }
  const std::vector<std::string>& names() const { return names_; }  // each symbol once, in order of appearance
  std::uint64_t records() const { return records_; }
  std::uint64_t refused() const { return refused_; }  // records whose checksum holds but which are no row
  const std::string& first_refusal() const { return first_refusal_; }
  bool is_damaged() const { return !damage_.reason.empty(); }
  const journal::Damage& damage() const { return damage_; }

 private:
  bool begin(bool is_open);
  void refuse(const journal::Record& record, const char* why);
  bool name_of(std::uint32_t number, std::uint32_t& name) const;

  journal::SegmentReader reader_;
  std::string path_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> by_name_;
  std::vector<std::uint32_t> by_number_;  // number -> name + 1, 0 when undefined
  std::uint64_t records_ = 0;
  std::uint64_t refused_ = 0;
  std::string first_refusal_;
  journal::Damage damage_;
};

struct SegmentBatch {
  std::uint64_t rows = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t refused = 0;
  std::string first_refusal;
  journal::Damage damage;  // reason empty when there is none
};

// All rows of a segment in the row schema, ordered (instrument_id, datetime, seq), an identity that comes twice
// kept once. The clean prefix of a damaged one. False when there is not even a header: see out.damage.
bool segment_to_arrow(const std::string& path, ArrowSchema* schema, ArrowArray* array, SegmentBatch& out);

// The next rows of a segment in the row schema, at most `max_rows`, in the order they were logged. Their number;
// 0 (nothing exported) when there are none yet.
std::size_t next_to_arrow(SegmentRows& reader, std::size_t max_rows, ArrowSchema* schema, ArrowArray* array);

}  // namespace qautlra
