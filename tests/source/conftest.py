"""A loop whose time jumps to the next timer, so that paced sources run without a sleep."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qautlra._core.market import Calendar, Instruments, Rows
from qautlra._core.tape import Tape
from qautlra.base.clock import VirtualClock
from qautlra.source import replay, sim
from qautlra.source.base import Pump, SourceContext

CONFIG = Path(__file__).parents[2] / "config"


class JumpingLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything is ready or a thread works, else it jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self._threads = 0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> Any:
            if timeout is None or timeout <= 0:
                return select(timeout)
            if self._threads:
                return select(None)
            events = select(0)
            if not events:
                self.now_s += timeout
            return events

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: Any) -> None:
        self._threads -= 1


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    tables = [
        tomllib.loads((CONFIG / f"{name}.toml").read_text("utf-8")) for name in ("calendar", "products")
    ]
    return Calendar(*tables)


class Market:
    """A tape with a log of everything published on it."""

    def __init__(self, calendar: Calendar, clock: VirtualClock | None = None) -> None:
        self.calendar = calendar
        self.instruments = Instruments(calendar)
        self.tape = Tape(self.instruments, calendar, 4096)
        self.clock = clock or VirtualClock("test")
        self.published = Rows(self.instruments)
        self.sizes: list[int] = []
        self.times: list[float] = []
        self.clients = 0
        self.bars: Any = None
        self.pump = Pump(_Recording(self))

    def context(self) -> SourceContext:
        return SourceContext(
            tape=self.tape,
            instruments=self.instruments,
            calendar=self.calendar,
            clock=self.clock,
            pump=self.pump,
            bars=self.bars,
            clients=lambda: self.clients,
        )

    def published_sample(self) -> list[dict[str, Any]]:
        return [self.published.to_dict(i) for i in range(min(len(self.published), 3000))]

    def rows(self) -> list[dict[str, Any]]:
        return self.published.to_dicts()


class _Recording:
    def __init__(self, market: Market) -> None:
        self._market = market

    def publish(self, rows: Rows, start: int = 0, stop: int = -1) -> int:
        market = self._market
        taken = market.tape.publish(rows, start, stop)
        market.published.extend(rows, start, taken)
        market.sizes.append(taken - start)
        market.times.append(asyncio.get_running_loop().time())
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market.tape, name)


@pytest.fixture
def market(calendar: Calendar) -> Market:
    return Market(calendar)


@pytest.fixture
def run_loop(monkeypatch: pytest.MonkeyPatch) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a jumping loop whose time is also the sources' monotonic clock."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        loop = JumpingLoop()
        for module in (sim, replay):
            monkeypatch.setattr(module, "monotonic_ns", lambda: int(loop.now_s * 1e9))
        try:
            return loop.run_until_complete(work)
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    return run
