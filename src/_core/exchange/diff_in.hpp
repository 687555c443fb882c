// Orders and cancels of the DIFF trade socket out of their JSON (contract 2.2): one pass, no allocation, every byte
// distrusted. The other half of the spelling is diff_out.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "exchange/types.hpp"

namespace qautlra::exchange {

constexpr std::size_t kDiffBytesMax = 64 << 10;  // of a message
constexpr int kDiffDepthMax = 32;                // of what is skipped in it

struct DiffCommand {
  enum class Kind : std::uint8_t { kMalformed, kInsert, kCancel, kOther };  // kOther: well-formed, another `aid`
  Kind kind = Kind::kMalformed;
  // Views of the message or of the reader, until it reads again.
  std::string_view user_id;
  std::string_view order_id;
  std::string_view exchange_id;
  std::string_view instrument_id;
  Insert order;             // without account, instrument, client_id and time
  Code code = kOk;          // kBadParameters: refused, because of
  std::string_view field;   // this key; "json" for what is none
};

// Strict JSON in UTF-8. Keys it does not know are skipped, of equal keys the last counts, `null` is as good as
// missing. What a message must have: aid and order_id; of an insert also exchange_id, instrument_id, direction,
// offset, volume and price_type. Without them time_condition is GFD for LIMIT, else IOC, volume_condition ANY.
// Owner: one thread.
class DiffReader {
 public:
  const DiffCommand& read(std::string_view message);

 private:
  struct Parser;
  static constexpr std::size_t kScratchBytes = 8 * (kClientIdBytesMax + 1);

  DiffCommand command_;
  std::array<char, kScratchBytes> scratch_;
};

}  // namespace qautlra::exchange
