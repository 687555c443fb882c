#include "market/sim.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qautlra {
namespace {

constexpr double kTen[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
constexpr std::int64_t kMinuteNs = 60'000'000'000;

// Later first, so that the heap's front is the earliest; equal stamps in the order of addition.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.at != b.at ? a.at > b.at : a.index > b.index;
};

double unit(std::uint64_t x) { return static_cast<double>(x >> 11) * 0x1.0p-53; }

}  // namespace

Simulator::Simulator(double rate_factor) : rate_factor_(rate_factor) {}

std::uint64_t Simulator::draw(Walk& w) {  // splitmix64
  std::uint64_t z = (w.random += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::int64_t Simulator::pick(Walk& w, std::int64_t bound) {
  return static_cast<std::int64_t>(draw(w) % static_cast<std::uint64_t>(bound));
}

// One division of two exact integers: the double nearest to the decimal price, so it prints short.
double Simulator::price_of(const Walk& w, std::int64_t ticks) {
  return static_cast<double>(ticks * w.spec.tick_units) / kTen[w.spec.price_decimals];
}

std::int64_t Simulator::ticks_of(const Walk& w, double price) {
  return std::llround(price * kTen[w.spec.price_decimals] / static_cast<double>(w.spec.tick_units));
}

std::int64_t Simulator::new_level(Walk& w, int level) {
  const std::int64_t mean = w.spec.depth_lots * (4 + level) / 4;
  return 1 + mean / 4 + pick(w, mean + mean / 2 + 1);
}

void Simulator::set_limits(Walk& w) {
  const std::int64_t base = w.spec.pre_settlement > 0 ? w.spec.pre_settlement : w.spec.pre_close;
  const auto band = static_cast<std::int64_t>(static_cast<double>(base) * w.spec.limit_ratio);
  w.upper = base + std::max<std::int64_t>(band, 2);
  w.lower = std::max<std::int64_t>(base - std::max<std::int64_t>(band, 2), 1);
}

void Simulator::start_book(Walk& w) {
  for (int i = 0; i < kLevels; ++i) {
    w.bid_lots[i] = new_level(w, i);
    w.ask_lots[i] = new_level(w, i);
  }
}

std::size_t Simulator::add(const SimInstrument& spec) {
  Walk w;
  w.spec = spec;
  w.random = spec.seed;
  w.interval = std::max<std::int64_t>(
      std::llround(1e6 / (spec.ticks_per_s * rate_factor_)) * kGrain, kGrain);
  w.anchor = spec.last;
  set_limits(w);
  w.bid = std::clamp(spec.last, w.lower, w.upper - 1);
  // Variance per minute in ticks^2; moves are wide enough that even a slow cadence can carry it.
  const double sigma = static_cast<double>(spec.last) * spec.sigma_per_minute;
  const double per_step = sigma * sigma * static_cast<double>(w.interval) / static_cast<double>(kMinuteNs);
  w.jump = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(std::sqrt(2 * per_step))));
  w.move_per_ns = sigma * sigma / (static_cast<double>(w.jump * w.jump) * static_cast<double>(kMinuteNs));
  start_book(w);
  w.row.instrument = spec.instrument;
  w.row.source = Source::kSim;
  w.row.trading_day = trading_day_;
  write_day(w);
  write_totals(w);
  write_book(w);
  walks_.push_back(w);
  heap_.reserve(walks_.size());
  ticks_per_s_ += 1e9 / static_cast<double>(w.interval);
  const std::size_t index = walks_.size() - 1;
  if (close_ns_ > 0) schedule(index, from_ns_);
  return index;
}

