// libFuzzer target over the GB 18030 decoder.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Isrc/_core
//     tests/fuzz/gb18030_fuzz.cpp src/_core/base/gb18030.cpp -o gb18030_fuzz
//   ./gb18030_fuzz SCRATCH tests/fuzz/corpus/gb18030
//
// tests/core/quotes_fuzz_test.cpp replays the corpus and mutations of it without a fuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/gb18030.hpp"

namespace gb18030_fuzz {

inline void require(bool ok) {
  if (!ok) std::abort();
}

// Well-formed UTF-8 without surrogates; the number of characters.
inline std::size_t characters(std::string_view text) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < text.size(); ++n) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    require(lead < 0x80 || (lead >= 0xC2 && lead <= 0xF4));
    require(i + size <= text.size());
    std::uint32_t point = size == 1 ? lead : lead & (0x7Fu >> size);
    for (std::size_t k = 1; k < size; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      require((next & 0xC0) == 0x80);
      point = point << 6 | (next & 0x3F);
    }
    require(point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF));
    i += size;
  }
  return n;
}

inline void run(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> exact(reinterpret_cast<const char*>(data), reinterpret_cast<const char*>(data) + size);
  const std::string_view bytes(exact.data(), exact.size());  // of its own size: reading past it is seen
  std::string text;
  qautlra::decode_gb18030(bytes, text);
  require(text.size() <= 3 * size);
  const std::size_t n = characters(text);
  std::size_t units = 0;
  for (std::string_view rest = bytes; !rest.empty(); ++units) {
    const auto unit = qautlra::gb18030::first(rest);
    require(unit.size >= 1 && unit.size <= rest.size());
    rest.remove_prefix(unit.size);
  }
  require(units == n);
}

}  // namespace gb18030_fuzz

#ifndef QAUTLRA_FUZZ_INCLUDED
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gb18030_fuzz::run(data, size);
  return 0;
}
#endif
