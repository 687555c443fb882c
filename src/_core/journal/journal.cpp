#include "journal/journal.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <new>
#include <utility>

#include "journal/crc32c.hpp"

namespace qautlra::journal {
namespace {

constexpr std::uint32_t kRollMark = 0xFFFFFFFFu;  // in the ring only: "seal the segment here"
constexpr std::uint32_t kWrapMark = 0;            // in the ring only: "go on at the start of the ring"
constexpr std::uint64_t kGroupBytes = 4u << 20;
constexpr std::uint64_t kAheadBytes = 4u << 20;
constexpr std::int64_t kAheadNs = 1'000'000'000;
constexpr std::uint64_t kRoomBytes = 512u << 10;
constexpr std::uint64_t kRoomGroupBytes = 64u << 10;
constexpr std::int64_t kSlowWriteNs = 10'000'000;
constexpr std::int64_t kSlowPauses = 1000;  // so much longer the producer then leaves all to the writer
constexpr std::int64_t kDoubtNs = 200'000'000;  // a disk that was waited for so long may have stopped
constexpr std::int64_t kUnansweredNs = 2'000'000'000;
constexpr int kFirstRetryMs = 10;
constexpr int kLastRetryMs = 250;

int system_open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }

// Errors that pass when somebody makes room or the device comes back; everything else is ours, or final.
bool can_retry(int code) {
  return code == ENOSPC || code == EDQUOT || code == EIO || code == EAGAIN || code == EMFILE || code == ENFILE ||
         code == ENOMEM;
}

std::int64_t monotonic_ns() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// How often this thread has waited for something, a disk for one. Having to wait for a processor does not count.
long waits_so_far() {
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  return used.ru_nvcsw;
}

// Says for its lifetime that the disk is asked for something.
class Asked {
 public:
  explicit Asked(std::atomic<std::int64_t>& since_ns) : since_ns_(since_ns) { since_ns_.store(monotonic_ns(), kRelaxed); }
  ~Asked() { since_ns_.store(0, kRelaxed); }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

 private:
  static constexpr std::memory_order kRelaxed = std::memory_order_relaxed;
  std::atomic<std::int64_t>& since_ns_;
};

std::chrono::nanoseconds duration(double seconds) {
  constexpr double kLongest = 1e6;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.0, kLongest) * 1e9));
}

}  // namespace

const FileOps kSystemFileOps = {::writev, ::fdatasync, ::fsync, system_open};

Journal::Journal(const Options& options) : options_(options) {
  capacity_ = std::bit_ceil(std::clamp<std::uint64_t>(options.buffer_bytes, 64u << 10, 1u << 30));
  max_record_bytes_ = std::min<std::uint64_t>(kMaxRecordBytes - 1, capacity_ / 4 - 64);
  ring_ = reserved<std::byte>(capacity_);
  if (!ring_) throw std::bad_alloc();
}

Journal::~Journal() { close(1.0); }

// ---- producer -------------------------------------------------------------------------------------------

// `bytes` in one piece of the ring behind produced_, leaving a wrap mark when that needs the ring's start.
std::byte* Journal::room(std::size_t bytes) {
  const std::uint64_t index = produced_ & (capacity_ - 1);
  const std::uint64_t to_end = capacity_ - index;
  const std::uint64_t skip = to_end < bytes ? to_end : 0;
  if (produced_ + skip + bytes - tail_seen_ > capacity_) {
    tail_seen_ = tail_.load(std::memory_order_acquire);
    if (produced_ + skip + bytes - tail_seen_ > capacity_) return nullptr;
  }
  if (skip != 0) {
    if (to_end >= 4) store_u32(ring_.get() + index, kWrapMark);
    produced_ += skip;
    return ring_.get();
  }
  return ring_.get() + index;
}

std::byte* Journal::reserve(std::size_t size) {
  std::byte* at = nullptr;
  if (!closed_ && !failed() && size <= max_record_bytes_) {
    const bool is_full_segment = segment_used_ >= options_.segment_bytes && next_lsn_ != segment_first_;
    if (!is_full_segment || roll() != 0) at = room(kRecordHeadBytes + 1 + size);
  }
  if (at == nullptr) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  reserved_at_ = produced_;
  reserved_bytes_ = size;
  return at + kRecordHeadBytes + 1;
}

