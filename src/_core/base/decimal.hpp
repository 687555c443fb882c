// Numbers as JSON text: exact (parses back to the same bits), with a fast path for market prices.
#pragma once

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace qautlra {

constexpr int kMaxNumberText = 32;  // room every writer below may need

namespace decimal_detail {
inline constexpr char kPairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051"
    "52535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697989900";

inline int digits_of(std::uint64_t x) {
  static constexpr std::uint64_t kPowers[] = {0ULL,
                                              10ULL,
                                              100ULL,
                                              1000ULL,
                                              10000ULL,
                                              100000ULL,
                                              1000000ULL,
                                              10000000ULL,
                                              100000000ULL,
                                              1000000000ULL,
                                              10000000000ULL,
                                              100000000000ULL,
                                              1000000000000ULL,
                                              10000000000000ULL,
                                              100000000000000ULL,
                                              1000000000000000ULL,
                                              10000000000000000ULL,
                                              100000000000000000ULL,
                                              1000000000000000000ULL,
                                              10000000000000000000ULL};
  const int guess = (std::bit_width(x | 1) * 1233) >> 12;
  return guess + (x >= kPowers[guess]);
}
}  // namespace decimal_detail

inline char* write_uint(char* out, std::uint64_t x) {
  using decimal_detail::kPairs;
  const int count = x == 0 ? 1 : decimal_detail::digits_of(x);
  char* p = out + count;
  while (x >= 100) {
    const std::uint64_t rest = x / 100;
    p -= 2;
    std::memcpy(p, kPairs + 2 * (x - rest * 100), 2);
    x = rest;
  }
  if (x >= 10) {
    std::memcpy(p - 2, kPairs + 2 * x, 2);
  } else {
    p[-1] = static_cast<char>('0' + x);
  }
  return out + count;
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
  if (!(size < kExact)) [[unlikely]] return decimal_detail::write_slow(out, size);
  const auto whole = static_cast<std::uint64_t>(size);
  if (static_cast<double>(whole) == size) {
    out = write_uint(out, whole);
    out[0] = '.';
    out[1] = '0';
    return out + 2;
  }
  // r/10^d correctly rounded is what a reader of "r with d places" computes, so equality proves the text.
  if (size < 9.0e11) [[likely]] {
    const auto r = static_cast<std::uint64_t>(size * 1e4 + 0.5);
    if (static_cast<double>(r) / 1e4 == size) {
      std::uint64_t digits = r;
      int places = 4;
      if (digits % 100 == 0) {
        digits /= 100;
        places = 2;
      }
      if (digits % 10 == 0) {
        digits /= 10;
        --places;
      }
      return decimal_detail::write_fixed(out, digits, places);
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
