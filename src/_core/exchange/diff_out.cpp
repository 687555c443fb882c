#include "exchange/diff_out.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "exchange/diff_text.hpp"
#include "exchange/words.hpp"

namespace qautlra::exchange {

using namespace diff;
using account::Leg;

namespace {


// Room for any of the objects: a few hundred bytes of keys, numbers, and names that may all need escaping.
constexpr std::size_t kNamesBytesMax = 3 * 6 * kNameBytesMax + 6 * kClientIdBytesMax;
constexpr std::size_t kObjectBytesMax = 4096 + kNamesBytesMax;

struct Symbol {
  std::string_view exchange;
  std::string_view code;
};
Symbol split(std::string_view symbol) {
  const std::size_t dot = symbol.find('.');
  if (dot == std::string_view::npos) return {{}, symbol};
  return {symbol.substr(0, dot), symbol.substr(dot + 1)};
}

constexpr Short kSides[] = {"BUY", "SELL"};
constexpr Short kOffsets[] = {"OPEN", "CLOSE", "CLOSETODAY"};
constexpr Short kPriceTypes[] = {"LIMIT", "ANY", "BEST", "FIVELEVEL"};
constexpr Short kTimes[] = {"", "IOC", "GFS", "GFD", "GTD", "GTC", "GFA"};
constexpr Short kVolumes[] = {"", "ANY", "MIN", "ALL"};
template <class T>
std::size_t at(T value) {
  return static_cast<std::size_t>(value);
}

// `"user_id":…,"exchange_id":…,"instrument_id":…` with an order id or without; the head of three of the objects.
char* put_names(char* p, const Exchange& x, std::uint32_t account, std::uint32_t instrument) {
  const Symbol symbol = split(x.symbol(instrument));
  p = put(p, "\"user_id\":\"");
  p = put_escaped(p, x.account_name(account));
  p = put(p, "\",\"exchange_id\":\"");
  p = put_escaped(p, symbol.exchange);
  p = put(p, "\",\"instrument_id\":\"");
  p = put_escaped(p, symbol.code);
  *p++ = '"';
  return p;
}

char* put_trade_id(char* p, const Exchange& x, const TradeRecord& trade) {
  p = put_escaped(p, x.orders().client_id(trade.order));
  *p++ = '|';
  return put_uint(p, trade.match);
}

char* put_state(char* p, const OrderRecord& r) {
  p = put(p, ",\"status\":\"");
  p = r.status == Status::kAlive ? put(p, "ALIVE") : put(p, "FINISHED");
  p = put_int(put(p, "\",\"volume_left\":"), r.left);
  p = put(put(p, ",\"last_msg\":\""), message_of(r));
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
template <bool kAll>
char* put_position(char* p, const Held& now, const Held& was) {
  static const Flat flat;
  const bool is_new = kAll && is_flat(now);
  p = is_new ? put(p, std::string_view(flat.legs)) : put_legs<kAll>(p, now, was);
  if (kAll || now.last != was.last) p = put_price(put(p, ",\"last_price\":"), now.last);
  p = is_new ? put(p, std::string_view(flat.worth)) : put_worth<kAll>(p, now, was);
  if (kAll || now.frozen_margin != was.frozen_margin)
    p = put_money(put(p, ",\"frozen_margin\":"), now.frozen_margin);
  return p;
}

// Keys of the funds, in the order of Sums.
struct Key {
  char text[24];
  std::uint8_t size;
  template <std::size_t N>
  consteval Key(const char (&key)[N]) : text{}, size(N - 1) {
    std::copy_n(key, N - 1, text);
  }
};
constexpr Key kFundKeys[] = {
    ",\"pre_balance\":",    ",\"deposit\":",       ",\"withdraw\":",          ",\"WithdrawQuota\":",
    ",\"close_profit\":",   ",\"commission\":",    ",\"premium\":",           ",\"static_balance\":",
    ",\"position_profit\":", ",\"float_profit\":", ",\"balance\":",           ",\"margin\":",
    ",\"frozen_margin\":",  ",\"frozen_commission\":", ",\"frozen_premium\":", ",\"available\":",
    ",\"risk_ratio\":",     ",\"market_value\":",  ",\"value_balance\":"};
constexpr std::size_t kQuotaKey = 3, kMarginKey = 11, kRatioKey = 16;
static_assert(std::size(kFundKeys) == std::tuple_size_v<Sums>);

Sums sums_of(const account::Account& a, bool with_quota) {
  const account::Funds& f = a.funds();
  const Money balance = a.balance();
  return {f.pre_balance,
          f.deposit,
          f.withdraw,
          with_quota ? a.withdraw_quota() : 0,
          f.close_profit,
          f.commission,
          f.premium,
          a.static_balance(),
          f.position_profit,
          a.float_profit(),
          balance,
          f.margin,
          f.frozen_margin,
          f.frozen_commission,
          f.frozen_premium,
          a.available(balance),
          f.margin == 0 ? 0 : balance,  // what the ratio hangs on beside the margin
          a.market_value(),
          account::add(balance, a.option_value())};
}

char* put_sum(char* p, const account::Account& a, const Sums& sums, std::size_t i) {
  std::memcpy(p, kFundKeys[i].text, sizeof kFundKeys[i].text);
  p += kFundKeys[i].size;
  if (i != kRatioKey) return put_money(p, sums[i]);
  const double ratio = a.risk_ratio();
  return std::isfinite(ratio) ? write_whole(p, ratio) : put(p, "\"-\"");
}

Held held_of(const Exchange& x, const account::Account& a, const account::Position& p) {
  const account::Terms& terms = x.ledger().board.terms(p.instrument);
  return {p.last, p.frozen_margin, {a.leg(p, Side::kBuy), a.leg(p, Side::kSell)}, terms.multiple,
          terms.asset == account::Asset::kOption};
}

}  // namespace

void encode_order_key(const Exchange& x, std::uint32_t number, Buffer& out) {
  char* p = out.room(6 * kClientIdBytesMax + 16);
  *p++ = '"';
  p = put_escaped(p, x.orders().client_id(number));
  *p++ = '"';
  out.commit(p);
}

void encode_trade_key(const Exchange& x, std::uint32_t number, Buffer& out) {
  const TradeRecord& t = x.trades().at(number);
  char* p = out.room(6 * kClientIdBytesMax + 48);
  *p++ = '"';
  p = put_trade_id(p, x, t);
  *p++ = '"';
  out.commit(p);
}

void encode_order(const Exchange& x, std::uint32_t number, Buffer& out) {
  const OrderRecord& r = x.orders().at(number);
  char* p = out.room(kObjectBytesMax);
  p = put(p, "{\"seqno\":");
  p = put_uint(p, r.seq);
  *p++ = ',';
  p = put_names(p, x, r.account, r.instrument());
  p = put(p, ",\"order_id\":\"");
  p = put_escaped(p, x.orders().client_id(number));
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
  out.commit(p);
}

void encode_trade(const Exchange& x, std::uint32_t number, Buffer& out) {
  const TradeRecord& t = x.trades().at(number);
  const OrderRecord& r = x.orders().at(t.order);
  char* p = out.room(kObjectBytesMax + 6 * kClientIdBytesMax);
  p = put(p, "{\"seqno\":");
  p = put_uint(p, t.seq);
  *p++ = ',';
  p = put_names(p, x, t.account, r.instrument());
  p = put(p, ",\"trade_id\":\"");
  p = put_trade_id(p, x, t);
  p = put(p, "\",\"order_id\":\"");
  p = put_escaped(p, x.orders().client_id(t.order));
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
  out.commit(p);
}

void encode_account(const Exchange& x, std::uint32_t number, Buffer& out, bool with_quota) {
  const account::Account& a = x.ledger().at(number);
  const Sums sums = sums_of(a, with_quota);
  char* p = out.room(kObjectBytesMax);
  p = put(p, "{\"user_id\":\"");
  p = put_escaped(p, x.account_name(number));
  p = put(p, "\",\"currency\":\"CNY\"");
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (i != kQuotaKey || with_quota) p = put_sum(p, a, sums, i);
  *p++ = '}';
  out.commit(p);
}

bool encode_position(const Exchange& x, std::uint32_t number, std::uint32_t instrument, Buffer& out) {
  const account::Account& a = x.ledger().at(number);
  const account::Position* const found = a.find(instrument);
  if (found == nullptr) return false;
  const Held held = held_of(x, a, *found);
  char* p = out.room(kObjectBytesMax);
  *p++ = '{';
  p = put_names(p, x, number, instrument);
  p = put_position<true>(p, held, held);
  *p++ = '}';
  out.commit(p);
  return true;
}

namespace {

void sort_unique(std::vector<std::uint32_t>& numbers) {
  if (numbers.size() < 2) return;
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

void encode_trades(const Exchange& x, std::span<const std::uint32_t> trades, Buffer& out) {
  out.append(",\"trades\":{");
  for (const std::uint32_t trade : trades) {
    encode_trade_key(x, trade, out);
    out.push_back(':');
    encode_trade(x, trade, out);
    out.push_back(',');
  }
  close_object(out);
}

// What changes in an order's life, but for an amendment.
void encode_order_state(const Exchange& x, std::uint32_t number, Buffer& out) {
  const OrderRecord& r = x.orders().at(number);
  char* p = out.room(kObjectBytesMax);
  p = put_uint(put(p, "{\"seqno\":"), r.seq);
  p = put_state(p, r);
  *p++ = '}';
  out.commit(p);
}

}  // namespace

void encode_part(const Exchange& x, std::uint32_t account, std::span<const std::uint32_t> instruments,
                 std::span<const std::uint32_t> orders, std::span<const std::uint32_t> trades, Buffer& out) {
  out.append("{\"accounts\":{\"CNY\":");
  encode_account(x, account, out);
  out.append("},\"positions\":{");
  for (const std::uint32_t instrument : instruments) {
    const std::size_t before = out.size();
    encode_symbol(x, instrument, out);
    if (encode_position(x, account, instrument, out)) out.push_back(',');
    else out.truncate(before);
  }
  close_object(out);
  out.append(",\"orders\":{");
  for (const std::uint32_t order : orders) {
    encode_order_key(x, order, out);
    out.push_back(':');
    encode_order(x, order, out);
    out.push_back(',');
  }
  close_object(out);
  encode_trades(x, trades, out);
  out.push_back('}');
}

void Report::look(const Exchange& x, std::uint32_t account, std::uint32_t instrument) {
  const account::Account& a = x.ledger().at(account);
  a.prefetch(instrument);
  orders_before_ = x.orders().size();
  instrument_before_ = kNone;
  sums_ = sums_of(a, false);
  const account::Position* const p = a.find(instrument);
  if (p == nullptr) return;
  instrument_before_ = instrument;
  held_ = held_of(x, a, *p);
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
  sort_unique(orders_);
  sort_unique(instruments_);
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
  const Sums sums = sums_of(a, false);
  char* p = put(out.room(kObjectBytesMax), "{\"accounts\":{\"CNY\":");
  char* const funds = p;
  *p = '{';
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (sums[i] != sums_[i] || (i == kRatioKey && sums[kMarginKey] != sums_[kMarginKey])) p = put_sum(p, a, sums, i);
  if (p == funds) ++p;
  *funds = '{';  // in place of the first comma
  out.commit(put(p, "}},\"positions\":{"));
  for (const std::uint32_t instrument : instruments_) {
    const std::size_t before = out.size();
    encode_symbol(x, instrument, out);
    if (instrument != instrument_before_) {
      if (!encode_position(x, account, instrument, out)) {
        out.truncate(before);
        continue;
      }
    } else {
      char* const fields = out.room(kObjectBytesMax);
      char* q = put_position<false>(fields, held_of(x, a, *a.find(instrument)), held_);
      if (q == fields) ++q;
      *fields = '{';
      *q++ = '}';
      out.commit(q);
    }
    out.push_back(',');
  }
  close_object(out);
  out.append(",\"orders\":{");
  for (const std::uint32_t order : orders_) {
    encode_order_key(x, order, out);
    out.push_back(':');
    if (order >= orders_before_) encode_order(x, order, out);
    else encode_order_state(x, order, out);
    out.push_back(',');
  }
  close_object(out);
  encode_trades(x, trades_, out);
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