std::uint64_t Journal::publish(std::uint8_t kind, std::size_t size) {
  if (size > reserved_bytes_ || reserved_at_ != produced_) return 0;
  std::byte* at = ring_.get() + (produced_ & (capacity_ - 1));
  store_u32(at, static_cast<std::uint32_t>(size + 1));
  at[kRecordHeadBytes] = static_cast<std::byte>(kind);
  const std::uint64_t whole = kRecordHeadBytes + 1 + size;
  produced_ += whole;
  segment_used_ += whole;
  const std::uint64_t lsn = next_lsn_++;
  head_lsn_.store(lsn, std::memory_order_release);
  head_.store(produced_, std::memory_order_release);
  return lsn;
}

std::uint64_t Journal::append(std::uint8_t kind, const void* payload, std::size_t size) {
  std::byte* at = reserve(size);
  if (at == nullptr) return 0;
  if (size != 0) std::memcpy(at, payload, size);
  return publish(kind, size);
}

void Journal::commit() {
  commits_.fetch_add(1, std::memory_order_seq_cst);
  if (!sleeping_.load(std::memory_order_seq_cst)) return;
  std::lock_guard lock(mutex_);
  work_.notify_one();
}

void Journal::flush(std::uint64_t here_bytes) {
  if (flushed_ == produced_) return;
  flushed_ = produced_;
  if (!write_here(here_bytes)) commit();
}

// False when something is left for the writer to do.
bool Journal::write_here(std::uint64_t here_bytes) {
  if (options_.durability == Durability::kPower || closed_ || failed()) return false;
  if (produced_ - tail_.load(std::memory_order_acquire) > here_bytes) return false;
  const std::int64_t began_ns = monotonic_ns();
  if (began_ns < not_here_until_ns_) return false;
  const std::int64_t ahead_ns = ahead_ns_.load(std::memory_order_relaxed);
  if (ahead_ns != 0 && began_ns - ahead_ns > kDoubtNs) return false;
  std::unique_lock lock(writing_, std::try_to_lock);
  if (!lock.owns_lock() || retry_ms_ > 0 || part_count_ > 0) return false;
  if (synced_position_.load(std::memory_order_relaxed) < sync_request_.load(std::memory_order_acquire)) return false;
  collect_group();
  if (part_count_ == 0) return false;
  const long waits = waits_so_far();
  if (const int code = write_group(); code != 0) {
    stumble(code, "write");
    return false;
  }
  finish_group(false);
  const std::int64_t now_ns = monotonic_ns();
  if (now_ns - began_ns > kSlowWriteNs && waits_so_far() != waits)
    not_here_until_ns_ = now_ns + kSlowPauses * (now_ns - began_ns);
  begin_ahead(now_ns);
  return position_ == produced_;
}

std::uint64_t Journal::next_segment() const {
  const bool is_full = segment_used_ >= options_.segment_bytes && next_lsn_ != segment_first_;
  return is_full ? next_lsn_ : segment_first_;
}

std::uint64_t Journal::roll() {
  if (closed_ || failed()) return 0;
  if (next_lsn_ == segment_first_) return segment_first_;
  std::byte* at = room(4);
  if (at == nullptr) return 0;
  store_u32(at, kRollMark);
  produced_ += 4;
  segment_first_ = next_lsn_;
  segment_used_ = kHeaderBytes;
  head_.store(produced_, std::memory_order_release);
  return segment_first_;
}

// ---- any thread -----------------------------------------------------------------------------------------

std::uint64_t Journal::durable_lsn() const {
  switch (options_.durability) {
    case Durability::kMemory: return head_lsn();
    case Durability::kProcess: return written_lsn();
    case Durability::kPower: return synced_lsn_.load(std::memory_order_acquire);
  }
  return 0;
}

bool Journal::sync(double timeout_s) {
  const std::uint64_t target = head_.load(std::memory_order_acquire);
  std::uint64_t asked = sync_request_.load(std::memory_order_relaxed);
  while (asked < target && !sync_request_.compare_exchange_weak(asked, target, std::memory_order_release)) {
  }
  commit();
  const auto is_done = [&] { return synced_position_.load(std::memory_order_acquire) >= target; };
  std::unique_lock lock(mutex_);
  progress_.wait_for(lock, duration(timeout_s), [&] { return is_done() || failed() || !is_running_; });
  return is_done();
}

bool Journal::wait_durable(std::uint64_t lsn, double timeout_s) {
  commit();
  std::unique_lock lock(mutex_);
  progress_.wait_for(lock, duration(timeout_s), [&] { return durable_lsn() >= lsn || failed() || !is_running_; });
  return durable_lsn() >= lsn;
}

