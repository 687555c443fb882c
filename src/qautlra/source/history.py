"""Synthetic one-minute bars of the time before the simulated market's first tick.

The same seed gives the same bars. They end at the price the simulation starts from, and the bars of the
first trading day add up to the totals its first snapshot shows.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qautlra.source.hours import SectionCalendar

MINUTE_NS = 60_000_000_000
_DAY_SEARCH = 400

BAR_SCHEMA = pa.schema(
    [
        ("instrument_id", pa.string()),
        ("datetime", pa.timestamp("us", "UTC")),
        ("trading_date", pa.date32()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.int64()),
        ("amount", pa.float64()),
        ("open_oi", pa.float64()),
        ("close_oi", pa.float64()),
    ]
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Minutes:
    """Opening times (Unix ns) and trading days (YYYYMMDD) of consecutive one-minute bars."""

    opens: Ints
    days: Ints


@dataclass(frozen=True, slots=True)
class Bars:
    """One instrument's bars; prices in whole ticks, volumes in lots times lot size."""

    minutes: Minutes
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    open_oi: Ints
    close_oi: Ints


@dataclass(frozen=True, slots=True)
class Walk:
    """What the bars of one instrument are made from; `last` is the price (ticks) the newest bar closes at."""

    symbol: str
    last: int
    sigma_per_minute: float
    volume_per_minute: int
    lot: int
    open_interest: int


class MinuteGrid:
    """The minutes of a market before a moment; instruments of equal sections share one computation."""

    def __init__(self, calendar: Any, end_ns: int, count: int) -> None:
        self._calendar: SectionCalendar = calendar
        self._previous = calendar.previous_trading_day
        self._end_ns = end_ns
        self._count = count
        self._known: dict[tuple[tuple[int, int], ...], Minutes] = {}

    def of(self, symbol: str, day: int) -> Minutes:
        """Return the newest `count` minutes that open before the end; `day` is the last of them."""
        key = tuple(self._calendar.section_bounds(symbol, day))
        if key not in self._known:
            self._known[key] = self._collect(symbol, day)
        return self._known[key]

    def _collect(self, symbol: str, day: int) -> Minutes:
        opens: list[Ints] = []
        days: list[Ints] = []
        total = 0
        for _ in range(_DAY_SEARCH):
            today = [
                np.arange(opened, min(closed, self._end_ns), MINUTE_NS, dtype=np.int64)
                for opened, closed in self._calendar.section_bounds(symbol, day)
            ]
            minutes = np.concatenate(today) if today else np.empty(0, np.int64)
            opens.append(minutes)
            days.append(np.full(len(minutes), day, np.int64))
            total += len(minutes)
            if total >= self._count:
                break
            day = self._previous(day)
        keep = slice(max(total - self._count, 0), None)
        return Minutes(np.concatenate(opens[::-1])[keep], np.concatenate(days[::-1])[keep])


def random_of(seed: int, *names: object) -> np.random.Generator:
    """Return the generator that belongs to these names under the seed."""
    words = [zlib.crc32(str(name).encode()) for name in names]
    return np.random.Generator(np.random.PCG64([seed, *words]))


def make_bars(walk: Walk, minutes: Minutes, random: np.random.Generator) -> Bars:
    """Return seeded bars over these minutes whose last close is `walk.last`."""
    n = len(minutes.opens)
    steps = random.normal(0.0, walk.sigma_per_minute, n)
    path = np.cumsum(steps)
    # Walked in logarithms and shifted to end at the wanted price, so that it never crosses zero.
    prices = walk.last * np.exp(path - path[-1]) if n else path
    close = np.maximum(np.rint(prices).astype(np.int64), 1)
    open_ = np.empty_like(close)
    open_[1:] = close[:-1]
    open_[:1] = close[:1]
    reach = np.abs(random.normal(0.0, walk.sigma_per_minute * 0.6, (2, n))) * close
    high = np.maximum(open_, close) + np.rint(reach[0]).astype(np.int64)
    low = np.maximum(np.minimum(open_, close) - np.rint(reach[1]).astype(np.int64), 1)
    volume = random.geometric(1 / max(walk.volume_per_minute, 2), n).astype(np.int64) * walk.lot
    interest = np.zeros(n + 1, np.int64)
    if walk.open_interest > 0:
        swing = random.normal(0.0, walk.open_interest * 0.0003, n).cumsum()
        interest[1:] = np.maximum(walk.open_interest + np.rint(swing - swing[-1:]).astype(np.int64), 100)
        interest[0] = interest[1] if n else walk.open_interest
    return Bars(minutes, open_, high, low, close, volume, interest[:-1], interest[1:])


def to_prices(ticks: Ints, tick_units: int, decimals: int) -> Floats:
    """Return prices of whole ticks: one exact division, the double nearest to the decimal price."""
    prices: Floats = (ticks * tick_units) / 10.0**decimals
    return prices


def amounts(bars: Bars, tick_units: int, decimals: int, volume_multiple: float) -> Floats:
    """Return each bar's turnover: volume at its typical price, rounded to the cent."""
    typical = to_prices(bars.high + bars.low + bars.close, tick_units, decimals) / 3
    money: Floats = np.round(bars.volume * typical * volume_multiple, 2)
    return money


def table(symbol: str, bars: Bars, tick_units: int, decimals: int, volume_multiple: float) -> pa.Table:
    """Return the bars of one instrument as rows of BAR_SCHEMA."""
    n = len(bars.close)
    days, inverse = np.unique(bars.minutes.days, return_inverse=True)
    dates = np.array([f"{d // 10000:04d}-{d // 100 % 100:02d}-{d % 100:02d}" for d in days], "datetime64[D]")
    columns = [
        to_prices(ticks, tick_units, decimals) for ticks in (bars.open, bars.high, bars.low, bars.close)
    ]
    without = None if bars.close_oi.any() else np.ones(n, bool)
    return pa.table(
        [
            pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), [symbol]).cast(pa.string()),
            pa.array(bars.minutes.opens // 1000, pa.int64()).cast(BAR_SCHEMA.field("datetime").type),
            pa.array(dates[inverse] if n else dates, pa.date32()),
            *(pa.array(column) for column in columns),
            pa.array(bars.volume),
            pa.array(amounts(bars, tick_units, decimals, volume_multiple)),
            pa.array(bars.open_oi.astype(np.float64), mask=without),
            pa.array(bars.close_oi.astype(np.float64), mask=without),
        ],
        schema=BAR_SCHEMA,
    )


def join(tables: Sequence[pa.Table]) -> pa.Table:
    """Return all instruments' bars in one table."""
    return pa.concat_tables(tables) if tables else BAR_SCHEMA.empty_table()
