// Memory of the hot tier's chunks, touched by a thread before it is needed.
//
// The first touch of a page costs whoever does it 2 µs, and 12 where the machine under a virtual one has to find
// it; at 100,000 rows/s that is 6,500 pages a second of the event loop. Instruments whose rows come alike need new
// chunks at the same moment, 500 of them 16 MB within 5 ms: so more than one block lies ready.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace qautlra {

// Gives pieces of whole blocks (large pages, but the first) out and takes them back for the next who asks; gives the
// system nothing back before its end. Owner: one thread at a time; a thread of its own, from the second block on, keeps
// an eighth as many ready as are in use, kAheadCount at most.
class ChunkMemory {
 public:
  static constexpr std::size_t kSmallest = 4096;
  static constexpr int kSizes = 4;  // 4, 8, 16 and 32 KB
  static constexpr std::size_t kAheadCount = 16;  // blocks of 2 MB

  ChunkMemory() = default;
  ~ChunkMemory();
  ChunkMemory(const ChunkMemory&) = delete;
  ChunkMemory& operator=(const ChunkMemory&) = delete;

  std::byte* take(std::size_t bytes);  // one of the sizes; std::bad_alloc when there is none
  void give(std::byte* piece, std::size_t bytes);

 private:
  struct Free {
    Free* next;
  };

  void begin_block();
  void prepare();  // the thread

  std::array<Free*, kSizes> free_{};
  std::byte* at_ = nullptr;  // what is left of the newest block
  std::byte* end_ = nullptr;
  std::vector<std::byte*> blocks_;

  std::mutex lock_;  // guards what follows, but the thread
  std::condition_variable wanted_;
  std::vector<std::byte*> ready_;  // blocks nobody has yet
  std::size_t ahead_ = 0;          // how many there should be; 0 until somebody takes one, when there was no memory
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace qautlra
