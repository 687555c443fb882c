// Strict JSON in UTF-8, read where it lies: no allocation, every byte distrusted. Which bytes may not stand for
// themselves in a string is found out for the whole text first, many at a time, so that no string is searched.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "exchange/json_text.hpp"

namespace qautlra::exchange {

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A bit for each byte of a text: a quote, a backslash, a control or no ASCII; and for its last and the one behind it.
class JsonMarks {
 public:
  static constexpr std::size_t kTextBytesMax = 64 << 10;
  void read(std::string_view text) {
    const char* p = text.data();
    std::size_t left = text.size();
    std::uint64_t* word = words_.data();
    for (; left >= 64; left -= 64, p += 64) *word++ = special64(p);
    std::uint64_t last = std::uint64_t{1} << left;
    for (std::size_t at = 0; at < left; at += 16)
      last |= std::uint64_t{at + 16 <= left ? special16(p + at) : special_below(p + at, left - at)} << at;
    *word = last;
    if (const std::size_t end = text.size(); end != 0) words_[(end - 1) / 64] |= std::uint64_t{1} << (end - 1) % 64;
  }
  // Place of the first that is marked, from `at` on, which is not behind the text's end.
  std::size_t from(std::size_t at) const {
    std::size_t i = at / 64;
    if (const std::uint64_t here = words_[i] >> at % 64; here != 0)
      return at + static_cast<std::size_t>(std::countr_zero(here));
    while (words_[++i] == 0) {
    }
    return i * 64 + static_cast<std::size_t>(std::countr_zero(words_[i]));
  }

 private:
  static std::uint64_t special64(const char* p) {
    return std::uint64_t{special16(p)} | std::uint64_t{special16(p + 16)} << 16 |
           std::uint64_t{special16(p + 32)} << 32 | std::uint64_t{special16(p + 48)} << 48;
  }
  static std::uint32_t special_below(const char* p, std::size_t bytes) {
    char sixteen[16] = {};
    std::memcpy(sixteen, p, bytes);
    return special16(sixteen) & ((1u << bytes) - 1);
  }

  std::array<std::uint64_t, kTextBytesMax / 64 + 1> words_;
};

// An object. Every method takes where something begins, inside the text, and answers where it ended, null where it is
// none. As the last byte is the brace that closes the object, all else ends inside the text, and no byte need be asked
// for behind which there may be none. Owner: one call.
class JsonScan {
 public:
  static constexpr int kDepthMax = 32;  // of what is skipped

  // Strings with escapes are copied to the scratch.
  JsonScan(std::string_view text, JsonMarks& marks, std::span<char> scratch) : marks_(marks) {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    if (text.empty() || text.back() != '}') text = {};
    begin_ = text.data();
    end_ = begin_ + text.size();
    free_ = scratch.data();
    free_end_ = free_ + scratch.size();
    marks.read(text);
  }
  bool empty() const { return begin_ == end_; }  // it was no object
  const char* begin() const { return begin_; }
  const char* end() const { return end_; }
  bool is_full() const { return is_full_; }  // the scratch, once

  static const char* space(const char* p) {
    if (*p == ' ') ++p;
    while (is_space(*p)) [[unlikely]] ++p;
    return p;
  }
  // A mark between two parts, and the space around it.
  static const char* between(const char* p, char mark) {
    if (*p != mark) [[unlikely]] {
      p = space(p);
      if (*p != mark) return nullptr;
    }
    return space(p + 1);
  }
  const char* literal(const char* p, std::string_view text) const {
    if (static_cast<std::size_t>(end_ - p) <= text.size() || std::memcmp(p, text.data(), text.size()) != 0)
      return nullptr;
    return p + text.size();
  }
  // A string that is kept as long as the scratch is.
  const char* string(const char* p, std::string_view& out) { return string(p, out, true); }
  // One that is looked at before the next is read; the first bytes of it when it has escapes and is long.
  const char* word(const char* p, std::string_view& out) { return string(p, out, false); }
  // Digits in a row; more than nineteen of them are no number that `value` could hold.
  static const char* digits(const char* p, std::uint64_t& value) {
    for (; is_digit(*p); ++p) value = value * 10 + static_cast<std::uint64_t>(*p - '0');
    return p;
  }
  static const char* number(const char* p, std::string_view& out);
  // Any value, whatever is in it.
  const char* skip(const char* p);

 private:
  const char* string(const char* p, std::string_view& out, bool keeps) {
    if (*p != '"') return nullptr;
    const char* const from = p + 1;
    p = plain_end(from);
    if (*p != '"') [[unlikely]] return string_on(from, p, out, keeps);
    out = {from, static_cast<std::size_t>(p - from)};
    return p + 1;
  }
  const char* plain_end(const char* p) const { return begin_ + marks_.from(static_cast<std::size_t>(p - begin_)); }
  const char* string_on(const char* from, const char* p, std::string_view& out, bool keeps);
  const char* escaped(const char* p, std::uint32_t& out) const;
  const char* hex4(const char* p, std::uint32_t& out) const;
  const char* scalar(const char* p);

  const char* begin_;
  const char* end_;
  const JsonMarks& marks_;
  char* free_;  // of the scratch
  char* free_end_;
  bool is_full_ = false;
  std::array<char, 64> word_;
};

}  // namespace qautlra::exchange
