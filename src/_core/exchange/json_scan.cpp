#include "exchange/json_scan.hpp"

#include <algorithm>
#include <charconv>

namespace qautlra::exchange {

namespace {

// Length of the UTF-8 sequence at p, 0 when it is none.
int sequence(const char* p, const char* end) {
  const auto byte = [p](int i) { return static_cast<unsigned char>(p[i]); };
  const auto follows = [&](int i) { return (byte(i) & 0xC0) == 0x80; };
  const auto left = end - p;
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return left >= 2 && follows(1) ? 2 : 0;
  if (first < 0xF0) {
    if (left < 3 || !follows(1) || !follows(2)) return 0;
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) >= 0xA0;
    return overlong || surrogate ? 0 : 3;
  }
  if (first > 0xF4 || left < 4 || !follows(1) || !follows(2) || !follows(3)) return 0;
  return (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90) ? 0 : 4;
}

char* put_utf8(char* out, std::uint32_t c) {
  if (c < 0x80) {
    *out++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<char>(0xC0 | c >> 6);
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    *out++ = static_cast<char>(0xE0 | c >> 12);
    *out++ = static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  } else {
    *out++ = static_cast<char>(0xF0 | c >> 18);
    *out++ = static_cast<char>(0x80 | (c >> 12 & 0x3F));
    *out++ = static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  }
  return out;
}

}  // namespace

const char* JsonScan::hex4(const char* p, std::uint32_t& out) const {
  if (end_ - p < 4) return nullptr;
  const auto parsed = std::from_chars(p, p + 4, out, 16);
  return parsed.ec == std::errc{} && parsed.ptr == p + 4 ? p + 4 : nullptr;
}

// What stands behind a backslash.
const char* JsonScan::escaped(const char* p, std::uint32_t& out) const {
  if (p == end_) return nullptr;
  switch (*p++) {
    case '"': out = '"'; return p;
    case '\\': out = '\\'; return p;
    case '/': out = '/'; return p;
    case 'b': out = '\b'; return p;
    case 'f': out = '\f'; return p;
    case 'n': out = '\n'; return p;
    case 'r': out = '\r'; return p;
    case 't': out = '\t'; return p;
    case 'u': break;
    default: return nullptr;
  }
  if ((p = hex4(p, out)) == nullptr) return nullptr;
  if (out < 0xD800 || out > 0xDFFF) return p;
  std::uint32_t low = 0;
  if (out > 0xDBFF || (p = literal(p, "\\u")) == nullptr || (p = hex4(p, low)) == nullptr) return nullptr;
  if (low < 0xDC00 || low > 0xDFFF) return nullptr;
  out = 0x10000 + ((out - 0xD800) << 10) + (low - 0xDC00);
  return p;
}

// A string that begins at `from`, from its first marked byte on that does not end it.
const char* JsonScan::string_on(const char* from, const char* p, std::string_view& out, bool keeps) {
  char* const copy = keeps ? free_ : word_.data();
  char* const room_end = keeps ? free_end_ : word_.data() + word_.size();
  char* to = copy;
  const auto put = [&](const char* bytes, std::size_t count) {
    const std::size_t fits = std::min(count, static_cast<std::size_t>(room_end - to));
    if (keeps && fits != count) is_full_ = true;
    std::memcpy(to, bytes, fits);
    to += fits;
  };
  const char* plain = from;  // what is not copied yet
  bool copies = false;
  while (p != end_ && *p != '"') {
    if (*p == '\\') {
      put(plain, static_cast<std::size_t>(p - plain));
      copies = true;
      std::uint32_t code = 0;
      if ((p = escaped(p + 1, code)) == nullptr) return nullptr;
      char text[4];
      put(text, static_cast<std::size_t>(put_utf8(text, code) - text));
      plain = p;
    } else {
      if (static_cast<unsigned char>(*p) < 0x20) return nullptr;
      const int length = sequence(p, end_);
      if (length == 0) return nullptr;
      p += length;
    }
    p = plain_end(p);
  }
  if (p == end_) return nullptr;
  out = {from, static_cast<std::size_t>(p - from)};
  if (copies) {
    put(plain, static_cast<std::size_t>(p - plain));
    out = {copy, static_cast<std::size_t>(to - copy)};
    if (keeps) free_ = to;
  }
  return p + 1;
}

const char* JsonScan::number(const char* p, std::string_view& out) {
  const char* const begin = p;
  const auto run = [](const char* from) {
    while (is_digit(*from)) ++from;
    return from;
  };
  if (*p == '-') ++p;
  if (!is_digit(*p)) return nullptr;
  p = *p == '0' ? p + 1 : run(p);
  if (*p == '.') {
    if (!is_digit(*++p)) return nullptr;
    p = run(p);
  }
  if (*p == 'e' || *p == 'E') {
    ++p;
    if (*p == '+' || *p == '-') ++p;
    if (!is_digit(*p)) return nullptr;
    p = run(p);
  }
  out = {begin, static_cast<std::size_t>(p - begin)};
  return p;
}

const char* JsonScan::scalar(const char* p) {
  std::string_view ignored;
  switch (*p) {
    case '"': return word(p, ignored);
    case 't': return literal(p, "true");
    case 'f': return literal(p, "false");
    case 'n': return literal(p, "null");
    default: return number(p, ignored);
  }
}

const char* JsonScan::skip(const char* p) {
  bool is_object[kDepthMax];
  int depth = 0;
  const auto closer = [&] { return is_object[depth - 1] ? '}' : ']'; };
  for (;;) {
    // A value.
    p = space(p);
    bool opened = *p == '{' || *p == '[';
    if (opened) {
      if (depth == kDepthMax) return nullptr;
      is_object[depth++] = *p++ == '{';
      p = space(p);
      if (*p == closer()) {
        if (++p == end_) return nullptr;
        --depth;
        opened = false;
      }
    } else if ((p = scalar(p)) == nullptr) {
      return nullptr;
    }
    // What comes after it.
    while (!opened && depth > 0) {
      p = space(p);
      if (*p == ',') {
        ++p;
        opened = true;
      } else {
        if (*p != closer() || ++p == end_) return nullptr;
        --depth;
      }
    }
    if (depth == 0) return p;
    if (is_object[depth - 1]) {
      p = space(p);
      if (*p != '"' || (p = scalar(p)) == nullptr || (p = between(p, ':')) == nullptr) return nullptr;
    }
  }
}

}  // namespace qautlra::exchange
