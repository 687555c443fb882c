// Memory for large tables, in huge pages where the system has them.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace qautlra {

// Zeroed memory, fixed in size for life. Large blocks lie in huge pages where the system has them and are there
// from the start; the pages of small ones come when they are touched. Null when there is none.
void* map_zeroed(std::size_t bytes);
void* map_reserved(std::size_t bytes);  // the same, there when it is touched
void unmap(void* memory, std::size_t bytes);
constexpr std::size_t kMappedFrom = std::size_t{2} << 20;  // bytes; smaller blocks are the heap's

struct FreeMemory {
  std::size_t bytes = 0;
  void operator()(void* p) const {
    if (bytes < kMappedFrom) std::free(p);
    else unmap(p, bytes);
  }
};
template <class T>
using Block = std::unique_ptr<T[], FreeMemory>;
template <class T>
Block<T> zeroed(std::size_t count) {
  const std::size_t bytes = count * sizeof(T);
  void* const p = bytes < kMappedFrom ? std::calloc(count, sizeof(T)) : map_zeroed(bytes);
  return Block<T>(static_cast<T*>(p), FreeMemory{bytes});
}

// For tables that may grow large and mostly do not: address space now, memory page by page.
template <class T>
Block<T> reserved(std::size_t count) {
  const std::size_t bytes = count * sizeof(T);
  void* const p = bytes < kMappedFrom ? std::calloc(count, sizeof(T)) : map_reserved(bytes);
  return Block<T>(static_cast<T*>(p), FreeMemory{bytes});
}

}  // namespace qautlra
