// What both entropy coders of Zstandard are read with: bits from the end of a stream, and tables of finite states.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace qautlra::zstd {

// A stream read from its last bit to its first. Owner: one call on the stack; the bytes must outlive it. Reading
// past the beginning gives anything and is told by `overrun` after the next `refill`.
class BackwardBits {
 public:
  // False when there is no mark of the end in the last byte.
  bool open(std::span<const std::uint8_t> in) {
    if (in.empty() || in.back() == 0) return false;
    begin_ = in.data();
    const auto unused = static_cast<unsigned>(std::countl_zero(in.back())) + 1;
    if (in.size() >= 8) {
      at_ = begin_ + in.size() - 8;
      std::memcpy(&word_, at_, 8);
      used_ = unused;
    } else {
      at_ = begin_;
      word_ = 0;
      std::memcpy(&word_, begin_, in.size());
      used_ = unused + static_cast<unsigned>(8 - in.size()) * 8;
    }
    return true;
  }

  // The next `count` (0 to 56 since the last refill, together) bits.
  std::uint64_t peek(unsigned count) const { return ((word_ << (used_ & 63)) >> 1) >> (63 - count); }
  void skip(unsigned count) { used_ += count; }
  std::uint64_t read(unsigned count) {
    const std::uint64_t found = peek(count);
    skip(count);
    return found;
  }

  void refill() {
    if (used_ > 64 || at_ == begin_) return;
    std::size_t bytes = used_ >> 3;
    const auto left = static_cast<std::size_t>(at_ - begin_);
    if (bytes > left) bytes = left;
    at_ -= bytes;
    used_ -= static_cast<unsigned>(bytes) * 8;
    std::memcpy(&word_, at_, 8);
  }

  bool overrun() const { return used_ > 64; }
  bool is_done() const { return at_ == begin_ && used_ == 64; }

 private:
  const std::uint8_t* begin_ = nullptr;
  const std::uint8_t* at_ = nullptr;
  std::uint64_t word_ = 0;
  unsigned used_ = 0;
};

// A table of finite states with at most 2^kMostLog of them. Owner: one call.
template <unsigned kMostLog>
class States {
 public:
  struct State {
    std::uint8_t symbol;
    std::uint8_t bits;
    std::uint16_t base;
  };

  // Reads a table's description; returns the bytes it took, 0 when it is not one of symbols up to `last_symbol`.
  std::size_t read(std::span<const std::uint8_t> in, unsigned last_symbol) {
    std::array<std::int16_t, 256> counts;
    std::size_t bit = 0;
    const auto bits = [&](unsigned count) {
      std::uint32_t found = 0;
      for (unsigned k = 0; k < count; ++k, ++bit)
        if (bit / 8 < in.size()) found |= static_cast<std::uint32_t>((in[bit / 8] >> (bit % 8)) & 1) << k;
      return found;
    };
    const unsigned log = bits(4) + 5;
    if (log > kMostLog) return 0;
    int left = (1 << log) + 1;
    unsigned symbol = 0;
    while (left > 1 && symbol <= last_symbol) {
      const unsigned width = static_cast<unsigned>(std::bit_width(static_cast<unsigned>(left)));
      const std::uint32_t low_mask = (1u << (width - 1)) - 1;
      const std::uint32_t threshold = (1u << width) - 1 - static_cast<std::uint32_t>(left);
      std::uint32_t value = bits(width - 1);
      if ((value & low_mask) >= threshold) {
        value |= bits(1) << (width - 1);
        if (value > low_mask) value -= threshold;
      }
      const int count = static_cast<int>(value) - 1;
      left -= count < 0 ? 1 : count;
      counts[symbol++] = static_cast<std::int16_t>(count);
      if (count == 0) {
        for (std::uint32_t more = 3; more == 3;) {
          more = bits(2);
          for (std::uint32_t k = 0; k < more; ++k) {
            if (symbol > last_symbol) return 0;
            counts[symbol++] = 0;
          }
        }
      }
    }
    const std::size_t taken = (bit + 7) / 8;
    if (left != 1 || taken > in.size()) return 0;
    return build({counts.data(), symbol}, log) ? taken : 0;
  }

  // Makes the table of these shares, -1 for less than one.
  bool build(std::span<const std::int16_t> counts, unsigned log) {
    log_ = log;
    const unsigned size = 1u << log;
    std::array<std::uint16_t, 256> next;
    unsigned high = size;
    for (std::size_t s = 0; s < counts.size(); ++s) {
      next[s] = static_cast<std::uint16_t>(counts[s] < 0 ? 1 : counts[s]);
      if (counts[s] >= 0) continue;
      if (high == 0) return false;
      table_[--high].symbol = static_cast<std::uint8_t>(s);
    }
    const unsigned step = (size >> 1) + (size >> 3) + 3, mask = size - 1;
    unsigned at = 0;
    for (std::size_t s = 0; s < counts.size(); ++s)
      for (int k = 0; k < counts[s]; ++k) {
        if (high == 0) return false;
        table_[at].symbol = static_cast<std::uint8_t>(s);
        do at = (at + step) & mask;
        while (at >= high);
      }
    if (at != 0) return false;
    for (unsigned k = 0; k < size; ++k) {
      const unsigned x = next[table_[k].symbol]++;
      const unsigned bits = log + 1 - static_cast<unsigned>(std::bit_width(x));
      table_[k].bits = static_cast<std::uint8_t>(bits);
      table_[k].base = static_cast<std::uint16_t>((x << bits) - size);
    }
    return true;
  }

  // Always the same symbol, which takes no bits.
  void only(std::uint8_t symbol) {
    log_ = 0;
    table_[0] = {symbol, 0, 0};
  }

  unsigned log() const { return log_; }
  // `state` comes from `log()` bits or from a state's base and bits: it is always within the table.
  const State& operator[](std::size_t state) const { return table_[state]; }

 private:
  unsigned log_ = 0;
  std::array<State, 1u << kMostLog> table_;
};

}  // namespace qautlra::zstd
