#include "base/slice.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace qautlra {
namespace {

// The kernel's sched_attr in its first form; C libraries have it from glibc 2.41 on.
struct Attributes {
  std::uint32_t size = sizeof(Attributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0, deadline = 0, period = 0;
};
constexpr std::uint64_t kResetOnFork = 1;

bool read(Attributes& attributes) {
  return ::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0;
}

}  // namespace

std::uint64_t ask_slice(std::uint64_t slice_ns) noexcept {
  Attributes wanted;
  if (!read(wanted) || wanted.policy != SCHED_OTHER) return 0;
  wanted.size = sizeof wanted;
  wanted.flags = kResetOnFork;
  wanted.runtime = slice_ns;
  Attributes found;
  if (::syscall(SYS_sched_setattr, 0, &wanted, 0) != 0 || !read(found)) return 0;
  return found.runtime == slice_ns ? slice_ns : 0;
}

}  // namespace qautlra
