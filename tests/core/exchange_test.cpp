// The exchange without Python: what sanitizers should see, of live commands and of records that do not fit.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exchange/exchange.hpp"
#include "exchange/parts.hpp"
#include "exchange/stream.hpp"
#include "expect.hpp"

using namespace qautlra;
using account::Money;
using exchange::Exchange;

namespace {

struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545F4914F6CDD1Dull;
  }
  int below(int n) { return static_cast<int>((next() >> 33) % static_cast<std::uint64_t>(n)); }
};

struct Log {
  std::vector<std::pair<std::uint8_t, std::string>> records;
  bool refuses = false;

  static std::uint64_t append(void* context, std::uint8_t kind, const void* payload, std::size_t size) {
    Log& log = *static_cast<Log*>(context);
    if (log.refuses) return 0;
    log.records.emplace_back(kind, std::string(static_cast<const char*>(payload), size));
    return log.records.size();
  }
  exchange::JournalHook hook() { return {append, this}; }
};

exchange::Options small() {
  exchange::Options options;
  options.books.live_orders_max = 2'000;
  options.books.accounts_max = 100;
  options.orders_max = 20'000;
  return options;
}

std::unique_ptr<Exchange> opened(Log& log) {
  auto x = std::make_unique<Exchange>(small(), log.hook());
  for (const char* symbol : {"SHFE.cu2109", "DCE.m2109", "SSE.600000"}) {
    exchange::Listing listing;
    listing.symbol = symbol;
    listing.terms.multiple = 10;
    listing.terms.tick = account::kUnit;
    for (account::Rate& rate : listing.terms.margin) rate.ratio = account::kOne / 10;
    listing.terms.fee_open.ratio = listing.terms.fee_close.ratio = 50'000;
    listing.terms.asset = symbol[1] == 'S' ? account::Asset::kStock : account::Asset::kFuture;
    listing.terms.close_rule = account::close_rule_of(std::string_view(symbol).substr(0, 4), listing.terms.asset);
    listing.band = {50, 150};
    std::uint32_t number = 0;
    EXPECT_EQ(x->list(listing, number), exchange::kOk);
  }
  for (const char* name : {"a", "b", "c"}) {
    const std::uint32_t number = x->open_account(name);
    EXPECT_EQ(x->move_money(number, 1'000'000 * account::kUnit).code, exchange::kOk);
  }
  EXPECT_EQ(x->settle(1).code, exchange::kOk);
  for (std::uint32_t i = 0; i < 3; ++i) x->set_phase(i, book::Phase::kContinuous);
  return x;
}

void random_command(Exchange& x, Random& random, int step) {
  const auto account = static_cast<std::uint32_t>(1 + random.below(3));
  const auto instrument = static_cast<std::uint32_t>(random.below(3));
  const account::Price price = (80 + random.below(41)) * account::kUnit;
  const std::int64_t now = step * std::int64_t{20'000'000};
  const int dice = random.below(1000);
  const std::string earlier = std::to_string(step - 1 - random.below(30));
  if (dice < 550) {
    const std::string id = std::to_string(step);
    exchange::Insert c;
    c.account = account;
    c.instrument = instrument;
    c.client_id = id;
    c.volume = random.below(8);
    c.price = price;
    c.now_ns = now;
    c.side = static_cast<book::Side>(random.below(2));
    c.offset = static_cast<account::Offset>(random.below(3));
    if (random.below(4) == 0) {
      c.price_type = static_cast<book::PriceType>(random.below(4));
      c.time = book::TimeCondition::kIoc;
      c.volume_condition = static_cast<book::VolumeCondition>(1 + random.below(3));
      c.min_volume = 1;
    }
    x.insert(c);
  } else if (dice < 700) {
    x.street(instrument, static_cast<book::Side>(random.below(2)), price, 1 + random.below(6),
             random.below(2) != 0 ? book::TimeCondition::kIoc : book::TimeCondition::kGfd);
  } else if (dice < 800) {
    x.cancel(account, earlier, now);
  } else if (dice < 880) {
    x.amend(account, earlier, price, random.below(8), now);
  } else if (dice < 950) {
    x.mark(instrument, price, now);
  } else if (dice < 970) {
    x.set_phase(instrument, random.below(3) == 0 ? book::Phase::kAuction : book::Phase::kContinuous);
  } else if (dice < 980) {
    x.set_band(instrument, {50 + random.below(20), 130 + random.below(20)});
  } else if (dice < 985) {
    x.cancel_all(random.below(2) != 0 ? exchange::kNone : account);
  } else if (dice < 990) {
    x.set_state(account, static_cast<risk::State>(random.below(3)));
    x.set_state(exchange::kNone, risk::State::kActive);
  } else if (dice < 996) {
    x.move_money(account, (random.below(3) - 1) * 1'000 * account::kUnit);
  } else {
    x.end_day();
    for (std::uint32_t i = 0; i < 3; ++i) x.set_settlement(i, 100 * account::kUnit);
    EXPECT_EQ(x.settle(x.trading_day() + 1).code, exchange::kOk);
    for (std::uint32_t i = 0; i < 3; ++i) x.set_phase(i, book::Phase::kContinuous);
    for (std::uint32_t a = 1; a < 4; ++a) x.set_state(a, risk::State::kActive);
  }
}

std::uint64_t seed() {
  const char* given = std::getenv("QAUTLRA_SEED");
  const std::uint64_t found = given != nullptr ? std::strtoull(given, nullptr, 10) : 20210802;
  std::printf("QAUTLRA_SEED=%llu\n", static_cast<unsigned long long>(found));
  return found * 0x9E3779B97F4A7C15ull + 1;
}

}  // namespace

