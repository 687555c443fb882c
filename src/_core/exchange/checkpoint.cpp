// The state between two days as records: a replay may begin with them instead of with the first day's.
//
// A checkpoint is a run of kCheckpoint records, each with its place in the run. An exchange that has nothing yet
// takes them; one that got its state from the records before passes them over, so both ways come to the same.
#include <cstring>

#include "exchange/exchange.hpp"

namespace qautlra::exchange {

namespace {
constexpr std::size_t kChunkBytes = 48 << 10;

// What only a checkpoint says; other parts of it are ordinary records.
enum class Opening : std::uint8_t { kQuote = 1, kFunds, kLeg, kCounters };
constexpr std::uint8_t kOpeningBit = 0x80;

class Chunks {
 public:
  void add(std::uint8_t kind, const RecordWriter& record) {
    if (chunks_.empty() || chunks_.back().size() + record.size() + 3 > kChunkBytes) chunks_.emplace_back();
    std::string& to = chunks_.back();
    const auto size = static_cast<std::uint16_t>(record.size());
    to.append(reinterpret_cast<const char*>(&size), sizeof size);
    to.push_back(static_cast<char>(kind));
    to.append(static_cast<const char*>(record.data()), record.size());
  }
  void add(RecordKind kind, const RecordWriter& record) { add(static_cast<std::uint8_t>(kind), record); }
  void add(Opening kind, const RecordWriter& record) {
    add(static_cast<std::uint8_t>(kOpeningBit | static_cast<std::uint8_t>(kind)), record);
  }
  std::vector<std::string>& chunks() { return chunks_; }

