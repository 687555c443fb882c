// The thresholds of the risk table (contract 6.1, 6.2) and its two profiles. 0 switches a check off.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "account/money.hpp"
#include "risk/bucket.hpp"

namespace qautlra::risk {

using account::Money;
using account::Price;
using account::Ratio;

struct Limits {
  std::int64_t volume_max = 0;                      // 5: lots in one order
  Ratio price_deviation = 0;                        // 7: of the last price
  std::int64_t stale_ns = 0;                        // 7: without a tick for so long, no order without a price
  Money notional_max = 0;                           // 8: of one order
  Pace orders{100, 200};                            // 9
  Pace cancels;                                     // 9
  std::int64_t repeats_max = 0;                     // 10: identical orders in a day
  std::int64_t active_max = 50;                     // 11
  std::int64_t day_orders = 0;                      // 12, of an account
  std::int64_t day_cancels = 0;
  std::int64_t day_trades = 0;
  std::int64_t contract_orders = 0;                 // 12, of an account in one instrument
  std::int64_t contract_cancels = 0;
  std::int64_t contract_trades = 0;
  std::int64_t contract_opens = 0;                  // opening orders
  std::int64_t contract_open_volume = 0;            // lots opened
  std::int64_t cancels_warn = 0;                    // below the exchanges' line for abnormal trading
  std::int64_t cancels_block = 0;                   // from here on no opening orders
  std::int64_t position_max = 0;                    // 13: lots of one leg, live opening orders included
  Ratio concentration = account::kOne / 2;          // 15: margin in one instrument / balance
  Ratio ratio_stop = account::kOne * 95 / 100;      // 16
  Ratio ratio_warn = account::kOne * 80 / 100;      // 16
  bool self_trade = true;                           // 17
  Money loss_max = 0;                               // a day's loss that leaves an account reducing only

  // Whether anything hangs on what an account did in one instrument: its counts are far away in memory.
  bool looks_at_contracts() const {
    return (contract_orders | contract_cancels | contract_trades | contract_opens | contract_open_volume |
            cancels_warn | cancels_block) != 0;
  }

  // Whether 5 to 12 look at anything of a plain order but what makes it one.
  bool looks_at_orders() const {
    return (volume_max | price_deviation | stale_ns | notional_max | orders.per_s | repeats_max | active_max |
            day_orders | day_trades) != 0 ||
           looks_at_contracts();
  }

  // Whether anything looks at cancels.
  bool looks_at_cancels() const { return (cancels.per_s | day_cancels) != 0 || looks_at_contracts(); }

  // The least of the shares of the balance that margin is held against; 0 when it is held against none.
  Ratio least_share() const {
    Ratio least = 0;
    for (const Ratio share : {concentration, ratio_stop, ratio_warn})
      if (share > 0 && (least == 0 || share < least)) least = share;
    return least;
  }

  static Limits paper() { return {}; }
  static Limits live() {
    Limits l;
    l.volume_max = 10'000;
    l.notional_max = 10'000'000 * account::kUnit;
    l.orders = {20, 20};
    l.cancels = {20, 20};
    l.repeats_max = 10;
    l.day_orders = 20'000;
    l.day_cancels = 10'000;
    l.day_trades = 10'000;
    l.contract_orders = 2'000;
    l.contract_cancels = 1'000;
    l.contract_trades = 1'000;
    l.cancels_warn = 400;
    l.cancels_block = 480;
    return l;
  }
};

}  // namespace qautlra::risk
