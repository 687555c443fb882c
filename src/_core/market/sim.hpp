// The simulated market: a seeded walk in whole price ticks that yields one full snapshot per step.
//
// No clock, no calendar, no randomness but the seed: the caller says which trading section is open and until
// when to run; the same calls give the same rows. Cadence is exact per instrument, so the rows of a section do
// not depend on how often the caller asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "market/snapshot.hpp"

namespace qautlra {

// What the simulator must know of one instrument. Prices are counts of `tick_units / 10^price_decimals`.
struct SimInstrument {
  std::uint32_t instrument = 0;
  std::uint64_t seed = 0;  // of this instrument's own random stream
  std::int64_t tick_units = 1;
  int price_decimals = 0;
  double volume_multiple = 1;
  std::int64_t last = 1;
  std::int64_t pre_close = 1;
  std::int64_t pre_settlement = 0;  // 0: the instrument is not settled daily (stocks, funds)
  double limit_ratio = 0.1;         // of pre_settlement (pre_close where there is none)
  std::int64_t open = 0;            // of the day so far; 0: nothing traded yet
  std::int64_t highest = 0;
  std::int64_t lowest = 0;
  std::int64_t volume = 0;
  double amount = 0;
  std::int64_t open_interest = -1;  // -1: has none
  std::int64_t pre_open_interest = -1;
  double ticks_per_s = 2;
  double sigma_per_minute = 0.0005;  // of the price
  std::int64_t lot = 1;              // volumes are multiples of it
  std::int64_t lots_per_trade = 5;   // mean
  std::int64_t depth_lots = 50;      // mean of one book level
  bool has_iopv = false;
};

// Owner: one thread (the loop). Memory: grows with `add` only; a step allocates nothing.
class Simulator {
 public:
  static constexpr int kLevels = 5;
  static constexpr std::int64_t kGrain = 1000;  // stamps are whole microseconds

  // Rate factor on every instrument's own cadence; the shortest interval is one microsecond.
  explicit Simulator(double rate_factor = 1.0);

  std::size_t add(const SimInstrument& spec);
  // Takes prices, totals and book from a stored row; a row of another trading day becomes the day before.
  void restore(std::size_t index, const Snapshot& row);
  // An expired instrument makes no more rows.
  void retire(std::size_t index);
  // Settles every instrument that is not in `trading_day` yet: last becomes pre_close, totals start at zero.
  void begin_day(std::int32_t trading_day);
  // Opens a trading section [from_ns, close_ns); cadence carries over from the section before.
  void open_section(std::int64_t from_ns, std::int64_t close_ns);

  // Appends the rows due before min(until_ns, close), at most `max_rows`; returns how many.
  std::size_t run(std::int64_t until_ns, std::size_t max_rows, std::vector<Snapshot>& out);
  // Appends `rows` steps of instruments in turn, all at once and stamped from now_ns: load without a cadence.
  std::size_t blast(std::int64_t now_ns, std::size_t rows, std::vector<Snapshot>& out);

  // Appends the last row of each instrument's day, with close and settlement price, stamped before the section's end.
  void close_day(std::vector<Snapshot>& out);

  // Stamp of the n-th row to come (0: the next), INT64_MAX when the section holds fewer.
  std::int64_t due(std::size_t ahead) const;
  double ticks_per_s() const { return ticks_per_s_; }
  std::size_t size() const { return walks_.size(); }
  const Snapshot& snapshot(std::size_t index) const { return walks_[index].row; }

 private:
  struct Walk {
    SimInstrument spec;
    Snapshot row;
    std::uint64_t random = 0;
    std::int64_t interval = 0;
    std::int64_t bid = 0;  // best bid in ticks; the best ask is one tick above
    std::int64_t anchor = 0;
    std::int64_t upper = 0;
    std::int64_t lower = 0;
    std::int64_t stamp = 0;
    std::int64_t jump = 1;         // ticks of one move
    double move_per_ns = 0;        // chance of a move per ns since the last row
    std::int64_t bid_lots[kLevels] = {};
    std::int64_t ask_lots[kLevels] = {};
    bool active = true;
  };
  struct Due {
    std::int64_t at;
    std::uint32_t index;
  };

  static std::uint64_t draw(Walk& w);
  static std::int64_t pick(Walk& w, std::int64_t bound);  // 0 .. bound-1
  static double price_of(const Walk& w, std::int64_t ticks);
  static std::int64_t ticks_of(const Walk& w, double price);
  static std::int64_t new_level(Walk& w, int level);
  static void set_limits(Walk& w);
  static void start_book(Walk& w);
  static void shift_book(Walk& w, std::int64_t by);
  static void write_book(Walk& w);
  static void write_totals(Walk& w);
  static void write_day(Walk& w);
  static std::int64_t settlement_of(const Walk& w);
  static void settle(Walk& w, std::int32_t trading_day);
  static void step(Walk& w, std::int64_t stamp);
  void schedule(std::size_t index, std::int64_t at);
  bool pop_before(std::int64_t until_ns, Due& out);

  std::vector<Walk> walks_;
  std::vector<Due> heap_;
  mutable std::vector<Due> scratch_;
  double rate_factor_;
  double ticks_per_s_ = 0;
  std::int64_t from_ns_ = 0;
  std::int64_t close_ns_ = 0;
  std::int32_t trading_day_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace qautlra
