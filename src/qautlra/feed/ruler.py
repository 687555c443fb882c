"""Numbers the bars of a period: a bar's id is the place of its opening time in the trading calendar.

Every bar that trading sections have room for has a number, counted from the first trading day of EPOCH on,
whether or not anything happened in it. So ids are consecutive, are the same after a restart, do not depend
on what is stored, and cannot go back. They hold as long as the calendar's past is not edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

EPOCH = 20080101
HORIZON_DAYS = 1100  # calendar days ahead of the moment a ruler is made
SECOND_NS = 1_000_000_000
DAY_S = 86_400
DAY_NS = DAY_S * SECOND_NS
ZONE_NS = 8 * 3600 * SECOND_NS  # Asia/Shanghai, always
EVENING_S = 18 * 3600  # where a trading day begins, on the trading day before

Ints = npt.NDArray[np.int64]


class TradingDays(Protocol):
    """The calendar as far as rulers need it."""

    def trading_day(self, ts_ns: int) -> int: ...
    def next_trading_day(self, day: int) -> int: ...
    def has_night(self, trading_day: int) -> bool: ...
    def sections(self, symbol: str) -> list[tuple[str, str]]: ...


class Ruler:
    """One period's bars under one set of sections. Immutable; `times` and ids are int64.

    Per stretch of bars without a gap: label (Unix ns) of the first, its id, its place on the period's grid.
    """

    def __init__(self, labels: Ints, ids: Ints, grid: Ints, last_id: int, period_ns: int) -> None:
        self._labels = labels
        self._ids = ids
        self._grid = grid
        self._last_id = last_id
        self._period_ns = period_ns

    def at(self, times: Any) -> Ints:
        """Return the id of the last bar that opens at or before each time; -1 before the first."""
        times = np.asarray(times, np.int64)
        i = np.searchsorted(self._labels, times, "right") - 1
        known = np.maximum(i, 0)
        ends = np.append(self._ids[1:], self._last_id + 1)[known] - 1
        if self._period_ns:
            ids = self._ids[known] + (times + ZONE_NS) // self._period_ns - self._grid[known]
        else:
            ids = self._ids[known]
        found: Ints = np.where(i < 0, -1, np.minimum(ids, ends))
        return found

    def id_at(self, ts_ns: int) -> int:
        """Return the id of the last bar that opens at or before a moment; -1 before the first."""
        return int(self.at([ts_ns])[0])

    def times(self, ids: Any) -> Ints:
        """Return the opening times (Unix ns) of bars."""
        ids = np.clip(np.asarray(ids, np.int64), 0, self._last_id)
        i = np.searchsorted(self._ids, ids, "right") - 1
        found: Ints = self._labels[i]
        if self._period_ns:
            steps = (self._grid[i] + ids - self._ids[i]) * self._period_ns - ZONE_NS
            found = np.where(ids == self._ids[i], found, steps)
        return found

    def time_of(self, bar_id: int) -> int:
        """Return the opening time (Unix ns) of a bar."""
        return int(self.times([bar_id])[0])


class Rulers:
    """Makes rulers and keeps the KEPT_COUNT last ones used; instruments of equal sections share them."""

    KEPT_COUNT = 32

    def __init__(self, calendar: TradingDays) -> None:
        self._calendar = calendar
        self._days: tuple[Ints, Ints, npt.NDArray[np.bool_]] | None = None
        self._kept: dict[tuple[Any, ...], Ruler] = {}

    def of(self, symbol: str, period_s: int, now_ns: int) -> Ruler:
        """Return the ruler of a symbol's bars. ValueError for a period neither up to a day nor of days."""
        if period_s <= 0 or (period_s > DAY_S and period_s % DAY_S):
            raise ValueError(f"a bar's period is whole seconds up to a day, or whole days, not {period_s} s")
        sections = tuple(self._calendar.sections(symbol)) if period_s < DAY_S else ()
        key = (sections, period_s)
        ruler = self._kept.pop(key, None) or self._make(sections, period_s, now_ns)
        self._kept[key] = ruler
        if len(self._kept) > self.KEPT_COUNT:
            self._kept.pop(next(iter(self._kept)))
        return ruler

    def _make(self, sections: Sequence[tuple[str, str]], period_s: int, now_ns: int) -> Ruler:
        today, evening, night = self._trading_days(now_ns)
        if period_s >= DAY_S:
            labels = today[:: period_s // DAY_S]
            ids = np.arange(len(labels), dtype=np.int64)
            return Ruler(labels, ids, ids, len(labels) - 1, 0)
        period_ns = period_s * SECOND_NS
        begins = evening + EVENING_S * SECOND_NS
        previous = np.full(len(today), -(1 << 62), np.int64)  # last grid place of the day so far
        firsts, counts, labels_of = [], [], []
        for opens, closes, is_night in _spans(sections, today, evening):
            first = np.maximum((opens + ZONE_NS) // period_ns, previous + 1)
            last = (closes - 1 + ZONE_NS) // period_ns
            there = night if is_night else np.ones(len(today), bool)
            firsts.append(first)
            counts.append(np.where(there, np.maximum(last - first + 1, 0), 0))
            labels_of.append(np.maximum(first * period_ns - ZONE_NS, begins))
            previous = np.where(there, np.maximum(last, previous), previous)
        grid, count, label = (np.stack(columns, 1).ravel() for columns in (firsts, counts, labels_of))
        grid, count, label = grid[count > 0], count[count > 0], label[count > 0]
        ids = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
        return Ruler(label, ids, grid, int(count.sum()) - 1, period_ns)

    def _trading_days(self, now_ns: int) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
        """Return midnight of every trading day, midnight of the one before, and whether it has a night."""
        if self._days is None or self._days[0][-1] < now_ns + DAY_NS:
            calendar = self._calendar
            end = calendar.trading_day(now_ns + HORIZON_DAYS * DAY_NS)
            days = [calendar.next_trading_day(EPOCH - 1)]
            while days[-1] < end:
                days.append(calendar.next_trading_day(days[-1]))
            texts = [f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}" for day in days]
            midnight = np.array(texts, "datetime64[D]").astype(np.int64) * DAY_NS - ZONE_NS
            night = np.array([calendar.has_night(day) for day in days[1:]], bool)
            self._days = (midnight[1:], midnight[:-1], night)
            self._kept.clear()
        return self._days


def _spans(sections: Sequence[tuple[str, str]], today: Ints, evening: Ints) -> list[tuple[Ints, Ints, bool]]:
    """Return opening and closing times of each section over all days; without sections, all day is one."""
    if not sections:
        return [(evening + EVENING_S * SECOND_NS, today + EVENING_S * SECOND_NS, False)]
    spans = []
    for opened, closed in sections:
        opens, closes = _seconds(opened), _seconds(closed)
        is_night = opens >= EVENING_S
        base = evening if is_night else today
        spans.append((base + opens * SECOND_NS, base + closes * SECOND_NS, is_night))
    return spans


def _seconds(text: str) -> int:
    hours, minutes, *_ = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60
