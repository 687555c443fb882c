#include "store/row_json.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/decimal.hpp"
#include "base/time_text.hpp"
#include "market/encode.hpp"
#include "store/json_text.hpp"
#include "store/row_codec.hpp"

namespace qautlra {
namespace {

// Rows are asked for before they are needed: those of an hour are rarely in a cache. So much of each.
constexpr std::size_t kAhead = 6, kMostBytes = 320;

static_assert(kColumnCount <= 64, "columns that changed are one word");

constexpr std::size_t kStep = 32;
constexpr std::size_t kOver = 2 * kStep;  // bytes free behind what copy_text writes

// What lies behind the text may lie where it goes to, so a step is read before it is written.
inline void copy_step(char* out, const char* from) {
  char step[kStep];
  std::memcpy(step, from, kStep);
  std::memcpy(out, step, kStep);
}

// Short texts without a call: in whole steps, over their end.
inline char* copy_text(char* out, const char* from, std::size_t bytes) {
  if (bytes > 8 * kStep) [[unlikely]] {
    std::memcpy(out, from, bytes);
  } else {
    copy_step(out, from);
    if (bytes > kStep) {
      copy_step(out + kStep, from + kStep);
      for (std::size_t i = 2 * kStep; i < bytes; i += 2 * kStep) {
        copy_step(out + i, from + i);
        copy_step(out + i + kStep, from + i + kStep);
      }
    }
  }
  return out + bytes;
}

enum class Kind : std::uint8_t { kPrice, kNumber, kWhole, kCount, kOther };

// What is written before a value, and how the value is: `,"name":`, with room to be copied in one step.
struct Field {
  char key[kStep] = {};
  std::uint8_t key_bytes = 0;
  std::uint8_t column = 0;
  Kind kind = Kind::kOther;
  bool omit_null = false;

  int slot() const { return column - kColumnFirstSlot + 1; }  // unless of kind kOther

  std::string_view text() const { return {key, key_bytes}; }
};

// Numbers that are another in nearly every row: there is no use in keeping their texts.
bool is_never_again(std::string_view name) { return name == "amount" || name == "average"; }

Field field_of(int column) {
  Field field;
  const std::string_view name = column_name(column);
  std::string key(1, ',');
  key.append(json_text::escaped(name)).push_back(':');
  if (key.size() > kStep) std::abort();  // a column's name is longer than any there is
  std::memcpy(field.key, key.data(), key.size());
  field.key_bytes = static_cast<std::uint8_t>(key.size());
  field.column = static_cast<std::uint8_t>(column);
  field.omit_null = json_text::is_deep_level(name);
  if (column >= kColumnFirstSlot && column < kColumnSource)
    field.kind = is_count(field.slot())                  ? Kind::kCount
                 : json_text::is_whole_by_meaning(name) ? Kind::kWhole
                 : is_never_again(name)                 ? Kind::kNumber
                                                        : Kind::kPrice;
  return field;
}

const Field& field_at(int column) {
  static const auto fields = [] {
    std::array<Field, kColumnCount> made;
    for (int c = 0; c < kColumnCount; ++c) made[static_cast<std::size_t>(c)] = field_of(c);
    return made;
  }();
  return fields[static_cast<std::size_t>(column)];
}

inline std::uint64_t word_at(const std::byte* words, std::size_t i) {
  std::uint64_t word;
  std::memcpy(&word, words + 8 * i, sizeof word);
  return word;
}

// Bit i: whether word i of two rows differs.
inline std::uint64_t differing(const std::byte* a, const std::byte* b, std::size_t words) {
  std::uint64_t found = 0;
  std::size_t i = 0;
#ifdef __SSE2__
  for (; i + 4 <= words; i += 4) {
    const auto equal_halves = [=](std::size_t word) {  // of two words, as floats: only those can be picked from two
      return _mm_castsi128_ps(_mm_cmpeq_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + 8 * word)),
                                              _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + 8 * word))));
    };
    const __m128 first = equal_halves(i), second = equal_halves(i + 2);
    const __m128 low = _mm_shuffle_ps(first, second, 0x88), high = _mm_shuffle_ps(first, second, 0xDD);
    found |= static_cast<std::uint64_t>(0xF ^ _mm_movemask_ps(_mm_and_ps(low, high))) << i;
  }
#endif
  for (; i < words; ++i) found |= static_cast<std::uint64_t>(word_at(a, i) != word_at(b, i)) << i;
  return found;
}

// Prices written lately, by their bits: those of one instrument are few and come again.
class Prices {
 public:
  Prices() { std::memset(entries_, 0xFF, sizeof entries_); }  // no number has these bits

  char* write(char* p, double x) {
    const auto bits = std::bit_cast<std::uint64_t>(x);
    Entry& entry = entries_[bits * 0x9E3779B97F4A7C15u >> (64 - kPlacesBits)];
    if (entry.bits != bits) {
      char* const end = json_text::write_double(p, x, false);
      const auto size = static_cast<std::size_t>(end - p);
      if (size > sizeof entry.text) return end;
      entry.bits = bits;
      entry.size = static_cast<std::uint8_t>(size);
      std::memcpy(entry.text, p, sizeof entry.text);
      return end;
    }
    std::memcpy(p, entry.text, sizeof entry.text);
    return p + entry.size;
  }

