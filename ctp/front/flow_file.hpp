// How far a trader program has seen the private flow, kept in its flow directory as CTP keeps its .con files, so
// that RESUME goes on where the program's Api object before this one was.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace qautlra::ctp {

// One frame of one private flow; all zero for none. A mark of another flow means nothing to the server.
struct Place {
  std::uint32_t number = 0;
  std::uint16_t mark = 0;
};

// Owner: a session. Opened and read before its thread begins, written by that thread only. A file that cannot
// be opened (CTP wants the directory to be there), or is not ours, reads as none.
class FlowFile {
 public:
  FlowFile() = default;
  ~FlowFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  FlowFile(const FlowFile&) = delete;
  FlowFile& operator=(const FlowFile&) = delete;

  void open(const char* prefix) {
    const std::string path = std::string(prefix) + "Private.con";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0) std::fprintf(stderr, "qautlra: the flow file %.200s cannot be kept\n", path.c_str());
  }

  Place seen() const {
    Kept kept{};
    if (fd_ < 0 || pread(fd_, &kept, sizeof kept, 0) != static_cast<ssize_t>(sizeof kept)) return {};
    if (std::memcmp(kept.magic, kMagicFlow, sizeof kMagicFlow) != 0 || kept.check != sum(kept)) return {};
    return {kept.number, static_cast<std::uint16_t>(kept.mark)};
  }

  // In the page cache: survives the program, not the machine (then its number is older, and more is told again).
  void put(Place place) {
    if (fd_ < 0) return;
    Kept kept{};
    std::memcpy(kept.magic, kMagicFlow, sizeof kMagicFlow);
    kept.number = place.number;
    kept.mark = place.mark;
    kept.check = sum(kept);
    [[maybe_unused]] const ssize_t written = pwrite(fd_, &kept, sizeof kept, 0);
  }

 private:
  static constexpr char kMagicFlow[8] = {'Q', 'A', 'U', 'T', 'F', 'L', 'O', 'W'};
  struct Kept {
    char magic[8];
    std::uint32_t number;
    std::uint32_t mark;
    std::uint32_t check;
  };
  static std::uint32_t sum(const Kept& kept) { return (kept.number ^ (kept.mark << 16)) * 2654435761u + 1; }

  int fd_ = -1;
};

}  // namespace qautlra::ctp
