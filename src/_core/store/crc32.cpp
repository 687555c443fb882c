#include "store/crc32.hpp"

#include "base/crc_tables.hpp"

namespace qautlra {

std::uint32_t crc32(const void* data, std::size_t size) {
  static constexpr CrcTables<0xEDB88320u> kTables;
  return kTables.update(0, data, size);
}

}  // namespace qautlra
