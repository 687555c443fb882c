// The pre-trade gate: the 18 checks of contract 6.1 in their order, the first that fails decides; trading states
// and the kill switch; what an account did today. No exceptions, no clock, no book of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <unordered_map>
#include <vector>

#include "account/ledger.hpp"
#include "base/block.hpp"
#include "base/prefetch.hpp"
#include "book/types.hpp"
#include "risk/limits.hpp"
#include "risk/monitor.hpp"

namespace qautlra::risk {

using account::Code;

enum class State : std::uint8_t {
  kActive = 0,
  kReducing = 1,  // only orders that close
  kHalted = 2,    // none; cancels go through
};

// One order on its way in.
struct Request {
  std::uint32_t account = account::kNoAccount;
  std::uint32_t instrument = 0xFFFFFFFF;
  std::int64_t volume = 0;                 // 0 for what was no whole number
  Price price = account::kNoValue;         // the limit; kNoValue for none or what was no number
  std::int32_t gtd_day = 0;                // YYYYMMDD
  book::Side side = book::Side::kBuy;
  account::Offset offset = account::Offset::kOpen;
  book::PriceType price_type = book::PriceType::kLimit;
  book::TimeCondition time = book::TimeCondition::kGfd;
  bool duplicate = false;                  // the account used this order id before
  bool reduce_only = false;
  bool force = false;                      // by liquidation or an operator: only 4, 13 and what makes an order
};

// Whether an opening order would meet a resting one of its own account; asked last, `context` is the asker's.
struct SelfTradeProbe {
  bool (*crosses)(const void* context, const Request& request) = nullptr;
  const void* context = nullptr;
};

enum Warning : std::uint8_t { kWarnRiskRatio = 1, kWarnCancels = 2 };

struct Verdict {
  Code code = Code::kOk;
  std::uint8_t check = 0;     // 1..18 of the one that failed
  std::uint8_t warnings = 0;
};

// Owner: the thread of the ledger.
class Gate {
 public:
  explicit Gate(account::Ledger& ledger, const Limits& limits) : ledger_(&ledger), common_(limits) { follow(limits); }

  // Nothing but the rate's bucket changes. When kOk, `hold` is what account.take() freezes; then say placed().
  Verdict check(const Request& request, std::int64_t now_ns, std::int32_t trading_day, account::Hold& hold,
                const SelfTradeProbe& probe = {});
  // What the gate says of an order that another exchange takes: 1 to 12 and reduce-only; lots and money are that one's
  // to judge. The account's living orders are the asker's to know.
  Verdict check_outside(const Request& request, std::int64_t now_ns, std::int64_t live_orders);
  Verdict check_cancel(std::uint32_t account, std::uint32_t instrument, std::int64_t now_ns) {
    if (ledger_->find(account) == nullptr) return {Code::kNoAccount, 2};
    Line& of = line(account);
    const Rules& by = rules(of, account);
    return by.looks_at_cancels ? check_cancel_limits(of, instrument, now_ns, by.limits) : Verdict{};
  }
  void placed(const Request& request) {
    placed(request.account, request.instrument, request.volume, opens(request));
    if (counts_repeats(request.account)) placed_like(request);
  }
  void placed(std::uint32_t account, std::uint32_t instrument, std::int64_t volume, bool opens) {
    ++line(account).orders;
    if (!counts_contracts_) return;
    Contract& here = contract(account, instrument);
    ++here.orders;
    if (!opens) return;
    ++here.opens;
    here.open_volume += volume;
  }
  bool counts_repeats(std::uint32_t account) const { return looks_at_repeats_ && limits(account).repeats_max > 0; }
  void placed_like(const Request& request);
  void cancelled(std::uint32_t account, std::uint32_t instrument) {
    ++line(account).cancels;
    if (counts_contracts_) ++contract(account, instrument).cancels;
  }
  void traded(std::uint32_t account, std::uint32_t instrument) {
    ++line(account).trades;
    if (counts_contracts_) ++contract(account, instrument).trades;
  }
  void new_day();

  // Level and alerts of an account; a day's loss beyond the limit leaves it reducing until someone resets it.
  std::uint32_t review(std::uint32_t account, std::int32_t trading_day, std::int64_t now_ns);

  // The switch over everything. Halting does not cancel: who halts cancels what lives.
  void set_state(State state) { state_ = state; }
  State state() const { return state_; }
  void set_account_state(std::uint32_t account, State state) { line(account).state = state; }
  State account_state(std::uint32_t account) const {
    return account < lines_count_ ? lines_[account].state : State::kActive;
  }
  void set_limits(const Limits& limits) {
    common_ = Rules(limits);
    follow(limits);
  }
  // An account's own limits, in place of the common ones.
  void set_account_limits(std::uint32_t account, const Limits& limits);
  const Limits& limits(std::uint32_t account) const {
    return account < lines_count_ ? rules(lines_[account], account).limits : common_.limits;
  }

  // Counts of what was done in one instrument are kept from the moment that any limit looks at them; `recount` tells the
  // gate then, by count(), what was done today before that. Without it (the default) they are always kept.
  void count_contracts_by_need(void (*recount)(void* context), void* context) {
    recount_ = recount;
    recount_context_ = context;
    counts_contracts_ = false;
    follow(common_.limits);
  }
  void count(std::uint32_t account, std::uint32_t instrument, std::int64_t opened, bool opens, bool cancelled,
             std::uint32_t trades);

  // What an order of the account will touch, fetched ahead of it; the second when the first has come.
  void prefetch(std::uint32_t account) const {
    if (account < lines_count_) fetch(lines_.data() + account);
  }
  void prefetch(std::uint32_t account, std::uint32_t instrument) const {
    if (counts_contracts_ && account < lines_count_ && instrument < lines_[account].contracts_size)
      fetch(lines_[account].contracts + instrument);
  }

