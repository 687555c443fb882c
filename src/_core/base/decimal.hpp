// Numbers as JSON text: exact (parses back to the same bits), with a fast path for market prices.
#pragma once

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace qautlra {

constexpr int kMaxNumberText = 32;  // room every writer below may need

// The eight decimal digits of a number below 10^8, one a byte, the first lowest: halves, quarters, then digits at once.
inline std::uint64_t digits8(std::uint32_t x) {
  const std::uint64_t fours = x / 10'000 | std::uint64_t{x % 10'000} << 32;
  const std::uint64_t hundreds = (fours * 10'486 >> 20) & 0x0000007F0000007F;
  const std::uint64_t pairs = ((fours - hundreds * 100) << 16) + hundreds;
  const std::uint64_t tens = (pairs * 103 >> 10) & 0x000F000F000F000F;
  return tens + ((pairs - tens * 10) << 8);
}
constexpr std::uint64_t kDigits = 0x3030303030303030;

// These write up to seven bytes more than they count, so that how long a number is decides nothing on the way.
namespace decimal_detail {
// The four digits of every number below 10^4, as text.
inline constexpr auto kFours = [] {
  std::array<std::array<char, 4>, 10'000> made{};
  for (std::uint32_t x = 0; x < 10'000; ++x)
    for (std::uint32_t i = 4, rest = x; i-- > 0; rest /= 10) made[x][i] = static_cast<char>('0' + rest % 10);
  return made;
}();

inline std::uint32_t four(std::uint64_t x) {
  std::uint32_t text;
  std::memcpy(&text, kFours[x].data(), sizeof text);
  return text;
}

inline char* write_below_1e4(char* out, std::uint64_t x) {
  const std::uint32_t text = four(x);
  const int zeros = std::countr_zero((text ^ 0x30303030u) | 1u << 24) / 8;  // of 0 one digit stays
  const std::uint32_t shown = text >> 8 * zeros;
  std::memcpy(out, &shown, sizeof shown);
  return out + 4 - zeros;
}

inline char* write_below_1e8(char* out, std::uint64_t x) {
  const std::uint64_t high = x / 10'000;
  const std::uint64_t text = four(high) | std::uint64_t{four(x - high * 10'000)} << 32;
  const int zeros = std::countr_zero((text ^ kDigits) | std::uint64_t{1} << 56) / 8;
  const std::uint64_t shown = text >> 8 * zeros;
  std::memcpy(out, &shown, sizeof shown);
  return out + 8 - zeros;
}

inline char* write_long(char* out, std::uint64_t x) {
  const std::uint64_t high = x / 100'000'000;
  out = high < 100'000'000 ? write_below_1e8(out, high) : write_long(out, high);
  const std::uint64_t low = digits8(static_cast<std::uint32_t>(x - high * 100'000'000)) | kDigits;
  std::memcpy(out, &low, sizeof low);
  return out + 8;
}
}  // namespace decimal_detail

inline char* write_uint(char* out, std::uint64_t x) {
  if (x < 10'000) [[likely]] return decimal_detail::write_below_1e4(out, x);
  return x < 100'000'000 ? decimal_detail::write_below_1e8(out, x) : decimal_detail::write_long(out, x);
}

inline char* write_int(char* out, std::int64_t x) {
  if (x < 0) {
    *out++ = '-';
    return write_uint(out, 0 - static_cast<std::uint64_t>(x));
  }
  return write_uint(out, static_cast<std::uint64_t>(x));
}

namespace decimal_detail {
// `digits` with a decimal point before the last `places` (0 < places <= 9) of them.
inline char* write_fixed(char* out, std::uint64_t digits, int places) {
  static constexpr std::uint64_t kTens[] = {1,      10,      100,      1000,      10000,
                                            100000, 1000000, 10000000, 100000000, 1000000000};
  const std::uint64_t whole = digits / kTens[places];
  std::uint64_t fraction = digits - whole * kTens[places];
  out = write_uint(out, whole);
  *out = '.';
  for (int i = places; i > 0; --i) {
    out[i] = static_cast<char>('0' + fraction % 10);
    fraction /= 10;
  }
  return out + 1 + places;
}

inline char* write_slow(char* out, double x) {
  if (!std::isfinite(x)) {
    std::memcpy(out, "null", 4);
    return out + 4;
  }
  return std::to_chars(out, out + kMaxNumberText, x).ptr;
}
}  // namespace decimal_detail

// A double as a JSON number that reads back bit-equal; whole values keep a fraction ("5230.0").
// Non-finite values, which no caller should pass, become `null`.
inline char* write_price(char* out, double x) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: below it integers and their quotients are exact
  double size = x;
  if (std::signbit(x)) {
    size = -x;
    if (size == 0.0) size = 0.0;
    else *out++ = '-';
  }
  // r/10^d correctly rounded is what a reader of "r with d places" computes, so equality proves the text.
  if (size < 9.0e11) [[likely]] {
    const auto r = static_cast<std::uint64_t>(size * 1e4 + 0.5);
    if (static_cast<double>(r) / 1e4 == size) [[likely]] {
      const std::uint64_t whole = r / 10'000;
      out = write_uint(out, whole);
      *out = '.';
      const std::uint32_t text = decimal_detail::four(r - whole * 10'000);
      std::memcpy(out + 1, &text, sizeof text);
      return out + 5 - std::countl_zero((text ^ 0x30303030u) | 1u) / 8;  // a whole value keeps one place
    }
    if (size < 9.0e6) {
      auto fine = static_cast<std::uint64_t>(size * 1e9 + 0.5);
      if (static_cast<double>(fine) / 1e9 == size) {
        int places = 9;
        while (fine % 10 == 0) {
          fine /= 10;
          --places;
        }
        return decimal_detail::write_fixed(out, fine, places);
      }
    }
  } else if (size < kExact) {
    const auto whole = static_cast<std::uint64_t>(size);
    if (static_cast<double>(whole) == size) {
      out = write_uint(out, whole);
      out[0] = '.';
      out[1] = '0';
      return out + 2;
    }
  }
  return decimal_detail::write_slow(out, size);
}

// A value that is whole by meaning (open interest): "90826"; a fraction, if there is one, is kept.
inline char* write_whole(char* out, double x) {
  const auto whole = static_cast<std::int64_t>(std::abs(x) < 9007199254740992.0 ? x : 0.0);
  if (static_cast<double>(whole) == x) return write_int(out, whole);
  return write_price(out, x);
}

}  // namespace qautlra
