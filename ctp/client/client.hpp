// One CTP session of ours: an Api object of a library, a Spi of our own making, and the queues to the loop.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "event_queue.hpp"
#include "library.hpp"
#include "signal.hpp"
#include "tick_ring.hpp"

namespace qautlra::ctp {

struct ClientBounds {
  std::size_t ticks = 1u << 14;         // ring, a power of two
  std::size_t instruments = 4096;       // of the table behind a full ring
  std::size_t event_bytes = 4u << 20;   // a power of two
};

// Made, driven and closed by the loop thread; its callbacks come from CTP's thread, which takes no lock of ours
// and never the interpreter's. `close` before destruction, never from a callback.
class Client {
 public:
  Client(const Library& library, const std::string& flow, const std::vector<std::string>& fronts, bool production,
         int private_mode, const ClientBounds& bounds);
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void start();  // connects, and again and again by itself
  void close();  // no callback comes after it

  // CTP's own answer: 0, -1 not connected, -2 and -3 flow control. -100 when this release has no such request.
  int request(std::uint16_t kind, const char* record, std::size_t bytes, int number);
  int subscribe(const std::vector<std::string>& codes, bool on);
  std::string trading_day() const;

  Signal signal;
  TickRing ticks;
  EventQueue events;
  std::uint64_t received() const { return received_.load(std::memory_order_relaxed); }
  bool empty() const { return ticks.empty() && events.empty(); }
  const Library& library() const { return library_; }

 private:
  struct Spi {  // what the library calls: the first word is the v-table
    void** table;
    Client* client;
    std::array<void*, 258> functions;  // two words before the first slot
  };
  void fill_market();
  void fill_trader();
  void tell(std::uint16_t kind, const void* record, std::size_t bytes, const RspInfo* info, int request, bool last);
  void put(int slot, void* function) {
    if (slot >= 0) spi_.functions[static_cast<std::size_t>(slot) + 2] = function;
  }

  static void nothing(Spi*) {}
  static void connected(Spi* self);
  static void disconnected(Spi* self, int reason);
  static void tick(Spi* self, const DepthMarketData* record);
  static void failed(Spi* self, const RspInfo* info, int request, bool last);
  template <class T, std::uint16_t kKind>
  static void answered(Spi* self, const T* record, const RspInfo* info, int request, bool last);
  template <class T, std::uint16_t kKind>
  static void pushed(Spi* self, const T* record);
  template <class T, std::uint16_t kKind>
  static void refused(Spi* self, const T* record, const RspInfo* info);

  const Library library_;
  const Release& release_;
  Object* api_ = nullptr;
  Spi spi_;
  std::atomic<std::uint64_t> received_{0};
};

}  // namespace qautlra::ctp
