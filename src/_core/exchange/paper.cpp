#include "exchange/paper.hpp"

namespace qautlra::exchange {

namespace {
constexpr int kLevels = 10;

// Levels of one side of a snapshot, up to the first that is missing or on no tick.
std::size_t levels_of(const Snapshot& s, int price_field, int volume_field, Price tick, StreetLevel* out) {
  std::size_t n = 0;
  for (int i = 0; i < kLevels; ++i) {
    const double cny = s.price(price_field + i);
    const std::int64_t volume = s.count(volume_field + i);
    const Price price = account::to_price(cny);
    if (price == account::kNoValue || volume == kNoCount || volume < 1 || price % tick != 0) break;
    out[n++] = {price / tick, std::min<std::int64_t>(volume, kVolumeMax)};
  }
  return n;
}
}  // namespace

void PaperFeed::join(std::uint32_t instrument, std::uint32_t line) {
  if (joined_.size() <= instrument) joined_.resize(instrument + std::size_t{1});
  if (by_line_.size() <= line) by_line_.resize(line + std::size_t{1});
  joined_[instrument].line = line;
  by_line_[line] = instrument + 1;
}

void PaperFeed::begin_phase(std::uint32_t instrument, std::int64_t since_ns) {
  joined_[instrument].floor_ns = since_ns;
  joined_[instrument].showing = false;
  if (x_.live_in(instrument) > 0) take(instrument, true);
}

void PaperFeed::step(std::vector<std::uint32_t>& touched) {
  const Tape::Span span = tape_.read(cursor_);
  const auto look_at = [this](std::uint32_t instrument) {
    if (joined_[instrument].dirty) return;
    joined_[instrument].dirty = true;
    dirty_.push_back(instrument);
  };
  if (span.lost > 0) {
    for (std::uint32_t i = 0; i < joined_.size(); ++i)
      if (joined_[i].line != kNone) look_at(i);
  }
  for (std::uint64_t at = span.begin; at < span.end; ++at) {
    const std::uint32_t line = tape_.at(at).after.instrument;
    if (line < by_line_.size() && by_line_[line] != 0) look_at(by_line_[line] - 1);
  }
  tape_.advance(cursor_, span.end);
  for (const std::uint32_t instrument : dirty_) {
    joined_[instrument].dirty = false;
    const bool live = x_.live_in(instrument) > 0;
    if (!live && !x_.is_held(instrument)) continue;
    take(instrument, live);
    touched.push_back(instrument);
  }
  dirty_.clear();
}

void PaperFeed::refresh(std::uint32_t instrument) {
  if (joined(instrument)) take(instrument, true);
}

void PaperFeed::take(std::uint32_t instrument, bool with_book) {
  Joined& j = joined_[instrument];
  const Snapshot* const s = tape_.last(j.line);
  if (s == nullptr) return;
  const bool same = j.ts_ns == s->ts_event_ns() && j.ordinal == s->ordinal;
  if (!same) {
    j.ts_ns = s->ts_event_ns();
    j.ordinal = s->ordinal;
    j.showing = false;
    account::Quote& quote = x_.ledger().board.quote(instrument);
    const Price last = account::to_price(s->price(kLastPrice));
    const Price tick = x_.ledger().board.terms(instrument).tick;
    const Price upper = account::to_price(s->price(kUpperLimit));
    const Price lower = account::to_price(s->price(kLowerLimit));
    // Nothing trades at no price, nor beyond the limits: such a last price would take or give a position's worth.
    const bool limited = upper != account::kNoValue && lower != account::kNoValue && lower < upper;
    if (last != account::kNoValue && last > 0 && !(limited && (last < lower || last > upper)) && last != quote.last)
      x_.mark(instrument, last, j.ts_ns);
    else quote.last_ns = j.ts_ns;  // of the feed's liveness only: nothing that a replay must know
    if (limited && upper % tick == 0 && lower % tick == 0) {
      const book::Book& b = x_.books().at(instrument);
      const book::Band band{lower / tick, upper / tick};
      if (band.lower != b.base || band.upper != b.upper()) x_.set_band(instrument, band);
    }
  }
  if (with_book && !j.showing) {
    show(instrument, *s);
    j.showing = true;
  }
}

void PaperFeed::show(std::uint32_t instrument, const Snapshot& s) {
  const Joined& j = joined_[instrument];
  StreetLevel levels[2][kLevels];
  std::size_t n[2] = {0, 0};
  if (x_.books().at(instrument).phase == book::Phase::kContinuous && j.ts_ns >= j.floor_ns) {
    const Price tick = x_.ledger().board.terms(instrument).tick;
    n[0] = levels_of(s, kBidPrice1, kBidVolume1, tick, levels[0]);
    n[1] = levels_of(s, kAskPrice1, kAskVolume1, tick, levels[1]);
    if (n[0] > 0 && n[1] > 0 && levels[0][0].price >= levels[1][0].price) n[0] = n[1] = 0;
  }
  x_.show_street(instrument, {levels[0], n[0]}, {levels[1], n[1]}, s.ts_event_ns());
}

}  // namespace qautlra::exchange
