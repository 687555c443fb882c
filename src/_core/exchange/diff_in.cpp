#include "exchange/diff_in.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

#include "exchange/json_text.hpp"

namespace qautlra::exchange {

namespace {

using account::kNoValue;
constexpr Code kBad = code_of(book::Code::kBadParameters);
constexpr int kExactDigits = 17;  // as many decimal digits as surely fit an int64 with six places behind the point

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

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

template <class T>
struct Word {
  std::string_view text;
  T value;
};
constexpr Word<Side> kSides[] = {{"BUY", Side::kBuy}, {"SELL", Side::kSell}};
constexpr Word<Offset> kOffsets[] = {{"OPEN", Offset::kOpen},
                                     {"CLOSE", Offset::kClose},
                                     {"CLOSETODAY", Offset::kCloseToday},
                                     {"CLOSEYESTERDAY", Offset::kClose}};
constexpr Word<book::PriceType> kPriceTypes[] = {{"LIMIT", book::PriceType::kLimit},
                                                 {"ANY", book::PriceType::kAny},
                                                 {"BEST", book::PriceType::kBest},
                                                 {"FIVELEVEL", book::PriceType::kFiveLevel},
                                                 {"MARKET", book::PriceType::kAny}};
constexpr Word<book::TimeCondition> kTimes[] = {
    {"IOC", book::TimeCondition::kIoc}, {"GFS", book::TimeCondition::kGfs}, {"GFD", book::TimeCondition::kGfd},
    {"GTD", book::TimeCondition::kGtd}, {"GTC", book::TimeCondition::kGtc}, {"GFA", book::TimeCondition::kGfa}};
constexpr Word<book::VolumeCondition> kVolumes[] = {{"ANY", book::VolumeCondition::kAny},
                                                    {"MIN", book::VolumeCondition::kMin},
                                                    {"ALL", book::VolumeCondition::kAll}};

enum Field : std::uint32_t {
  kAid = 1u << 0,
  kUser = 1u << 1,
  kOrder = 1u << 2,
  kExchange = 1u << 3,
  kInstrument = 1u << 4,
  kDirection = 1u << 5,
  kOffset = 1u << 6,
  kVolume = 1u << 7,
  kPriceType = 1u << 8,
  kTime = 1u << 9,
};
struct Needed {
  Field field;
  const char* name;
};
constexpr Needed kNeeded[] = {{kOrder, "order_id"},   {kExchange, "exchange_id"}, {kInstrument, "instrument_id"},
                              {kDirection, "direction"}, {kOffset, "offset"},     {kVolume, "volume"},
                              {kPriceType, "price_type"}};

// Whether a text is this word; of known length, so that no call is needed.
template <std::size_t N>
bool is(std::string_view text, const char (&word)[N]) {
  return text.size() == N - 1 && std::memcmp(text.data(), word, N - 1) == 0;
}

bool id_allowed(std::string_view id) {
  return id.size() <= kClientIdBytesMax && is_clean(id.data(), id.data() + id.size());
}

}  // namespace

// One message. Every method leaves `p` behind what it read and answers false for what is no JSON.
struct DiffReader::Parser {
  DiffCommand& c;
  const char* p;
  const char* const end;
  char* free;  // of the scratch
  char* const free_end;
  std::uint32_t seen = 0;
  bool is_full = false;  // the scratch, once

  void space() {
    if (p == end || static_cast<unsigned char>(*p) > ' ') [[likely]] return;
    while (p != end && is_space(*p)) ++p;
  }
  bool take(char wanted) {
    if (p == end || *p != wanted) return false;
    ++p;
    return true;
  }
  bool literal(std::string_view text) {
    if (static_cast<std::size_t>(end - p) < text.size() || std::memcmp(p, text.data(), text.size()) != 0) return false;
    p += text.size();
    return true;
  }
  void bad(std::string_view field) {
    if (c.code != kOk) return;
    c.code = kBad;
    c.field = field;
  }

