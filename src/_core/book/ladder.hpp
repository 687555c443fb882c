// One side of a book: price levels as an array over the ticks of the price band, each the two ends of a queue,
// and a two-level bitmap of those in use.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/block.hpp"
#include "book/types.hpp"

namespace qautlra::book {

struct Level {
  std::uint32_t head;  // slots; 0: empty
  std::uint32_t tail;
  std::int64_t volume;
};
static_assert(sizeof(Level) == 16);

// Owner: the ladder. Levels 0 .. size-1.
class Bitmap {
 public:
  bool reset(std::uint32_t size) {
    words_ = (size + 63) / 64;
    groups_ = (words_ + 63) / 64;
    word_ = zeroed<std::uint64_t>(words_);
    group_ = zeroed<std::uint64_t>(groups_);
    return word_ && group_;
  }
  void set(std::uint32_t i) {
    word_[i >> 6] |= std::uint64_t{1} << (i & 63);
    group_[i >> 12] |= std::uint64_t{1} << ((i >> 6) & 63);
  }
  void clear(std::uint32_t i) {
    if ((word_[i >> 6] &= ~(std::uint64_t{1} << (i & 63))) == 0)
      group_[i >> 12] &= ~(std::uint64_t{1} << ((i >> 6) & 63));
  }
  // Lowest level in use at or above i, `none` when there is none.
  std::int32_t at_or_above(std::uint32_t i, std::int32_t none) const {
    const std::uint32_t word = i >> 6;
    if (word >= words_) return none;
    if (const std::uint64_t rest = word_[word] >> (i & 63))
      return static_cast<std::int32_t>(i) + std::countr_zero(rest);
    const std::uint32_t next = word + 1;
    if (next >= words_) return none;
    std::uint32_t g = next >> 6;
    std::uint64_t rest = (group_[g] >> (next & 63)) << (next & 63);
    while (rest == 0) {
      if (++g >= groups_) return none;
      rest = group_[g];
    }
    const std::uint32_t found = (g << 6) + static_cast<std::uint32_t>(std::countr_zero(rest));
    return static_cast<std::int32_t>(found << 6) + std::countr_zero(word_[found]);
  }
  // Highest level in use at or below i, `none` when there is none.
  std::int32_t at_or_below(std::int32_t i, std::int32_t none) const {
    if (i < 0) return none;
    const std::uint32_t word = static_cast<std::uint32_t>(i) >> 6;
    if (const std::uint64_t rest = word_[word] << (63 - (i & 63))) return i - std::countl_zero(rest);
    if (word == 0) return none;
    const std::uint32_t next = word - 1;
    std::uint32_t g = next >> 6;
    std::uint64_t rest = group_[g] << (63 - (next & 63));
    if (rest != 0) return last_of(next - static_cast<std::uint32_t>(std::countl_zero(rest)));
    while (g-- > 0)
      if (group_[g] != 0) return last_of((g << 6) + 63 - static_cast<std::uint32_t>(std::countl_zero(group_[g])));
    return none;
  }

 private:
  std::int32_t last_of(std::uint32_t word) const {
    return static_cast<std::int32_t>(word << 6) + 63 - std::countl_zero(word_[word]);
  }
  Block<std::uint64_t> word_;
  Block<std::uint64_t> group_;
  std::uint32_t words_ = 0;
  std::uint32_t groups_ = 0;
};

// Owner: the book. The best level of an empty side is one that no price crosses.
template <Side kSide>
struct Ladder {
  static constexpr std::int32_t kEmpty = kSide == Side::kBuy ? -1 : std::numeric_limits<std::int32_t>::max();

  Block<Level> levels;
  Bitmap used;
  std::int32_t best = kEmpty;

  bool reset(std::uint32_t size) {
    levels = zeroed<Level>(size);
    best = kEmpty;
    return levels && used.reset(size);
  }
  bool empty() const { return best == kEmpty; }
  // Whether an order of the other side with this limit trades with level `at`.
  static constexpr bool crossed(std::int32_t at, std::int32_t limit) {
    return kSide == Side::kSell ? at <= limit : at >= limit;
  }
  void opened(std::int32_t at) {
    used.set(static_cast<std::uint32_t>(at));
    if (kSide == Side::kBuy ? at > best : at < best) best = at;
  }
  void emptied(std::int32_t at) {
    used.clear(static_cast<std::uint32_t>(at));
    if (at == best) best = worse(at);
  }
  // The next level in use behind `at`.
  std::int32_t worse(std::int32_t at) const {
    if constexpr (kSide == Side::kBuy) return used.at_or_below(at - 1, kEmpty);
    else return used.at_or_above(static_cast<std::uint32_t>(at) + 1, kEmpty);
  }
};

}  // namespace qautlra::book
