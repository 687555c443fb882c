// What the text quotes of the public sites share: statements, fields, numbers, times, phases, refusals.
//
// Everything here reads text others wrote: any bytes are allowed, nothing is taken that is not plainly there,
// and a value that cannot be read is missing, never zero.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "market/instrument.hpp"
#include "market/snapshot.hpp"

namespace qautlra {

const char* phase_name(QuotePhase phase);  // "", "PREOPEN", "AUCTION", "SUSPENDED"

struct QuoteRefusal {
  std::string symbol;  // as the site spells it; empty when the line names none
  std::string reason;
};

struct QuoteContext {
  InstrumentTable& instruments;
  std::int64_t now_ns = 0;
  // Site spellings that may answer; null takes every line. A line that was not asked for enters no table.
  const std::unordered_set<std::string>* asked = nullptr;
};

// Owner: the caller. `phases` stands beside the rows appended by the same call.
struct QuoteReport {
  static constexpr std::size_t kMaxRefused = 4096;
  std::vector<QuotePhase> phases;
  std::vector<QuoteRefusal> refused;
  std::uint64_t refused_count = 0;  // also counts those beyond kMaxRefused
  void refuse(std::string_view symbol, std::string_view reason);
};

namespace quote {

constexpr std::int64_t kMaxAheadNs = 30LL * 60 * 1'000'000'000;

// One `prefix SYMBOL="value"` after the other. `is_whole` is false for what is no statement (symbol and value
// empty) and for one that ends before its closing quote, whose numbers may be cut.
struct Statement {
  std::string_view symbol, value;
  bool is_whole = false;
};
class Statements {
 public:
  Statements(std::string_view text, std::string_view prefix) : rest_(text), prefix_(prefix) {}
  bool next(Statement& out);

 private:
  std::string_view rest_, prefix_;
};

// The number a text is in full; NaN for anything else, for a placeholder and for |x| >= 1e15.
double number(std::string_view text);

// Fields of one value; those beyond kMax are not read.
class Fields {
 public:
  static constexpr std::size_t kMax = 128;
  Fields(std::string_view value, char separator);
  std::size_t size() const { return size_; }
  std::string_view text(std::size_t i) const { return i < size_ ? at_[i] : std::string_view(); }
  double number(std::size_t i) const { return quote::number(text(i)); }
  double price(std::size_t i) const;  // above zero, else none
  double money(std::size_t i) const;  // zero or above, else none

 private:
  std::array<std::string_view, kMax> at_;
  std::size_t size_ = 0;
};

// Whole lots, shares or contracts of `x` units of `factor` each; kNoCount when there is no such number.
std::int64_t count(double x, double factor);

// Shares per unit of volume: `usual`, unless the amount says plainly that it is another of the candidates.
double unit_by_amount(double volume, double amount, double price, double usual,
                      std::initializer_list<double> candidates);
// The same for an index, which has no price per share: shares cost some yuan, lots some hundreds.
double index_unit(double volume, double amount, double usual);

// Days since 1970 of "YYYYMMDD", "YYYY-MM-DD", "YYYY/MM/DD"; false when it is no date.
bool read_date(std::string_view text, std::int32_t& days);
// Seconds of the day of "HHMMSS", "HH:MM:SS", "HH:MM"; -1 when it is no time of a day.
std::int32_t read_clock(std::string_view text);
// "YYYYMMDDHHMMSS", "YYYY/MM/DD HH:MM:SS" and "YYYY-MM-DD HH:MM:SS": date and seconds of the day.
bool read_moment(std::string_view text, std::int32_t& days, std::int32_t& of_day_s);

std::int64_t beijing_ns(std::int32_t days, std::int32_t of_day_s);
std::int64_t new_york_ns(std::int32_t days, std::int32_t of_day_s);  // daylight time as ruled since 2007
std::int32_t new_york_days(std::int64_t ts_ns);

// Event time of a futures quote that shows only a time of day, the date being of doubtful meaning at night:
// the latest one not more than 30 minutes ahead of now, in a trading section if any is.
std::int64_t night_instant(std::int32_t of_day_s, std::int32_t sections_id, const Calendar& calendar,
                           std::int64_t now_ns);

// Sets a level: a price of zero is no price, a volume of zero beside a price stays, a volume above zero
// without a price (the unmatched side of an auction) stays too.
void set_level(Snapshot& row, int level, bool is_bid, double price, std::int64_t volume);

// Auction and pre-open as the row itself shows them.
QuotePhase phase_of(const Snapshot& row);

// What all lines of a stock exchange share at the end: time, staleness, a last price. Returns the reason of a
// refusal, or nullptr and the row is complete but for its instrument.
const char* date_row(Snapshot& row, std::int64_t ts_ns, std::int32_t local_day, std::int32_t local_today,
                     std::int64_t now_ns);

// Whose line this is: the reason why it is refused, or nullptr and the instrument's name. `canonical` turns a
// site's spelling into one that resolves, "" when it is none of the site's.
const char* identify(const Statement& line, std::string (*canonical)(std::string_view),
                     const QuoteContext& context, Name& name);

// Numbers the row's instrument and appends it; false with the refusal noted when the table is full.
bool take(Snapshot& row, const Name& name, Source source, QuotePhase phase, std::string_view symbol,
          const QuoteContext& context, std::vector<Snapshot>& rows, QuoteReport& report);

inline constexpr const char* kStale = "stale: not of this trading day";
inline constexpr const char* kAhead = "its clock is more than 30 minutes ahead of ours";
inline constexpr const char* kNoPriceYet = "held: no last price yet";
inline constexpr const char* kNoTime = "no readable time";
inline constexpr const char* kCut = "the line is cut";
inline constexpr const char* kUnknown = "the site does not know it";
inline constexpr const char* kNotAsked = "not asked for";
inline constexpr const char* kDelisted = "delisted";

}  // namespace quote
}  // namespace qautlra
