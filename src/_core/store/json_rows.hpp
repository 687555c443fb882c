// Any Arrow record batch as JSON text, one object per row in column order.
//
// Null, NaN and infinity are `null`; depth levels 2-10 without a value are left out; open interest is whole;
// timestamps are RFC 3339 with microseconds ("Z" when they carry a zone), dates "2021-01-04".
#pragma once

#include <cstdint>
#include <string>

#include "base/arrow_c.hpp"
#include "base/buffer.hpp"

namespace qautlra {

enum class JsonShape : std::uint8_t {
  kArray,    // [{..},{..}]
  kRecords,  // {"fields":["a","b"],"records":[{..},{..}]}
  kLines,    // {..}\n{..}\n
};

// Appends the rows [0, length) of the batch to `out`. False with a sentence in `why` when a column has a type
// that is not rendered; `out` is then as it was. Touches nothing but its arguments: any thread.
bool render_json(const ArrowSchema& schema, const ArrowArray& array, JsonShape shape, Buffer& out, std::string& why);

}  // namespace qautlra
