// Numbers and names as the DIFF tree spells them, written to raw memory with room behind it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "account/money.hpp"
#include "base/decimal.hpp"
#include "exchange/json_text.hpp"

namespace qautlra::exchange::diff {

using account::kNoValue;
using account::Money;
using account::Price;

// Text whose length is known where it is written: one copy of fixed size.
template <std::size_t N>
char* put(char* p, const char (&text)[N]) {
  std::memcpy(p, text, N - 1);
  return p + N - 1;
}
inline char* put(char* p, std::string_view text) {
  std::memcpy(p, text.data(), text.size());
  return p + text.size();
}

// A short word, copied with all its room.
struct Short {
  char text[16];
  std::uint8_t size;
  template <std::size_t N>
  consteval Short(const char (&word)[N]) : text{}, size(N - 1) {
    std::copy_n(word, N - 1, text);
  }
};
inline char* put(char* p, const Short& word) {
  std::memcpy(p, word.text, sizeof word.text);
  return p + word.size;
}

// Names come in as UTF-8; what JSON wants escaped is.
inline char* put_escaped(char* p, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  if (text.size() >= 8) {
    const char* const plain_end = skip_plain(text.data(), text.data() + text.size());
    const auto before = static_cast<std::size_t>(plain_end - text.data());
    std::memcpy(p, text.data(), before);
    p += before;
    text.remove_prefix(before);
  }
  if (text.empty()) return p;
  if (text.size() < 8) {
    if (const std::uint64_t x = load_short(text.data(), text.size()); plain(x)) {
      std::memcpy(p, &x, sizeof x);  // there is room behind every object
      return p + text.size();
    }
  }
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      *p++ = '\\';
      *p++ = c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      p = put(p, "\\u00");
      *p++ = kHex[static_cast<unsigned char>(c) >> 4];
      *p++ = kHex[c & 15];
    } else {
      *p++ = c;
    }
  }
  return p;
}

inline char* put_uint(char* p, std::uint64_t x) { return write_uint(p, x); }
inline char* put_int(char* p, std::int64_t x) { return write_int(p, x); }

// 1e-6 CNY exactly, without a fraction where there is none.
inline char* put_money(char* p, Money m) {
  std::uint64_t size = static_cast<std::uint64_t>(m);
  if (m < 0) {
    *p++ = '-';
    size = 0 - size;
  }
  if (size == 0) {
    *p = '0';
    return p + 1;
  }
  const std::uint64_t whole = size / account::kUnit;
  const auto fraction = static_cast<std::uint32_t>(size - whole * account::kUnit);
  p = put_uint(p, whole);
  if (fraction == 0) return p;
  const std::uint64_t digits = digits8(fraction * 100);
  *p++ = '.';
  const std::uint64_t text = digits | kDigits;
  std::memcpy(p, &text, sizeof text);
  return p + 8 - std::countl_zero(digits) / 8;
}

inline char* put_price(char* p, Price price) { return price == kNoValue ? put(p, "\"-\"") : put_money(p, price); }

// A cost over lots, the nearest double where it is no whole count of 1e-6.
inline char* put_average(char* p, Money cost, std::int64_t volume, std::int64_t multiple) {
  if (volume == 0) return put(p, "0");
  const std::int64_t lots = volume * multiple;
  if (cost % lots == 0) return put_money(p, cost / lots);
  return write_whole(p, account::to_cny(cost) / static_cast<double>(lots));
}

// Keys put together at compile time, so that a leg's fields are written once for both.
template <std::size_t N>
struct Text {
  char chars[N];
  consteval Text(const char (&text)[N]) { std::copy_n(text, N, chars); }
};
template <Text kBefore, Text kName, Text kAfter>
char* put_key(char* p) {
  constexpr auto kKey = [] {
    std::array<char, sizeof(kBefore) + sizeof(kName) + sizeof(kAfter) - 3> key{};
    char* to = std::copy_n(kBefore.chars, sizeof(kBefore) - 1, key.data());
    to = std::copy_n(kName.chars, sizeof(kName) - 1, to);
    std::copy_n(kAfter.chars, sizeof(kAfter) - 1, to);
    return key;
  }();
  std::memcpy(p, kKey.data(), kKey.size());
  return p + kKey.size();
}

}  // namespace qautlra::exchange::diff
