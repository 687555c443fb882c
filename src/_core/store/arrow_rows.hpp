// Encoded rows as an Arrow record batch through the C data interface, and back.
//
// The row schema, in order: datetime (timestamp us UTC), instrument_id (dictionary of text), trading_date
// (date32), the other 56 snapshot values (float64, int64 for counts), source (dictionary of text), seq (int64),
// recv_time (timestamp us UTC). No value is null. Nanoseconds below a microsecond are cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/arrow_c.hpp"
#include "market/calendar.hpp"
#include "market/instrument.hpp"
#include "market/snapshot.hpp"

namespace qautlra {

constexpr int kColumnDatetime = 0;
constexpr int kColumnInstrument = 1;
constexpr int kColumnTradingDate = 2;
constexpr int kColumnFirstSlot = 3;  // slot f (1..56) is column f + 2
constexpr int kColumnSource = kColumnFirstSlot + kFieldCount - 1;
constexpr int kColumnSeq = kColumnSource + 1;
constexpr int kColumnRecvTime = kColumnSource + 2;
constexpr int kColumnCount = kColumnSource + 3;

std::string_view column_name(int column);
int column_index(std::string_view name);  // -1 when there is none

constexpr int kSourceCount = 8;
std::string_view source_name(std::uint8_t source);  // "" when unknown

// One row to export: its bytes (row_codec.hpp; they must decode) and its name's place in the dictionary.
struct RowRef {
  const std::byte* at;
  std::uint32_t name;
};

// Fills `schema` and `array`, which the receiver releases. Copies everything: nothing points into the rows.
void export_rows(std::span<const RowRef> rows, std::span<const std::string_view> names,
                 std::span<const int> columns, ArrowSchema* schema, ArrowArray* array);

// Appends the rows of a batch with these column names, in any order; a column that is missing has no value,
// datetime and instrument_id must be there. False with a sentence in `why`, and nothing appended.
bool import_rows(const ArrowSchema& schema, const ArrowArray& array, InstrumentTable& instruments,
                 std::vector<Snapshot>& out, std::string& why);

// Gives rows without a trading day the calendar's.
void date_rows(std::span<Snapshot> rows, const Calendar& calendar);

}  // namespace qautlra
