#include "store/parquet_pages.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "store/crc32.hpp"
#include "store/thrift.hpp"
#include "store/zstd.hpp"

namespace qautlra {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kSlackBytes = 8;  // behind what is unpacked, so that bits may be fetched in whole words
constexpr std::size_t kPageBytes = 16 << 20;

enum Kind { kDataPage = 0, kDictionaryPage = 2 };
enum Encoding { kPlain = 0, kPlainDictionary = 2, kRle = 3, kDelta = 5, kRleDictionary = 8 };

// What a page says of itself.
struct Page {
  std::int64_t kind = -1, raw_bytes = -1, packed_bytes = -1, rows = -1, encoding = -1, levels = kRle;
  std::uint32_t checksum = 0;
  bool has_checksum = false;
  Bytes packed;
};

// Buffers of a thread, kept between pages.
struct Scratch {
  std::vector<std::uint8_t> page, dictionary, present;
  std::vector<std::uint32_t> places;
  std::vector<std::string_view> texts;
};

Scratch& scratch() {
  thread_local Scratch kept;
  return kept;
}

// Reads the page at the beginning of `in` and leaves `in` behind it.
bool next_page(Bytes& in, Page& page) {
  ThriftReader thrift(in);
  const auto values = [&](std::int64_t& rows, std::int64_t& encoding, std::int64_t& levels) {
    thrift.each([&](int id, ThriftReader::Type type) {
      if (type != ThriftReader::kInt32) return false;
      if (id == 1) rows = thrift.integer();
      else if (id == 2) encoding = thrift.integer();
      else if (id == 3) levels = thrift.integer();
      else return false;
      return true;
    });
  };
  thrift.each([&](int id, ThriftReader::Type type) {
    if (type == ThriftReader::kInt32) {
      if (id == 1) page.kind = thrift.integer();
      else if (id == 2) page.raw_bytes = thrift.integer();
      else if (id == 3) page.packed_bytes = thrift.integer();
      else if (id == 4) page.checksum = static_cast<std::uint32_t>(thrift.integer()), page.has_checksum = true;
      else return false;
      return true;
    }
    if (type != ThriftReader::kStruct || (id != 5 && id != 7)) return false;
    std::int64_t unused = 0;
    values(page.rows, page.encoding, id == 5 ? page.levels : unused);
    return true;
  });
  if (thrift.failed() || page.packed_bytes < 0 || page.raw_bytes < 0 || page.rows < 0) return false;
  const auto size = static_cast<std::size_t>(page.packed_bytes);
  if (size > in.size() - thrift.taken() || page.raw_bytes > static_cast<std::int64_t>(kPageBytes)) return false;
  page.packed = in.subspan(thrift.taken(), size);
  in = in.subspan(thrift.taken() + size);
  return true;
}

// The page's content in `into`, with slack behind it.
PageFault unpack(const Page& page, PageCodec codec, std::vector<std::uint8_t>& into, Bytes& raw) {
  if (page.has_checksum && crc32(page.packed.data(), page.packed.size()) != page.checksum)
    return PageFault::kDamaged;
  const auto size = static_cast<std::size_t>(page.raw_bytes);
  if (into.size() < size + kSlackBytes) into.resize(size + kSlackBytes);
  if (codec == PageCodec::kNone) {
    if (page.packed.size() != size) return PageFault::kForeign;
    std::copy_n(page.packed.data(), size, into.data());
  } else if (!zstd_decompress(page.packed, {into.data(), size})) {
    return PageFault::kForeign;
  }
  raw = {into.data(), size};
  return PageFault::kNone;
}

// The `at`-th number of `width` (0 to 56) bits; 8 bytes beyond the numbers are read.
std::uint64_t bits_at(const std::uint8_t* from, std::size_t at, unsigned width) {
  std::uint64_t word;
  std::memcpy(&word, from + at * width / 8, 8);
  return (word >> (at * width % 8)) & ((std::uint64_t{1} << width) - 1);
}

std::uint64_t wide_bits_at(const std::uint8_t* from, std::size_t at, unsigned width) {
  const std::size_t bit = at * width;
  std::uint64_t word;
  std::memcpy(&word, from + bit / 8, 8);
  word >>= bit % 8;
  if (bit % 8) word |= static_cast<std::uint64_t>(from[bit / 8 + 8]) << (64 - bit % 8);
  return width == 64 ? word : word & ((std::uint64_t{1} << width) - 1);
}

// Runs of equal numbers and of packed ones. `in` must have slack behind it.
class Runs {
 public:
  Runs(Bytes in, unsigned width) : in_(in), width_(width) {}

