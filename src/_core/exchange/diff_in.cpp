#include "exchange/diff_in.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

#include "exchange/json_scan.hpp"

namespace qautlra::exchange {

namespace {

using account::kNoValue;
constexpr Code kBad = code_of(book::Code::kBadParameters);
constexpr int kExactDigits = 11;  // of a price: with six places more they surely fit an int64

// A text of 1 to 16 bytes, or the two ends of a longer one, in two numbers that no other of its length has.
struct Packed {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  constexpr bool operator==(const Packed&) const = default;
};
constexpr Packed packed_word(std::string_view word) {
  const auto eight = [](std::string_view text) {
    std::uint64_t x = 0;
    for (std::size_t i = 0; i < 8; ++i)
      x |= std::uint64_t{static_cast<unsigned char>(i < text.size() ? text[i] : 'a')} << 8 * i;
    return x;
  };
  return word.size() < 8 ? Packed{eight(word)} : Packed{eight(word), eight(word.substr(word.size() - 8))};
}
Packed pack(std::string_view text) {
  if (text.size() < 8) return {load_short(text.data(), text.size())};
  Packed found;
  std::memcpy(&found.head, text.data(), 8);
  std::memcpy(&found.tail, text.data() + text.size() - 8, 8);
  return found;
}

// A word that a field may say, and what it stands for.
struct Word {
  std::uint8_t size;
  std::uint8_t value;
  Packed text;
  template <class T>
  consteval Word(std::string_view word, T meant)
      : size(static_cast<std::uint8_t>(word.size())),
        value(static_cast<std::uint8_t>(meant)),
        text(packed_word(word)) {}
};
constexpr Word kSides[] = {{"BUY", Side::kBuy}, {"SELL", Side::kSell}};
constexpr Word kOffsets[] = {{"OPEN", Offset::kOpen},
                             {"CLOSE", Offset::kClose},
                             {"CLOSETODAY", Offset::kCloseToday},
                             {"CLOSEYESTERDAY", Offset::kClose}};
constexpr Word kPriceTypes[] = {{"LIMIT", book::PriceType::kLimit},
                                {"ANY", book::PriceType::kAny},
                                {"BEST", book::PriceType::kBest},
                                {"FIVELEVEL", book::PriceType::kFiveLevel},
                                {"MARKET", book::PriceType::kAny}};
constexpr Word kTimes[] = {{"GFD", book::TimeCondition::kGfd}, {"IOC", book::TimeCondition::kIoc},
                           {"GFS", book::TimeCondition::kGfs}, {"GTD", book::TimeCondition::kGtd},
                           {"GTC", book::TimeCondition::kGtc}, {"GFA", book::TimeCondition::kGfa}};
constexpr Word kVolumes[] = {{"ANY", book::VolumeCondition::kAny},
                             {"MIN", book::VolumeCondition::kMin},
                             {"ALL", book::VolumeCondition::kAll}};

constexpr Word kHedges[] = {{"SPECULATION", 0}, {"ARBITRAGE", 1}, {"HEDGE", 2}, {"MARKETMAKER", 3}, {"COVERED", 4}};

// Texts first. Those that an insert needs come in the order in which they are missed.
enum Field : std::uint8_t {
  kOrder, kExchange, kInstrument, kAid, kUser, kContingent,
  kDirection, kOffset, kVolume, kPriceType, kTime, kCondition, kMinVolume, kGtdDay, kPrice, kHedge,
  kFields,
  kTexts = kDirection,
};
constexpr std::uint32_t bit(Field field) { return 1u << field; }
constexpr std::uint32_t kNeeded =
    bit(kOrder) | bit(kExchange) | bit(kInstrument) | bit(kDirection) | bit(kOffset) | bit(kVolume) | bit(kPriceType);
enum class Kind : std::uint8_t { kText, kWord, kWhole, kPrice };

// A key with its quotes and the colon, as it mostly stands in a message.
struct Literal {
  std::uint64_t text[3] = {0, 0, 0};
  std::uint64_t mask[3] = {0, 0, 0};
  constexpr Literal() = default;
  constexpr explicit Literal(std::string_view name) {
    const auto set = [this](std::size_t at, char c) {
      text[at / 8] |= std::uint64_t{static_cast<unsigned char>(c)} << 8 * (at % 8);
      mask[at / 8] |= std::uint64_t{0xFF} << 8 * (at % 8);
    };
    set(0, '"');
    for (std::size_t i = 0; i < name.size(); ++i) set(i + 1, name[i]);
    set(name.size() + 1, '"');
    set(name.size() + 2, ':');
  }
  // Of as many bytes as a literal has, whatever the key.
  bool begins(const char* p) const {
    std::uint64_t other = 0;
    for (int i = 0; i < 3; ++i) {
      std::uint64_t x;
      std::memcpy(&x, p + 8 * i, sizeof x);
      other |= (x ^ text[i]) & mask[i];
    }
    return other == 0;
  }
};

struct Key {
  std::string_view name;
  Literal literal{};
  Packed text{};
  Field field = kFields;
  Kind kind = Kind::kText;
  std::span<const Word> words{};
};

// By length, and two bits in which the first letters of any two of a length differ.
constexpr std::size_t kKeyBytesMax = 20;
constexpr std::size_t place_of(std::string_view key) { return key.size() * 4 + (key.front() >> 2 & 3); }
constexpr auto make_keys() {
  std::array<Key, 4 * kKeyBytesMax + 4> keys{};
  const auto add = [&keys](std::string_view name, Field field, Kind kind, std::span<const Word> words = {}) {
    Key& key = keys[place_of(name)];
    if (!key.name.empty()) throw "two keys in one place";
    key = {name, Literal(name), packed_word(name), field, kind, words};
  };
  add("aid", kAid, Kind::kText);
  add("user_id", kUser, Kind::kText);
  add("order_id", kOrder, Kind::kText);
  add("exchange_id", kExchange, Kind::kText);
  add("instrument_id", kInstrument, Kind::kText);
  add("contingent_condition", kContingent, Kind::kText);
  add("direction", kDirection, Kind::kWord, kSides);
  add("offset", kOffset, Kind::kWord, kOffsets);
  add("price_type", kPriceType, Kind::kWord, kPriceTypes);
  add("time_condition", kTime, Kind::kWord, kTimes);
  add("volume_condition", kCondition, Kind::kWord, kVolumes);
  add("hedge_flag", kHedge, Kind::kWord, kHedges);
  add("volume", kVolume, Kind::kWhole);
  add("min_volume", kMinVolume, Kind::kWhole);
  add("GTD_date", kGtdDay, Kind::kWhole);
  add("limit_price", kPrice, Kind::kPrice);
  return keys;
}
constexpr auto kKeys = make_keys();
static_assert(kKeys[0].name.empty() && kKeys.size() <= kDiffKeyPlaces);

const Key* key_of(std::string_view text) {
  if (text.empty() || text.size() > kKeyBytesMax) return nullptr;
  const Key& key = kKeys[place_of(text)];
  if (key.name.size() != text.size() || key.text != pack(text)) return nullptr;
  return text.size() <= 16 || key.name == text ? &key : nullptr;
}
std::string_view name_of(Field field) {
  for (const Key& key : kKeys)
    if (key.field == field) return key.name;
  return {};
}

// Whether a text is this word; of known length, so that no call is needed.
template <std::size_t N>
bool is(std::string_view text, const char (&word)[N]) {
  return text.size() == N - 1 && std::memcmp(text.data(), word, N - 1) == 0;
}

// What an order may be called (wire/order_id.py). `plain`: no byte of it begins one of the characters that are not
// shown, or turn what is shown around, which only the long way knows.
[[gnu::noinline]] bool odd_id_allowed(std::string_view id, bool& plain) {
  for (const char c : id) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || is_mark(c)) return false;
    plain &= byte != 0xC2 && byte != 0xD8 && byte != 0xE2 && byte != 0xEF;
  }
  return true;
}
bool id_allowed(std::string_view id, bool& plain) {
  if (id.size() > kClientIdBytesMax) return false;
  return is_clean(id.data(), id.data() + id.size()) || odd_id_allowed(id, plain);
}

