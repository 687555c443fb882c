#include "store/row_columns.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/time_text.hpp"
#include "market/encode.hpp"
#include "store/row_codec.hpp"

namespace qautlra {
namespace {

// Bit r of out[c] = bit c of in[r].
void transpose(std::uint64_t a[64]) {
  std::uint64_t m = 0x00000000FFFFFFFFull;
  for (unsigned j = 32; j != 0; j >>= 1, m ^= m << j) {
    for (unsigned k = 0; k < 64; k = ((k | j) + 1) & ~j) {
      const std::uint64_t t = ((a[k] >> j) ^ a[k | j]) & m;
      a[k] ^= t << j;
      a[k | j] ^= t;
    }
  }
}

}  // namespace

void fill_columns(std::span<const RowRef> rows, RowColumns& out) {
  const std::size_t count = rows.size();
  Mask wanted = 0;
  std::int64_t* slots[kFieldCount] = {};
  for (int f = 1; f < kFieldCount; ++f) {
    slots[f] = reinterpret_cast<std::int64_t*>(out[f + kColumnFirstSlot - 1].values);
    if (slots[f] != nullptr) wanted |= bit(f);
  }
  const bool wants_all_slots = wanted == (kAllFields & ~bit(kDatetime));
  auto* datetime = reinterpret_cast<std::int64_t*>(out[kColumnDatetime].values);
  auto* instrument = reinterpret_cast<std::int32_t*>(out[kColumnInstrument].values);
  auto* trading_date = reinterpret_cast<std::int32_t*>(out[kColumnTradingDate].values);
  auto* source = reinterpret_cast<std::int32_t*>(out[kColumnSource].values);
  auto* seq = reinterpret_cast<std::int64_t*>(out[kColumnSeq].values);
  auto* recv_time = reinterpret_cast<std::int64_t*>(out[kColumnRecvTime].values);

  std::int32_t last_day = 0, last_days = 0;
  std::uint64_t masks[64];
  for (std::size_t word = 0; word < (count + 63) / 64; ++word) {
    const std::size_t begin = word * 64, end = std::min(begin + 64, count);
    std::uint64_t has_day = 0, has_source = 0, has_recv = 0;
    for (std::size_t i = begin; i < end; ++i) {
      RowHead head;
      std::memcpy(&head, rows[i].at, sizeof head);
      const std::byte* packed = rows[i].at + sizeof head;
      masks[i - begin] = head.mask & wanted;
      if (wants_all_slots) {
        for (Mask m = head.mask; m != 0; m &= m - 1, packed += 8)
          std::memcpy(slots[std::countr_zero(m)] + i, packed, 8);
      } else {
        for (Mask m = head.mask & wanted; m != 0; m &= m - 1) {
          const Mask lowest = m & (0 - m);
          const auto place = static_cast<std::size_t>(std::popcount(head.mask & (lowest - 1)));
          std::memcpy(slots[std::countr_zero(m)] + i, packed + 8 * place, 8);
        }
      }
      const std::uint64_t here = std::uint64_t{1} << (i - begin);
      if (datetime) datetime[i] = floor_div(head.ts_event_ns, 1000);
      if (instrument) instrument[i] = static_cast<std::int32_t>(rows[i].name);
      if (trading_date) {
        if (head.trading_day != last_day) {
          last_day = head.trading_day;
          last_days = is_date(last_day) ? days_from_date(last_day) : INT32_MIN;
        }
        if (last_day != 0 && last_days != INT32_MIN) {
          trading_date[i] = last_days;
          has_day |= here;
        }
      }
      if (head.source != 0 && head.source < kSourceCount) {
        if (source) source[i] = head.source;
        has_source |= here;
      }
      if (seq) seq[i] = head.ordinal;
      if (recv_time && head.ts_recv_ns != 0) {
        recv_time[i] = floor_div(head.ts_recv_ns, 1000);
        has_recv |= here;
      }
    }
    for (std::size_t i = end - begin; i < 64; ++i) masks[i] = 0;
    transpose(masks);
    const auto put = [word](RowColumn& column, std::uint64_t bits) {
      if (column.valid == nullptr) return;
      std::memcpy(column.valid + 8 * word, &bits, sizeof bits);
      column.present += std::popcount(bits);
    };
    for (int f = 1; f < kFieldCount; ++f) put(out[f + kColumnFirstSlot - 1], masks[f]);
    put(out[kColumnTradingDate], has_day);
    put(out[kColumnSource], has_source);
    put(out[kColumnRecvTime], has_recv);
  }
}

}  // namespace qautlra
