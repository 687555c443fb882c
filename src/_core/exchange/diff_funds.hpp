// An account's funds as the DIFF tree spells them: all of them, or those that are not what they were.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "account/account.hpp"
#include "exchange/diff_text.hpp"

namespace qautlra::exchange::diff {

// What an account's funds in the tree follow from.
struct Wealth {
  account::Funds funds;
  Money floating = 0;
  Money market = 0;   // of shares and options
  Money options = 0;  // of options alone
};

// Keys of the funds, in the order of Sums.
struct FundKey {
  char text[24];
  std::uint8_t size;
  template <std::size_t N>
  consteval FundKey(const char (&key)[N]) : text{}, size(N - 1) {
    std::copy_n(key, N - 1, text);
  }
};
inline constexpr FundKey kFundKeys[] = {
    ",\"pre_balance\":",    ",\"deposit\":",       ",\"withdraw\":",          ",\"WithdrawQuota\":",
    ",\"close_profit\":",   ",\"commission\":",    ",\"premium\":",           ",\"static_balance\":",
    ",\"position_profit\":", ",\"float_profit\":", ",\"balance\":",           ",\"margin\":",
    ",\"frozen_margin\":",  ",\"frozen_commission\":", ",\"frozen_premium\":", ",\"available\":",
    ",\"risk_ratio\":",     ",\"market_value\":",  ",\"value_balance\":"};
constexpr std::size_t kQuotaKey = 3, kMarginKey = 11, kFrozenKey = 12, kAvailableKey = 15, kRatioKey = 16;
using Sums = std::array<Money, std::size(kFundKeys)>;

inline Wealth wealth_of(const account::Account& a) {
  return {a.funds(), a.float_profit(), a.market_value(), a.option_value()};
}

inline Sums sums_of(const Wealth& w, Money quota) {
  const account::Funds& f = w.funds;
  const Money balance = f.balance();
  return {f.pre_balance,
          f.deposit,
          f.withdraw,
          quota,
          f.close_profit,
          f.commission,
          f.premium,
          f.static_balance(),
          f.position_profit,
          w.floating,
          balance,
          f.margin,
          f.frozen_margin,
          f.frozen_commission,
          f.frozen_premium,
          f.available(balance),
          f.margin == 0 ? 0 : balance,  // what the ratio hangs on beside the margin
          w.market,
          account::add(balance, w.options)};
}

inline char* put_key(char* p, std::size_t i) {
  std::memcpy(p, kFundKeys[i].text, sizeof kFundKeys[i].text);
  return p + kFundKeys[i].size;
}
inline char* put_sum(char* p, const account::Account& a, const Sums& sums, std::size_t i) {
  p = put_key(p, i);
  if (i != kRatioKey) return put_money(p, sums[i]);
  const double ratio = a.risk_ratio();
  return std::isfinite(ratio) ? write_whole(p, ratio) : put(p, "\"-\"");
}

// Those that are not what they were, each behind a comma.
inline char* put_funds(char* p, const account::Account& a, const Wealth& was) {
  const Wealth now = wealth_of(a);
  const account::Funds& f = now.funds;
  const account::Funds& g = was.funds;
  static_assert(offsetof(account::Funds, frozen_margin) == 64);
  if (std::memcmp(&f, &g, 64) == 0 && now.floating == was.floating && now.market == was.market &&
      now.options == was.options) [[likely]] {
    // An order came or went, and nothing was traded.
    if (f.frozen_margin != g.frozen_margin) p = put_money(put_key(p, kFrozenKey), f.frozen_margin);
    if (f.frozen_commission != g.frozen_commission) p = put_money(put_key(p, kFrozenKey + 1), f.frozen_commission);
    if (f.frozen_premium != g.frozen_premium) p = put_money(put_key(p, kFrozenKey + 2), f.frozen_premium);
    const Money balance = f.balance();
    const Money available = f.available(balance);
    return available == g.available(balance) ? p : put_money(put_key(p, kAvailableKey), available);
  }
  const Sums sums = sums_of(now, 0);
  const Sums before = sums_of(was, 0);
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (sums[i] != before[i] || (i == kRatioKey && sums[kMarginKey] != before[kMarginKey])) p = put_sum(p, a, sums, i);
  return p;
}

}  // namespace qautlra::exchange::diff
