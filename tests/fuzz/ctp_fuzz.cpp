// libFuzzer target over the rules of CTP depth data: any field values in, live and recorded, every row checked.
//
// The seeds are written by the program itself (`--seeds=DIR`): they are structs, not text.
#include "market/normalise_ctp.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string_view>

#include "quotes_market.hpp"

namespace ctp_fuzz {

using namespace qautlra;
using quotes_fuzz::require;

constexpr const char* kSymbols[] = {"SHFE.au2512", "CZCE.SR601", "CFFEX.IF2512", "CFFEX.T2512", "SSE.600000"};

inline bool run(const std::uint8_t* data, std::size_t size) {
  if (size < 2 + sizeof(CtpDepth)) return false;
  static const Calendar calendar = quotes_fuzz::market();
  InstrumentTable table(calendar, 20251121);
  std::string why;
  const std::uint32_t number = table.intern(kSymbols[data[0] % std::size(kSymbols)], why);
  require(number != kNoInstrument);
  CtpDepth in;
  std::memcpy(&in, data + 2, sizeof in);
  // The reader before this one gives whole days or none; all other fields may hold anything.
  for (std::int32_t* day : {&in.trading_day, &in.action_day})
    if (!is_date(*day)) *day = 0;
  const bool recorded = data[1] & 1;
  Snapshot row;
  if (normalise(in, table.at(number), calendar, quotes_fuzz::kNowNs, recorded, row) != Normalised::kRow) return false;
  require(row.instrument == number && row.has(kDatetime) && is_date(row.trading_day));
  if (!recorded) require(std::abs(row.ts_event_ns() - quotes_fuzz::kNowNs) <= 30 * 60 * kSecondNs);
  for (int f = 1; f < kFieldCount; ++f) {
    if (!row.has(f)) continue;
    if (is_count(f)) require(row.count(f) >= 0);
    else require(std::isfinite(row.price(f)) && std::abs(row.price(f)) < 1e21);
  }
  return true;
}

inline int write_seeds(const std::string& folder) {
  int number = 0;
  for (std::uint8_t symbol = 0; symbol < std::size(kSymbols); ++symbol)
    for (std::uint8_t recorded = 0; recorded < 2; ++recorded)
      for (const std::int32_t second : {54'000, 75'700, 3'600}) {
        CtpDepth in;
        in.trading_day = second == 54'000 ? 20251121 : 20251124;
        in.action_day = 20251121;
        in.update_s = second;
        in.update_ms = 500;
        in.last_price = in.bid_price[0] = 936.46;
        in.ask_price[0] = in.settlement = 1.7976931348623157e308;
        in.volume = 8123;
        in.turnover = 7601245600.0;
        in.average = 935770.0;
        std::ofstream out(folder + "/" + std::to_string(number++), std::ios::binary);
        out.put(static_cast<char>(symbol)).put(static_cast<char>(recorded));
        out.write(reinterpret_cast<const char*>(&in), sizeof in);
      }
  return number;
}

}  // namespace ctp_fuzz

#ifndef QAUTLRA_FUZZ_INCLUDED
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = (*argv)[i];
    if (!argument.starts_with("--seeds=")) continue;
    std::printf("%d seeds\n", ctp_fuzz::write_seeds(std::string(argument.substr(8))));
    std::exit(0);
  }
  return 0;
}
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ctp_fuzz::run(data, size);
  return 0;
}
#endif