int Journal::durable_fd() {
  std::lock_guard lock(mutex_);
  int fd = durable_fd_.load(std::memory_order_relaxed);
  if (fd >= 0 || closed_) return fd;
  fd = ::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);  // readable at once: what was durable before is news to the caller
  durable_fd_.store(fd, std::memory_order_release);
  return fd;
}

// A counter already at its top wakes its reader as well.
void Journal::ring_durable() {
  const int fd = durable_fd_.load(std::memory_order_acquire);
  constexpr std::uint64_t one = 1;
  if (fd >= 0 && ::write(fd, &one, sizeof one) < 0) return;
}

int Journal::drop_through(std::uint64_t lsn, std::string& error) {
  std::vector<std::string> victims;
  {
    std::lock_guard lock(mutex_);
    for (const SegmentInfo& s : segments_) {
      if (!s.sealed || s.last_lsn > lsn) break;
      victims.push_back(s.path);
    }
  }
  int dropped = 0;
  for (const std::string& path : victims) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      error = "cannot delete " + path + ": " + std::strerror(errno);
      break;
    }
    std::lock_guard lock(mutex_);
    std::erase_if(segments_, [&](const SegmentInfo& s) { return s.path == path; });
    ++dropped;
  }
  if (dropped > 0) options_.ops->fsync(directory_fd_);
  return error.empty() ? dropped : -1;
}

std::string Journal::error() const {
  const std::int64_t asked_ns = asked_ns_.load(std::memory_order_relaxed);
  const std::int64_t waited_ns = asked_ns == 0 ? 0 : monotonic_ns() - asked_ns;
  std::lock_guard lock(mutex_);
  if (!error_text_.empty() || waited_ns < kUnansweredNs) return error_text_;
  return "the disk of " + options_.directory + " has not answered for " + std::to_string(waited_ns / 1'000'000'000) +
         " s; waiting until it does";
}

std::vector<SegmentInfo> Journal::segments() const {
  std::lock_guard lock(mutex_);
  return segments_;
}

Stats Journal::stats() const {
  Stats s;
  s.groups = groups_.load(std::memory_order_relaxed);
  s.bytes = bytes_.load(std::memory_order_relaxed);
  s.syncs = syncs_.load(std::memory_order_relaxed);
  s.refused = refused_.load(std::memory_order_relaxed);
  s.errors = errors_.load(std::memory_order_relaxed);
  const std::uint64_t tail = tail_.load(std::memory_order_acquire);
  s.buffered_bytes = head_.load(std::memory_order_acquire) - tail;
  return s;
}

bool Journal::close(double timeout_s) {
  if (!closed_) {
    closed_ = true;
    if (thread_.joinable()) {
      sync_request_.store(head_.load(std::memory_order_acquire), std::memory_order_release);
      {
        std::lock_guard lock(mutex_);
        stop_deadline_ns_ = monotonic_ns() + duration(timeout_s).count();
        stop_ = true;
        work_.notify_one();
        ahead_work_.notify_one();
      }
      thread_.join();
      if (ahead_thread_.joinable()) ahead_thread_.join();
    }
    cut_room();
    for (int* fd : {&fd_, &new_fd_, &directory_fd_, &lock_fd_}) {
      if (*fd >= 0) ::close(*fd);
      *fd = -1;
    }
    if (const int fd = durable_fd_.exchange(-1); fd >= 0) ::close(fd);
  }
  return !failed() && written_lsn() == head_lsn();
}

// ---- writer ---------------------------------------------------------------------------------------------

void Journal::run() {
  for (;;) {
    const std::uint64_t seen = commits_.load(std::memory_order_seq_cst);
    std::unique_lock writing(writing_);
    {
      const Asked asked(asked_ns_);
      if (step()) continue;
    }
    begin_ahead(monotonic_ns());
    const int retry_ms = retry_ms_;
    const std::uint64_t position = position_;
    writing.unlock();
    std::unique_lock lock(mutex_);
    if (stop_) {
      const bool is_idle = retry_ms == 0 && position == head_.load(std::memory_order_acquire) &&
                           synced_position_.load(std::memory_order_relaxed) >=
                               sync_request_.load(std::memory_order_acquire);
      if (failed() || is_idle || monotonic_ns() >= stop_deadline_ns_) break;
    }
    if (retry_ms > 0 && !failed()) {
      work_.wait_for(lock, std::chrono::milliseconds(retry_ms), [&] { return stop_; });
      // Once stopping, the predicate above is true at once: keep the pause between attempts.
      if (stop_) progress_.wait_for(lock, std::chrono::milliseconds(kFirstRetryMs));
      continue;
    }
    sleeping_.store(true, std::memory_order_seq_cst);
    if (commits_.load(std::memory_order_seq_cst) == seen && !stop_) work_.wait(lock);
    sleeping_.store(false, std::memory_order_seq_cst);
  }
  std::lock_guard lock(mutex_);
  is_running_ = false;
  progress_.notify_all();
}

// Whether enough is written, or for long enough, to have the disk begin with it.
bool Journal::is_ahead_due(std::int64_t now_ns) const {
  if (options_.durability == Durability::kPower || file_bytes_ == begun_bytes_) return false;
  return file_bytes_ - begun_bytes_ >= kAheadBytes || now_ns - begun_ns_ >= kAheadNs;
}

// Has the disk begin with what is written, every now and then, by a thread that may wait for it. By whoever writes.
void Journal::begin_ahead(std::int64_t now_ns) {
  if (!is_ahead_due(now_ns) || ahead_ns_.load(std::memory_order_relaxed) != 0) return;
  std::lock_guard lock(mutex_);
  const int fd = stop_ ? -1 : ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return;
  ahead_ = {fd, begun_from_, begun_bytes_, file_bytes_};
  begun_from_ = begun_bytes_;
  begun_bytes_ = file_bytes_;
  begun_ns_ = now_ns;
  ahead_ns_.store(now_ns, std::memory_order_relaxed);
  ahead_work_.notify_one();
}

// The sync of a full segment, for whose time nothing is written, is short when the disk has begun before. Waits until what
// it was to begin with the last time is done, which it is but where the disk has stopped: that is met here first, while
// the system still takes writes, and the producer keeps away. Proves nothing.
void Journal::run_ahead() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ahead_work_.wait(lock, [&] { return stop_ || ahead_.fd >= 0; });
    const Ahead begun = std::exchange(ahead_, {});
    if (begun.fd < 0) return;
    lock.unlock();
    const auto range = [&](std::uint64_t from, std::uint64_t to, unsigned how) {
      if (from < to) ::sync_file_range(begun.fd, static_cast<off_t>(from), static_cast<off_t>(to - from), how);
    };
    range(begun.before, begun.from, SYNC_FILE_RANGE_WAIT_BEFORE);
    range(begun.from, begun.to, SYNC_FILE_RANGE_WRITE);
    ::close(begun.fd);
    ahead_ns_.store(0, std::memory_order_relaxed);
    lock.lock();
  }
}

