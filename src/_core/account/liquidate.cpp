#include "account/liquidate.hpp"

#include <algorithm>

namespace qautlra::account {

namespace {

constexpr Price kLeast = kUnit / 100;  // 0.01 CNY

Price down_to(Price price, Price tick) { return tick > 0 ? price / tick * tick : price; }
Price up_to(Price price, Price tick) { return tick > 0 ? (price + tick - 1) / tick * tick : price; }

bool given(Price p) { return p != kNoValue && p > 0; }

}  // namespace

Price closing_price(const Terms& terms, const Quote& quote, Price open_price, Side side, Ratio slip) {
  const bool sells = side == Side::kSell;
  const Price best = sells ? quote.bid : quote.ask;
  const Price from = given(best) ? best : given(quote.settlement) ? quote.settlement : open_price;
  if (!given(from)) return kNoValue;
  // Away from the market, so that rounding never makes the order less likely to trade.
  const Money moved = times(from, sells ? kOne - slip : kOne + slip);
  Price price = std::max(sells ? down_to(moved, terms.tick) : up_to(moved, terms.tick),
                         terms.tick > 0 ? up_to(std::min(kLeast, terms.tick), terms.tick) : kLeast);
  if (quote.upper != kNoValue) price = std::min(price, down_to(quote.upper, terms.tick));
  if (quote.lower != kNoValue) price = std::max(price, up_to(quote.lower, terms.tick));
  return std::min(price, down_to(kMaxPrice, terms.tick));
}

void plan_liquidation(const Account& account, const Board& board, const ClosingRules& rules,
                      std::vector<Closing>& out) {
  struct Held {
    const Position* position;
    Side side;
    Money margin;
  };
  std::vector<Held> held;
  for (const Position& p : account.positions())
    for (const Side side : {Side::kBuy, Side::kSell})
      if (const Leg leg = account.leg(p, side); leg.volume() > 0) held.push_back({&p, side, leg.margin});
  std::stable_sort(held.begin(), held.end(), [](const Held& a, const Held& b) { return a.margin > b.margin; });
  for (const Held& h : held) {
    const Position& p = *h.position;
    const Terms& terms = board.terms(p.instrument);
    const Quote& quote = board.quote(p.instrument);
    if (!quote.tradable) continue;
    const Leg leg = account.leg(p, h.side);
    const Side side = book::opposite(h.side);
    const Price open_price =
        static_cast<Price>(divide_round(leg.open_cost(), static_cast<Wide>(leg.volume()) * terms.multiple));
    const Price price = closing_price(terms, quote, open_price, side, rules.slip);
    if (price == kNoValue) continue;
    const auto close = [&](Offset offset, std::int64_t volume) {
      const std::int64_t most = rules.volume_max > 0 ? rules.volume_max : volume;
      for (; volume > 0; volume -= most)
        out.push_back({p.instrument, side, offset, std::min(volume, most), price});
    };
    const std::int64_t today = leg.today - leg.frozen_today;
    const std::int64_t his = leg.his - leg.frozen_his;
    switch (terms.close_rule) {
      case CloseRule::kSplit:
        close(Offset::kCloseToday, today);
        close(Offset::kClose, his);
        break;
      case CloseRule::kHisOnly: close(Offset::kClose, his); break;
      case CloseRule::kTodayFirst:
      case CloseRule::kHisFirst: close(Offset::kClose, today + his); break;
    }
  }
}

}  // namespace qautlra::account
