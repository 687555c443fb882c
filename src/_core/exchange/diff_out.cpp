#include "exchange/diff_out.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/decimal.hpp"
#include "exchange/json_text.hpp"
#include "exchange/words.hpp"

namespace qautlra::exchange {

namespace {

using account::kNoValue;

// Room for any of the objects: a few hundred bytes of keys, numbers, and names that may all need escaping.
constexpr std::size_t kNamesBytesMax = 3 * 6 * kNameBytesMax + 6 * kClientIdBytesMax;
constexpr std::size_t kObjectBytesMax = 4096 + kNamesBytesMax;

// Text whose length is known where it is written: one copy of fixed size.
template <std::size_t N>
char* put(char* p, const char (&text)[N]) {
  std::memcpy(p, text, N - 1);
  return p + N - 1;
}
char* put(char* p, std::string_view text) {
  std::memcpy(p, text.data(), text.size());
  return p + text.size();
}

// Names come in as UTF-8; what JSON wants escaped is.
char* put_escaped(char* p, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  const char* const plain_end = skip_plain(text.data(), text.data() + text.size());
  const auto before = static_cast<std::size_t>(plain_end - text.data());
  std::memcpy(p, text.data(), before);
  p += before;
  text.remove_prefix(before);
  if (text.empty()) return p;
  if (text.size() < 8) {
    if (const std::uint64_t x = load_short(text.data(), text.size()); plain(x)) {
      std::memcpy(p, &x, sizeof x);  // there is room behind every object
      return p + text.size();
    }
  }
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      *p++ = '\\';
      *p++ = c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      p = put(p, "\\u00");
      *p++ = kHex[static_cast<unsigned char>(c) >> 4];
      *p++ = kHex[c & 15];
    } else {
      *p++ = c;
    }
  }
  return p;
}

// The eight decimal digits of a number below 10^8, one a byte, the first lowest: halves, quarters, then digits at once.
std::uint64_t digits8(std::uint32_t x) {
  const std::uint64_t fours = x / 10'000 | std::uint64_t{x % 10'000} << 32;
  const std::uint64_t hundreds = (fours * 10'486 >> 20) & 0x0000007F0000007F;
  const std::uint64_t pairs = ((fours - hundreds * 100) << 16) + hundreds;
  const std::uint64_t tens = (pairs * 103 >> 10) & 0x000F000F000F000F;
  return tens + ((pairs - tens * 10) << 8);
}
constexpr std::uint64_t kDigits = 0x3030303030303030;

// These write up to seven bytes more than they count: there is room behind every object.
char* put_uint(char* p, std::uint64_t x) {
  if (x < 10) {
    *p = static_cast<char>('0' + x);
    return p + 1;
  }
  if (x >= 100'000'000) [[unlikely]] {
    const std::uint64_t high = x / 100'000'000;
    p = put_uint(p, high);
    const std::uint64_t low = digits8(static_cast<std::uint32_t>(x - high * 100'000'000)) | kDigits;
    std::memcpy(p, &low, sizeof low);
    return p + 8;
  }
  const std::uint64_t digits = digits8(static_cast<std::uint32_t>(x));
  const int zeros = std::countr_zero(digits) / 8;
  const std::uint64_t text = (digits | kDigits) >> 8 * zeros;
  std::memcpy(p, &text, sizeof text);
  return p + 8 - zeros;
}
char* put_int(char* p, std::int64_t x) {
  if (x >= 0) return put_uint(p, static_cast<std::uint64_t>(x));
  *p = '-';
  return put_uint(p + 1, 0 - static_cast<std::uint64_t>(x));
}

// 1e-6 CNY exactly, without a fraction where there is none.
char* put_money(char* p, Money m) {
  std::uint64_t size = static_cast<std::uint64_t>(m);
  if (m < 0) {
    *p++ = '-';
    size = 0 - size;
  }
  if (size == 0) {
    *p = '0';
    return p + 1;
  }
  const std::uint64_t whole = size / account::kUnit;
  const auto fraction = static_cast<std::uint32_t>(size - whole * account::kUnit);
  p = put_uint(p, whole);
  if (fraction == 0) return p;
  const std::uint64_t digits = digits8(fraction * 100);
  *p++ = '.';
  const std::uint64_t text = digits | kDigits;
  std::memcpy(p, &text, sizeof text);
  return p + 8 - std::countl_zero(digits) / 8;
}

char* put_price(char* p, Price price) { return price == kNoValue ? put(p, "\"-\"") : put_money(p, price); }

// A cost over lots, the nearest double where it is no whole count of 1e-6.
char* put_average(char* p, Money cost, std::int64_t volume, std::int64_t multiple) {
  if (volume == 0) return put(p, "0");
  const std::int64_t lots = volume * multiple;
  if (cost % lots == 0) return put_money(p, cost / lots);
  return write_whole(p, account::to_cny(cost) / static_cast<double>(lots));
}

