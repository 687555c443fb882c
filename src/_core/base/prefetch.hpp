// Memory fetched ahead of its use. GCC takes a function that does nothing but __builtin_prefetch for one without effect
// and leaves out calls of it, or a whole chain of them: the empty statement keeps them.
#pragma once

namespace qautlra {

[[gnu::always_inline]] inline void fetch(const void* line) {
  __builtin_prefetch(line);
  asm volatile("");
}
[[gnu::always_inline]] inline void fetch_to_write(const void* line) {
  __builtin_prefetch(line, 1);
  asm volatile("");
}

}  // namespace qautlra
