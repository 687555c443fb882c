#include "store/zstd.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include "store/zstd_bits.hpp"

namespace qautlra {
namespace {

using zstd::BackwardBits;
using zstd::States;

using Bytes = std::span<const std::uint8_t>;
using Room = std::span<std::uint8_t>;

constexpr std::uint32_t kMagic = 0xFD2FB528u;
constexpr std::size_t kBlockBytes = 128 << 10;
constexpr std::size_t kSlackBytes = 32;  // behind literals, so that copies may go on in whole words
constexpr unsigned kCodeLog = 11;        // of the longest Huffman code
constexpr unsigned kLengthLog = 9, kOffsetLog = 8;
constexpr unsigned kLastLiteral = 35, kLastOffset = 31, kLastMatch = 52;

constexpr std::array<std::int16_t, 36> kLiteralShares = {4, 3, 2, 2, 2, 2, 2, 2, 2, 2,  2,  2,
                                                         2, 1, 1, 1, 2, 2, 2, 2, 2, 2,  2,  2,
                                                         2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1};
constexpr std::array<std::int16_t, 29> kOffsetShares = {1, 1, 1, 1, 1, 1, 2, 2, 2, 1,  1,  1,  1,  1, 1,
                                                        1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1};
constexpr std::array<std::int16_t, 53> kMatchShares = {
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1};
constexpr std::array<std::uint32_t, 36> kLiteralBase = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,  11,  12,  13,   14,   15,   16,   18,
    20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
constexpr std::array<std::uint8_t, 36> kLiteralBits = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,
                                                       0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3,  3,
                                                       4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
constexpr std::array<std::uint32_t, 53> kMatchBase = {
    3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,  16,  17,  18,   19,   20,
    21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,  34,  35,  37,   39,   41,
    43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539};
constexpr std::array<std::uint8_t, 53> kMatchBits = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

std::uint64_t little(Bytes in, std::size_t at, std::size_t count) {
  std::uint64_t found = 0;
  for (std::size_t k = 0; k < count; ++k) found |= static_cast<std::uint64_t>(in[at + k]) << (8 * k);
  return found;
}

// Huffman codes of literals. Owner: a Frame.
class Codes {
 public:
  // Reads their description; returns the bytes it took, 0 when it is none.
  std::size_t read(Bytes in) {
    if (in.empty()) return 0;
    const std::size_t head = in[0];
    std::size_t count = 0, taken = 0;
    if (head >= 128) {
      count = head - 127;
      taken = 1 + (count + 1) / 2;
      if (taken > in.size()) return 0;
      for (std::size_t k = 0; k < count; ++k)
        weights_[k] = static_cast<std::uint8_t>(k & 1 ? in[1 + k / 2] & 15 : in[1 + k / 2] >> 4);
    } else {
      taken = 1 + head;
      if (head == 0 || taken > in.size()) return 0;
      count = coded(in.subspan(1, head));
      if (count == 0) return 0;
    }
    return build(count) ? taken : 0;
  }

  bool is_known() const { return log_ != 0; }
  void forget() { log_ = 0; }

  bool decode(Bytes in, Room out) const {
    BackwardBits bits;
    if (!bits.open(in)) return false;
    std::uint8_t* at = out.data();
    std::uint8_t* const end = at + out.size();
    for (; end - at >= 5; at += 5) {  // of 11 bits each
      bits.refill();
      for (int k = 0; k < 5; ++k) at[k] = one(bits);
    }
    for (; at < end; ++at) {
      bits.refill();
      *at = one(bits);
    }
    bits.refill();
    return bits.is_done();
  }

  // Four streams side by side, which a processor decodes at once.
  bool decode4(Bytes in, Room out) const {
    if (in.size() < 10) return false;
    const std::size_t each = (out.size() + 3) / 4;
    if (each * 3 > out.size()) return false;
    std::array<BackwardBits, 4> bits;
    std::size_t at = 6;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t size = k < 3 ? little(in, 2 * k, 2) : in.size() - std::min(at, in.size());
      if (at + size > in.size() || !bits[k].open(in.subspan(at, size))) return false;
      at += size;
    }
    std::uint8_t* to = out.data();
    const std::size_t last = out.size() - 3 * each;  // the shortest
    std::size_t row = 0;
    for (; row + 5 <= last; row += 5) {
      for (auto& one_stream : bits) one_stream.refill();
      for (std::size_t k = 0; k < 5; ++k)
        for (std::size_t s = 0; s < 4; ++s) to[s * each + row + k] = one(bits[s]);
    }
    for (std::size_t s = 0; s < 4; ++s) {
      const std::size_t stop = s < 3 ? each : last;
      for (std::size_t r = row; r < stop; ++r) {
        bits[s].refill();
        to[s * each + r] = one(bits[s]);
      }
      bits[s].refill();
      if (!bits[s].is_done()) return false;
    }
    return true;
  }

