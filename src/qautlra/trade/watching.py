"""Prices that conditional orders wait for: who waits for which instrument, and when a price cannot matter.

Between two triggers nothing that waits can change: rows there cost one comparison, however many wait.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from qautlra._core.tape import Follower
from qautlra.model.condition import Conditional, Kind, State

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape

Key = tuple[str, str]
_NOTHING: Final = (math.inf, -math.inf)


class Watch:
    """The living conditional orders by instrument. Bound: theirs."""

    def __init__(self, tape: Tape, instruments: Instruments) -> None:
        self.prices: dict[str, float] = {}
        "Last prices of what was ever waited for."
        self._tape = tape
        self._instruments = instruments
        self._follower = Follower(tape)
        self._live: dict[str, dict[Key, None]] = {}
        self._symbols: dict[int, str] = {}  # by line of the tape
        self._quiet: dict[str, tuple[float, float]] = {}  # no price between these can matter

    def clear(self) -> None:
        """Wait for nothing."""
        for symbol in list(self._live):
            self._follow(symbol, False)
        self._live.clear()
        self._quiet.clear()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._live

    @property
    def count(self) -> int:
        """How many wait."""
        return len({key for keys in self._live.values() for key in keys})

    def index(self, order: Conditional) -> None:
        """Wait for what a living order waits for, and for nothing on behalf of any other."""
        key = (order.account_id, order.order_id)
        for symbol in {condition.symbol for condition in order.conditions}:
            self._quiet.pop(symbol, None)
            keys = self._live.get(symbol, {})
            if order.state is State.LIVE:
                if not keys:
                    self._follow(symbol, True)
                self._live.setdefault(symbol, keys)[key] = None
            elif keys.pop(key, False) is None and not keys:
                del self._live[symbol]
                self._follow(symbol, False)

    def waiting(self, symbol: str) -> list[Key]:
        """Return who waits for an instrument."""
        return list(self._live.get(symbol, ()))

    def moved(self) -> Iterator[str]:
        """Yield the instrument of each row since the last call that may matter; `prices` are of that row."""
        rows, lost = self._follower.read()
        for line, _, _, _, values in rows:
            symbol, price = self._symbols.get(line), values[0]
            if symbol is None or price != price:
                continue
            self.prices[symbol] = price
            low, high = self._quiet.get(symbol, _NOTHING)
            if not low < price < high:
                yield symbol
        if lost:
            for symbol in list(self._live):
                self.read(symbol)
                yield symbol

    def rest(self, symbol: str, orders: Iterable[Conditional]) -> None:
        """All that waits for an instrument was looked at while it trades: say when to look again."""
        price = self.prices.get(symbol)
        if price is None:
            return
        low, high = -math.inf, math.inf
        for order in orders:
            for condition in order.conditions:
                if condition.symbol != symbol:
                    continue
                if condition.kind is Kind.MARKET_OPEN:
                    return
                edges = {Kind.PRICE_RANGE: (condition.left, condition.right), Kind.TIME: ()}
                for edge in edges.get(condition.kind, (condition.price,)):
                    low = max(low, edge) if edge <= price else low
                    high = min(high, edge) if edge >= price else high
        self._quiet[symbol] = (low, high)

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
            if not self._live:
                self._follower.read()  # what came before is not looked at
            self.read(symbol)
        self._follower.watch(line, wanted)
