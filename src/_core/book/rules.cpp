#include "book/rules.hpp"

#include <cmath>

namespace qautlra::book {

namespace {
constexpr double kEpsilon = 1e-6;  // of a tick
constexpr std::uint32_t kResting = kLimitGfd | kLimitGfs | kLimitGfa;
bool sane(double reference, double ratio, double tick) {
  return tick > 0 && std::isfinite(ratio) && std::fabs(reference / tick) < 1e15 && std::fabs(ratio) < 1e3;
}
}  // namespace

std::uint32_t kinds_of(std::string_view exchange, Product product) {
  constexpr std::uint32_t limits = kResting | kLimitFak | kLimitFok;
  const bool future = product == Product::kFuture;
  if (exchange == "SHFE" || exchange == "INE") return limits;
  // GFEX trades on DCE's system.
  if (exchange == "DCE" || exchange == "GFEX") return future ? limits | kAny | kAnyFok : limits;
  if (exchange == "CZCE") return kResting | kLimitFak | kAny;
  if (exchange == "CFFEX") return limits | kBest | kFiveLevel;
  if (exchange == "SSE" || exchange == "SZSE" || exchange == "BSE")
    return product == Product::kOption ? kResting | kLimitFok : kResting | kBest | kFiveLevel;
  return kEveryKind;
}

Rules rules_of(std::string_view exchange, std::string_view code, Product product) {
  Rules rules;
  rules.kinds = kinds_of(exchange, product);
  if (product != Product::kStock) return rules;
  const bool star = exchange == "SSE" && (code.starts_with("688") || code.starts_with("689"));
  const std::int32_t least = star ? 200 : 100;
  const std::int32_t step = star || exchange == "BSE" ? 1 : 100;
  for (int side = 0; side < 2; ++side) {
    rules.volume_min[side] = least;
    rules.volume_step[side] = step;
  }
  rules.volume_max = star ? 100'000 : 1'000'000;
  return rules;
}

bool to_ticks(double price, double tick, std::int64_t& out) {
  if (!(tick > 0) || !std::isfinite(price)) return false;
  const double ratio = price / tick;
  if (!(std::fabs(ratio) < 1e15)) return false;
  const double whole = std::round(ratio);
  if (std::fabs(ratio - whole) >= kEpsilon) return false;
  out = static_cast<std::int64_t>(whole);
  return true;
}

Band band_inside(double reference, double ratio, double tick) {
  if (!sane(reference, ratio, tick)) return {};
  return {static_cast<std::int64_t>(std::ceil(reference * (1 - ratio) / tick - kEpsilon)),
          static_cast<std::int64_t>(std::floor(reference * (1 + ratio) / tick + kEpsilon))};
}

Band band_rounded(double reference, double ratio, double tick) {
  if (!sane(reference, ratio, tick)) return {};
  const auto nearest = [tick](double price) {
    return static_cast<std::int64_t>(std::floor(price / tick + 0.5 + kEpsilon));
  };
  return {nearest(reference * (1 - ratio)), nearest(reference * (1 + ratio))};
}

}  // namespace qautlra::book
