// The market's own book beside the users' orders: what a feed shows stands in the book as orders of the street.
//
// The fill model of the paper broker: a level can be taken once as long as the feed shows it unchanged, and is
// there anew when its price or volume changes; users' orders at a price stand before the street's; a resting order
// of a user trades at its own price as soon as the street's other side reaches it. Lots and largest volumes are rules
// for users' orders: a level stands with the volume it is shown with.
#include <algorithm>

#include "exchange/sink.hpp"

namespace qautlra::exchange {

using book::Reason;

namespace {
bool usable(std::span<const StreetLevel> levels) {
  return levels.size() <= kStreetLevelsMax &&
         std::ranges::all_of(levels, [](const StreetLevel& l) { return l.volume >= 1 && l.volume <= kVolumeMax; });
}
}  // namespace

Outcome Exchange::show_street(std::uint32_t instrument, std::span<const StreetLevel> bids,
                              std::span<const StreetLevel> asks, std::int64_t now_ns) {
  Outcome out;
  if (!known(instrument)) return {code_of(book::Code::kNoInstrument)};
  if (!usable(bids) || !usable(asks)) return {code_of(book::Code::kBadParameters)};
  if (!bids.empty() && !asks.empty() && bids.front().price >= asks.front().price)
    return {code_of(book::Code::kBadParameters)};
  RecordWriter record;
  record.add(instrument).add(now_ns);
  if (trades_.full()) return {kFull};
  for (const auto& side : {bids, asks}) {
    record.add(static_cast<std::uint8_t>(side.size()));
    for (const StreetLevel& level : side) record.add(level.price).add(static_cast<std::int32_t>(level.volume));
  }
  if (logged(RecordKind::kStreetShown, record, out)) do_show_street(instrument, bids, asks, now_ns, true);
  return out;
}

void Exchange::do_show_street(std::uint32_t instrument, std::span<const StreetLevel> bids,
                              std::span<const StreetLevel> asks, std::int64_t now_ns, bool any_volume) {
  at(now_ns);
  if (streets_.size() <= instrument) streets_.resize(instrument + std::size_t{1});
  Sink sink{*this};
  Street next;
  for (const Side side : {Side::kBuy, Side::kSell}) {
    auto& before = streets_[instrument].sides[static_cast<int>(side)];
    auto& after = next.sides[static_cast<int>(side)];
    for (const StreetLevel& level : side == Side::kBuy ? bids : asks) after.push_back({level.price, level.volume, 0});
    for (Shown& old : before) {
      const book::Order* const order = old.id != 0 ? books_.order(old.id) : nullptr;
      const std::int64_t left = order != nullptr ? order->left : 0;
      if (order != nullptr) books_.remove(old.id, Reason::kForced, sink);
      for (Shown& now : after)
        if (now.price == old.price && now.volume == old.volume) now.id = static_cast<book::OrderId>(left) + 1;
    }
  }
  // Until here `id` of a level shown before is what was left of it, plus one.
  for (const Side side : {Side::kBuy, Side::kSell}) {
    for (Shown& level : next.sides[static_cast<int>(side)]) {
      book::NewOrder order;
      order.price = level.price;
      order.volume = static_cast<std::int32_t>(level.id == 0 ? level.volume : static_cast<std::int64_t>(level.id) - 1);
      order.side = side;
      order.opens = false;
      order.held = order.volume;
      level.id = 0;
      if (order.volume < 1 || order.price < 1) continue;  // no account takes a trade at no price
      // Outside the limits, or no phase for it; in older journals no whole lots, too.
      if (any_volume ? !books_.stands(instrument, order.price) : books_.check(instrument, order) != book::Code::kOk)
        continue;
      const book::Placed placed = books_.place(instrument, order, sink);
      if (placed.rests) level.id = placed.id;
    }
  }
  streets_[instrument] = std::move(next);
}

Code Exchange::replay_street(RecordReader& in, bool any_volume) {
  std::uint32_t instrument = kNone;
  std::int64_t now_ns = 0;
  StreetLevel levels[2][kStreetLevelsMax];
  std::uint8_t counts[2] = {0, 0};
  in.get(instrument).get(now_ns);
  for (int side = 0; side < 2; ++side) {
    in.get(counts[side]);
    if (counts[side] > kStreetLevelsMax) return kDiverged;
    for (std::uint8_t i = 0; i < counts[side]; ++i) {
      std::int32_t volume = 0;
      in.get(levels[side][i].price).get(volume);
      levels[side][i].volume = volume;
    }
  }
  if (!in.done() || !known(instrument) || !usable({levels[0], counts[0]}) || !usable({levels[1], counts[1]}))
    return kDiverged;
  do_show_street(instrument, {levels[0], counts[0]}, {levels[1], counts[1]}, now_ns, any_volume);
  return kOk;
}

}  // namespace qautlra::exchange