 private:
  struct Entry {
    std::uint8_t symbol;
    std::uint8_t bits;
  };

  std::uint8_t one(BackwardBits& bits) const {
    const Entry& found = table_[bits.peek(log_)];
    bits.skip(found.bits);
    return found.symbol;
  }

  // Weights by finite states, two of them in turn until the bits are used up; returns how many, 0: not that.
  std::size_t coded(Bytes in) {
    States<6> states;
    const std::size_t head = states.read(in, 255);
    BackwardBits bits;
    if (head == 0 || !bits.open(in.subspan(head))) return 0;
    std::array<std::size_t, 2> state;
    for (auto& first : state) first = bits.read(states.log());
    bits.refill();
    if (bits.overrun()) return 0;
    std::size_t count = 0;
    for (std::size_t turn = 0; count < 254; turn ^= 1) {
      const auto& now = states[state[turn]];
      weights_[count++] = now.symbol;
      state[turn] = now.base + bits.read(now.bits);
      bits.refill();
      if (bits.overrun()) {  // there was no more to read: the other state holds the last one
        weights_[count++] = states[state[turn ^ 1]].symbol;
        return count;
      }
    }
    return 0;
  }

  // Makes the table of `count` weights and the one that follows from them.
  bool build(std::size_t count) {
    log_ = 0;
    std::uint32_t sum = 0;
    for (std::size_t k = 0; k < count; ++k) {
      if (weights_[k] > kCodeLog) return false;
      if (weights_[k]) sum += 1u << (weights_[k] - 1);
    }
    if (sum == 0) return false;
    const auto log = static_cast<unsigned>(std::bit_width(sum));
    const std::uint32_t rest = (1u << log) - sum;
    if (log > kCodeLog || !std::has_single_bit(rest)) return false;
    weights_[count++] = static_cast<std::uint8_t>(std::bit_width(rest));
    std::array<std::uint32_t, kCodeLog + 2> start{};
    for (std::size_t k = 0; k < count; ++k)
      if (weights_[k]) start[weights_[k] + 1u] += 1u << (weights_[k] - 1);
    for (std::size_t w = 1; w < start.size(); ++w) start[w] += start[w - 1];
    for (std::size_t k = 0; k < count; ++k) {
      const unsigned weight = weights_[k];
      if (!weight) continue;
      const Entry entry{static_cast<std::uint8_t>(k), static_cast<std::uint8_t>(log + 1 - weight)};
      std::fill_n(table_.begin() + start[weight], 1u << (weight - 1), entry);
      start[weight] += 1u << (weight - 1);
    }
    log_ = log;
    return true;
  }

