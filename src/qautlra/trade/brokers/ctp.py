"""Trading at a CTP front in the words of the trading service, for one account.

SYNCED only after a login, the private flow told again, and a round of four queries that are all answered;
until then orders are refused. What was sent and not shown is unknown and never sent again; what a login does
not show, nor a query CONFIRM_S later, has never arrived. No order waits for a link.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import StorageError
from qautlra.base.log import get_logger
from qautlra.link.ctp_login import TRADER_STEPS, State
from qautlra.link.ctp_session import CtpSession, SessionOptions, new_brain
from qautlra.model import codes
from qautlra.model.order import VOLUME_MAX, Answer, CancelOrder, Change, InsertOrder
from qautlra.trade.brokers.base import CONFIRM_S, AccountBroker, answer
from qautlra.trade.brokers.ctp_book import CtpBook
from qautlra.trade.brokers.ctp_notes import Note, Notes, refusal
from qautlra.trade.brokers.ctp_outbox import Outbox
from qautlra.trade.brokers.ctp_rates import RATES
from qautlra.trade.brokers.ctp_round import Round
from qautlra.trade.brokers.ctp_standing import Standing
from qautlra.trade.brokers.shadow import Difference, Market
from qautlra.wire import ctp_broker as wire
from qautlra.wire import ctp_codes
from qautlra.wire.ctp_frames import RECORDS, Frame, Kind
from qautlra.wire.ctp_orders import Key, RefusedError, action_key
from qautlra.wire.ctp_records import Record, layout
from qautlra.wire.ctp_status import read_status

QUIET_S: Final = 0.3
QUIET_MOST_S: Final = 60.0
"""An account that somebody else trades without a pause is asked about all the same."""
RETRY_S: Final = 0.01
COMPARE_S: Final = 30.0
SETTLE_S: Final = 0.2
DIFFERENCES_COUNT: Final = 100
SYNC: Final = (Kind.QRY_ORDER, Kind.QRY_TRADE, Kind.QRY_POSITION, Kind.QRY_ACCOUNT)
_log = get_logger("trade")


class CtpBroker(AccountBroker):
    """One account at one front. Bounds: the day's orders, and what its outbox holds back.

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
        self._withdrawing: set[int] = set()
        "Numbers of living orders whose withdrawal has been asked for."
        self.synced_after_s = 0.0
        self.status_told: Callable[[str, int], None] = lambda _name, _phase: None
        "Told in which phase the exchange says a product or an instrument is."
        self.status_lost: Callable[[], None] = lambda: None
        "Told that the link is gone, and with it what was told."
        self.differences: deque[Difference] = deque(maxlen=DIFFERENCES_COUNT)
        self.standing = Standing(self.book, market, margin_side=margin_side)
        self._is_synced = False
        self._options = options
        self._now_ns = now_ns
        self._is_open = is_open
        self._notes = Notes(notes)
        self._session = self._new_session()
        self._front = self._number = self._ref = 0
        self._heard_s = self._confirmed_s = self._connected_s = self._compare_s = self._acted_s = 0.0
        self._round = Round()
        self._overdue: set[int] = set()  # orders that the order query of this round decides
        self._lost: frozenset[int] = frozenset()  # orders that this login has not shown: decided at `_lost_s`
        self._lost_s = 0.0
        self._outbox = Outbox(lambda kind, record: self._session.request(kind, record), self._ended)
        self._stale = False
        self._account_day = ""  # of the first figures after the login
        self._differences_count = 0
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
        return self._differences_count

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
            "held_orders": len(self._outbox),
        }
        if self._round.failure:
            found["reason"] = self._round.failure
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
            self._heard_s = self._confirmed_s = monotonic_s()

    def _logged_in(self) -> None:
        login = self._session.login
        assert login is not None
        self._account_day = ""
        text = login.text("TradingDay")
        day = int(text) if text.isdigit() else 0
        # Opened before anything is forgotten; where the day is the same, the book has all of them already.
        notes = self._notes.open(day) if day != self._day or not self._notes.is_open else []
        if day != self._day:
            self._day = day
            self.book.clear()
            self._withdrawing.clear()
            self.standing.clear()
            for note in notes:
                self.book.sent(note.order, note.key, note.sent_ns)
                if note.code:
                    self.book.on_refused(note.key, note.code, note.text)
            self._tell(Change(account_id=self.account, day=True))
        highest = login.text("MaxOrderRef")
        self._front, self._number = login.whole("FrontID"), login.whole("SessionID")
        self._ref = max(self._ref, self.book.highest_ref, int(highest) if highest.isdigit() else 0)

    def _lose(self) -> None:
        """The link is gone: nothing that waits is sent later, and what was sent is unknown until shown."""
        self._is_synced = False
        self.status_lost()
        self._round.drop()
        self._overdue = set()
        self._lost = frozenset()
        self.standing.rates.drop()
        self._outbox.drop()
        self._not_known(self._sent)

    async def _keep(self) -> None:
        """Begin the queries once the flow is quiet, send what flow control held, keep the figures fresh."""
        while True:
            await asyncio.sleep(RETRY_S if self._outbox else 0.05)
            now_s = monotonic_s()
            session = self._session
            self._outbox.flush()
            self._follow_prices()
            waits = session.brain.state is not State.CONFIRMED or session.queries_waiting
            if waits or not self._round.may_begin(now_s):
                continue
            if not self.is_synced:
                if now_s - self._heard_s >= QUIET_S or now_s - self._confirmed_s >= QUIET_MOST_S:
                    self._begin(SYNC)
            elif overdue := self.book.overdue(now_s - CONFIRM_S):
                self._overdue = overdue
                self._begin(SYNC)
            elif self._lost and now_s >= self._lost_s:
                self._overdue = set(self._lost)
                self._begin(SYNC)
            elif self._stale or self._round.failure or now_s >= self._compare_s:
                self._begin((Kind.QRY_POSITION, Kind.QRY_ACCOUNT))

    def _begin(self, kinds: Sequence[Kind]) -> None:
        self._stale = False
        self._round.begin(kinds)
        self._ask(*kinds)

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
        if not 1 <= order.volume <= VOLUME_MAX or order.volume != int(order.volume):
            return answer(codes.BAD_VOLUME, order.order_id)
        if not self.is_synced or self._outbox.is_full:
            return answer(codes.UNAVAILABLE, order.order_id)
        key, options = Key(self._front, self._number, str(self._ref + 1)), self._options
        try:
            record = wire.write_input(order, broker=options.broker_id, user=options.user_id, ref=key.ref)
        except RefusedError as refused:
            return answer(wire.house_code(refused.code), order.order_id)
        self._ref += 1
        now_ns = self._now_ns()
        try:
            self._notes.write(Note(self._day, key.front, key.session, key.ref, now_ns, order))
        except StorageError:
            return answer(codes.NOT_JOURNALED, order.order_id)
        number = self.book.sent(order, key, now_ns)
        lsn = self._await_shown(order.order_id)
        self._want_rates((order.symbol,))
        if not self._outbox.put(Kind.INSERT, record, number):
            return answer(codes.UNAVAILABLE, order.order_id, number)
        self._tell(Change(account_id=self.account, orders=(number,)))
        return Answer(code=0, order_id=order.order_id, number=number, lsn=lsn)

    def cancel(self, order: CancelOrder) -> Answer:
        """Ask for an order's withdrawal; 5002 when that can neither be sent nor held."""
        number = self.book.number(order.order_id)
        key = self.book.key(number) if number is not None else None
        if number is None or key is None:
            return answer(codes.NO_ORDER, order.order_id)
        shown, options = self.book.orders[number], self._options
        record = wire.write_cancel(key, shown, broker=options.broker_id, user=options.user_id)
        if not self.is_synced or not self._outbox.put(Kind.ACTION, record, number):
            return answer(codes.UNAVAILABLE, order.order_id, number)
        self._withdrawing.add(number)
        return Answer(code=0, order_id=order.order_id, number=number)

    def _ended(self, kind: Kind, number: int, is_sent: bool) -> None:
        """A request is out of the house, or will never be."""
        self._acted_s = monotonic_s()
        order = self.book.orders[number]
        if kind == Kind.ACTION:
            if not is_sent:
                self._keep_alive(number, codes.UNAVAILABLE, "")
        elif is_sent:
            self.book.went(number, self._acted_s)
        else:
            self.book.not_sent(number, codes.UNAVAILABLE)
            self._note_refusal(number)
            self._shown(order.order_id)
            self._tell(Change(account_id=self.account, orders=(number,)))

    def _note_refusal(self, number: int) -> None:
        """No query will show it: without a note a restart would take it for unknown."""
        order, key = self.book.orders[number], self.book.key(number)
        assert key is not None
        try:
            self._notes.write(refusal(self._day, key, order))
        except StorageError as error:
            _log.warning("refusal_not_noted", order_id=order.order_id, reason=error.message)

    def funds(self, _account_id: str) -> dict[str, float]:
        """Return the account's money: our ledger's while that agrees, else what the broker last showed."""
        return self.standing.funds()

    def positions(self, _account_id: str) -> list[dict[str, Any]]:
        """Return the account's positions, from where its money comes."""
        return self.standing.positions()

    @property
    def waiting_count(self) -> int:
        """How many orders and trades our ledger has not booked yet."""
        return self.standing.shadow.waiting_count

    def reckoning(self) -> dict[str, Any]:
        """Return our ledger's figures beside the broker's as of the last comparison, and what differed."""
        differences = [one._asdict() for one in self.differences]
        return {"figures": self.standing.figures(), "differences": differences}

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
        elif got.kind == Kind.INSERT and got.error:  # ERR_INSERT names no session: it may be another's order
            orders = self._refused(got)
        elif got.kind in SYNC:
            self._on_row(got)
            return
        elif got.kind in (Kind.ACTION, Kind.ERR_ACTION) and got.error:
            self._not_withdrawn(got)
        elif got.kind == Kind.ERROR and got.error:
            _log.warning("ctp_says", account=self.account, request=got.request, code=got.error)
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
        refused = self.book.on_refused(key, wire.house_code(got.error), text)
        for number in refused:
            self._note_refusal(number)
        if got.error == ctp_codes.NOT_CONFIRMED:  # for a day that we do not know of yet
            self._stale = True
        return refused

    def _not_withdrawn(self, got: Frame) -> None:
        """The front refuses a withdrawal, or its exchange does, of which every session hears."""
        name = "InputOrderAction" if got.kind == Kind.ACTION else "OrderAction"
        number = self.book.named(action_key(layout(name).read(got.record)))
        text = f"{ctp_codes.text(got.error)}（{got.error}）"
        if number is not None:
            self._keep_alive(number, wire.house_code(got.error), text)

    def _keep_alive(self, number: int, code: int, text: str) -> None:
        """Tell once that an order we wanted withdrawn was not."""
        if number not in self._withdrawing:
            return
        self._withdrawing.discard(number)
        order_id = self.book.orders[number].order_id
        _log.warning("ctp_cancel_refused", account=self.account, order_id=order_id, code=code, text=text)
        refused = Answer(code=code, order_id=order_id, number=number, text=text)
        self._tell(Change(account_id=self.account, refused=(refused,)))

    def _changed(self, orders: list[int], trades: list[int]) -> None:
        for number in orders:
            self._shown(self.book.orders[number].order_id)
            self.standing.shadow.note(self.book.orders[number])
            if not self.book.orders[number].is_alive:
                self._withdrawing.discard(number)
        for number in trades:
            self.standing.shadow.note(self.book.trades[number])
        late = tuple(number for number in self.standing.book() if number not in trades)
        symbols = frozenset(self.book.trades[number].symbol for number in (*trades, *late))
        self._tell(
            Change(
                account_id=self.account,
                orders=tuple(orders),
                trades=tuple(trades),
                reckoned=late,
                symbols=symbols,
            )
        )

    def _on_row(self, got: Frame) -> None:
        failed = self._round.failure
        rows = self._round.take(got, monotonic_s())
        if rows is not None:
            self._answered(Kind(got.kind), rows)
        elif self._round.failure != failed:
            _log.warning("ctp_query_failed", account=self.account, reason=self._round.failure)

    def _answered(self, kind: Kind, rows: list[Record]) -> None:
        if kind == Kind.QRY_ORDER:
            self._on_orders(rows)
        elif kind == Kind.QRY_TRADE:
            self._on_trades(rows)
        elif kind == Kind.QRY_POSITION:
            self.standing.show_positions(rows)
        elif self._is_of_another_day(rows[0]):
            return
        else:
            self.standing.show_funds(rows[0])
            self._reckon()
        if not self._round.is_done:
            return
        if not self._is_synced:
            self._is_synced = True
            self.synced_after_s = monotonic_s() - self._connected_s
            _log.info("ctp_synced", account=self.account, seconds=round(self.synced_after_s, 3))
        self._tell(Change(account_id=self.account, symbols=self.standing.symbols()))

    def _is_of_another_day(self, funds: Record) -> bool:
        """Begin again where the front has settled under a link that stands: our day is over then.

        What counts is that its figures' day changes: a front may call it otherwise than in its login.
        """
        day = funds.text("TradingDay")
        if not day or self._account_day in ("", day):
            self._account_day = day
            return False
        _log.info("ctp_new_day", account=self.account, trading_day=day)
        self._session.enter_anew(f"the front's trading day is {day} now")
        return True

    def _on_orders(self, rows: list[Record]) -> None:
        """Take the answer to the order query; while orders go out only those overdue can be decided by it."""
        changed = [n for row in rows for n in self.book.on_order(row, self._now_ns())]
        for number in changed:
            if not self._is_synced or number in self._overdue:
                self._differs(Difference("order", self.book.orders[number].order_id, "not in the flow so"))
        ended: list[int] = []
        if self._is_synced:
            missing = [n for n in sorted(self._overdue) if not self.book.is_shown(n)]
            ended = [n for n in missing if n in self._lost]
            found = [self.book.unknown(n) for n in missing if n not in self._lost]
            self._lost -= self._overdue
        else:
            differences = self.book.reconcile({wire.key(row) for row in rows})
            found = [one for one in differences if one.kind != "volume"]  # trades are asked for next
            self._lost, self._lost_s = self.book.silent, monotonic_s() + CONFIRM_S
        self._overdue = set()
        for difference in found:
            self._differs(difference)
        unknown = [one.subject for one in found if one.kind == "unknown"]
        self._not_known(unknown)
        self._changed(changed, self.book.adopt())
        if unknown:
            numbers = (self.book.number(order_id) for order_id in unknown)
            self._tell(Change(account_id=self.account, orders=tuple(n for n in numbers if n is not None)))
        for number in ended:
            self.book.not_sent(number, codes.NEVER_ARRIVED)
            self._note_refusal(number)
            _log.warning(
                "order_not_there", account_id=self.account, order_id=self.book.orders[number].order_id
            )
        if ended:
            self._tell(Change(account_id=self.account, orders=tuple(ended)))

    def _on_trades(self, rows: list[Record]) -> None:
        new = [n for row in rows for n in self.book.on_trade(row)]
        if not self._is_synced:  # else the flow and this answer have only crossed
            for number in new:
                self._differs(Difference("trade", self.book.trades[number].order_id, "not in the flow"))
            shown = {key for n in range(len(self.book.orders)) if (key := self.book.key(n)) is not None}
            for difference in self.book.reconcile(shown):
                if difference.kind == "volume":
                    self._differs(difference)
        self._changed([], new)

    # --- our own ledger ---

    def _reckon(self) -> None:
        """Set our ledger beside the broker's figures, once its rates of everything in it are known."""
        now_s = monotonic_s()
        self._compare_s = now_s + COMPARE_S
        standing = self.standing
        if standing.rates.is_waiting:
            return  # again when they are here
        if self._stale or self._sent or now_s < self._acted_s + SETTLE_S:
            self._compare_s = now_s + SETTLE_S
            return  # something happened since they were asked for, or is on its way
        self._want_rates(standing.needed())
        if standing.rates.is_waiting:
            return
        standing.open()
        self._tell_reckoned()
        was = standing.agrees
        found, is_fresh = standing.compare()
        for difference in found:
            self._differs(difference)
        if is_fresh:
            self._compare_s = 0.0
        if was != standing.agrees:
            self._tell(Change(account_id=self.account, symbols=standing.symbols()))

    def _want_rates(self, symbols: Iterable[str]) -> None:
        """Ask for the broker's rates of what has none yet: before the first trade, where that can be."""
        for symbol in self.standing.rates.want(symbols):
            self._ask(*RATES, symbol=symbol)

    def _on_rate(self, got: Frame) -> None:
        known = self.standing.rates.take(got)
        if known is not None:
            self._tell_reckoned()
            self._stale = self._stale or not known  # asked again, after the figures have had their turn
            self._reckon()

    def _follow_prices(self) -> None:
        """Tell of positions whose price has moved."""
        moved = self.standing.shadow.mark()
        if moved:
            self._tell(Change(account_id=self.account, symbols=frozenset(moved)))

    def _tell_reckoned(self) -> None:
        if reckoned := self.standing.book():
            symbols = frozenset(self.book.trades[number].symbol for number in reckoned)
            self._tell(Change(account_id=self.account, reckoned=tuple(reckoned), symbols=symbols))

    def _differs(self, difference: Difference) -> None:
        self.differences.append(difference)
        self._differences_count += 1
        self._found.labels(difference.kind).inc()
        _log.warning("ctp_difference", account_id=self.account, **difference._asdict())
        text = f"{difference.subject}: {difference.detail}"
        self._tell(Change(account_id=self.account, differences=(text,)))
