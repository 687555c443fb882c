// How the hub's frames are laid out and written. Sizes are known before a byte is written.
#include <charconv>
#include <cstring>

#include "feed/hub.hpp"
#include "feed/websocket.hpp"

namespace qautlra {

namespace {

using std::string_view;

constexpr string_view kDataOpen = R"({"aid":"rtn_data","data":[)";
constexpr string_view kQuotesOpen = R"({"quotes":{)";
constexpr string_view kQuotesClose = "}}";
constexpr string_view kDataClose = "]";
constexpr string_view kStampKey = R"(,"_ts":)";
constexpr string_view kMarketDataOpen = R"({"type":"market_data","payload":{"data":)";
constexpr string_view kMarketDataClose = "}";
constexpr string_view kCoreOpen = R"({"data":)";
constexpr string_view kCoreClose = R"(,"topic":"marketdata","code":200)";

bool has_data_list(Style style) { return style == Style::kDiff || style == Style::kLegacyRtn; }

std::uint64_t kind_of(const ClientOptions& options) {
  return static_cast<std::uint64_t>(options.style) << 1 | options.market_data;
}

char* put(char* out, string_view text) {
  if (text.empty()) return out;
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

}  // namespace

void Hub::refresh_caches() {
  if (cached_version_ == tape_.version() && fragments_.bytes() < kMaxFragmentBytes) return;
  cached_version_ = tape_.version();
  fragments_.clear();
  frames_.clear();
  shown_.recycle();
  retired_ = 0;
  ++epoch_;
}

// A whole snapshot names every field that may ever have been sent: a reader that still has an old value (it
// subscribed before, or gets whole snapshots every time) is told that it is gone.
Mask Hub::fields_to_send(const Client& client, const Sub& sub) const {
  const Style style = client.options.style;
  if (sub.sent && !client.options.full_only && has_data_list(style)) return sub.dirty;
  return kAllFields & (~optional_fields(style) | tape_.line(sub.instrument)->ever);
}

std::size_t Hub::single_payload(const FragmentCache::Fragment& fragment, Style style) const {
  const std::size_t around = style == Style::kCore ? kCoreOpen.size() + kCoreClose.size()
                                                   : kMarketDataOpen.size() + kMarketDataClose.size();
  return around + fragment.bytes + planned_.stamp_bytes + 1;
}

std::size_t Hub::quotes_payload() const {
  std::size_t bytes = kDataOpen.size() + kDataClose.size() + planned_.stamp_bytes + 1;
  const bool quotes = planned_.taken != 0;
  if (quotes)
    bytes += kQuotesOpen.size() + planned_.quote_bytes + (planned_.taken - 1) + kQuotesClose.size();
  if (!planned_.tail.empty()) bytes += planned_.tail.size() + quotes;
  return bytes;
}

// Encodes pieces in order until the next one would pass the limit; the first always goes.
void Hub::lay_out(const Client& client) {
  const Style style = client.options.style;
  const bool quotes = has_data_list(style);
  const bool market_data = quotes && client.options.market_data;
  std::size_t bytes = 0;
  planned_.laid.clear();
  planned_.taken = 0;
  planned_.quote_bytes = 0;
  for (const Piece& piece : planned_.pieces) {
    const Snapshot& row = *tape_.last(piece.instrument);
    const string_view shown = shown_.text(piece.shown);
    Laid laid{fragments_.get(style, piece, quotes, row, shown), {0, 0}};
    std::size_t more;
    if (quotes) {
      more = laid.quote.bytes + 1;
    } else {
      const std::size_t payload = single_payload(laid.quote, style);
      more = text_header_size(payload) + payload;
    }
    if (market_data) {
      const Piece whole{kAllFields, piece.instrument, piece.shown};
      laid.market_data = fragments_.get(Style::kLegacyMarketData, whole, false, row, shown);
      const std::size_t payload = single_payload(laid.market_data, Style::kLegacyMarketData);
      more += text_header_size(payload) + payload;
    }
    if (planned_.taken != 0 && bytes + more > limits_.frame_bytes) break;
    planned_.laid.push_back(laid);
    planned_.quote_bytes += laid.quote.bytes;
    bytes += more;
    ++planned_.taken;
  }
  if (quotes) {
    const std::size_t payload = quotes_payload();
    bytes = text_header_size(payload) + payload;
    if (market_data)
      for (const Laid& laid : planned_.laid) {
        const std::size_t single = single_payload(laid.market_data, Style::kLegacyMarketData);
        bytes += text_header_size(single) + single;
      }
  }
  planned_.bytes = bytes;
}

// Whether this client is owed exactly what the frame planned last holds; most clients of a flush are.
bool Hub::is_like_last(const Client& client) const {
  if (last_.shared < 0 || last_.epoch != epoch_ || client.dirty.size() != planned_.pieces.size()) return false;
  if (kind_of(client.options) != planned_.kind || client.options.stamp != last_.stamp) return false;
  std::int64_t oldest_ns = 0;
  for (std::size_t i = 0; i < client.dirty.size(); ++i) {
    const Sub& sub = subs_[client.dirty[i]];
    if (!(planned_.pieces[i] == Piece{fields_to_send(client, sub), sub.instrument, sub.shown})) return false;
    if (sub.stamp_ns != 0 && (oldest_ns == 0 || sub.stamp_ns < oldest_ns)) oldest_ns = sub.stamp_ns;
  }
  return !last_.stamp || oldest_ns == planned_.stamp_ns;
}

bool Hub::plan(Handle client, string_view tail, Plan& out) {
  out = {};
  const Client* c = find(client);
  planned_.client = kNobody;
  if (c == nullptr) return false;
  drain();
  if (!has_data_list(c->options.style)) tail = {};
  if (c->dirty.empty() && tail.empty()) return true;
  refresh_caches();
  if (tail.empty() && is_like_last(*c)) {
    out.shared = last_.shared;
    out.bytes = planned_.bytes;
    out.known = planned_.known = true;
    planned_.client = static_cast<std::uint32_t>(client);
    return true;
  }
  last_.shared = planned_.shared = -1;

  planned_.pieces.clear();
  std::int64_t oldest_ns = 0;
  for (const std::uint32_t slot : c->dirty) {
    const Sub& sub = subs_[slot];
    planned_.pieces.push_back({fields_to_send(*c, sub), sub.instrument, sub.shown});
    if (sub.stamp_ns != 0 && (oldest_ns == 0 || sub.stamp_ns < oldest_ns)) oldest_ns = sub.stamp_ns;
  }
  planned_.stamp_ns = c->options.stamp ? oldest_ns : 0;
  planned_.stamp_bytes = 0;
  if (planned_.stamp_ns != 0) {
    char* end = put(planned_.stamp.data(), kStampKey);
    end = std::to_chars(end, planned_.stamp.data() + planned_.stamp.size(), planned_.stamp_ns).ptr;
    planned_.stamp_bytes = static_cast<std::size_t>(end - planned_.stamp.data());
  }
  planned_.tail = tail;
  planned_.kind = kind_of(c->options);
  planned_.known = planned_.keep = false;
  if (tail.empty()) {
    planned_.hash = FrameIndex::hash(planned_.kind, planned_.stamp_ns, planned_.pieces);
    out.shared = frames_.find(planned_.hash, planned_.kind, planned_.stamp_ns, planned_.pieces);
    if (out.shared >= 0) {
      planned_.known = out.known = true;
      planned_.taken = frames_.at(out.shared).taken;
      planned_.bytes = out.bytes = frames_.at(out.shared).bytes;
      planned_.shared = out.shared;
      planned_.client = static_cast<std::uint32_t>(client);
      return true;
    }
  }
  lay_out(*c);
  out.bytes = planned_.bytes;
  if (tail.empty() && frames_.reserve(planned_.pieces.size(), planned_.bytes)) {
    planned_.keep = true;
    planned_.shared = out.shared = static_cast<std::int64_t>(frames_.size());
  }
  planned_.client = static_cast<std::uint32_t>(client);
  return true;
}

char* Hub::write_single(char* out, const FragmentCache::Fragment& fragment, Style style) const {
  const bool core = style == Style::kCore;
  out = write_text_header(out, single_payload(fragment, style));
  out = put(out, core ? kCoreOpen : kMarketDataOpen);
  out = put(out, fragments_.text(fragment));
  out = put(out, core ? kCoreClose : kMarketDataClose);
  out = put(out, {planned_.stamp.data(), planned_.stamp_bytes});
  *out++ = '}';
  return out;
}

char* Hub::write(char* out) const {
  const ClientOptions& options = clients_[planned_.client].options;
  if (!has_data_list(options.style)) {
    for (const Laid& laid : planned_.laid) out = write_single(out, laid.quote, options.style);
    return out;
  }
  out = write_text_header(out, quotes_payload());
  out = put(out, kDataOpen);
  bool first = true;
  for (const Laid& laid : planned_.laid) {
    if (first) out = put(out, kQuotesOpen);
    else *out++ = ',';
    out = put(out, fragments_.text(laid.quote));
    first = false;
  }
  if (!first) out = put(out, kQuotesClose);
  if (!planned_.tail.empty()) {
    if (!first) *out++ = ',';
    out = put(out, planned_.tail);
  }
  out = put(out, kDataClose);
  out = put(out, {planned_.stamp.data(), planned_.stamp_bytes});
  *out++ = '}';
  if (options.market_data)
    for (const Laid& laid : planned_.laid)
      out = write_single(out, laid.market_data, Style::kLegacyMarketData);
  return out;
}

void Hub::commit() noexcept {
  if (planned_.client == kNobody) return;
  Client& c = clients_[planned_.client];
  for (std::size_t i = 0; i < planned_.taken; ++i) {
    Sub& sub = subs_[c.dirty[i]];
    sub.dirty = 0;
    sub.stamp_ns = 0;
    sub.sent = true;
  }
  c.dirty.erase(c.dirty.begin(), c.dirty.begin() + static_cast<std::ptrdiff_t>(planned_.taken));
  if (planned_.known) {
    ++counters_.frames_shared;
  } else {
    ++counters_.frames_built;
    counters_.bytes_built += planned_.bytes;
    if (planned_.keep)
      frames_.add(planned_.hash, planned_.kind, planned_.stamp_ns, planned_.pieces, planned_.taken,
                  planned_.bytes);
  }
  last_ = {planned_.shared, epoch_, c.options.stamp};
  planned_.client = kNobody;
}

}  // namespace qautlra
