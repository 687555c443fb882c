// Pieces of JSON text that the renderers of batches and of rows share.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "base/decimal.hpp"

namespace qautlra::json_text {

inline bool needs_escape(unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }

inline char* write_escaped(char* out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out++ = '"';
  for (const char raw : text) {
    const auto c = static_cast<unsigned char>(raw);
    if (!needs_escape(c)) [[likely]] {
      *out++ = raw;
      continue;
    }
    *out++ = '\\';
    switch (c) {
      case '"':
      case '\\': *out++ = raw; break;
      case '\n': *out++ = 'n'; break;
      case '\r': *out++ = 'r'; break;
      case '\t': *out++ = 't'; break;
      default:
        std::memcpy(out, "u00", 3);
        out[3] = kHex[c >> 4];
        out[4] = kHex[c & 15];
        out += 5;
    }
  }
  *out++ = '"';
  return out;
}

inline std::size_t escaped_bound(std::string_view text) { return 6 * text.size() + 2; }

inline std::string escaped(std::string_view text) {
  std::string out(escaped_bound(text), '\0');
  out.resize(static_cast<std::size_t>(write_escaped(out.data(), text) - out.data()));
  return out;
}

// bid_price2 .. ask_volume10
inline bool is_deep_level(std::string_view name) {
  for (const std::string_view stem : {"bid_price", "ask_price", "bid_volume", "ask_volume"})
    if (name.starts_with(stem)) {
      const std::string_view level = name.substr(stem.size());
      return level == "10" || (level.size() == 1 && level[0] >= '2' && level[0] <= '9');
    }
  return false;
}

inline bool is_whole_by_meaning(std::string_view name) {
  return name == "open_interest" || name == "pre_open_interest" || name == "open_oi" || name == "close_oi";
}

inline char* write_null(char* out) {
  std::memcpy(out, "null", 4);
  return out + 4;
}

inline char* write_double(char* out, double x, bool is_whole) {
  if (!std::isfinite(x)) return write_null(out);
  return is_whole ? write_whole(out, x) : write_price(out, x);
}

}  // namespace qautlra::json_text
