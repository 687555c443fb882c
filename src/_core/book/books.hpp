// The order books of all instruments: price-time priority, order types, amendment, call auction, phases.
//
// No clock, no names, no money: prices are ticks, accounts are numbers, phases come from outside. Nothing
// throws and, once books and bands are set, nothing allocates. Everything that happens goes to the caller's
// sink, in order, before the call returns:
//   on_accept(const Accepted&)  on_fill(const Fill&)  on_cancel(const Cancelled&)  on_amend(const Amended&)
// A sink must not call back into the books. One that has on_next(slot) is told of the order that is likely to be
// filled after the one it is told of next, so that it can fetch what it keeps of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "book/ladder.hpp"
#include "book/pool.hpp"
#include "book/rules.hpp"
#include "book/types.hpp"

namespace qautlra::book {

// One instrument. Owner: Books.
struct Book {
  std::int64_t base = 0;   // price of level 0: the lower price limit
  std::uint32_t size = 0;  // levels; the last is the upper price limit
  Phase phase = Phase::kClosed;
  bool has_last = false;
  bool has_reference = false;
  Rules rules;
  std::uint32_t takes = 0;  // kinds that need no second look in this phase; follows from phase and rules
  std::uint32_t plain_max = 0;  // lots that a plain order may have without a look at the rules; follows, too
  Ladder<Side::kBuy> bids;
  Ladder<Side::kSell> asks;
  std::int64_t last = 0;       // price of the last trade of the day
  std::int64_t volume = 0;     // traded today
  std::int64_t reference = 0;  // previous settlement (futures) or close (stocks)

  template <Side kSide>
  auto& side() {
    if constexpr (kSide == Side::kBuy) return bids;
    else return asks;
  }
  template <Side kSide>
  const auto& side() const {
    if constexpr (kSide == Side::kBuy) return bids;
    else return asks;
  }
  std::int64_t price_of(std::int32_t level) const { return base + level; }
  std::int64_t upper() const { return base + size - 1; }
  bool tracks_own() const { return rules.self_trade != SelfTrade::kAllow; }
  bool cancels_own() const { return tracks_own() && rules.self_trade != SelfTrade::kRejectTaker; }
  void follow() {
    constexpr std::uint32_t immediate =
        kLimitFak | kLimitFok | kAny | kAnyFok | kBest | kBestFok | kFiveLevel | kFiveLevelFok;
    takes = phase == Phase::kContinuous ? rules.kinds & ~static_cast<std::uint32_t>(kLimitGfa)
            : is_auction(phase)         ? rules.kinds & ~immediate
                                        : 0;
    const bool by_one =
        std::max({rules.volume_min[0], rules.volume_min[1], rules.volume_step[0], rules.volume_step[1]}) == 1;
    plain_max = by_one && (takes & kLimitGfd) != 0 ? static_cast<std::uint32_t>(rules.volume_max) : 0;
  }
};

struct Bounds {
  std::uint32_t live_orders_max = 1u << 18;        // all books together, below 2^24; beyond: kFull
  std::uint32_t accounts_max = 1u << 16;           // account numbers are below it; beyond: kNoAccount
  std::uint32_t levels_per_book_max = 1u << 20;    // ticks of one price band; beyond: kBadParameters
  std::uint64_t levels_max = std::uint64_t{1} << 26;  // of all books; beyond: kFull
};

// Owner: one thread.
class Books {
 public:
  static constexpr std::uint32_t kBooksMax = 65'536;
  static constexpr std::uint32_t kSlotsMax = (1u << kSlotBits) - 1;

  explicit Books(const Bounds& bounds = {});
  Books(const Books&) = delete;
  Books& operator=(const Books&) = delete;
  bool ready() const { return ready_; }  // false: no memory, or bounds that cannot be

  // A closed, empty book; its number is the count of books before it.
  Code add(const Rules& rules, const Band& band, std::uint32_t& index);
  std::uint32_t size() const { return count_; }
  const Book& at(std::uint32_t index) const { return books_[index]; }

