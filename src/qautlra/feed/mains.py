"""The past of main contracts (`KQ.m@SHFE.rb`) for charts: of each day that of the contract which was main.

Bars are made of the contracts' own, wherever those are stored; ticks are the rows made of the series itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby, pairwise
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from qautlra.feed.past import LONGEST_REST_NS, History
from qautlra.feed.ruler import DAY_NS, ZONE_NS

MAIN = "KQ.m@"
LOOK_BACK_DAYS = 45
"""Days before what is asked for from which a change of the main contract is known."""
_DAY_US, _ZONE_US, _REST_US = DAY_NS // 1000, ZONE_NS // 1000, LONGEST_REST_NS // 1000
_EVER = 4_000_000
_CONTRACT = re.compile(r"[A-Z]+\.[A-Za-z]+([0-9]{3,4})")


class Contracts(History, Protocol):
    """The stored past, and how much of each contract was held."""

    async def interests(self, prefix: str, start_us: int, stop_us: int) -> pa.Table:
        """Return `day`, `symbol`, `open_interest` at its end of symbols that begin so, days in order."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """Trading days, in days since 1970, first <= day < last, and their main contract."""

    first: int
    last: int
    symbol: str


class MainHistory:
    """A store's past that knows main contracts; of every other symbol it is the store's.

    `chosen` tells since which trading day (YYYYMMDD) which contract the series follows; None for a series
    that is not made here.
    """

    def __init__(self, stored: Contracts, chosen: Callable[[str], tuple[int, str] | None]) -> None:
        self._stored = stored
        self._chosen = chosen
        self.caught_up = stored.caught_up
        self.measure = stored.measure
        self.ticks = stored.ticks

    async def minutes(self, symbol: str, start_us: int, stop_us: int) -> pa.Table:
        """Return the one-minute bars that open in [start, stop), in order."""
        own = await self._stored.minutes(symbol, start_us, stop_us)
        parts = []
        for span in await self._spans(symbol, start_us, stop_us):
            low, high = _range(span, start_us, stop_us)
            if low < high:
                parts.append(_days(await self._stored.minutes(span.symbol, low, high), span))
        if not any(part.num_rows for part in parts):
            return own
        known = pa.concat_tables(parts)
        days = known.column("trading_date").combine_chunks().unique()
        others = pc.invert(pc.is_in(own.column("trading_date"), days))  # no contract is stored of them
        rest = own.filter(others)
        return pa.concat_tables([known, rest]).sort_by("datetime") if rest.num_rows else known

    async def prices(
        self, symbol: str, columns: tuple[str, ...], start_us: int, stop_us: int, limit: int
    ) -> pa.Table:
        """Return the rows with start <= time < stop, the newest `limit`, of which bars are folded."""
        parts: list[pa.Table] = []
        left = limit
        for span in reversed(await self._spans(symbol, start_us, stop_us)):
            low, high = _range(span, start_us, stop_us)
            if low < high and left > 0:
                part = _days(await self._stored.prices(span.symbol, columns, low, high, left), span)
                left -= part.num_rows
                # Numbers of rows are each symbol's own: those of the contract say nothing of the series'.
                parts.append(_with(part, "seq", pa.repeat(pa.scalar(0, pa.int64()), part.num_rows)))
        if left == limit:
            return await self._stored.prices(symbol, columns, start_us, stop_us, limit)
        return pa.concat_tables(parts[::-1])

    async def _spans(self, symbol: str, start_us: int, stop_us: int) -> list[Span]:
        """Return who was main, oldest first; nothing for what is no main contract made here."""
        if not symbol.startswith(MAIN) or (now := self._chosen(symbol)) is None:
            return []
        product = symbol.removeprefix(MAIN)
        since_us = start_us - LOOK_BACK_DAYS * _DAY_US
        table = await self._stored.interests(product, since_us, stop_us)
        columns = (table.column(name).to_pylist() for name in ("day", "symbol", "open_interest"))
        held = zip(*columns, strict=True)
        changes = main_contracts(held, product)
        today = _number(date(now[0] // 10_000, now[0] // 100 % 100, now[0] % 100))
        changes = [change for change in changes if change[0] < today] + [(today, now[1])]
        changes[0] = (0, changes[0][1])
        bounds = pairwise([*(first for first, _ in changes), _EVER])
        return [Span(first, last, symbol) for (first, last), (_, symbol) in zip(bounds, changes, strict=True)]


def main_contracts(held: Iterable[tuple[date, str, float | None]], product: str) -> list[tuple[int, str]]:
    """Return from which trading day on (days since 1970) which contract of a product (`SHFE.rb`) is main.

    `held` is the open interest at a day's end, days in order. The contract with the most of it is main from
    the next day on, never one delivered before the present one; of the first day its own counts.
    """
    contract = re.compile(re.escape(product) + "[0-9]{3,4}")
    changes: list[tuple[int, str]] = []
    for day, rows in groupby(held, lambda row: row[0]):
        now = (0, delivery(changes[-1][1], day)) if changes else (0, 0)
        rivals = [
            (interest or 0.0, -month, symbol)
            for _, symbol, interest in rows
            if contract.fullmatch(symbol) and (month := delivery(symbol, day)) >= now[1]
        ]
        best = max(rivals, default=(0.0, 0, ""))[2]
        if best and (not changes or best != changes[-1][1]):
            changes.append((_number(day) + bool(changes), best))
    return changes


def delivery(symbol: str, day: date) -> int:
    """Return the month of delivery, YYYYMM; a year of one digit is the first from a year before `day`."""
    found = _CONTRACT.fullmatch(symbol)
    if found is None:
        return 0
    digits = found[1]
    year, month = int(digits[:-2]), int(digits[-2:])
    since = day.year - 1
    return (2000 + year if len(digits) == 4 else since + (year - since) % 10) * 100 + month


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _range(span: Span, start_us: int, stop_us: int) -> tuple[int, int]:
    """Return when rows of these trading days can be, within what is asked for."""
    low = span.first * _DAY_US - _ZONE_US - _REST_US
    return max(start_us, low), min(stop_us, span.last * _DAY_US - _ZONE_US)


def _days(table: pa.Table, span: Span) -> pa.Table:
    days = table.column("trading_date").cast(pa.int32())
    return table.filter(pc.and_(pc.greater_equal(days, span.first), pc.less(days, span.last)))


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, column) if at >= 0 else table
