// The fuzz target without a fuzzer: its seeds, every cut of them, and thousands of mutations from fixed numbers.
#include "../fuzz/replay_fuzz.cpp"

#include <random>

#include "expect.hpp"

namespace {

using namespace replay_fuzz;

int run(const std::string& bytes) { return LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()); }

}  // namespace

TEST_CASE(a_seed_is_a_day_with_trades_and_its_checkpoint_comes_to_the_same) {
  const std::string whole = seed(), late = from_checkpoint(whole);
  Exchange x(small()), y(small());
  EXPECT(replay(x, reinterpret_cast<const std::uint8_t*>(whole.data()), whole.size()));
  EXPECT(replay(y, reinterpret_cast<const std::uint8_t*>(late.data()), late.size()));
  EXPECT_EQ(x.state_hash(), y.state_hash());
  EXPECT(x.ledger().at(1).balance() != 1'000'000 * account::kUnit);
  EXPECT_EQ(x.broken(), 0u);
}

TEST_CASE(cuts_and_mutations) {
  std::mt19937 random(2021);
  const std::string seeds[] = {seed(), from_checkpoint(seed())};
  for (const std::string& whole : seeds)
    for (std::size_t size = 0; size <= whole.size(); size += 3) run(whole.substr(0, size));
  for (int i = 0; i < 3'000; ++i) {
    std::string bytes = seeds[random() % 2];
    for (std::uint32_t n = 1 + random() % 3; n > 0; --n) {
      const std::size_t at = random() % bytes.size();
      if (random() % 4 == 0) bytes.erase(at, 1 + random() % 8);
      else bytes[at] = static_cast<char>(random());
      if (bytes.empty()) break;
    }
    run(bytes);
  }
}

int main(int argc, char** argv) { return expect::run_all(1, argv); }
