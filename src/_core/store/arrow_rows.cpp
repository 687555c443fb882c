#include "store/arrow_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <unordered_map>

#include "base/time_text.hpp"
#include "market/encode.hpp"
#include "store/arrow_column.hpp"
#include "store/row_columns.hpp"

namespace qautlra {
namespace {

constexpr std::string_view kSourceNames[kSourceCount] = {"", "sim", "replay", "ctp", "tencent", "sina", "upstream",
                                                         "import"};

// What keeps an exported array alive: each array of a batch holds the one block that all buffers lie in, so a
// receiver may keep a child and release the rest.
struct ArrayHold {
  std::shared_ptr<std::byte> block;
  const void* buffers[3] = {nullptr, nullptr, nullptr};
  std::vector<ArrowArray*> children;
};

struct SchemaHold {
  std::string format;
  std::string name;
  std::vector<ArrowSchema*> children;
};

void release_array(ArrowArray* array) {
  auto* hold = static_cast<ArrayHold*>(array->private_data);
  for (ArrowArray* child : hold->children) {
    if (child->release != nullptr) child->release(child);
    delete child;
  }
  if (array->dictionary != nullptr) {
    if (array->dictionary->release != nullptr) array->dictionary->release(array->dictionary);
    delete array->dictionary;
  }
  delete hold;
  array->release = nullptr;
}

void release_schema(ArrowSchema* schema) {
  auto* hold = static_cast<SchemaHold*>(schema->private_data);
  for (ArrowSchema* child : hold->children) {
    if (child->release != nullptr) child->release(child);
    delete child;
  }
  if (schema->dictionary != nullptr) {
    if (schema->dictionary->release != nullptr) schema->dictionary->release(schema->dictionary);
    delete schema->dictionary;
  }
  delete hold;
  schema->release = nullptr;
}

ArrayHold& start_array(ArrowArray& array, std::int64_t length, std::int64_t nulls, int buffers,
                       std::shared_ptr<std::byte> block) {
  auto* hold = new ArrayHold;
  hold->block = std::move(block);
  array = {};
  array.length = length;
  array.null_count = nulls;
  array.n_buffers = buffers;
  array.buffers = hold->buffers;
  array.release = release_array;
  array.private_data = hold;
  return *hold;
}

SchemaHold& start_schema(ArrowSchema& schema, std::string_view format, std::string_view name, bool is_nullable) {
  auto* hold = new SchemaHold{std::string(format), std::string(name), {}};
  schema = {};
  schema.format = hold->format.c_str();
  schema.name = hold->name.c_str();
  schema.flags = is_nullable ? 2 : 0;  // ARROW_FLAG_NULLABLE
  schema.release = release_schema;
  schema.private_data = hold;
  return *hold;
}

constexpr std::size_t padded(std::size_t bytes) { return (bytes + 63) & ~std::size_t{63}; }

std::shared_ptr<std::byte> zeroed_block(std::size_t bytes) {
  // calloc: the pages of a large block come zeroed from the system, and null values must not hold old memory.
  auto* memory = static_cast<std::byte*>(std::calloc(1, bytes + 64));
  if (memory == nullptr) throw std::bad_alloc();
  auto* aligned = reinterpret_cast<std::byte*>(padded(reinterpret_cast<std::uintptr_t>(memory)));
  return {aligned, [memory](std::byte*) { std::free(memory); }};
}

void put_dictionary(ArrowArray& array, ArrowSchema& schema, std::span<const std::string_view> names) {
  std::size_t characters = 0;
  for (const std::string_view name : names) characters += name.size();
  const std::size_t offsets = padded(4 * (names.size() + 1));
  auto block = zeroed_block(offsets + padded(characters + 1));
  auto* ends = reinterpret_cast<std::int32_t*>(block.get());
  auto* text = reinterpret_cast<char*>(block.get() + offsets);
  std::int32_t at = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::memcpy(text + at, names[i].data(), names[i].size());
    at += static_cast<std::int32_t>(names[i].size());
    ends[i + 1] = at;
  }
  array.dictionary = new ArrowArray;
  ArrayHold& hold = start_array(*array.dictionary, static_cast<std::int64_t>(names.size()), 0, 3, block);
  hold.buffers[1] = ends;
  hold.buffers[2] = text;
  schema.dictionary = new ArrowSchema;
  start_schema(*schema.dictionary, "u", "", true);
}

}  // namespace

