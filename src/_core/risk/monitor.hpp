// After the trade: the risk level of each account, the alerts it raised (contract 6.2).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "account/account.hpp"

namespace qautlra::risk {

enum class Level : std::uint8_t { kLow = 0, kMedium, kHigh, kCritical };
// By the risk degree without shares paid in full: 0.6, 0.8, 0.95.
constexpr Level level_of(double ratio) {
  return ratio < 0.6 ? Level::kLow : ratio < 0.8 ? Level::kMedium : ratio < 0.95 ? Level::kHigh : Level::kCritical;
}

enum class AlertKind : std::uint8_t {
  kLevelEscalation = 0,    // the level rose
  kNearLiquidation,        // from 0.95 on, below 1
  kLiquidationTriggered,   // from 1 on
  kMarginInsufficient,     // margin above the balance
  kNegativeAvailable,
  kDailyLoss,              // beyond Limits::loss_max
  kManyCancels,            // of one instrument today, from Limits::cancels_warn on
};
constexpr int kAlertKinds = 7;
constexpr std::uint32_t bit(AlertKind kind) { return 1u << static_cast<int>(kind); }

struct Alert {
  std::uint64_t seq = 0;
  std::int64_t ts_ns = 0;
  account::Money balance = 0;
  account::Money available = 0;
  double ratio = 0;
  std::uint32_t account = 0;
  std::int32_t day = 0;
  AlertKind kind = AlertKind::kLevelEscalation;
  Level level = Level::kLow;
  bool handled = false;
};
std::string alert_id(const Alert& alert);  // ALERT2021080200000001

// Owner: the gate. Keeps the newest kKept alerts of each account; an alert is raised when its condition begins,
// and again only after it had ended.
class Monitor {
 public:
  static constexpr std::size_t kKept = 100;

  // Bits of the alerts it raised now.
  std::uint32_t review(const account::Account& account, account::Money loss_max, bool many_cancels, std::int32_t day,
                       std::int64_t now_ns);
  Level level(std::uint32_t account) const { return account < lines_.size() ? lines_[account].level : Level::kLow; }
  std::vector<Alert> alerts(std::uint32_t account) const;  // oldest first
  bool handle(std::uint32_t account, std::uint64_t seq);
  std::uint64_t raised() const { return seq_; }

 private:
  struct Line {
    Level level = Level::kLow;
    std::uint32_t on = 0;
    std::uint64_t count = 0;
    std::vector<Alert> kept;
  };
  std::vector<Line> lines_;
  std::uint64_t seq_ = 0;
};

}  // namespace qautlra::risk
