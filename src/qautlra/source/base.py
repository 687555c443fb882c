"""What every source shares: the context it is given and the pump, the one way rows reach the tape.

The pump publishes in slices, lets every cursor drain after each slice and yields to the loop, so a source
that has a million rows ready starves nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from qautlra.base.service import Service

if TYPE_CHECKING:
    import pyarrow as pa

    from qautlra._core.market import Calendar, Instruments, Rows
    from qautlra.base.clock import MarketClock

SLICE_ROWS = 1024
HOLD_POLL_S = 0.002
# Held again within so long, a tape has been held all the time.
CALM_S = 10.0


class Tape(Protocol):
    """The tape as sources see it."""

    def publish(self, rows: Rows, start: int = 0, stop: int = -1) -> int:
        """Take rows[start:stop] in order; return the index of the first row not taken."""
        ...

    def last_identity(self, instrument: int) -> tuple[int, int] | None:
        """Return (event time ns, ordinal) of the instrument's last row, None before any."""
        ...

    def last_row(self, instrument: int) -> Rows:
        """Return the instrument's last row, or no row."""
        ...

    def seen(self) -> list[int]:
        """Return the instruments that have a last row."""
        ...


class BarStore(Protocol):
    """Where a source puts bars of the time before its first tick."""

    async def bar_symbols(self) -> set[str]:
        """Return the symbols that have one-minute bars stored."""
        ...

    def expect_bars(self) -> None:
        """Get ready: bars are being made."""
        ...

    async def write_bars(self, table: pa.Table) -> None:
        """Store one-minute bars (columns of `history.BAR_SCHEMA`, ordered by instrument, then time)."""
        ...


class Pump:
    """Publishes rows on the tape, then calls the cursors' drains in order, then yields to the loop.

    When a holding cursor is full, `when_held="wait"` waits for room (recorded or simulated data can wait);
    `"drop"` has `shed` make room by giving up what that cursor had not read (a live market does not wait, or
    for `patience_s` only); without one it counts its rows in `dropped` and goes on. A drain that raises
    ends the source's run: what it could not take is still on the tape or was never taken.
    """

    def __init__(
        self,
        tape: Tape,
        drains: Sequence[Callable[[], object]] = (),
        *,
        when_held: Literal["wait", "drop"] = "wait",
        shed: Callable[[], int] | None = None,
        patience_s: float = 0.0,
    ) -> None:
        self._tape = tape
        self._drains = list(drains)
        self._wait = when_held == "wait"
        self._shed = shed
        self._patience_s = patience_s
        self._held_s = (float("-inf"), float("-inf"))  # since when, and when last
        self.rows = 0
        self.dropped = 0
        self.held_count = 0

    def attach(self, drain: Callable[[], object]) -> None:
        """Add a drain, called after those already there."""
        self._drains.append(drain)

    async def publish(self, rows: Rows, start: int = 0, stop: int | None = None) -> int:
        """Publish rows[start:stop]; return how many were taken, after at least one turn of the loop."""
        end = len(rows) if stop is None else stop
        at = start
        while at < end:
            slice_end = min(at + SLICE_ROWS, end)
            taken = self._tape.publish(rows, at, slice_end)
            self.rows += taken - at
            for drain in self._drains:
                drain()
            if taken == at:  # nothing taken although everyone has drained: a cursor holds the tape
                self.held_count += 1
                waits = self._wait or self._is_patient()
                if not waits and self._shed is not None and self._shed():
                    continue
                if not waits:
                    self.dropped += end - at
                    break
                await asyncio.sleep(HOLD_POLL_S)
            else:
                await asyncio.sleep(0)
            at = taken
        return at - start

    def _is_patient(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        since_s, last_s = self._held_s
        if now_s - last_s > CALM_S:
            since_s = now_s
        self._held_s = (since_s, now_s)
        return now_s - since_s < self._patience_s


class Publisher(Protocol):
    """The way to the tape as a source sees it: the pump itself, or its door in the router before it."""

    @property
    def rows(self) -> int:
        """Rows published so far."""
        ...

    @property
    def dropped(self) -> int:
        """Rows given up because the tape was held."""
        ...

    async def publish(self, rows: Rows, start: int = 0, stop: int | None = None) -> int:
        """Publish rows[start:stop]; return how many were taken, after at least one turn of the loop."""
        ...


class Demand:
    """The symbols (`SHFE.au2512`) one live source is asked for; `listen` is told of every change.

    Owner: the loop thread. What a source's own settings name comes on top of it.
    """

    def __init__(self, wanted: Iterable[str] = ()) -> None:
        self.wanted = frozenset(wanted)
        self._listeners: list[Callable[[], None]] = []

    def put(self, wanted: frozenset[str]) -> None:
        """Replace the set and tell the listeners when it is another one."""
        if wanted != self.wanted:
            self.wanted = wanted
            for listener in list(self._listeners):
                listener()

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after every change; return what ends that."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed) if changed in self._listeners else None


class Wants:
    """What several doors want, told to one demand as their union."""

    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._parts: dict[str, frozenset[str]] = {}

    def put(self, door: str, wanted: frozenset[str]) -> None:
        """Replace what one door wants."""
        self._parts[door] = wanted
        self._demand.put(frozenset().union(*self._parts.values()))


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source is given: the shared tables, the market clock it moves and the way to the tape."""

    tape: Tape
    instruments: Instruments
    calendar: Calendar
    clock: MarketClock
    pump: Publisher
    bars: BarStore | None = None
    clients: Callable[[], int] = lambda: 0
    "Market clients that would be sent the next change."
    demand: Demand = field(default_factory=Demand)
    "What live sources are asked for; sim and replay show what they have."


class Source(Service):
    """A service that makes rows. Its health always has `state` and `rows`; a live one's also `connected`."""

    def __init__(self, context: SourceContext, name: str) -> None:
        super().__init__(name)
        self.context = context
        self.state = "starting"

    def serves(self, symbol: str) -> bool:
        """Tell whether this source can know the symbol; routing asks it."""
        return True

    def health(self) -> dict[str, Any]:
        """Return the state and the rows published so far."""
        pump = self.context.pump
        report: dict[str, Any] = {"state": self.state, "rows": pump.rows}
        if pump.dropped:
            report["dropped"] = pump.dropped
        return report
