// Orders and cancels of the DIFF socket, from any bytes to a report: the decoder and, with a market behind it, the
// whole call. What comes back must be as the decoder's header says, and JSON again where it is a report.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "exchange/diff_path.hpp"

using namespace qautlra;
using exchange::DiffCommand;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

std::unique_ptr<exchange::Exchange> opened() {
  exchange::Options options;
  options.books.live_orders_max = 1'000;
  options.books.accounts_max = 10;
  options.orders_max = 1'000;
  options.limits.active_max = 0;
  options.limits.orders = {};
  auto x = std::make_unique<exchange::Exchange>(options);
  exchange::Listing listing;
  listing.symbol = "SHFE.cu2109";
  listing.terms.multiple = 5;
  listing.terms.tick = 10 * account::kUnit;
  for (account::Rate& rate : listing.terms.margin) rate.ratio = account::kOne / 10;
  listing.band = {6'000, 9'000};
  std::uint32_t instrument = 0;
  x->list(listing, instrument);
  x->move_money(x->open_account("acc001"), 10'000'000 * account::kUnit);
  x->settle(20210802);
  x->set_phase(instrument, book::Phase::kContinuous);
  return x;
}

// As strict as a report needs: quotes and brackets close, nothing is below a space, the end is the end.
bool closes(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) < 0x20) return false;
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth == 0 && i + 1 != text.size()) return false;
    }
  }
  return depth == 0 && !in_string;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::unique_ptr<exchange::Exchange> x;
  static std::unique_ptr<exchange::DiffPath> path;
  static std::int64_t now_ns = 0;
  if (!x || x->orders().size() > 900) {
    x = opened();
    path = std::make_unique<exchange::DiffPath>(*x);
  }
  exchange::DiffReader reader;
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const DiffCommand& c = reader.read(message);
  check((c.code == exchange::kOk) == c.field.empty());
  check(c.kind != DiffCommand::Kind::kMalformed || c.field == "json");
  if (c.code == exchange::kOk && c.kind != DiffCommand::Kind::kOther)
    check(c.order_id.size() <= exchange::kClientIdBytesMax && c.exchange_id.size() <= exchange::kNameBytesMax &&
          c.instrument_id.size() <= exchange::kNameBytesMax);
  const exchange::DiffPath::Answer answer = path->handle(1, message, now_ns += 1'000'000);
  check(answer.kind == c.kind);
  check((answer.kind == DiffCommand::Kind::kOther) == answer.report.empty());
  check(answer.report.empty() || closes(answer.report));
  check(x->broken() == 0);
  x->clear_events();
  if (const std::uint32_t order = answer.outcome.order, instrument = 0; order != exchange::kNone) {
    Buffer out;
    out.push_back('{');
    exchange::encode_change(*x, 1, {&instrument, 1}, {&order, 1}, {}, out);
    out.push_back('}');
    check(closes(out.view()));
  }
  return 0;
}
