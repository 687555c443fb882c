"""The series that charts show, shared by all sessions: opened out of the past, then fed by the tape.

A line lives as long as someone watches it. Its rows are bounded, their number in all lines too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import numpy as np

from qautlra.base.errors import LimitError
from qautlra.base.log import get_logger
from qautlra.feed.past import Calendar, Handover, History, Past, Tape
from qautlra.feed.ruler import DAY_S, SECOND_NS, Ints, Rulers, TradingDays
from qautlra.feed.series import ROWS_COUNT, BarSeries, Block, Series, TickSeries
from qautlra.wire.charts import BARS, TICK_KEYS, TICKS, Columns

LINES_COUNT = 10_000
ROWS_TOTAL_COUNT = 8_000_000
PENDING_COUNT = 200_000
LOADS_COUNT = 2
VOLUME = TICK_KEYS.index("volume")
PRICE = TICK_KEYS.index("last_price")
INTEREST = TICK_KEYS.index("open_interest")

Row = tuple[int, int, int, int, list[float]]
_log = get_logger("feed")


class Follower(Protocol):
    """A cursor over the rows of some instruments."""

    def watch(self, instrument: int, watched: bool = True) -> None: ...
    def read(self) -> tuple[list[Row], int]: ...


class MarketCalendar(Calendar, TradingDays, Protocol):
    """The calendar, as bars and their numbers need it."""


class Watcher(Protocol):
    """Who is told that a line has changed; the line's own rows say how."""

    def changed(self) -> None: ...