 private:
  static constexpr int kPlacesBits = 9;
  struct Entry {
    std::uint64_t bits;
    char text[16];
    std::uint64_t size;
  };
  Entry entries_[1 << kPlacesBits];
};

// Times as text; those of one minute share it.
class Moments {
 public:
  char* write(char* p, std::int64_t ns) {
    *p = '"';
    if (const std::int64_t of_minute = ns - minute_ns_; of_minute >= 0 && of_minute < kMinuteNs) {
      std::memcpy(p + 1, text_, kSeconds);
      const std::uint64_t micros = digits8(static_cast<std::uint32_t>(of_minute / 1000)) | kDigits;
      const std::uint64_t fraction = micros >> 16;
      std::memcpy(p + 1 + kSeconds, &micros, 2);
      p[kSeconds + 3] = '.';
      std::memcpy(p + 4 + kSeconds, &fraction, sizeof fraction);
      p[kUtcTextSize] = 'Z';
    } else {
      write_utc(p + 1, ns);
      std::memcpy(text_, p + 1, kSeconds);
      minute_ns_ = floor_div(ns, kMinuteNs) * kMinuteNs;
    }
    p[kUtcTextSize + 1] = '"';
    return p + kUtcTextSize + 2;
  }

 private:
  static constexpr std::int64_t kMinuteNs = 60 * kSecondNs;
  static constexpr std::size_t kSeconds = 17;  // "2021-01-04T01:30:"
  char text_[kSeconds] = {};
  std::int64_t minute_ns_ = std::numeric_limits<std::int64_t>::max();
};

class Writer {
 public:
  Writer(std::span<const std::string_view> names, std::span<const int> columns)
      : names_(names), count_(columns.size()) {
    for (int& place : place_of_) place = -1;
    for (std::size_t i = 0; i < count_; ++i) {
      place_of_[columns[i]] = static_cast<int>(i);
      fields_[i] = &field_at(columns[i]);
      bound_ += kStep + kMaxNumberText;
    }
    std::size_t longest = 0;
    for (const std::string_view name : names) longest = std::max(longest, name.size());
    bound_ += 6 * longest;  // should all of it be escaped
  }

  std::size_t bound() const { return bound_; }
  std::string_view key(std::size_t i) const { return fields_[i]->text(); }
  std::size_t size() const { return count_; }

  // Writes `{...}` at `out`, where bound() bytes are free; `before` is where the row before begins, in memory.
  char* row(char* out, const char* before, const RowRef& ref) {
    const RowHead last = head_;
    const std::byte* const last_values = values_;
    std::memcpy(&head_, ref.at, sizeof head_);
    values_ = ref.at + sizeof head_;
    is_same_ = before != nullptr && ref.name == name_;
    name_ = ref.name;
    if (before == nullptr || head_.mask != last.mask) return whole(out);
    const std::uint64_t words = differing(values_, last_values, words_);
    std::uint64_t changed = 0;
    for (std::size_t i = 0; i < runs_; ++i) changed |= std::rotl(words & run_[i].words, run_[i].shift);
    mark(changed, kColumnDatetime, head_.ts_event_ns != last.ts_event_ns);
    mark(changed, kColumnInstrument, !is_same_);
    mark(changed, kColumnTradingDate, head_.trading_day != last.trading_day);
    mark(changed, kColumnSource, head_.source != last.source);
    mark(changed, kColumnSeq, head_.ordinal != last.ordinal);
    mark(changed, kColumnRecvTime, head_.ts_recv_ns != last.ts_recv_ns);
    return between(out, before, changed);
  }

 private:
  void mark(std::uint64_t& changed, int column, bool is_changed) const {
    if (place_of_[column] >= 0) changed |= std::uint64_t{is_changed} << place_of_[column];
  }

  // All of a row that has values where the one before had none, or none where it had one.
  char* whole(char* out) {
    words_ = static_cast<std::size_t>(std::popcount(head_.mask));
    runs_ = 0;
    std::uint8_t word = 0;
    for (Mask m = head_.mask; m != 0; m &= m - 1, ++word) {
      const int place = place_of_[kColumnFirstSlot - 1 + std::countr_zero(m)];
      if (place < 0) continue;
      word_of_[place] = word;
      if (runs_ == 0 || run_[runs_ - 1].shift != place - word) run_[runs_++] = {place - word, 0};
      run_[runs_ - 1].words |= std::uint64_t{1} << word;
    }
    char *p = out, *end = out;  // end of the value before
    for (std::size_t i = 0; i < count_; ++i) {
      const Field& field = *fields_[i];
      const bool is_null = field.kind != Kind::kOther && (head_.mask & bit(field.slot())) == 0;
      if (!is_null || !field.omit_null) {
        std::memcpy(p, field.key, kStep);
        p += field.key_bytes;
      }
      gaps_[i] = static_cast<std::uint32_t>(p - end);
      begins_[i] = static_cast<std::uint32_t>(p - out);
      end = !is_null ? value(p, i) : field.omit_null ? p : json_text::write_null(p);
      sizes_[i] = static_cast<std::uint32_t>(end - p);
      p = end;
    }
    if (p == out) ++p;
    *out = '{';  // where the first field's comma is, if there is a field
    *p++ = '}';
    bytes_ = static_cast<std::size_t>(p - out);
    return p;
  }

