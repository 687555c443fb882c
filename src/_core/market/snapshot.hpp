// The one fixed-layout market snapshot: every QAMD value in an 8-byte slot, compared bit for bit.
//
// Prices are doubles with NaN for "no value"; counts are int64 with kNoCount for "no value". A slot is
// always canonical (one NaN pattern, no negative zero), so two snapshots differ exactly where their slots
// differ and the change mask is a plain comparison.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace qautlra {

// Slot order. The order is part of the log's record format: append, never reorder.
enum Field : std::uint8_t {
  kDatetime = 0,  // int64, nanoseconds since the Unix epoch (UTC): ts_event_ns
  kLastPrice,
  kOpen,
  kHighest,
  kLowest,
  kPreClose,
  kUpperLimit,
  kLowerLimit,
  kAverage,
  kAmount,
  kClose,
  kSettlement,
  kPreSettlement,
  kIopv,
  kOpenInterest,     // double on the wire of CTP, always whole: printed without a fraction
  kPreOpenInterest,  // same
  kVolume,           // int64
  kBidPrice1 = 17,   // .. kBidPrice1 + 9
  kAskPrice1 = 27,
  kBidVolume1 = 37,  // int64
  kAskVolume1 = 47,
  kFieldCount = 57,
};

using Mask = std::uint64_t;
constexpr Mask bit(int field) { return Mask{1} << field; }
constexpr Mask kAllFields = (Mask{1} << kFieldCount) - 1;

constexpr std::int64_t kNoCount = std::numeric_limits<std::int64_t>::min();
constexpr double kNoPrice = std::numeric_limits<double>::quiet_NaN();

constexpr bool is_count(int f) { return f == kDatetime || f == kVolume || f >= kBidVolume1; }

union Slot {
  double price;
  std::int64_t count;
  std::uint64_t bits;
};

inline std::uint64_t canonical_price(double x) {
  if (std::isnan(x)) return std::bit_cast<std::uint64_t>(kNoPrice);
  return std::bit_cast<std::uint64_t>(x == 0.0 ? 0.0 : x);
}

enum class Source : std::uint8_t { kNone = 0, kSim, kReplay, kCtp, kTencent, kSina, kUpstream, kImport };

// What a row says of its market besides numbers. An auction's book is indicative: nobody can trade at it.
enum class QuotePhase : std::uint8_t { kTrading = 0, kPreOpen, kAuction, kSuspended };

// Owner: whoever holds it by value; nothing in it points anywhere.
struct Snapshot {
  std::uint32_t instrument = 0;  // dense id from InstrumentTable, process-local
  std::uint32_t ordinal = 0;     // among rows of the same instrument and ts_event_ns, given by the source
  std::int64_t ts_recv_ns = 0;   // when our edge saw it (wall clock, Unix ns)
  std::int32_t trading_day = 0;  // YYYYMMDD
  Source source = Source::kNone;
  QuotePhase phase = QuotePhase::kTrading;
  std::uint8_t reserved[2] = {0, 0};
  Slot v[kFieldCount];

  Snapshot() { clear(); }
  void clear() {
    for (int f = 0; f < kFieldCount; ++f) {
      if (is_count(f)) v[f].count = kNoCount;
      else v[f].bits = canonical_price(kNoPrice);
    }
  }
  std::int64_t ts_event_ns() const { return v[kDatetime].count; }
  double price(int f) const { return v[f].price; }
  std::int64_t count(int f) const { return v[f].count; }
  void set_price(int f, double x) { v[f].bits = canonical_price(x); }
  void set_count(int f, std::int64_t x) { v[f].count = x; }
  bool has(int f) const { return is_count(f) ? v[f].count != kNoCount : !std::isnan(v[f].price); }
};
static_assert(sizeof(Snapshot) == 24 + 8 * kFieldCount);

// Fields of `after` that differ from `before`.
inline Mask changed(const Snapshot& before, const Snapshot& after) {
  Mask m = 0;
  for (int f = 0; f < kFieldCount; ++f)
    m |= static_cast<Mask>(before.v[f].bits != after.v[f].bits) << f;
  return m;
}

inline Mask present(const Snapshot& s) {
  Mask m = 0;
  for (int f = 0; f < kFieldCount; ++f) m |= static_cast<Mask>(s.has(f)) << f;
  return m;
}

}  // namespace qautlra
