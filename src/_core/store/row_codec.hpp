// A market row as bytes: the records of the tick log and the rows of the hot tier.
//
//   kind 1, tick        40 bytes head, then 8 bytes for each present slot in slot order (not the event time)
//   kind 2, instrument  u32 number, then the canonical symbol; says what a number means from here on
//
// A number is the writer's own and means nothing outside its segment, so each segment defines every number
// before its first row and can be read alone. Decoding trusts no byte.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "market/instrument.hpp"
#include "market/snapshot.hpp"

namespace qautlra {

constexpr std::uint8_t kTickRecord = 1;
constexpr std::uint8_t kInstrumentRecord = 2;

struct RowHead {
  std::uint32_t number = 0;
  std::uint32_t ordinal = 0;
  std::int64_t ts_event_ns = 0;
  std::int64_t ts_recv_ns = 0;
  std::int32_t trading_day = 0;
  std::uint8_t source = 0;
  std::uint8_t phase = 0;  // QuotePhase; rows written before there was one trade
  std::uint8_t reserved[2] = {0, 0};
  Mask mask = 0;  // slots that follow; never kDatetime
};
static_assert(sizeof(RowHead) == 40);

constexpr std::size_t kMaxRowBytes = sizeof(RowHead) + 8 * (kFieldCount - 1);
constexpr std::size_t kMaxInstrumentBytes = 4 + kMaxSpelling;

inline std::size_t row_bytes(Mask mask) { return sizeof(RowHead) + 8 * static_cast<std::size_t>(std::popcount(mask)); }

// Writes at most kMaxRowBytes; the number of bytes written. `mask` is present(row).
inline std::size_t encode_row(const Snapshot& row, Mask mask, std::uint32_t number, std::byte* out) {
  mask &= ~bit(kDatetime);
  RowHead head;
  head.number = number;
  head.ordinal = row.ordinal;
  head.ts_event_ns = row.ts_event_ns();
  head.ts_recv_ns = row.ts_recv_ns;
  head.trading_day = row.trading_day;
  head.source = static_cast<std::uint8_t>(row.source);
  head.phase = static_cast<std::uint8_t>(row.phase);
  head.mask = mask;
  std::memcpy(out, &head, sizeof head);
  std::byte* at = out + sizeof head;
  for (Mask m = mask; m != 0; m &= m - 1, at += 8) std::memcpy(at, &row.v[std::countr_zero(m)].bits, 8);
  return static_cast<std::size_t>(at - out);
}

// Whether the bytes are a row, and its head.
inline bool is_row(std::span<const std::byte> bytes, RowHead& head) {
  if (bytes.size() < sizeof head) return false;
  std::memcpy(&head, bytes.data(), sizeof head);
  return (head.mask & ~(kAllFields & ~bit(kDatetime))) == 0 && bytes.size() == row_bytes(head.mask) &&
         head.ts_event_ns != kNoCount;
}

// False when the bytes are not a row. The head's number is left to the caller; row.instrument is not touched.
inline bool decode_row(std::span<const std::byte> bytes, RowHead& head, Snapshot& row) {
  if (!is_row(bytes, head)) return false;
  row.clear();
  row.ordinal = head.ordinal;
  row.ts_recv_ns = head.ts_recv_ns;
  row.trading_day = head.trading_day;
  row.source = static_cast<Source>(head.source);
  row.phase = head.phase <= static_cast<std::uint8_t>(QuotePhase::kSuspended) ? static_cast<QuotePhase>(head.phase)
                                                                              : QuotePhase::kTrading;
  row.set_count(kDatetime, head.ts_event_ns);
  const std::byte* at = bytes.data() + sizeof head;
  for (Mask m = head.mask; m != 0; m &= m - 1, at += 8) {
    const int field = std::countr_zero(m);
    Slot slot;
    std::memcpy(&slot.bits, at, 8);
    if (is_count(field)) row.v[field] = slot;
    else row.set_price(field, slot.price);
  }
  return true;
}

// Writes at most kMaxInstrumentBytes; 0 when the symbol is empty or too long.
inline std::size_t encode_instrument(std::uint32_t number, std::string_view symbol, std::byte* out) {
  if (symbol.empty() || symbol.size() > kMaxSpelling) return 0;
  std::memcpy(out, &number, 4);
  std::memcpy(out + 4, symbol.data(), symbol.size());
  return 4 + symbol.size();
}

inline bool decode_instrument(std::span<const std::byte> bytes, std::uint32_t& number, std::string_view& symbol) {
  if (bytes.size() <= 4 || bytes.size() > kMaxInstrumentBytes) return false;
  std::memcpy(&number, bytes.data(), 4);
  symbol = {reinterpret_cast<const char*>(bytes.data()) + 4, bytes.size() - 4};
  return number < kMaxInstruments && is_safe_spelling(symbol);
}

}  // namespace qautlra
