// A hash of short texts for tables in memory: never kept, not against an enemy.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "account/money.hpp"

namespace qautlra::exchange {

class TextHash {
 public:
  static std::uint64_t of(std::string_view text, std::uint64_t seed = 0) {
    const char* const at = text.data();
    const std::size_t size = text.size();
    std::uint64_t h = (seed + 1) * kOdd[0] ^ size;
    if (size > 16) {
      // Sixteen bytes a step; the last step overlaps the one before it.
      for (std::size_t i = 0; i + 16 < size; i += 16) h = fold(word(at + i) ^ kOdd[1], word(at + i + 8) ^ h);
      return fold(word(at + size - 16) ^ kOdd[2], word(at + size - 8) ^ h);
    }
    if (size >= 8) return fold(word(at) ^ h, word(at + size - 8) ^ kOdd[2]);
    return fold(short_word(at, size) ^ h, kOdd[2]);
  }

 private:
  static constexpr std::uint64_t kOdd[] = {0x9E3779B97F4A7C15ull, 0xFF51AFD7ED558CCDull, 0xC4CEB9FE1A85EC53ull};

  static std::uint64_t word(const char* at) {
    std::uint64_t x;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  // Up to seven bytes, different for any two texts of one length.
  static std::uint64_t short_word(const char* at, std::size_t size) {
    if (size == 0) return 0;
    if (size < 4) {
      const auto byte = [at](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(at[i])}; };
      return byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
    }
    std::uint32_t head, tail;
    std::memcpy(&head, at, 4);
    std::memcpy(&tail, at + size - 4, 4);
    return head | std::uint64_t{tail} << 32;
  }
  // Both halves of a product: every bit of either number reaches most of what comes out.
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<account::UnsignedWide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
};

}  // namespace qautlra::exchange
