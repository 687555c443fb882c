// CTP depth market data -> Snapshot: no-value rules, units, event time and trading day (contract 4.3, 4.4).
#pragma once

#include <cstdint>

#include "market/calendar.hpp"
#include "market/instrument.hpp"
#include "market/snapshot.hpp"

namespace qautlra {

// The values of CThostFtdcDepthMarketDataField that are used. Missing prices are NaN, missing volumes kNoCount.
struct CtpDepth {
  std::int32_t trading_day = 0;  // YYYYMMDD, 0 when empty
  std::int32_t action_day = 0;
  std::int32_t update_s = -1;  // seconds of the day, -1 when empty or unreadable
  std::int32_t update_ms = 0;
  double last_price = kNoPrice, open = kNoPrice, highest = kNoPrice, lowest = kNoPrice;
  double pre_close = kNoPrice, pre_settlement = kNoPrice, pre_open_interest = kNoPrice;
  double upper_limit = kNoPrice, lower_limit = kNoPrice;
  double close = kNoPrice, settlement = kNoPrice, open_interest = kNoPrice;
  double turnover = kNoPrice, average = kNoPrice;
  std::int64_t volume = kNoCount;
  double bid_price[5] = {kNoPrice, kNoPrice, kNoPrice, kNoPrice, kNoPrice};
  double ask_price[5] = {kNoPrice, kNoPrice, kNoPrice, kNoPrice, kNoPrice};
  std::int64_t bid_volume[5] = {kNoCount, kNoCount, kNoCount, kNoCount, kNoCount};
  std::int64_t ask_volume[5] = {kNoCount, kNoCount, kNoCount, kNoCount, kNoCount};
};

enum class Normalised : std::uint8_t {
  kRow,
  kNoTime,   // UpdateTime empty or unreadable
  kNoDate,   // no usable day
  kSkewed,   // live only: more than 30 minutes from now
};

// Fills everything of `out` but ordinal and source. `trust_action_day` is for recorded data, whose clock is
// its own; live rows choose the day nearest to `now_ns` and refuse what is more than 30 minutes away.
Normalised normalise(const CtpDepth& in, const Instrument& instrument, const Calendar& calendar,
                     std::int64_t now_ns, bool trust_action_day, Snapshot& out);

}  // namespace qautlra