  // The row before but for the values of some fields, all of which both rows have.
  char* between(char* out, const char* before, std::uint64_t changed) {
    char* p = out;
    std::size_t done = 0;  // how much of the row before is dealt with
    std::uint32_t resized = 0;
    for (; changed != 0; changed &= changed - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(changed));
      p = copy_text(p, before + done, begins_[i] - done);
      done = begins_[i] + sizes_[i];
      char* const end = value(p, i);
      const auto size = static_cast<std::uint32_t>(end - p);
      resized |= size ^ sizes_[i];
      sizes_[i] = size;
      p = end;
    }
    p = copy_text(p, before + done, bytes_ - done);
    if (resized != 0) {
      std::uint32_t at = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        at += gaps_[i];
        begins_[i] = at;
        at += sizes_[i];
      }
      bytes_ = at + 1;
    }
    return p;
  }

  // Of a field that has one, if it can be without. A call for each would cost a tenth of all.
  [[gnu::always_inline]] char* value(char* p, std::size_t i) {
    const Field& field = *fields_[i];
    if (field.kind != Kind::kOther) {
      const std::uint64_t bits = word_at(values_, word_of_[i]);
      if (field.kind == Kind::kCount) return write_int(p, static_cast<std::int64_t>(bits));
      const auto x = std::bit_cast<double>(bits);
      if (field.kind == Kind::kPrice && is_same_) return prices_.write(p, x);
      return json_text::write_double(p, x, field.kind == Kind::kWhole);
    }
    switch (field.column) {
      case kColumnDatetime: return moments_.write(p, head_.ts_event_ns);
      case kColumnInstrument: return json_text::write_escaped(p, names_[name_]);
      case kColumnTradingDate:
        if (!is_date(head_.trading_day)) return json_text::write_null(p);
        *p++ = '"';
        p = write_date(p, head_.trading_day);
        *p++ = '"';
        return p;
      case kColumnSource: {
        const std::string_view name = source_name(head_.source);
        if (name.empty()) return json_text::write_null(p);
        *p++ = '"';
        std::memcpy(p, name.data(), name.size());
        p += name.size();
        *p++ = '"';
        return p;
      }
      case kColumnSeq: return write_uint(p, head_.ordinal);
      default: return head_.ts_recv_ns == 0 ? json_text::write_null(p) : moments_.write(p, head_.ts_recv_ns);
    }
  }

  struct Run {  // words whose fields lie as they do: field `word + shift`
    int shift;
    std::uint64_t words;
  };
  std::span<const std::string_view> names_;
  std::size_t count_;  // of fields
  const Field* fields_[kColumnCount];
  int place_of_[kColumnCount];
  std::size_t bound_ = 16 + kOver;

  // The row written last, and where its text has what.
  RowHead head_;
  std::uint32_t name_ = 0;
  const std::byte* values_ = nullptr;  // one word for each bit of the mask
  std::size_t words_ = 0;
  std::size_t bytes_ = 0;
  std::uint8_t word_of_[kColumnCount];  // of fields that have one
  std::uint32_t begins_[kColumnCount];  // of values
  std::uint32_t sizes_[kColumnCount];
  std::uint32_t gaps_[kColumnCount];  // between a value and the one before
  std::size_t runs_ = 0;
  Run run_[kColumnCount];
  bool is_same_ = false;  // the instrument of the row before

  Moments moments_;
  Prices prices_;
};

}  // namespace

void render_rows(std::span<const RowRef> rows, std::span<const std::string_view> names,
                 std::span<const int> columns, JsonShape shape, Buffer& out) {
  Writer writer(names, columns);
  switch (shape) {
    case JsonShape::kArray: out.append("["); break;
    case JsonShape::kRecords:
      out.append("{\"fields\":[");
      for (std::size_t i = 0; i < writer.size(); ++i) {
        const std::string_view key = writer.key(i);
        out.append(key.substr(i == 0 ? 1 : 0, key.size() - (i == 0 ? 2 : 1)));
      }
      out.append("],\"records\":[");
      break;
    case JsonShape::kLines: break;
  }
  std::size_t before = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    char* p = out.room(writer.bound());
    if (i != 0 && shape != JsonShape::kLines) *p++ = ',';
    const auto begin = static_cast<std::size_t>(p - out.data());
    if (i + kAhead < rows.size())
      for (std::size_t at = 0; at < kMostBytes; at += 64) __builtin_prefetch(rows[i + kAhead].at + at);
    p = writer.row(p, i == 0 ? nullptr : out.data() + before, rows[i]);
    before = begin;
    if (shape == JsonShape::kLines) *p++ = '\n';
    out.commit(p);
  }
  if (shape == JsonShape::kArray) out.append("]");
  if (shape == JsonShape::kRecords) out.append("]}");
}

}  // namespace qautlra
