#include "exchange/exchange.hpp"

#include <utility>

#include "account/hash.hpp"
#include "account/plan.hpp"
#include "exchange/sink.hpp"

namespace qautlra::exchange {

using account::Hold;
using account::kNoValue;
using book::OrderId;
using book::Reason;

Exchange::Exchange(const Options& options, const JournalHook& journal)
    : journal_(journal),
      books_(options.books),
      ledger_(options.margin_side),
      gate_(ledger_, options.limits),
      orders_(options.orders_max, options.books.live_orders_max),
      trades_(options.trades_max, std::size_t{2} * options.books.live_orders_max),
      keeps_days_(options.keeps_days) {
  do_open("");  // the street
  gate_.count_contracts_by_need([](void* x) { static_cast<Exchange*>(x)->recount(); }, this);
}

void Exchange::recount() {
  std::vector<std::uint32_t> trades(orders_.size());
  for (std::uint32_t n = 0; n < trades_.size(); ++n) ++trades[trades_.at(n).order];
  for (std::uint32_t n = 0; n < orders_.size(); ++n) {
    const OrderRecord& r = orders_.at(n);
    if (r.code == kOk && r.reason < Reason::kDelivered)  // those are nobody's
      gate_.count(r.account, r.instrument(), r.volume, r.hold.opens, r.reason == Reason::kUser, trades[n]);
  }
}

void Exchange::tell(std::uint32_t number) {
  OrderRecord& r = orders_.at(number);
  r.update_ns = clock_ns_;
  Event& e = event(EventKind::kOrder, number, r);
  e.volume = r.volume;
  e.price = r.price;
  e.seq = r.seq = ++desks_[r.account].seq;
}

std::uint32_t Exchange::do_open(std::string_view name) {
  const std::uint32_t number = ledger_.open(account::key_of(name));
  if (number == account::kNoAccount) return kNone;
  names_.add(name);
  desks_.emplace_back();
  gate_.set_account_state(number, risk::State::kActive);  // its line is there from now on, live or replayed
  return number;
}

std::uint32_t Exchange::open_account(std::string_view name, Money cash) {
  if (const std::uint32_t number = account_number(name); number != kNone) return number;
  if (name.size() > kNameBytesMax || names_.size() >= books_.bounds().accounts_max) return kNone;
  if (cash < 0 || cash > account::kMaxValue) return kNone;
  const std::uint64_t lsn = cash == 0 ? append(RecordKind::kAccount, RecordWriter{}.add(name))
                                      : append(RecordKind::kFundedAccount, RecordWriter{}.add(name).add(cash));
  if (lsn == 0) return kNone;
  const std::uint32_t number = do_open(name);
  if (number != kNone && cash > 0) ledger_.at(number).deposit(cash);
  return number;
}

void Exchange::set_quote(std::uint32_t instrument) {
  account::Quote& quote = ledger_.board.quote(instrument);
  const book::Book& b = books_.at(instrument);
  quote.upper = price_of(instrument, b.upper());
  quote.lower = price_of(instrument, b.base);
  quote.open = book::takes_orders(b.phase);
}

Code Exchange::do_list(const Listing& listing, std::uint32_t& instrument) {
  account::Terms terms = listing.terms;
  terms.key = account::key_of(listing.symbol);
  // Orders do not outlive their day here: the account settles only when nothing is frozen.
  book::Rules rules = listing.rules;
  rules.kinds &= ~static_cast<std::uint32_t>(book::kLimitGtc);
  if (!terms.valid() || terms.tick <= 0 || listing.symbol.empty() || listing.symbol.size() > kNameBytesMax)
    return code_of(book::Code::kBadParameters);
  // No price beyond what an account can hold.
  const std::int64_t most = account::kMaxPrice / terms.tick;
  if (listing.band.upper > most || listing.band.lower < -most) return code_of(book::Code::kBadParameters);
  instrument = instrument_number(listing.symbol);
  book::Code code = book::Code::kOk;
  if (instrument == kNone) {
    code = books_.add(rules, listing.band, instrument);
    if (code != book::Code::kOk) return code_of(code);
    symbols_.add(listing.symbol);
    live_.push_back(0);
  } else {
    // A tick is what book prices count: it stays.
    if (terms.tick != ledger_.board.terms(instrument).tick) return code_of(book::Code::kBadParameters);
    code = books_.set_rules(instrument, rules);
    Sink sink{*this};
    if (code == book::Code::kOk) code = books_.set_band(instrument, listing.band, sink);
    if (code != book::Code::kOk) return code_of(code);
  }
  if (listing.has_reference) books_.set_reference(instrument, listing.reference);
  const account::Code set = ledger_.set_terms(instrument, terms);
  set_quote(instrument);
  return code_of(set);
}

RecordWriter Exchange::listing_record(const Listing& l) {
  const account::Terms& t = l.terms;
  RecordWriter record;
  record.add(l.symbol).add(t.multiple).add(t.tick);
  for (const account::Rate& rate : {t.margin[0], t.margin[1], t.fee_open, t.fee_close, t.fee_close_today})
    record.add(rate.ratio).add(rate.per_lot);
  record.add(t.fee_min).add(t.transfer_fee).add(t.sell_tax).add(t.group).add(t.asset).add(t.close_rule);
  const book::Rules& r = l.rules;
  record.add(r.kinds).add(r.volume_min[0]).add(r.volume_min[1]).add(r.volume_step[0]).add(r.volume_step[1]);
  record.add(r.volume_max).add(r.self_trade).add(r.trade_price).add(r.best_rests);
  record.add(l.band.lower).add(l.band.upper).add(l.reference).add(l.has_reference);
  return record;
}

Code Exchange::list(const Listing& l, std::uint32_t& instrument) {
  if (l.symbol.size() > kNameBytesMax) return code_of(book::Code::kBadParameters);
  if (append(RecordKind::kInstrument, listing_record(l)) == 0) return kNotJournaled;
  return do_list(l, instrument);
}

std::int64_t Exchange::sellable(std::uint32_t account, std::uint32_t instrument) const {
  const account::Position* const p = ledger_.at(account).find(instrument);
  if (p == nullptr) return 0;
  const account::Position::Held& held = p->held[static_cast<int>(Side::kBuy)];
  return held.his - held.frozen_his;
}

void Exchange::to_book(const Insert& c, bool opens, book::NewOrder& o) const {
  if (c.price_type == book::PriceType::kLimit) o.price = c.price / ledger_.board.terms(c.instrument).tick;
  o.volume = static_cast<std::int32_t>(c.volume);
  o.min_volume = c.min_volume;
  o.account = c.account;
  o.gtd_day = c.gtd_day;
  o.side = c.side;
  o.price_type = c.price_type;
  o.time = c.time;
  o.volume_condition = c.volume_condition;
  o.opens = opens;
  if (ledger_.board.terms(c.instrument).asset == account::Asset::kStock && c.side == Side::kSell)
    o.held = static_cast<std::int32_t>(std::min<std::int64_t>(sellable(c.account, c.instrument), kVolumeMax));
}

Outcome Exchange::insert(const Insert& c) { return insert(c, OrderTable::tag_of(c.account, c.client_id)); }

Outcome Exchange::insert(const Insert& c, std::uint32_t tag) {
  Outcome out;  // the only one that is returned, so that it is made where it goes
  out.code = code_of(book::Code::kNoAccount);
  if (!owned(c.account)) return out;
  out.code = code_of(book::Code::kBadParameters);
  if (c.client_id.empty() || c.client_id.size() > kClientIdBytesMax) return out;
  ledger_.at(c.account).prefetch_front(c.instrument);
  if (out.order = orders_.find(tag, c.account, c.client_id); out.order != kNone) {
    out.code = code_of(account::Code::kDuplicate);
    return out;
  }
  out.code = code_of(book::Code::kNoInstrument);
  if (!known(c.instrument)) return out;
  out.code = kFull;
  if (trades_.full() || !orders_.make_room(c.client_id.size())) return out;
  out.code = kOk;

  risk::Request request{.account = c.account,
                        .instrument = c.instrument,
                        .volume = c.volume > kVolumeMax ? 0 : c.volume,
                        .price = c.price,
                        .gtd_day = c.gtd_day,
                        .side = c.side,
                        .offset = c.offset,
                        .price_type = c.price_type,
                        .time = c.time,
                        .duplicate = false,
                        .reduce_only = c.reduce_only,
                        .force = c.force};
  Hold& hold = orders_.next().hold;  // where it is to stay
  const risk::Verdict verdict = gate_.check(request, c.now_ns, trading_day_, hold);
  Code code = code_of(verdict.code);
  book::NewOrder order;
  std::uint32_t maker = 0;
  if (code == kOk) {
    to_book(c, hold.opens, order);
    // The order it will meet comes while this one is checked and kept.
    const bool any_price = c.price_type != book::PriceType::kLimit;
    maker = books_.prefetch_queue(c.instrument, c.side, order.price, any_price);
    if (maker != 0) {
      orders_.prefetch_placed(maker);
      ledger_.at(c.account).prefetch(c.instrument, c.side);
    }
    code = code_of(books_.check(c.instrument, order));
  }
  if (journal_.append != nullptr && !log_insert(c, code, verdict.code == account::Code::kOk ? hold.price : 0, out)) return out;
  if (maker != 0) expect(books_.account_in(maker));
  out.warnings = verdict.warnings;
  out.code = code;
  out.order = enter(c, tag, code, order);
  return out;
}

bool Exchange::log_insert(const Insert& c, Code code, Price freeze_at, Outcome& out) {
  RecordWriter record;
  record.add(c.account).add(c.instrument).add(c.client_id).add(c.volume).add(c.price).add(c.now_ns);
  record.add(c.min_volume).add(c.gtd_day).add(c.side).add(c.offset).add(c.price_type).add(c.time);
  record.add(c.volume_condition).add(c.reduce_only).add(c.force).add(code).add(freeze_at);
  return logged(RecordKind::kInsert, record, out);
}

// What the gate and the books have just let in, or the verdict of a record says they did; any other only as a refused
// order of the day. What the order keeps stands in the next record already.
std::uint32_t Exchange::enter(const Insert& c, std::uint32_t tag, Code verdict, const book::NewOrder& order) {
  at(c.now_ns);
  OrderRecord& r = orders_.next();
  const Hold& hold = r.hold;
  r.id = 0;
  r.price = c.price == kNoValue ? 0 : c.price;
  r.insert_ns = c.now_ns;
  r.account = c.account;
  r.before = desks_[c.account].last_order;
  r.volume = r.left = static_cast<std::int32_t>(std::clamp<std::int64_t>(c.volume, 0, kVolumeMax));
  r.code = verdict;
  r.status = verdict == kOk ? Status::kAlive : Status::kFinished;
  r.offset = c.offset;
  r.price_type = c.price_type;
  r.time = c.time;
  r.reason = {};
  r.volume_condition = c.volume_condition;
  if (verdict != kOk)
    r.hold = {.his = ledger_.at(c.account).frozen_to_close(c.instrument, c.side, verdict),
              .instrument = c.instrument,
              .side = c.side};
  const std::uint32_t number = orders_.add(tag, c.client_id);
  desks_[c.account].last_order = number;
  if (verdict != kOk) {
    tell(number);
    return number;
  }
  ledger_.at(c.account).take(hold);
  gate_.placed(c.account, c.instrument, c.volume, hold.opens);
  if (gate_.counts_repeats(c.account))
    gate_.placed_like({.account = c.account,
                       .instrument = c.instrument,
                       .volume = c.volume,
                       .price = c.price,
                       .side = c.side,
                       .offset = c.offset,
                       .price_type = c.price_type});
  Sink sink{*this, number};
  books_.place(c.instrument, order, sink);
  return number;
}

Outcome Exchange::cancel(std::uint32_t account, std::string_view client_id, std::int64_t now_ns, bool force) {
  return cancel(account, client_id, OrderTable::tag_of(account, client_id), now_ns, force);
}

Outcome Exchange::cancel(std::uint32_t account, std::string_view client_id, std::uint32_t tag, std::int64_t now_ns,
                         bool force) {
  Outcome out;
  out.code = code_of(book::Code::kNoAccount);
  if (!owned(account)) return out;
  out.order = orders_.find(tag, account, client_id);
  out.code = code_of(book::Code::kNoOrder);
  if (out.order == kNone) return out;
  const OrderRecord& r = orders_.at(out.order);
  if (r.status == Status::kFinished) return out;
  books_.prefetch(r.id);
  ledger_.at(account).prefetch_front(r.instrument());
  out.code = kOk;
  if (!force) {
    if (!book::takes_cancels(books_.at(r.instrument()).phase)) {
      out.code = code_of(book::Code::kNoCancelNow);
      return out;
    }
    const risk::Verdict verdict = gate_.check_cancel(account, r.instrument(), now_ns);
    out.warnings = verdict.warnings;
    out.code = code_of(verdict.code);
    if (out.code != kOk) return out;
  }
  const Reason reason = force ? Reason::kForced : Reason::kUser;
  if (!logged(RecordKind::kCancel, RecordWriter{}.add(out.order).add(reason).add(now_ns), out)) return out;
  at(now_ns);
  do_cancel(out.order, reason);
  return out;
}

Code Exchange::do_cancel(std::uint32_t number, Reason reason) {
  Sink sink{*this, number};
  return books_.remove(orders_.at(number).id, reason, sink) == book::Code::kOk ? kOk : kDiverged;
}

Outcome Exchange::cancel_all(std::uint32_t account) {
  Outcome out;
  if (account != kNone && account >= names_.size()) return {code_of(book::Code::kNoAccount)};
  if (!logged(RecordKind::kCancelAll, RecordWriter{}.add(account), out)) return out;
  Sink sink{*this};
  const auto last = names_.size();
  for (std::uint32_t a = account == kNone ? 1 : account; a < (account == kNone ? last : account + 1); ++a)
    if (a == kStreet || ledger_.at(a).live_orders() > 0) books_.remove_account(a, Reason::kForced, sink);
  return out;
}

// Makes the account keep what the order needs at another price and volume; puts everything back when it cannot,
// and in any case when it is only to be known whether it could.
Code Exchange::plan_amend(OrderRecord& r, Price price, std::int32_t left, bool keep) {
  account::Account& owner = ledger_.at(r.account);
  const Hold before = r.hold;
  Hold old = before;
  Hold wanted;
  owner.release(old);
  Code code = code_of(owner.plan(r.instrument(), r.side(), r.offset, left, price, wanted));
  if (code == kOk && wanted.opens && account::Account::due(wanted) > owner.available())
    code = code_of(account::Code::kFunds);
  if (code != kOk || !keep) {
    owner.take(before);
    return code;
  }
  wanted.fee_due = before.fee_due;
  wanted.fee_charged = before.fee_charged;
  owner.take(wanted);
  r.hold = wanted;
  return kOk;
}

Outcome Exchange::amend(std::uint32_t account, std::string_view client_id, Price price, std::int64_t volume,
                        std::int64_t now_ns) {
  Outcome out;
  if (!owned(account)) return {code_of(book::Code::kNoAccount)};
  out.order = orders_.find(account, client_id);
  out.code = code_of(book::Code::kNoOrder);
  if (out.order == kNone || orders_.at(out.order).status == Status::kFinished) return out;
  OrderRecord& r = orders_.at(out.order);
  const std::int64_t left = volume - (r.volume - r.left);
  const Price tick = ledger_.board.terms(r.instrument()).tick;
  const bool less = price == r.price && left <= r.left;
  if (volume > kVolumeMax || left < 1) {
    out.code = code_of(account::Code::kVolume);
  } else if (price == kNoValue || price <= 0) {
    out.code = code_of(account::Code::kBadPrice);
  } else if (price % tick != 0) {
    out.code = code_of(account::Code::kBadTick);
  } else if (trades_.full()) {
    out.code = kFull;
  } else {
    out.code = code_of(books_.check_amend(r.id, price / tick, static_cast<std::int32_t>(left)));
  }
  if (out.code == kOk) out.code = code_of(gate_.check_cancel(account, r.instrument(), now_ns).code);
  if (out.code == kOk && !less) {
    const auto state = std::max(gate_.state(), gate_.account_state(account));
    if (state == risk::State::kHalted) out.code = code_of(account::Code::kHalted);
    else if (state == risk::State::kReducing && r.hold.opens) out.code = code_of(account::Code::kReducing);
    else if (ledger_.at(account).locks & account::kLockTrading) out.code = code_of(account::Code::kAccountFrozen);
    else out.code = plan_amend(r, price, static_cast<std::int32_t>(left), false);
  }
  if (out.code != kOk) return out;
  const auto lots = static_cast<std::int32_t>(left);
  if (!logged(RecordKind::kAmend, RecordWriter{}.add(out.order).add(price).add(lots).add(now_ns), out)) return out;
  at(now_ns);
  do_amend(out.order, price, lots);
  return out;
}

Code Exchange::do_amend(std::uint32_t number, Price price, std::int32_t left) {
  OrderRecord& r = orders_.at(number);
  const std::int64_t at = price / ledger_.board.terms(r.instrument()).tick;
  if (books_.check_amend(r.id, at, left) != book::Code::kOk) return kDiverged;
  if (price == r.price && left <= r.left) {
    if (ledger_.at(r.account).shrink(r.hold, left) != account::Code::kOk) return kDiverged;
  } else if (plan_amend(r, price, left, true) != kOk) {
    return kDiverged;
  }
  Sink sink{*this};
  books_.amend(r.id, at, left, sink);
  return kOk;
}

Outcome Exchange::street(std::uint32_t instrument, Side side, Price price, std::int64_t volume,
                         book::TimeCondition time, std::int64_t now_ns) {
  Outcome out;
  if (!known(instrument)) return {code_of(book::Code::kNoInstrument)};
  const Price tick = ledger_.board.terms(instrument).tick;
  // As the gate says of everybody's: no account takes a trade at no price.
  if (price == kNoValue || price <= 0) return {code_of(account::Code::kBadPrice)};
  if (price % tick != 0) return {code_of(account::Code::kBadTick)};
  if (trades_.full()) return {kFull};
  if (volume < 1 || volume > kVolumeMax) return {code_of(account::Code::kVolume)};
  book::NewOrder order;
  order.price = price / tick;
  order.volume = static_cast<std::int32_t>(volume);
  order.side = side;
  order.time = time;
  order.opens = false;
  order.held = order.volume;
  out.code = code_of(books_.check(instrument, order));
  if (out.code != kOk) return out;
  RecordWriter record;
  record.add(instrument).add(side).add(order.price).add(order.volume).add(time).add(now_ns);
  if (!logged(RecordKind::kStreetOrder, record, out)) return out;
  at(now_ns);
  do_street(instrument, side, order.price, order.volume, time);
  return out;
}

Code Exchange::do_street(std::uint32_t instrument, Side side, std::int64_t at, std::int32_t volume,
                         book::TimeCondition time) {
  book::NewOrder order;
  order.price = at;
  order.volume = volume;
  order.side = side;
  order.time = time;
  order.opens = false;
  order.held = volume;
  Sink sink{*this};
  return books_.insert(instrument, order, sink).code == book::Code::kOk ? kOk : kDiverged;
}

Outcome Exchange::move_money(std::uint32_t account, Money amount) {
  Outcome out;
  if (!owned(account)) return {code_of(book::Code::kNoAccount)};
  if (amount == 0 || amount < -account::kMaxValue) return {code_of(account::Code::kBadAmount)};
  account::Account& owner = ledger_.at(account);
  // What the account refuses changes nothing, so a record of it does no harm when it is replayed.
  if (!logged(RecordKind::kMoney, RecordWriter{}.add(account).add(amount), out)) return out;
  out.code = code_of(amount > 0 ? owner.deposit(amount) : owner.withdraw(-amount));
  return out;
}

Outcome Exchange::set_state(std::uint32_t account, risk::State state) {
  Outcome out;
  if (account != kNone && !owned(account)) return {code_of(book::Code::kNoAccount)};
  if (!logged(RecordKind::kState, RecordWriter{}.add(account).add(state), out)) return out;
  if (account == kNone) gate_.set_state(state);
  else gate_.set_account_state(account, state);
  return out;
}

Outcome Exchange::set_locks(std::uint32_t account, std::uint8_t locks) {
  Outcome out;
  if (!owned(account)) return {code_of(book::Code::kNoAccount)};
  if (!logged(RecordKind::kLocks, RecordWriter{}.add(account).add(locks), out)) return out;
  ledger_.at(account).locks = locks;
  return out;
}

std::vector<std::uint32_t> Exchange::orders_of(std::uint32_t account) const {
  std::vector<std::uint32_t> found;
  for (std::uint32_t n = desks_[account].last_order; n != kNone; n = orders_.at(n).before) found.push_back(n);
  std::ranges::reverse(found);
  return found;
}

std::vector<std::uint32_t> Exchange::trades_of(std::uint32_t account) const {
  std::vector<std::uint32_t> found;
  for (std::uint32_t n = desks_[account].last_trade; n != kNone; n = trades_.at(n).before) found.push_back(n);
  std::ranges::reverse(found);
  return found;
}

Outcome Exchange::note(const void* payload, std::size_t size) {
  Outcome out;
  if (size > kNoteBytesMax) return {code_of(book::Code::kBadParameters)};
  if (journal_.append == nullptr) return out;
  out.lsn = journal_.append(journal_.context, static_cast<std::uint8_t>(RecordKind::kNote), payload, size);
  if (out.lsn == 0) out.code = kNotJournaled;
  return out;
}

std::uint32_t Exchange::review(std::uint32_t account, std::int64_t now_ns) {
  if (!owned(account)) return 0;
  const risk::State before = gate_.account_state(account);
  const std::uint32_t raised = gate_.review(account, trading_day_, now_ns);
  const risk::State after = gate_.account_state(account);
  if (after != before) append(RecordKind::kState, RecordWriter{}.add(account).add(after));
  return raised;
}

std::uint64_t Exchange::state_hash() const {
  account::Hash h(books_.state_hash());
  h.add(static_cast<std::int64_t>(ledger_.state_hash()));
  h.add(static_cast<std::int64_t>(gate_.state_hash()));
  h.add(trading_day_);
  for (std::uint32_t n = 0; n < trades_.size(); ++n) {
    const TradeRecord& t = trades_.at(n);
    h.add(static_cast<std::int64_t>(t.order) << 32 | t.volume);
    for (const std::int64_t x : {t.price, t.time_ns, t.commission, t.close_profit}) h.add(x);
  }
  for (std::uint32_t n = 0; n < orders_.size(); ++n) {
    const OrderRecord& r = orders_.at(n);
    h.add(static_cast<std::int64_t>(account::key_of(orders_.client_id(n))));
    h.add(static_cast<std::int64_t>(r.account) << 32 | r.instrument());
    h.add(static_cast<std::int64_t>(r.volume) << 32 | r.left);
    h.add(r.price);
    h.add(static_cast<std::int64_t>(r.status) | static_cast<std::int64_t>(r.reason) << 8 |
          static_cast<std::int64_t>(r.code) << 16);
    for (const std::int64_t x : {r.hold.left, r.hold.today(), r.hold.his, r.hold.margin(), r.hold.commission,
                                 r.hold.premium(), r.hold.fee_due, r.hold.fee_charged})
      h.add(x);
  }
  for (const Desk& desk : desks_) h.add(static_cast<std::int64_t>(desk.seq));
  return h.value();
}

}  // namespace qautlra::exchange
