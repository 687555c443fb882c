// GB 18030 (and so GBK and GB 2312) to UTF-8, from our own table: no locale, no library, no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qautlra {

// Replaces `out` by the text. What is no code becomes U+FFFD one byte at a time, so a broken character never
// takes a delimiter below 0x40 with it. The text is at most three times as long as the bytes.
void decode_gb18030(std::string_view bytes, std::string& out);

namespace gb18030 {

constexpr char32_t kReplacement = 0xFFFD;

struct Unit {
  char32_t point;
  std::uint8_t size;  // bytes taken, at least 1
};
// The first character of `bytes`, which must not be empty.
Unit first(std::string_view bytes);

}  // namespace gb18030
}  // namespace qautlra
