#include "store/segment_rows.hpp"

#include <algorithm>
#include <numeric>

#include "store/hot.hpp"

namespace qautlra {

bool SegmentRows::open(const std::string& path) {
  path_ = path;
  return begin(reader_.open(path));
}

bool SegmentRows::open(std::span<const std::byte> bytes) { return begin(reader_.open(bytes)); }

bool SegmentRows::begin(bool is_open) {
  if (!is_open) damage_ = {path_, 0, reader_.size(), 0, reader_.error(), false};
  return is_open;
}

void SegmentRows::follow() {
  damage_ = {};
  reader_.follow();
}

void SegmentRows::refuse(const journal::Record& record, const char* why) {
  if (refused_++ == 0) first_refusal_ = "record " + std::to_string(record.lsn) + " " + why;
}

bool SegmentRows::name_of(std::uint32_t number, std::uint32_t& name) const {
  if (number >= by_number_.size() || by_number_[number] == 0) return false;
  name = by_number_[number] - 1;
  return true;
}

bool SegmentRows::next(Row& row) {
  journal::Record record;
  for (;;) {
    const journal::Next got = reader_.next(record);
    if (got == journal::Next::kEnd) return false;
    if (got == journal::Next::kBad) {
      damage_ = {path_, reader_.offset(), reader_.size() - std::min(reader_.size(), reader_.offset()),
                 reader_.next_lsn(), reader_.error(), false};
      return false;
    }
    ++records_;
    if (record.kind == kInstrumentRecord) {
      std::uint32_t number;
      std::string_view symbol;
      if (!decode_instrument(record.payload, number, symbol)) {
        refuse(record, "defines no instrument");
        continue;
      }
      const auto [at, is_new] = by_name_.try_emplace(std::string(symbol), static_cast<std::uint32_t>(names_.size()));
      if (is_new) names_.push_back(at->first);
      if (number >= by_number_.size()) by_number_.resize(number + 1);
      by_number_[number] = at->second + 1;
    } else if (record.kind == kTickRecord) {
      RowHead head;
      if (!is_row(record.payload, head)) {
        refuse(record, "is not a row");
      } else if (!name_of(head.number, row.name)) {
        refuse(record, "is of an instrument the segment does not define");
      } else {
        row.lsn = record.lsn;
        row.bytes = record.payload;
        return true;
      }
    }  // other kinds belong to somebody else
  }
}

bool segment_to_arrow(const std::string& path, ArrowSchema* schema, ArrowArray* array, SegmentBatch& out) {
  SegmentRows reader;
  if (!reader.open(path)) {
    out.damage = reader.damage();
    return false;
  }
  struct Found {
    std::size_t at;  // into bytes
    RowKey key;
    std::uint32_t name;
  };
  std::vector<std::byte> bytes;
  std::vector<Found> found;
  for (SegmentRows::Row row; reader.next(row);) {
    RowHead head;
    std::memcpy(&head, row.bytes.data(), sizeof head);
    found.push_back({bytes.size(), {head.ts_event_ns, head.ordinal}, row.name});
    bytes.insert(bytes.end(), row.bytes.begin(), row.bytes.end());
  }
  out.refused = reader.refused();
  out.first_refusal = reader.first_refusal();
  out.damage = reader.damage();

  std::vector<std::uint32_t> by_rank(reader.names().size());
  std::iota(by_rank.begin(), by_rank.end(), 0u);
  std::sort(by_rank.begin(), by_rank.end(),
            [&](std::uint32_t a, std::uint32_t b) { return reader.names()[a] < reader.names()[b]; });
  std::vector<std::uint32_t> rank(by_rank.size());
  std::vector<std::string_view> names(by_rank.size());
  for (std::uint32_t r = 0; r < by_rank.size(); ++r) {
    rank[by_rank[r]] = r;
    names[r] = reader.names()[by_rank[r]];
  }
  for (Found& f : found) f.name = rank[f.name];
  const auto before = [](const Found& a, const Found& b) { return a.name != b.name ? a.name < b.name : a.key < b.key; };
  std::stable_sort(found.begin(), found.end(), before);
  const auto same = [](const Found& a, const Found& b) { return a.name == b.name && a.key == b.key; };
  const auto end = std::unique(found.begin(), found.end(), same);
  out.duplicates = static_cast<std::uint64_t>(found.end() - end);
  found.erase(end, found.end());
  out.rows = found.size();

  std::vector<RowRef> rows;
  rows.reserve(found.size());
  for (const Found& f : found) rows.push_back({bytes.data() + f.at, f.name});
  int columns[kColumnCount];
  std::iota(std::begin(columns), std::end(columns), 0);
  export_rows(rows, names, columns, schema, array);
  return true;
}

std::size_t next_to_arrow(SegmentRows& reader, std::size_t max_rows, ArrowSchema* schema, ArrowArray* array) {
  struct Found {
    std::size_t at;  // into bytes
    std::uint32_t name;
  };
  std::vector<std::byte> bytes;
  std::vector<Found> found;
  for (SegmentRows::Row row; found.size() < max_rows && reader.next(row);) {
    found.push_back({bytes.size(), row.name});
    bytes.insert(bytes.end(), row.bytes.begin(), row.bytes.end());
  }
  if (found.empty()) return 0;
  std::vector<RowRef> rows;
  rows.reserve(found.size());
  for (const Found& f : found) rows.push_back({bytes.data() + f.at, f.name});
  const std::vector<std::string_view> names(reader.names().begin(), reader.names().end());
  int columns[kColumnCount];
  std::iota(std::begin(columns), std::end(columns), 0);
  export_rows(rows, names, columns, schema, array);
  return rows.size();
}

}  // namespace qautlra