void Simulator::restore(std::size_t index, const Snapshot& row) {
  Walk& w = walks_[index];
  auto price = [&](int f, std::int64_t otherwise) {
    return row.has(f) ? ticks_of(w, row.price(f)) : otherwise;
  };
  SimInstrument& s = w.spec;
  s.last = price(kLastPrice, s.last);
  s.pre_close = price(kPreClose, s.pre_close);
  if (s.pre_settlement > 0) s.pre_settlement = price(kPreSettlement, s.pre_settlement);
  s.open = price(kOpen, 0);
  s.highest = price(kHighest, 0);
  s.lowest = price(kLowest, 0);
  s.volume = row.has(kVolume) ? row.count(kVolume) : 0;
  s.amount = row.has(kAmount) ? row.price(kAmount) : 0;
  if (s.open_interest >= 0) {
    if (row.has(kOpenInterest)) s.open_interest = std::llround(row.price(kOpenInterest));
    if (row.has(kPreOpenInterest)) s.pre_open_interest = std::llround(row.price(kPreOpenInterest));
  }
  set_limits(w);
  if (row.has(kUpperLimit)) w.upper = ticks_of(w, row.price(kUpperLimit));
  if (row.has(kLowerLimit)) w.lower = ticks_of(w, row.price(kLowerLimit));
  w.bid = std::clamp(s.last, w.lower, std::max(w.lower, w.upper - 1));
  w.anchor = s.last;
  w.stamp = row.ts_event_ns();
  w.row.trading_day = row.trading_day;
  if (row.trading_day != trading_day_) settle(w, trading_day_);
  write_day(w);
  write_totals(w);
  write_book(w);
}

void Simulator::retire(std::size_t index) {
  Walk& w = walks_[index];
  if (!w.active) return;
  w.active = false;
  ticks_per_s_ -= 1e9 / static_cast<double>(w.interval);
  std::erase_if(heap_, [&](const Due& d) { return d.index == index; });
  std::make_heap(heap_.begin(), heap_.end(), kLater);
}

// In ticks; 0 for what is not settled.
std::int64_t Simulator::settlement_of(const Walk& w) {
  const SimInstrument& s = w.spec;
  if (s.pre_settlement <= 0) return 0;
  const double lots = static_cast<double>(s.volume) * s.volume_multiple;
  return lots > 0 ? ticks_of(w, s.amount / lots) : s.last;
}

void Simulator::settle(Walk& w, std::int32_t trading_day) {
  SimInstrument& s = w.spec;
  s.pre_close = s.last;
  s.pre_settlement = settlement_of(w);
  w.row.set_price(kClose, kNoPrice);
  w.row.set_price(kSettlement, kNoPrice);
  s.open = s.highest = s.lowest = 0;
  s.volume = 0;
  s.amount = 0;
  s.pre_open_interest = s.open_interest;
  w.anchor = s.last;
  w.row.trading_day = trading_day;
  set_limits(w);
  w.bid = std::clamp(w.bid, w.lower, w.upper - 1);
}

void Simulator::begin_day(std::int32_t trading_day) {
  trading_day_ = trading_day;
  for (Walk& w : walks_) {
    if (w.row.trading_day == trading_day) continue;
    // A freshly added instrument already stands at the day's start.
    if (w.row.trading_day == 0) w.row.trading_day = trading_day;
    else settle(w, trading_day);
    write_day(w);
    write_totals(w);
    write_book(w);
  }
}

void Simulator::schedule(std::size_t index, std::int64_t at) {
  Walk& w = walks_[index];
  // Spread the instruments over their interval, so that their rows do not come in one lump.
  const std::int64_t phase = (static_cast<std::int64_t>(index + 1) * 7919 * kGrain) % w.interval;
  heap_.push_back({at + phase, static_cast<std::uint32_t>(index)});
  std::push_heap(heap_.begin(), heap_.end(), kLater);
}

void Simulator::open_section(std::int64_t from_ns, std::int64_t close_ns) {
  from_ns = (from_ns + kGrain - 1) / kGrain * kGrain;
  if (close_ns_ == 0) {
    for (std::size_t i = 0; i < walks_.size(); ++i)
      if (walks_[i].active) schedule(i, from_ns);
  } else {
    const std::int64_t shift = from_ns - close_ns_;
    for (Due& d : heap_) d.at = std::max(d.at + shift, from_ns);
    std::make_heap(heap_.begin(), heap_.end(), kLater);
  }
  from_ns_ = from_ns;
  close_ns_ = close_ns;
}

bool Simulator::pop_before(std::int64_t until_ns, Due& out) {
  if (heap_.empty() || heap_.front().at >= until_ns) return false;
  out = heap_.front();
  std::pop_heap(heap_.begin(), heap_.end(), kLater);
  heap_.back() = {out.at + walks_[out.index].interval, out.index};
  std::push_heap(heap_.begin(), heap_.end(), kLater);
  return true;
}

