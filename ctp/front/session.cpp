#include "session.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

namespace qautlra::ctp {
namespace {

constexpr int kRetryMs = 1000, kFirstRetryMs = 100;
constexpr int kGreetingMs = 10'000;
constexpr std::size_t kBufferBytes = 1u << 20;
constexpr int kSendTimeoutS = 5;

bool is_query(std::uint16_t kind) { return kind >= kQueriesBegin && kind < kQueriesEnd; }

}  // namespace

Session::~Session() {
  stop();
  if (wake_ >= 0) ::close(wake_);
}

bool Session::add_front(const char* address) {
  std::string_view text(address == nullptr ? "" : address);
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string host(text.substr(0, colon));
  if (host == "localhost") host = "127.0.0.1";
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  in_addr ignored;
  if (parsed.ec != std::errc() || port == 0 || inet_pton(AF_INET, host.c_str(), &ignored) != 1) return false;
  fronts_.push_back({std::move(host), port});
  return true;
}

void Session::start() {
  if (thread_.joinable()) return;
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { run(); });
}

void Session::stop() {
  stopping_.store(true, std::memory_order_release);
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  if (const int fd = ready_.load(); fd >= 0) shutdown(fd, SHUT_RDWR);  // frees a sender that waits
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

bool Session::pause(int milliseconds) {
  pollfd waiting{wake_, POLLIN, 0};
  poll(&waiting, 1, milliseconds);
  return !stopping_.load(std::memory_order_acquire);
}

void Session::run() {
  in_.resize(kBufferBytes);
  int delay_ms = kFirstRetryMs;
  for (std::size_t turn = 0; !stopping_.load(std::memory_order_acquire); ++turn) {
    const int fd = fronts_.empty() ? -1 : open(fronts_[turn % fronts_.size()]);
    if (fd >= 0) {
      welcomed_ = false;
      serve(fd);
      ::close(fd);
      if (welcomed_) delay_ms = kFirstRetryMs;
    }
    if (!pause(delay_ms)) break;
    delay_ms = kRetryMs;
  }
  in_ = std::vector<char>();  // the object outlives its thread
}

int Session::open(const Front& front) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(front.port);
  inet_pton(AF_INET, front.host.c_str(), &there.sin_addr);
  const timeval limit{kSendTimeoutS, 0};
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // bounds connect, too
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0) {
    Head head{};
    head.body_bytes = sizeof hello_;
    head.kind = kHello;
    char greeting[sizeof head + sizeof hello_];
    std::memcpy(greeting, &head, sizeof head);
    std::memcpy(greeting + sizeof head, &hello_, sizeof hello_);
    if (write_all(fd, greeting, sizeof greeting)) return fd;
  }
  ::close(fd);
  return -1;
}

void Session::serve(int fd) {
  std::size_t begin = 0, end = 0;
  int reason = kReadFailed;
  auto heard = Clock::now();
  while (!stopping_.load(std::memory_order_acquire)) {
    if (in_.size() - end < kBufferBytes / 8) {
      std::memmove(in_.data(), in_.data() + begin, end - begin);
      end -= begin;
      begin = 0;
    }
    const int silence_ms = welcomed_ ? welcome_.silence_ms : kGreetingMs;
    pollfd waits[2] = {{fd, POLLIN, 0}, {wake_, POLLIN, 0}};
    poll(waits, 2, silence_ms > 0 ? silence_ms / 4 + 1 : -1);
    if (waits[1].revents != 0) break;
    if (waits[0].revents == 0) {
      if (silence_ms > 0 && Clock::now() - heard > std::chrono::milliseconds(silence_ms)) {
        reason = kNoHeartbeat;
        break;
      }
      continue;
    }
    const ssize_t got = recv(fd, in_.data() + end, in_.size() - end, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) break;
    heard = Clock::now();
    end += static_cast<std::size_t>(got);
    if (!welcomed_ && end - begin >= sizeof(Head) + sizeof(Welcome)) {
      Head head;
      std::memcpy(&head, in_.data() + begin, sizeof head);
      if (head.kind != kWelcome || head.body_bytes != sizeof welcome_) {
        reason = kBadPacket;
        break;
      }
      std::memcpy(&welcome_, in_.data() + begin + sizeof head, sizeof welcome_);
      begin += sizeof head + sizeof welcome_;
      welcomed_ = true;
      query_open_ = false;
      ready_ = fd;
      listener_.connected();
    }
    if (welcomed_ && !take(begin, end, reason)) break;
    if (begin == end) begin = end = 0;
  }
  {
    const std::lock_guard<std::mutex> no_sender(writing_);  // the number may be another file's after close
    ready_ = -1;
  }
  // As the real library: whoever answered at all is reported lost, also one that never greeted.
  if (!stopping_.load(std::memory_order_acquire)) listener_.disconnected(reason);
}

// Hands out the whole frames of in_[begin, end); false when the connection must end.
bool Session::take(std::size_t& begin, std::size_t end, int& reason) {
  while (end - begin >= sizeof(Head)) {
    Head head;
    std::memcpy(&head, in_.data() + begin, sizeof head);
    if (head.body_bytes > kBodyMax || head.text_bytes > head.body_bytes) {
      reason = kBadPacket;
      return false;
    }
    if (end - begin < sizeof head + head.body_bytes) return true;
    char* body = in_.data() + begin + sizeof head;
    begin += sizeof head + head.body_bytes;
    if (head.kind == kHeartbeat) continue;
    if ((is_query(head.kind) && (head.flags & kLast) != 0) || head.kind == kError) query_open_ = false;
    listener_.frame(head, body, body + head.text_bytes, head.body_bytes - head.text_bytes);
    if (head.number != 0) {  // after the callback: a program killed inside it is told again
      set_seen({head.number, head.mark});
      flow_.put({head.number, head.mark});
    }
    if (stopping_.load(std::memory_order_acquire)) return false;
  }
  return true;
}

int Session::held_back(std::uint16_t kind) {
  const auto now = Clock::now();
  if (is_query(kind) && welcome_.query_interval_ms > 0) {
    if (query_open_) return -2;
    if (now - last_query_ < std::chrono::milliseconds(welcome_.query_interval_ms)) return -3;
    last_query_ = now;
    query_open_ = true;
  }
  if ((kind == kReqOrderInsert || kind == kReqOrderAction) && welcome_.orders_per_s > 0) {
    if (now - order_second_ >= std::chrono::seconds(1)) {
      order_second_ = now;
      orders_in_second_ = 0;
    }
    if (++orders_in_second_ > welcome_.orders_per_s) return -3;
  }
  return 0;
}

int Session::send(std::uint16_t kind, const void* record, std::size_t bytes, std::size_t padded, int request) {
  const std::lock_guard<std::mutex> one_frame(writing_);
  const int fd = ready_;
  if (fd < 0) return -1;
  if (const int refused = held_back(kind); refused != 0) return refused;
  Head head{};
  head.body_bytes = static_cast<std::uint32_t>(padded);
  head.kind = kind;
  head.flags = kLast;
  head.request = request;
  std::vector<char> frame(sizeof head + padded, 0);
  std::memcpy(frame.data(), &head, sizeof head);
  if (bytes != 0) std::memcpy(frame.data() + sizeof head, record, bytes);
  if (write_all(fd, frame.data(), frame.size())) return 0;
  shutdown(fd, SHUT_RDWR);  // a frame cut in two can only be followed by a new connection
  return -1;
}

bool Session::write_all(int fd, const char* data, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t sent = ::send(fd, data, bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace qautlra::ctp
