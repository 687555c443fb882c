// The exchange: one call from a decoded command to events. Seen before? risk, journal, match, account.
//
// A deterministic state machine without clock, thread or I/O of its own: time comes with the commands, the journal
// is a hook. A command is judged first, then appended together with the verdict, then takes effect; replay() takes
// the verdict from the record, so start and recovery are the same code and later limits do not judge old orders.
// What is refused without a record (unknown account, an id used before, nothing to cancel) leaves no trace.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "account/ledger.hpp"
#include "base/prefetch.hpp"
#include "book/books.hpp"
#include "exchange/day.hpp"
#include "exchange/name_table.hpp"
#include "exchange/orders.hpp"
#include "exchange/record.hpp"
#include "exchange/types.hpp"
#include "risk/gate.hpp"

namespace qautlra::exchange {

constexpr std::int32_t kVolumeMax = std::numeric_limits<std::int32_t>::max() / 2;

struct Options {
  book::Bounds books;
  std::uint32_t orders_max = 1u << 20;  // of a day, refused ones included; beyond: kFull
  std::uint32_t trades_max = 1u << 22;  // sides of matches of a day; from there on no order is let in: kFull
  account::MarginSide margin_side = account::MarginSide::kSum;
  risk::Limits limits;
  bool keeps_days = false;  // settle() keeps the day that ended until take_ended()
};

// What listing an instrument takes. Prices are ticks of terms.tick.
struct Listing {
  std::string_view symbol;
  account::Terms terms;  // its key is set from the symbol
  book::Rules rules;
  book::Band band;
  std::int64_t reference = 0;  // previous settlement or close
  bool has_reference = false;
};

// Owner: one thread. Nothing throws but for want of memory while tables grow.
class Exchange {
 public:
  Exchange(const Options& options, const JournalHook& journal = {});
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  bool ready() const { return books_.ready() && orders_.ready() && trades_.ready(); }

  // Number of the account of that name, opened when it is new; kNone when it cannot be.
  // With a first deposit it is one record, so that no end of the journal leaves one without the other.
  std::uint32_t open_account(std::string_view name, Money cash = 0);
  std::uint32_t account_number(std::string_view name) const { return names_.find(name); }
  // Number of the instrument, listed when it is new; terms, rules and band of a known one are set (a closed book only).
  Code list(const Listing& listing, std::uint32_t& instrument);
  std::uint32_t instrument_number(std::string_view symbol) const { return symbols_.find(symbol); }

  Outcome insert(const Insert& order);
  Outcome cancel(std::uint32_t account, std::string_view client_id, std::int64_t now_ns, bool force = false);
  // The same where the caller has hashed the id already (OrderTable::tag_of).
  Outcome insert(const Insert& order, std::uint32_t tag);
  Outcome cancel(std::uint32_t account, std::string_view client_id, std::uint32_t tag, std::int64_t now_ns,
                 bool force = false);
  // What an order of the account will touch, fetched ahead of it; then what it will touch in an instrument.
  void expect(std::uint32_t account) const {
    ledger_.at(account).prefetch();
    gate_.prefetch(account);
    fetch(&desks_[account]);
  }
  void expect(std::uint32_t account, std::uint32_t instrument) const {
    ledger_.at(account).prefetch(instrument);
    gate_.prefetch(account, instrument);
  }
  // The levels of the book that an order rests at or meets, and the order that it meets first. False when it can neither
  // trade nor end another.
  bool expect(const Insert& order) const {
    if (!known(order.instrument)) return false;
    const bool any_price = order.price_type != book::PriceType::kLimit;
    const std::int64_t ticks = any_price ? 0 : order.price / ledger_.board.terms(order.instrument).tick;
    if (!any_price) books_.prefetch_level(order.instrument, order.side, ticks);
    return books_.prefetch_queue(order.instrument, order.side, ticks, any_price) != 0;
  }
  bool opens(const Insert& order) const {
    return known(order.instrument) && ledger_.board.terms(order.instrument).opens(order.side, order.offset);
  }
  // Cancels all orders of an account whatever the phase; kNone: of all accounts.
  Outcome cancel_all(std::uint32_t account);
  // `price` and `volume` as a new order would state them; what has traded counts.
  Outcome amend(std::uint32_t account, std::string_view client_id, Price price, std::int64_t volume,
                std::int64_t now_ns);
  // An order of the street: no funds, no risk, no id; a limit order that rests (kGfd) or not (kIoc).
  Outcome street(std::uint32_t instrument, Side side, Price price, std::int64_t volume, book::TimeCondition time,
                 std::int64_t now_ns = 0);

