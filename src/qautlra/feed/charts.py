"""The charts of one session: what each shows, what of it was sent, and what the next message must say.

A chart shows the newest rows of its first instrument, or a window that was asked for; other instruments are
aligned with it by time. Rows go out a bounded number per message; a chart is said to be ready with the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qautlra.base.errors import LimitError, QautlraError
from qautlra.base.log import get_logger
from qautlra.feed.bucket import Bucket
from qautlra.feed.directory import Place
from qautlra.feed.lines import Line, Lines
from qautlra.feed.ruler import SECOND_NS
from qautlra.feed.series import Block
from qautlra.wire import charts as wire

CHARTS_COUNT = 1_000
SYMBOLS_COUNT = 16
WIDTH_COUNT = 10_000
ROWS_PER_MESSAGE = 500
ROWS_RATE = 50_000.0  # per second and session; who wants more waits
ROWS_BURST = 100_000.0
FEW_ROWS = 20  # go out nevertheless, so that what is live stays so
PAUSE_S = 0.05
_log = get_logger("feed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chart as asked for: `names` in the client's spelling; `state` is the request, to be echoed."""

    chart_id: str
    names: tuple[str, ...]
    period_s: int
    width: int
    left_id: int | None
    focus_ns: int | None
    focus_position: int
    state: Mapping[str, Any]


class Shown:
    """One instrument of a chart: its line, what was read for this chart alone, what was sent."""

    __slots__ = ("bound", "high", "last_id", "line", "low", "name", "page", "values")

    def __init__(self, name: str, line: Line) -> None:
        self.name = name
        self.line = line
        self.page: Block | None = None
        self.low = self.high = -1  # ids sent, without a gap
        self.values: list[float] = []  # of the newest row sent
        self.last_id: int | None = None
        self.bound = -1  # the last row of the first instrument that was looked up here

    @property
    def first(self) -> int:
        """Id of the oldest row at hand, -1 when there is none."""
        if self.page is not None and len(self.page):
            return self.page.first
        return self.line.series.first if len(self.line.series) else -1

    @property
    def last(self) -> int:
        """Id of the newest row at hand, -1 when there is none."""
        page, series = self.page, self.line.series
        if page is not None and len(page) and (not len(series) or page.last + 1 < series.first):
            return page.last
        return series.last

    def blocks(self, low: int, high: int) -> list[Block]:
        """Return the rows at hand of low <= id <= high, in order."""
        newest, found = self.line.series.block, []
        if self.page is not None:
            found.append(self.page.part(low, min(high, newest.first - 1) if len(newest) else high))
        found.append(newest.part(low, high))
        return [block for block in found if len(block)]

    def rows(self, low: int, high: int) -> list[tuple[int, int, list[float]]]:
        """Return (id, time, values) of rows at hand, in order."""
        rows: list[tuple[int, int, list[float]]] = []
        for block in self.blocks(low, high):
            ids = range(block.first, block.last + 1)
            rows += zip(ids, block.times.tolist(), block.values.tolist(), strict=True)
        return rows

    def time_of(self, row_id: int) -> int:
        """Return the time of a row at hand."""
        (block,) = self.blocks(row_id, row_id)
        return int(block.times[0])