struct Symbol {
  std::string_view exchange;
  std::string_view code;
};
Symbol split(std::string_view symbol) {
  const std::size_t dot = symbol.find('.');
  if (dot == std::string_view::npos) return {{}, symbol};
  return {symbol.substr(0, dot), symbol.substr(dot + 1)};
}

constexpr std::string_view kSides[] = {"BUY", "SELL"};
constexpr std::string_view kOffsets[] = {"OPEN", "CLOSE", "CLOSETODAY"};
constexpr std::string_view kPriceTypes[] = {"LIMIT", "ANY", "BEST", "FIVELEVEL"};
constexpr std::string_view kTimes[] = {"", "IOC", "GFS", "GFD", "GTD", "GTC", "GFA"};
constexpr std::string_view kVolumes[] = {"", "ANY", "MIN", "ALL"};
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

// Keys put together at compile time, so that a leg's fields are written once for both.
template <std::size_t N>
struct Text {
  char chars[N];
  consteval Text(const char (&text)[N]) { std::copy_n(text, N, chars); }
};
template <Text kBefore, Text kName, Text kAfter>
char* put_key(char* p) {
  constexpr auto kKey = [] {
    std::array<char, sizeof(kBefore) + sizeof(kName) + sizeof(kAfter) - 3> key{};
    char* to = std::copy_n(kBefore.chars, sizeof(kBefore) - 1, key.data());
    to = std::copy_n(kName.chars, sizeof(kName) - 1, to);
    std::copy_n(kAfter.chars, sizeof(kAfter) - 1, to);
    return key;
  }();
  std::memcpy(p, kKey.data(), kKey.size());
  return p + kKey.size();
}

template <Text kLeg>
char* put_lots(char* p, const account::Leg& leg) {
  p = put_int(put_key<",\"volume_", kLeg, "_today\":">(p), leg.today);
  p = put_int(put_key<",\"volume_", kLeg, "_his\":">(p), leg.his);
  p = put_int(put_key<",\"volume_", kLeg, "\":">(p), leg.volume());
  p = put_int(put_key<",\"volume_", kLeg, "_frozen_today\":">(p), leg.frozen_today);
  p = put_int(put_key<",\"volume_", kLeg, "_frozen_his\":">(p), leg.frozen_his);
  p = put_int(put_key<",\"volume_", kLeg, "_frozen\":">(p), leg.frozen());
  p = put_int(put_key<",\"volume_", kLeg, "_yd\":">(p), leg.yd);
  p = put_int(put_key<",\"pos_", kLeg, "_his\":">(p), leg.his);
  return put_int(put_key<",\"pos_", kLeg, "_today\":">(p), leg.today);
}

template <Text kLeg>
char* put_costs(char* p, const account::Leg& leg, std::int64_t multiple) {
  p = put_average(put_key<",\"open_price_", kLeg, "\":">(p), leg.open_cost(), leg.volume(), multiple);
  p = put_money(put_key<",\"open_cost_", kLeg, "\":">(p), leg.open_cost());
  p = put_average(put_key<",\"position_price_", kLeg, "\":">(p), leg.position_cost(), leg.volume(), multiple);
  return put_money(put_key<",\"position_cost_", kLeg, "\":">(p), leg.position_cost());
}

template <Text kName>
char* put_both(char* p, Money longs, Money shorts) {
  p = put_money(put_key<",\"", kName, "_long\":">(p), longs);
  p = put_money(put_key<",\"", kName, "_short\":">(p), shorts);
  return put_money(put_key<",\"", kName, "\":">(p), account::add(longs, shorts));
}

}  // namespace

void encode_order_key(const Exchange& x, std::uint32_t number, Buffer& out) {
  char* p = out.room(6 * kClientIdBytesMax + 2);
  *p++ = '"';
  p = put_escaped(p, x.orders().client_id(number));
  *p++ = '"';
  out.commit(p);
}

