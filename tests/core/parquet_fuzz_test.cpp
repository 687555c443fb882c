// The fuzz target of what reads our Parquet files without a fuzzer: its corpus, every cut of every seed, thousands of
// mutations from fixed numbers, and any files named on the command line.
#define QAUTLRA_FUZZ_INCLUDED
#include "../fuzz/parquet_fuzz.cpp"

#include <algorithm>
#include <random>

#include "corpus.hpp"
#include "expect.hpp"
#include "store/thrift.hpp"

namespace {

using corpus::Bytes;
using qautlra::ThriftReader;

bool run(const Bytes& bytes) {
  const Bytes exact(bytes);  // so that a sanitizer sees the first byte behind it
  return parquet_fuzz::run(exact.data(), exact.size());
}

Bytes mutated(Bytes bytes, std::mt19937& random) {
  for (std::uint32_t n = 1 + random() % 3; n > 0 && bytes.size() > 9; --n) {
    const std::size_t at = random() % bytes.size();
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random() % 5) {
      case 0: bytes[at] ^= static_cast<std::uint8_t>(1u << random() % 8); break;
      case 1: bytes[at] = static_cast<std::uint8_t>(random()); break;
      case 2: bytes.erase(place); break;
      case 3: bytes.insert(place, static_cast<std::uint8_t>(random())); break;
      default: for (std::size_t k = at; k < std::min(at + 4, bytes.size()); ++k) bytes[k] = random() % 2 ? 0xFF : 0;
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE(seeds_are_read) {
  const auto seeds = corpus::of("parquet");
  EXPECT(seeds.size() > 30);
  for (const Bytes& seed : seeds) EXPECT(run(seed));
}

TEST_CASE(every_cut_of_every_seed) {
  std::size_t good = 0, all = 0;
  for (const Bytes& seed : corpus::of("parquet"))
    for (std::size_t size = 0; size < seed.size(); ++size, ++all)
      good += run({seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size)});
  EXPECT(good < all / 2);  // a chunk's last page may not be asked for
}

// Found by fuzzing: literals of no bytes into a place that is none.
TEST_CASE(a_sequence_without_room) {
  const Bytes frame = {
      0x00, 0x00, 0x00, 0x00, 0xf4, 0x00, 0x00, 0x00, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2d, 0x00, 0x00, 0x00, 0xbf, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x05, 0x45, 0x18, 0x00};
  EXPECT(!run(frame));
}

TEST_CASE(mutations) {
  const auto seeds = corpus::of("parquet");
  std::mt19937 random(20261129);
  std::size_t good = 0;
  constexpr int kTimes = 60'000;
  for (int i = 0; i < kTimes; ++i) good += run(mutated(seeds[random() % seeds.size()], random));
  EXPECT(good > kTimes / 100);
  EXPECT(good < kTimes);
}

// A fuzzer's finding: the field after one numbered 2147483647 is numbered one more.
TEST_CASE(field_numbers_have_16_bits) {
  const auto fields = [](const Bytes& bytes, bool& failed) {
    std::size_t count = 0;
    ThriftReader thrift(bytes);
    thrift.each([&](int, ThriftReader::Type) { return ++count, false; });
    failed = thrift.failed();
    return count;
  };
  bool failed = false;
  EXPECT(fields({0x05, 0xFC, 0xFF, 0x03, 2, 0x15, 4, 0}, failed) == 2 && !failed);  // 32766, 32767
  EXPECT(fields({0x05, 0xFE, 0xFF, 0x03, 2, 0x15, 4, 0}, failed) == 1 && failed);   // 32767, 32768
  EXPECT(fields({0x05, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 2, 0x15, 4, 0}, failed) == 0 && failed);
  EXPECT(fields({0x05, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 2, 0x15, 4, 0}, failed) == 0 && failed);
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) run(corpus::read(argv[i]));
  return expect::run_all(1, argv);
}
