// One account in QIFI arithmetic (trading contract, section 1): funds, positions with today's and old lots, what
// live orders freeze, margin rule M1, fees, marks, the daily settlement.
//
// Costs are kept apart for today's lots (cost: their trade prices) and old ones (position cost: the last
// settlement; open cost: their trade prices). A close takes its share of the average cost of the lots it takes,
// so the profit of closing today's lots does not depend on what old ones cost.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "account/code.hpp"
#include "account/money.hpp"
#include "account/terms.hpp"
#include "base/block.hpp"
#include "base/prefetch.hpp"

namespace qautlra::account {

constexpr std::uint32_t kNoPosition = 0xFFFFFFFF;

// One side of a position as it is told of. Lots and money; frozen lots are part of today and his.
struct Leg {
  std::int64_t today = 0;
  std::int64_t his = 0;
  std::int64_t frozen_today = 0;
  std::int64_t frozen_his = 0;
  std::int64_t yd = 0;       // held before today's open
  std::int64_t opening = 0;  // of live opening orders
  Money cost_today = 0;
  Money cost_his = 0;
  Money open_cost_his = 0;
  Money margin = 0;
  Money value = 0;  // at the last price

  std::int64_t volume() const { return today + his; }
  std::int64_t frozen() const { return frozen_today + frozen_his; }
  Money position_cost() const { return cost_today + cost_his; }
  Money open_cost() const { return cost_today + open_cost_his; }
};

// One account in one instrument. By Side: kBuy the long one. An order that comes or goes touches the first cache line,
// a fill one more. Owner: the pool.
struct alignas(64) Position {
  struct alignas(64) Held {
    std::int64_t today = 0;
    std::int64_t his = 0;
    std::int64_t yd = 0;
    std::int64_t frozen_his = 0;
    Money cost_today = 0;
    Money cost_his = 0;
    Money open_cost_his = 0;
    Money margin = 0;

    std::int64_t volume() const { return today + his; }
    Money position_cost() const { return cost_today + cost_his; }
    Money open_cost() const { return cost_today + open_cost_his; }
  };

  std::uint32_t instrument = 0;
  Price last = kNoValue;
  Money frozen_margin = 0;
  Money margin = 0;  // of both legs
  std::int64_t opening[2] = {0, 0};
  std::int64_t frozen_today[2] = {0, 0};
  Held held[2];

  Money value(int side, std::int64_t multiple) const {
    return last == kNoValue ? 0 : value_of(last, held[side].volume(), multiple);
  }
  bool empty() const {
    return (held[0].today | held[0].his | opening[0] | held[0].yd | held[1].today | held[1].his | opening[1] |
            held[1].yd) == 0;
  }
};
static_assert(sizeof(Position) == 192 && std::is_trivially_copyable_v<Position>);

// The positions of all accounts, in large pages; one never moves while it is held.
class PositionPool {
 public:
  Position& operator[](std::uint32_t number) { return chunks_[number / kChunk][number % kChunk]; }
  const Position& operator[](std::uint32_t number) const { return chunks_[number / kChunk][number % kChunk]; }
  std::uint32_t take() {
    if (!free_.empty()) {
      const std::uint32_t number = free_.back();
      free_.pop_back();
      if (!free_.empty()) prefetch(free_.back());
      return number;
    }
    if (count_ == chunks_.size() * kChunk) {
      chunks_.push_back(reserved<Position>(kChunk));
      if (!chunks_.back()) {
        chunks_.pop_back();
        throw std::bad_alloc();
      }
    }
    if ((count_ + 1) % kChunk != 0) prefetch(count_ + 1);
    return count_++;
  }
  void give_back(std::uint32_t number) { free_.push_back(number); }

