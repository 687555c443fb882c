#include "exchange/diff_path.hpp"

#include <cstring>
#include <span>

namespace qautlra::exchange {

Outcome DiffPath::apply(std::uint32_t account, const DiffCommand& command, std::int64_t now_ns) {
  if (command.code != kOk) return {command.code};
  if (account >= x_.accounts() || account == kStreet) return {code_of(book::Code::kNoAccount)};
  // Sub-units of a user trade under names that begin with the user's.
  if (!command.user_id.empty() && !command.user_id.starts_with(x_.account_name(account)))
    return {code_of(book::Code::kNoAccount)};
  const std::uint32_t tag = OrderTable::tag_of(account, command.order_id);
  x_.orders().prefetch(tag);
  if (command.kind == DiffCommand::Kind::kCancel) {
    if (!whole_) {
      const std::uint32_t number = x_.orders().find(tag, account, command.order_id);
      if (number != kNone) report_.look(x_, account, x_.orders().at(number).instrument());
    }
    return x_.cancel(account, command.order_id, tag, now_ns);
  }
  char symbol[2 * kNameBytesMax + 1];
  std::memcpy(symbol, command.exchange_id.data(), command.exchange_id.size());
  symbol[command.exchange_id.size()] = '.';
  std::memcpy(symbol + command.exchange_id.size() + 1, command.instrument_id.data(), command.instrument_id.size());
  Insert order = command.order;
  order.account = account;
  order.instrument = x_.instrument_number({symbol, command.exchange_id.size() + 1 + command.instrument_id.size()});
  order.client_id = command.order_id;
  order.now_ns = now_ns;
  if (!whole_) report_.look(x_, account, order.instrument);
  return x_.insert(order, tag);
}

DiffPath::Answer DiffPath::handle(std::uint32_t account, std::string_view message, std::int64_t now_ns) {
  if (account < x_.accounts()) x_.expect(account);  // comes while the message is read
  const DiffCommand& command = reader_.read(message);
  Answer answer;
  answer.kind = command.kind;
  answer.field = command.field;
  if (command.kind == DiffCommand::Kind::kOther) return answer;
  const std::size_t before = x_.events().size();
  answer.outcome = apply(account, command, now_ns);
  out_.clear();
  const std::span<const Event> events = std::span(x_.events()).subspan(before);
  if (events.empty()) encode_notify(++notices_, answer.outcome.code, out_);
  else if (whole_) report_.encode(x_, account, events, out_);
  else report_.encode_changes(x_, account, events, out_);
  answer.report = out_.view();
  return answer;
}

}  // namespace qautlra::exchange
