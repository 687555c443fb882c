// RFC 6455 headers of server frames: final, unmasked, text. Receiving is the front door's business.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qautlra {

constexpr std::size_t kMaxFrameHeader = 10;

constexpr std::size_t text_header_size(std::size_t payload_bytes) {
  return payload_bytes < 126 ? 2 : payload_bytes < 65'536 ? 4 : kMaxFrameHeader;
}

// Writes the header of a text frame and returns its end: text_header_size(payload_bytes) further on.
inline char* write_text_header(char* out, std::size_t payload_bytes) {
  constexpr unsigned char kFinalText = 0x81;
  *out++ = static_cast<char>(kFinalText);
  if (payload_bytes < 126) {
    *out++ = static_cast<char>(payload_bytes);
    return out;
  }
  const int length_bytes = payload_bytes < 65'536 ? 2 : 8;
  *out++ = static_cast<char>(length_bytes == 2 ? 126 : 127);
  for (int shift = 8 * (length_bytes - 1); shift >= 0; shift -= 8)
    *out++ = static_cast<char>(static_cast<std::uint64_t>(payload_bytes) >> shift & 0xFF);
  return out;
}

}  // namespace qautlra
