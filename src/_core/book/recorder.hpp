// A sink that keeps what happened, in order, until it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "book/types.hpp"

namespace qautlra::book {

enum class EventKind : std::uint8_t { kAccepted = 1, kFill, kCancelled, kAmended };

// Of a fill both parties are told, indexed by side; of anything else only the first.
struct Event {
  EventKind kind;
  Side side;  // of the order; of the taker in a fill, kNone in an auction
  Reason reason;
  bool kept_priority;
  std::uint32_t book;
  std::int32_t volume;  // traded; unfilled otherwise
  std::int32_t left[2];
  std::uint32_t account[2];
  std::int64_t price;
  std::uint64_t trade;
  OrderId id[2];
};

// Owner: whoever reads it. Takes any number of events; memory is kept between clears.
class Recorder {
 public:
  explicit Recorder(std::size_t expected = 0) { events_.reserve(expected); }

  void on_accept(const Accepted& a) {
    Event& e = next(EventKind::kAccepted, a.book);
    e.id[0] = a.id;
  }
  void on_fill(const Fill& f) {
    Event& e = next(EventKind::kFill, f.book);
    e.side = f.taker;
    e.volume = f.volume;
    e.price = f.price;
    e.trade = f.trade;
    for (int i = 0; i < 2; ++i) {
      e.id[i] = f.party[i].id;
      e.account[i] = f.party[i].account;
      e.left[i] = f.party[i].left;
    }
  }
  void on_cancel(const Cancelled& c) {
    Event& e = next(EventKind::kCancelled, c.book);
    e.side = c.side;
    e.reason = c.reason;
    e.volume = c.left;
    e.id[0] = c.id;
    e.account[0] = c.account;
  }
  void on_amend(const Amended& a) {
    Event& e = next(EventKind::kAmended, a.book);
    e.kept_priority = a.kept_priority;
    e.price = a.price;
    e.volume = a.left;
    e.id[0] = a.id;
    e.account[0] = a.account;
  }

  const std::vector<Event>& events() const { return events_; }
  std::size_t size() const { return events_.size(); }
  void clear() { events_.clear(); }

 private:
  Event& next(EventKind kind, std::uint32_t book) {
    events_.push_back(Event{});
    Event& e = events_.back();
    e.kind = kind;
    e.book = book;
    return e;
  }
  std::vector<Event> events_;
};

}  // namespace qautlra::book
