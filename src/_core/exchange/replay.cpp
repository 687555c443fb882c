// The exchange out of its journal: records decoded, and applied by the code that applied them first.
#include "exchange/exchange.hpp"

namespace qautlra::exchange {

using book::Reason;

Code Exchange::replay_listing(RecordReader& in) {
  Listing l;
  account::Terms& t = l.terms;
  in.get(l.symbol).get(t.multiple).get(t.tick);
  for (account::Rate* rate : {&t.margin[0], &t.margin[1], &t.fee_open, &t.fee_close, &t.fee_close_today})
    in.get(rate->ratio).get(rate->per_lot);
  in.get(t.fee_min).get(t.transfer_fee).get(t.sell_tax).get(t.group).get(t.asset).get(t.close_rule);
  book::Rules& r = l.rules;
  in.get(r.kinds).get(r.volume_min[0]).get(r.volume_min[1]).get(r.volume_step[0]).get(r.volume_step[1]);
  in.get(r.volume_max).get(r.self_trade).get(r.trade_price).get(r.best_rests);
  in.get(l.band.lower).get(l.band.upper).get(l.reference).get(l.has_reference);
  if (!in.done()) return kDiverged;
  std::uint32_t instrument = kNone;
  do_list(l, instrument);
  return kOk;
}

Code Exchange::replay_order(RecordKind kind, RecordReader& in) {
  if (kind == RecordKind::kInsert) {
    Insert c;
    Code verdict = kOk;
    Price freeze_at = 0;
    in.get(c.account).get(c.instrument).get(c.client_id).get(c.volume).get(c.price).get(c.now_ns);
    in.get(c.min_volume).get(c.gtd_day).get(c.side).get(c.offset).get(c.price_type).get(c.time);
    in.get(c.volume_condition).get(c.reduce_only).get(c.force).get(verdict).get(freeze_at);
    if (!in.done() || !owned(c.account) || !known(c.instrument) || c.side > Side::kSell ||
        c.offset > Offset::kCloseToday)
      return kDiverged;
    const std::uint32_t tag = OrderTable::tag_of(c.account, c.client_id);
    if (orders_.find(tag, c.account, c.client_id) != kNone || !orders_.make_room(c.client_id.size())) return kDiverged;
    account::Hold& hold = orders_.next().hold;
    book::NewOrder order;
    if (verdict == kOk) {
      if (c.volume > kVolumeMax) return kDiverged;  // no gate let that in
      const account::Account& owner = ledger_.at(c.account);
      if (owner.plan(c.instrument, c.side, c.offset, c.volume, freeze_at, hold) != account::Code::kOk)
        return kDiverged;
      to_book(c, hold.opens, order);
      if (books_.check(c.instrument, order) != book::Code::kOk) return kDiverged;
    }
    enter(c, tag, verdict, order);
    return kOk;
  }
  std::uint32_t number = kNone;
  std::int64_t now_ns = 0;
  in.get(number);
  if (number >= orders_.size() || orders_.at(number).status == Status::kFinished) return kDiverged;
  if (kind == RecordKind::kCancel) {
    Reason reason = Reason::kUser;
    in.get(reason).get(now_ns);
    if (!in.done()) return kDiverged;
    at(now_ns);
    return do_cancel(number, reason);
  }
  Price price = 0;
  std::int32_t left = 0;
  in.get(price).get(left).get(now_ns);
  if (!in.done()) return kDiverged;
  at(now_ns);
  return do_amend(number, price, left);
}

Code Exchange::replay(std::uint8_t raw, const void* payload, std::size_t size) {
  if (raw < kFirstRecordKind || raw > kLastRecordKind) return kDiverged;
  const auto kind = static_cast<RecordKind>(raw);
  if (kind == RecordKind::kNote) return size <= kNoteBytesMax ? kOk : kDiverged;
  if (kind == RecordKind::kCheckpoint) return replay_checkpoint(static_cast<const char*>(payload), size);
  RecordReader in(payload, size);
  // The live calls do the rest; nothing is appended meanwhile.
  const JournalHook journal = journal_;
  journal_ = {};
  const Code code = [&]() -> Code {
    std::uint32_t number = kNone;
    std::int64_t a = 0, b = 0;
    std::int32_t volume = 0;
    std::uint8_t byte = 0;
    Outcome done;
    switch (kind) {
      case RecordKind::kAccount: {
        std::string_view name;
        in.get(name);
        if (!in.done() || account_number(name) != kNone || names_.size() >= books_.bounds().accounts_max)
          return kDiverged;
        return do_open(name) == kNone ? kDiverged : kOk;
      }
      case RecordKind::kFundedAccount: {
        std::string_view name;
        in.get(name).get(a);
        if (!in.done() || account_number(name) != kNone || a <= 0) return kDiverged;
        return open_account(name, a) == kNone ? kDiverged : kOk;
      }
      case RecordKind::kInstrument: return replay_listing(in);
      case RecordKind::kInsert:
      case RecordKind::kCancel:
      case RecordKind::kAmend: return replay_order(kind, in);
      case RecordKind::kEndDay:
        if (!in.done()) return kDiverged;
        do_end_day();
        return kOk;
      case RecordKind::kCancelAll:
        in.get(number);
        if (in.done()) done = cancel_all(number);
        break;
      case RecordKind::kMoney:
        in.get(number).get(a);
        if (in.done()) done = move_money(number, a);
        break;
      case RecordKind::kMark:
        in.get(number).get(a).get(b);
        if (in.done()) done = mark(number, a, b);
        break;
      case RecordKind::kSettlement:
        in.get(number).get(a);
        if (in.done()) done = set_settlement(number, a);
        break;
      case RecordKind::kPhase:
        in.get(number).get(byte).get(a);
        if (in.done()) done = set_phase(number, static_cast<book::Phase>(byte), a);
        break;
      case RecordKind::kBand:
        in.get(number).get(a).get(b);
        if (in.done()) done = set_band(number, {a, b});
        break;
      case RecordKind::kState:
        in.get(number).get(byte);
        if (in.done() && byte <= 2) done = set_state(number, static_cast<risk::State>(byte));
        break;
      case RecordKind::kLocks:
        in.get(number).get(byte);
        if (in.done()) done = set_locks(number, byte);
        break;
      case RecordKind::kSettle:
        in.get(volume);
        if (in.done() && settle(volume).code != kOk) return kDiverged;
        break;
      case RecordKind::kExpiry: {
        Expiry e;
        in.get(e.instrument).get(e.how).get(e.price).get(e.fee).get(e.into).get(e.strike).get(e.is_put).get(e.now_ns);
        if (!in.done() || check_expiry(e) != kOk) return kDiverged;
        do_expire(e);
        return kOk;
      }
      case RecordKind::kStreetBook:
      case RecordKind::kStreetShown: return replay_street(in, kind == RecordKind::kStreetShown);
      case RecordKind::kCheckpoint:
      case RecordKind::kNote: return kOk;
      case RecordKind::kStreetOrder: {
        std::uint8_t time = 0;
        in.get(number).get(byte).get(a).get(volume).get(time).get(b);
        if (!in.done() || !known(number) || byte > 1) return kDiverged;
        at(b);
        return do_street(number, static_cast<Side>(byte), a, volume, static_cast<book::TimeCondition>(time));
      }
    }
    // The live call names whom it is about before it appends, so one that is not there now was there then.
    const bool missing = done.code == code_of(book::Code::kNoAccount) || done.code == code_of(book::Code::kNoInstrument);
    return in.done() && !missing ? kOk : kDiverged;
  }();
  journal_ = journal;
  return code;
}

}  // namespace qautlra::exchange