  bool hex4(std::uint32_t& out) {
    if (end - p < 4) return false;
    const auto parsed = std::from_chars(p, p + 4, out, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != p + 4) return false;
    p += 4;
    return true;
  }
  bool escaped(std::uint32_t& out) {
    if (p == end) return false;
    switch (*p++) {
      case '"': out = '"'; return true;
      case '\\': out = '\\'; return true;
      case '/': out = '/'; return true;
      case 'b': out = '\b'; return true;
      case 'f': out = '\f'; return true;
      case 'n': out = '\n'; return true;
      case 'r': out = '\r'; return true;
      case 't': out = '\t'; return true;
      case 'u': break;
      default: return false;
    }
    if (!hex4(out)) return false;
    if (out < 0xD800 || out > 0xDFFF) return true;
    std::uint32_t low = 0;
    if (out > 0xDBFF || !literal("\\u") || !hex4(low) || low < 0xDC00 || low > 0xDFFF) return false;
    out = 0x10000 + ((out - 0xD800) << 10) + (low - 0xDC00);
    return true;
  }
  // A string; with escapes in it a copy in the scratch. A message whose copies do not fit is refused.
  bool string(std::string_view& out) {
    if (!take('"')) return false;
    const char* const begin = p;
    p = skip_plain(p, end);
    if (p == end || *p != '"') [[unlikely]] return string_on(begin, out);
    out = {begin, static_cast<std::size_t>(p - begin)};
    ++p;
    return true;
  }
  // The same from the first byte on that may be more than it looks.
  [[gnu::noinline]] bool string_on(const char* const begin, std::string_view& out) {
    while (p != end && *p != '"' && *p != '\\' && static_cast<unsigned char>(*p) >= 0x20) {
      const int length = static_cast<unsigned char>(*p) < 0x80 ? 1 : sequence(p, end);
      if (length == 0) return false;
      p += length;
    }
    if (p == end) return false;
    if (*p == '"') {
      out = {begin, static_cast<std::size_t>(p - begin)};
      ++p;
      return true;
    }
    if (*p != '\\') return false;
    char* const copy = free;
    const auto keep = [this](const char* from, std::size_t bytes) {
      is_full |= static_cast<std::size_t>(free_end - free) < bytes;
      if (is_full) return;
      std::memcpy(free, from, bytes);
      free += bytes;
    };
    keep(begin, static_cast<std::size_t>(p - begin));
    while (p != end && *p != '"') {
      if (*p == '\\') {
        ++p;
        std::uint32_t code = 0;
        if (!escaped(code)) return false;
        char text[4];
        keep(text, static_cast<std::size_t>(put_utf8(text, code) - text));
      } else {
        if (static_cast<unsigned char>(*p) < 0x20) return false;
        const int length = sequence(p, end);
        if (length == 0) return false;
        keep(p, static_cast<std::size_t>(length));
        p += length;
      }
    }
    out = {copy, static_cast<std::size_t>(free - copy)};
    return take('"');
  }
  // A number's text.
  bool number(std::string_view& out) {
    const char* const begin = p;
    if (p != end && *p == '-') ++p;
    if (p == end || !is_digit(*p)) return false;
    if (*p == '0') ++p;
    else
      while (p != end && is_digit(*p)) ++p;
    if (p != end && *p == '.') {
      ++p;
      if (p == end || !is_digit(*p)) return false;
      while (p != end && is_digit(*p)) ++p;
    }
    if (p != end && (*p == 'e' || *p == 'E')) {
      ++p;
      if (p != end && (*p == '+' || *p == '-')) ++p;
      if (p == end || !is_digit(*p)) return false;
      while (p != end && is_digit(*p)) ++p;
    }
    out = {begin, static_cast<std::size_t>(p - begin)};
    return true;
  }
  bool scalar() {
    if (p == end) return false;
    std::string_view ignored;
    switch (*p) {
      case '"': {
        char* const before = free;
        const bool was_full = is_full;
        const bool well = string(ignored);
        free = before;
        is_full = was_full;  // what is skipped may be as long as it likes
        return well;
      }
      case 't': return literal("true");
      case 'f': return literal("false");
      case 'n': return literal("null");
      default: return number(ignored);
    }
  }
  // Any value, whatever is in it.
  bool skip() {
    bool is_object[kDiffDepthMax];
    int depth = 0;
    for (;;) {
      // A value.
      space();
      if (p == end) return false;
      bool opened = *p == '{' || *p == '[';
      if (opened) {
        if (depth == kDiffDepthMax) return false;
        is_object[depth++] = *p++ == '{';
        space();
        if (take(is_object[depth - 1] ? '}' : ']')) {
          --depth;
          opened = false;
        }
      } else if (!scalar()) {
        return false;
      }
      // What comes after it.
      while (!opened && depth > 0) {
        space();
        if (take(',')) {
          opened = true;
        } else if (take(is_object[depth - 1] ? '}' : ']')) {
          --depth;
        } else {
          return false;
        }
      }
      if (depth == 0) return true;
      if (is_object[depth - 1]) {
        space();
        if (p == end || *p != '"' || !scalar()) return false;
        space();
        if (!take(':')) return false;
      }
    }
  }

