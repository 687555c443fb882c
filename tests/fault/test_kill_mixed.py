"""kill -9, and power cut, under mixed ingest: nothing acknowledged is lost, nothing is there twice."""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qautlra.model.query import QueryFormat, QueryRequest, SqlRequest
from qautlra.store.upkeep import verify
from tests.conftest import PRODUCT, ROOT
from tests.fault import mixed_writer
from tests.fault.forked import Forked
from tests.services import program
from tests.store.world import CALENDAR, run, world

KILLS = int(os.environ.get("QAUTLRA_KILLS", "25"))
POWER_CUTS = 5
PAGE_BYTES = 4096

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 20 * KILLS)]


def written(process: "Forked | subprocess.Popen[str]", run_s: float) -> list[tuple[str, int]]:
    """What a writer acknowledged until it was killed, `run_s` after it was ready."""
    assert process.stdout is not None
    lines = []
    deadline = None
    for line in process.stdout:
        if line.strip() == "ready":
            deadline = time.monotonic() + run_s
        lines.append(line)
        if deadline is not None and time.monotonic() > deadline:
            process.kill()
            break
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(20) == -9, "it was to be killed, not to end"
    told = [line.split() for line in "".join([*lines, rest]).splitlines(keepends=True) if line.endswith("\n")]
    return [(words[0], int(words[1])) for words in told if len(words) == 2 and words[0] in ("event", "ticks")]


async def kept(directory: Path) -> tuple[list[float], list[str]]:
    """The numbers of all events, and the moments of all ticks, through both ways of asking."""
    async with world(directory) as w:
        numbers: list[float] = []
        for name in w.store.ingest.names():
            if not name.startswith("s") or name == "stock_market":
                continue
            asked = SqlRequest(
                sql=f"SELECT n FROM {name}", start_time="2d", end_time="2200-01-01", format=QueryFormat.CSV
            )
            result = await w.store.query.run(asked)
            assert not isinstance(result.chunks, bytes)
            text = b"".join([chunk async for chunk in result.chunks]).decode()
            numbers += [float(line) for line in text.splitlines()[1:]]
        result = await w.store.query.run(
            QueryRequest(
                stream="futures_market",
                start_time=0,
                end_time="2200-01-01",
                columns=("datetime",),
                format=QueryFormat.CSV,
            )
        )
        assert not isinstance(result.chunks, bytes)
        text = b"".join([chunk async for chunk in result.chunks]).decode()
        moments = text.splitlines()[1:]
        ((count,),) = [
            tuple(row.values())
            for row in await _rows(w, "SELECT count(DISTINCT (datetime, seq)) AS n FROM futures_market")
        ]
        assert count == len(moments)
        await asyncio.sleep(0)
    return numbers, moments


async def _rows(w: object, sql: str) -> list[dict[str, int]]:
    import json

    result = await w.store.query.run(SqlRequest(sql=sql, start_time=0, end_time="2200-01-01"))  # type: ignore[attr-defined]
    found: list[dict[str, int]] = json.loads(result.chunks)
    return found


def check(directory: Path, acknowledged: list[tuple[str, int]]) -> None:
    numbers, moments = run(kept(directory))
    whole = [number for number in numbers if number == int(number)]
    assert len(numbers) == len(set(numbers)), "events are there twice"
    assert {n for kind, n in acknowledged if kind == "event"} <= set(whole), "acknowledged events are lost"
    assert set(whole) == {n - 0.5 for n in numbers if n != int(n)}, "half of a batch is there"
    assert len(moments) == len(set(moments)), "ticks are there twice"
    assert len(moments) >= 10 * len({n for kind, n in acknowledged if kind == "ticks"})
    assert verify(directory, CALENDAR).errors == []


def test_kills(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    directory = tmp_path / "data"
    acknowledged: list[tuple[str, int]] = []
    for number in range(KILLS):
        process = Forked(mixed_writer.main, directory, number * 100_000, "process")
        acknowledged += written(process, rng.uniform(0.05, 0.5))
        if number % 8 == 7:
            check(directory, acknowledged)
    assert len(acknowledged) > KILLS
    check(directory, acknowledged)


def lose(path: Path, safe: int, rng: random.Random) -> int:
    """Take what lies behind `safe` from a file, or some pages of it; return how many bytes that was."""
    data = bytearray(path.read_bytes())
    if len(data) <= safe:
        return 0
    written = len(data[safe:].rstrip(b"\0"))
    if safe == 0:
        data.clear()
    share = rng.choice((0.5, 1.0))
    while safe < len(data):
        end = min((safe // PAGE_BYTES + 1) * PAGE_BYTES, len(data))
        if rng.random() < share:
            data[safe:end] = bytes(end - safe)
        safe = end
    path.write_bytes(data)
    return written


def test_power_cuts(tmp_path: Path) -> None:
    """After each kill the logs lose bytes no successful sync had covered."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    compiler = program("cc", "gcc")
    library, log = tmp_path / "sync_log.so", tmp_path / "syncs"
    source = Path(__file__).with_name("sync_log.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([PRODUCT, str(ROOT)])}
    environment |= {"LD_PRELOAD": str(library), "SYNC_LOG": str(log)}
    directory = tmp_path / "data"
    acknowledged: list[tuple[str, int]] = []
    cut = 0
    for number in range(POWER_CUTS):
        process = subprocess.Popen(
            [sys.executable, "-m", mixed_writer.__name__, str(directory), str(number * 100_000), "power"],
            stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        acknowledged += written(process, 0.5)
        synced: dict[str, int] = {}
        for line in log.read_text().splitlines():
            size, path = line.split(" ", 1)
            synced[path] = int(size)
        for path in (*directory.glob("log/*.qlog"), *directory.glob("tables/log/*.qlog")):
            cut += lose(path, synced.get(str(path), 0), rng)
        check(directory, acknowledged)
    assert len(acknowledged) > POWER_CUTS
    print(f"{cut} bytes were cut")
