#include "risk/gate.hpp"

#include <algorithm>

#include "account/hash.hpp"
#include "account/plan.hpp"

namespace qautlra::risk {

using account::Account;
using account::Asset;
using account::Hold;
using account::kNoValue;
using account::Offset;
using account::Ratio;
using account::UnsignedWide;
using account::Wide;

namespace {

constexpr bool reached(std::int64_t limit, std::uint32_t count) { return limit > 0 && count >= limit; }
Verdict refuse(int check, Code code, std::uint8_t warnings = 0) {
  return {code, static_cast<std::uint8_t>(check), warnings};
}

}  // namespace

Gate::Rules::Rules(const Limits& given)
    : limits(given),
      looks_at_orders(given.looks_at_orders()),
      looks_at_cancels(given.looks_at_cancels()),
      least_part(0) {
  const Ratio least = given.least_share();
  // Shares above one are looked at as if they were one: earlier than need be.
  if (least > 0) least_part = account::part_of(least);
}

void Gate::set_account_limits(std::uint32_t account, const Limits& limits) {
  own_.insert_or_assign(account, Rules(limits));
  line(account).own_limits = true;
  follow(limits);
}

void Gate::widen(std::uint32_t account) {
  lines_.resize(static_cast<std::size_t>(account) + 1);
  repeats_.resize(lines_.size());
  lines_count_ = account + 1;
}

// Room for every instrument there is, so that it is made once.
void Gate::lengthen(std::uint32_t account, std::uint32_t instrument) {
  Line& of = lines_[account];
  const std::size_t size = std::max<std::size_t>(instrument + std::size_t{1}, ledger_->board.size());
  Contract* const row = rows_.take(size);
  std::copy_n(of.contracts, of.contracts_size, row);
  of.contracts = row;
  of.contracts_size = static_cast<std::uint32_t>(size);
}

std::uint64_t Gate::likeness(const Request& r) {
  account::Hash h(r.instrument);
  h.add(r.volume);
  h.add(r.price);
  h.add(static_cast<std::int64_t>(r.side) | static_cast<std::int64_t>(r.offset) << 8 |
        static_cast<std::int64_t>(r.price_type) << 16);
  return h.value();
}

// 5, 7 to 12 as far as limits decide them; an order of the operator's is not asked.
Verdict Gate::check_limits(const Request& r, const account::Terms& terms, const account::Quote& quote, Line& line_,
                           std::int64_t now_ns, std::int64_t live_orders, Judged judged) {
  const Limits& l = judged.rules->limits;
  // 7: price band
  if (r.price_type == book::PriceType::kLimit) {
    if (l.price_deviation > 0 && quote.last != kNoValue) {
      const Price away = r.price > quote.last ? r.price - quote.last : quote.last - r.price;
      if (away > account::times(quote.last, l.price_deviation)) return refuse(7, Code::kFatFinger);
    }
  } else if (l.stale_ns > 0 && now_ns - quote.last_ns > l.stale_ns) {
    return refuse(7, Code::kStaleFeed);
  }
  // 8: value
  if (l.notional_max > 0 && account::wide_value(judged.freeze_at, r.volume, terms.multiple) > l.notional_max)
    return refuse(8, Code::kNotional);
  // 9: rate
  if (!line_.order_pace.take(l.orders, now_ns)) return refuse(9, Code::kRate);
  // 10: repeats
  if (l.repeats_max > 0) {
    const auto& repeats = repeats_[r.account];
    const auto found = repeats.find(likeness(r));
    if (found != repeats.end() && found->second >= l.repeats_max) return refuse(10, Code::kRepeated);
  }
  // 11: live orders
  if (l.active_max > 0 && live_orders >= l.active_max) return refuse(11, Code::kActiveOrders);
  // 12: what was done today
  const Contract here = l.looks_at_contracts() ? done_in(line_, r.instrument) : Contract{};
  if (reached(l.day_orders, line_.orders) || reached(l.contract_orders, here.orders))
    return refuse(12, Code::kDailyOrders);
  if (reached(l.day_trades, line_.trades) || reached(l.contract_trades, here.trades))
    return refuse(12, Code::kDailyTrades);
  if (judged.opens && reached(l.cancels_block, here.cancels)) return refuse(12, Code::kDailyCancels);
  if (judged.opens && (reached(l.contract_opens, here.opens) ||
                       (l.contract_open_volume > 0 && here.open_volume + r.volume > l.contract_open_volume)))
    return refuse(12, Code::kDailyOrders);
  return {Code::kOk, 0, cancel_warning(l, here)};
}

inline Verdict Gate::check_order(const Request& r, const Account* owner, std::int64_t now_ns,
                                 std::int64_t live_orders, Judged& judged) {
  const account::Board& board = ledger_->board;
  const account::Terms* const known = board.known(r.instrument) ? &board.terms(r.instrument) : nullptr;
  const bool opens = judged.opens =
      known == nullptr ? r.offset == Offset::kOpen : known->opens(r.side, r.offset);

  // 1: trading state
  if (!r.force) {
    const State own = owner == nullptr ? State::kActive : line(r.account).state;
    if (state_ != State::kActive || own != State::kActive) [[unlikely]] {
      if (state_ == State::kHalted || own == State::kHalted) return refuse(1, Code::kHalted);
      if (opens) return refuse(1, Code::kReducing);
    }
  }
  // 2: account
  if (owner == nullptr) return refuse(2, Code::kNoAccount);
  if (!r.force && (owner->locks & account::kLockTrading)) return refuse(2, Code::kAccountFrozen);
  // 3: instrument
  if (known == nullptr) return refuse(3, Code::kNoInstrument);
  const account::Terms& terms = *(judged.terms = known);
  const account::Quote& quote = board.quote(r.instrument);
  if (!quote.tradable) return refuse(3, Code::kSuspended);
  if (!quote.open) return refuse(3, Code::kNotTrading);
  // 4: order id
  if (r.duplicate) return refuse(4, Code::kDuplicate);

  Line& line_ = line(r.account);
  const Rules& by = *(judged.rules = &rules(line_, r.account));
  const bool limited = by.looks_at_orders && !r.force;
  // 5: volume
  if (r.volume < 1 || (limited && by.limits.volume_max > 0 && r.volume > by.limits.volume_max))
    return refuse(5, Code::kVolume);
  // 6: price
  const bool limit_order = r.price_type == book::PriceType::kLimit;
  if (limit_order) {
    if (r.price <= 0 || r.price > account::kMaxPrice) return refuse(6, Code::kBadPrice);
    if (terms.tick > 0 && r.price % terms.tick != 0) return refuse(6, Code::kBadTick);
    judged.freeze_at = r.price;
    // 7: price band
    if (quote.upper != kNoValue && r.price > quote.upper) return refuse(7, Code::kAboveLimit);
    if (quote.lower != kNoValue && r.price < quote.lower) return refuse(7, Code::kBelowLimit);
  } else if ((judged.freeze_at = account::freeze_price(false, r.price, r.side, quote)) == kNoValue) {
    return refuse(6, Code::kBadPrice);
  }
  return limited ? check_limits(r, terms, quote, line_, now_ns, live_orders, judged) : Verdict{};
}

Verdict Gate::check_outside(const Request& r, std::int64_t now_ns, std::int64_t live_orders) {
  Judged judged;
  const Verdict verdict = check_order(r, ledger_->find(r.account), now_ns, live_orders, judged);
  if (verdict.code == Code::kOk && !r.force && r.reduce_only && judged.opens)
    return refuse(18, Code::kReduceOnly, verdict.warnings);
  return verdict;
}

// 15 and 16 of an opening order that keeps `margin` of the account.
Verdict Gate::check_shares(const Account& owner, std::uint32_t instrument, Money margin, Money equity,
                           const Limits& l) const {
  if (l.concentration > 0) {
    const account::Position* const position = owner.find(instrument);
    Wide all = margin;
    if (position != nullptr) all += static_cast<Wide>(position->frozen_margin) + position->margin;
    if (all * account::kOne > static_cast<Wide>(equity) * l.concentration) return refuse(15, Code::kConcentration);
  }
  const account::Funds& funds = owner.funds();
  const Wide used = static_cast<Wide>(funds.margin - funds.paid) * account::kOne;
  if (used <= 0) return {};
  if (l.ratio_stop > 0 && used >= static_cast<Wide>(equity) * l.ratio_stop) return refuse(16, Code::kRiskRatio);
  const bool warns = l.ratio_warn > 0 && used >= static_cast<Wide>(equity) * l.ratio_warn;
  return {Code::kOk, 0, static_cast<std::uint8_t>(warns ? kWarnRiskRatio : 0)};
}

Verdict Gate::check(const Request& r, std::int64_t now_ns, std::int32_t trading_day, Hold& hold,
                    const SelfTradeProbe& probe) {
  Account* const owner = ledger_->find(r.account);
  Judged judged;
  const Verdict first = check_order(r, owner, now_ns, owner == nullptr ? 0 : owner->live_orders(), judged);
  if (first.code != Code::kOk) return first;
  const bool opens = judged.opens;
  const Limits& l = judged.rules->limits;
  std::uint8_t warnings = first.warnings;
  // 13: lots
  const Code code = owner->plan(*judged.terms, r.instrument, r.side, r.offset, r.volume, judged.freeze_at, hold);
  if (code != Code::kOk) return refuse(13, code, warnings);
  if (!r.force) {
    if (opens) {
      if (l.position_max > 0) {
        const account::Position* const position = owner->find(r.instrument);
        const int side = static_cast<int>(r.side);
        const std::int64_t there =
            position == nullptr ? 0 : position->held[side].volume() + position->opening[side];
        if (there + r.volume > l.position_max) return refuse(13, Code::kPositionLimit, warnings);
      }
      // 14: funds
      const auto [equity, available] = owner->means();
      if (hold.frozen + hold.commission > available) return refuse(14, Code::kFunds, warnings);
      // 15: concentration; 16: risk ratio, without shares paid in full
      // No instrument has more margin than all have together, twice where the larger side pays. As long as that is below
      // the least share of the balance that either looks at, neither need look.
      const account::Funds& funds = owner->funds();
      if (judged.rules->least_part > 0) {
        const Money all = hold.margin() + funds.frozen_margin + 2 * funds.margin;
        const std::uint64_t of = equity > 0 ? static_cast<std::uint64_t>(equity) : 0;
        const auto least = static_cast<Money>(static_cast<UnsignedWide>(of) * judged.rules->least_part >> 64);
        if (all >= least) [[unlikely]] {
          const Verdict shares = check_shares(*owner, r.instrument, hold.margin(), equity, l);
          warnings |= shares.warnings;
          if (shares.code != Code::kOk) return refuse(shares.check, shares.code, warnings);
        }
      }
      // 17: self trade
      if (l.self_trade && probe.crosses != nullptr && probe.crosses(probe.context, r))
        return refuse(17, Code::kSelfTrade, warnings);
    }
    // 18: reduce-only, expiry
    if (r.reduce_only && opens) return refuse(18, Code::kReduceOnly, warnings);
    // A GTD order without a day is for the book: it takes no such kind.
    if (r.time == book::TimeCondition::kGtd && r.gtd_day != 0 && r.gtd_day < trading_day)
      return refuse(18, Code::kExpired, warnings);
  }
  return {Code::kOk, 0, warnings};
}

Verdict Gate::check_cancel_limits(Line& line, std::uint32_t instrument, std::int64_t now_ns, const Limits& l) {
  if (!line.cancel_pace.take(l.cancels, now_ns)) return refuse(9, Code::kRate);
  if (!l.looks_at_contracts())
    return reached(l.day_cancels, line.cancels) ? refuse(12, Code::kDailyCancels) : Verdict{};
  const Contract here = done_in(line, instrument);
  if (reached(l.day_cancels, line.cancels) || reached(l.contract_cancels, here.cancels))
    return refuse(12, Code::kDailyCancels);
  return {Code::kOk, 0, cancel_warning(l, here)};
}

void Gate::count(std::uint32_t account, std::uint32_t instrument, std::int64_t opened, bool opens, bool cancelled,
                 std::uint32_t trades) {
  Contract& here = contract(account, instrument);
  ++here.orders;
  here.opens += opens;
  here.open_volume += opens ? opened : 0;
  here.cancels += cancelled;
  here.trades += trades;
}

void Gate::placed_like(const Request& r) {
  const std::uint64_t like = likeness(r);
  auto& repeats = repeats_[r.account];
  if (const auto found = repeats.find(like); found != repeats.end()) ++found->second;
  else if (repeats.size() < kMaxRepeats) repeats.emplace(like, 1);
}

void Gate::new_day() {
  for (Line& line_ : lines_) {
    line_.orders = line_.cancels = line_.trades = 0;
    line_.contracts = nullptr;
    line_.contracts_size = 0;
  }
  rows_.clear();
  for (Repeats& repeats : repeats_) repeats.clear();
}

std::uint32_t Gate::review(std::uint32_t account, std::int32_t trading_day, std::int64_t now_ns) {
  const Account* const owner = ledger_->find(account);
  if (owner == nullptr) return 0;
  const Limits& l = limits(account);
  const std::uint32_t raised = monitor_.review(*owner, l.loss_max, many_cancels(account, l), trading_day, now_ns);
  if ((raised & bit(AlertKind::kDailyLoss)) && account_state(account) == State::kActive)
    line(account).state = State::kReducing;
  return raised;
}

bool Gate::many_cancels(std::uint32_t account, const Limits& l) const {
  if (account >= lines_.size() || !reached(l.cancels_warn, lines_[account].cancels)) return false;
  const Line& of = lines_[account];
  return std::any_of(of.contracts, of.contracts + of.contracts_size,
                     [&l](const Contract& here) { return reached(l.cancels_warn, here.cancels); });
}

std::uint64_t Gate::state_hash() const {
  std::uint64_t sum = static_cast<std::uint64_t>(state_);
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const Line& line_ = lines_[i];
    account::Hash h(i);
    h.add(static_cast<std::int64_t>(line_.state));
    for (const std::uint32_t n : {line_.orders, line_.cancels, line_.trades}) h.add(n);
    sum += h.value();
  }
  return sum;
}

}  // namespace qautlra::risk
