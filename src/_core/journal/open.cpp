// Opening a journal: holding its directory, finding the newest segment, cutting what a crash left half written.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "journal/journal.hpp"
#include "journal/segment_reader.hpp"

namespace qautlra::journal {
namespace {

constexpr std::size_t kTornFilesKept = 16;
constexpr std::size_t kCopyBytes = 1 << 20;

std::string text(const std::string& what, int code) { return what + ": " + std::strerror(code); }

// From `offset` of one file to where the other stands. 0 or errno.
int copy_bytes(int from, std::uint64_t offset, std::uint64_t size, int out, const FileOps& ops) {
  std::vector<std::byte> piece(kCopyBytes);
  int code = 0;
  while (code == 0 && size > 0) {
    const ssize_t n = ::pread(from, piece.data(), std::min<std::uint64_t>(piece.size(), size),
                              static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      code = n < 0 ? errno : EIO;
      break;
    }
    for (ssize_t done = 0; done < n && code == 0;) {
      const iovec part = {piece.data() + done, static_cast<std::size_t>(n - done)};
      const ssize_t written = ops.writev(out, &part, 1);
      if (written > 0) done += written;
      else if (written == 0) code = ENOSPC;
      else if (errno != EINTR) code = errno;
    }
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::uint64_t>(n);
  }
  return code;
}

// 0 or errno.
int copy_range(int from, std::uint64_t offset, std::uint64_t size, const std::string& to, const FileOps& ops) {
  const int out = ops.open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (out < 0) return errno;
  int code = copy_bytes(from, offset, size, out, ops);
  if (code == 0 && ops.fsync(out) != 0) code = errno;
  ::close(out);
  if (code != 0) ::unlink(to.c_str());
  return code;
}

// What was put aside is for people to look at, so only the newest few are worth their space.
void prune_torn(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<std::pair<fs::file_time_type, fs::path>> found;
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    if (it->path().extension() == ".torn") found.emplace_back(fs::last_write_time(it->path(), ignored), it->path());
  }
  if (found.size() <= kTornFilesKept) return;
  std::sort(found.begin(), found.end());
  found.resize(found.size() - kTornFilesKept);
  for (const auto& [when, path] : found) fs::remove(path, code);
}

}  // namespace

std::unique_ptr<Journal> Journal::open(const Options& options, std::string& error) {
  if (options.segment_bytes < kMinSegmentBytes) {
    error = "segment_bytes must be at least " + std::to_string(kMinSegmentBytes);
    return nullptr;
  }
  std::unique_ptr<Journal> journal(new Journal(options));
  if (!journal->begin(error)) return nullptr;
  return journal;
}

bool Journal::begin(std::string& error) {
  if (!hold_directory(error) || !adopt_newest(error)) return false;
  prune_torn(options_.directory);
  next_lsn_ = writer_lsn_ + 1;
  head_lsn_ = writer_lsn_;
  written_lsn_ = writer_lsn_;
  synced_lsn_ = writer_lsn_;
  is_running_ = true;
  // Signals are the main thread's: a sleep there must be the one that is interrupted.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  if (options_.durability != Durability::kPower) ahead_thread_ = std::thread([this] { run_ahead(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return true;
}

bool Journal::hold_directory(std::string& error) {
  const std::string& directory = options_.directory;
  std::error_code code;
  if (options_.create && !std::filesystem::exists(directory, code)) {
    std::filesystem::create_directories(directory, code);
    if (code) {
      error = "cannot create " + directory + ": " + code.message();
      return false;
    }
    ::chmod(directory.c_str(), 0700);
  }
  directory_fd_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd_ < 0) {
    error = text("cannot open " + directory, errno);
    return false;
  }
  const std::string lock_path = directory + "/LOCK";
  lock_fd_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) {
    error = text("cannot open " + lock_path, errno);
    return false;
  }
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    const int lock_error = errno;
    char holder[32] = {};
    const ssize_t n = lock_error == EWOULDBLOCK ? ::pread(lock_fd_, holder, sizeof holder - 1, 0) : 0;
    std::string who(holder, n > 0 ? static_cast<std::size_t>(n) : 0);
    std::erase_if(who, [](char c) { return c < '0' || c > '9'; });
    error = lock_error == EWOULDBLOCK
                ? "the journal in " + directory + " is in use by " + (who.empty() ? "another process" : "process " + who)
                : text("cannot lock " + lock_path, lock_error);
    return false;
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_fd_, 0) == 0 && ::pwrite(lock_fd_, pid.data(), pid.size(), 0) < 0) {
    // The number only makes the refusal above friendlier; a full disk must not keep us from opening.
  }
  return true;
}

bool Journal::set_aside(Cut cut, std::string& error) {
  cut.kept = cut.path + ".torn";
  if (::rename(cut.path.c_str(), cut.kept.c_str()) != 0 || options_.ops->fsync(directory_fd_) != 0) {
    error = text("cannot put aside " + cut.path, errno);
    return false;
  }
  cuts_.push_back(std::move(cut));
  return true;
}

