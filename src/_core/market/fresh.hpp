// Keeps what a polled site says anew: an answer repeated, or moved only in its clock, is no tick.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "market/snapshot.hpp"

namespace qautlra {

// Owner: one source, one thread. Remembers each instrument's last row, so that rows of one stamp get ordinals.
class FreshRows {
 public:
  bool knows(std::uint32_t instrument) const { return instrument < last_.size() && last_[instrument].has_value(); }

  // What is stored already, as a process finds it at its start.
  void remember(const Snapshot& row) {
    if (row.instrument >= last_.size()) last_.resize(row.instrument + 1);
    last_[row.instrument] = row;
  }

  // Drops rows that repeat the last one but for the time, and rows older than it (a cache that lags); numbers
  // the others. Returns how many were dropped.
  std::size_t keep(std::vector<Snapshot>& rows) {
    return std::erase_if(rows, [this](Snapshot& row) {
      if (knows(row.instrument)) {
        const Snapshot& last = *last_[row.instrument];
        const bool same = (changed(last, row) & ~bit(kDatetime)) == 0;
        if (row.ts_event_ns() < last.ts_event_ns() || (same && row.trading_day == last.trading_day)) return true;
        if (row.ts_event_ns() == last.ts_event_ns()) row.ordinal = last.ordinal + 1;
      }
      remember(row);
      return false;
    });
  }

 private:
  std::vector<std::optional<Snapshot>> last_;  // by instrument number
};

}  // namespace qautlra
