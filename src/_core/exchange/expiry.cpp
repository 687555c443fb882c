// The end of contracts: what every account holds of one is closed at a price, options perhaps into their underlying.
//
// Each leg goes by an order and a trade of the ended day that no book has seen, so whatever shows orders and trades
// shows it, and they add up to the account. Accounts are gone through by number: the same in every replay.
#include <algorithm>
#include <string>

#include "exchange/exchange.hpp"

namespace qautlra::exchange {

using account::Asset;
using book::Reason;

Code Exchange::check_expiry(const Expiry& e) const {
  if (!known(e.instrument)) return code_of(book::Code::kNoInstrument);
  const bool is_exercise = e.into != kNone;
  if (is_exercise && !known(e.into)) return code_of(book::Code::kNoInstrument);
  const auto& board = ledger_.board;
  const Asset asset = board.terms(e.instrument).asset;
  const bool fits = asset == Asset::kFuture ? e.how == Reason::kDelivered && !is_exercise
                                            : e.how == Reason::kExercised || (e.how == Reason::kLapsed && !is_exercise);
  if (asset == Asset::kStock || !fits || e.fee < 0 || e.fee > account::kOne)
    return code_of(book::Code::kBadParameters);
  if (is_exercise && board.terms(e.into).asset != Asset::kFuture) return code_of(book::Code::kBadParameters);
  for (const Price price : {e.price, e.strike})
    if (price < 0 || price > account::kMaxPrice) return code_of(account::Code::kBadPrice);
  if (live_[e.instrument] > 0 || book::takes_orders(books_.at(e.instrument).phase))
    return code_of(account::Code::kOrdersAlive);
  return kOk;
}

Outcome Exchange::expire(const Expiry& e) {
  Outcome out;
  out.code = check_expiry(e);
  if (out.code != kOk) return out;
  const auto held = [&](std::uint32_t a) {
    const account::Position* const p = ledger_.at(a).find(e.instrument);
    return p->held[0].volume() > 0 || p->held[1].volume() > 0;
  };
  if (std::ranges::none_of(ledger_.board.holders(e.instrument), held)) return out;
  RecordWriter record;
  record.add(e.instrument).add(e.how).add(e.price).add(e.fee).add(e.into).add(e.strike).add(e.is_put).add(e.now_ns);
  if (logged(RecordKind::kExpiry, record, out)) out.code = do_expire(e);
  return out;
}

Code Exchange::do_expire(const Expiry& e) {
  at(e.now_ns);
  std::vector<std::uint32_t> holders = ledger_.board.holders(e.instrument);
  std::ranges::sort(holders);
  const bool split = ledger_.board.terms(e.instrument).close_rule == account::CloseRule::kSplit;
  Code code = kOk;
  for (const std::uint32_t account : holders) {
    for (const Side leg : {Side::kBuy, Side::kSell}) {
      const account::Position::Held& held = ledger_.at(account).find(e.instrument)->held[static_cast<int>(leg)];
      const std::int64_t today = held.today, his = held.his;
      const bool gone = split ? expire_leg(e, account, leg, today, 0) && expire_leg(e, account, leg, 0, his)
                              : expire_leg(e, account, leg, today, his);
      if (!gone) code = kFull;
    }
  }
  return code;
}

// False when the day's tables have no more room.
bool Exchange::expire_leg(const Expiry& e, std::uint32_t account, Side leg, std::int64_t today, std::int64_t his) {
  account::Account& owner = ledger_.at(account);
  const bool split = ledger_.board.terms(e.instrument).close_rule == account::CloseRule::kSplit;
  const Offset offset = split && today > 0 ? Offset::kCloseToday : Offset::kClose;
  const std::uint32_t orders = e.into == kNone ? 1 : 2;
  while (today + his > 0) {  // an order is of so many lots at most
    const std::int64_t part_today = std::min<std::int64_t>(today, kVolumeMax);
    const std::int64_t part_his = std::min<std::int64_t>(his, kVolumeMax - part_today);
    const std::int64_t lots = part_today + part_his;
    if (!orders_.has_room(orders) || !trades_.has_room(orders)) return false;
    account::Filled filled;
    if (owner.close_out(e.instrument, leg, part_today, part_his, e.price, e.fee, filled) != account::Code::kOk) {
      ++broken_;
      return true;
    }
    keep_expiry(e, account, e.instrument, book::opposite(leg), offset, lots, e.price, filled);
    if (e.into != kNone) {
      // Who holds a call or has sold a put buys the underlying.
      const Side side = e.is_put ? book::opposite(leg) : leg;
      if (owner.assign(e.into, side, lots, e.strike) != account::Code::kOk) ++broken_;
      keep_expiry(e, account, e.into, side, Offset::kOpen, lots, e.strike, {});
    }
    today -= part_today;
    his -= part_his;
  }
  return true;
}

// The order that stands for it, filled, and its trade.
void Exchange::keep_expiry(const Expiry& e, std::uint32_t account, std::uint32_t instrument, Side side, Offset offset,
                           std::int64_t volume, Price price, const account::Filled& filled) {
  const std::string head = "expiry." + symbols_[e.instrument].substr(0, 200) + ".";
  std::string id;
  for (std::uint32_t n = 1; id.empty() || orders_.find(account, id) != kNone; ++n) id = head + std::to_string(n);
  if (!orders_.make_room(id.size())) {  // no memory
    ++broken_;
    return;
  }
  books_.resume(books_.last_serial() + 1, books_.trades() + 1);
  OrderRecord& r = orders_.next();
  r = OrderRecord{};
  r.id = books_.last_serial() << book::kSlotBits;
  r.price = price;
  r.insert_ns = clock_ns_;
  r.account = account;
  r.before = desks_[account].last_order;
  r.volume = static_cast<std::int32_t>(volume);
  r.status = Status::kFinished;
  r.offset = offset;
  r.reason = e.how;
  r.hold = {.instrument = instrument, .side = side, .opens = offset == Offset::kOpen};
  const std::uint32_t number = orders_.add(OrderTable::tag_of(account, id), id);
  desks_[account].last_order = number;
  tell(number);
  keep_trade(r, number, r.volume, price, books_.trades(), filled);
}

}  // namespace qautlra::exchange
