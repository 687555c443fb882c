#include "store/row_json.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/decimal.hpp"
#include "base/time_text.hpp"
#include "market/encode.hpp"
#include "store/json_text.hpp"
#include "store/row_codec.hpp"

namespace qautlra {
namespace {

static_assert(kColumnCount <= 64, "columns that changed are one word");

constexpr std::size_t kStep = 32;  // bytes free behind what copy_text writes

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
    for (std::size_t i = kStep; i < bytes; i += kStep) copy_step(out + i, from + i);
  }
  return out + bytes;
}

enum class Kind : std::uint8_t { kPrice, kWhole, kCount, kOther };

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

// What a row says, unpacked; the one before it is what a row is compared with.
struct Values {
  RowHead head;
  std::uint32_t name = 0;
  std::uint64_t slots[kFieldCount] = {};

  // Takes the next row in; the slots that differ from the one before, in value or in having one.
  Mask next(const RowRef& row) {
    const Mask before = head.mask;
    std::memcpy(&head, row.at, sizeof head);
    name = row.name;
    Mask changed = before ^ head.mask;
    const std::byte* packed = row.at + sizeof head;
    for (Mask m = head.mask; m != 0; m &= m - 1, packed += 8) {
      const int f = std::countr_zero(m);
      std::uint64_t bits;
      std::memcpy(&bits, packed, 8);
      changed |= static_cast<Mask>(bits != slots[f]) << f;
      slots[f] = bits;
    }
    return changed;
  }
};

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

// Times as text; those of one second share it.
class Moments {
 public:
  char* write(char* p, std::int64_t ns) {
    *p = '"';
    if (const std::int64_t of_second = ns - second_ns_; of_second >= 0 && of_second < kSecondNs) {
      std::memcpy(p + 1, text_, kFraction);
      const std::uint64_t micros = digits8(static_cast<std::uint32_t>(of_second / 1000) * 100) | kDigits;
      std::memcpy(p + 1 + kFraction, &micros, sizeof micros);
      p[kUtcTextSize] = 'Z';
    } else {
      write_utc(p + 1, ns);
      std::memcpy(text_, p + 1, kFraction);
      second_ns_ = floor_div(ns, kSecondNs) * kSecondNs;
    }
    p[kUtcTextSize + 1] = '"';
    return p + kUtcTextSize + 2;
  }

 private:
  static constexpr std::size_t kFraction = 20;  // "2021-01-04T01:30:00."
  char text_[kFraction] = {};
  std::int64_t second_ns_ = std::numeric_limits<std::int64_t>::max();
};

class Writer {
 public:
  Writer(std::span<const std::string_view> names, std::span<const int> columns) : names_(names) {
    for (int& place : place_of_) place = -1;
    fields_.reserve(columns.size());
    for (const int c : columns) {
      place_of_[c] = static_cast<int>(fields_.size());
      fields_.push_back(field_at(c));
      bound_ += kStep + kMaxNumberText;
    }
    std::size_t longest = 0;
    for (const std::string_view name : names) longest = std::max(longest, name.size());
    bound_ += 6 * longest;  // should all of it be escaped
    for (int f = 1; f < kFieldCount; ++f) {
      const int place = place_of_[kColumnFirstSlot - 1 + f];
      if (place < 0) continue;
      if (runs_.empty() || runs_.back().shift != place - f) runs_.push_back({place - f, 0});
      runs_.back().slots |= bit(f);
    }
    ends_.resize(fields_.size());
    all_ = fields_.empty() ? 0 : ~std::uint64_t{0} >> (64 - fields_.size());
  }

  std::size_t bound() const { return bound_; }
  std::string_view key(std::size_t i) const { return fields_[i].text(); }
  std::size_t size() const { return fields_.size(); }

