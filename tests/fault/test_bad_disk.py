"""A disk that refuses, fails or loses what it was given: the server calls nothing safe that is not.

The faults are those of `bad_disk.c`, loaded before the C library; a small disk that really fills up is used
where one may be mounted.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.store.disk import is_full
from qautlra.store.fileproc import FileProcess
from qautlra.store.upkeep import verify
from tests.conftest import ROOT
from tests.e2e.conftest import Serve, Server, serve  # noqa: F401
from tests.e2e.test_ingest import ENV, ingest
from tests.fault.order_ledger import Ledger, drain, insert, login
from tests.fault.test_kill_orders import PASSWORD, USER, add_user, limits, recovered_account, socket_of
from tests.services import program
from tests.store.world import CALENDAR, OPENING, S, run, world
from tests.store.world import tick as row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
PATIENCE_S = 40.0
AU = 1748914200000  # 2025-06-03 09:30 in Beijing, ms


class BadDisk:
    """What the disk does to the processes started with `env`, from now on."""

    def __init__(self, library: Path, control: Path) -> None:
        self._control = control
        self.env = {"LD_PRELOAD": str(library), "BAD_DISK": str(control)}

    def does(self, call: str, code: int, part: str) -> None:
        aside = self._control.with_suffix(".new")
        aside.write_text(f"{call} {code} {part}\n")
        aside.rename(self._control)

    def is_well(self) -> None:
        self._control.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> BadDisk:
    compiler = program("cc", "gcc")
    library = tmp_path / "bad_disk.so"
    source = Path(__file__).with_name("bad_disk.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return BadDisk(library, tmp_path / "faults")


def health(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in server.get_json("/healthz")["services"] if s["name"] == name)
    return found


def wait(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_a_recording_waits_for_a_log_whose_segments_take_long_to_seal(
    serve: Serve,  # noqa: F811
    disk: BadDisk,
    real_day: Path,
    tmp_path: Path,
) -> None:
    """What was shown and is lost by a kill is never more than the 1,024 rows that the docs name."""
    data, day = tmp_path / "kept", {"stream": "futures_market", "start_time": "2021-01-04", "limit": 100_000}
    disk.does("slow", 1000, "/log/")
    server = serve(
        "--source", "replay", "--replay", str(real_day), "--speed", "max",
        "--set", "store.segment_bytes=1048576",
        data=data, env=disk.env,
    )  # fmt: skip
    shown = 0
    while shown < 7_000:  # more than one segment holds
        shown = len(server.query(**day, fields=["datetime"]))
        time.sleep(0.02)
    server.kill()
    disk.is_well()
    kept = len(serve(data=data, mode="db").query(**day, fields=["datetime"]))
    assert shown - 1024 <= kept, (shown, kept)
    assert shown < 27_955, "the recording had to wait"


class Live:
    """A live market before a store in a process of its own, and what it last said."""

    def __init__(self, directory: Path, disk: BadDisk) -> None:
        command = [sys.executable, "-m", "tests.fault.live_writer", str(directory)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | disk.env,
            cwd=ROOT,
            text=True,
        )
        self.longest_s = 0.0

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.longest_s = max(self.longest_s, found.get("most_s", 0.0))
        return found

    def until(self, what: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        deadline = time.monotonic() + 2 * PATIENCE_S
        while not what(found := self.hear()):
            assert time.monotonic() < deadline, found
        return found


def test_a_live_market_goes_on_beside_a_disk_that_has_stopped(disk: BadDisk, tmp_path: Path) -> None:
    """Rows wait within the log's buffer, more are given up and counted; the loop waits for nothing."""
    live = Live(tmp_path / "data", disk)
    try:
        live.until(lambda said: said["rows_logged"] > 20_000)
        live.longest_s = 0.0
        disk.does("stall", 20, "/log/")
        time.sleep(3.0)  # a system takes writes for a while when the disk behind it has stopped
        disk.does("hang", 20, "/log/")
        first = live.until(lambda said: said["rows_shed"])
        assert first["error"], "it is said"
        stopped = live.until(lambda said: "has not answered" in said["error"])
        assert (20 << 20) < stopped["unwritten_bytes"] <= JOURNAL_BUFFER_BYTES
        later = live.until(lambda said: said["published"] > stopped["published"] + 100_000)
        assert later["peak_kib"] < stopped["peak_kib"] + (16 << 10), "what waits is in memory already"
        assert later["given_up"] == 0, "clients have all of it"
        assert live.longest_s < 1.0, "the loop waited for the disk"
        disk.is_well()
        well = live.until(
            lambda said: not said["error"] and said["rows_logged"] > later["rows_logged"] + 50_000
        )
        assert well["rows_shed"] + well["rows_logged"] <= well["published"]
        assert live.process.stdin is not None
        live.process.stdin.close()
        logged = live.until(lambda said: "logged" in said)["logged"]
        assert live.process.wait(60) == 0
    finally:
        disk.is_well()
        live.process.kill()
        live.process.wait()
    assert verify(tmp_path / "data", CALENDAR).errors == []

    async def kept() -> int:
        async with world(tmp_path / "data", hot_bytes=1 << 30) as w:
            return w.store.ingest.stats("futures_market")["rows"]

    assert run(kept()) == logged


