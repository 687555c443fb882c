#include "market/normalise_ctp.hpp"

#include <cmath>
#include <cstdlib>

#include "base/time_text.hpp"

namespace qautlra {
namespace {

constexpr std::int64_t kMaxSkewNs = 30 * 60 * kSecondNs;
constexpr std::int32_t kDayBeginS = 8 * 3600, kNightBeginS = 18 * 3600;

// CTP writes DBL_MAX for "none"; a chain through float makes it 3.4e38, so every absurd size is none.
inline double value(double x) { return std::abs(x) < 1e15 ? x : kNoPrice; }

inline std::int64_t instant(std::int32_t days, const CtpDepth& in) {
  return beijing_midnight_ns(days) + in.update_s * kSecondNs + std::int64_t{in.update_ms} * 1'000'000;
}

// Calendar day of a night row that names only its trading day: the evening before it, or the morning after.
std::int32_t night_day(const CtpDepth& in, const Calendar& calendar) {
  const std::int32_t evening = days_from_date(calendar.previous_trading_day(in.trading_day));
  return in.update_s >= kNightBeginS ? evening : evening + 1;
}

bool recorded_instant(const CtpDepth& in, const Instrument& instrument, const Calendar& calendar,
                      std::int64_t& ts_ns) {
  const bool night = in.update_s >= kNightBeginS || in.update_s < kDayBeginS;
  std::int32_t days;
  if (in.action_day == 0 && in.trading_day == 0) return false;
  if (!night) {
    days = days_from_date(in.action_day != 0 ? in.action_day : in.trading_day);
  } else if (instrument.exchange == "DCE" && in.trading_day != 0 &&
             (in.action_day == 0 || in.action_day == in.trading_day)) {
    // DCE writes the trading day into ActionDay at night: the one ActionDay that cannot be trusted.
    days = night_day(in, calendar);
  } else if (in.action_day != 0) {
    days = days_from_date(in.action_day);
  } else if (instrument.exchange == "CZCE") {
    days = days_from_date(in.trading_day);  // CZCE's TradingDay is the natural day
  } else {
    days = night_day(in, calendar);
  }
  ts_ns = instant(days, in);
  return true;
}

std::int64_t live_instant(const CtpDepth& in, std::int64_t now_ns) {
  if (in.update_s >= kDayBeginS && in.update_s < kNightBeginS && in.trading_day != 0) {
    return instant(days_from_date(in.trading_day), in);
  }
  const std::int32_t today = beijing_days(now_ns);
  std::int64_t best = instant(today, in);
  for (const std::int32_t days : {today - 1, today + 1}) {
    const std::int64_t other = instant(days, in);
    if (std::abs(other - now_ns) < std::abs(best - now_ns)) best = other;
  }
  return best;
}

}  // namespace

Normalised normalise(const CtpDepth& in, const Instrument& instrument, const Calendar& calendar,
                     std::int64_t now_ns, bool trust_action_day, Snapshot& out) {
  if (in.update_s < 0 || in.update_s >= kDayS || in.update_ms < 0 || in.update_ms > 999) return Normalised::kNoTime;
  std::int64_t ts_ns = 0;
  if (trust_action_day) {
    if (!recorded_instant(in, instrument, calendar, ts_ns)) return Normalised::kNoDate;
  } else {
    ts_ns = live_instant(in, now_ns);
    if (std::abs(ts_ns - now_ns) > kMaxSkewNs) return Normalised::kSkewed;
  }

  out.clear();
  out.instrument = instrument.id;
  out.ordinal = 0;
  out.ts_recv_ns = now_ns;
  out.trading_day = calendar.trading_day(ts_ns);
  out.source = trust_action_day ? Source::kReplay : Source::kCtp;
  out.set_count(kDatetime, ts_ns);
  out.set_price(kLastPrice, value(in.last_price));
  out.set_price(kOpen, value(in.open));
  out.set_price(kHighest, value(in.highest));
  out.set_price(kLowest, value(in.lowest));
  out.set_price(kPreClose, value(in.pre_close));
  out.set_price(kPreSettlement, value(in.pre_settlement));
  // Chained fronts send both limits as zero when they have none.
  if (in.upper_limit != 0 || in.lower_limit != 0) {
    out.set_price(kUpperLimit, value(in.upper_limit));
    out.set_price(kLowerLimit, value(in.lower_limit));
  }
  out.set_price(kClose, value(in.close));
  out.set_price(kSettlement, value(in.settlement));
  out.set_price(kOpenInterest, value(in.open_interest));
  out.set_price(kPreOpenInterest, value(in.pre_open_interest));
  if (in.volume >= 0) out.set_count(kVolume, in.volume);

  const double multiple = instrument.volume_multiple;
  double amount = value(in.turnover);
  if (instrument.turnover_needs_multiplier) amount *= multiple;
  out.set_price(kAmount, amount);
  double average = value(in.average);
  if (std::isnan(average) || (average == 0 && in.volume > 0)) {
    // CZCE's multicast feed leaves it empty; turnover over volume is the same number.
    average = in.volume > 0 ? amount / static_cast<double>(in.volume) / multiple : kNoPrice;
  } else if (instrument.average_has_multiplier) {
    average /= multiple;
  }
  out.set_price(kAverage, average);

  const auto level = [&out](int price_field, int volume_field, double price, std::int64_t volume) {
    const double x = value(price);
    // Spread prices may be zero or negative, so a quote is judged by its volume.
    if (volume == 0 || std::isnan(x)) return;
    out.set_price(price_field, x);
    if (volume > 0) out.set_count(volume_field, volume);
  };
  for (int i = 0; i < 5; ++i) {
    level(kBidPrice1 + i, kBidVolume1 + i, in.bid_price[i], in.bid_volume[i]);
    level(kAskPrice1 + i, kAskVolume1 + i, in.ask_price[i], in.ask_volume[i]);
  }
  return Normalised::kRow;
}

}  // namespace qautlra
