// The simulated market without Python: what sanitizers should see, and corners that are rare at natural rates.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <vector>

#include "expect.hpp"
#include "market/resume.hpp"
#include "market/sim.hpp"

using namespace qautlra;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMorning = 1'748'914'200 * kSecond;  // 2025-06-03 09:30:00 in Beijing
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

SimInstrument spec(std::uint32_t number, double rate = 4) {
  SimInstrument s;
  s.instrument = number;
  s.seed = 1000 + number;
  s.tick_units = 2;
  s.price_decimals = 2;
  s.volume_multiple = 1000;
  s.last = s.pre_close = 39'000;
  s.pre_settlement = 39'010;
  s.open_interest = s.pre_open_interest = 50'000;
  s.ticks_per_s = rate;
  return s;
}

}  // namespace

TEST_CASE(same_rows_however_asked) {
  std::vector<Snapshot> whole, pieces;
  Simulator one, two;
  for (Simulator* s : {&one, &two}) {
    for (std::uint32_t i = 0; i < 5; ++i) s->add(spec(i, 2 + i));
    s->begin_day(20250603);
    s->open_section(kMorning, kMorning + 60 * kSecond);
  }
  one.run(kNever, 1'000'000, whole);
  for (std::int64_t t = 0; t <= 61; t += 7)
    while (two.run(kMorning + t * kSecond, 3, pieces) > 0) continue;
  while (two.run(kNever, 3, pieces) > 0) continue;
  EXPECT(whole.size() == 60 * (2 + 3 + 4 + 5 + 6));
  EXPECT(whole.size() == pieces.size());
  for (std::size_t i = 0; i < whole.size(); ++i)
    EXPECT(changed(whole[i], pieces[i]) == 0 && whole[i].instrument == pieces[i].instrument);
  EXPECT(one.due(0) == kNever);
}

TEST_CASE(a_locked_market_has_one_side) {
  SimInstrument wild = spec(0, 100);
  wild.sigma_per_minute = 0.2;
  wild.limit_ratio = 0.001;
  Simulator s;
  s.add(wild);
  s.begin_day(20250603);
  s.open_section(kMorning, kMorning + 600 * kSecond);
  std::vector<Snapshot> rows;
  s.run(kNever, 1'000'000, rows);
  int no_ask = 0, no_bid = 0;
  for (const Snapshot& r : rows) {
    EXPECT(r.price(kLastPrice) <= r.price(kUpperLimit) && r.price(kLastPrice) >= r.price(kLowerLimit));
    for (int i = 0; i < 10; ++i) {
      EXPECT(r.has(kBidPrice1 + i) == r.has(kBidVolume1 + i));
      EXPECT(r.has(kAskPrice1 + i) == r.has(kAskVolume1 + i));
      if (r.has(kAskPrice1 + i)) EXPECT(r.price(kAskPrice1 + i) <= r.price(kUpperLimit));
      if (r.has(kBidPrice1 + i)) EXPECT(r.price(kBidPrice1 + i) >= r.price(kLowerLimit));
    }
    no_ask += !r.has(kAskPrice1);
    no_bid += !r.has(kBidPrice1);
    EXPECT(r.has(kAskPrice1) || r.has(kBidPrice1));
  }
  EXPECT(no_ask > 0 && no_bid > 0);
}

TEST_CASE(due_tells_the_nth_row) {
  Simulator s;
  for (std::uint32_t i = 0; i < 7; ++i) s.add(spec(i, 1 + i * 3));
  s.begin_day(20250603);
  s.open_section(kMorning, kMorning + 30 * kSecond);
  std::vector<Snapshot> rows;
  while (true) {
    std::int64_t wanted[20];
    for (std::size_t n = 0; n < 20; ++n) wanted[n] = s.due(n);
    rows.clear();
    const std::size_t made = s.run(kNever, 20, rows);
    for (std::size_t n = 0; n < 20; ++n) EXPECT(wanted[n] == (n < made ? rows[n].ts_event_ns() : kNever));
    if (made < 20) break;
  }
}

