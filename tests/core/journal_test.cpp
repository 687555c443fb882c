// The journal's threads and files, with system calls that fail on demand.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "expect.hpp"
#include "journal/crc32c.hpp"
#include "journal/journal.hpp"
#include "journal/segment_reader.hpp"

using namespace qautlra;
using namespace qautlra::journal;

namespace {

std::unique_ptr<Journal> must_open(const Options& options) {
  std::string error;
  auto journal = Journal::open(options, error);
  if (!journal) std::fprintf(stderr, "open: %s\n", error.c_str());
  EXPECT(journal != nullptr);
  return journal;
}

std::string payload_of(std::uint64_t lsn) {
  std::string text = "record " + std::to_string(lsn) + " ";
  text.append(lsn % 97, static_cast<char>('a' + lsn % 26));
  return text;
}

std::uint64_t append_text(Journal& journal, const std::string& text, std::uint8_t kind = 7) {
  return journal.append(kind, text.data(), text.size());
}

// Appends payload_of(lsn) until `count` more are in, waiting when the ring is full.
void append_many(Journal& journal, std::uint64_t count) {
  const std::uint64_t last = journal.head_lsn() + count;
  while (journal.head_lsn() < last) {
    if (append_text(journal, payload_of(journal.head_lsn() + 1)) == 0) {
      journal.commit();
      if (journal.failed()) return;
      std::this_thread::yield();
    } else if (journal.head_lsn() % 64 == 0) {
      journal.commit();
    }
  }
  journal.commit();
}

// Reads everything back; each record must be payload_of(its lsn). Count read.
std::uint64_t read_back(const std::string& directory, std::uint64_t from = 1) {
  DirectoryReader reader;
  std::string error;
  EXPECT(reader.open(directory, from, error));
  Record record;
  std::uint64_t expected = from;
  Next next;
  while ((next = reader.next(record)) == Next::kRecord) {
    EXPECT_EQ(record.lsn, expected);
    const std::string text(reinterpret_cast<const char*>(record.payload.data()), record.payload.size());
    EXPECT_EQ(text, payload_of(record.lsn));
    ++expected;
  }
  EXPECT(next == Next::kEnd);
  return expected - from;
}

mode_t mode_of(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(::stat(path.c_str(), &st), 0);
  return st.st_mode & 0777;
}

// A disk with `budget` bytes left and faults on demand. One test at a time.
std::atomic<std::int64_t> budget{INT64_MAX};
std::atomic<int> write_error{ENOSPC};
std::atomic<int> sync_error{0};
std::atomic<int> sync_calls{0};
std::atomic<int> file_sync_error{0};
std::atomic<std::int64_t> written_bytes{0};
std::atomic<int> dropped_fd{-1};  // a file that loses its bytes from dropped_from on whenever a sync fails
std::atomic<off_t> dropped_from{0};
std::atomic<int> drops{0};

ssize_t faulty_writev(int fd, const iovec* parts, int count) {
  std::int64_t left = budget.load();
  if (left <= 0) {
    errno = write_error;
    return -1;
  }
  iovec first = parts[0];  // at most one part and at most what is left: partial writes all the time
  (void)count;
  first.iov_len = std::min<std::size_t>(first.iov_len, static_cast<std::size_t>(left));
  const ssize_t n = ::writev(fd, &first, 1);
  if (n > 0 && left != INT64_MAX) budget -= n;
  if (n > 0) written_bytes += n;
  return n;
}
int faulty_fdatasync(int fd) {
  ++sync_calls;
  if (sync_error != 0) {
    if (const int gone = dropped_fd; gone >= 0) {
      struct stat st {};
      EXPECT_EQ(::fstat(gone, &st), 0);
      EXPECT_EQ(::ftruncate(gone, dropped_from), 0);
      EXPECT_EQ(::ftruncate(gone, st.st_size), 0);
      ++drops;
    }
    errno = sync_error;
    return -1;
  }
  return ::fdatasync(fd);
}
int faulty_fsync(int fd) {
  if (file_sync_error != 0) {
    errno = file_sync_error;
    return -1;
  }
  return ::fsync(fd);
}
int plain_open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }
const FileOps kFaulty = {faulty_writev, faulty_fdatasync, faulty_fsync, plain_open};

