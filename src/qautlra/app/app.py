"""A composed process: its services under one supervisor, and what operations ask of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from qautlra._core.feed import ask_slice
from qautlra.app import garbage
from qautlra.base import clock, log
from qautlra.base.clock import Clock
from qautlra.base.errors import ConfigError, InvariantError
from qautlra.base.service import Service
from qautlra.base.supervisor import Supervisor
from qautlra.config.choose import Choice
from qautlra.config.load import Loaded
from qautlra.wire.qamd import rfc3339


class Tape(Protocol):
    """The tape as far as reports need it."""

    def seen(self) -> list[int]: ...
    def last_identity(self, instrument: int) -> tuple[int, int] | None: ...


LOOP_SLICE_NS = 100_000
"""Of the core, for the loop: what comes in does not wait until another thread's turn of some ms is over."""


class Spinner:
    """Keeps the loop from sleeping: what arrives is seen by the next turn, at the price of a whole core."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle = loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._handle = self._loop.call_soon(self._turn)

    def close(self) -> None:
        """Let the loop sleep again."""
        self._handle.cancel()


class App:
    """All of one process. `build` in `compose` makes it; `run` lives its life."""

    def __init__(
        self,
        *,
        loaded: Loaded,
        choice: Choice,
        services: Sequence[Service],
        market_clock: Clock,
        tape: Tape | None,
        calendar: Any,
        started: Callable[[Service], None] = lambda _service: None,
        parts: dict[str, Any] | None = None,
    ) -> None:
        run = loaded.config.run
        self.loaded = loaded
        self.choice = choice
        self.clock = market_clock
        self.tape = tape
        self.calendar = calendar
        self.parts = parts or {}
        self.supervisor = Supervisor(
            services, restart_min_s=run.restart_min_s, restart_max_s=run.restart_max_s, started=started
        )
        self._began_s = clock.monotonic_s()
        self._log = log.get_logger("app")

    # --- what operations ask (net.deps.Process) ---

    @property
    def ready(self) -> bool:
        """Whether every service runs."""
        return self.supervisor.ready

    def uptime_s(self) -> float:
        """Return seconds since the process was composed."""
        return clock.monotonic_s() - self._began_s

    def health(self) -> dict[str, Any]:
        """Return the supervisor's report, with what people must not overlook."""
        report = self.supervisor.health()
        if self.choice.note:
            report["note"] = self.choice.note
        return report

    def sources(self) -> list[dict[str, Any]]:
        """Return a report per source: name, connected, logged_in, trading_day, last_tick (RFC 3339)."""
        newest_ns = self._newest_ns()
        newest = rfc3339(newest_ns) if newest_ns else None
        alone = len(self.choice.kinds) == 1  # then the tape's newest row is its own, also one from the log
        found = []
        for kind in self.choice.kinds:
            child = self.supervisor.children.get(f"source.{kind}")
            facts = child.health() if child is not None else {}
            up = child is not None and child.state == "running" and bool(facts.get("connected", True))
            report = {
                "name": kind,
                "connected": up,
                "logged_in": up,
                "simulated": kind == "sim",
                "state": facts.get("state", "stopped"),
                "trading_day": self._trading_day(newest_ns),
                "last_tick": newest if alone else facts.get("last_tick"),
                "rows": facts.get("rows", 0),
            }
            if self.choice.note:
                report["note"] = self.choice.note
            found.append(report)
        return found

    def _newest_ns(self) -> int:
        if self.tape is None:
            return 0
        found = (self.tape.last_identity(instrument) for instrument in self.tape.seen())
        return max((identity[0] for identity in found if identity is not None), default=0)

    def _trading_day(self, ts_ns: int) -> str | None:
        if not ts_ns or self.calendar is None:
            return None
        day = self.calendar.trading_day(ts_ns)
        return f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}"

    # --- life ---

    async def run(self, ready: Callable[[App], None] = lambda _app: None) -> int:
        """Start all, call `ready`, serve until a signal or a fatal failure, stop; return the exit code.

        A failure to start, and a setting the work finds wrong, are raised after everything has been stopped.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        ask_slice(LOOP_SLICE_NS)
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.supervisor.request_stop)
        watch: garbage.PauseWatch | None = None
        spinner = Spinner(loop) if self.loaded.config.run.busy_poll else None
        grace_s = self.loaded.config.run.stop_grace_s
        try:
            starting = loop.create_task(self.supervisor.start(), name="start")
            ending = loop.create_task(self.supervisor.wait(), name="end")
            await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                if not ending.done():
                    garbage.settle()
                    watch = garbage.PauseWatch()
                    ready(self)
            else:
                starting.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await starting
            cause = await ending
            self._log.info("stopping", cause="signal" if cause is None else str(cause))
            if isinstance(cause, ConfigError):
                raise cause
            return 0 if cause is None else 1
        finally:
            await self.supervisor.stop(grace_s)
            if watch is not None:
                watch.close()
            if spinner is not None:
                spinner.close()
            garbage.release()
            for number in signals:
                loop.remove_signal_handler(number)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._log.error("unhandled", message=context.get("message", ""), error=str(error), exc_info=error)
        if isinstance(error, InvariantError):
            self.supervisor.fatal(error)
