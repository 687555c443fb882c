#include "journal/segment_reader.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "journal/crc32c.hpp"

namespace qautlra::journal {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

std::string system_text(const char* what, const std::string& path, int code) {
  return std::string(what) + " " + path + ": " + std::strerror(code);
}

bool all_zero(const std::byte* bytes, std::size_t size) {
  return size == 0 || (bytes[0] == std::byte{0} && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

}  // namespace

void write_header(const Header& header, std::byte out[kHeaderBytes]) {
  std::memcpy(out, kMagic, 8);
  store_u32(out + 8, header.version);
  store_u64(out + 12, header.first_lsn);
  store_u64(out + 20, static_cast<std::uint64_t>(header.created_ns));
  store_u32(out + 28, header.chain);
  store_u32(out + 32, 0);
  store_u32(out + 36, crc32c(0, out, 36));
}

std::string read_header(const std::byte* in, std::size_t size, Header& header) {
  if (size < kHeaderBytes) return "the file ends inside its header";
  if (std::memcmp(in, kMagic, 8) != 0) return "not a journal segment (wrong magic)";
  if (load_u32(in + 36) != crc32c(0, in, 36)) return "header checksum does not match";
  header.version = load_u32(in + 8);
  header.first_lsn = load_u64(in + 12);
  header.created_ns = static_cast<std::int64_t>(load_u64(in + 20));
  header.chain = load_u32(in + 28);
  if (header.version != kVersion) return "written by another version (format " + std::to_string(header.version) + ")";
  if (header.first_lsn == 0) return "header has no first LSN";
  return {};
}

std::string segment_name(std::uint64_t first_lsn) {
  std::string digits = std::to_string(first_lsn);
  return std::string(20 - digits.size(), '0') + digits + ".qlog";
}

bool parse_segment_name(const std::string& name, std::uint64_t& first_lsn) {
  if (name.size() != 25 || name.compare(20, 5, ".qlog") != 0) return false;
  std::uint64_t lsn = 0;
  for (int i = 0; i < 20; ++i) {
    const char c = name[static_cast<std::size_t>(i)];
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (lsn > (UINT64_MAX - digit) / 10) return false;
    lsn = lsn * 10 + digit;
  }
  first_lsn = lsn;
  return lsn != 0;
}

SegmentReader::~SegmentReader() {
  if (fd_ >= 0) ::close(fd_);
}

bool SegmentReader::open(const std::string& path) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  system_error_ = 0;
  if (fd_ < 0) {
    system_error_ = errno;
    error_ = system_text("cannot open", path, system_error_);
    return false;
  }
  struct stat st;
  if (::fstat(fd_, &st) != 0 || !S_ISREG(st.st_mode)) {
    system_error_ = errno != 0 ? errno : EINVAL;
    error_ = system_text("cannot read", path, system_error_);
    return false;
  }
  size_ = static_cast<std::uint64_t>(st.st_size);
  file_position_ = 0;
  available_ = 0;
  data_ = nullptr;
  return begin();
}

bool SegmentReader::open(std::span<const std::byte> bytes) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  system_error_ = 0;
  size_ = bytes.size();
  data_ = bytes.data();
  available_ = bytes.size();
  return begin();
}

bool SegmentReader::begin() {
  offset_ = 0;
  error_.clear();
  if (!fill(kHeaderBytes) && failed()) return false;
  error_ = read_header(data_, available_, header_);
  if (!error_.empty()) return false;
  next_lsn_ = header_.first_lsn;
  chain_ = header_.chain;
  data_ += kHeaderBytes;
  available_ -= kHeaderBytes;
  offset_ = kHeaderBytes;
  return true;
}

// Makes `wanted` bytes from offset_ on available; false at the end of the file or on a read error.
bool SegmentReader::fill(std::size_t wanted) {
  if (available_ >= wanted) return true;
  if (fd_ < 0) return false;
  if (buffer_.size() < wanted + kPieceBytes) {
    std::vector<std::byte> bigger(wanted + kPieceBytes);
    if (available_ > 0) std::memcpy(bigger.data(), data_, available_);
    buffer_.swap(bigger);
  } else if (available_ > 0) {
    std::memmove(buffer_.data(), data_, available_);
  }
  data_ = buffer_.data();
  while (available_ < wanted) {
    const std::uint64_t left = size_ > file_position_ ? size_ - file_position_ : 0;
    const std::size_t room = std::min<std::uint64_t>(buffer_.size() - available_, left);
    if (room == 0) return false;
    const ssize_t n = ::pread(fd_, buffer_.data() + available_, room, static_cast<off_t>(file_position_));
    if (n < 0) {
      if (errno == EINTR) continue;
      return read_failed();
    }
    if (n == 0) return false;
    available_ += static_cast<std::size_t>(n);
    file_position_ += static_cast<std::uint64_t>(n);
  }
  return true;
}