// One group, one roll or one sync. False when there is nothing to do or the disk does not let us.
bool Journal::step() {
  if (failed()) return false;
  collect_group();
  if (part_count_ > 0) {
    if (const int code = write_group(); code != 0) {
      stumble(code, "write");
      return false;
    }
    return finish_group();
  }
  if (roll_pending_) {
    if (new_fd_ < 0 && !is_synced() && !sync_file("sync of a full segment")) return false;
    if (const int code = start_segment(writer_lsn_ + 1, chain_); code != 0) {
      stumble(code, "new segment");
      return false;
    }
    roll_pending_ = false;
    position_ += 4;
    release_through(position_);
    retry_ms_ = 0;
    announce();
    return true;
  }
  const std::uint64_t asked = sync_request_.load(std::memory_order_acquire);
  if (synced_position_.load(std::memory_order_relaxed) < asked && position_ >= asked) {
    if (!sync_file("sync")) return false;
    announce();
    return true;
  }
  return false;
}

// Walks the published records up to a roll mark or the size of a group, and puts in their checksums. A group
// stays in hand until all of it is written, however many attempts that takes.
void Journal::collect_group() {
  if (part_count_ > 0 || roll_pending_) return;
  const std::uint64_t head = head_.load(std::memory_order_acquire);
  std::uint64_t at = position_;
  std::uint32_t chain = chain_;
  std::uint64_t records = 0, bytes = 0;
  const std::byte* part_end = nullptr;  // where the next record lies unless the ring has wrapped
  while (at != head && bytes < std::min(kGroupBytes, capacity_ / 2)) {
    const std::uint64_t index = at & (capacity_ - 1);
    const std::uint64_t to_end = capacity_ - index;
    std::byte* record = ring_.get() + index;
    const std::uint32_t length = to_end < 4 ? kWrapMark : load_u32(record);
    if (length == kWrapMark) {
      at += to_end;
      continue;
    }
    if (length == kRollMark) {
      roll_pending_ = records == 0;
      break;
    }
    chain = crc32c(chain, record, 4);
    chain = crc32c(chain, record + kRecordHeadBytes, length);
    store_u32(record + 4, chain);
    const std::uint64_t whole = kRecordHeadBytes + length;
    if (record != part_end) parts_[part_count_++] = {record, 0};
    part_end = record + whole;
    parts_[part_count_ - 1].iov_len += whole;
    bytes += whole;
    at += whole;
    ++records;
  }
  if (records == 0) {  // only wrap marks, if anything
    if (at != position_) {
      const bool was_synced = is_synced();
      position_ = at;
      if (was_synced) release_through(at);
      else if (options_.durability != Durability::kPower) tail_.store(at, std::memory_order_release);
    }
    return;
  }
  group_end_ = at;
  group_records_ = records;
  group_bytes_ = bytes;
  group_chain_ = chain;
}

