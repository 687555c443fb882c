// Books, the part that runs when the market's day moves on: phases, the call auction, new limits, day's end.
// Included by books.hpp.
#pragma once

#include <algorithm>
#include <utility>

#include "book/books.hpp"

namespace qautlra::book {

template <Side kSide, class Visit>
void Books::visit(std::uint32_t book, Visit visit) const {
  const auto& ladder = books_[book].side<kSide>();
  for (std::int32_t at = ladder.best; at != ladder.kEmpty; at = ladder.worse(at))
    for (std::uint32_t slot = ladder.levels[at].head; slot != 0; slot = pool_[slot].next)
      if (!visit(pool_[slot])) return;
}

template <Side kSide, class Sink, class Wanted>
void Books::drop_where(Book& b, Reason reason, Sink& sink, Wanted wanted) {
  auto& ladder = b.side<kSide>();
  for (std::int32_t at = ladder.best; at != ladder.kEmpty;) {
    std::uint32_t slot = ladder.levels[at].head;
    const std::int32_t worse = ladder.worse(at);
    while (slot != 0) {
      const std::uint32_t next = pool_[slot].next;
      if (wanted(pool_[slot], slot)) drop(slot, reason, sink);
      slot = next;
    }
    at = worse;
  }
}

template <class Sink>
std::uint32_t Books::remove_account(std::uint32_t account, Reason reason, Sink& sink) {
  if (account >= bounds_.accounts_max) return 0;
  std::uint32_t removed = 0;
  const auto own = [account, &removed](const Order& order, std::uint32_t) {
    if (order.account != account) return false;
    ++removed;
    return true;
  };
  for (Book& b : books_) {
    drop_where<Side::kBuy>(b, reason, sink, own);
    drop_where<Side::kSell>(b, reason, sink, own);
  }
  return removed;
}

template <class Sink>
void Books::uncross(std::uint32_t book, Sink& sink) {
  Book& b = books_[book];
  const Indication found = indication(book);
  std::int64_t left = found.volume;
  while (left > 0) {
    const std::uint32_t slots[2] = {b.bids.levels[b.bids.best].head, b.asks.levels[b.asks.best].head};
    Order& buy = pool_[slots[0]];
    Order& sell = pool_[slots[1]];
    const auto volume = static_cast<std::int32_t>(std::min<std::int64_t>(left, std::min(buy.left, sell.left)));
    left -= volume;
    buy.left -= volume;
    sell.left -= volume;
    b.bids.levels[buy.level].volume -= volume;
    b.asks.levels[sell.level].volume -= volume;
    b.volume += volume;
    const Fill fill{++trades_, found.price, book, volume,
                    {{buy.id, buy.account, buy.left}, {sell.id, sell.account, sell.left}}, Side::kNone};
    if (buy.left == 0) {
      unlink<Side::kBuy>(b, slots[0]);
      disown<Side::kBuy>(b, slots[0]);
      pool_.give_back(slots[0]);
    }
    if (sell.left == 0) {
      unlink<Side::kSell>(b, slots[1]);
      disown<Side::kSell>(b, slots[1]);
      pool_.give_back(slots[1]);
    }
    sink.on_fill(fill);
  }
  if (found.volume > 0) {
    b.last = found.price;
    b.has_last = true;
  }
}

template <class Sink>
Code Books::set_phase(std::uint32_t book, Phase phase, Sink& sink) {
  if (book >= count_) return Code::kNoInstrument;
  Book& b = books_[book];
  if (is_auction(b.phase) && !is_auction(phase)) {
    uncross(book, sink);
    const auto auction_only = [](const Order& o, std::uint32_t) { return o.time() == TimeCondition::kGfa; };
    drop_where<Side::kBuy>(b, Reason::kAuctionEnd, sink, auction_only);
    drop_where<Side::kSell>(b, Reason::kAuctionEnd, sink, auction_only);
  }
  if (phase == Phase::kBreak || phase == Phase::kClosed) {
    const auto section_only = [](const Order& o, std::uint32_t) { return o.time() == TimeCondition::kGfs; };
    drop_where<Side::kBuy>(b, Reason::kSectionEnd, sink, section_only);
    drop_where<Side::kSell>(b, Reason::kSectionEnd, sink, section_only);
  }
  b.phase = phase;
  b.follow();
  return Code::kOk;
}

template <class Sink>
Code Books::end_day(std::uint32_t book, std::int32_t trading_day, Sink& sink) {
  const Code code = set_phase(book, Phase::kClosed, sink);
  if (code != Code::kOk) return code;
  Book& b = books_[book];
  const auto ends = [this, trading_day](const Order& o, std::uint32_t slot) {
    if (o.time() == TimeCondition::kGtc) return false;
    return o.time() != TimeCondition::kGtd || pool_.more(slot).gtd_day <= trading_day;
  };
  drop_where<Side::kBuy>(b, Reason::kDayEnd, sink, ends);
  drop_where<Side::kSell>(b, Reason::kDayEnd, sink, ends);
  b.has_last = false;
  b.last = 0;
  b.volume = 0;
  return Code::kOk;
}

template <Side kSide, class Sink>
void Books::move_orders(Book& from, Book& to, Sink& sink) {
  auto& ladder = from.side<kSide>();
  for (std::int32_t at = ladder.best; at != ladder.kEmpty;) {
    std::uint32_t slot = ladder.levels[at].head;
    const std::int64_t price = from.price_of(at);
    const std::int32_t worse = ladder.worse(at);
    while (slot != 0) {
      const std::uint32_t next = pool_[slot].next;
      unlink<kSide>(from, slot);
      if (price >= to.base && price <= to.upper()) {
        link<kSide>(to, slot, static_cast<std::int32_t>(price - to.base));
      } else {
        disown<kSide>(from, slot);
        const Order& o = pool_[slot];
        const Cancelled gone{o.id, o.book, o.account, o.left, Reason::kBand, kSide};
        pool_.give_back(slot);
        sink.on_cancel(gone);
      }
      slot = next;
    }
    at = worse;
  }
}

template <class Sink>
Code Books::set_band(std::uint32_t book, const Band& band, Sink& sink) {
  if (book >= count_) return Code::kNoInstrument;
  Book& b = books_[book];
  if (band.lower == b.base && band.upper == b.upper()) return Code::kOk;
  const Code code = check_band(band, b.size);
  if (code != Code::kOk) return code;
  Book to;
  to.base = band.lower;
  to.size = static_cast<std::uint32_t>(band.upper - band.lower + 1);
  if (!to.bids.reset(to.size) || !to.asks.reset(to.size)) return Code::kFull;
  move_orders<Side::kBuy>(b, to, sink);
  move_orders<Side::kSell>(b, to, sink);
  levels_ += to.size;
  levels_ -= b.size;
  b.base = to.base;
  b.size = to.size;
  b.bids = std::move(to.bids);
  b.asks = std::move(to.asks);
  return Code::kOk;
}

}  // namespace qautlra::book
