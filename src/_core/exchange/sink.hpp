// What the exchange's own files share: how it takes in what its books tell.
#pragma once

#include <utility>

#include "exchange/exchange.hpp"

namespace qautlra::exchange {

// Turns what the books tell into accounts and events. Lives for one call.
struct Exchange::Sink {
  Exchange& x;
  std::uint32_t own = kNone;       // record of the order being placed or withdrawn, kNone for one of the street
  std::uint32_t next = 0;          // slot of the order that is likely to be filled after this one; 0: not known

  void on_accept(const book::Accepted& a) {
    x.orders_.place(a.id, own);
    if (own == kNone) return;
    OrderRecord& r = x.orders_.at(own);
    r.id = a.id;
    ++x.live_[r.instrument()];
    x.tell(own);
  }
  void on_next(std::uint32_t slot) {
    x.orders_.prefetch_placed(slot);
    next = slot;
  }
  void on_fill(const book::Fill& f) {
    const Price price = x.price_of(f.book, f.price);
    // The taker is told first; in an auction, which has none, the buyer.
    const int first = f.taker == Side::kSell ? 1 : 0;
    x.ledger_.at(f.party[1 - first].account).prefetch(f.book, static_cast<Side>(1 - first));
    tell_party(f, first, price);
    if (next != 0) x.expect(x.books_.account_in(next));
    tell_party(f, 1 - first, price);
    if (next != 0) x.expect(x.books_.account_in(std::exchange(next, 0)), f.book);
  }
  void on_cancel(const book::Cancelled& c) {
    const std::uint32_t number = of(c.id);
    if (number == kNone) return;
    OrderRecord& r = x.orders_.at(number);
    x.ledger_.at(r.account).release(r.hold);
    if (c.reason == book::Reason::kUser) x.gate_.cancelled(r.account, r.instrument());
    r.left = c.left;
    r.reason = c.reason;
    x.finish(r);
    x.tell(number);
  }
  void on_amend(const book::Amended& a) {
    const std::uint32_t number = x.orders_.of(a.id);
    if (number == kNone) return;
    OrderRecord& r = x.orders_.at(number);
    r.volume += a.left - r.left;
    r.left = a.left;
    r.price = x.price_of(a.book, a.price);
    x.tell(number);
  }

 private:
  std::uint32_t of(book::OrderId id) const {
    return own != kNone && x.orders_.at(own).id == id ? own : x.orders_.of(id);
  }
  void tell_party(const book::Fill& f, int side, Price price) {
    const std::uint32_t number = of(f.party[side].id);
    if (number != kNone) fill(number, f, price, f.party[side].left);
  }
  void fill(std::uint32_t number, const book::Fill& f, Price price, std::int32_t left) {
    OrderRecord& r = x.orders_.at(number);
    account::Filled filled;
    if (x.ledger_.at(r.account).fill(r.hold, f.volume, price, filled) != account::Code::kOk) ++x.broken_;
    x.gate_.traded(r.account, r.instrument());
    r.left = left;
    if (left == 0) x.finish(r);
    x.tell(number);
    x.keep_trade(r, number, f.volume, price, f.trade, filled);
  }
};

}  // namespace qautlra::exchange