@pytest.mark.parametrize(("stream", "log"), [("app", "/tables/log/"), ("futures_market", "data/log/")])
def test_ingest_is_refused_while_the_disk_has_stopped(
    serve: Serve,  # noqa: F811
    disk: BadDisk,
    stream: str,
    log: str,
) -> None:
    make = event if stream == "app" else tick
    server = serve(mode="db", env=ENV | disk.env)
    numbered = itertools.count()
    acknowledged: list[int] = []
    unsafe: set[int] = set()

    def give() -> tuple[int, Any]:
        number = next(numbered)
        status, answer = ingest(server, stream, [make(number)])
        (acknowledged.append if status == 200 else unsafe.add)(number)
        return status, answer

    disk.does("stall", 20, log)
    stopped_s = time.monotonic()
    while time.monotonic() - stopped_s < 4.0:  # a system takes writes for a while
        assert give()[0] == 200
        time.sleep(0.1)
    disk.does("hang", 20, log)

    def is_told() -> bool:
        began_s = time.monotonic()
        status, answer = give()
        assert status == 200 or (status in (503, 507) and answer["retryable"]), answer
        assert time.monotonic() - began_s < 10
        return bool(status == 507 and "has not answered" in answer["error"])

    wait(is_told)
    began_s = time.monotonic()
    assert give()[0] == 507
    assert time.monotonic() - began_s < 1, "nothing waits for it any more"
    assert server.get_json("/healthz")["status"] == "degraded"
    assert server.query(stream=stream, start_time="2025-06-03", end_time="2200-01-01")
    disk.is_well()
    wait(lambda: give()[0] == 200)  # by itself
    wait(lambda: "error" not in health(server, "store"))
    server.kill()
    found = numbers(serve(mode="db", env=ENV), stream)
    assert len(found) == len(set(found)), "rows are there twice"
    assert set(acknowledged) <= set(found) <= set(acknowledged) | unsafe


def event(number: int) -> dict[str, Any]:
    return {"n": number}


def tick(number: int) -> dict[str, Any]:
    return {"instrument_id": "au2512", "datetime": AU + number * 500, "last_price": 780.0, "volume": number}


def numbers(server: Server, stream: str, *, unsafe: frozenset[int] = frozenset()) -> list[int]:
    """What is answered by both ways of asking; they agree but on what is not safe, which only memory has."""
    column = "n" if stream == "app" else "volume"
    span = {"start_time": "2025-06-03", "end_time": "2200-01-01"}
    rows = server.query(stream=stream, **span, limit=100_000, fields=[column])
    found = sorted(int(row[column]) for row in rows)
    body = {
        "query": f"SELECT {column} AS n FROM {stream}",
        "startTime": "2025-06-03",
        "endTime": "2200-01-01",
    }
    status, answer, _ = server.request("POST", "/api/v1/query", json.dumps(body).encode())
    assert status == 200, answer
    counted = sorted(int(row["n"]) for row in json.loads(answer))
    assert [n for n in counted if n not in unsafe] == [n for n in found if n not in unsafe]
    return found


