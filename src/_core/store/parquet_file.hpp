// A Parquet file of ours, open: its footer, and rows of one instrument as an Arrow message. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/parquet_pages.hpp"

namespace qautlra {

class ParquetFile {
 public:
  ParquetFile() = default;
  ParquetFile(const ParquetFile&) = delete;
  ParquetFile& operator=(const ParquetFile&) = delete;
  ~ParquetFile();

  struct Column {
    std::string name;
    PageType type;
    bool is_optional;
  };
  struct Chunk {
    std::uint64_t offset;
    std::uint32_t bytes;
    std::uint8_t codec;
  };

  // False with a sentence in `why`: it cannot be read, or its columns are not flat.
  bool open(const std::string& path, std::string& why);
  // The same of a footer alone, for tests; there is nothing to read then.
  bool parse(std::span<const std::uint8_t> footer, std::uint64_t file_bytes);

  const std::vector<Column>& columns() const { return columns_; }
  std::size_t groups() const { return rows_.size(); }
  std::size_t rows(std::size_t group) const { return rows_[group]; }
  const Chunk& chunk(std::size_t group, std::size_t column) const {
    return chunks_[group * columns_.size() + column];
  }

  enum class Got : std::uint8_t { kAll, kWouldWait, kFailed };
  // Reads bytes; unless `may_wait` only those that are in memory.
  Got read(std::uint64_t offset, std::span<std::uint8_t> out, bool may_wait) const;

 private:
  int descriptor_ = -1;
  std::vector<Column> columns_;
  std::vector<std::uint32_t> rows_;
  std::vector<Chunk> chunks_;
};

}  // namespace qautlra