  // What the street shows now, best levels first: takes the place of what it showed before. See street.cpp.
  Outcome show_street(std::uint32_t instrument, std::span<const StreetLevel> bids, std::span<const StreetLevel> asks,
                      std::int64_t now_ns);

  Outcome move_money(std::uint32_t account, Money amount);  // in when positive, out when negative
  Outcome mark(std::uint32_t instrument, Price last, std::int64_t now_ns);
  Outcome set_phase(std::uint32_t instrument, book::Phase phase, std::int64_t now_ns = 0);
  Outcome set_band(std::uint32_t instrument, const book::Band& band);
  // Ends every order of the day and closes all books. Then settlement prices, then settle() into the next day.
  Outcome end_day();
  Outcome set_settlement(std::uint32_t instrument, Price price);
  // Between the two, of a contract whose last day it was: everything held of it goes, as orders and trades of the day.
  // Nothing, not even a record, where nothing is held; kFull when the day's tables have no room for all of it, which is
  // then for another day. See expiry.cpp.
  Outcome expire(const Expiry& expiry);
  Outcome settle(std::int32_t next_day);
  // The exchange as the newest settled day left it, before it was settled: for reading accounts, orders and trades by
  // number. It takes no commands. Null without Options::keeps_days, and once taken.
  std::unique_ptr<Exchange> take_ended() { return std::move(ended_); }
  // Nobody reads that day any more: where the next one has no order yet, its memory, which is there already, serves it.
  void reuse(Exchange& ended);
  // Appends the whole state, which is small between settle() and the day's first order (kOrdersAlive after it): a
  // replay may begin at its first record. See checkpoint.cpp.
  Outcome checkpoint();
  Outcome set_state(std::uint32_t account, risk::State state);  // kNone: of everything
  Outcome set_locks(std::uint32_t account, std::uint8_t locks);
  // A record of the owner's own among the exchange's, at most kNoteBytesMax; changes nothing here.
  Outcome note(const void* payload, std::size_t size);

  // Level and alerts of an account (bits of risk::AlertKind); a day's loss beyond its limit makes it reducing.
  std::uint32_t review(std::uint32_t account, std::int64_t now_ns);

  // Applies a journal record; kDiverged when it does not fit, kOk otherwise, whatever it came to then.
  Code replay(std::uint8_t kind, const void* payload, std::size_t size);

  // Whether a checkpoint has been taken in part only: its other records must come before anything else.
  bool is_restoring() const { return restored_ != kNone; }

  const std::vector<Event>& events() const { return events_; }
  void clear_events() { events_.clear(); }
  const OrderTable& orders() const { return orders_; }
  const TradeTable& trades() const { return trades_; }
  // An account's of today, oldest first.
  std::vector<std::uint32_t> orders_of(std::uint32_t account) const;
  std::vector<std::uint32_t> trades_of(std::uint32_t account) const;
  // Users' orders that live in an instrument's book.
  std::uint32_t live_in(std::uint32_t instrument) const { return live_[instrument]; }
  bool is_held(std::uint32_t instrument) const { return !ledger_.board.holders(instrument).empty(); }
  const book::Books& books() const { return books_; }
  const account::Ledger& ledger() const { return ledger_; }
  account::Ledger& ledger() { return ledger_; }
  risk::Gate& gate() { return gate_; }
  std::int32_t trading_day() const { return trading_day_; }
  std::uint32_t accounts() const { return names_.size(); }
  std::uint32_t instruments() const { return symbols_.size(); }
  const std::string& symbol(std::uint32_t instrument) const { return symbols_[instrument]; }
  const std::string& account_name(std::uint32_t account) const { return names_[account]; }
  std::uint64_t broken() const { return broken_; }  // fills an account would not take: our bug if not 0
  std::uint64_t state_hash() const;

 private:
  struct Sink;

  std::uint64_t append(RecordKind kind, const RecordWriter& record) {
    if (journal_.append == nullptr) return 1;
    return journal_.append(journal_.context, static_cast<std::uint8_t>(kind), record.data(), record.size());
  }
  // Appends; the outcome of what was refused is filled in.
  bool logged(RecordKind kind, const RecordWriter& record, Outcome& out) {
    out.lsn = append(kind, record);
    if (out.lsn == 0) out.code = kNotJournaled;
    if (journal_.append == nullptr) out.lsn = 0;
    return out.code != kNotJournaled;
  }
  bool known(std::uint32_t instrument) const { return instrument < books_.size(); }
  bool owned(std::uint32_t account) const { return account != kStreet && account < names_.size(); }
  Price price_of(std::uint32_t instrument, std::int64_t ticks) const {
    return ticks * ledger_.board.terms(instrument).tick;
  }
  void to_book(const Insert& c, bool opens, book::NewOrder& order) const;  // a blank one, filled in where it is
  std::int64_t sellable(std::uint32_t account, std::uint32_t instrument) const;
  Event& event(EventKind kind, std::uint32_t number, const OrderRecord& r) {
    Event& e = events_.emplace_back();
    e.kind = kind;
    e.status = r.status;
    e.reason = r.reason;
    e.code = r.code;
    e.order = number;
    e.account = r.account;
    e.instrument = r.instrument();
    e.left = r.left;
    return e;
  }
  void tell(std::uint32_t number);
  void recount();
  Code plan_amend(OrderRecord& r, Price price, std::int32_t left, bool keep);

