#include "market/calendar.hpp"

#include <algorithm>

#include "base/time_text.hpp"
#include "market/instrument.hpp"

namespace qautlra {
namespace {

constexpr std::int32_t kFirstDay = days_from_date(19900101);
constexpr std::int32_t kLastDay = days_from_date(21001231);
// Instants further out than this (years 1823-2116) are as good as the ends of the table.
constexpr std::int64_t kFarNs = std::int64_t{1} << 62;
constexpr std::int32_t kNightBeginS = 18 * 3600;  // from this on a row belongs to the next trading day

bool opens_again(const Sections& s, std::int32_t trading_day) {
  return s.day_auction_since > 0 && trading_day >= s.day_auction_since;
}

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

void Calendar::close_day(std::int32_t yyyymmdd) { closed_.push_back(days_from_date(yyyymmdd)); }

void Calendar::no_night(std::int32_t first_day, std::int32_t last_day) {
  no_night_.push_back({days_from_date(first_day), days_from_date(last_day)});
}

std::int32_t Calendar::add_sections(Sections sections) {
  sections_.push_back(std::move(sections));
  return static_cast<std::int32_t>(sections_.size()) - 1;
}

std::int32_t Calendar::sections_id(std::string_view name) const {
  for (std::size_t i = 0; i < sections_.size(); ++i)
    if (sections_[i].name == name) return static_cast<std::int32_t>(i);
  return -1;
}

void Calendar::add_exchange(Exchange exchange) { exchanges_.push_back(std::move(exchange)); }

std::int32_t Calendar::add_product(Product product) {
  const auto index = static_cast<std::int32_t>(products_.size());
  by_key_.emplace(product.exchange + "." + product.code, index);
  by_code_.emplace(product.code, index);
  // Two products whose codes differ only by case have no case-blind spelling.
  const auto [at, fresh] = by_folded_.emplace(folded(product.code), index);
  if (!fresh) at->second = -1;
  products_.push_back(std::move(product));
  return index;
}

void Calendar::finish() {
  const auto count = static_cast<std::size_t>(kLastDay - kFirstDay + 1);
  open_.assign(count, 0);
  night_.assign(count, 0);
  next_.assign(count, kLastDay);
  previous_.assign(count, kFirstDay);
  for (std::size_t i = 0; i < count; ++i) open_[i] = weekday(kFirstDay + static_cast<std::int32_t>(i)) < 5;
  for (const std::int32_t days : closed_)
    if (days >= kFirstDay && days <= kLastDay) open_[static_cast<std::size_t>(days - kFirstDay)] = 0;
  std::int32_t last = kFirstDay;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t days = kFirstDay + static_cast<std::int32_t>(i);
    previous_[i] = last;
    if (!open_[i]) continue;
    // The evening before a holiday has no night session: only the next day or a plain weekend may follow it.
    const bool plain = days - last == 1 || (days - last == 3 && weekday(last) == 4);
    const bool suspended = std::any_of(no_night_.begin(), no_night_.end(), [last](const Section& range) {
      return last >= range.open_s && last <= range.close_s;
    });
    night_[i] = plain && !suspended;
    last = days;
  }
  last = kLastDay;
  for (std::size_t i = count; i-- > 0;) {
    next_[i] = last;
    if (open_[i]) last = kFirstDay + static_cast<std::int32_t>(i);
  }
}

std::int32_t Calendar::clamp(std::int32_t days) const { return std::clamp(days, kFirstDay, kLastDay) - kFirstDay; }

bool Calendar::is_trading_day(std::int32_t yyyymmdd) const {
  if (!is_date(yyyymmdd)) return false;
  const std::int32_t days = days_from_date(yyyymmdd);
  return days >= kFirstDay && days <= kLastDay && open_[static_cast<std::size_t>(days - kFirstDay)] != 0;
}

std::int32_t Calendar::next_trading_day(std::int32_t yyyymmdd) const {
  return date_from_days(next_[static_cast<std::size_t>(clamp(days_from_date(yyyymmdd)))]);
}

std::int32_t Calendar::previous_trading_day(std::int32_t yyyymmdd) const {
  return date_from_days(previous_[static_cast<std::size_t>(clamp(days_from_date(yyyymmdd)))]);
}

std::int64_t Calendar::day_end(std::int32_t trading_day) const {
  return beijing_midnight_ns(days_from_date(trading_day)) + kNightBeginS * kSecondNs;
}

bool Calendar::has_night(std::int32_t trading_day) const {
  return is_trading_day(trading_day) && night_[static_cast<std::size_t>(clamp(days_from_date(trading_day)))] != 0;
}

std::int32_t Calendar::trading_days_of(std::int64_t ts_ns) const {
  ts_ns = std::clamp(ts_ns, -kFarNs, kFarNs);
  const std::int32_t days = beijing_days(ts_ns);
  const auto of_day = static_cast<std::int32_t>((ts_ns - beijing_midnight_ns(days)) / kSecondNs);
  const auto i = static_cast<std::size_t>(clamp(days));
  if (of_day >= kNightBeginS) return next_[i];
  // By day the row's own date, and before 08:00 the next trading day after yesterday, are the same question.
  return open_[i] ? days : next_[i];
}

std::int32_t Calendar::trading_day(std::int64_t ts_ns) const { return date_from_days(trading_days_of(ts_ns)); }

std::vector<Calendar::Bounds> Calendar::bounds(std::int32_t sections_id, std::int32_t trading_day) const {
  std::vector<Bounds> out;
  if (sections_id < 0) return out;
  const Sections& s = sections_[static_cast<std::size_t>(sections_id)];
  const std::int64_t today = beijing_midnight_ns(days_from_date(trading_day));
  if (has_night(trading_day)) {
    const std::int64_t evening = beijing_midnight_ns(days_from_date(previous_trading_day(trading_day)));
    for (const Section& x : s.night)
      out.push_back({evening + x.open_s * kSecondNs, evening + x.close_s * kSecondNs});
  }
  for (const Section& x : s.day) out.push_back({today + x.open_s * kSecondNs, today + x.close_s * kSecondNs});
  return out;
}

std::vector<std::int64_t> Calendar::auctions(std::int32_t sections_id, std::int32_t trading_day) const {
  std::vector<std::int64_t> out;
  const auto all = bounds(sections_id, trading_day);
  if (all.empty()) return out;
  const Sections& s = sections_[static_cast<std::size_t>(sections_id)];
  out.push_back(all.front().open_ns);
  const std::size_t daytime = all.size() - s.day.size();
  if (daytime > 0 && !s.day.empty() && opens_again(s, trading_day)) out.push_back(all[daytime].open_ns);
  return out;
}

Calendar::Place Calendar::place(std::int32_t sections_id, std::int64_t ts_ns) const {
  Place at;
  ts_ns = std::clamp(ts_ns, -kFarNs, kFarNs);
  const std::int32_t days = trading_days_of(ts_ns);
  at.trading_day = date_from_days(days);
  const auto i = static_cast<std::size_t>(clamp(days));
  const std::int64_t evening = beijing_midnight_ns(previous_[i]);
  if (sections_id < 0) {
    at.section = 0;
    at.open_ns = evening + kNightBeginS * kSecondNs;
    at.close_ns = beijing_midnight_ns(days) + kNightBeginS * kSecondNs;
    at.bar_ns = ts_ns;
    return at;
  }
  const Sections& s = sections_[static_cast<std::size_t>(sections_id)];
  int number = 0;
  const bool again = opens_again(s, at.trading_day);
  const auto inside = [&](std::int64_t midnight, const Section& x) {
    const std::int64_t open = midnight + x.open_s * kSecondNs, close = midnight + x.close_s * kSecondNs;
    const bool auction = number == 0 || (again && &x == s.day.data());
    const std::int64_t early = auction ? s.auction_s * kSecondNs : 0;
    if (ts_ns < open - early || ts_ns >= close + kSecondNs) {
      ++number;
      return false;
    }
    at.section = number;
    at.open_ns = open;
    at.close_ns = close;
    at.bar_ns = std::clamp(ts_ns, open, close - 1);
    return true;
  };
  if (night_[i])
    for (const Section& x : s.night)
      if (inside(evening, x)) return at;
  const std::int64_t today = beijing_midnight_ns(days);
  for (const Section& x : s.day)
    if (inside(today, x)) return at;
  return at;
}

bool Calendar::in_section(const Instrument& instrument, std::int64_t ts_ns) const {
  const Place at = place(instrument.sections_id, ts_ns);
  return at.section >= 0 && ts_ns >= at.open_ns && ts_ns < at.close_ns;
}

std::int64_t Calendar::bar_open(std::int32_t sections_id, std::int64_t ts_ns, std::int64_t period_ns) const {
  if (period_ns < kSecondNs || period_ns > kDayS * kSecondNs || period_ns % kSecondNs != 0) return -1;
  const Place at = place(sections_id, ts_ns);
  if (at.section < 0) return -1;
  const std::int32_t days = days_from_date(at.trading_day);
  if (period_ns == kDayS * kSecondNs) return beijing_midnight_ns(days);
  const std::int64_t zone = kBeijingOffsetS * kSecondNs;
  const std::int64_t label = floor_div(at.bar_ns + zone, period_ns) * period_ns - zone;
  const std::int64_t begin =
      beijing_midnight_ns(previous_[static_cast<std::size_t>(clamp(days))]) + kNightBeginS * kSecondNs;
  return std::max(label, begin);
}

std::int64_t Calendar::bar_open(const Instrument& instrument, std::int64_t ts_ns, std::int64_t period_ns) const {
  return bar_open(instrument.sections_id, ts_ns, period_ns);
}

const Exchange* Calendar::exchange(std::string_view id) const {
  for (const Exchange& e : exchanges_)
    if (e.id == id) return &e;
  return nullptr;
}

std::int32_t Calendar::product(std::string_view exchange, std::string_view code) const {
  std::string key(exchange);
  key += '.';
  key += code;
  if (const auto at = by_key_.find(key); at != by_key_.end()) return at->second;
  const std::string wanted = folded(code);
  for (std::size_t i = 0; i < products_.size(); ++i)
    if (products_[i].exchange == exchange && folded(products_[i].code) == wanted)
      return static_cast<std::int32_t>(i);
  return -1;
}

std::int32_t Calendar::product_of_code(std::string_view code) const {
  if (const auto at = by_code_.find(std::string(code)); at != by_code_.end()) return at->second;
  if (const auto at = by_folded_.find(folded(code)); at != by_folded_.end()) return at->second;
  return -1;
}

}  // namespace qautlra
