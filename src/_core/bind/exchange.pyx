# cython: language_level=3, boundscheck=False, wraparound=False
"""The exchange for Python: books, accounts, risk gate and journal behind one call per command.

Money and prices are CNY (float). A refused command answers the number of a code (account.CODES, book.CODES, and
5001 full, 5004 not journaled, 5005 diverged); what Python itself got wrong raises.
"""

import os
from typing import NamedTuple

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport floor
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.account cimport (
    Ledger, MarginSide, Side, kNoValue, offset_of, side_of, to_cny, to_money, to_price,
    to_ratio,
)
from qautlra._core.journal cimport CJournal, Journal
from qautlra._core.risk cimport Gate, limits_of

from qautlra._core.journal import JournalError


NOTE = 49  # kind of the owner's records, in the journal
# Reasons of the orders by which a contract ends.
DELIVERED, EXERCISED, LAPSED = <int>kDelivered, <int>kExercised, <int>kLapsed


class Recovered(NamedTuple):
    records: int
    last_lsn: int
    notes: list


cdef uint64_t _append(void* context, uint8_t kind, const void* payload, size_t size) noexcept nogil:
    return (<CJournal*>context).append(kind, payload, size)


cdef string_view _text(bytes text):
    return string_view(<const char*>text, <size_t>len(text))


cdef int64_t _price(object price) except? -1:
    return kNoValue if price is None else to_price(price)


cdef int64_t _lots(object volume) except? -1:
    if isinstance(volume, float):
        volume = int(volume) if volume.is_integer() else 0
    return volume if -(1 << 62) < volume < (1 << 62) else 0


cdef class _Core:
    """What the exchange and what is borrowed from it keep alive."""

    def __dealloc__(self):
        del self.ptr


STATUSES = ("submitted", "partially_filled", "filled", "cancelled", "rejected")
"What an order's state is called, in the order of `tally_orders` and of the bits of `chosen_orders`."


cdef int _status(const OrderRecord& r) noexcept:
    if r.code != 0:
        return 4
    if <int>r.status == 0:
        return 0 if r.left == r.volume else 1
    return 3 if r.left != 0 else 2


