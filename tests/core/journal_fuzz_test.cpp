// The fuzz target without a fuzzer: its seeds, thousands of mutations of them from fixed numbers, and any files
// named on the command line (a crash found elsewhere).
#include "../fuzz/journal_fuzz.cpp"

#include <iterator>

#include "expect.hpp"

namespace {

journal_fuzz::Bytes mutated(journal_fuzz::Bytes bytes, std::mt19937& random) {
  for (std::uint32_t n = 1 + random() % 4; n > 0 && bytes.size() > 1; --n) {
    const std::size_t at = 1 + random() % (bytes.size() - 1);
    switch (random() % 6) {
      case 0: bytes[at] ^= static_cast<std::uint8_t>(1u << random() % 8); break;
      case 1: bytes[at] = static_cast<std::uint8_t>(random()); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at)); break;
      case 4: bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random())); break;
      default:
        for (std::size_t i = at; i < std::min(at + 4, bytes.size()); ++i) bytes[i] = random() % 2 ? 0xFF : 0;
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE(seeds_reach_the_rows) {
  for (std::uint32_t n = 0; n < 16; ++n) {
    const std::uint64_t rows = journal_fuzz::run(journal_fuzz::seed(n));
    EXPECT(rows > 0 && rows <= 4);
    EXPECT_EQ(journal_fuzz::run(journal_fuzz::payload_seed(n)), rows);
  }
}

TEST_CASE(mutations_of_segments_and_of_payloads) {
  std::mt19937 random(2021);
  std::uint64_t rows = 0;
  for (int i = 0; i < 60'000; ++i) {
    const std::uint32_t n = random() % 16;
    rows += journal_fuzz::run(mutated(random() % 2 ? journal_fuzz::seed(n) : journal_fuzz::payload_seed(n), random));
  }
  EXPECT(rows > 10'000);  // else the mutations no longer get past the checksums
}

TEST_CASE(every_cut_of_a_segment) {
  const journal_fuzz::Bytes whole = journal_fuzz::seed(3);
  std::uint64_t last = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::uint64_t rows = journal_fuzz::run(std::span(whole).first(size));
    EXPECT(rows >= last);
    last = rows;
  }
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) continue;
    const journal_fuzz::Bytes bytes{std::istreambuf_iterator<char>(file), {}};
    journal_fuzz::run(bytes);
    std::printf("ok   %s (%zu bytes)\n", argv[i], bytes.size());
  }
  return expect::run_all(1, argv);
}