// Who writes, and how long each write takes.
std::atomic<std::thread::id> writer{};
std::atomic<int> write_ms{0};
std::atomic<int> busy_ms{0};
ssize_t watched_writev(int fd, const iovec* parts, int count) {
  writer = std::this_thread::get_id();
  if (write_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(write_ms));
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(busy_ms);
  while (busy_ms > 0 && std::chrono::steady_clock::now() < until) {
  }
  return ::writev(fd, parts, count);
}
const FileOps kWatched = {watched_writev, ::fdatasync, ::fsync, plain_open};

void heal_disk() {
  budget = INT64_MAX;
  write_error = ENOSPC;
  sync_error = 0;
  file_sync_error = 0;
  sync_calls = 0;
  dropped_fd = -1;
}

// A file that loses what follows `from` whenever a sync fails, until heal_disk(). Closed after the journal is, whose
// writer may be using it: declare it first.
struct LossyFile {
  int fd = -1;
  void lose(const std::string& path, off_t from) {
    fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    dropped_from = from;
    dropped_fd = fd;
  }
  ~LossyFile() {
    if (fd >= 0) ::close(fd);
  }
};

// Waits for something the writer thread does; false after ten seconds.
template <class F>
bool eventually(F&& is_so) {
  for (int i = 0; i < 10000; ++i) {
    if (is_so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace

TEST_CASE(crc32c_known_values_and_both_forms_agree) {
  EXPECT_EQ(crc32c(0, "123456789", 9), 0xE3069283u);
  EXPECT_EQ(crc32c_table(0, "123456789", 9), 0xE3069283u);
  std::mt19937_64 random(7);
  std::vector<unsigned char> bytes(4096);
  for (auto& b : bytes) b = static_cast<unsigned char>(random());
  for (std::size_t size = 0; size < 300; ++size) {
    const std::size_t at = random() % 16;
    EXPECT_EQ(crc32c(5, &bytes[at], size), crc32c_table(5, &bytes[at], size));
    EXPECT_EQ(crc32c(crc32c(0, bytes.data(), size), &bytes[size], 100), crc32c(0, bytes.data(), size + 100));
  }
}

TEST_CASE(append_close_reopen_continues) {
  expect::TemporaryDirectory tmp;
  const std::string directory = tmp.path + "/new/log";
  for (int round = 0; round < 3; ++round) {
    auto journal = must_open({.directory = directory});
    EXPECT_EQ(journal->head_lsn(), 100u * static_cast<unsigned>(round));
    append_many(*journal, 100);
    EXPECT(journal->close(5));
    EXPECT_EQ(append_text(*journal, "late"), 0u);
  }
  EXPECT_EQ(read_back(directory), 300u);
  EXPECT_EQ(read_back(directory, 250), 51u);
  EXPECT_EQ(mode_of(directory), 0700u);
  EXPECT_EQ(mode_of(directory + "/" + segment_name(1)), 0600u);
}

TEST_CASE(segments_roll_drop_and_verify) {
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .segment_bytes = 4096, .buffer_bytes = 65536});
  append_many(*journal, 2000);
  EXPECT(journal->sync(10));
  auto segments = journal->segments();
  EXPECT(segments.size() > 20);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    EXPECT_EQ(segments[i].sealed, i + 1 < segments.size());
    EXPECT_EQ(std::filesystem::file_size(segments[i].path), segments[i].bytes);
    if (i > 0) EXPECT_EQ(segments[i].first_lsn, segments[i - 1].last_lsn + 1);
  }
  EXPECT_EQ(read_back(tmp.path), 2000u);
  std::string error;
  Verdict verdict = verify(tmp.path, error);
  EXPECT_EQ(verdict.records, 2000u);
  EXPECT(verdict.damage.empty());

  EXPECT_EQ(journal->drop_through(segments[2].last_lsn, error), 3);
  EXPECT_EQ(journal->segments().front().first_lsn, segments[3].first_lsn);
  EXPECT_EQ(journal->drop_through(UINT64_MAX, error), static_cast<int>(segments.size()) - 4);
  EXPECT_EQ(journal->segments().size(), 1u);  // the newest one stays: it carries the numbering

  const std::uint64_t before = journal->head_lsn();
  EXPECT_EQ(journal->next_segment(), journal->segments().back().first_lsn);
  EXPECT_EQ(journal->roll(), before + 1);
  EXPECT_EQ(journal->roll(), before + 1);  // nothing in it yet: the same
  EXPECT(journal->sync(10));
  EXPECT_EQ(journal->segments().back().first_lsn, before + 1);
  journal->close(5);
  journal = must_open({.directory = tmp.path, .segment_bytes = 4096});
  EXPECT_EQ(journal->head_lsn(), before);
  EXPECT_EQ(append_text(*journal, payload_of(before + 1)), before + 1);
}

