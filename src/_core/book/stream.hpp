// A packed stream of operations run in one call: what a recorded or generated day of order flow is replayed from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/prefetch.hpp"
#include "book/books.hpp"
#include "book/ladder.hpp"

namespace qautlra::book {

// 16 bytes, little-endian. `number` names the order for later cancels.
struct StreamOp {
  std::uint8_t type;  // 0 limit order, 1 cancel, 2 market order; anything else is skipped
  std::uint8_t side;
  std::uint16_t book;
  std::uint32_t number;
  std::int32_t price;
  std::int32_t volume;
};
static_assert(sizeof(StreamOp) == 16);

struct StreamResult {
  std::uint64_t trades = 0;
  std::uint64_t volume = 0;
  std::int64_t value = 0;  // price x volume, in ticks
  std::uint64_t misses = 0;   // cancels of orders no longer there
  std::uint64_t refused = 0;

  void on_accept(const Accepted&) {}
  void on_fill(const Fill& f) {
    ++trades;
    volume += static_cast<std::uint64_t>(f.volume);
    value += f.price * f.volume;
  }
  void on_cancel(const Cancelled&) {}
  void on_amend(const Amended&) {}
};

// Handles by the number the stream gives its orders: the client-id table of clients that count.
struct OrderNumbers {
  explicit OrderNumbers(std::size_t numbers) : count(numbers), ids(zeroed<OrderId>(numbers)) {}
  bool ready() const { return ids != nullptr; }  // false: no memory
  std::size_t count;  // numbers are below it; operations on others are refused
  Block<OrderId> ids;
};

// Order `number` belongs to account `number % accounts`.
inline void play(Books& books, const void* bytes, std::size_t count, std::uint32_t accounts, OrderNumbers& numbers,
                 StreamResult& result) {
  OrderId* const ids = numbers.ids.get();
  const char* at = static_cast<const char*>(bytes);
  // Cancels name orders from any time before: a stream is known ahead, so their handles and then their slots are
  // fetched before they are needed.
  constexpr std::size_t kHandleAhead = 16;
  constexpr std::size_t kOrderAhead = 6;
  const auto coming = [&](std::size_t i, std::size_t ahead) -> const OrderId* {
    if (i + ahead >= count) return nullptr;
    std::uint32_t number;
    std::memcpy(&number, at + ahead * sizeof(StreamOp) + offsetof(StreamOp, number), sizeof number);
    return number < numbers.count ? ids + number : nullptr;
  };
  for (std::size_t i = 0; i < count; ++i, at += sizeof(StreamOp)) {
    StreamOp op;
    std::memcpy(&op, at, sizeof op);
    if (const OrderId* const handle = coming(i, kHandleAhead)) fetch(handle);
    if (const OrderId* const handle = coming(i, kOrderAhead)) books.prefetch(*handle);
    if (op.number >= numbers.count) {
      ++result.refused;
    } else if (op.type == 1) {
      if (books.cancel(ids[op.number], result) != Code::kOk) ++result.misses;
    } else if (op.type == 0 || op.type == 2) {
      NewOrder order;
      order.price = op.price;
      order.volume = op.volume;
      order.account = accounts > 1 ? op.number % accounts : 0;
      order.side = static_cast<Side>(op.side);
      if (op.type == 2) {
        order.price_type = PriceType::kAny;
        order.time = TimeCondition::kIoc;
      }
      const Placed placed = books.insert(op.book, order, result);
      ids[op.number] = placed.id;
      if (placed.code != Code::kOk) ++result.refused;
    }
  }
}

}  // namespace qautlra::book
