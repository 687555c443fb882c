// Accounts and the gate without Python: a million random operations that conserve every millionth, replayed to
// the same hash, judged against sums made anew; bounds that hold against absurd numbers.
#include <chrono>
#include <cstdint>
#include <iterator>
#include <random>
#include <vector>

#include "account/hash.hpp"
#include "account/ledger.hpp"
#include "account/liquidate.hpp"
#include "account/plan.hpp"
#include "expect.hpp"
#include "risk/gate.hpp"

using namespace qautlra::account;
namespace risk = qautlra::risk;
namespace book = qautlra::book;

namespace {

constexpr std::uint32_t kInstruments = 5;
constexpr std::uint32_t kAccounts = 4;

void furnish(Ledger& ledger) {
  const CloseRule rules[kInstruments] = {CloseRule::kSplit, CloseRule::kTodayFirst, CloseRule::kHisFirst,
                                         CloseRule::kHisOnly, CloseRule::kTodayFirst};
  for (std::uint32_t i = 0; i < kInstruments; ++i) {
    Terms t;
    t.key = key_of(std::string(1, static_cast<char>('a' + i)));
    t.multiple = i == 3 ? 1 : 5 + i;
    t.tick = kUnit / 100;
    t.close_rule = rules[i];
    t.asset = i == 3 ? Asset::kStock : i == 4 ? Asset::kOption : Asset::kFuture;
    t.margin[0] = {to_ratio(0.07 + 0.013 * i), 3 * kUnit};
    t.margin[1] = {to_ratio(0.09), 0};
    t.fee_open = {to_ratio(0.00002301), kUnit / 4};
    t.fee_close = {to_ratio(0.0000345), 0};
    t.fee_close_today = {to_ratio(0.0001), kUnit};
    t.fee_min = i == 3 ? 5 * kUnit : 0;
    t.sell_tax = i == 3 ? to_ratio(0.001) : 0;
    t.group = i < 2 ? 7 : -1;
    EXPECT(ledger.set_terms(i, t) == Code::kOk);
  }
  for (std::uint32_t n = 0; n < kAccounts; ++n) ledger.open(n + 1);
}

// What must hold of every account at any time, from its positions alone.
void consistent(const Ledger& ledger, const Account& a) {
  Wide profit = 0, margin = 0, frozen_margin = 0;
  for (const Position& p : a.positions()) {
    const Terms& t = ledger.board.terms(p.instrument);
    for (const Side side : {Side::kBuy, Side::kSell}) {
      const Leg leg = a.leg(p, side);
      EXPECT(leg.today >= leg.frozen_today && leg.his >= leg.frozen_his);
      EXPECT(leg.frozen_today >= 0 && leg.frozen_his >= 0 && leg.opening >= 0);
      EXPECT(leg.today > 0 || leg.cost_today == 0);
      EXPECT(leg.his > 0 || (leg.cost_his == 0 && leg.open_cost_his == 0));
      EXPECT_EQ(leg.value, value_of(p.last == kNoValue ? 0 : p.last, leg.volume(), t.multiple));
      profit += a.position_profit(p, side);
      margin += leg.margin;
    }
    frozen_margin += p.frozen_margin;
  }
  EXPECT(profit == a.funds().position_profit);
  EXPECT(margin == a.funds().margin);
  EXPECT(frozen_margin == a.funds().frozen_margin);
}

struct Outside {  // a book-keeper that knows nothing but what went in, what went out and what was traded
  Wide cash = 0;
  std::int64_t net[kInstruments] = {};
};

// `operations` random ones from `seed`; the ledger's hash at the end.
std::uint64_t run(std::uint32_t seed, int operations, int check_every) {
  Ledger ledger;
  furnish(ledger);
  std::mt19937 random(seed);
  const auto below = [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  Outside outside[kAccounts];
  std::vector<Hold> holds[kAccounts];
  for (int op = 0; op < operations; ++op) {
    const std::uint32_t n = below(kAccounts);
    Account& a = ledger.at(n);
    Outside& out = outside[n];
    std::vector<Hold>& live = holds[n];
    const std::uint32_t i = below(kInstruments);
    const Price price = (9'000 + below(2'000)) * (kUnit / 100);
    const auto side = static_cast<Side>(below(2));
    const auto offset = static_cast<Offset>(below(3));
    const std::int64_t volume = 1 + below(9);
    const std::int64_t multiple = ledger.board.terms(i).multiple;
    Filled filled;
    switch (below(16)) {
      case 0: case 1: case 2: case 3: case 4: {
        Hold hold;
        if (live.size() < 40 && a.freeze(i, side, offset, volume, price, hold) == Code::kOk) live.push_back(hold);
        break;
      }
      case 5: case 6: case 7: case 8: {
        if (live.empty()) break;
        const std::size_t which = below(static_cast<std::uint32_t>(live.size()));
        Hold& hold = live[which];
        const std::int64_t part = 1 + below(static_cast<std::uint32_t>(hold.left));
        EXPECT(a.fill(hold, part, price, filled) == Code::kOk);
        const Money value = value_of(price, part, ledger.board.terms(hold.instrument).multiple);
        out.cash += hold.side == Side::kBuy ? -value : value;
        out.cash -= filled.commission;
        out.net[hold.instrument] += hold.side == Side::kBuy ? part : -part;
        if (hold.left == 0) {
          EXPECT_EQ(hold.frozen + hold.commission, 0);
          live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
        }
        break;
      }
      case 9: {
        if (live.empty()) break;
        const std::size_t which = below(static_cast<std::uint32_t>(live.size()));
        a.release(live[which]);
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
        break;
      }
      case 10:
        if (live.empty()) break;
        a.shrink(live.back(), volume);
        a.move(live.front(), price);
        break;
      case 11: case 12: EXPECT(ledger.mark(i, price) == Code::kOk); break;
      case 13:
        if (a.trade(i, side, offset, volume, price, filled) == Code::kOk) {
          const Money value = value_of(price, volume, multiple);
          out.cash += (side == Side::kBuy ? -value : value) - filled.commission;
          out.net[i] += side == Side::kBuy ? volume : -volume;
        }
        break;
      case 14: {
        const Money amount = 1 + below(2'000'000'000);
        if (below(3) == 0) {
          if (a.withdraw(amount) == Code::kOk) out.cash -= amount;
        } else if (a.deposit(amount) == Code::kOk) {
          out.cash += amount;
        }
        break;
      }
      case 15:
        if (below(8) != 0) break;
        for (Hold& hold : live) a.release(hold);
        live.clear();
        EXPECT(a.settle() == Code::kOk);
        EXPECT_EQ(a.funds().frozen_commission, 0);
        break;
    }
    if (op % check_every != 0) continue;
    for (std::uint32_t k = 0; k < kAccounts; ++k) {
      const Account& one = ledger.at(k);
      consistent(ledger, one);
      Wide worth = outside[k].cash;
      for (std::uint32_t j = 0; j < kInstruments; ++j) {
        const Position* p = one.find(j);
        const std::int64_t net = p == nullptr ? 0 : p->held[0].volume() - p->held[1].volume();
        EXPECT_EQ(net, outside[k].net[j]);
        if (p != nullptr && ledger.board.terms(j).asset != Asset::kOption)
          worth += static_cast<Wide>(one.leg(*p, Side::kBuy).value) - one.leg(*p, Side::kSell).value;
      }
      EXPECT(worth == one.balance());  // to the millionth
    }
  }
  return ledger.state_hash();
}

}  // namespace

TEST_CASE(a_million_operations_conserve_everything) {
  EXPECT_EQ(run(20210802, 1'000'000, 50), run(20210802, 1'000'000, 1'000'000));
  EXPECT(run(1, 5'000, 1) != run(2, 5'000, 1));
}

TEST_CASE(absurd_numbers_are_refused_or_bounded) {
  Ledger ledger;
  Terms t;
  t.multiple = kMaxMultiple;
  EXPECT(ledger.set_terms(0, t) == Code::kOk);
  Account& a = ledger.at(ledger.open(1));
  EXPECT(a.deposit(kMaxValue) == Code::kOk);
  EXPECT(a.deposit(1) == Code::kBadAmount);
  EXPECT(a.deposit(kNoValue) == Code::kBadAmount);
  Hold hold;
  Filled filled;
  EXPECT(a.freeze(0, Side::kBuy, Offset::kOpen, kMaxVolume, kMaxPrice, hold) == Code::kTooLarge);
  EXPECT(a.freeze(0, Side::kBuy, Offset::kOpen, kMaxVolume + 1, 1, hold) == Code::kVolume);
  EXPECT(a.freeze(0, Side::kBuy, Offset::kOpen, 1, kMaxPrice + 1, hold) == Code::kBadPrice);
  EXPECT(a.freeze(0, Side::kBuy, Offset::kOpen, 1, kNoValue, hold) == Code::kBadPrice);
  EXPECT(a.trade(0, Side::kBuy, Offset::kOpen, 1, 1'000'000, filled) == Code::kOk);
  EXPECT(a.trade(0, Side::kSell, Offset::kOpen, 1'000, 1'000'000, filled) == Code::kTooLarge);
  EXPECT(ledger.mark(0, kMaxPrice) == Code::kTooLarge);
  EXPECT(ledger.mark(0, 4'000'000'000) == Code::kOk);
  EXPECT(ledger.mark(0, 4'000'000'001) == Code::kTooLarge);
  EXPECT(a.funds().position_profit == 4 * kMaxValue - kMaxValue / 1'000);
  EXPECT(a.settle() == Code::kOk);
  EXPECT(a.withdraw(kMaxValue / 2) == Code::kOk);
  // Many instruments together are bounded as one.
  for (std::uint32_t i = 1; i < 100; ++i) {
    Terms small;
    EXPECT(ledger.set_terms(i, small) == Code::kOk);
    (void)a.trade(i, Side::kBuy, Offset::kOpen, kMaxVolume / 2, 1'000'000, filled);
    (void)ledger.mark(i, kMaxPrice);
  }
  consistent(ledger, a);
}

TEST_CASE(a_bucket_never_gives_more_than_its_pace) {
  std::mt19937 random(7);
  risk::Bucket bucket;
  const risk::Pace pace{20, 30};
  std::int64_t now = 0, given = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += random() % 20'000'000;
    given += bucket.take(pace, now);
    EXPECT(given <= 30 + 20 * now / 1'000'000'000);
  }
  EXPECT(given >= 20 * now / 1'000'000'000);
  EXPECT(bucket.take(pace, INT64_MAX));
  EXPECT(bucket.take(pace, INT64_MIN));
  risk::Bucket fast;
  EXPECT(fast.take({INT64_MAX, INT64_MAX}, INT64_MIN));
  EXPECT(fast.take({INT64_MAX, INT64_MAX}, INT64_MAX));
}

TEST_CASE(closing_prices_lie_on_the_tick_inside_the_limits) {
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    Terms t;
    t.tick = 1 + random() % 300'000;
    Quote q;
    q.bid = 1 + random() % 1'000'000'000;
    q.ask = q.bid + t.tick;
    q.lower = q.bid - static_cast<Price>(random() % 5'000'000);
    q.upper = q.ask + 2 * t.tick + static_cast<Price>(random() % 5'000'000);
    if (q.lower < t.tick) q.lower = t.tick;
    if (q.upper - q.lower < 2 * t.tick) continue;
    for (const Side side : {Side::kBuy, Side::kSell}) {
      const Price price = closing_price(t, q, kNoValue, side, 5'000'000);
      EXPECT(price > 0 && price % t.tick == 0);
      EXPECT(price >= q.lower && price <= q.upper);
    }
  }
  EXPECT_EQ(closing_price(Terms{}, Quote{}, kNoValue, Side::kBuy, 0), kNoValue);
}

TEST_CASE(a_gate_in_its_way) {
  Ledger ledger;
  furnish(ledger);
  risk::Gate gate(ledger, risk::Limits::live());
  EXPECT(ledger.at(0).deposit(1'000'000'000 * kUnit) == Code::kOk);
  risk::Request r;
  r.account = 0;
  r.instrument = 1;
  r.volume = 1;
  Hold hold;
  const auto start = std::chrono::steady_clock::now();
  constexpr int kOrders = 200'000;
  int passed = 0;
  for (int i = 0; i < kOrders; ++i) {
    r.price = (10'000 + i % 500) * (kUnit / 100);
    if (i % 1'900 == 0) gate.new_day();
    if (gate.check(r, i * std::int64_t{60'000'000}, 20210802, hold).code != Code::kOk) continue;
    ledger.at(0).take(hold);
    gate.placed(r);
    ledger.at(0).release(hold);
    ++passed;
  }
  const auto spent = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(passed, kOrders);
  EXPECT_EQ(ledger.at(0).funds().frozen_margin, 0);
  std::printf("     check, take, placed, release: %.0f ns\n",
              std::chrono::duration<double, std::nano>(spent).count() / kOrders);
}

// Sums and values in 64 bits say what 128 bits would.
TEST_CASE(sums_beside_wide_ones) {
  constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t edges[] = {0, 1, -1, 7, kUnit, kMaxValue, -kMaxValue, kMaxGross, top / 2, -top / 2 - 1,
                                    top - 1, top, -top, kNoValue};
  for (const std::int64_t a : edges)
    for (const std::int64_t b : edges) EXPECT_EQ(add(a, b), clamp(static_cast<Wide>(a) + b));
  // A product of the largest three still fits 128 bits.
  for (const Price price : {std::int64_t{0}, std::int64_t{1}, -kUnit, kMaxPrice / 7, kMaxPrice, -kMaxPrice})
    for (const std::int64_t lots : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-3}, kMaxVolume / 7, kMaxVolume, -kMaxVolume})
      for (const std::int64_t multiple : {std::int64_t{1}, std::int64_t{3}, std::int64_t{-2}, std::int64_t{300}, kMaxMultiple})
        EXPECT_EQ(value_of(price, lots, multiple), clamp(wide_value(price, lots, multiple)));
  Board board;
  for (const std::int64_t edge : edges) {
    if (edge == kNoValue) continue;
    Account account(board, 1, 1, MarginSide::kSum);
    Funds funds;
    funds.pre_balance = edge;
    funds.deposit = kMaxValue;
    funds.commission = edge / 2;
    funds.close_profit = top;
    account.set_funds(funds);
    const Wide before = clamp(static_cast<Wide>(edge) + kMaxValue);
    EXPECT_EQ(account.static_balance(), static_cast<Money>(before));
    EXPECT_EQ(account.balance(), clamp(before + top - edge / 2));
    EXPECT_EQ(account.available(), account.balance());
    EXPECT_EQ(account.means().balance, account.balance());
    EXPECT_EQ(account.means().available, account.available());
  }
}

// Balance and available of one look are those of two, at either end of what fits and one beyond it.
TEST_CASE(means_beside_single_sums) {
  constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max();
  std::mt19937_64 draw(16);
  const auto some = [&]() -> Money {
    constexpr Money edges[] = {top, -top, -top - 1, top / 2, -(top / 2), -(top / 2) - 1, 0, 1, -1, kMaxValue};
    return draw() % 3 == 0 ? edges[draw() % std::size(edges)] : static_cast<Money>(draw()) >> (draw() % 64);
  };
  for (int i = 0; i < 200'000; ++i) {
    Funds f;
    for (Money* m : {&f.pre_balance, &f.deposit, &f.withdraw, &f.close_profit, &f.position_profit, &f.commission,
                     &f.premium, &f.margin, &f.frozen_margin, &f.frozen_commission, &f.frozen_premium})
      if (draw() % 2 == 0) *m = some();
    const Funds::Means both = f.means();
    EXPECT_EQ(both.balance, f.balance());
    EXPECT_EQ(both.available, f.available(f.balance()));
  }
}

// Orders that open under plain terms are reckoned as all others are: those of an account where the larger side pays, which
// is the only one here, and what a shrink to the same lots reckons anew.
TEST_CASE(plain_orders_beside_any) {
  for (const Money fee_min : {Money{0}, 3 * kUnit}) {
    Ledger plain(MarginSide::kSum), any(MarginSide::kMax);
    Terms t;
    t.multiple = 5;
    t.margin[0] = {to_ratio(0.0733), 0};
    t.fee_open = {to_ratio(0.00002301), 0};
    t.fee_min = fee_min;
    for (Ledger* ledger : {&plain, &any}) {
      EXPECT(ledger->set_terms(0, t) == Code::kOk);
      EXPECT(ledger->board.terms(0).plain);
      ledger->open(1);
      EXPECT(ledger->at(0).deposit(kMaxValue) == Code::kOk);
    }
    std::mt19937_64 draw(17);
    for (int i = 0; i < 5'000; ++i) {
      const auto price = static_cast<Price>(draw() % (9'000 * kUnit)) + 1;
      const auto lots = static_cast<std::int64_t>(draw() % 9) + 1;
      Hold holds[2];
      const std::uint64_t way = draw();
      for (Ledger* ledger : {&plain, &any}) {
        Account& a = ledger->at(0);
        Hold& hold = holds[ledger == &any];
        EXPECT(a.freeze(0, Side::kBuy, Offset::kOpen, lots, price, hold) == Code::kOk);
        const Hold before = hold;
        EXPECT(a.shrink(hold, lots) == Code::kOk);
        EXPECT(hold.frozen == before.frozen && hold.commission == before.commission && !before.pays_premium);
        Filled filled;
        const std::int64_t first = static_cast<std::int64_t>(way % static_cast<std::uint64_t>(lots)) + 1;
        EXPECT(a.fill(hold, first, price - static_cast<Price>(way % static_cast<std::uint64_t>(price)), filled) == Code::kOk);
        EXPECT(ledger->mark(0, price) == Code::kOk);
        if (hold.left > 1) EXPECT(a.fill(hold, 1, price, filled) == Code::kOk);
        if (way % 3 == 0) a.release(hold);
        consistent(*ledger, a);
      }
      EXPECT(holds[0].frozen == holds[1].frozen && holds[0].commission == holds[1].commission);
      EXPECT_EQ(plain.at(0).state_hash(), any.at(0).state_hash());
    }
  }
  Terms t;
  EXPECT(t.is_plain());
  t.fee_open.per_lot = 1;
  EXPECT(!t.is_plain());
  t = {};
  t.sell_tax = 1;
  EXPECT(!t.is_plain());
  t = {};
  t.asset = Asset::kOption;
  EXPECT(!t.is_plain());
}

// So do shares of a value, of every sign and size.
TEST_CASE(shares_beside_wide_ones) {
  constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max();
  const auto same = [](Money value, Ratio ratio) {
    const Money expected = clamp(divide_round(static_cast<Wide>(value) * ratio, kOne));
    EXPECT_EQ(times(value, ratio), expected);
    if (value >= 0 && ratio >= 0 && ratio <= kOne) EXPECT_EQ(times(value, ratio, part_of(ratio)), expected);
  };
  constexpr Ratio ratios[] = {0, 1, 23'010, kOne / 2, kOne - 1, kOne, kOne + 1, 7 * kOne, top, -1, -kOne};
  for (const Ratio ratio : ratios)
    for (const Money value : {std::int64_t{0}, std::int64_t{1}, kOne / 2 - 1, kOne / 2, kOne - 1, kOne, kOne + 1,
                              3 * kOne / 2, kMaxValue, kMaxGross, top - 1, top})
      for (const Money signed_value : {value, -value}) same(signed_value, ratio);
  std::mt19937_64 draw(15);
  for (int i = 0; i < 100'000; ++i) {
    const auto value = static_cast<Money>(draw() >> (1 + draw() % 60));
    const auto ratio = static_cast<Ratio>(draw() % (kOne + 1));
    same(value, ratio);
    same(-value, ratio);
  }
}

int main(int argc, char** argv) { return expect::run_all(argc, argv); }