  // Whether insert() would take the order. Changes nothing.
  inline Code check(std::uint32_t book, const NewOrder& order) const;
  // Whether place() may enter a level of the market's own: phase and price limits count for it, lots do not.
  bool stands(std::uint32_t book, std::int64_t price) const {
    const Book& b = books_[book];
    return takes_orders(b.phase) && price >= b.base && price <= b.upper() && !pool_.full();
  }
  // Enters an order for which check() has just said kOk.
  template <class Sink>
  Placed place(std::uint32_t book, const NewOrder& order, Sink& sink);
  template <class Sink>
  Placed insert(std::uint32_t book, const NewOrder& order, Sink& sink) {
    const Code code = check(book, order);
    if (code != Code::kOk) [[unlikely]] return {0, order.volume, code, false};
    return place(book, order, sink);
  }

  // Withdraws an order where the phase lets its owner do so.
  template <class Sink>
  Code cancel(OrderId id, Sink& sink);
  // Withdraws an order whatever the phase.
  template <class Sink>
  Code remove(OrderId id, Reason reason, Sink& sink);
  template <class Sink>
  std::uint32_t remove_account(std::uint32_t account, Reason reason, Sink& sink);

  Code check_amend(OrderId id, std::int64_t price, std::int32_t left) const;
  // Sets price and unfilled volume. Less volume at the same price keeps the place in the queue, anything else
  // goes to the end of it and trades at once where it crosses. The order keeps its handle.
  template <class Sink>
  Placed amend(OrderId id, std::int64_t price, std::int32_t left, Sink& sink);

  // Leaving an auction matches it first; entering a break or the close ends GFS orders.
  template <class Sink>
  Code set_phase(std::uint32_t book, Phase phase, Sink& sink);
  // Closes the book and ends every order that does not last beyond `trading_day`.
  template <class Sink>
  Code end_day(std::uint32_t book, std::int32_t trading_day, Sink& sink);
  // New price limits; orders outside them are cancelled, the others keep their places. May allocate.
  template <class Sink>
  Code set_band(std::uint32_t book, const Band& band, Sink& sink);
  // A closed book only; an empty one when self-trades are to be allowed from now on, or no longer.
  Code set_rules(std::uint32_t book, const Rules& rules);
  Code set_reference(std::uint32_t book, std::int64_t price);

  const Order* order(OrderId id) const {
    const std::uint32_t slot = pool_.find(id);
    return slot != 0 ? &pool_[slot] : nullptr;
  }
  void prefetch(OrderId id) const { pool_.prefetch(id); }
  // Of a resting order by its slot, which on_next() and prefetch_queue() tell.
  std::uint32_t account_in(std::uint32_t slot) const { return pool_[slot].account; }
  // The slot that the next order to be accepted will have, where its owner can lay ready what it keeps of it.
  std::uint32_t next_slot() const { return pool_.next(); }
  // For what is known ahead: the level an order will rest at or meet; then the order it meets first (its slot, 0: none)
  // or rests behind; of a resting one those it stands between.
  void prefetch_level(std::uint32_t book, Side side, std::int64_t price) const;
  std::uint32_t prefetch_queue(std::uint32_t book, Side side, std::int64_t price, bool any_price) const;
  void prefetch_neighbours(OrderId id) const;
  std::int32_t gtd_day(OrderId id) const { return pool_.more(slot_of(id)).gtd_day; }
  // Best levels first, `levels` at most; returns how many.
  std::size_t depth(std::uint32_t book, Side side, std::size_t levels, DepthLevel* out) const;
  Indication indication(std::uint32_t book) const;
  // Orders of a side in the order they would trade; visit(const Order&) returns false to stop.
  template <Side kSide, class Visit>
  void visit(std::uint32_t book, Visit visit) const;

