#include "feed/hub.hpp"

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

namespace qautlra {

namespace {

// Clients of these styles keep one tree under the same keys, so a change between them loses nothing.
bool merges(Style style) { return style == Style::kDiff || style == Style::kLegacyRtn; }

}  // namespace

Hub::Hub(Tape& tape, const HubLimits& limits)
    : tape_(tape), limits_(limits), cursor_(tape.add_cursor(false)), restores_seen_(tape.restores()) {}

Hub::~Hub() { tape_.remove_cursor(cursor_); }

// --- clients ---

Hub::Client* Hub::find(Handle client) { return const_cast<Client*>(std::as_const(*this).find(client)); }

const Hub::Client* Hub::find(Handle client) const {
  const auto place = static_cast<std::uint32_t>(client);
  if (place >= clients_.size()) return nullptr;
  const Client& c = clients_[place];
  return c.open && c.generation == client >> 32 ? &c : nullptr;
}

Handle Hub::handle_at(std::size_t place) const {
  const Client& c = clients_[place];
  return c.open ? Handle{c.generation} << 32 | place : 0;
}

Handle Hub::open() {
  if (open_ >= limits_.clients) return 0;
  if (free_clients_.empty()) {
    free_clients_.reserve(clients_.size() + 1);
    clients_.emplace_back();
    free_clients_.push_back(static_cast<std::uint32_t>(clients_.size() - 1));
  }
  const std::uint32_t place = free_clients_.back();
  free_clients_.pop_back();
  Client& c = clients_[place];
  c.open = true;
  c.options = {};
  ++c.generation;
  ++open_;
  return handle_at(place);
}

bool Hub::close(Handle client) {
  Client* c = find(client);
  if (c == nullptr) return false;
  for (const std::uint32_t slot : c->subs) drop_sub(slot);
  c->subs = {};
  c->dirty = {};
  c->open = false;
  --open_;
  free_clients_.push_back(static_cast<std::uint32_t>(client));
  return true;
}

const ClientOptions* Hub::options(Handle client) const {
  const Client* c = find(client);
  return c ? &c->options : nullptr;
}

bool Hub::set_options(Handle client, const ClientOptions& options) {
  Client* c = find(client);
  if (c == nullptr) return false;
  const Style before = c->options.style;
  c->options = options;
  if (before == options.style || (merges(before) && merges(options.style))) return true;
  for (const std::uint32_t slot : c->subs) subs_[slot].sent = false;  // the keys of the new style are unsent
  mark_all(*c);
  return true;
}

// --- subscriptions ---

std::uint32_t Hub::add_sub(std::uint32_t client, const Wanted& wanted, std::uint32_t shown) {
  if (free_subs_.empty()) {
    free_subs_.reserve(subs_.size() + 1);
    subs_.emplace_back();
    free_subs_.push_back(static_cast<std::uint32_t>(subs_.size() - 1));
  }
  const std::uint32_t slot = free_subs_.back();
  if (wanted.instrument >= watchers_.size()) watchers_.resize(tape_.instruments().size());
  auto& watchers = watchers_[wanted.instrument];
  watchers.push_back(slot);
  free_subs_.pop_back();
  subs_[slot] = Sub{};
  subs_[slot].client = client;
  subs_[slot].instrument = wanted.instrument;
  subs_[slot].shown = shown;
  subs_[slot].watch = static_cast<std::uint32_t>(watchers.size() - 1);
  return slot;
}

void Hub::drop_sub(std::uint32_t slot) {
  Sub& sub = subs_[slot];
  auto& watchers = watchers_[sub.instrument];
  watchers[sub.watch] = watchers.back();
  subs_[watchers[sub.watch]].watch = sub.watch;
  watchers.pop_back();
  shown_.release(sub.shown);
  ++retired_;
  sub.client = kNobody;
  free_subs_.push_back(slot);
}

Hub::Refusal Hub::subscribe(Handle client, const std::vector<Wanted>& wanted, std::size_t& at) {
  Client* c = find(client);
  if (c == nullptr) return Refusal::kClosed;
  std::unordered_map<std::string_view, std::uint32_t> distinct;
  distinct.reserve(wanted.size());
  for (at = 0; at < wanted.size(); ++at) {
    if (wanted[at].instrument >= tape_.instruments().size()) return Refusal::kInstrument;
    if (wanted[at].shown.size() > kMaxSpelling || !is_safe_spelling(wanted[at].shown))
      return Refusal::kSpelling;
    const auto [known, is_new] = distinct.try_emplace(wanted[at].shown, wanted[at].instrument);
    if (!is_new && known->second != wanted[at].instrument) return Refusal::kClash;
    if (distinct.size() > limits_.symbols) return Refusal::kTooManySymbols;
  }
  at = 0;
  if (subscriptions() - c->subs.size() + distinct.size() > limits_.subscriptions)
    return Refusal::kTooManySubscribed;
  if (retired_ > kMaxRetired) cached_version_ = ~tape_.version();
  refresh_caches();

  const auto place = static_cast<std::uint32_t>(client);
  std::unordered_map<std::string_view, std::uint32_t> held;
  held.reserve(c->subs.size());
  for (const std::uint32_t slot : c->subs) held.emplace(shown_.text(subs_[slot].shown), slot);
  std::vector<std::uint32_t> next;
  next.reserve(distinct.size());
  for (const Wanted& w : wanted) {
    const auto entry = distinct.find(w.shown);
    if (entry == distinct.end()) continue;  // named twice
    distinct.erase(entry);
    const auto old = held.find(w.shown);
    if (old != held.end() && subs_[old->second].instrument == w.instrument) {
      subs_[old->second].kept = true;
      next.push_back(old->second);
    } else {
      next.push_back(add_sub(place, w, shown_.acquire(w.shown)));
    }
  }
  for (const std::uint32_t slot : c->subs)
    if (!subs_[slot].kept) drop_sub(slot);
  std::erase_if(c->dirty, [&](std::uint32_t slot) { return subs_[slot].client == kNobody; });
  c->subs.swap(next);
  for (const std::uint32_t slot : c->subs) {
    Sub& sub = subs_[slot];
    const Line* line = tape_.line(sub.instrument);
    if (!sub.kept && line != nullptr) mark(slot, line->ever, line->stamp_ns);
    sub.kept = false;
  }
  return Refusal::kNone;
}

bool Hub::entries(Handle client, std::vector<Wanted>& out) const {
  const Client* c = find(client);
  if (c == nullptr) return false;
  for (const std::uint32_t slot : c->subs)
    out.push_back({subs_[slot].instrument, shown_.text(subs_[slot].shown)});
  return true;
}

// --- what is unsent ---

void Hub::mark(std::uint32_t slot, Mask mask, std::int64_t stamp_ns) {
  Sub& sub = subs_[slot];
  if (sub.dirty == 0) {
    if (mask == 0) return;
    clients_[sub.client].dirty.push_back(slot);
    sub.stamp_ns = stamp_ns;
  }
  sub.dirty |= mask;
}

void Hub::mark_all(const Client& client) {
  for (const std::uint32_t slot : client.subs) {
    const Line* line = tape_.line(subs_[slot].instrument);
    if (line != nullptr) mark(slot, line->ever, line->stamp_ns);
  }
}

// The masks of what was lost are lost with it: everyone is owed every field that may ever have been sent.
void Hub::resync() {
  ++counters_.resyncs;
  for (const Client& c : clients_)
    if (c.open) mark_all(c);
}

std::size_t Hub::drain() {
  const Tape::Span span = tape_.read(cursor_);
  const bool restored = restores_seen_ != tape_.restores();
  if (span.lost == 0 && span.begin == span.end && !restored) return 0;
  const std::size_t ticks = static_cast<std::size_t>(span.end - span.begin + span.lost);
  counters_.ticks += ticks;
  tape_.advance(cursor_, span.end);
  restores_seen_ = tape_.restores();
  if (span.lost != 0 || restored) {
    resync();
    return ticks;
  }
  if (unsent_.size() < tape_.instruments().size()) {
    unsent_.resize(tape_.instruments().size());
    touched_.reserve(unsent_.size());
  }
  for (std::uint64_t seq = span.begin; seq < span.end; ++seq) {
    const Entry& entry = tape_.at(seq);
    const std::uint32_t instrument = entry.after.instrument;
    if (entry.mask == 0 || instrument >= watchers_.size() || watchers_[instrument].empty()) continue;
    Unsent& unsent = unsent_[instrument];
    if (unsent.mask == 0) {
      touched_.push_back(instrument);
      unsent.stamp_ns = entry.stamp_ns;
    }
    unsent.mask |= entry.mask;
  }
  for (const std::uint32_t instrument : touched_) {
    Unsent& unsent = unsent_[instrument];
    for (const std::uint32_t slot : watchers_[instrument]) mark(slot, unsent.mask, unsent.stamp_ns);
    unsent.mask = 0;
  }
  touched_.clear();
  return ticks;
}

std::int64_t Hub::pending(Handle client) const {
  const Client* c = find(client);
  return c ? static_cast<std::int64_t>(c->dirty.size()) : -1;
}

}  // namespace qautlra
