"""Prices that conditional orders wait for: who waits for which instrument, and when a price cannot matter.

Between two triggers nothing that waits can change: rows there cost one comparison, however many wait, and one
beyond a trigger costs a look at those it passed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from qautlra._core.tape import Follower
from qautlra.model.condition import Conditional, Kind, State

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape

Key = tuple[str, str]


class _Line:
    """Who waits for one instrument, by the prices that matter to them.

    Between the price everybody was looked at and the present one nothing has changed for whoever has no edge
    there. That price is another one while the instrument does not trade: then nothing is met, only armed.
    """

    __slots__ = ("_always", "_bases", "_edges", "_fresh", "_serial", "keys")

    def __init__(self) -> None:
        self.keys: dict[Key, int] = {}
        self._edges: list[tuple[float, Key]] = []
        self._always: set[Key] = set()
        self._fresh: tuple[set[Key], set[Key]] = (set(), set())
        self._bases: list[float | None] = [None, None]
        self._serial = 0

    def add(self, key: Key, edges: Iterable[float], *, always: bool) -> None:
        """Have an order wait, or look at it once more."""
        for fresh in self._fresh:
            fresh.add(key)
        if key not in self.keys:
            self._serial += 1
            self.keys[key] = self._serial
            for edge in edges:
                insort(self._edges, (edge, key))
            if always:
                self._always.add(key)

    def remove(self, key: Key, edges: Iterable[float]) -> None:
        """Have it wait no more."""
        if self.keys.pop(key, None) is None:
            return
        for edge in edges:
            del self._edges[bisect_left(self._edges, (edge, key))]
        for keys in (self._always, *self._fresh):
            keys.discard(key)

    def wants(self, price: float) -> bool:
        """Tell whether a row of that price may matter to anybody."""
        return price != self._bases[True] or bool(self._always or self._fresh[True])

    def due(self, price: float, *, is_open: bool) -> list[Key]:
        """Return to whom a price may matter, who has waited longest first."""
        base = self._bases[is_open]
        if base is None:
            return list(self.keys)
        found = self._always | self._fresh[is_open]
        if base != price:
            low, high = sorted((base, price))
            first = bisect_left(self._edges, (low,))
            last = bisect_left(self._edges, (math.nextafter(high, math.inf),))
            found.update(key for _, key in self._edges[first:last])
        return sorted(found, key=self.keys.__getitem__)

    def looked(self, price: float, *, is_open: bool) -> None:
        """Remember that all who were due were looked at."""
        for at in (False, True) if is_open else (False,):
            self._bases[at] = price
            self._fresh[at].clear()


class Watch:
    """The living conditional orders by instrument. Bound: theirs."""

    def __init__(self, tape: Tape, instruments: Instruments) -> None:
        self.prices: dict[str, float] = {}
        "Last prices of what was ever waited for."
        self._tape = tape
        self._instruments = instruments
        self._follower = Follower(tape)
        self._lines: dict[str, _Line] = {}
        self._symbols: dict[int, str] = {}  # by line of the tape

    def clear(self) -> None:
        """Wait for nothing."""
        for symbol in list(self._lines):
            self._follow(symbol, False)
        self._lines.clear()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._lines

    @property
    def count(self) -> int:
        """How many wait."""
        return len({key for line in self._lines.values() for key in line.keys})

    def index(self, order: Conditional) -> None:
        """Wait for what a living order waits for, and for nothing on behalf of any other."""
        key = (order.account_id, order.order_id)
        for symbol in {condition.symbol for condition in order.conditions}:
            line, edges = self._lines.get(symbol), _edges(order, symbol)
            if order.state is State.LIVE:
                if line is None:
                    self._follow(symbol, True)
                    line = self._lines[symbol] = _Line()
                line.add(key, edges, always=_waits_for_opening(order, symbol))
            elif line is not None:
                line.remove(key, edges)
                if not line.keys:
                    del self._lines[symbol]
                    self._follow(symbol, False)

    def due(self, symbol: str, *, is_open: bool) -> list[Key]:
        """Return to whom the instrument's price may matter now; `is_open`: it trades continuously."""
        line, price = self._lines.get(symbol), self.prices.get(symbol)
        if line is None:
            return []
        return list(line.keys) if price is None else line.due(price, is_open=is_open)

    def looked(self, symbol: str, *, is_open: bool) -> None:
        """All who were due were looked at."""
        line, price = self._lines.get(symbol), self.prices.get(symbol)
        if line is not None and price is not None:
            line.looked(price, is_open=is_open)

    def moved(self) -> Iterator[str]:
        """Yield the instrument of each row since the last call that may matter; `prices` are of that row."""
        rows, lost = self._follower.read()
        for number, _, _, _, values in rows:
            symbol, price = self._symbols.get(number), values[0]
            if symbol is None or price != price:
                continue
            self.prices[symbol] = price
            line = self._lines.get(symbol)
            if line is not None and line.wants(price):
                yield symbol
        if lost:
            for symbol in list(self._lines):
                self.read(symbol)
                yield symbol

    def read(self, symbol: str) -> None:
        """Take the newest price of an instrument."""
        snapshot = self.snapshot(symbol)
        last = snapshot.get("last_price") if snapshot else None
        if isinstance(last, int | float) and last == last:
            self.prices[symbol] = float(last)

    def snapshot(self, symbol: str) -> dict[str, Any] | None:
        """Return the newest snapshot of an instrument."""
        line = self._instruments.find(symbol)
        return self._tape.last(line) if line >= 0 else None

    def _follow(self, symbol: str, wanted: bool) -> None:
        line = self._instruments.intern(symbol)
        if line < 0:
            return
        self._symbols[line] = symbol
        if wanted:
            if not self._lines:
                self._follower.read()  # what came before is not looked at
            self.read(symbol)
        self._follower.watch(line, wanted)


def _edges(order: Conditional, symbol: str) -> list[float]:
    """Return the prices of an instrument at which something may change for an order."""
    found: list[float] = []
    for condition in order.conditions:
        if condition.symbol == symbol and condition.kind is Kind.PRICE_RANGE:
            found += (condition.left, condition.right)
        elif condition.symbol == symbol and condition.kind in (Kind.PRICE, Kind.BREAK_EVEN):
            found.append(condition.price)
    return found


def _waits_for_opening(order: Conditional, symbol: str) -> bool:
    return any(one.symbol == symbol and one.kind is Kind.MARKET_OPEN for one in order.conditions)