  void note(Field field, bool there) { seen = there ? seen | field : seen & ~static_cast<std::uint32_t>(field); }
  // A text, none for null; `well` says whether it was one of the two.
  bool text(std::string_view& out, bool& there, bool& well) {
    there = false;
    well = true;
    if (p != end && *p == '"') {
      there = true;
      return string(out);
    }
    if (literal("null")) return true;
    well = false;
    return skip();
  }
  bool name(Field field, std::string_view key, std::string_view& out) {
    bool there = false, well = false;
    if (!text(out, there, well)) return false;
    note(field, there);
    if (!well || (there && field != kAid && out.size() > kNameBytesMax)) bad(key);
    return true;
  }
  template <class T, std::size_t N>
  bool word(Field field, std::string_view key, const Word<T> (&words)[N], T& out) {
    std::string_view found;
    bool there = false, well = false;
    char* const before = free;
    if (!text(found, there, well)) return false;
    free = before;
    note(field, there);
    if (!well) bad(key);
    if (!there) return true;
    for (const Word<T>& w : words)
      if (w.text == found) {
        out = w.value;
        return true;
      }
    bad(key);
    return true;
  }
  // A number, none for null and "-"; false in `well` for anything else.
  bool value(std::string_view& digits, bool& there, bool& well) {
    there = false;
    well = true;
    if (p == end) return false;
    if (is_digit(*p) || *p == '-') {
      there = true;
      return number(digits);
    }
    if (literal("null") || literal("\"-\"")) return true;
    well = false;
    return skip();
  }
  bool price(std::string_view key, Price& out) {
    std::string_view digits;
    bool there = false, well = false;
    if (!value(digits, there, well)) return false;
    if (!well) bad(key);
    out = there ? price_of(digits) : kNoValue;
    return true;
  }
  bool whole(Field field, std::string_view key, std::int64_t& out) {
    std::string_view digits;
    bool there = false, well = false;
    if (!value(digits, there, well)) return false;
    note(field, there);
    if (!well) bad(key);
    out = there ? whole_of(digits) : 0;
    return true;
  }

