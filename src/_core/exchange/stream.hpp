// A packed stream of operations (book/stream.hpp) run against the whole exchange in one call: orders of many accounts
// with ids as text, risk, margin, positions, and the journal where there is one.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "book/stream.hpp"
#include "exchange/exchange.hpp"

namespace qautlra::exchange {

// Order `number` is account `1 + number % accounts`'s, opens, and has its number as id. Prices are ticks. Events are
// read and forgotten; `value` is price times volume in ticks.
inline void play(Exchange& x, const void* bytes, std::size_t count, std::uint32_t accounts, std::int64_t now_ns,
                 book::StreamResult& result) {
  const char* at = static_cast<const char*>(bytes);
  for (std::size_t i = 0; i < count; ++i, at += sizeof(book::StreamOp)) {
    book::StreamOp op;
    std::memcpy(&op, at, sizeof op);
    char id[16];
    const std::string_view client_id(id, static_cast<std::size_t>(std::to_chars(id, id + sizeof id, op.number).ptr - id));
    const std::uint32_t account = 1 + op.number % accounts;
    if (op.type == 1) {
      if (x.cancel(account, client_id, now_ns).code != kOk) ++result.misses;
    } else if (op.type == 0 || op.type == 2) {
      const Price tick = op.book < x.instruments() ? x.ledger().board.terms(op.book).tick : 1;
      Insert order;
      order.account = account;
      order.instrument = op.book;
      order.client_id = client_id;
      order.volume = op.volume;
      order.now_ns = now_ns;
      order.side = op.side != 0 ? Side::kSell : Side::kBuy;
      if (op.type == 0) {
        order.price = op.price * tick;
      } else {
        order.price_type = book::PriceType::kAny;
        order.time = book::TimeCondition::kIoc;
      }
      if (x.insert(order).code != kOk) ++result.refused;
    }
    for (const Event& e : x.events()) {
      if (e.kind != EventKind::kTrade) continue;
      ++result.trades;
      result.volume += static_cast<std::uint64_t>(e.volume);
      result.value += e.price / x.ledger().board.terms(e.instrument).tick * e.volume;
    }
    x.clear_events();
  }
  // Both sides of a match were told of it.
  result.trades /= 2;
  result.volume /= 2;
  result.value /= 2;
}

}  // namespace qautlra::exchange
