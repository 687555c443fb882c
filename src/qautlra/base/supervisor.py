"""Starts services in order, stops them in reverse, and restarts alone the one that fails on input.

A failure on an invariant is ours: it ends the process (`wait` returns it), because start-up and recovery
are the same code. States: waiting, starting, running, backoff, stopping, stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from qautlra.base import clock, log, metrics
from qautlra.base.errors import ConfigError, InvariantError, LinkError, SourceError, StorageError
from qautlra.base.service import STOP_GRACE_S, Service

_ERROR_CHARS_COUNT = 500


class Backoff:
    """Delays doubling from `min_s` to `max_s`, each shortened by up to half at random; calm resets them."""

    def __init__(self, min_s: float, max_s: float, random: Random) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._random = random
        self._step = 0

    def next_s(self, ran_s: float) -> float:
        """Return the seconds to wait after a run that lasted `ran_s`."""
        if ran_s > 2 * self._max_s:
            self._step = 0
        full_s: float = min(self._max_s, self._min_s * 2.0**self._step)
        self._step = min(self._step + 1, 32)
        return full_s * (0.5 + 0.5 * self._random.random())


class Child:
    """One service with what the supervisor knows of it."""

    def __init__(self, service: Service, backoff: Backoff) -> None:
        self.service = service
        self.backoff = backoff
        self.state = "waiting"
        self.restarts = 0
        self.last_error = ""
        self.since_s = clock.monotonic_s()
        self.retry_at_s = 0.0
        self.watch: asyncio.Task[None] | None = None

    def enter(self, state: str) -> None:
        """Move to `state` and remember when."""
        self.state = state
        self.since_s = clock.monotonic_s()

    def failed_with(self, error: BaseException) -> None:
        """Remember `error` for `health`, bounded."""
        self.last_error = f"{type(error).__name__}: {error}"[:_ERROR_CHARS_COUNT]

    def health(self) -> dict[str, Any]:
        """Return the service's own facts under the supervisor's."""
        now = clock.monotonic_s()
        try:
            facts = dict(self.service.health())
        except Exception as error:
            facts = {"health_error": str(error)[:_ERROR_CHARS_COUNT]}
        # What a running service says of itself (`finished`, …) is finer than our `running`.
        own = facts.pop("state", self.state)
        state = own if self.state == "running" else self.state
        facts = {"name": self.service.name, "state": state, "restarts": self.restarts, **facts}
        facts["since_s"] = round(now - self.since_s, 3)
        if self.last_error:
            facts["last_error"] = self.last_error
        if self.state == "backoff":
            facts["retry_in_s"] = round(max(0.0, self.retry_at_s - now), 3)
        return facts


class Supervisor:
    """Owns the lives of `services`, given in start order; names must differ. One loop, no threads.

    `started` is called after each successful start, before the next service's.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        restart_min_s: float = 0.2,
        restart_max_s: float = 30.0,
        random: Random | None = None,
        started: Callable[[Service], None] = lambda _service: None,
    ) -> None:
        draw = random or clock.new_random()
        self.children = {
            service.name: Child(service, Backoff(restart_min_s, restart_max_s, draw)) for service in services
        }
        if len(self.children) != len(services):
            raise InvariantError("two services have one name")
        self._started = started
        self._log = log.get_logger("supervisor")
        self._ended: asyncio.Future[BaseException | None] | None = None
        self.stopping = False
        self._restarts = metrics.counter("qautlra_app_restarts", "restarts of services", ["service"])
        metrics.watch(
            "qautlra_app_service_up",
            "1 while the service runs",
            lambda: {(name,): float(child.state == "running") for name, child in self.children.items()},
            labels=["service"],
        )

    @property
    def ready(self) -> bool:
        """Whether every service runs now (`/readyz`)."""
        return not self.stopping and all(child.state == "running" for child in self.children.values())

    def health(self) -> dict[str, Any]:
        """Return `{"status": ok|starting|degraded|stopping, "services": [facts in start order]}`.

        Degraded: a service waits for its restart, or one that runs names an `error` that holds it back.
        """
        states = {child.state for child in self.children.values()}
        services = [child.health() for child in self.children.values()]
        if self.stopping:
            status = "stopping"
        elif "backoff" in states or any(facts.get("error") for facts in services):
            status = "degraded"
        elif states <= {"running"}:
            status = "ok"
        else:
            status = "starting"
        return {"status": status, "services": services}

    async def start(self) -> None:
        """Start all in order. An outside failure enters back-off; any other stops all and is raised."""
        for child in self.children.values():
            if self.stopping:
                return
            child.enter("starting")
            child.service.renew()
            try:
                await child.service.start()
            except (SourceError, LinkError, StorageError) as error:
                if not error.retryable:
                    await self._give_up(child, error)
                    raise
                child.failed_with(error)
                child.service.fail(error)
            except (Exception, asyncio.CancelledError) as error:
                await self._give_up(child, error)
                raise
            else:
                child.enter("running")
                self._started(child.service)
            child.watch = asyncio.get_running_loop().create_task(
                self._watch(child), name=f"watch.{child.service.name}"
            )

    async def wait(self) -> BaseException | None:
        """Wait for the end: None after `request_stop`, the error when the process must end for it."""
        return await self._end()

    def request_stop(self) -> None:
        """Ask for an orderly end; safe from a signal handler of the loop."""
        if not self._end().done():
            self._end().set_result(None)

    def fatal(self, error: BaseException) -> None:
        """End the process for `error`: state can no longer be trusted."""
        if not isinstance(error, ConfigError):  # whose sentence says it all
            self._log.critical("fatal", error=str(error), exc_info=error)
        if not self._end().done():
            self._end().set_result(error)

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stop all in reverse order within `grace_s` seconds together; what does not end in time is left."""
        self.stopping = True
        deadline_s = clock.monotonic_s() + grace_s
        watches = [child.watch for child in self.children.values() if child.watch is not None]
        for watch in watches:
            watch.cancel()
        if watches:
            await asyncio.wait(watches, timeout=grace_s / 4)
        for child in reversed(self.children.values()):
            if child.state in ("waiting", "stopped"):
                continue
            child.enter("stopping")
            left_s = max(0.05, deadline_s - clock.monotonic_s())
            await self._stop_quietly(child, left_s)
            child.enter("stopped")

    def _end(self) -> asyncio.Future[BaseException | None]:
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    async def _give_up(self, child: Child, error: BaseException) -> None:
        child.failed_with(error)
        await self.stop()

    async def _watch(self, child: Child) -> None:
        service = child.service
        while True:
            error = await service.failed
            child.failed_with(error)
            # A ConfigError of the work itself will not heal; one of a restart may (a port taken meanwhile).
            if isinstance(error, InvariantError | ConfigError) or not isinstance(error, Exception):
                self.fatal(error)
                return
            ran_s = clock.monotonic_s() - child.since_s if child.state == "running" else 0.0
            delay_s = child.backoff.next_s(ran_s)
            child.retry_at_s = clock.monotonic_s() + delay_s
            child.enter("backoff")
            self._log.warning(
                "service_failed", service=service.name, error=child.last_error, retry_in_s=round(delay_s, 3)
            )
            await self._stop_quietly(child, STOP_GRACE_S)
            await asyncio.sleep(max(0.0, child.retry_at_s - clock.monotonic_s()))
            child.restarts += 1
            self._restarts.labels(service.name).inc()
            service.renew()
            try:
                await service.start()
            except InvariantError as broken:
                child.failed_with(broken)
                self.fatal(broken)
                return
            except ConfigError as again:
                service.fail(SourceError(str(again)))
            except Exception as again:
                service.fail(again)
            else:
                child.enter("running")
                self._started(service)
                self._log.info("service_restarted", service=service.name, restarts=child.restarts)

    async def _stop_quietly(self, child: Child, grace_s: float) -> None:
        try:
            await asyncio.wait_for(child.service.stop(grace_s), grace_s + 0.05)
        except TimeoutError:
            self._log.warning("service_stop_late", service=child.service.name, grace_s=round(grace_s, 3))
        except Exception as error:
            self._log.warning("service_stop_failed", service=child.service.name, error=str(error))
        with suppress(Exception):
            await child.service.cancel_tasks(min(grace_s, 0.2))
