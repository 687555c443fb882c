#include "store/chunk_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <new>

namespace qautlra {
namespace {

constexpr std::size_t kBlock = std::size_t{2} << 20;

std::byte* map(std::size_t bytes) {
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<std::byte*>(mapped);
}

// Null when there is none. One large page where the system has them: a question that jumps between instruments then
// finds its rows without a walk through page tables for each.
std::byte* new_block() {
  std::byte* const mapped = map(2 * kBlock);
  if (mapped == nullptr) return nullptr;
  const std::size_t before = (kBlock - reinterpret_cast<std::uintptr_t>(mapped) % kBlock) % kBlock;
  if (before != 0) ::munmap(mapped, before);
  ::munmap(mapped + before + kBlock, kBlock - before);
  ::madvise(mapped + before, kBlock, MADV_HUGEPAGE);
  return mapped + before;
}

// One page after the other: while the kernel fills a range it was given whole, nobody in the process can map memory,
// and a large page takes 5 ms where the machine under a virtual one has to find it.
void touch(std::byte* block) {
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
  for (std::byte* const block : ready_) ::munmap(block, kBlock);
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
  std::byte* block = nullptr;
  if (blocks_.empty()) {
    block = map(kBlock);  // a small store needs no more, no large page and no thread
  } else {
    if (!thread_.joinable()) thread_ = std::thread(&ChunkMemory::prepare, this);
    {
      const std::lock_guard guard(lock_);
      if (!ready_.empty()) {
        block = ready_.back();
        ready_.pop_back();
      }
      ahead_ = std::min(1 + blocks_.size() / 8, kAheadCount);
    }
    wanted_.notify_one();
    if (block == nullptr) block = new_block();
  }
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
}

void ChunkMemory::prepare() {
  std::unique_lock guard(lock_);
  for (;;) {
    wanted_.wait(guard, [this] { return ready_.size() < ahead_ || is_over_; });
    if (is_over_) return;
    guard.unlock();
    std::byte* const block = new_block();
    if (block != nullptr) touch(block);
    guard.lock();
    if (block != nullptr) ready_.push_back(block);
    else ahead_ = 0;  // the owner is told when it asks
  }
}

}  // namespace qautlra
