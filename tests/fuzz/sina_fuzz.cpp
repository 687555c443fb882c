// libFuzzer target over the sina parser: any bytes in, every row out is checked (quotes_market.hpp).
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Isrc/_core
//     tests/fuzz/sina_fuzz.cpp src/_core/{base,market}/*.cpp -o sina_fuzz
//   ./sina_fuzz -len_control=0 SCRATCH tests/fuzz/corpus/sina
//
// tests/core/quotes_fuzz_test.cpp replays the corpus and mutations of it without a fuzzer.
#include "market/normalise_sina.hpp"
#include "quotes_market.hpp"

namespace sina_fuzz {

inline std::size_t run(const std::uint8_t* data, std::size_t size) {
  return quotes_fuzz::run(qautlra::normalise_sina, data, size);
}

}  // namespace sina_fuzz

#ifndef QAUTLRA_FUZZ_INCLUDED
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sina_fuzz::run(data, size);
  return 0;
}
#endif