Price rounded(std::string_view text) {
  double found = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), found);
  return parsed.ec == std::errc{} ? account::to_price(found) : kNoValue;
}

// 0, which no order may have, for what is not whole or beyond any order.
std::int64_t whole_of(std::string_view text) {
  std::int64_t found = 0;
  const char* const last = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), last, found);
  if (parsed.ec == std::errc{} && parsed.ptr == last) return found;
  double real = 0;
  if (std::from_chars(text.data(), last, real).ec != std::errc{}) return 0;
  return std::fabs(real) < 9e15 && std::floor(real) == real ? static_cast<std::int64_t>(real) : 0;
}

}  // namespace

// One message: what each field said last. Every method takes where something begins and answers where it ended, null
// for what is no JSON.
struct DiffReader::Parser {
  DiffCommand& c;
  DiffHints* const hints;
  Successors& successors;
  JsonScan scan;
  std::uint32_t seen = 0;  // fields that said something
  bool loose = false;      // see DiffCommand::plain
  std::string_view texts[kTexts];
  std::uint8_t words[kFields];
  std::int64_t numbers[kFields];

  Parser(DiffCommand& command, DiffHints* told, Successors& learned, std::string_view message, JsonMarks& marks,
         std::span<char> scratch)
      : c(command), hints(told), successors(learned), scan(message, marks, scratch) {
    words[kDirection] = static_cast<std::uint8_t>(c.order.side);
    words[kOffset] = static_cast<std::uint8_t>(c.order.offset);
    words[kPriceType] = static_cast<std::uint8_t>(c.order.price_type);
    words[kTime] = static_cast<std::uint8_t>(c.order.time);
    words[kCondition] = static_cast<std::uint8_t>(c.order.volume_condition);
  }

