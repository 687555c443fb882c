// Many bytes of JSON text at a time, for both halves of the DIFF spelling.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace qautlra::exchange {

// Whether eight bytes of a string are ASCII that stands for itself: no quote, backslash or control.
inline bool plain(std::uint64_t x) {
  constexpr std::uint64_t kLow = 0x0101010101010101ull;
  constexpr std::uint64_t kHigh = 0x8080808080808080ull;
  const auto zeros = [](std::uint64_t v) { return (v - kLow) & ~v; };
  const std::uint64_t controls = (x - kLow * 0x20) & ~x;
  return ((x | controls | zeros(x ^ kLow * '"') | zeros(x ^ kLow * '\\')) & kHigh) == 0;
}
inline bool plain8(const char* p) {
  std::uint64_t x;
  std::memcpy(&x, p, sizeof x);
  return plain(x);
}

// A bit for each of sixteen bytes: whether it is a quote, a backslash, a control or no ASCII.
inline std::uint32_t special16(const char* p) {
#if defined(__SSE2__)
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  // Bytes of no ASCII are negative, and so below the first that is printed.
  const __m128i other = _mm_or_si128(_mm_cmplt_epi8(x, _mm_set1_epi8(0x20)),
                                     _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                                  _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'))));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(other));
#else
  std::uint32_t bits = 0;
  for (unsigned i = 0; i < 16; ++i) {
    const auto c = static_cast<unsigned char>(p[i]);
    bits |= static_cast<std::uint32_t>(c < 0x20 || c >= 0x80 || c == '"' || c == '\\') << i;
  }
  return bits;
#endif
}

// Behind the bytes from `p` on that stand for themselves; near the end of the text it may stop before it must.
inline const char* skip_plain(const char* p, const char* end) {
  for (; end - p >= 16; p += 16)
    if (const std::uint32_t found = special16(p); found != 0) return p + std::countr_zero(found);
  while (end - p >= 8 && plain8(p)) p += 8;
  return p;
}

// Whether all of a text stands for itself; of a text that is long and has no ASCII it may say that not all does.
inline bool all_plain(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  if (text.size() < 16) {
    for (; p != end; ++p)
      if (static_cast<unsigned char>(*p) < 0x20 || *p == '"' || *p == '\\') return false;
    return true;
  }
  for (; end - p > 16; p += 16)
    if (special16(p) != 0) return false;
  return special16(end - 16) == 0;
}

// The marks that names are parted by.
inline bool is_mark(char c) { return c == '=' || c == '#' || c == '|' || c == ';' || c == '/'; }

// Whether all bytes are ASCII that is seen, or a space, and none a mark.
inline bool is_clean(const char* p, const char* end) {
#if defined(__SSE2__)
  const auto clean16 = [](const char* at) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto found = [x](char c) { return _mm_cmpeq_epi8(x, _mm_set1_epi8(c)); };
    const __m128i unseen = _mm_or_si128(_mm_cmplt_epi8(x, _mm_set1_epi8(0x20)), found(0x7F));
    const __m128i marks = _mm_or_si128(_mm_or_si128(found('='), found('#')),
                                       _mm_or_si128(_mm_or_si128(found('|'), found(';')), found('/')));
    return _mm_movemask_epi8(_mm_or_si128(unseen, marks)) == 0;
  };
  if (end - p >= 16) {
    for (; end - p > 16; p += 16)
      if (!clean16(p)) return false;
    return clean16(end - 16);
  }
#endif
  for (; p != end; ++p)
    if (static_cast<signed char>(*p) < 0x20 || *p == 0x7F || is_mark(*p)) return false;
  return true;
}

// One to seven bytes, the rest of the eight filled with what stands for itself.
inline std::uint64_t load_short(const char* p, std::size_t size) {
  std::uint64_t x;
  if (size >= 4) {
    std::uint32_t head, tail;
    std::memcpy(&head, p, 4);
    std::memcpy(&tail, p + size - 4, 4);
    x = head | static_cast<std::uint64_t>(tail) << 8 * (size - 4);
  } else {
    const auto byte = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])} << 8 * i; };
    x = byte(0) | byte(size / 2) | byte(size - 1);
  }
  return x | std::uint64_t{0x6161616161616161} << 8 * size;
}

}  // namespace qautlra::exchange
