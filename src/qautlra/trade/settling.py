"""The end of a trading day: its statements are kept, then it is settled; by the clock, or by an operator.

A statement that cannot be kept leaves the day unsettled: the service fails and tries again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from qautlra.model import codes
from qautlra.model.order import Answer
from qautlra.trade.days import DayEnd, Days, SettlementPrice
from qautlra.trade.statements import Statement, Statements
from qautlra.wire import settlement

if TYPE_CHECKING:
    from pathlib import Path

    from qautlra.trade.service import TradeService


class Settling:
    """Ends days of one service. `days` is None while it does not run."""

    def __init__(self, trade: TradeService, path: Path) -> None:
        self.statements = Statements(path)
        self.days: Days | None = None
        self._trade = trade
        trade.notes.register(SettlementPrice, self._restore)

    def _restore(self, notes: list[SettlementPrice]) -> None:
        if self.days is not None:
            self.days.restore_prices(notes)

    def follow(self) -> None:
        """Settle and begin the next trading day when the market clock has reached it."""
        if self.days is not None:
            for ended in self.days.follow():
                self._end(self.days, ended)

    def settle(self, *, by: str, force: bool = False) -> Answer:
        """Settle the traded day by hand: when its market is over, or by `force`; else 6002 or 6004."""
        days = self.days
        if days is None:
            return _answer(codes.UNAVAILABLE)
        code = days.may_settle(force=force)
        if code:
            return _answer(code)
        self._end(days, days.end(days.next_day()), by)
        return _answer(0, self._trade.head_lsn)

    def refusal(self, symbol: str, price: float, *, force: bool = False) -> int:
        """Return the code that `set_price` would answer with, 0 when it would set the price."""
        code = codes.UNAVAILABLE if self.days is None else self.days.refusal(symbol, price, force=force)
        self._trade.wake()
        return code

    def set_price(self, symbol: str, price: float, *, force: bool = False) -> Answer:
        """Set an instrument's settlement price for the traded day, in the place of the feed's.

        It acts when the day is settled. Off the tick (3004) and beyond the day's limits (4002, 4003) it is
        refused unless by `force`.
        """
        days = self.days
        code = codes.UNAVAILABLE if days is None else days.set_price(symbol, price, force=force)
        self._trade.wake()
        return _answer(code, 0 if code else self._trade.head_lsn)

    def prices(self) -> dict[str, float]:
        """Return what was set for the traded day, by symbol."""
        engine = self._trade.engine
        return {engine.symbol(number): price for number, price in engine.settlement_prices.items()}

    async def statement_of(self, account_id: str, trading_day: int = 0) -> Statement | None:
        """Return an account's statement of a day, of the newest without one; None when there is none."""
        return await asyncio.to_thread(self.statements.get, account_id, trading_day)

    async def text(self, account_id: str, trading_day: int = 0) -> str:
        """Return the text of a statement, empty when there is none."""
        found = await self.statement_of(account_id, trading_day)
        return await asyncio.to_thread(settlement.render, found) if found is not None else ""

    def _end(self, days: Days, ended: DayEnd, by: str = "") -> None:
        trade = self._trade
        if ended.trading_day:
            transfers = {account_id: trade.transfers(account_id) for account_id in trade.accounts()}
            self.statements.put(ended, transfers, trade.clock.now_ns(), by)
            for hook in trade.day_ended:
                hook(ended)
        trade.collect()  # numbers of orders and trades begin again with the next day
        days.settle(ended)
        trade.router.new_day()
        trade.forget_day()


def _answer(code: int, lsn: int = 0) -> Answer:
    return Answer(code=code, text=codes.describe(code).text if code else "", lsn=lsn)
