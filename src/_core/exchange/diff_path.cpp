#include "exchange/diff_path.hpp"

#include <span>

namespace qautlra::exchange {

namespace {
bool same(std::string_view a, std::string_view b) { return a.data() == b.data() && a.size() == b.size(); }
}  // namespace

void DiffPath::on_order_id(std::string_view order_id) {
  order_id_ = order_id;
  tag_ = OrderTable::tag_of(account_, order_id);
  x_.orders().prefetch(tag_);
}

void DiffPath::on_instrument_id(std::string_view exchange_id, std::string_view instrument_id) {
  instrument_id_ = {};
  if (exchange_id.size() > kNameBytesMax) return;
  instrument_id_ = instrument_id;
  exchange_id_ = exchange_id;
  instrument_ = instrument_of(exchange_id, instrument_id);
  if (account_ < x_.accounts()) x_.ledger().at(account_).prefetch_position(instrument_);
}

std::uint32_t DiffPath::instrument_of(std::string_view exchange_id, std::string_view instrument_id) const {
  char symbol[2 * kNameBytesMax + 1];
  const std::size_t dot = exchange_id.copy(symbol, kNameBytesMax);
  symbol[dot] = '.';
  return x_.instrument_number({symbol, dot + 1 + instrument_id.copy(symbol + dot + 1, kNameBytesMax)});
}

Outcome DiffPath::apply(std::uint32_t account, DiffCommand& command, std::int64_t now_ns) {
  if (command.code != kOk) return {command.code};
  if (account >= x_.accounts() || account == kStreet) return {code_of(book::Code::kNoAccount)};
  // Sub-units of a user trade under names that begin with the user's.
  if (!command.user_id.empty() && !command.user_id.starts_with(x_.account_name(account)))
    return {code_of(book::Code::kNoAccount)};
  if (!same(command.order_id, order_id_)) on_order_id(command.order_id);
  if (command.kind == DiffCommand::Kind::kCancel) {
    const OrderTable::Likely likely = x_.orders().prefetch_record(tag_);
    x_.ledger().at(account).prefetch_front(likely.instrument);
    const std::uint32_t number = x_.orders().find(tag_, account, command.order_id);
    if (number != kNone) {
      const OrderRecord& r = x_.orders().at(number);
      x_.books().prefetch(r.id);
      if (!whole_) report_.look(x_, account, r.instrument(), !r.hold.opens, &r);
    }
    return x_.cancel(account, command.order_id, tag_, now_ns);
  }
  if (!same(command.instrument_id, instrument_id_) || !same(command.exchange_id, exchange_id_))
    on_instrument_id(command.exchange_id, command.instrument_id);
  Insert& order = command.order;
  order.account = account;
  order.instrument = instrument_;
  order.client_id = command.order_id;
  order.now_ns = now_ns;
  const bool meets = x_.expect(order);
  if (!whole_) report_.look(x_, account, order.instrument, meets || !x_.opens(order));
  return x_.insert(order, tag_);
}

DiffPath::Answer DiffPath::handle(std::uint32_t account, std::string_view message, std::int64_t now_ns) {
  if (account < x_.accounts()) x_.expect(account);  // comes while the message is read
  if (account < x_.accounts()) x_.ledger().at(account).prefetch_places();
  account_ = account;
  order_id_ = instrument_id_ = {};
  DiffCommand& command = reader_.read(message, this);
  if (command.kind == DiffCommand::Kind::kOther) return {{}, command.kind, {}, {}};
  const std::size_t before = x_.events().size();
  Answer answer{apply(account, command, now_ns), command.kind, command.field, {}};
  out_.clear();
  const std::span<const Event> events = std::span(x_.events()).subspan(before);
  if (events.empty()) encode_notify(++notices_, answer.outcome.code, out_);
  else if (whole_) report_.encode(x_, account, events, out_);
  else report_.encode_changes(x_, account, events, out_);
  answer.report = out_.view();
  return answer;
}

}  // namespace qautlra::exchange
