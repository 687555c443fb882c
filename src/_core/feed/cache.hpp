// What a flush has already encoded: fragments (one instrument for one style, mask and spelling) and the
// contents of whole frames. Both live for one state of the tape and keep their storage for the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/buffer.hpp"
#include "market/encode.hpp"
#include "market/snapshot.hpp"

namespace qautlra {

// What of one instrument goes to a client.
struct Piece {
  Mask fields;
  std::uint32_t instrument;
  std::uint32_t shown;
  bool operator==(const Piece&) const = default;
};

inline std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 29);
}
inline std::uint64_t hash_piece(std::uint64_t hash, const Piece& piece) {
  return mix(mix(hash, piece.fields), std::uint64_t{piece.instrument} << 32 | piece.shown);
}

// Open addressing from hashes to entry numbers; clear() is one increment. Owner: the cache around it.
class HashIndex {
 public:
  HashIndex() : slots_(64) {}
  void clear() {
    used_ = 0;
    if (++epoch_ == 0) {  // wrapped: old marks would look new
      for (Slot& slot : slots_) slot.epoch = 0;
      epoch_ = 1;
    }
  }
  // The entry with this hash that `same` accepts, or -1.
  template <class Same>
  std::int64_t find(std::uint64_t hash, Same&& same) const {
    for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.epoch != epoch_) return -1;
      if (slot.tag == static_cast<std::uint32_t>(hash >> 32) && same(slot.entry)) return slot.entry;
    }
  }
  void reserve_one() {
    if ((used_ + 1) * 2 > slots_.size()) grow();
  }
  // After reserve_one(): cannot fail.
  void insert(std::uint64_t hash, std::uint32_t entry) noexcept {
    place(slots_, {epoch_, static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(hash), entry});
    ++used_;
  }

 private:
  struct Slot {
    std::uint32_t epoch = 0;
    std::uint32_t tag = 0;
    std::uint32_t low = 0;
    std::uint32_t entry = 0;
  };
  static void place(std::vector<Slot>& slots, const Slot& slot) noexcept {
    std::size_t at = slot.low & (slots.size() - 1);
    while (slots[at].epoch == slot.epoch) at = (at + 1) & (slots.size() - 1);
    slots[at] = slot;
  }
  void grow() {
    std::vector<Slot> wider(slots_.size() * 2);
    for (const Slot& slot : slots_)
      if (slot.epoch == epoch_) place(wider, slot);
    slots_.swap(wider);
  }

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  std::uint32_t epoch_ = 1;
};

// Owner: the hub. Bounded by the caller, who clears it when bytes() passes the limit.
class FragmentCache {
 public:
  struct Fragment {
    std::size_t offset;
    std::uint32_t bytes;
  };
  void clear() {
    entries_.clear();
    index_.clear();
    arena_.clear();
  }
  // `keyed`: the object comes with its key, `"SHFE.au2512":{...}`.
  Fragment get(Style style, const Piece& piece, bool keyed, const Snapshot& row, std::string_view shown) {
    const std::uint64_t hash = hash_piece(static_cast<std::uint64_t>(style) << 1 | keyed, piece);
    const std::int64_t found = index_.find(hash, [&](std::uint32_t at) {
      const Entry& entry = entries_[at];
      return entry.piece == piece && entry.style == style && entry.keyed == keyed;
    });
    if (found >= 0) {
      ++hits_;
      return entries_[static_cast<std::size_t>(found)].fragment;
    }
    ++misses_;
    index_.reserve_one();
    if (entries_.size() == entries_.capacity()) entries_.reserve(entries_.capacity() * 2 + 64);
    const std::size_t start = arena_.size();
    if (keyed) {
      arena_.push_back('"');
      arena_.append(shown);
      arena_.append(std::string_view("\":"));
    }
    encode_fields(style, row, piece.fields, false, shown, arena_);
    const Fragment fragment{start, static_cast<std::uint32_t>(arena_.size() - start)};
    index_.insert(hash, static_cast<std::uint32_t>(entries_.size()));
    entries_.push_back({piece, style, keyed, fragment});
    return fragment;
  }
  std::string_view text(const Fragment& f) const { return {arena_.data() + f.offset, f.bytes}; }
  std::size_t bytes() const { return arena_.size(); }
  std::uint64_t hits() const { return hits_; }
  std::uint64_t misses() const { return misses_; }

 private:
  struct Entry {
    Piece piece;
    Style style;
    bool keyed;
    Fragment fragment;
  };
  Buffer arena_;
  std::vector<Entry> entries_;
  HashIndex index_;
  std::uint64_t hits_ = 0, misses_ = 0;
};

// Frames whose bytes somebody keeps, numbered from 0 in each epoch, found again by what they were made of.
// Owner: the hub.
class FrameIndex {
 public:
  static constexpr std::size_t kMaxFrames = 1024;
  static constexpr std::size_t kMaxPieces = 1 << 18;     // 4 MiB of pieces
  static constexpr std::size_t kMaxBytes = 16 << 20;     // of frames kept by the caller

  struct Frame {
    std::uint64_t kind;  // options that shape the frame
    std::int64_t stamp_ns;
    std::size_t first_piece, pieces;
    std::size_t taken;  // of those pieces; fewer when the frame was full
    std::size_t bytes;
  };
  void clear() {
    frames_.clear();
    pieces_.clear();
    index_.clear();
    bytes_ = 0;
  }
  static std::uint64_t hash(std::uint64_t kind, std::int64_t stamp_ns, const std::vector<Piece>& pieces) {
    std::uint64_t h = mix(kind, static_cast<std::uint64_t>(stamp_ns));
    for (const Piece& piece : pieces) h = hash_piece(h, piece);
    return h;
  }
  std::int64_t find(std::uint64_t hash, std::uint64_t kind, std::int64_t stamp_ns,
                    const std::vector<Piece>& pieces) const {
    return index_.find(hash, [&](std::uint32_t at) {
      const Frame& f = frames_[at];
      if (f.kind != kind || f.stamp_ns != stamp_ns || f.pieces != pieces.size()) return false;
      for (std::size_t i = 0; i < pieces.size(); ++i)
        if (!(pieces_[f.first_piece + i] == pieces[i])) return false;
      return true;
    });
  }
  // Whether a frame of this size will be kept; makes room so that add() cannot fail.
  bool reserve(std::size_t pieces, std::size_t frame_bytes) {
    if (frames_.size() >= kMaxFrames || pieces_.size() + pieces > kMaxPieces ||
        bytes_ + frame_bytes > kMaxBytes)
      return false;
    index_.reserve_one();
    if (frames_.size() == frames_.capacity()) frames_.reserve(frames_.capacity() * 2 + 16);
    if (pieces_.size() + pieces > pieces_.capacity()) pieces_.reserve((pieces_.size() + pieces) * 2);
    return true;
  }
  void add(std::uint64_t hash, std::uint64_t kind, std::int64_t stamp_ns, const std::vector<Piece>& pieces,
           std::size_t taken, std::size_t frame_bytes) noexcept {
    index_.insert(hash, static_cast<std::uint32_t>(frames_.size()));
    frames_.push_back({kind, stamp_ns, pieces_.size(), pieces.size(), taken, frame_bytes});
    pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
    bytes_ += frame_bytes;
  }
  const Frame& at(std::int64_t number) const { return frames_[static_cast<std::size_t>(number)]; }
  std::size_t size() const { return frames_.size(); }

 private:
  std::vector<Frame> frames_;
  std::vector<Piece> pieces_;
  HashIndex index_;
  std::size_t bytes_ = 0;
};

}  // namespace qautlra
