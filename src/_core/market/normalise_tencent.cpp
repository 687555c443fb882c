#include "market/normalise_tencent.hpp"

#include <algorithm>

#include "base/gb18030.hpp"
#include "base/time_text.hpp"

namespace qautlra {
namespace {

using quote::Fields;

constexpr std::size_t kFewestFields = 35;

bool all_digits(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_foreign(const Name& name) { return name.exchange == "HKEX" || name.exchange == "US"; }

// "AAPL.OQ" names AAPL, "00700" names 00700.
bool names_code(std::string_view shown, std::string_view code) {
  return shown == code || (shown.starts_with(code) && shown[code.size()] == '.');
}

double amount_of(const Fields& f, const Name& name) {
  const Fields parts(f.text(35), '/');
  if (parts.size() == 3 && parts.money(2) >= 0) return parts.money(2);
  if (is_foreign(name)) return kNoPrice;
  const double fine = f.money(57) * 1e4;
  return fine >= 0 ? fine : f.money(37) * 1e4;
}

double shares_per_unit(const Fields& f, const Name& name, double amount) {
  const double volume = f.money(6);
  if (is_foreign(name)) return 1;
  if (name.kind == Kind::kIndex || f.text(61) == "ZS") return quote::index_unit(volume, amount, 100);
  const double average = f.price(51), price = average > 0 ? average : f.price(3);
  const double usual = name.kind == Kind::kBond ? 10 : 100;
  return quote::unit_by_amount(volume, amount, price, usual, {100, 1, 10});
}

const char* fill(const Fields& f, const Name& name, const QuoteContext& context, Snapshot& row, QuotePhase& phase) {
  if (!names_code(f.text(2), name.code)) return "the line names another code";
  const std::string_view status = f.text(40);
  if (status.starts_with('D')) return quote::kDelisted;
  std::int32_t days = 0, of_day_s = 0;
  if (!quote::read_moment(f.text(30), days, of_day_s)) return quote::kNoTime;

  row.set_price(kLastPrice, f.price(3));
  row.set_price(kPreClose, f.price(4));
  row.set_price(kOpen, f.price(5));
  row.set_price(kHighest, f.price(33));
  row.set_price(kLowest, f.price(34));
  const double amount = amount_of(f, name);
  const double unit = shares_per_unit(f, name, amount);
  row.set_price(kAmount, amount);
  row.set_count(kVolume, quote::count(f.money(6), unit));
  for (std::size_t i = 0; i < 5; ++i) {
    const int level = static_cast<int>(i);
    quote::set_level(row, level, true, f.price(9 + 2 * i), quote::count(f.money(10 + 2 * i), unit));
    quote::set_level(row, level, false, f.price(19 + 2 * i), quote::count(f.money(20 + 2 * i), unit));
  }
  if (!is_foreign(name)) {
    row.set_price(kUpperLimit, f.price(47));
    row.set_price(kLowerLimit, f.price(48));
    row.set_price(kAverage, f.price(51));
  }

  const bool new_york = name.exchange == "US";
  const std::int64_t ts_ns =
      new_york ? quote::new_york_ns(days, of_day_s) : quote::beijing_ns(days, of_day_s);
  const std::int32_t today = new_york ? quote::new_york_days(context.now_ns) : beijing_days(context.now_ns);
  if (const char* reason = quote::date_row(row, ts_ns, days, today, context.now_ns)) return reason;
  const Calendar& calendar = context.instruments.calendar();
  row.trading_day = is_foreign(name) ? date_from_days(days) : calendar.trading_day(quote::beijing_ns(days, 12 * 3600));
  phase = status.empty() ? quote::phase_of(row) : QuotePhase::kSuspended;
  return nullptr;
}

}  // namespace

std::string tencent_symbol(const Name& name) {
  const bool six = name.code.size() == 6 && all_digits(name.code);
  if (name.exchange == "SSE") return six ? "sh" + name.code : "";
  if (name.exchange == "SZSE") return six ? "sz" + name.code : "";
  if (name.exchange == "BSE") return six ? "bj" + name.code : "";
  if (name.exchange == "HKEX") return "hk" + name.code;
  if (name.exchange == "US") return "us" + name.code;
  return "";
}

std::string tencent_canonical(std::string_view symbol) {
  if (symbol.size() < 3) return "";
  const std::string_view market = symbol.substr(0, 2);
  const std::string code(symbol.substr(2));
  if (market == "us") return "US." + code;
  if (!all_digits(code)) return "";
  if (market == "hk") return code.size() == 5 ? "HKEX." + code : "";
  if (code.size() != 6) return "";
  if (market == "sh") return "SSE." + code;
  if (market == "sz") return "SZSE." + code;
  if (market == "bj") return "BSE." + code;
  return "";
}

void normalise_tencent(std::string_view body, const QuoteContext& context, std::vector<Snapshot>& rows,
                       QuoteReport& report) {
  std::string text;
  decode_gb18030(body, text);
  quote::Statements statements(text, "v_");
  for (quote::Statement line; statements.next(line);) {
    if (line.symbol == "pv_none_match") continue;  // answers for all unknown symbols of a request
    const std::string symbol(line.symbol);
    Name name;
    if (const char* reason = quote::identify(line, tencent_canonical, context, name)) {
      report.refuse(symbol, reason);
      continue;
    }
    const Fields fields(line.value, '~');
    if (fields.size() < kFewestFields) {
      report.refuse(symbol, "the line has " + std::to_string(fields.size()) + " fields, not 35 or more");
      continue;
    }
    Snapshot row;
    QuotePhase phase = QuotePhase::kTrading;
    if (const char* reason = fill(fields, name, context, row, phase)) report.refuse(symbol, reason);
    else quote::take(row, name, Source::kTencent, phase, symbol, context, rows, report);
  }
}

}  // namespace qautlra