  std::uint32_t do_open(std::string_view name);
  Code do_list(const Listing& listing, std::uint32_t& instrument);
  bool log_insert(const Insert& c, Code code, Price freeze_at, Outcome& out);
  std::uint32_t enter(const Insert& c, std::uint32_t tag, Code verdict, const book::NewOrder& order);
  Code do_cancel(std::uint32_t number, book::Reason reason);
  Code do_amend(std::uint32_t number, Price price, std::int32_t left);
  Code do_street(std::uint32_t instrument, Side side, std::int64_t ticks, std::int32_t volume,
                 book::TimeCondition time);
  void do_end_day();
  Code do_settle(std::int32_t next_day, std::unique_ptr<Exchange> ended);
  std::unique_ptr<Exchange> blank() const;
  void leave_day(Exchange& ended);
  Code check_expiry(const Expiry& e) const;
  Code do_expire(const Expiry& e);
  bool expire_leg(const Expiry& e, std::uint32_t account, Side leg, std::int64_t today, std::int64_t his);
  void keep_expiry(const Expiry& e, std::uint32_t account, std::uint32_t instrument, Side side, Offset offset,
                   std::int64_t volume, Price price, const account::Filled& filled);
  // Tells of an order's trade and keeps it.
  void keep_trade(const OrderRecord& r, std::uint32_t number, std::int32_t volume, Price price, std::uint64_t match,
                  const account::Filled& filled) {
    Desk& desk = desks_[r.account];
    Event& e = event(EventKind::kTrade, number, r);
    e.volume = volume;
    e.price = price;
    e.seq = ++desk.seq;
    e.trade = match;
    e.commission = filled.commission;
    e.close_profit = filled.close_profit;
    TradeRecord* const t = trades_.add(e.record);
    if (t == nullptr) {
      ++broken_;
      return;
    }
    t->order = number;
    t->account = r.account;
    t->before = std::exchange(desk.last_trade, e.record);
    t->volume = volume;
    t->price = price;
    t->match = match;
    t->seq = e.seq;
    t->commission = filled.commission;
    t->close_profit = filled.close_profit;
    t->time_ns = clock_ns_;
  }
  void set_quote(std::uint32_t instrument);
  void do_show_street(std::uint32_t instrument, std::span<const StreetLevel> bids, std::span<const StreetLevel> asks,
                      std::int64_t now_ns, bool any_volume);
  void at(std::int64_t now_ns) { clock_ns_ = std::max(clock_ns_, now_ns); }
  void finish(OrderRecord& r) {
    if (r.status == Status::kFinished) return;
    r.status = Status::kFinished;
    --live_[r.instrument()];
  }
  Code replay_street(RecordReader& in, bool any_volume);
  static RecordWriter listing_record(const Listing& listing);
  Code replay_checkpoint(const char* data, std::size_t size);
  Code replay_opening(std::uint8_t kind, const char* data, std::size_t size);
  Code replay_order(RecordKind kind, RecordReader& in);
  Code replay_listing(RecordReader& in);

  JournalHook journal_;
  book::Books books_;
  account::Ledger ledger_;
  risk::Gate gate_;
  OrderTable orders_;
  TradeTable trades_;
  std::vector<Desk> desks_;            // by account
  std::vector<std::uint32_t> live_;    // by instrument
  std::vector<Street> streets_;        // by instrument
  std::int64_t clock_ns_ = 0;          // the latest time a command told
  std::vector<Event> events_;
  NameTable names_;    // of accounts
  NameTable symbols_;  // of instruments
  std::int32_t trading_day_ = 0;
  std::uint64_t broken_ = 0;
  const bool keeps_days_;
  std::unique_ptr<Exchange> ended_;
  std::uint32_t restored_ = kNone;  // records of a checkpoint taken so far; kNone: none is being taken
};

}  // namespace qautlra::exchange