 private:
  // One that is begun next is written to, which takes long where its lines are not there.
  void prefetch(std::uint32_t number) const {
    const Position& p = (*this)[number];
    fetch_to_write(&p);
    fetch_to_write(p.held);
    fetch_to_write(p.held + 1);
  }
  static constexpr std::uint32_t kChunk = 1u << 14;
  std::vector<Block<Position>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t count_ = 0;
};

// An account's positions in order of appearance, for reading.
class Positions {
 public:
  Positions(const PositionPool& pool, const std::vector<std::uint32_t>& numbers) : pool_(&pool), numbers_(&numbers) {}
  std::size_t size() const { return numbers_->size(); }
  const Position& operator[](std::size_t i) const { return (*pool_)[(*numbers_)[i]]; }
  struct Iterator {
    const Positions* of;
    std::size_t i;
    const Position& operator*() const { return (*of)[i]; }
    Iterator& operator++() {
      ++i;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return i != other.i; }
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  const PositionPool* pool_;
  const std::vector<std::uint32_t>* numbers_;
};

// What all accounts of a process share: terms and today's market by instrument number, and who holds what.
// Owner: the ledger; one thread.
class Board {
 public:
  // False, and nothing changed, for terms that are not valid().
  bool set_terms(std::uint32_t instrument, const Terms& terms);
  bool known(std::uint32_t instrument) const { return instrument < size_ && listed_[instrument].terms.multiple != 0; }
  const Terms& terms(std::uint32_t instrument) const { return listed_[instrument].terms; }
  Quote& quote(std::uint32_t instrument) { return listed_[instrument].quote; }
  const Quote& quote(std::uint32_t instrument) const { return listed_[instrument].quote; }
  const std::vector<std::uint32_t>& holders(std::uint32_t instrument) const { return holders_[instrument]; }
  void hold(std::uint32_t instrument, std::uint32_t account) { holders_[instrument].push_back(account); }
  void drop(std::uint32_t instrument, std::uint32_t account);
  std::size_t size() const { return size_; }
  // All but the positions, which are copied account by account.
  void copy(const Board& from) {
    listed_ = from.listed_;
    size_ = from.size_;
    holders_ = from.holders_;
  }

  PositionPool positions;

 private:
  // An order needs the first three of its cache lines.
  struct alignas(64) Listed {
    Quote quote;
    Terms terms;  // multiple 0: not known
    Listed() { terms.multiple = 0; }
  };
  static_assert(sizeof(Listed) == 256);
  std::vector<Listed> listed_;
  std::uint32_t size_ = 0;  // of them
  std::vector<std::vector<std::uint32_t>> holders_;
};

// What one live order keeps from its account: one cache line. The owner of the order keeps it beside the order.
struct Hold {
  Price price = 0;   // money is frozen at this one
  Money frozen = 0;  // margin, or the premium an option is bought for
  Money commission = 0;
  Money fee_due = 0;  // of the fills so far, before the order's minimum
  Money fee_charged = 0;
  std::int64_t left = 0;
  std::int64_t his = 0;  // old lots frozen by a closing order; the rest of `left` are today's
  std::uint32_t instrument = 0;
  Side side = Side::kBuy;
  bool opens = true;
  bool pays_premium = false;

  std::int64_t today() const { return opens ? 0 : left - his; }
  Money margin() const { return pays_premium ? 0 : frozen; }
  Money premium() const { return pays_premium ? frozen : 0; }
};
static_assert(sizeof(Hold) == 64);

// What one fill did.
struct Filled {
  Money commission = 0;
  Money close_profit = 0;
  std::int64_t closed_today = 0;
  std::int64_t closed_his = 0;
};

// In two cache lines: what available() adds up, and the rest.
struct Funds {
  Money pre_balance = 0;
  Money deposit = 0;
  Money withdraw = 0;
  Money close_profit = 0;
  Money position_profit = 0;
  Money commission = 0;
  Money premium = 0;  // of options: + received, - paid
  Money margin = 0;
  Money frozen_margin = 0;
  Money frozen_commission = 0;
  Money frozen_premium = 0;
  Money paid = 0;      // of margin: shares, paid in full
  Money bought = 0;    // shares today
  Money sold = 0;
  Money paid_profit = 0;  // of position_profit: on shares

  Money static_balance() const {
    if (Money sum = pre_balance; add_to(sum, deposit) && take_from(sum, withdraw)) [[likely]] return sum;
    return clamp(static_cast<Wide>(pre_balance) + deposit - withdraw);
  }
  Money balance() const {
    const Money before = static_balance();
    if (Money sum = before; add_to(sum, close_profit, position_profit, premium) && take_from(sum, commission)) [[likely]]
      return sum;
    return clamp(static_cast<Wide>(before) + close_profit + position_profit - commission + premium);
  }
  // Both at once.
  struct Means {
    Money balance;
    Money available;
  };
  Means means() const {
    Money before = pre_balance, sum = 0, left = 0;
    if (__builtin_add_overflow(before, deposit, &before) || __builtin_sub_overflow(before, withdraw, &before) ||
        before == kNoValue || __builtin_add_overflow(before, close_profit, &sum) ||
        __builtin_add_overflow(sum, position_profit, &sum) || __builtin_add_overflow(sum, premium, &sum) ||
        __builtin_sub_overflow(sum, commission, &sum) || sum == kNoValue || __builtin_sub_overflow(sum, margin, &left) ||
        __builtin_sub_overflow(left, frozen_margin, &left) || __builtin_sub_overflow(left, frozen_commission, &left) ||
        __builtin_sub_overflow(left, frozen_premium, &left) || left == kNoValue) [[unlikely]]
      return one_by_one();
    return {sum, left};
  }
  Money available(Money balance) const {
    if (Money sum = balance; take_from(sum, margin, frozen_margin, frozen_commission, frozen_premium)) [[likely]]
      return sum;
    return clamp(static_cast<Wide>(balance) - margin - frozen_margin - frozen_commission - frozen_premium);
  }

