// The three parts of an exchange that matching with risk and accounts needs, without the exchange around them: books,
// gate and ledger as they are, orders under the numbers a stream gives them, and what each live order keeps beside its
// slot. No client ids as text, no orders or trades of the day, no journal, no events: what those cost is the difference.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "account/ledger.hpp"
#include "account/plan.hpp"
#include "base/prefetch.hpp"
#include "book/books.hpp"
#include "book/stream.hpp"
#include "exchange/exchange.hpp"
#include "risk/gate.hpp"

namespace qautlra::exchange {

// Owner: one thread. A cancel names the order's number and its owner; prices of a stream are ticks.
class Parts {
 public:
  // Instruments, accounts, their money and limits are those of `x`, in which no order lives and nothing is held.
  // `numbers`: those of a day's orders are below it.
  Parts(Exchange& x, std::size_t numbers)
      : books_(x.books().bounds()),
        ledger_(x.ledger().margin_side()),
        gate_(ledger_, x.gate().limits(kNone)),
        holds_(reserved<account::Hold>(std::size_t{x.books().bounds().live_orders_max} + 2)),
        numbers_(numbers),
        day_(x.trading_day()) {
    for (std::uint32_t i = 0; i < x.instruments(); ++i) {
      const book::Book& from = x.books().at(i);
      std::uint32_t number = 0;
      if (books_.add(from.rules, {from.base, from.upper()}, number) != book::Code::kOk) return;
      if (from.has_reference) books_.set_reference(i, from.reference);
      books_.set_phase(i, from.phase, idle_);
      ledger_.set_terms(i, x.ledger().board.terms(i));
      ledger_.board.quote(i) = x.ledger().board.quote(i);
    }
    for (std::uint32_t n = 0; n < x.accounts(); ++n) {
      const account::Account& from = x.ledger().at(n);
      ledger_.at(ledger_.open(from.key())).set_funds(from.funds());
      gate_.set_account_state(n, x.gate().account_state(n));
    }
    // Limits stay as they are from here on.
    gate_.count_contracts_by_need([](void*) {}, nullptr);
    ready_ = books_.ready() && holds_ && numbers_.ready();
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  bool ready() const { return ready_; }

  // Order `number` is account `1 + number % accounts`'s and opens. A stream is known ahead: what an operation will touch
  // is fetched in steps before its turn comes, positions and accounts where they do not stay in a cache anyway.
  void play(const void* bytes, std::size_t count, std::uint32_t accounts, std::int64_t now_ns,
            book::StreamResult& result) {
    bytes_ = static_cast<const char*>(bytes);
    accounts_ = accounts;
    if (std::size_t{accounts} * books_.size() < kFew) run<false>(count, now_ns, result);
    else run<true>(count, now_ns, result);
  }

  // Ends the day as Exchange::end_day(), settle() and continuous trading would: its numbers may be used again.
  void next_day() {
    book::StreamResult none;
    Sink sink{*this, none};
    for (std::uint32_t i = 0; i < books_.size(); ++i) books_.end_day(i, std::numeric_limits<std::int32_t>::max(), sink);
    for (std::uint32_t n = 1; n < ledger_.size(); ++n)
      if (ledger_.at(n).settle() != account::Code::kOk) ++broken_;
    gate_.new_day();
    std::fill_n(numbers_.ids.get(), numbers_.count, book::OrderId{0});
    for (std::uint32_t i = 0; i < books_.size(); ++i) books_.set_phase(i, book::Phase::kContinuous, idle_);
    ++day_;
  }

  const book::Books& books() const { return books_; }
  const account::Ledger& ledger() const { return ledger_; }
  const risk::Gate& gate() const { return gate_; }
  std::uint64_t broken() const { return broken_; }  // fills an account would not take: our bug if not 0

 private:
  static constexpr std::size_t kRing = 32;
  static constexpr std::size_t kFirst = 24, kSecond = 16, kThird = 10, kFourth = 5;
  static constexpr std::size_t kFew = 4096;  // positions, with their accounts some 1 MB
  static constexpr book::OrderId kRefused = 1;  // no order's: serials begin with 1

  struct Coming {
    book::StreamOp op;
    std::uint32_t account;
    std::uint32_t maker;  // slot of the order that a new one meets first, 0: none
    account::Account* owner;  // null where there is no such book or number
  };

  // Turns what the books tell into accounts. Lives for one call.
  struct Sink {
    Parts& parts;
    book::StreamResult& result;
    std::uint32_t next = 0;  // slot of the order that is likely to be filled after this one; 0: not known

    void on_accept(const book::Accepted&) {}  // what it keeps is where it is to stay
    void on_next(std::uint32_t slot) {
      fetch_to_write(&parts.holds_[slot]);
      next = slot;
    }
    void on_fill(const book::Fill& f) {
      result.on_fill(f);
      const Price price = f.price * parts.ledger_.board.terms(f.book).tick;
      // The taker first; in an auction, which has none, the buyer.
      const int first = f.taker == Side::kSell ? 1 : 0;
      fill(f, first, price);
      if (next != 0) parts.ledger_.at(parts.books_.account_in(next)).prefetch(f.book);
      fill(f, 1 - first, price);
      if (next != 0)
        parts.ledger_.at(parts.books_.account_in(std::exchange(next, 0)))
            .prefetch(f.book, static_cast<Side>(1 - first));
    }
    void on_cancel(const book::Cancelled& c) {
      parts.ledger_.at(c.account).release(parts.holds_[book::slot_of(c.id)]);
      if (c.reason == book::Reason::kUser) parts.gate_.cancelled(c.account, c.book);
    }
    void on_amend(const book::Amended&) {}

   private:
    void fill(const book::Fill& f, int side, Price price) {
      const book::Party& party = f.party[side];
      account::Filled filled;
      account::Hold& kept = parts.holds_[book::slot_of(party.id)];
      if (parts.ledger_.at(party.account).fill(kept, f.volume, price, filled) != account::Code::kOk) ++parts.broken_;
      parts.gate_.traded(party.account, f.book);
    }
  };

  template <bool kMany>
  void run(std::size_t count, std::int64_t now_ns, book::StreamResult& result) {
    for (std::size_t i = 0; i < std::min(kRing, count); ++i) read(i);
    for (std::size_t i = 0; i < std::min(kFirst, count); ++i) begin<kMany>(ops_[i % kRing]);
    for (std::size_t i = 0; i < count; ++i) {
      if (i + kFirst < count) begin<kMany>(ops_[(i + kFirst) % kRing]);
      if (i + kSecond < count) look_up<kMany>(ops_[(i + kSecond) % kRing]);
      if (kMany && i + kThird < count) meet(ops_[(i + kThird) % kRing]);
      if (kMany && i + kFourth < count) finish(ops_[(i + kFourth) % kRing]);
      apply(ops_[i % kRing], now_ns, result);
      if (i + kRing < count) read(i + kRing);
    }
  }
  void read(std::size_t i) {
    Coming& c = ops_[i % kRing];
    std::memcpy(&c.op, bytes_ + i * sizeof c.op, sizeof c.op);
    c.account = 1 + c.op.number % accounts_;
    c.maker = 0;
    c.owner = c.op.number < numbers_.count && c.op.book < books_.size() ? &ledger_.at(c.account) : nullptr;
  }
  template <bool kMany>
  void begin(const Coming& c) {
    if (c.owner == nullptr) return;
    fetch(&numbers_.ids[c.op.number]);
    if (!kMany) return;
    c.owner->prefetch();
    gate_.prefetch(c.account);
    if (c.op.type != 1) books_.prefetch_level(c.op.book, side_of(c.op), c.op.price);
  }
  template <bool kMany>
  void look_up(Coming& c) {
    if (c.owner == nullptr) return;
    // Without a look at what it is, which nobody can foresee: a new order has no number yet, and slot 0 is nobody's.
    const book::OrderId id = numbers_.ids[c.op.number];
    books_.prefetch(id);
    fetch_to_write(&holds_[book::slot_of(id)]);
    if (!kMany) return;
    c.owner->prefetch(c.op.book);
    if (c.op.type != 1) {
      c.maker = books_.prefetch_queue(c.op.book, side_of(c.op), c.op.price, c.op.type == 2);
      if (c.maker != 0) fetch_to_write(&holds_[c.maker]);
    }
  }
  void meet(const Coming& c) {
    if (c.owner == nullptr) return;
    if (c.op.type == 1) {
      const book::OrderId id = numbers_.ids[c.op.number];
      if (books_.order(id) == nullptr) return;
      c.owner->prefetch_front(c.op.book);
      books_.prefetch_neighbours(id);
    } else if (c.maker == 0) {
      c.owner->prefetch_front(c.op.book);
    } else {
      c.owner->prefetch(c.op.book, side_of(c.op));
      const std::uint32_t maker = books_.account_in(c.maker);
      ledger_.at(maker).prefetch();
      ledger_.at(maker).prefetch(c.op.book);
      gate_.prefetch(maker);
    }
  }
  void finish(const Coming& c) {
    if (c.maker != 0) ledger_.at(books_.account_in(c.maker)).prefetch(c.op.book, book::opposite(side_of(c.op)));
  }

  void apply(const Coming& c, std::int64_t now_ns, book::StreamResult& result) {
    if (c.op.number >= numbers_.count) {
      ++result.refused;
    } else if (c.op.type == 1) {
      if (!cancel(c.account, numbers_.ids[c.op.number], now_ns, result)) ++result.misses;
    } else if (c.op.type == 0 || c.op.type == 2) {
      if (!insert(c, now_ns, result)) ++result.refused;
    }
  }
  bool cancel(std::uint32_t account, book::OrderId id, std::int64_t now_ns, book::StreamResult& result) {
    const book::Order* const order = books_.order(id);
    if (order == nullptr || order->account != account || !book::takes_cancels(books_.at(order->book).phase))
      return false;
    if (gate_.check_cancel(account, order->book, now_ns).code != account::Code::kOk) return false;
    Sink sink{*this, result};
    return books_.remove(id, book::Reason::kUser, sink) == book::Code::kOk;
  }
  bool insert(const Coming& c, std::int64_t now_ns, book::StreamResult& result) {
    const book::StreamOp& op = c.op;
    book::OrderId& id = numbers_.ids[op.number];
    risk::Request request;
    request.account = c.account;
    request.instrument = op.book;
    request.volume = op.volume;
    request.side = side_of(op);
    request.duplicate = id != 0;
    book::NewOrder order;
    order.account = c.account;
    order.volume = op.volume;
    order.side = request.side;
    if (op.type == 0) {
      order.price = op.price;
      if (ledger_.board.known(op.book)) request.price = op.price * ledger_.board.terms(op.book).tick;
    } else {
      request.price_type = order.price_type = book::PriceType::kAny;
      request.time = order.time = book::TimeCondition::kIoc;
    }
    account::Hold& hold = holds_[books_.next_slot()];
    if (gate_.check(request, now_ns, day_, hold).code != account::Code::kOk ||
        books_.check(op.book, order) != book::Code::kOk) {
      if (id == 0 && op.book < books_.size()) id = kRefused;  // of another book the exchange keeps no record
      return false;
    }
    order.opens = hold.opens;
    c.owner->take(hold);
    gate_.placed(c.account, op.book, op.volume, hold.opens);
    if (gate_.counts_repeats(c.account)) gate_.placed_like(request);
    Sink sink{*this, result};
    id = books_.place(op.book, order, sink).id;
    return true;
  }
  static Side side_of(const book::StreamOp& op) { return op.side != 0 ? Side::kSell : Side::kBuy; }

  book::Books books_;
  account::Ledger ledger_;
  risk::Gate gate_;
  Block<account::Hold> holds_;  // of live orders, by slot
  book::OrderNumbers numbers_;
  std::int32_t day_;
  std::uint64_t broken_ = 0;
  bool ready_ = false;
  book::StreamResult idle_;  // for what ends no order
  const char* bytes_ = nullptr;
  std::uint32_t accounts_ = 1;
  std::array<Coming, kRing> ops_;
};

}  // namespace qautlra::exchange
