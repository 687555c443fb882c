// The names in the objects of one account as JSON has them, escaped once for all objects of a report.
#pragma once

#include <cstdint>
#include <string_view>

#include "exchange/diff_text.hpp"
#include "exchange/exchange.hpp"

namespace qautlra::exchange::diff {

constexpr std::size_t kEscapedMax = 6;  // bytes that one may take
constexpr std::size_t kIdBytesMax = kEscapedMax * kClientIdBytesMax;
constexpr std::size_t kNamesBytesMax = 3 * kEscapedMax * kNameBytesMax + 128;

// Keeps the texts it made last: most reports are about one order of one instrument. Owner: one call.
class Names {
 public:
  explicit Names(const Exchange& x) : x_(x) {}

  // `"user_id":…,"exchange_id":…,"instrument_id":…`: the head of three of the objects.
  char* put(char* p, std::uint32_t account, std::uint32_t instrument) {
    if (account != account_ || instrument != instrument_) spell(account, instrument);
    return diff::put(p, std::string_view(names_, names_size_));
  }
  // The client's id of an order.
  char* put_id(char* p, std::uint32_t order) {
    if (order != order_) {
      order_ = order;
      id_size_ = static_cast<std::size_t>(put_escaped(id_, x_.orders().client_id(order)) - id_);
    }
    return diff::put(p, std::string_view(id_, id_size_));
  }

 private:
  void spell(std::uint32_t account, std::uint32_t instrument) {
    account_ = account;
    instrument_ = instrument;
    const std::string_view symbol = x_.symbol(instrument);
    const std::size_t dot = symbol.find('.');
    const std::size_t code = dot == std::string_view::npos ? 0 : dot + 1;
    char* p = diff::put(names_, "\"user_id\":\"");
    p = put_escaped(p, x_.account_name(account));
    p = diff::put(p, "\",\"exchange_id\":\"");
    p = put_escaped(p, symbol.substr(0, code == 0 ? 0 : dot));
    p = diff::put(p, "\",\"instrument_id\":\"");
    p = put_escaped(p, symbol.substr(code));
    *p++ = '"';
    names_size_ = static_cast<std::size_t>(p - names_);
  }

  const Exchange& x_;
  std::uint32_t account_ = kNone;
  std::uint32_t instrument_ = kNone;
  std::uint32_t order_ = kNone;
  std::size_t names_size_ = 0;
  std::size_t id_size_ = 0;
  char names_[kNamesBytesMax];
  char id_[kIdBytesMax + 8];  // numbers and escapes write up to seven bytes more than they count
};

}  // namespace qautlra::exchange::diff
