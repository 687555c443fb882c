// Words of the order book: what an order says, what comes back. Numbers of enumerators are on the journal and
// in Python: append, never renumber. Codes are those of the trading contract's error table.
#pragma once

#include <cstdint>

namespace qautlra::book {

// Handle of a live order: its running number (dense, from 1, never reused) above its slot in the pool. A handle
// of an order that is gone names nothing, whoever has the slot now.
using OrderId = std::uint64_t;
constexpr int kSlotBits = 24;
constexpr std::uint32_t slot_of(OrderId id) { return static_cast<std::uint32_t>(id & ((1u << kSlotBits) - 1)); }
constexpr std::uint64_t serial_of(OrderId id) { return id >> kSlotBits; }

enum class Side : std::uint8_t { kBuy = 0, kSell = 1, kNone = 2 };
constexpr Side opposite(Side side) { return side == Side::kBuy ? Side::kSell : Side::kBuy; }

enum class PriceType : std::uint8_t { kLimit = 0, kAny = 1, kBest = 2, kFiveLevel = 3 };
enum class TimeCondition : std::uint8_t { kIoc = 1, kGfs = 2, kGfd = 3, kGtd = 4, kGtc = 5, kGfa = 6 };
enum class VolumeCondition : std::uint8_t { kAny = 1, kMin = 2, kAll = 3 };

enum class Phase : std::uint8_t {
  kClosed = 0,      // nothing goes in or out
  kAuction,         // orders gather and may be withdrawn
  kAuctionLocked,   // orders gather and may not
  kAuctionMatched,  // the auction has taken place: nothing goes in or out
  kContinuous,
  kBreak,           // between two sections of a day: no orders, cancels go through
};
constexpr bool is_auction(Phase p) { return p == Phase::kAuction || p == Phase::kAuctionLocked; }
constexpr bool takes_orders(Phase p) { return is_auction(p) || p == Phase::kContinuous; }
constexpr bool takes_cancels(Phase p) {
  return p == Phase::kAuction || p == Phase::kContinuous || p == Phase::kBreak;
}

enum class Code : std::uint16_t {
  kOk = 0,
  kBadVolume = 1003,
  kSelfTrade = 1005,
  kNoAccount = 1006,
  kNoInstrument = 1007,
  kBadParameters = 1008,
  kNoOrder = 3001,        // unknown here: never was, filled, or cancelled
  kUnsupported = 4001,    // the exchange has no such order type
  kAboveLimit = 4002,
  kBelowLimit = 4003,
  kNotTrading = 4004,     // the phase takes no orders
  kNoCancelNow = 4005,    // the phase takes no cancels
  kAuctionOnly = 4006,
  kNotInAuction = 4007,
  kFull = 5001,           // live orders at their bound
};

// Why an order ended unfilled.
enum class Reason : std::uint8_t {
  kUser = 1,
  kRest,        // what an IOC order could not trade
  kAllOrNone,   // FOK: not enough there
  kMinimum,     // FAK with a minimum: not enough there
  kSelfTrade,
  kAuctionEnd,  // GFA
  kSectionEnd,  // GFS
  kDayEnd,
  kBand,        // outside new price limits
  kForced,      // by an operator or the exchange, in any phase
  // Of orders no book ever had, by which a contract's end closes what is held of it.
  kDelivered,   // a future, at its settlement price
  kExercised,   // an option, for its value or for what underlies it
  kLapsed,      // an option that is worth nothing
};

// The new order, prices in whole ticks.
struct NewOrder {
  std::int64_t price = 0;  // LIMIT only
  std::int32_t volume = 0;
  std::int32_t min_volume = 0;  // with VolumeCondition::kMin
  std::uint32_t account = 0;    // dense number given by the owner of the accounts
  std::int32_t gtd_day = 0;     // last trading day of a GTD order, YYYYMMDD
  std::int32_t held = 0;        // lots the account could sell: decides whether an odd lot may go
  Side side = Side::kBuy;
  PriceType price_type = PriceType::kLimit;
  TimeCondition time = TimeCondition::kGfd;
  VolumeCondition volume_condition = VolumeCondition::kAny;
  bool opens = true;  // opening orders are subject to the self-trade policy, closing ones are not
};

struct Party {
  OrderId id;
  std::uint32_t account;
  std::int32_t left;  // after this fill
};

// One match, both sides of it. `taker` is kNone in an auction.
struct Fill {
  std::uint64_t trade;  // running number over all books, from 1
  std::int64_t price;
  std::uint32_t book;
  std::int32_t volume;
  Party party[2];  // indexed by Side
  Side taker;
};

struct Cancelled {
  OrderId id;
  std::uint32_t book;
  std::uint32_t account;
  std::int32_t left;
  Reason reason;
  Side side;
};

struct Accepted {
  OrderId id;
  std::uint32_t book;
};

struct Amended {
  OrderId id;
  std::int64_t price;
  std::uint32_t book;
  std::uint32_t account;
  std::int32_t left;  // before anything it trades at once
  bool kept_priority;
};

// What a book call came to. Everything that happened went to the sink already, in order.
struct Placed {
  OrderId id = 0;
  std::int32_t left = 0;
  Code code = Code::kOk;
  bool rests = false;
};
static_assert(sizeof(Placed) == 16);  // comes back in registers

// Kinds of order an exchange may or may not take; one bit each.
enum Kind : std::uint32_t {
  kLimitGfd = 1u << 0,
  kLimitGfs = 1u << 1,
  kLimitGfa = 1u << 2,
  kLimitGtc = 1u << 3,  // GTD too
  kLimitFak = 1u << 4,  // with or without a minimum
  kLimitFok = 1u << 5,
  kAny = 1u << 6,
  kAnyFok = 1u << 7,
  kBest = 1u << 8,
  kBestFok = 1u << 9,
  kFiveLevel = 1u << 10,
  kFiveLevelFok = 1u << 11,
  kEveryKind = (1u << 12) - 1,
};

// What happens when an opening order meets resting orders of its own account that it crosses.
enum class SelfTrade : std::uint8_t {
  kRejectTaker = 0,  // the new order is refused
  kCancelMaker,      // all those resting orders are cancelled, the new one goes on
  kCancelBoth,       // they are cancelled, and so is the new one
  kAllow,
};

enum class TradePrice : std::uint8_t {
  kMaker = 0,
  kMedian,  // the middle of buy price, sell price and last trade (the reference before the first)
};

// Owner: the book it was given to; changed only while the book is closed.
struct Rules {
  std::uint32_t kinds = kEveryKind;
  std::int32_t volume_min[2] = {1, 1};  // by side
  std::int32_t volume_step[2] = {1, 1};
  std::int32_t volume_max = 1 << 30;
  SelfTrade self_trade = SelfTrade::kRejectTaker;
  TradePrice trade_price = TradePrice::kMaker;
  bool best_rests = false;  // what is left of a BEST order stays as a limit order at the price it met
};

struct DepthLevel {
  std::int64_t price;
  std::int64_t volume;
};

// The price at which most would trade in an auction, and how it would go. volume 0: nothing crosses.
struct Indication {
  std::int64_t price = 0;
  std::int64_t volume = 0;
  std::int64_t imbalance = 0;  // buys at that price or better minus sells
};

}  // namespace qautlra::book
