// What the end of a contract does to an account: lots go at a price without an order, exercise brings some.
#include "account/account.hpp"

namespace qautlra::account {

namespace {
constexpr int index(Side side) { return static_cast<int>(side); }

bool keeps_nothing(const Position& p) {
  return (p.opening[0] | p.opening[1] | p.frozen_today[0] | p.frozen_today[1] | p.held[0].frozen_his |
          p.held[1].frozen_his) == 0;
}
}  // namespace

Code Account::close_out(std::uint32_t instrument, Side side, std::int64_t today, std::int64_t his, Price price,
                        Ratio fee, Filled& out) {
  if (price < 0 || price > kMaxPrice) return Code::kBadPrice;
  if (fee < 0 || fee > kOne) return Code::kBadParameters;
  if (find(instrument) == nullptr) return Code::kCloseExceeds;
  const Terms& t = board_->terms(instrument);
  if (t.asset == Asset::kStock) return Code::kBadParameters;
  Position& p = place(instrument);
  Position::Held& leg = p.held[index(side)];
  if (today < 0 || his < 0 || today > leg.today || his > leg.his || today + his == 0) return Code::kCloseExceeds;
  if (!keeps_nothing(p)) return Code::kOrdersAlive;
  const Money value = value_of(price, today + his, t.multiple);
  take_off(t, p, index(side));
  const Money cost_today = today > 0 ? share(leg.cost_today, today, leg.today) : 0;
  const Money cost_his = his > 0 ? share(leg.cost_his, his, leg.his) : 0;
  leg.open_cost_his -= his > 0 ? share(leg.open_cost_his, his, leg.his) : 0;
  leg.cost_today -= cost_today;
  leg.cost_his -= cost_his;
  leg.today -= today;
  leg.his -= his;
  const Money cost = cost_today + cost_his;
  opened_ -= cost;
  Filled filled;
  filled.closed_today = today;
  filled.closed_his = his;
  filled.commission = times(value, fee);
  if (t.asset == Asset::kOption) {
    funds_.premium = add(funds_.premium, side == Side::kBuy ? value : -value);
  } else {
    filled.close_profit = side == Side::kBuy ? value - cost : cost - value;
    funds_.close_profit = add(funds_.close_profit, filled.close_profit);
  }
  funds_.commission = add(funds_.commission, filled.commission);
  put_on(t, p, index(side));
  out = filled;
  return Code::kOk;
}

Code Account::assign(std::uint32_t instrument, Side side, std::int64_t volume, Price price) {
  if (!board_->known(instrument)) return Code::kNoInstrument;
  if (volume < 1 || volume > kMaxVolume) return Code::kVolume;
  if (price < 0 || price > kMaxPrice) return Code::kBadPrice;
  const Terms& t = board_->terms(instrument);
  if (t.asset != Asset::kFuture) return Code::kBadParameters;
  Position& p = place(instrument);
  Position::Held& leg = p.held[index(side)];
  if (leg.volume() > kMaxVolume - volume) return Code::kVolume;
  take_off(t, p, 0);
  take_off(t, p, 1);
  if (p.last == kNoValue) p.last = price;
  const Money value = value_of(price, volume, t.multiple);
  leg.today += volume;
  leg.cost_today = add(leg.cost_today, value);
  opened_ = add(opened_, value);
  put_on(t, p, 0);
  put_on(t, p, 1);
  return Code::kOk;
}

}  // namespace qautlra::account