std::string_view source_name(std::uint8_t source) { return source < kSourceCount ? kSourceNames[source] : ""; }

std::string_view column_name(int column) {
  switch (column) {
    case kColumnDatetime: return "datetime";
    case kColumnInstrument: return "instrument_id";
    case kColumnTradingDate: return "trading_date";
    case kColumnSource: return "source";
    case kColumnSeq: return "seq";
    case kColumnRecvTime: return "recv_time";
    default: return field_name(column - kColumnFirstSlot + 1);
  }
}

int column_index(std::string_view name) {
  static const auto* index = [] {
    auto* made = new std::unordered_map<std::string_view, int>;
    for (int c = 0; c < kColumnCount; ++c) made->emplace(column_name(c), c);
    return made;
  }();
  const auto at = index->find(name);
  return at == index->end() ? -1 : at->second;
}

void export_rows(std::span<const RowRef> rows, std::span<const std::string_view> names,
                 std::span<const int> columns, ArrowSchema* schema, ArrowArray* array) {
  const std::size_t count = rows.size();
  const std::size_t words = (count + 63) / 64;
  std::size_t total = 64;
  for (std::size_t i = 0; i < columns.size(); ++i) total += padded(8 * count) + padded(8 * words);
  auto block = zeroed_block(total);
  std::byte* free = block.get();
  RowColumns sinks;
  for (const int c : columns) {
    sinks[c].values = free;
    free += padded(8 * count);
    sinks[c].valid = free;
    free += padded(8 * words);
  }
  fill_columns(rows, sinks);

  const auto length = static_cast<std::int64_t>(count);
  ArrayHold& parent = start_array(*array, length, 0, 1, block);
  SchemaHold& parent_schema = start_schema(*schema, "+s", "", false);
  for (const int c : columns) {
    auto* child = new ArrowArray;
    auto* child_schema = new ArrowSchema;
    parent.children.push_back(child);
    parent_schema.children.push_back(child_schema);
    const bool never_null = c == kColumnDatetime || c == kColumnInstrument || c == kColumnSeq;
    const std::int64_t nulls = never_null ? 0 : length - sinks[c].present;
    ArrayHold& hold = start_array(*child, length, nulls, 2, block);
    hold.buffers[0] = nulls == 0 ? nullptr : sinks[c].valid;
    hold.buffers[1] = sinks[c].values;
    std::string_view format;
    switch (c) {
      case kColumnDatetime:
      case kColumnRecvTime: format = "tsu:UTC"; break;
      case kColumnInstrument:
      case kColumnSource: format = "i"; break;
      case kColumnTradingDate: format = "tdD"; break;
      case kColumnSeq: format = "l"; break;
      default: format = is_count(c - kColumnFirstSlot + 1) ? "l" : "g";
    }
    start_schema(*child_schema, format, column_name(c), true);
    if (c == kColumnInstrument) put_dictionary(*child, *child_schema, names);
    if (c == kColumnSource) put_dictionary(*child, *child_schema, kSourceNames);
  }
  array->n_children = static_cast<std::int64_t>(parent.children.size());
  array->children = parent.children.data();
  schema->n_children = array->n_children;
  schema->children = parent_schema.children.data();
}

namespace {

// The instrument column as table ids, each distinct spelling looked up once.
class InstrumentColumn {
 public:
  InstrumentColumn(const ArrowColumn& column, InstrumentTable& table) : column_(column), table_(table) {
    if (column.is_dictionary()) ids_.assign(static_cast<std::size_t>(column.dictionary_size()), kUnknown);
  }

