#include "store/rows_message.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "store/row_codec.hpp"
#include "store/row_columns.hpp"

namespace qautlra {
namespace {

bool is_text(int column) { return column == kColumnInstrument || column == kColumnSource; }
bool is_never_null(int column) {
  return column == kColumnDatetime || column == kColumnInstrument || column == kColumnSeq;
}

RowHead head_of(const RowRef& row) {
  RowHead head;
  std::memcpy(&head, row.at, sizeof head);
  return head;
}

// The ends of the rows' texts, and the texts one behind the other.
template <class TextOf>
void write_texts(std::span<const RowRef> rows, std::uint8_t* ends, std::uint8_t* text, TextOf text_of) {
  std::int32_t at = 0;
  std::memcpy(ends, &at, sizeof at);
  for (const RowRef& row : rows) {
    const std::string_view mine = text_of(row);
    std::ranges::copy(mine, text + at);
    at += static_cast<std::int32_t>(mine.size());
    ends += sizeof at;
    std::memcpy(ends, &at, sizeof at);
  }
}

}  // namespace

RowsMessage::RowsMessage(std::span<const RowRef> rows, std::span<const std::string_view> names,
                         std::span<const int> columns)
    : rows_(rows), names_(names), columns_(columns) {
  std::size_t name_bytes = 0, source_bytes = 0;
  for (const RowRef& row : rows) {
    const RowHead head = head_of(row);
    always_ &= head.mask;
    name_bytes += names[row.name].size();
    source_bytes += source_name(head.source).size();
  }
  std::vector<ArrowMessage::Column> places;
  for (const int c : columns) {
    if (is_text(c)) places.push_back({0, c == kColumnInstrument ? name_bytes : source_bytes});
    else places.push_back({c == kColumnTradingDate ? std::size_t{4} : std::size_t{8}});
  }
  message_.lay_out(rows.size(), std::move(places));
}

void RowsMessage::write(std::uint8_t* out) const {
  std::uint8_t* const body = out + message_.head_bytes();
  RowColumns filled;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const int c = columns_[i];
    const auto& place = message_.place(i);
    const bool is_slot = c >= kColumnFirstSlot && c < kColumnSource;
    const bool is_whole = is_slot ? (always_ & bit(c - kColumnFirstSlot + 1)) != 0 : c == kColumnDatetime || c == kColumnSeq;
    if (!is_whole) std::memset(body + place.values, 0, place.end - place.values);
    if (is_never_null(c)) std::memset(body + place.present, 0, place.values - place.present);
    else filled[c].valid = reinterpret_cast<std::byte*>(body + place.present);
    if (!is_text(c)) filled[c].values = reinterpret_cast<std::byte*>(body + place.values);
  }
  fill_columns(rows_, filled);
  std::vector<std::size_t> nulls;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const int c = columns_[i];
    const auto& place = message_.place(i);
    if (c == kColumnInstrument)
      write_texts(rows_, body + place.values, body + place.text, [&](const RowRef& row) { return names_[row.name]; });
    if (c == kColumnSource)
      write_texts(rows_, body + place.values, body + place.text,
                  [](const RowRef& row) { return source_name(head_of(row).source); });
    nulls.push_back(is_never_null(c) ? 0 : rows_.size() - static_cast<std::size_t>(filled[c].present));
  }
  message_.write_head(out, nulls);
}

}  // namespace qautlra
