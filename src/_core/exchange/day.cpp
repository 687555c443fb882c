// The course of an exchange's day: last prices, phases, price limits, its end and settlement.
#include <limits>
#include <memory>
#include <utility>

#include "exchange/exchange.hpp"
#include "exchange/sink.hpp"

namespace qautlra::exchange {

using account::kNoValue;

Outcome Exchange::mark(std::uint32_t instrument, Price last, std::int64_t now_ns) {
  Outcome out;
  if (!known(instrument)) return {code_of(book::Code::kNoInstrument)};
  if (!logged(RecordKind::kMark, RecordWriter{}.add(instrument).add(last).add(now_ns), out)) return out;
  at(now_ns);
  out.code = code_of(ledger_.mark(instrument, last, now_ns));
  return out;
}

Outcome Exchange::set_phase(std::uint32_t instrument, book::Phase phase, std::int64_t now_ns) {
  Outcome out;
  if (!known(instrument)) return {code_of(book::Code::kNoInstrument)};
  if (phase > book::Phase::kBreak) return {code_of(book::Code::kBadParameters)};
  if (!logged(RecordKind::kPhase, RecordWriter{}.add(instrument).add(phase).add(now_ns), out)) return out;
  at(now_ns);
  Sink sink{*this};
  books_.set_phase(instrument, phase, sink);
  set_quote(instrument);
  return out;
}

Outcome Exchange::set_band(std::uint32_t instrument, const book::Band& band) {
  Outcome out;
  if (!known(instrument)) return {code_of(book::Code::kNoInstrument)};
  const std::int64_t most = account::kMaxPrice / ledger_.board.terms(instrument).tick;
  if (band.upper > most || band.lower < -most) return {code_of(book::Code::kBadParameters)};
  if (!logged(RecordKind::kBand, RecordWriter{}.add(instrument).add(band.lower).add(band.upper), out)) return out;
  Sink sink{*this};
  out.code = code_of(books_.set_band(instrument, band, sink));
  set_quote(instrument);
  return out;
}

void Exchange::do_end_day() {
  Sink sink{*this};
  for (std::uint32_t i = 0; i < instruments(); ++i) {
    books_.end_day(i, std::numeric_limits<std::int32_t>::max(), sink);
    set_quote(i);
  }
}

Outcome Exchange::end_day() {
  Outcome out;
  if (logged(RecordKind::kEndDay, RecordWriter{}, out)) do_end_day();
  return out;
}

Outcome Exchange::set_settlement(std::uint32_t instrument, Price price) {
  Outcome out;
  if (!known(instrument)) return {code_of(book::Code::kNoInstrument)};
  if (!logged(RecordKind::kSettlement, RecordWriter{}.add(instrument).add(price), out)) return out;
  out.code = code_of(ledger_.set_settlement(instrument, price));
  return out;
}

// Without books of its own, tables of the same size.
std::unique_ptr<Exchange> Exchange::blank() const {
  Options options;
  options.books = {.live_orders_max = 1, .accounts_max = 1, .levels_per_book_max = 1, .levels_max = 1};
  options.orders_max = orders_.bound();
  options.trades_max = static_cast<std::uint32_t>(trades_.room() - 2);
  options.margin_side = ledger_.margin_side();
  auto made = std::make_unique<Exchange>(options);
  return made->ready() ? std::move(made) : nullptr;
}

void Exchange::leave_day(Exchange& ended) {
  ended.ledger_.copy(ledger_);
  ended.orders_.exchange(orders_);
  ended.trades_.exchange(trades_);
  ended.desks_ = desks_;
  ended.live_ = live_;
  ended.names_ = names_;
  ended.symbols_ = symbols_;
  ended.clock_ns_ = clock_ns_;
  ended.trading_day_ = trading_day_;
}

void Exchange::reuse(Exchange& ended) {
  if (orders_.size() != 0 || trades_.size() != 0 || ended.orders_.bound() != orders_.bound() ||
      ended.trades_.room() != trades_.room())
    return;
  orders_.exchange(ended.orders_);
  trades_.exchange(ended.trades_);
  orders_.clear();
  trades_.clear();
}

Code Exchange::do_settle(std::int32_t next_day, std::unique_ptr<Exchange> ended) {
  const bool has_orders = orders_.size() != 0;
  if (ended != nullptr) leave_day(*ended);
  ended_ = std::move(ended);
  // Before the first day nothing ends: money that came until then is money of that day.
  if (trading_day_ != 0 || has_orders)
    for (std::uint32_t a = 1; a < names_.size(); ++a)
      if (ledger_.at(a).settle() != account::Code::kOk) ++broken_;
  for (std::uint32_t i = 0; i < instruments(); ++i) {
    const Price settlement = ledger_.board.quote(i).settlement;
    if (settlement != kNoValue) books_.set_reference(i, settlement / ledger_.board.terms(i).tick);
  }
  gate_.new_day();
  orders_.clear();
  trades_.clear();
  for (Desk& desk : desks_) desk.last_order = desk.last_trade = kNone;
  streets_.clear();
  trading_day_ = next_day;
  return kOk;
}

Outcome Exchange::settle(std::int32_t next_day) {
  Outcome out;
  // Settling needs an ended day; trading_day 0 is that of an exchange that has just been made.
  if (next_day <= trading_day_) return {code_of(book::Code::kBadParameters)};
  if (books_.live_orders() > 0) return {code_of(account::Code::kOrdersAlive)};
  std::unique_ptr<Exchange> ended;
  if (keeps_days_ && (ended = blank()) == nullptr) return {kFull};
  if (logged(RecordKind::kSettle, RecordWriter{}.add(next_day), out)) do_settle(next_day, std::move(ended));
  return out;
}

}  // namespace qautlra::exchange