  // In 1e-6 CNY; kNoValue beyond what a price can be.
  static Price price_of(std::string_view text) {
    const bool negative = text.front() == '-';
    std::int64_t found = 0;
    int digits = 0, places = -1;
    for (std::size_t i = negative ? 1 : 0; i < text.size(); ++i) {
      if (text[i] == '.') {
        places = 0;
        continue;
      }
      if (!is_digit(text[i]) || ++digits > kExactDigits - 6 || places == 6) return rounded(text);
      found = found * 10 + (text[i] - '0');
      if (places >= 0) ++places;
    }
    for (int i = places < 0 ? 0 : places; i < 6; ++i) found *= 10;
    if (found > account::kMaxPrice) return kNoValue;
    return negative ? -found : found;
  }
  static Price rounded(std::string_view text) {
    double found = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), found);
    return parsed.ec == std::errc{} ? account::to_price(found) : kNoValue;
  }
  // 0, which no order may have, for what is not whole or beyond any order.
  static std::int64_t whole_of(std::string_view text) {
    std::int64_t found = 0;
    const char* const last = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), last, found);
    if (parsed.ec == std::errc{} && parsed.ptr == last) return found;
    double real = 0;
    if (std::from_chars(text.data(), last, real).ec != std::errc{}) return 0;
    return std::fabs(real) < 9e15 && std::floor(real) == real ? static_cast<std::int64_t>(real) : 0;
  }

  bool member(std::string_view key, std::string_view& aid, std::string_view& contingent) {
    Insert& o = c.order;
    std::int64_t number_ = 0;
    switch (key.size()) {
      case 3:
        if (is(key, "aid")) return name(kAid, "aid", aid);
        break;
      case 6:
        if (is(key, "offset")) return word(kOffset, "offset", kOffsets, o.offset);
        if (is(key, "volume")) return whole(kVolume, "volume", o.volume);
        break;
      case 7:
        if (is(key, "user_id")) return name(kUser, "user_id", c.user_id);
        break;
      case 8:
        if (is(key, "order_id")) return name(kOrder, "order_id", c.order_id);
        if (is(key, "GTD_date")) {
          if (!whole(Field{}, "GTD_date", number_)) return false;
          o.gtd_day = number_ > 0 && number_ <= 99'991'231 ? static_cast<std::int32_t>(number_) : 0;
          return true;
        }
        break;
      case 9:
        if (is(key, "direction")) return word(kDirection, "direction", kSides, o.side);
        break;
      case 10:
        if (is(key, "price_type")) return word(kPriceType, "price_type", kPriceTypes, o.price_type);
        if (is(key, "min_volume")) {
          if (!whole(Field{}, "min_volume", number_)) return false;
          o.min_volume = number_ > 0 && number_ <= 1 << 30 ? static_cast<std::int32_t>(number_) : 0;
          return true;
        }
        break;
      case 11:
        if (is(key, "exchange_id")) return name(kExchange, "exchange_id", c.exchange_id);
        if (is(key, "limit_price")) return price("limit_price", o.price);
        break;
      case 13:
        if (is(key, "instrument_id")) return name(kInstrument, "instrument_id", c.instrument_id);
        break;
      case 14:
        if (is(key, "time_condition")) return word(kTime, "time_condition", kTimes, o.time);
        break;
      case 16:
        if (is(key, "volume_condition")) return word(Field{}, "volume_condition", kVolumes, o.volume_condition);
        break;
      case 20:
        if (is(key, "contingent_condition")) return name(Field{}, "contingent_condition", contingent);
        break;
      default: break;
    }
    return skip();
  }

  bool message() {
    std::string_view aid, contingent;
    space();
    if (!take('{')) return false;
    space();
    if (!take('}')) {
      do {
        std::string_view key;
        space();
        char* const before = free;
        if (!string(key)) return false;
        space();
        if (!take(':')) return false;
        space();
        char* const after = free;
        if (!member(key, aid, contingent)) return false;
        if (free == after) free = before;  // nothing behind the key is kept, and nor is it
        space();
      } while (take(','));
      if (!take('}')) return false;
    }
    space();
    if (p != end || is_full) return false;
    finish(aid, contingent);
    return true;
  }

  void finish(std::string_view aid, std::string_view contingent) {
    const bool insert = is(aid, "insert_order");
    if (!insert && !is(aid, "cancel_order")) {
      c.kind = DiffCommand::Kind::kOther;
      c.code = kOk;
      c.field = {};
      return;
    }
    c.kind = insert ? DiffCommand::Kind::kInsert : DiffCommand::Kind::kCancel;
    if (!id_allowed(c.order_id)) bad("order_id");
    for (const Needed& needed : kNeeded) {
      if ((seen & needed.field) == 0) bad(needed.name);
      if (!insert) return;  // of a cancel only the first is needed
    }
    if ((seen & kTime) == 0 && c.order.price_type != book::PriceType::kLimit)
      c.order.time = book::TimeCondition::kIoc;
    if (c.order.price_type != book::PriceType::kLimit) c.order.price = kNoValue;
    if (!contingent.empty() && contingent != "IMMEDIATELY") bad("contingent_condition");
  }
};

const DiffCommand& DiffReader::read(std::string_view message) {
  command_ = DiffCommand{};
  if (message.size() <= kDiffBytesMax) {
    Parser parser{command_, message.data(), message.data() + message.size(), scratch_.data(),
                  scratch_.data() + scratch_.size()};
    if (parser.message()) return command_;
  }
  command_ = DiffCommand{};
  command_.code = kBad;
  command_.field = "json";
  return command_;
}

}  // namespace qautlra::exchange