@pytest.mark.parametrize(
    ("call", "code"), [("lose", errno.EIO), ("lose", errno.ENOSPC), ("write", errno.ENOSPC)]
)
@pytest.mark.parametrize(("stream", "log"), [("app", "/tables/log/"), ("futures_market", "data/log/")])
def test_nothing_is_acknowledged_that_no_good_sync_covers(
    serve: Serve,  # noqa: F811
    disk: BadDisk,
    tmp_path: Path,
    stream: str,
    log: str,
    code: int,
    call: str,
) -> None:
    make = event if stream == "app" else tick
    settings = ("--set", "store.durability=power")
    server = serve(*settings, mode="db", env=ENV | disk.env)
    acknowledged: list[int] = []

    def give(number: int) -> tuple[int, Any]:
        status, answer = ingest(server, stream, [make(number)])
        if status == 200:
            acknowledged.append(number)
        return status, answer

    for number in range(3):
        assert give(number)[0] == 200
    disk.does(call, code, log)
    status, answer = give(3)
    assert status in (503, 507) and answer["retryable"] and answer["code"] == "storage", answer
    wait(lambda: "error" in health(server, "store"))
    assert server.get_json("/healthz")["status"] == "degraded"
    for number in range(4, 8):  # it pauses: nothing is taken that could not be kept
        status, answer = give(number)
        assert status == 507 and answer["retryable"], answer
    assert acknowledged == [0, 1, 2]
    found = numbers(server, stream, unsafe=frozenset([3]))  # questions go on
    assert set(acknowledged) <= set(found) <= set(range(4))
    assert server.request("GET", "/readyz")[0] == 200
    disk.is_well()
    more = itertools.count(8)
    wait(lambda: give(next(more))[0] == 200)  # by itself
    wait(lambda: "error" not in health(server, "store"))
    assert give(next(more))[0] == 200
    server.kill()

    server = serve(*settings, mode="db", env=ENV)
    found = numbers(server, stream)
    assert len(found) == len(set(found)), "rows are there twice"
    assert set(acknowledged) <= set(found), "acknowledged rows are lost"
    verdict = verify(tmp_path / "data", CALENDAR)
    assert verdict.errors == [] and not health(server, "store").get("log_damage")