std::size_t Simulator::run(std::int64_t until_ns, std::size_t max_rows, std::vector<Snapshot>& out) {
  const std::int64_t until = std::min(until_ns, close_ns_);
  std::size_t made = 0;
  Due d{};
  while (made < max_rows && pop_before(until, d)) {
    Walk& w = walks_[d.index];
    if (d.at <= w.stamp) continue;  // already stored before a restart
    step(w, d.at);
    out.push_back(w.row);
    ++made;
  }
  return made;
}

std::size_t Simulator::blast(std::int64_t now_ns, std::size_t rows, std::vector<Snapshot>& out) {
  const std::int64_t now = now_ns / kGrain * kGrain;
  const std::size_t n = walks_.size();
  std::size_t made = 0, silent = 0;
  while (made < rows && silent < n) {
    Walk& w = walks_[turn_];
    turn_ = turn_ + 1 == n ? 0 : turn_ + 1;
    if (!w.active) {
      ++silent;
      continue;
    }
    silent = 0;
    step(w, std::max(now, w.stamp + kGrain));
    out.push_back(w.row);
    ++made;
  }
  return made;
}

void Simulator::close_day(std::vector<Snapshot>& out) {
  for (Walk& w : walks_) {
    if (!w.active) continue;
    w.stamp = std::max(close_ns_ - kGrain, w.stamp + kGrain);
    w.row.set_count(kDatetime, w.stamp);
    w.row.ts_recv_ns = w.stamp;
    w.row.set_price(kClose, price_of(w, w.spec.last));
    if (const std::int64_t settlement = settlement_of(w); settlement > 0)
      w.row.set_price(kSettlement, price_of(w, settlement));
    out.push_back(w.row);
  }
}

std::int64_t Simulator::due(std::size_t ahead) const {
  if (heap_.empty()) return std::numeric_limits<std::int64_t>::max();
  if (ahead == 0)
    return heap_.front().at < close_ns_ ? heap_.front().at : std::numeric_limits<std::int64_t>::max();
  // Played ahead on a copy of the schedule; only bursts ask for it.
  scratch_ = heap_;
  for (std::size_t i = 0;; ++i) {
    const Due d = scratch_.front();
    if (d.at >= close_ns_) return std::numeric_limits<std::int64_t>::max();
    if (i == ahead) return d.at;
    std::pop_heap(scratch_.begin(), scratch_.end(), kLater);
    scratch_.back().at = d.at + walks_[d.index].interval;
    std::push_heap(scratch_.begin(), scratch_.end(), kLater);
  }
}

// Moving by k ticks opens k new levels on one side and takes k off the other.
void Simulator::shift_book(Walk& w, std::int64_t by) {
  std::int64_t* thin = by > 0 ? w.ask_lots : w.bid_lots;
  std::int64_t* thick = by > 0 ? w.bid_lots : w.ask_lots;
  const int k = static_cast<int>(std::min<std::int64_t>(std::abs(by), kLevels));
  for (int i = 0; i < kLevels - k; ++i) thin[i] = thin[i + k];
  for (int i = kLevels - k; i < kLevels; ++i) thin[i] = new_level(w, i);
  for (int i = kLevels - 1; i >= k; --i) thick[i] = thick[i - k];
  for (int i = 0; i < k; ++i) thick[i] = new_level(w, i);
}

// Levels beyond the day's limits do not exist: no price, no volume.
void Simulator::write_book(Walk& w) {
  for (int i = 0; i < kLevels; ++i) {
    const std::int64_t bid = w.bid - i;
    const std::int64_t ask = w.bid + 1 + i;
    const bool bid_there = bid >= w.lower;
    const bool ask_there = ask <= w.upper;
    w.row.set_price(kBidPrice1 + i, bid_there ? price_of(w, bid) : kNoPrice);
    w.row.set_count(kBidVolume1 + i, bid_there ? w.bid_lots[i] * w.spec.lot : kNoCount);
    w.row.set_price(kAskPrice1 + i, ask_there ? price_of(w, ask) : kNoPrice);
    w.row.set_count(kAskVolume1 + i, ask_there ? w.ask_lots[i] * w.spec.lot : kNoCount);
  }
}

