// Snapshots as JSON objects, once per (instrument, mask, style, shown id): the only place in the core that
// spells wire names.
#pragma once

#include <string_view>

#include "base/buffer.hpp"
#include "market/snapshot.hpp"
#include "market/style.hpp"

namespace qautlra {

// QAMD name of a slot, e.g. "ask_price10".
std::string_view field_name(int field);

// Appends one JSON object: the id as the reader spells it, then `fields`. A full encoding names every key the
// reader may index, with a value or without; the core dialect leaves out depth levels 6-10 that have none;
// otherwise a field in the mask without a value is a value that vanished. `shown_id` holds safe characters.
void encode_fields(Style style, const Snapshot& row, Mask fields, bool full, std::string_view shown_id,
                   Buffer& out);

// Fields that a full encoding leaves out while they have no value. A reader that may hold an old value of one
// is sent whole snapshots as the plain mask `kAllFields & (~optional_fields(style) | ever had a value)`.
Mask optional_fields(Style style);

// Changed fields of `after` against `before`, encoded; appends nothing and returns 0 when nothing changed.
Mask encode_diff(Style style, const Snapshot& before, const Snapshot& after, std::string_view shown_id,
                 Buffer& out);

}  // namespace qautlra
