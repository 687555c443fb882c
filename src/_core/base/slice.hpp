// How long the kernel lets a thread run before it looks who else wants the core.
#pragma once

#include <cstdint>

namespace qautlra {

// The calling thread asks for slices of `slice_ns` (0.1 to 100 ms) in place of the system's. A thread with shorter ones
// is put on the core as soon as it wakes, whoever of its own priority runs there; its share of the core in the long run
// stays what it was. Threads and processes it starts have the system's again. The slice in force, 0 for the system's:
// Linux before 6.12, another policy than the normal one, a sandbox that forbids to ask.
std::uint64_t ask_slice(std::uint64_t slice_ns) noexcept;

}  // namespace qautlra
