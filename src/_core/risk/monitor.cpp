#include "risk/monitor.hpp"

#include <cstdio>

namespace qautlra::risk {

std::string alert_id(const Alert& alert) {
  char text[48];
  std::snprintf(text, sizeof text, "ALERT%08d%08llu", static_cast<int>(alert.day),
                static_cast<unsigned long long>(alert.seq));
  return text;
}

std::uint32_t Monitor::review(const account::Account& account, account::Money loss_max, bool many_cancels,
                              std::int32_t day, std::int64_t now_ns) {
  const std::uint32_t number = account.number();
  if (number >= lines_.size()) lines_.resize(static_cast<std::size_t>(number) + 1);
  Line& line = lines_[number];
  const account::Money balance = account.balance();
  const account::Money available = account.available();
  const account::Funds& funds = account.funds();
  const double ratio = account.leverage();
  const Level level = level_of(ratio);
  std::uint32_t on = 0;
  if (ratio >= 1.0) on |= bit(AlertKind::kLiquidationTriggered);
  else if (ratio >= 0.95) on |= bit(AlertKind::kNearLiquidation);
  if (funds.margin > 0 && funds.margin > balance) on |= bit(AlertKind::kMarginInsufficient);
  if (available < 0) on |= bit(AlertKind::kNegativeAvailable);
  if (loss_max > 0 && balance < account.static_balance() - loss_max) on |= bit(AlertKind::kDailyLoss);
  if (many_cancels) on |= bit(AlertKind::kManyCancels);
  std::uint32_t fresh = on & ~line.on;
  if (level > line.level) fresh |= bit(AlertKind::kLevelEscalation);
  line.on = on;
  line.level = level;
  for (int kind = 0; kind < kAlertKinds; ++kind) {
    if (!(fresh & (1u << kind))) continue;
    Alert alert;
    alert.seq = ++seq_;
    alert.ts_ns = now_ns;
    alert.balance = balance;
    alert.available = available;
    alert.ratio = ratio;
    alert.account = number;
    alert.day = day;
    alert.kind = static_cast<AlertKind>(kind);
    alert.level = level;
    if (line.kept.size() < kKept) line.kept.push_back(alert);
    else line.kept[line.count % kKept] = alert;
    ++line.count;
  }
  return fresh;
}

std::vector<Alert> Monitor::alerts(std::uint32_t account) const {
  std::vector<Alert> out;
  if (account >= lines_.size()) return out;
  const Line& line = lines_[account];
  const std::size_t size = line.kept.size();
  const std::size_t first = size < kKept ? 0 : static_cast<std::size_t>(line.count % kKept);
  for (std::size_t i = 0; i < size; ++i) out.push_back(line.kept[(first + i) % size]);
  return out;
}

bool Monitor::handle(std::uint32_t account, std::uint64_t seq) {
  if (account >= lines_.size()) return false;
  for (Alert& alert : lines_[account].kept)
    if (alert.seq == seq) return alert.handled = true;
  return false;
}

}  // namespace qautlra::risk