  bool at(std::int64_t row, std::uint32_t& id, std::string& why) {
    if (column_.is_dictionary()) {
      const std::int64_t place = column_.index(row);
      if (place < 0) return refuse(row, why);
      std::uint32_t& known = ids_[static_cast<std::size_t>(place)];
      if (known == kUnknown) known = table_.intern(column_.dictionary_text(place), why);
      id = known;
    } else {
      const std::string_view text = column_.text(row);
      if (text != last_text_ || last_id_ == kUnknown) {
        last_text_.assign(text);
        last_id_ = table_.intern(text, why);
      }
      id = last_id_;
    }
    return id != kNoInstrument;
  }

 private:
  static constexpr std::uint32_t kUnknown = kNoInstrument - 1;

  static bool refuse(std::int64_t row, std::string& why) {
    why = "row " + std::to_string(row) + " has no instrument_id";
    return false;
  }

  const ArrowColumn& column_;
  InstrumentTable& table_;
  std::vector<std::uint32_t> ids_;
  std::string last_text_;
  std::uint32_t last_id_ = kUnknown;
};

std::uint8_t source_of(std::string_view name) {
  for (std::uint8_t i = 1; i < kSourceCount; ++i)
    if (kSourceNames[i] == name) return i;
  return 0;
}

bool text_value(const ArrowColumn& column, std::int64_t row, std::string_view& text) {
  if (column.type() != ArrowColumn::Type::kText && column.type() != ArrowColumn::Type::kLargeText) return false;
  if (!column.is_dictionary()) {
    text = column.text(row);
    return true;
  }
  const std::int64_t place = column.index(row);
  if (place < 0) return false;
  text = column.dictionary_text(place);
  return true;
}

// CTP's "no value", the largest double or float, is none here either.
double price_of(double x) { return std::abs(x) < 1e15 ? x : kNoPrice; }

bool fill_cell(int c, const ArrowColumn& column, std::int64_t row, Snapshot& out) {
  std::int64_t n = 0;
  double x = 0;
  std::string_view text;
  switch (c) {
    case kColumnTradingDate:
      if (column.type() != ArrowColumn::Type::kDate32) return false;
      n = column.value<std::int32_t>(row);
      if (n < -25'000 || n > 84'000) return false;  // 1901 .. 2199
      out.trading_day = date_from_days(static_cast<std::int32_t>(n));
      return true;
    case kColumnSource:
      if (!text_value(column, row, text)) return false;
      out.source = static_cast<Source>(source_of(text));
      return true;
    case kColumnSeq:
      if (!column.whole(row, n) || n < 0 || n > UINT32_MAX) return false;
      out.ordinal = static_cast<std::uint32_t>(n);
      return true;
    case kColumnDatetime:
    case kColumnRecvTime:
      if (column.type() != ArrowColumn::Type::kTimestamp || !column.instant_ns(row, n) || n == kNoCount) return false;
      if (c == kColumnDatetime) out.set_count(kDatetime, n);
      else out.ts_recv_ns = n;
      return true;
    default: break;
  }
  const int field = c - kColumnFirstSlot + 1;
  if (is_count(field)) {
    if (!column.whole(row, n)) return false;
    out.set_count(field, n);
  } else {
    if (!column.number(row, x) || std::isinf(x)) return false;
    out.set_price(field, price_of(x));
  }
  return true;
}

// Puts a column's values into its field, row by row. The first row whose value it cannot hold, or their number.
template <class Fill>
std::size_t fill_each(const ArrowColumn& column, std::span<Snapshot> rows, Fill fill) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (!column.is_null(static_cast<std::int64_t>(i)) && !fill(static_cast<std::int64_t>(i), rows[i])) return i;
  return rows.size();
}

