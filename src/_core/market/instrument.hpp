// Instruments: what is known of one, the interned table of a process, and the naming of section 1.7 of the
// market-data contract (any spelling in, "EXCHANGE.code" out).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "market/calendar.hpp"

namespace qautlra {

constexpr std::uint32_t kNoInstrument = 0xFFFFFFFF;
constexpr std::size_t kMaxInstruments = 65'536;
constexpr std::size_t kMaxSpelling = 64;

enum class Kind : std::uint8_t {
  kFuture,
  kOption,
  kStock,
  kIndex,
  kFund,
  kBond,
  kCombine,
  kCont,  // a continuous series (KQ.m@, KQ.i@)
  kSpot,
  kOther,
};

const char* kind_name(Kind kind);  // TqSdk's ins_class: "FUTURE", "OPTION", ...

// What a spelling names. Filled only when resolve() succeeds.
struct Name {
  std::string symbol;    // "SHFE.au2512"
  std::string exchange;  // "SHFE"
  std::string code;      // "au2512"
  Kind kind = Kind::kOther;
  std::int32_t product = -1;       // index into Calendar::products()
  std::int32_t delivery_year = 0;  // 2025; 0 when it has none
  std::int32_t delivery_month = 0;
  std::string leg1, leg2;  // symbols of a combination's legs
  char option_class = 0;   // 'C' or 'P'
  double strike = 0;
  std::string underlying;  // symbol of an option's underlying, where the code tells it
};

// Immutable once interned; addresses are stable for the life of the table.
struct Instrument : Name {
  std::uint32_t id = kNoInstrument;
  double price_tick = 0;
  double volume_multiple = 1;
  std::uint8_t price_decimals = 2;
  std::int32_t sections_id = -1;           // index into Calendar; -1 = no known sections (always open)
  bool turnover_needs_multiplier = false;  // CZCE: turnover is price x lots
  bool average_has_multiplier = false;     // others: average price is money per lot
};

// Characters a spelling or symbol may hold; all are safe inside JSON without escaping.
bool is_safe_spelling(std::string_view text);

// Pure naming. `reference_day` (YYYYMMDD) settles CZCE's one-digit years. False with a sentence in `why`.
bool resolve(std::string_view spelling, const Calendar& calendar, std::int32_t reference_day, Name& out,
             std::string& why);

// Owner: the loop thread interns; at() and size() may be read by threads that got their id through a
// synchronised hand-over, because entries never move or change.
class InstrumentTable {
 public:
  InstrumentTable(const Calendar& calendar, std::int32_t reference_day)
      : calendar_(calendar), reference_day_(reference_day) {}
  InstrumentTable(const InstrumentTable&) = delete;
  InstrumentTable& operator=(const InstrumentTable&) = delete;

  // Any spelling. kNoInstrument with a sentence in `why` when it names nothing or the table is full.
  std::uint32_t intern(std::string_view spelling, std::string& why);
  std::uint32_t find(std::string_view spelling) const;  // any spelling; kNoInstrument when not interned
  const Instrument& at(std::uint32_t id) const { return entries_[id]; }
  std::size_t size() const { return entries_.size(); }
  const Calendar& calendar() const { return calendar_; }
  std::int32_t reference_day() const { return reference_day_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  using Index = std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>>;

  const Calendar& calendar_;
  std::int32_t reference_day_;
  std::deque<Instrument> entries_;
  Index by_symbol_;
  Index by_alias_;  // other spellings met, bounded
};

}  // namespace qautlra