// 0 or errno. What a partial write took is remembered in parts_, so an attempt after an error goes on from there.
int Journal::write_group() {
  while (part_count_ > 0) {
    const ssize_t n = options_.ops->writev(fd_, parts_, part_count_);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    auto written = static_cast<std::size_t>(n);
    if (written == 0) return ENOSPC;
    file_bytes_ += written;
    while (part_count_ > 0 && written >= parts_[0].iov_len) {
      written -= parts_[0].iov_len;
      parts_[0] = parts_[1];
      --part_count_;
    }
    if (part_count_ > 0) {
      parts_[0].iov_base = static_cast<std::byte*>(parts_[0].iov_base) + written;
      parts_[0].iov_len -= written;
    }
  }
  return 0;
}

// False when its sync has failed.
bool Journal::finish_group(bool ring) {
  position_ = group_end_;
  chain_ = group_chain_;
  writer_lsn_ += group_records_;
  groups_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(group_bytes_, std::memory_order_relaxed);
  written_lsn_.store(writer_lsn_, std::memory_order_release);
  if (options_.durability == Durability::kPower) {  // records stay in the ring until then: see suspect()
    prepare_room();
    if (!sync_file("sync")) return false;
  } else {
    tail_.store(position_, std::memory_order_release);
  }
  if (!is_suspect_) retry_ms_ = 0;
  announce(ring);
  return true;
}

// A sync of bytes that take the place of others is half the price of one that makes the file longer and has the file
// system's own journal written too. So small groups write zeros behind them, to be synced along with them, when a next
// one like it would not fit what is left of those. No room on the disk for zeros is no error: files then grow as they did.
void Journal::prepare_room() {
  if (group_bytes_ > kRoomGroupBytes || file_bytes_ + group_bytes_ <= prepared_bytes_) return;
  if (file_bytes_ >= options_.segment_bytes) return;
  static const std::array<std::byte, kRoomBytes> zeros{};
  const iovec part = {const_cast<std::byte*>(zeros.data()),
                      std::min<std::uint64_t>(kRoomBytes, options_.segment_bytes - file_bytes_)};
  const ssize_t n = options_.ops->writev(fd_, &part, 1);
  if (n > 0) prepared_bytes_ = std::max(prepared_bytes_, file_bytes_ + static_cast<std::uint64_t>(n));
  if (::lseek(fd_, static_cast<off_t>(file_bytes_), SEEK_SET) < 0) fail(errno, "seek");
}

// Of the segment that is left, as far as that works: readers take zeros for the end as well.
void Journal::cut_room() {
  if (fd_ >= 0 && prepared_bytes_ > file_bytes_ && ::ftruncate(fd_, static_cast<off_t>(file_bytes_)) != 0) return;
  prepared_bytes_ = 0;
}

bool Journal::is_synced() const { return synced_position_.load(std::memory_order_relaxed) == position_; }

// Everything before `position` is on the disk: the producer may have its room.
void Journal::release_through(std::uint64_t position) {
  synced_position_.store(position, std::memory_order_release);
  tail_.store(position, std::memory_order_release);
}

bool Journal::sync_file(const char* what) {
  if (is_suspect_) {
    if (monotonic_ns() < retry_at_ns_) return false;
    if (const int code = write_unsynced_again(); code != 0) {
      suspect(code, what);
      return false;
    }
  }
  if (options_.ops->fdatasync(fd_) != 0) {
    suspect(errno, what);
    return false;
  }
  is_suspect_ = false;
  syncs_.fetch_add(1, std::memory_order_relaxed);
  synced_lsn_.store(writer_lsn_, std::memory_order_release);
  synced_chain_ = chain_;
  synced_bytes_ = file_bytes_;
  release_through(position_);
  retry_ms_ = 0;
  return true;
}

