// A packed stream of operations (book/stream.hpp) run against the whole exchange in one call: orders of many accounts
// with ids as text, risk, margin, positions, and the journal where there is one.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/prefetch.hpp"
#include "book/stream.hpp"
#include "exchange/exchange.hpp"

namespace qautlra::exchange {

// Order `number` is account `1 + number % accounts`'s, opens, and has its number as id. Prices are ticks. Events are
// read and forgotten; `value` is price times volume in ticks. A stream is known ahead, so what an operation will touch
// is fetched in steps before its turn comes, each step from what the one before has fetched.
class Stream {
 public:
  Stream(Exchange& x, const void* bytes, std::size_t count, std::uint32_t accounts, std::int64_t now_ns)
      : x_(x),
        bytes_(static_cast<const char*>(bytes)),
        count_(count),
        accounts_(accounts),
        instruments_(x.instruments()),
        now_ns_(now_ns) {}

  void run(book::StreamResult& result) {
    if (std::size_t{accounts_} * instruments_ < kFew) run<false>(result);
    else run<true>(result);
  }

 private:
  template <bool kMany>
  void run(book::StreamResult& result) {
    for (std::size_t i = 0; i < std::min(kRing, count_); ++i) name(i);
    for (std::size_t i = 0; i < std::min(kFirst, count_); ++i) begin<kMany>(ops_[i]);
    for (std::size_t i = 0; i < count_; ++i) {
      if (i + kFirst < count_) begin<kMany>(ops_[(i + kFirst) % kRing]);
      if (i + kSecond < count_) look_up<kMany>(ops_[(i + kSecond) % kRing]);
      if (i + kThird < count_) meet<kMany>(ops_[(i + kThird) % kRing]);
      if (kMany && i + kFourth < count_) part(ops_[(i + kFourth) % kRing]);
      if (kMany && i + kFifth < count_) finish(ops_[(i + kFifth) % kRing]);
      apply(ops_[i % kRing], result);
      if (i + kRing < count_) name(i + kRing);
    }
    // Both sides of a match were told of it.
    result.trades /= 2;
    result.volume /= 2;
    result.value /= 2;
  }

  static constexpr std::size_t kRing = 32;
  static constexpr std::size_t kRead = 64;
  static constexpr std::size_t kFew = 4096;  // positions, with their accounts some 1 MB
  static constexpr std::size_t kFirst = 26, kSecond = 19, kThird = 13, kFourth = 8, kFifth = 4;

  struct Coming {
    book::StreamOp op;
    std::uint32_t account;
    std::uint32_t tag;
    std::uint32_t number;  // of the order a cancel names
    std::uint32_t maker;   // slot of the order that a new one meets first
    std::uint8_t id_size;
    char id[11];
    std::string_view client_id() const { return {id, id_size}; }
  };

  void name(std::size_t i) {
    Coming& c = ops_[i % kRing];
    if (i % 4 == 0) fetch(bytes_ + std::min(i + kRead, count_ - 1) * sizeof c.op);
    std::memcpy(&c.op, bytes_ + i * sizeof c.op, sizeof c.op);
    c.id_size = static_cast<std::uint8_t>(std::to_chars(c.id, c.id + sizeof c.id, c.op.number).ptr - c.id);
    c.account = 1 + c.op.number % accounts_;
  }
  template <bool kMany>
  void begin(Coming& c) {
    c.tag = OrderTable::tag_of(c.account, c.client_id());
    c.number = kNone;
    c.maker = 0;
    if (c.op.book >= instruments_) return;
    x_.orders().prefetch(c.tag);
    if (!kMany) return;
    x_.expect(c.account);
    if (c.op.type != 1) x_.books().prefetch_level(c.op.book, side_of(c.op), c.op.price);
  }
  template <bool kMany>
  void look_up(Coming& c) {
    if (c.op.book >= instruments_) return;
    if (c.op.type == 1) {
      c.number = x_.orders().prefetch_record(c.tag).number;
    } else if (kMany) {
      x_.expect(c.account, c.op.book);
      c.maker = x_.books().prefetch_queue(c.op.book, side_of(c.op), c.op.price, c.op.type == 2);
      if (c.maker != 0) x_.orders().prefetch_place(c.maker);
    }
  }
  template <bool kMany>
  void meet(Coming& c) {
    if (c.op.book >= instruments_) return;
    if (c.op.type != 1) {
      if (!kMany) return;
      if (c.maker == 0) {
        x_.ledger().at(c.account).prefetch_front(c.op.book);
        return;
      }
      x_.ledger().at(c.account).prefetch(c.op.book, side_of(c.op));
      c.number = x_.orders().prefetch_placed(c.maker);
    } else if (c.number != kNone && x_.orders().at(c.number).status == Status::kAlive) {
      x_.books().prefetch(x_.orders().at(c.number).id);
      if (kMany) x_.expect(c.account, c.op.book);
    }
  }
  void part(const Coming& c) {
    if (c.number == kNone) return;
    const OrderRecord& r = x_.orders().at(c.number);
    if (r.status != Status::kAlive) return;
    if (c.op.type == 1) {
      x_.books().prefetch_neighbours(r.id);
      x_.ledger().at(r.account).prefetch_front(r.instrument());
    } else {
      x_.expect(r.account);
      x_.expect(r.account, c.op.book);
    }
  }
  void finish(const Coming& c) {
    if (c.number == kNone || c.op.type == 1) return;
    const OrderRecord& r = x_.orders().at(c.number);
    if (r.status == Status::kAlive) x_.ledger().at(r.account).prefetch(r.instrument(), r.side());
  }

  void apply(const Coming& c, book::StreamResult& result) {
    const book::StreamOp& op = c.op;
    if (op.type == 1) {
      if (x_.cancel(c.account, c.client_id(), c.tag, now_ns_).code != kOk) ++result.misses;
    } else if (op.type == 0 || op.type == 2) {
      const Price tick = op.book < instruments_ ? x_.ledger().board.terms(op.book).tick : 1;
      Insert order;
      order.account = c.account;
      order.instrument = op.book;
      order.client_id = c.client_id();
      order.volume = op.volume;
      order.now_ns = now_ns_;
      order.side = side_of(op);
      if (op.type == 0) {
        order.price = op.price * tick;
      } else {
        order.price_type = book::PriceType::kAny;
        order.time = book::TimeCondition::kIoc;
      }
      if (x_.insert(order, c.tag).code != kOk) ++result.refused;
    }
    for (const Event& e : x_.events()) {
      if (e.kind != EventKind::kTrade) continue;
      ++result.trades;
      result.volume += static_cast<std::uint64_t>(e.volume);
      result.value += e.price / x_.ledger().board.terms(e.instrument).tick * e.volume;
    }
    x_.clear_events();
  }
  static Side side_of(const book::StreamOp& op) { return op.side != 0 ? Side::kSell : Side::kBuy; }

  Exchange& x_;
  const char* const bytes_;
  const std::size_t count_;
  const std::uint32_t accounts_;
  const std::uint32_t instruments_;
  const std::int64_t now_ns_;
  std::array<Coming, kRing> ops_;
};

inline void play(Exchange& x, const void* bytes, std::size_t count, std::uint32_t accounts, std::int64_t now_ns,
                 book::StreamResult& result) {
  Stream(x, bytes, count, accounts, now_ns).run(result);
}

}  // namespace qautlra::exchange
