// What an exchange keeps of its day beside the orders: trades by number, and each account's orders and trades.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/block.hpp"
#include "base/prefetch.hpp"
#include "exchange/types.hpp"

namespace qautlra::exchange {

// One side of a match as its account knows it: one cache line. Its instrument is its order's.
struct alignas(64) TradeRecord {
  std::uint32_t order;  // number of the record
  std::uint32_t account;
  std::uint32_t before;  // trade of the account
  std::int32_t volume;
  Price price;
  std::uint64_t match;  // the same for both sides
  std::uint64_t seq;    // of the account
  Money commission;
  Money close_profit;
  std::int64_t time_ns;  // of the command that brought it about
};
static_assert(sizeof(TradeRecord) == 64);

// Owner: the exchange. Numbers are dense from 0 and start again with each day; memory comes as it is touched and stays.
// `trades_max` is the owner's to respect before it lets orders in; what trades beyond it is not kept.
class TradeTable {
 public:
  // `spare`: for the fills of the last order let in.
  TradeTable(std::uint32_t trades_max, std::size_t spare)
      : trades_max_(trades_max), room_(trades_max + spare), records_(reserved<TradeRecord>(room_)) {}
  bool ready() const { return records_ != nullptr; }
  bool full() const { return count_ >= trades_max_; }
  bool has_room(std::size_t more) const { return more <= room_ - count_; }
  std::uint32_t size() const { return count_; }
  const TradeRecord& at(std::uint32_t number) const { return records_[number]; }
  // The next one, for its owner to fill in; null when there is no room.
  TradeRecord* add(std::uint32_t& number) {
    if (count_ >= room_) return nullptr;
    number = count_++;
    if (count_ != room_) fetch_to_write(&records_[count_]);
    return &records_[number];
  }
  void clear() { count_ = 0; }
  std::size_t room() const { return room_; }
  // They change places with those of a table that has as much room.
  void exchange(TradeTable& other) {
    std::swap(count_, other.count_);
    std::swap(records_, other.records_);
  }

 private:
  const std::uint32_t trades_max_;
  const std::size_t room_;
  std::uint32_t count_ = 0;
  Block<TradeRecord> records_;
};

// What every order and trade of an account moves on. Owner: the exchange.
struct Desk {
  std::uint64_t seq = 0;  // of the last event told, over all days
  // The newest of today; each names the one before it.
  std::uint32_t last_order = kNone;
  std::uint32_t last_trade = kNone;
};

// A level the street shows, and the order that stands for it.
struct Shown {
  std::int64_t price = 0;  // ticks
  std::int64_t volume = 0;
  book::OrderId id = 0;  // 0: nothing of it is left
};

constexpr std::size_t kStreetLevelsMax = 10;

// Owner: the exchange; by instrument.
struct Street {
  std::vector<Shown> sides[2];  // by Side
};

struct StreetLevel {
  std::int64_t price = 0;  // ticks
  std::int64_t volume = 0;
};

}  // namespace qautlra::exchange
