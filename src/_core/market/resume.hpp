// Resuming and repeating recorded rows: what is stored already is dropped by place, days are moved whole.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "market/snapshot.hpp"

namespace qautlra {

// Owner: one source, one thread. One mark per instrument that has something stored.
class ResumeMarks {
 public:
  void set(std::uint32_t instrument, std::int64_t ts_event_ns, std::uint32_t ordinal) {
    if (instrument >= marks_.size()) marks_.resize(instrument + 1);
    marks_[instrument] = {ts_event_ns, ordinal, false};
    newest_ns_ = std::max(newest_ns_, ts_event_ns);
  }

  // Removes each instrument's rows up to and including its mark; from there on everything stays.
  std::size_t drop_stored(std::vector<Snapshot>& rows) {
    return std::erase_if(rows, [this](const Snapshot& row) {
      if (row.instrument >= marks_.size()) return false;
      Mark& m = marks_[row.instrument];
      if (m.passed) return false;
      const std::int64_t ts = row.ts_event_ns();
      if (ts == m.ts_event_ns && row.ordinal == m.ordinal) {
        m.passed = true;
        return true;
      }
      m.passed = ts > m.ts_event_ns || (ts == m.ts_event_ns && row.ordinal > m.ordinal);
      return !m.passed;
    });
  }

  std::int64_t newest_ns() const { return newest_ns_; }

 private:
  struct Mark {
    std::int64_t ts_event_ns = 0;
    std::uint32_t ordinal = 0;
    bool passed = true;
  };
  std::vector<Mark> marks_;
  std::int64_t newest_ns_ = 0;
};

inline void shift_days(std::vector<Snapshot>& rows, std::int32_t days) {
  constexpr std::int64_t kDayNs = 86'400'000'000'000;
  for (Snapshot& row : rows) {
    row.set_count(kDatetime, row.ts_event_ns() + days * kDayNs);
    using namespace std::chrono;
    const auto d = static_cast<unsigned>(row.trading_day);
    const year_month_day moved{sys_days{year{static_cast<int>(d / 10000)} / month{d / 100 % 100} / day{d % 100}} +
                               std::chrono::days{days}};
    row.trading_day = static_cast<int>(moved.year()) * 10000 +
                      static_cast<std::int32_t>(static_cast<unsigned>(moved.month()) * 100 +
                                                static_cast<unsigned>(moved.day()));
  }
}

}  // namespace qautlra
