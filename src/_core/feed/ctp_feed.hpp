// Market data for programs on the simulated CTP front: a cursor on the tape that makes one frame per tick and
// watcher, CTP's way, and falls back to the latest state for a client that does not keep up.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/buffer.hpp"
#include "tape/tape.hpp"

namespace qautlra {

struct CtpFeedLimits {
  std::uint32_t clients = 64;
  std::uint32_t symbols = 5000;            // per client
  std::size_t unsent_bytes = 1u << 20;     // per client; beyond it an instrument's ticks become its latest one
};

// Owner: the loop thread. A cursor that skips: overrun, every client is owed every instrument's latest.
class CtpFeed {
 public:
  enum class Refusal : std::uint8_t { kNone, kUnknown, kTooMany };
  struct Counters {
    std::uint64_t ticks = 0;      // frames made
    std::uint64_t coalesced = 0;  // ticks that a later one replaced before they were sent
    std::uint64_t overruns = 0;
  };

  CtpFeed(Tape& tape, const CtpFeedLimits& limits);
  ~CtpFeed();
  CtpFeed(const CtpFeed&) = delete;
  CtpFeed& operator=(const CtpFeed&) = delete;

  std::uint32_t open();  // the client's number, kNone when all places are taken
  void close(std::uint32_t client);
  bool is_open(std::uint32_t client) const { return client < clients_.size() && clients_[client].open; }

  // `code` must be the instrument's own code, as on a real front. The latest snapshot is sent at once.
  Refusal subscribe(std::uint32_t client, std::string_view code);
  bool unsubscribe(std::uint32_t client, std::string_view code);  // false when it was not subscribed

  // While held nothing is added to what is unsent; what changes meanwhile is owed, and its latest comes first
  // once released.
  void hold(std::uint32_t client, bool held);

  void drain();                                      // what is new on the tape
  const Buffer& unsent(std::uint32_t client) const { return clients_[client].unsent; }
  void sent(std::uint32_t client) { clients_[client].unsent.clear(); }
  std::size_t places() const { return clients_.size(); }
  std::uint32_t instrument_of(std::string_view code) const;  // kNoInstrument when no instrument has this code
  const Counters& counters() const { return counters_; }
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  // One frame with the snapshot as a depth record. `kind` and `request` as in ctp/front/wire.hpp.
  static void frame(const Snapshot& row, const Instrument& instrument, std::uint16_t kind, std::uint16_t flags,
                    std::int32_t request, Buffer& out);

 private:
  struct Client {
    bool open = false;
    bool held = false;
    std::vector<std::uint32_t> instruments;
    std::vector<std::uint32_t> owed;  // instruments whose latest is to be sent, each once
    Buffer unsent;
  };
  void add(Client& client, std::uint32_t instrument, std::string_view bytes);
  void owe(Client& client, std::uint32_t instrument);
  void pay(Client& client);

  Tape& tape_;
  const CtpFeedLimits limits_;
  const int cursor_;
  std::vector<Client> clients_;
  std::vector<std::vector<std::uint32_t>> watchers_;  // clients by instrument
  Buffer scratch_;
  Counters counters_;
};

}  // namespace qautlra
