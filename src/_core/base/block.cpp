#include "base/block.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace qautlra {

namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t in_pages(std::size_t bytes) { return (bytes + kHugePage - 1) & ~(kHugePage - 1); }
}  // namespace

void* map_reserved(std::size_t bytes) {
  const std::size_t wanted = in_pages(bytes);
  void* const mapped =
      ::mmap(nullptr, wanted + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  // Give back what lies outside the aligned part, so that whole huge pages fit.
  char* const from = static_cast<char*>(mapped);
  char* const to = reinterpret_cast<char*>(in_pages(reinterpret_cast<std::uintptr_t>(from)));
  if (to != from) ::munmap(from, static_cast<std::size_t>(to - from));
  if (const std::size_t after = kHugePage - static_cast<std::size_t>(to - from); after != 0)
    ::munmap(to + wanted, after);
  ::madvise(to, wanted, MADV_HUGEPAGE);
  return to;
}

void* map_zeroed(std::size_t bytes) {
  void* const mapped = map_reserved(bytes);
#ifdef MADV_POPULATE_WRITE
  if (mapped != nullptr) ::madvise(mapped, in_pages(bytes), MADV_POPULATE_WRITE);
#endif
  return mapped;
}

void unmap(void* memory, std::size_t bytes) { ::munmap(memory, in_pages(bytes)); }

}  // namespace qautlra
