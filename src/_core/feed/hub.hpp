// The hub: who watches what, what each client has not been sent, and the frames that send it.
//
// A tick costs one OR per watcher. What a client missed is a mask per instrument, never a queue, so a slow
// client costs no more memory than an idle one and gets the latest state when it reads again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "feed/cache.hpp"
#include "feed/shown.hpp"
#include "market/style.hpp"
#include "tape/tape.hpp"

namespace qautlra {

using Handle = std::uint64_t;  // generation << 32 | place; never 0, never given twice

struct ClientOptions {
  Style style = Style::kDiff;
  bool market_data = false;  // a legacy market_data frame per instrument after the rtn_data frame
  bool full_only = false;    // every frame carries whole snapshots
  bool stamp = false;        // "_ts" on every frame
  bool pull = false;         // left out of flush-all
  bool operator==(const ClientOptions&) const = default;
};

struct HubLimits {
  std::uint32_t clients = 5'000;
  std::uint32_t symbols = 5'000;            // per client
  std::uint32_t subscriptions = 1'000'000;  // of all clients
  std::uint32_t frame_bytes = 512 << 10;    // of one frame() result; what does not fit waits for the next
};

// Owner: the loop thread. The tape must outlive it.
class Hub {
 public:
  enum class Refusal : std::uint8_t {
    kNone,
    kClosed,              // no open client has this handle
    kInstrument,          // not in the instrument table
    kSpelling,            // not a text that may stand in a frame
    kClash,               // one spelling for two instruments
    kTooManySymbols,      // HubLimits::symbols
    kTooManySubscribed,   // HubLimits::subscriptions
  };
  struct Wanted {
    std::uint32_t instrument;
    std::string_view shown;
  };
  struct Plan {
    std::size_t bytes = 0;     // 0: nothing to send
    std::int64_t shared = -1;  // number of the frame among those of this epoch(); -1: nobody else's
    bool known = false;        // built before: take the bytes kept under that number, write() nothing
  };
  struct Counters {
    std::uint64_t ticks, resyncs, frames_built, frames_shared, bytes_built;
  };

  Hub(Tape& tape, const HubLimits& limits);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  Handle open();  // 0 when HubLimits::clients are open
  bool close(Handle client);
  bool set_options(Handle client, const ClientOptions& options);
  const ClientOptions* options(Handle client) const;
  // Replaces the set. Entries kept keep what they still owe; new ones begin with a full snapshot. On a
  // refusal nothing has changed and `at` is the offending entry.
  Refusal subscribe(Handle client, const std::vector<Wanted>& wanted, std::size_t& at);
  bool entries(Handle client, std::vector<Wanted>& out) const;

  std::size_t drain();  // takes what the tape has; returns the ticks taken
  std::int64_t pending(Handle client) const;  // instruments with something unsent; -1: no such client
  std::size_t places() const { return clients_.size(); }
  Handle handle_at(std::size_t place) const;  // 0 when nobody is there

  // A frame in three steps, so that its bytes are written where they stay: plan() drains and sizes it, write()
  // fills exactly plan.bytes, commit() marks it sent. Without commit() nothing has happened. `tail`, the text
  // of one JSON object added to the data list, must live until write(); frames with one are never shared, and
  // a style without a data list ignores it.
  bool plan(Handle client, std::string_view tail, Plan& out);
  char* write(char* out) const;
  void commit() noexcept;
  // Shared frame numbers are good until this changes.
  std::uint64_t epoch() const { return epoch_; }

  std::size_t open_clients() const { return open_; }
  std::size_t subscriptions() const { return subs_.size() - free_subs_.size(); }
  const Counters& counters() const { return counters_; }
  std::uint64_t fragment_hits() const { return fragments_.hits(); }
  std::uint64_t fragment_misses() const { return fragments_.misses(); }
  const HubLimits& limits() const { return limits_; }

 private:
  static constexpr std::uint32_t kNobody = 0xFFFFFFFF;
  static constexpr std::size_t kMaxFragmentBytes = 8 << 20;
  static constexpr std::size_t kMaxRetired = 65'536;

  // One instrument as one client watches it. In its client's dirty list exactly while dirty != 0.
  struct Sub {
    Mask dirty = 0;
    std::int64_t stamp_ns = 0;  // of the oldest unsent tick
    std::uint32_t client = kNobody;
    std::uint32_t instrument = 0;
    std::uint32_t shown = 0;
    std::uint32_t watch = 0;  // place in watchers_[instrument]
    bool sent = false;        // a full snapshot went out
    bool kept = false;        // scratch of subscribe()
  };
  struct Client {
    std::uint32_t generation = 0;
    bool open = false;
    ClientOptions options;
    std::vector<std::uint32_t> subs;   // in subscription order
    std::vector<std::uint32_t> dirty;  // in the order they became dirty
  };
  struct Unsent {  // of one drain, by instrument
    Mask mask = 0;
    std::int64_t stamp_ns = 0;
  };
  struct Laid {  // one instrument of a planned frame
    FragmentCache::Fragment quote, market_data;
  };

  Client* find(Handle client);
  const Client* find(Handle client) const;
  std::uint32_t add_sub(std::uint32_t client, const Wanted& wanted, std::uint32_t shown);
  void drop_sub(std::uint32_t slot);
  void mark(std::uint32_t slot, Mask mask, std::int64_t stamp_ns);
  void mark_all(const Client& client);
  void resync();
  void refresh_caches();
  Mask fields_to_send(const Client& client, const Sub& sub) const;
  bool is_like_last(const Client& client) const;
  void lay_out(const Client& client);
  std::size_t quotes_payload() const;
  std::size_t single_payload(const FragmentCache::Fragment& fragment, Style style) const;
  char* write_single(char* out, const FragmentCache::Fragment& fragment, Style style) const;

  Tape& tape_;
  const HubLimits limits_;
  const int cursor_;
  std::uint64_t restores_seen_;
  std::vector<Client> clients_;
  std::vector<std::uint32_t> free_clients_;
  std::size_t open_ = 0;
  std::vector<Sub> subs_;
  std::vector<std::uint32_t> free_subs_;
  std::vector<std::vector<std::uint32_t>> watchers_;  // by instrument: slots of subs_
  ShownPool shown_;
  std::size_t retired_ = 0;  // spellings released since the caches were emptied

  std::vector<Unsent> unsent_;  // by instrument, all zero between drains
  std::vector<std::uint32_t> touched_;

  FragmentCache fragments_;
  FrameIndex frames_;
  std::uint64_t epoch_ = 1;
  std::uint64_t cached_version_ = 0;  // of the tape, for which the caches hold

  // The frame being built, between plan() and commit().
  struct {
    std::uint32_t client = kNobody;
    std::vector<Piece> pieces;
    std::vector<Laid> laid;
    std::size_t taken = 0;
    std::size_t bytes = 0;
    std::size_t quote_bytes = 0;  // of all quote fragments
    std::int64_t stamp_ns = 0;
    std::uint64_t hash = 0, kind = 0;
    std::string_view tail;
    std::array<char, 40> stamp{};
    std::size_t stamp_bytes = 0;
    std::int64_t shared = -1;
    bool known = false, keep = false;
  } planned_;
  struct {
    std::int64_t shared = -1;  // number of the frame committed last, when it is shared and planned_ still its
    std::uint64_t epoch = 0;
    bool stamp = false;
  } last_;
  Counters counters_{};
};

}  // namespace qautlra
