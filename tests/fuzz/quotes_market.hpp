// A market small enough to compile into a fuzz target, and what must hold of every row the parsers make.
#pragma once

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/time_text.hpp"
#include "market/quote_text.hpp"

namespace quotes_fuzz {

using namespace qautlra;

inline void require(bool ok) {
  if (!ok) std::abort();
}

constexpr std::int64_t kNowNs = 1'763'708'410LL * kSecondNs;  // 2025-11-21 15:00:10 in Beijing

inline Calendar market() {
  Calendar calendar;
  const std::int32_t night =
      calendar.add_sections({"night", {{75'600, 95'400}}, {{32'400, 36'900}, {37'800, 41'400}, {48'600, 54'000}}, 300});
  const std::int32_t day = calendar.add_sections({"day", {}, {{34'200, 41'400}, {46'800, 54'000}}, 300});
  const auto exchange = [&](const char* id, const char* kind, const char* rule, std::int32_t sections) {
    Exchange it;
    it.id = id;
    it.kind = kind;
    it.case_rule = rule;
    it.one_digit_year = it.id == "CZCE";
    it.sections_id = sections;
    calendar.add_exchange(it);
  };
  exchange("SHFE", "futures", "lower", -1);
  exchange("CZCE", "futures", "upper", -1);
  exchange("CFFEX", "futures", "upper", -1);
  exchange("SSE", "stock", "", day);
  exchange("SZSE", "stock", "", day);
  exchange("BSE", "stock", "", day);
  exchange("HKEX", "stock", "", -1);
  exchange("US", "foreign", "", -1);
  const auto product = [&](const char* venue, const char* code, double tick, double multiple, std::int32_t sections) {
    Product it;
    it.exchange = venue;
    it.code = code;
    it.price_tick = tick;
    it.volume_multiple = multiple;
    it.sections_id = sections;
    calendar.add_product(it);
  };
  product("SHFE", "au", 0.02, 1000, night);
  product("SHFE", "rb", 1, 10, night);
  product("CZCE", "SR", 1, 10, night);
  product("CFFEX", "IF", 0.2, 300, day);
  product("CFFEX", "T", 0.005, 10'000, day);
  calendar.finish();
  return calendar;
}

// Parses the bytes and checks every row; returns how many there were.
template <class Parse>
std::size_t run(Parse parse, const std::uint8_t* data, std::size_t size) {
  static const Calendar calendar = market();
  InstrumentTable table(calendar, 20251121);
  const std::vector<char> exact(reinterpret_cast<const char*>(data), reinterpret_cast<const char*>(data) + size);
  std::vector<Snapshot> rows;
  QuoteReport report;
  parse(std::string_view(exact.data(), exact.size()), QuoteContext{table, kNowNs, nullptr}, rows, report);
  require(rows.size() == report.phases.size());
  require(report.refused.size() <= QuoteReport::kMaxRefused && report.refused.size() <= report.refused_count);
  for (const QuoteRefusal& refusal : report.refused) require(refusal.symbol.size() <= 40 && !refusal.reason.empty());
  for (const Snapshot& row : rows) {
    require(row.instrument < table.size() && is_safe_spelling(table.at(row.instrument).symbol));
    require(is_date(row.trading_day) && row.ts_recv_ns == kNowNs && row.has(kLastPrice));
    require(row.ts_event_ns() <= kNowNs + quote::kMaxAheadNs);
    for (int f = 1; f < kFieldCount; ++f) {
      if (!row.has(f)) continue;
      if (is_count(f)) {
        require(row.count(f) >= 0);
      } else {
        require(std::isfinite(row.price(f)));
        const bool quantity = f == kAmount || f == kOpenInterest || f == kPreOpenInterest;
        require(quantity ? row.price(f) >= 0 : row.price(f) > 0);
      }
    }
  }
  return rows.size();
}

}  // namespace quotes_fuzz
