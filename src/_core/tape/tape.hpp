// The tape: one ordered record of what the market did, and the last snapshot and bars of every instrument.
//
// A row is compared with the last one once, numbered once and put into a ring that every reader passes at its
// own pace through a cursor. A holding cursor (the log) stops the tape when the ring would overwrite what it
// has not read; a skipping cursor (the hub) is told what it lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "market/bar.hpp"
#include "market/calendar.hpp"
#include "market/instrument.hpp"
#include "market/snapshot.hpp"

namespace qautlra {

enum class Published : std::uint8_t {
  kNew,
  kDuplicate,  // same identity as the last row: dropped, counted
  kLate,       // older than the last row: on the tape for the log, invisible to everyone else
  kFull,       // a holding cursor has not read what this would overwrite: not taken
  kRefused,    // no event time, or an instrument that is not in the table: not taken
};

// Owner: the tape's ring. Immutable from publication until overwritten a whole ring later.
struct Entry {
  Snapshot after;
  Mask mask = 0;  // fields that differ from the row before; 0 for a late row
  std::uint64_t seq = 0;
  std::int64_t stamp_ns = 0;  // CLOCK_MONOTONIC of the batch it was published in
  bool late = false;
};

// One instrument's latest state. Owner: the tape; the address never changes.
struct Line {
  Snapshot last;
  Mask ever = 0;  // fields that have had a value since the start
  std::int64_t stamp_ns = 0;
  BarBuilder builder;
  BarSeries closed;
};

// Owner: the loop thread; nothing here is locked or atomic.
class Tape {
 public:
  struct Span {  // entries [begin, end) to read, after `lost` that were overwritten unread
    std::uint64_t begin, end, lost;
  };
  struct Taken {
    std::size_t rows;  // rows done with, from the first: new, late or duplicate
    bool refused;      // the next one was kRefused (otherwise, if rows < count, the ring is held)
  };
  static constexpr std::size_t kDefaultBars = 10'000;
  static constexpr std::size_t kMaxCursors = 32;

  // `capacity` in entries, a power of two (throws std::invalid_argument). Both tables must outlive the tape.
  Tape(const InstrumentTable& instruments, const Calendar& calendar, std::size_t capacity,
       std::size_t bars_bound = kDefaultBars);
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // One clock read for the whole batch, and every row stamped with it.
  Taken publish(const Snapshot* rows, std::size_t count);
  Published publish(const Snapshot& row);
  // Recovery: sets the last snapshot and the bars as publish would, but puts nothing on the ring. A row not
  // newer than the last is ignored.
  Published restore(const Snapshot& row);

  const Snapshot* last(std::uint32_t instrument) const {
    const Line* l = line(instrument);
    return l ? &l->last : nullptr;
  }
  const Line* line(std::uint32_t instrument) const {
    return instrument < lines_.size() ? lines_[instrument].get() : nullptr;
  }
  const std::vector<std::uint32_t>& seen() const { return seen_; }  // in order of appearance
  const InstrumentTable& instruments() const { return instruments_; }
  const Calendar& calendar() const { return calendar_; }

  std::uint64_t head() const { return head_; }  // number of the next entry
  std::uint64_t oldest() const { return head_ > ring_.size() ? head_ - ring_.size() : 0; }
  const Entry& at(std::uint64_t seq) const { return ring_[seq & (ring_.size() - 1)]; }
  std::size_t capacity() const { return ring_.size(); }
  std::size_t room() const;                            // rows until a holding cursor is full
  std::uint64_t version() const { return version_; }  // changes whenever a last snapshot does
  std::uint64_t restores() const { return restores_; }  // readers that see it change know a gap
  std::uint64_t duplicates() const { return duplicates_; }
  std::uint64_t late() const { return late_; }

  // Cursors start at the head. add_cursor throws std::length_error when there are kMaxCursors.
  int add_cursor(bool hold);
  void remove_cursor(int cursor);
  Span read(int cursor) const;
  void advance(int cursor, std::uint64_t next);

 private:
  struct Cursor {
    std::uint64_t next = 0;
    bool hold = false;
    bool live = false;
  };
  enum class Order : std::uint8_t { kFirst, kNewer, kSame, kOlder, kRefused };

  Order order(const Snapshot& row) const;
  Line& line_for(const Snapshot& row);
  void fold_bar(Line& line, const Snapshot& row, bool first);
  bool held();
  void enter(const Snapshot& row, Mask mask, bool late);

  const InstrumentTable& instruments_;
  const Calendar& calendar_;
  const std::size_t bars_bound_;
  std::vector<Entry> ring_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<std::uint32_t> seen_;
  std::vector<Cursor> cursors_;
  std::uint64_t head_ = 0;
  std::uint64_t floor_ = 0;  // what the slowest holding cursor had read when last asked
  bool holding_ = false;     // whether there is a holding cursor at all
  std::uint64_t version_ = 0;
  std::uint64_t restores_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t late_ = 0;
  std::int64_t stamp_ns_ = 0;
};

// CLOCK_MONOTONIC now, in nanoseconds.
std::int64_t monotonic_ns();

struct InstrumentBar {
  std::uint32_t instrument;
  Bar bar;
};

// Folds stored rows into bars as they come, any instruments mixed, each instrument's rows in time order.
// `whole_days` says that each instrument's rows begin where its trading day does, so that its first row's
// volume is all of this range's. Owner: one pass over stored rows; both tables must outlive it.
class BarFolder {
 public:
  BarFolder(const InstrumentTable& instruments, const Calendar& calendar, std::int64_t period_ns, bool whole_days);
  ~BarFolder();
  BarFolder(const BarFolder&);  // as far as it is: both go on alike
  BarFolder& operator=(const BarFolder&) = delete;

  void add(const Snapshot* rows, std::size_t count);
  // Forgets an instrument: its rows can be added anew, from the first.
  void forget(std::uint32_t instrument);
  // Lets go of bars that are over and open before `open_ns`: somebody has them.
  void drop_before(std::int64_t open_ns);
  // Appends all bars, the open ones too, ordered by (opening time, symbol), and starts anew.
  void finish(std::vector<InstrumentBar>& out);

 private:
  struct Pass;
  const InstrumentTable& instruments_;
  const Calendar& calendar_;
  const std::int64_t period_ns_;
  const bool whole_days_;
  std::unordered_map<std::uint32_t, Pass> passes_;
  std::vector<InstrumentBar> closed_;
};

// The bars of rows that are all at hand: one BarFolder, added to once.
void bars_from_rows(const InstrumentTable& instruments, const Calendar& calendar, const Snapshot* rows,
                    std::size_t count, std::int64_t period_ns, bool whole_days,
                    std::vector<InstrumentBar>& out);

// Minute bars [from, series end) plus the current one, joined into bars of `period_ns` (a multiple of a minute).
void bars_of_line(const Line& line, const Instrument& instrument, const Calendar& calendar,
                  std::int64_t period_ns, std::vector<Bar>& out);

}  // namespace qautlra
