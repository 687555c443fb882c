#include "store/chunk_memory.hpp"

#include <sys/mman.h>

#include <bit>
#include <new>

namespace qautlra {
namespace {

constexpr std::size_t kBlock = std::size_t{2} << 20;

// Null when there is none.
std::byte* new_block() {
  void* const block = ::mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block == MAP_FAILED ? nullptr : static_cast<std::byte*>(block);
}

// As a write of its owner would; what is there already is not touched.
void touch(std::byte* block) {
#ifdef MADV_POPULATE_WRITE
  if (::madvise(block, kBlock, MADV_POPULATE_WRITE) == 0) return;
#endif
  for (std::size_t at = 0; at < kBlock; at += 4096) *const_cast<volatile std::byte*>(block + at) = std::byte{0};
}

std::size_t place_of(std::size_t bytes) {
  return static_cast<std::size_t>(std::countr_zero(bytes / ChunkMemory::kSmallest));
}

}  // namespace

ChunkMemory::~ChunkMemory() {
  if (thread_.joinable()) {
    {
      const std::lock_guard guard(lock_);
      is_over_ = true;
    }
    wanted_.notify_one();
    thread_.join();
  }
  if (std::byte* const unused = ready_) ::munmap(unused, kBlock);
  for (std::byte* const block : blocks_) ::munmap(block, kBlock);
}

std::byte* ChunkMemory::take(std::size_t bytes) {
  Free*& first = free_[place_of(bytes)];
  if (first != nullptr) {
    Free* const piece = first;
    first = piece->next;
    return reinterpret_cast<std::byte*>(piece);
  }
  if (static_cast<std::size_t>(end_ - at_) < bytes) begin_block();
  std::byte* const piece = at_;
  at_ += bytes;
  return piece;
}

void ChunkMemory::give(std::byte* piece, std::size_t bytes) {
  Free*& first = free_[place_of(bytes)];
  first = new (piece) Free{first};
}

void ChunkMemory::begin_block() {
  blocks_.reserve(blocks_.size() + 1);
  std::byte* block = ready_.exchange(nullptr, std::memory_order_acquire);
  if (block == nullptr) block = new_block();
  if (block == nullptr) throw std::bad_alloc();
  while (at_ != end_) {  // the rest of the last one, in the largest pieces that fit
    const std::size_t most = std::bit_floor(static_cast<std::size_t>(end_ - at_));
    const std::size_t bytes = most < kSmallest << (kSizes - 1) ? most : kSmallest << (kSizes - 1);
    std::byte* const piece = at_;
    at_ += bytes;
    give(piece, bytes);
  }
  blocks_.push_back(block);
  at_ = block;
  end_ = block + kBlock;
  if (blocks_.size() < 2) return;  // a small store needs none ahead, and no thread
  if (!thread_.joinable()) thread_ = std::thread(&ChunkMemory::prepare, this);
  {
    const std::lock_guard guard(lock_);
    is_wanted_ = true;
  }
  wanted_.notify_one();
}

void ChunkMemory::prepare() {
  for (;;) {
    {
      std::unique_lock guard(lock_);
      wanted_.wait(guard, [this] { return is_wanted_ || is_over_; });
      if (is_over_) return;
      is_wanted_ = false;
    }
    if (ready_.load(std::memory_order_relaxed) != nullptr) continue;
    std::byte* const block = new_block();  // null: the owner is told when it asks
    if (block != nullptr) touch(block);
    ready_.store(block, std::memory_order_release);
  }
}

}  // namespace qautlra