  // Calls `same(value, count)` and `packed(bits, at, count)` for the next `count` numbers.
  template <class Same, class Packed>
  bool next(std::size_t count, Same&& same, Packed&& packed) {
    while (count > 0) {
      if (left_ == 0 && !begin()) return false;
      const std::size_t now = std::min(count, left_);
      if (is_packed_) {
        packed(bits_, at_, now);
      } else {
        same(value_, now);
      }
      at_ += now;
      left_ -= now;
      count -= now;
    }
    return true;
  }

  bool skip(std::size_t count) {
    return next(count, [](std::uint32_t, std::size_t) {}, [](const std::uint8_t*, std::size_t, std::size_t) {});
  }

  bool fill(std::uint32_t* out, std::size_t count) {
    return next(
        count,
        [&](std::uint32_t value, std::size_t n) {
          std::fill_n(out, n, value);
          out += n;
        },
        [&](const std::uint8_t* bits, std::size_t at, std::size_t n) {
          for (std::size_t k = 0; k < n; ++k) out[k] = static_cast<std::uint32_t>(bits_at(bits, at + k, width_));
          out += n;
        });
  }

 private:
  bool begin() {
    std::uint64_t head = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (in_.empty() || shift > 28) return false;
      const std::uint8_t byte = in_[0];
      in_ = in_.subspan(1);
      head |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) break;
    }
    is_packed_ = head & 1;
    at_ = 0;
    if (is_packed_) {
      const std::size_t bytes = (head >> 1) * width_;
      if (head >> 1 == 0 || bytes > in_.size()) return false;
      left_ = (head >> 1) * 8;
      bits_ = in_.data();
      in_ = in_.subspan(bytes);
      return true;
    }
    left_ = head >> 1;
    const std::size_t bytes = (width_ + 7) / 8;
    if (left_ == 0 || bytes > in_.size()) return false;
    value_ = 0;
    for (std::size_t k = 0; k < bytes; ++k) value_ |= static_cast<std::uint32_t>(in_[k]) << (8 * k);
    in_ = in_.subspan(bytes);
    return true;
  }

  Bytes in_;
  unsigned width_;
  bool is_packed_ = false;
  std::size_t left_ = 0, at_ = 0;
  std::uint32_t value_ = 0;
  const std::uint8_t* bits_ = nullptr;
};

// Differences: writes numbers [skip, skip + count) of exactly `total`. `in` must have slack behind it.
template <class T>
bool read_deltas(Bytes in, std::size_t total, std::size_t skip, std::size_t count, std::uint8_t* out) {
  std::size_t at = 0;
  bool good = true;
  const auto varint = [&] {
    std::uint64_t found = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at >= in.size()) break;
      const std::uint8_t byte = in[at++];
      found |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) return found;
    }
    good = false;
    return std::uint64_t{0};
  };
  const auto zigzag = [&] {
    const std::uint64_t raw = varint();
    return (raw >> 1) ^ (~(raw & 1) + 1);
  };
  const std::uint64_t block = varint(), parts = varint(), said = varint();
  std::uint64_t value = zigzag();
  if (!good || said != total || parts == 0 || parts > 64 || block == 0 || block > 65'536 || block % parts) return false;
  const std::size_t part_rows = block / parts;
  if (part_rows % 8) return false;
  const std::size_t stop = skip + count;
  const auto put = [&](std::size_t row) {
    const auto narrow = static_cast<T>(value);
    std::memcpy(out + (row - skip) * sizeof(T), &narrow, sizeof(T));
  };
  if (stop == 0) return true;
  if (skip == 0) put(0);
  for (std::size_t row = 1; row < stop;) {
    const std::uint64_t least = zigzag();
    if (!good || in.size() - at < parts) return false;
    const Bytes widths = in.subspan(at, parts);
    at += parts;
    for (std::size_t part = 0; part < parts && row < stop; ++part) {
      const unsigned width = widths[part];
      const std::size_t bytes = part_rows * width / 8;
      if (width > 64 || bytes > in.size() - at) return false;
      const std::uint8_t* const from = in.data() + at;
      const std::size_t rows = std::min(part_rows, stop - row);
      if (width == 0 && row + rows <= skip) {
        value += least * rows;
      } else {
        for (std::size_t k = 0; k < rows; ++k) {
          value += least + (width <= 56 ? bits_at(from, k, width) : wide_bits_at(from, k, width));
          if (row + k >= skip) put(row + k);
        }
      }
      row += rows;
      at += bytes;
    }
  }
  return true;
}

std::size_t width_of(PageType type) { return type == PageType::kInt32 ? 4 : 8; }

// Rows [first, last) of one page, being read.
class PageRows {
 public:
  PageRows(const ColumnChunk& chunk, const Page& page, std::size_t entries, std::size_t first, std::size_t last)
      : chunk_(chunk), page_(page), entries_(entries), first_(first), last_(last) {}