bool Journal::cut_tail(Cut cut, std::string& error) {
  const int fd = ::open(cut.path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    error = text("cannot open " + cut.path, errno);
    return false;
  }
  cut.kept = cut.path + "." + std::to_string(cut.offset) + ".torn";
  int code = copy_range(fd, cut.offset, cut.bytes, cut.kept, *options_.ops);
  if (code != 0) {
    cut.kept.clear();
    // Half a record is worth nothing and the cut makes room; whole records behind a damage are not ours to lose.
    if (cut.records_after || (code != ENOSPC && code != EDQUOT)) {
      error = text("cannot put aside the damaged end of " + cut.path, code);
      ::close(fd);
      return false;
    }
  }
  code = ::ftruncate(fd, static_cast<off_t>(cut.offset)) != 0 || options_.ops->fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  if (code != 0) error = text("cannot cut " + cut.path, code);
  cuts_.push_back(std::move(cut));
  return code == 0;
}

// Bytes of the file being written, over themselves; it stands at `to` afterwards. 0 or errno.
int Journal::write_again(const std::string& path, std::uint64_t from, std::uint64_t to) {
  const int in = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (in < 0) return errno;
  int code = ::lseek(fd_, static_cast<off_t>(from), SEEK_SET) < 0 ? errno : 0;
  if (code == 0) code = copy_bytes(in, from, to - from, fd_, *options_.ops);
  ::close(in);
  if (::lseek(fd_, static_cast<off_t>(to), SEEK_SET) < 0) return errno;
  return code;
}

// What was written since the last good sync, if the file still says the same. 0 or errno.
int Journal::write_unsynced_again() {
  const std::string path = segments().back().path;
  SegmentReader reader;
  Record record;
  if (!reader.open(path)) return EIO;
  while (reader.next(record) == Next::kRecord) {
  }
  if (reader.chain() != chain_ || reader.offset() != file_bytes_) return EBADMSG;  // the kernel has dropped it
  return write_again(path, synced_bytes_, file_bytes_);
}

bool Journal::adopt_newest(std::string& error) {
  std::vector<SegmentFile> files = list_segments(options_.directory, error);
  if (!error.empty()) return false;
  std::uint64_t first_lsn = 1;  // of a new segment, when none is left to go on with
  while (!files.empty()) {
    const SegmentFile file = files.back();
    SegmentReader reader;
    const bool is_open = reader.open(file.path);
    if (reader.failed()) {
      error = reader.error();
      return false;
    }
    if (!is_open) {
      if (reader.header().version != kVersion) {
        error = file.path + ": " + reader.error();
        return false;
      }
      if (!set_aside({file.path, {}, 0, file.bytes, reader.error(), file.bytes > kHeaderBytes}, error)) return false;
      first_lsn = file.first_lsn;
      files.pop_back();
      continue;
    }
    if (reader.header().first_lsn != file.first_lsn) {
      error = file.path + ": the header says LSN " + std::to_string(reader.header().first_lsn) + ", the name another";
      return false;
    }
    Record record;
    Next next;
    while ((next = reader.next(record)) == Next::kRecord) {
    }
    const std::uint64_t end = reader.offset();
    if (next == Next::kBad) {
      if (reader.failed()) {
        error = file.path + ": " + reader.error();
        return false;
      }
      Cut cut{file.path, {}, end, reader.size() - end, reader.error(), false};
      cut.records_after = reader.records_after_damage();
      if (!cut_tail(std::move(cut), error)) return false;
    }
    // What an earlier process wrote and could not sync is in the cache, and a sync now would not bring it to the
    // disk: it is written again first.
    int code = 0;
    fd_ = options_.ops->open(file.path.c_str(), O_WRONLY | O_CLOEXEC, 0);
    if (fd_ < 0 || ::lseek(fd_, static_cast<off_t>(end), SEEK_SET) < 0) code = errno;
    if (code == 0 && reader.size() > end && ::ftruncate(fd_, static_cast<off_t>(end)) != 0) code = errno;
    if (code == 0 && options_.durability == Durability::kPower) code = write_again(file.path, 0, end);
    if (code == 0 && options_.ops->fdatasync(fd_) != 0) code = errno;
    if (code != 0) {
      error = text("cannot go on in " + file.path, code);
      return false;
    }
    writer_lsn_ = reader.next_lsn() - 1;
    chain_ = synced_chain_ = reader.chain();
    file_bytes_ = synced_bytes_ = begun_bytes_ = end;
    segment_first_ = file.first_lsn;
    segment_used_ = end;
    for (std::size_t i = 0; i + 1 < files.size(); ++i)
      segments_.push_back({files[i].first_lsn, files[i + 1].first_lsn - 1, files[i].bytes, true, files[i].path});
    segments_.push_back({file.first_lsn, writer_lsn_, end, false, file.path});
    return true;
  }
  writer_lsn_ = first_lsn - 1;
  segment_first_ = first_lsn;
  if (const int code = start_segment(first_lsn, 0); code != 0) {
    error = text("cannot start a segment in " + options_.directory, code);
    return false;
  }
  return true;
}

}  // namespace qautlra::journal
