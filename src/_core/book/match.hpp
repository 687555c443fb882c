// Books, the part that runs for every order. Included by books.hpp.
#pragma once

#include <algorithm>

#include "base/prefetch.hpp"
#include "book/books.hpp"

namespace qautlra::book {

// The worst level the order may trade with; false when it may trade with none.
template <Side kSide>
bool Books::limit_of(const Book& b, const NewOrder& order, std::int32_t& limit) const {
  const auto& other = b.side<opposite(kSide)>();
  if (order.price_type == PriceType::kLimit) [[likely]] {
    limit = static_cast<std::int32_t>(order.price - b.base);
    return true;
  }
  switch (order.price_type) {
    case PriceType::kAny:
      limit = kSide == Side::kBuy ? static_cast<std::int32_t>(b.size) - 1 : 0;
      return !other.empty();
    case PriceType::kBest:
      limit = other.best;
      return !other.empty();
    case PriceType::kFiveLevel: {
      limit = other.best;
      for (int n = 1; n < 5; ++n) {
        const std::int32_t next = other.worse(limit);
        if (next == other.kEmpty) break;
        limit = next;
      }
      return !other.empty();
    }
    default: return false;
  }
}

inline Code Books::check(std::uint32_t book, const NewOrder& o) const {
  if (book >= count_) return Code::kNoInstrument;
  const Book& b = books_[book];
  if (o.account >= bounds_.accounts_max) return Code::kNoAccount;
  if (!is_plain(o) || static_cast<std::uint32_t>(o.volume) - 1 >= b.plain_max)
    if (const Code code = check_kind(b, o); code != Code::kOk) return code;
  if (o.price_type == PriceType::kLimit && static_cast<std::uint64_t>(o.price - b.base) >= b.size) [[unlikely]]
    return o.price < b.base ? Code::kBelowLimit : Code::kAboveLimit;
  if (pool_.full()) return Code::kFull;
  if (!o.opens || b.rules.self_trade != SelfTrade::kRejectTaker) return Code::kOk;
  return o.side == Side::kBuy ? check_side<Side::kBuy>(b, book, o) : check_side<Side::kSell>(b, book, o);
}

template <Side kSide>
Code Books::check_side(const Book& b, std::uint32_t book, const NewOrder& o) const {
  std::int32_t limit = 0;
  if (own_[o.account].head[static_cast<int>(opposite(kSide))] == 0) return Code::kOk;
  return limit_of<kSide>(b, o, limit) ? check_self<kSide>(b, book, o.account, limit) : Code::kOk;
}

inline void Books::prefetch_level(std::uint32_t book, Side side, std::int64_t price) const {
  const Book& b = books_[book];
  const auto at = static_cast<std::uint64_t>(price - b.base);
  if (at < b.size) fetch((side == Side::kBuy ? b.bids.levels : b.asks.levels).get() + at);
}

inline std::uint32_t Books::prefetch_queue(std::uint32_t book, Side side, std::int64_t price, bool any_price) const {
  const Book& b = books_[book];
  const auto at = static_cast<std::uint64_t>(price - b.base);
  const auto look = [&](const auto& own, const auto& other) -> std::uint32_t {
    std::uint32_t meets = 0;
    if (!other.empty() && (any_price || other.crossed(other.best, static_cast<std::int32_t>(at))))
      meets = other.levels[other.best].head;
    const std::uint32_t slot = meets != 0 ? meets : at < b.size ? own.levels[at].tail : 0;
    if (slot != 0) pool_.prefetch(slot);
    return meets;
  };
  return side == Side::kBuy ? look(b.bids, b.asks) : look(b.asks, b.bids);
}

inline void Books::prefetch_neighbours(OrderId id) const {
  const std::uint32_t slot = pool_.find(id);
  if (slot == 0) return;
  const Order& order = pool_[slot];
  if (order.prev != 0) pool_.prefetch(order.prev);
  if (order.next != 0) pool_.prefetch(order.next);
  prefetch_level(order.book, order.side, books_[order.book].price_of(order.level));
}

// Puts an order at the end of its price's queue.
template <Side kSide>
inline void Books::link(Book& b, std::uint32_t slot, std::int32_t at) {
  auto& ladder = b.side<kSide>();
  Order& order = pool_[slot];
  Level& level = ladder.levels[at];
  order.level = at;
  order.next = 0;
  order.prev = level.tail;
  if (level.tail != 0) {
    pool_[level.tail].next = slot;
  } else {
    level.head = slot;
    ladder.opened(at);
  }
  level.tail = slot;
  level.volume += order.left;
}

template <Side kSide>
inline void Books::unlink(Book& b, std::uint32_t slot) {
  auto& ladder = b.side<kSide>();
  const Order& order = pool_[slot];
  Level& level = ladder.levels[order.level];
  if (order.prev != 0) pool_[order.prev].next = order.next;
  else level.head = order.next;
  if (order.next != 0) pool_[order.next].prev = order.prev;
  else level.tail = order.prev;
  level.volume -= order.left;
  if (level.head == 0) ladder.emptied(order.level);
}

// Puts a resting order at the end of its account's queue.
template <Side kSide>
inline void Books::own(const Book& b, std::uint32_t slot) {
  if (!b.tracks_own()) return;
  Own& owner = own_[pool_[slot].account];
  std::uint32_t& tail = owner.tail[static_cast<int>(kSide)];
  OrderMore& more = pool_.more(slot);
  more.next_own = 0;
  more.prev_own = tail;
  if (tail != 0) pool_.more(tail).next_own = slot;
  else owner.head[static_cast<int>(kSide)] = slot;
  tail = slot;
}

template <Side kSide>
inline void Books::disown(const Book& b, std::uint32_t slot) {
  if (!b.tracks_own()) return;
  Own& owner = own_[pool_[slot].account];
  const OrderMore& more = pool_.more(slot);
  if (more.prev_own != 0) pool_.more(more.prev_own).next_own = more.next_own;
  else owner.head[static_cast<int>(kSide)] = more.next_own;
  if (more.next_own != 0) pool_.more(more.next_own).prev_own = more.prev_own;
  else owner.tail[static_cast<int>(kSide)] = more.prev_own;
}

template <class Sink>
inline void Books::drop(std::uint32_t slot, Reason reason, Sink& sink) {
  const Order& order = pool_[slot];
  const Cancelled gone{order.id, order.book, order.account, order.left, reason, order.side};
  Book& b = books_[order.book];
  if (order.side == Side::kBuy) {
    unlink<Side::kBuy>(b, slot);
    disown<Side::kBuy>(b, slot);
  } else {
    unlink<Side::kSell>(b, slot);
    disown<Side::kSell>(b, slot);
  }
  pool_.give_back(slot);
  sink.on_cancel(gone);
}

// Trades down the other side until nothing is left or the limit is met; returns what is left.
template <Side kSide, class Sink>
inline std::int32_t Books::match(Book& b, std::uint32_t book, OrderId taker, std::uint32_t account, std::int32_t limit,
                                 std::int32_t left, Sink& sink) {
  const auto& other = b.side<opposite(kSide)>();
  if (left == 0 || !other.crossed(other.best, limit)) return left;
  return match_some<kSide>(b, book, taker, account, limit, left, sink);
}

// The same where there is something to trade with.
template <Side kSide, class Sink>
std::int32_t Books::match_some(Book& b, std::uint32_t book, OrderId taker, std::uint32_t account, std::int32_t limit,
                               std::int32_t left, Sink& sink) {
  constexpr Side kOther = opposite(kSide);
  auto& other = b.side<kOther>();
  const bool at_maker = b.rules.trade_price == TradePrice::kMaker;
  const std::int32_t wanted = left;
  std::int32_t at;
  do {
    at = other.best;
    Level& level = other.levels[at];
    std::uint32_t slot = level.head;
    do {
      Order& maker = pool_[slot];
      if constexpr (requires { sink.on_next(maker.next); })
        if (maker.next != 0 && maker.left < left) {
          pool_.prefetch(maker.next);
          sink.on_next(maker.next);
        }
      const std::int32_t volume = std::min(left, maker.left);
      left -= volume;
      maker.left -= volume;
      level.volume -= volume;
      std::int64_t price = b.price_of(at);
      if (!at_maker) [[unlikely]] {
        price = kSide == Side::kBuy ? price_between(b, b.price_of(limit), price)
                                    : price_between(b, price, b.price_of(limit));
        b.last = price;
        b.has_last = true;
      }
      Fill fill;
      fill.trade = ++trades_;
      fill.price = price;
      fill.book = book;
      fill.volume = volume;
      fill.party[static_cast<int>(kSide)] = {taker, account, left};
      fill.party[static_cast<int>(kOther)] = {maker.id, maker.account, maker.left};
      fill.taker = kSide;
      sink.on_fill(fill);
      if (maker.left > 0) break;
      const std::uint32_t next = maker.next;
      disown<kOther>(b, slot);
      pool_.give_back(slot);
      slot = next;
    } while (left > 0 && slot != 0);
    level.head = slot;
    if (slot != 0) {
      pool_[slot].prev = 0;
    } else {
      level.tail = 0;
      other.emptied(at);
    }
  } while (left > 0 && other.crossed(other.best, limit));
  if (at_maker) [[likely]] {
    b.last = b.price_of(at);
    b.has_last = true;
  }
  b.volume += wanted - left;
  return left;
}

template <Side kSide, class Sink>
[[gnu::noinline]] Books::Fate Books::place_special(std::uint32_t book, const NewOrder& o, OrderId id, Sink& sink) {
  Book& b = books_[book];
  Fate fate;
  fate.left = o.volume;
  const bool immediate = o.time == TimeCondition::kIoc;
  const bool meets = limit_of<kSide>(b, o, fate.limit);  // false: there is nothing to trade with, now or at rest
  bool alive = true;
  // Under kRejectTaker check() has made sure that there is nothing to cancel.
  if (o.opens && b.cancels_own() && meets && cancel_crossed<kSide>(b, book, o.account, fate.limit, sink) &&
      b.rules.self_trade == SelfTrade::kCancelBoth) {
    alive = false;
    fate.reason = Reason::kSelfTrade;
  }
  if (immediate && alive && o.volume_condition != VolumeCondition::kAny) {
    const bool all = o.volume_condition == VolumeCondition::kAll;
    if (!meets || !enough<kSide>(b, fate.limit, all ? o.volume : o.min_volume)) {
      alive = false;
      fate.reason = all ? Reason::kAllOrNone : Reason::kMinimum;
    }
  }
  if (alive && meets && b.phase == Phase::kContinuous)
    fate.left = match<kSide>(b, book, id, o.account, fate.limit, fate.left, sink);
  fate.stays = alive && (!immediate || (b.rules.best_rests && meets && o.price_type == PriceType::kBest &&
                                        o.volume_condition == VolumeCondition::kAny));
  return fate;
}

template <Side kSide, class Sink>
inline Placed Books::place_side(std::uint32_t book, const NewOrder& o, Sink& sink) {
  Book& b = books_[book];
  const std::uint32_t slot = pool_.take();
  const OrderId id = pool_[slot].id;
  sink.on_accept({id, book});

  const bool immediate = o.time == TimeCondition::kIoc;
  Fate fate;
  if (o.price_type == PriceType::kLimit && o.volume_condition == VolumeCondition::kAny && !b.cancels_own()) [[likely]] {
    fate.limit = static_cast<std::int32_t>(o.price - b.base);
    fate.left = b.phase == Phase::kContinuous ? match<kSide>(b, book, id, o.account, fate.limit, o.volume, sink)
                                              : o.volume;
    fate.stays = !immediate;
  } else {
    fate = place_special<kSide>(book, o, id, sink);
  }
  if (fate.left == 0) {
    pool_.give_back(slot);
    return {id, 0, Code::kOk, false};
  }
  if (!fate.stays) {
    pool_.give_back(slot);
    sink.on_cancel({id, book, o.account, fate.left, fate.reason, kSide});
    return {id, fate.left, Code::kOk, false};
  }
  Order& order = pool_[slot];
  order.account = o.account;
  order.book = static_cast<std::uint16_t>(book);
  order.side = kSide;
  order.kind = Order::kind_of(immediate ? TimeCondition::kGfd : o.time, o.opens);
  if (o.time == TimeCondition::kGtd) pool_.more(slot).gtd_day = o.gtd_day;
  order.left = fate.left;
  link<kSide>(b, slot, fate.limit);
  own<kSide>(b, slot);
  return {id, fate.left, Code::kOk, true};
}

template <class Sink>
Placed Books::place(std::uint32_t book, const NewOrder& order, Sink& sink) {
  return order.side == Side::kBuy ? place_side<Side::kBuy>(book, order, sink)
                                  : place_side<Side::kSell>(book, order, sink);
}

template <class Sink>
Code Books::cancel(OrderId id, Sink& sink) {
  const std::uint32_t slot = pool_.find(id);
  if (slot == 0) return Code::kNoOrder;
  if (!takes_cancels(books_[pool_[slot].book].phase)) return Code::kNoCancelNow;
  drop(slot, Reason::kUser, sink);
  return Code::kOk;
}

template <class Sink>
Code Books::remove(OrderId id, Reason reason, Sink& sink) {
  const std::uint32_t slot = pool_.find(id);
  if (slot == 0) return Code::kNoOrder;
  drop(slot, reason, sink);
  return Code::kOk;
}

template <Side kSide, class Sink>
Placed Books::amend_side(std::uint32_t slot, std::int32_t level, std::int32_t left, Sink& sink) {
  Order& order = pool_[slot];
  const std::uint32_t book = order.book;
  Book& b = books_[book];
  const OrderId id = order.id;
  const bool keeps = level == order.level && left <= order.left;
  if (keeps) {
    b.side<kSide>().levels[level].volume -= order.left - left;
    order.left = left;
    sink.on_amend({id, b.price_of(level), book, order.account, left, true});
    return {id, left, Code::kOk, true};
  }
  unlink<kSide>(b, slot);
  disown<kSide>(b, slot);
  order.left = left;
  sink.on_amend({id, b.price_of(level), book, order.account, left, false});
  bool alive = true;
  if (order.opens() && b.cancels_own())
    alive = !cancel_crossed<kSide>(b, book, order.account, level, sink) ||
            b.rules.self_trade == SelfTrade::kCancelMaker;
  if (!alive) {
    const Cancelled gone{id, book, order.account, left, Reason::kSelfTrade, kSide};
    pool_.give_back(slot);
    sink.on_cancel(gone);
    return {id, left, Code::kOk, false};
  }
  if (b.phase == Phase::kContinuous) left = match<kSide>(b, book, id, order.account, level, left, sink);
  if (left == 0) {
    pool_.give_back(slot);
    return {id, 0, Code::kOk, false};
  }
  order.left = left;
  link<kSide>(b, slot, level);
  own<kSide>(b, slot);
  return {id, left, Code::kOk, true};
}

template <class Sink>
Placed Books::amend(OrderId id, std::int64_t price, std::int32_t left, Sink& sink) {
  const Code code = check_amend(id, price, left);
  const std::uint32_t slot = pool_.find(id);
  if (code != Code::kOk) return {slot != 0 ? id : 0, slot != 0 ? pool_[slot].left : 0, code, slot != 0};
  const auto level = static_cast<std::int32_t>(price - books_[pool_[slot].book].base);
  return pool_[slot].side == Side::kBuy ? amend_side<Side::kBuy>(slot, level, left, sink)
                                        : amend_side<Side::kSell>(slot, level, left, sink);
}

// Cancels the account's orders of the other side that a `kSide` order with this limit crosses; whether any.
template <Side kSide, class Sink>
bool Books::cancel_crossed(Book& b, std::uint32_t book, std::uint32_t account, std::int32_t limit, Sink& sink) {
  constexpr Side kOther = opposite(kSide);
  bool any = false;
  for (std::uint32_t slot = own_[account].head[static_cast<int>(kOther)]; slot != 0;) {
    const std::uint32_t next = pool_.more(slot).next_own;
    if (pool_[slot].book == book && b.side<kOther>().crossed(pool_[slot].level, limit)) {
      drop(slot, Reason::kSelfTrade, sink);
      any = true;
    }
    slot = next;
  }
  return any;
}

}  // namespace qautlra::book