  Monitor& monitor() { return monitor_; }
  const Monitor& monitor() const { return monitor_; }
  std::uint64_t state_hash() const;

 private:
  // Limits, and what follows from them.
  struct Rules {
    explicit Rules(const Limits& given);
    Limits limits;
    bool looks_at_orders;
    bool looks_at_cancels;
    // Of 2^64, rounded down: so much of the balance is no more than the least share of it; 0: there is none to look at.
    std::uint64_t least_part;
  };
  static constexpr std::size_t kMaxRepeats = 65'536;  // different orders of an account counted in a day

  // What an account did today in one instrument; a day's orders and trades are counted in 32 bits everywhere.
  struct alignas(32) Contract {
    std::int64_t open_volume = 0;
    std::uint32_t orders = 0;
    std::uint32_t cancels = 0;
    std::uint32_t trades = 0;
    std::uint32_t opens = 0;
  };
  // What every order of an account touches: one cache line.
  struct alignas(64) Line {
    Contract* contracts = nullptr;  // by instrument, as far as was needed; in a row of the day's
    std::uint32_t contracts_size = 0;
    std::uint32_t orders = 0;  // today
    std::uint32_t cancels = 0;
    std::uint32_t trades = 0;
    State state = State::kActive;
    bool own_limits = false;
    Bucket order_pace;
    Bucket cancel_pace;
  };
  static_assert(sizeof(Line) == 64);
  using Repeats = std::unordered_map<std::uint64_t, std::int64_t>;
  // Rows of zeros in large pages, all given back at once with the day.
  class Rows {
   public:
    Contract* take(std::size_t size) {
      while (at_ < chunks_.size() && used_ + size > chunks_[at_].size) {
        ++at_;
        used_ = 0;
      }
      if (at_ == chunks_.size()) {
        const std::size_t wanted = std::max(size, kChunk);
        chunks_.push_back({reserved<Contract>(wanted), wanted});
        if (!chunks_.back().rows) {
          chunks_.pop_back();
          throw std::bad_alloc();
        }
      }
      Contract* const row = chunks_[at_].rows.get() + used_;
      used_ += size;
      std::fill_n(row, size, Contract{});
      return row;
    }
    void clear() { at_ = used_ = 0; }

   private:
    static constexpr std::size_t kChunk = std::size_t{1} << 16;
    struct Chunk {
      Block<Contract> rows;
      std::size_t size;
    };
    std::vector<Chunk> chunks_;
    std::size_t at_ = 0;
    std::size_t used_ = 0;
  };

  Line& line(std::uint32_t account) {
    if (account >= lines_count_) [[unlikely]] widen(account);
    return lines_[account];
  }
  void widen(std::uint32_t account);
  Contract& contract(std::uint32_t account, std::uint32_t instrument) {
    Line& of = line(account);
    if (instrument >= of.contracts_size) [[unlikely]] lengthen(account, instrument);
    return of.contracts[instrument];
  }
  void lengthen(std::uint32_t account, std::uint32_t instrument);
  bool opens(const Request& request) const {
    const account::Board& board = ledger_->board;
    if (!board.known(request.instrument)) return request.offset == account::Offset::kOpen;
    return board.terms(request.instrument).opens(request.side, request.offset);
  }
  static Contract done_in(const Line& line, std::uint32_t instrument) {
    return instrument < line.contracts_size ? line.contracts[instrument] : Contract{};
  }
  // What 1 to 12 found out on their way; all but the first of an order that passes.
  struct Judged {
    bool opens = false;
    Price freeze_at = account::kNoValue;  // the price it is reckoned at
    const Rules* rules = nullptr;
    const account::Terms* terms = nullptr;
  };
  Verdict check_order(const Request& request, const account::Account* owner, std::int64_t now_ns,
                      std::int64_t live_orders, Judged& judged);
  Verdict check_limits(const Request& request, const account::Terms& terms, const account::Quote& quote, Line& line,
                       std::int64_t now_ns, std::int64_t live_orders, Judged judged);
  static Verdict check_cancel_limits(Line& line, std::uint32_t instrument, std::int64_t now_ns, const Limits& limits);
  Verdict check_shares(const account::Account& owner, std::uint32_t instrument, Money margin, Money equity,
                       const Limits& limits) const;
  const Rules& rules(const Line& line, std::uint32_t account) const {
    if (line.own_limits) [[unlikely]] return own_.at(account);
    return common_;
  }
  bool many_cancels(std::uint32_t account, const Limits& limits) const;  // in any instrument
  static std::uint64_t likeness(const Request& request);
  static std::uint8_t cancel_warning(const Limits& limits, const Contract& contract) {
    return limits.cancels_warn > 0 && contract.cancels >= limits.cancels_warn ? kWarnCancels : 0;
  }

  void follow(const Limits& limits) {
    looks_at_repeats_ |= limits.repeats_max > 0;
    if (counts_contracts_ || !limits.looks_at_contracts()) return;
    counts_contracts_ = true;
    recount_(recount_context_);
  }

  account::Ledger* ledger_;
  bool counts_contracts_ = true;
  bool looks_at_repeats_ = false;  // some limits, or did
  void (*recount_)(void* context) = nullptr;
  void* recount_context_ = nullptr;
  Rules common_;
  State state_ = State::kActive;
  std::vector<Line> lines_;
  std::uint32_t lines_count_ = 0;
  std::vector<Repeats> repeats_;  // by account
  Rows rows_;
  std::unordered_map<std::uint32_t, Rules> own_;
  Monitor monitor_;
};

}  // namespace qautlra::risk
