// The fuzz targets of the public sites' text without a fuzzer: the corpus, thousands of mutations of it from
// fixed numbers, every cut of every seed, and any files named on the command line (`SITE FILE...`).
#define QAUTLRA_FUZZ_INCLUDED
#include "../fuzz/ctp_fuzz.cpp"
#include "../fuzz/gb18030_fuzz.cpp"
#include "../fuzz/sina_fuzz.cpp"
#include "../fuzz/tencent_fuzz.cpp"

#include <algorithm>
#include <random>

#include "corpus.hpp"
#include "expect.hpp"

namespace {

using corpus::Bytes;

std::size_t run(std::string_view site, const Bytes& bytes) {
  if (site == "tencent") return tencent_fuzz::run(bytes.data(), bytes.size());
  if (site == "sina") return sina_fuzz::run(bytes.data(), bytes.size());
  gb18030_fuzz::run(bytes.data(), bytes.size());
  return 1;
}

Bytes mutated(Bytes bytes, const std::vector<Bytes>& seeds, std::mt19937& random) {
  static constexpr std::string_view kPieces = "~,\"';=/.-+eE0129\n\x81\x7e\xff:";
  for (std::uint32_t n = 1 + random() % 4; n > 0 && !bytes.empty(); --n) {
    const std::size_t at = random() % bytes.size();
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random() % 7) {
      case 0: bytes[at] ^= static_cast<std::uint8_t>(1u << random() % 8); break;
      case 1: bytes[at] = static_cast<std::uint8_t>(random()); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.erase(place); break;
      case 4: bytes.insert(place, static_cast<std::uint8_t>(kPieces[random() % kPieces.size()])); break;
      case 5: bytes[at] = static_cast<std::uint8_t>(kPieces[random() % kPieces.size()]); break;
      default: {
        const Bytes& other = seeds[random() % seeds.size()];
        const std::size_t from = random() % other.size();
        bytes.insert(place, other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
        if (bytes.size() > 8192) bytes.resize(8192);
      }
    }
  }
  return bytes;
}

void mutate_all(const char* site, int times, std::size_t least) {
  const std::vector<Bytes> seeds = corpus::of(site);
  EXPECT(!seeds.empty());
  std::mt19937 random(20251121);
  std::size_t rows = 0;
  for (int i = 0; i < times; ++i) rows += run(site, mutated(seeds[random() % seeds.size()], seeds, random));
  EXPECT(rows > least);  // else the mutations no longer reach the fields
}

}  // namespace

TEST_CASE(seeds_make_rows) {
  for (const char* site : {"tencent", "sina"}) {
    std::size_t rows = 0;
    for (const Bytes& seed : corpus::of(site)) rows += run(site, seed);
    EXPECT(rows >= 8);
  }
}

TEST_CASE(mutations_of_tencents_lines) { mutate_all("tencent", 40'000, 10'000); }
TEST_CASE(mutations_of_sinas_lines) { mutate_all("sina", 40'000, 10'000); }
TEST_CASE(mutations_of_encoded_text) { mutate_all("gb18030", 40'000, 0); }

TEST_CASE(every_cut_of_every_seed) {
  for (const char* site : {"tencent", "sina", "gb18030"})
    for (const Bytes& seed : corpus::of(site))
      for (std::size_t size = 0; size < seed.size(); ++size)
        run(site, Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size)));
}

TEST_CASE(encoded_bytes_at_random) {
  std::mt19937 random(18030);
  Bytes bytes;
  for (int i = 0; i < 40'000; ++i) {
    bytes.resize(random() % 64);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() % 3 ? 0x81 + random() % 126 : random());
    run("gb18030", bytes);
  }
}

TEST_CASE(ctp_values_at_random) {
  const expect::TemporaryDirectory folder;
  EXPECT(ctp_fuzz::write_seeds(folder.path) == 30);
  std::vector<Bytes> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path)) seeds.push_back(corpus::read(entry.path()));
  std::sort(seeds.begin(), seeds.end());
  std::mt19937 random(4);
  std::size_t rows = 0;
  for (const Bytes& seed : seeds) rows += ctp_fuzz::run(seed.data(), seed.size());
  EXPECT(rows >= 15);
  for (int i = 0; i < 40'000; ++i) {
    Bytes bytes = seeds[random() % seeds.size()];
    for (std::uint32_t n = random() % 6; n > 0; --n) bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    rows += ctp_fuzz::run(bytes.data(), bytes.size());
  }
  EXPECT(rows > 5'000);
}

int main(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    const Bytes bytes = corpus::read(argv[i]);
    run(argv[1], bytes);
    std::printf("ok   %s (%zu bytes)\n", argv[i], bytes.size());
  }
  return expect::run_all(1, argv);
}