bool SegmentReader::read_failed() {
  system_error_ = errno;
  error_ = std::string("read error: ") + std::strerror(system_error_);
  return false;
}

Next SegmentReader::bad(std::string reason) {
  if (!failed()) error_ = std::move(reason);
  return Next::kBad;
}

// Where a writer fills prepared room meanwhile, a reader may see a later page of a group and not yet the one before it:
// what is bad is read once more.
Next SegmentReader::next(Record& record) {
  if (!error_.empty()) return Next::kBad;
  Next got = take(record);
  if (got == Next::kBad && fd_ >= 0 && !failed()) {
    error_.clear();
    read_anew();
    got = take(record);
  }
  return got;
}

void SegmentReader::read_anew() {
  file_position_ = offset_;
  available_ = 0;
}

// Whether the file has nothing more to say.
bool SegmentReader::only_zeros_left() {
  if (!all_zero(data_, available_)) return false;
  std::vector<std::byte> piece;
  for (std::uint64_t at = file_position_; fd_ >= 0 && at < size_;) {
    piece.resize(std::min<std::uint64_t>(size_ - at, kPieceBytes));
    const ssize_t n = ::pread(fd_, piece.data(), piece.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return read_failed();
    if (n == 0) break;
    if (!all_zero(piece.data(), static_cast<std::size_t>(n))) return false;
    at += static_cast<std::uint64_t>(n);
  }
  return true;
}

Next SegmentReader::take(Record& record) {
  if (!fill(kRecordHeadBytes)) {
    if (failed()) return Next::kBad;
    return only_zeros_left() ? Next::kEnd : bad("the file ends inside a record");
  }
  const std::uint32_t length = load_u32(data_);
  if (length == 0 && only_zeros_left()) return Next::kEnd;
  if (length == 0 || length > kMaxRecordBytes)
    return bad("record length " + std::to_string(length) + " is out of bounds");
  const std::size_t whole = kRecordHeadBytes + length;
  if (!fill(whole)) return bad("the file ends inside a record");
  std::uint32_t crc = crc32c(chain_, data_, 4);
  crc = crc32c(crc, data_ + kRecordHeadBytes, length);
  if (crc != load_u32(data_ + 4)) return bad("record checksum does not match");
  record.lsn = next_lsn_++;
  record.kind = static_cast<std::uint8_t>(data_[kRecordHeadBytes]);
  record.payload = {data_ + kRecordHeadBytes + 1, length - 1};
  chain_ = crc;
  data_ += whole;
  available_ -= whole;
  offset_ += whole;
  return Next::kRecord;
}

void SegmentReader::follow() {
  struct stat st;
  if (fd_ < 0 || offset_ < kHeaderBytes || failed() || ::fstat(fd_, &st) != 0) return;
  size_ = std::max(size_, static_cast<std::uint64_t>(st.st_size));
  error_.clear();
  read_anew();
}

bool SegmentReader::records_after_damage() {
  if (error_.empty() || failed() || offset_ < kHeaderBytes) return false;
  // Walk on by the lengths written there; each record can be checked against the checksum stored before it.
  std::size_t at = 0;
  for (int step = 0; step < 64; ++step) {
    if (!fill(at + kRecordHeadBytes)) return false;
    const std::uint32_t length = load_u32(data_ + at);
    if (length == 0 || length > kMaxRecordBytes) return false;
    const std::uint32_t stored = load_u32(data_ + at + 4);
    at += kRecordHeadBytes + length;
    if (!fill(at + kRecordHeadBytes)) return false;
    const std::uint32_t following = load_u32(data_ + at);
    if (following == 0 || following > kMaxRecordBytes) return false;
    if (!fill(at + kRecordHeadBytes + following)) return false;
    const std::uint32_t crc =
        crc32c(crc32c(stored, data_ + at, 4), data_ + at + kRecordHeadBytes, following);
    if (crc == load_u32(data_ + at + 4)) return true;
  }
  return false;
}

std::vector<SegmentFile> list_segments(const std::string& directory, std::string& error) {
  std::vector<SegmentFile> files;
  error.clear();
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) {
    error = system_text("cannot list", directory, errno);
    return files;
  }
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (entry == nullptr) {
      if (errno != 0) error = system_text("cannot list", directory, errno);
      break;
    }
    SegmentFile file;
    if (!parse_segment_name(entry->d_name, file.first_lsn)) continue;
    file.path = directory + "/" + entry->d_name;
    struct stat st;
    if (::stat(file.path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
    file.bytes = static_cast<std::uint64_t>(st.st_size);
    files.push_back(std::move(file));
  }
  ::closedir(dir);
  std::sort(files.begin(), files.end(),
            [](const SegmentFile& a, const SegmentFile& b) { return a.first_lsn < b.first_lsn; });
  return files;
}

namespace {

// What is wrong between two segments that follow each other; empty when nothing is.
std::string joint_error(const SegmentFile& file, const Header& header, std::uint64_t expected_lsn,
                        std::uint32_t expected_chain) {
  if (header.first_lsn != file.first_lsn)
    return "the header says LSN " + std::to_string(header.first_lsn) + ", the name another";
  if (expected_lsn == 0) return {};
  if (header.first_lsn != expected_lsn)
    return "records " + std::to_string(expected_lsn) + " to " + std::to_string(header.first_lsn - 1) +
           " are missing before this segment";
  if (header.chain != expected_chain) return "does not continue the segment before it";
  return {};
}

}  // namespace

Verdict verify(const std::string& directory, std::string& error) {
  Verdict verdict;
  const std::vector<SegmentFile> files = list_segments(directory, error);
  if (!error.empty()) return verdict;
  std::uint64_t expected_lsn = 0;
  std::uint32_t expected_chain = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const SegmentFile& file = files[i];
    SegmentReader reader;
    ++verdict.segments;
    verdict.bytes += file.bytes;
    Damage damage{file.path, 0, file.bytes, file.first_lsn, {}, false};
    if (!reader.open(file.path)) {
      damage.reason = reader.error();
      damage.torn_tail = !reader.failed() && i + 1 == files.size() && file.bytes < kHeaderBytes;
      verdict.damage.push_back(damage);
      expected_lsn = 0;
      continue;
    }
    damage.reason = joint_error(file, reader.header(), expected_lsn, expected_chain);
    if (!damage.reason.empty()) verdict.damage.push_back(damage);
    if (verdict.first_lsn == 0) verdict.first_lsn = reader.header().first_lsn;
    Record record;
    Next next;
    while ((next = reader.next(record)) == Next::kRecord) ++verdict.records;
    verdict.last_lsn = std::max(verdict.last_lsn, reader.next_lsn() - 1);
    expected_lsn = reader.next_lsn();
    expected_chain = reader.chain();
    if (next == Next::kBad) {
      const bool is_tail = i + 1 == files.size() && !reader.failed() && !reader.records_after_damage();
      verdict.damage.push_back({file.path, reader.offset(), file.bytes - std::min(file.bytes, reader.offset()),
                                reader.next_lsn(), reader.error(), is_tail});
      expected_lsn = 0;  // the next segment's beginning says nothing new
    }
  }
  return verdict;
}