TEST_CASE(a_missing_segment_is_named) {
  expect::TemporaryDirectory tmp;
  std::vector<SegmentInfo> segments;
  {
    auto journal = must_open({.directory = tmp.path, .segment_bytes = 4096});
    append_many(*journal, 500);
    journal->sync(10);
    segments = journal->segments();
  }
  std::filesystem::remove(segments[1].path);
  DirectoryReader reader;
  std::string error;
  EXPECT(reader.open(tmp.path, 1, error));
  Record record;
  std::uint64_t n = 0;
  while (reader.next(record) == Next::kRecord) ++n;
  EXPECT_EQ(n, segments[0].last_lsn);
  EXPECT_EQ(reader.damage().path, segments[2].path);
  EXPECT(!reader.damage().reason.empty());
  EXPECT_EQ(verify(tmp.path, error).damage.size(), 1u);
}

TEST_CASE(two_owners_are_refused_by_name) {
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path});
  std::string error;
  EXPECT(Journal::open({.directory = tmp.path}, error) == nullptr);
  EXPECT(error.find("in use by process " + std::to_string(::getpid())) != std::string::npos);
  journal->close(1);
  EXPECT(Journal::open({.directory = tmp.path}, error) != nullptr);
}

TEST_CASE(a_missing_directory_is_refused_without_create) {
  expect::TemporaryDirectory tmp;
  std::string error;
  EXPECT(Journal::open({.directory = tmp.path + "/none", .create = false}, error) == nullptr);
  EXPECT(!error.empty());
}

TEST_CASE(full_disk_refuses_then_resumes_without_loss) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .segment_bytes = 20000, .buffer_bytes = 65536, .ops = &kFaulty});
  std::mt19937 random(11);
  std::uint64_t refused = 0;
  for (int round = 0; round < 30; ++round) {
    budget = static_cast<std::int64_t>(random() % 30000);  // ends anywhere: inside a record, a header, a roll
    std::uint64_t lsn;
    while ((lsn = append_text(*journal, payload_of(journal->head_lsn() + 1))) != 0) {
      if (lsn % 16 == 0) journal->commit();
    }
    ++refused;
    journal->commit();
    EXPECT(eventually([&] { return !journal->error().empty(); }));
    EXPECT_EQ(journal->error_number(), ENOSPC);
    EXPECT(!journal->failed());
    EXPECT(journal->durable_lsn() < journal->head_lsn());
    EXPECT(!journal->sync(0.01));
    budget = INT64_MAX;
    EXPECT(journal->sync(10));
    EXPECT_EQ(journal->durable_lsn(), journal->head_lsn());
    EXPECT(journal->error().empty());
  }
  const std::uint64_t head = journal->head_lsn();
  EXPECT(journal->stats().refused >= refused);
  EXPECT(journal->close(5));
  EXPECT_EQ(read_back(tmp.path), head);
  std::string error;
  EXPECT(verify(tmp.path, error).damage.empty());
}

TEST_CASE(closing_on_a_full_disk_says_so_and_keeps_the_prefix) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .ops = &kFaulty});
  budget = 5000;
  append_many(*journal, 400);
  EXPECT(eventually([&] { return !journal->error().empty(); }));
  EXPECT(!journal->close(0.05));
  heal_disk();
  journal = must_open({.directory = tmp.path});
  EXPECT(journal->head_lsn() > 10 && journal->head_lsn() < 400);
  EXPECT_EQ(journal->cuts().size(), 1u);
  EXPECT(!journal->cuts()[0].records_after);
  EXPECT(std::filesystem::exists(journal->cuts()[0].kept));
  EXPECT_EQ(read_back(tmp.path), journal->head_lsn());
}