TEST_CASE(records_give_the_state_back) {
  Random random{seed()};
  Log log;
  const auto x = opened(log);
  std::uint64_t trades = 0;
  for (int step = 0; step < 30'000; ++step) {
    random_command(*x, random, step);
    // What one gains the other pays: money, margin and fees of all accounts come from the deposits.
    for (const exchange::Event& e : x->events()) trades += e.kind == exchange::EventKind::kTrade;
    x->clear_events();
  }
  EXPECT(trades > 3'000);
  EXPECT_EQ(x->broken(), 0u);
  Exchange again(small());
  for (const auto& [kind, payload] : log.records)
    EXPECT_EQ(again.replay(kind, payload.data(), payload.size()), exchange::kOk);
  EXPECT_EQ(again.state_hash(), x->state_hash());
  EXPECT_EQ(again.broken(), 0u);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kCommands = 100'000;  // what a sanitizer sees, it sees by then
#else
constexpr int kCommands = 1'000'000;
#endif

// A second set of books, kept from nothing but the events: what each account paid, was paid and holds.
struct Outside {
  account::Wide cash = 0;
  std::int64_t net[3] = {0, 0, 0};
};

TEST_CASE(a_million_commands_conserve_everything) {
  Random random{seed()};
  Log log;
  const auto x = opened(log);
  std::vector<Outside> outside(4);
  for (std::uint32_t a = 1; a < 4; ++a) outside[a].cash = x->ledger().at(a).balance();
  std::vector<book::Side> sides;  // of the orders of the day: an auction may trade them while the day ends
  std::uint64_t trades = 0;
  std::int64_t lots = 0;
  for (int step = 0; step < kCommands; ++step) {
    account::Wide moved[4];
    for (std::uint32_t a = 1; a < 4; ++a) {
      const account::Funds& f = x->ledger().at(a).funds();
      moved[a] = static_cast<account::Wide>(f.deposit) - f.withdraw;
    }
    const std::int32_t day = x->trading_day();
    random_command(*x, random, step);
    log.records.clear();
    if (day == x->trading_day())
      for (std::uint32_t n = static_cast<std::uint32_t>(sides.size()); n < x->orders().size(); ++n)
        sides.push_back(x->orders().at(n).side());
    for (const exchange::Event& e : x->events()) {
      if (e.kind != exchange::EventKind::kTrade) continue;
      ++trades;
      const std::int64_t multiple = x->ledger().board.terms(e.instrument).multiple;
      const std::int64_t sign = sides[e.order] == book::Side::kBuy ? 1 : -1;
      Outside& o = outside[e.account];
      o.cash -= sign * account::wide_value(e.price, e.volume, multiple) + e.commission;
      o.net[e.instrument] += sign * e.volume;
      lots += e.volume;
    }
    x->clear_events();
    if (day != x->trading_day()) sides.clear();
    for (std::uint32_t a = 1; a < 4; ++a) {
      const account::Funds& f = x->ledger().at(a).funds();
      if (day == x->trading_day()) outside[a].cash += static_cast<account::Wide>(f.deposit) - f.withdraw - moved[a];
    }
    if (step % 64 != 0) continue;
    for (std::uint32_t a = 1; a < 4; ++a) {
      const account::Account& owner = x->ledger().at(a);
      account::Wide worth = outside[a].cash;
      Money margin = 0, frozen = 0;
      for (std::uint32_t i = 0; i < 3; ++i) {
        const account::Position* const p = owner.find(i);
        const std::int64_t held = p == nullptr ? 0 : p->held[0].volume() - p->held[1].volume();
        EXPECT_EQ(held, outside[a].net[i]);  // positions are the trades
        if (p == nullptr) continue;
        worth += static_cast<account::Wide>(owner.leg(*p, book::Side::kBuy).value) - owner.leg(*p, book::Side::kSell).value;
        margin += p->held[0].margin + p->held[1].margin;
        frozen += p->frozen_margin;
      }
      EXPECT(worth == owner.balance());  // cash, gains and fees, to the millionth
      EXPECT_EQ(margin, owner.funds().margin);
      EXPECT_EQ(frozen, owner.funds().frozen_margin);
    }
  }
  EXPECT(trades > kCommands / 10);
  EXPECT(lots > 0);
  EXPECT_EQ(x->broken(), 0u);
}

TEST_CASE(a_refusing_journal_changes_nothing) {
  Random random{seed()};
  Log log;
  const auto x = opened(log);
  for (int step = 0; step < 2'000; ++step) {
    random_command(*x, random, step);
    x->clear_events();
    log.refuses = true;
    const std::uint64_t before = x->state_hash();
    exchange::Insert c;
    c.account = 1;
    c.instrument = 0;
    c.client_id = "refused";
    c.volume = 1;
    c.price = 100 * account::kUnit;
    c.now_ns = step * std::int64_t{20'000'000};
    EXPECT_EQ(x->insert(c).code, exchange::kNotJournaled);
    EXPECT_EQ(x->end_day().code, exchange::kNotJournaled);
    EXPECT_EQ(x->mark(0, account::kUnit, 0).code, exchange::kNotJournaled);
    EXPECT_EQ(x->cancel_all(exchange::kNone).code, exchange::kNotJournaled);
    EXPECT_EQ(x->state_hash(), before);
    EXPECT(x->events().empty());
    log.refuses = false;
  }
}

TEST_CASE(damaged_records_do_no_harm) {
  Random random{seed()};
  Log log;
  const auto x = opened(log);
  for (int step = 0; step < 300; ++step) random_command(*x, random, step);
  x->clear_events();
  Exchange target(small());
  for (int round = 0; round < 20'000; ++round) {
    auto [kind, payload] = log.records[static_cast<std::size_t>(random.below(static_cast<int>(log.records.size())))];
    for (int n = random.below(3); n > 0 && !payload.empty(); --n)
      payload[static_cast<std::size_t>(random.below(static_cast<int>(payload.size())))] =
          static_cast<char>(random.below(256));
    if (random.below(8) == 0) payload.resize(payload.size() * static_cast<std::size_t>(random.below(4)) / 3);
    if (random.below(50) == 0) kind = static_cast<std::uint8_t>(random.below(256));
    target.replay(kind, payload.data(), payload.size());
    target.clear_events();
  }
  EXPECT(target.state_hash() != 0);
}

// Shares are sold that nobody holds; of four books one is not there.
TEST_CASE(parts_end_where_the_exchange_ends) {
  Random random{seed()};
  Log log;
  const auto x = opened(log);
  risk::Limits limits = x->gate().limits(exchange::kNone);
  limits.active_max = 12;
  x->gate().set_limits(limits);
  exchange::Parts parts(*x, 3'000);
  EXPECT(parts.ready());
  for (int day = 2; day < 5; ++day) {
    std::vector<book::StreamOp> ops;
    for (std::uint32_t number = 1; number < 3'000; ++number) {
      const int dice = random.below(10);
      const auto type = static_cast<std::uint8_t>(dice < 5 ? 0 : dice < 9 ? 1 : 2);
      const std::uint32_t named = type == 1 ? 1 + static_cast<std::uint32_t>(random.below(static_cast<int>(number))) : number;
      ops.push_back({type, static_cast<std::uint8_t>(random.below(2)), static_cast<std::uint16_t>(random.below(4)), named,
                     90 + random.below(21), 1 + random.below(5)});
    }
    book::StreamResult whole, by_parts;
    const std::int64_t now = day * std::int64_t{1'000'000'000};
    exchange::play(*x, ops.data(), ops.size(), 3, now, whole);
    parts.play(ops.data(), ops.size(), 3, now, by_parts);
    EXPECT(whole.trades > 0 && whole.refused > 0 && whole.misses > 0);
    EXPECT_EQ(by_parts.trades, whole.trades);
    EXPECT_EQ(by_parts.volume, whole.volume);
    EXPECT_EQ(by_parts.value, whole.value);
    EXPECT_EQ(by_parts.misses, whole.misses);
    EXPECT_EQ(by_parts.refused, whole.refused);
    EXPECT_EQ(parts.ledger().state_hash(), x->ledger().state_hash());
    EXPECT_EQ(parts.gate().state_hash(), x->gate().state_hash());
    EXPECT_EQ(parts.books().live_orders(), x->books().live_orders());
    EXPECT_EQ(x->end_day().code, exchange::kOk);
    EXPECT_EQ(x->settle(day).code, exchange::kOk);
    for (std::uint32_t i = 0; i < 3; ++i) x->set_phase(i, book::Phase::kContinuous);
    x->clear_events();
    parts.next_day();
    EXPECT_EQ(parts.ledger().state_hash(), x->ledger().state_hash());
    EXPECT_EQ(parts.broken(), 0u);
  }
}

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
