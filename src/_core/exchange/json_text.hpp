// Eight bytes of JSON text at a time, for both halves of the DIFF spelling.
#pragma once

#include <cstdint>
#include <cstring>

namespace qautlra::exchange {

// Whether the next eight bytes of a string are ASCII that stands for itself: no quote, backslash or control.
inline bool plain8(const char* p) {
  constexpr std::uint64_t kLow = 0x0101010101010101ull;
  constexpr std::uint64_t kHigh = 0x8080808080808080ull;
  std::uint64_t x;
  std::memcpy(&x, p, sizeof x);
  const auto zeros = [](std::uint64_t v) { return (v - kLow) & ~v; };
  const std::uint64_t controls = (x - kLow * 0x20) & ~x;
  return ((x | controls | zeros(x ^ kLow * '"') | zeros(x ^ kLow * '\\')) & kHigh) == 0;
}

}  // namespace qautlra::exchange