 private:
  [[gnu::noinline, gnu::cold]] Means one_by_one() const {
    const Money sum = balance();
    return {sum, available(sum)};
  }
};

enum class MarginSide : std::uint8_t { kSum = 0, kMax = 1 };
enum Lock : std::uint8_t { kLockTrading = 1, kLockWithdraw = 2, kLockAll = 3 };

// Owner: the ledger's thread. No call throws except for want of memory; a refused call changes nothing. What every order
// touches lies together at the front.
class alignas(64) Account {
 public:
  Account(Board& board, std::uint32_t number, std::uint64_t key, MarginSide margin_side)
      : board_(&board), number_(number), margin_side_(margin_side), key_(key) {}

  // Money in and out; withdrawals up to withdraw_quota().
  Code deposit(Money amount);
  Code withdraw(Money amount);

  // What an order would freeze: lots by the exchange's close rule, money at `price`. Funds are not asked for;
  // compare due(hold) with available(). take() then makes it so. What is refused leaves nothing in `out` to go by. What an
  // opening order and the account's margin, frozen or not, come to is no more than kMaxValue.
  Code plan(std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price, Hold& out) const;
  // The same where the board's terms of it are at hand; plan.hpp has it.
  Code plan(const Terms& terms, std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price,
            Hold& out) const;
  void take(const Hold& hold);  // in plan.hpp, too
  static Money due(const Hold& h) { return add(h.frozen, h.commission); }
  // plan, funds (opening orders only: who has no money may still close), take.
  Code freeze(std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price, Hold& out);
  // Part of an order is not wanted any more: `left` lots stay.
  Code shrink(Hold& hold, std::int64_t left);
  // The order's price moves (an amend); funds are asked for again when it opens.
  Code move(Hold& hold, Price price);
  // The order is done: what it still keeps is free. Nothing when it was filled or released before.
  void release(Hold& hold);
  // A fill of a live order; the trade price is the first last price of an instrument that has none.
  Code fill(Hold& hold, std::int64_t volume, Price price, Filled& out);
  // A trade of no order known here.
  Code trade(std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price, Filled& out);

  // Lots of a future or an option go at the end of their contract: at a price, for a fee on their value, by no order.
  // kOrdersAlive while an order of that instrument keeps something. See expire.cpp.
  Code close_out(std::uint32_t instrument, Side side, std::int64_t today, std::int64_t his, Price price, Ratio fee,
                 Filled& out);
  // What exercise brings: lots of a future opened today at a price. Neither fee nor funds are asked for.
  Code assign(std::uint32_t instrument, Side side, std::int64_t volume, Price price);

  Code mark(std::uint32_t instrument, Price last);
  // Before and after the board's terms of an instrument change.
  void lift(std::uint32_t instrument);
  void lay(std::uint32_t instrument);
  // The day is over: costs and margin go to the last marks (mark the settlement prices first), today's lots become
  // old, sums of the day become zero. kOrdersAlive while an order keeps something.
  Code settle();

  // Restores one leg as another book-keeper states it (a broker, a document): lots not frozen, costs. Where no last
  // price is known it is taken to be the average cost.
  Code set_leg(std::uint32_t instrument, Side side, const Leg& leg, Price last);
  void set_funds(const Funds& funds);  // all but what follows from positions and orders

  Money static_balance() const { return funds_.static_balance(); }
  Money balance() const { return funds_.balance(); }
  Money available() const { return funds_.available(balance()); }
  Funds::Means means() const { return funds_.means(); }
  Money withdraw_quota() const;
  Money market_value() const { return worth_; }         // of shares and options
  Money option_value() const { return option_worth_; }  // of options alone
  Money float_profit() const { return floating_; }
  double risk_ratio() const;  // margin / balance; 0 without margin, infinite when nothing is left to cover it
  double leverage() const;    // the same without shares paid in full: what levels and liquidation go by

