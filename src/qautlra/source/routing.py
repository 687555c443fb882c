"""The router between several live sources and the pump: a door and a demand for each of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from qautlra._core.quotes_diff import heads
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.source.base import Demand, Publisher, Source
from qautlra.source.router import Quote, Router, RouterOptions

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from qautlra._core.market import Instruments, Rows

UP_KNOWN_S = 0.5


class Door:
    """What one source publishes through: only the rows it is the leader for go on to the pump."""

    def __init__(self, name: str, router: Router, pump: Publisher) -> None:
        self._name, self._router, self._pump = name, router, pump
        self.rows = 0
        self.dropped = 0

    async def publish(self, rows: Rows, start: int = 0, stop: int | None = None) -> int:
        """Publish those of rows[start:stop] that are admitted; return how many were taken."""
        end = len(rows) if stop is None else stop
        now_s = monotonic_s()
        admitted = [self._router.admit(self._name, Quote(*head), now_s) for head in heads(rows, start, end)]
        taken, at = 0, 0
        while at < len(admitted):
            first = at
            while at < len(admitted) and admitted[at]:
                at += 1
            if at > first:
                took = await self._pump.publish(rows, start + first, start + at)
                self.dropped += at - first - took
                taken += took
            at += 1
        if not taken:
            await asyncio.sleep(0)
        self.rows += taken
        return taken


class Routing:
    """All live sources of a process behind one router. Make it, make the sources, then `attach` them.

    Every source that can know an instrument is asked for it, so that a standby has news when it must lead.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        instruments: Instruments,
        pump: Publisher,
        asked: Demand,
        options: RouterOptions | None = None,
    ) -> None:
        self.router = Router(kinds, instruments.symbol, is_up=self._is_up, options=options)
        self._doors = {kind: Door(kind, self.router, pump) for kind in kinds}
        self._demands = {kind: Demand() for kind in kinds}
        self._sources: dict[str, Source] = {}
        self._asked = asked
        self._up: dict[str, tuple[float, bool]] = {}

    def door(self, kind: str) -> Door:
        """Return what this source publishes through."""
        return self._doors[kind]

    def demand(self, kind: str) -> Demand:
        """Return what this source is asked for."""
        return self._demands[kind]

    def attach(self, sources: dict[str, Source]) -> None:
        """Know the sources, and ask each for what it can know from now on."""
        self._sources = sources
        self._asked.listen(self._spread)
        self._spread()
        router = self.router
        watch = metrics.watch
        watch(
            "qautlra_source_led_instruments_count",
            "Instruments a source speaks for",
            lambda: {(kind,): float(router.led()[kind]) for kind in self._doors},
            labels=["source"],
        )
        for name, text, counts in (
            ("takeovers", "Times a source took over an instrument", router.takeovers),
            ("compared", "Rows compared with the leading source's", router.compared),
            ("passed_over", "Rows not taken because another source leads", router.passed_over),
        ):
            watch(f"qautlra_source_{name}", text, self._reader(counts), kind="counter", labels=["source"])
        watch(
            "qautlra_source_disagreements",
            "Rows that differ from the leading source's by more than the market can",
            lambda: {key: float(count) for key, count in router.disagreements.items()},
            kind="counter",
            labels=["source", "what"],
        )

    def _reader(self, counts: Counter[str]) -> Callable[[], metrics.Reading]:
        return lambda: {(kind,): float(counts[kind]) for kind in self._doors}

    def _spread(self) -> None:
        for kind, source in self._sources.items():
            self._demands[kind].put(frozenset(s for s in self._asked.wanted if source.serves(s)))

    def _is_up(self, kind: str) -> bool:
        now_s = monotonic_s()
        known = self._up.get(kind)
        if known is None or now_s - known[0] >= UP_KNOWN_S:
            source = self._sources.get(kind)
            known = (now_s, source is None or bool(source.health().get("connected", True)))
            self._up[kind] = known
        return known[1]
