// One-minute bars out of cumulative snapshots: one builder and one bounded series per instrument.
//
// Which bar a row belongs to is the calendar's answer; this file only folds rows into bars. Volume and amount
// are differences of the day's running totals, so what happened while nobody looked goes to the next bar and
// the bars of a trading day add up to the day.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "market/snapshot.hpp"

namespace qautlra {

constexpr std::int64_t kMinuteNs = 60'000'000'000;

struct Bar {
  std::int64_t open_ns = -1;  // label: opening time, Unix ns; -1 = no bar
  double open = kNoPrice;
  double high = kNoPrice;
  double low = kNoPrice;
  double close = kNoPrice;
  double amount = 0.0;
  double open_oi = kNoPrice;   // of the first row that carried one
  double close_oi = kNoPrice;  // of the last row that carried one
  std::int64_t volume = 0;
  std::int32_t trading_day = 0;

  bool empty() const { return open_ns < 0; }

  void start(std::int64_t opened_ns, std::int32_t day, double price) {
    *this = Bar{};
    open_ns = opened_ns;
    trading_day = day;
    open = high = low = close = price;
  }
  void add_price(double price) {
    high = std::max(high, price);
    low = std::min(low, price);
    close = price;
  }
  void add_interest(double interest) {
    if (std::isnan(interest)) return;
    if (std::isnan(open_oi)) open_oi = interest;
    close_oi = interest;
  }
  // Append a later, shorter bar (minutes into hours).
  void merge(const Bar& later) {
    high = std::max(high, later.high);
    low = std::min(low, later.low);
    close = later.close;
    volume += later.volume;
    amount += later.amount;
    if (std::isnan(open_oi)) open_oi = later.open_oi;
    if (!std::isnan(later.close_oi)) close_oi = later.close_oi;
  }
};

// Owner: whoever owns the instrument's line (tape, or one pass over stored rows). Rows come in time order.
class BarBuilder {
 public:
  std::int32_t trading_day() const { return day_; }
  const Bar& current() const { return current_; }

  // A new trading day: the running totals start at nothing, so the auction belongs to the first bar.
  void start_day(std::int32_t day) {
    day_ = day;
    volume_ = 0;
    amount_ = 0.0;
  }
  // Joined in the middle of a day: what was traded before is not ours to put into a bar.
  void join_day(std::int32_t day, const Snapshot& row) {
    start_day(day);
    if (row.has(kVolume)) volume_ = row.count(kVolume);
    if (row.has(kAmount)) amount_ = row.price(kAmount);
  }

  // Whether a stamp lies inside the minute of the current bar, so that nobody need ask the calendar.
  bool in_current(std::int64_t ts_ns, std::int32_t day) const {
    return day == day_ && current_.open_ns >= 0 && ts_ns >= current_.open_ns &&
           ts_ns - current_.open_ns < kMinuteNs;
  }

  // Fold a row into the bar that opens at `open_ns` (-1: none). True when that closed the bar put in `closed`.
  bool add(const Snapshot& row, std::int64_t open_ns, Bar& closed) {
    if (open_ns < 0 || !row.has(kLastPrice)) return false;  // its volume waits for the next bar
    if (open_ns < current_.open_ns) return false;
    const double price = row.price(kLastPrice);
    bool full = false;
    if (open_ns != current_.open_ns) {
      full = !current_.empty();
      if (full) closed = current_;
      current_.start(open_ns, day_, price);
    } else {
      current_.add_price(price);
    }
    current_.add_interest(row.price(kOpenInterest));
    if (row.has(kVolume)) {  // a total that falls is a correction: no negative bar, count on from there
      current_.volume += std::max<std::int64_t>(0, row.count(kVolume) - volume_);
      volume_ = row.count(kVolume);
    }
    if (row.has(kAmount)) {
      current_.amount += std::max(0.0, row.price(kAmount) - amount_);
      amount_ = row.price(kAmount);
    }
    return full;
  }

 private:
  Bar current_;
  std::int32_t day_ = 0;
  std::int64_t volume_ = 0;  // running totals up to the last row that made a bar
  double amount_ = 0.0;
};

// Closed bars of one instrument, oldest dropped beyond the bound. The number of a bar in the series never
// changes: first() .. first() + size() - 1 are held.
class BarSeries {
 public:
  std::uint64_t first() const { return first_; }
  std::size_t size() const { return bars_.size(); }
  const Bar& at(std::uint64_t number) const { return bars_[(number - first_ + head_) % bars_.size()]; }

  void push(const Bar& bar, std::size_t bound) {
    if (bars_.size() < bound) {
      bars_.push_back(bar);
      return;
    }
    bars_[head_] = bar;
    head_ = head_ + 1 == bars_.size() ? 0 : head_ + 1;
    ++first_;
  }

 private:
  std::vector<Bar> bars_;  // grows to the bound, then a ring whose oldest is at head_
  std::size_t head_ = 0;
  std::uint64_t first_ = 0;
};

}  // namespace qautlra
