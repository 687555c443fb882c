"""The end of a trading day: settled at one moment, by the clock or by an operator; then its papers are made.

Where statements cannot be kept no day is settled: the service fails and tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qautlra.base.loop import used_up
from qautlra.model import codes
from qautlra.model.order import Answer
from qautlra.trade.days import DayEnd, Days, SettlementPrice
from qautlra.trade.papers import DayMaker, Papers
from qautlra.trade.statements import DayStatements, Settlement, Statement, Statements
from qautlra.wire import settlement

if TYPE_CHECKING:
    from pathlib import Path

    from qautlra._core.exchange import Exchange
    from qautlra.trade.house import House
    from qautlra.trade.transfers import Transfer


class Settling:
    """Ends days of one service. `days` is None while it does not run."""

    def __init__(self, trade: House, path: Path) -> None:
        self.statements = Statements(path)
        self.papers = Papers()
        self.days: Days | None = None
        self._trade = trade
        trade.notes.register(SettlementPrice, self._restore)

    def _restore(self, notes: list[SettlementPrice]) -> None:
        if self.days is not None:
            self.days.restore_prices(notes)

    def resume(self, ended: Exchange | None, transfers: Sequence[Transfer]) -> None:
        """Take up what a kill interrupted: the papers of the day that was settled last. Blocks."""
        self.papers.forget()
        found = self.statements.begun(ended.trading_day) if ended is not None else None
        if ended is not None and found is not None:
            day = DayEnd(self._trade.engine, ended, found.trading_day, found.next_day, found.prices)
            moved: dict[str, list[Transfer]] = {}
            for one in transfers:
                if one.trading_day == ended.trading_day:
                    moved.setdefault(one.account_id, []).append(one)
            self._keep(day, found, moved)

    async def settled(self) -> Statements:
        """Return the statements once none are being made."""
        await self.papers.settled()
        return self.statements

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
        return await asyncio.to_thread((await self.settled()).get, account_id, trading_day)

    async def text(self, account_id: str, trading_day: int = 0) -> str:
        """Return the text of a statement, empty when there is none."""
        return (await self.text_of(account_id, trading_day))[1]

    async def text_of(self, account_id: str, trading_day: int = 0) -> tuple[int, str]:
        """Return a statement's day and its text; (0, "") when there is none."""
        statements = await self.settled()

        def made() -> tuple[int, str]:
            found = statements.get(account_id, trading_day)
            if found is None:
                return 0, ""
            text = settlement.render(found)
            for _ in used_up(found.trades):
                pass
            return found.trading_day, text

        return await asyncio.to_thread(made)

    def _end(self, days: Days, ended: DayEnd, by: str = "") -> None:
        trade = self._trade
        self.papers.finish()  # of the day before, where they are not done yet
        settlement = Settlement(
            trading_day=ended.trading_day,
            next_day=ended.next_day,
            market_ns=trade.clock.now_ns(),
            by=by,
            prices=ended.prices,
        )
        if ended.trading_day:
            self.statements.begin(settlement)
            for hook in trade.day_ended:
                hook(ended)
        trade.collect()  # numbers of orders and trades begin again with the next day
        is_settled = days.settle(ended)
        trade.begin_day(ended.trading_day)
        if ended.trading_day and is_settled:
            self._keep(ended, settlement, {name: trade.transfers(name) for name in ended.names()})
        trade.forget_day()
        self.papers.step()

    def _keep(self, day: DayEnd, settlement: Settlement, transfers: dict[str, list[Transfer]]) -> None:
        trade = self._trade

        def makers() -> list[DayMaker]:
            made = [make(settlement, transfers) for make in trade.day_makers]
            # The statements are last: they say that all is there.
            return [*made, DayStatements(self.statements, settlement, transfers)]

        self.papers.begin(day, makers, lambda day: trade.engine.exchange.reuse(day.exchange))


def _answer(code: int, lsn: int = 0) -> Answer:
    return Answer(code=code, text=codes.describe(code).text if code else "", lsn=lsn)
