// A token bucket on a clock that is handed in; whole-number arithmetic, so a replay decides the same.
#pragma once

#include <algorithm>
#include <cstdint>

namespace qautlra::risk {

struct Pace {
  std::int64_t per_s = 0;  // 0: no limit
  std::int64_t burst = 0;
};
constexpr std::int64_t kMaxPace = 1'000'000'000;

// Owner: the gate. Starts full; a clock that goes back adds nothing, and counts from where it is then.
class Bucket {
 public:
  bool take(const Pace& pace, std::int64_t now_ns) {
    if (pace.per_s <= 0) return true;
    constexpr std::int64_t kToken = 1'000'000'000;
    const std::int64_t rate = std::min(pace.per_s, kMaxPace);
    const std::int64_t full = std::clamp<std::int64_t>(pace.burst, 1, kMaxPace) * kToken;
    if (level_ == kUnstarted) {
      level_ = full;
      at_ns_ = now_ns;
    } else if (now_ns > at_ns_) {
      const auto passed = static_cast<std::uint64_t>(now_ns) - static_cast<std::uint64_t>(at_ns_);
      level_ = std::min(level_, full);
      const auto missing = static_cast<std::uint64_t>(full - level_);
      const auto pace_u = static_cast<std::uint64_t>(rate);
      level_ = passed >= missing / pace_u + 1 ? full
                                              : std::min(full, level_ + static_cast<std::int64_t>(passed * pace_u));
      at_ns_ = now_ns;
    } else {
      at_ns_ = now_ns;
    }
    if (level_ < kToken) return false;
    level_ -= kToken;
    return true;
  }
  void refill() { level_ = kUnstarted; }

 private:
  static constexpr std::int64_t kUnstarted = -1;
  std::int64_t level_ = kUnstarted;  // 1e-9 tokens
  std::int64_t at_ns_ = 0;
};

}  // namespace qautlra::risk
