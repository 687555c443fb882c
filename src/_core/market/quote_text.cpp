#include "market/quote_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/time_text.hpp"

namespace qautlra {

const char* phase_name(QuotePhase phase) {
  switch (phase) {
    case QuotePhase::kTrading: break;
    case QuotePhase::kPreOpen: return "PREOPEN";
    case QuotePhase::kAuction: return "AUCTION";
    case QuotePhase::kSuspended: return "SUSPENDED";
  }
  return "";
}

void QuoteReport::refuse(std::string_view symbol, std::string_view reason) {
  ++refused_count;
  if (refused.size() < kMaxRefused) refused.push_back({std::string(symbol), std::string(reason)});
}

namespace quote {
namespace {

constexpr std::size_t kMaxSymbol = 40;
constexpr double kAbsurd = 1e15;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
constexpr bool is_symbol(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '$';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// All of `text` as a whole number of so many digits; -1 otherwise.
std::int32_t digits(std::string_view text) {
  std::int32_t x = 0;
  if (text.empty() || text.size() > 8) return -1;
  for (const char c : text) {
    if (!is_digit(c)) return -1;
    x = x * 10 + (c - '0');
  }
  return x;
}

// Is the local time summer time of New York: second Sunday of March, 02:00, to first Sunday of November, 02:00.
bool is_summer(std::int32_t days, std::int32_t of_day_s) {
  const std::int32_t year = date_from_days(days) / 10000;
  const auto sunday = [year](std::int32_t month_day, int which) {
    const std::int32_t first = days_from_date(year * 10000 + month_day);
    return first + (6 - weekday(first)) + 7 * (which - 1);
  };
  const std::int32_t begin = sunday(301, 2), end = sunday(1101, 1);
  const bool after = days > begin || (days == begin && of_day_s >= 2 * 3600);
  const bool before = days < end || (days == end && of_day_s < 2 * 3600);
  return after && before;
}

}  // namespace

bool Statements::next(Statement& out) {
  while (!rest_.empty() && (is_space(rest_.front()) || rest_.front() == ';')) rest_.remove_prefix(1);
  if (rest_.empty()) return false;
  out = Statement{};
  if (rest_.starts_with(prefix_)) {
    const std::string_view after = rest_.substr(prefix_.size());
    const auto name = static_cast<std::size_t>(
        std::find_if_not(after.begin(), after.end(), is_symbol) - after.begin());
    if (name != 0 && name <= kMaxSymbol && after.substr(name).starts_with("=\"")) {
      out.symbol = after.substr(0, name);
      rest_ = after.substr(name + 2);
      const std::size_t end = std::min(rest_.find_first_of("\"\n"), rest_.size());
      out.value = rest_.substr(0, end);
      out.is_whole = end < rest_.size() && rest_[end] == '"';
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      return true;
    }
  }
  const std::size_t line = rest_.find_first_of(";\n");
  rest_.remove_prefix(line == std::string_view::npos ? rest_.size() : line + 1);
  return true;
}

double number(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double x = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), x);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return kNoPrice;
  return std::abs(x) < kAbsurd ? x : kNoPrice;
}

Fields::Fields(std::string_view value, char separator) {
  for (bool more = true; more && size_ < kMax;) {
    const std::size_t end = value.find(separator);
    more = end != std::string_view::npos;
    at_[size_++] = trimmed(value.substr(0, end));
    if (more) value.remove_prefix(end + 1);
  }
}

double Fields::price(std::size_t i) const {
  const double x = number(i);
  return x > 0 ? x : kNoPrice;
}

double Fields::money(std::size_t i) const {
  const double x = number(i);
  return x >= 0 ? x : kNoPrice;
}

std::int64_t count(double x, double factor) {
  const double whole = x * factor;
  return whole >= 0 && whole < kAbsurd ? std::llround(whole) : kNoCount;
}

double unit_by_amount(double volume, double amount, double price, double usual,
                      std::initializer_list<double> candidates) {
  if (!(volume > 0) || !(amount > 0) || !(price > 0)) return usual;
  const auto fits = [&](double unit) {
    const double ratio = amount / (volume * unit) / price;
    return ratio > 0.4 && ratio < 2.5;
  };
  if (fits(usual)) return usual;
  for (const double unit : candidates)
    if (fits(unit)) return unit;
  return usual;
}

double index_unit(double volume, double amount, double usual) {
  if (!(volume > 0) || !(amount > 0)) return usual;
  return amount / volume >= 100 ? 100 : 1;
}

bool read_date(std::string_view text, std::int32_t& days) {
  text = trimmed(text);
  std::int32_t date = 0;
  if (text.size() == 8) {
    date = digits(text);
  } else if (text.size() == 10 && text[4] == text[7] && (text[4] == '-' || text[4] == '/')) {
    const std::int32_t y = digits(text.substr(0, 4)), m = digits(text.substr(5, 2)), d = digits(text.substr(8));
    if (y < 0 || m < 0 || d < 0) return false;
    date = y * 10000 + m * 100 + d;
  }
  if (!is_date(date)) return false;
  days = days_from_date(date);
  return true;
}

std::int32_t read_clock(std::string_view text) {
  text = trimmed(text);
  std::int32_t h = -1, m = -1, s = 0;
  if (text.size() == 6) {
    h = digits(text.substr(0, 2)), m = digits(text.substr(2, 2)), s = digits(text.substr(4));
  } else if (text.size() == 8 && text[2] == ':' && text[5] == ':') {
    h = digits(text.substr(0, 2)), m = digits(text.substr(3, 2)), s = digits(text.substr(6));
  } else if (text.size() == 5 && text[2] == ':') {
    h = digits(text.substr(0, 2)), m = digits(text.substr(3));
  }
  if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59) return -1;
  return h * 3600 + m * 60 + s;
}

