// From CTP's thread to the loop, nothing lost: answers, orders, trades, connections.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>

namespace qautlra::ctp {

// One event as it lies in the queue; `bytes` of the record follow.
struct Event {
  std::uint32_t bytes;
  std::uint16_t kind;  // of ctp/front/wire.hpp, or one of those below
  std::uint8_t last;
  std::uint8_t answered;  // a RspInfo came with it
  std::int32_t request;
  std::int32_t error;  // of OnFrontDisconnected the reason
  char text[80];       // GB 18030, NUL-filled
};
static_assert(sizeof(Event) == 96);

inline constexpr std::uint16_t kFrontConnected = 200;
inline constexpr std::uint16_t kFrontDisconnected = 201;

// One writer, one reader, a ring of bytes. Full: the writer waits (CTP's socket then backs up into the network,
// which is where a trading flow may wait), until there is room or the queue is closed.
class EventQueue {
 public:
  // A power of two; no event with its record may be longer than half of it.
  explicit EventQueue(std::size_t capacity_bytes) : mask_(capacity_bytes - 1), ring_(new char[capacity_bytes]) {
    if (capacity_bytes < 4096 || (capacity_bytes & mask_) != 0) throw std::invalid_argument("no power of two");
  }

  void push(Event event, const void* record) {
    const std::size_t size = sizeof event + event.bytes;
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    if (mask_ + 1 - (head - tail_seen_) < size && !wait_for_room(head, size)) return;
    write(head, &event, sizeof event);
    if (record != nullptr && event.bytes != 0) write(head + sizeof event, record, event.bytes);
    head_.store(head + size, std::memory_order_release);
  }

  // Hands out one event; false when there is none. `record` is valid until the next call.
  template <class Take>
  bool pop(Take take) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return false;
    Event event;
    read(tail, &event, sizeof event);
    if (scratch_bytes_ < event.bytes) {
      scratch_ = std::make_unique<char[]>(event.bytes);
      scratch_bytes_ = event.bytes;
    }
    read(tail + sizeof event, scratch_.get(), event.bytes);
    tail_.store(tail + sizeof event + event.bytes, std::memory_order_release);
    take(event, scratch_.get());
    return true;
  }

  bool empty() const { return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_relaxed); }
  std::size_t waiting_bytes() const { return head_.load() - tail_.load(); }
  std::uint64_t waits() const { return waits_.load(std::memory_order_relaxed); }
  void close() { closed_.store(true, std::memory_order_release); }

 private:
  bool wait_for_room(std::uint64_t head, std::size_t size) {
    for (bool counted = false;; counted = true) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (mask_ + 1 - (head - tail_seen_) >= size) return true;
      if (closed_.load(std::memory_order_acquire) || size > (mask_ + 1) / 2) return false;
      if (!counted) waits_.fetch_add(1, std::memory_order_relaxed);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void write(std::uint64_t at, const void* from, std::size_t bytes) {
    const std::size_t place = at & mask_, first = std::min(bytes, mask_ + 1 - place);
    std::memcpy(ring_.get() + place, from, first);
    std::memcpy(ring_.get(), static_cast<const char*>(from) + first, bytes - first);
  }
  void read(std::uint64_t at, void* to, std::size_t bytes) const {
    const std::size_t place = at & mask_, first = std::min(bytes, mask_ + 1 - place);
    if (bytes == 0) return;
    std::memcpy(to, ring_.get() + place, first);
    std::memcpy(static_cast<char*>(to) + first, ring_.get(), bytes - first);
  }

  const std::size_t mask_;
  const std::unique_ptr<char[]> ring_;
  std::unique_ptr<char[]> scratch_;  // the reader's
  std::size_t scratch_bytes_ = 0;
  alignas(64) std::atomic<std::uint64_t> head_{0};  // writer: release; reader: acquire
  std::uint64_t tail_seen_ = 0;
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // reader: release; writer: acquire
  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> waits_{0};
};

}  // namespace qautlra::ctp
