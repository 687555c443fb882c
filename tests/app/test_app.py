"""The composed process: who is there in which mode, the kill of each service, the end on an invariant."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from qautlra.app import garbage, modes
from qautlra.app.app import LOOP_SLICE_NS, App
from qautlra.app.compose import build
from qautlra.app.places import data_directory
from qautlra.base import log
from qautlra.base.errors import ConfigError, InvariantError, SourceError
from qautlra.config import compat
from qautlra.config.load import Loaded, load

QUICK = [
    "source.sim.history_bars=10",
    "run.restart_min_s=0.01",
    "run.restart_max_s=0.05",
    "log.level=critical",
]


@pytest.fixture(autouse=True)
def quiet() -> None:
    log.configure("critical", "text")


def loaded(tmp_path: Path, *sets: str) -> Loaded:
    flags = {"net.listen.port": (0, "--port")}
    place = f"store.data_dir={tmp_path / 'data'}"
    return load(env={}, discover=False, sets=[*QUICK, place, *sets], flags=flags)


def live(app: App, body: Callable[[App, str], Coroutine[Any, Any, None]]) -> int:
    """Run the app on uvloop as `serve` does, with `body(app, base url)` beside it; return the exit code."""
    failures: list[BaseException] = []

    async def beside() -> None:
        try:
            await asyncio.wait_for(body(app, app.parts["net"].urls[0]), 20)
        except BaseException as error:
            failures.append(error)
        finally:
            app.supervisor.request_stop()

    async def main() -> int:
        tasks: list[asyncio.Task[None]] = []
        return await app.run(lambda _app: tasks.append(asyncio.create_task(beside())))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(main())
    if failures:
        raise failures[0]
    return code


async def get(url: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        text = await reply.text()
        return reply.status, json.loads(text) if text.startswith(("{", "[")) else text


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the state of another task, which tells nobody
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def no_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "settle", lambda: None)


def test_modes_are_sets_of_rooms() -> None:
    assert modes.rooms(["all"]) == {"source", "feed", "store", "query", "ingest", "trade"}
    assert modes.rooms(["md", "query"]) == {"source", "feed", "store", "query"}
    assert modes.rooms(["all"], with_store=False) == {"source", "feed", "trade"}
    for later in ("realtime", "strategy", "fund"):
        with pytest.raises(ConfigError, match="not part of this build"):
            modes.rooms([later], "flag --mode")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (
            "all",
            [
                "loop_lag",
                "auth",
                "net",
                "admin_socket",
                "store",
                "imports",
                "desk",
                "trade",
                "brokers",
                "trade.documents",
                "feed",
                "ctp_front",
                "source.sim",
            ],
        ),
        (
            "trade",
            [
                "loop_lag",
                "auth",
                "net",
                "admin_socket",
                "desk",
                "trade",
                "brokers",
                "trade.documents",
                "feed",
                "ctp_front",
                "source.sim",
            ],
        ),
        ("md", ["loop_lag", "net", "feed", "ctp_front", "source.sim"]),
        ("db", ["loop_lag", "auth", "net", "admin_socket", "store", "imports"]),
        ("query", ["loop_lag", "auth", "net", "admin_socket", "store"]),
        ("web", ["loop_lag", "net"]),
    ],
)
def test_services_of_each_mode_in_start_order(tmp_path: Path, mode: str, expected: list[str]) -> None:
    app = build(loaded(tmp_path, f"mode={mode}"))
    assert list(app.supervisor.children) == expected


def test_the_market_clock_belongs_to_the_source(tmp_path: Path) -> None:
    assert build(loaded(tmp_path)).clock.name == "sim"
    assert build(loaded(tmp_path, "mode=query")).clock.name == "wall"


def test_contracts_of_a_recording_are_of_its_decade(tmp_path: Path) -> None:
    recorded = tmp_path / "day.csv"
    recorded.write_text("TradingDay,InstrumentID,ExchangeID,UpdateTime\n20210802,TA109,CZCE,09:00:00\n")
    app = build(loaded(tmp_path, "mode=md", f"source.replay.files={recorded}"))
    instruments = app.parts["instruments"]
    assert instruments.info(instruments.intern("CZCE.TA109"))["delivery_year"] == 2021


@pytest.mark.parametrize(
    "victim",
    [
        "loop_lag",
        "auth",
        "net",
        "admin_socket",
        "store",
        "desk",
        "trade",
        "brokers",
        "trade.documents",
        "feed",
        "ctp_front",
        "source.sim",
    ],
)
@pytest.mark.parametrize("how", ["fail", "cancel"])
def test_each_service_is_killed_and_returns(tmp_path: Path, victim: str, how: str) -> None:
    async def body(app: App, base: str) -> None:
        child = app.supervisor.children[victim]
        others = [c for name, c in app.supervisor.children.items() if name != victim]
        if how == "cancel" and not child.service._tasks:
            pytest.skip(f"{victim} has no task of its own")
        if how == "fail":
            child.service.fail(SourceError("killed by the test"))
        else:
            for task in list(child.service._tasks):
                task.cancel()
        await until(lambda: child.restarts == 1 and child.state == "running")
        assert [c.restarts for c in others] == [0] * len(others)
        assert app.ready
        status, health = await get(app.parts["net"].urls[0] + "/healthz")
        assert status == 200
        (facts,) = [s for s in health["services"] if s["name"] == victim]
        assert facts["restarts"] == 1
        assert facts["last_error"]
        # and it works again: ticks go on, a client is served, what is stored can be asked for
        head = app.parts["tape"].head
        await until(lambda: bool(app.parts["tape"].head > head))
        url = app.parts["net"].urls[0]
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws/market") as ws:
            symbol = app.parts["instruments"].symbol(app.parts["tape"].seen()[0])
            await ws.send_str(json.dumps({"aid": "subscribe_quote", "ins_list": symbol}))
            while True:
                frame = json.loads((await ws.receive()).data)
                if frame["aid"] == "rtn_data" and any(symbol in d.get("quotes", {}) for d in frame["data"]):
                    break
        async with aiohttp.ClientSession() as session:
            body = {"stream": "market_data", "start_time": "1d-ago", "limit": 5}
            async with session.post(f"{url}/api/v1/query", json=body) as reply:
                assert reply.status == 200
                assert await reply.json()

    assert live(build(loaded(tmp_path)), body) == 0


def test_no_row_is_lost_while_the_store_restarts(tmp_path: Path) -> None:
    async def body(app: App, base: str) -> None:
        store, pump = app.supervisor.children["store"], app.parts["pump"]
        for restarts in (1, 2, 3):
            rows = pump.rows
            await until(lambda rows=rows: pump.rows > rows + 500)
            store.service.fail(SourceError("killed by the test"))
            await until(lambda restarts=restarts: store.restarts == restarts and store.state == "running")
        source = app.supervisor.children["source.sim"].service
        await source.stop(1.0)
        published = app.parts["tape"].head
        url = app.parts["net"].urls[0]
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{url}/api/v1/query",
                json={"stream": "market_data", "start_time": "1d-ago", "end_time": "2100-01-01"},
            ) as reply,
        ):
            assert reply.status == 200, await reply.text()
            assert len(await reply.json()) == published == pump.rows

    assert live(build(loaded(tmp_path, "source.sim.ticks_per_s=20000")), body) == 0


def test_an_invariant_ends_the_process_with_1(tmp_path: Path) -> None:
    async def body(app: App, base: str) -> None:
        app.supervisor.children["feed"].service.fail(InvariantError("the test says so"))
        await asyncio.Event().wait()

    async def main(app: App) -> int:
        tasks: list[asyncio.Task[None]] = []
        return await app.run(lambda a: tasks.append(asyncio.create_task(body(a, ""))))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main(build(loaded(tmp_path, "mode=md")))) == 1


def test_an_invariant_broken_in_a_callback_ends_the_process_too(tmp_path: Path) -> None:
    def broken() -> None:
        raise InvariantError("in a callback")

    async def main(app: App) -> int:
        return await app.run(lambda _a: asyncio.get_running_loop().call_soon(broken) and None)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main(build(loaded(tmp_path, "mode=md")))) == 1


def test_status_says_what_is_simulated(tmp_path: Path) -> None:
    examples = Path(__file__).resolve().parents[2] / "config" / "examples"
    given = load(
        env={},
        discover=False,
        files=[examples / "config_ctp.json"],
        sets=[*QUICK, "mode=md"],
        flags={"net.listen.port": (0, "--port")},
    )

    async def body(app: App, base: str) -> None:
        _, status = await get(base + "/api/status")
        assert "SIMULATED" in status["sources"][0]["note"]
        _, health = await get(base + "/healthz")
        assert "SIMULATED" in health["note"]
        assert health["loop"] == "uvloop"
        assert (await get(base + "/readyz"))[0] == 200
        _, text = await get(base + "/metrics")
        assert "qautlra_tape_rows_total" in text
        assert "qautlra_net_loop_lag_seconds" in text

    assert live(build(given), body) == 0


def test_a_busy_port_that_was_asked_for_fails_by_name(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        given = load(env={}, discover=False, sets=[*QUICK, "mode=web", f"net.listen=127.0.0.1:{port}"])
        with (
            pytest.raises(ConfigError, match=f"127.0.0.1:{port}"),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(build(given).run())


def test_an_address_nobody_chose_may_be_taken_even_while_the_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        *chosen, sample = [one.getsockname() for one in found]
    monkeypatch.setattr(compat, "QUERY_SAMPLE_PORT", sample[1])
    file = tmp_path / "config.json"
    doors = {name: {"port": place[1]} for name, place in zip(("websocket", "rest_api"), chosen, strict=True)}
    file.write_text(json.dumps(doors | {"brokers": {}}))
    app = build(load(env={}, files=[str(file)], sets=[*QUICK, "mode=md", "source.kinds=sim"]))

    async def body(app: App, base: str) -> None:
        assert app.parts["net"].addresses == chosen
        assert (await get(base + "/readyz"))[0] == 200

    with socket.socket() as taken:
        taken.bind(sample)
        taken.listen()
        assert live(app, body) == 0


def test_data_directory() -> None:
    assert data_directory("/x/y", {}) == Path("/x/y")
    assert data_directory("", {"XDG_DATA_HOME": "/d"}) == Path("/d/qautlra")
    assert data_directory("", {"XDG_DATA_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/share/qautlra")
    with pytest.raises(ConfigError, match=r"store\.data_dir"):
        data_directory("", {})


def test_the_loop_asks_for_short_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("qautlra.app.app.ask_slice", lambda ns: asked.append((threading.get_ident(), ns)))

    async def body(_app: App, _base: str) -> None:
        assert asked == [(threading.get_ident(), LOOP_SLICE_NS)]

    assert live(build(loaded(tmp_path, "mode=md")), body) == 0


def test_a_loop_that_polls_serves_the_same_and_ends(tmp_path: Path) -> None:
    async def body(app: App, base: str) -> None:
        status, _ = await get(base + "/healthz")
        assert status == 200

    assert live(build(loaded(tmp_path, "run.busy_poll=true", "mode=md")), body) == 0


def test_a_front_of_the_routers_brokers_tells_the_trading_status(tmp_path: Path) -> None:
    from qautlra.feed.directory import NOT_TRADING
    from qautlra.link.ctp_library import simulated_library

    app = build(
        loaded(
            tmp_path,
            "mode=all",
            f"ctp.td_lib={simulated_library()}",
            "trade.brokers.front.kind=ctp",
            "trade.brokers.front.url=tcp://127.0.0.1:1",
            "trade.logins.acc001.password=A-password-1",
        )
    )
    broker = app.parts["trade"].router.sites.make("front", "acc001")
    directory = app.parts["feed"].directory
    before = directory.trading_status("SHFE.cu2701")
    broker.status_told("SHFE.cu", 0)
    assert directory.trading_status("SHFE.cu2701") == NOT_TRADING
    broker.status_lost()
    assert directory.trading_status("SHFE.cu2701") == before
