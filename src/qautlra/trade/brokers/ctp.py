"""Trading at a CTP front in the words of the trading service, for one account.

SYNCED only after a login, the private flow told again, and four queries that agree with it; until then orders
are refused. What was sent and never shown stays unknown and is never sent again. No order waits for a link.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import StorageError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.link.ctp_login import TRADER_STEPS, State
from qautlra.link.ctp_session import FLOW_CONTROL, CtpSession, SessionOptions, new_brain
from qautlra.model import codes
from qautlra.model.order import AmendOrder, Answer, CancelOrder, Change, InsertOrder
from qautlra.trade.brokers import ctp_shadow as shadow
from qautlra.trade.brokers.ctp_book import Difference
from qautlra.trade.brokers.ctp_notes import Note, Notes
from qautlra.trade.brokers.ctp_shown import CtpShown
from qautlra.wire import ctp_broker as wire
from qautlra.wire import ctp_codes
from qautlra.wire.ctp_frames import LAST, Frame, Kind
from qautlra.wire.ctp_orders import Key
from qautlra.wire.ctp_records import Record, layout

QUIET_S: Final = 0.3
CONFIRM_S: Final = 10.0
RETRY_S: Final = 0.01
HELD_COUNT: Final = 1000
DIFFERENCES_COUNT: Final = 100
SYNC: Final = (Kind.QRY_ORDER, Kind.QRY_TRADE, Kind.QRY_POSITION, Kind.QRY_ACCOUNT)
_log = get_logger("trade")


class CtpBroker(CtpShown):
    """One account at one front. Bounds: the day's orders, HELD_COUNT orders that flow control holds back."""

    def __init__(
        self,
        options: SessionOptions,
        *,
        notes: Path,
        now_ns: Callable[[], int],
        multiple: Callable[[str], float] = lambda _symbol: 1.0,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(options.user_id, options.name)
        self.is_synced = False
        self.synced_after_s = 0.0
        self.differences: deque[Difference] = deque(maxlen=DIFFERENCES_COUNT)
        self._options = options
        self._now_ns = now_ns
        self._multiple = multiple
        self._is_open = is_open
        self._notes = Notes(notes)
        self._session = self._new_session()
        self._front = self._number = self._ref = 0
        self._heard_s = self._connected_s = 0.0
        self._rows: dict[int, list[Record]] = {}
        self._held: deque[tuple[Kind, bytes, int]] = deque()
        self._stale = False
        self._shadow: set[Difference] = set()
        self._waits: dict[int, asyncio.Future[None]] = {}  # by the order's number
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
            "state": "synced" if self.is_synced else str(self._session.brain.state),
            "orders": len(self.book.orders),
            "unknown_orders": self.book.unknown_count,
            "held_orders": len(self._held),
        }
        if self.differences:
            found["differences"] = [f"{d.kind} {d.order_id}: {d.detail}" for d in self.differences]
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
            for note in self._notes.open(day):
                self.book.sent(note.order, note.key, note.sent_ns)
            self._tell(Change(account_id=self.account, day=True))
        highest = login.text("MaxOrderRef")
        self._front, self._number = login.whole("FrontID"), login.whole("SessionID")
        self._ref = max(self._ref, self.book.highest_ref, int(highest) if highest.isdigit() else 0)

    def _lose(self) -> None:
        """The link is gone: nothing that waits is sent later, and what was sent is unknown until shown."""
        self.is_synced = False
        self._rows = {}
        held, self._held = self._held, deque()
        for kind, _, number in held:
            if kind == Kind.INSERT:
                self.book.not_sent(number, codes.UNAVAILABLE)
                self._tell(Change(account_id=self.account, orders=(number,)))
        waits, self._waits = self._waits, {}
        for future in waits.values():
            if not future.done():
                future.set_exception(UnavailableError("the front was lost before it showed the order"))

    async def _keep(self) -> None:
        """Begin the queries once the flow is quiet, send what flow control held, keep the figures fresh."""
        while True:
            await asyncio.sleep(RETRY_S if self._held else 0.05)
            now_s = monotonic_s()
            session = self._session
            self._send_held()
            if session.brain.state is not State.CONFIRMED or session.queries_waiting:
                continue
            if not self.is_synced:
                if self._rows and now_s - self._heard_s >= QUIET_S:
                    self._ask(*SYNC)
            elif self._stale:
                self._stale = False
                self._rows |= {Kind.QRY_POSITION: [], Kind.QRY_ACCOUNT: []}
                self._ask(Kind.QRY_POSITION, Kind.QRY_ACCOUNT)

    def _ask(self, *kinds: Kind) -> None:
        names = {
            Kind.QRY_ORDER: "QryOrder",
            Kind.QRY_TRADE: "QryTrade",
            Kind.QRY_POSITION: "QryInvestorPosition",
            Kind.QRY_ACCOUNT: "QryTradingAccount",
        }
        who = {"BrokerID": self._options.broker_id, "InvestorID": self.account}
        for kind in kinds:
            self._session.query(kind, layout(names[kind]).pack(who))

    # --- commands ---

    def insert(self, order: InsertOrder) -> Answer:
        """Send an order, noted before; it is durable when the front shows it."""
        if order.account_id != self.account:
            return _answer(codes.NO_ACCOUNT, order.order_id)
        known = self.book.number(order.order_id)
        if known is not None:
            return _answer(codes.DUPLICATE, order.order_id, known)
        if order.volume <= 0 or order.volume != int(order.volume):
            return _answer(codes.BAD_VOLUME, order.order_id)
        if not self.is_synced or len(self._held) >= HELD_COUNT:
            return _answer(codes.UNAVAILABLE, order.order_id)
        self._ref += 1
        key = Key(self._front, self._number, str(self._ref))
        now_ns = self._now_ns()
        try:
            self._notes.write(Note(self._day, key.front, key.session, key.ref, now_ns, order))
        except StorageError:
            return _answer(codes.NOT_JOURNALED, order.order_id)
        number = self.book.sent(order, key, now_ns)
        record = wire.write_input(order, broker=self._options.broker_id, user=self.account, ref=key.ref)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waits[number] = future
        self._send(Kind.INSERT, record, number)
        self._tell(Change(account_id=self.account, orders=(number,)))
        shown = self.book.orders[number]
        if shown.code:
            return _answer(shown.code, order.order_id, number)
        return Answer(code=0, order_id=order.order_id, number=number, lsn=number + 1)

    def cancel(self, order: CancelOrder) -> Answer:
        """Ask for an order's withdrawal."""
        number = self.book.number(order.order_id)
        key = self.book.key(number) if number is not None else None
        if number is None or key is None:
            return _answer(codes.NO_ORDER, order.order_id)
        if not self.is_synced:
            return _answer(codes.UNAVAILABLE, order.order_id)
        shown = self.book.orders[number]
        record = wire.write_cancel(key, shown, broker=self._options.broker_id, user=self.account)
        self._send(Kind.ACTION, record, number)
        return Answer(code=0, order_id=order.order_id, number=number)

    def amend(self, order: AmendOrder) -> Answer:
        """Refuse: no exchange behind CTP amends an order."""
        text = "该交易通道不支持改单，请撤单后重报"
        return Answer(code=codes.BAD_PARAMETERS, order_id=order.order_id, text=text)

    def transfer(self, _account_id: str, _amount: float, *, bank_id: str = "") -> Answer:
        """Refuse: bank transfers are made with the broker's own programs."""
        return Answer(code=codes.BAD_PARAMETERS, text="该交易通道不支持银期转账")

    def _send(self, kind: Kind, record: bytes, number: int) -> None:
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

    async def durable(self, lsn: int) -> None:
        """Return when the front has shown the order of this answer; UnavailableError when that is unknown."""
        future = self._waits.get(lsn - 1)
        if future is None:
            return
        try:
            async with asyncio.timeout(CONFIRM_S):
                await asyncio.shield(future)
        except TimeoutError:
            raise UnavailableError("the front has not shown an order it was sent") from None

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
        elif got.kind in (Kind.INSERT, Kind.ERR_INSERT) and got.error:
            orders = self._refused(got)
        elif got.kind in SYNC:
            self._on_row(Kind(got.kind), got)
            return
        if orders or trades:
            self._stale = True
            self._changed(orders, trades)

    def _refused(self, got: Frame) -> list[int]:
        record = layout("InputOrder").read(got.record)
        key = Key(self._front, self._number, record.text("OrderRef"))
        text = f"{ctp_codes.text(got.error)}（{got.error}）"
        return self.book.on_refused(key, _house_code(got.error), text)

    def _changed(self, orders: list[int], trades: list[int]) -> None:
        for number in orders:
            future = self._waits.pop(number, None)
            if future is not None and not future.done():
                future.set_result(None)
        symbols = frozenset(self.book.trades[number].symbol for number in trades)
        self._tell(
            Change(account_id=self.account, orders=tuple(orders), trades=tuple(trades), symbols=symbols)
        )

    def _on_row(self, kind: Kind, got: Frame) -> None:
        rows = self._rows.get(kind)
        if rows is None or got.error:
            return
        names = {
            Kind.QRY_ORDER: "Order",
            Kind.QRY_TRADE: "Trade",
            Kind.QRY_POSITION: "InvestorPosition",
            Kind.QRY_ACCOUNT: "TradingAccount",
        }
        if got.record:
            rows.append(layout(names[kind]).read(got.record))
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
            self._compare()
            if not self.is_synced:
                self.is_synced = True
                self.synced_after_s = monotonic_s() - self._connected_s
                _log.info("ctp_synced", account=self.account, seconds=round(self.synced_after_s, 3))
            self._tell(Change(account_id=self.account))

    def _compare(self) -> None:
        """Set our own reckoning beside the broker's figures; what is new of their differences is told."""
        if self._stale:
            return  # something happened since they were asked for
        found = {*shadow.volumes(self._positions, self.book.trades), *shadow.money(self._funds)}
        for difference in sorted(found - self._shadow):
            self._differs(difference)
        self._shadow = found

    def _differs(self, difference: Difference) -> None:
        self.differences.append(difference)
        self._found.labels(difference.kind).inc()
        _log.warning("ctp_difference", kind=difference.kind, order_id=difference.order_id)


def _house_code(ctp: int) -> int:
    """Return the house's code of a CTP error."""
    return next((code.number for code in codes.table().values() if code.ctp == ctp), codes.BAD_PARAMETERS)


def _answer(number: int, order_id: str = "", order: int | None = None) -> Answer:
    return Answer(code=number, order_id=order_id, number=order, text=codes.describe(number).text)
