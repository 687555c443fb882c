// Reading journal segments back: one file, a whole directory, and a check of everything in it.
// Trusts no byte; a damaged file ends the reading with its place and reason, never with a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "journal/format.hpp"

namespace qautlra::journal {

struct Record {
  std::uint64_t lsn = 0;
  std::uint8_t kind = 0;
  std::span<const std::byte> payload;  // valid until the next call on the reader
};

enum class Next { kRecord, kEnd, kBad };  // kEnd: the file ends here, or nothing but zeros follows

// Owner: the thread that made it. Reads forward only, in pieces of a mebibyte, whatever the file's size.
class SegmentReader {
 public:
  SegmentReader() = default;
  ~SegmentReader();
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // False when there is no readable header: error() says why, failed() is true when the cause is the system
  // (errno) and not the bytes.
  bool open(const std::string& path);
  bool open(std::span<const std::byte> bytes);  // the same over memory, which must outlive the reader

  Next next(Record& record);

  // After kEnd, or after a record cut short: next() goes on behind the last good record, with what the writer of
  // a file that was opened by its path has added since.
  void follow();

  const Header& header() const { return header_; }
  std::uint64_t next_lsn() const { return next_lsn_; }  // LSN the next good record will have
  std::uint64_t offset() const { return offset_; }      // where the clean prefix ends, in bytes
  std::uint64_t size() const { return size_; }          // of the file when it was opened
  std::uint32_t chain() const { return chain_; }        // checksum of the last good record
  const std::string& error() const { return error_; }
  bool failed() const { return system_error_ != 0; }

  // After kBad: true when intact records follow the damage, so it is not just a write cut short.
  bool records_after_damage();

 private:
  bool begin();
  bool fill(std::size_t wanted);
  void read_anew();
  Next take(Record& record);
  bool only_zeros_left();
  bool read_failed();
  Next bad(std::string reason);

  int fd_ = -1;
  int system_error_ = 0;
  Header header_;
  std::uint64_t next_lsn_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t size_ = 0;
  std::uint32_t chain_ = 0;
  std::string error_;
  std::vector<std::byte> buffer_;
  const std::byte* data_ = nullptr;  // bytes [offset_, offset_ + available_) of the segment
  std::size_t available_ = 0;
  std::uint64_t file_position_ = 0;  // next byte to read from fd_
};

struct SegmentFile {
  std::uint64_t first_lsn = 0;
  std::uint64_t bytes = 0;
  std::string path;
};

// The segment files of a directory in LSN order. Empty `error` when it could be listed.
std::vector<SegmentFile> list_segments(const std::string& directory, std::string& error);

struct Damage {
  std::string path;
  std::uint64_t offset = 0;  // first byte that is not part of the clean prefix
  std::uint64_t bytes = 0;   // from there to the end of the file
  std::uint64_t lsn = 0;     // the first record that cannot be had
  std::string reason;
  bool torn_tail = false;  // a write cut short at the very end: what a killed process leaves
};

struct Verdict {
  std::uint64_t segments = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t first_lsn = 0;
  std::uint64_t last_lsn = 0;
  std::vector<Damage> damage;
};

Verdict verify(const std::string& directory, std::string& error);

// Owner: the thread that made it. Records of a directory from an LSN on, across segments. A torn tail of the
// newest segment is the end; anything else that is wrong is kBad with damage() filled in.
class DirectoryReader {
 public:
  bool open(const std::string& directory, std::uint64_t from_lsn, std::string& error);
  Next next(Record& record);
  const Damage& damage() const { return damage_; }

 private:
  std::vector<SegmentFile> files_;
  std::size_t at_ = 0;
  std::uint64_t from_lsn_ = 1;
  std::uint64_t expected_lsn_ = 0;  // 0 before the first segment
  std::uint32_t expected_chain_ = 0;
  bool is_open_ = false;
  bool is_done_ = false;
  SegmentReader reader_;
  Damage damage_;
};

}  // namespace qautlra::journal