class Chart:
    """One chart. `shown` is empty while an instrument of it is not in the table."""

    def __init__(self, wanted: Wanted, shown: list[Shown]) -> None:
        self.wanted = wanted
        self.shown = shown
        self.waiting: set[str] = set()  # symbols no source has shown yet
        self.left: int | None = None  # of a window that stands still
        self.prepared = False
        self.ends: tuple[int, int] | None = None  # said to the client
        self.done = False  # said to be ready
        self.unfinished = False  # rows had to be left for a later message

    def window(self) -> tuple[int, int]:
        """Return the ids of the first instrument's rows that are shown, -1 when there are none."""
        if not self.shown or self.shown[0].last < 0:
            return -1, -1
        main = self.shown[0]
        if self.left is None:
            last = main.last
            return max(last - self.wanted.width + 1, main.first), last
        left = max(self.left, main.first)
        right = min(self.left + self.wanted.width - 1, main.last)
        return (left, right) if left <= right else (main.first, main.first)

    def write(self, tree: wire.Tree, budget: int, said: dict[str, set[str]]) -> int:
        """Put what was not sent into the tree, at most `budget` rows; return what is left of the budget.

        `said`: the keys of each chart's state that the client has, as merging keeps what is not taken back.
        """
        if not self.prepared:
            return budget
        if not self.shown and not self.done:
            for name in self.wanted.names:
                tree.series(name, self.wanted.period_s * SECOND_NS, -1).setdefault("data", {})
        left, right = self.window()
        complete = True
        for place, shown in enumerate(self.shown):
            low, high = (left, right) if place == 0 else self._other_window(shown, left, right)
            budget, all_sent = self._write_rows(tree, shown, low, high, budget)
            complete &= all_sent
        if complete:
            for shown in self.shown[1:]:
                self._bind(tree, shown, left, right)
            changes: dict[str, Any] = {}
            if self.ends != (left, right):
                self.ends = (left, right)
                changes |= wire.view(left, right)
            if not self.done:
                state = self.wanted.state
                gone = said.get(self.wanted.chart_id, set()) - set(state)
                changes |= wire.ready({**state, **dict.fromkeys(gone)})
                said[self.wanted.chart_id] = set(state)
            if changes:
                tree.chart(self.wanted.chart_id, changes)
        self.done |= complete
        self.unfinished = not complete
        return budget

    def _other_window(self, shown: Shown, left: int, right: int) -> tuple[int, int]:
        """Return the ids of another instrument's rows in the time of the first one's window."""
        if left < 0 or shown.last < 0:
            return -1, -1
        main = self.shown[0]
        low = max(shown.line.at_or_after(main.time_of(left)), shown.first)
        if self.left is None or right >= main.line.series.last:
            return low, shown.last
        return low, min(shown.line.at_or_after(main.time_of(right) + 1) - 1, shown.last)

    def _write_rows(
        self, tree: wire.Tree, shown: Shown, low: int, high: int, budget: int
    ) -> tuple[int, bool]:
        line = shown.line
        last_id = line.series.last if len(line.series) else shown.last
        rows: dict[int, dict[str, Any]] = {}
        columns = line.columns
        if low >= 0 and low <= high:
            if shown.high < low - 1 or shown.high < 0 or low < shown.low:
                shown.low, shown.high, shown.values = low, low - 1, []
            if shown.values:
                for row_id, _, values in shown.rows(shown.high, shown.high):
                    if change := columns.changes(shown.values, values):
                        rows[row_id] = change
                        shown.values = values
            upto = min(high, shown.high + max(budget, 0))
            for row_id, time_ns, values in shown.rows(shown.high + 1, upto):
                rows[row_id] = columns.row(time_ns, values)
                shown.values = values
                budget -= 1
            shown.high = max(shown.high, upto)
        if rows or shown.last_id != last_id:
            shown.last_id = last_id
            node = tree.series(shown.name, line.duration_ns, last_id)
            if rows:
                tree.rows(node, rows.items())
            elif last_id < 0:
                node.setdefault("data", {})
        return budget, shown.high >= high or low > high

    def _bind(self, tree: wire.Tree, shown: Shown, left: int, right: int) -> None:
        """Say which rows of the other instrument go with rows of the first one's that were not bound yet."""
        main = self.shown[0]
        if left < 0 or shown.last < 0 or not shown.line.period_s:
            return
        pairs: list[tuple[int, int]] = []
        for block in main.blocks(max(left, shown.bound + 1), right):
            for row_id, other_id in enumerate(shown.line.aligned(block.times).tolist(), block.first):
                if other_id > shown.high:  # not there yet
                    break
                shown.bound = row_id
                if other_id >= shown.low:
                    pairs.append((row_id, other_id))
        if pairs:
            node = tree.series(main.name, main.line.duration_ns, main.line.series.last)
            tree.bind(node, shown.name, pairs)


