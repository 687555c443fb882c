"""What is kept of a settled day - statements, orders, documents - made a few at a time, beside other work.

The day is read from the exchange as it was before it was settled, which that one keeps. A kill loses nothing
of it: no replay begins behind a day whose papers are not kept, so the next start has that exchange again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from qautlra.base.errors import QautlraError
from qautlra.base.log import get_logger
from qautlra.base.loop import SLICE_COUNT, batched, give_way
from qautlra.trade.days import AccountDay

if TYPE_CHECKING:
    from qautlra.model.order import Order, Trade
    from qautlra.trade.days import DayEnd

POSITION_COUNT: Final = 4
"A position is so many items' work."
POSITIONS_COUNT: Final = 64
"Positions that are made into something at a time."
ACCOUNT_COUNT: Final = 8
_log = get_logger("trade")


class DayMaker:
    """Makes one kind of papers of one day: accounts are added, then all is written, then it is done."""

    def add(self, one: AccountDay) -> Iterator[int]:
        """Take an account, in steps; each yields how many items it was."""
        yield 0

    def write(self) -> None:
        """Keep what was made; in a thread, may block. The same day again replaces it; StorageError."""

    def done(self) -> None:
        """Everything of the day is written; on the loop."""


Makers = Callable[[], list[DayMaker]]


class Papers:
    """The papers of one service. Bound: one day. One of few orders is done at once; what cannot be written is
    tried again with the next turn of the service.
    """

    def __init__(self) -> None:
        self._day: DayEnd | None = None
        self._makers: Makers = list
        self._made: list[DayMaker] = []
        self._work: Iterator[int] = iter(())
        self._task: asyncio.Task[None] | None = None
        self._is_kept = asyncio.Event()
        self._is_kept.set()
        self._on_kept: Callable[[DayEnd], None] = lambda _day: None
        self.error = ""
        "Why the papers of a day are not there yet; empty while nothing is wrong."

    @property
    def day(self) -> int:
        """The trading day whose papers are being made, 0 for none."""
        return self._day.trading_day if self._day is not None else 0

    def forget(self) -> None:
        """Let go of a day that is not done: the journal has it."""
        self.cancel()
        self._clear()

    def begin(self, day: DayEnd, makers: Makers, kept: Callable[[DayEnd], None]) -> None:
        """Make a day's papers from `turn` or `step` on; then `kept` is told."""
        self._day, self._makers, self._on_kept = day, makers, kept
        self._is_kept.clear()
        self._restart()

    def turn(self) -> None:
        """Go on, beside the loop's other work, unless that is under way."""
        if self._day is not None and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="trade.papers")

    def step(self) -> None:
        """Begin; a day that is no more than a slice is kept on return."""
        if self._day is None:
            return
        exchange = self._day.exchange
        if exchange.orders + exchange.trades > SLICE_COUNT or self._slice():
            self.turn()
            return
        try:
            self._write()
        except QautlraError as error:
            self._failed(error)
        else:
            self._finish()

    def finish(self) -> None:
        """Have the papers kept on return, in one piece; StorageError when they cannot be."""
        if self._day is None:
            return
        self.cancel()
        self._restart()
        for _ in self._work:
            pass
        self._write()
        self._finish()

    def cancel(self) -> None:
        """Go on no more until `turn`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def settled(self) -> None:
        """Return when nothing is under way: who reads papers waits so long, not for a disk that is full."""
        task = self._task
        if task is not None:
            await asyncio.wait([task])

    async def kept(self) -> None:
        """Return when the papers of every settled day are kept."""
        await self._is_kept.wait()

    def _clear(self) -> None:
        self._day, self._made, self._work, self._makers = None, [], iter(()), list
        self.error = ""
        self._is_kept.set()

    def _restart(self) -> None:
        self._made = self._makers()
        self._work = self._steps()

    async def _run(self) -> None:
        task = asyncio.current_task()
        try:
            while self._slice():
                await give_way()
            for maker in self._made:
                await asyncio.to_thread(maker.write)
            if self._task is task:
                self._finish()
        except QautlraError as error:
            if self._task is task:
                self._failed(error)
        finally:
            if self._task is task:
                self._task = None

    def _slice(self) -> bool:
        """Make about SLICE_COUNT items; False when nothing is left."""
        left = SLICE_COUNT
        for count in self._work:
            left -= count
            if left <= 0:
                return True
        return False

    def _write(self) -> None:
        for maker in self._made:
            maker.write()

    def _failed(self, error: QautlraError) -> None:
        self.error = f"the papers of {self.day} are not kept yet: {error.message}"
        _log.error("day_not_kept", trading_day=self.day, reason=error.message)
        self._restart()

    def _finish(self) -> None:
        day, made = self._day, self._made
        assert day is not None
        self._clear()
        for maker in made:
            maker.done()
        self._on_kept(day)

    def _steps(self) -> Iterator[int]:
        day = self._day
        assert day is not None
        for name in day.names():
            funds, positions = day.read(name)
            yield ACCOUNT_COUNT + POSITION_COUNT * len(positions)
            numbers = day.numbers(name)
            orders: list[Order] = []
            trades: list[Trade] = []
            for some in batched(numbers[0], SLICE_COUNT):
                orders += day.orders(some)
                yield len(some)
            for some in batched(numbers[1], SLICE_COUNT):
                trades += day.trades(some)
                yield len(some)
            one = AccountDay(name, funds, positions, orders, trades)
            for maker in self._made:
                yield from maker.add(one)
            for made in (orders, trades):  # what is freed at one moment takes as long as what is made at one
                while made:
                    count = min(len(made), SLICE_COUNT)
                    del made[-count:]
                    yield count // 4