bool read_moment(std::string_view text, std::int32_t& days, std::int32_t& of_day_s) {
  text = trimmed(text);
  if (text.size() == 14) {
    of_day_s = read_clock(text.substr(8));
    return of_day_s >= 0 && read_date(text.substr(0, 8), days);
  }
  if (text.size() != 19 || text[10] != ' ') return false;
  of_day_s = read_clock(text.substr(11));
  return of_day_s >= 0 && read_date(text.substr(0, 10), days);
}

std::int64_t beijing_ns(std::int32_t days, std::int32_t of_day_s) {
  return beijing_midnight_ns(days) + of_day_s * kSecondNs;
}

std::int64_t new_york_ns(std::int32_t days, std::int32_t of_day_s) {
  const std::int64_t offset_s = is_summer(days, of_day_s) ? -4 * 3600 : -5 * 3600;
  return (std::int64_t{days} * kDayS + of_day_s - offset_s) * kSecondNs;
}

std::int32_t new_york_days(std::int64_t ts_ns) {
  const std::int64_t standard_s = floor_div(ts_ns, kSecondNs) - 5 * 3600;
  const auto days = static_cast<std::int32_t>(floor_div(standard_s, kDayS));
  const auto of_day_s = static_cast<std::int32_t>(standard_s - std::int64_t{days} * kDayS);
  return is_summer(days, of_day_s) && of_day_s >= 23 * 3600 ? days + 1 : days;
}

std::int64_t night_instant(std::int32_t of_day_s, std::int32_t sections_id, const Calendar& calendar,
                           std::int64_t now_ns) {
  const std::int32_t today = beijing_days(now_ns);
  const std::int32_t evening = days_from_date(calendar.previous_trading_day(calendar.trading_day(now_ns)));
  std::int64_t latest = INT64_MIN, trading = INT64_MIN;
  for (const std::int32_t days : {today, today - 1, evening + 1, evening}) {
    const std::int64_t ts_ns = beijing_ns(days, of_day_s);
    if (ts_ns > now_ns + kMaxAheadNs) continue;
    latest = std::max(latest, ts_ns);
    if (calendar.place(sections_id, ts_ns).section >= 0) trading = std::max(trading, ts_ns);
  }
  return trading != INT64_MIN ? trading : latest;
}

void set_level(Snapshot& row, int level, bool is_bid, double price, std::int64_t volume) {
  const bool priced = price > 0;
  if (priced) row.set_price((is_bid ? kBidPrice1 : kAskPrice1) + level, price);
  if (volume > 0 || (priced && volume == 0)) row.set_count((is_bid ? kBidVolume1 : kAskVolume1) + level, volume);
}

QuotePhase phase_of(const Snapshot& row) {
  // Only an auction shows one price on both sides: in continuous trading the two orders would have met.
  if (row.has(kBidPrice1) && row.has(kAskPrice1) && row.price(kBidPrice1) == row.price(kAskPrice1))
    return QuotePhase::kAuction;
  const bool traded = row.has(kOpen) || (row.has(kVolume) && row.count(kVolume) > 0);
  return traded ? QuotePhase::kTrading : QuotePhase::kPreOpen;
}

const char* date_row(Snapshot& row, std::int64_t ts_ns, std::int32_t local_day, std::int32_t local_today,
                     std::int64_t now_ns) {
  if (ts_ns > now_ns + kMaxAheadNs) return kAhead;
  if (local_day != local_today) return kStale;
  if (!row.has(kLastPrice)) return kNoPriceYet;
  row.ts_recv_ns = now_ns;
  row.set_count(kDatetime, ts_ns);
  return nullptr;
}

const char* identify(const Statement& line, std::string (*canonical)(std::string_view),
                     const QuoteContext& context, Name& name) {
  if (line.symbol.empty()) return "not a quote";
  if (!line.is_whole) return kCut;
  const std::string symbol(line.symbol);
  if (context.asked != nullptr && !context.asked->contains(symbol)) return kNotAsked;
  const InstrumentTable& table = context.instruments;
  const std::string spelling = canonical(symbol);
  std::string why;
  if (spelling.empty() || !resolve(spelling, table.calendar(), table.reference_day(), name, why))
    return "not an instrument";
  return line.value.empty() ? kUnknown : nullptr;
}

bool take(Snapshot& row, const Name& name, Source source, QuotePhase phase, std::string_view symbol,
          const QuoteContext& context, std::vector<Snapshot>& rows, QuoteReport& report) {
  std::string why;
  row.instrument = context.instruments.intern(name.symbol, why);
  if (row.instrument == kNoInstrument) {
    report.refuse(symbol, why);
    return false;
  }
  row.source = source;
  row.phase = phase;
  rows.push_back(row);
  report.phases.push_back(phase);
  return true;
}

}  // namespace quote
}  // namespace qautlra
