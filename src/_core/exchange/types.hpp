// Words of the exchange: decoded commands on the way in, outcomes and events on the way out.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "account/account.hpp"
#include "account/code.hpp"
#include "book/types.hpp"

namespace qautlra::exchange {

using account::Money;
using account::Offset;
using account::Price;
using book::Side;

// One numbering with account::Code and book::Code; below is what only the exchange says.
using Code = std::uint16_t;
constexpr Code kOk = 0;
constexpr Code kFull = 5001;          // orders of the day or live orders at their bound
constexpr Code kNotJournaled = 5004;  // the journal took no record: nothing was done
constexpr Code kDiverged = 5005;      // a replayed record does not fit the state: not the log of this exchange
constexpr Code code_of(account::Code code) { return static_cast<Code>(code); }
constexpr Code code_of(book::Code code) { return static_cast<Code>(code); }

constexpr std::uint32_t kNone = 0xFFFFFFFF;
constexpr std::uint32_t kStreet = 0;            // the account that stands for the rest of the market: no funds, no risk
constexpr std::size_t kClientIdBytesMax = 256;
constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kNoteBytesMax = 256 << 10;

// An order as a door hands it in. Owner: the caller; texts are copied where they are kept.
struct Insert {
  std::uint32_t account = kNone;
  std::uint32_t instrument = kNone;
  std::string_view client_id;  // unique for the account within the trading day
  std::int64_t volume = 0;
  Price price = account::kNoValue;  // of a LIMIT order
  std::int64_t now_ns = 0;
  std::int32_t min_volume = 0;
  std::int32_t gtd_day = 0;
  Side side = Side::kBuy;
  Offset offset = Offset::kOpen;
  book::PriceType price_type = book::PriceType::kLimit;
  book::TimeCondition time = book::TimeCondition::kGfd;
  book::VolumeCondition volume_condition = book::VolumeCondition::kAny;
  bool reduce_only = false;
  bool force = false;  // by an operator or a liquidation: most of the risk gate is passed by
};

// The end of a contract: what is held of it goes. Owner: the caller.
struct Expiry {
  std::uint32_t instrument = kNone;
  book::Reason how = book::Reason::kDelivered;
  Price price = 0;          // lots are closed at it
  account::Ratio fee = 0;   // of their value
  // Of an exercise into the underlying future: lots of it are opened at the strike.
  std::uint32_t into = kNone;
  Price strike = 0;
  bool is_put = false;
  std::int64_t now_ns = 0;
};

enum class Status : std::uint8_t { kAlive = 0, kFinished = 1 };

// One order of the day in two cache lines: what a look-up reads, and what it keeps from its account. Owner: the exchange;
// numbers are dense from 0 and start again with each day.
struct alignas(64) OrderRecord {
  book::OrderId id = 0;  // 0: refused, never in a book
  Price price = 0;
  std::int64_t insert_ns = 0;
  std::int64_t update_ns = 0;  // of the last event
  std::uint64_t seq = 0;       // of the account, of the last event
  std::uint32_t account = kNone;
  std::uint32_t before = kNone;  // the account's order before this one, today
  std::int32_t volume = 0;
  std::int32_t left = 0;
  std::uint32_t text = 0;  // where the table keeps the client's id
  Code code = kOk;         // why it was refused
  Status status : 1 = Status::kAlive;
  Offset offset : 2 = Offset::kOpen;
  book::PriceType price_type : 2 = book::PriceType::kLimit;
  book::TimeCondition time : 3 = book::TimeCondition::kGfd;
  book::Reason reason : 4 = {};  // of a cancel, or of a contract's end; 0 while there was none
  book::VolumeCondition volume_condition : 2 = book::VolumeCondition::kAny;
  account::Hold hold;  // with instrument and side, of a refused order too

  std::uint32_t instrument() const { return hold.instrument; }
  Side side() const { return hold.side; }
  // Of one refused for closing more than there was: lots that were there, but frozen by other orders.
  std::int64_t lots_frozen() const { return code == kOk ? 0 : hold.his; }
};
static_assert(std::is_trivially_copyable_v<OrderRecord> && sizeof(OrderRecord) == 128);

enum class EventKind : std::uint8_t {
  kOrder = 1,  // the order's state after whatever happened to it
  kTrade,      // one side of a match
};

struct Event {
  EventKind kind;
  Status status;
  book::Reason reason;
  Code code;
  std::uint32_t order;  // number of the record
  std::uint32_t account;
  std::uint32_t instrument;
  std::uint32_t record;  // number of the trade
  std::int32_t left;    // after this event
  std::int32_t volume;  // of the order, or traded
  Price price;          // limit of the order, or traded at
  std::uint64_t seq;    // of the account: 1, 2, 3, ... over orders and trades
  std::uint64_t trade;  // number of the match, the same for both sides
  Money commission;
  Money close_profit;
};

struct Outcome {
  Code code = kOk;
  std::uint32_t order = kNone;  // the record; of the first order where the id was used before
  std::uint64_t lsn = 0;        // of the journal record, 0 without one: wait for it before telling anybody
  std::uint8_t warnings = 0;    // risk::Warning
};

// Where records go before they take effect. append answers the record's LSN, 0 when it was refused.
struct JournalHook {
  std::uint64_t (*append)(void* context, std::uint8_t kind, const void* payload, std::size_t size) = nullptr;
  void* context = nullptr;
};

}  // namespace qautlra::exchange
