#include "tape/tape.hpp"

#include <time.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

namespace qautlra {

namespace {

std::int32_t day_of(const Calendar& calendar, const Snapshot& row) {
  return row.trading_day != 0 ? row.trading_day : calendar.trading_day(row.ts_event_ns());
}

// Whether nothing of the trading day can have been missed before this row.
bool opens_day(const Instrument& instrument, const Calendar& calendar, const Snapshot& row,
               std::int32_t day) {
  const auto sections = calendar.bounds(instrument.sections_id, day);
  return !sections.empty() && row.ts_event_ns() < sections.front().open_ns + kMinuteNs;
}

// The one place where a row meets a builder: days turn over here.
bool fold(BarBuilder& builder, const Instrument& instrument, const Calendar& calendar, const Snapshot& row,
          bool first, bool whole_days, Bar& closed) {
  const std::int64_t ts = row.ts_event_ns();
  const std::int32_t day = day_of(calendar, row);
  if (builder.in_current(ts, day)) return builder.add(row, builder.current().open_ns, closed);
  if (first) {
    if (whole_days || opens_day(instrument, calendar, row, day)) builder.start_day(day);
    else builder.join_day(day, row);
  } else if (day > builder.trading_day()) {
    builder.start_day(day);
  } else if (day < builder.trading_day()) {
    return false;  // a day that is over gets no more bars
  }
  return builder.add(row, calendar.bar_open(instrument, ts, kMinuteNs), closed);
}

}  // namespace

std::int64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

Tape::Tape(const InstrumentTable& instruments, const Calendar& calendar, std::size_t capacity,
           std::size_t bars_bound)
    : instruments_(instruments), calendar_(calendar), bars_bound_(bars_bound) {
  if (capacity < 2 || (capacity & (capacity - 1)) != 0)
    throw std::invalid_argument("tape capacity must be a power of two of at least 2");
  if (bars_bound == 0) throw std::invalid_argument("a tape keeps at least one bar");
  ring_.resize(capacity);
}

Tape::Order Tape::order(const Snapshot& row) const {
  if (row.instrument >= instruments_.size() || !row.has(kDatetime)) return Order::kRefused;
  const Line* known = line(row.instrument);
  if (known == nullptr) return Order::kFirst;
  const std::int64_t ts = row.ts_event_ns(), last = known->last.ts_event_ns();
  if (ts != last) return ts > last ? Order::kNewer : Order::kOlder;
  if (row.ordinal != known->last.ordinal)
    return row.ordinal > known->last.ordinal ? Order::kNewer : Order::kOlder;
  return Order::kSame;
}

Line& Tape::line_for(const Snapshot& row) {
  if (row.instrument >= lines_.size()) lines_.resize(row.instrument + 1);
  auto& slot = lines_[row.instrument];
  if (!slot) {
    seen_.reserve(seen_.size() + 1);
    slot = std::make_unique<Line>();
    seen_.push_back(row.instrument);
  }
  return *slot;
}

void Tape::fold_bar(Line& line, const Snapshot& row, bool first) {
  Bar closed;
  if (fold(line.builder, instruments_.at(row.instrument), calendar_, row, first, false, closed))
    line.closed.push(closed, bars_bound_);
}

bool Tape::held() {
  if (!holding_ || head_ - floor_ < ring_.size()) return false;
  floor_ = head_;
  for (const Cursor& c : cursors_)
    if (c.live && c.hold) floor_ = std::min(floor_, c.next);
  return head_ - floor_ >= ring_.size();
}

std::size_t Tape::room() const {
  std::uint64_t slowest = head_;
  for (const Cursor& c : cursors_)
    if (c.live && c.hold) slowest = std::min(slowest, c.next);
  return ring_.size() - static_cast<std::size_t>(head_ - slowest);
}

void Tape::enter(const Snapshot& row, Mask mask, bool late) {
  Entry& entry = ring_[head_ & (ring_.size() - 1)];
  entry.after = row;
  entry.mask = mask;
  entry.seq = head_;
  entry.stamp_ns = stamp_ns_;
  entry.late = late;
  ++head_;
}

Published Tape::publish(const Snapshot& row) {
  const Order place = order(row);
  if (place == Order::kRefused) return Published::kRefused;
  if (place == Order::kSame) {
    ++duplicates_;
    return Published::kDuplicate;
  }
  if (held()) return Published::kFull;
  if (place == Order::kOlder) {
    ++late_;
    enter(row, 0, true);
    return Published::kLate;
  }
  Line& line = line_for(row);
  const bool first = place == Order::kFirst;
  const Mask mask = first ? present(row) : changed(line.last, row);
  line.last = row;
  line.ever |= mask;
  line.stamp_ns = stamp_ns_;
  enter(row, mask, false);
  ++version_;
  fold_bar(line, row, first);
  return Published::kNew;
}

Tape::Taken Tape::publish(const Snapshot* rows, std::size_t count) {
  if (count != 0) stamp_ns_ = monotonic_ns();
  for (std::size_t i = 0; i < count; ++i) {
    const Published done = publish(rows[i]);
    if (done == Published::kFull) return {i, false};
    if (done == Published::kRefused) return {i, true};
  }
  return {count, false};
}

Published Tape::restore(const Snapshot& row) {
  const Order place = order(row);
  if (place == Order::kRefused) return Published::kRefused;
  if (place == Order::kSame) return Published::kDuplicate;
  if (place == Order::kOlder) return Published::kLate;
  Line& line = line_for(row);
  line.last = row;
  line.ever |= present(row);
  ++version_;
  ++restores_;
  fold_bar(line, row, place == Order::kFirst);
  return Published::kNew;
}

int Tape::add_cursor(bool hold) {
  auto free = std::find_if(cursors_.begin(), cursors_.end(), [](const Cursor& c) { return !c.live; });
  if (free == cursors_.end()) {
    if (cursors_.size() == kMaxCursors) throw std::length_error("the tape has no cursor left");
    free = cursors_.insert(cursors_.end(), Cursor{});
  }
  *free = Cursor{head_, hold, true};
  if (hold) {
    if (!holding_) floor_ = head_;
    holding_ = true;
  }
  return static_cast<int>(free - cursors_.begin());
}

void Tape::remove_cursor(int cursor) {
  cursors_[static_cast<std::size_t>(cursor)].live = false;
  holding_ = std::any_of(cursors_.begin(), cursors_.end(), [](const Cursor& c) { return c.live && c.hold; });
}

Tape::Span Tape::read(int cursor) const {
  const std::uint64_t next = cursors_[static_cast<std::size_t>(cursor)].next;
  const std::uint64_t begin = std::max(next, oldest());
  return {begin, head_, begin - next};
}

void Tape::advance(int cursor, std::uint64_t next) {
  Cursor& c = cursors_[static_cast<std::size_t>(cursor)];
  c.next = std::clamp(next, c.next, head_);
}

namespace {

// Joins minutes into longer bars as they come, in order.
class Joiner {
 public:
  Joiner(const Instrument& instrument, const Calendar& calendar, std::int64_t period_ns)
      : instrument_(instrument), calendar_(calendar), period_ns_(period_ns) {}

