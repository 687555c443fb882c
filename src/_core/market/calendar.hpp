// Trading days and trading sections: markets as data (config/calendar.toml, config/products.toml), one rule.
// All arithmetic is Asia/Shanghai. Immutable once built, so any thread may read it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qautlra {

struct Instrument;

// One trading section in seconds of Beijing time. A night section counts from midnight of the day before the
// trading day's own date (the previous trading day), so 02:30 after midnight is 26:30.
struct Section {
  std::int32_t open_s = 0;
  std::int32_t close_s = 0;
};

struct Sections {
  std::string name;
  std::vector<Section> night;
  std::vector<Section> day;
  std::int32_t auction_s = 0;  // how long before the trading day's first section its auction begins
  std::int32_t day_auction_since = 0;  // from this day on the daytime behind a night has one, too; 0: never
};

struct Exchange {
  std::string id;
  std::string case_rule;  // "lower", "upper" or ""
  bool one_digit_year = false;
  bool turnover_needs_multiplier = false;
  bool average_has_multiplier = false;
  bool option_hyphen = false;     // "m1807-C-2450", else "SR601C5000"
  std::int32_t sections_id = -1;  // of instruments without a product (stocks)
  std::string kind;               // "futures", "stock", "spot" or "foreign"
};

struct Product {
  std::string exchange, code, name;
  double price_tick = 0;
  double option_price_tick = 0;  // 0 = same as the future
  double volume_multiple = 1;
  std::int32_t sections_id = -1;
  bool options_only = false;  // CFFEX.IO: the code names options, never futures
  std::string underlying;     // index options: the index's symbol
};

class Calendar {
 public:
  // --- building, once ---
  void close_day(std::int32_t yyyymmdd);                          // a weekday without trading
  void no_night(std::int32_t first_day, std::int32_t last_day);   // evenings without night sections
  void set_known_through(std::int32_t yyyymmdd) { known_through_ = yyyymmdd; }
  std::int32_t add_sections(Sections sections);
  std::int32_t sections_id(std::string_view name) const;          // -1 when unknown
  void add_exchange(Exchange exchange);
  std::int32_t add_product(Product product);
  void finish();

  // --- trading days (YYYYMMDD) ---
  bool is_trading_day(std::int32_t yyyymmdd) const;
  std::int32_t next_trading_day(std::int32_t yyyymmdd) const;      // strictly after
  std::int32_t previous_trading_day(std::int32_t yyyymmdd) const;  // strictly before
  // The day a row belongs to: from 18:00 the next trading day; before 08:00 the one after the day before.
  std::int32_t trading_day(std::int64_t ts_ns) const;
  std::int64_t day_end(std::int32_t trading_day) const;  // 18:00 of that day: from then on rows are of the next
  bool has_night(std::int32_t trading_day) const;  // does `trading_day` begin with a night session
  std::int32_t known_through() const { return known_through_; }

  // --- sections ---
  struct Bounds {
    std::int64_t open_ns, close_ns;
  };
  // [open, close) of each section of one trading day, night first. Empty for sections_id -1.
  std::vector<Bounds> bounds(std::int32_t sections_id, std::int32_t trading_day) const;
  // Opening times of the sections of `bounds` that begin with a call auction: the first one, maybe the daytime's.
  std::vector<std::int64_t> auctions(std::int32_t sections_id, std::int32_t trading_day) const;
  struct Place {
    int section = -1;  // index into bounds(); -1 when the row lies in none
    std::int32_t trading_day = 0;
    std::int64_t open_ns = 0, close_ns = 0;
    std::int64_t bar_ns = 0;  // the row's time for bars: moved into the section for auction and closing rows
  };
  Place place(std::int32_t sections_id, std::int64_t ts_ns) const;
  bool in_section(const Instrument& instrument, std::int64_t ts_ns) const;  // [open, close) of a section
  // Opening time of the bar a row belongs to, -1 when it makes none. Bars lie on Beijing wall time and never
  // reach over a trading day's start; a bar of one day is labelled by midnight of its trading day.
  std::int64_t bar_open(const Instrument& instrument, std::int64_t ts_ns, std::int64_t period_ns) const;
  std::int64_t bar_open(std::int32_t sections_id, std::int64_t ts_ns, std::int64_t period_ns) const;

  // --- markets as data ---
  const std::vector<Product>& products() const { return products_; }
  const std::vector<Sections>& all_sections() const { return sections_; }
  const Exchange* exchange(std::string_view id) const;
  // Index of "SHFE.au", or of the bare code with its exact case, then without regard to case; -1 when unknown.
  std::int32_t product(std::string_view exchange, std::string_view code) const;
  std::int32_t product_of_code(std::string_view code) const;

 private:
  std::int32_t clamp(std::int32_t days) const;

  std::vector<std::int32_t> closed_;
  std::vector<Section> no_night_;  // pairs of day numbers
  std::int32_t known_through_ = 0;
  // By day number from kFirstDay: the next trading day after it and the last one before it, as day numbers.
  std::vector<std::int32_t> next_, previous_;
  std::vector<std::uint8_t> open_, night_;
  std::int32_t trading_days_of(std::int64_t ts_ns) const;

  std::vector<Sections> sections_;
  std::vector<Exchange> exchanges_;
  std::vector<Product> products_;
  std::unordered_map<std::string, std::int32_t> by_key_, by_code_, by_folded_;
};

}  // namespace qautlra
