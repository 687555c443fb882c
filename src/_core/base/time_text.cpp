#include "base/time_text.hpp"

#include <cstring>

namespace qautlra {
namespace {

inline char* two(char* out, std::int32_t x) {
  out[0] = static_cast<char>('0' + x / 10);
  out[1] = static_cast<char>('0' + x % 10);
  return out + 2;
}

char* write_instant(char* out, std::int64_t ts_ns, std::int64_t offset_s, char separator) {
  std::int64_t seconds = floor_div(ts_ns, kSecondNs);
  const auto micros = static_cast<std::int32_t>((ts_ns - seconds * kSecondNs) / 1000);
  seconds += offset_s;
  const auto days = static_cast<std::int32_t>(floor_div(seconds, kDayS));
  const auto of_day = static_cast<std::int32_t>(seconds - std::int64_t{days} * kDayS);
  // One date conversion per day, not per call: rows of one flush share their date.
  thread_local std::int32_t cached_days = INT32_MIN;
  thread_local char cached_date[10];
  if (days != cached_days) {
    write_date(cached_date, date_from_days(days));
    cached_days = days;
  }
  std::memcpy(out, cached_date, 10);
  out += 10;
  *out++ = separator;
  out = two(out, of_day / 3600);
  *out++ = ':';
  out = two(out, of_day / 60 % 60);
  *out++ = ':';
  out = two(out, of_day % 60);
  *out++ = '.';
  out = two(out, micros / 10000);
  out = two(out, micros / 100 % 100);
  return two(out, micros % 100);
}

bool number(std::string_view text, std::size_t at, std::size_t count, std::int32_t& out) {
  if (at + count > text.size()) return false;
  std::int32_t x = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    x = x * 10 + (text[i] - '0');
  }
  out = x;
  return true;
}

}  // namespace

char* write_date(char* out, std::int32_t yyyymmdd) {
  out = two(out, yyyymmdd / 1000000);
  out = two(out, yyyymmdd / 10000 % 100);
  *out++ = '-';
  out = two(out, yyyymmdd / 100 % 100);
  *out++ = '-';
  return two(out, yyyymmdd % 100);
}

char* write_beijing(char* out, std::int64_t ts_ns) {
  return write_instant(out, ts_ns, kBeijingOffsetS, ' ');
}

char* write_utc(char* out, std::int64_t ts_ns) {
  out = write_instant(out, ts_ns, 0, 'T');
  *out++ = 'Z';
  return out;
}

std::int32_t parse_date(std::string_view text) {
  std::int32_t y = 0, m = 0, d = 0;
  if (text.size() == 8) {
    if (!number(text, 0, 4, y) || !number(text, 4, 2, m) || !number(text, 6, 2, d)) return 0;
  } else if (text.size() == 10 && text[4] == '-' && text[7] == '-') {
    if (!number(text, 0, 4, y) || !number(text, 5, 2, m) || !number(text, 8, 2, d)) return 0;
  } else {
    return 0;
  }
  const std::int32_t date = y * 10000 + m * 100 + d;
  return is_date(date) ? date : 0;
}

std::int32_t parse_clock(std::string_view text) {
  std::int32_t h = 0, m = 0, s = 0;
  if (text.size() == 8) {
    if (text[2] != ':' || text[5] != ':' || !number(text, 0, 2, h) || !number(text, 3, 2, m) ||
        !number(text, 6, 2, s))
      return -1;
  } else if (text.size() == 5) {
    if (text[2] != ':' || !number(text, 0, 2, h) || !number(text, 3, 2, m)) return -1;
  } else {
    return -1;
  }
  if (h > 47 || m > 59 || s > 59) return -1;
  return h * 3600 + m * 60 + s;
}

bool parse_instant(std::string_view text, std::int64_t& ts_ns) {
  if (text.size() < 19 || (text[10] != 'T' && text[10] != ' ' && text[10] != 't')) return false;
  const std::int32_t date = parse_date(text.substr(0, 10));
  const std::int32_t clock = parse_clock(text.substr(11, 8));
  if (date == 0 || clock < 0 || clock >= kDayS) return false;
  std::size_t at = 19;
  std::int64_t fraction_ns = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    std::int64_t unit = kSecondNs / 10;
    const std::size_t first = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      fraction_ns += unit * (text[at] - '0');
      unit /= 10;
      ++at;
    }
    if (at == first || at - first > 9) return false;
  }
  std::int64_t offset_s = kBeijingOffsetS;
  if (at < text.size()) {
    if ((text[at] == 'Z' || text[at] == 'z') && at + 1 == text.size()) {
      offset_s = 0;
    } else if ((text[at] == '+' || text[at] == '-') && at + 6 == text.size() && text[at + 3] == ':') {
      std::int32_t h = 0, m = 0;
      if (!number(text, at + 1, 2, h) || !number(text, at + 4, 2, m) || h > 23 || m > 59) return false;
      offset_s = h * 3600 + m * 60;
      if (text[at] == '-') offset_s = -offset_s;
    } else {
      return false;
    }
  }
  ts_ns = (std::int64_t{days_from_date(date)} * kDayS + clock - offset_s) * kSecondNs + fraction_ns;
  return true;
}

}  // namespace qautlra
