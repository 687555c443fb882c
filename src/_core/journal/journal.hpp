// The one appender of the process's log: records go into a bounded ring, a thread of its own writes them to
// segment files in groups, checksums them, and says what is durable. Reading back is segment_reader.hpp.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/block.hpp"
#include "journal/format.hpp"

namespace qautlra::journal {

enum class Durability : std::uint8_t {
  kMemory,   // durable means appended
  kProcess,  // durable means handed to the kernel: survives kill -9
  kPower,    // durable means fdatasync returned
};

// The system calls that can fail for want of space or health, replaceable so that tests can make them fail.
struct FileOps {
  ssize_t (*writev)(int fd, const iovec* parts, int count);
  int (*fdatasync)(int fd);
  int (*fsync)(int fd);
  int (*open)(const char* path, int flags, mode_t mode);
};
extern const FileOps kSystemFileOps;

struct Options {
  std::string directory;
  std::uint64_t segment_bytes = 64u << 20;  // a segment is sealed by the first record that finds it this big
  std::uint64_t buffer_bytes = 32u << 20;   // of appended, not yet written records; rounded up to a power of two
  Durability durability = Durability::kProcess;
  bool create = true;  // make the directory when it is missing
  const FileOps* ops = &kSystemFileOps;
};

struct SegmentInfo {
  std::uint64_t first_lsn = 0;
  std::uint64_t last_lsn = 0;  // first_lsn - 1 when empty
  std::uint64_t bytes = 0;
  bool sealed = false;
  std::string path;
};

// What open() had to take off the newest end of the log.
struct Cut {
  std::string path;
  std::string kept;  // where the bytes were put aside; empty when the disk had no room
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::string reason;
  bool records_after = false;  // intact records followed the damage: not just a write cut short
};

struct Stats {
  std::uint64_t groups = 0;
  std::uint64_t bytes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t refused = 0;
  std::uint64_t errors = 0;
  std::uint64_t buffered_bytes = 0;
};

// Threads: one producer at a time calls reserve/publish/append/commit/roll; sync, segments, drop_through, the
// counters and error() may be called from any thread; the writer thread is private. Lives until close().
class Journal {
 public:
  // Null with `error` filled in when the directory cannot be used: held by another process, damaged in a way
  // that is not ours to repair, not writable.
  static std::unique_ptr<Journal> open(const Options& options, std::string& error);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // LSN of the record, 0 when it was refused: the ring is full, the journal has failed or is closed, or the
  // record is larger than max_record_bytes(). Not yet visible to the writer's sleep: call commit().
  std::uint64_t append(std::uint8_t kind, const void* payload, std::size_t size);

  // The same without a copy: room for `size` payload bytes in the ring (null: refused), then publish what was used.
  std::byte* reserve(std::size_t size);
  std::uint64_t publish(std::uint8_t kind, std::size_t size);

  // Wakes the writer when it sleeps. Once per batch.
  void commit();

  // By the producer, once per batch: has what was appended written, and does nothing when nothing was. At most
  // `here_bytes` that need not be synced go to the kernel on this thread, while the writer rests and writes are quick:
  // then they are durable when this returns, and nobody has to be woken. Everything else is the writer's, as after
  // commit().
  void flush(std::uint64_t here_bytes = 64u << 10);

  // Segment (its first LSN) the next record will fall into.
  std::uint64_t next_segment() const;

  // Seals the current segment behind what was appended. First LSN of the new one, 0 when the ring is full. The
  // files follow when the writer gets there; segments() tells.
  std::uint64_t roll();

  // Waits until all that was appended (and rolled) before the call is on the disk by fdatasync.
  bool sync(double timeout_s);
  // Waits until `lsn` is durable in the sense of the options.
  bool wait_durable(std::uint64_t lsn, double timeout_s);

  // A descriptor that becomes readable whenever durable_lsn() moved on or the journal failed: for event loops. Read
  // 8 bytes from it, then look. -1 with errno when there is none to be had; the journal closes it.
  int durable_fd();

  // Deletes sealed segments that hold nothing above `lsn`. Count deleted; -1 with `error` when one would not go.
  int drop_through(std::uint64_t lsn, std::string& error);

  // Writes what is buffered, syncs, ends the thread. False when records had to be left behind (error() says why).
  bool close(double timeout_s);

  std::uint64_t head_lsn() const { return head_lsn_.load(std::memory_order_acquire); }
  std::uint64_t written_lsn() const { return written_lsn_.load(std::memory_order_acquire); }
  std::uint64_t durable_lsn() const;
  std::uint64_t max_record_bytes() const { return max_record_bytes_; }
  const std::string& directory() const { return options_.directory; }
  const std::vector<Cut>& cuts() const { return cuts_; }  // oldest last; mostly empty
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // What keeps the writer from writing now, a disk that does not answer for one, or why it gave up for good; empty when
  // nothing does.
  std::string error() const;
  int error_number() const { return error_number_.load(std::memory_order_acquire); }
  std::vector<SegmentInfo> segments() const;
  Stats stats() const;

 private:
  explicit Journal(const Options& options);
  bool begin(std::string& error);
  bool hold_directory(std::string& error);
  bool adopt_newest(std::string& error);
  bool set_aside(Cut cut, std::string& error);
  bool cut_tail(Cut cut, std::string& error);

