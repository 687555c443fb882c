"""Open market time: the sections that several instruments share, and time counted while anything is open."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

_SEARCH_DAYS = 60


class SectionCalendar(Protocol):
    """The calendar as far as opening hours need it; days are YYYYMMDD, times Unix ns."""

    def trading_day(self, ts_ns: int) -> int:
        """Return the trading day `ts_ns` belongs to."""
        ...

    def next_trading_day(self, day: int) -> int:
        """Return the first trading day after `day`."""
        ...

    def section_bounds(self, symbol: str, trading_day: int) -> list[tuple[int, int]]:
        """Return [open, close) of each section of that trading day, night first."""
        ...


class Section(NamedTuple):
    """One stretch of open market: [open_ns, close_ns) of `trading_day`."""

    trading_day: int
    open_ns: int
    close_ns: int


def overlap(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the parts of time that lie in both ordered lists of [open, close)."""
    found = []
    i = j = 0
    while i < len(one) and j < len(other):
        opened, closed = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if opened < closed:
            found.append((opened, closed))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found


def union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same open time as ordered spans that do not touch."""
    joined: list[tuple[int, int]] = []
    for opened, closed in sorted(spans):
        if joined and opened <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], closed))
        else:
            joined.append((opened, closed))
    return joined


class CommonHours:
    """The sections common to a set of instruments: a market in which all of them trade at once."""

    def __init__(self, calendar: SectionCalendar, symbols: Iterable[str]) -> None:
        self._calendar = calendar
        self._symbols = sorted(set(symbols))

    def of(self, trading_day: int) -> list[Section]:
        """Return the common sections of a trading day, in order."""
        lists = {tuple(self._calendar.section_bounds(symbol, trading_day)) for symbol in self._symbols}
        common: list[tuple[int, int]] | None = None
        for bounds in lists - {()}:  # an instrument without known sections is always open
            common = list(bounds) if common is None else overlap(common, bounds)
        return [Section(trading_day, opened, closed) for opened, closed in common or []]

    def at_or_after(self, trading_day: int, ts_ns: int) -> Section:
        """Return the first section from `trading_day` on that closes after `ts_ns`."""
        day = trading_day
        for _ in range(_SEARCH_DAYS):
            for section in self.of(day):
                if section.close_ns > ts_ns:
                    return section
            day = self._calendar.next_trading_day(day)
        raise ValueError(f"{len(self._symbols)} instruments share no trading section from {trading_day} on")


class OpenTime:
    """Counts market time: a stamp's position in open time, so that breaks and nights take none."""

    def __init__(self, calendar: SectionCalendar) -> None:
        self._calendar = calendar
        self._days: set[tuple[str, int]] = set()
        self._spans: list[tuple[int, int]] = []
        self._opens: list[int] = []
        self._before: list[int] = []

    def know(self, symbol: str, trading_day: int) -> None:
        """Take the instrument's sections of that day into account."""
        if (symbol, trading_day) in self._days:
            return
        self._days.add((symbol, trading_day))
        spans = union([*self._spans, *self._calendar.section_bounds(symbol, trading_day)])
        if spans == self._spans:
            return
        self._spans = spans
        self._opens = [opened for opened, _ in spans]
        self._before = [0]
        for opened, closed in spans:
            self._before.append(self._before[-1] + closed - opened)

    def between(self, start_ns: int, end_ns: int) -> int:
        """Return the open nanoseconds between two stamps (0 when the second is earlier)."""
        return max(self._position(end_ns) - self._position(start_ns), 0)

    def _position(self, ts_ns: int) -> int:
        at = bisect_right(self._opens, ts_ns) - 1
        if at < 0:
            return 0
        opened, closed = self._spans[at]
        return self._before[at] + min(ts_ns, closed) - opened
