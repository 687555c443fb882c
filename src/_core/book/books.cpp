#include "book/books.hpp"

#include <bit>
#include <cstdlib>

namespace qautlra::book {

namespace {

constexpr std::int64_t kPriceMax = std::int64_t{1} << 40;  // ticks, either sign: sums and products stay in range
constexpr int kLookedAt = 64;

class Hash {
 public:
  void add(std::uint64_t x) {
    state_ = std::rotl((state_ ^ x) * 0x9E3779B97F4A7C15ull, 29) * 0xBF58476D1CE4E5B9ull;
  }
  void add_signed(std::int64_t x) { add(static_cast<std::uint64_t>(x)); }
  std::uint64_t value() const { return state_ ^ (state_ >> 32); }

 private:
  std::uint64_t state_ = 0x5145F1D3A0B24C77ull;
};

}  // namespace

Books::Books(const Bounds& bounds)
    : bounds_(bounds),
      pool_(bounds.live_orders_max <= kSlotsMax ? bounds.live_orders_max : 0),
      own_(zeroed<Own>(bounds.accounts_max)) {
  ready_ = pool_.ready() && own_ && pool_.live_max() > 0 && bounds.accounts_max > 0 &&
           bounds.levels_per_book_max <= 1u << 30;
}

Code Books::check_band(const Band& band, std::uint64_t freed) const {
  if (band.lower > band.upper || band.lower < -kPriceMax || band.upper > kPriceMax) return Code::kBadParameters;
  const auto size = static_cast<std::uint64_t>(band.upper - band.lower) + 1;
  if (size > bounds_.levels_per_book_max) return Code::kBadParameters;
  return levels_ - freed + size > bounds_.levels_max ? Code::kFull : Code::kOk;
}

Code Books::add(const Rules& rules, const Band& band, std::uint32_t& index) {
  if (count_ >= kBooksMax) return Code::kFull;
  const Code code = check_band(band, 0);
  if (code != Code::kOk) return code;
  Book b;
  b.base = band.lower;
  b.size = static_cast<std::uint32_t>(band.upper - band.lower + 1);
  if (!b.bids.reset(b.size) || !b.asks.reset(b.size)) return Code::kFull;
  books_.push_back(std::move(b));
  index = count_++;
  const Code set = set_rules(index, rules);
  if (set != Code::kOk) {
    books_.pop_back();
    --count_;
    return set;
  }
  levels_ += books_[index].size;
  return Code::kOk;
}

Code Books::set_rules(std::uint32_t book, const Rules& rules) {
  if (book >= count_) return Code::kNoInstrument;
  if (books_[book].phase != Phase::kClosed) return Code::kNotTrading;
  for (int side = 0; side < 2; ++side)
    if (rules.volume_min[side] < 1 || rules.volume_step[side] < 1) return Code::kBadParameters;
  if (rules.volume_max < 1 || (rules.kinds & ~kEveryKind) != 0 || rules.self_trade > SelfTrade::kAllow ||
      rules.trade_price > TradePrice::kMedian)
    return Code::kBadParameters;
  Book& b = books_[book];
  const bool tracks = rules.self_trade != SelfTrade::kAllow;
  if (tracks != b.tracks_own() && !(b.bids.empty() && b.asks.empty())) return Code::kBadParameters;
  b.rules = rules;
  b.follow();
  return Code::kOk;
}

Code Books::set_reference(std::uint32_t book, std::int64_t price) {
  if (book >= count_) return Code::kNoInstrument;
  if (price < -kPriceMax || price > kPriceMax) return Code::kBadParameters;
  books_[book].reference = price;
  books_[book].has_reference = true;
  return Code::kOk;
}

// Why check() does not take an order that is no plain thing here, if it does not.
Code Books::refusal(const Book& b, const NewOrder& o, std::uint32_t kind) const {
  if ((kind & b.rules.kinds) == 0) return Code::kUnsupported;
  if (b.phase == Phase::kContinuous) return kind == kLimitGfa ? Code::kAuctionOnly : Code::kOk;
  if (!is_auction(b.phase)) return Code::kNotTrading;
  return o.time == TimeCondition::kIoc ? Code::kNotInAuction : Code::kOk;
}

// Kind and lots of an order that is not known to be fine.
Code Books::check_kind(const Book& b, const NewOrder& o) const {
  if (!well_formed(o)) return Code::kBadParameters;
  const std::uint32_t kind = kind_of(o.price_type, o.time, o.volume_condition);
  if ((kind & b.takes) == 0) return refusal(b, o, kind);
  if (!volume_allowed(b.rules, o.side, o.volume, o.held)) return Code::kBadVolume;
  if (o.volume_condition == VolumeCondition::kMin && (o.min_volume < 1 || o.min_volume > o.volume))
    return Code::kBadVolume;
  return o.time == TimeCondition::kGtd && o.gtd_day <= 0 ? Code::kBadParameters : Code::kOk;
}

// Whether a `kSide` order of the account with this limit leaves its own orders of the other side alone. Looks at
// the orders it would meet first; when those are many, at the account's own instead.
template <Side kSide>
Code Books::check_self(const Book& b, std::uint32_t book, std::uint32_t account, std::int32_t limit) const {
  constexpr Side kOther = opposite(kSide);
  const auto& other = b.side<kOther>();
  int looked = 0;
  std::int32_t at = other.best;
  for (; other.crossed(at, limit) && looked < kLookedAt; at = other.worse(at))
    for (std::uint32_t slot = other.levels[at].head; slot != 0 && looked < kLookedAt; slot = pool_[slot].next) {
      if (pool_[slot].account == account) return Code::kSelfTrade;
      ++looked;
    }
  if (looked < kLookedAt) return Code::kOk;
  for (std::uint32_t slot = own_[account].head[static_cast<int>(kOther)]; slot != 0; slot = pool_.more(slot).next_own)
    if (pool_[slot].book == book && other.crossed(pool_[slot].level, limit)) return Code::kSelfTrade;
  return Code::kOk;
}
template Code Books::check_self<Side::kBuy>(const Book&, std::uint32_t, std::uint32_t, std::int32_t) const;
template Code Books::check_self<Side::kSell>(const Book&, std::uint32_t, std::uint32_t, std::int32_t) const;

template <Side kSide>
bool Books::enough(const Book& b, std::int32_t limit, std::int64_t wanted) const {
  const auto& other = b.side<opposite(kSide)>();
  for (std::int32_t at = other.best; wanted > 0 && other.crossed(at, limit); at = other.worse(at))
    wanted -= other.levels[at].volume;
  return wanted <= 0;
}
template bool Books::enough<Side::kBuy>(const Book&, std::int32_t, std::int64_t) const;
template bool Books::enough<Side::kSell>(const Book&, std::int32_t, std::int64_t) const;

Code Books::check_amend(OrderId id, std::int64_t price, std::int32_t left) const {
  const std::uint32_t slot = pool_.find(id);
  if (slot == 0) return Code::kNoOrder;
  const Order& o = pool_[slot];
  const Book& b = books_[o.book];
  if (!takes_cancels(b.phase) || !takes_orders(b.phase)) return Code::kNoCancelNow;
  if (left != o.left && !volume_allowed(b.rules, o.side, left, 0)) return Code::kBadVolume;
  if (price > b.upper()) return Code::kAboveLimit;
  if (price < b.base) return Code::kBelowLimit;
  const auto level = static_cast<std::int32_t>(price - b.base);
  if (level == o.level || !o.opens() || b.rules.self_trade != SelfTrade::kRejectTaker) return Code::kOk;
  return o.side == Side::kBuy ? check_self<Side::kBuy>(b, o.book, o.account, level)
                              : check_self<Side::kSell>(b, o.book, o.account, level);
}

std::size_t Books::depth(std::uint32_t book, Side side, std::size_t levels, DepthLevel* out) const {
  const auto fill = [levels, out](const Book& b, const auto& ladder) {
    std::size_t n = 0;
    for (std::int32_t at = ladder.best; n < levels && at != ladder.kEmpty; at = ladder.worse(at))
      out[n++] = {b.price_of(at), ladder.levels[at].volume};
    return n;
  };
  if (book >= count_ || side == Side::kNone) return 0;
  const Book& b = books_[book];
  return side == Side::kBuy ? fill(b, b.bids) : fill(b, b.asks);
}

// Most volume, then least imbalance, then nearest to the reference, then the higher price where buyers remain
// and the lower one otherwise. Every tick that crosses is a candidate, orders on it or not.
Indication Books::indication(std::uint32_t book) const {
  Indication best;
  if (book >= count_) return best;
  const Book& b = books_[book];
  if (b.bids.empty() || b.asks.empty() || b.asks.best > b.bids.best) return best;
  std::int64_t demand = 0;
  for (std::int32_t at = b.bids.best; at >= b.asks.best; at = b.bids.worse(at)) demand += b.bids.levels[at].volume;
  std::int64_t supply = 0;
  for (std::int32_t at = b.asks.best; at <= b.bids.best; ++at) {
    supply += b.asks.levels[at].volume;
    const Indication here{b.price_of(at), std::min(demand, supply), demand - supply};
    demand -= b.bids.levels[at].volume;
    const std::int64_t imbalance = std::abs(here.imbalance);
    const std::int64_t least = std::abs(best.imbalance);
    bool better = here.volume > best.volume || (here.volume == best.volume && imbalance < least);
    if (here.volume == best.volume && imbalance == least) {
      const std::int64_t far = std::abs(here.price - b.reference);
      const std::int64_t near = std::abs(best.price - b.reference);
      better = b.has_reference && far != near ? far < near : here.imbalance > 0;
    }
    if (better) best = here;
  }
  return best;
}

std::uint64_t Books::state_hash() const {
  Hash h;
  h.add(pool_.last_serial());
  h.add(trades_);
  h.add(size());
  for (std::uint32_t i = 0; i < size(); ++i) {
    const Book& b = books_[i];
    const Rules& r = b.rules;
    for (const std::int64_t x :
         {b.base, b.upper(), b.has_last ? b.last : kPriceMax + 1, b.has_reference ? b.reference : kPriceMax + 1,
          b.volume, std::int64_t{r.volume_min[0]}, std::int64_t{r.volume_step[0]}, std::int64_t{r.volume_min[1]},
          std::int64_t{r.volume_step[1]}, std::int64_t{r.volume_max}})
      h.add_signed(x);
    h.add(static_cast<std::uint64_t>(b.phase) | static_cast<std::uint64_t>(r.self_trade) << 8 |
          static_cast<std::uint64_t>(r.trade_price) << 16 | static_cast<std::uint64_t>(r.best_rests) << 24 |
          static_cast<std::uint64_t>(r.kinds) << 32);
    const auto add = [this, &h, &b](const Order& o) {
      h.add(serial_of(o.id));
      h.add_signed(b.price_of(o.level));
      h.add(static_cast<std::uint64_t>(static_cast<std::uint32_t>(o.left)) << 32 | o.account);
      const std::int32_t day = o.time() == TimeCondition::kGtd ? pool_.more(slot_of(o.id)).gtd_day : 0;
      h.add(static_cast<std::uint64_t>(o.side) | static_cast<std::uint64_t>(o.time()) << 8 |
            static_cast<std::uint64_t>(o.opens()) << 16 | static_cast<std::uint64_t>(day) << 32);
      return true;
    };
    visit<Side::kBuy>(i, add);
    visit<Side::kSell>(i, add);
  }
  return h.value();
}

}  // namespace qautlra::book
