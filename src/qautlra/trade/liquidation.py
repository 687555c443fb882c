"""Forced liquidation: an account whose margin its balance no longer covers is closed, past the gate.

Its orders are withdrawn, then everything it holds is offered at prices that should trade, again up to
`trade.liquidation.retries` times; meanwhile the account can only close. Every step is noted first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qautlra._core import risk
from qautlra.base import metrics
from qautlra.base.errors import InputError
from qautlra.base.log import get_logger
from qautlra.model.order import Direction, InsertOrder, Offset, Order
from qautlra.trade.notes import Note, to_bytes
from qautlra.trade.statistics import money

if TYPE_CHECKING:
    from qautlra.trade.days import DayEnd
    from qautlra.trade.house import House
    from qautlra.trade.monitor import Monitor

KEPT_COUNT: Final = 1_000
AGAIN_NS: Final = 60_000_000_000
"A liquidation that did not close everything is followed by another after so long."
SECOND_NS: Final = 1_000_000_000
_log = get_logger("trade")


class Liquidation(Note, frozen=True, kw_only=True, tag="liquidation"):
    """One liquidation as it stands; money in CNY.

    `status`: pending (the market is closed), submitted, partially_filled; ends are filled, partially_filled,
    rejected and failed, told by `ended_ns`.
    """

    record_id: str
    account_id: str
    trading_day: int
    reason: str
    by: str
    started_ns: int
    risk_ratio_before: float | None
    balance_before: float
    status: str = "pending"
    attempt: int = 0
    next_ns: int = 0
    ended_ns: int = 0
    balance_after: float | None = None
    "None until it is over, as are the two below."
    profit: float | None = None
    "What the balance changed by, money moved in and out meanwhile left out."
    total_loss: float | None = None
    "The profit where it is a loss, as a number from 0."
    instruments_closed: dict[str, int] = msgspec.field(default_factory=dict)
    "Lots by symbol."
    order_ids: tuple[str, ...] = ()
    reducing: bool = False
    "The account was ACTIVE before: it is again when everything is closed."
    moved: float = 0.0
    "Money moved in on this trading day before it began, less what came in on earlier days since."

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done about it."""
        return self.ended_ns > 0


