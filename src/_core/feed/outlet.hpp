// A connection's descriptor, written to directly: no transport, no event loop, one system call per flush.
#pragma once

#include <sys/socket.h>

#include <cstddef>

namespace qautlra {

// Owner: the loop thread. The descriptor belongs to the connection's transport, which must leave() before it
// closes it. While the transport holds bytes back (`behind`) everything has to queue after those.
class Outlet {
 public:
  explicit Outlet(int fd) : fd_(fd) {}
  // Bytes the kernel took, fewer than `size` when its buffer is full or the connection is broken: what is left
  // goes to the transport, which will find out which of the two it was.
  std::size_t send(const char* data, std::size_t size) noexcept {
    if (behind_ || fd_ < 0) return 0;
    const ssize_t taken = ::send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    const std::size_t sent = taken > 0 ? static_cast<std::size_t>(taken) : 0;
    if (sent < size) behind_ = true;
    return sent;
  }
  bool open() const { return fd_ >= 0; }
  bool behind() const { return behind_; }
  void caught_up() { behind_ = false; }
  void leave() { fd_ = -1; }

 private:
  int fd_;
  bool behind_ = true;  // the answer to the upgrade is the transport's
};

}  // namespace qautlra