TEST_CASE(days_settle_and_the_expired_fall_silent) {
  Simulator s;
  s.add(spec(0));
  s.add(spec(1));
  s.begin_day(20250603);
  s.open_section(kMorning, kMorning + 60 * kSecond);
  std::vector<Snapshot> rows;
  s.run(kNever, 1'000'000, rows);
  const Snapshot last = s.snapshot(0);
  s.begin_day(20250604);
  s.retire(1);
  const std::int64_t tomorrow = kMorning + 86'400 * kSecond;
  s.open_section(tomorrow, tomorrow + 60 * kSecond);
  rows.clear();
  s.run(kNever, 1'000'000, rows);
  EXPECT(!rows.empty());
  for (const Snapshot& r : rows) EXPECT(r.instrument == 0 && r.trading_day == 20250604);
  EXPECT(rows[0].price(kPreClose) == last.price(kLastPrice));
  EXPECT(rows[0].price(kPreOpenInterest) == last.price(kOpenInterest));
  EXPECT(rows[0].count(kVolume) < 100);
  rows.clear();
  EXPECT(s.blast(tomorrow + 100 * kSecond, 10, rows) == 10);
  for (std::size_t i = 1; i < rows.size(); ++i) EXPECT(rows[i].ts_event_ns() > rows[i - 1].ts_event_ns());
}

TEST_CASE(a_row_restores_the_whole_state) {
  Simulator one, two;
  one.add(spec(0));
  one.begin_day(20250603);
  one.open_section(kMorning, kMorning + 600 * kSecond);
  std::vector<Snapshot> rows;
  one.run(kMorning + 60 * kSecond, 1'000'000, rows);
  const Snapshot row = rows.back();
  two.add(spec(0));
  two.begin_day(20250603);
  two.restore(0, row);
  two.open_section(row.ts_event_ns() + 1, kMorning + 600 * kSecond);
  rows.clear();
  two.run(kNever, 1, rows);
  EXPECT(rows.size() == 1 && rows[0].ts_event_ns() > row.ts_event_ns());
  EXPECT(rows[0].count(kVolume) >= row.count(kVolume));
  for (int f : {kPreClose, kUpperLimit, kLowerLimit, kPreSettlement, kPreOpenInterest, kOpen})
    EXPECT(rows[0].price(f) == row.price(f));
  two.begin_day(20250604);
  two.restore(0, row);  // of the day before: it becomes yesterday
  EXPECT(two.snapshot(0).price(kPreClose) == row.price(kLastPrice));
  EXPECT(two.snapshot(0).count(kVolume) == 0);
}

TEST_CASE(resuming_drops_by_place) {
  auto row = [](std::uint32_t instrument, std::int64_t ts, std::uint32_t ordinal) {
    Snapshot s;
    s.instrument = instrument;
    s.ordinal = ordinal;
    s.set_count(kDatetime, ts);
    s.trading_day = 20241231;
    return s;
  };
  ResumeMarks marks;
  marks.set(3, 100, 1);
  // 90 comes late, after the mark: it was never stored. Instrument 4 has nothing stored.
  std::vector<Snapshot> rows = {row(3, 80, 0), row(3, 100, 0), row(4, 50, 0), row(3, 100, 1),
                                row(3, 90, 0), row(3, 100, 2), row(3, 110, 0)};
  EXPECT(marks.drop_stored(rows) == 3);
  EXPECT(rows.size() == 4 && rows[0].instrument == 4 && rows[1].ts_event_ns() == 90);
  EXPECT(marks.newest_ns() == 100);
  ResumeMarks past;  // the stored row itself is not in the recording
  past.set(3, 85, 0);
  rows = {row(3, 80, 0), row(3, 100, 0)};
  EXPECT(past.drop_stored(rows) == 1 && rows[0].ts_event_ns() == 100);
  shift_days(rows, 7);
  EXPECT(rows[0].trading_day == 20250107);
  EXPECT(rows[0].ts_event_ns() == 100 + 7 * 86'400 * kSecond);
}

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
