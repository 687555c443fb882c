// What an order would keep of its account, reckoned where an order is checked: for the files in which every order passes.
#pragma once

#include <algorithm>

#include "account/account.hpp"

namespace qautlra::account {

[[gnu::noinline]] Money rated_by_lot(const Rate& rate, Money value, std::int64_t lots);
template <bool kPlain = false>
Money rated(const Rate& rate, Money value, std::int64_t lots) {
  return kPlain || rate.per_lot == 0 ? times(value, rate.ratio, rate.part) : rated_by_lot(rate, value, lots);
}

// Broker's fee of one fill or of what is left of an order that closes.
inline Money closing_fee(const Terms& t, Price price, std::int64_t today, std::int64_t his) {
  return add(rated(t.fee_close_today, value_of(price, today, t.multiple), today),
             rated(t.fee_close, value_of(price, his, t.multiple), his));
}

inline Money tax_of(const Terms& t, Side side, Money value) {
  const Money transfer = times(value, t.transfer_fee);
  return side == Side::kSell ? add(transfer, times(value, t.sell_tax)) : transfer;
}

// Sets what the order's remaining lots, some at least, keep of the money; `value` is theirs. kPlain: the order opens and
// its terms are plain.
template <bool kPlain>
inline void Account::estimate(const Terms& t, Hold& h, Money value) {
  h.pays_premium = !kPlain && t.asset == Asset::kOption && h.side == Side::kBuy;
  const bool in_full = h.pays_premium || (!kPlain && h.opens && t.asset == Asset::kStock);
  const bool opens = kPlain || h.opens;
  h.frozen = in_full ? value : opens ? rated<kPlain>(t.margin[static_cast<int>(h.side)], value, h.left) : 0;
  const Money fee = opens ? rated<kPlain>(t.fee_open, value, h.left) : closing_fee(t, h.price, h.today(), h.his);
  const Money due = add_up(h.fee_due, fee);
  h.commission = std::max(due, t.fee_min) - h.fee_charged;
  if (!kPlain && t.taxed()) [[unlikely]] h.commission = add(h.commission, tax_of(t, h.side, value));
}

inline Code Account::plan(const Terms& t, std::uint32_t instrument, Side side, Offset offset, std::int64_t volume,
                          Price price, Hold& hold) const {
  if (volume < 1 || volume > kMaxVolume) return Code::kVolume;
  if (price < 0 || price > kMaxPrice) return Code::kBadPrice;
  const Money value = value_of(price, volume, t.multiple);  // or what is as far beyond the bound
  if (value > kMaxValue) return Code::kTooLarge;
  // Field by field: a whole one made elsewhere would be waited for on its way here.
  hold.price = price;
  hold.fee_due = hold.fee_charged = 0;
  hold.left = volume;
  hold.his = 0;
  hold.instrument = instrument;
  hold.side = side;
  hold.opens = t.opens(side, offset);
  if (!hold.opens) {
    if (const Code code = plan_close(t, offset, hold); code != Code::kOk) return code;
    estimate_any(t, hold, value);
    return Code::kOk;
  }
  if (value > kMaxValue - opened_) return Code::kTooLarge;
  if (t.plain) [[likely]] estimate<true>(t, hold, value);
  else estimate_any(t, hold, value);
  Money all = hold.commission;
  const bool fits = add_to(all, hold.frozen, funds_.margin, funds_.frozen_margin) && all <= kMaxValue;
  return fits ? Code::kOk : Code::kTooLarge;
}

inline void Account::take(const Hold& hold) {
  Position& p = place(hold.instrument);
  if (hold.opens) {
    p.opening[static_cast<int>(hold.side)] += hold.left;
    opened_ += value_of(hold.price, hold.left, board_->terms(hold.instrument).multiple);
  } else {
    const int of = static_cast<int>(book::opposite(hold.side));
    p.frozen_today[of] += hold.today();
    if (hold.his != 0) p.held[of].frozen_his += hold.his;
  }
  keep(p, hold);
  ++live_orders_;
}

}  // namespace qautlra::account
