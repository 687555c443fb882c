// libFuzzer target over everything that reads journal bytes: segments, records, rows, definitions.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Isrc/_core
//     tests/fuzz/journal_fuzz.cpp src/_core/base/*.cpp src/_core/market/{calendar,instrument,naming,encode}.cpp
//     src/_core/journal/{crc32c,segment_reader}.cpp src/_core/store/{segment_rows,arrow_rows,arrow_column,hot}.cpp
//     -o journal_fuzz
//   ./journal_fuzz --seeds=DIR   writes the seed corpus, without which nothing behind a checksum is reached
//   ./journal_fuzz -len_control=0 DIR
//
// The first byte of an input chooses: even, the bytes are a segment; odd, they are payloads that are first put
// into records with true checksums. tests/core/journal_fuzz_test.cpp replays seeds and mutations of them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "journal/crc32c.hpp"
#include "journal/format.hpp"
#include "journal/segment_reader.hpp"
#include "store/row_codec.hpp"
#include "store/segment_rows.hpp"

namespace journal_fuzz {

using namespace qautlra;
using Bytes = std::vector<std::uint8_t>;

// A segment of records with true lengths and checksums.
class SegmentBuilder {
 public:
  explicit SegmentBuilder(std::uint64_t first_lsn = 1) {
    bytes_.resize(journal::kHeaderBytes);
    journal::write_header({journal::kVersion, first_lsn, 0, 0}, at(0));
  }
  void add(std::uint8_t kind, const void* payload, std::size_t size) {
    const std::size_t begin = bytes_.size();
    bytes_.resize(begin + journal::kRecordHeadBytes + 1 + size);
    journal::store_u32(at(begin), static_cast<std::uint32_t>(size + 1));
    bytes_[begin + journal::kRecordHeadBytes] = kind;
    if (size != 0) std::memcpy(&bytes_[begin + journal::kRecordHeadBytes + 1], payload, size);
    chain_ = crc32c(chain_, at(begin), 4);
    chain_ = crc32c(chain_, at(begin + journal::kRecordHeadBytes), size + 1);
    journal::store_u32(at(begin + 4), chain_);
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  std::byte* at(std::size_t i) { return reinterpret_cast<std::byte*>(bytes_.data()) + i; }
  Bytes bytes_;
  std::uint32_t chain_ = 0;
};

inline std::span<const std::byte> as_bytes(const Bytes& bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
}

inline void require(bool ok) {
  if (!ok) std::abort();
}

// What must hold for any bytes at all. Returns the number of rows found.
inline std::uint64_t read_segment(std::span<const std::byte> bytes) {
  journal::SegmentReader reader;
  if (!reader.open(bytes)) {
    require(!reader.error().empty());
    return 0;
  }
  journal::Record record;
  std::uint64_t expected = reader.header().first_lsn, records = 0;
  journal::Next next;
  while ((next = reader.next(record)) == journal::Next::kRecord) {
    require(record.lsn == expected++);
    require(reader.offset() <= bytes.size());
    ++records;
    Snapshot row;
    RowHead head;
    if (decode_row(record.payload, head, row)) {
      // What decodes is canonical: encoded again and decoded, it is the same row.
      std::byte out[kMaxRowBytes];
      Snapshot again;
      const std::size_t size = encode_row(row, present(row), head.number, out);
      require(size <= kMaxRowBytes && decode_row({out, size}, head, again));
      again.instrument = row.instrument;
      require(std::memcmp(&row, &again, sizeof row) == 0);
    }
    std::uint32_t number;
    std::string_view symbol;
    if (decode_instrument(record.payload, number, symbol)) require(number < kMaxInstruments && !symbol.empty());
  }
  const auto rest = bytes.subspan(reader.offset());
  const bool is_whole = std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; });
  require((next == journal::Next::kEnd) == is_whole);
  if (next == journal::Next::kBad) reader.records_after_damage();

  SegmentRows rows;
  require(rows.open(bytes));
  SegmentRows::Row row;
  std::uint64_t found = 0;
  while (rows.next(row)) {
    require(row.name < rows.names().size());
    ++found;
  }
  require(rows.records() == records && found + rows.refused() <= records);
  require(rows.is_damaged() == (next == journal::Next::kBad));
  return found;
}

inline Bytes seed(std::uint32_t n) {
  std::mt19937 random(n);
  SegmentBuilder builder(1 + random() % 1000);
  std::byte out[kMaxRowBytes];
  for (std::uint32_t i = 0; i < 2 + n % 3; ++i) {
    const std::string symbol = "SHFE.au25" + std::to_string(10 + i);
    builder.add(kInstrumentRecord, out, encode_instrument(i, symbol, out));
  }
  for (int i = 0; i < 4; ++i) {
    Snapshot row;
    row.set_count(kDatetime, 1'609'723'800'000'000'000 + i);
    for (int f = 1; f < kFieldCount; ++f) {
      if (random() % 3 == 0) continue;
      if (is_count(f)) row.set_count(f, random());
      else row.set_price(f, random() / 100.0);
    }
    builder.add(kTickRecord, out, encode_row(row, present(row), random() % 3, out));
  }
  builder.add(9, "another's", 9);
  Bytes input{0};
  for (const std::uint8_t byte : builder.bytes()) input.push_back(byte);
  return input;
}

// The payloads of a seed, each behind its kind and two bytes of length: the form of odd inputs.
inline Bytes payload_seed(std::uint32_t n) {
  const Bytes whole = seed(n);
  Bytes input{1};
  journal::SegmentReader reader;
  require(reader.open(as_bytes(whole).subspan(1)));
  for (journal::Record record; reader.next(record) == journal::Next::kRecord;) {
    input.push_back(record.kind);
    input.push_back(static_cast<std::uint8_t>(record.payload.size() & 0xFF));
    input.push_back(static_cast<std::uint8_t>(record.payload.size() >> 8));
    const auto* p = reinterpret_cast<const std::uint8_t*>(record.payload.data());
    input.insert(input.end(), p, p + record.payload.size());
  }
  return input;
}

inline std::uint64_t run(std::span<const std::uint8_t> input) {
  if (input.empty()) return 0;
  const Bytes rest(input.begin() + 1, input.end());  // a copy of its own size: reading past it is seen
  if (input[0] % 2 == 0) return read_segment(as_bytes(rest));
  SegmentBuilder builder;
  for (std::size_t i = 0; i + 3 <= rest.size();) {
    const std::uint8_t kind = rest[i];
    const std::size_t wanted = rest[i + 1] + 256u * rest[i + 2];
    i += 3;
    const std::size_t size = std::min(wanted, rest.size() - i);
    builder.add(kind, rest.data() + i, size);
    i += size;
  }
  return read_segment(as_bytes(builder.bytes()));
}

}  // namespace journal_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  journal_fuzz::run({data, size});
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::string option = (*argv)[i];
    if (!option.starts_with("--seeds=")) continue;
    for (std::uint32_t n = 0; n < 16; ++n)
      for (const auto& input : {journal_fuzz::seed(n), journal_fuzz::payload_seed(n)}) {
        std::ofstream file(option.substr(8) + "/journal-" + std::to_string(n) + (input[0] ? "-payloads" : "-segment"),
                           std::ios::binary);
        file.write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
      }
    std::exit(0);
  }
  return 0;
}
