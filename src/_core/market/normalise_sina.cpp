#include "market/normalise_sina.hpp"

#include <algorithm>
#include <cmath>

#include "base/gb18030.hpp"
#include "base/time_text.hpp"

namespace qautlra {
namespace {

using quote::Fields;

constexpr std::size_t kFewestStock = 32, kFewestCommodity = 18, kFewestFinancial = 39, kFewestHongKong = 19,
                      kFewestUs = 11;

bool all_digits(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
std::string uppered(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return out;
}
std::string lowered(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

// What the functions below need of a line; each returns the reason of a refusal or nullptr.
struct Line {
  const Fields& f;
  const Name& name;
  const Calendar& calendar;
  std::int64_t now_ns;
  Snapshot& row;
  QuotePhase& phase;

  void price(Field field, std::size_t i) const { row.set_price(field, f.price(i)); }
  double multiple() const {
    return name.product < 0 ? kNoPrice : calendar.products()[static_cast<std::size_t>(name.product)].volume_multiple;
  }
};

double stock_unit(const Line& in, double volume, double amount) {
  if (in.name.kind == Kind::kIndex) return quote::index_unit(volume, amount, in.name.exchange == "SSE" ? 100 : 1);
  return quote::unit_by_amount(volume, amount, in.f.price(3), 1, {1, 100, 10});
}

const char* stock(const Line& in) {
  const Fields& f = in.f;
  const std::string_view status = f.text(32);
  if (status == "-3") return quote::kDelisted;
  std::int32_t days = 0;
  const std::int32_t of_day_s = quote::read_clock(f.text(31));
  if (of_day_s < 0 || !quote::read_date(f.text(30), days)) return quote::kNoTime;
  in.price(kOpen, 1);
  in.price(kPreClose, 2);
  in.price(kLastPrice, 3);
  in.price(kHighest, 4);
  in.price(kLowest, 5);
  const double volume = f.money(8), amount = f.money(9), unit = stock_unit(in, volume, amount);
  in.row.set_count(kVolume, quote::count(volume, unit));
  in.row.set_price(kAmount, amount);
  for (std::size_t i = 0; i < 5; ++i) {
    const int level = static_cast<int>(i);
    quote::set_level(in.row, level, true, f.price(11 + 2 * i), quote::count(f.money(10 + 2 * i), unit));
    quote::set_level(in.row, level, false, f.price(21 + 2 * i), quote::count(f.money(20 + 2 * i), unit));
  }
  if (const char* reason = quote::date_row(in.row, quote::beijing_ns(days, of_day_s), days,
                                           beijing_days(in.now_ns), in.now_ns))
    return reason;
  in.row.trading_day = in.calendar.trading_day(quote::beijing_ns(days, 12 * 3600));
  in.phase = status.empty() || status == "00" ? quote::phase_of(in.row) : QuotePhase::kSuspended;
  return nullptr;
}

// Whether a commodity line's own date can be that of a row at `ts_ns`: its calendar day, its trading day, or
// the evening its night session began in. Nobody has verified which it shows at night.
bool agrees(std::string_view shown, std::int64_t ts_ns, const Calendar& calendar) {
  std::int32_t days = 0;
  if (!quote::read_date(shown, days)) return shown.empty();
  const std::int32_t day = calendar.trading_day(ts_ns);
  return days == beijing_days(ts_ns) || days == days_from_date(day) ||
         (beijing_days(ts_ns) != days_from_date(day) && days == days_from_date(calendar.previous_trading_day(day)));
}

const char* commodity(const Line& in) {
  const Fields& f = in.f;
  if (f.size() < kFewestCommodity) return "the line has fewer than 18 fields";
  const std::int32_t of_day_s = quote::read_clock(f.text(1));
  if (of_day_s < 0) return quote::kNoTime;
  in.price(kOpen, 2);
  in.price(kHighest, 3);
  in.price(kLowest, 4);
  in.price(kClose, 5);
  in.price(kLastPrice, 8);
  in.price(kSettlement, 9);
  in.price(kPreSettlement, 10);
  quote::set_level(in.row, 0, true, f.price(6), quote::count(f.money(11), 1));
  quote::set_level(in.row, 0, false, f.price(7), quote::count(f.money(12), 1));
  in.row.set_price(kOpenInterest, f.money(13));
  const double volume = f.money(14), average = f.price(27);
  in.row.set_count(kVolume, quote::count(volume, 1));
  in.row.set_price(kAverage, average);
  in.row.set_price(kAmount, volume == 0 ? 0.0 : average * volume * in.multiple());

  std::int32_t sections_id = -1;
  if (in.name.product >= 0)
    sections_id = in.calendar.products()[static_cast<std::size_t>(in.name.product)].sections_id;
  const std::int64_t ts_ns = quote::night_instant(of_day_s, sections_id, in.calendar, in.now_ns);
  if (!agrees(f.text(17), ts_ns, in.calendar)) return quote::kStale;
  const std::int32_t day = in.calendar.trading_day(ts_ns);
  if (const char* reason = quote::date_row(in.row, ts_ns, day, in.calendar.trading_day(in.now_ns), in.now_ns))
    return reason;
  in.row.trading_day = day;
  in.phase = quote::phase_of(in.row);
  return nullptr;
}

// Turnover over volume is a price, or a price times the multiplier: which of the two stands there.
double financial_amount(const Line& in, double volume, double shown) {
  const double last = in.f.price(3), multiple = in.multiple();
  if (volume == 0) return shown == 0 ? 0.0 : kNoPrice;
  const double ratio = shown / volume / last;
  const auto near_one = [](double x) { return x > 0.5 && x < 2; };
  if (near_one(ratio)) return shown * multiple;
  if (near_one(ratio / multiple)) return shown;
  return kNoPrice;
}

const char* financial(const Line& in) {
  const Fields& f = in.f;
  if (f.size() < kFewestFinancial) return "the line has fewer than 39 fields";
  std::int32_t days = 0;
  const std::int32_t of_day_s = quote::read_clock(f.text(37));
  if (of_day_s < 0 || !quote::read_date(f.text(36), days)) return quote::kNoTime;
  in.price(kOpen, 0);
  in.price(kHighest, 1);
  in.price(kLowest, 2);
  in.price(kLastPrice, 3);
  in.price(kClose, 7);
  in.price(kSettlement, 8);
  in.price(kUpperLimit, 9);
  in.price(kLowerLimit, 10);
  in.price(kPreClose, 13);
  in.price(kPreSettlement, 14);
  const double volume = f.money(4), amount = financial_amount(in, volume, f.money(5));
  in.row.set_count(kVolume, quote::count(volume, 1));
  in.row.set_price(kAmount, amount);
  in.row.set_price(kOpenInterest, f.money(6));
  in.row.set_price(kPreOpenInterest, f.money(15));
  const double average = f.price(48);
  in.row.set_price(kAverage, average > 0 || !(volume > 0) ? average : amount / volume / in.multiple());
  for (std::size_t i = 0; i < 5; ++i) {
    const int level = static_cast<int>(i);
    quote::set_level(in.row, level, true, f.price(16 + 2 * i), quote::count(f.money(17 + 2 * i), 1));
    quote::set_level(in.row, level, false, f.price(26 + 2 * i), quote::count(f.money(27 + 2 * i), 1));
  }
  const double ms = f.number(38);
  const std::int64_t fraction_ns = ms >= 0 && ms < 1000 ? std::llround(ms) * 1'000'000 : 0;
  if (const char* reason = quote::date_row(in.row, quote::beijing_ns(days, of_day_s) + fraction_ns, days,
                                           beijing_days(in.now_ns), in.now_ns))
    return reason;
  in.row.trading_day = in.calendar.trading_day(quote::beijing_ns(days, 12 * 3600));
  in.phase = quote::phase_of(in.row);
  return nullptr;
}

const char* hong_kong(const Line& in) {
  const Fields& f = in.f;
  if (f.size() < kFewestHongKong) return "the line has fewer than 19 fields";
  std::int32_t days = 0;
  const std::int32_t of_day_s = quote::read_clock(f.text(18));
  if (of_day_s < 0 || !quote::read_date(f.text(17), days)) return quote::kNoTime;
  in.price(kOpen, 2);
  in.price(kPreClose, 3);
  in.price(kHighest, 4);
  in.price(kLowest, 5);
  in.price(kLastPrice, 6);
  in.price(kBidPrice1, 9);
  in.price(kAskPrice1, 10);
  in.row.set_price(kAmount, f.money(11));
  in.row.set_count(kVolume, quote::count(f.money(12), 1));
  if (const char* reason = quote::date_row(in.row, quote::beijing_ns(days, of_day_s), days,
                                           beijing_days(in.now_ns), in.now_ns))
    return reason;
  in.row.trading_day = date_from_days(days);
  in.phase = quote::phase_of(in.row);
  return nullptr;
}

const char* us(const Line& in) {
  const Fields& f = in.f;
  if (f.size() < kFewestUs) return "the line has fewer than 11 fields";
  std::int32_t days = 0, of_day_s = 0;
  if (!quote::read_moment(f.text(3), days, of_day_s)) return quote::kNoTime;
  in.price(kLastPrice, 1);
  in.price(kOpen, 5);
  in.price(kHighest, 6);
  in.price(kLowest, 7);
  in.row.set_count(kVolume, quote::count(f.money(10), 1));
  const std::int64_t ts_ns = quote::beijing_ns(days, of_day_s);  // Sina writes Beijing time for New York
  const std::int32_t day = quote::new_york_days(ts_ns);
  if (const char* reason = quote::date_row(in.row, ts_ns, day, quote::new_york_days(in.now_ns), in.now_ns))
    return reason;
  in.row.trading_day = date_from_days(day);
  in.phase = quote::phase_of(in.row);
  return nullptr;
}

const char* fill(const Line& in) {
  if (in.name.exchange == "HKEX") return hong_kong(in);
  if (in.name.exchange == "US") return us(in);
  if (in.name.kind == Kind::kFuture || in.name.kind == Kind::kCont)
    return std::isnan(in.f.number(0)) ? commodity(in) : financial(in);
  return in.f.size() < kFewestStock ? "the line has fewer than 32 fields" : stock(in);
}

}  // namespace

std::string sina_symbol(const Name& name, const Calendar& calendar) {
  const auto future = [](std::string_view code) {
    const auto end = std::find_if_not(code.begin(), code.end(), is_letter);
    return "nf_" + uppered(code.substr(0, static_cast<std::size_t>(end - code.begin())));
  };
  if (name.kind == Kind::kFuture) {
    if (!name.code.empty() && is_letter(name.code.back())) return "";  // a future on a month's average
    const int month = name.delivery_year % 100 * 100 + name.delivery_month;
    const std::string digits = std::to_string(10000 + month).substr(1);
    return future(name.code) + digits;
  }
  if (name.kind == Kind::kCont) {
    if (name.exchange != "KQ" || !name.code.starts_with("m@")) return "";
    return future(std::string_view(name.code).substr(name.code.find('.') + 1)) + "0";
  }
  const Exchange* exchange = calendar.exchange(name.exchange);
  if (exchange == nullptr || (exchange->kind != "stock" && name.exchange != "US")) return "";
  const bool six = name.code.size() == 6 && all_digits(name.code);
  if (name.exchange == "SSE") return six ? "sh" + name.code : "";
  if (name.exchange == "SZSE") return six ? "sz" + name.code : "";
  if (name.exchange == "BSE") return six ? "bj" + name.code : "";
  if (name.exchange == "HKEX") return "rt_hk" + name.code;
  std::string code = lowered(name.code);
  std::replace(code.begin(), code.end(), '.', '$');  // BRK.B is gb_brk$b
  return "gb_" + code;
}

std::string sina_canonical(std::string_view symbol) {
  if (symbol.starts_with("nf_")) return symbol.size() > 3 && is_letter(symbol[3]) ? std::string(symbol) : "";
  if (symbol.starts_with("CFF_RE_")) return "CFFEX." + std::string(symbol.substr(7));
  if (symbol.starts_with("rt_hk")) symbol.remove_prefix(3);
  if (symbol.starts_with("gb_")) {
    std::string code = uppered(symbol.substr(3));
    std::replace(code.begin(), code.end(), '$', '.');
    return "US." + code;
  }
  if (symbol.size() < 7 || !all_digits(symbol.substr(2))) return "";
  const std::string code(symbol.substr(2));
  if (symbol.starts_with("hk")) return code.size() == 5 ? "HKEX." + code : "";
  if (code.size() != 6) return "";
  if (symbol.starts_with("sh")) return "SSE." + code;
  if (symbol.starts_with("sz")) return "SZSE." + code;
  if (symbol.starts_with("bj")) return "BSE." + code;
  return "";
}

void normalise_sina(std::string_view body, const QuoteContext& context, std::vector<Snapshot>& rows,
                    QuoteReport& report) {
  std::string text;
  decode_gb18030(body, text);
  quote::Statements statements(text, "var hq_str_");
  for (quote::Statement line; statements.next(line);) {
    const std::string symbol(line.symbol);
    Name name;
    if (const char* reason = quote::identify(line, sina_canonical, context, name)) {
      report.refuse(symbol, reason);
      continue;
    }
    const Fields fields(line.value, ',');
    Snapshot row;
    QuotePhase phase = QuotePhase::kTrading;
    const Calendar& calendar = context.instruments.calendar();
    if (const char* reason = fill({fields, name, calendar, context.now_ns, row, phase}))
      report.refuse(symbol, reason);
    else
      quote::take(row, name, Source::kSina, phase, symbol, context, rows, report);
  }
}

}  // namespace qautlra
