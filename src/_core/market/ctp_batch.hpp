// A table of CTP depth records (Arrow, columns named as in CThostFtdcDepthMarketDataField) -> snapshots.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/arrow_c.hpp"
#include "market/ctp_record.hpp"
#include "market/normalise_ctp.hpp"

namespace qautlra {

// Owner: the loop thread (or one worker). Keeps, per instrument, the stamps it met last, so that ordinals of
// equal stamps go on across batches and repeat when the same records are read again.
class CtpReader {
 public:
  CtpReader(InstrumentTable& instruments, const Calendar& calendar)
      : instruments_(instruments), calendar_(calendar) {}

  struct Options {
    bool trust_action_day = true;
    bool ordinals = true;
    std::int64_t now_ns = 0;
    Source source = Source::kReplay;
  };
  // Appends rows; returns how many records were refused, or -1 with a sentence in `why` when the table
  // itself cannot be read. Missing columns and nulls mean "no value".
  std::int64_t read(const ArrowSchema& schema, const ArrowArray& batch, const Options& options,
                    std::vector<Snapshot>& rows, std::string& why);

  // The same of ticks as the CTP binding hands them over; returns how many were refused.
  std::int64_t read(const CtpTick* ticks, std::size_t count, const Options& options, std::vector<Snapshot>& rows);

  // The first refused record's reason since construction, empty when there was none.
  const std::string& first_refusal() const { return first_refusal_; }

  std::uint32_t next_ordinal(std::uint32_t instrument, std::int64_t ts_ns);

  // Whether a live row says the instrument's last row again, as a front does after each subscription.
  bool repeats_last(const Snapshot& row);

 private:
  static constexpr int kStampsKept = 8;
  struct Recent {
    std::int64_t ts_ns[kStampsKept];
    std::uint32_t count[kStampsKept] = {};
    int next = 0;
  };

  std::uint32_t instrument_of(std::string_view exchange, std::string_view code, std::string& why);
  // Appends the row of one record, or says why there is none.
  bool take(std::string_view exchange, std::string_view code, const CtpDepth& depth, const Options& options,
            std::int64_t ts_recv_ns, std::vector<Snapshot>& rows, std::string& why);

  InstrumentTable& instruments_;
  const Calendar& calendar_;
  std::vector<Recent> recent_;   // by instrument number
  std::vector<Snapshot> last_;   // the same, of live rows only
  std::unordered_map<std::string, std::uint32_t> known_;  // "EXCHANGE\0code" as received
  std::string key_, first_refusal_;
};

// For callers without overloads.
inline std::int64_t read_ticks(CtpReader& reader, const CtpTick* ticks, std::size_t count,
                               const CtpReader::Options& options, std::vector<Snapshot>& rows) {
  return reader.read(ticks, count, options, rows);
}

}  // namespace qautlra
