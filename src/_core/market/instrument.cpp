#include "market/instrument.hpp"

#include <cmath>

namespace qautlra {
namespace {

constexpr std::size_t kMaxAliases = 4 * kMaxInstruments;

std::uint8_t decimals_of(double tick) {
  double scaled = tick;
  for (std::uint8_t places = 0; places < 6; ++places, scaled *= 10)
    if (std::abs(scaled - std::nearbyint(scaled)) < 1e-9) return places;
  return 6;
}

void fill_stock(Instrument& it) {
  it.price_tick = it.kind == Kind::kFund || it.kind == Kind::kBond ? 0.001 : 0.01;
  if (it.kind == Kind::kOption) {
    it.price_tick = 0.0001;
    it.volume_multiple = 10000;
  }
}

void fill(Instrument& it, const Calendar& calendar) {
  const Exchange* exchange = calendar.exchange(it.exchange);
  if (it.product >= 0) {
    const Product& product = calendar.products()[static_cast<std::size_t>(it.product)];
    exchange = calendar.exchange(product.exchange);
    it.price_tick = product.price_tick;
    if (it.kind == Kind::kOption && product.option_price_tick > 0) it.price_tick = product.option_price_tick;
    it.volume_multiple = product.volume_multiple;
    it.sections_id = product.sections_id;
  } else if (exchange != nullptr) {
    it.sections_id = exchange->sections_id;
    if (exchange->kind == "stock") fill_stock(it);
  }
  if (it.price_tick > 0) it.price_decimals = decimals_of(it.price_tick);
  if (exchange != nullptr) {
    it.turnover_needs_multiplier = exchange->turnover_needs_multiplier;
    it.average_has_multiplier = exchange->average_has_multiplier;
  }
}

}  // namespace

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kFuture: return "FUTURE";
    case Kind::kOption: return "OPTION";
    case Kind::kStock: return "STOCK";
    case Kind::kIndex: return "INDEX";
    case Kind::kFund: return "FUND";
    case Kind::kBond: return "BOND";
    case Kind::kCombine: return "COMBINE";
    case Kind::kCont: return "CONT";
    case Kind::kSpot: return "SPOT";
    case Kind::kOther: break;
  }
  return "OTHER";
}

std::uint32_t InstrumentTable::intern(std::string_view spelling, std::string& why) {
  if (const auto at = by_symbol_.find(spelling); at != by_symbol_.end()) return at->second;
  if (const auto at = by_alias_.find(spelling); at != by_alias_.end()) return at->second;
  Instrument it;
  if (!resolve(spelling, calendar_, reference_day_, it, why)) return kNoInstrument;
  std::uint32_t id;
  if (const auto at = by_symbol_.find(it.symbol); at != by_symbol_.end()) {
    id = at->second;
  } else {
    if (entries_.size() >= kMaxInstruments) {
      why = "the instrument table is full (65,536 instruments)";
      return kNoInstrument;
    }
    id = static_cast<std::uint32_t>(entries_.size());
    it.id = id;
    fill(it, calendar_);
    by_symbol_.emplace(it.symbol, id);
    entries_.push_back(std::move(it));
  }
  if (by_alias_.size() < kMaxAliases && entries_[id].symbol != spelling)
    by_alias_.emplace(std::string(spelling), id);
  return id;
}

std::uint32_t InstrumentTable::find(std::string_view spelling) const {
  if (const auto at = by_symbol_.find(spelling); at != by_symbol_.end()) return at->second;
  if (const auto at = by_alias_.find(spelling); at != by_alias_.end()) return at->second;
  Name name;
  std::string why;
  if (!resolve(spelling, calendar_, reference_day_, name, why)) return kNoInstrument;
  const auto at = by_symbol_.find(name.symbol);
  return at == by_symbol_.end() ? kNoInstrument : at->second;
}

}  // namespace qautlra