TEST_CASE(a_failed_sync_is_not_believed_the_second_time) {
  heal_disk();
  for (const int code : {EIO, ENOSPC}) {
    expect::TemporaryDirectory tmp;
    LossyFile lossy;
    auto journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
    append_many(*journal, 10);
    EXPECT(journal->wait_durable(10, 10));
    const std::string path = journal->segments()[0].path;
    const auto safe = journal->segments()[0].bytes;
    sync_error = code;
    append_many(*journal, 5);
    EXPECT(!journal->wait_durable(11, 0.05));
    EXPECT(eventually([&] { return journal->error_number() == code; }));
    EXPECT_EQ(journal->durable_lsn(), 10u);
    EXPECT(!journal->failed());
    // What a kernel does that drops the pages it could not write: the size stays, the bytes are gone. The writer
    // puts them back from its ring before each attempt, so the last one decides.
    lossy.lose(path, static_cast<off_t>(safe));
    append_many(*journal, 5);
    EXPECT(!journal->wait_durable(11, 0.05));
    heal_disk();
    EXPECT(journal->wait_durable(20, 10));
    EXPECT(journal->error().empty());
    EXPECT_EQ(read_back(tmp.path), 20u);
    append_many(*journal, 10);
    EXPECT(journal->close(5));
    EXPECT_EQ(read_back(tmp.path), 30u);
  }
}

TEST_CASE(what_was_acknowledged_by_a_good_sync_stays_when_closing_after_a_failed_one) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
  append_many(*journal, 10);
  EXPECT(journal->wait_durable(10, 10));
  sync_error = EIO;
  append_many(*journal, 10);
  EXPECT(eventually([&] { return journal->error_number() == EIO; }));
  EXPECT(!journal->close(0.05));
  std::string error;
  EXPECT(Journal::open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty}, error) == nullptr);
  EXPECT(error.find("cannot go on") != std::string::npos);
  heal_disk();
  // The next owner writes what it finds once more before it syncs and goes on behind it.
  written_bytes = 0;
  journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
  EXPECT(journal->head_lsn() >= 10 && journal->head_lsn() <= 20);
  EXPECT_EQ(static_cast<std::uint64_t>(written_bytes), journal->segments()[0].bytes);
  EXPECT_EQ(read_back(tmp.path), journal->head_lsn());
}

TEST_CASE(a_full_segment_whose_sync_failed_is_read_back_and_written_again) {
  for (const bool is_gone : {false, true}) {
    heal_disk();
    expect::TemporaryDirectory tmp;
    LossyFile lossy;
    auto journal = must_open({.directory = tmp.path, .segment_bytes = 20000, .ops = &kFaulty});
    append_many(*journal, 100);
    EXPECT(journal->wait_durable(100, 10));
    sync_error = EIO;
    const std::string path = journal->segments()[0].path;
    EXPECT(!journal->sync(0.05));
    EXPECT_EQ(journal->error_number(), EIO);
    append_many(*journal, 1);  // goes on meanwhile: its durability asks for no sync
    EXPECT(journal->wait_durable(101, 10));
    EXPECT_EQ(journal->error_number(), EIO);
    if (is_gone) {  // lost by a sync of the writer's own, so that its next attempt can only read what is left
      const int before = drops;
      lossy.lose(path, 500);
      EXPECT(eventually([&] { return drops > before; }));
      sync_error = 0;
      EXPECT(!journal->sync(10));
      EXPECT(journal->failed());
      continue;
    }
    written_bytes = 0;
    sync_error = 0;
    EXPECT(journal->sync(10));
    EXPECT(!journal->failed());
    EXPECT(written_bytes > 0);
    append_many(*journal, 400);
    EXPECT(journal->sync(10));
    EXPECT(journal->close(5));
    EXPECT_EQ(read_back(tmp.path), 501u);
  }
  heal_disk();
}

TEST_CASE(a_new_segment_that_cannot_be_synced_is_made_anew) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
  append_many(*journal, 10);
  EXPECT(journal->wait_durable(10, 10));
  file_sync_error = ENOSPC;
  EXPECT_EQ(journal->roll(), 11u);
  append_many(*journal, 10);
  EXPECT(eventually([&] { return journal->error_number() == ENOSPC; }));
  EXPECT_EQ(journal->durable_lsn(), 10u);
  EXPECT(!std::filesystem::exists(tmp.path + "/" + segment_name(11)));
  heal_disk();
  EXPECT(journal->wait_durable(20, 10));
  EXPECT_EQ(journal->segments().size(), 2u);
  EXPECT(journal->close(5));
  EXPECT_EQ(read_back(tmp.path), 20u);
}