  // Reads which rows have a value; `raw` is left at the values.
  bool levels(Bytes& raw) {
    const auto rows = static_cast<std::size_t>(page_.rows);
    values_ = rows;
    skip_ = first_;
    count_ = last_ - first_;
    if (!chunk_.is_optional) return true;
    if (page_.levels != kRle || raw.size() < 4) return false;
    std::uint32_t size;
    std::memcpy(&size, raw.data(), 4);
    if (size > raw.size() - 4) return false;
    auto& present = scratch().present;
    if (present.size() < rows) present.resize(rows);
    std::uint8_t* at = present.data();
    Runs runs(raw.subspan(4, size), 1);
    const bool is_whole = runs.next(
        rows,
        [&](std::uint32_t value, std::size_t n) {
          std::memset(at, value & 1, n);
          at += n;
        },
        [&](const std::uint8_t* bits, std::size_t from, std::size_t n) {
          for (std::size_t k = from; k < from + n; ++k) *at++ = (bits[k / 8] >> (k % 8)) & 1;
        });
    if (!is_whole) return false;
    raw = raw.subspan(4 + size);
    const auto present_in = [&](std::size_t from, std::size_t to) {
      std::size_t found = 0;
      for (std::size_t k = from; k < to; ++k) found += present[k];
      return found;
    };
    skip_ = present_in(0, first_);
    count_ = present_in(first_, last_);
    values_ = skip_ + count_ + present_in(last_, rows);
    return true;
  }

  // Places in the dictionary of the values, in `scratch().places`.
  bool places(Bytes raw) {
    if (count_ == 0) return true;
    if (page_.encoding != kRleDictionary && page_.encoding != kPlainDictionary) return false;
    auto& places = scratch().places;
    if (places.size() < count_) places.resize(count_);
    if (raw.empty() || raw[0] > 32) return false;
    Runs runs(raw.subspan(1), raw[0]);
    if (!runs.skip(skip_) || !runs.fill(places.data(), count_)) return false;
    std::uint32_t most = 0;
    for (std::size_t k = 0; k < count_; ++k) most = std::max(most, places[k]);
    return most < entries_;
  }

  bool numbers(Bytes raw, std::uint8_t* out) {
    const std::size_t width = width_of(chunk_.type);
    if (page_.encoding == kPlain) {
      if (raw.size() != values_ * width) return false;
      std::copy_n(raw.data() + skip_ * width, count_ * width, out);
      return true;
    }
    if (page_.encoding == kDelta && chunk_.type == PageType::kInt32)
      return read_deltas<std::int32_t>(raw, values_, skip_, count_, out);
    if (page_.encoding == kDelta && chunk_.type == PageType::kInt64)
      return read_deltas<std::int64_t>(raw, values_, skip_, count_, out);
    if (!places(raw)) return false;
    const auto& from = scratch();
    if (width == 8) {
      for (std::size_t k = 0; k < count_; ++k)
        std::memcpy(out + 8 * k, from.dictionary.data() + std::size_t{8} * from.places[k], 8);
    } else {
      for (std::size_t k = 0; k < count_; ++k)
        std::memcpy(out + 4 * k, from.dictionary.data() + std::size_t{4} * from.places[k], 4);
    }
    return true;
  }

  // Moves the values, which lie without gaps, to their rows, row `to` of the answer on.
  void spread(ColumnRows& out, std::size_t to) const {
    const std::size_t rows = last_ - first_, width = width_of(chunk_.type);
    out.nulls += rows - count_;
    if (count_ == rows) {
      std::size_t k = to;
      for (; k < to + rows && k % 8; ++k) out.present[k / 8] |= static_cast<std::uint8_t>(1 << (k % 8));
      if (const std::size_t whole = (to + rows - k) / 8) {
        std::memset(out.present + k / 8, 0xFF, whole);
        k += whole * 8;
      }
      for (; k < to + rows; ++k) out.present[k / 8] |= static_cast<std::uint8_t>(1 << (k % 8));
      return;
    }
    const auto& present = scratch().present;
    std::size_t from = count_;
    for (std::size_t row = rows; row-- > 0;) {
      const bool is_there = present[first_ + row];
      if (is_there) out.present[(to + row) / 8] |= static_cast<std::uint8_t>(1 << ((to + row) % 8));
      if (out.values == nullptr) continue;
      std::uint8_t* const at = out.values + (to + row) * width;
      if (is_there) {
        std::memmove(at, out.values + (to + --from) * width, width);
      } else {
        std::memset(at, 0, width);
      }
    }
  }

