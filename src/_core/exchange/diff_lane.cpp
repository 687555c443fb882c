#include "exchange/diff_lane.hpp"

#include <limits>

#include "exchange/diff_text.hpp"

namespace qautlra::exchange {

using namespace diff;

namespace {
// What a client is told of an order beside its state: numbers of the DIFF protocol.
constexpr Code kEntered = 417;
constexpr Code kWithdrawn = 419;
constexpr Code kTraded = 406;
constexpr std::size_t kNoticeBytesMax = 512 + 6 * kNameBytesMax;  // without the beginning of its key

std::string escaped(std::string_view text) {
  std::string found(6 * text.size() + 8, '\0');
  found.resize(static_cast<std::size_t>(put_escaped(found.data(), text) - found.data()));
  return found;
}
}  // namespace

DiffLane::DiffLane(Exchange& x, std::uint32_t account, std::string_view user, std::string_view notices)
    : x_(x), account_(account), user_(user), user_key_(escaped(user)), notices_(notices) {}

DiffLane::Kind DiffLane::read(std::string_view message) {
  kind_ = Kind::kNotOurs;
  command_ = &reader_.read(message);
  const DiffCommand& c = *command_;
  if (c.code != kOk || !c.plain || c.order_id.empty() || c.user_id != user_) return kind_;
  if (c.kind == DiffCommand::Kind::kCancel) return kind_ = Kind::kCancel;
  if (c.kind != DiffCommand::Kind::kInsert) return kind_;
  const Insert& o = c.order;
  if (o.price_type != book::PriceType::kLimit || o.price == account::kNoValue) return kind_;
  if (o.time == book::TimeCondition::kGtd || o.volume_condition == book::VolumeCondition::kMin) return kind_;
  if (o.volume < 1 || o.volume > std::numeric_limits<std::int32_t>::max()) return kind_;
  char symbol[2 * kNameBytesMax + 1];
  if (c.exchange_id.size() > kNameBytesMax || c.instrument_id.size() > kNameBytesMax) return kind_;
  const std::size_t dot = c.exchange_id.copy(symbol, kNameBytesMax);
  symbol[dot] = '.';
  instrument_ = x_.instrument_number({symbol, dot + 1 + c.instrument_id.copy(symbol + dot + 1, kNameBytesMax)});
  return kind_ = instrument_ == kNone ? Kind::kNotOurs : Kind::kInsert;
}

Outcome DiffLane::enter(std::int64_t now_ns) {
  const bool first = x_.events().empty();
  Outcome out;
  if (kind_ == Kind::kInsert) {
    Insert& order = command_->order;
    order.account = account_;
    order.instrument = instrument_;
    order.client_id = command_->order_id;
    order.now_ns = now_ns;
    out = x_.insert(order);
  } else {
    out = x_.cancel(account_, command_->order_id, now_ns);
  }
  simple_ = first && out.code == kOk && out.order != kNone;
  if (simple_) look(out);
  return out;
}

void DiffLane::look(const Outcome& out) {
  order_ = out.order;
  trades_.clear();
  bool any = false;
  for (const Event& e : x_.events()) {
    if (e.account != account_) continue;
    any = true;
    if (e.order != order_) {
      simple_ = false;
      return;
    }
    if (e.kind == EventKind::kTrade) trades_.push_back(e.record);
  }
  simple_ = any;
  alive_ = x_.orders().at(order_).status == Status::kAlive;
}

char* DiffLane::put_notice(char* p, std::uint64_t number, Code code) const {
  p = put(put(p, "{\"notify\":{\""), std::string_view(notices_));
  p = put(put_uint(p, number), "\":{\"type\":\"MESSAGE\",\"level\":\"INFO\",\"code\":");
  return put(put_uint(p, code), ",\"session_id\":0,\"content\":\"");
}

std::string_view DiffLane::tell(std::uint64_t& serial) {
  constexpr char kEnd[] = "\"}}},";
  const OrderRecord& r = x_.orders().at(order_);
  const std::size_t notice_bytes = kNoticeBytesMax + notices_.size();
  out_.clear();
  char* p = put(out_.room(2 * notice_bytes), "{\"aid\":\"rtn_data\",\"data\":[");
  if (kind_ == Kind::kInsert) p = put(put(put_notice(p, ++serial, kEntered), "下单成功"), kEnd);
  if (!alive_ && r.left != 0) p = put(put(put_notice(p, ++serial, kWithdrawn), "撤单成功"), kEnd);
  out_.commit(p);
  for (const std::uint32_t trade : trades_) {
    p = put(put_notice(out_.room(notice_bytes), ++serial, kTraded), "成交通知,合约:");
    p = put(put_escaped(p, x_.symbol(r.instrument())), ",手数:");
    out_.commit(put(put_int(p, x_.trades().at(trade).volume), kEnd));
  }
  p = put(out_.room(user_key_.size() + 64), "{\"trade\":{\"");
  out_.commit(put(put(p, std::string_view(user_key_)), "\":{"));
  const std::uint32_t instrument = r.instrument();
  encode_change(x_, account_, {&instrument, 1}, {&order_, 1}, trades_, out_);
  out_.append("}}}]}");
  return out_.view();
}

}  // namespace qautlra::exchange
