// From CTP's thread to the loop: every tick in order while the loop keeps up, the latest of each instrument when
// it does not.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "market/ctp_record.hpp"

namespace qautlra::ctp {

// One writer (CTP's thread), one reader (the loop). The writer allocates nothing, calls nothing and, while there
// is room in the ring, waits for nothing. When the ring is full, ticks go into a table of the latest per
// instrument behind a spin lock; as long as that holds anything nothing enters the ring, so that what the ring
// has is always older. When the table is full of other instruments too, the tick is dropped and counted.
class TickRing {
 public:
  // `capacity` a power of two; `instruments` how many the table holds.
  explicit TickRing(std::size_t capacity, std::size_t instruments = 4096)
      : mask_(capacity - 1),
        slots_(std::make_unique<CtpTick[]>(capacity)),
        latest_(std::make_unique<CtpTick[]>(instruments)),
        latest_max_(instruments),
        index_(bucket_count(instruments), kFree) {
    if (capacity == 0 || (capacity & mask_) != 0) throw std::invalid_argument("capacity is no power of two");
  }

  // --- writer ---
  void push(const DepthMarketData& record, std::int64_t ts_recv_ns) {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    if (!overflowing_.load(std::memory_order_acquire)) {
      if (head - tail_seen_ > mask_) tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head - tail_seen_ <= mask_) {
        read(record, ts_recv_ns, slots_[head & mask_]);
        head_.store(head + 1, std::memory_order_release);
        return;
      }
    }
    CtpTick tick;
    read(record, ts_recv_ns, tick);
    keep_latest(tick);
  }

  // --- reader ---
  bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_relaxed) &&
           !overflowing_.load(std::memory_order_acquire);
  }
  std::size_t waiting() const {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_relaxed) +
           (overflowing_.load(std::memory_order_acquire) ? latest_max_ : 0);
  }

  // Hands out up to `most` ticks as (pointer, count) runs, in order; returns how many.
  template <class Take>
  std::size_t drain(std::size_t most, Take take) {
    // Asked first: if it is set, nothing enters the ring until it is cleared below.
    const bool overflowing = overflowing_.load(std::memory_order_acquire);
    std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    const std::uint64_t head = head_.load(std::memory_order_acquire);
    std::size_t count = std::min<std::uint64_t>(head - tail, most);
    for (std::size_t left = count; left > 0;) {
      const std::size_t at = tail & mask_, run = std::min(left, mask_ + 1 - at);
      take(&slots_[at], run);
      tail += run;
      left -= run;
    }
    tail_.store(tail, std::memory_order_release);
    if (!overflowing || tail != head || count == most) return count;
    lock();
    const std::size_t kept = std::min(latest_count_, most - count);
    take(&latest_[latest_count_ - kept], kept);
    latest_count_ -= kept;
    if (latest_count_ == 0) {
      std::fill(index_.begin(), index_.end(), kFree);
      overflowing_.store(false, std::memory_order_release);
    } else {
      reindex();
    }
    unlock();
    return count + kept;
  }

  std::uint64_t coalesced() const { return coalesced_.load(std::memory_order_relaxed); }
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  std::size_t capacity() const { return mask_ + 1; }

 private:
  static constexpr std::uint32_t kFree = 0xFFFFFFFF;
  static std::size_t bucket_count(std::size_t instruments) {
    std::size_t n = 16;
    while (n < instruments * 2) n *= 2;
    return n;
  }
  static std::size_t hash(const CtpTick& tick) {
    return std::hash<std::string_view>{}(tick.code_text()) ^ std::hash<std::string_view>{}(tick.exchange_text());
  }

  void keep_latest(const CtpTick& tick) {
    lock();
    overflowing_.store(true, std::memory_order_release);
    std::size_t bucket = hash(tick) & (index_.size() - 1);
    while (index_[bucket] != kFree && !same(latest_[index_[bucket]], tick)) bucket = (bucket + 1) & (index_.size() - 1);
    if (index_[bucket] != kFree) {
      latest_[index_[bucket]] = tick;
      coalesced_.fetch_add(1, std::memory_order_relaxed);
    } else if (latest_count_ < latest_max_) {
      index_[bucket] = static_cast<std::uint32_t>(latest_count_);
      latest_[latest_count_++] = tick;
    } else {
      dropped_.fetch_add(1, std::memory_order_relaxed);
    }
    unlock();
  }

  void reindex() {
    std::fill(index_.begin(), index_.end(), kFree);
    for (std::size_t i = 0; i < latest_count_; ++i) {
      std::size_t bucket = hash(latest_[i]) & (index_.size() - 1);
      while (index_[bucket] != kFree) bucket = (bucket + 1) & (index_.size() - 1);
      index_[bucket] = static_cast<std::uint32_t>(i);
    }
  }

  static bool same(const CtpTick& a, const CtpTick& b) {
    return a.code_text() == b.code_text() && a.exchange_text() == b.exchange_text();
  }
  void lock() {
    while (busy_.test_and_set(std::memory_order_acquire)) {
    }
  }
  void unlock() { busy_.clear(std::memory_order_release); }

  const std::size_t mask_;
  const std::unique_ptr<CtpTick[]> slots_;
  alignas(64) std::atomic<std::uint64_t> head_{0};  // written by the writer with release, read with acquire
  std::uint64_t tail_seen_ = 0;                     // the writer's
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the reader with release, read with acquire
  alignas(64) std::atomic<bool> overflowing_{false};  // set by the writer, cleared by the reader, under busy_
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;          // guards latest_, latest_count_ and index_
  const std::unique_ptr<CtpTick[]> latest_;
  const std::size_t latest_max_;
  std::size_t latest_count_ = 0;
  std::vector<std::uint32_t> index_;  // open addressing into latest_
  std::atomic<std::uint64_t> coalesced_{0}, dropped_{0};
};

}  // namespace qautlra::ctp