TEST_CASE(any_other_error_is_final) {
  heal_disk();
  for (const bool in_sync : {false, true}) {
    expect::TemporaryDirectory tmp;
    auto journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
    append_many(*journal, 10);
    EXPECT(journal->wait_durable(10, 10));
    if (in_sync) {
      sync_error = EBADF;
    } else {
      budget = 0;
      write_error = EBADF;
    }
    const std::uint64_t lsn = append_text(*journal, payload_of(11));
    EXPECT_EQ(lsn, 11u);
    EXPECT(!journal->wait_durable(lsn, 10));  // reported as not durable, at once, not after the timeout
    EXPECT(journal->failed());
    EXPECT_EQ(journal->error_number(), EBADF);
    EXPECT_EQ(journal->durable_lsn(), 10u);
    heal_disk();
    EXPECT_EQ(append_text(*journal, "x"), 0u);  // and it does not come back by itself
    EXPECT(!journal->close(1));
  }
}

TEST_CASE(group_commit_shares_syncs) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
  sync_calls = 0;
  append_many(*journal, 20000);
  EXPECT(journal->wait_durable(20000, 20));
  EXPECT(sync_calls < 20000 / 10);
  EXPECT_EQ(journal->stats().syncs, static_cast<std::uint64_t>(sync_calls.load()));
}

TEST_CASE(records_too_large_are_refused_and_large_ones_wrap) {
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .buffer_bytes = 65536});
  std::string big(journal->max_record_bytes() + 1, 'x');
  EXPECT_EQ(append_text(*journal, big), 0u);
  big.pop_back();
  std::uint64_t lsn = 0;
  for (int i = 0; i < 200; ++i) {
    while ((lsn = append_text(*journal, big.substr(static_cast<std::size_t>(i)))) == 0) {
      journal->commit();
      std::this_thread::yield();
    }
    journal->commit();
  }
  EXPECT(journal->close(5));
  DirectoryReader reader;
  std::string error;
  EXPECT(reader.open(tmp.path, 1, error));
  Record record;
  std::uint64_t n = 0;
  while (reader.next(record) == Next::kRecord) EXPECT_EQ(record.payload.size(), big.size() - n++);
  EXPECT_EQ(n, 200u);
}

TEST_CASE(a_record_may_end_exactly_at_the_end_of_the_ring) {
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .buffer_bytes = 65536});
  const std::string text(64 - kRecordHeadBytes - 1, 'x');  // 1024 of them fill the ring to the byte
  for (int i = 0; i < 5000; ++i)
    while (append_text(*journal, text) == 0) {
      journal->commit();
      std::this_thread::yield();
    }
  EXPECT(journal->close(5));
  std::string error;
  const Verdict verdict = verify(tmp.path, error);
  EXPECT_EQ(verdict.records, 5000u);
  EXPECT(verdict.damage.empty());
}

TEST_CASE(a_damaged_tail_is_cut_kept_and_written_over) {
  expect::TemporaryDirectory tmp;
  std::string path;
  {
    auto journal = must_open({.directory = tmp.path});
    append_many(*journal, 50);
    journal->sync(5);
    path = journal->segments()[0].path;
  }
  const auto whole = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, whole - 3);
  {
    auto journal = must_open({.directory = tmp.path});
    EXPECT_EQ(journal->head_lsn(), 49u);
    EXPECT_EQ(journal->cuts().size(), 1u);
    append_many(*journal, 11);
  }
  EXPECT_EQ(read_back(tmp.path), 60u);
  // A byte changed in the middle: what follows is kept aside too, and told apart from a torn write.
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(500);
  file.put('\x55');
  file.close();
  auto journal = must_open({.directory = tmp.path});
  EXPECT(journal->cuts()[0].records_after);
  EXPECT_EQ(std::filesystem::file_size(journal->cuts()[0].kept), journal->cuts()[0].bytes);
  EXPECT_EQ(read_back(tmp.path), journal->head_lsn());
  for (int i = 0; i < 30; ++i) {  // only so many torn files are kept
    journal->close(1);
    std::ofstream(path, std::ios::app | std::ios::binary) << "half" << i;
    std::ofstream(tmp.path + "/old" + std::to_string(i) + ".torn") << i;
    journal = must_open({.directory = tmp.path});
  }
  int torn = 0;
  for (const auto& entry : std::filesystem::directory_iterator(tmp.path)) torn += entry.path().extension() == ".torn";
  EXPECT(torn <= 16);
}

