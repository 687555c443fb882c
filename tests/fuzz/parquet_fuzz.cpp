// libFuzzer target over what reads our Parquet files: the first byte chooses a Zstandard frame, a footer or a column
// chunk, the next ones what is asked of it; any bytes in, and what comes out lies within what was asked for.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Isrc/_core
//     tests/fuzz/parquet_fuzz.cpp src/_core/store/{zstd,crc32,parquet_pages,parquet_file}.cpp -o parquet_fuzz
//   ./parquet_fuzz -len_control=0 SCRATCH tests/fuzz/corpus/parquet
//
// tests/core/parquet_fuzz_test.cpp replays the corpus and mutations of it without a fuzzer; its seeds are made by
// tests/fuzz/parquet_seeds.py.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "store/parquet_file.hpp"
#include "store/parquet_pages.hpp"
#include "store/zstd.hpp"

namespace parquet_fuzz {

using namespace qautlra;

inline void require(bool good) {
  if (!good) std::abort();
}

inline bool frame(std::span<const std::uint8_t> in, std::size_t size) {
  std::vector<std::uint8_t> out(size);
  return zstd_decompress(in, out);
}

inline bool footer(std::span<const std::uint8_t> in) {
  constexpr std::uint64_t kFileBytes = 1 << 20;
  ParquetFile file;
  if (!file.parse(in, kFileBytes)) return false;
  for (std::size_t group = 0; group < file.groups(); ++group)
    for (std::size_t column = 0; column < file.columns().size(); ++column) {
      const auto& chunk = file.chunk(group, column);
      require(chunk.offset <= kFileBytes && chunk.bytes <= kFileBytes - chunk.offset);
    }
  return true;
}

inline bool chunk(std::span<const std::uint8_t> in, unsigned form, std::size_t rows, std::size_t first,
                  std::size_t count) {
  static constexpr PageType kTypes[] = {PageType::kInt32, PageType::kInt64, PageType::kDouble, PageType::kText};
  const ColumnChunk column{in, kTypes[form & 3], form & 4 ? PageCodec::kZstd : PageCodec::kNone, (form & 8) != 0, rows};
  if (rows == 0) return false;
  first %= rows;
  count = 1 + count % (rows - first);
  std::vector<std::uint8_t> values(count * (column.type == PageType::kInt32 ? 4 : 8)), present((count + 7) / 8);
  std::vector<std::int32_t> ends;
  std::string text;
  ColumnRows out;
  out.present = present.data();
  if (column.type == PageType::kText) {
    out.ends = &ends;
    out.text = &text;
    std::size_t from = 0, to = 0;
    if (column.find("SHFE.au2512", from, to) == PageFault::kNone) require(from <= to && to <= rows);
  } else {
    out.values = values.data();
  }
  if (column.read(first, count, out) != PageFault::kNone) return false;
  std::size_t nulls = 0;
  for (std::size_t row = 0; row < count; ++row) nulls += !((present[row / 8] >> (row % 8)) & 1);
  require(nulls == out.nulls);
  require(column.type != PageType::kText || (ends.size() == count && ends.back() == static_cast<int>(text.size())));
  return true;
}

// Whether the bytes are something.
inline bool run(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return false;
  const std::span<const std::uint8_t> in{data + 8, size - 8};
  const auto number = [&](std::size_t at) { return static_cast<std::size_t>(data[at] | (data[at + 1] << 8)); };
  switch (data[0] % 3) {
    case 0: return frame(in, number(2) | static_cast<std::size_t>(data[4] & 3) << 16);
    case 1: return footer(in);
    default: return chunk(in, data[1], number(2), number(4), number(6));
  }
}

}  // namespace parquet_fuzz

#ifndef QAUTLRA_FUZZ_INCLUDED
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  parquet_fuzz::run(data, size);
  return 0;
}
#endif
