"""Trading at a CTP front in the words of the trading service, for one account.

SYNCED only after a login, the private flow told again, and four queries that agree with it; until then orders
are refused. What was sent and never shown stays unknown and is never sent again. No order waits for a link.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import StorageError
from qautlra.base.log import get_logger
from qautlra.link.ctp_login import TRADER_STEPS, State
from qautlra.link.ctp_session import FLOW_CONTROL, CtpSession, SessionOptions, new_brain
from qautlra.model import codes
from qautlra.model.holding import NO_FUNDS
from qautlra.model.order import Answer, CancelOrder, Change, InsertOrder
from qautlra.trade.brokers.base import AccountBroker, answer
from qautlra.trade.brokers.ctp_book import CtpBook
from qautlra.trade.brokers.ctp_notes import Note, Notes, refusal
from qautlra.trade.brokers.shadow import Difference, Market, Shadow
from qautlra.wire import ctp_broker as wire
from qautlra.wire import ctp_codes
from qautlra.wire.ctp_frames import LAST, RECORDS, Frame, Kind
from qautlra.wire.ctp_orders import Key
from qautlra.wire.ctp_records import Record, layout
from qautlra.wire.ctp_status import read_status

QUIET_S: Final = 0.3
RETRY_S: Final = 0.01
COMPARE_S: Final = 30.0
SETTLE_S: Final = 0.2
HELD_COUNT: Final = 1000
DIFFERENCES_COUNT: Final = 100
SYNC: Final = (Kind.QRY_ORDER, Kind.QRY_TRADE, Kind.QRY_POSITION, Kind.QRY_ACCOUNT)
RATES: Final = (Kind.QRY_MARGIN_RATE, Kind.QRY_COMMISSION_RATE)
_log = get_logger("trade")


class CtpBroker(AccountBroker):
    """One account at one front. Bounds: the day's orders, HELD_COUNT orders that flow control holds back.

    `account` is the house's name of it where that is not the user's at the front.
    """

    book: CtpBook
    is_noted = True

    def __init__(
        self,
        options: SessionOptions,
        *,
        notes: Path,
        now_ns: Callable[[], int],
        market: Market,
        account: str = "",
        margin_side: str = "sum",
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(account or options.user_id, options.name)
        self.book = CtpBook(self.account)
        self.synced_after_s = 0.0
        self.status_told: Callable[[str, int], None] = lambda _name, _phase: None
        "Told in which phase the exchange says a product or an instrument is."
        self.status_lost: Callable[[], None] = lambda: None
        "Told that the link is gone, and with it what was told."
        self.differences: deque[Difference] = deque(maxlen=DIFFERENCES_COUNT)
        self.shadow = Shadow(market, margin_side=margin_side)
        self._is_synced = False
        self._options = options
        self._now_ns = now_ns
        self._market = market
        self._is_open = is_open
        self._notes = Notes(notes)
        self._session = self._new_session()
        self._front = self._number = self._ref = 0
        self._heard_s = self._connected_s = self._compare_s = self._acted_s = 0.0
        self._rows: dict[int, list[Record]] = {}
        self._rates: deque[tuple[Kind, str]] = deque()  # asked for, in the order they are answered
        self._held: deque[tuple[Kind, bytes, int]] = deque()
        self._funds: dict[str, float] = {}
        self._positions: list[dict[str, Any]] = []
        self._stale = False
        self._apart: set[tuple[str, str]] = set()  # differences of the last comparison
        self._doubted: set[tuple[str, str]] = set()  # of it, those not told: seen once
        self._counts: Counter[str] = Counter()
        self._found = metrics.counter(
            "qautlra_trade_ctp_differences", "What the broker's queries showed otherwise", ["kind"]
        )

    def _new_session(self) -> CtpSession:
        return CtpSession(
            self._options,
            new_brain(TRADER_STEPS, self._options.login, self._is_open),
            market=False,
            on_frame=self._on_frame,
            on_state=self._on_state,
        )

    @property
    def is_synced(self) -> bool:
        """Whether the login is done and the queries agree with the flow."""
        return self._is_synced

    @property
    def state(self) -> str:
        """`synced`, `refused` or the login's state."""
        if self._is_synced:
            return "synced"
        state = self._session.brain.state
        return "refused" if state is State.LOCKED else str(state)

    @property
    def differences_count(self) -> int:
        """How often the broker showed something otherwise than we have it, since the start."""
        return self._counts["differences"]

    # --- life ---

    async def start(self) -> None:
        """Connect in the background."""
        self._session = self._new_session()
        self.spawn(self._session.run(), "session")
        self.spawn(self._keep(), "keep")

    async def stop(self, grace_s: float) -> None:
        """Log off; what was sent and not shown stays noted."""
        await super().stop(grace_s)
        self._lose()
        self._notes.close()

    def health(self) -> dict[str, Any]:
        """Return whether the account is synced, and what the broker showed otherwise."""
        found = self._session.health() | {
            "state": self.state,
            "orders": len(self.book.orders),
            "unknown_orders": self.book.unknown_count,
            "held_orders": len(self._held),
        }
        if self.differences:
            found["differences"] = [f"{d.kind} {d.subject}: {d.detail}" for d in self.differences]
        return found

    def _on_state(self, state: State) -> None:
        if state is State.DOWN:
            self._lose()
        elif state is State.CONNECTED:
            self._connected_s = monotonic_s()
        elif state is State.LOGGED_IN:
            self._logged_in()
        elif state is State.CONFIRMED:
            self._heard_s = monotonic_s()
            self._rows = {kind: [] for kind in SYNC}

    def _logged_in(self) -> None:
        login = self._session.login
        assert login is not None
        text = login.text("TradingDay")
        day = int(text) if text.isdigit() else 0
        if day != self._day:
            self._day = day
            self.book.clear()
            self.shadow.rates.clear()
            self.shadow.clear()
            for note in self._notes.open(day):
                self.book.sent(note.order, note.key, note.sent_ns)
                if note.code:
                    self.book.on_refused(note.key, note.code, note.text)
            self._tell(Change(account_id=self.account, day=True))
        elif not self._notes.is_open:
            self._notes.open(day)  # this service was stopped meanwhile, and has not forgotten the day
        highest = login.text("MaxOrderRef")
        self._front, self._number = login.whole("FrontID"), login.whole("SessionID")
        self._ref = max(self._ref, self.book.highest_ref, int(highest) if highest.isdigit() else 0)

    def _lose(self) -> None:
        """The link is gone: nothing that waits is sent later, and what was sent is unknown until shown."""
        self._is_synced = False
        self.status_lost()
        self._rows = {}
        self._rates.clear()
        held, self._held = self._held, deque()
        for kind, _, number in held:
            if kind == Kind.INSERT:
                self.book.not_sent(number, codes.UNAVAILABLE)
                self._tell(Change(account_id=self.account, orders=(number,)))
        self._not_known()

    async def _keep(self) -> None:
        """Begin the queries once the flow is quiet, send what flow control held, keep the figures fresh."""
        while True:
            await asyncio.sleep(RETRY_S if self._held else 0.05)
            now_s = monotonic_s()
            session = self._session
            self._send_held()
            self._follow_prices()
            if session.brain.state is not State.CONFIRMED or session.queries_waiting:
                continue
            if not self.is_synced:
                if self._rows and now_s - self._heard_s >= QUIET_S:
                    self._ask(*SYNC)
            elif self._stale or now_s >= self._compare_s:
                self._stale = False
                self._rows |= {Kind.QRY_POSITION: [], Kind.QRY_ACCOUNT: []}
                self._ask(Kind.QRY_POSITION, Kind.QRY_ACCOUNT)

    def _ask(self, *kinds: Kind, symbol: str = "") -> None:
        broker, user = self._options.broker_id, self._options.user_id
        for kind in kinds:
            record = wire.write_query(RECORDS[kind][0], broker=broker, user=user, symbol=symbol)
            self._session.query(kind, record)

    # --- commands ---

    def insert(self, order: InsertOrder) -> Answer:
        """Send an order, noted before; it is durable when the front shows it."""
        if order.account_id != self.account:
            return answer(codes.NO_ACCOUNT, order.order_id)
        known = self.book.number(order.order_id)
        if known is not None:
            return answer(codes.DUPLICATE, order.order_id, known)
        if order.volume <= 0 or order.volume != int(order.volume):
            return answer(codes.BAD_VOLUME, order.order_id)
        if not self.is_synced or len(self._held) >= HELD_COUNT:
            return answer(codes.UNAVAILABLE, order.order_id)
        self._ref += 1
        key = Key(self._front, self._number, str(self._ref))
        now_ns = self._now_ns()
        try:
            self._notes.write(Note(self._day, key.front, key.session, key.ref, now_ns, order))
        except StorageError:
            return answer(codes.NOT_JOURNALED, order.order_id)
        number = self.book.sent(order, key, now_ns)
        options = self._options
        record = wire.write_input(order, broker=options.broker_id, user=options.user_id, ref=key.ref)
        lsn = self._await_shown(order.order_id)
        self._want_rates((order.symbol,))
        self._send(Kind.INSERT, record, number)
        self._tell(Change(account_id=self.account, orders=(number,)))
        shown = self.book.orders[number]
        if shown.code:
            self._shown(order.order_id)
            return answer(shown.code, order.order_id, number)
        return Answer(code=0, order_id=order.order_id, number=number, lsn=lsn)

    def cancel(self, order: CancelOrder) -> Answer:
        """Ask for an order's withdrawal."""
        number = self.book.number(order.order_id)
        key = self.book.key(number) if number is not None else None
        if number is None or key is None:
            return answer(codes.NO_ORDER, order.order_id)
        if not self.is_synced:
            return answer(codes.UNAVAILABLE, order.order_id)
        shown, options = self.book.orders[number], self._options
        record = wire.write_cancel(key, shown, broker=options.broker_id, user=options.user_id)
        self._send(Kind.ACTION, record, number)
        return Answer(code=0, order_id=order.order_id, number=number)

    def funds(self, _account_id: str) -> dict[str, float]:
        """Return the account's money: our ledger's while that agrees, else what the broker last showed.

        The broker's figures are seconds old (one query a second); our ledger's follow each trade and price.
        """
        if self._agrees:
            return self.shadow.funds()
        return self._funds or dict(NO_FUNDS)

    def positions(self, _account_id: str) -> list[dict[str, Any]]:
        """Return the account's positions, from where its money comes."""
        return self.shadow.positions() if self._agrees else self._positions

    @property
    def _agrees(self) -> bool:
        return self.shadow.is_current and not self._apart

    @property
    def waiting_count(self) -> int:
        """How many orders and trades our ledger has not booked yet."""
        return self.shadow.waiting_count

    def reckoning(self) -> dict[str, Any]:
        """Return our ledger's figures beside the broker's as of the last comparison, and what differed."""
        figures = self.shadow.figures.items()
        return {
            "figures": {name: {"ours": ours, "broker": theirs} for name, (ours, theirs) in figures},
            "differences": [one._asdict() for one in self.differences],
        }

    def _send(self, kind: Kind, record: bytes, number: int) -> None:
        self._acted_s = monotonic_s()
        code = self._session.request(kind, record) if not self._held else FLOW_CONTROL[0]
        if code in FLOW_CONTROL:
            self._counts["flow_control"] += 1
            self._held.append((kind, record, number))
        elif code and kind == Kind.INSERT:
            self.book.not_sent(number, codes.UNAVAILABLE)

    def _send_held(self) -> None:
        while self._held:
            kind, record, number = self._held[0]
            code = self._session.request(kind, record)
            if code in FLOW_CONTROL:
                return
            self._held.popleft()
            if code and kind == Kind.INSERT:
                self.book.not_sent(number, codes.UNAVAILABLE)
                self._tell(Change(account_id=self.account, orders=(number,)))

    # --- what the front says ---

    def _on_frame(self, got: Frame) -> None:
        self._heard_s = monotonic_s()
        orders: list[int] = []
        trades: list[int] = []
        if got.kind == Kind.RTN_ORDER:
            orders = self.book.on_order(layout("Order").read(got.record), self._now_ns())
            trades = self.book.adopt() if orders else []
        elif got.kind == Kind.RTN_TRADE:
            trades = self.book.on_trade(layout("Trade").read(got.record))
        elif got.kind in RATES:
            self._on_rate(got)
            return
        elif got.kind == Kind.ERROR and self._rates:
            self._on_rate(got._replace(kind=self._rates[0][0], record=b"", flags=LAST))
            return
        elif got.kind in (Kind.INSERT, Kind.ERR_INSERT) and got.error:
            orders = self._refused(got)
        elif got.kind in SYNC:
            self._on_row(Kind(got.kind), got)
            return
        elif got.kind == Kind.INSTRUMENT_STATUS:
            if (said := read_status(got.record)) is not None:
                self.status_told(*said)
            return
        if orders or trades:
            self._stale = True
            self._changed(orders, trades)

    def _refused(self, got: Frame) -> list[int]:
        record = layout("InputOrder").read(got.record)
        key = Key(self._front, self._number, record.text("OrderRef"))
        text = f"{ctp_codes.text(got.error)}（{got.error}）"
        code = _house_code(got.error)
        refused = self.book.on_refused(key, code, text)
        for number in refused:
            order = self.book.orders[number]
            try:
                self._notes.write(refusal(self._day, key, order, code, text))
            except StorageError as error:
                _log.warning("refusal_not_noted", order_id=order.order_id, reason=error.message)
        return refused

    def _changed(self, orders: list[int], trades: list[int]) -> None:
        for number in orders:
            self._shown(self.book.orders[number].order_id)
            self.shadow.note(self.book.orders[number])
        for number in trades:
            self.shadow.note(self.book.trades[number])
        self._book()
        symbols = frozenset(self.book.trades[number].symbol for number in trades)
        self._tell(
            Change(account_id=self.account, orders=tuple(orders), trades=tuple(trades), symbols=symbols)
        )

    def _on_row(self, kind: Kind, got: Frame) -> None:
        rows = self._rows.get(kind)
        if rows is None or got.error:
            return
        if got.record:
            rows.append(layout(RECORDS[kind][1]).read(got.record))
        if got.flags & LAST:
            self._answered(kind, rows)

    def _answered(self, kind: Kind, rows: list[Record]) -> None:
        del self._rows[kind]
        if kind == Kind.QRY_ORDER:
            changed = [n for row in rows for n in self.book.on_order(row, self._now_ns())]
            for number in changed:
                self._differs(Difference("order", self.book.orders[number].order_id, "not in the flow so"))
            for difference in self.book.reconcile({wire.key(row) for row in rows}):
                if difference.kind != "volume":  # trades are asked for next
                    self._differs(difference)
            self._changed(changed, self.book.adopt())
        elif kind == Kind.QRY_TRADE:
            new = [n for row in rows for n in self.book.on_trade(row)]
            for number in new:
                self._differs(Difference("trade", self.book.trades[number].order_id, "not in the flow"))
            shown = {key for n in range(len(self.book.orders)) if (key := self.book.key(n)) is not None}
            for difference in self.book.reconcile(shown):
                if difference.kind == "volume":
                    self._differs(difference)
            self._changed([], new)
        elif kind == Kind.QRY_POSITION:
            self._positions = wire.positions(rows, self._multiple)
        elif rows:
            self._funds = wire.funds(rows[0])
            self._reckon()
            if not self._is_synced:
                self._is_synced = True
                self.synced_after_s = monotonic_s() - self._connected_s
                _log.info("ctp_synced", account=self.account, seconds=round(self.synced_after_s, 3))
            self._tell(Change(account_id=self.account, symbols=self._symbols()))

    # --- the shadow ---

    def _multiple(self, symbol: str) -> float:
        terms = self._market.terms(symbol)
        return float(terms["multiple"]) if terms is not None else 1.0

    def _reckon(self) -> None:
        """Set our ledger beside the broker's figures, once its rates of everything in it are known."""
        now_s = monotonic_s()
        self._compare_s = now_s + COMPARE_S
        if self._rates:
            return  # again when they are here
        if self._stale or self._sent or now_s < self._acted_s + SETTLE_S:
            self._compare_s = now_s + SETTLE_S
            return  # something happened since they were asked for, or is on its way
        symbols = dict.fromkeys(
            [held["symbol"] for held in self._positions]
            + [order.symbol for order in self.book.orders if order.is_alive and order.exchange_order_id]
            + [trade.symbol for trade in self.book.trades]
        )
        self._want_rates(symbols)
        if self._rates:
            return
        if not self.shadow.is_open:
            self.shadow.open(self._positions, self._funds)
        self._book()
        found = {(one.kind, one.subject): one for one in self.shadow.compare(self._positions, self._funds)}
        if set(found) - self._doubted:
            self._compare_s = 0.0  # only what is seen twice is: flow, queries and prices cross on their way
        told = {name: one for name, one in found.items() if name in self._doubted}
        self._doubted = set(found)
        news = [one for name, one in told.items() if name not in self._apart]
        was, self._apart = self._agrees, set(told)
        for difference in news:
            self._differs(difference)
        if was != self._agrees:
            self._tell(Change(account_id=self.account, symbols=self._symbols()))

    def _want_rates(self, symbols: Iterable[str]) -> None:
        """Ask for the broker's rates of what has none yet: before the first trade, where that can be."""
        asked = {symbol for _, symbol in self._rates}
        for symbol in symbols:
            if symbol not in self.shadow.rates and symbol not in asked:
                self._rates.extend((kind, symbol) for kind in RATES)
                self._ask(*RATES, symbol=symbol)

    def _symbols(self) -> frozenset[str]:
        return frozenset(held["symbol"] for held in (*self._positions, *self.shadow.positions()))

    def _follow_prices(self) -> None:
        """Tell of positions whose price has moved."""
        moved = self.shadow.mark()
        if moved:
            self._tell(Change(account_id=self.account, symbols=frozenset(moved)))

    def _book(self) -> None:
        """Book what our ledger has not yet; a trade of ours has the fee and the profit that it reckons."""
        for trade, fee, profit in self.shadow.book():
            reckoned = msgspec.structs.replace(trade, commission=fee, close_profit=profit)
            self.book.trades[trade.number] = reckoned
        self.shadow.mark()

    def _on_rate(self, got: Frame) -> None:
        """Take the broker's own rates of an instrument; one it tells nothing of has the table's."""
        if not self._rates or got.kind != self._rates[0][0]:
            return
        symbol = self._rates[0][1]
        if got.record and not got.error:
            read = wire.margin_rate if got.kind == Kind.QRY_MARGIN_RATE else wire.commission_rate
            rates = read(layout(RECORDS[got.kind][1]).read(got.record))
            self.shadow.rates[symbol] = {**self.shadow.rates.get(symbol, {}), **rates}
        if got.flags & LAST:
            self._rates.popleft()
            self.shadow.rates.setdefault(symbol, {})
            if not self._rates:
                self._reckon()

    def _differs(self, difference: Difference) -> None:
        self.differences.append(difference)
        self._counts["differences"] += 1
        self._found.labels(difference.kind).inc()
        _log.warning("ctp_difference", account_id=self.account, **difference._asdict())
        text = f"{difference.subject}: {difference.detail}"
        self._tell(Change(account_id=self.account, differences=(text,)))


def _house_code(ctp: int) -> int:
    """Return the house's code of a CTP error."""
    return next((code.number for code in codes.table().values() if code.ctp == ctp), codes.BAD_PARAMETERS)
