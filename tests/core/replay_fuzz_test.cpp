// The fuzz target without a fuzzer: its seeds, every cut of them, and thousands of mutations from fixed numbers.
#include "../fuzz/replay_fuzz.cpp"

#include <cstring>
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

TEST_CASE(an_order_of_more_lots_than_any_gate_lets_in_is_no_record_of_ours) {
  const std::string whole = seed();
  int orders = 0;
  for (std::size_t at = 0; at + 3 <= whole.size();) {
    const std::size_t length = static_cast<std::uint8_t>(whole[at + 1]) + 256u * static_cast<std::uint8_t>(whole[at + 2]);
    if (static_cast<exchange::RecordKind>(whole[at]) == exchange::RecordKind::kInsert) {
      std::string bytes = whole.substr(0, at + 3 + length);
      exchange::Code verdict;  // it and the price of freezing end the record
      std::memcpy(&verdict, bytes.data() + bytes.size() - sizeof(std::int64_t) - sizeof verdict, sizeof verdict);
      at += 3 + length;
      if (verdict != exchange::kOk) continue;
      const std::size_t id = at - length + 8;  // account, instrument; then the id behind its length, then the lots
      bytes[id + 2 + static_cast<std::uint8_t>(bytes[id]) + 4] = 1;
      const std::int64_t freeze_at = 1;  // so low that the value of them all fits
      std::memcpy(bytes.data() + bytes.size() - sizeof freeze_at, &freeze_at, sizeof freeze_at);
      Exchange x(small());
      EXPECT(!replay(x, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
      ++orders;
      continue;
    }
    at += 3 + length;
  }
  EXPECT(orders > 3);
}

int main(int argc, char** argv) { return expect::run_all(1, argv); }
