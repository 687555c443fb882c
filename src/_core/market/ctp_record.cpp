#include "market/ctp_record.hpp"

#include <algorithm>
#include <cmath>

namespace qautlra::ctp {
namespace {

template <std::size_t N>
void put(char (&field)[N], std::string_view text) {
  std::memcpy(field, text.data(), std::min(text.size(), N - 1));
}

void put_date(char (&field)[9], std::int32_t yyyymmdd) {
  for (int i = 7; i >= 0; --i, yyyymmdd /= 10) field[i] = static_cast<char>('0' + yyyymmdd % 10);
}

void put_clock(char (&field)[9], std::int32_t second) {
  const std::int32_t parts[3] = {second / 3600, second / 60 % 60, second % 60};
  for (int i = 0; i < 3; ++i) {
    field[i * 3] = static_cast<char>('0' + parts[i] / 10);
    field[i * 3 + 1] = static_cast<char>('0' + parts[i] % 10);
    if (i < 2) field[i * 3 + 2] = ':';
  }
}

double value(double x) { return std::isnan(x) ? DBL_MAX : x; }
std::int32_t count(std::int64_t x) {
  return x == kNoCount ? 0 : static_cast<std::int32_t>(std::clamp<std::int64_t>(x, 0, INT32_MAX));
}

}  // namespace

void write(const Snapshot& row, const qautlra::Instrument& instrument, DepthMarketData& out) {
  out = {};
  const std::int64_t ts_ns = row.ts_event_ns();
  const std::int32_t days = beijing_days(ts_ns);
  const std::int64_t of_day = ts_ns - beijing_midnight_ns(days);
  put_date(out.TradingDay, row.trading_day);
  put_date(out.ActionDay, date_from_days(days));
  put(out.InstrumentID, instrument.code);
  put(out.ExchangeID, instrument.exchange);
  put(out.ExchangeInstID, instrument.code);
  put_clock(out.UpdateTime, static_cast<std::int32_t>(of_day / kSecondNs));
  out.UpdateMillisec = static_cast<std::int32_t>(of_day % kSecondNs / 1'000'000);
  out.LastPrice = value(row.price(kLastPrice));
  out.OpenPrice = value(row.price(kOpen));
  out.HighestPrice = value(row.price(kHighest));
  out.LowestPrice = value(row.price(kLowest));
  out.PreClosePrice = value(row.price(kPreClose));
  out.PreSettlementPrice = value(row.price(kPreSettlement));
  out.PreOpenInterest = value(row.price(kPreOpenInterest));
  out.UpperLimitPrice = value(row.price(kUpperLimit));
  out.LowerLimitPrice = value(row.price(kLowerLimit));
  out.ClosePrice = value(row.price(kClose));
  out.SettlementPrice = value(row.price(kSettlement));
  out.OpenInterest = value(row.price(kOpenInterest));
  out.PreDelta = out.CurrDelta = DBL_MAX;
  out.Volume = count(row.count(kVolume));
  const double multiple = instrument.volume_multiple;
  const double amount = row.price(kAmount), average = row.price(kAverage);
  out.Turnover = value(instrument.turnover_needs_multiplier ? amount / multiple : amount);
  out.AveragePrice = value(instrument.average_has_multiplier ? average * multiple : average);
#define QAUTLRA_LEVEL(n)                                       \
  out.BidPrice##n = value(row.price(kBidPrice1 + n - 1));      \
  out.AskPrice##n = value(row.price(kAskPrice1 + n - 1));      \
  out.BidVolume##n = count(row.count(kBidVolume1 + n - 1));    \
  out.AskVolume##n = count(row.count(kAskVolume1 + n - 1));
  QAUTLRA_LEVEL(1) QAUTLRA_LEVEL(2) QAUTLRA_LEVEL(3) QAUTLRA_LEVEL(4) QAUTLRA_LEVEL(5)
#undef QAUTLRA_LEVEL
}

}  // namespace qautlra::ctp