  unsigned log_ = 0;
  std::array<std::uint8_t, 256> weights_;
  std::array<Entry, 1u << kCodeLog> table_;
};

void copy_match(std::uint8_t* to, std::size_t distance, std::size_t size, std::size_t room) {
  const std::uint8_t* from = to - distance;
  if (distance >= 16 && room >= size + 16) {
    for (std::size_t k = 0; k < size; k += 16) std::memcpy(to + k, from + k, 16);
  } else if (distance == 8 && room >= size + 8) {  // the same number again and again
    std::uint64_t word;
    std::memcpy(&word, from, 8);
    for (std::size_t k = 0; k < size; k += 8) std::memcpy(to + k, &word, 8);
  } else if (distance > 8 && room >= size + 8) {
    for (std::size_t k = 0; k < size; k += 8) std::memcpy(to + k, from + k, 8);
  } else {
    for (std::size_t k = 0; k < size; ++k) to[k] = from[k];
  }
}

// One frame being decoded. Owner: the calling thread, kept between calls: its tables are large.
class Frame {
 public:
  bool decode(Bytes in, Room out) {
    std::size_t at = 0;
    if (!head(in, out.size(), at)) return false;
    codes_.forget();
    repeats_ = {1, 4, 8};
    has_literal_ = has_offset_ = has_match_ = false;
    out_ = out;
    written_ = 0;
    for (bool is_last = false; !is_last;) {
      if (in.size() - at < 3) return false;
      const auto block = static_cast<std::uint32_t>(little(in, at, 3));
      at += 3;
      is_last = block & 1;
      const std::size_t size = block >> 3;
      const unsigned kind = (block >> 1) & 3;
      const std::size_t taken = kind == 1 ? 1 : size;
      if (size > kBlockBytes || in.size() - at < taken) return false;
      if (kind == 2) {
        if (!packed(in.subspan(at, size))) return false;
      } else {
        if (kind == 3 || out_.size() - written_ < size) return false;
        if (kind == 0) std::copy_n(in.data() + at, size, out_.data() + written_);
        if (kind == 1) std::fill_n(out_.data() + written_, size, in[at]);
        written_ += size;
      }
      at += taken;
    }
    return written_ == out.size() && in.size() - at == (has_checksum_ ? 4u : 0u);
  }

 private:
  bool head(Bytes in, std::size_t size, std::size_t& at) {
    if (in.size() < 6 || little(in, 0, 4) != kMagic) return false;
    const unsigned flags = in[4];
    const bool is_single = flags & 32;
    if (flags & (8 | 3)) return false;  // reserved; a dictionary
    has_checksum_ = flags & 4;
    at = 5 + !is_single;
    const std::size_t width = flags >> 6 ? std::size_t{1} << (flags >> 6) : is_single;
    if (in.size() - at < width) return false;
    if (width && little(in, at, width) + (width == 2 ? 256 : 0) != size) return false;
    at += width;
    return true;
  }

  bool packed(Bytes in) {
    const std::size_t taken = literals(in);
    return taken != 0 && sequences(in.subspan(taken));
  }

  // Returns the bytes the section took, 0 when it is none.
  std::size_t literals(Bytes in) {
    if (in.empty()) return 0;
    const unsigned kind = in[0] & 3, form = (in[0] >> 2) & 3;
    if (kind < 2) {
      const std::size_t head = form == 1 ? 2 : form == 3 ? 3 : 1;
      if (in.size() < head) return 0;
      const std::size_t size = little(in, 0, head) >> (head == 1 ? 3 : 4);
      const std::size_t held = kind ? 1 : size;
      if (size > kBlockBytes || in.size() - head < held) return 0;
      if (kind) {
        std::fill_n(text_.data(), size, in[head]);
      } else {
        std::copy_n(in.data() + head, size, text_.data());
      }
      text_size_ = size;
      return head + held;
    }
    const std::size_t head = form < 2 ? 3 : form + 2u;
    if (in.size() < head) return 0;
    const unsigned width = form < 2 ? 10 : form == 2 ? 14 : 18;
    const std::uint64_t sizes = little(in, 0, head) >> 4;
    const std::size_t size = sizes & ((1u << width) - 1), held = sizes >> width;
    if (size > kBlockBytes || held == 0 || in.size() - head < held) return 0;
    Bytes streams = in.subspan(head, held);
    if (kind == 2) {
      const std::size_t taken = codes_.read(streams);
      if (taken == 0) return 0;
      streams = streams.subspan(taken);
    }
    if (!codes_.is_known()) return 0;
    const Room room{text_.data(), size};
    if (!(form == 0 ? codes_.decode(streams, room) : codes_.decode4(streams, room))) return 0;
    text_size_ = size;
    return head + held;
  }

  template <unsigned kLog, std::size_t kCount>
  static bool table(States<kLog>& states, bool& is_known, unsigned mode, Bytes& in,
                    const std::array<std::int16_t, kCount>& shares, unsigned share_log, unsigned last) {
    std::size_t taken = 0;
    if (mode == 0) {
      states.build(shares, share_log);
    } else if (mode == 1) {
      if (in.empty() || in[0] > last) return false;
      states.only(in[0]);
      taken = 1;
    } else if (mode == 2) {
      taken = states.read(in, last);
      if (taken == 0) return false;
    } else if (!is_known) {
      return false;
    }
    in = in.subspan(taken);
    is_known = true;
    return true;
  }