  template <class Out>
  void add(const Bar& minute, Out&& out) {
    if (period_ns_ == kMinuteNs) return out(minute);
    const std::int64_t label = calendar_.bar_open(instrument_, minute.open_ns, period_ns_);
    if (label < 0) return;
    if (joined_.open_ns == label) {  // labels never reach over a trading day's start
      joined_.merge(minute);
      return;
    }
    if (!joined_.empty()) out(joined_);
    joined_ = minute;
    joined_.open_ns = label;
  }
  template <class Out>
  void finish(Out&& out) {
    if (!joined_.empty()) out(joined_);
  }

 private:
  const Instrument& instrument_;
  const Calendar& calendar_;
  const std::int64_t period_ns_;
  Bar joined_;
};

}  // namespace

void bars_of_line(const Line& line, const Instrument& instrument, const Calendar& calendar,
                  std::int64_t period_ns, std::vector<Bar>& out) {
  Joiner joiner(instrument, calendar, period_ns);
  const auto put = [&out](const Bar& bar) { out.push_back(bar); };
  const BarSeries& series = line.closed;
  for (std::uint64_t n = series.first(); n < series.first() + series.size(); ++n)
    joiner.add(series.at(n), put);
  if (!line.builder.current().empty()) joiner.add(line.builder.current(), put);
  joiner.finish(put);
}

struct BarFolder::Pass {
  BarBuilder builder;
  Joiner joiner;
};

BarFolder::BarFolder(const InstrumentTable& instruments, const Calendar& calendar, std::int64_t period_ns,
                     bool whole_days)
    : instruments_(instruments), calendar_(calendar), period_ns_(period_ns), whole_days_(whole_days) {}

BarFolder::~BarFolder() = default;
BarFolder::BarFolder(const BarFolder&) = default;

void BarFolder::add(const Snapshot* rows, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Snapshot& row = rows[i];
    if (row.instrument >= instruments_.size() || !row.has(kDatetime)) continue;
    const Instrument& instrument = instruments_.at(row.instrument);
    const auto [at, first] =
        passes_.try_emplace(row.instrument, Pass{BarBuilder{}, Joiner(instrument, calendar_, period_ns_)});
    Bar closed;
    if (fold(at->second.builder, instrument, calendar_, row, first, whole_days_, closed))
      at->second.joiner.add(closed, [&](const Bar& bar) { closed_.push_back({row.instrument, bar}); });
  }
}

void BarFolder::forget(std::uint32_t instrument) {
  passes_.erase(instrument);
  std::erase_if(closed_, [instrument](const InstrumentBar& bar) { return bar.instrument == instrument; });
}

void BarFolder::drop_before(std::int64_t open_ns) {
  std::erase_if(closed_, [open_ns](const InstrumentBar& bar) { return bar.bar.open_ns < open_ns; });
  closed_.shrink_to_fit();  // a day's bars were there when it was folded first
}

void BarFolder::finish(std::vector<InstrumentBar>& out) {
  for (auto& [id, pass] : passes_) {
    const auto put = [this, instrument = id](const Bar& bar) { closed_.push_back({instrument, bar}); };
    if (!pass.builder.current().empty()) pass.joiner.add(pass.builder.current(), put);
    pass.joiner.finish(put);
  }
  passes_.clear();
  std::sort(closed_.begin(), closed_.end(), [this](const InstrumentBar& a, const InstrumentBar& b) {
    if (a.bar.open_ns != b.bar.open_ns) return a.bar.open_ns < b.bar.open_ns;
    return instruments_.at(a.instrument).symbol < instruments_.at(b.instrument).symbol;
  });
  out.insert(out.end(), closed_.begin(), closed_.end());
  closed_.clear();
}

void bars_from_rows(const InstrumentTable& instruments, const Calendar& calendar, const Snapshot* rows,
                    std::size_t count, std::int64_t period_ns, bool whole_days,
                    std::vector<InstrumentBar>& out) {
  BarFolder folder(instruments, calendar, period_ns, whole_days);
  folder.add(rows, count);
  folder.finish(out);
}

}  // namespace qautlra
