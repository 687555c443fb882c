// Which orders would close an account's positions by force (contract 5.11).
#pragma once

#include <cstdint>
#include <vector>

#include "account/account.hpp"

namespace qautlra::account {

struct Closing {
  std::uint32_t instrument;
  Side side;
  Offset offset;
  std::int64_t volume;
  Price price;  // on the tick, inside the price limits
};

struct ClosingRules {
  Ratio slip = 5'000'000;  // 0.005: SELL at bid x (1 - slip), BUY at ask x (1 + slip)
  std::int64_t volume_max = 0;  // lots in one order, 0: no bound
};

// Limit orders that close all lots no live order has frozen (cancel the account's orders first to close all),
// dearest margin first. Without a quote: the settlement price, then the open price. Instruments that do not
// trade are left out, and so are shares bought today.
void plan_liquidation(const Account& account, const Board& board, const ClosingRules& rules,
                      std::vector<Closing>& out);

// The price such an order carries; kNoValue when nothing is known to derive one from.
Price closing_price(const Terms& terms, const Quote& quote, Price open_price, Side side, Ratio slip);

}  // namespace qautlra::account