  void texts(ColumnRows& out) const {
    const auto& from = scratch();
    std::size_t at = 0;
    for (std::size_t row = first_; row < last_; ++row) {
      if (!chunk_.is_optional || count_ == last_ - first_ || from.present[row]) *out.text += from.texts[from.places[at++]];
      out.ends->push_back(static_cast<std::int32_t>(out.text->size()));
    }
  }

 private:
  const ColumnChunk& chunk_;
  const Page& page_;
  std::size_t entries_;
  std::size_t first_, last_;
  std::size_t values_ = 0, skip_ = 0, count_ = 0;  // values of the page, before `first_`, of the rows
};

// Takes a dictionary page; `entries` is how many it has.
PageFault dictionary(const Page& page, const ColumnChunk& chunk, std::size_t& entries) {
  auto& s = scratch();
  Bytes raw;
  if (page.encoding != kPlain && page.encoding != kPlainDictionary) return PageFault::kForeign;
  if (const auto fault = unpack(page, chunk.codec, s.dictionary, raw); fault != PageFault::kNone) return fault;
  entries = static_cast<std::size_t>(page.rows);
  if (chunk.type != PageType::kText)
    return raw.size() == entries * width_of(chunk.type) ? PageFault::kNone : PageFault::kForeign;
  s.texts.clear();
  for (std::size_t at = 0, k = 0; k < entries; ++k) {
    std::uint32_t size;
    if (raw.size() - at < 4) return PageFault::kForeign;
    std::memcpy(&size, raw.data() + at, 4);
    at += 4;
    if (size > raw.size() - at) return PageFault::kForeign;
    s.texts.emplace_back(reinterpret_cast<const char*>(raw.data()) + at, size);
    at += size;
  }
  return PageFault::kNone;
}

// Calls `rows(page, raw, row, entries)` for the pages that hold some of [first, last); `row` is the page's first.
template <class Rows>
PageFault each_page(const ColumnChunk& chunk, std::size_t first, std::size_t last, Rows&& rows) {
  Bytes in = chunk.bytes;
  std::size_t entries = 0;
  for (std::size_t row = 0; row < last;) {
    Page page;
    if (!next_page(in, page)) return PageFault::kForeign;
    if (page.kind == kDictionaryPage) {
      if (const auto fault = dictionary(page, chunk, entries); fault != PageFault::kNone) return fault;
      continue;
    }
    const auto here = static_cast<std::size_t>(page.rows);
    if (page.kind != kDataPage || here == 0 || here > chunk.rows - row) return PageFault::kForeign;
    if (row + here > first) {
      Bytes raw;
      if (const auto fault = unpack(page, chunk.codec, scratch().page, raw); fault != PageFault::kNone) return fault;
      if (!rows(page, raw, row, entries)) return PageFault::kForeign;
    }
    row += here;
  }
  return PageFault::kNone;
}

}  // namespace

PageFault ColumnChunk::read(std::size_t first, std::size_t count, ColumnRows& out) const {
  const std::size_t last = first + count;
  return each_page(*this, first, last, [&](const Page& page, Bytes raw, std::size_t row, std::size_t entries) {
    const std::size_t from = std::max(first, row), to = std::min(last, row + static_cast<std::size_t>(page.rows));
    PageRows mine(*this, page, entries, from - row, to - row);
    if (!mine.levels(raw)) return false;
    if (type == PageType::kText) {
      if (!mine.places(raw)) return false;
      mine.texts(out);
    } else if (!mine.numbers(raw, out.values + (from - first) * width_of(type))) {
      return false;
    }
    mine.spread(out, from - first);
    return true;
  });
}

PageFault ColumnChunk::find(std::string_view text, std::size_t& first, std::size_t& last) const {
  first = last = 0;
  return each_page(*this, 0, rows, [&](const Page& page, Bytes raw, std::size_t row, std::size_t entries) {
    const auto here = static_cast<std::size_t>(page.rows);
    PageRows all(*this, page, entries, 0, here);
    if (!all.levels(raw) || !all.places(raw)) return false;
    const auto& s = scratch();
    if (is_optional && std::find(s.present.begin(), s.present.begin() + static_cast<std::ptrdiff_t>(here), 0) !=
                           s.present.begin() + static_cast<std::ptrdiff_t>(here))
      return false;
    const auto known = std::find(s.texts.begin(), s.texts.end(), text);
    if (known == s.texts.end()) return true;
    const auto place = static_cast<std::uint32_t>(known - s.texts.begin());
    for (std::size_t k = 0; k < here; ++k) {
      if (s.places[k] != place) continue;
      if (first == last) first = last = row + k;
      if (last++ != row + k) return false;  // not in order
    }
    return true;
  });
}

}  // namespace qautlra