  // Writes `{...}` at `out`, where bound() bytes are free; `before` is where the row before begins, in memory.
  char* row(char* out, const char* before, const RowRef& ref) {
    const RowHead last = now_.head;
    const std::uint32_t last_name = now_.name;
    const Mask slots = now_.next(ref);
    is_same_ = before != nullptr && now_.name == last_name;
    std::uint64_t changed = all_;
    if (before != nullptr) {
      changed = 0;
      for (const auto& [shift, of_run] : runs_) changed |= std::rotl(slots & of_run, shift);
      const RowHead& head = now_.head;
      if (head.ts_event_ns != last.ts_event_ns) mark(changed, kColumnDatetime);
      if (!is_same_) mark(changed, kColumnInstrument);
      if (head.trading_day != last.trading_day) mark(changed, kColumnTradingDate);
      if (head.source != last.source) mark(changed, kColumnSource);
      if (head.ordinal != last.ordinal) mark(changed, kColumnSeq);
      if (head.ts_recv_ns != last.ts_recv_ns) mark(changed, kColumnRecvTime);
    }
    char* p = out;
    std::size_t at = 0, old_end = 0;  // end in the row before of the last field dealt with
    while (at < fields_.size()) {
      const std::size_t next = changed == 0 ? fields_.size() : static_cast<std::size_t>(std::countr_zero(changed));
      if (at < next) p = copy(p, out, before, at, next, old_end);
      if (next == fields_.size()) break;
      changed &= changed - 1;
      old_end = ends_[next];
      p = write(p, fields_[next]);
      ends_[next] = static_cast<std::uint32_t>(p - out);
      at = next + 1;
    }
    if (p == out) ++p;
    *out = '{';  // where the first field's comma is, if there is a field
    *p++ = '}';
    return p;
  }

 private:
  void mark(std::uint64_t& changed, int column) const {
    if (place_of_[column] >= 0) changed |= std::uint64_t{1} << place_of_[column];
  }

  // Fields [from, to) as they are in the row before, where they begin at `old_begin`.
  char* copy(char* p, const char* out, const char* before, std::size_t from, std::size_t to, std::size_t& old_begin) {
    const std::size_t begin = old_begin, end = ends_[to - 1], bytes = end - begin;
    char* const stop = copy_text(p, before + begin, bytes);
    if (bytes != 0) *p = ',';  // a brace, where it was the first
    const auto moved = static_cast<std::uint32_t>(static_cast<std::size_t>(p - out) - begin);
    if (moved != 0)
      for (std::size_t i = from; i < to; ++i) ends_[i] += moved;
    old_begin = end;
    return stop;
  }

  char* write(char* p, const Field& field) {
    const RowHead& head = now_.head;
    if (field.kind != Kind::kOther) {
      const int slot = field.slot();
      const bool has = (head.mask & bit(slot)) != 0;
      if (!has && field.omit_null) return p;
      std::memcpy(p, field.key, kStep);
      p += field.key_bytes;
      if (!has) return json_text::write_null(p);
      const std::uint64_t bits = now_.slots[slot];
      if (field.kind == Kind::kCount) return write_int(p, static_cast<std::int64_t>(bits));
      const auto x = std::bit_cast<double>(bits);
      if (field.kind == Kind::kPrice && is_same_) return prices_.write(p, x);
      return json_text::write_double(p, x, field.kind == Kind::kWhole);
    }
    std::memcpy(p, field.key, kStep);
    p += field.key_bytes;
    switch (field.column) {
      case kColumnDatetime: return moments_.write(p, head.ts_event_ns);
      case kColumnInstrument: return json_text::write_escaped(p, names_[now_.name]);
      case kColumnTradingDate:
        if (!is_date(head.trading_day)) return json_text::write_null(p);
        *p++ = '"';
        p = write_date(p, head.trading_day);
        *p++ = '"';
        return p;
      case kColumnSource: {
        const std::string_view name = source_name(head.source);
        if (name.empty()) return json_text::write_null(p);
        *p++ = '"';
        std::memcpy(p, name.data(), name.size());
        p += name.size();
        *p++ = '"';
        return p;
      }
      case kColumnSeq: return write_uint(p, head.ordinal);
      default: return head.ts_recv_ns == 0 ? json_text::write_null(p) : moments_.write(p, head.ts_recv_ns);
    }
  }

  struct Run {  // slots whose fields lie as they do: field `slot + shift`
    int shift;
    Mask slots;
  };
  std::vector<Field> fields_;
  std::span<const std::string_view> names_;
  std::vector<std::uint32_t> ends_;  // of each field in the row written last, from its brace
  std::vector<Run> runs_;
  int place_of_[kColumnCount];
  std::uint64_t all_ = 0;
  std::size_t bound_ = 16 + 2 * kStep;
  bool is_same_ = false;  // the instrument of the row before
  Values now_;
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
    p = writer.row(p, i == 0 ? nullptr : out.data() + before, rows[i]);
    before = begin;
    if (shape == JsonShape::kLines) *p++ = '\n';
    out.commit(p);
  }
  if (shape == JsonShape::kArray) out.append("]");
  if (shape == JsonShape::kRecords) out.append("]}");
}

}  // namespace qautlra