class SessionCharts:
    """All charts of a session. `dirty` says that something is to be sent.

    `stirred` is called when it becomes so while the tape is read, `woken` when it does at another time;
    `told` is given what the person behind the client should know.
    """

    def __init__(
        self,
        lines: Lines,
        stirred: Callable[[], None],
        woken: Callable[[], None],
        told: Callable[[str], None],
    ) -> None:
        self._lines = lines
        self._stirred = stirred
        self._woken = woken
        self._told = told
        self._charts: dict[str, Chart] = {}
        self._freed: set[str] = set()
        self._said: dict[str, set[str]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._rows = Bucket(ROWS_RATE, ROWS_BURST, asyncio.get_running_loop().time())
        self._later: asyncio.TimerHandle | None = None
        self.dirty = False

    def __len__(self) -> int:
        return len(self._charts)

    def names(self) -> dict[str, str]:
        """Return symbol -> the client's spelling of all instruments that are shown."""
        found: dict[str, str] = {}
        for chart in self._charts.values():
            found |= {shown.line.symbol: shown.name for shown in chart.shown}
            found |= {symbol: symbol for symbol in chart.waiting}
        return found

    def changed(self) -> None:
        """A line that is watched has changed."""
        self.dirty = True
        self._stirred()

    @property
    def waiting(self) -> set[str]:
        """The symbols of charts that show nothing because no source has shown an instrument of theirs."""
        return {symbol for chart in self._charts.values() for symbol in chart.waiting}

    def appeared(self, symbol: str, resolve: Callable[[str], Place | None]) -> None:
        """A source has shown an instrument: charts that waited for it are set anew."""
        for chart in list(self._charts.values()):
            if symbol in chart.waiting:
                places = [resolve(name) for name in chart.wanted.names]
                self.set(chart.wanted, [place for place in places if place is not None])

    def set(self, wanted: Wanted, places: list[Place]) -> None:
        """Show a chart, in place of the one of the same id; LimitError, ValueError when it cannot be."""
        if wanted.chart_id not in self._charts and len(self._charts) >= CHARTS_COUNT:
            raise LimitError(f"At most {CHARTS_COUNT} charts per session")
        if len(wanted.names) > SYMBOLS_COUNT:
            raise LimitError(f"At most {SYMBOLS_COUNT} instruments per chart")
        shown: list[Shown] = []
        known = all(place.instrument >= 0 for place in places)
        try:
            for name, place in zip(wanted.names, places, strict=True):
                if known:
                    line = self._lines.watch(place.symbol, place.instrument, wanted.period_s, self)
                    shown.append(Shown(name, line))
        except Exception:
            for one in shown:
                self._lines.leave(one.line, self)
            raise
        self._drop(wanted.chart_id)
        chart = Chart(wanted, shown)
        self._charts[wanted.chart_id] = chart
        self._freed.discard(wanted.chart_id)
        if not shown:
            chart.waiting = {place.symbol for place in places if place.instrument < 0}
            chart.prepared = True
            self.changed()
            return
        task = asyncio.get_running_loop().create_task(self._prepare(chart), name="chart")
        self._tasks[wanted.chart_id] = task

    def free(self, chart_id: str) -> None:
        """Show a chart no more."""
        if self._drop(chart_id) or len(self._freed) < CHARTS_COUNT:
            self._freed.add(chart_id)
            self.changed()

    def close(self) -> None:
        """Let everything go."""
        if self._later is not None:
            self._later.cancel()
        for chart_id in list(self._charts):
            self._drop(chart_id)

    def take(self) -> dict[str, Any]:
        """Return the keys of the next message's root, and count them as sent; `dirty` if there is more."""
        tree = wire.Tree()
        for chart_id in self._freed:
            tree.chart(chart_id, None)
            self._said.pop(chart_id, None)
        self._freed.clear()
        self.dirty = False
        loop = asyncio.get_running_loop()
        affordable = self._rows.take(0.0, loop.time())
        budget = ROWS_PER_MESSAGE if affordable else FEW_ROWS
        left, unfinished = budget, False
        for chart in self._charts.values():
            left = chart.write(tree, left, self._said)
            unfinished |= chart.unfinished
        self._rows.charge(budget - left)
        if unfinished and not affordable:
            self._later = self._later or loop.call_later(PAUSE_S, self._go_on)
        else:
            self.dirty = unfinished
        return tree.root

    def _go_on(self) -> None:
        self._later = None
        self.dirty = True
        self._woken()

    def _drop(self, chart_id: str) -> bool:
        task = self._tasks.pop(chart_id, None)
        if task is not None:
            task.cancel()
        chart = self._charts.pop(chart_id, None)
        if chart is None:
            return False
        for shown in chart.shown:
            self._lines.leave(shown.line, self)
        return True

    async def _prepare(self, chart: Chart) -> None:
        """Read what the chart shows; then it is sent."""
        try:
            async with self._lines.loads:
                await self._read(chart)
        except QautlraError as error:
            self._told(f"Chart {chart.wanted.chart_id[:64]}: {error.message}")
        except Exception as error:
            _log.error("chart_failed", chart=chart.wanted.chart_id[:64], exc_info=error)
            self._told(f"Chart {chart.wanted.chart_id[:64]}: its history cannot be read")
        self._tasks.pop(chart.wanted.chart_id, None)
        chart.prepared = True
        self.dirty = True
        self._woken()

    async def _read(self, chart: Chart) -> None:
        wanted, main, now_ns = chart.wanted, chart.shown[0], self._lines.now_ns()
        for shown in chart.shown:
            await shown.line.open(wanted.width, now_ns)
        if wanted.left_id is not None:
            chart.left = max(wanted.left_id, 0)
        elif wanted.focus_ns is not None:
            focus = await main.line.first_from(wanted.focus_ns)
            if focus >= 0:
                chart.left = max(focus - wanted.focus_position, 0)
        await self._at_hand(main, chart.left, wanted.width)
        left, right = chart.window()
        if left < 0:
            return
        begin_ns = main.time_of(left)
        for shown in chart.shown[1:]:
            low = shown.line.at_or_after(begin_ns)
            if chart.left is None:
                await shown.line.reach(low)
            else:
                await self._at_hand(shown, low, right - left + 1)

    async def _at_hand(self, shown: Shown, left: int | None, width: int) -> None:
        """See to it that rows are there: newest ones in the line, those of long ago for the chart alone."""
        series = shown.line.series
        if left is None:
            await shown.line.reach(series.last - width + 1)
        elif not len(series) or left < series.first:
            high = left + width - 1
            shown.page = await shown.line.page(left, min(high, series.first - 1) if len(series) else high)
