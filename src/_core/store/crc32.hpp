// CRC-32 (of gzip and Parquet's pages). Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qautlra {

std::uint32_t crc32(const void* data, std::size_t size);

}  // namespace qautlra
