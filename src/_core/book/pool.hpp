// The live orders of all books: fixed slots, linked into the queues of their levels by slot number.
#pragma once

#include <cstdint>
#include <memory>

#include "base/prefetch.hpp"
#include "book/ladder.hpp"
#include "book/types.hpp"

namespace qautlra::book {

// What matching touches. Owner: the pool.
struct Order {
  OrderId id;  // 0: the slot is free
  std::uint32_t next;
  std::uint32_t prev;
  std::int32_t level;
  std::int32_t left;
  std::uint32_t account;
  std::uint16_t book;
  Side side;
  std::uint8_t kind;  // its time condition, and whether it opens

  static constexpr std::uint8_t kOpens = 0x80;
  static constexpr std::uint8_t kind_of(TimeCondition time, bool opens) {
    return static_cast<std::uint8_t>(static_cast<std::uint8_t>(time) | (opens ? kOpens : 0));
  }
  TimeCondition time() const { return static_cast<TimeCondition>(kind & ~kOpens); }
  bool opens() const { return (kind & kOpens) != 0; }
};
static_assert(sizeof(Order) == 32);

// What matching does not touch. Owner: the pool.
struct OrderMore {
  std::uint32_t next_own;  // of the same account and side; books that forbid self-trades only
  std::uint32_t prev_own;
  std::int32_t gtd_day;
};

// Owner: one thread. All memory is taken at construction (pages when first used); take() refuses at the bound.
class OrderPool {
 public:
  // `live_max` orders at once, below 2^24.
  explicit OrderPool(std::uint32_t live_max)
      : live_max_(live_max), orders_(zeroed<Order>(live_max + 1u)), more_(zeroed<OrderMore>(live_max + 1u)) {}

  bool ready() const { return orders_ && more_; }
  bool full() const { return live_ == live_max_; }
  std::uint32_t live() const { return live_; }
  std::uint32_t live_max() const { return live_max_; }
  std::uint64_t last_serial() const { return serial_; }
  void resume(std::uint64_t serial) { serial_ = serial; }

  Order& operator[](std::uint32_t slot) { return orders_[slot]; }
  const Order& operator[](std::uint32_t slot) const { return orders_[slot]; }
  OrderMore& more(std::uint32_t slot) { return more_[slot]; }
  const OrderMore& more(std::uint32_t slot) const { return more_[slot]; }

  std::uint32_t next() const { return free_ != 0 ? free_ : top_ + 1; }
  // A slot with the next number on it. Not when full().
  std::uint32_t take() {
    const std::uint32_t slot = next();
    if (free_ != 0) free_ = orders_[slot].next;
    else top_ = slot;
    ++live_;
    orders_[slot].id = (++serial_ << kSlotBits) | slot;
    return slot;
  }
  void give_back(std::uint32_t slot) {
    orders_[slot].id = 0;
    orders_[slot].next = free_;
    free_ = slot;
    --live_;
  }
  // A handle is soon looked for. Slots beyond the pool are harmless: nothing is read.
  void prefetch(OrderId id) const { fetch(orders_.get() + slot_of(id)); }
  // Slot of a live order, 0 when the handle names none.
  std::uint32_t find(OrderId id) const {
    const std::uint32_t slot = slot_of(id);
    return id != 0 && slot <= top_ && orders_[slot].id == id ? slot : 0;
  }

 private:
  const std::uint32_t live_max_;
  Block<Order> orders_;
  Block<OrderMore> more_;
  std::uint32_t free_ = 0;
  std::uint32_t top_ = 0;
  std::uint32_t live_ = 0;
  std::uint64_t serial_ = 0;
};

}  // namespace qautlra::book