  void run();
  bool step();
  bool is_ahead_due(std::int64_t now_ns) const;
  void begin_ahead(std::int64_t now_ns);
  void run_ahead();
  bool write_here(std::uint64_t here_bytes);
  void collect_group();
  int write_group();
  bool finish_group(bool ring = true);
  void prepare_room();
  void cut_room();
  int start_segment(std::uint64_t first_lsn, std::uint32_t chain);
  bool is_synced() const;
  void release_through(std::uint64_t position);
  bool sync_file(const char* what);
  void suspect(int code, const char* what);
  int write_unsynced_again();
  int write_again(const std::string& path, std::uint64_t from, std::uint64_t to);
  void stumble(int code, const char* what);
  void fail(int code, const char* what);
  void announce(bool ring = true);
  void ring_durable();
  std::byte* room(std::size_t bytes);

  const Options options_;
  std::uint64_t capacity_ = 0;
  std::uint64_t max_record_bytes_ = 0;
  Block<std::byte> ring_;  // a page of it is there from its first use on
  int lock_fd_ = -1;
  int directory_fd_ = -1;
  std::vector<Cut> cuts_;

  // Producer only.
  std::uint64_t produced_ = 0;      // ring position behind the last published record
  std::uint64_t reserved_at_ = 0;   // ring position of the record being filled
  std::size_t reserved_bytes_ = 0;  // payload room there
  std::uint64_t tail_seen_ = 0;
  std::uint64_t next_lsn_ = 1;
  std::uint64_t segment_first_ = 1;
  std::uint64_t segment_used_ = kHeaderBytes;
  std::uint64_t flushed_ = 0;  // ring position behind what flush() has seen
  std::int64_t not_here_until_ns_ = 0;  // monotonic: a write on this thread took too long
  bool closed_ = false;

  // Shared. head_: released by the producer, acquired by the writer; tail_: the other way round. commits_ and
  // sleeping_ are sequentially consistent: each side writes its own and then reads the other's.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::atomic<std::uint64_t> head_lsn_{0};  // release / acquire
  std::atomic<std::uint64_t> refused_{0};   // relaxed
  alignas(64) std::atomic<std::uint64_t> tail_{0};
  std::atomic<std::uint64_t> written_lsn_{0};  // release / acquire
  std::atomic<std::uint64_t> synced_lsn_{0};   // release / acquire
  std::atomic<std::uint64_t> synced_position_{0};
  std::atomic<std::uint64_t> groups_{0}, bytes_{0}, syncs_{0}, errors_{0};  // relaxed
  std::atomic<bool> failed_{false};        // release / acquire
  std::atomic<int> error_number_{0};       // release / acquire
  std::atomic<int> durable_fd_{-1};        // release / acquire; set once, closed by close()
  std::atomic<std::int64_t> ahead_ns_{0};  // relaxed; the same of what run_ahead() asks for
  std::atomic<std::int64_t> asked_ns_{0};  // relaxed; monotonic: since when the disk has not answered, 0: nothing is asked
  alignas(64) std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> sync_request_{0};  // ring position; released before the commit that follows
  std::atomic<bool> sleeping_{false};

  mutable std::mutex mutex_;  // guards the conditions and what follows, up to segments_
  std::condition_variable work_;
  std::condition_variable progress_;
  bool stop_ = false;
  bool is_running_ = false;
  std::int64_t stop_deadline_ns_ = 0;  // monotonic
  std::string error_text_;
  std::vector<SegmentInfo> segments_;
  struct Ahead {
    int fd = -1;  // its own; -1: nothing is to be begun with
    std::uint64_t before = 0, from = 0, to = 0;
  } ahead_;
  std::condition_variable ahead_work_;

  // Whoever writes holds this: the writer, or the producer when it writes by itself. It guards what follows, but the thread.
  std::mutex writing_;
  int fd_ = -1;
  int new_fd_ = -1;  // of a segment whose making was interrupted by a full disk
  std::uint64_t position_ = 0;
  std::uint64_t writer_lsn_ = 0;  // last written
  std::uint32_t chain_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t begun_bytes_ = 0;     // up to where the disk was told to begin with, the last time from begun_from_ on
  std::uint64_t begun_from_ = 0;
  std::int64_t begun_ns_ = 0;  // monotonic: when that was
  std::uint64_t prepared_bytes_ = 0;  // where the zeros behind file_bytes_ end; no more than it: there are none
  std::uint32_t synced_chain_ = 0;  // chain_ and file_bytes_ as of the last good sync
  std::uint64_t synced_bytes_ = 0;
  std::int64_t retry_at_ns_ = 0;  // monotonic
  bool is_suspect_ = false;  // a sync has failed: the file since synced_bytes_ may not be what was written
  iovec parts_[2] = {};
  int part_count_ = 0;  // 0: no group in hand
  std::uint64_t group_end_ = 0;
  std::uint64_t group_records_ = 0;
  std::uint64_t group_bytes_ = 0;
  std::uint32_t group_chain_ = 0;
  bool roll_pending_ = false;  // the next thing in the ring is a roll mark
  int retry_ms_ = 0;
  std::thread thread_;
  std::thread ahead_thread_;
};

}  // namespace qautlra::journal
