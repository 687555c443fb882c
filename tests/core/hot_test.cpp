// Row codec, hot tier, Arrow and JSON, and the log's cursor, where sanitizers can see them.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "expect.hpp"
#include "journal/journal.hpp"
#include "store/hot.hpp"
#include "store/json_rows.hpp"
#include "store/rows_message.hpp"
#include "store/segment_rows.hpp"
#include "store/tick_log.hpp"
#include "tape/tape.hpp"

using namespace qautlra;

namespace {

constexpr std::int64_t kMorning = 1'609'723'800'000'000'000;  // 2021-01-04 09:30:00 in Beijing
constexpr std::int64_t kStep = 500'000'000;
const char* const kSymbols[] = {"CFFEX.IF2103", "CFFEX.IF2101", "CFFEX.IF2106", "CFFEX.IF2102"};

struct World {
  Calendar calendar;
  std::unique_ptr<InstrumentTable> instruments;
  explicit World(bool intern_all = true) {
    Sections sections;
    sections.name = "index";
    sections.day = {{9 * 3600 + 1800, 11 * 3600 + 1800}, {13 * 3600, 15 * 3600}};
    Exchange exchange;
    exchange.id = "CFFEX";
    exchange.case_rule = "upper";
    exchange.kind = "futures";
    Product product;
    product.exchange = "CFFEX";
    product.code = "IF";
    product.price_tick = 0.2;
    product.volume_multiple = 300;
    calendar.set_known_through(20301231);
    product.sections_id = calendar.add_sections(sections);
    calendar.add_exchange(exchange);
    calendar.add_product(product);
    calendar.finish();
    instruments = std::make_unique<InstrumentTable>(calendar, 20210104);
    std::string why;
    if (intern_all)
      for (const char* symbol : kSymbols) EXPECT(instruments->intern(symbol, why) != kNoInstrument);
  }
};

Snapshot row(std::uint32_t instrument, std::int64_t ts_ns, std::uint32_t ordinal = 0, double price = 5230.2) {
  Snapshot s;
  s.instrument = instrument;
  s.ordinal = ordinal;
  s.trading_day = 20210104;
  s.source = Source::kReplay;
  s.ts_recv_ns = ts_ns + 1'000'000;
  s.set_count(kDatetime, ts_ns);
  s.set_price(kLastPrice, price);
  s.set_count(kVolume, ts_ns / kStep % 1000);
  return s;
}

Snapshot random_row(std::mt19937_64& random) {
  Snapshot s = row(static_cast<std::uint32_t>(random() % 4), kMorning + static_cast<std::int64_t>(random() % 1000) * kStep,
                   static_cast<std::uint32_t>(random() % 3));
  for (int f = 1; f < kFieldCount; ++f) {
    if (random() % 2) continue;
    if (is_count(f)) s.set_count(f, static_cast<std::int64_t>(random() % 100000) - 10);
    else s.set_price(f, static_cast<double>(random() % 1000000) / 100);
  }
  return s;
}

bool same(const Snapshot& a, const Snapshot& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

Admitted insert(HotStore& hot, const Snapshot& s, std::uint64_t lsn, bool forced = false) {
  std::byte bytes[kMaxRowBytes];
  const std::size_t size = encode_row(s, present(s), s.instrument, bytes);
  const Admitted admitted = hot.admit(s.instrument, {s.ts_event_ns(), s.ordinal}, size, forced);
  if (admitted == Admitted::kNew) hot.put({bytes, size}, lsn);
  return admitted;
}

Snapshot decoded(const RowRef& ref) {
  RowHead head;
  std::memcpy(&head, ref.at, sizeof head);
  Snapshot s;
  EXPECT(decode_row({ref.at, row_bytes(head.mask)}, head, s));
  s.instrument = head.number;
  return s;
}

struct Exported {
  ArrowSchema schema{};
  ArrowArray array{};
  explicit Exported(const HotRows& rows, std::vector<int> columns = {}) {
    if (columns.empty()) {
      columns.resize(kColumnCount);
      std::iota(columns.begin(), columns.end(), 0);
    }
    export_rows(rows.rows, rows.names, columns, &schema, &array);
  }
  ~Exported() {
    if (array.release) array.release(&array);
    if (schema.release) schema.release(&schema);
  }
};

// What the hot store promises, as a sorted list.
struct Twin {
  struct Item {
    Snapshot row;
    std::uint64_t lsn;
  };
  const InstrumentTable& instruments;
  std::vector<Item> items;

  bool add(const Snapshot& s, std::uint64_t lsn) {
    for (const Item& i : items)
      if (i.row.instrument == s.instrument && i.row.ts_event_ns() == s.ts_event_ns() && i.row.ordinal == s.ordinal)
        return false;
    items.push_back({s, lsn});
    return true;
  }
  std::vector<Snapshot> scan(const HotQuery& q) const {
    std::vector<Item> found;
    for (const Item& i : items) {
      const bool is_wanted = q.all_instruments || std::find(q.instruments.begin(), q.instruments.end(),
                                                            i.row.instrument) != q.instruments.end();
      if (is_wanted && i.row.ts_event_ns() >= q.start_ns && i.row.ts_event_ns() < q.stop_ns && i.lsn > q.min_lsn)
        found.push_back(i);
    }
    std::sort(found.begin(), found.end(), [this](const Item& a, const Item& b) {
      return std::tuple(a.row.ts_event_ns(), instruments.at(a.row.instrument).symbol, a.row.ordinal) <
             std::tuple(b.row.ts_event_ns(), instruments.at(b.row.instrument).symbol, b.row.ordinal);
    });
    if (q.descending) std::reverse(found.begin(), found.end());
    if (q.limit != 0 && found.size() > q.limit) found.resize(q.limit);
    std::vector<Snapshot> rows;
    for (const Item& i : found) rows.push_back(i.row);
    return rows;
  }
};

void expect_same_scan(const HotStore& hot, const Twin& twin, const HotQuery& q) {
  HotRows got;
  hot.scan(q, got);
  const std::vector<Snapshot> wanted = twin.scan(q);
  EXPECT_EQ(got.rows.size(), wanted.size());
  EXPECT_EQ(hot.count(q), wanted.size());
  for (std::size_t i = 0; i < std::min(got.rows.size(), wanted.size()); ++i) {
    EXPECT(same(decoded(got.rows[i]), wanted[i]));
    EXPECT_EQ(got.names[got.rows[i].name], twin.instruments.at(wanted[i].instrument).symbol);
  }
}

// Part by part, instrument by instrument: the scan of each, moments in one piece, and no byte written past a message.
void expect_same_parts(const HotStore& hot, const Twin& twin, HotQuery q, std::size_t count) {
  Gathering where{q.instruments, q.start_ns, q.stop_ns, 0, q.start_ns};
  std::vector<Snapshot> wanted;
  for (const std::uint32_t& id : q.instruments) {
    HotQuery one = q;
    one.instruments = {&id, 1};
    const auto rows = twin.scan(one);
    wanted.insert(wanted.end(), rows.begin(), rows.end());
  }
  std::vector<int> columns(kColumnCount);
  std::iota(columns.begin(), columns.end(), 0);
  std::size_t at = 0;
  for (HotRows got; at < wanted.size(); got = {}) {
    hot.gather(where, count, got);
    EXPECT(!got.rows.empty() && at + got.rows.size() <= wanted.size());
    if (got.rows.empty() || at + got.rows.size() > wanted.size()) return;
    for (const RowRef& ref : got.rows) EXPECT(same(decoded(ref), wanted[at++]));
    const Snapshot& last = wanted[at - 1];
    EXPECT(at == wanted.size() || last.instrument != wanted[at].instrument ||
           last.ts_event_ns() != wanted[at].ts_event_ns());
    const RowsMessage message(got.rows, got.names, columns);
    std::vector<std::uint64_t> words(message.bytes() / 8);
    EXPECT_EQ(message.bytes() % 8, std::size_t{0});
    message.write(reinterpret_cast<std::uint8_t*>(words.data()));
  }
  HotRows none;
  hot.gather(where, count, none);
  EXPECT(none.rows.empty());
  EXPECT_EQ(where.at, q.instruments.size());
}

}  // namespace

TEST_CASE(pieces_of_memory_never_overlap_and_are_given_again) {
  ChunkMemory memory;
  std::mt19937 random(11);
  struct Piece {
    std::byte* at;
    std::size_t bytes;
  };
  std::vector<Piece> held;
  std::map<std::byte*, std::size_t> places;  // by where they begin
  std::size_t most = 0;
  for (int i = 0; i < 4'000; ++i) {
    if (i % 1'000 < 700 || held.empty()) {
      const std::size_t bytes = ChunkMemory::kSmallest << random() % ChunkMemory::kSizes;
      std::byte* const at = memory.take(bytes);
      std::memset(at, i, bytes);
      const auto after = places.lower_bound(at);
      EXPECT(after == places.end() || at + bytes <= after->first);
      EXPECT(after == places.begin() || std::prev(after)->first + std::prev(after)->second <= at);
      places[at] = bytes;
      held.push_back({at, bytes});
    } else {
      std::swap(held[random() % held.size()], held.back());
      memory.give(held.back().at, held.back().bytes);
      places.erase(held.back().at);
      held.pop_back();
    }
    most = std::max(most, held.size());
  }
  EXPECT(most > 1'000);  // some fifteen MB: blocks that a thread prepared are among them
}

TEST_CASE(a_row_survives_its_bytes) {
  std::mt19937_64 random(1);
  std::byte bytes[kMaxRowBytes];
  for (int i = 0; i < 2000; ++i) {
    Snapshot s = random_row(random);
    if (i == 0) s.clear(), s.set_count(kDatetime, kMorning);
    const std::size_t size = encode_row(s, present(s), 77, bytes);
    RowHead head;
    Snapshot back;
    EXPECT(decode_row({bytes, size}, head, back));
    EXPECT_EQ(head.number, 77u);
    back.instrument = s.instrument;
    EXPECT(same(s, back));
    EXPECT(!decode_row({bytes, size - 1}, head, back));
    EXPECT(size == sizeof(RowHead) || !decode_row({bytes, size - 8}, head, back));
  }
}

TEST_CASE(the_hot_store_is_its_twin) {
  World world;
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    std::mt19937_64 random(seed);
    HotStore hot(*world.instruments, 64 << 20);
    Twin twin{*world.instruments, {}};
    std::uint64_t lsn = 0;
    for (int i = 0; i < 3000; ++i) {
      const Snapshot s = random_row(random);
      const bool is_new = twin.add(s, lsn + 1);
      EXPECT(insert(hot, s, lsn + 1) == (is_new ? Admitted::kNew : Admitted::kDuplicate));
      EXPECT(hot.contains(s.instrument, {s.ts_event_ns(), s.ordinal}));
      lsn += is_new;
      if (i % 30 != 0) continue;
      const std::uint32_t some[] = {static_cast<std::uint32_t>(random() % 4), 2, 2, 999};
      HotQuery q;
      q.all_instruments = random() % 2;
      q.instruments = some;
      if (random() % 2) q.start_ns = kMorning + static_cast<std::int64_t>(random() % 1000) * kStep + static_cast<std::int64_t>(random() % 3) - 1;
      if (random() % 2) q.stop_ns = kMorning + static_cast<std::int64_t>(random() % 1000) * kStep + static_cast<std::int64_t>(random() % 3) - 1;
      if (random() % 2) q.min_lsn = random() % (lsn + 1);
      if (random() % 2) q.limit = 1 + random() % 50;
      q.descending = random() % 2;
      expect_same_scan(hot, twin, q);
      const std::uint32_t each[] = {2, 0, 999, 3};
      HotQuery part;
      part.all_instruments = false;
      part.instruments = each;
      part.start_ns = kMorning + static_cast<std::int64_t>(random() % 500) * kStep;
      part.stop_ns = kMorning + static_cast<std::int64_t>(random() % 1000) * kStep;
      expect_same_parts(hot, twin, part, 1 + random() % 200);
    }
    EXPECT_EQ(hot.rows(), twin.items.size());
    expect_same_scan(hot, twin, {});
  }
}

TEST_CASE(safe_rows_make_way_and_unsafe_ones_stay) {
  World world;
  HotStore hot(*world.instruments, 200'000);
  std::uint64_t lsn = 0;
  const auto fill = [&] {
    while (insert(hot, row(static_cast<std::uint32_t>(lsn % 3), kMorning + static_cast<std::int64_t>(lsn) * kStep), lsn + 1) ==
           Admitted::kNew)
      ++lsn;
  };
  fill();
  EXPECT(lsn > 1000);
  EXPECT(hot.bytes() <= hot.max_bytes());
  EXPECT_EQ(hot.evicted(), 0u);
  EXPECT_EQ(hot.evicted_lsn(), 0u);
  EXPECT_EQ(hot.newest_lsn(), lsn);
  EXPECT_EQ(hot.cold_max_ts(), HotStore::kNever);
  const std::uint64_t first_full = lsn;
  hot.set_safe_lsn(first_full / 2);
  fill();
  EXPECT(lsn > first_full);
  EXPECT(hot.evicted() > 0);
  EXPECT(hot.bytes() <= hot.max_bytes());
  EXPECT(hot.evicted_lsn() > 0 && hot.evicted_lsn() <= first_full / 2);
  HotQuery above;
  above.min_lsn = hot.evicted_lsn();
  EXPECT_EQ(hot.count(above), lsn - hot.evicted_lsn());
  // Every row above the safe LSN is here, and a scan from above cold_max_ts sees all there ever was.
  for (std::uint64_t i = first_full / 2; i < lsn; ++i)
    EXPECT(hot.contains(static_cast<std::uint32_t>(i % 3), {kMorning + static_cast<std::int64_t>(i) * kStep, 0}));
  HotQuery q;
  q.start_ns = hot.cold_max_ts() + 1;
  EXPECT_EQ(hot.count(q), lsn - static_cast<std::uint64_t>((hot.cold_max_ts() - kMorning) / kStep) - 1);
  EXPECT_EQ(hot.rows() + hot.evicted(), lsn);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT(hot.cold_max_ts(i) <= hot.cold_max_ts());

  hot.note_cold(3, kMorning);
  EXPECT_EQ(hot.cold_max_ts(3), kMorning);
  const std::uint64_t left = hot.rows();
  EXPECT_EQ(hot.evict_through(lsn), left);
  EXPECT_EQ(hot.evicted_lsn(), lsn);
  EXPECT_EQ(hot.newest_lsn(), lsn);
  EXPECT_EQ(hot.rows(), 0u);
  EXPECT_EQ(hot.bytes(), 0u);
  HotRows newest;
  EXPECT(hot.latest({}, newest));
  EXPECT_EQ(newest.rows.size(), 3u);
  for (std::size_t i = 0; i < newest.rows.size(); ++i)
    EXPECT(decoded(newest.rows[i]).ts_event_ns() > kMorning + static_cast<std::int64_t>(lsn - 4) * kStep);
  // A row older than the newest evicted one does not become the latest; the newest again is a duplicate.
  EXPECT(insert(hot, row(0, kMorning), lsn + 1) == Admitted::kNew);
  EXPECT(insert(hot, decoded(newest.rows[0]), lsn + 2) == Admitted::kDuplicate);
  HotRows still;
  EXPECT(hot.latest({}, still));
  EXPECT(decoded(still.rows[0]).ts_event_ns() > kMorning);
}

TEST_CASE(a_forced_row_goes_over_the_bound) {
  World world;
  HotStore hot(*world.instruments, 10'000);
  for (std::uint64_t i = 0; i < 1000; ++i)
    EXPECT(insert(hot, row(0, kMorning + static_cast<std::int64_t>(i) * kStep), i + 1, true) == Admitted::kNew);
  EXPECT(hot.bytes() > hot.max_bytes());
  EXPECT(insert(hot, row(1, kMorning), 1001) == Admitted::kFull);
  hot.set_safe_lsn(1000);
  EXPECT(insert(hot, row(1, kMorning), 1001) == Admitted::kNew);
  EXPECT(hot.bytes() <= hot.max_bytes());
}

TEST_CASE(rows_imported_backwards_fill_their_chunks) {
  World world;
  HotStore hot(*world.instruments, 64 << 20);
  for (std::int64_t day = 3; day >= 0; --day)
    for (std::int64_t i = 0; i < 5000; ++i)
      EXPECT(insert(hot, row(0, kMorning + (day * 100'000 + i) * kStep), 1) == Admitted::kNew);
  EXPECT(hot.bytes() < 20'000 * (sizeof(RowHead) + 2 * 8 + Chunk::kRowOverhead) * 5 / 4);
}

TEST_CASE(arrow_and_back) {
  World world;
  std::mt19937_64 random(5);
  HotStore hot(*world.instruments, 64 << 20);
  for (int i = 0; i < 500; ++i) {
    Snapshot s = random_row(random);
    if (i % 7 == 0) s.trading_day = 0;
    if (i % 5 == 0) s.ts_recv_ns = 0;
    if (i % 3 == 0) s.source = Source::kNone;
    insert(hot, s, 1);
  }
  HotRows rows;
  hot.scan({}, rows);
  Exported out(rows);
  EXPECT_EQ(out.array.length, static_cast<std::int64_t>(rows.rows.size()));
  EXPECT_EQ(out.array.n_children, static_cast<std::int64_t>(kColumnCount));
  std::vector<Snapshot> back;
  std::string why;
  EXPECT(import_rows(out.schema, out.array, *world.instruments, back, why));
  EXPECT_EQ(why, "");
  EXPECT_EQ(back.size(), rows.rows.size());
  for (std::size_t i = 0; i < back.size(); ++i) EXPECT(same(back[i], decoded(rows.rows[i])));

  // A projection holds just its columns; a child taken out lives on without its parent.
  ArrowArray price;
  {
    Exported some(rows, {column_index("last_price"), kColumnSeq});
    EXPECT_EQ(some.array.n_children, 2);
    EXPECT_EQ(std::string(some.schema.children[0]->name), "last_price");
    price = *some.array.children[0];
    some.array.children[0]->release = nullptr;
  }
  Snapshot first = decoded(rows.rows[0]);
  if (first.has(kLastPrice)) EXPECT_EQ(static_cast<const double*>(price.buffers[1])[0], first.price(kLastPrice));
  price.release(&price);
  Exported none(HotRows{});
  EXPECT_EQ(none.array.length, 0);
  EXPECT(column_index("no_such") < 0);
}

TEST_CASE(json_says_what_the_contract_says) {
  World world;
  HotStore hot(*world.instruments, 1 << 20);
  Snapshot s = row(1, kMorning + 400'000'000);
  s.set_price(kOpenInterest, 90767);
  s.set_price(kBidPrice1 + 1, 5230);
  insert(hot, s, 1);
  HotRows rows;
  hot.scan({}, rows);
  Exported out(rows);
  Buffer text;
  std::string why;
  EXPECT(render_json(out.schema, out.array, JsonShape::kArray, text, why));
  const std::string json(text.view());
  EXPECT(json.starts_with("[{\"datetime\":\"2021-01-04T01:30:00.400000Z\",\"instrument_id\":\"CFFEX.IF2101\","
                          "\"trading_date\":\"2021-01-04\",\"last_price\":5230.2,\"open\":null,"));
  EXPECT(json.find("\"open_interest\":90767,") != std::string::npos);
  EXPECT(json.find("\"bid_price1\":null,\"bid_price2\":5230.0,\"ask_price1\":null,") != std::string::npos);
  EXPECT(json.find("bid_price3") == std::string::npos);
  EXPECT(json.ends_with("\"source\":\"replay\",\"seq\":0,\"recv_time\":\"2021-01-04T01:30:00.401000Z\"}]"));
  text.clear();
  Exported two(rows, {kColumnSeq, kColumnInstrument});
  EXPECT(render_json(two.schema, two.array, JsonShape::kRecords, text, why));
  EXPECT_EQ(std::string(text.view()),
            "{\"fields\":[\"seq\",\"instrument_id\"],\"records\":[{\"seq\":0,\"instrument_id\":\"CFFEX.IF2101\"}]}");
  text.clear();
  EXPECT(render_json(two.schema, two.array, JsonShape::kLines, text, why));
  EXPECT_EQ(std::string(text.view()), "{\"seq\":0,\"instrument_id\":\"CFFEX.IF2101\"}\n");
}

namespace {

std::atomic<bool> disk_full{false};

ssize_t writev_when_room(int fd, const iovec* parts, int count) {
  if (disk_full) {
    errno = ENOSPC;
    return -1;
  }
  return ::writev(fd, parts, count);
}
int plain_open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }
const journal::FileOps kDisk = {writev_when_room, ::fdatasync, ::fsync, plain_open};

}  // namespace

TEST_CASE(rows_are_written_when_a_drain_returns) {
  expect::TemporaryDirectory tmp;
  World world;
  Tape tape(*world.instruments, world.calendar, 1024);
  std::string error;
  auto log_file = journal::Journal::open({.directory = tmp.path, .ops = &kDisk}, error);
  EXPECT(log_file != nullptr);
  HotStore hot(*world.instruments, 64 << 20);
  TickLog log(tape, *log_file, hot);
  std::int64_t published = 0;
  int whole = 0;
  for (int round = 0; round < 200; ++round) {
    const int count = round % 2 == 0 ? 1 : 1024;  // few bytes, and more than other journals write by themselves
    for (int i = 0; i < count; ++i, ++published)
      EXPECT(tape.publish(row(static_cast<std::uint32_t>(published % 4), kMorning + published * kStep)) == Published::kNew);
    EXPECT_EQ(log.in_hand(), static_cast<std::uint64_t>(count));
    EXPECT_EQ(log.drain(), static_cast<std::size_t>(count));
    whole += log.in_hand() == 0;
    EXPECT(log_file->wait_durable(log_file->head_lsn(), 10));
  }
  EXPECT(whole > 100);  // all, unless the disk is slow
  disk_full = true;
  EXPECT(tape.publish(row(0, kMorning + published * kStep)) == Published::kNew);
  EXPECT_EQ(log.drain(), 1u);
  EXPECT_EQ(log.in_hand(), 1u);
  disk_full = false;
  EXPECT(log_file->wait_durable(log_file->head_lsn(), 10));
  EXPECT_EQ(log.in_hand(), 0u);
}

TEST_CASE(the_log_holds_the_tape_and_loses_nothing) {
  expect::TemporaryDirectory tmp;
  World world;
  Tape tape(*world.instruments, world.calendar, 1024);
  std::string error;
  auto log_file = journal::Journal::open(
      {.directory = tmp.path, .segment_bytes = 8192, .buffer_bytes = 65536, .ops = &kDisk}, error);
  EXPECT(log_file != nullptr);
  HotStore hot(*world.instruments, 64 << 20);
  TickLog log(tape, *log_file, hot);
  std::uint64_t published = 0;
  const auto publish_until_held = [&](std::uint64_t most) {
    for (std::uint64_t n = 0; n < most; ++n) {
      const Published got = tape.publish(row(static_cast<std::uint32_t>(published % 4),
                                             kMorning + static_cast<std::int64_t>(published) * kStep));
      if (got == Published::kFull) return;
      EXPECT(got == Published::kNew);
      ++published;
    }
  };
  EXPECT_EQ(log.drain(), 0u);
  publish_until_held(500);
  while (log.drain() > 0) {
  }
  EXPECT(log.held() == Held::kNo || log.held() == Held::kJournal);
  disk_full = true;
  for (int i = 0; i < 50; ++i) {
    publish_until_held(1000);
    log.drain();
  }
  EXPECT(log.held() == Held::kJournal);
  EXPECT_EQ(log.waiting(), tape.capacity());  // the tape is full and holds its source
  const std::uint64_t stuck = published;
  publish_until_held(10);
  EXPECT_EQ(published, stuck);
  disk_full = false;
  for (int i = 0; i < 10000 && log.waiting() > 0; ++i) {
    if (log.drain() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(log.rows_logged(), published);
  EXPECT_EQ(hot.rows(), published);
  // A late row is logged too; the same identity again is not.
  Snapshot late = row(0, kMorning - kStep);
  EXPECT(tape.publish(late) == Published::kLate);
  EXPECT(tape.publish(late) == Published::kLate);
  EXPECT_EQ(log.drain(), 2u);
  EXPECT_EQ(log.duplicates(), 1u);
  EXPECT_EQ(log.append_rows(&late, 1), 1u);
  EXPECT_EQ(log.duplicates(), 2u);
  EXPECT(log_file->close(5));
  EXPECT_EQ(log.append_rows(&late, 1), 1u);  // still a duplicate
  late.ordinal = 5;
  EXPECT_EQ(log.append_rows(&late, 1), 0u);
  EXPECT(log.held() == Held::kJournal);

  // Each segment can be read alone, and all of them together are the log: into another process's numbering.
  std::uint64_t total = 0;
  const auto files = journal::list_segments(tmp.path, error);
  EXPECT(files.size() > 10);
  for (const auto& file : files) {
    Exported holder{HotRows{}};
    holder.array.release(&holder.array);
    holder.schema.release(&holder.schema);
    SegmentBatch batch;
    EXPECT(segment_to_arrow(file.path, &holder.schema, &holder.array, batch));
    EXPECT_EQ(batch.refused, 0u);
    EXPECT(batch.damage.reason.empty());
    total += batch.rows;
  }
  EXPECT_EQ(total, published + 1);

  World other(false);
  std::string why;
  other.instruments->intern("CFFEX.IF2109", why);
  Tape other_tape(*other.instruments, other.calendar, 1024);
  expect::TemporaryDirectory elsewhere;
  auto other_file = journal::Journal::open({.directory = elsewhere.path}, error);
  HotStore other_hot(*other.instruments, 1 << 20);
  TickLog other_log(other_tape, *other_file, other_hot);
  Recovery recovery;
  EXPECT(other_log.recover(tmp.path, 1, *other.instruments, &other_tape, recovery, error));
  EXPECT_EQ(recovery.rows, published + 1);
  EXPECT_EQ(recovery.refused, 0u);
  EXPECT(recovery.damage.empty());
  HotRows mine, theirs;
  hot.scan({}, mine);
  other_hot.scan({}, theirs);
  EXPECT_EQ(mine.rows.size(), theirs.rows.size());
  for (std::size_t i = 0; i < mine.rows.size(); ++i) {
    Snapshot a = decoded(mine.rows[i]), b = decoded(theirs.rows[i]);
    EXPECT_EQ(mine.names[mine.rows[i].name], theirs.names[theirs.rows[i].name]);
    b.instrument = a.instrument;
    EXPECT(same(a, b));
  }
  for (std::uint32_t i = 0; i < 4; ++i)
    EXPECT_EQ(other_tape.last(other.instruments->find(kSymbols[i]))->ts_event_ns(), tape.last(i)->ts_event_ns());
  // From the middle on: rows of the tail only, definitions from wherever they stand.
  Recovery tail;
  HotStore tail_hot(*other.instruments, 1 << 20);
  TickLog tail_log(other_tape, *other_file, tail_hot);
  EXPECT(tail_log.recover(tmp.path, recovery.last_lsn - 9, *other.instruments, nullptr, tail, error));
  EXPECT_EQ(tail.rows, 10u);
}

TEST_CASE(a_full_hot_tier_holds_the_log_until_rows_are_safe) {
  expect::TemporaryDirectory tmp;
  World world;
  Tape tape(*world.instruments, world.calendar, 1024);
  std::string error;
  auto log_file = journal::Journal::open({.directory = tmp.path}, error);
  HotStore hot(*world.instruments, 50'000);
  TickLog log(tape, *log_file, hot);
  std::vector<Snapshot> rows;
  for (std::int64_t i = 0; i < 2000; ++i) rows.push_back(row(0, kMorning + i * kStep));
  const std::size_t done = log.append_rows(rows.data(), rows.size());
  EXPECT(done > 100 && done < rows.size());
  EXPECT(log.held() == Held::kHot);
  hot.set_safe_lsn(log_file->head_lsn());
  const std::size_t more = log.append_rows(rows.data() + done, rows.size() - done);
  EXPECT(more > 100);
  EXPECT_EQ(log.rows_logged(), done + more);
}

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
