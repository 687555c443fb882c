// What people and programs are told: every code of the exchange with its number and text on each way in, and the state
// of an order in words (contract 2.4, 2.5).
#pragma once

#include <span>
#include <string_view>

#include "exchange/types.hpp"

namespace qautlra::exchange {

struct CodeWords {
  Code code;
  std::uint16_t diff;  // notify code of the DIFF socket; 0: it has none and the CTP number stands
  std::uint16_t ctp;
  const char* name;
  const char* text;
};

// In order of their numbers.
std::span<const CodeWords> all_words();
const CodeWords& words_of(Code code);  // those of 1008 for a number that is none

// `last_msg` of an order, and what comes after it, with their number, where lots_frozen() are told of.
std::string_view message_of(const OrderRecord& order);
constexpr std::string_view kLotsFrozen = ",冻结手数:";

}  // namespace qautlra::exchange
