#include "store/parquet_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "store/thrift.hpp"

namespace qautlra {
namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr std::size_t kTailBytes = 8;
constexpr std::uint64_t kFooterBytes = 256 << 20, kChunkBytes = 1 << 30;
constexpr std::size_t kColumns = 4'096;
constexpr std::int64_t kGroupRows = 1 << 24;

std::string told(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

// What a chunk of the footer says; the writer's other words are skipped.
struct Said {
  std::int64_t type = -1, codec = -1, values = -1, bytes = -1, data = -1, dictionary = 0;
};

Said column_of(ThriftReader& thrift) {
  Said said;
  thrift.each([&](int chunk_field, ThriftReader::Type chunk_type) {
    if (chunk_field != 3 || chunk_type != ThriftReader::kStruct) return false;
    thrift.each([&](int id, ThriftReader::Type type) {
      if (type != ThriftReader::kInt32 && type != ThriftReader::kInt64) return false;
      switch (id) {
        case 1: said.type = thrift.integer(); return true;
        case 4: said.codec = thrift.integer(); return true;
        case 5: said.values = thrift.integer(); return true;
        case 7: said.bytes = thrift.integer(); return true;
        case 9: said.data = thrift.integer(); return true;
        case 11: said.dictionary = thrift.integer(); return true;
        default: return false;
      }
    });
    return true;
  });
  return said;
}

}  // namespace

ParquetFile::~ParquetFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool ParquetFile::open(const std::string& path, std::string& why) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat found {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &found) != 0) {
    why = told("it cannot be opened");
    return false;
  }
  const auto size = static_cast<std::uint64_t>(found.st_size);
  std::uint8_t tail[kTailBytes];
  std::uint32_t bytes = 0;
  if (size < kTailBytes || read(size - kTailBytes, tail, true) != Got::kAll ||
      std::memcmp(tail + 4, kMagic.data(), 4) != 0) {
    why = "it does not end as a Parquet file";
    return false;
  }
  std::memcpy(&bytes, tail, 4);
  if (bytes > size - kTailBytes || bytes > kFooterBytes) {
    why = "its footer is longer than it";
    return false;
  }
  std::vector<std::uint8_t> footer(bytes);
  if (read(size - kTailBytes - bytes, footer, true) != Got::kAll) {
    why = told("its footer cannot be read");
    return false;
  }
  if (!parse(footer, size - kTailBytes - bytes)) {
    why = "its footer is not one of flat columns";
    return false;
  }
  return true;
}

bool ParquetFile::parse(std::span<const std::uint8_t> footer, std::uint64_t file_bytes) {
  columns_.clear();
  rows_.clear();
  chunks_.clear();
  bool good = true, is_root = true;
  ThriftReader thrift(footer);
  const auto schema_element = [&](ThriftReader::Type) {
    std::int64_t type = -1, repetition = 0, children = 0;
    std::string_view name;
    thrift.each([&](int id, ThriftReader::Type kind) {
      if (id == 4 && kind == ThriftReader::kBinary) {
        name = thrift.binary();
        return true;
      }
      if (kind != ThriftReader::kInt32) return false;
      if (id == 1) type = thrift.integer();
      else if (id == 3) repetition = thrift.integer();
      else if (id == 5) children = thrift.integer();
      else return false;
      return true;
    });
    if (!is_root) {
      good = good && children == 0 && repetition <= 1 && repetition >= 0 && columns_.size() < kColumns;
      if (good) columns_.push_back({std::string(name), static_cast<PageType>(type), repetition == 1});
    }
    is_root = false;
  };
  const auto row_group = [&](ThriftReader::Type) {
    std::int64_t rows = -1;
    const std::size_t before = chunks_.size();
    thrift.each([&](int id, ThriftReader::Type kind) {
      if (id == 3 && kind == ThriftReader::kInt64) {
        rows = thrift.integer();
        return true;
      }
      if (id != 1 || kind != ThriftReader::kList) return false;
      thrift.list([&](ThriftReader::Type) {
        const std::size_t at = chunks_.size() - before;
        const Said said = column_of(thrift);
        const std::int64_t begin = said.dictionary > 0 ? said.dictionary : said.data;
        if (thrift.failed() || at >= columns_.size() || begin < 0 || said.bytes < 0 || said.codec < 0 ||
            said.codec > 255 || said.type != static_cast<std::int64_t>(columns_[at].type) ||
            static_cast<std::uint64_t>(said.bytes) > kChunkBytes ||
            static_cast<std::uint64_t>(begin) > file_bytes ||
            static_cast<std::uint64_t>(said.bytes) > file_bytes - static_cast<std::uint64_t>(begin)) {
          good = false;
          if (at >= columns_.size()) return;  // no more are kept than there are columns
        }
        chunks_.push_back({static_cast<std::uint64_t>(begin), static_cast<std::uint32_t>(said.bytes),
                           static_cast<std::uint8_t>(said.codec)});
      });
      return true;
    });
    good = good && rows >= 0 && rows <= kGroupRows && chunks_.size() - before == columns_.size();
    rows_.push_back(static_cast<std::uint32_t>(rows));
  };
  thrift.each([&](int id, ThriftReader::Type kind) {
    if (kind != ThriftReader::kList || (id != 2 && id != 4)) return false;
    if (id == 2) {
      thrift.list(schema_element);
    } else {
      thrift.list(row_group);
    }
    return true;
  });
  return good && !thrift.failed() && !columns_.empty();
}

ParquetFile::Got ParquetFile::read(std::uint64_t offset, std::span<std::uint8_t> out, bool may_wait) const {
  while (!out.empty()) {
    ssize_t got = 0;
    if (may_wait) {
      got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    } else {
#ifdef RWF_NOWAIT
      const iovec into{out.data(), out.size()};
      got = ::preadv2(descriptor_, &into, 1, static_cast<off_t>(offset), RWF_NOWAIT);
      if (got < 0 && errno != EINTR) return Got::kWouldWait;  // or a file system that cannot tell
#else
      return Got::kWouldWait;
#endif
    }
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Got::kFailed;
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return Got::kAll;
}

}  // namespace qautlra
