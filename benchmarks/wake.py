"""From a C++ thread to the event loop: how long after an event is published the loop has it in hand.

The product's own signal (an eventfd written only when the sleeper is armed, as the CTP client wakes the loop)
against the same signal waited for by a C++ thread. In turns, one event at a time, a core for each side.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import uvloop

import _bench

EVENTS_PER_S = 1000
TARGET = 1.2
SOURCE = r"""
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <algorithm>
#include <array>
#include <thread>
#include <vector>
#include "signal.hpp"
namespace {
std::int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}
void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}
struct Bench {
  qautlra::ctp::Signal signal;
  std::array<std::int64_t, 4096> ring{};
  std::atomic<std::uint64_t> head{0};
  std::uint64_t tail = 0;
  std::vector<std::int64_t> waits;
  std::thread raiser;
  void drain() {
    signal.begin();
    for (const std::uint64_t end = head.load(std::memory_order_acquire); tail < end; ++tail)
      waits.push_back(now_ns() - ring[tail % ring.size()]);
    signal.end([this] { return tail == head.load(std::memory_order_acquire); });
  }
};
}  // namespace
extern "C" {
void* wake_new() { return new Bench; }
int wake_fd(Bench* b) { return b->signal.fd(); }
void wake_raise(Bench* b, int count, double per_s, int core) {
  b->waits.reserve(count);
  b->raiser = std::thread([=] {
    pin(core);
    const std::int64_t start = now_ns() + 50'000'000;
    for (int i = 0; i < count; ++i) {
      const std::int64_t at = start + static_cast<std::int64_t>(i * 1e9 / per_s);
      const timespec until{at / 1'000'000'000, at % 1'000'000'000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      const std::uint64_t head = b->head.load(std::memory_order_relaxed);
      b->ring[head % b->ring.size()] = now_ns();
      b->head.store(head + 1, std::memory_order_release);
      b->signal.raise();
    }
  });
}
int wake_drain(Bench* b) {
  b->drain();
  return static_cast<int>(b->waits.size());
}
void wake_wait(Bench* b, int count, int core) {
  std::thread waiter([=] {
    pin(core);
    pollfd one{b->signal.fd(), POLLIN, 0};
    b->signal.end([b] { return b->tail == b->head.load(std::memory_order_acquire); });
    while (static_cast<int>(b->waits.size()) < count)
      if (poll(&one, 1, 1000) > 0) b->drain();
  });
  waiter.join();
}
double wake_quantile_us(Bench* b, double share) {
  std::sort(b->waits.begin(), b->waits.end());
  return b->waits[static_cast<std::size_t>(share * (b->waits.size() - 1))] / 1000.0;
}
void wake_free(Bench* b) {
  if (b->raiser.joinable()) b->raiser.join();
  delete b;
}
}
"""


def main() -> None:
    """Measure both waiters in turns and print the line."""
    chosen = _bench.options(__doc__ or "", ("--seconds", {"type": float}), ("--rounds", {"type": int}))
    rounds, seconds = (1, 0.5) if chosen.short else (7, 2.0)
    rounds, count = chosen.rounds or rounds, int(EVENTS_PER_S * (chosen.seconds or seconds))
    headers = _bench.REPOSITORY / "ctp" / "client"
    compiler = shutil.which("g++") or shutil.which("c++")
    if not (headers / "signal.hpp").is_file() or compiler is None:
        _bench.report("wake", skipped="needs the sources of the C++ client and a compiler")
        return
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory:
        source, library = Path(directory, "wake.cpp"), Path(directory, "wake.so")
        source.write_text(SOURCE, encoding="utf-8")
        command = [compiler, "-O2", "-std=c++20", "-shared", "-fPIC", f"-I{headers}", str(source)]
        subprocess.run([*command, "-o", str(library), "-lpthread"], check=True)
        wake = ctypes.PyDLL(str(library))
        wake.wake_new.restype = ctypes.c_void_p
        wake.wake_quantile_us.restype = ctypes.c_double
        found: dict[str, list[dict[str, float]]] = {"product": [], "limit": []}
        for _ in range(rounds):
            found["product"].append(to_loop(wake, count))
            found["limit"].append(to_thread(ctypes.CDLL(str(library)), wake, count))
    several = {
        who: {key: _bench.spread([run[key] for run in runs], 2) for key in runs[0]}
        for who, runs in found.items()
    }
    ratio = several["product"]["p50_us"]["median"] / several["limit"]["p50_us"]["median"]
    _bench.report(
        "wake",
        **several,
        p50_to_limit=round(ratio, 3),
        target_ratio=TARGET,
        met=ratio <= TARGET,
        events_per_s=EVENTS_PER_S,
        value="microseconds from publication in a C++ thread to the reader's having it",
        control="a C++ thread in poll() on the same eventfd",
        waiter="uvloop add_reader on the CTP client's Signal; a private loop, not `serve`",
    )


def quantiles(wake: ctypes.PyDLL, bench: ctypes.c_void_p) -> dict[str, float]:
    """Return the figures of one run."""
    return {
        name: wake.wake_quantile_us(bench, ctypes.c_double(share))
        for name, share in (("p50_us", 0.5), ("p99_us", 0.99))
    }


def to_loop(wake: ctypes.PyDLL, count: int) -> dict[str, float]:
    """Return how long events took to this process's event loop."""
    waiter_core, raiser_core = _bench.cores()
    bench = ctypes.c_void_p(wake.wake_new())

    async def run() -> None:
        loop = asyncio.get_running_loop()
        descriptor = wake.wake_fd(bench)
        loop.add_reader(descriptor, wake.wake_drain, bench)
        wake.wake_raise(bench, count, ctypes.c_double(EVENTS_PER_S), raiser_core)
        await asyncio.sleep(count / EVENTS_PER_S)
        while wake.wake_drain(bench) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        loop.remove_reader(descriptor)

    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {waiter_core})
    try:
        uvloop.run(run())
    finally:
        os.sched_setaffinity(0, usable)
    found = quantiles(wake, bench)
    wake.wake_free(bench)
    return found


def to_thread(calls: ctypes.CDLL, wake: ctypes.PyDLL, count: int) -> dict[str, float]:
    """Return how long the same events took to a C++ thread."""
    waiter_core, raiser_core = _bench.cores()
    bench = ctypes.c_void_p(wake.wake_new())
    wake.wake_raise(bench, count, ctypes.c_double(EVENTS_PER_S), raiser_core)
    calls.wake_wait(bench, count, waiter_core)
    found = quantiles(wake, bench)
    wake.wake_free(bench)
    return found


if __name__ == "__main__":
    main()
