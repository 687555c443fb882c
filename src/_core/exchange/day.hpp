// What an exchange keeps of its day beside the orders: trades by number, and each account's orders and trades.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "book/ladder.hpp"
#include "exchange/types.hpp"

namespace qautlra::exchange {

// One side of a match as its account knows it.
struct TradeRecord {
  std::uint32_t order;  // number of the record
  std::uint32_t account;
  std::uint32_t instrument;
  std::int32_t volume;
  Price price;
  std::uint64_t match;  // the same for both sides
  std::uint64_t seq;    // of the account
  Money commission;
  Money close_profit;
  std::int64_t time_ns;  // of the command that brought it about
};

// Owner: the exchange. Numbers are dense from 0 and start again with each day; pages stay for the next one. The
// bound is the owner's to respect before it lets orders in: what has traded is kept whatever it says.
class TradeTable {
 public:
  explicit TradeTable(std::uint32_t trades_max) : trades_max_(trades_max) {}
  bool full() const { return count_ >= trades_max_; }
  std::uint32_t size() const { return count_; }
  const TradeRecord& at(std::uint32_t number) const { return pages_[number / kPage][number % kPage]; }
  // Room for one more trade; false when there is no memory.
  bool make_room() {
    if (count_ / kPage < pages_.size()) return true;
    auto page = book::zeroed<TradeRecord>(kPage);
    if (!page) return false;
    pages_.push_back(std::move(page));
    return true;
  }
  std::uint32_t add(const TradeRecord& trade) {
    pages_[count_ / kPage][count_ % kPage] = trade;
    return count_++;
  }
  void clear() { count_ = 0; }

 private:
  static constexpr std::uint32_t kPage = 1024;
  const std::uint32_t trades_max_;
  std::uint32_t count_ = 0;
  std::vector<book::Block<TradeRecord>> pages_;
};

// An account's numbers of today, oldest first.
struct AccountDay {
  std::vector<std::uint32_t> orders;
  std::vector<std::uint32_t> trades;

  void clear() {
    orders.clear();
    trades.clear();
  }
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
