// libFuzzer target over the trading journal's records: whatever they are, a replay ends with an exchange that can be
// read, and a checkpoint of it replays to the same state.
//
//   ./replay_fuzz --seeds=DIR   writes the seed corpus: a day of trading, its settlement, a checkpoint, the next day
//
// An input is records one behind the other: kind, two bytes of length, payload.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "exchange/exchange.hpp"

namespace replay_fuzz {

using namespace qautlra;
using exchange::Exchange;

void check(bool holds, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "line %d does not hold\n", line);
  std::abort();
}

exchange::Options small() {
  exchange::Options options;
  options.books = {.live_orders_max = 512, .accounts_max = 64, .levels_per_book_max = 4096, .levels_max = 1 << 16};
  options.orders_max = 512;
  options.trades_max = 1024;
  return options;
}

std::uint64_t keep(void* to, std::uint8_t kind, const void* payload, std::size_t size) {
  std::string& bytes = *static_cast<std::string*>(to);
  if (size > 0xFFFF) return 0;
  bytes += static_cast<char>(kind);
  bytes += static_cast<char>(size & 0xFF);
  bytes += static_cast<char>(size >> 8);
  bytes.append(static_cast<const char*>(payload), size);
  return bytes.size();
}

// Applies records until one does not fit; whether all did.
bool replay(Exchange& x, const std::uint8_t* data, std::size_t size) {
  for (std::size_t at = 0; size - at >= 3;) {
    const std::uint8_t kind = data[at];
    const std::size_t length = std::min<std::size_t>(data[at + 1] + 256u * data[at + 2], size - at - 3);
    // A copy of its own size: reading past it is seen.
    const std::vector<std::uint8_t> payload(data + at + 3, data + at + 3 + length);
    if (x.replay(kind, payload.data(), length) != exchange::kOk) return false;
    x.clear_events();
    at += 3 + length;
  }
  return true;
}

void read(const Exchange& x) {
  x.state_hash();
  for (std::uint32_t a = 1; a < x.accounts(); ++a) {
    for (const std::uint32_t n : x.orders_of(a)) check(x.orders().at(n).account == a);
    for (const std::uint32_t n : x.trades_of(a)) check(x.trades().at(n).account == a);
    x.ledger().at(a).available();
  }
}

exchange::Listing listing(const char* symbol, std::int64_t lower, std::int64_t upper) {
  exchange::Listing l;
  l.symbol = symbol;
  l.terms.tick = account::to_price(1);
  l.terms.multiple = 10;
  l.terms.margin[0] = l.terms.margin[1] = {account::kOne / 10, 0};
  l.terms.fee_open = l.terms.fee_close = l.terms.fee_close_today = {account::kOne / 10'000, 0};
  l.band = {lower, upper};
  return l;
}

std::string seed() {
  std::string bytes;
  Exchange x(small(), {keep, &bytes});
  std::uint32_t rb = 0, m = 0;
  check(x.list(listing("SHFE.rb2110", 4500, 5500), rb) == exchange::kOk);
  check(x.list(listing("DCE.m2109", 3000, 4000), m) == exchange::kOk);
  const std::uint32_t a = x.open_account("ann"), b = x.open_account("bob");
  for (const std::uint32_t who : {a, b}) x.move_money(who, 1'000'000 * account::kUnit);
  x.settle(20210802);
  x.set_phase(rb, book::Phase::kContinuous, 1);
  x.set_phase(m, book::Phase::kContinuous, 1);
  x.mark(rb, account::to_price(5000), 2);
  const exchange::StreetLevel bids[] = {{4999, 5}, {4998, 7}}, asks[] = {{5001, 5}, {5002, 9}};
  x.show_street(rb, bids, asks, 3);
  int n = 0;
  const auto send = [&](std::uint32_t who, book::Side side, std::int64_t lots, double price) {
    const std::string id = "o" + std::to_string(n++);
    exchange::Insert order;
    order.account = who;
    order.instrument = rb;
    order.client_id = id;
    order.side = side;
    order.volume = lots;
    order.price = account::to_price(price);
    order.now_ns = 10 + n;
    x.insert(order);
    return id;
  };
  send(a, book::Side::kBuy, 3, 5001);
  send(b, book::Side::kSell, 2, 4999);
  const std::string resting = send(a, book::Side::kBuy, 4, 4990);
  x.amend(a, resting, account::to_price(4991), 5, 40);
  send(b, book::Side::kSell, 1, 4991);
  x.cancel(a, resting, 50);
  x.street(rb, book::Side::kBuy, account::to_price(4980), 1, book::TimeCondition::kGfd, 51);
  x.set_band(rb, {4600, 5400});
  x.set_locks(b, 1);
  x.set_state(a, risk::State::kReducing);
  x.note("{}", 2);
  x.end_day();
  x.set_settlement(rb, account::to_price(5003));
  x.settle(20210803);
  x.checkpoint();
  x.set_phase(rb, book::Phase::kContinuous, 100);
  send(b, book::Side::kBuy, 1, 5001);
  x.cancel_all(exchange::kNone);
  x.end_day();
  exchange::Expiry end;
  end.instrument = rb;
  end.price = account::to_price(5004);
  end.fee = account::kOne / 10'000;
  end.now_ns = 200;
  check(x.expire(end).code == exchange::kOk && x.ledger().at(a).funds().margin == 0);
  return bytes;
}

// The part of a seed that begins with its checkpoint.
std::string from_checkpoint(const std::string& bytes) {
  for (std::size_t at = 0; at + 3 <= bytes.size();) {
    if (static_cast<std::uint8_t>(bytes[at]) == static_cast<std::uint8_t>(exchange::RecordKind::kCheckpoint))
      return bytes.substr(at);
    at += 3 + static_cast<std::uint8_t>(bytes[at + 1]) + 256u * static_cast<std::uint8_t>(bytes[at + 2]);
  }
  std::abort();
}

}  // namespace replay_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replay_fuzz;
  std::string taken;
  Exchange x(small(), {keep, &taken});
  const bool whole = replay(x, data, size);
  read(x);
  if (!whole || x.is_restoring() || x.trading_day() == 0) return 0;
  x.end_day();
  if (x.settle(x.trading_day() + 1).code != exchange::kOk) return 0;
  taken.clear();
  if (x.checkpoint().code != exchange::kOk) return 0;
  Exchange late(small());
  check(replay(late, reinterpret_cast<const std::uint8_t*>(taken.data()), taken.size()));
  check(!late.is_restoring() && late.accounts() == x.accounts() && late.instruments() == x.instruments());
  for (std::uint32_t a = 1; a < x.accounts(); ++a) {
    check(late.ledger().at(a).balance() == x.ledger().at(a).balance());
    check(late.ledger().at(a).available() == x.ledger().at(a).available());
  }
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::string option = (*argv)[i];
    if (!option.starts_with("--seeds=")) continue;
    const std::string whole = replay_fuzz::seed();
    std::ofstream(option.substr(8) + "/replay-days", std::ios::binary) << whole;
    std::ofstream(option.substr(8) + "/replay-checkpoint", std::ios::binary) << replay_fuzz::from_checkpoint(whole);
    std::exit(0);
  }
  return 0;
}
