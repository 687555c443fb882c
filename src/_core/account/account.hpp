// One account in QIFI arithmetic (trading contract, section 1): funds, positions with today's and old lots, what
// live orders freeze, margin rule M1, fees, marks, the daily settlement.
//
// Costs are kept apart for today's lots (cost: their trade prices) and old ones (position cost: the last
// settlement; open cost: their trade prices). A close takes its share of the average cost of the lots it takes,
// so the profit of closing today's lots does not depend on what old ones cost.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "account/code.hpp"
#include "account/money.hpp"
#include "account/terms.hpp"

namespace qautlra::account {

constexpr std::uint32_t kNoPosition = 0xFFFFFFFF;

// What all accounts of a process share: terms and today's market by instrument number, and who holds what.
// Owner: the ledger; one thread.
class Board {
 public:
  // False, and nothing changed, for terms that are not valid().
  bool set_terms(std::uint32_t instrument, const Terms& terms);
  bool known(std::uint32_t instrument) const { return instrument < known_.size() && known_[instrument]; }
  const Terms& terms(std::uint32_t instrument) const { return terms_[instrument]; }
  Quote& quote(std::uint32_t instrument) { return quotes_[instrument]; }
  const Quote& quote(std::uint32_t instrument) const { return quotes_[instrument]; }
  const std::vector<std::uint32_t>& holders(std::uint32_t instrument) const { return holders_[instrument]; }
  void hold(std::uint32_t instrument, std::uint32_t account) { holders_[instrument].push_back(account); }
  void drop(std::uint32_t instrument, std::uint32_t account);
  std::size_t size() const { return known_.size(); }

 private:
  std::vector<Terms> terms_;
  std::vector<Quote> quotes_;
  std::vector<std::vector<std::uint32_t>> holders_;
  std::vector<char> known_;
};

// One side of one instrument. Lots and money; frozen lots are part of today and his.
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

struct Position {
  std::uint32_t instrument = 0;
  Price last = kNoValue;
  Money frozen_margin = 0;
  Money profit = 0;    // both legs, against the position cost
  Money floating = 0;  // the same against the open cost
  Money worth = 0;     // of shares and options: long less short at the last price
  Leg legs[2];  // by Side: kBuy the long one

  const Leg& leg(Side side) const { return legs[static_cast<int>(side)]; }
  bool empty() const {
    return (legs[0].today | legs[0].his | legs[0].opening | legs[0].yd | legs[1].today | legs[1].his |
            legs[1].opening | legs[1].yd) == 0;
  }
};

// What one live order keeps from its account. The owner of the order keeps it beside the order.
struct Hold {
  std::uint32_t instrument = 0;
  Side side = Side::kBuy;
  bool opens = true;
  std::int64_t left = 0;
  std::int64_t today = 0;  // lots frozen by a closing order
  std::int64_t his = 0;
  Price price = 0;  // money is frozen at this one
  Money margin = 0;
  Money commission = 0;
  Money premium = 0;
  Money fee_due = 0;      // of the fills so far, before the order's minimum
  Money fee_charged = 0;
};

// What one fill did.
struct Filled {
  Money commission = 0;
  Money close_profit = 0;
  std::int64_t closed_today = 0;
  std::int64_t closed_his = 0;
};

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
};

enum class MarginSide : std::uint8_t { kSum = 0, kMax = 1 };
enum Lock : std::uint8_t { kLockTrading = 1, kLockWithdraw = 2, kLockAll = 3 };

// Owner: the ledger's thread. No call throws except for want of memory; a refused call changes nothing.
class Account {
 public:
  Account(Board& board, std::uint32_t number, std::uint64_t key, MarginSide margin_side)
      : board_(&board), number_(number), key_(key), margin_side_(margin_side) {}

  // Money in and out; withdrawals up to withdraw_quota().
  Code deposit(Money amount);
  Code withdraw(Money amount);

  // What an order would freeze: lots by the exchange's close rule, money at `price`. Funds are not asked for;
  // compare due(hold) with available(). take() then makes it so.
  Code plan(std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price, Hold& out) const;
  void take(const Hold& hold);
  static Money due(const Hold& h) { return add(add(h.margin, h.commission), h.premium); }
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

  Code mark(std::uint32_t instrument, Price last);
  // The board's terms of an instrument changed.
  void reprice(std::uint32_t instrument);
  // The day is over: costs and margin go to the last marks (mark the settlement prices first), today's lots become
  // old, sums of the day become zero. kOrdersAlive while an order keeps something.
  Code settle();

  // Restores one leg as another book-keeper states it (a broker, a document): lots not frozen, costs. Where no last
  // price is known it is taken to be the average cost.
  Code set_leg(std::uint32_t instrument, Side side, const Leg& leg, Price last);
  void set_funds(const Funds& funds);  // all but what follows from positions and orders

  Money static_balance() const;
  Money balance() const;
  Money available() const;
  Money withdraw_quota() const;
  Money market_value() const { return worth_; }         // of shares and options
  Money option_value() const { return option_worth_; }  // of options alone
  Money float_profit() const { return floating_; }
  double risk_ratio() const;  // margin / balance; 0 without margin, infinite when nothing is left to cover it
  double leverage() const;    // the same without shares paid in full: what levels and liquidation go by

  const Funds& funds() const { return funds_; }
  const std::vector<Position>& positions() const { return positions_; }
  const Position* find(std::uint32_t instrument) const;
  Money open_profit(const Position& position, Side side) const;
  Money position_profit(const Position& position, Side side) const;
  std::uint32_t number() const { return number_; }
  std::uint64_t key() const { return key_; }
  std::int64_t live_orders() const { return live_orders_; }
  std::uint64_t state_hash() const;

  std::uint8_t locks = 0;

 private:
  Position& place(std::uint32_t instrument);
  void touch(Position& position);
  void add_margin(const Position& position, int leg, Money delta);
  void estimate(const Terms& terms, Hold& hold) const;
  void freeze_money(Position& position, const Hold& before, const Hold& after);
  static Money leg_margin(const Terms& terms, const Leg& leg, int side);

  struct Pair {
    Money side[2] = {0, 0};
  };

  Board* board_;
  std::uint32_t number_;
  std::uint64_t key_;
  MarginSide margin_side_;
  Funds funds_;
  Money opened_ = 0;  // position cost of everything held and value of all opening orders: the bound's measure
  Money gross_ = 0;   // of all legs at market
  Money floating_ = 0;  // sums over the positions
  Money worth_ = 0;
  Money option_worth_ = 0;
  std::int64_t live_orders_ = 0;
  std::vector<Position> positions_;
  std::vector<std::uint32_t> slot_;  // by instrument
  std::unordered_map<std::int64_t, Pair> groups_;
};

}  // namespace qautlra::account
