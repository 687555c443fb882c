#include "journal/crc32c.hpp"

#include <cstring>

#include "base/crc_tables.hpp"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace qautlra {
namespace {

constexpr CrcTables<0x82F63B78u> kTables;

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::uint32_t seed, const void* data,
                                                             std::size_t size) {
  const auto* p = static_cast<const unsigned char*>(data);
  std::uint64_t crc = static_cast<std::uint32_t>(~seed);
  for (; size >= 8; p += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  if (size >= 4) {
    std::uint32_t word;
    std::memcpy(&word, p, 4);
    narrow = _mm_crc32_u32(narrow, word);
    p += 4;
    size -= 4;
  }
  for (; size > 0; ++p, --size) narrow = _mm_crc32_u8(narrow, *p);
  return ~narrow;
}
#endif

using Function = std::uint32_t (*)(std::uint32_t, const void*, std::size_t);

Function choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42;
#endif
  return crc32c_table;
}

const Function kChosen = choose();

}  // namespace

std::uint32_t crc32c_table(std::uint32_t seed, const void* data, std::size_t size) {
  return kTables.update(seed, data, size);
}

std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t size) {
  return kChosen(seed, data, size);
}

bool crc32c_is_hardware() { return kChosen != crc32c_table; }

}  // namespace qautlra
