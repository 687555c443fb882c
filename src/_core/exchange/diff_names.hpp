// The names in the objects of one account as JSON has them, escaped once for all objects of a report.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/diff_text.hpp"
#include "exchange/exchange.hpp"

namespace qautlra::exchange::diff {

constexpr std::size_t kEscapedMax = 6;  // bytes that one may take
constexpr std::size_t kIdBytesMax = kEscapedMax * kClientIdBytesMax;
constexpr std::size_t kNamesBytesMax = 3 * kEscapedMax * kNameBytesMax + 128;

// What instruments are called in the objects, by number: `","exchange_id":…,"instrument_id":…"`, made when first asked
// for. Owner: one thread.
using Spellings = std::vector<std::string>;

// Owner: one call. With the spellings of a caller who has many.
class Names {
 public:
  explicit Names(const Exchange& x, Spellings* kept = nullptr) : x_(x), kept_(kept) {}

  // `"user_id":…,"exchange_id":…,"instrument_id":…`: the head of three of the objects.
  char* put(char* p, std::uint32_t account, std::uint32_t instrument) {
    p = diff::put(p, "\"user_id\":\"");
    p = put_escaped(p, x_.account_name(account));
    if (kept_ == nullptr) return spell(p, instrument);
    if (instrument >= kept_->size()) kept_->resize(x_.instruments());
    std::string& text = (*kept_)[instrument];
    if (text.empty()) [[unlikely]] {
      char made[kNamesBytesMax];
      text.assign(made, spell(made, instrument));
    }
    return diff::put(p, std::string_view(text));
  }
  // The client's id of an order.
  char* put_id(char* p, std::uint32_t order) {
    if (order != order_) {
      order_ = order;
      id_ = x_.orders().client_id(order);
      if (!all_plain(id_)) id_ = {escaped_, static_cast<std::size_t>(put_escaped(escaped_, id_) - escaped_)};
    }
    return diff::put(p, id_);
  }

 private:
  char* spell(char* p, std::uint32_t instrument) const {
    const std::string_view symbol = x_.symbol(instrument);
    const std::size_t dot = symbol.find('.');
    const std::size_t code = dot == std::string_view::npos ? 0 : dot + 1;
    p = diff::put(p, "\",\"exchange_id\":\"");
    p = put_escaped(p, symbol.substr(0, code == 0 ? 0 : dot));
    p = diff::put(p, "\",\"instrument_id\":\"");
    p = put_escaped(p, symbol.substr(code));
    return diff::put(p, "\"");
  }

  const Exchange& x_;
  Spellings* const kept_;
  std::uint32_t order_ = kNone;
  std::string_view id_;
  char escaped_[kIdBytesMax + 8];  // numbers and escapes write up to seven bytes more than they count
};

}  // namespace qautlra::exchange::diff
