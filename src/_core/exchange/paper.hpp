// What joins the tape to the exchange: a cursor that gives the newest snapshots to the instruments anyone has an
// order or a position in, and to the one an order comes in for.
#pragma once

#include <cstdint>
#include <vector>

#include "exchange/exchange.hpp"
#include "tape/tape.hpp"

namespace qautlra::exchange {

// Owner: the loop thread, as the exchange and the tape, which outlive it. When the tape was overwritten unread,
// every joined instrument is looked at: only the latest counts.
class PaperFeed {
 public:
  PaperFeed(Exchange& exchange, Tape& tape) : x_(exchange), tape_(tape), cursor_(tape.add_cursor(false)) {}
  ~PaperFeed() { tape_.remove_cursor(cursor_); }
  PaperFeed(const PaperFeed&) = delete;
  PaperFeed& operator=(const PaperFeed&) = delete;

  // `instrument` of the exchange is `line` of the tape.
  void join(std::uint32_t instrument, std::uint32_t line);
  // A phase has begun, or a day: the newest snapshot is shown anew, at once where an order lives, otherwise before the
  // next one. Snapshots from before `since_ns` show no book: they are of a section that is over.
  void begin_phase(std::uint32_t instrument, std::int64_t since_ns);
  bool joined(std::uint32_t instrument) const { return instrument < joined_.size() && joined_[instrument].line != kNone; }

  // Takes what came since the last call; instruments whose accounts or orders it may have changed go to `touched`.
  void step(std::vector<std::uint32_t>& touched);
  // Takes the newest snapshot of one instrument, whoever is interested: before an order of it.
  void refresh(std::uint32_t instrument);

 private:
  struct Joined {
    std::uint32_t line = kNone;
    std::uint32_t ordinal = 0;
    std::int64_t ts_ns = 0;     // of the snapshot taken last
    std::int64_t floor_ns = 0;
    bool showing = false;       // the street shows that snapshot
    bool dirty = false;
  };

  void take(std::uint32_t instrument, bool with_book);
  void show(std::uint32_t instrument, const Snapshot& s);

  Exchange& x_;
  Tape& tape_;
  const int cursor_;
  std::vector<Joined> joined_;          // by instrument of the exchange
  std::vector<std::uint32_t> by_line_;  // instrument + 1; 0: not joined
  std::vector<std::uint32_t> dirty_;
};

}  // namespace qautlra::exchange
