// A wake-up for an event loop: an eventfd that is written only when the loop went to sleep.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace qautlra::ctp {

// Raised by one thread, waited for by another. No wake-up is lost: the sleeper arms, then looks again; the
// raiser publishes, then takes the arming. Both are read-modify-writes of one word, so whichever comes second
// sees what the other did before its own.
class Signal {
 public:
  Signal() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Signal() {
    if (fd_ >= 0) ::close(fd_);
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  int fd() const { return fd_; }

  // After publishing.
  void raise() {
    if (armed_.exchange(false, std::memory_order_acq_rel)) write();
  }

  // The loop's: begin of a reading, and its end. `empty` is asked after arming.
  void begin() {
    std::uint64_t count;
    [[maybe_unused]] const ssize_t got = ::read(fd_, &count, sizeof count);
  }
  template <class Empty>
  void end(Empty empty) {
    armed_.exchange(true, std::memory_order_acq_rel);
    if (!empty() && armed_.exchange(false, std::memory_order_acq_rel)) write();
  }
  std::uint64_t wakes() const { return wakes_.load(std::memory_order_relaxed); }

 private:
  void write() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = ::write(fd_, &one, sizeof one);
    wakes_.fetch_add(1, std::memory_order_relaxed);
  }

  int fd_;
  std::atomic<bool> armed_{true};
  std::atomic<std::uint64_t> wakes_{0};
};

}  // namespace qautlra::ctp
