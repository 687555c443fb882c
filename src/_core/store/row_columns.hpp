// The values of encoded rows put where columns are wanted: what every Arrow form of rows is made by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "store/arrow_rows.hpp"

namespace qautlra {

// One column to be filled; its places without a value are left as they are. Instruments and sources are filled with
// their numbers, dates with days, times with microseconds: 4, 4, 4 and 8 bytes, all else 8.
struct RowColumn {
  std::byte* values = nullptr;  // null: not wanted
  std::byte* valid = nullptr;   // a bit a row, in whole words of 64; null: not wanted
  std::int64_t present = 0;     // rows that have a value, when `valid` is wanted
};
struct RowColumns {
  RowColumn at[kColumnCount];
  RowColumn& operator[](int column) { return at[column]; }
};

void fill_columns(std::span<const RowRef> rows, RowColumns& out);

}  // namespace qautlra
