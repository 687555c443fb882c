// The hot tier: the newest rows of every instrument in memory, encoded, in time order, ready to be scanned.
//
// Bounded in bytes. Rows at or below the safe LSN (they are in Parquet) make way for new ones, oldest written
// first; rows above it stay, and when nothing may go the tier is full and says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "market/instrument.hpp"
#include "market/snapshot.hpp"
#include "store/arrow_rows.hpp"
#include "store/chunk_memory.hpp"
#include "store/row_codec.hpp"

namespace qautlra {

enum class Admitted : std::uint8_t {
  kNew,
  kDuplicate,  // a row with this identity is here
  kFull,       // no room, and nothing may be evicted
};

// Order of the rows of one instrument, and with it their identity.
struct RowKey {
  std::int64_t ts_event_ns;
  std::uint32_t ordinal;
  friend bool operator==(const RowKey&, const RowKey&) = default;
  friend auto operator<=>(const RowKey&, const RowKey&) = default;
};

// A slotted block of rows in key order: data grows up, two-byte places (in words of 8) grow down from the end.
// Owner: one line of the hot store.
class Chunk {
 public:
  static constexpr std::size_t kSmallestBytes = ChunkMemory::kSmallest;
  static constexpr std::size_t kLargestBytes = kSmallestBytes << (ChunkMemory::kSizes - 1);
  static constexpr std::size_t kRowOverhead = 8 + 2;  // LSN and place

  Chunk(ChunkMemory& memory, std::size_t bytes) : memory_(memory), bytes_(bytes), data_(memory.take(bytes)) {}
  ~Chunk() { memory_.give(data_, bytes_); }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  std::size_t bytes() const { return bytes_; }
  std::size_t count() const { return count_; }
  bool fits(std::size_t encoded) const { return used_ + 2 * count_ + encoded + kRowOverhead <= bytes_; }
  std::uint64_t max_lsn() const { return max_lsn_; }
  std::uint64_t min_lsn() const { return min_lsn_; }

  const std::byte* row(std::size_t i) const { return data_ + 8 * place(i) + 8; }
  std::uint64_t lsn(std::size_t i) const { return load<std::uint64_t>(data_ + 8 * place(i)); }
  RowKey key(std::size_t i) const {
    const std::byte* at = row(i);
    return {load<std::int64_t>(at + offsetof(RowHead, ts_event_ns)), load<std::uint32_t>(at + offsetof(RowHead, ordinal))};
  }
  RowKey first_key() const { return key(0); }
  RowKey last_key() const { return key(count_ - 1); }
  std::size_t lower_bound(const RowKey& wanted) const;  // first row not below `wanted`

  // Space for one more row before row `i`; the caller encodes into it. Must fit.
  std::byte* insert(std::size_t i, std::uint64_t lsn, std::size_t encoded);
  void append_copy(const Chunk& from, std::size_t i);

 private:
  template <class T>
  static T load(const std::byte* at) {
    T x;
    std::memcpy(&x, at, sizeof x);
    return x;
  }
  std::size_t place(std::size_t i) const { return load<std::uint16_t>(data_ + bytes_ - 2 * (i + 1)); }

  ChunkMemory& memory_;
  std::size_t bytes_;
  std::size_t used_ = 0;
  std::size_t count_ = 0;
  std::uint64_t max_lsn_ = 0;
  std::uint64_t min_lsn_ = std::numeric_limits<std::uint64_t>::max();
  std::byte* data_;
};

struct HotQuery {
  bool all_instruments = true;
  std::span<const std::uint32_t> instruments;  // duplicates and unknown ones are ignored
  std::int64_t start_ns = std::numeric_limits<std::int64_t>::min();
  std::int64_t stop_ns = std::numeric_limits<std::int64_t>::max();  // half open
  std::uint64_t min_lsn = 0;  // only rows above it
  std::uint64_t limit = 0;    // 0: all; else the first that many in the order asked for
  bool descending = false;
};

// Rows found, in order (datetime in microseconds, symbol, ordinal). Points into the store: use before it changes.
struct HotRows {
  std::vector<RowRef> rows;
  std::vector<std::string_view> names;
};

// Rows taken instrument by instrument, a part at a time, while the store may change between two parts: where it goes on.
// Owner: the caller.
struct Gathering {
  std::span<const std::uint32_t> instruments;
  std::int64_t start_ns, stop_ns;  // half open, whole microseconds
  std::size_t at = 0;              // the instrument that comes next
  std::int64_t from_ns = 0;        // and the moment its rows come from
};

// Owner: one thread at a time (under Python: whoever holds the interpreter lock).
class HotStore {
 public:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();

