"""The supervisor with services of its own: order, restart alone, end on an invariant, bounded stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from qautlra.base.clock import new_random
from qautlra.base.errors import ConfigError, InvariantError, SourceError, StorageError
from qautlra.base.service import Service
from qautlra.base.supervisor import Backoff, Supervisor


class Probe(Service):
    """Writes what happens to it into a shared list; `errors` are raised by the next starts."""

    def __init__(self, name: str, seen: list[str]) -> None:
        super().__init__(name)
        self.seen = seen
        self.errors: list[Exception] = []
        self.started = asyncio.Event()

    async def start(self) -> None:
        self.seen.append(f"start {self.name}")
        if self.errors:
            raise self.errors.pop(0)
        await super().start()
        self.started.set()

    async def stop(self, grace_s: float) -> None:
        self.seen.append(f"stop {self.name}")
        self.started.clear()
        await super().stop(grace_s)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 10))


def house(seen: list[str]) -> tuple[Supervisor, list[Probe]]:
    probes = [Probe(name, seen) for name in ("net", "store", "source")]
    return Supervisor(probes, restart_min_s=0.001, restart_max_s=0.01, random=new_random(7)), probes


def test_starts_in_order_and_stops_in_reverse() -> None:
    async def body() -> None:
        seen: list[str] = []
        supervisor, _ = house(seen)
        assert not supervisor.ready
        await supervisor.start()
        assert supervisor.ready
        assert supervisor.health()["status"] == "ok"
        await supervisor.stop()
        assert seen == ["start net", "start store", "start source", "stop source", "stop store", "stop net"]
        assert not supervisor.ready
        assert all(child.state == "stopped" for child in supervisor.children.values())

    run(body)


@pytest.mark.parametrize("how", ["fail", "cancel", "raise"])
def test_a_failing_service_returns_alone(how: str) -> None:
    async def body() -> None:
        seen: list[str] = []
        supervisor, probes = house(seen)
        await supervisor.start()
        store = probes[1]
        seen.clear()
        store.started.clear()
        if how == "fail":
            store.fail(StorageError("disk full"))
        elif how == "cancel":
            for task in list(store._tasks):
                task.cancel()
        else:

            async def broken() -> None:
                raise ValueError("unreadable")

            store.spawn(broken())
        await store.started.wait()
        await asyncio.sleep(0)
        assert seen == ["stop store", "start store"]
        facts = supervisor.health()["services"][1]
        assert facts["name"] == "store"
        assert facts["restarts"] == 1
        assert facts["last_error"]
        assert supervisor.ready
        await supervisor.stop()

    run(body)


def test_restarts_until_the_cause_is_gone() -> None:
    async def body() -> None:
        seen: list[str] = []
        supervisor, probes = house(seen)
        await supervisor.start()
        probes[2].errors = [SourceError("away"), RuntimeError("still"), SourceError("away")]
        probes[2].started.clear()
        probes[2].fail(SourceError("cut"))
        await probes[2].started.wait()
        await asyncio.sleep(0)
        assert supervisor.children["source"].restarts == 4
        assert supervisor.ready
        await supervisor.stop()

    run(body)


def test_an_outside_failure_at_first_start_backs_off() -> None:
    async def body() -> None:
        seen: list[str] = []
        supervisor, probes = house(seen)
        probes[2].errors = [SourceError("front is away")]
        await supervisor.start()
        await probes[2].started.wait()
        await asyncio.sleep(0)
        assert supervisor.ready
        await supervisor.stop()

    run(body)


@pytest.mark.parametrize(
    "error", [ConfigError("port taken"), StorageError("locked", retryable=False), RuntimeError("bug")]
)
def test_a_failure_at_first_start_that_will_not_heal_ends_all(error: Exception) -> None:
    async def body() -> None:
        seen: list[str] = []
        supervisor, probes = house(seen)
        probes[1].errors = [error]
        with pytest.raises(type(error)):
            await supervisor.start()
        assert "stop net" in seen
        assert "start source" not in seen

    run(body)


@pytest.mark.parametrize("error", [InvariantError("book is crossed"), SystemExit(3)])
def test_an_invariant_ends_the_process(error: BaseException) -> None:
    async def body() -> None:
        seen: list[str] = []
        supervisor, probes = house(seen)
        await supervisor.start()
        probes[0].fail(error)
        assert await supervisor.wait() is error
        await supervisor.stop()

    run(body)


def test_stop_is_bounded_by_the_grace() -> None:
    class Stubborn(Service):
        name = "stubborn"

        async def stop(self, grace_s: float) -> None:
            await asyncio.Event().wait()

    async def body() -> None:
        supervisor = Supervisor([Stubborn()])
        await supervisor.start()
        before = asyncio.get_running_loop().time()
        await supervisor.stop(0.1)
        assert asyncio.get_running_loop().time() - before < 1.0

    run(body)


def test_a_running_service_with_an_error_degrades_the_process() -> None:
    class Full(Probe):
        error = ""

        def health(self) -> dict[str, Any]:
            return {"error": self.error} if self.error else {}

    async def body() -> None:
        store = Full("store", [])
        supervisor = Supervisor([store])
        await supervisor.start()
        assert supervisor.health()["status"] == "ok"
        store.error = "write failed: No space left on device"
        assert supervisor.health()["status"] == "degraded"
        store.error = ""
        assert supervisor.health()["status"] == "ok"
        await supervisor.stop()

    run(body)


def test_health_survives_a_service_that_cannot_tell() -> None:
    class Mute(Service):
        name = "mute"

        def health(self) -> dict[str, Any]:
            raise KeyError("x")

    async def body() -> None:
        supervisor = Supervisor([Mute()])
        await supervisor.start()
        assert supervisor.health()["services"][0]["state"] == "running"
        await supervisor.stop()

    run(body)


def test_backoff_doubles_to_its_bound_and_calm_resets_it() -> None:
    backoff = Backoff(0.1, 1.0, new_random(1))
    delays = [backoff.next_s(0.0) for _ in range(8)]
    for step, delay in enumerate(delays):
        full = min(1.0, 0.1 * 2**step)
        assert full / 2 <= delay <= full
    assert backoff.next_s(3.0) <= 0.1


def test_started_is_told_after_each_start() -> None:
    async def body() -> None:
        seen: list[str] = []
        told: list[str] = []
        probes = [Probe(name, seen) for name in ("store", "source")]
        supervisor = Supervisor(
            probes,
            restart_min_s=0.001,
            restart_max_s=0.01,
            started=lambda service: told.append(f"{service.name} after {seen[-1]}"),
        )
        await supervisor.start()
        assert told == ["store after start store", "source after start source"]
        probes[0].started.clear()
        probes[0].fail(SourceError("cut"))
        await probes[0].started.wait()
        await asyncio.sleep(0)
        assert told[2:] == ["store after start store"]
        await supervisor.stop()

    run(body)


def test_a_wrong_setting_found_by_the_work_ends_the_process() -> None:
    async def body() -> None:
        supervisor, probes = house([])
        await supervisor.start()
        error = ConfigError("not a trading day", key="source.sim.trading_day")
        probes[2].fail(error)
        assert await supervisor.wait() is error
        await supervisor.stop()

    run(body)


def test_a_wrong_setting_of_a_restart_is_tried_again() -> None:
    async def body() -> None:
        supervisor, probes = house([])
        await supervisor.start()
        probes[0].errors = [ConfigError("port taken meanwhile")]
        probes[0].started.clear()
        probes[0].fail(SourceError("cut"))
        await probes[0].started.wait()
        await asyncio.sleep(0)
        assert supervisor.ready
        await supervisor.stop()

    run(body)


def test_what_a_service_says_of_itself_is_finer_than_running() -> None:
    class Replay(Service):
        name = "replay"

        def health(self) -> dict[str, Any]:
            return {"state": "finished", "rows": 3}

    async def body() -> None:
        supervisor = Supervisor([Replay()])
        assert supervisor.health()["services"][0]["state"] == "waiting"
        await supervisor.start()
        assert supervisor.health()["services"][0]["state"] == "finished"
        assert supervisor.ready
        await supervisor.stop()
        assert supervisor.health()["services"][0]["state"] == "stopped"

    run(body)