class Line:
    """One series and who watches it."""

    columns: Columns

    def __init__(self, symbol: str, instrument: int, period_s: int, series: Series, past: Past) -> None:
        self.symbol = symbol
        self.instrument = instrument
        self.period_s = period_s
        self.series = series
        self.past = past
        self.watchers: list[Watcher] = []
        self.opened = False
        self._covered = -1  # the lowest id that was looked for
        self._pending: list[Row] = []
        self._lock = asyncio.Lock()

    @property
    def duration_ns(self) -> int:
        """The period in nanoseconds, 0 of ticks."""
        return self.period_s * SECOND_NS

    def take(self, row: Row) -> bool:
        """Take a row of the tape; False when it changes nothing yet."""
        if self.opened:
            return self._add(row)
        if len(self._pending) < PENDING_COUNT:
            self._pending.append(row)
        return False

    async def open(self, width: int, now_ns: int) -> None:
        """Read the past on the first call; what the tape says meanwhile is kept, and added after it."""
        async with self._lock:
            if self.opened:
                return
            handover = self.past.handover()
            try:
                if not await self.past.caught_up():
                    _log.warning("history_behind", symbol=self.symbol, period_s=self.period_s)
                block, self._covered = await self._newest(handover, width, now_ns)
                self.series.reset(block)
            except Exception as error:
                _log.warning("history_failed", symbol=self.symbol, period_s=self.period_s, error=str(error))
            self._join(handover)
            self.opened = True
            for row in self._pending:
                if handover is None or (row[1], row[2]) > (handover.ts_ns, handover.ordinal):
                    self._add(row)
            self._pending.clear()

    async def reach(self, low: int) -> None:
        """Read older rows, so that those from id `low` on are held, as far as the bound allows."""
        async with self._lock:
            low = max(low, self.series.last - ROWS_COUNT * 3 // 4)
            if not len(self.series) or low >= min(self._covered, self.series.first):
                return
            block = await self._older(low)
            self._covered = low
            if len(block):
                self.series.prepend(block)

    async def page(self, low: int, high: int) -> Block:
        """Read rows that are older than those held, for one chart."""
        raise NotImplementedError

    async def first_from(self, ts_ns: int) -> int:
        """Return the id of the first row at or after a moment."""
        raise NotImplementedError

    def aligned(self, times: Ints) -> Ints:
        """Return the ids of the bars that open at these times, -1 where none does."""
        raise NotImplementedError

    def at_or_after(self, ts_ns: int) -> int:
        """Return the id of the first bar at or after a moment, without looking whether it is held."""
        raise NotImplementedError

    def _add(self, row: Row) -> bool:
        raise NotImplementedError

    def _join(self, handover: Handover | None) -> None:
        raise NotImplementedError

    async def _newest(self, handover: Handover | None, width: int, now_ns: int) -> tuple[Block, int]:
        raise NotImplementedError

    async def _older(self, low: int) -> Block:
        raise NotImplementedError


class BarLine(Line):
    """Bars of one period."""

    columns = BARS
    series: BarSeries

    def _add(self, row: Row) -> bool:
        _, ts_ns, _, day, values = row
        return self.series.add(ts_ns, day, values[PRICE], values[VOLUME], values[INTEREST])

    def _join(self, handover: Handover | None) -> None:
        if handover is not None:
            self.series.join(handover.day, handover.volume)

    async def _newest(self, handover: Handover | None, width: int, now_ns: int) -> tuple[Block, int]:
        return await self.past.newest_bars(handover, now_ns, width)

    async def _older(self, low: int) -> Block:
        first = self.series.first
        block = await self.past.bars(low, first - 1)
        return self.series.stretched(block, first - 1) if len(block) else block

    async def page(self, low: int, high: int) -> Block:
        block = await self.past.bars(low, high)
        return self.series.stretched(block, high) if len(block) else block

    async def first_from(self, ts_ns: int) -> int:
        return self.at_or_after(ts_ns)

    def aligned(self, times: Ints) -> Ints:
        ids = self.series.ruler.at(times)
        return np.where(self.series.ruler.times(ids) == times, ids, -1)

    def at_or_after(self, ts_ns: int) -> int:
        return self.series.ruler.id_at(ts_ns - 1) + 1


class TickLine(Line):
    """Ticks."""

    columns = TICKS
    series: TickSeries

    def _add(self, row: Row) -> bool:
        self.series.add(row[1], row[4])
        return True

    def _join(self, handover: Handover | None) -> None:
        pass

    async def _newest(self, handover: Handover | None, width: int, now_ns: int) -> tuple[Block, int]:
        block = await self.past.newest_ticks(handover, width)
        return block, block.first

    async def _older(self, low: int) -> Block:
        first = self.series.first
        block = await self.past.older_ticks(self.series.time_at(first), first - low)
        # Their ids follow from those held, whatever was counted.
        return Block(first - len(block), block.times, block.values)

    async def page(self, low: int, high: int) -> Block:
        return await self.past.ticks(low, high)

    async def first_from(self, ts_ns: int) -> int:
        return await self.past.tick_at(ts_ns)

    def aligned(self, times: Ints) -> Ints:
        return np.full(len(times), -1, np.int64)

    def at_or_after(self, ts_ns: int) -> int:
        return self.series.first


class Lines:
    """All lines. `drain` is to be called after every batch of the tape."""

    def __init__(
        self,
        *,
        tape: Tape,
        follower: Follower,
        calendar: MarketCalendar,
        history: History | None,
        now_ns: Callable[[], int],
    ) -> None:
        self.now_ns = now_ns
        self._tape = tape
        self._follower = follower
        self._calendar = calendar
        self._history = history
        self._rulers = Rulers(calendar)
        self._lines: dict[tuple[int, int], Line] = {}
        self._of: dict[int, list[Line]] = {}
        self.loads = asyncio.Semaphore(LOADS_COUNT)
        self.lost_count = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def rows_count(self) -> int:
        """Rows held in all lines."""
        return sum(len(line.series) for line in self._lines.values())

    def watch(self, symbol: str, instrument: int, period_s: int, watcher: Watcher) -> Line:
        """Return the line, new if nobody watched it; LimitError: too many; ValueError: the period."""
        key = (instrument, period_s)
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= LINES_COUNT or self.rows_count >= ROWS_TOTAL_COUNT:
                raise LimitError("The server holds as many series as it can")
            self._catch_up()
            line = self._make(symbol, instrument, period_s)
            self._lines[key] = line
            if instrument not in self._of:
                self._of[instrument] = []
                self._follower.watch(instrument)
            self._of[instrument].append(line)
        line.watchers.append(watcher)
        return line

    def leave(self, line: Line, watcher: Watcher) -> None:
        """Cease to watch; a line nobody watches is forgotten."""
        line.watchers.remove(watcher)
        if line.watchers:
            return
        del self._lines[(line.instrument, line.period_s)]
        self._of[line.instrument].remove(line)
        if not self._of[line.instrument]:
            del self._of[line.instrument]
            self._follower.watch(line.instrument, False)

    def drain(self) -> None:
        """Give the lines what the tape has, and tell those who watch a line that changed."""
        if self._lines:
            self._catch_up()

    def _catch_up(self) -> None:
        """Read up to the tape's head; a follower that watches nothing just goes there."""
        rows, lost = self._follower.read()
        self.lost_count += lost
        touched: set[Line] = set()
        for row in rows:
            for line in self._of.get(row[0], ()):
                if line.take(row):
                    touched.add(line)
        for line in touched:
            for watcher in line.watchers:
                watcher.changed()

    def _make(self, symbol: str, instrument: int, period_s: int) -> Line:
        calendar = self._calendar
        if not period_s:
            past = Past(self._tape, calendar, self._history, symbol, instrument, 0, None)
            return TickLine(symbol, instrument, 0, TickSeries(len(TICK_KEYS)), past)
        ruler = self._rulers.of(symbol, period_s, self.now_ns())
        period_ns = min(period_s, DAY_S) * SECOND_NS
        past = Past(self._tape, calendar, self._history, symbol, instrument, period_s, ruler)
        series = BarSeries(ruler, lambda ts_ns: calendar.bar_open(symbol, ts_ns, period_ns))
        return BarLine(symbol, instrument, period_s, series, past)
