// Zstandard frames (RFC 8878) to their content, for pages of Parquet files: a library makes a context for each of
// them, which costs more than a page of ours takes. No dictionaries. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace qautlra {

// Fills `out` with the content of the one frame in `in`. False when that is not what `in` is, or its content is
// not exactly as long as `out`; `out` may be written then. Checksums are not looked at: pages have their own.
bool zstd_decompress(std::span<const std::uint8_t> in, std::span<std::uint8_t> out);

}  // namespace qautlra