  bool sequences(Bytes in) {
    if (in.empty()) return false;
    std::size_t count = in[0], head = 1;
    if (count >= 128) {
      head = count == 255 ? 3 : 2;
      if (in.size() < head) return false;
      count = count == 255 ? little(in, 1, 2) + 0x7F00 : ((count - 128) << 8) + in[1];
    }
    in = in.subspan(head);
    if (count == 0) return in.empty() && finish(0);
    if (in.empty() || (in[0] & 3)) return false;
    const unsigned modes = in[0];
    in = in.subspan(1);
    if (!table(literal_, has_literal_, modes >> 6, in, kLiteralShares, 6, kLastLiteral) ||
        !table(offset_, has_offset_, (modes >> 4) & 3, in, kOffsetShares, 5, kLastOffset) ||
        !table(match_, has_match_, (modes >> 2) & 3, in, kMatchShares, 6, kLastMatch))
      return false;
    BackwardBits bits;
    if (!bits.open(in)) return false;
    std::size_t literal = bits.read(literal_.log()), offset = bits.read(offset_.log()),
                match = bits.read(match_.log());
    std::size_t text = 0;
    for (;;) {
      bits.refill();
      const auto& l = literal_[literal];
      const auto& o = offset_[offset];
      const auto& m = match_[match];
      const std::uint64_t code = (std::uint64_t{1} << o.symbol) + bits.read(o.symbol);
      const std::size_t match_size = kMatchBase[m.symbol] + bits.read(kMatchBits[m.symbol]);
      bits.refill();
      const std::size_t text_bytes = kLiteralBase[l.symbol] + bits.read(kLiteralBits[l.symbol]);
      if (!copy(text, text_bytes, distance(code, text_bytes), match_size)) return false;
      if (--count == 0) break;
      literal = l.base + bits.read(l.bits);
      match = m.base + bits.read(m.bits);
      offset = o.base + bits.read(o.bits);
    }
    bits.refill();
    return bits.is_done() && finish(text);
  }

  // How far back a match lies; 0 for nowhere.
  std::size_t distance(std::uint64_t code, std::size_t text_bytes) {
    if (code > 3) {
      repeats_ = {code - 3, repeats_[0], repeats_[1]};
      return repeats_[0];
    }
    const std::size_t which = code - 1 + (text_bytes == 0);
    if (which == 0) return repeats_[0];
    const std::size_t found = which == 3 ? repeats_[0] - 1 : repeats_[which];
    if (which != 1) repeats_[2] = repeats_[1];
    repeats_[1] = repeats_[0];
    repeats_[0] = found;
    return found;
  }

  bool copy(std::size_t& text, std::size_t text_bytes, std::size_t back, std::size_t match_size) {
    std::size_t room = out_.size() - written_;
    if (text_bytes > text_size_ - text || text_bytes > room) return false;
    std::uint8_t* to = out_.data() + written_;
    if (text_bytes <= 16 && room >= 16) {
      std::memcpy(to, text_.data() + text, 16);
    } else {
      std::copy_n(text_.data() + text, text_bytes, to);  // which may be nowhere, for nothing
    }
    text += text_bytes;
    written_ += text_bytes;
    room -= text_bytes;
    if (match_size > room || back == 0 || back > written_) return false;
    copy_match(to + text_bytes, back, match_size, room);
    written_ += match_size;
    return true;
  }

  // Writes the literals behind the last sequence.
  bool finish(std::size_t text) {
    const std::size_t rest = text_size_ - text;
    if (rest > out_.size() - written_) return false;
    std::copy_n(text_.data() + text, rest, out_.data() + written_);
    written_ += rest;
    return true;
  }

  Room out_;
  std::size_t written_ = 0;
  bool has_checksum_ = false, has_literal_ = false, has_offset_ = false, has_match_ = false;
  std::array<std::uint64_t, 3> repeats_{};
  std::size_t text_size_ = 0;
  Codes codes_;
  States<kLengthLog> literal_, match_;
  States<kOffsetLog> offset_;
  std::array<std::uint8_t, kBlockBytes + kSlackBytes> text_;
};

}  // namespace

bool zstd_decompress(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) {
  thread_local const std::unique_ptr<Frame> frame = std::make_unique<Frame>();
  return frame->decode(in, out);
}

}  // namespace qautlra