TEST_CASE(room_is_prepared_for_small_synced_groups_and_cut_in_the_end) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
  const std::string path = journal->segments()[0].path;
  const auto size = [&] { return std::filesystem::file_size(path); };
  append_many(*journal, 1);
  EXPECT(journal->wait_durable(1, 10));
  const auto prepared = size();
  EXPECT(prepared > journal->segments()[0].bytes + 100'000);
  for (int i = 0; i < 100; ++i) {
    append_many(*journal, 1);
    EXPECT(journal->wait_durable(journal->head_lsn(), 10));
    EXPECT_EQ(size(), prepared);  // a sync has no length to bring to the disk
    EXPECT_EQ(read_back(tmp.path), journal->head_lsn());
  }
  std::string error;
  EXPECT(verify(tmp.path, error).damage.empty());
  append_many(*journal, 20'000);  // beyond the room, in groups of all sizes
  EXPECT(journal->wait_durable(20'101, 20));
  EXPECT(journal->roll() != 0);
  append_many(*journal, 1);
  EXPECT(journal->wait_durable(20'102, 10));
  EXPECT_EQ(size(), journal->segments()[0].bytes);
  const std::string newest = journal->segments()[1].path;
  const auto bytes = journal->segments()[1].bytes;
  EXPECT(std::filesystem::file_size(newest) > bytes);
  EXPECT(journal->close(5));
  EXPECT_EQ(std::filesystem::file_size(newest), bytes);
  EXPECT_EQ(read_back(tmp.path), 20'102u);
}

TEST_CASE(a_disk_too_full_for_room_takes_records_all_the_same) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .durability = Durability::kPower, .ops = &kFaulty});
  std::mt19937 random(12);
  for (int i = 0; i < 200; ++i) {
    budget = static_cast<std::int64_t>(random() % 600);  // ends inside a record, inside zeros
    append_many(*journal, 1 + random() % 4);
    journal->wait_durable(journal->head_lsn(), 0.002);
    bool is_durable = false;
    for (int more = 0; more < 50 && !is_durable; ++more) {  // where records come in two groups, zeros take what they find
      budget = 400 + static_cast<std::int64_t>(random() % 400);
      is_durable = journal->wait_durable(journal->head_lsn(), 0.5);
    }
    EXPECT(is_durable);
    EXPECT_EQ(read_back(tmp.path), journal->head_lsn());
  }
  EXPECT(journal->error().empty());
  heal_disk();
  EXPECT(journal->close(5));
  EXPECT_EQ(read_back(tmp.path), journal->head_lsn());
}

TEST_CASE(what_a_killed_process_had_prepared_is_no_damage) {
  for (const std::uint64_t room : {1, 3, 7, 8, 9, 4096, 3 << 20}) {
    for (const auto durability : {Durability::kProcess, Durability::kPower}) {
      expect::TemporaryDirectory tmp;
      std::string path;
      {
        auto journal = must_open({.directory = tmp.path});
        append_many(*journal, 50);
        EXPECT(journal->sync(5));
        path = journal->segments()[0].path;
      }
      const auto whole = std::filesystem::file_size(path);
      std::filesystem::resize_file(path, whole + room);
      std::string error;
      EXPECT(verify(tmp.path, error).damage.empty());
      EXPECT_EQ(read_back(tmp.path), 50u);
      SegmentReader follower;
      Record record;
      EXPECT(follower.open(path));
      while (follower.next(record) == Next::kRecord) {
      }
      EXPECT_EQ(follower.offset(), whole);
      auto journal = must_open({.directory = tmp.path, .durability = durability});
      EXPECT(journal->cuts().empty());
      EXPECT_EQ(journal->head_lsn(), 50u);
      append_many(*journal, 7);
      EXPECT(journal->sync(5));
      follower.follow();
      while (follower.next(record) == Next::kRecord) {
      }
      EXPECT_EQ(follower.next_lsn(), 58u);
      EXPECT(journal->roll() != 0);
      append_many(*journal, 3);
      EXPECT(journal->close(5));
      std::filesystem::resize_file(path, std::filesystem::file_size(path) + room);  // the cut was not synced
      EXPECT(verify(tmp.path, error).damage.empty());
      EXPECT_EQ(read_back(tmp.path), 60u);
    }
  }
}

TEST_CASE(anything_but_zeros_behind_the_last_record_is_damage) {
  for (const std::uint64_t at : {1, 8, 5000, 2'000'000}) {
    expect::TemporaryDirectory tmp;
    std::string path;
    {
      auto journal = must_open({.directory = tmp.path});
      append_many(*journal, 50);
      path = journal->segments()[0].path;
    }
    const auto whole = std::filesystem::file_size(path);
    std::filesystem::resize_file(path, whole + at - 1);
    std::ofstream(path, std::ios::app | std::ios::binary) << '\1';
    std::filesystem::resize_file(path, whole + at + 100);
    std::string error;
    const Verdict verdict = verify(tmp.path, error);
    EXPECT_EQ(verdict.records, 50u);
    EXPECT_EQ(verdict.damage.size(), 1u);
    EXPECT_EQ(verdict.damage[0].offset, whole);
    auto journal = must_open({.directory = tmp.path});
    EXPECT_EQ(journal->cuts().size(), 1u);
    EXPECT_EQ(journal->cuts()[0].bytes, at + 100);
    EXPECT_EQ(read_back(tmp.path), 50u);
  }
}

TEST_CASE(readers_and_watchers_beside_a_writing_producer) {
  for (const auto durability : {Durability::kProcess, Durability::kPower}) {
    expect::TemporaryDirectory tmp;
    auto journal = must_open(
        {.directory = tmp.path, .segment_bytes = 100000, .buffer_bytes = 65536, .durability = durability});
    std::atomic<bool> stop{false};
    std::thread watcher([&] {
      while (!stop) {
        const std::uint64_t durable = journal->durable_lsn();
        EXPECT(journal->head_lsn() >= durable);
        journal->stats();
        journal->error();
        journal->sync(0.001);
        const auto segments = journal->segments();
        SegmentReader reader;
        Record record;
        EXPECT(reader.open(segments.back().path));
        while (reader.next(record) == Next::kRecord) {
        }
        EXPECT(segments.back().first_lsn > durable + 1 || reader.next_lsn() > std::min(durable, segments.back().last_lsn));
        std::string error;
        if (segments.size() > 4) journal->drop_through(segments[1].last_lsn, error);
      }
    });
    append_many(*journal, 30000);
    EXPECT(journal->wait_durable(30000, 20));
    stop = true;
    watcher.join();
    const std::uint64_t first = journal->segments().front().first_lsn;
    EXPECT(journal->close(5));
    EXPECT_EQ(read_back(tmp.path, first), 30000 - first + 1);
  }
}

TEST_CASE(a_loop_wakes_for_every_durable_group) {
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .segment_bytes = 100000, .buffer_bytes = 65536});
  const int fd = journal->durable_fd();
  EXPECT(fd >= 0);
  EXPECT_EQ(journal->durable_fd(), fd);
  std::atomic<std::uint64_t> told{0};
  std::thread loop([&] {
    while (told < 30000) {
      pollfd one{fd, POLLIN, 0};
      EXPECT_EQ(::poll(&one, 1, 20000), 1);  // a wake-up that is lost ends here
      std::uint64_t count = 0;
      EXPECT_EQ(::read(fd, &count, sizeof count), 8);
      const std::uint64_t durable = journal->durable_lsn();
      EXPECT(durable >= told);
      told = durable;
    }
  });
  append_many(*journal, 30000);
  loop.join();
  EXPECT_EQ(told.load(), 30000u);
  EXPECT(journal->close(5));
  EXPECT_EQ(journal->durable_fd(), -1);
}

TEST_CASE(a_flush_writes_on_its_own_thread_while_writes_are_quick) {
  const auto here = [] { return writer.load() == std::this_thread::get_id(); };
  for (const Durability durability : {Durability::kMemory, Durability::kProcess, Durability::kPower}) {
    expect::TemporaryDirectory tmp;
    write_ms = 0;
    auto journal = must_open({.directory = tmp.path, .segment_bytes = 5000, .durability = durability, .ops = &kWatched});
    int written = 0;
    for (int i = 0; i < 300; ++i) {  // rolls in between; the writer may be at work when it is asked
      EXPECT(append_text(*journal, payload_of(journal->head_lsn() + 1)) != 0);
      journal->flush();
      written += journal->written_lsn() == journal->head_lsn() && here();
      journal->flush();  // nothing new: nothing happens
      EXPECT(journal->wait_durable(journal->head_lsn(), 10));
    }
    EXPECT(durability == Durability::kPower ? written == 0 : written > 0);
    EXPECT(journal->sync(10));
    write_ms = 50;
    append_text(*journal, payload_of(301));
    journal->flush();
    append_text(*journal, payload_of(302));
    journal->flush();
    EXPECT(journal->sync(10));
    EXPECT(!here());  // the slow one before it was the last on this thread for a while
    write_ms = 0;
    EXPECT(journal->close(5));
    EXPECT_EQ(read_back(tmp.path), 302u);
  }
}

TEST_CASE(a_large_flush_is_left_to_the_writer) {
  expect::TemporaryDirectory tmp;
  write_ms = 0;
  auto journal = must_open({.directory = tmp.path, .ops = &kWatched});
  const std::string large(100'000, 'x');
  EXPECT_EQ(append_text(*journal, large), 1u);
  journal->flush();
  EXPECT(journal->wait_durable(1, 10));
  EXPECT(writer.load() != std::this_thread::get_id());
  EXPECT_EQ(append_text(*journal, large), 2u);
  EXPECT(eventually([&] {  // unless the caller says otherwise; the writer may still be on its way to rest
    append_text(*journal, large);
    journal->flush(200'000);
    const bool is_here = writer.load() == std::this_thread::get_id();
    return journal->wait_durable(journal->head_lsn(), 10) && is_here;
  }));
  EXPECT(journal->close(5));
}

TEST_CASE(a_thread_that_has_to_wait_for_a_processor_does_not_take_the_disk_for_slow) {
  expect::TemporaryDirectory tmp;
  write_ms = 0;
  busy_ms = 30;
  bool is_here = false;
  for (int attempt = 0; attempt < 5 && !is_here; ++attempt) {  // the disk may really be slow at times
    auto journal = must_open({.directory = tmp.path, .ops = &kWatched});
    const auto begun = [&] {
      append_text(*journal, payload_of(1));
      journal->flush();
      const bool is_by_us = writer.load() == std::this_thread::get_id();
      return journal->wait_durable(journal->head_lsn(), 10) && is_by_us;
    };
    EXPECT(eventually(begun));
    is_here = begun();
    EXPECT(journal->close(5));
  }
  busy_ms = 0;
  EXPECT(is_here);
}

TEST_CASE(what_is_flushed_is_begun_with_before_its_segment_is_full) {
  expect::TemporaryDirectory tmp;
  write_ms = 0;
  auto journal = must_open({.directory = tmp.path, .segment_bytes = 24u << 20, .ops = &kWatched});
  const std::string large(300'000, 'x');
  for (int i = 0; i < 200; ++i) {
    EXPECT(append_text(*journal, large) != 0);
    journal->flush(1u << 20);
    if (i % 7 == 0) EXPECT(journal->wait_durable(journal->head_lsn(), 10));
    while (journal->stats().buffered_bytes > (16u << 20)) std::this_thread::yield();
  }
  EXPECT(journal->close(20));
  EXPECT_EQ(journal->segments().size(), 3u);
  DirectoryReader reader;
  std::string error;
  EXPECT(reader.open(tmp.path, 1, error));
  Record record;
  std::uint64_t count = 0;
  Next next;
  while ((next = reader.next(record)) == Next::kRecord) count += record.payload.size() == large.size();
  EXPECT(next == Next::kEnd);
  EXPECT_EQ(count, 200u);
}

TEST_CASE(flushes_on_a_disk_that_fills_up_lose_nothing) {
  heal_disk();
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .segment_bytes = 20000, .buffer_bytes = 65536, .ops = &kFaulty});
  std::mt19937 random(12);
  for (int round = 0; round < 30; ++round) {
    budget = static_cast<std::int64_t>(random() % 30000);
    while (append_text(*journal, payload_of(journal->head_lsn() + 1)) != 0) journal->flush();
    EXPECT(eventually([&] { return !journal->error().empty(); }));
    EXPECT(journal->durable_lsn() < journal->head_lsn());
    budget = INT64_MAX;
    EXPECT(journal->wait_durable(journal->head_lsn(), 10));
  }
  const std::uint64_t head = journal->head_lsn();
  EXPECT(journal->close(5));
  EXPECT_EQ(read_back(tmp.path), head);
}

TEST_CASE(flushes_beside_syncs_of_another_thread) {
  expect::TemporaryDirectory tmp;
  auto journal = must_open({.directory = tmp.path, .segment_bytes = 100000, .buffer_bytes = 65536});
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      journal->sync(0.01);
      journal->stats();
      journal->segments();
    }
  });
  std::mt19937 random(13);
  while (journal->head_lsn() < 20000) {
    if (append_text(*journal, payload_of(journal->head_lsn() + 1)) == 0) journal->commit();
    else if (random() % 3 == 0) journal->flush();
    else if (random() % 50 == 0) journal->commit();
  }
  journal->flush();
  EXPECT(journal->wait_durable(20000, 20));
  stop = true;
  other.join();
  EXPECT(journal->close(5));
  EXPECT_EQ(read_back(tmp.path), 20000u);
}

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
