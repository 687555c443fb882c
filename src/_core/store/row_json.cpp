#include "store/row_json.hpp"

#include <bit>
#include <cstring>
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

constexpr std::size_t kStep = 16;  // bytes free behind what copy_text writes

// Short texts without a call: in whole steps, over their end.
char* copy_text(char* out, const char* from, std::size_t bytes) {
  if (bytes > 16 * kStep) [[unlikely]] {
    std::memcpy(out, from, bytes);
  } else {
    for (std::size_t i = 0; i < bytes; i += kStep) {
      char step[kStep];
      std::memcpy(step, from + i, kStep);
      std::memcpy(out + i, step, kStep);
    }
  }
  return out + bytes;
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

class Writer {
 public:
  Writer(std::span<const std::string_view> names, std::span<const int> columns) {
    for (int& place : place_of_) place = -1;
    for (const int c : columns) {
      place_of_[c] = static_cast<int>(fields_.size());
      Field field;
      field.column = c;
      const std::string_view name = column_name(c);
      field.key.assign(1, ',');
      field.key.append(json_text::escaped(name)).push_back(':');
      field.key.reserve(field.key.size() + kStep);
      field.omit_null = json_text::is_deep_level(name);
      field.is_whole = json_text::is_whole_by_meaning(name);
      bound_ += field.key.size() + kMaxNumberText + 8;
      fields_.push_back(std::move(field));
    }
    std::size_t longest = 0;
    for (const std::string_view name : names) {
      names_.push_back(json_text::escaped(name));
      longest = std::max(longest, names_.back().size());
    }
    bound_ += longest;
    ends_.resize(fields_.size());
    all_ = fields_.empty() ? 0 : ~std::uint64_t{0} >> (64 - fields_.size());
  }

  std::size_t bound() const { return bound_; }
  const std::string& key(std::size_t i) const { return fields_[i].key; }
  std::size_t size() const { return fields_.size(); }

  // Writes `{...}` at `out`, where bound() bytes are free; `before` is where the row before begins, in memory.
  char* row(char* out, const char* before, const RowRef& ref) {
    const RowHead last = now_.head;
    const std::uint32_t last_name = now_.name;
    const Mask slots = now_.next(ref);
    std::uint64_t changed = all_;
    if (before != nullptr) {
      changed = 0;
      for (Mask m = slots; m != 0; m &= m - 1) mark(changed, kColumnFirstSlot - 1 + std::countr_zero(m));
      const RowHead& head = now_.head;
      if (head.ts_event_ns != last.ts_event_ns) mark(changed, kColumnDatetime);
      if (now_.name != last_name) mark(changed, kColumnInstrument);
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
  struct Field {
    int column = 0;
    std::string key;  // ,"name":
    bool omit_null = false;
    bool is_whole = false;
  };

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

  char* write(char* p, const Field& field) const {
    const RowHead& head = now_.head;
    const int slot = field.column - kColumnFirstSlot + 1;
    const bool is_slot = field.column >= kColumnFirstSlot && field.column < kColumnSource;
    const bool has = !is_slot || (head.mask & bit(slot)) != 0;
    if (!has && field.omit_null) return p;
    p = copy_text(p, field.key.data(), field.key.size());
    if (is_slot) {
      if (!has) return json_text::write_null(p);
      const std::uint64_t bits = now_.slots[slot];
      if (is_count(slot)) return write_int(p, static_cast<std::int64_t>(bits));
      return json_text::write_double(p, std::bit_cast<double>(bits), field.is_whole);
    }
    switch (field.column) {
      case kColumnDatetime: return instant(p, head.ts_event_ns);
      case kColumnInstrument: {
        const std::string& name = names_[now_.name];
        std::memcpy(p, name.data(), name.size());
        return p + name.size();
      }
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
      default: return head.ts_recv_ns == 0 ? json_text::write_null(p) : instant(p, head.ts_recv_ns);
    }
  }

  static char* instant(char* p, std::int64_t ns) {
    *p++ = '"';
    p = write_utc(p, ns);
    *p++ = '"';
    return p;
  }

  std::vector<Field> fields_;
  std::vector<std::string> names_;
  std::vector<std::uint32_t> ends_;  // of each field in the row written last, from its brace
  int place_of_[kColumnCount];
  std::uint64_t all_ = 0;
  std::size_t bound_ = 16 + kStep;
  Values now_;
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
