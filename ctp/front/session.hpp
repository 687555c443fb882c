// One connection to `qautlra serve` and the thread that keeps it: connects, greets, reads frames, connects again.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "flow_file.hpp"
#include "wire.hpp"

namespace qautlra::ctp {

// What the session tells its Api object, always from the session's one thread.
class Listener {
 public:
  virtual void connected() = 0;
  virtual void disconnected(int reason) = 0;
  virtual void frame(const Head& head, const char* text, char* record, std::size_t record_bytes) = 0;

 protected:
  ~Listener() = default;
};

inline constexpr int kResume = 1;
// CTP's reasons of OnFrontDisconnected.
inline constexpr int kReadFailed = 0x1001;
inline constexpr int kNoHeartbeat = 0x2001;
inline constexpr int kBadPacket = 0x2003;

// Owner: its Api object. `send` may be called by any thread, everything else by one.
class Session {
 public:
  Session(Listener& listener, std::uint16_t role, const char* release) : listener_(listener) {
    std::memcpy(hello_.magic, kMagic, sizeof kMagic);
    hello_.version = kWireVersion;
    hello_.role = role;
    std::strncpy(hello_.release, release, sizeof hello_.release - 1);
  }
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // "tcp://host:port". Several fronts are tried in turn. False when it is no such address.
  bool add_front(const char* address);
  bool has_front() const { return !fronts_.empty(); }
  // Keeps what was seen of the private flow in PREFIX + "Private.con", as CTP does.
  void keep_flow(const char* prefix) { flow_.open(prefix); }
  void resume(int mode, std::uint32_t seen) {
    hello_.private_mode = mode;
    hello_.private_seen = seen;
    if (mode == kResume && seen == 0) set_seen(flow_.seen());
  }
  void start();
  // Returns once the thread has ended, at once when called on that thread (inside a callback).
  void stop();
  bool running() const { return thread_.joinable(); }

  // 0, or CTP's -1 (not connected), -2 (a query is outstanding), -3 (too many per second).
  int send(std::uint16_t kind, const void* record, std::size_t bytes, std::size_t padded, int request);

 private:
  struct Front {
    std::string host;
    std::uint16_t port;
  };
  using Clock = std::chrono::steady_clock;

  void run();
  int open(const Front& front);
  void serve(int fd);
  bool take(std::size_t& begin, std::size_t end, int& reason);
  bool pause(int milliseconds);  // false when stopping
  int held_back(std::uint16_t kind);
  void set_seen(Place place) {
    hello_.private_seen = place.number;
    hello_.private_mark = place.mark;
  }
  bool write_all(int fd, const char* data, std::size_t bytes);

  Listener& listener_;
  Hello hello_{};
  Welcome welcome_{};
  FlowFile flow_;
  std::vector<Front> fronts_;
  std::thread thread_;
  int wake_ = -1;                     // eventfd: ends every wait of the thread
  std::atomic<bool> stopping_{false};  // release/acquire with wake_
  std::atomic<int> ready_{-1};         // the socket once welcomed; written by the thread, read by senders
  std::mutex writing_;                 // one frame at a time; also guards the flow-control state
  std::atomic<bool> query_open_{false};
  Clock::time_point last_query_{}, order_second_{};
  int orders_in_second_ = 0;
  std::vector<char> in_;
  bool welcomed_ = false;
};

}  // namespace qautlra::ctp
