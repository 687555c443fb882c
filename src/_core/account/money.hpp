// Money, prices and ratios of accounts as whole numbers.
//
// Money and prices are int64 counts of 1e-6 CNY, ratios int64 counts of 1e-9. Every tick, price, and tariff met on
// the mainland exchanges is a whole number of these (a fee of 0.00002301 is 23,010), so the worked numbers of the
// contract (35.003, 69.933, 18.7) come out exact, cash never drifts, sums do not depend on their order and a state
// has one hash. 1e-4 CNY would lose digits the contract's tolerance of 1e-6 asks for; doubles would give up the
// conservation of cash that the tests demand. Only a product with a ratio and a share of an average cost are
// rounded, half away from zero, by at most 5e-7 CNY each; what is left of a cost is the cost less the share, so
// nothing is lost and a flat position costs exactly nothing. int64 reaches 9.2e12 CNY; products go through 128
// bits and what would pass kMaxValue is refused before it takes effect.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace qautlra::account {

using Money = std::int64_t;  // 1e-6 CNY
using Price = std::int64_t;  // 1e-6 CNY
using Ratio = std::int64_t;  // 1e-9
__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UnsignedWide;

constexpr Money kUnit = 1'000'000;
constexpr Ratio kOne = 1'000'000'000;
constexpr Price kNoValue = std::numeric_limits<std::int64_t>::min();
constexpr Price kMaxPrice = 1'000'000'000 * kUnit;       // 1e9 CNY
constexpr Money kMaxValue = 1'000'000'000'000 * kUnit;   // 1e12 CNY: of all that one account opens, or is paid
constexpr Money kMaxGross = 4 * kMaxValue;               // of all its positions at market
constexpr std::int64_t kMaxVolume = 1'000'000'000'000;   // lots
constexpr std::int64_t kMaxMultiple = 1'000'000'000;

// The nearest whole count, kNoValue for what is no price (NaN, infinite, too large).
inline Price to_price(double cny) {
  if (!(std::fabs(cny) <= 1e9)) return kNoValue;
  return static_cast<Price>(std::llround(cny * 1e6));
}
inline Money to_money(double cny) {
  if (!(std::fabs(cny) <= 1e12)) return kNoValue;
  return static_cast<Money>(std::llround(cny * 1e6));
}
inline Ratio to_ratio(double x) {
  if (!(std::fabs(x) <= 1e9)) return kNoValue;
  return static_cast<Ratio>(std::llround(x * 1e9));
}
inline double to_cny(Money m) { return static_cast<double>(m) / 1e6; }

constexpr Money clamp(Wide x) {
  constexpr Wide top = std::numeric_limits<std::int64_t>::max();
  return static_cast<Money>(x > top ? top : x < -top ? -top : x);
}
// x / y to the nearest whole number, halves away from zero; y > 0.
constexpr Wide divide_round(Wide x, Wide y) { return x >= 0 ? (x + y / 2) / y : -((-x + y / 2) / y); }

constexpr Wide wide_value(Price price, std::int64_t volume, std::int64_t multiple) {
  return static_cast<Wide>(price) * volume * multiple;
}
// What seldom happens stands apart, so that it does not take registers from what always does.
[[gnu::noinline, gnu::cold]] constexpr Money clamped_value(Price price, std::int64_t volume, std::int64_t multiple) {
  return clamp(wide_value(price, volume, multiple));
}
[[gnu::noinline, gnu::cold]] constexpr Money clamped_sum(Money a, Money b) { return clamp(static_cast<Wide>(a) + b); }
// None of the three is negative.
constexpr Money value_of(Price price, std::int64_t volume, std::int64_t multiple) {
  Money value = 0;
  if (__builtin_mul_overflow(price, volume, &value)) [[unlikely]] return clamped_value(price, volume, multiple);
  if (__builtin_mul_overflow(value, multiple, &value)) [[unlikely]] return clamped_value(price, volume, multiple);
  return value;
}
// For what times() does not do itself.
[[gnu::noinline, gnu::cold]] constexpr Money times_wide(Money value, Ratio ratio) {
  return clamp(divide_round(static_cast<Wide>(value) * ratio, kOne));
}
constexpr Money times(Money value, Ratio ratio) {
  if (value >= 0 && ratio >= 0 && ratio <= kOne) [[likely]] {
    // The same in 64 bits: the whole part of value / kOne times the ratio is exact, and what is left of it is below 1e18.
    // Without signs a division by a constant is one multiplication.
    constexpr auto one = static_cast<std::uint64_t>(kOne);
    const auto of = static_cast<std::uint64_t>(value), by = static_cast<std::uint64_t>(ratio);
    const std::uint64_t whole = of / one;
    return static_cast<Money>(whole * by + ((of - whole * one) * by + one / 2) / one);
  }
  return times_wide(value, ratio);
}
// A ratio from 0 to kOne as so much of 2^64, rounded down.
constexpr std::uint64_t part_of(Ratio ratio) {
  return ratio >= kOne ? ~std::uint64_t{0}
                       : static_cast<std::uint64_t>((static_cast<UnsignedWide>(ratio) << 64) / kOne);
}
// The same as times() of a value that is not negative and a ratio whose part is known, without a division: the part of
// the value is the whole number of the product, or one less where what is left of it is then below one and a half.
constexpr Money times(Money value, Ratio ratio, std::uint64_t part) {
  constexpr auto one = static_cast<std::uint64_t>(kOne);
  const auto of = static_cast<std::uint64_t>(value);
  const auto whole = static_cast<std::uint64_t>(static_cast<UnsignedWide>(of) * part >> 64);
  const std::uint64_t left = of * static_cast<std::uint64_t>(ratio) - whole * one;
  return static_cast<Money>(whole + (left >= one / 2 ? 1 : 0));
}
// The part of a cost that `lots` of `of` lots bear.
constexpr Money share(Money cost, std::int64_t lots, std::int64_t of) {
  return lots == of ? cost : static_cast<Money>(divide_round(static_cast<Wide>(cost) * lots, of));
}

// Adds to a sum in 64 bits; false when it does not fit. kNoValue, which clamp() leaves out, too, does not.
template <class... More>
constexpr bool add_to(Money& sum, More... x) {
  if ((... || __builtin_add_overflow(sum, x, &sum))) [[unlikely]] return false;
  return sum != kNoValue;
}
template <class... More>
constexpr bool take_from(Money& sum, More... x) {
  if ((... || __builtin_sub_overflow(sum, x, &sum))) [[unlikely]] return false;
  return sum != kNoValue;
}
constexpr Money add(Money a, Money b) {
  Money sum = 0;
  if (!__builtin_add_overflow(a, b, &sum) && sum != kNoValue) [[likely]] return sum;
  return clamped_sum(a, b);
}
// The same where the sum is not negative.
constexpr Money add_up(Money a, Money b) {
  Money sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) [[unlikely]] return std::numeric_limits<Money>::max();
  return sum;
}

}  // namespace qautlra::account