// The same with the type looked at once, where a field is given what nearly every batch brings for it.
std::size_t fill_column(int c, const ArrowColumn& column, std::span<Snapshot> rows) {
  using Type = ArrowColumn::Type;
  const int field = c - kColumnFirstSlot + 1;
  const bool is_slot = c >= kColumnFirstSlot && c < kColumnSource;
  if (is_slot && is_count(field)) {
    const auto of = [&]<class T>(T) {
      return fill_each(column, rows, [&](std::int64_t row, Snapshot& out) {
        out.set_count(field, static_cast<std::int64_t>(column.value<T>(row)));
        return true;
      });
    };
    if (column.type() == Type::kInt64) return of(std::int64_t{});
    if (column.type() == Type::kInt32) return of(std::int32_t{});
  } else if (is_slot) {
    const auto of = [&]<class T>(T) {
      return fill_each(column, rows, [&](std::int64_t row, Snapshot& out) {
        const auto x = static_cast<double>(column.value<T>(row));
        out.set_price(field, price_of(x));
        return !std::isinf(x);
      });
    };
    if (column.type() == Type::kDouble) return of(double{});
    if (column.type() == Type::kInt64) return of(std::int64_t{});
    if (column.type() == Type::kInt32) return of(std::int32_t{});
  }
  return fill_each(column, rows, [&](std::int64_t row, Snapshot& out) { return fill_cell(c, column, row, out); });
}

}  // namespace

bool import_rows(const ArrowSchema& schema, const ArrowArray& array, InstrumentTable& instruments,
                 std::vector<Snapshot>& out, std::string& why) {
  if (std::string_view(schema.format) != "+s" || array.n_children != schema.n_children) {
    why = "not a record batch";
    return false;
  }
  std::vector<std::pair<int, ArrowColumn>> columns;
  ArrowColumn instrument;
  bool has_time = false, has_instrument = false;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const int c = column_index(schema.children[i]->name ? schema.children[i]->name : "");
    if (c < 0) continue;
    ArrowColumn column;
    if (!column.open(*schema.children[i], *array.children[i], array.offset, why)) return false;
    if (c == kColumnInstrument) {
      if (column.type() != ArrowColumn::Type::kText && column.type() != ArrowColumn::Type::kLargeText) {
        why = "instrument_id is not text";
        return false;
      }
      instrument = column;
      has_instrument = true;
      continue;
    }
    has_time |= c == kColumnDatetime;
    columns.emplace_back(c, column);
  }
  if (!has_time || !has_instrument) {
    why = has_time ? "there is no column instrument_id" : "there is no column datetime";
    return false;
  }
  const std::size_t before = out.size();
  InstrumentColumn ids(instrument, instruments);
  out.resize(before + static_cast<std::size_t>(array.length));
  const std::span<Snapshot> rows(out.data() + before, out.size() - before);
  // Column by column; what is told is the first row that cannot be, and the first column of it.
  std::size_t bad = rows.size();
  int bad_column = -1;
  for (const auto& [c, column] : columns)
    if (const std::size_t row = fill_column(c, column, rows.first(bad)); row < bad) {
      bad = row;
      bad_column = c;
    }
  for (std::size_t i = 0; i < rows.size() && why.empty(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    if (instrument.is_null(row) || !ids.at(row, rows[i].instrument, why)) {
      if (why.empty()) why = "row " + std::to_string(row) + " has no instrument_id";
    } else if (i == bad) {
      why = "row " + std::to_string(row) + ": " + std::string(column_name(bad_column)) + " holds a value it cannot have";
    } else if (!rows[i].has(kDatetime)) {
      why = "row " + std::to_string(row) + " has no datetime";
    }
  }
  if (why.empty()) return true;
  out.resize(before);
  return false;
}

void date_rows(std::span<Snapshot> rows, const Calendar& calendar) {
  std::int64_t last_ns = kNoCount;
  std::int32_t day = 0;
  for (Snapshot& row : rows) {
    if (row.trading_day != 0) continue;
    if (row.ts_event_ns() != last_ns) {  // many rows of one moment
      last_ns = row.ts_event_ns();
      day = calendar.trading_day(last_ns);
    }
    row.trading_day = day;
  }
}

}  // namespace qautlra