@pytest.mark.parametrize(("call", "code"), [("lose", errno.EIO), ("write", errno.ENOSPC)])
def test_no_order_is_told_that_no_good_sync_covers(
    serve: Serve,  # noqa: F811
    disk: BadDisk,
    tmp_path: Path,
    code: int,
    call: str,
) -> None:
    data = tmp_path / "kept"
    settings = ("--set", "trade.durability=power")
    server = serve(*settings, data=data, mode="trade", env=disk.env)
    add_user(server)
    low, high = limits(server)
    ledger, rng = Ledger(), random.Random(7)

    def send(ws: ClientConnection, name: str) -> None:
        order = insert(name, USER, rng, low, high)
        ledger.sent[order["order_id"]] = order
        ws.send(json.dumps(order))

    def told(ws: ClientConnection, name: str) -> bool:
        drain(ws, USER, ledger, 0.05)
        return name in ledger.orders

    with login(socket_of(server), USER, PASSWORD, ledger) as ws:
        send(ws, "before")
        wait(lambda: told(ws, "before"))
        disk.does(call, code, "/journal/")
        send(ws, "during")
        wait(lambda: health(server, "trade").get("error"))
        assert server.get_json("/healthz")["status"] == "degraded"
        drain(ws, USER, ledger, 1.0)
        assert set(ledger.orders) == {"before"}
        assert health(server, "trade")["state"] == "running"
        disk.is_well()
        wait(lambda: told(ws, "during"))
        send(ws, "after")
        wait(lambda: told(ws, "after"))
        assert not health(server, "trade").get("error")
        server.kill()
        drain(ws, USER, ledger, 0.5)
    server = serve(*settings, data=data, mode="trade")
    found = recovered_account(server)
    ledger.judge(found.orders, found.trades)
    assert set(found.orders) >= {"before", "during", "after"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tmpfs needs privileges")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


def test_above_the_ceiling_nothing_is_taken(
    serve: Serve,  # noqa: F811
    small_disk: Path,
) -> None:
    server = serve("--set", "store.max_disk_percent=60", mode="db", env=ENV, data=small_disk / "data")
    assert ingest(server, "app", [event(1)])[0] == 200
    filler = small_disk / "filler"
    filler.write_bytes(bytes(16 << 20))
    wait(lambda: ingest(server, "app", [event(2)])[0] == 507)
    status, answer = ingest(server, "futures_market", [tick(2)])
    assert status == 507 and "max_disk_percent" in answer["error"] and answer["retryable"]
    asked = {"stream": "app", "start_time": "1d", "end_time": "2200-01-01", "fields": ["n"]}
    before = server.query(**asked)
    assert before
    filler.unlink()
    wait(lambda: ingest(server, "app", [event(3)])[0] == 200)
    assert len(server.query(**asked)) == len(before) + 1


def test_a_full_disk_pauses_ingest_which_goes_on_by_itself(
    serve: Serve,  # noqa: F811
    small_disk: Path,
) -> None:
    """A real ENOSPC, met in the middle of a write; the ceiling before it is tested in tests/e2e."""
    settings = ("--set", "store.max_disk_percent=100", "--set", "store.segment_bytes=1MiB")
    settings += ("--set", "store.durability=power")
    server = serve(*settings, mode="db", env=ENV, data=small_disk / "data")
    acknowledged: list[int] = []
    refused: list[int] = []
    ended = threading.Event()

    def feed() -> None:
        number = 0
        while not ended.is_set():
            rows = [{"n": number + n, "pad": f"{(number + n) * 7919 % 10**9:09d}" * 20} for n in range(50)]
            status, _ = ingest(server, "app", rows)
            if status == 200:
                acknowledged.extend(range(number, number + 50))
            else:
                refused.append(status)
                ended.wait(0.05)
            number += 50

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        wait(lambda: len(acknowledged) > 500)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:  # closing has nothing left to write
            while True:
                try:
                    file.write(bytes(1 << 16))
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break
        wait(lambda: len(refused) > 5 and "No space" in health(server, "store").get("error", ""))
        assert set(refused) <= {503, 507}
        assert server.query(stream="app", start_time="1d", end_time="2200-01-01", limit=5)
        before = len(acknowledged)
        filler.unlink()
        wait(lambda: len(acknowledged) > before + 500)
        wait(lambda: "error" not in health(server, "store"))
    finally:
        ended.set()
        feeder.join()
    server.kill()
    server = serve(*settings, mode="db", env=ENV, data=small_disk / "data")
    body = json.dumps(
        {"stream": "app", "start_time": "1d", "end_time": "2200-01-01", "fields": ["n"]}
    ).encode()
    status, answer, _ = server.request("POST", "/api/v1/query?streaming=true", body)
    assert status == 200
    found = [json.loads(line)["n"] for line in answer.splitlines()]
    assert len(found) == len(set(found)), "rows are there twice"
    assert set(acknowledged) <= {int(n) for n in found}, "acknowledged rows are lost"
    assert verify(small_disk / "data", CALENDAR).errors == []


def test_a_disk_too_full_for_files_holds_compaction_and_nothing_else(small_disk: Path) -> None:
    """ENOSPC met by the process that writes files: told as such, rows stay in log and memory."""

    async def story() -> None:
        async with world(small_disk / "data", make_filer=FileProcess) as w:
            rng = random.Random(3)
            w.publish(
                row("SHFE.au2102", OPENING + n * S // 10, last_price=rng.random(), volume=n)
                for n in range(4000)
            )
            await w.store.flush()
            filler = small_disk / "filler"
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(bytes(1 << 12))
            with filler.open("rb+") as file:
                file.truncate(filler.stat().st_size - (24 << 10))
            with pytest.raises(OSError) as refused:
                await w.store.compact()
            assert is_full(refused.value)
            async with asyncio.timeout(PATIENCE_S):
                while "No space" not in w.store.health().get("error", ""):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert not list((small_disk / "data").glob("stream=*/**/*"))[2:]  # its directories and no more
            assert len(await w.query(columns=("volume",))) == 4000
            filler.unlink()
            async with asyncio.timeout(PATIENCE_S):
                while w.store.health()["file_rows"] < 4000 or "error" in w.store.health():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # by itself
            assert w.store.health()["filing_ended"] == 0
            assert len(await w.query(columns=("volume",))) == 4000
        verdict = verify(small_disk / "data", CALENDAR)
        assert verdict.errors == [] and verdict.rows == 4000

    run(story())