  std::uint32_t live_orders() const { return pool_.live(); }
  std::uint64_t trades() const { return trades_; }
  std::uint64_t last_serial() const { return pool_.last_serial(); }
  // Goes on numbering orders and trades where another exchange's day ended; while no order lives.
  void resume(std::uint64_t serial, std::uint64_t trades) {
    pool_.resume(serial);
    trades_ = trades;
  }
  const Bounds& bounds() const { return bounds_; }

  // Of everything that decides what later calls do, except where in memory it lies.
  std::uint64_t state_hash() const;

 private:
  // Ends of an account's queues of resting orders, oldest first, by side; books that allow self-trades keep none.
  struct Own {
    std::uint32_t head[2];
    std::uint32_t tail[2];
  };

  Code refusal(const Book& b, const NewOrder& order, std::uint32_t kind) const;
  Code check_kind(const Book& b, const NewOrder& order) const;
  template <Side kSide>
  bool limit_of(const Book& b, const NewOrder& order, std::int32_t& limit) const;
  template <Side kSide>
  Code check_self(const Book& b, std::uint32_t book, std::uint32_t account, std::int32_t limit) const;
  template <Side kSide>
  Code check_side(const Book& b, std::uint32_t book, const NewOrder& order) const;
  template <Side kSide>
  bool enough(const Book& b, std::int32_t limit, std::int64_t wanted) const;

  // How an order that is more than a plain limit order fares against the other side.
  struct Fate {
    std::int32_t limit = 0;
    std::int32_t left = 0;
    Reason reason = Reason::kRest;
    bool stays = false;
  };
  template <Side kSide, class Sink>
  Placed place_side(std::uint32_t book, const NewOrder& order, Sink& sink);
  template <Side kSide, class Sink>
  Fate place_special(std::uint32_t book, const NewOrder& order, OrderId id, Sink& sink);
  template <Side kSide, class Sink>
  std::int32_t match(Book& b, std::uint32_t book, OrderId taker, std::uint32_t account, std::int32_t limit,
                     std::int32_t left, Sink& sink);
  template <Side kSide, class Sink>
  std::int32_t match_some(Book& b, std::uint32_t book, OrderId taker, std::uint32_t account, std::int32_t limit,
                          std::int32_t left, Sink& sink);
  template <Side kSide, class Sink>
  bool cancel_crossed(Book& b, std::uint32_t book, std::uint32_t account, std::int32_t limit, Sink& sink);
  template <Side kSide, class Sink>
  Placed amend_side(std::uint32_t slot, std::int32_t level, std::int32_t left, Sink& sink);

  template <Side kSide>
  void link(Book& b, std::uint32_t slot, std::int32_t level);
  template <Side kSide>
  void unlink(Book& b, std::uint32_t slot);
  template <Side kSide>
  void own(const Book& b, std::uint32_t slot);
  template <Side kSide>
  void disown(const Book& b, std::uint32_t slot);
  template <class Sink>
  void drop(std::uint32_t slot, Reason reason, Sink& sink);
  template <Side kSide, class Sink, class Wanted>
  void drop_where(Book& b, Reason reason, Sink& sink, Wanted wanted);
  template <class Sink>
  void uncross(std::uint32_t book, Sink& sink);
  template <Side kSide, class Sink>
  void move_orders(Book& from, Book& to, Sink& sink);

  std::int64_t price_between(const Book& b, std::int64_t buy, std::int64_t sell) const {
    const std::int64_t last = b.has_last ? b.last : b.reference;
    return last < sell ? sell : last > buy ? buy : last;
  }
  Code check_band(const Band& band, std::uint64_t freed) const;

  const Bounds bounds_;
  OrderPool pool_;
  std::vector<Book> books_;
  std::uint32_t count_ = 0;  // of books
  Block<Own> own_;
  std::uint64_t levels_ = 0;
  std::uint64_t trades_ = 0;
  bool ready_ = false;
};

}  // namespace qautlra::book

#include "book/match.hpp"
#include "book/session.hpp"