 private:
  std::vector<std::string> chunks_;
};
}  // namespace

Outcome Exchange::checkpoint() {
  Outcome out;
  if (books_.live_orders() > 0 || orders_.size() > 0 || trades_.size() > 0)
    return {code_of(account::Code::kOrdersAlive)};
  Chunks to;
  for (std::uint32_t a = 1; a < names_.size(); ++a)
    to.add(RecordKind::kAccount, RecordWriter{}.add(std::string_view{names_[a]}));
  for (std::uint32_t i = 0; i < instruments(); ++i) {
    const book::Book& b = books_.at(i);
    const Listing listing{symbols_[i],        ledger_.board.terms(i), b.rules,
                          {b.base, b.upper()}, b.reference,            b.has_reference};
    to.add(RecordKind::kInstrument, listing_record(listing));
    const account::Quote& quote = ledger_.board.quote(i);
    to.add(Opening::kQuote, RecordWriter{}.add(i).add(quote.last).add(quote.settlement));
    if (b.phase != book::Phase::kClosed) to.add(RecordKind::kPhase, RecordWriter{}.add(i).add(b.phase).add(clock_ns_));
  }
  for (std::uint32_t a = 1; a < names_.size(); ++a) {
    const account::Account& owner = ledger_.at(a);
    const account::Funds& f = owner.funds();
    RecordWriter funds;
    funds.add(a).add(f.pre_balance).add(f.deposit).add(f.withdraw).add(f.close_profit).add(f.commission);
    funds.add(f.premium).add(f.bought).add(f.sold).add(desks_[a].seq);
    to.add(Opening::kFunds, funds);
    for (const account::Position& p : owner.positions()) {
      for (const Side side : {Side::kBuy, Side::kSell}) {
        const account::Leg leg = owner.leg(p, side);
        if (leg.volume() == 0 && leg.yd == 0) continue;
        RecordWriter record;
        record.add(a).add(p.instrument).add(side).add(leg.today).add(leg.his).add(leg.yd).add(leg.cost_today);
        record.add(leg.cost_his).add(leg.open_cost_his).add(p.last);
        to.add(Opening::kLeg, record);
      }
    }
    if (owner.locks != 0) to.add(RecordKind::kLocks, RecordWriter{}.add(a).add(owner.locks));
    if (const risk::State state = gate_.account_state(a); state != risk::State::kActive)
      to.add(RecordKind::kState, RecordWriter{}.add(a).add(state));
  }
  if (gate_.state() != risk::State::kActive) to.add(RecordKind::kState, RecordWriter{}.add(kNone).add(gate_.state()));
  RecordWriter counters;
  counters.add(trading_day_).add(books_.last_serial()).add(books_.trades()).add(clock_ns_);
  to.add(Opening::kCounters, counters);

  if (journal_.append == nullptr) return out;
  const auto total = static_cast<std::uint32_t>(to.chunks().size());
  for (std::uint32_t n = 0; n < total; ++n) {
    std::string chunk(8, '\0');
    std::memcpy(chunk.data(), &n, 4);
    std::memcpy(chunk.data() + 4, &total, 4);
    chunk += to.chunks()[n];
    const auto kind = static_cast<std::uint8_t>(RecordKind::kCheckpoint);
    out.lsn = journal_.append(journal_.context, kind, chunk.data(), chunk.size());
    if (out.lsn == 0) return {kNotJournaled};
  }
  return out;
}

Code Exchange::replay_checkpoint(const char* data, std::size_t size) {
  std::uint32_t number = 0, total = 0;
  RecordReader head(data, std::min<std::size_t>(size, 8));
  head.get(number).get(total);
  if (size < 8 || !head.done() || number >= total) return kDiverged;
  const bool fresh = names_.size() == 1 && symbols_.size() == 0 && trading_day_ == 0;
  if (number == 0) restored_ = fresh ? 0 : kNone;
  if (restored_ == kNone) return fresh ? kDiverged : kOk;
  if (number != restored_) return kDiverged;
  ++restored_;
  std::size_t at = 8;
  while (at < size) {
    std::uint16_t length = 0;
    if (size - at < 3) return kDiverged;
    std::memcpy(&length, data + at, sizeof length);
    const auto kind = static_cast<std::uint8_t>(data[at + 2]);
    at += 3;
    if (size - at < length) return kDiverged;
    const Code code = (kind & kOpeningBit) != 0 ? replay_opening(kind, data + at, length)
                                                : replay(kind, data + at, length);
    if (code != kOk) return code;
    at += length;
  }
  if (restored_ == total) restored_ = kNone;
  return kOk;
}

Code Exchange::replay_opening(std::uint8_t kind, const char* data, std::size_t size) {
  RecordReader in(data, size);
  std::uint32_t number = kNone;
  switch (static_cast<Opening>(kind & ~kOpeningBit)) {
    case Opening::kQuote: {
      Price last = 0, settlement = 0;
      in.get(number).get(last).get(settlement);
      if (!in.done() || !known(number)) return kDiverged;
      ledger_.board.quote(number).last = last;
      ledger_.board.quote(number).settlement = settlement;
      return kOk;
    }
    case Opening::kFunds: {
      account::Funds f;
      std::uint64_t seq = 0;
      in.get(number).get(f.pre_balance).get(f.deposit).get(f.withdraw).get(f.close_profit).get(f.commission);
      in.get(f.premium).get(f.bought).get(f.sold).get(seq);
      if (!in.done() || !owned(number)) return kDiverged;
      ledger_.at(number).set_funds(f);
      desks_[number].seq = seq;
      return kOk;
    }
    case Opening::kLeg: {
      std::uint32_t instrument = kNone;
      Side side{};
      account::Leg leg;
      Price last = 0;
      in.get(number).get(instrument).get(side).get(leg.today).get(leg.his).get(leg.yd).get(leg.cost_today);
      in.get(leg.cost_his).get(leg.open_cost_his).get(last);
      if (!in.done() || !owned(number) || !known(instrument) || side > Side::kSell) return kDiverged;
      return ledger_.at(number).set_leg(instrument, side, leg, last) == account::Code::kOk ? kOk : kDiverged;
    }
    case Opening::kCounters: {
      std::uint64_t serial = 0, trades = 0;
      std::int64_t clock_ns = 0;
      in.get(trading_day_).get(serial).get(trades).get(clock_ns);
      if (!in.done()) return kDiverged;
      books_.resume(serial, trades);
      at(clock_ns);
      return kOk;
    }
    default: return kDiverged;
  }
}

}  // namespace qautlra::exchange
