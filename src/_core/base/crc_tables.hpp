// A reflected CRC of 32 bits over eight tables, eight bytes a step. Pure, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace qautlra {

template <std::uint32_t kReflectedPolynomial>
class CrcTables {
 public:
  constexpr CrcTables() {
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = (c & 1) ? (c >> 1) ^ kReflectedPolynomial : c >> 1;
      t_[0][i] = c;
    }
    for (std::uint32_t i = 0; i < 256; ++i)
      for (std::size_t k = 1; k < 8; ++k) t_[k][i] = (t_[k - 1][i] >> 8) ^ t_[0][t_[k - 1][i] & 0xFF];
  }

  // Continues `seed` (0 to begin) over `size` bytes.
  std::uint32_t update(std::uint32_t seed, const void* data, std::size_t size) const {
    const auto* p = static_cast<const unsigned char*>(data);
    std::uint32_t crc = ~seed;
    for (; size >= 8; p += 8, size -= 8) {
      crc ^= static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
             static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
      crc = t_[7][crc & 0xFF] ^ t_[6][(crc >> 8) & 0xFF] ^ t_[5][(crc >> 16) & 0xFF] ^ t_[4][crc >> 24] ^
            t_[3][p[4]] ^ t_[2][p[5]] ^ t_[1][p[6]] ^ t_[0][p[7]];
    }
    for (; size > 0; ++p, --size) crc = (crc >> 8) ^ t_[0][(crc ^ *p) & 0xFF];
    return ~crc;
  }

 private:
  std::array<std::array<std::uint32_t, 256>, 8> t_{};
};

}  // namespace qautlra