  HotStore(const InstrumentTable& instruments, std::size_t max_bytes)
      : instruments_(instruments), max_bytes_(max_bytes) {}
  HotStore(const HotStore&) = delete;
  HotStore& operator=(const HotStore&) = delete;

  // In two steps, so that a row gets its LSN only when it has a place: admit() finds the place (evicting where it
  // must) for a row of `encoded` bytes; put() fills it, or it is left unused. `forced` goes over the bound: recovery.
  // The encoded row's number is its instrument's id.
  Admitted admit(std::uint32_t instrument, const RowKey& key, std::size_t encoded, bool forced = false);
  void put(std::span<const std::byte> row, std::uint64_t lsn);

  // A row that is in Parquet, under an LSN at or below the safe one. kFull at the bound: nothing is evicted for it.
  Admitted load(const Snapshot& row, std::uint64_t lsn);

  bool contains(std::uint32_t instrument, const RowKey& key) const;
  void scan(const HotQuery& query, HotRows& out) const;
  std::uint64_t count(const HotQuery& query) const;
  // About `count` of the rows that come next, more when one moment has more, moments never cut; none when the next
  // instrument has older rows that are not here any more, or at the end.
  void gather(Gathering& where, std::size_t count, HotRows& out) const;
  // The newest row of each instrument, of those in the query's time; false when one is newer than that: only the
  // files know then. `min_lsn` and `descending` mean nothing here.
  bool latest(const HotQuery& query, HotRows& out) const;

  // Newest event time of rows of the instrument that are not here any more, or never were; kNever when all are.
  std::int64_t cold_max_ts(std::uint32_t instrument) const;
  std::int64_t cold_max_ts() const { return cold_max_ts_; }
  void note_cold(std::uint32_t instrument, std::int64_t ts_ns);
  void keep(const Snapshot& row);  // as the newest of its instrument there is, unless a newer one is known

  void set_safe_lsn(std::uint64_t lsn) { safe_lsn_ = std::max(safe_lsn_, lsn); }
  std::uint64_t safe_lsn() const { return safe_lsn_; }
  std::uint64_t evict_through(std::uint64_t lsn);  // all blocks of rows at or below it; rows that went

  std::size_t bytes() const { return bytes_; }
  std::size_t max_bytes() const { return max_bytes_; }
  std::uint64_t rows() const { return rows_; }
  std::uint64_t evicted() const { return evicted_; }
  std::uint64_t newest_lsn() const { return newest_lsn_; }    // of the rows that were ever put here
  std::uint64_t evicted_lsn() const { return evicted_lsn_; }  // newest of those that went: all above it are here
  const InstrumentTable& instruments() const { return instruments_; }

 private:
  struct Line {
    std::deque<std::unique_ptr<Chunk>> chunks;  // in key order, no overlap, none empty
    std::int64_t cold_max_ts = kNever;
    std::vector<std::byte> kept;  // the newest row, once its chunk was evicted
    RowKey kept_key{kNever, 0};
  };
  struct Range {  // rows of one line as (chunk, row) pairs, begin <= end
    const Line* line;
    std::uint32_t name;
    std::size_t chunk, row, end_chunk, end_row;
  };

  Line& line_for(std::uint32_t instrument);
  const Line* line(std::uint32_t instrument) const {
    return instrument < lines_.size() ? lines_[instrument].get() : nullptr;
  }
  static std::size_t chunk_for(const Line& line, const RowKey& key);
  bool make_room(std::size_t bytes);
  void drop_chunk(Line& line, std::size_t index);
  void split(Line& line, std::size_t index);
  std::vector<std::uint32_t> chosen(const HotQuery& query) const;
  static bool locate(const Line& line, const HotQuery& query, Range& range);
  static void take(const Range& range, const HotQuery& query, std::uint64_t limit, std::vector<RowRef>& out);

  const InstrumentTable& instruments_;
  const std::size_t max_bytes_;
  ChunkMemory memory_;  // outlives the chunks
  std::vector<std::unique_ptr<Line>> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t newest_lsn_ = 0;
  std::uint64_t evicted_lsn_ = 0;
  std::uint64_t safe_lsn_ = 0;
  std::uint64_t full_at_lsn_ = std::numeric_limits<std::uint64_t>::max();  // safe LSN when the last sweep freed too little
  std::int64_t cold_max_ts_ = kNever;

  // From admit() to put(): before row `row` of chunk `chunk`, or in a new chunk of `new_bytes` put there.
  struct Place {
    Line* line = nullptr;
    std::size_t chunk = 0, row = 0, new_bytes = 0;
  };
  Place place_;
};

}  // namespace qautlra