  bool has(Field field) const { return (seen & bit(field)) != 0; }
  void note(Field field, bool there) {
    loose |= has(field) || !there;
    seen = (seen & ~bit(field)) | std::uint32_t{there} << field;
  }
  void bad(std::string_view field) {
    if (c.code != kOk) return;
    c.code = kBad;
    c.field = field;
  }

  // What is not of the kind that the key asks for: as good as missing when it is null.
  [[gnu::noinline]] const char* other(const Key& key, const char* p) {
    note(key.field, false);
    if (const char* const after = scan.literal(p, "null"); after != nullptr) return after;
    if (key.kind == Kind::kWhole || key.kind == Kind::kPrice)
      if (const char* const after = scan.literal(p, "\"-\""); after != nullptr) return after;
    bad(key.name);
    return scan.skip(p);
  }
  const char* text(const Key& key, const char* p) {
    if (*p != '"') [[unlikely]] return other(key, p);
    std::string_view& found = texts[key.field];
    if ((p = scan.string(p, found)) == nullptr) return nullptr;
    note(key.field, true);
    if (found.size() > kNameBytesMax) [[unlikely]] {
      if (key.field != kAid) bad(key.name);
    } else if (hints != nullptr) {
      if (key.field == kOrder) hints->on_order_id(found);
      else if (key.field == kInstrument) hints->on_instrument_id(texts[kExchange], found);
    }
    return p;
  }
  const char* word(const Key& key, const char* p) {
    if (*p != '"') [[unlikely]] return other(key, p);
    std::string_view found;
    if ((p = scan.word(p, found)) == nullptr) return nullptr;
    note(key.field, true);
    const Packed packed = found.empty() ? Packed{} : pack(found);
    for (const Word& w : key.words)
      if (w.text == packed && w.size == found.size()) {
        words[key.field] = w.value;
        return p;
      }
    bad(key.name);
    return p;
  }
  // A number as most are, of a few digits and no sign, as a whole count of 10^-places; null for any other.
  const char* fixed(const char* p, std::uint64_t& found, std::int64_t& places) const {
    found = 0;
    const char* const point = scan.digits(p, found);
    const char* after = point;
    if (*point == '.') after = scan.digits(point + 1, found);
    places = after == point ? 0 : after - point - 1;
    if (point == p || after - p > kExactDigits || places > 6 || after == point + 1) return nullptr;
    if ((*p == '0' && point != p + 1) || (*after | 0x20) == 'e') return nullptr;
    return after;
  }
  [[gnu::noinline]] const char* any_number(const Key& key, const char* p, std::int64_t (*value_of)(std::string_view)) {
    if (!is_digit(*p) && *p != '-') return other(key, p);
    std::string_view digits;
    if ((p = scan.number(p, digits)) == nullptr) return nullptr;
    note(key.field, true);
    numbers[key.field] = value_of(digits);
    return p;
  }
  const char* whole(const Key& key, const char* p) {
    std::uint64_t found;
    std::int64_t places;
    const char* const after = fixed(p, found, places);
    if (after == nullptr || places != 0) [[unlikely]] return any_number(key, p, whole_of);
    note(key.field, true);
    numbers[key.field] = static_cast<std::int64_t>(found);
    return after;
  }
  const char* price(const Key& key, const char* p) {
    static constexpr std::int64_t kUnits[] = {1'000'000, 100'000, 10'000, 1'000, 100, 10, 1};
    std::uint64_t found;
    std::int64_t places;
    const char* const after = fixed(p, found, places);
    if (after == nullptr) [[unlikely]] return any_number(key, p, rounded);
    note(key.field, true);
    const std::int64_t price = static_cast<std::int64_t>(found) * kUnits[places];
    numbers[key.field] = price > account::kMaxPrice ? kNoValue : price;
    return after;
  }
  // A key and its colon; its place among those that are known, 0 for any other. Most messages have their keys in the
  // order of the one before.
  const char* key(const char* p, std::uint8_t& place) {
    std::uint8_t& likely = successors[place];
    if (const Key& next = kKeys[likely]; likely != 0 && scan.end() - p > 24 && next.literal.begins(p)) [[likely]] {
      place = likely;
      return scan.space(p + next.name.size() + 3);
    }
    std::string_view name;
    if ((p = scan.word(p, name)) == nullptr) return nullptr;
    const Key* const known = key_of(name);
    place = known == nullptr ? std::uint8_t{0} : static_cast<std::uint8_t>(known - kKeys.data());
    if (place != 0) likely = place;
    return scan.between(p, ':');
  }
  const char* member(std::uint8_t place, const char* p) {
    const Key& key = kKeys[place];
    if (place == 0) return scan.skip(p);
    switch (key.kind) {
      case Kind::kText: return text(key, p);
      case Kind::kWord: return word(key, p);
      case Kind::kWhole: return whole(key, p);
      case Kind::kPrice: return price(key, p);
    }
    return nullptr;
  }

  bool message() {
    if (scan.empty()) return false;
    const char* p = scan.between(scan.begin(), '{');
    if (p == nullptr) return false;
    if (*p != '}') {
      for (std::uint8_t place = 0;;) {
        if ((p = key(p, place)) == nullptr || (p = member(place, p)) == nullptr) return false;
        const char* const more = scan.between(p, ',');
        if (more == nullptr) break;
        p = more;
      }
      p = scan.space(p);
      if (*p != '}') return false;
    }
    if (p + 1 != scan.end() || scan.is_full()) return false;
    finish();
    return true;
  }

  void finish() {
    c.user_id = texts[kUser];
    c.order_id = texts[kOrder];
    c.exchange_id = texts[kExchange];
    c.instrument_id = texts[kInstrument];
    Insert& o = c.order;
    o.side = static_cast<Side>(words[kDirection]);
    o.offset = static_cast<Offset>(words[kOffset]);
    o.price_type = static_cast<book::PriceType>(words[kPriceType]);
    o.time = static_cast<book::TimeCondition>(words[kTime]);
    o.volume_condition = static_cast<book::VolumeCondition>(words[kCondition]);
    const auto within = [this](Field field, std::int64_t most) {
      return has(field) && numbers[field] > 0 && numbers[field] <= most ? static_cast<std::int32_t>(numbers[field]) : 0;
    };
    o.volume = has(kVolume) ? numbers[kVolume] : 0;
    o.min_volume = within(kMinVolume, 1 << 30);
    o.gtd_day = within(kGtdDay, 99'991'231);
    o.price = has(kPrice) ? numbers[kPrice] : kNoValue;
    c.plain = !loose && (seen & (bit(kMinVolume) | bit(kGtdDay))) == 0;
    judge();
  }
  void judge() {
    const bool insert = is(texts[kAid], "insert_order");
    if (!insert && !is(texts[kAid], "cancel_order")) {
      c.kind = DiffCommand::Kind::kOther;
      c.code = kOk;
      c.field = {};
      return;
    }
    c.kind = insert ? DiffCommand::Kind::kInsert : DiffCommand::Kind::kCancel;
    if (!id_allowed(c.order_id, c.plain)) bad("order_id");
    const std::uint32_t missing = (insert ? kNeeded : bit(kOrder)) & ~seen;
    if (missing != 0) bad(name_of(static_cast<Field>(std::countr_zero(missing))));
    if (!insert) return;
    Insert& o = c.order;
    if (o.price_type != book::PriceType::kLimit) {
      if (!has(kTime)) o.time = book::TimeCondition::kIoc;
      o.price = kNoValue;
    }
    if (!texts[kContingent].empty() && texts[kContingent] != "IMMEDIATELY") bad("contingent_condition");
  }
};

DiffCommand& DiffReader::read(std::string_view message, DiffHints* hints) {
  command_ = DiffCommand{};
  if (message.size() <= kDiffBytesMax && Parser(command_, hints, successors_, message, marks_, scratch_).message()) return command_;
  command_ = DiffCommand{};
  command_.code = kBad;
  command_.field = "json";
  return command_;
}

}  // namespace qautlra::exchange