bool DirectoryReader::open(const std::string& directory, std::uint64_t from_lsn, std::string& error) {
  files_ = list_segments(directory, error);
  if (!error.empty()) return false;
  from_lsn_ = from_lsn;
  at_ = 0;
  while (at_ + 1 < files_.size() && files_[at_ + 1].first_lsn <= from_lsn) ++at_;
  expected_lsn_ = 0;
  is_open_ = false;
  is_done_ = false;
  return true;
}

Next DirectoryReader::next(Record& record) {
  while (!is_done_ && at_ < files_.size()) {
    const SegmentFile& file = files_[at_];
    const bool is_last = at_ + 1 == files_.size();
    if (!is_open_) {
      const bool opened = reader_.open(file.path);
      std::string reason = opened ? joint_error(file, reader_.header(), expected_lsn_, expected_chain_)
                                  : reader_.error();
      if (!reason.empty()) {
        is_done_ = true;
        if (!opened && !reader_.failed() && is_last && file.bytes < kHeaderBytes) return Next::kEnd;
        damage_ = {file.path, 0, file.bytes, file.first_lsn, std::move(reason), false};
        return Next::kBad;
      }
      is_open_ = true;
    }
    switch (reader_.next(record)) {
      case Next::kRecord:
        if (record.lsn >= from_lsn_) return Next::kRecord;
        continue;
      case Next::kEnd:
        expected_lsn_ = reader_.next_lsn();
        expected_chain_ = reader_.chain();
        is_open_ = false;
        ++at_;
        continue;
      case Next::kBad:
        is_done_ = true;
        if (is_last && !reader_.failed() && !reader_.records_after_damage()) return Next::kEnd;
        damage_ = {file.path, reader_.offset(), reader_.size() - std::min(reader_.size(), reader_.offset()),
                   reader_.next_lsn(), reader_.error(), false};
        return Next::kBad;
    }
  }
  return Next::kEnd;
}

}  // namespace qautlra::journal
