// libFuzzer target over CTP's depth record: any 584 bytes, live and recorded, into a row and back into a record.
#include <cstring>

#include "market/ctp_batch.hpp"
#include "quotes_market.hpp"

using namespace qautlra;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Calendar calendar = quotes_fuzz::market();
  InstrumentTable instruments(calendar, 20251121);
  CtpReader reader(instruments, calendar);
  ctp::DepthMarketData record{};
  std::memcpy(&record, data, std::min(size, sizeof record));
  CtpTick tick;
  ctp::read(record, quotes_fuzz::kNowNs, tick);
  quotes_fuzz::require(tick.code_text().size() < sizeof tick.code);
  for (const bool recorded : {true, false}) {
    CtpReader::Options options;
    options.trust_action_day = recorded;
    options.now_ns = quotes_fuzz::kNowNs;
    options.source = Source::kCtp;
    std::vector<Snapshot> rows;
    const std::int64_t refused = reader.read(&tick, 1, options, rows);
    quotes_fuzz::require(refused + static_cast<std::int64_t>(rows.size()) == 1);
    for (const Snapshot& row : rows) {
      quotes_fuzz::require(is_date(row.trading_day));
      for (int f = kLastPrice; f <= kPreSettlement; ++f)
        quotes_fuzz::require(!row.has(f) || std::abs(row.price(f)) < 1e20);
      ctp::write(row, instruments.at(row.instrument), record);
      CtpTick again;
      ctp::read(record, quotes_fuzz::kNowNs, again);
      quotes_fuzz::require(again.depth.update_s >= 0 && again.depth.update_ms >= 0);
    }
  }
  return 0;
}
