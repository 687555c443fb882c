// Why an order, a cancel or a movement of money was refused: one list for account and risk, numbered as the
// trading contract's error table (and as book::Code where both say the same thing). Numbers are on the journal
// and in Python: append, never renumber.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qautlra::account {

enum class Code : std::uint16_t {
  kOk = 0,
  kFunds = 1001,
  kPositionLimit = 1002,
  kVolume = 1003,       // not a whole number from 1 to the largest order
  kRiskRatio = 1004,
  kSelfTrade = 1005,
  kNoAccount = 1006,
  kNoInstrument = 1007,
  kBadParameters = 1008,
  kConcentration = 1009,
  kNotional = 1010,
  kAccountFrozen = 2002,
  kWithdrawQuota = 2003,
  kBadAmount = 2004,
  kOrdersAlive = 2005,  // a day cannot be settled while orders freeze something
  kNoOrder = 3001,
  kDuplicate = 3002,
  kBadPrice = 3003,
  kBadTick = 3004,
  kCloseExceeds = 3005,
  kCloseTodayExceeds = 3006,
  kCloseYesterdayExceeds = 3007,
  kActiveOrders = 3008,
  kRepeated = 3009,
  kDailyOrders = 3010,
  kDailyCancels = 3011,
  kDailyTrades = 3012,
  kReduceOnly = 3013,
  kExpired = 3014,
  kFatFinger = 3015,
  kStaleFeed = 3016,
  kReducing = 3017,
  kHalted = 3018,
  kSuspended = 3019,
  kAboveLimit = 4002,
  kBelowLimit = 4003,
  kNotTrading = 4004,
  kTooLarge = 5003,     // beyond what one account can hold
  kRate = 9429,
};

// How each way in names it. `diff` is the simulator's notify code of the DIFF socket, 0 where it has none and the
// CTP number stands; texts are the ones clients of either know.
struct CodeInfo {
  Code code;
  std::uint16_t diff;
  std::uint16_t ctp;
  const char* name;  // for machines
  const char* text;  // for people
};

const CodeInfo& info(Code code);
const CodeInfo* all_codes(std::size_t& count);

}  // namespace qautlra::account