  const Funds& funds() const { return funds_; }
  Positions positions() const { return {board_->positions, positions_}; }
  // Lots frozen of those that a close refused with this number would have taken; 0 for any other number.
  std::int64_t frozen_to_close(std::uint32_t instrument, Side side, std::uint16_t code) const;
  const Position* find(std::uint32_t instrument) const {
    if (instrument >= slot_.size() || slot_[instrument] == kNoPosition) return nullptr;
    return &board_->positions[slot_[instrument]];
  }
  Leg leg(const Position& position, Side side) const;
  // What an order of the account in that instrument will touch, fetched ahead of it.
  void prefetch() const {
    fetch(&funds_);
    fetch(&funds_.frozen_margin);
    fetch(&board_);
  }
  // Where its positions are, while it is not known in which instrument the order will be.
  void prefetch_places() const {
    constexpr std::size_t kLine = 64 / sizeof(std::uint32_t), kLinesMax = 8;
    const std::size_t size = std::min(slot_.size(), kLine * kLinesMax);
    for (std::size_t i = 0; i < size; i += kLine) fetch(slot_.data() + i);
  }
  void prefetch(std::uint32_t instrument) const {
    if (instrument < slot_.size()) fetch(slot_.data() + instrument);
  }
  void prefetch_position(std::uint32_t instrument) const {
    prefetch(instrument, Side::kBuy);
    prefetch(instrument, Side::kSell);
  }
  // What an order that comes or goes touches of it; a fill touches what is held, too.
  void prefetch_front(std::uint32_t instrument) const {
    if (const Position* const p = find(instrument); p != nullptr) fetch(p);
  }
  void prefetch(std::uint32_t instrument, Side side) const {
    if (const Position* const p = find(instrument); p != nullptr) {
      fetch(p);
      fetch(p->held + static_cast<int>(side));
    }
  }
  Money open_profit(const Position& position, Side side) const;
  Money position_profit(const Position& position, Side side) const;
  std::uint32_t number() const { return number_; }
  std::uint64_t key() const { return key_; }
  std::int64_t live_orders() const { return live_orders_; }
  std::uint64_t state_hash() const;
  // Becomes what another one is, over this one's board. This one holds nothing yet.
  void copy(const Account& from);

 private:
  Position& place(std::uint32_t instrument) {
    if (instrument < slot_.size() && slot_[instrument] != kNoPosition) [[likely]]
      return board_->positions[slot_[instrument]];
    return begin(instrument);
  }
  Position& begin(std::uint32_t instrument);
  // What one leg of a position adds to the account's sums.
  struct Part {
    Money value;
    Money profit;
    Money floating;
  };
  template <bool kPlain = false>
  static Part part_of(const Terms& terms, int leg, Money value, Money position_cost, Money open_cost);
  static Part part_of(const Terms& terms, const Position& position, int leg);
  [[gnu::noinline]] Part close(const Terms& terms, Position& position, int leg, Hold& hold, std::int64_t volume, Money value,
                               Money at_last, Filled& out);
  void take_off(const Terms& terms, Position& position, int leg);  // before a leg changes: its part, but not its margin
  void put_on(const Terms& terms, Position& position, int leg);    // and after
  template <bool kPlain = false>
  void set_margin(const Terms& terms, Position& position, int leg);
  template <bool kPlain = false>
  void add_part(const Terms& terms, int leg, const Part& part, int sign);
  void add_margin(const Position& position, int leg, Money delta);
  static void estimate(const Terms& terms, Hold& hold);
  template <bool kPlain>
  static void estimate(const Terms& terms, Hold& hold, Money value);  // of what is left of it, some lots at least
  static void estimate_any(const Terms& terms, Hold& hold, Money value);
  template <bool kPlain>
  Code fill_as(const Terms& terms, Hold& hold, std::int64_t volume, Price price, Filled& out);
  Code plan_close(const Terms& terms, Offset offset, Hold& hold) const;
  // What an order keeps of the money, more of it or (negative) less.
  void keep(Position& position, bool premium, Money frozen, Money commission) {
    funds_.frozen_commission += commission;
    if (premium) {
      funds_.frozen_premium += frozen;
    } else {
      position.frozen_margin += frozen;
      funds_.frozen_margin += frozen;
    }
  }
  void keep(Position& position, const Hold& h) { keep(position, h.pays_premium, h.frozen, h.commission); }
  void let_go(Position& position, const Hold& h) { keep(position, h.pays_premium, -h.frozen, -h.commission); }
  template <bool kPlain>
  static Money leg_margin(const Terms& terms, const Position& position, int leg);

  struct Pair {
    Money side[2] = {0, 0};
  };

  Funds funds_;
  Money opened_ = 0;  // position cost of everything held and value of all opening orders: the bound's measure
  Board* board_;
  std::vector<std::uint32_t> slot_;  // by instrument
  std::int64_t live_orders_ = 0;
  Money gross_ = 0;     // of all legs at market
  Money floating_ = 0;  // sums over the positions
  std::uint32_t number_;
  MarginSide margin_side_;

 public:
  std::uint8_t locks = 0;

 private:
  Money worth_ = 0;
  Money option_worth_ = 0;
  std::uint64_t key_;
  std::vector<std::uint32_t> positions_;  // in the pool, in order of appearance
  std::unordered_map<std::int64_t, Pair> groups_;
};

}  // namespace qautlra::account
