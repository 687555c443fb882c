// The order book without Python: what sanitizers should see, and agreement with a book that is a plain list.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "book/books.hpp"
#include "book/recorder.hpp"
#include "expect.hpp"

using namespace qautlra::book;

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

NewOrder limit(Side side, std::int64_t price, std::int32_t volume, std::uint32_t account) {
  NewOrder order;
  order.side = side;
  order.price = price;
  order.volume = volume;
  order.account = account;
  return order;
}

std::uint32_t open_book(Books& books, Recorder& sink, const Band& band, const Rules& rules = {},
                        Phase phase = Phase::kContinuous) {
  std::uint32_t index = 0;
  EXPECT(books.add(rules, band, index) == Code::kOk);
  EXPECT(books.set_phase(index, phase, sink) == Code::kOk);
  return index;
}

// What must always hold: levels, queues and counters tell the same story, and a continuous book is not crossed.
template <Side kSide>
std::size_t check_side(const Books& books, std::uint32_t index) {
  const Book& b = books.at(index);
  std::size_t orders = 0;
  std::int64_t volume = 0;
  std::int32_t level = -1;
  books.visit<kSide>(index, [&](const Order& o) {
    ++orders;
    EXPECT(o.left > 0);
    EXPECT_EQ(o.book, index);
    EXPECT(o.side == kSide);
    EXPECT(books.order(o.id) == &o);
    if (o.level != level) {
      if (level >= 0) EXPECT_EQ(b.side<kSide>().levels[level].volume, volume);
      EXPECT(level < 0 || (kSide == Side::kBuy ? o.level < level : o.level > level));
      level = o.level;
      volume = 0;
    }
    volume += o.left;
    return true;
  });
  if (level >= 0) EXPECT_EQ(b.side<kSide>().levels[level].volume, volume);
  return orders;
}

void check_books(const Books& books) {
  std::size_t orders = 0;
  for (std::uint32_t i = 0; i < books.size(); ++i) {
    orders += check_side<Side::kBuy>(books, i) + check_side<Side::kSell>(books, i);
    const Book& b = books.at(i);
    if (b.phase == Phase::kContinuous) EXPECT(b.bids.best < b.asks.best);
  }
  EXPECT_EQ(orders, static_cast<std::size_t>(books.live_orders()));
}

}  // namespace

TEST_CASE(best_levels_are_found_across_words_and_groups) {
  Books books;
  Recorder sink;
  const std::uint32_t book = open_book(books, sink, {0, (1 << 20) - 1});
  const std::int64_t places[] = {0, 1, 63, 64, 4095, 4096, 4097, 262143, 262144, 600000, (1 << 20) - 1};
  for (const std::int64_t price : places) books.insert(book, limit(Side::kBuy, price, 1, 1), sink);
  DepthLevel depth[16];
  EXPECT_EQ(books.depth(book, Side::kBuy, 16, depth), std::size(places));
  for (std::size_t i = 0; i < std::size(places); ++i) EXPECT_EQ(depth[i].price, places[std::size(places) - 1 - i]);
  for (std::size_t i = std::size(places); i-- > 0;) {
    EXPECT_EQ(books.at(book).bids.best, static_cast<std::int32_t>(places[i]));
    books.insert(book, limit(Side::kSell, places[i], 1, 2), sink);
  }
  EXPECT_EQ(books.live_orders(), 0u);
  for (const std::int64_t price : places) books.insert(book, limit(Side::kSell, price, 1, 1), sink);
  for (const std::int64_t price : places) {
    EXPECT_EQ(books.at(book).asks.best, static_cast<std::int32_t>(price));
    books.insert(book, limit(Side::kBuy, price, 1, 2), sink);
  }
  EXPECT_EQ(books.live_orders(), 0u);
  // Nothing behind the last one in use, however much of the ladder is left to look through.
  for (const std::int64_t price : places) {
    books.cancel(books.insert(book, limit(Side::kSell, price, 1, 1), sink).id, sink);
    EXPECT(books.at(book).asks.empty());
    books.cancel(books.insert(book, limit(Side::kBuy, price, 1, 1), sink).id, sink);
    EXPECT(books.at(book).bids.empty());
  }
}

TEST_CASE(handles_of_the_dead_name_nothing) {
  Bounds bounds;
  bounds.live_orders_max = 4;
  Books books(bounds);
  Recorder sink;
  const std::uint32_t book = open_book(books, sink, {1, 100});
  std::vector<OrderId> dead;
  for (int i = 0; i < 1000; ++i) {
    const Placed placed = books.insert(book, limit(Side::kBuy, 1 + i % 100, 1, 1), sink);
    EXPECT(placed.code == Code::kOk && placed.rests);
    EXPECT_EQ(serial_of(placed.id), static_cast<std::uint64_t>(i) + 1);
    for (const OrderId id : dead) EXPECT(books.cancel(id, sink) == Code::kNoOrder);
    EXPECT(books.cancel(placed.id, sink) == Code::kOk);
    dead.push_back(placed.id);
    if (dead.size() > 20) dead.erase(dead.begin());
  }
  EXPECT(books.cancel(~OrderId{0}, sink) == Code::kNoOrder);
}

