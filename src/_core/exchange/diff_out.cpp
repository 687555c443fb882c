#include "exchange/diff_out.hpp"

#include <algorithm>
#include <string>

#include "exchange/diff_funds.hpp"
#include "exchange/diff_names.hpp"
#include "exchange/diff_text.hpp"
#include "exchange/words.hpp"

namespace qautlra::exchange {

using namespace diff;
using account::Leg;

namespace {

// A position in numbers.
struct Held {
  Price last = account::kNoValue;
  Money frozen_margin = 0;
  account::Leg legs[2];
  std::int64_t multiple = 1;
  bool option = false;
};

// Room for any of the objects: a few hundred bytes of keys, numbers, and names that may all need escaping.
constexpr std::size_t kObjectBytesMax = 4096 + kNamesBytesMax + 4 * kIdBytesMax;

constexpr Short kSides[] = {"BUY", "SELL"};
constexpr Short kOffsets[] = {"OPEN", "CLOSE", "CLOSETODAY"};
constexpr Short kPriceTypes[] = {"LIMIT", "ANY", "BEST", "FIVELEVEL"};
constexpr Short kTimes[] = {"", "IOC", "GFS", "GFD", "GTD", "GTC", "GFA"};
constexpr Short kVolumes[] = {"", "ANY", "MIN", "ALL"};
template <class T>
std::size_t at(T value) {
  return static_cast<std::size_t>(value);
}

char* put_state(char* p, const OrderRecord& r) {
  p = put(p, ",\"status\":\"");
  p = r.status == Status::kAlive ? put(p, "ALIVE") : put(p, "FINISHED");
  p = put_int(put(p, "\",\"volume_left\":"), r.left);
  p = put(put(p, ",\"last_msg\":\""), message_of(r));
  if (r.lots_frozen() != 0) [[unlikely]] p = put_int(put(p, kLotsFrozen), r.lots_frozen());
  *p++ = '"';
  return p;
}

// A number when it is not what it was, or whatever it is when there was nothing before.
template <bool kAll, Text kBefore, Text kName, Text kAfter>
char* put_lots_if(char* p, std::int64_t now, std::int64_t was) {
  return kAll || now != was ? put_int(put_key<kBefore, kName, kAfter>(p), now) : p;
}
template <bool kAll, Text kBefore, Text kName, Text kAfter>
char* put_money_if(char* p, Money now, Money was) {
  return kAll || now != was ? put_money(put_key<kBefore, kName, kAfter>(p), now) : p;
}

template <bool kAll, Text kLeg>
char* put_lots(char* p, const Leg& leg, const Leg& was) {
  p = put_lots_if<kAll, ",\"volume_", kLeg, "_today\":">(p, leg.today, was.today);
  p = put_lots_if<kAll, ",\"volume_", kLeg, "_his\":">(p, leg.his, was.his);
  p = put_lots_if<kAll, ",\"volume_", kLeg, "\":">(p, leg.volume(), was.volume());
  p = put_lots_if<kAll, ",\"volume_", kLeg, "_frozen_today\":">(p, leg.frozen_today, was.frozen_today);
  p = put_lots_if<kAll, ",\"volume_", kLeg, "_frozen_his\":">(p, leg.frozen_his, was.frozen_his);
  p = put_lots_if<kAll, ",\"volume_", kLeg, "_frozen\":">(p, leg.frozen(), was.frozen());
  p = put_lots_if<kAll, ",\"volume_", kLeg, "_yd\":">(p, leg.yd, was.yd);
  p = put_lots_if<kAll, ",\"pos_", kLeg, "_his\":">(p, leg.his, was.his);
  return put_lots_if<kAll, ",\"pos_", kLeg, "_today\":">(p, leg.today, was.today);
}

template <bool kAll, Text kLeg>
char* put_costs(char* p, const Leg& leg, const Leg& was, std::int64_t multiple) {
  const bool other_lots = kAll || leg.volume() != was.volume();
  const char* price = nullptr;  // the average as it was written
  std::size_t price_size = 0;
  if (other_lots || leg.open_cost() != was.open_cost()) {
    price = p = put_key<",\"open_price_", kLeg, "\":">(p);
    p = put_average(p, leg.open_cost(), leg.volume(), multiple);
    price_size = static_cast<std::size_t>(p - price);
  }
  p = put_money_if<kAll, ",\"open_cost_", kLeg, "\":">(p, leg.open_cost(), was.open_cost());
  if (other_lots || leg.position_cost() != was.position_cost()) {
    p = put_key<",\"position_price_", kLeg, "\":">(p);
    p = price != nullptr && leg.open_cost() == leg.position_cost()
            ? put(p, std::string_view(price, price_size))
            : put_average(p, leg.position_cost(), leg.volume(), multiple);
  }
  return put_money_if<kAll, ",\"position_cost_", kLeg, "\":">(p, leg.position_cost(), was.position_cost());
}

struct Both {
  Money longs;
  Money shorts;
};
template <bool kAll, Text kName>
char* put_both(char* p, const Both& now, const Both& was) {
  const Money sum = account::add(now.longs, now.shorts);
  p = put_money_if<kAll, ",\"", kName, "_long\":">(p, now.longs, was.longs);
  p = put_money_if<kAll, ",\"", kName, "_short\":">(p, now.shorts, was.shorts);
  return put_money_if<kAll, ",\"", kName, "\":">(p, sum, account::add(was.longs, was.shorts));
}

template <bool kAll>
char* put_legs(char* p, const Held& now, const Held& was) {
  p = put_lots<kAll, "long">(p, now.legs[0], was.legs[0]);
  p = put_lots<kAll, "short">(p, now.legs[1], was.legs[1]);
  p = put_costs<kAll, "long">(p, now.legs[0], was.legs[0], now.multiple);
  return put_costs<kAll, "short">(p, now.legs[1], was.legs[1], now.multiple);
}

template <bool kAll>
char* put_worth(char* p, const Held& now, const Held& was) {
  const auto floating = [](const Held& h) {
    return Both{h.legs[0].value - h.legs[0].open_cost(), h.legs[1].open_cost() - h.legs[1].value};
  };
  const auto profit = [](const Held& h) {
    return h.option ? Both{0, 0}
                    : Both{h.legs[0].value - h.legs[0].position_cost(), h.legs[1].position_cost() - h.legs[1].value};
  };
  p = put_both<kAll, "float_profit">(p, floating(now), floating(was));
  p = put_both<kAll, "position_profit">(p, profit(now), profit(was));
  return put_both<kAll, "margin">(p, {now.legs[0].margin, now.legs[1].margin},
                                  {was.legs[0].margin, was.legs[1].margin});
}

// What both say where nothing is held, the first of most positions.
struct Flat {
  std::string legs, worth;
  Flat() {
    char text[2048];
    legs.assign(text, put_legs<true>(text, {}, {}));
    worth.assign(text, put_worth<true>(text, {}, {}));
  }
};
bool is_flat(const Held& held) {
  const auto none = [](const Leg& leg) { return (leg.today | leg.his | leg.yd) == 0; };  // and so nothing is frozen
  return none(held.legs[0]) && none(held.legs[1]);
}

// The numbers of a position, each behind a comma.
char* put_position(char* p, const Held& now) {
  static const Flat flat;
  const bool is_new = is_flat(now);
  p = is_new ? put(p, std::string_view(flat.legs)) : put_legs<true>(p, now, now);
  p = put_price(put(p, ",\"last_price\":"), now.last);
  p = is_new ? put(p, std::string_view(flat.worth)) : put_worth<true>(p, now, now);
  return put_money(put(p, ",\"frozen_margin\":"), now.frozen_margin);
}
// Those that are not what they were.
char* put_changes(char* p, const Held& now, const Held& was) {
  p = put_legs<false>(p, now, was);
  if (now.last != was.last) p = put_price(put(p, ",\"last_price\":"), now.last);
  return put_worth<false>(p, now, was);
}
// Whether an order that came or went is all that has changed: then nothing but its margin has.
bool is_held_alike(const account::Position& a, const account::Position& b) {
  return a.last == b.last && a.frozen_today[0] == b.frozen_today[0] && a.frozen_today[1] == b.frozen_today[1] &&
         std::memcmp(a.held, b.held, sizeof a.held) == 0;
}

Held held_of(const Exchange& x, const account::Account& a, const account::Position& p) {
  const account::Terms& terms = x.ledger().board.terms(p.instrument);
  return {p.last, p.frozen_margin, {a.leg(p, Side::kBuy), a.leg(p, Side::kSell)}, terms.multiple,
          terms.asset == account::Asset::kOption};
}

}  // namespace

namespace {

char* put_order(char* p, const Exchange& x, std::uint32_t number, Names& names) {
  const OrderRecord& r = x.orders().at(number);
  p = put(p, "{\"seqno\":");
  p = put_uint(p, r.seq);
  *p++ = ',';
  p = names.put(p, r.account, r.instrument());
  p = put(p, ",\"order_id\":\"");
  p = names.put_id(p, number);
  p = put(p, "\",\"direction\":\"");
  p = put(p, kSides[at(r.side())]);
  p = put(p, "\",\"offset\":\"");
  p = put(p, kOffsets[at(r.offset)]);
  p = put(p, "\",\"volume_orign\":");
  p = put_int(p, r.volume);
  p = put(p, ",\"price_type\":\"");
  p = put(p, kPriceTypes[at(r.price_type)]);
  p = put(p, "\",\"limit_price\":");
  p = put_price(p, r.price);
  p = put(p, ",\"time_condition\":\"");
  p = put(p, kTimes[at(r.time)]);
  p = put(p, "\",\"volume_condition\":\"");
  p = put(p, kVolumes[at(r.volume_condition)]);
  p = put(p, "\",\"insert_date_time\":");
  p = put_int(p, r.insert_ns);
  p = put(p, ",\"exchange_order_id\":\"");
  if (r.id != 0) p = put_uint(p, book::serial_of(r.id));
  *p++ = '"';
  p = put_state(p, r);
  *p++ = '}';
  return p;
}

// `"key":{…}`; the key is the order's id and the number of the match.
char* put_trade_id(char* p, const TradeRecord& t, Names& names) {
  p = names.put_id(p, t.order);
  *p++ = '|';
  return put_uint(p, t.match);
}
char* put_trade(char* p, const Exchange& x, const TradeRecord& t, Names& names) {
  const OrderRecord& r = x.orders().at(t.order);
  p = put(p, "{\"seqno\":");
  p = put_uint(p, t.seq);
  *p++ = ',';
  p = names.put(p, t.account, r.instrument());
  p = put(p, ",\"trade_id\":\"");
  p = put_trade_id(p, t, names);
  p = put(p, "\",\"order_id\":\"");
  p = names.put_id(p, t.order);
  p = put(p, "\",\"exchange_trade_id\":\"");
  p = put_uint(p, t.match);
  p = put(p, "\",\"direction\":\"");
  p = put(p, kSides[at(r.side())]);
  p = put(p, "\",\"offset\":\"");
  p = put(p, kOffsets[at(r.offset)]);
  p = put(p, "\",\"volume\":");
  p = put_int(p, t.volume);
  p = put(p, ",\"price\":");
  p = put_money(p, t.price);
  p = put(p, ",\"trade_date_time\":");
  p = put_int(p, t.time_ns);
  p = put(p, ",\"commission\":");
  p = put_money(p, t.commission);
  *p++ = '}';
  return p;
}

}  // namespace

void encode_order(const Exchange& x, std::uint32_t number, Buffer& out) {
  Names names(x);
  out.commit(put_order(out.room(kObjectBytesMax), x, number, names));
}

void encode_trade(const Exchange& x, std::uint32_t number, Buffer& out) {
  Names names(x);
  out.commit(put_trade(out.room(kObjectBytesMax), x, x.trades().at(number), names));
}

void encode_account(const Exchange& x, std::uint32_t number, Buffer& out, bool with_quota) {
  const account::Account& a = x.ledger().at(number);
  const Sums sums = sums_of(wealth_of(a), with_quota ? a.withdraw_quota() : 0);
  char* p = out.room(kObjectBytesMax);
  p = put(p, "{\"user_id\":\"");
  p = put_escaped(p, x.account_name(number));
  p = put(p, "\",\"currency\":\"CNY\"");
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (i != kQuotaKey || with_quota) p = put_sum(p, a, sums, i);
  *p++ = '}';
  out.commit(p);
}

namespace {

bool append_position(const Exchange& x, std::uint32_t number, std::uint32_t instrument, Names& names, Buffer& out) {
  const account::Account& a = x.ledger().at(number);
  const account::Position* const found = a.find(instrument);
  if (found == nullptr) return false;
  const Held held = held_of(x, a, *found);
  char* p = out.room(kObjectBytesMax);
  *p++ = '{';
  p = names.put(p, number, instrument);
  p = put_position(p, held);
  *p++ = '}';
  out.commit(p);
  return true;
}

}  // namespace

bool encode_position(const Exchange& x, std::uint32_t number, std::uint32_t instrument, Buffer& out) {
  Names names(x);
  return append_position(x, number, instrument, names, out);
}

namespace {

void sort_unique(std::vector<std::uint32_t>& numbers) {
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

void close_object(Buffer& out) {
  if (out.data()[out.size() - 1] == ',') out.data()[out.size() - 1] = '}';
  else out.push_back('}');
}

void encode_symbol(const Exchange& x, std::uint32_t instrument, Buffer& out) {
  char* p = out.room(6 * kNameBytesMax + 16);
  *p++ = '"';
  p = put_escaped(p, x.symbol(instrument));
  out.commit(put(p, "\":"));
}

// False when the account never had any of these.
bool append_positions(const Exchange& x, std::uint32_t account, std::span<const std::uint32_t> instruments,
                      Names& names, Buffer& out) {
  bool any = false;
  for (const std::uint32_t instrument : instruments) {
    const std::size_t before = out.size();
    encode_symbol(x, instrument, out);
    if (append_position(x, account, instrument, names, out)) {
      out.push_back(',');
      any = true;
    } else {
      out.truncate(before);
    }
  }
  return any;
}

void append_members(const Exchange& x, std::span<const std::uint32_t> trades, Names& names, Buffer& out) {
  for (const std::uint32_t trade : trades) {
    const TradeRecord& t = x.trades().at(trade);
    char* p = out.room(kObjectBytesMax);
    *p++ = '"';
    p = put(put_trade_id(p, t, names), "\":");
    p = put_trade(p, x, t, names);
    *p++ = ',';
    out.commit(p);
  }
}

void append_trades(const Exchange& x, std::span<const std::uint32_t> trades, Names& names, Buffer& out) {
  out.append(",\"trades\":{");
  append_members(x, trades, names, out);
  close_object(out);
}

// New ones whole; of those before `first_new` what changes in an order's life, but for an amendment.
void append_members(const Exchange& x, std::span<const std::uint32_t> orders, std::uint32_t first_new, Names& names,
                    Buffer& out) {
  for (const std::uint32_t order : orders) {
    char* p = out.room(kObjectBytesMax);
    *p++ = '"';
    p = put(names.put_id(p, order), "\":");
    if (order >= first_new) {
      p = put_order(p, x, order, names);
    } else {
      const OrderRecord& r = x.orders().at(order);
      p = put_uint(put(p, "{\"seqno\":"), r.seq);
      p = put_state(p, r);
      *p++ = '}';
    }
    *p++ = ',';
    out.commit(p);
  }
}

void append_orders(const Exchange& x, std::span<const std::uint32_t> orders, std::uint32_t first_new, Names& names,
                   Buffer& out) {
  out.append(",\"orders\":{");
  append_members(x, orders, first_new, names, out);
  close_object(out);
}

}  // namespace

void encode_positions(const Exchange& x, std::uint32_t account, Buffer& out) {
  std::vector<std::uint32_t> instruments;
  for (const account::Position& one : x.ledger().at(account).positions()) instruments.push_back(one.instrument);
  Names names(x);
  if (append_positions(x, account, instruments, names, out)) out.truncate(out.size() - 1);
}

void encode_orders(const Exchange& x, std::span<const std::uint32_t> orders, Buffer& out) {
  Names names(x);
  append_members(x, orders, 0, names, out);
  if (!orders.empty()) out.truncate(out.size() - 1);
}

void encode_trades(const Exchange& x, std::span<const std::uint32_t> trades, Buffer& out) {
  Names names(x);
  append_members(x, trades, names, out);
  if (!trades.empty()) out.truncate(out.size() - 1);
}

void encode_part(const Exchange& x, std::uint32_t account, std::span<const std::uint32_t> instruments,
                 std::span<const std::uint32_t> orders, std::span<const std::uint32_t> trades, Buffer& out) {
  out.append("{\"accounts\":{\"CNY\":");
  encode_account(x, account, out);
  out.append("},\"positions\":{");
  Names names(x);
  append_positions(x, account, instruments, names, out);
  close_object(out);
  append_orders(x, orders, 0, names, out);
  append_trades(x, trades, names, out);
  out.push_back('}');
}

void encode_change(const Exchange& x, std::uint32_t account, std::span<const std::uint32_t> instruments,
                   std::span<const std::uint32_t> orders, std::span<const std::uint32_t> trades, Buffer& out) {
  out.append("\"accounts\":{\"CNY\":");
  encode_account(x, account, out, true);
  out.push_back('}');
  Names names(x);
  const std::size_t before = out.size();
  out.append(",\"positions\":{");
  if (append_positions(x, account, instruments, names, out)) close_object(out);
  else out.truncate(before);
  if (!orders.empty()) append_orders(x, orders, 0, names, out);
  if (!trades.empty()) append_trades(x, trades, names, out);
}

void Report::look(const Exchange& x, std::uint32_t account, std::uint32_t instrument, bool moves_lots,
                  const OrderRecord* order) {
  const account::Account& a = x.ledger().at(account);
  orders_before_ = x.orders().size();
  wealth_ = wealth_of(a);
  margin_ = order == nullptr ? 0 : order->hold.margin();
  instrument_before_ = kNone;
  const account::Position* const p = a.find(instrument);
  if (p == nullptr) return;
  instrument_before_ = instrument;
  position_seen_ = moves_lots;
  if (moves_lots) position_ = *p;
}

void Report::gather(std::uint32_t account, std::span<const Event> events) {
  orders_.clear();
  trades_.clear();
  instruments_.clear();
  for (const Event& e : events) {
    if (e.account != account) continue;
    if (e.kind == EventKind::kTrade) {
      trades_.push_back(e.record);
      continue;
    }
    if (orders_.empty() || orders_.back() != e.order) orders_.push_back(e.order);
    if (instruments_.empty() || instruments_.back() != e.instrument) instruments_.push_back(e.instrument);
  }
  if (orders_.size() > 1) sort_unique(orders_);
  if (instruments_.size() > 1) sort_unique(instruments_);
}

namespace {
void open_report(const Exchange& x, std::uint32_t account, Buffer& out) {
  char* p = put(out.room(6 * kNameBytesMax + 64), "{\"aid\":\"rtn_data\",\"data\":[{\"trade\":{\"");
  p = put_escaped(p, x.account_name(account));
  out.commit(put(p, "\":"));
}
}  // namespace

void Report::encode(const Exchange& x, std::uint32_t account, std::span<const Event> events, Buffer& out) {
  gather(account, events);
  open_report(x, account, out);
  encode_part(x, account, instruments_, orders_, trades_, out);
  out.append("}}]}");
}

void Report::encode_changes(const Exchange& x, std::uint32_t account, std::span<const Event> events, Buffer& out) {
  gather(account, events);
  open_report(x, account, out);
  const account::Account& a = x.ledger().at(account);
  char* p = put(out.room(kObjectBytesMax), "{\"accounts\":{\"CNY\":");
  char* const funds = p;
  *p = '{';
  p = put_funds(p, a, wealth_);
  if (p == funds) ++p;
  *funds = '{';  // in place of the first comma
  out.commit(put(p, "}},\"positions\":{"));
  Names names(x, &spellings_);
  for (const std::uint32_t instrument : instruments_) {
    const std::size_t before = out.size();
    encode_symbol(x, instrument, out);
    if (instrument != instrument_before_) {
      if (!append_position(x, account, instrument, names, out)) {
        out.truncate(before);
        continue;
      }
    } else {
      const account::Position& now = *a.find(instrument);
      char* const fields = out.room(kObjectBytesMax);
      char* q = fields;
      if (position_seen_ && !is_held_alike(now, position_))
        q = put_changes(q, held_of(x, a, now), held_of(x, a, position_));
      if (position_seen_ ? now.frozen_margin != position_.frozen_margin
                         : x.orders().at(orders_.front()).hold.margin() != margin_)
        q = put_money(put(q, ",\"frozen_margin\":"), now.frozen_margin);
      if (q == fields) ++q;
      *fields = '{';
      *q++ = '}';
      out.commit(q);
    }
    out.push_back(',');
  }
  close_object(out);
  append_orders(x, orders_, orders_before_, names, out);
  append_trades(x, trades_, names, out);
  out.append("}}}]}");
}

void encode_notify(std::uint64_t key, Code code, Buffer& out) {
  const CodeWords& words = words_of(code);
  char* p = out.room(1024);
  p = put(p, "{\"aid\":\"rtn_data\",\"data\":[{\"notify\":{\"");
  p = put_uint(p, key);
  p = code == kOk ? put(p, "\":{\"type\":\"MESSAGE\",\"level\":\"INFO\",\"code\":")
                  : put(p, "\":{\"type\":\"MESSAGE\",\"level\":\"WARNING\",\"code\":");
  p = put_uint(p, words.diff != 0 ? words.diff : words.ctp);
  p = put(p, ",\"session_id\":0,\"content\":\"");
  p = put(p, std::string_view(words.text));
  p = put(p, "\"}}}]}");
  out.commit(p);
}

}  // namespace qautlra::exchange
