#include "feed/ctp_feed.hpp"

#include <algorithm>

#include "market/ctp_record.hpp"
#include "wire.hpp"

namespace qautlra {

CtpFeed::CtpFeed(Tape& tape, const CtpFeedLimits& limits)
    : tape_(tape), limits_(limits), cursor_(tape.add_cursor(false)) {}

CtpFeed::~CtpFeed() { tape_.remove_cursor(cursor_); }

std::uint32_t CtpFeed::open() {
  const auto free = std::find_if(clients_.begin(), clients_.end(), [](const Client& c) { return !c.open; });
  const auto place = static_cast<std::uint32_t>(free - clients_.begin());
  if (free == clients_.end()) {
    if (clients_.size() >= limits_.clients) return kNone;
    clients_.emplace_back();
  }
  clients_[place].open = true;
  return place;
}

void CtpFeed::close(std::uint32_t client) {
  if (!is_open(client)) return;
  for (const std::uint32_t instrument : clients_[client].instruments) std::erase(watchers_[instrument], client);
  clients_[client] = Client{};
}

std::uint32_t CtpFeed::instrument_of(std::string_view code) const {
  const std::uint32_t id = tape_.instruments().find(code);
  return id != kNoInstrument && tape_.instruments().at(id).code == code ? id : kNoInstrument;
}

CtpFeed::Refusal CtpFeed::subscribe(std::uint32_t client, std::string_view code) {
  Client& c = clients_[client];
  const std::uint32_t id = instrument_of(code);
  if (id == kNoInstrument) return Refusal::kUnknown;
  if (std::find(c.instruments.begin(), c.instruments.end(), id) == c.instruments.end()) {
    if (c.instruments.size() >= limits_.symbols) return Refusal::kTooMany;
    drain();  // or the ticks before this subscription would be sent after the snapshot
    if (id >= watchers_.size()) watchers_.resize(id + 64);
    watchers_[id].push_back(client);
    c.instruments.push_back(id);
  }
  if (tape_.last(id) != nullptr) owe(c, id);
  pay(c);
  return Refusal::kNone;
}

bool CtpFeed::unsubscribe(std::uint32_t client, std::string_view code) {
  Client& c = clients_[client];
  const std::uint32_t id = instrument_of(code);
  if (id == kNoInstrument || std::erase(c.instruments, id) == 0) return false;
  std::erase(watchers_[id], client);
  std::erase(c.owed, id);
  return true;
}

void CtpFeed::hold(std::uint32_t client, bool held) {
  clients_[client].held = held;
  pay(clients_[client]);
}

void CtpFeed::frame(const Snapshot& row, const Instrument& instrument, std::uint16_t kind, std::uint16_t flags,
                    std::int32_t request, Buffer& out) {
  ctp::DepthMarketData record;
  ctp::write(row, instrument, record);
  ctp::Head head{};
  head.body_bytes = sizeof record;
  head.kind = kind;
  head.flags = flags;
  head.request = request;
  out.append(&head, sizeof head);
  out.append(&record, sizeof record);
}

void CtpFeed::owe(Client& client, std::uint32_t instrument) {
  if (std::find(client.owed.begin(), client.owed.end(), instrument) == client.owed.end()) {
    client.owed.push_back(instrument);
  } else {
    ++counters_.coalesced;
  }
}

void CtpFeed::add(Client& client, std::uint32_t instrument, std::string_view bytes) {
  // Order per instrument: while it is owed, a newer tick must not overtake the latest that will be sent.
  if (client.held || !client.owed.empty() || client.unsent.size() + bytes.size() > limits_.unsent_bytes) {
    owe(client, instrument);
    return;
  }
  client.unsent.append(bytes);
  ++counters_.ticks;
}

void CtpFeed::pay(Client& client) {
  if (client.held) return;
  std::size_t paid = 0;
  for (; paid < client.owed.size() && client.unsent.size() < limits_.unsent_bytes; ++paid) {
    const std::uint32_t id = client.owed[paid];
    const Snapshot* row = tape_.last(id);
    if (row == nullptr) continue;
    frame(*row, tape_.instruments().at(id), ctp::kTick, ctp::kLast, 0, client.unsent);
    ++counters_.ticks;
  }
  client.owed.erase(client.owed.begin(), client.owed.begin() + static_cast<std::ptrdiff_t>(paid));
}

void CtpFeed::drain() {
  const Tape::Span span = tape_.read(cursor_);
  if (span.lost > 0) {
    ++counters_.overruns;
    for (Client& client : clients_)
      for (const std::uint32_t id : client.instruments) owe(client, id);
  }
  for (std::uint64_t seq = span.begin; seq < span.end; ++seq) {
    const Entry& entry = tape_.at(seq);
    const std::uint32_t id = entry.after.instrument;
    if (entry.late || id >= watchers_.size() || watchers_[id].empty()) continue;
    scratch_.clear();
    frame(entry.after, tape_.instruments().at(id), ctp::kTick, ctp::kLast, 0, scratch_);
    for (const std::uint32_t client : watchers_[id]) add(clients_[client], id, scratch_.view());
  }
  tape_.advance(cursor_, span.end);
  for (Client& client : clients_)
    if (!client.owed.empty()) pay(client);
}

}  // namespace qautlra
