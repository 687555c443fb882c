#include "market/encode.hpp"

#include <array>
#include <bit>

#include "base/decimal.hpp"
#include "base/time_text.hpp"

namespace qautlra {
namespace {

constexpr std::size_t kKeyRoom = 32;

// `,"name":` padded, so that a key is one fixed-size copy.
struct Key {
  char text[kKeyRoom] = {};
  std::uint8_t size = 0;
};

constexpr Key make_key(std::string_view name, int level = 0) {
  Key key;
  const auto put = [&key](char c) { key.text[key.size++] = c; };
  put(',');
  put('"');
  for (const char c : name) put(c);
  if (level >= 10) put('1');
  if (level > 0) put(static_cast<char>('0' + level % 10));
  put('"');
  put(':');
  return key;
}

using Keys = std::array<Key, kFieldCount>;

constexpr Keys make_keys(const std::array<std::string_view, kBidPrice1>& plain) {
  Keys keys;
  for (int f = 0; f < kBidPrice1; ++f)
    if (!plain[static_cast<std::size_t>(f)].empty()) keys[static_cast<std::size_t>(f)] = make_key(plain[static_cast<std::size_t>(f)]);
  for (int level = 1; level <= 10; ++level) {
    const auto i = static_cast<std::size_t>(level - 1);
    keys[kBidPrice1 + i] = make_key("bid_price", level);
    keys[kAskPrice1 + i] = make_key("ask_price", level);
    keys[kBidVolume1 + i] = make_key("bid_volume", level);
    keys[kAskVolume1 + i] = make_key("ask_volume", level);
  }
  return keys;
}

constexpr Keys kQamdKeys = make_keys(
    {"datetime", "last_price", "open", "highest", "lowest", "pre_close", "upper_limit", "lower_limit", "average",
     "amount", "close", "settlement", "pre_settlement", "iopv", "open_interest", "pre_open_interest", "volume"});

// CTP's own names in snake case; the stamp becomes four fields and iopv, which CTP has not, is left out.
constexpr Keys kCoreKeys = make_keys({"", "last_price", "open_price", "highest_price", "lowest_price",
                                      "pre_close_price", "upper_limit_price", "lower_limit_price", "average_price",
                                      "turnover", "close_price", "settlement_price", "pre_settlement_price", "",
                                      "open_interest", "pre_open_interest", "volume"});

constexpr Mask levels(int first, int last) {
  Mask m = 0;
  for (int level = first; level <= last; ++level)
    m |= bit(kBidPrice1 + level - 1) | bit(kAskPrice1 + level - 1) | bit(kBidVolume1 + level - 1) |
         bit(kAskVolume1 + level - 1);
  return m;
}

// A full snapshot leaves these out when they have no value. QAMD readers index every key they know (depth
// included), so theirs leaves out nothing: it is sent once, and every later frame is a patch.
constexpr Mask kOmitCore = levels(6, 10);
constexpr Mask omitted(Style style) { return style == Style::kCore ? kOmitCore : 0; }
// The predecessor's typed snapshot: "-" for these, null for close, iopv and depth, a number for counts.
constexpr Mask kDashMarketData =
    bit(kOpenInterest) | bit(kPreOpenInterest) | bit(kSettlement) | bit(kPreSettlement);

inline char* put(char* p, std::string_view text) {
  std::memcpy(p, text.data(), text.size());
  return p + text.size();
}

inline char* put_key(char* p, const Key& key) {
  std::memcpy(p, key.text, kKeyRoom);
  return p + key.size;
}

inline char* put_value(char* p, const Snapshot& row, int f) {
  if (f == kVolume || f >= kBidVolume1) return write_int(p, row.count(f));
  if (f == kOpenInterest || f == kPreOpenInterest) return write_whole(p, row.price(f));
  return write_price(p, row.price(f));
}

template <Style kStyle>
inline char* put_missing(char* p, int f) {
  if constexpr (kStyle == Style::kDiff) return is_count(f) && f != kDatetime ? put(p, "0") : put(p, "\"-\"");
  if constexpr (kStyle == Style::kLegacyMarketData) {
    if (kDashMarketData & bit(f)) return put(p, "\"-\"");
    if (f == kVolume || f == kBidVolume1 || f == kAskVolume1) return put(p, "0");
  }
  return put(p, "null");
}

char* put_core_stamp(char* p, const Snapshot& row) {
  char text[kBeijingTextSize];
  p = put(p, ",\"trading_day\":\"");
  char day[10];
  write_date(day, row.trading_day);
  for (const int i : {0, 1, 2, 3, 5, 6, 8, 9}) *p++ = day[i];
  write_beijing(text, row.ts_event_ns());
  p = put(p, "\",\"action_day\":\"");
  for (const int i : {0, 1, 2, 3, 5, 6, 8, 9}) *p++ = text[i];
  p = put(p, "\",\"update_time\":\"");
  p = put(p, {text + 11, 8});
  p = put(p, "\",\"update_millisec\":");
  return write_int(p, (text[20] - '0') * 100 + (text[21] - '0') * 10 + (text[22] - '0'));
}

template <Style kStyle>
inline char* put_stamp(char* p, const Snapshot& row) {
  if constexpr (kStyle == Style::kCore) return row.has(kDatetime) ? put_core_stamp(p, row) : p;
  p = put_key(p, kQamdKeys[kDatetime]);
  if (!row.has(kDatetime)) return put_missing<kStyle>(p, kDatetime);
  *p++ = '"';
  if constexpr (kStyle == Style::kLegacyMarketData) p = write_utc(p, row.ts_event_ns());
  else p = write_beijing(p, row.ts_event_ns());
  *p++ = '"';
  return p;
}

template <Style kStyle>
void encode(const Snapshot& row, Mask fields, bool full, std::string_view shown_id, Buffer& out) {
  constexpr const Keys& keys = kStyle == Style::kCore ? kCoreKeys : kQamdKeys;
  Mask todo = fields & kAllFields;
  if (full) {
    constexpr Mask omit = omitted(kStyle);
    if constexpr (omit != 0) todo &= ~omit | present(row);
  }
  if constexpr (kStyle == Style::kCore) todo &= ~bit(kIopv);
  char* p = out.room(static_cast<std::size_t>(std::popcount(todo)) * (kKeyRoom + kMaxNumberText) +
                     shown_id.size() + 160);
  p = put(p, "{\"instrument_id\":\"");
  p = put(p, shown_id);
  *p++ = '"';
  if (todo & bit(kDatetime)) {
    p = put_stamp<kStyle>(p, row);
    todo &= todo - 1;
  }
  while (todo != 0) {
    const int f = std::countr_zero(todo);
    todo &= todo - 1;
    p = put_key(p, keys[static_cast<std::size_t>(f)]);
    p = row.has(f) ? put_value(p, row, f) : put_missing<kStyle>(p, f);
  }
  *p++ = '}';
  out.commit(p);
}

}  // namespace

std::string_view field_name(int field) {
  const Key& key = kQamdKeys[static_cast<std::size_t>(field)];
  return {key.text + 2, static_cast<std::size_t>(key.size - 4)};
}

void encode_fields(Style style, const Snapshot& row, Mask fields, bool full, std::string_view shown_id,
                   Buffer& out) {
  switch (style) {
    case Style::kDiff: return encode<Style::kDiff>(row, fields, full, shown_id, out);
    case Style::kLegacyRtn: return encode<Style::kLegacyRtn>(row, fields, full, shown_id, out);
    case Style::kLegacyMarketData: return encode<Style::kLegacyMarketData>(row, fields, full, shown_id, out);
    case Style::kCore: return encode<Style::kCore>(row, fields, full, shown_id, out);
  }
}

Mask optional_fields(Style style) { return omitted(style); }

Mask encode_diff(Style style, const Snapshot& before, const Snapshot& after, std::string_view shown_id,
                 Buffer& out) {
  const Mask fields = changed(before, after);
  if (fields != 0) encode_fields(style, after, fields, false, shown_id, out);
  return fields;
}

}  // namespace qautlra
