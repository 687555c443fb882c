// The CTP client's ring, queue and signal with a writer and a reader of their own: nothing is lost or reordered
// that must not be. Run under the thread sanitizer by `make tsan`.
#include <poll.h>

#include <atomic>
#include <cstdio>
#include <map>
#include <string>
#include <thread>

#include "event_queue.hpp"
#include "expect.hpp"
#include "signal.hpp"
#include "tick_ring.hpp"

using namespace qautlra;
using namespace qautlra::ctp;

namespace {

DepthMarketData record(int instrument, int volume) {
  DepthMarketData d{};
  std::snprintf(d.InstrumentID, sizeof d.InstrumentID, "rb%04d", instrument);
  std::memcpy(d.UpdateTime, "09:30:00", 9);
  d.Volume = volume;
  return d;
}

// The writer never waits; the reader sleeps on the signal. Per instrument volumes must rise and end at the last.
void ticks(std::size_t capacity, int instruments, int rounds, bool slow) {
  TickRing ring(capacity, 64);
  Signal signal;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int round = 1; round <= rounds; ++round) {
      for (int i = 0; i < instruments; ++i) {
        ring.push(record(i, round), round);
        signal.raise();
      }
    }
    done.store(true, std::memory_order_release);
    signal.raise();
  });
  std::map<std::string, std::int64_t> last;
  std::uint64_t got = 0;
  bool ordered = true;
  while (true) {
    const bool finished = done.load(std::memory_order_acquire);
    signal.begin();
    const std::size_t n = ring.drain(slow ? 7 : 1000, [&](const CtpTick* from, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        std::int64_t& before = last[std::string(from[i].code_text())];
        ordered = ordered && from[i].depth.volume > before;
        before = from[i].depth.volume;
      }
      got += count;
    });
    if (finished && n == 0 && ring.empty()) break;
    signal.end([&] { return ring.empty() && !done.load(std::memory_order_acquire); });
    pollfd waiting{signal.fd(), POLLIN, 0};
    poll(&waiting, 1, 100);
    if (slow) std::this_thread::yield();
  }
  writer.join();
  EXPECT(ordered);
  EXPECT(static_cast<int>(last.size()) == instruments);
  for (const auto& [code, volume] : last) EXPECT(volume == rounds);
  EXPECT(ring.dropped() == 0);
  EXPECT(got + ring.coalesced() == static_cast<std::uint64_t>(instruments) * static_cast<std::uint64_t>(rounds));
}

TEST_CASE(a_full_ring_keeps_order_and_the_latest) {
  TickRing ring(4, 2);
  for (int volume = 1; volume <= 4; ++volume) ring.push(record(0, volume), 0);
  ring.push(record(0, 5), 0);
  ring.push(record(1, 1), 0);
  ring.push(record(0, 6), 0);
  ring.push(record(2, 1), 0);  // a third instrument behind a table of two
  EXPECT(ring.coalesced() == 1 && ring.dropped() == 1);
  std::string seen;
  const auto note = [&](const CtpTick* from, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      seen += std::string(from[i].code_text()) + ":" + std::to_string(from[i].depth.volume) + " ";
  };
  EXPECT(ring.drain(3, note) == 3);
  ring.push(record(0, 7), 0);  // there is room in the ring, but it would overtake
  EXPECT(ring.drain(100, note) == 3);
  EXPECT(seen == "rb0000:1 rb0000:2 rb0000:3 rb0000:4 rb0000:7 rb0001:1 ");
  EXPECT(ring.empty());
  ring.push(record(0, 8), 0);
  EXPECT(ring.drain(100, note) == 1 && ring.coalesced() == 2);
}

void events(std::size_t capacity, int count) {
  EventQueue queue(capacity);
  std::thread writer([&] {
    std::string payload;
    for (int i = 0; i < count; ++i) {
      payload.assign(static_cast<std::size_t>(i % 700), static_cast<char>('a' + i % 26));
      Event event{};
      event.kind = 7;
      event.request = i;
      event.bytes = static_cast<std::uint32_t>(payload.size());
      queue.push(event, payload.data());
    }
  });
  bool right = true;
  for (int i = 0; i < count;) {
    const bool got = queue.pop([&](const Event& event, const char* data) {
      const std::string expected(static_cast<std::size_t>(i % 700), static_cast<char>('a' + i % 26));
      right = right && event.request == i && std::string(data, event.bytes) == expected;
    });
    if (got) ++i;
    else std::this_thread::yield();
  }
  writer.join();
  EXPECT(right && queue.empty());
}

TEST_CASE(a_closed_queue_lets_its_writer_go) {
  EventQueue queue(4096);
  std::thread writer([&] {
    Event event{};
    event.bytes = 1000;
    const std::string payload(1000, 'x');
    for (int i = 0; i < 100; ++i) queue.push(event, payload.data());
  });
  while (queue.waits() == 0) std::this_thread::yield();
  queue.close();
  writer.join();
  EXPECT(!queue.empty());
}

}  // namespace

TEST_CASE(ticks_with_room_all_arrive) { ticks(1 << 14, 5, 5'000, false); }
TEST_CASE(ticks_through_a_small_ring) { ticks(16, 20, 1'000, false); }
TEST_CASE(ticks_to_a_slow_reader) { ticks(64, 40, 200, true); }
TEST_CASE(events_all_arrive) { events(4096, 5'000); }

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
