"""The built-in exchange as a brain: commands by name to the native exchange, and what changed of whom.

No clock of its own, no socket, no file: time comes from the market clock it is given, the journal belongs
to the exchange. Instruments are listed when they are first asked for; phases follow the calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from qautlra._core import book, orders
from qautlra._core.exchange import DELIVERED, EXERCISED, LAPSED
from qautlra._core.paper import PaperFeed
from qautlra.base.log import get_logger
from qautlra.model import codes
from qautlra.model.order import (
    AmendOrder,
    Answer,
    CancelOrder,
    Change,
    Direction,
    InsertOrder,
    Offset,
    Order,
    PriceType,
    TimeCondition,
    Trade,
    VolumeCondition,
)
from qautlra.trade import listing
from qautlra.trade.phases import Phases, Sections

if TYPE_CHECKING:
    from qautlra._core.exchange import Exchange
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape

_log = get_logger("trade")
# Looked up: calling an enum costs ten times as much, and an order has five.
_FAR_NS = 1 << 62
PHASES_COUNT = 256
"Instruments that change their phase at a time, a millisecond's or two."
CAUSES = {DELIVERED: "delivery", EXERCISED: "exercise", LAPSED: "lapse"}
"Of the trades that a contract's end brings, by the exchange's reason."
_DIRECTIONS = {int(one): one for one in Direction}
_OFFSETS = {int(one): one for one in Offset}
_PRICE_TYPES = {int(one): one for one in PriceType}
_TIMES = {int(one): one for one in TimeCondition}
_VOLUMES = {int(one): one for one in VolumeCondition}
# Of what an operator keeps closed nothing trades; orders may go wherever the hours let them.
_STOPPED = {book.AUCTION: book.BREAK, book.CONTINUOUS: book.BREAK, book.BREAK: book.BREAK}


class Calendar(Sections, Protocol):
    """The calendar as far as the engine needs it."""

    def trading_day(self, ts_ns: int) -> int: ...
    def next_trading_day(self, day: int) -> int: ...


class Engine:
    """Commands in, answers and changes out. One thread; nothing here awaits."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        tape: Tape,
        instruments: Instruments,
        calendar: Calendar,
        now_ns: Callable[[], int],
        stopped: set[str] | None = None,
        self_trade: bool = True,
        last_day: Callable[[str], int] = lambda _symbol: 0,
    ) -> None:
        self.exchange = exchange
        self.stopped = stopped if stopped is not None else set()
        "Instruments an operator keeps closed whatever their hours say."
        self._last_day = last_day
        self.phases = Phases(calendar, self.has_ended)
        self.now_ns = now_ns
        self._tape = tape
        self._instruments = instruments
        self._paper = PaperFeed(exchange, tape)
        self._accounts: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._listed: dict[str, int] = {}  # by canonical symbol
        self._symbols: list[str] = []
        self._calendar = calendar
        self._day_end_ns = _FAR_NS  # of the day that is traded
        self._until: dict[int, int] = {}  # by instrument: when its phase ends
        self._next_phase_ns = 0
        self._limited: dict[int, int] = {}  # by instrument: the trading day its price limits are of
        self._self_trade = book.REJECT_TAKER if self_trade else book.ALLOW
        self._touched: dict[int, bool] = {}  # by account: whether a day of it has ended
        self._moved: dict[int, set[int]] = {}  # by account: instruments it holds whose price has moved
        self._fed: set[int] = set()  # instruments the feed has shown, as far as that was asked
        self.outside: Callable[[str], object | None] = lambda _account_id: None
        "Tells of an account whose orders go to a broker outside: it has no money and no day here."
        self.settlement_prices: dict[int, float] = {}
        "By instrument: what an operator set for the day that is traded; the exchange hears of it at its end."
        self.phased = False
        self.is_blind = False
        "Whether the feed is lost: what it showed last is no book, and no order is taken."
        self._adopt()

    def _adopt(self) -> None:
        """Take over what a replay gave the exchange: accounts, instruments."""
        ledger = self.exchange.ledger
        for number in range(1, len(ledger)):  # 0 is the street
            name = ledger.account(number).name
            self._accounts[name] = number
            self._names[number] = name
        for number in range(self.exchange.instruments):
            symbol = self.exchange.symbol(number)
            self._symbols.append(symbol)
            self._listed[symbol] = number
            line = self._instruments.intern(symbol)
            if line >= 0:
                self._paper.join(number, line)
        self.exchange.events()  # of the replay: told before it ended, or never durable

    # --- accounts ---

    def accounts(self) -> list[str]:
        """Return the names of all accounts, oldest first."""
        return list(self._accounts)

    def has(self, account_id: str) -> bool:
        """Tell whether there is such an account."""
        return account_id in self._accounts

    def number(self, account_id: str) -> int | None:
        """Return the exchange's number of an account, None when there is none."""
        return self._accounts.get(account_id)

    def open_account(self, account_id: str, cash: float = 0.0) -> Answer:
        """Open an account with a first deposit of `cash` CNY, as one record; 2001 when there is one."""
        if account_id in self._accounts:
            return Answer(code=2001, text="账户已存在")
        if not 0 <= cash < float("inf"):
            return _answer(codes.BAD_AMOUNT)
        try:
            number = self.exchange.open_account(account_id, cash)
        except ValueError as error:
            return Answer(code=codes.FULL, text=str(error))
        self._accounts[account_id] = number
        self._names[number] = account_id
        self._touch(number)
        return Answer(code=0, lsn=self.exchange.head_lsn)

    def move_money(self, account_id: str, amount: float) -> Answer:
        """Deposit `amount` CNY, withdraw when it is negative."""
        number = self._accounts.get(account_id)
        if number is None:
            return _answer(codes.NO_ACCOUNT)
        code, _, lsn = self.exchange.move_money(number, amount)
        self._touch(number)
        return _answer(code, lsn=lsn)

    # --- orders ---

    def insert(self, order: InsertOrder) -> Answer:
        """Take an order: risk, journal, match, account in one native call."""
        account = self._accounts.get(order.account_id)
        if account is None:
            return _answer(codes.NO_ACCOUNT, order.order_id)
        instrument = self._listed.get(order.symbol)
        if instrument is None:
            instrument = self.instrument(order.symbol)
            if instrument is None:
                return _answer(codes.NO_INSTRUMENT, order.order_id)
        if self.is_blind and not order.force:
            return _answer(codes.FEED_LOST, order.order_id)
        now_ns = self.now_ns()
        if now_ns >= self._until.get(instrument, 0):
            self._set_phase(instrument, now_ns)
        self._paper.refresh(instrument)
        if self._limited.get(instrument) != self.exchange.trading_day:
            self._limit(instrument, order.symbol)
        code, number, lsn = self.exchange.insert(
            account,
            order.order_id,
            instrument,
            order.direction,
            order.offset,
            order.volume,
            order.limit_price,
            price_type=order.price_type,
            time=order.time_condition,
            condition=order.volume_condition,
            min_volume=order.min_volume,
            gtd_day=order.gtd_day,
            now_ns=now_ns,
            reduce_only=order.reduce_only,
            force=order.force,
        )
        answer = _answer(code, order.order_id, number, lsn or self.exchange.head_lsn)
        if code in codes.CLOSING and number is not None:
            frozen = self.exchange.order(number)["lots_frozen"]
            return msgspec.structs.replace(
                answer, lots_frozen=frozen, text=orders.message(self.exchange, number)
            )
        return answer

    def enter(self, lane: orders.Lane, serial: int) -> orders.Entered | None:
        """Do what a lane has read; None, and nothing done, unless only the exchange need be asked."""
        now_ns = self.now_ns()
        if now_ns >= self._next_phase_ns:
            return None
        if lane.is_insert:
            if self.is_blind:
                return None
            instrument = lane.instrument
            if self._limited.get(instrument) != self.exchange.trading_day:
                return None
            self._paper.refresh(instrument)
        return lane.enter(now_ns, serial)

    def cancel(self, order: CancelOrder, *, force: bool = False) -> Answer:
        """Withdraw what is left of an order; `force` in any phase."""
        account = self._accounts.get(order.account_id)
        if account is None:
            return _answer(codes.NO_ACCOUNT, order.order_id)
        now_ns = self.now_ns()
        if now_ns >= self._next_phase_ns:
            self._follow_phase_of(account, order.order_id, now_ns)
        code, number, lsn = self.exchange.cancel(account, order.order_id, now_ns=now_ns, force=force)
        return _answer(code, order.order_id, number, lsn or self.exchange.head_lsn)

    def cancel_all(self, account_id: str | None = None) -> Answer:
        """Withdraw every order of an account, of all accounts without one, whatever the phase."""
        account = None
        if account_id is not None:
            account = self._accounts.get(account_id)
            if account is None:
                return _answer(codes.NO_ACCOUNT)
        code, _, lsn = self.exchange.cancel_all(account)
        return _answer(code, lsn=lsn)

    def amend(self, order: AmendOrder) -> Answer:
        """Set price and volume of a living order."""
        account = self._accounts.get(order.account_id)
        if account is None:
            return _answer(codes.NO_ACCOUNT, order.order_id)
        number = self.exchange.find(account, order.order_id)
        if number is None:
            return _answer(codes.NO_ORDER, order.order_id)
        if self.is_blind:
            return _answer(codes.FEED_LOST, order.order_id)
        before = self.exchange.order(number)
        instrument = before["instrument"]
        self._paper.refresh(instrument)
        code, number, lsn = self.exchange.amend(
            account,
            order.order_id,
            before["price"] if order.price is None else order.price,
            before["volume"] if order.volume is None else order.volume,
            now_ns=self.now_ns(),
        )
        return _answer(code, order.order_id, number, lsn or self.exchange.head_lsn)

    # --- instruments and the market ---

    def instrument(self, symbol: str) -> int | None:
        """Return the number of an instrument, listed now if need be; None for one that cannot be traded."""
        known = self._listed.get(symbol)
        if known is not None:
            return known
        line = self._instruments.find(symbol)
        if line < 0 or self._instruments.symbol(line) != symbol:
            return None
        info = self._instruments.info(line)
        if not listing.tradable(info):
            return None
        arguments = listing.listing(info, self._tape.last(line))
        if arguments is None:
            return None
        try:
            number = self.exchange.list(symbol, self_trade=self._self_trade, **arguments)
        except ValueError as error:
            _log.warning("not_listed", symbol=symbol, reason=str(error))
            return None
        self._listed[symbol] = number
        self._symbols.append(symbol)
        self._paper.join(number, line)
        self._set_phase(number, self.now_ns())
        return number

    def _limit(self, instrument: int, symbol: str) -> None:
        """Set the day's price limits where the feed has none: those of the listing are of its day."""
        line = self._instruments.find(symbol)
        day = self.exchange.trading_day
        if self._tape.trading_day(line) != day:
            return  # asked again with the next order
        snapshot = self._tape.last(line)
        if snapshot is None:
            return
        self._limited[instrument] = day
        info = self._instruments.info(line)
        tick = float(info["price_tick"] or 0)
        if snapshot["upper_limit"] is not None or not listing.tradable(info):
            return
        limits = listing.band(info, snapshot, tick)
        if limits is not None:
            self.exchange.set_band(instrument, *(round(price / tick) for price in limits))

    def check_price(self, instrument: int, price: float) -> int:
        """Return 0 for a price on the tick and within the limits the feed has now, else a code."""
        self._paper.refresh(instrument)
        if self._limited.get(instrument) != self.exchange.trading_day:
            self._limit(instrument, self._symbols[instrument])
        return self.exchange.check_price(instrument, price)

    def is_limited(self, instrument: int) -> bool:
        """Tell whether the price limits that `check_price` went by are known to be of the traded day."""
        return self._limited.get(instrument) == self.exchange.trading_day

    def list_own(self, symbol: str, arguments: dict[str, Any]) -> int:
        """List an instrument with terms of an operator's; ValueError when they will not do."""
        if self._instruments.canonical(symbol) != symbol:
            raise ValueError(f"{symbol} is no full name of an instrument")
        number = self.exchange.list(symbol, self_trade=self._self_trade, **arguments)
        self._listed[symbol] = number
        self._symbols.append(symbol)
        line = self._instruments.intern(symbol)  # not before: what is refused is no instrument
        if line >= 0:
            self._paper.join(number, line)
        self._set_phase(number, self.now_ns())
        return number

    def follow_stop(self, symbol: str) -> None:
        """Close an instrument, or let it follow its hours again, as `stopped` says now."""
        number = self._listed.get(symbol)
        if number is not None:
            self._set_phase(number, self.now_ns())

    def canonical(self, spelling: str) -> str | None:
        """Return the full name of an instrument however it is spelt, None for one that is not known."""
        line = self._instruments.find(spelling)
        return self._instruments.symbol(line) if line >= 0 else None

    def symbol(self, instrument: int) -> str:
        """Return the full name of a listed instrument."""
        return self._symbols[instrument]

    def on_market(self) -> None:
        """Take the newest snapshots: marks, and what they trade with resting orders."""
        now_ns = self.now_ns()
        if not self.follow_phases(now_ns):
            return  # nothing trades with what a later phase shows
        for instrument in self._paper.step():
            for account in self.exchange.holders(instrument):
                self._moved.setdefault(account, set()).add(instrument)

    def follow_phases(self, now_ns: int) -> bool:
        """Move what is listed to the phase its hours say, PHASES_COUNT at most; False if more are due."""
        if now_ns < self._next_phase_ns:
            return True
        due = [instrument for instrument, until_ns in self._until.items() if now_ns >= until_ns]
        for instrument in due[:PHASES_COUNT]:
            self._set_phase(instrument, now_ns)
        self._next_phase_ns = min(self._until.values(), default=_FAR_NS)
        return len(due) <= PHASES_COUNT

    def _follow_phase_of(self, account: int, order_id: str, now_ns: int) -> None:
        number = self.exchange.find(account, order_id)
        instrument = None if number is None else self.exchange.order(number)["instrument"]
        if instrument is not None and now_ns >= self._until.get(instrument, 0):
            self._set_phase(instrument, now_ns)

    def _set_phase(self, instrument: int, now_ns: int) -> None:
        symbol = self._symbols[instrument]
        phase = self.phases.at(symbol, now_ns)
        now = _STOPPED.get(phase.phase, book.CLOSED) if symbol in self.stopped else phase.phase
        if self.is_day_over(now_ns):  # and not settled yet: nothing of it trades with what the next day shows
            now = book.CLOSED
        self.exchange.set_phase(instrument, now, now_ns=now_ns)
        self._paper.begin_phase(instrument, _FAR_NS if self.is_blind else phase.since_ns)
        self._until[instrument] = phase.until_ns
        self._next_phase_ns = min(self._next_phase_ns, phase.until_ns)

    def follow_feed(self, *, is_lost: bool) -> None:
        """Take the feed's book away while nobody knows whether it still stands, and show it again."""
        self.is_blind = is_lost
        now_ns = self.now_ns()
        for instrument, symbol in enumerate(self._symbols):
            since_ns = _FAR_NS if is_lost else self.phases.at(symbol, now_ns).since_ns
            self._paper.begin_phase(instrument, since_ns)

    def has_ended(self, symbol: str, day: int) -> bool:
        """Tell whether a contract's last trading day is over; never of one the market still shows."""
        last = self._last_day(symbol)
        return 0 < last < day and self._tape.trading_day(self._instruments.find(symbol)) <= last

    def quote(self, symbol: str) -> None:
        """Tell the ledger the newest bid and ask of an instrument, the last price for a missing one."""
        snapshot = self._tape.last(self._instruments.find(symbol)) or {}
        bid, ask, last = (snapshot.get(name) for name in ("bid_price1", "ask_price1", "last_price"))
        ledger, instrument = self.exchange.ledger, self._listed[symbol]
        if isinstance(last, int | float):
            ledger.set_quote(instrument, bid=last, ask=last)
        if isinstance(bid, int | float):
            ledger.set_quote(instrument, bid=bid)
        if isinstance(ask, int | float):
            ledger.set_quote(instrument, ask=ask)

    def is_day_over(self, now_ns: int) -> bool:
        """Tell whether the market has gone on from the traded day to a later one."""
        return now_ns >= self._day_end_ns

    def is_over(self, now_ns: int) -> bool:
        """Tell whether nothing listed will trade again on the trading day of `now_ns`."""
        return all(self.phases.at(symbol, now_ns).is_last for symbol in self._symbols)

    def has_closed(self, symbol: str, now_ns: int) -> bool:
        """Tell whether an instrument will not trade again on the traded day."""
        return self.is_day_over(now_ns) or self.phases.at(symbol, now_ns).is_last

    def forget_prices(self) -> None:
        """Settlement prices are of one day."""
        self.settlement_prices.clear()

    @property
    def is_phase_due(self) -> bool:
        """Whether an instrument is not in the phase its hours say."""
        return self.now_ns() >= self._next_phase_ns

    @property
    def is_dirty(self) -> bool:
        """Whether anything was changed since the last collection, events apart."""
        return bool(self._touched)

    @property
    def is_moved(self) -> bool:
        """Whether prices moved what an account holds since that was last collected."""
        return bool(self._moved)

    def start_phases(self) -> None:
        """Set the phases of everything listed; once the market clock has a time, and with every new day."""
        self.phased = True
        now_ns, day = self.now_ns(), self.exchange.trading_day
        self._day_end_ns = self._calendar.day_end(day) if day else _FAR_NS
        self._until = dict.fromkeys(range(len(self._symbols)), 0)
        self._next_phase_ns = 0
        self.follow_phases(now_ns)

    # --- what changed ---

    def _touch(self, account: int, *, day: bool = False) -> None:
        self._touched[account] = day or self._touched.get(account, False)

    def touch(self, account_id: str) -> None:
        """Count an account as changed."""
        self._touch(self._accounts[account_id])

    def touch_all(self, *, day: bool = False) -> None:
        """Count every account as changed."""
        for number in self._names:
            self._touch(number, day=day)

    def collect(self, *, moved: bool = True) -> list[Change]:
        """Return what changed since the last call, one `Change` per account; without `moved` prices wait."""
        found = orders.changes(self.exchange)
        if unfed := [one[1] for one in found.values() if one[1] and not one[3] <= self._fed]:
            self._mark_by_trades(chain.from_iterable(unfed))
        touched, self._touched = self._touched, {}
        held: dict[int, set[int]] = {}
        if moved:
            held, self._moved = self._moved, held
        changes = []
        for account in dict.fromkeys((*touched, *held, *found)) if touched or held else found:
            if account not in self._names:
                continue
            numbers, trades, events, instruments = found.get(account) or ((), (), (), set())
            if held:
                instruments |= held.get(account, set())
            changes.append(
                Change(
                    account_id=self._names[account],
                    orders=tuple(numbers),
                    trades=tuple(trades),
                    events=tuple(events),
                    symbols=frozenset([self._symbols[i] for i in instruments]),
                    lsn=self.exchange.head_lsn,
                    day=touched.get(account, False),
                )
            )
        return changes

    def _mark_by_trades(self, numbers: Iterable[int]) -> None:
        """Mark what the feed has never shown at its newest trade: nothing else says what it is worth."""
        trades = (self.exchange.trade(number) for number in sorted(numbers))
        for instrument, trade in {trade["instrument"]: trade for trade in trades}.items():
            if self._is_fed(instrument) or trade["reason"] in CAUSES:
                continue
            self.exchange.mark(instrument, trade["price"], self.now_ns())
            for account in self.exchange.holders(instrument):
                self._moved.setdefault(account, set()).add(instrument)

    def _is_fed(self, instrument: int) -> bool:
        if instrument not in self._fed:
            line = self._instruments.find(self._symbols[instrument])
            if line < 0 or self._tape.last(line) is None:
                return False
            self._fed.add(instrument)
        return True

    # --- reads ---

    def funds(self, account_id: str) -> dict[str, float]:
        """Return the account's money (contract 1.2); KeyError for an account there is not."""
        return self.exchange.account(self._accounts[account_id]).funds()

    def positions(self, account_id: str, symbols: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Return the account's positions (contract 1.3), of these symbols only if given."""
        account = self.exchange.account(self._accounts[account_id])
        if symbols is None:
            return account.positions()
        found = (account.position(self._listed[symbol]) for symbol in symbols if symbol in self._listed)
        return [position for position in found if position is not None]

    def orders(self, account_id: str) -> list[Order]:
        """Return the account's orders of the day, oldest first."""
        return [self.order(n) for n in self.exchange.orders_of(self._accounts[account_id])]

    def trades(self, account_id: str) -> list[Trade]:
        """Return the account's trades of the day, oldest first."""
        return [self.trade(n) for n in self.exchange.trades_of(self._accounts[account_id])]

    def find(self, account_id: str, order_id: str) -> Order | None:
        """Return an order of the day by the account's own id, None when there is none."""
        account = self._accounts.get(account_id)
        number = None if account is None else self.exchange.find(account, order_id)
        return None if number is None else self.order(number)

    def order(self, number: int) -> Order:
        """Return an order of the day by number; ValueError when there is none."""
        return self.order_in(self.exchange, number)

    def order_in(self, exchange: Exchange, number: int) -> Order:
        """Return an order of this exchange as it is, or as an ended day left it."""
        o = exchange.order(number)
        return Order(
            number=number,
            account_id=self._names[o["account"]],
            order_id=o["order_id"],
            exchange_order_id=str(o["exchange_number"]) if o["exchange_number"] else "",
            symbol=self._symbols[o["instrument"]],
            direction=_DIRECTIONS[o["side"]],
            offset=_OFFSETS[o["offset"]],
            price_type=_PRICE_TYPES[o["price_type"]],
            time_condition=_TIMES[o["time"]],
            volume_condition=_VOLUMES[o["condition"]],
            limit_price=o["price"] if o["price_type"] == 0 else None,
            volume=o["volume"],
            volume_left=o["left"],
            is_alive=o["alive"],
            code=o["code"],
            message=orders.message(exchange, number),
            insert_ns=o["insert_ns"],
            update_ns=o["update_ns"],
        )

    def trade(self, number: int) -> Trade:
        """Return a trade of the day by number; ValueError when there is none."""
        return self.trade_in(self.exchange, number)

    def trade_in(self, exchange: Exchange, number: int) -> Trade:
        """Return a trade of this exchange as it is, or as an ended day left it."""
        t = exchange.trade(number)
        o = exchange.order(t["order"])
        return Trade(
            number=number,
            seq=t["seq"],
            account_id=self._names[t["account"]],
            trade_id=f"{o['order_id']}|{t['match']}",
            exchange_trade_id=str(t["match"]),
            order_id=o["order_id"],
            symbol=self._symbols[t["instrument"]],
            direction=_DIRECTIONS[o["side"]],
            offset=_OFFSETS[o["offset"]],
            volume=t["volume"],
            price=t["price"],
            commission=t["commission"],
            close_profit=t["close_profit"],
            trade_ns=t["time_ns"],
            cause=CAUSES.get(t["reason"], ""),
        )


# An answer without a record of its own waits for the newest: "met before", "no such order" tell of others.
def _answer(code: int, order_id: str = "", number: int | None = None, lsn: int = 0) -> Answer:
    text = codes.describe(code).text if code else ""
    return Answer(code=code, order_id=order_id, number=number, lsn=lsn, text=text)
