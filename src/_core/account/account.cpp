#include "account/account.hpp"

#include <algorithm>
#include <limits>

#include "account/hash.hpp"
#include "account/plan.hpp"

namespace qautlra::account {

namespace {

constexpr int index(Side side) { return static_cast<int>(side); }

double ratio_of(Money margin, Money balance) {
  if (margin == 0) return 0;
  if (balance <= 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(margin) / static_cast<double>(balance);
}

bool price_fits(Price price) { return price >= 0 && price <= kMaxPrice; }

}  // namespace

Money rated_by_lot(const Rate& rate, Money value, std::int64_t lots) {
  return add(times(value, rate.ratio, rate.part), clamp(static_cast<Wide>(rate.per_lot) * lots));
}

bool Board::set_terms(std::uint32_t instrument, const Terms& terms) {
  if (!terms.valid()) return false;
  if (instrument >= size_) {
    size_ = instrument + 1;
    listed_.resize(size_);
    holders_.resize(size_);
  }
  Listed& listed = listed_[instrument];
  listed.terms = terms;
  for (Rate* rate : {&listed.terms.margin[0], &listed.terms.margin[1], &listed.terms.fee_open, &listed.terms.fee_close,
                     &listed.terms.fee_close_today})
    rate->part = part_of(rate->ratio);
  listed.terms.plain = listed.terms.is_plain();
  return true;
}

void Board::drop(std::uint32_t instrument, std::uint32_t account) { std::erase(holders_[instrument], account); }

Code Account::deposit(Money amount) {
  if (amount <= 0 || amount > kMaxValue || funds_.deposit > kMaxValue - amount) return Code::kBadAmount;
  funds_.deposit += amount;
  return Code::kOk;
}

Code Account::withdraw(Money amount) {
  if (amount <= 0 || amount > kMaxValue || funds_.withdraw > kMaxValue - amount) return Code::kBadAmount;
  if (locks & kLockWithdraw) return Code::kAccountFrozen;
  if (amount > withdraw_quota()) return Code::kWithdrawQuota;
  funds_.withdraw += amount;
  return Code::kOk;
}

Code Account::plan(std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price,
                   Hold& out) const {
  if (!board_->known(instrument)) return Code::kNoInstrument;
  return plan(board_->terms(instrument), instrument, side, offset, volume, price, out);
}

// The lots that a close takes, by the exchange's rule.
Code Account::plan_close(const Terms& t, Offset offset, Hold& hold) const {
  const Position* p = find(hold.instrument);
  if (p == nullptr) return Code::kCloseExceeds;
  const int of = index(book::opposite(hold.side));
  const Position::Held& leg = p->held[of];
  const std::int64_t today = leg.today - p->frozen_today[of];
  const std::int64_t his = leg.his - leg.frozen_his;
  const std::int64_t volume = hold.left;
  if (volume > leg.volume()) return Code::kCloseExceeds;
  switch (t.close_rule) {
    case CloseRule::kSplit:
      if (offset == Offset::kCloseToday) {
        if (volume > today) return Code::kCloseTodayExceeds;
      } else {
        if (volume > his) return Code::kCloseYesterdayExceeds;
        hold.his = volume;
      }
      break;
    case CloseRule::kHisOnly:
      if (volume > his) return Code::kCloseYesterdayExceeds;
      hold.his = volume;
      break;
    case CloseRule::kTodayFirst:
      if (volume > today + his) return Code::kCloseExceeds;
      hold.his = volume - std::min(volume, today);
      break;
    case CloseRule::kHisFirst:
      if (volume > today + his) return Code::kCloseExceeds;
      hold.his = std::min(volume, his);
      break;
  }
  return Code::kOk;
}

std::int64_t Account::frozen_to_close(std::uint32_t instrument, Side side, std::uint16_t code) const {
  const Position* p = find(instrument);
  if (p == nullptr) return 0;
  const int of = index(book::opposite(side));
  switch (static_cast<Code>(code)) {
    case Code::kCloseExceeds: return p->frozen_today[of] + p->held[of].frozen_his;
    case Code::kCloseTodayExceeds: return p->frozen_today[of];
    case Code::kCloseYesterdayExceeds: return p->held[of].frozen_his;
    default: return 0;
  }
}

// Sets what the order's remaining lots keep of the money.
void Account::estimate(const Terms& t, Hold& h) {
  h.frozen = h.commission = 0;
  if (h.left != 0) estimate_any(t, h, value_of(h.price, h.left, t.multiple));
}
void Account::estimate_any(const Terms& t, Hold& h, Money value) { estimate<false>(t, h, value); }

Code Account::freeze(std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price, Hold& out) {
  Hold hold;
  if (const Code code = plan(instrument, side, offset, volume, price, hold); code != Code::kOk) return code;
  if (hold.opens && due(hold) > available()) return Code::kFunds;
  take(hold);
  out = hold;
  return Code::kOk;
}

Code Account::shrink(Hold& hold, std::int64_t left) {
  if (left < 1 || left > hold.left) return Code::kVolume;
  const Terms& t = board_->terms(hold.instrument);
  Position& p = place(hold.instrument);
  let_go(p, hold);
  const std::int64_t gone = hold.left - left;
  if (hold.opens) {
    p.opening[index(hold.side)] -= gone;
    opened_ -= value_of(hold.price, gone, t.multiple);
  } else {
    // What the rule takes last is let go first.
    const int of = index(book::opposite(hold.side));
    const bool today_last = t.close_rule == CloseRule::kHisFirst;
    const std::int64_t first = std::min(gone, today_last ? hold.today() : hold.his);
    const std::int64_t today = today_last ? first : gone - first;
    hold.his -= gone - today;
    p.frozen_today[of] -= today;
    p.held[of].frozen_his -= gone - today;
  }
  hold.left = left;
  estimate(t, hold);
  keep(p, hold);
  return Code::kOk;
}

Code Account::move(Hold& hold, Price price) {
  if (hold.left == 0) return Code::kNoOrder;
  if (!price_fits(price)) return Code::kBadPrice;
  const Terms& t = board_->terms(hold.instrument);
  const Wide value = wide_value(price, hold.left, t.multiple);
  const Money reserved = value_of(hold.price, hold.left, t.multiple);
  if (value > kMaxValue || (hold.opens && opened_ - reserved + value > kMaxValue)) return Code::kTooLarge;
  Hold after = hold;
  after.price = price;
  estimate(t, after);
  if (hold.opens) {
    if (due(after) > kMaxValue) return Code::kTooLarge;
    const Money more = due(after) - due(hold);
    if (more > 0 && more > available()) return Code::kFunds;
    opened_ += static_cast<Money>(value) - reserved;
  }
  Position& p = place(hold.instrument);
  let_go(p, hold);
  keep(p, after);
  hold = after;
  return Code::kOk;
}

void Account::release(Hold& hold) {
  if (hold.left == 0) return;
  Position& p = place(hold.instrument);
  if (hold.opens) {
    p.opening[index(hold.side)] -= hold.left;
    opened_ -= value_of(hold.price, hold.left, board_->terms(hold.instrument).multiple);
  } else {
    const int of = index(book::opposite(hold.side));
    p.frozen_today[of] -= hold.today();
    if (hold.his != 0) p.held[of].frozen_his -= hold.his;
  }
  let_go(p, hold);
  hold.left = hold.his = 0;
  hold.frozen = hold.commission = 0;
  --live_orders_;
}

Code Account::fill(Hold& hold, std::int64_t volume, Price price, Filled& out) {
  if (volume < 1 || volume > hold.left) return Code::kVolume;
  if (!price_fits(price)) return Code::kBadPrice;
  const Terms& t = board_->terms(hold.instrument);
  return t.plain && hold.opens && margin_side_ == MarginSide::kSum ? fill_as<true>(t, hold, volume, price, out)
                                                                   : fill_as<false>(t, hold, volume, price, out);
}

// kPlain: by an order that opens, of plain terms, in an account where each side pays its margin.
template <bool kPlain>
Code Account::fill_as(const Terms& t, Hold& hold, std::int64_t volume, Price price, Filled& out) {
  const bool opens = kPlain || hold.opens;
  const Money value = value_of(price, volume, t.multiple);
  Position& p = place(hold.instrument);
  const Price last = p.last == kNoValue ? price : p.last;
  // Whether these two are the trade's price nobody can foresee: reckoned anew they take less than a wrong guess.
  const Money at_last = value_of(last, volume, t.multiple);
  if (value > kMaxValue) return Code::kTooLarge;
  Money reserved = 0;
  if (opens) {
    reserved = value_of(hold.price, volume, t.multiple);
    if (opened_ - reserved > kMaxValue - value || at_last > kMaxGross - gross_) return Code::kTooLarge;
  }
  let_go(p, hold);
  out = {};
  const int of = index(opens ? hold.side : book::opposite(hold.side));
  Position::Held& leg = p.held[of];
  // What the lots add to the leg: what it is in all, where that is so large that it is not known to the last digit. What
  // opens has been refused there.
  const bool in_all = !opens && gross_ > kMaxGross;
  if (in_all) [[unlikely]] take_off(t, p, of);
  p.last = last;
  Part more;
  Money fee;
  if (opens) {
    p.opening[of] -= volume;
    leg.today += volume;
    leg.cost_today += value;
    opened_ += value - reserved;
    if (!kPlain && t.asset == Asset::kStock) funds_.bought = add(funds_.bought, value);
    more = part_of<kPlain>(t, of, at_last, value, value);
    fee = rated<kPlain>(t.fee_open, value, volume);
  } else {
    more = close(t, p, of, hold, volume, value, at_last, out);
    fee = closing_fee(t, price, out.closed_today, out.closed_his);
  }
  hold.left -= volume;
  hold.fee_due = add_up(hold.fee_due, fee);
  fee = std::max(hold.fee_due, t.fee_min);
  out.commission = fee - hold.fee_charged;
  if (!kPlain && t.taxed()) [[unlikely]] out.commission = add(out.commission, tax_of(t, hold.side, value));
  hold.fee_charged = fee;
  if (hold.left != 0) {
    estimate<kPlain>(t, hold, value_of(hold.price, hold.left, t.multiple));
    keep(p, hold);
  } else {
    hold.frozen = hold.commission = 0;
    --live_orders_;
  }
  funds_.commission = add_up(funds_.commission, out.commission);
  if (!kPlain && t.asset == Asset::kOption) funds_.premium = add(funds_.premium, hold.side == Side::kBuy ? -value : value);
  add_part<kPlain>(t, of, in_all ? part_of(t, p, of) : more, 1);
  set_margin<kPlain>(t, p, of);
  return Code::kOk;
}

// Takes the lots of a closing fill off their leg; what that adds to the leg.
Account::Part Account::close(const Terms& t, Position& p, int of, Hold& hold, std::int64_t volume, Money value,
                             Money at_last, Filled& out) {
  Position::Held& leg = p.held[of];
  const bool his_first = t.close_rule == CloseRule::kHisFirst;
  const std::int64_t first = std::min(volume, his_first ? hold.his : hold.today());
  const std::int64_t today = his_first ? volume - first : first;
  const std::int64_t his = volume - today;
  Money cost = 0, open_cost = 0;
  if (today > 0) {
    const Money part = share(leg.cost_today, today, leg.today);
    leg.cost_today -= part;
    cost += part;
    open_cost += part;
  }
  if (his > 0) {
    const Money part = share(leg.cost_his, his, leg.his);
    leg.cost_his -= part;
    cost += part;
    const Money open_part = share(leg.open_cost_his, his, leg.his);
    leg.open_cost_his -= open_part;
    open_cost += open_part;
  }
  leg.today -= today;
  leg.his -= his;
  p.frozen_today[of] -= today;
  leg.frozen_his -= his;
  hold.his -= his;
  opened_ -= cost;
  out.closed_today = today;
  out.closed_his = his;
  if (t.asset != Asset::kOption) {
    out.close_profit = of == index(Side::kBuy) ? value - cost : cost - value;
    funds_.close_profit = add(funds_.close_profit, out.close_profit);
  }
  if (t.asset == Asset::kStock) funds_.sold = add(funds_.sold, value);
  return part_of(t, of, -at_last, -cost, -open_cost);
}

Code Account::trade(std::uint32_t instrument, Side side, Offset offset, std::int64_t volume, Price price,
                    Filled& out) {
  Hold hold;
  if (const Code code = plan(instrument, side, offset, volume, price, hold); code != Code::kOk) return code;
  take(hold);
  const Code code = fill(hold, volume, price, out);
  if (code != Code::kOk) release(hold);
  return code;
}

template <bool kPlain>
inline Money Account::leg_margin(const Terms& t, const Position& p, int side) {
  const Position::Held& leg = p.held[side];
  if (leg.volume() == 0) return 0;
  if (!kPlain && t.asset != Asset::kFuture) [[unlikely]] {
    if (t.asset == Asset::kStock) return p.value(side, t.multiple);
    if (side == index(Side::kBuy)) return 0;  // of an option bought
  }
  return rated<kPlain>(t.margin[side], leg.position_cost(), leg.volume());
}

template <bool kPlain>
inline Account::Part Account::part_of(const Terms& t, int side, Money value, Money position_cost, Money open_cost) {
  const Money sign = side == index(Side::kBuy) ? 1 : -1;
  return {value, !kPlain && t.asset == Asset::kOption ? 0 : sign * (value - position_cost), sign * (value - open_cost)};
}

Account::Part Account::part_of(const Terms& t, const Position& p, int side) {
  const Position::Held& leg = p.held[side];
  return part_of(t, side, p.value(side, t.multiple), leg.position_cost(), leg.open_cost());
}

template <bool kPlain>
inline void Account::add_part(const Terms& t, int side, const Part& part, int sign) {
  gross_ += sign * part.value;
  funds_.position_profit += sign * part.profit;
  floating_ += sign * part.floating;
  if (kPlain || t.asset == Asset::kFuture) return;
  const Money worth = side == index(Side::kBuy) ? sign * part.value : -sign * part.value;
  worth_ += worth;
  if (t.asset == Asset::kOption) option_worth_ += worth;
  else funds_.paid_profit += sign * part.profit;
}

[[gnu::noinline]] void Account::take_off(const Terms& t, Position& p, int side) { add_part(t, side, part_of(t, p, side), -1); }

// Brings everything that follows from a leg's lots, costs and last price up to date, and the sums with it.
void Account::put_on(const Terms& t, Position& p, int side) {
  add_part(t, side, part_of(t, p, side), 1);
  set_margin(t, p, side);
}

template <bool kPlain>
inline void Account::set_margin(const Terms& t, Position& p, int side) {
  Position::Held& leg = p.held[side];
  const Money margin = leg_margin<kPlain>(t, p, side);
  if (margin == leg.margin) return;
  if (kPlain) funds_.margin = add_up(funds_.margin, margin - leg.margin);
  else add_margin(p, side, margin - leg.margin);
  if (!kPlain && t.asset == Asset::kStock) funds_.paid += margin - leg.margin;
  p.margin += margin - leg.margin;
  leg.margin = margin;
}

void Account::add_margin(const Position& p, int leg, Money delta) {
  if (margin_side_ == MarginSide::kSum) {
    funds_.margin = add_up(funds_.margin, delta);
    return;
  }
  const std::int32_t group = board_->terms(p.instrument).group;
  const std::int64_t key = group >= 0 ? group : -1 - static_cast<std::int64_t>(p.instrument);
  Pair& pair = groups_[key];
  const Money before = std::max(pair.side[0], pair.side[1]);
  pair.side[leg] += delta;
  funds_.margin = add(funds_.margin, std::max(pair.side[0], pair.side[1]) - before);
}

Code Account::mark(std::uint32_t instrument, Price last) {
  const Position* found = find(instrument);
  if (found == nullptr) return Code::kOk;
  if (!price_fits(last)) return Code::kBadPrice;
  Position& p = place(instrument);
  if (p.last == last) return Code::kOk;
  const Terms& t = board_->terms(instrument);
  const Wide value = wide_value(last, p.held[0].volume(), t.multiple) + wide_value(last, p.held[1].volume(), t.multiple);
  if (gross_ - p.value(0, t.multiple) - p.value(1, t.multiple) + value > kMaxGross) return Code::kTooLarge;
  for (int side = 0; side < 2; ++side) take_off(t, p, side);
  p.last = last;
  for (int side = 0; side < 2; ++side) put_on(t, p, side);
  return Code::kOk;
}

void Account::lift(std::uint32_t instrument) {
  const Terms& t = board_->terms(instrument);
  if (find(instrument) == nullptr) return;
  Position& p = place(instrument);
  for (int side = 0; side < 2; ++side) {
    take_off(t, p, side);
    Money& margin = p.held[side].margin;
    add_margin(p, side, -margin);
    if (t.asset == Asset::kStock) funds_.paid -= margin;
    p.margin -= margin;
    margin = 0;
  }
}

void Account::lay(std::uint32_t instrument) {
  if (find(instrument) == nullptr) return;
  for (int side = 0; side < 2; ++side) put_on(board_->terms(instrument), place(instrument), side);
}

Code Account::settle() {
  if (live_orders_ != 0) return Code::kOrdersAlive;
  const Money balance_now = balance();
  funds_ = Funds{};
  funds_.pre_balance = balance_now;
  opened_ = 0;
  gross_ = 0;
  floating_ = worth_ = option_worth_ = 0;
  groups_.clear();
  std::size_t kept = 0;
  for (const std::uint32_t number : positions_) {
    Position& p = board_->positions[number];
    const Terms& t = board_->terms(p.instrument);
    p.margin = 0;
    for (int side = 0; side < 2; ++side) {
      Position::Held& leg = p.held[side];
      const Money value = p.value(side, t.multiple);
      leg.open_cost_his += leg.cost_today;
      leg.his += leg.today;
      leg.yd = leg.his;
      leg.today = leg.cost_today = 0;
      leg.cost_his = value;
      leg.margin = 0;
      opened_ += value;
    }
    if (p.empty()) {
      slot_[p.instrument] = kNoPosition;
      board_->drop(p.instrument, number_);
      board_->positions.give_back(number);
      continue;
    }
    positions_[kept++] = number;
    for (int side = 0; side < 2; ++side) put_on(t, p, side);
  }
  positions_.resize(kept);
  return Code::kOk;
}

void Account::copy(const Account& from) {
  Board* const board = board_;
  *this = from;
  board_ = board;
  for (std::uint32_t& number : positions_) {
    const Position& held = from.board_->positions[number];
    number = board_->positions.take();
    board_->positions[number] = held;
    slot_[held.instrument] = number;
  }
}

Code Account::set_leg(std::uint32_t instrument, Side side, const Leg& given, Price last) {
  if (!board_->known(instrument)) return Code::kNoInstrument;
  for (const std::int64_t lots : {given.today, given.his, given.yd})
    if (lots < 0 || lots > kMaxVolume) return Code::kVolume;
  if (given.volume() > kMaxVolume) return Code::kVolume;
  if (given.cost_today < 0 || given.cost_his < 0 || given.open_cost_his < 0 || given.open_cost_his > kMaxValue)
    return Code::kBadPrice;
  if ((given.today == 0 && given.cost_today != 0) || (given.his == 0 && (given.cost_his | given.open_cost_his) != 0))
    return Code::kBadPrice;
  const Position* found = find(instrument);
  const Leg had = found == nullptr ? Leg{} : leg(*found, side);
  if (had.frozen() != 0 || had.opening != 0) return Code::kOrdersAlive;
  const Wide cost = static_cast<Wide>(given.cost_today) + given.cost_his;
  const std::int64_t multiple = board_->terms(instrument).multiple;
  const Wide lots = static_cast<Wide>(given.volume()) * multiple;
  const Price cost_price = lots > 0 ? clamp(divide_round(cost, lots)) : 0;
  const Price known = found != nullptr ? found->last : board_->quote(instrument).last;
  const Price at = last != kNoValue ? last : known != kNoValue ? known : cost_price;
  if (!price_fits(at)) return Code::kBadPrice;
  const Wide value = wide_value(at, given.volume(), multiple);
  // Yesterday's lots cost what they were marked at, which may be more than may be opened.
  if (opened_ - had.position_cost() + cost > kMaxGross || gross_ - had.value + value > kMaxGross)
    return Code::kTooLarge;
  if (last != kNoValue)
    if (const Code code = mark(instrument, last); code != Code::kOk) return code;
  Position& p = place(instrument);
  const Terms& t = board_->terms(instrument);
  for (int i = 0; i < 2; ++i) take_off(t, p, i);
  Position::Held& leg = p.held[index(side)];
  leg.today = given.today;
  leg.his = given.his;
  leg.yd = given.yd;
  leg.cost_today = given.cost_today;
  leg.cost_his = given.cost_his;
  leg.open_cost_his = given.open_cost_his;
  opened_ += leg.position_cost() - had.position_cost();
  if (p.last != at && leg.volume() > 0) p.last = at;
  for (int i = 0; i < 2; ++i) put_on(t, p, i);
  return Code::kOk;
}

void Account::set_funds(const Funds& given) {
  funds_.pre_balance = given.pre_balance;
  funds_.deposit = given.deposit;
  funds_.withdraw = given.withdraw;
  funds_.close_profit = given.close_profit;
  funds_.commission = given.commission;
  funds_.premium = given.premium;
  funds_.bought = given.bought;
  funds_.sold = given.sold;
}

// Gains that are not realised stay, and so does what shares were sold for today and not spent again. The gain on
// shares is no part of available, so it is not taken off.
Money Account::withdraw_quota() const {
  const Money gain = std::max<Money>(0, funds_.position_profit - funds_.paid_profit);
  const Money unsettled = std::max<Money>(0, funds_.sold - funds_.bought);
  return static_cast<Money>(std::max<Wide>(0, static_cast<Wide>(available()) - gain - unsettled));
}

Leg Account::leg(const Position& p, Side side) const {
  const int i = index(side);
  const Position::Held& h = p.held[i];
  Leg leg;
  leg.today = h.today;
  leg.his = h.his;
  leg.frozen_today = p.frozen_today[i];
  leg.frozen_his = h.frozen_his;
  leg.yd = h.yd;
  leg.opening = p.opening[i];
  leg.cost_today = h.cost_today;
  leg.cost_his = h.cost_his;
  leg.open_cost_his = h.open_cost_his;
  leg.margin = h.margin;
  leg.value = p.value(i, board_->terms(p.instrument).multiple);
  return leg;
}

Money Account::open_profit(const Position& p, Side side) const {
  return part_of(board_->terms(p.instrument), p, index(side)).floating;
}

Money Account::position_profit(const Position& p, Side side) const {
  return part_of(board_->terms(p.instrument), p, index(side)).profit;
}

double Account::risk_ratio() const { return ratio_of(funds_.margin, balance()); }
double Account::leverage() const { return ratio_of(funds_.margin - funds_.paid, balance()); }

Position& Account::begin(std::uint32_t instrument) {
  if (instrument >= slot_.size()) slot_.resize(board_->size(), kNoPosition);
  const std::uint32_t number = board_->positions.take();
  Position& p = board_->positions[number] = Position{};
  p.instrument = instrument;
  p.last = board_->quote(instrument).last;
  positions_.push_back(number);
  slot_[instrument] = number;
  board_->hold(instrument, number_);
  return p;
}

// The same for the same account in every process: instruments by their keys, in no order.
std::uint64_t Account::state_hash() const {
  std::uint64_t legs = 0;
  for (const Position& p : positions()) {
    if (p.empty()) continue;
    Hash h(board_->terms(p.instrument).key);
    h.add(p.last);
    h.add(p.frozen_margin);
    for (int i = 0; i < 2; ++i) {
      const Position::Held& leg = p.held[i];
      for (const std::int64_t x : {leg.today, leg.his, p.frozen_today[i], leg.frozen_his, leg.yd, p.opening[i],
                                   leg.cost_today, leg.cost_his, leg.open_cost_his, leg.margin})
        h.add(x);
    }
    legs += h.value();
  }
  Hash h(key_);
  for (const Money m : {funds_.pre_balance, funds_.deposit, funds_.withdraw, funds_.close_profit,
                        funds_.position_profit, funds_.commission, funds_.premium, funds_.margin,
                        funds_.frozen_margin, funds_.frozen_commission, funds_.frozen_premium, funds_.bought,
                        funds_.sold})
    h.add(m);
  h.add(live_orders_);
  h.add(locks);
  h.add(static_cast<std::int64_t>(legs));
  return h.value();
}

}  // namespace qautlra::account
