// CRC-32C (Castagnoli), the checksum of every journal record. Hardware instruction where the processor has
// it, chosen at run time; a table elsewhere. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qautlra {

// Continues `seed` (0 to begin) over `size` bytes: crc32c(crc32c(0, a), b) == crc32c(0, a + b).
std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t size);

// The portable form, public so that a test can hold the two against each other.
std::uint32_t crc32c_table(std::uint32_t seed, const void* data, std::size_t size);

bool crc32c_is_hardware();

}  // namespace qautlra
