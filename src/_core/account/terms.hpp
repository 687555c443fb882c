// What an account must know of an instrument: multiple, tick, margin, fees, which lots a close takes.
#pragma once

#include <cstdint>
#include <string_view>

#include "account/money.hpp"
#include "book/types.hpp"

namespace qautlra::account {

using book::Side;  // as a leg of a position: kBuy is the long one

enum class Offset : std::uint8_t { kOpen = 0, kClose = 1, kCloseToday = 2 };
enum class Asset : std::uint8_t { kFuture = 0, kOption = 1, kStock = 2 };

// Which lots a closing order takes.
enum class CloseRule : std::uint8_t {
  kSplit = 0,       // SHFE, INE: CLOSETODAY only today's, CLOSE only old ones, no falling back
  kTodayFirst = 1,  // one CLOSE, today's first
  kHisFirst = 2,    // one CLOSE, old ones first
  kHisOnly = 3,     // A-shares, T+1: only old ones
};

struct Rate {
  Ratio ratio = 0;         // of the value
  Money per_lot = 0;
  std::uint64_t part = 0;  // part_of(ratio): the board's to set
};

// Owner: the ledger, by value. What every order needs is in front.
struct Terms {
  std::int64_t multiple = 1;
  Price tick = 0;  // 0: any price
  Rate margin[2] = {{kOne, 0}, {kOne, 0}};  // by leg
  Rate fee_open;
  Money fee_min = 0;       // per order, over all its fills
  Ratio transfer_fee = 0;  // of the value, both ways
  Ratio sell_tax = 0;      // of the value of sales
  std::int32_t group = -1; // product, for accounts that pay margin on the larger side only; -1: on its own
  Asset asset = Asset::kFuture;
  CloseRule close_rule = CloseRule::kTodayFirst;
  bool plain = false;      // is_plain(): the board's to set
  Rate fee_close;
  Rate fee_close_today;
  std::uint64_t key = 0;   // hash of the symbol: the same in every process

  // Whether an order opens; of shares all that is bought does.
  bool opens(Side side, Offset offset) const {
    return asset == Asset::kStock ? side == Side::kBuy : offset == Offset::kOpen;
  }
  bool taxed() const { return (transfer_fee | sell_tax) != 0; }
  // Whether an order that opens is reckoned by shares of its value alone: of a future, untaxed, with no rate by lot.
  bool is_plain() const {
    return asset == Asset::kFuture && !taxed() && (margin[0].per_lot | margin[1].per_lot | fee_open.per_lot) == 0;
  }
  bool valid() const {
    const auto fine = [](const Rate& r) {
      return r.ratio >= 0 && r.ratio <= kOne && r.per_lot >= 0 && r.per_lot <= kMaxPrice;
    };
    return multiple >= 1 && multiple <= kMaxMultiple && tick >= 0 && tick <= kMaxPrice && fine(margin[0]) &&
           fine(margin[1]) && fine(fee_open) && fine(fee_close) && fine(fee_close_today) && fee_min >= 0 &&
           fee_min <= kMaxPrice && transfer_fee >= 0 && transfer_fee <= kOne && sell_tax >= 0 && sell_tax <= kOne;
  }
};

// The exchanges' close rules (contract 5.6).
constexpr CloseRule close_rule_of(std::string_view exchange, Asset asset) {
  if (asset == Asset::kStock) return CloseRule::kHisOnly;
  return exchange == "SHFE" || exchange == "INE" ? CloseRule::kSplit : CloseRule::kTodayFirst;
}

// The market an instrument trades in today; kNoValue where not known.
struct Quote {
  Price last = kNoValue;
  Price bid = kNoValue;
  Price ask = kNoValue;
  Price upper = kNoValue;
  Price lower = kNoValue;
  Price settlement = kNoValue;  // of the previous day until the new one is set
  std::int64_t last_ns = 0;     // when it was last heard of
  bool tradable = true;
  bool open = true;             // in a phase that takes orders
};

// The price money is frozen at: the limit; for an order at any price the upper limit when it buys, else the last.
constexpr Price freeze_price(bool limit_order, Price limit, Side side, const Quote& q) {
  if (limit_order) return limit;
  if (side == Side::kBuy && q.upper != kNoValue) return q.upper;
  if (q.last != kNoValue) return q.last;
  return q.upper != kNoValue ? q.upper : q.settlement;
}

}  // namespace qautlra::account