void encode_trade_key(const Exchange& x, std::uint32_t number, Buffer& out) {
  const TradeRecord& t = x.trades().at(number);
  char* p = out.room(6 * kClientIdBytesMax + 32);
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
  p = put(p, "\",\"status\":\"");
  p = r.status == Status::kAlive ? put(p, "ALIVE") : put(p, "FINISHED");
  p = put(p, "\",\"volume_left\":");
  p = put_int(p, r.left);
  p = put(p, ",\"last_msg\":\"");
  p = put(p, message_of(r));
  p = put(p, "\"}");
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
  const account::Funds& f = a.funds();
  char* p = out.room(kObjectBytesMax);
  p = put(p, "{\"user_id\":\"");
  p = put_escaped(p, x.account_name(number));
  p = put(p, "\",\"currency\":\"CNY\",\"pre_balance\":");
  p = put_money(p, f.pre_balance);
  p = put(p, ",\"deposit\":");
  p = put_money(p, f.deposit);
  p = put(p, ",\"withdraw\":");
  p = put_money(p, f.withdraw);
  if (with_quota) {
    p = put(p, ",\"WithdrawQuota\":");
    p = put_money(p, a.withdraw_quota());
  }
  p = put(p, ",\"close_profit\":");
  p = put_money(p, f.close_profit);
  p = put(p, ",\"commission\":");
  p = put_money(p, f.commission);
  p = put(p, ",\"premium\":");
  p = put_money(p, f.premium);
  p = put(p, ",\"static_balance\":");
  p = put_money(p, a.static_balance());
  p = put(p, ",\"position_profit\":");
  p = put_money(p, f.position_profit);
  p = put(p, ",\"float_profit\":");
  p = put_money(p, a.float_profit());
  p = put(p, ",\"balance\":");
  p = put_money(p, a.balance());
  p = put(p, ",\"margin\":");
  p = put_money(p, f.margin);
  p = put(p, ",\"frozen_margin\":");
  p = put_money(p, f.frozen_margin);
  p = put(p, ",\"frozen_commission\":");
  p = put_money(p, f.frozen_commission);
  p = put(p, ",\"frozen_premium\":");
  p = put_money(p, f.frozen_premium);
  p = put(p, ",\"available\":");
  p = put_money(p, a.available());
  p = put(p, ",\"risk_ratio\":");
  const double ratio = a.risk_ratio();
  p = std::isfinite(ratio) ? write_whole(p, ratio) : put(p, "\"-\"");
  p = put(p, ",\"market_value\":");
  p = put_money(p, a.market_value());
  p = put(p, ",\"value_balance\":");
  p = put_money(p, account::add(a.balance(), a.option_value()));
  *p++ = '}';
  out.commit(p);
}

bool encode_position(const Exchange& x, std::uint32_t number, std::uint32_t instrument, Buffer& out) {
  const account::Account& a = x.ledger().at(number);
  const account::Position* const found = a.find(instrument);
  if (found == nullptr) return false;
  const account::Position& position = *found;
  const account::Leg longs = a.leg(position, Side::kBuy);
  const account::Leg shorts = a.leg(position, Side::kSell);
  const std::int64_t multiple = x.ledger().board.terms(instrument).multiple;
  char* p = out.room(kObjectBytesMax);
  *p++ = '{';
  p = put_names(p, x, number, instrument);
  p = put_lots<"long">(p, longs);
  p = put_lots<"short">(p, shorts);
  p = put_costs<"long">(p, longs, multiple);
  p = put_costs<"short">(p, shorts, multiple);
  p = put(p, ",\"last_price\":");
  p = put_price(p, position.last);
  p = put_both<"float_profit">(p, a.open_profit(position, Side::kBuy), a.open_profit(position, Side::kSell));
  p = put_both<"position_profit">(p, a.position_profit(position, Side::kBuy), a.position_profit(position, Side::kSell));
  p = put_both<"margin">(p, longs.margin, shorts.margin);
  p = put(p, ",\"frozen_margin\":");
  p = put_money(p, position.frozen_margin);
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

}  // namespace

void encode_part(const Exchange& x, std::uint32_t account, std::span<const std::uint32_t> instruments,
                 std::span<const std::uint32_t> orders, std::span<const std::uint32_t> trades, Buffer& out) {
  out.append("{\"accounts\":{\"CNY\":");
  encode_account(x, account, out);
  out.append("},\"positions\":{");
  for (const std::uint32_t instrument : instruments) {
    const std::size_t before = out.size();
    char* p = out.room(6 * kNameBytesMax + 3);
    *p++ = '"';
    p = put_escaped(p, x.symbol(instrument));
    p = put(p, "\":");
    out.commit(p);
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
  out.append(",\"trades\":{");
  for (const std::uint32_t trade : trades) {
    encode_trade_key(x, trade, out);
    out.push_back(':');
    encode_trade(x, trade, out);
    out.push_back(',');
  }
  close_object(out);
  out.push_back('}');
}

void Report::encode(const Exchange& x, std::uint32_t account, std::span<const Event> events, Buffer& out) {
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
  out.append("{\"aid\":\"rtn_data\",\"data\":[{\"trade\":{\"");
  out.commit(put_escaped(out.room(6 * kNameBytesMax), x.account_name(account)));
  out.append("\":");
  encode_part(x, account, instruments_, orders_, trades_, out);
  out.append("}}]}");
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
