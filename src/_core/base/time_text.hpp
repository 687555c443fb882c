// Dates and times as numbers and text. Market time is Asia/Shanghai, a fixed +08:00 whatever the process zone.
#pragma once

#include <cstdint>
#include <string_view>

namespace qautlra {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kDayS = 86'400;
constexpr std::int64_t kBeijingOffsetS = 8 * 3600;

constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
}

// Days since 1970-01-01 <-> YYYYMMDD (Hinnant's civil calendar).
constexpr std::int32_t days_from_date(std::int32_t yyyymmdd) {
  std::int32_t y = yyyymmdd / 10000;
  const std::int32_t m = yyyymmdd / 100 % 100, d = yyyymmdd % 100;
  y -= m <= 2;
  const std::int32_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int32_t yoe = y - era * 400;
  const std::int32_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}
constexpr std::int32_t date_from_days(std::int32_t z) {
  z += 719468;
  const std::int32_t era = (z >= 0 ? z : z - 146096) / 146097;
  const std::int32_t doe = z - era * 146097;
  const std::int32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int32_t mp = (5 * doy + 2) / 153;
  const std::int32_t m = mp < 10 ? mp + 3 : mp - 9;
  const std::int32_t y = yoe + era * 400 + (m <= 2);
  return y * 10000 + m * 100 + (doy - (153 * mp + 2) / 5 + 1);
}
constexpr bool is_date(std::int32_t yyyymmdd) {
  return yyyymmdd >= 19000101 && yyyymmdd <= 22001231 && date_from_days(days_from_date(yyyymmdd)) == yyyymmdd;
}
// 0 = Monday .. 6 = Sunday
constexpr int weekday(std::int32_t days) { return static_cast<int>(((days + 3) % 7 + 7) % 7); }

// Unix ns of Beijing midnight of a day number, and back.
constexpr std::int64_t beijing_midnight_ns(std::int32_t days) {
  return (std::int64_t{days} * kDayS - kBeijingOffsetS) * kSecondNs;
}
constexpr std::int32_t beijing_days(std::int64_t ts_ns) {
  return static_cast<std::int32_t>(floor_div(ts_ns + kBeijingOffsetS * kSecondNs, kDayS * kSecondNs));
}

constexpr int kBeijingTextSize = 26;  // "2021-01-04 09:30:00.400000"
constexpr int kUtcTextSize = 27;      // "2021-01-04T01:30:00.400000Z"

// Nanoseconds below a microsecond are cut, never rounded up into another second.
char* write_beijing(char* out, std::int64_t ts_ns);
char* write_utc(char* out, std::int64_t ts_ns);
char* write_date(char* out, std::int32_t yyyymmdd);  // "2021-01-04"

// "YYYYMMDD" or "YYYY-MM-DD"; 0 when it is not a date.
std::int32_t parse_date(std::string_view text);
// "HH:MM:SS" with hours up to 47 (nights are written past 24); -1 when it is not a time.
std::int32_t parse_clock(std::string_view text);
// RFC 3339 ("T" or a space, optional fraction, "Z" or an offset); text without an offset is Beijing time.
bool parse_instant(std::string_view text, std::int64_t& ts_ns);

}  // namespace qautlra