cdef class Exchange:
    """Books, accounts, risk and journal of one process; everything that changes an account goes through here.

    `journal` takes a record of each command before it takes effect; replay() gives the state back. `profile` is
    "paper" or "live", further keywords change single limits as those of risk.Gate. With `auto_commit` (the default)
    each command wakes the journal's writer; without, the owner calls commit() once per batch. Account 0 is the street's: the market the others trade with, without funds or risk.
    """

    def __cinit__(self, Journal journal=None, *, profile="paper", margin_side="sum", uint32_t orders_max=1 << 20,
                  uint32_t live_orders_max=1 << 18, uint32_t accounts_max=1 << 16, uint32_t trades_max=1 << 22,
                  bint keeps_days=False, _Core core=None, **limits):
        if margin_side not in ("sum", "max"):
            raise ValueError(f"margin_side {margin_side!r} is neither 'sum' nor 'max'")
        cdef Options options
        options.orders_max = orders_max
        options.trades_max = trades_max
        options.books.live_orders_max = live_orders_max
        options.books.accounts_max = accounts_max
        options.margin_side = MarginSide.kMax if margin_side == "max" else MarginSide.kSum
        options.limits = limits_of(profile, limits)
        options.keeps_days = keeps_days
        cdef JournalHook hook
        self.journal = journal
        if journal is not None:
            hook.append = _append
            hook.context = journal.get()
        if core is None:
            core = _Core()
            core.ptr = new CExchange(options, hook)
        self.core = core
        self.ptr = core.ptr
        if not self.ptr.ready():
            raise ValueError("no memory for these bounds, or bounds that cannot be")
        cdef Ledger ledger = Ledger.__new__(Ledger)
        del ledger.ptr
        ledger.borrowed = True
        ledger.ptr = &self.ptr.ledger()
        ledger.keeper = self.core
        ledger.names[0] = ""  # the street
        self.ledger = ledger
        cdef Gate gate = Gate.__new__(Gate, ledger)
        del gate.ptr
        gate.ptr = &self.ptr.gate()
        gate.keeper = self.core
        self.gate = gate
        self.auto_commit = True

    cdef tuple answer(self, Outcome out):
        if self.auto_commit and out.lsn and self.journal is not None:
            self.journal.get().commit()
        return out.code, None if out.order == kNone else out.order, out.lsn

    def commit(self):
        """Have the journal write what was appended, at once where it can be; nothing without a journal."""
        if self.journal is not None:
            self.journal.get().flush()

    def note(self, const unsigned char[::1] payload not None):
        """Put a record of the owner's own among the commands'; answers as insert. At most 256 KiB."""
        cdef size_t size = payload.shape[0]
        return self.answer(self.ptr.note(&payload[0] if size else NULL, size))

    def open_account(self, str name not None, double cash=0):
        """Number of the account, opened with a deposit of `cash` when it is new; ValueError when it cannot be."""
        cdef bytes text = name.encode()
        cdef int64_t money = to_money(cash)
        if money == kNoValue or money < 0:
            raise ValueError(f"{cash!r} is no amount of money")
        cdef uint32_t number = self.ptr.open_account(_text(text), money)
        if number == kNone:
            raise ValueError(f"account {name!r} cannot be opened: too many, a name too long, or no journal")
        self.ledger.names[number] = name
        self.ledger.numbers[name] = number
        if self.auto_commit:
            self.commit()
        return number

    def account(self, uint32_t number):
        """The account, for reading: what changes it goes through the exchange."""
        return self.ledger.account(number)

    def list(self, str symbol not None, double lower, double upper, *, double tick, reference=None,
             uint32_t kinds=(1 << 12) - 1, int32_t buy_min=1, int32_t buy_step=1, int32_t sell_min=1,
             int32_t sell_step=1, int32_t volume_max=1 << 30, int self_trade=0, int trade_price=0,
             bint best_rests=False, **terms):
        """List an instrument (or set terms and limits of a listed one); return its number.

        `terms` as Ledger.set_terms takes them. ValueError for what cannot be.
        """
        cdef Ledger scratch = Ledger()
        scratch.set_terms(0, symbol, tick=tick, **terms)
        cdef bytes text = symbol.encode()
        cdef Listing listing
        listing.symbol = _text(text)
        listing.terms = scratch.ptr.board.terms(0)
        listing.rules.kinds = kinds
        listing.rules.volume_min[0], listing.rules.volume_step[0] = buy_min, buy_step
        listing.rules.volume_min[1], listing.rules.volume_step[1] = sell_min, sell_step
        listing.rules.volume_max = volume_max
        listing.rules.self_trade = <SelfTrade>self_trade
        listing.rules.trade_price = <TradePrice>trade_price
        listing.rules.best_rests = best_rests
        if tick <= 0:
            raise ValueError(f"{symbol} has no price tick")
        listing.band.lower = <int64_t>floor(lower / tick + 0.5)
        listing.band.upper = <int64_t>floor(upper / tick + 0.5)
        if reference is not None:
            listing.reference = <int64_t>floor(<double>reference / tick + 0.5)
            listing.has_reference = True
        cdef uint32_t number = kNone
        cdef uint16_t code = self.ptr.list(listing, number)
        if code:
            raise ValueError(f"{symbol} cannot be listed so: code {code}")
        self.ledger.symbols[number] = symbol
        if self.auto_commit:
            self.commit()
        return number

    def instrument(self, str symbol not None):
        """Number of a listed instrument, None when it is not."""
        cdef bytes text = symbol.encode()
        cdef uint32_t number = self.ptr.instrument_number(_text(text))
        return None if number == kNone else number

    def insert(self, uint32_t account, str client_id not None, uint32_t instrument, int side, int offset, volume,
               price=None, *, int price_type=0, int time=3, int condition=1, int32_t min_volume=0, int32_t gtd_day=0,
               int64_t now_ns=0, bint reduce_only=False, bint force=False):
        """Enter an order: (code, number of the order or None, LSN to wait for)."""
        cdef bytes text = client_id.encode()
        cdef Insert c
        c.account = account
        c.instrument = instrument
        c.client_id = _text(text)
        c.volume = _lots(volume)
        c.price = _price(price)
        c.now_ns = now_ns
        c.min_volume = min_volume
        c.gtd_day = gtd_day
        c.side = side_of(side)
        c.offset = offset_of(offset)
        c.price_type = <PriceType>price_type
        c.time = <TimeCondition>time
        c.volume_condition = <VolumeCondition>condition
        c.reduce_only = reduce_only
        c.force = force
        return self.answer(self.ptr.insert(c))

    def cancel(self, uint32_t account, str client_id not None, *, int64_t now_ns=0, bint force=False):
        """Cancel an order by the client's id; answers as insert."""
        cdef bytes text = client_id.encode()
        return self.answer(self.ptr.cancel(account, _text(text), now_ns, force))

    def cancel_all(self, account=None):
        """Cancel all orders of an account, of all accounts without one, whatever the phase."""
        return self.answer(self.ptr.cancel_all(kNone if account is None else account))

    def amend(self, uint32_t account, str client_id not None, double price, volume, *, int64_t now_ns=0):
        """Set price and volume (what has traded included) of an order; answers as insert."""
        cdef bytes text = client_id.encode()
        return self.answer(self.ptr.amend(account, _text(text), to_price(price), _lots(volume), now_ns))

    def street(self, uint32_t instrument, int side, double price, volume, *, int time=3, int64_t now_ns=0):
        """Enter a limit order of the rest of the market."""
        return self.answer(self.ptr.street(instrument, side_of(side), to_price(price), _lots(volume),
                                           <TimeCondition>time, now_ns))

    def move_money(self, uint32_t account, double amount):
        """Deposit, or withdraw when negative."""
        return self.answer(self.ptr.move_money(account, to_money(amount)))

    def mark(self, uint32_t instrument, double last, int64_t now_ns=0):
        """Give a last price to every holder."""
        return self.answer(self.ptr.mark(instrument, to_price(last), now_ns))

    def set_phase(self, uint32_t instrument, int phase, *, int64_t now_ns=0):
        """Move an instrument to a phase of the book module."""
        return self.answer(self.ptr.set_phase(instrument, <Phase>phase, now_ns))

    def set_band(self, uint32_t instrument, int64_t lower, int64_t upper):
        """New price limits, in ticks."""
        cdef Band band
        band.lower, band.upper = lower, upper
        return self.answer(self.ptr.set_band(instrument, band))

    def end_day(self):
        """End every order, close every book."""
        return self.answer(self.ptr.end_day())

    def set_settlement(self, uint32_t instrument, double price):
        """The day's settlement price; an instrument without one settles at its last mark."""
        return self.answer(self.ptr.set_settlement(instrument, to_price(price)))

    def expire(self, uint32_t instrument, int how, double price, *, double fee=0, into=None, double strike=0,
               bint is_put=False, int64_t now_ns=0):
        """Have everything held of a contract go, behind the end of its last day: DELIVERED, EXERCISED or LAPSED, at
        `price`, for a fee on the value; options exercised `into` a future open it at `strike`.

        Nothing held: nothing done, and no record. 2005 while it takes orders or one lives; 5001 where not all had
        room among the day's orders and trades: the rest goes with another call on another day.
        """
        if how not in (DELIVERED, EXERCISED, LAPSED):
            raise ValueError(f"{how} is no end of a contract")
        cdef Expiry e
        e.instrument = instrument
        e.how = <Reason>how
        e.price = to_price(price)
        e.fee = to_ratio(fee)
        e.into = kNone if into is None else into
        e.strike = to_price(strike)
        e.is_put = is_put
        e.now_ns = now_ns
        return self.answer(self.ptr.expire(e))

    def settle(self, int32_t next_day):
        """Settle all accounts and begin `next_day` (YYYYMMDD); orders of the day before are forgotten."""
        return self.answer(self.ptr.settle(next_day))

    def take_ended(self):
        """The exchange as the newest settled day left it, before it was settled: for reading accounts, orders and
        trades by number. None without `keeps_days`, and once taken."""
        cdef CExchange* found = self.ptr.take_ended().release()
        if found == NULL:
            return None
        cdef _Core core = _Core()
        core.ptr = found
        cdef Exchange ended = Exchange(core=core)
        ended.ledger.names, ended.ledger.numbers = self.ledger.names, self.ledger.numbers
        ended.ledger.symbols = self.ledger.symbols
        return ended

    def reuse(self, Exchange ended not None):
        """Nobody reads an ended day any more: the memory of its tables serves the next one where it can."""
        self.ptr.reuse(ended.ptr[0])

    def checkpoint(self):
        """Append the whole state, between settle() and the day's first order: a replay may begin with it.

        Answers as settle; the LSN is that of its last record.
        """
        return self.answer(self.ptr.checkpoint())

    def set_state(self, int state, account=None):
        """0 active, 1 reducing, 2 halted, of an account or of everything."""
        if not 0 <= state <= 2:
            raise ValueError(f"there is no state {state}")
        return self.answer(self.ptr.set_state(kNone if account is None else account, <State>state))

    def set_locks(self, uint32_t account, int locks):
        """1 no trading, 2 no withdrawals, 3 neither."""
        if not 0 <= locks <= 3:
            raise ValueError(f"locks {locks} is not within 0..3")
        return self.answer(self.ptr.set_locks(account, <uint8_t>locks))

    def review(self, uint32_t account, int64_t now_ns=0):
        """Bits of the alerts the account raised now."""
        return self.ptr.review(account, now_ns)

    def replay(self, int kind, const unsigned char[::1] payload not None):
        """Apply a record of the journal; 5005 when it does not fit, else 0."""
        cdef size_t size = payload.shape[0]
        if not 0 <= kind <= 255:
            return 5005
        cdef uint16_t code = self.ptr.replay(<uint8_t>kind, &payload[0] if size else NULL, size)
        self.learn()
        return code

    def replay_all(self, directory, uint64_t from_lsn=1):
        """Apply all records of a journal's directory: Recovered(records, last_lsn, notes as (LSN, bytes)).

        JournalError where one is damaged or does not fit (`lsn`), with what lies before it applied.
        """
        cdef string path = os.fsencode(directory)
        cdef CRecovered found
        with nogil:
            found = recover(self.ptr[0], path, from_lsn)
        self.learn()
        if not found.error.empty():
            raise JournalError(found.error.decode("utf-8", "replace"), os.fsdecode(<bytes>found.path) or
                               os.fsdecode(directory), found.offset, found.lsn)
        return Recovered(found.records, found.last_lsn,
                         [(found.notes[i].lsn, PyBytes_FromStringAndSize(found.notes[i].payload.data(),
                                                                         found.notes[i].payload.size()))
                          for i in range(found.notes.size())])

    cdef void learn(self):
        """Names the core has and this does not."""
        for number in range(len(self.ledger.symbols), self.ptr.instruments()):
            self.ledger.symbols[number] = self.ptr.symbol(number).decode("utf-8", "replace")
        for number in range(len(self.ledger.names), self.ledger.ptr.size()):
            self.ledger.names[number] = name = self.ptr.account_name(number).decode("utf-8", "replace")
            self.ledger.numbers[name] = number

    def order(self, uint32_t number):
        """An order of the day by number; ValueError when there is none."""
        if number >= self.ptr.orders().size():
            raise ValueError(f"there is no order {number} today")
        cdef const OrderRecord* r = &self.ptr.orders().at(number)
        cdef string_view name = self.ptr.orders().client_id(number)
        return {
            "order_id": (<bytes>name.data()[:name.size()]).decode("utf-8", "replace"),
            "account": r.account,
            "instrument": r.instrument(),
            "exchange_number": r.id >> 24,
            "side": <int>r.side(),
            "offset": <int>r.offset,
            "price_type": <int>r.price_type,
            "time": <int>r.time,
            "condition": <int>r.volume_condition,
            "price": to_cny(r.price),
            "volume": r.volume,
            "left": r.left,
            "alive": <int>r.status == 0,
            "reason": <int>r.reason,
            "code": r.code,
            "lots_frozen": r.lots_frozen(),
            "insert_ns": r.insert_ns,
            "update_ns": r.update_ns,
            "seq": r.seq,
        }

    def trade(self, uint32_t number):
        """A trade of the day by number; ValueError when there is none."""
        if number >= self.ptr.trades().size():
            raise ValueError(f"there is no trade {number} today")
        cdef const TradeRecord* t = &self.ptr.trades().at(number)
        return {
            "order": t.order,
            "account": t.account,
            "instrument": self.ptr.orders().at(t.order).instrument(),
            "reason": <int>self.ptr.orders().at(t.order).reason,
            "match": t.match,
            "seq": t.seq,
            "volume": t.volume,
            "price": to_cny(t.price),
            "commission": to_cny(t.commission),
            "close_profit": to_cny(t.close_profit),
            "time_ns": t.time_ns,
        }

    def chosen_orders(self, int statuses, account=None):
        """Numbers of the day's orders whose status is among the bits `1 << STATUSES` has it, oldest first; of one
        account if named."""
        cdef vector[uint32_t] found, own
        cdef uint32_t n
        if account is None:
            for n in range(self.ptr.orders().size()):
                if statuses >> _status(self.ptr.orders().at(n)) & 1:
                    found.push_back(n)
            return found
        self.ledger.account(account)
        own = self.ptr.orders_of(account)
        for n in own:
            if statuses >> _status(self.ptr.orders().at(n)) & 1:
                found.push_back(n)
        return found

    def tally_orders(self):
        """The day's orders: counts in the order of STATUSES, lots that traded, counts by instrument."""
        cdef int64_t counts[5]
        cdef int64_t lots = 0
        cdef vector[int64_t] by_instrument
        cdef const OrderRecord* r
        cdef uint32_t n
        cdef int i
        for i in range(5):
            counts[i] = 0
        by_instrument.resize(self.ptr.instruments())
        for n in range(self.ptr.orders().size()):
            r = &self.ptr.orders().at(n)
            counts[_status(r[0])] += 1
            lots += r.volume - r.left
            by_instrument[r.instrument()] += 1
        return [counts[i] for i in range(5)], lots, {n: by_instrument[n] for n in range(by_instrument.size()) if by_instrument[n]}

    def tally_trades(self):
        """The day's matches, each once though it has two sides: how many, their lots, lots times price by
        instrument."""
        cdef int64_t matches = 0, lots = 0
        cdef uint64_t before = 0
        cdef vector[double] value
        cdef const TradeRecord* t
        cdef uint32_t n, instrument
        value.resize(self.ptr.instruments())
        for n in range(self.ptr.trades().size()):
            t = &self.ptr.trades().at(n)
            if t.match == before:  # the sides of a match follow each other
                continue
            before = t.match
            matches += 1
            lots += t.volume
            instrument = self.ptr.orders().at(t.order).instrument()
            value[instrument] += to_cny(t.price) * t.volume
        return matches, lots, {n: value[n] for n in range(value.size()) if value[n]}

    def orders_of(self, uint32_t account):
        """Numbers of the account's orders of the day, oldest first."""
        self.ledger.account(account)
        return self.ptr.orders_of(account)

    def trades_of(self, uint32_t account):
        """Numbers of the account's trades of the day, oldest first."""
        self.ledger.account(account)
        return self.ptr.trades_of(account)

    def holders(self, uint32_t instrument):
        """Numbers of the accounts that hold an instrument or have orders that open it."""
        if instrument >= self.ptr.instruments():
            raise ValueError(f"there is no instrument {instrument}")
        return self.ptr.ledger().board.holders(instrument)

    def symbol(self, uint32_t instrument):
        """Full name of a listed instrument; ValueError when there is none."""
        if instrument >= self.ptr.instruments():
            raise ValueError(f"there is no instrument {instrument}")
        return self.ptr.symbol(instrument).decode()

    @property
    def instruments(self):
        """How many instruments are listed; their numbers are below it."""
        return self.ptr.instruments()

    @property
    def head_lsn(self):
        """LSN of the newest record, 0 without a journal."""
        return self.journal.head_lsn if self.journal is not None else 0

    def live_in(self, uint32_t instrument):
        """How many orders of accounts live in an instrument's book."""
        if instrument >= self.ptr.instruments():
            raise ValueError(f"there is no instrument {instrument}")
        return self.ptr.live_in(instrument)

    def find(self, uint32_t account, str client_id not None):
        """Number of an account's order of the day, None when it has none of that id."""
        cdef bytes text = client_id.encode()
        cdef uint32_t number = self.ptr.orders().find(account, _text(text))
        return None if number == kNone else number

    def check_price(self, uint32_t instrument, double price):
        """0 for a price (CNY) on the instrument's tick and within the day's limits, else 3004, 4002 or 4003."""
        if instrument >= self.ptr.instruments():
            raise ValueError(f"there is no instrument {instrument}")
        cdef int64_t tick = self.ledger.ptr.board.terms(instrument).tick
        cdef int64_t units = to_price(price)
        cdef const CBook* book = &self.ptr.books().at(instrument)
        if units % tick != 0:
            return 3004
        return 4002 if units > book.upper() * tick else 4003 if units < book.base * tick else 0

    def depth(self, uint32_t instrument, size_t levels=5):
        """([(price, volume), ...] of bids, of asks), best first."""
        if instrument >= self.ptr.instruments():
            raise ValueError(f"there is no instrument {instrument}")
        cdef vector[DepthLevel] out
        out.resize(min(levels, <size_t>1024))
        cdef int64_t tick = self.ledger.ptr.board.terms(instrument).tick
        cdef size_t n = self.ptr.books().depth(instrument, Side.kBuy, out.size(), out.data())
        bids = [(to_cny(out[i].price * tick), out[i].volume) for i in range(n)]
        n = self.ptr.books().depth(instrument, Side.kSell, out.size(), out.data())
        return bids, [(to_cny(out[i].price * tick), out[i].volume) for i in range(n)]

    def events(self):
        """What happened since the last call, in order:

        ("order", seq, number, account, instrument, alive, left, reason, code) ·
        ("trade", seq, number, account, instrument, match, price, volume, commission, close profit, trade number).
        """
        cdef const Event* e
        found = []
        for i in range(self.ptr.events().size()):
            e = &self.ptr.events()[i]
            if e.kind == kOrder:
                found.append(("order", e.seq, e.order, e.account, e.instrument, <int>e.status == 0, e.left,
                              <int>e.reason, e.code))
            else:
                found.append(("trade", e.seq, e.order, e.account, e.instrument, e.trade, to_cny(e.price), e.volume,
                              to_cny(e.commission), to_cny(e.close_profit), e.record))
        self.ptr.clear_events()
        return found

    def state_hash(self):
        """Hash of books, accounts, risk counts and orders of the day."""
        return self.ptr.state_hash()

    @property
    def orders(self):
        """Orders of the day so far, refused ones included: order() takes numbers below it."""
        return self.ptr.orders().size()

    @property
    def trades(self):
        """Sides of matches of the day so far: trade() takes numbers below it."""
        return self.ptr.trades().size()

    @property
    def event_count(self):
        """How many events wait to be read."""
        return self.ptr.events().size()

    @property
    def trading_day(self):
        return self.ptr.trading_day()

    @property
    def live_orders(self):
        """How many orders live in all books, the street's levels too."""
        return self.ptr.books().live_orders()

    @property
    def accounts_live_orders(self):
        """How many orders of accounts live in all books."""
        cdef uint64_t found = 0
        cdef uint32_t i
        for i in range(self.ptr.instruments()):
            found += self.ptr.live_in(i)
        return found

    @property
    def broken(self):
        """Fills or settlements an account would not take: always 0, unless this is broken."""
        return self.ptr.broken()
