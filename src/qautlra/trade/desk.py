"""The desk beside the engine: orders of ended days, money moved, liquidation, equity, alerts.

Starts before the trade service and hears of it by hooks: nothing of a day that ends may be missed.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from qautlra.base import clock
from qautlra.base.errors import QautlraError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.base.service import Service
from qautlra.model.order import Direction, InsertOrder, Offset, TimeCondition
from qautlra.trade import board
from qautlra.trade.board import Board
from qautlra.trade.records import Records

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape
    from qautlra.trade.days import DayEnd
    from qautlra.trade.service import TradeService

EQUITY_S: Final = 60.0
EQUITY_COUNT: Final = 1_440
LIQUIDATION_TRIES: Final = 3
LIQUIDATION_WAIT_S: Final = 1.0
LIQUIDATION_SLIP: Final = 0.005
T = TypeVar("T")
_log = get_logger("trade")


class Desk(Service):
    """What doors ask for besides orders. Bounds: those of `records`; EQUITY_COUNT points an account."""

    name = "desk"

    def __init__(self, trade: TradeService, directory: Path, tape: Tape, instruments: Instruments) -> None:
        super().__init__()
        self.trade = trade
        self.tape = tape
        self.instruments = instruments
        self.equity: defaultdict[str, deque[tuple[int, float, float, float]]] = defaultdict(
            lambda: deque(maxlen=EQUITY_COUNT)
        )
        "By account: (market ns, balance, available, margin), once a minute; gone with the process."
        self.board = Board(self)
        self.alerted: list[Callable[[str, dict[str, Any]], None]] = []
        "Called with an account and each new alert of it."
        self._alerts_seen: dict[str, int] = {}
        self._directory = directory
        self._records: Records | None = None
        trade.day_ended.append(self._on_day)
        trade.on_turn.append(self._on_turn)

    # --- life ---

    async def start(self) -> None:
        """Open the records and take over what operators left."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._records = await self._in_thread(lambda: Records(self._directory))
        records = self.records
        self.board.load(*[await self.ask(records.kept, kind) for kind in board.KINDS])
        self.spawn(self.run(), "equity")

    async def run(self) -> None:
        """Note every account's equity once a minute."""
        while True:
            await asyncio.sleep(EQUITY_S)
            try:
                self.note_equity()
            except QautlraError:
                continue  # trading is not running

    def _on_turn(self) -> None:
        if self._records is not None:
            self.review()

    def review(self) -> None:
        """Look at every account that holds something."""
        engine, now_ns = self.trade.engine, self.trade.clock.now_ns()
        for account_id in engine.accounts():
            number = engine.number(account_id) or 0
            if not engine.funds(account_id)["margin"] and not engine.exchange.account(number).live_orders:
                continue
            if engine.exchange.review(number, now_ns):
                seen = self._alerts_seen.get(account_id, 0)
                for alert in engine.exchange.gate.alerts(number):
                    if alert["seq"] > seen:
                        self._alerts_seen[account_id] = alert["seq"]
                        for hook in self.alerted:
                            hook(account_id, alert)
        self.trade.wake()

    async def stop(self, grace_s: float) -> None:
        """Write what waits and close."""
        await self.cancel_tasks(grace_s)
        records, self._records = self._records, None
        if records is not None:
            await self._in_thread(records.close)
            self._writer.shutdown()

    @property
    def records(self) -> Records:
        """The records; UnavailableError while the service does not run."""
        if self._records is None:
            raise UnavailableError("the records are not open; try again in a moment")
        return self._records

    async def ask(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a call of `records` off the loop."""
        return await self._in_thread(partial(call, *arguments, **named))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    # --- prices ---

    def last(self, symbol: str) -> float | None:
        """Return the last price of an instrument, None when none is known."""
        snapshot = self.snapshot(symbol)
        value = snapshot.get("last_price") if snapshot else None
        return float(value) if isinstance(value, int | float) else None

    def snapshot(self, symbol: str) -> dict[str, Any] | None:
        """Return the newest snapshot of an instrument."""
        line = self.instruments.find(symbol)
        return self.tape.last(line) if line >= 0 else None

    def multiple(self, symbol: str) -> float:
        """Return how much of the underlying one lot is."""
        line = self.instruments.find(symbol)
        return float(self.instruments.info(line)["volume_multiple"] or 1) if line >= 0 else 1.0

    # --- equity ---

    def note_equity(self) -> None:
        """Note every account's equity now."""
        now_ns = self.trade.clock.now_ns()
        for account_id in self.trade.accounts():
            funds = self.trade.funds(account_id)
            self.equity[account_id].append((now_ns, funds["balance"], funds["available"], funds["margin"]))

    # --- days ---

    def _on_day(self, ended: DayEnd) -> None:
        """Keep the day's orders before it is settled: afterwards they are gone. On the loop, once a day."""
        self.records.put_orders(ended.trading_day, [(one.account_id, one.orders) for one in ended.accounts])

    # --- liquidation ---

    async def liquidate(self, account_id: str, reason: str, user_id: str) -> dict[str, Any]:
        """Cancel an account's orders and close its positions at prices that should trade; the record."""
        trade, name = self.trade, clock.new_token(6)
        before = trade.funds(account_id)
        trade.cancel_all(account_id)
        order_ids: list[str] = []
        for attempt in range(LIQUIDATION_TRIES):
            legs = trade.engine.exchange.account(trade.engine.number(account_id) or 0).liquidation()
            if not legs:
                break
            if attempt:
                await asyncio.sleep(LIQUIDATION_WAIT_S)
                legs = trade.engine.exchange.account(trade.engine.number(account_id) or 0).liquidation()
            for number, (instrument, side, offset, volume, price) in enumerate(legs):
                symbol = trade.engine.symbol(instrument)
                order = InsertOrder(
                    account_id=account_id,
                    order_id=f"LIQ{name}-{attempt}-{number}",
                    symbol=symbol,
                    direction=Direction(side),
                    offset=Offset(offset),
                    volume=volume,
                    limit_price=self._crossing(symbol, Direction(side), price),
                    time_condition=TimeCondition.IOC,
                    force=True,
                )
                trade.insert(order)
                order_ids.append(order.order_id)
        await trade.durable(trade.head_lsn)
        return await self._liquidated(account_id, reason, user_id, before, order_ids)

    def _crossing(self, symbol: str, direction: Direction, planned: float) -> float:
        """Return a price half a percent beyond the other side's best, on a tick and within the limits."""
        last, sells = self.snapshot(symbol) or {}, direction is Direction.SELL
        best = last.get("bid_price1" if sells else "ask_price1") or last.get("last_price")
        if not best:
            return planned
        tick = self.board.terms(symbol)[0]
        price = best * (1 - LIQUIDATION_SLIP) if sells else best * (1 + LIQUIDATION_SLIP)
        price = max(price, last.get("lower_limit") or tick)
        price = min(price, last.get("upper_limit") or price)
        whole = math.floor(price / tick + 1e-6) if sells else math.ceil(price / tick - 1e-6)
        if sells and whole * tick < (last.get("lower_limit") or 0) - 1e-9:
            whole += 1
        elif not sells and last.get("upper_limit") and whole * tick > last["upper_limit"] + 1e-9:
            whole -= 1
        return float(whole * tick)

    async def _liquidated(
        self, account_id: str, reason: str, user_id: str, before: dict[str, float], order_ids: list[str]
    ) -> dict[str, Any]:
        trade = self.trade
        orders = [found for name in order_ids if (found := trade.find(account_id, name)) is not None]
        closed = {order.symbol: 0 for order in orders}
        for order in orders:
            closed[order.symbol] += order.volume - order.volume_left
        after = trade.funds(account_id)
        left = trade.engine.exchange.account(trade.engine.number(account_id) or 0).liquidation()
        body: dict[str, Any] = {
            "account_id": account_id,
            "reason": reason,
            "by": user_id,
            "status": "filled" if not left else "partially_filled" if any(closed.values()) else "failed",
            "risk_ratio_before": before["risk_ratio"],
            "balance_before": before["balance"],
            "balance_after": after["balance"],
            "total_loss": before["balance"] - after["balance"],
            "instruments_closed": closed,
            "orders": order_ids,
        }
        ts_ns = clock.wall_ns()
        number = await self.ask(self.records.add, "liquidations", ts_ns, body, account_id)
        return {"id": number, "ts_ns": ts_ns} | body


def level_of(risk_ratio: float | None) -> str:
    """Return the risk level of a ratio (trading contract 6.2)."""
    ratio = risk_ratio or 0.0
    return "low" if ratio < 0.6 else "medium" if ratio < 0.8 else "high" if ratio < 0.95 else "critical"