class Liquidator:
    """Runs the liquidations of one service. Bound: one at a time per account, KEPT_COUNT records."""

    def __init__(self, trade: House, monitor: Monitor) -> None:
        self._trade = trade
        self._monitor = monitor
        self._records: dict[str, Liquidation] = {}
        self._active: dict[str, str] = {}  # account: record
        self._last: dict[str, str] = {}
        self._unclosed: dict[str, str] = {}  # given up, the account still reducing
        self._done = metrics.counter(
            "qautlra_trade_liquidations_count", "Liquidations by their end", ["status"]
        )
        metrics.watch("qautlra_trade_liquidations_active_count", "Under way", lambda: len(self._active))
        trade.notes.register(Liquidation, self._restore, lambda: self._records.values())
        trade.day_ended.append(self._on_day_end)
        trade.on_turn.append(self.step)
        monitor.endangered.append(self.consider)

    def _restore(self, notes: list[Liquidation]) -> None:
        for table in (self._records, self._active, self._last, self._unclosed):
            table.clear()
        for record in notes:
            self._put(record)

    # --- reads ---

    def records(self, account_id: str | None = None, count: int = 100) -> list[Liquidation]:
        """Return the newest liquidations, of an account or of all, newest first."""
        found = [one for one in self._records.values() if account_id in (None, one.account_id)]
        return found[::-1][: max(count, 0)]

    def record(self, record_id: str) -> Liquidation | None:
        """Return a liquidation."""
        return self._records.get(record_id)

    # --- running ---

    def consider(self, account_id: str) -> None:
        """Liquidate the account if its risk is at the trigger and none is under way or just over."""
        settings = self._trade.settings.liquidation
        if not settings.enabled or account_id in self._active:
            return
        ratio = self._trade.funds(account_id)["leverage"]
        if not ratio >= settings.trigger_ratio:
            return
        last = self._records.get(self._last.get(account_id, ""))
        if last is None or self._trade.clock.now_ns() >= last.ended_ns + AGAIN_NS:
            shown = f"{ratio * 100:.2f}%" if math.isfinite(ratio) else "-"
            self.start(account_id, reason=f"风险度:{shown}")

    def start(self, account_id: str, *, reason: str, by: str = "") -> Liquidation:
        """Begin to liquidate an account; return the record, the one under way if there is one.

        KeyError for an account there is not, InputError for one that trades outside: its broker sees to it.
        """
        if (seat := self._trade.router.seat(account_id)) is not None:
            raise InputError(f"{account_id} trades with {seat.broker.bid}, which liquidates it", status=409)
        active = self._active.get(account_id)
        if active is not None:
            return self._records[active]
        trade = self._trade
        funds = trade.funds(account_id)
        ratio, day = funds["leverage"], trade.trading_day
        number = sum(one.trading_day == day for one in self._records.values()) + 1
        last = self._records.get(self._last.get(account_id, ""))
        record = Liquidation(
            record_id=f"LIQ{day:08d}{number:06d}",
            account_id=account_id,
            trading_day=day,
            reason=reason,
            by=by,
            started_ns=trade.clock.now_ns(),
            risk_ratio_before=ratio if math.isfinite(ratio) else None,
            balance_before=funds["balance"],
            moved=_moved(funds),
            reducing=self._monitor.state(account_id) == "ACTIVE"
            or (last is not None and last.reducing and last.status != "filled"),
        )
        if not self._note(record):
            return record
        trade.engine.exchange.set_state(risk.REDUCING, trade.engine.number(account_id))
        _log.warning("liquidation", account_id=account_id, record_id=record.record_id, reason=reason)
        self._go_on(record)
        return self._records[record.record_id]

    def step(self) -> None:
        """Go on with what is under way; what was given up may have been closed since."""
        for record_id in list(self._active.values()):
            self._go_on(self._records[record_id])
        for account_id, record_id in list(self._unclosed.items()):
            if account_id not in self._active and not self._holds(account_id):
                record = self._records[record_id]
                self._finish(self._with_closed(record, self._orders(record)), "filled")

    def _go_on(self, record: Liquidation) -> None:
        trade = self._trade
        orders = self._orders(record)
        record = self._with_closed(record, orders)
        if not self._holds(record.account_id):
            self._finish(record, "filled")
        elif record.attempt == 0 or trade.clock.now_ns() >= record.next_ns:
            if record.attempt > trade.settings.liquidation.retries:
                self._give_up(record, orders)
            else:
                self._attempt(record)
        elif orders and all(order.code for order in orders):
            self._give_up(record, orders)
        else:
            self._told(record)

    def _told(self, record: Liquidation) -> None:
        status = "partially_filled" if record.instruments_closed else record.status
        record = msgspec.structs.replace(record, status=status)
        if record != self._records[record.record_id]:
            self._note(record)

    def _attempt(self, record: Liquidation) -> None:
        """Withdraw what rests and offer everything that is traded now."""
        trade, settings = self._trade, self._trade.settings.liquidation
        engine = trade.engine
        trade.cancel_all(record.account_id)
        for position in trade.positions(record.account_id):
            engine.quote(position["symbol"])
        number = engine.number(record.account_id)
        assert number is not None
        plan = engine.exchange.account(number).liquidation(settings.slip_ratio, settings.volume_max)
        plan = [one for one in plan if trade.is_open(engine.symbol(one[0]))]
        if not plan:
            self._told(record)
            return
        attempt = record.attempt + 1
        ids = [f"{record.record_id}.{attempt}.{place}" for place in range(1, len(plan) + 1)]
        record = msgspec.structs.replace(
            record,
            attempt=attempt,
            status="partially_filled" if record.instruments_closed else "submitted",
            next_ns=trade.clock.now_ns() + settings.retry_s * SECOND_NS,
            order_ids=(*record.order_ids, *ids),
        )
        if not self._note(record):
            return
        for order_id, (instrument, side, offset, volume, price) in zip(ids, plan, strict=True):
            trade.insert(
                InsertOrder(
                    account_id=record.account_id,
                    order_id=order_id,
                    symbol=engine.symbol(instrument),
                    direction=Direction(side),
                    offset=Offset(offset),
                    volume=volume,
                    limit_price=price,
                    force=True,
                )
            )
        self._go_on(record)

    def _give_up(self, record: Liquidation, orders: list[Order]) -> None:
        """Not everything could be closed; what the last attempt offers stays in the market."""
        refused = bool(orders) and all(order.code for order in orders)
        status = "partially_filled" if record.instruments_closed else "rejected" if refused else "failed"
        self._finish(record, status)

    def _finish(self, record: Liquidation, status: str) -> None:
        trade = self._trade
        funds = trade.funds(record.account_id)
        profit = money(funds["balance"], -record.balance_before, -_moved(funds), record.moved)
        record = msgspec.structs.replace(
            record,
            status=status,
            ended_ns=trade.clock.now_ns(),
            balance_after=funds["balance"],
            profit=profit,
            total_loss=max(0.0, -profit),
        )
        if not self._note(record):
            return
        self._done.labels(status).inc()
        if status == "filled" and record.reducing:
            trade.engine.exchange.set_state(risk.ACTIVE, trade.engine.number(record.account_id))
        _log.warning("liquidated", account_id=record.account_id, record_id=record.record_id, status=status)

    def _holds(self, account_id: str) -> bool:
        positions = self._trade.positions(account_id)
        return any(one["volume_long"] or one["volume_short"] for one in positions)

    def _with_closed(self, record: Liquidation, orders: list[Order]) -> Liquidation:
        closed = dict.fromkeys((order.symbol for order in orders), 0)
        for order in orders:
            closed[order.symbol] += order.volume - order.volume_left
        closed = {symbol: lots for symbol, lots in closed.items() if lots}
        # Orders are of a day: those of a day that is over are known by what was noted then.
        return msgspec.structs.replace(record, instruments_closed=closed) if orders else record

    def _orders(self, record: Liquidation) -> list[Order]:
        found = (self._trade.find(record.account_id, order_id) for order_id in record.order_ids)
        return [order for order in found if order is not None]

    def _on_day_end(self, _ended: DayEnd) -> None:
        """Orders and ids are of a day; what is left is looked at anew after the settlement."""
        for record_id in list(self._active.values()):
            record = self._records[record_id]
            self._give_up(record, self._orders(record))
        for account_id, record_id in list(self._unclosed.items()):
            record, moved = self._records[record_id], _moved(self._trade.funds(account_id))
            self._note(msgspec.structs.replace(record, moved=record.moved - moved))

    # --- keeping ---

    def _note(self, record: Liquidation) -> bool:
        code, _ = self._trade.note(to_bytes(record))
        if code:
            _log.error("liquidation_not_noted", account_id=record.account_id, code=code)
            return False
        self._put(record)
        return True

    def _put(self, record: Liquidation) -> None:
        self._records.pop(record.record_id, None)
        self._records[record.record_id] = record
        self._last[record.account_id] = record.record_id
        if record.is_over and record.reducing and record.status != "filled":
            self._unclosed[record.account_id] = record.record_id
        else:
            self._unclosed.pop(record.account_id, None)
        if record.is_over:
            self._active.pop(record.account_id, None)
        else:
            self._active[record.account_id] = record.record_id
        if len(self._records) > KEPT_COUNT:
            wanted = {*self._active.values(), *self._unclosed.values()}
            del self._records[next(name for name in self._records if name not in wanted)]


def _moved(funds: dict[str, float]) -> float:
    return funds["deposit"] - funds["withdraw"]


def to_dict(record: Liquidation) -> dict[str, Any]:
    """Return a record as doors show it."""
    hidden = ("reducing", "moved", "next_ns")
    return {name: value for name, value in msgspec.structs.asdict(record).items() if name not in hidden}