void Simulator::write_totals(Walk& w) {
  const SimInstrument& s = w.spec;
  w.row.set_price(kLastPrice, price_of(w, s.last));
  w.row.set_price(kOpen, s.open > 0 ? price_of(w, s.open) : kNoPrice);
  w.row.set_price(kHighest, s.highest > 0 ? price_of(w, s.highest) : kNoPrice);
  w.row.set_price(kLowest, s.lowest > 0 ? price_of(w, s.lowest) : kNoPrice);
  w.row.set_count(kVolume, s.volume);
  w.row.set_price(kAmount, s.amount);
  const double lots = static_cast<double>(s.volume) * s.volume_multiple;
  // Two digits beyond the price's own, as exchanges print averages.
  const double scale = kTen[std::min(s.price_decimals + 2, 8)];
  w.row.set_price(kAverage, lots > 0 ? std::round(s.amount / lots * scale) / scale : kNoPrice);
  if (s.open_interest >= 0) w.row.set_price(kOpenInterest, static_cast<double>(s.open_interest));
}

void Simulator::write_day(Walk& w) {
  const SimInstrument& s = w.spec;
  w.row.set_price(kPreClose, price_of(w, s.pre_close));
  w.row.set_price(kPreSettlement, s.pre_settlement > 0 ? price_of(w, s.pre_settlement) : kNoPrice);
  w.row.set_price(kUpperLimit, price_of(w, w.upper));
  w.row.set_price(kLowerLimit, price_of(w, w.lower));
  if (s.pre_open_interest >= 0)
    w.row.set_price(kPreOpenInterest, static_cast<double>(s.pre_open_interest));
}

void Simulator::step(Walk& w, std::int64_t stamp) {
  SimInstrument& s = w.spec;
  const std::int64_t since = w.stamp > 0 ? std::min(stamp - w.stamp, w.interval * 4) : w.interval;
  w.stamp = stamp;
  w.row.set_count(kDatetime, stamp);
  w.row.ts_recv_ns = stamp;  // received in market time too, so that a seed repeats rows byte for byte

  if (unit(draw(w)) < w.move_per_ns * static_cast<double>(since)) {
    const double band = static_cast<double>(std::max<std::int64_t>(w.upper - w.lower, 1));
    const double up = 0.5 - 2 * static_cast<double>(w.bid - w.anchor) / band;
    std::int64_t by = unit(draw(w)) < up ? w.jump : -w.jump;
    // bid == upper is a market locked at its upper limit (no ask), bid == lower - 1 at its lower one.
    by = std::clamp(w.bid + by, w.lower - 1, w.upper) - w.bid;
    if (by != 0) {
      shift_book(w, by);
      w.bid += by;
      write_book(w);
    }
  }

  const std::uint64_t dice = draw(w);
  const bool ask_there = w.bid + 1 <= w.upper;
  const bool bid_there = w.bid >= w.lower;
  if ((dice & 15) != 0) {  // trades in most snapshots
    const bool lift = bid_there ? (ask_there && (dice & 16)) : true;
    const std::int64_t lots = 1 + pick(w, 2 * s.lots_per_trade - 1);
    const std::int64_t volume = lots * s.lot;
    s.last = lift ? w.bid + 1 : w.bid;
    s.volume += volume;
    s.amount += static_cast<double>(volume) * s.volume_multiple * price_of(w, s.last);
    if (s.open == 0) s.open = s.highest = s.lowest = s.last;
    s.highest = std::max(s.highest, s.last);
    s.lowest = std::min(s.lowest, s.last);
    if (s.open_interest >= 0)
      s.open_interest = std::max<std::int64_t>(s.open_interest + pick(w, 2 * lots + 1) - lots, 100);
    write_totals(w);
  }

  // The touched levels breathe; now and then a deeper one does.
  const int level = (dice & 0xe0) == 0 ? static_cast<int>((dice >> 8) % kLevels) : 0;
  const std::int64_t breath = std::max<std::int64_t>(s.depth_lots / 8, 2);
  auto breathe = [&](std::int64_t& lots, std::int64_t mean) {
    lots += pick(w, 2 * breath + 1) - breath + (lots < mean / 2) - (lots > mean * 2);
    lots = std::max<std::int64_t>(lots, 1);
  };
  if (bid_there) {
    breathe(w.bid_lots[level], s.depth_lots);
    if (w.bid - level >= w.lower) w.row.set_count(kBidVolume1 + level, w.bid_lots[level] * s.lot);
  }
  if (ask_there) {
    breathe(w.ask_lots[level], s.depth_lots);
    if (w.bid + 1 + level <= w.upper) w.row.set_count(kAskVolume1 + level, w.ask_lots[level] * s.lot);
  }
  if (s.has_iopv) w.row.set_price(kIopv, price_of(w, s.last));
}

}  // namespace qautlra
