// The feed's encodings: who reads a frame decides how a time, a missing and a vanished value are written.
#pragma once

#include <cstdint>

namespace qautlra {

enum class Style : std::uint8_t {
  kDiff = 0,          // `aid` sessions: Beijing text; a vanished price is "-", a vanished volume 0
  kLegacyRtn,         // rtn_data of type/op/action sessions: Beijing text; missing and vanished are null
  kLegacyMarketData,  // market_data: RFC 3339 Z, all 58 keys, missing is null
  kCore,              // the predecessor server's dialect: CTP field names in snake case
};
constexpr int kStyleCount = 4;

}  // namespace qautlra
