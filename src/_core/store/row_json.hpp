// Encoded rows as JSON text without a batch between: what most questions to the hot tier take.
#pragma once

#include <span>
#include <string_view>

#include "base/buffer.hpp"
#include "store/arrow_rows.hpp"
#include "store/json_rows.hpp"

namespace qautlra {

// Appends the same bytes as render_json does for export_rows of the same rows. Rows of one instrument that
// follow each other share most of their text, which is copied instead of written again.
void render_rows(std::span<const RowRef> rows, std::span<const std::string_view> names,
                 std::span<const int> columns, JsonShape shape, Buffer& out);

}  // namespace qautlra
