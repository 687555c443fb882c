#include "store/json_rows.hpp"

#include <cmath>
#include <cstring>
#include <vector>

#include "base/decimal.hpp"
#include "base/time_text.hpp"
#include "store/arrow_column.hpp"
#include "store/json_text.hpp"

namespace qautlra {
namespace {

using namespace json_text;

constexpr std::size_t kMaxValueText = kMaxNumberText + 8;  // any value but text, with its separator

struct Field {
  ArrowColumn column;
  std::string key;  // "name": with its quotes and colon
  bool omit_null = false;
  bool is_whole = false;
  bool is_text = false;
  std::vector<std::string> words;  // escaped values of a dictionary
};

bool is_shown(std::int64_t days) { return days >= -719'162 && days <= 2'932'896; }  // years 1 to 9999

char* write_instant(char* out, const ArrowColumn& column, std::int64_t row) {
  std::int64_t ns;
  if (column.instant_ns(row, ns)) {
    *out++ = '"';
    out = write_utc(out, ns);
  } else {  // before 1677 or after 2262: the day by itself, and the clock as of 1970
    const std::int64_t per_day = 86'400'000'000'000 / column.unit_ns();
    const std::int64_t value = column.value<std::int64_t>(row), days = floor_div(value, per_day);
    if (!is_shown(days)) return write_null(out);
    *out++ = '"';
    char* const end = write_utc(out, (value - days * per_day) * column.unit_ns());
    write_date(out, date_from_days(static_cast<std::int32_t>(days)));
    out = end;
  }
  if (!column.has_zone()) --out;  // no zone, no "Z"
  *out++ = '"';
  return out;
}

char* write_day(char* out, std::int64_t days) {
  if (!is_shown(days)) return write_null(out);
  *out++ = '"';
  out = write_date(out, date_from_days(static_cast<std::int32_t>(days)));
  *out++ = '"';
  return out;
}

char* write_value(char* out, const Field& field, std::int64_t row) {
  using Type = ArrowColumn::Type;
  const ArrowColumn& c = field.column;
  switch (c.type()) {
    case Type::kNull: return write_null(out);
    case Type::kBool: {
      const bool x = c.boolean(row);
      std::memcpy(out, x ? "true" : "false", x ? 4 : 5);
      return out + (x ? 4 : 5);
    }
    case Type::kInt8: return write_int(out, c.value<std::int8_t>(row));
    case Type::kUint8: return write_int(out, c.value<std::uint8_t>(row));
    case Type::kInt16: return write_int(out, c.value<std::int16_t>(row));
    case Type::kUint16: return write_int(out, c.value<std::uint16_t>(row));
    case Type::kInt32: return write_int(out, c.value<std::int32_t>(row));
    case Type::kUint32: return write_int(out, c.value<std::uint32_t>(row));
    case Type::kInt64: return write_int(out, c.value<std::int64_t>(row));
    case Type::kUint64: return write_uint(out, c.value<std::uint64_t>(row));
    case Type::kFloat: {
      const float x = c.value<float>(row);
      return std::isfinite(x) ? std::to_chars(out, out + kMaxNumberText, x).ptr : write_null(out);
    }
    case Type::kDouble: return write_double(out, c.value<double>(row), field.is_whole);
    case Type::kTimestamp: return write_instant(out, c, row);
    case Type::kDate32: return write_day(out, c.value<std::int32_t>(row));
    case Type::kDate64: return write_day(out, floor_div(c.value<std::int64_t>(row), 86'400'000));
    case Type::kText:
    case Type::kLargeText: return out;  // not here: its room is asked for first
  }
  return out;
}

void write_rows(const std::vector<Field>& fields, std::int64_t rows, std::size_t fixed_bound, bool lines, Buffer& out) {
  for (std::int64_t row = 0; row < rows; ++row) {
    char* p = out.room(fixed_bound);
    if (row != 0 && !lines) *p++ = ',';
    *p++ = '{';
    bool is_first = true;
    for (const Field& field : fields) {
      std::int64_t word = 0;
      bool is_null = field.column.is_null(row);
      if (!is_null && field.column.is_dictionary()) {
        word = field.column.index(row);
        is_null = word < 0;
      }
      if (is_null && field.omit_null) continue;
      if (!is_first) *p++ = ',';
      is_first = false;
      std::memcpy(p, field.key.data(), field.key.size());
      p += field.key.size();
      if (is_null) {
        p = write_null(p);
      } else if (!field.is_text) {
        p = write_value(p, field, row);
      } else {
        std::string_view text;
        if (field.column.is_dictionary()) text = field.words[static_cast<std::size_t>(word)];
        else text = field.column.text(row);
        out.commit(p);
        p = out.room(escaped_bound(text) + fixed_bound);
        if (field.column.is_dictionary()) {
          std::memcpy(p, text.data(), text.size());
          p += text.size();
        } else {
          p = write_escaped(p, text);
        }
      }
    }
    *p++ = '}';
    if (lines) *p++ = '\n';
    out.commit(p);
  }
}

}  // namespace

bool render_json(const ArrowSchema& schema, const ArrowArray& array, JsonShape shape, Buffer& out, std::string& why) {
  if (std::string_view(schema.format) != "+s" || array.n_children != schema.n_children) {
    why = "not a record batch";
    return false;
  }
  std::vector<Field> fields(static_cast<std::size_t>(schema.n_children));
  std::size_t fixed_bound = 16;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    Field& field = fields[i];
    if (!field.column.open(*schema.children[i], *array.children[i], array.offset, why)) return false;
    const std::string_view name = field.column.name();
    field.key = escaped(name) + ":";
    field.omit_null = is_deep_level(name);
    field.is_whole = is_whole_by_meaning(name);
    field.is_text = field.column.type() == ArrowColumn::Type::kText || field.column.type() == ArrowColumn::Type::kLargeText;
    for (std::int64_t w = 0; w < field.column.dictionary_size(); ++w)
      field.words.push_back(escaped(field.column.dictionary_text(w)));
    fixed_bound += field.key.size() + kMaxValueText;
  }
  switch (shape) {
    case JsonShape::kArray: out.append("["); break;
    case JsonShape::kRecords:
      out.append("{\"fields\":[");
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (i != 0) out.append(",");
        out.append(std::string_view(fields[i].key).substr(0, fields[i].key.size() - 1));
      }
      out.append("],\"records\":[");
      break;
    case JsonShape::kLines: break;
  }
  write_rows(fields, array.length, fixed_bound, shape == JsonShape::kLines, out);
  if (shape == JsonShape::kArray) out.append("]");
  if (shape == JsonShape::kRecords) out.append("]}");
  return true;
}

}  // namespace qautlra
