"""Rows with consecutive ids: bars of one period, and ticks. Pure; whoever holds a series feeds it.

Ids of bars are the calendar's (`ruler`); a bar nothing happened in has no prices. Ids of ticks count the rows
of an instrument from its oldest stored one, which has the millisecond of its time: so they are the same after
a restart, and larger when old rows were dropped, as no instrument has a thousand rows per second for long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qautlra.feed.ruler import SECOND_NS, Ints, Ruler

Floats = npt.NDArray[np.float64]

BAR_FIELDS = ("open", "high", "low", "close", "volume", "open_oi", "close_oi")
OPEN, HIGH, LOW, CLOSE, VOLUME, OPEN_OI, CLOSE_OI = range(len(BAR_FIELDS))
ROWS_COUNT = 20_000
"""Rows a series keeps; of its oldest a fifth goes when there are more."""
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows without a gap: `first` is the id of the first, -1 when there are none."""

    first: int
    times: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.times)

    @property
    def last(self) -> int:
        """Id of the last row, -1 when there are none."""
        return self.first + len(self.times) - 1 if len(self.times) else -1

    def part(self, low: int, high: int) -> Block:
        """Return the rows with low <= id <= high."""
        low, high = max(low, self.first), min(high, self.last)
        if low > high or not len(self):
            return nothing(self.values.shape[1])
        cut = slice(low - self.first, high - self.first + 1)
        return Block(low, self.times[cut], self.values[cut])


def nothing(width: int) -> Block:
    """Return a block without rows."""
    return Block(-1, np.empty(0, np.int64), np.empty((0, width)))