// After a failed fdatasync the kernel may have dropped the pages and report success next time. So what was written
// since the last good one counts as not written: it comes once more out of the ring, at its old place, and only a
// sync after that is believed. Where the ring gave it away already it is read back from the file and checked.
void Journal::suspect(int code, const char* what) {
  stumble(code, what);
  if (failed()) return;
  if (options_.durability != Durability::kPower) {
    is_suspect_ = true;
    retry_at_ns_ = monotonic_ns() + std::int64_t{retry_ms_} * 1'000'000;
    return;
  }
  if (::lseek(fd_, static_cast<off_t>(synced_bytes_), SEEK_SET) < 0) return fail(errno, what);
  file_bytes_ = synced_bytes_;
  prepared_bytes_ = 0;
  chain_ = synced_chain_;
  writer_lsn_ = synced_lsn_.load(std::memory_order_relaxed);
  written_lsn_.store(writer_lsn_, std::memory_order_release);
  position_ = synced_position_.load(std::memory_order_relaxed);
  roll_pending_ = false;
}

// 0 or errno. May be called again after an error: the file made by then is kept in new_fd_.
int Journal::start_segment(std::uint64_t first_lsn, std::uint32_t chain) {
  const std::string path = options_.directory + "/" + segment_name(first_lsn);
  if (new_fd_ < 0) {
    new_fd_ = options_.ops->open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (new_fd_ < 0) return errno;
  }
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::byte bytes[kHeaderBytes];
  write_header({kVersion, first_lsn, std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec, chain}, bytes);
  if (::lseek(new_fd_, 0, SEEK_SET) != 0) return errno;
  for (std::size_t done = 0; done < kHeaderBytes;) {
    const iovec part = {bytes + done, kHeaderBytes - done};
    const ssize_t n = options_.ops->writev(new_fd_, &part, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : ENOSPC;
    done += static_cast<std::size_t>(n);
  }
  if (options_.ops->fsync(new_fd_) != 0 || options_.ops->fsync(directory_fd_) != 0) {
    const int code = errno;  // a second sync of the same file would prove nothing: the next attempt makes another
    ::close(new_fd_);
    new_fd_ = -1;
    return ::unlink(path.c_str()) == 0 ? code : errno;
  }
  cut_room();
  if (fd_ >= 0) ::close(fd_);
  fd_ = new_fd_;
  new_fd_ = -1;
  is_suspect_ = false;
  file_bytes_ = synced_bytes_ = begun_bytes_ = begun_from_ = kHeaderBytes;
  synced_chain_ = chain;
  std::lock_guard lock(mutex_);
  if (!segments_.empty()) segments_.back().sealed = true;
  segments_.push_back({first_lsn, first_lsn - 1, kHeaderBytes, false, path});
  return 0;
}

void Journal::stumble(int code, const char* what) {
  if (!can_retry(code)) {
    fail(code, what);
    return;
  }
  retry_ms_ = retry_ms_ == 0 ? kFirstRetryMs : std::min(retry_ms_ * 2, kLastRetryMs);
  errors_.fetch_add(1, std::memory_order_relaxed);
  error_number_.store(code, std::memory_order_release);
  std::lock_guard lock(mutex_);
  error_text_ = std::string(what) + " failed in " + options_.directory + ": " + std::strerror(code) +
                "; trying again until it works";
}

void Journal::fail(int code, const char* what) {
  errors_.fetch_add(1, std::memory_order_relaxed);
  error_number_.store(code, std::memory_order_release);
  std::lock_guard lock(mutex_);
  error_text_ = std::string(what) + " failed in " + options_.directory + ": " + std::strerror(code) +
                "; the journal takes nothing more";
  failed_.store(true, std::memory_order_release);
  progress_.notify_all();
  ring_durable();
}

// After something went well: no error any more, the newest segment as it is now, and whoever waits looks again. An
// event loop that has written by itself need not be rung.
void Journal::announce(bool ring) {
  if (!is_suspect_) error_number_.store(0, std::memory_order_release);
  std::lock_guard lock(mutex_);
  if (!is_suspect_) error_text_.clear();
  segments_.back().last_lsn = writer_lsn_;
  segments_.back().bytes = file_bytes_;
  progress_.notify_all();
  if (ring) ring_durable();
}

}  // namespace qautlra::journal
