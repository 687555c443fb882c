// The account tree of the DIFF trade socket as JSON: whole objects or what changed in them, numbers whole where they
// are, "-" for no value (contract 1.2 to 1.5, 2.3). The other half of the spelling is diff_in.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "exchange/diff_funds.hpp"
#include "exchange/exchange.hpp"

namespace qautlra::exchange {

// Each appends one object. Numbers and names must be the exchange's.
void encode_order(const Exchange& x, std::uint32_t order, Buffer& out);
void encode_trade(const Exchange& x, std::uint32_t trade, Buffer& out);
// `with_quota`: WithdrawQuota too, which QIFI has and DIFF has not.
void encode_account(const Exchange& x, std::uint32_t account, Buffer& out, bool with_quota = false);
// False, and nothing appended, when the account has none there.
bool encode_position(const Exchange& x, std::uint32_t account, std::uint32_t instrument, Buffer& out);

// Each appends `"id":{…},…`: what stands between the braces of the tree's positions (all of an account's), its orders,
// its trades.
void encode_positions(const Exchange& x, std::uint32_t account, Buffer& out);
void encode_orders(const Exchange& x, std::span<const std::uint32_t> orders, Buffer& out);
void encode_trades(const Exchange& x, std::span<const std::uint32_t> trades, Buffer& out);

// An account's part of the tree: its funds, and of positions, orders and trades those that are named (by instrument, by
// number).
void encode_part(const Exchange& x, std::uint32_t account, std::span<const std::uint32_t> instruments,
                 std::span<const std::uint32_t> orders, std::span<const std::uint32_t> trades, Buffer& out);

// The same without braces around it and with the quota, as a patch: what nothing is named of is left out.
void encode_change(const Exchange& x, std::uint32_t account, std::span<const std::uint32_t> instruments,
                   std::span<const std::uint32_t> orders, std::span<const std::uint32_t> trades, Buffer& out);

// What a run of events came to for one account, as one `rtn_data` packet: funds, positions, orders, trades.
// Owner: one thread; the lists are kept between calls.
class Report {
 public:
  // Everything they touched, whole.
  void encode(const Exchange& x, std::uint32_t account, std::span<const Event> events, Buffer& out);

  // Only what is not as look() found it before the command that brought the events about: for a client that has been
  // told of everything until then. What is new to him is whole. The command enters an order, or withdraws `order`.
  // Where it moves no lots, held or frozen, the position is left alone: all that can change is what that one order keeps
  // of its margin.
  void look(const Exchange& x, std::uint32_t account, std::uint32_t instrument, bool moves_lots,
            const OrderRecord* order = nullptr);
  void encode_changes(const Exchange& x, std::uint32_t account, std::span<const Event> events, Buffer& out);

 private:
  void gather(std::uint32_t account, std::span<const Event> events);

  std::vector<std::uint32_t> orders_;
  std::vector<std::uint32_t> trades_;
  std::vector<std::uint32_t> instruments_;
  std::uint32_t orders_before_ = 0;
  std::uint32_t instrument_before_ = kNone;  // of the position looked at, kNone: there was none
  diff::Wealth wealth_;
  bool position_seen_ = false;  // otherwise only what the order kept of its margin was
  Money margin_ = 0;
  account::Position position_;
  std::vector<std::string> spellings_;
};

// A `rtn_data` packet with one notify; `key` must be new to the session.
void encode_notify(std::uint64_t key, Code code, Buffer& out);

}  // namespace qautlra::exchange
