// Orders and cancels of the DIFF trade socket out of their JSON (contract 2.2): one pass over the fields, no
// allocation, every byte distrusted. The other half of the spelling is diff_out.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "exchange/json_scan.hpp"
#include "exchange/types.hpp"

namespace qautlra::exchange {

constexpr std::size_t kDiffBytesMax = JsonMarks::kTextBytesMax;  // of a message

constexpr std::size_t kDiffKeyPlaces = 84;  // of the table of keys

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
  // Spelt so that no two readers can mean different things: no key twice, none without a value, no volume or day of a
  // condition.
  bool plain = false;
};

// Told of the texts of a message as they are read, so that what they name can be fetched meanwhile. The message may
// still say otherwise, or turn out to be none.
class DiffHints {
 public:
  virtual void on_order_id(std::string_view order_id) = 0;
  virtual void on_instrument_id(std::string_view exchange_id, std::string_view instrument_id) = 0;

 protected:
  ~DiffHints() = default;
};

// Strict JSON in UTF-8. Keys it does not know are skipped, of equal keys the last counts, `null` is as good as
// missing. What a message must have: aid and order_id; of an insert also exchange_id, instrument_id, direction,
// offset, volume and price_type. Without them time_condition is GFD for LIMIT, else IOC, volume_condition ANY.
// Owner: one thread.
class DiffReader {
 public:
  // The command is the caller's to fill up, until the next call.
  DiffCommand& read(std::string_view message, DiffHints* hints = nullptr);

 private:
  struct Parser;
  using Successors = std::array<std::uint8_t, kDiffKeyPlaces>;  // of each key the one that came after it
  static constexpr std::size_t kScratchBytes = 8 * (kClientIdBytesMax + 1);

  DiffCommand command_;
  JsonMarks marks_;
  Successors successors_{};
  std::array<char, kScratchBytes> scratch_;
};

}  // namespace qautlra::exchange
