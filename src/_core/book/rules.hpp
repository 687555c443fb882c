// Market rules as values: which orders an exchange takes, whole ticks of a price, price limits, lots.
#pragma once

#include <cstdint>
#include <string_view>

#include "book/types.hpp"

namespace qautlra::book {

enum class Product : std::uint8_t { kFuture = 0, kOption, kStock };

// The one bit of an order's kind, 0 for a combination that means nothing anywhere.
constexpr std::uint32_t kind_from(PriceType price, TimeCondition time, VolumeCondition volume) {
  if (volume < VolumeCondition::kAny || volume > VolumeCondition::kAll) return 0;
  const bool all = volume == VolumeCondition::kAll;
  if (time == TimeCondition::kIoc) {
    switch (price) {
      case PriceType::kLimit: return all ? kLimitFok : kLimitFak;
      case PriceType::kAny: return all ? kAnyFok : kAny;
      case PriceType::kBest: return all ? kBestFok : kBest;
      case PriceType::kFiveLevel: return all ? kFiveLevelFok : kFiveLevel;
    }
    return 0;
  }
  if (price != PriceType::kLimit || volume != VolumeCondition::kAny) return 0;
  switch (time) {
    case TimeCondition::kGfs: return kLimitGfs;
    case TimeCondition::kGfd: return kLimitGfd;
    case TimeCondition::kGtd:
    case TimeCondition::kGtc: return kLimitGtc;
    case TimeCondition::kGfa: return kLimitGfa;
    default: return 0;
  }
}

namespace detail {
struct KindTable {
  std::uint16_t kind[128] = {};
  constexpr KindTable() {
    for (unsigned i = 0; i < 128; ++i)
      kind[i] = static_cast<std::uint16_t>(kind_from(static_cast<PriceType>(i >> 5),
                                                     static_cast<TimeCondition>(i >> 2 & 7),
                                                     static_cast<VolumeCondition>(i & 3)));
  }
};
inline constexpr KindTable kKinds;
}  // namespace detail

// The same from a table; for values in range (well_formed).
constexpr std::uint32_t kind_of(PriceType price, TimeCondition time, VolumeCondition volume) {
  return detail::kKinds.kind[static_cast<unsigned>(price) << 5 | static_cast<unsigned>(time) << 2 |
                             static_cast<unsigned>(volume)];
}
constexpr bool well_formed(const NewOrder& o) {
  return (static_cast<unsigned>(o.side) >> 1 | static_cast<unsigned>(o.price_type) >> 2 |
          static_cast<unsigned>(o.time) >> 3 | static_cast<unsigned>(o.volume_condition) >> 2) == 0;
}
// A limit order for the day, well formed.
constexpr bool is_plain(const NewOrder& o) {
  return (static_cast<unsigned>(o.side) >> 1 | static_cast<unsigned>(o.price_type) |
          (static_cast<unsigned>(o.time) ^ static_cast<unsigned>(TimeCondition::kGfd)) |
          (static_cast<unsigned>(o.volume_condition) ^ static_cast<unsigned>(VolumeCondition::kAny))) == 0;
}

// Kinds an exchange takes; every kind for a name it does not know (the built-in exchange's own products).
std::uint32_t kinds_of(std::string_view exchange, Product product);

// Kinds and lots of an instrument (contract 5.2, 5.5). `code` decides between the boards of a stock exchange: STAR
// shares are bought from 200 up by the share, others in hundreds (of Beijing from 100 up by the share).
Rules rules_of(std::string_view exchange, std::string_view code, Product product);

// Whole ticks of a price; false when it is no multiple (by more than 1e-6 of a tick) or no number.
bool to_ticks(double price, double tick, std::int64_t& out);

// Lowest and highest price, in ticks; empty as it comes, and for values no band can be made of.
struct Band {
  std::int64_t lower = 0;
  std::int64_t upper = -1;
};
// reference x (1 +- ratio): the outermost ticks inside it (futures), or the nearest tick (A-shares, half up).
Band band_inside(double reference, double ratio, double tick);
Band band_rounded(double reference, double ratio, double tick);

// Whether `volume` may be ordered; `held` is what the account could sell.
constexpr bool volume_allowed(const Rules& rules, Side side, std::int32_t volume, std::int32_t held) {
  if (volume < 1 || volume > rules.volume_max) return false;
  const std::int32_t step = rules.volume_step[static_cast<int>(side)];
  if (volume >= rules.volume_min[static_cast<int>(side)] && (step == 1 || volume % step == 0)) return true;
  // The odd rest of a holding goes in one piece, alone or with whole lots.
  return side == Side::kSell &&
         (volume == held || (volume < held && step > 1 && volume % step == held % step));
}

}  // namespace qautlra::book
