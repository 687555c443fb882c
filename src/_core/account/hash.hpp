// A 64-bit digest of state, word by word (the finaliser of MurmurHash3): not against an enemy.
#pragma once

#include <cstdint>
#include <string_view>

namespace qautlra::account {

class Hash {
 public:
  explicit constexpr Hash(std::uint64_t seed) : state_(mix(seed + 0x9e3779b97f4a7c15ULL)) {}
  constexpr void add(std::int64_t word) {
    state_ = mix(state_ ^ static_cast<std::uint64_t>(word)) + 0x9e3779b97f4a7c15ULL;
  }
  constexpr std::uint64_t value() const { return mix(state_); }

 private:
  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
  }
  std::uint64_t state_;
};

constexpr std::uint64_t key_of(std::string_view name) {
  Hash h(name.size());
  for (const char c : name) h.add(static_cast<unsigned char>(c));
  return h.value();
}

}  // namespace qautlra::account
