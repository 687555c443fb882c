// Numbers of accounts and instruments by their names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/text_hash.hpp"
#include "exchange/types.hpp"

namespace qautlra::exchange {

// Numbers are dense from 0; a name stays. Owner: the exchange.
class NameTable {
 public:
  std::uint32_t size() const { return static_cast<std::uint32_t>(names_.size()); }
  const std::string& operator[](std::uint32_t number) const { return names_[number]; }
  // kNone when there is none of that name.
  std::uint32_t find(std::string_view name) const {
    const auto tag = static_cast<std::uint32_t>(TextHash::of(name));
    for (std::size_t i = tag & mask_; places_[i].number != kNone; i = (i + 1) & mask_)
      if (places_[i].tag == tag && names_[places_[i].number] == name) return places_[i].number;
    return kNone;
  }
  // One that is not there.
  void add(std::string_view name) {
    names_.emplace_back(name);
    if (2 * names_.size() <= mask_) return enter(size() - 1);
    mask_ = 2 * mask_ + 1;
    places_.assign(mask_ + 1, {});
    for (std::uint32_t n = 0; n < size(); ++n) enter(n);
  }

 private:
  struct Place {
    std::uint32_t tag = 0;
    std::uint32_t number = kNone;  // kNone: free
  };
  void enter(std::uint32_t number) {
    const auto tag = static_cast<std::uint32_t>(TextHash::of(names_[number]));
    std::size_t i = tag & mask_;
    while (places_[i].number != kNone) i = (i + 1) & mask_;
    places_[i] = {tag, number};
  }

  std::vector<std::string> names_;
  std::size_t mask_ = 15;
  std::vector<Place> places_ = std::vector<Place>(16);
};

}  // namespace qautlra::exchange
