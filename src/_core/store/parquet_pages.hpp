// Rows out of one column chunk of a Parquet file, in the encodings our own writer uses: plain, differences, and
// dictionaries, packed by zstd or not at all, flat columns, first-version pages. Everything else is somebody else's
// file and read by an Arrow library. Only pages that hold rows asked for are unpacked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qautlra {

enum class PageType : std::uint8_t { kInt32 = 1, kInt64 = 2, kDouble = 5, kText = 6 };  // Parquet's numbers
enum class PageCodec : std::uint8_t { kNone = 0, kZstd = 6 };

enum class PageFault : std::uint8_t {
  kNone,
  kForeign,  // not what our writer makes, or damage that looks like that
  kDamaged,  // a page that is not what its checksum says
};

// Where rows of a column go. Owner: the caller.
struct ColumnRows {
  std::uint8_t* values = nullptr;   // numbers, `count` of them
  std::uint8_t* present = nullptr;  // a bit for each row, all zero before
  std::size_t nulls = 0;
  std::vector<std::int32_t>* ends = nullptr;  // texts: where each ends in `text`
  std::string* text = nullptr;
};

// A column chunk. The bytes must outlive it.
struct ColumnChunk {
  std::span<const std::uint8_t> bytes;
  PageType type;
  PageCodec codec;
  bool is_optional;
  std::size_t rows;

  // Fills `out` with rows [first, first + count), which must lie within the chunk.
  PageFault read(std::size_t first, std::size_t count, ColumnRows& out) const;

  // Finds where the rows of a text are, which must follow each other; none: an empty range.
  PageFault find(std::string_view text, std::size_t& first, std::size_t& last) const;
};

}  // namespace qautlra
