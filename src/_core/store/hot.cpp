#include "store/hot.hpp"

#include <algorithm>
#include <utility>

#include "base/time_text.hpp"

namespace qautlra {

// ---- chunk ----------------------------------------------------------------------------------------------

std::size_t Chunk::lower_bound(const RowKey& wanted) const {
  std::size_t low = 0, high = count_;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (key(middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

std::byte* Chunk::insert(std::size_t i, std::uint64_t lsn, std::size_t encoded) {
  const auto at = static_cast<std::uint16_t>(used_ / 8);
  std::byte* places = data_ + bytes_ - 2 * (count_ + 1);  // the new lowest place
  const std::size_t after = count_ - i;
  if (after != 0) std::memmove(places, places + 2, 2 * after);
  std::memcpy(places + 2 * after, &at, 2);
  std::byte* out = data_ + used_;
  std::memcpy(out, &lsn, 8);
  used_ += 8 + encoded;
  ++count_;
  max_lsn_ = std::max(max_lsn_, lsn);
  min_lsn_ = std::min(min_lsn_, lsn);
  return out + 8;
}

void Chunk::append_copy(const Chunk& from, std::size_t i) {
  RowHead head;
  std::memcpy(&head, from.row(i), sizeof head);
  const std::size_t size = row_bytes(head.mask);
  std::memcpy(insert(count_, from.lsn(i), size), from.row(i), size);
}

// ---- writing --------------------------------------------------------------------------------------------

HotStore::Line& HotStore::line_for(std::uint32_t instrument) {
  if (instrument >= lines_.size()) lines_.resize(std::max<std::size_t>(instrument + 1, instruments_.size()));
  if (!lines_[instrument]) lines_[instrument] = std::make_unique<Line>();
  return *lines_[instrument];
}

// The chunk a key belongs into: the last that begins at or before it, else the first. The line has chunks.
std::size_t HotStore::chunk_for(const Line& line, const RowKey& key) {
  const auto& chunks = line.chunks;
  if (!(key < chunks.back()->first_key())) [[likely]] return chunks.size() - 1;
  const auto after = std::partition_point(chunks.begin(), chunks.end(),
                                          [&](const auto& chunk) { return !(key < chunk->first_key()); });
  return after == chunks.begin() ? 0 : static_cast<std::size_t>(after - chunks.begin()) - 1;
}

Admitted HotStore::admit(std::uint32_t instrument, const RowKey& key, std::size_t encoded, bool forced) {
  Line& line = line_for(instrument);
  auto& chunks = line.chunks;
  if (key == line.kept_key) return Admitted::kDuplicate;
  for (bool may_evict = !forced;; may_evict = false) {
    place_ = {&line, 0, 0, Chunk::kSmallestBytes};
    bool is_split = false;
    if (!chunks.empty()) {
      place_.chunk = chunk_for(line, key);
      const Chunk& chunk = *chunks[place_.chunk];
      place_.row = chunk.last_key() < key ? chunk.count() : chunk.lower_bound(key);
      if (place_.row < chunk.count() && chunk.key(place_.row) == key) return Admitted::kDuplicate;
      if (chunk.fits(encoded)) {
        place_.new_bytes = 0;
        return Admitted::kNew;
      }
      if (place_.row == chunk.count()) {  // begin another behind it
        ++place_.chunk;
        place_.row = 0;
        place_.new_bytes = std::min(2 * chunk.bytes(), Chunk::kLargestBytes);
      } else {
        place_.new_bytes = chunk.bytes();
        is_split = true;
      }
    }
    if (may_evict && bytes_ + place_.new_bytes > max_bytes_) {
      if (!make_room(place_.new_bytes)) return Admitted::kFull;
      continue;  // what was found above may be gone
    }
    if (!is_split) return Admitted::kNew;
    split(line, place_.chunk);
  }
}

void HotStore::put(std::span<const std::byte> row, std::uint64_t lsn) {
  auto& chunks = place_.line->chunks;
  if (place_.new_bytes != 0) {
    chunks.insert(chunks.begin() + static_cast<std::ptrdiff_t>(place_.chunk),
                  std::make_unique<Chunk>(memory_, place_.new_bytes));
    bytes_ += place_.new_bytes;
  }
  std::memcpy(chunks[place_.chunk]->insert(place_.row, lsn, row.size()), row.data(), row.size());
  place_ = {};
  ++rows_;
  newest_lsn_ = std::max(newest_lsn_, lsn);
}

Admitted HotStore::load(const Snapshot& row, std::uint64_t lsn) {
  if (bytes_ + Chunk::kLargestBytes > max_bytes_) return Admitted::kFull;
  std::byte bytes[kMaxRowBytes];
  const std::size_t size = encode_row(row, present(row), row.instrument, bytes);
  const Admitted admitted = admit(row.instrument, {row.ts_event_ns(), row.ordinal}, size);
  if (admitted == Admitted::kNew) put({bytes, size}, lsn);
  return admitted;
}

// Halves a full chunk so that a late row finds room in one of the halves.
void HotStore::split(Line& line, std::size_t index) {
  const Chunk& full = *line.chunks[index];
  auto left = std::make_unique<Chunk>(memory_, full.bytes());
  auto right = std::make_unique<Chunk>(memory_, full.bytes());
  for (std::size_t i = 0; i < full.count(); ++i) (i < full.count() / 2 ? left : right)->append_copy(full, i);
  bytes_ += full.bytes();
  line.chunks[index] = std::move(left);
  line.chunks.insert(line.chunks.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(right));
}

void HotStore::drop_chunk(Line& line, std::size_t index) {
  const Chunk& chunk = *line.chunks[index];
  line.cold_max_ts = std::max(line.cold_max_ts, chunk.last_key().ts_event_ns);
  cold_max_ts_ = std::max(cold_max_ts_, line.cold_max_ts);
  if (index + 1 == line.chunks.size() && line.kept_key < chunk.last_key()) {
    const std::byte* newest = chunk.row(chunk.count() - 1);
    RowHead head;
    std::memcpy(&head, newest, sizeof head);
    line.kept.assign(newest, newest + row_bytes(head.mask));
    line.kept_key = chunk.last_key();
  }
  bytes_ -= chunk.bytes();
  rows_ -= chunk.count();
  evicted_ += chunk.count();
  evicted_lsn_ = std::max(evicted_lsn_, chunk.max_lsn());
  line.chunks.erase(line.chunks.begin() + static_cast<std::ptrdiff_t>(index));
}

// Evicts safe chunks, oldest written first, until an eighth of the bound is free: one sweep over the chunks pays
// for many rows. False when `bytes` more still do not fit.
bool HotStore::make_room(std::size_t bytes) {
  if (full_at_lsn_ == safe_lsn_) return false;
  struct Victim {
    std::uint64_t max_lsn;
    Line* line;
    const Chunk* chunk;
  };
  std::vector<Victim> victims;
  for (const auto& line : lines_) {
    if (!line) continue;
    for (const auto& chunk : line->chunks)
      if (chunk->max_lsn() <= safe_lsn_) victims.push_back({chunk->max_lsn(), line.get(), chunk.get()});
  }
  std::sort(victims.begin(), victims.end(), [](const Victim& a, const Victim& b) { return a.max_lsn < b.max_lsn; });
  const std::size_t goal = max_bytes_ - max_bytes_ / 8;
  for (const Victim& victim : victims) {
    if (bytes_ + bytes <= goal) break;
    auto& chunks = victim.line->chunks;
    const auto at = std::find_if(chunks.begin(), chunks.end(), [&](const auto& c) { return c.get() == victim.chunk; });
    drop_chunk(*victim.line, static_cast<std::size_t>(at - chunks.begin()));
  }
  if (bytes_ + bytes <= max_bytes_) return true;
  full_at_lsn_ = safe_lsn_;
  return false;
}

std::uint64_t HotStore::evict_through(std::uint64_t lsn) {
  const std::uint64_t before = evicted_;
  for (const auto& line : lines_) {
    if (!line) continue;
    for (std::size_t i = line->chunks.size(); i-- > 0;)
      if (line->chunks[i]->max_lsn() <= lsn) drop_chunk(*line, i);
  }
  full_at_lsn_ = std::numeric_limits<std::uint64_t>::max();
  return evicted_ - before;
}

void HotStore::note_cold(std::uint32_t instrument, std::int64_t ts_ns) {
  Line& line = line_for(instrument);
  line.cold_max_ts = std::max(line.cold_max_ts, ts_ns);
  cold_max_ts_ = std::max(cold_max_ts_, ts_ns);
}

void HotStore::keep(const Snapshot& row) {
  Line& line = line_for(row.instrument);
  const RowKey key{row.ts_event_ns(), row.ordinal};
  if (!line.kept.empty() && !(line.kept_key < key)) return;
  line.kept.resize(kMaxRowBytes);
  line.kept.resize(encode_row(row, present(row), row.instrument, line.kept.data()));
  line.kept.shrink_to_fit();
  line.kept_key = key;
}

std::int64_t HotStore::cold_max_ts(std::uint32_t instrument) const {
  const Line* found = line(instrument);
  return found ? found->cold_max_ts : kNever;
}

// ---- reading --------------------------------------------------------------------------------------------

bool HotStore::contains(std::uint32_t instrument, const RowKey& key) const {
  const Line* found = line(instrument);
  if (!found || found->chunks.empty()) return false;
  const Chunk& chunk = *found->chunks[chunk_for(*found, key)];
  const std::size_t at = chunk.lower_bound(key);
  return at < chunk.count() && chunk.key(at) == key;
}

// Instruments asked for that have a line, each once, in symbol order.
std::vector<std::uint32_t> HotStore::chosen(const HotQuery& query) const {
  std::vector<std::uint32_t> ids;
  if (query.all_instruments) {
    for (std::uint32_t i = 0; i < lines_.size(); ++i)
      if (lines_[i]) ids.push_back(i);
  } else {
    for (const std::uint32_t i : query.instruments)
      if (line(i)) ids.push_back(i);
  }
  const auto before = [this](std::uint32_t a, std::uint32_t b) {
    return a != b && instruments_.at(a).symbol < instruments_.at(b).symbol;
  };
  if (!std::is_sorted(ids.begin(), ids.end(), before)) std::sort(ids.begin(), ids.end(), before);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

// Rows of the line within the query's time. False when there are none.
bool HotStore::locate(const Line& line, const HotQuery& query, Range& range) {
  const auto bound = [&line](std::int64_t ts) {
    const RowKey key{ts, 0};
    const auto at = std::partition_point(line.chunks.begin(), line.chunks.end(),
                                         [&](const auto& chunk) { return chunk->last_key() < key; });
    const auto index = static_cast<std::size_t>(at - line.chunks.begin());
    return std::pair(index, at == line.chunks.end() ? std::size_t{0} : (*at)->lower_bound(key));
  };
  if (line.chunks.empty() || query.stop_ns <= query.start_ns) return false;
  range.line = &line;
  std::tie(range.chunk, range.row) = bound(query.start_ns);
  std::tie(range.end_chunk, range.end_row) =
      query.stop_ns == std::numeric_limits<std::int64_t>::max() ? std::pair(line.chunks.size(), std::size_t{0})
                                                                : bound(query.stop_ns);
  return range.chunk != range.end_chunk || range.row != range.end_row;
}

std::uint64_t HotStore::count(const HotQuery& query) const {
  std::uint64_t total = 0;
  for (const std::uint32_t id : chosen(query)) {
    Range range{};
    if (!locate(*lines_[id], query, range)) continue;
    for (std::size_t c = range.chunk; c <= range.end_chunk && c < range.line->chunks.size(); ++c) {
      const Chunk& chunk = *range.line->chunks[c];
      const std::size_t from = c == range.chunk ? range.row : 0;
      const std::size_t to = c == range.end_chunk ? range.end_row : chunk.count();
      if (chunk.min_lsn() > query.min_lsn) {
        total += to - from;
      } else if (chunk.max_lsn() > query.min_lsn) {
        for (std::size_t i = from; i < to; ++i) total += chunk.lsn(i) > query.min_lsn;
      }
    }
  }
  return query.limit == 0 ? total : std::min(total, query.limit);
}

namespace {

constexpr std::uint64_t kReservedRows = 1'024;

// The next row of one instrument while several are merged. `time_us` counts down when descending.
struct Head {
  std::int64_t time_us;
  std::uint32_t name;
  std::uint32_t cursor;
};

}  // namespace

// Rows of one instrument that no other's come between. A row is looked at only where its chunk has some that are too
// old: whoever reads the rows finds them in memory by himself, in one pass.
void HotStore::take(const Range& range, const HotQuery& query, std::uint64_t limit, std::vector<RowRef>& out) {
  const auto& chunks = range.line->chunks;
  const std::size_t last = std::min(range.end_chunk, chunks.size() - 1);
  out.reserve(std::min<std::uint64_t>(limit, kReservedRows));
  for (std::size_t n = range.chunk; n <= last; ++n) {
    const std::size_t c = query.descending ? last - (n - range.chunk) : n;
    const Chunk& chunk = *chunks[c];
    if (chunk.max_lsn() <= query.min_lsn) continue;
    const bool is_new = chunk.min_lsn() > query.min_lsn;
    const std::size_t from = c == range.chunk ? range.row : 0;
    const std::size_t to = c == range.end_chunk ? range.end_row : chunk.count();
    for (std::size_t i = from; i < to; ++i) {
      const std::size_t row = query.descending ? to - 1 - (i - from) : i;
      if (!is_new && chunk.lsn(row) <= query.min_lsn) continue;
      if (out.size() == limit) return;
      out.push_back({chunk.row(row), range.name});
    }
  }
}

void HotStore::scan(const HotQuery& query, HotRows& out) const {
  struct Cursor {
    Range range;
    std::size_t chunk, row;  // of the current row
  };
  const bool down = query.descending;
  std::vector<Cursor> cursors;

  // Moves a cursor to its next row above min_lsn, starting with the one it stands on. False at its end.
  const auto settle = [&](Cursor& c) {
    const Range& r = c.range;
    const auto& chunks = r.line->chunks;
    for (;;) {
      if (!down) {
        if (c.chunk == r.end_chunk ? c.row >= r.end_row : c.chunk > r.end_chunk) return false;
        if (c.row >= chunks[c.chunk]->count() || chunks[c.chunk]->max_lsn() <= query.min_lsn) {
          ++c.chunk;
          c.row = 0;
          continue;
        }
        if (chunks[c.chunk]->lsn(c.row) > query.min_lsn) return true;
        ++c.row;
      } else {  // row counts one past the row it stands on
        if (c.chunk == r.chunk ? c.row <= r.row : c.chunk < r.chunk) return false;
        if (c.row == 0 || chunks[c.chunk]->max_lsn() <= query.min_lsn) {
          if (c.chunk == 0) return false;
          --c.chunk;
          c.row = chunks[c.chunk]->count();
          continue;
        }
        if (chunks[c.chunk]->lsn(c.row - 1) > query.min_lsn) return true;
        --c.row;
      }
    }
  };
  const auto current = [&](const Cursor& c) -> std::pair<const Chunk*, std::size_t> {
    return {c.range.line->chunks[c.chunk].get(), down ? c.row - 1 : c.row};
  };
  const auto head_of = [&](std::uint32_t index) -> Head {
    const auto [chunk, row] = current(cursors[index]);
    const std::int64_t us = floor_div(chunk->key(row).ts_event_ns, 1000);
    return {us, cursors[index].range.name, index};
  };

  for (const std::uint32_t id : chosen(query)) {
    Cursor c{};
    if (!locate(*lines_[id], query, c.range)) continue;
    c.chunk = down ? c.range.end_chunk : c.range.chunk;
    c.row = down ? c.range.end_row : c.range.row;
    if (!settle(c)) continue;
    c.range.name = static_cast<std::uint32_t>(out.names.size());
    out.names.push_back(instruments_.at(id).symbol);
    cursors.push_back(c);
  }
  const std::uint64_t limit = query.limit == 0 ? std::numeric_limits<std::uint64_t>::max() : query.limit;
  if (cursors.size() == 1) return take(cursors[0].range, query, limit, out.rows);

  // Rows of one instrument stay together while no other comes between them, so the heap is only touched when
  // the lead changes.
  const auto later = [down](const Head& a, const Head& b) {
    if (a.time_us != b.time_us) return down ? a.time_us < b.time_us : a.time_us > b.time_us;
    return down ? a.name < b.name : a.name > b.name;
  };
  std::vector<Head> heap;
  for (std::uint32_t i = 0; i < cursors.size(); ++i) heap.push_back(head_of(i));
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty() && out.rows.size() < limit) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const std::uint32_t index = heap.back().cursor;
    Cursor& c = cursors[index];
    bool is_done = false;
    Head head = heap.back();
    do {
      const auto [chunk, row] = current(c);
      out.rows.push_back({chunk->row(row), c.range.name});
      c.row += down ? std::size_t(-1) : 1;
      is_done = !settle(c);
      if (!is_done && heap.size() > 1) head = head_of(index);  // alone it is compared with nothing
    } while (!is_done && out.rows.size() < limit && (heap.size() == 1 || !later(head, heap.front())));
    heap.pop_back();
    if (!is_done) {
      heap.push_back(head);
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
}

void HotStore::gather(Gathering& where, std::size_t count, HotRows& out) const {
  for (; where.at < where.instruments.size() && out.rows.size() < count; ++where.at, where.from_ns = where.start_ns) {
    const std::uint32_t id = where.instruments[where.at];
    const Line* const found = line(id);
    if (found == nullptr) continue;
    if (found->cold_max_ts >= where.from_ns) return;
    HotQuery query;
    query.start_ns = where.from_ns;
    query.stop_ns = where.stop_ns;
    Range range{};
    if (!locate(*found, query, range)) continue;
    const auto name = static_cast<std::uint32_t>(out.names.size());
    out.names.push_back(instruments_.at(id).symbol);
    std::int64_t last_us = kNever;
    for (std::size_t c = range.chunk; c <= range.end_chunk && c < found->chunks.size(); ++c) {
      const Chunk& chunk = *found->chunks[c];
      const std::size_t to = c == range.end_chunk ? range.end_row : chunk.count();
      for (std::size_t i = c == range.chunk ? range.row : 0; i < to; ++i) {
        const std::int64_t moment_us = floor_div(chunk.key(i).ts_event_ns, 1000);
        if (out.rows.size() >= count && moment_us != last_us) {
          where.from_ns = moment_us * 1000;
          return;
        }
        out.rows.push_back({chunk.row(i), name});
        last_us = moment_us;
      }
    }
  }
}

bool HotStore::latest(const HotQuery& query, HotRows& out) const {
  for (const std::uint32_t id : chosen(query)) {
    const Line& found = *lines_[id];
    const std::byte* row = nullptr;
    if (!found.chunks.empty() && found.kept_key < found.chunks.back()->last_key())
      row = found.chunks.back()->row(found.chunks.back()->count() - 1);
    else if (!found.kept.empty()) row = found.kept.data();
    if (row == nullptr) continue;
    std::int64_t ts_ns;
    std::memcpy(&ts_ns, row + offsetof(RowHead, ts_event_ns), sizeof ts_ns);
    if (ts_ns >= query.stop_ns) return false;
    if (ts_ns < query.start_ns) continue;
    if (query.limit != 0 && out.rows.size() == query.limit) break;
    out.rows.push_back({row, static_cast<std::uint32_t>(out.names.size())});
    out.names.push_back(instruments_.at(id).symbol);
  }
  return true;
}

}  // namespace qautlra