TEST_CASE(bounds_that_cannot_be_are_said_not_ready) {
  Bounds bounds;
  EXPECT(Books(bounds).ready());
  bounds.live_orders_max = 1u << kSlotBits;
  EXPECT(!Books(bounds).ready());
  bounds.live_orders_max = 0;
  EXPECT(!Books(bounds).ready());
}

TEST_CASE(rules_change_on_a_closed_book_only) {
  Books books;
  Recorder sink;
  const std::uint32_t book = open_book(books, sink, {1, 100});
  Rules rules;
  rules.volume_step[0] = 100;
  EXPECT(books.set_rules(book, rules) == Code::kNotTrading);
  books.insert(book, limit(Side::kBuy, 50, 1, 1), sink);
  books.set_phase(book, Phase::kClosed, sink);
  EXPECT(books.set_rules(book, rules) == Code::kOk);
  rules.self_trade = SelfTrade::kAllow;
  EXPECT(books.set_rules(book, rules) == Code::kBadParameters);  // a resting order is on its account's queue
  books.end_day(book, 20210802, sink);
  EXPECT(books.set_rules(book, rules) == Code::kOk);
  rules.volume_step[1] = 0;
  EXPECT(books.set_rules(book, rules) == Code::kBadParameters);
}

// Whatever happens, what holds keeps holding, and the same calls leave the same state.
TEST_CASE(random_calls_keep_the_books_whole) {
  const char* given = std::getenv("QAUTLRA_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20210802;
  std::printf("QAUTLRA_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::uint64_t hashes[2];
  for (std::uint64_t& hash : hashes) {
    Random random{seed * 0x9E3779B97F4A7C15ull + 1};
    Bounds bounds;
    bounds.live_orders_max = 300;
    Books books(bounds);
    Recorder sink;
    for (int i = 0; i < 4; ++i) {
      Rules rules;
      rules.self_trade = static_cast<SelfTrade>(i);
      rules.trade_price = i % 2 == 0 ? TradePrice::kMaker : TradePrice::kMedian;
      rules.best_rests = i == 2;
      open_book(books, sink, {-50, 50}, rules);
    }
    std::vector<OrderId> ids(64, 0);
    std::int64_t accepted = 0;
    for (int step = 0; step < 60'000; ++step) {
      const auto book = static_cast<std::uint32_t>(random.below(4));
      const int dice = random.below(1000);
      if (dice < 600) {
        NewOrder o = limit(static_cast<Side>(random.below(2)), random.below(41) - 20, 1 + random.below(9),
                           static_cast<std::uint32_t>(random.below(5)));
        if (random.below(10) >= 6) {
          o.price_type = static_cast<PriceType>(random.below(4));
          o.time = random.below(4) != 0 ? TimeCondition::kIoc : static_cast<TimeCondition>(1 + random.below(6));
          o.volume_condition = static_cast<VolumeCondition>(1 + random.below(3));
        }
        o.min_volume = random.below(5);
        o.opens = random.below(3) != 0;
        o.gtd_day = random.below(4);
        const Placed placed = books.insert(book, o, sink);
        if (placed.code == Code::kOk) {
          ids[static_cast<std::size_t>(random.below(64))] = placed.id;
          ++accepted;
        }
      } else if (dice < 850) {
        books.cancel(ids[static_cast<std::size_t>(random.below(64))], sink);
      } else if (dice < 950) {
        books.amend(ids[static_cast<std::size_t>(random.below(64))], random.below(41) - 20, random.below(9), sink);
      } else if (dice < 980) {
        books.set_phase(book, random.below(3) != 0 ? Phase::kContinuous : static_cast<Phase>(random.below(6)), sink);
      } else if (dice < 985) {
        const int width = 15 + random.below(60);
        books.set_band(book, {-width, width}, sink);
      } else if (dice < 996) {
        books.set_reference(book, random.below(41) - 20);
      } else if (dice < 999) {
        books.end_day(book, random.below(4), sink);
      } else {
        books.remove_account(static_cast<std::uint32_t>(random.below(5)), Reason::kForced, sink);
      }
      for (const Event& e : sink.events())
        EXPECT(e.kind != EventKind::kFill || (e.volume > 0 && e.left[0] >= 0 && e.left[1] >= 0));
      sink.clear();
      if (step % 64 == 0) check_books(books);
    }
    check_books(books);
    EXPECT(accepted > 10'000);
    EXPECT(books.trades() > 5'000);
    hash = books.state_hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
