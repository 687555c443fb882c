// From the bytes of an order to the bytes of its report in one call: decode, exchange, encode.
#pragma once

#include <cstdint>
#include <string_view>

#include "exchange/diff_in.hpp"
#include "exchange/diff_out.hpp"
#include "exchange/exchange.hpp"

namespace qautlra::exchange {

// Owner: the exchange's thread. Events stay with the exchange for whoever else must hear of them.
class DiffPath : private DiffHints {
 public:
  // Reports say what changed, to clients that keep the tree and are told of everything; or whole objects.
  explicit DiffPath(Exchange& x, bool whole = false) : x_(x), whole_(whole) {}

  struct Answer {
    Outcome outcome;
    DiffCommand::Kind kind = DiffCommand::Kind::kMalformed;
    std::string_view field;   // what was wrong with the message
    std::string_view report;  // `rtn_data` for the sender, once outcome.lsn is durable; until the next call
  };
  // A message of the account's owner. Of another kind than an order or a cancel: kOther, and nothing done.
  Answer handle(std::uint32_t account, std::string_view message, std::int64_t now_ns);

 private:
  void on_order_id(std::string_view order_id) override;
  void on_instrument_id(std::string_view exchange_id, std::string_view instrument_id) override;
  std::uint32_t instrument_of(std::string_view exchange_id, std::string_view instrument_id) const;
  Outcome apply(std::uint32_t account, DiffCommand& command, std::int64_t now_ns);

  Exchange& x_;
  const bool whole_;
  // Of the message: its account, and what the texts that were read last name.
  std::uint32_t account_ = kNone;
  std::uint32_t tag_ = 0;
  std::uint32_t instrument_ = kNone;
  std::string_view order_id_;
  std::string_view exchange_id_;
  std::string_view instrument_id_;
  DiffReader reader_;
  Report report_;
  Buffer out_{std::size_t{64} << 10};
  std::uint64_t notices_ = 0;
};

}  // namespace qautlra::exchange
