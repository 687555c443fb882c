// CThostFtdcDepthMarketDataField <-> our values. The record's layout comes from ctp/abi/facts.toml.
#pragma once

#include <cfloat>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/time_text.hpp"
#include "facts.hpp"
#include "market/instrument.hpp"
#include "market/normalise_ctp.hpp"
#include "market/snapshot.hpp"

namespace qautlra {

// A depth record with its texts read, as it crosses from CTP's thread to ours: plain bytes, no pointers.
struct CtpTick {
  std::int64_t ts_recv_ns = 0;  // wall clock
  char code[32] = "";
  char exchange[16] = "";
  CtpDepth depth;

  std::string_view code_text() const { return {code, strnlen(code, sizeof code)}; }
  std::string_view exchange_text() const { return {exchange, strnlen(exchange, sizeof exchange)}; }
};
static_assert(sizeof(CtpTick) == 352);

namespace ctp {

template <std::size_t N>
std::string_view field_text(const char (&field)[N]) {
  return {field, strnlen(field, N)};
}

// Nothing here allocates, locks or calls the system: it runs on CTP's thread.
inline void read(const DepthMarketData& in, std::int64_t ts_recv_ns, CtpTick& out) {
  out.ts_recv_ns = ts_recv_ns;
  std::memcpy(out.code, in.InstrumentID, sizeof out.code - 1);
  out.code[sizeof out.code - 1] = '\0';
  static_assert(sizeof in.ExchangeID < sizeof out.exchange);
  std::memcpy(out.exchange, in.ExchangeID, sizeof in.ExchangeID);
  out.exchange[sizeof in.ExchangeID] = '\0';
  CtpDepth& d = out.depth;
  d.trading_day = parse_date(field_text(in.TradingDay));
  d.action_day = parse_date(field_text(in.ActionDay));
  const std::string_view clock = field_text(in.UpdateTime);
  d.update_s = clock.size() == 8 ? parse_clock(clock) : -1;
  d.update_ms = in.UpdateMillisec >= 0 && in.UpdateMillisec <= 999 ? in.UpdateMillisec : -1;
  d.last_price = in.LastPrice;
  d.open = in.OpenPrice;
  d.highest = in.HighestPrice;
  d.lowest = in.LowestPrice;
  d.pre_close = in.PreClosePrice;
  d.pre_settlement = in.PreSettlementPrice;
  d.pre_open_interest = in.PreOpenInterest;
  d.upper_limit = in.UpperLimitPrice;
  d.lower_limit = in.LowerLimitPrice;
  d.close = in.ClosePrice;
  d.settlement = in.SettlementPrice;
  d.open_interest = in.OpenInterest;
  d.turnover = in.Turnover;
  d.average = in.AveragePrice;
  d.volume = in.Volume;
#define QAUTLRA_LEVEL(n)                       \
  d.bid_price[n - 1] = in.BidPrice##n;         \
  d.ask_price[n - 1] = in.AskPrice##n;         \
  d.bid_volume[n - 1] = in.BidVolume##n;       \
  d.ask_volume[n - 1] = in.AskVolume##n;
  QAUTLRA_LEVEL(1) QAUTLRA_LEVEL(2) QAUTLRA_LEVEL(3) QAUTLRA_LEVEL(4) QAUTLRA_LEVEL(5)
#undef QAUTLRA_LEVEL
}

// What a front would say of the snapshot: units of the instrument's exchange, DBL_MAX for "no value".
// `normalise` of what this writes is the snapshot again.
void write(const Snapshot& row, const qautlra::Instrument& instrument, DepthMarketData& out);

}  // namespace ctp
}  // namespace qautlra