class Series:
    """The newest rows of an instrument. Bounded by `bound`; `version` changes with every change."""

    def __init__(self, width: int, bound: int = ROWS_COUNT) -> None:
        self._bound = bound
        self._times = np.empty(64, np.int64)
        self._values = np.empty((64, width))
        self._count = 0
        self.first = -1
        self.version = 0

    def __len__(self) -> int:
        return self._count

    @property
    def last(self) -> int:
        """Id of the newest row, -1 when there is none."""
        return self.first + self._count - 1 if self._count else -1

    @property
    def block(self) -> Block:
        """All rows; valid until the next change."""
        return Block(self.first, self._times[: self._count], self._values[: self._count])

    def time_at(self, row_id: int) -> int:
        """Return the time of a row that is held."""
        return int(self._times[row_id - self.first])

    def reset(self, block: Block) -> None:
        """Hold these rows (the newest of them, if there are too many) and no others."""
        block = block.part(block.last - self._bound + 1, block.last)
        self.first, self._count = block.first, len(block)
        room = max(64, self._count + self._count // 4)
        self._times = np.empty(room, np.int64)
        self._values = np.empty((room, self._values.shape[1]))
        self._times[: self._count] = block.times
        self._values[: self._count] = block.values
        self.version += 1

    def append(self, time_ns: int, values: list[float] | Floats) -> None:
        """Add a row after the newest; the first of all needs `first` set."""
        if self._count == len(self._times):
            self._make_room()
        self._times[self._count] = time_ns
        self._values[self._count] = values
        self._count += 1
        self.version += 1

    def prepend(self, block: Block) -> None:
        """Put rows before the oldest, whose id is `block.last + 1`; too many: the oldest are left out."""
        if not len(block) or not self._count:
            return
        block = block.part(self.last - self._bound + 1, block.last)
        if len(block):
            both = np.concatenate([block.times, self.block.times])
            self.reset(Block(block.first, both, np.concatenate([block.values, self.block.values])))

    def _make_room(self) -> None:
        if self._count >= self._bound:
            gone = self._bound // 5
            self.first += gone
            self._count -= gone
            self._times = np.concatenate([self._times[gone:], np.empty(gone, np.int64)])
            self._values = np.concatenate([self._values[gone:], np.empty((gone, self._values.shape[1]))])
            return
        more = min(self._bound, 2 * self._count) - self._count
        self._times = np.concatenate([self._times, np.empty(more, np.int64)])
        self._values = np.concatenate([self._values, np.empty((more, self._values.shape[1]))])


class BarSeries(Series):
    """Bars of one period, folded from the rows of the tape as they come.

    `opening(ts_ns)` is the calendar's answer to which bar a moment belongs to (-1: none).
    """

    def __init__(self, ruler: Ruler, opening: Callable[[int], int], bound: int = ROWS_COUNT) -> None:
        super().__init__(len(BAR_FIELDS), bound)
        self.ruler = ruler
        self._opening = opening
        self._second = -1
        self._id = -1
        self._day = 0
        self._total = NAN  # volume of the day up to the last row that made a bar

    def join(self, day: int, total: float) -> None:
        """Say what was traded up to the last row that is in the bars: `total` of trading day `day`."""
        self._day, self._total = day, total

    def add(self, ts_ns: int, day: int, price: float, volume: float, interest: float) -> bool:
        """Fold a row in; `volume` is the day's total. False when it changes no bar."""
        if day != self._day:
            # What was traded before the first row ever seen is not ours; a later day is seen from its start.
            self._total = 0.0 if self._day else NAN
            self._day = day
        if price != price:
            return False
        if ts_ns // SECOND_NS != self._second:
            opened = self._opening(ts_ns)
            self._second = ts_ns // SECOND_NS
            self._id = self.ruler.id_at(opened) if opened >= 0 else -1
        bar_id = self._id
        last = self.last
        if bar_id < 0 or (bar_id < last and self._count):
            return False
        traded = 0.0
        if volume == volume:
            if self._total == self._total:
                traded = max(volume - self._total, 0.0)
            self._total = volume
        if not self._count or bar_id != last:
            self._begin(bar_id, price, traded, interest)
            return True
        bar = self._values[self._count - 1]
        before = bar.tobytes()
        if bar[OPEN] != bar[OPEN]:
            bar[OPEN] = bar[HIGH] = bar[LOW] = price
        bar[HIGH] = max(bar[HIGH], price)
        bar[LOW] = min(bar[LOW], price)
        bar[CLOSE] = price
        bar[VOLUME] += traded
        if interest == interest:
            bar[CLOSE_OI] = interest
            if bar[OPEN_OI] != bar[OPEN_OI]:
                bar[OPEN_OI] = interest
        if bar.tobytes() == before:
            return False
        self.version += 1
        return True

    def stretched(self, block: Block, high: int) -> Block:
        """Return bars and, up to id `high`, empty ones after them."""
        more = np.arange(block.last + 1, high + 1)
        empty = np.tile(np.array(EMPTY_BAR), (len(more), 1))
        times = np.concatenate([block.times, self.ruler.times(more)])
        return Block(block.first, times, np.concatenate([block.values, empty]))

    def _begin(self, bar_id: int, price: float, traded: float, interest: float) -> None:
        if not self._count or bar_id - self.last > self._bound:
            self.reset(nothing(len(BAR_FIELDS)))
            self.first = bar_id
        elif bar_id > self.last + 1:
            for time_ns in self.ruler.times(np.arange(self.last + 1, bar_id)):
                self.append(int(time_ns), EMPTY_BAR)
        self.append(self.ruler.time_of(bar_id), [price, price, price, price, traded, interest, interest])


class TickSeries(Series):
    """Ticks; the rows of the tape as they come."""

    def add(self, ts_ns: int, values: list[float]) -> None:
        """Add the newest row; the first of all gets the millisecond of its time as id."""
        if not self._count and self.first < 0:
            self.first = ts_ns // 1_000_000
        self.append(ts_ns, values)


EMPTY_BAR = [NAN, NAN, NAN, NAN, 0.0, NAN, NAN]


def bars_of(ruler: Ruler, times: Ints, values: Floats) -> Block:
    """Join shorter bars, in order, into the ruler's; gaps between them are filled with empty bars."""
    if not len(times):
        return nothing(len(BAR_FIELDS))
    ids = ruler.at(times)
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    ends = np.append(starts[1:], len(ids)) - 1
    joined = np.empty((len(starts), len(BAR_FIELDS)))
    joined[:, OPEN] = _first_value(values[:, OPEN], starts, ends)
    joined[:, HIGH] = np.fmax.reduceat(values[:, HIGH], starts)
    joined[:, LOW] = np.fmin.reduceat(values[:, LOW], starts)
    joined[:, CLOSE] = _last_value(values[:, CLOSE], starts, ends)
    joined[:, VOLUME] = np.add.reduceat(np.nan_to_num(values[:, VOLUME]), starts)
    joined[:, OPEN_OI] = _first_value(values[:, OPEN_OI], starts, ends)
    joined[:, CLOSE_OI] = _last_value(values[:, CLOSE_OI], starts, ends)
    return filled(ruler, ids[starts], joined)


def filled(ruler: Ruler, ids: Ints, values: Floats) -> Block:
    """Return bars with the gaps between their ids filled with empty bars."""
    first, last = int(ids[0]), int(ids[-1])
    whole = np.tile(np.array(EMPTY_BAR), (last - first + 1, 1))
    whole[ids - first] = values
    return Block(first, ruler.times(np.arange(first, last + 1)), whole)


def fold_ticks(days: Ints, prices: Floats, volumes: Floats, interests: Floats) -> Floats:
    """Return one bar per row: its price, and what was traded since the row before (of the same day).

    What the first row's total holds was traded before it. Rows that make no bar are to be taken out before.
    """
    traded = np.diff(volumes, prepend=volumes[:1])
    fresh = np.diff(days, prepend=days[:1]) != 0
    traded = np.where(fresh, volumes, traded)
    traded = np.maximum(np.nan_to_num(traded), 0.0)
    return np.stack([prices, prices, prices, prices, traded, interests, interests], 1)


def _first_value(column: Floats, starts: Ints, ends: Ints) -> Floats:
    """Return of each group the first value that is one."""
    n = len(column)
    at = np.where(np.isnan(column), n, np.arange(n))
    found = np.minimum.accumulate(at[::-1])[::-1][starts]
    return np.where(found <= ends, column[np.minimum(found, n - 1)], NAN)


def _last_value(column: Floats, starts: Ints, ends: Ints) -> Floats:
    """Return of each group the last value that is one."""
    at = np.where(np.isnan(column), -1, np.arange(len(column)))
    found = np.maximum.accumulate(at)[ends]
    return np.where(found >= starts, column[np.maximum(found, 0)], NAN)
