// One user's orders on the trade socket as most of them come: alone, plainly spelt, told at once. From the message to
// the packet that the long way (wire/trade.py over diff_out.hpp) would send, byte for byte; whatever is not so is left to
// it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/diff_in.hpp"
#include "exchange/diff_out.hpp"
#include "exchange/exchange.hpp"

namespace qautlra::exchange {

// Owner: the exchange's thread. Calls in this order, for one message after the other.
class DiffLane {
 public:
  enum class Kind : std::uint8_t { kNotOurs, kInsert, kCancel };

  // `user` is whose name an order must bear; keys of notices are `notices` and a number. Account and user must be there.
  DiffLane(Exchange& x, std::uint32_t account, std::string_view user, std::string_view notices);

  // kNotOurs: not for this lane, and nothing done. The message must stay until enter().
  Kind read(std::string_view message);
  std::uint32_t instrument() const { return instrument_; }  // of an insert, listed

  Outcome enter(std::int64_t now_ns);

  // Whether all that enter() did, to this account, was to one order: then it can be told here.
  bool is_simple() const { return simple_; }
  bool is_alive() const { return alive_; }
  std::uint32_t order() const { return order_; }
  const DiffCommand& command() const { return *command_; }  // that was read, while its message stays
  // The packet, until the next call, with notices numbered behind `serial`, which is moved on.
  std::string_view tell(std::uint64_t& serial);

 private:
  char* put_notice(char* p, std::uint64_t number, Code code) const;
  void look(const Outcome& out);

  Exchange& x_;
  const std::uint32_t account_;
  const std::string user_;
  const std::string user_key_;  // as JSON has it
  const std::string notices_;
  DiffReader reader_;
  DiffCommand* command_ = nullptr;
  Kind kind_ = Kind::kNotOurs;
  std::uint32_t instrument_ = kNone;
  std::uint32_t order_ = kNone;
  bool simple_ = false;
  bool alive_ = false;
  std::vector<std::uint32_t> trades_;
  Buffer out_{std::size_t{8} << 10};
};

}  // namespace qautlra::exchange
