"""The process that writes files: what it is given, and what its end at any moment does to the rows."""

import asyncio
import contextlib
import gc
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qautlra.base.errors import StorageError
from qautlra.store import fileproc, fileworker, lock, opened
from qautlra.store.fileproc import FileProcess
from qautlra.store.filework import FileSegment, Merge
from qautlra.store.parquet import Layout
from qautlra.store.schema import BAR_SCHEMA
from qautlra.store.upkeep import verify
from tests.conftest import PRODUCT, ROOT
from tests.store.test_service import bar
from tests.store.world import CALENDAR, OPENING, S, World, run, tick, world

AU, IF = "SHFE.au2102", "CFFEX.IF2101"


def filer_of(w: World) -> FileProcess:
    assert w.store._open is not None
    filer = w.store._open.filer
    assert isinstance(filer, FileProcess)
    return filer


def publish(w: World, first: int, count: int) -> None:
    w.publish(tick((AU, IF)[n % 2], OPENING + n * S // 10, volume=n) for n in range(first, first + count))


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def volumes(w: World) -> list[int]:
    return sorted(row["volume"] for row in await w.query("market_data", columns=("volume",)))


def held_by(pid: int) -> dict[str, str]:
    """The descriptors of a process and what they lead to."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def test_it_is_started_when_needed_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAUTLRA__AUTH__PASSWORD", "of nobody's concern")

    async def story() -> None:
        async with world(tmp_path, make_filer=FileProcess) as w:
            publish(w, 0, 100)
            await w.query()
            filer = filer_of(w)
            assert (filer.pid, filer.starts) == (None, 0)
            await w.store.compact()
            pid = filer.pid
            assert pid is not None
            await w.store.ingest.ingest("own", [{"n": 1}, {"n": 2}], {}, create=True)
            assert w.store._open is not None
            await w.store._open.tables.file_away()
            publish(w, 100, 100)
            await w.store.compact()
            assert (filer.pid, filer.starts, filer.jobs, filer.ended) == (pid, 1, 3, 0)
            assert await volumes(w) == list(range(200))
            # it has what it was given and nothing else
            assert b"PASSWORD" not in Path(f"/proc/{pid}/environ").read_bytes()
            held = held_by(pid)
            while sum(path.startswith("socket:") for path in held.values()) > 2:  # the job's own closes last
                await asyncio.sleep(0.01)
                held = held_by(pid)
            paths = [path for fd, path in held.items() if int(fd) > 2 and path.startswith("/")]
            assert paths == [str(tmp_path / "LOCK")]
            assert sum(path.startswith("socket:") for path in held.values()) == 2  # the control, twice
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert f"{resource.RLIM_INFINITY}" not in limits
            (data,) = [line for line in limits.splitlines() if line.startswith("Max data size")]
            assert "unlimited" not in data
        assert not Path(f"/proc/{pid}").exists()

    run(story())


def test_it_is_there_when_bars_that_are_being_made_come(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, make_filer=FileProcess) as w:
            filer = filer_of(w)
            w.store.expect_bars()
            await until(lambda: filer.pid is not None)
            pid, bars = filer.pid, [bar(AU, minute, 1.0) for minute in (5, 3, 4, 3)]
            await w.store.write_bars(pa.Table.from_pylist(bars, BAR_SCHEMA))
            assert (filer.pid, filer.starts, filer.jobs, filer.ended) == (pid, 1, 1, 0)
            found = await w.query("bar_1m", columns=("datetime",))
            assert len(found) == 3 and found == sorted(found, key=lambda row: row["datetime"])

    run(story())


def test_killed_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileproc, "PAUSE_S", 0.001)
    monkeypatch.setattr(fileproc, "PAUSE_MAX_S", 0.01)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)

    async def story() -> None:
        async with world(tmp_path, make_filer=FileProcess) as w:
            filer, taken = filer_of(w), 0

            async def kill() -> None:
                while True:
                    await asyncio.sleep(rng.uniform(0.0, 0.12))
                    await until(lambda: filer.pid is not None)
                    os.kill(filer.pid or 0, signal.SIGKILL)

            publish(w, 0, 10)
            await w.store.compact()
            killer = asyncio.ensure_future(kill())
            failures = 0
            while filer.ended < 12:
                publish(w, taken + 10, 200)
                taken += 200
                compacting = asyncio.ensure_future(w.store.compact())
                while not compacting.done():
                    assert await volumes(w) == list(range(taken + 10)), "seen other than once"
                    await asyncio.sleep(0.01)
                if compacting.exception() is not None:
                    assert "the filing process ended" in str(compacting.exception())
                    failures += 1
            killer.cancel()
            await w.store.compact()
            assert await volumes(w) == list(range(taken + 10))
            assert w.store.health()["file_rows"] == taken + 10
            assert w.store.health()["filing_ended"] == filer.ended >= 12
            print(f"{filer.ended} kills at work, {failures} compactions told of it")
        verdict = verify(tmp_path, CALENDAR)
        assert verdict.errors == [] and verdict.rows == taken + 10
        async with world(tmp_path) as w:
            assert await volumes(w) == list(range(taken + 10))

    run(story())


def test_one_that_always_ends_is_told_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileproc, "PAUSE_S", 0.001)

    async def story() -> None:
        async with world(tmp_path, make_filer=FileProcess) as w:
            filer = filer_of(w)
            publish(w, 0, 100)

            async def kill() -> None:
                known: list[int | None] = [None]
                while True:
                    await until(lambda: filer.pid not in known)
                    known.append(filer.pid)
                    os.kill(filer.pid or 0, signal.SIGKILL)

            killer = asyncio.ensure_future(kill())
            with pytest.raises(StorageError, match=r"the filing process ended \(signal 9\)"):
                await w.store.compact()
            assert filer.ended == fileproc.TRIES_COUNT
            assert await volumes(w) == list(range(100))
            killer.cancel()
            await w.store.compact()
            assert w.store.health()["file_rows"] == 100

    run(story())


def test_what_the_disk_refuses_is_told_as_it_was(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, make_filer=FileProcess) as w:
            publish(w, 0, 10)
            await w.store.compact()
            filer = filer_of(w)
            assert filer.pid is not None
            publish(w, 10, 2000)
            _, most = resource.prlimit(filer.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
            with pytest.raises(OSError, match="File too large") as refused:
                await w.store.compact()
            assert refused.value.errno == 27 and not isinstance(refused.value, StorageError)
            assert await volumes(w) == list(range(2010))
            await until(lambda: "File too large" in w.store.health().get("error", ""))
            resource.prlimit(filer.pid, resource.RLIMIT_FSIZE, (most, most))
            await w.store.compact()
            assert w.store.health()["file_rows"] == 2010 and filer.ended == 0

    run(story())


def test_a_job_that_cannot_be_done_is_an_error_of_the_store(tmp_path: Path) -> None:
    async def story() -> None:
        filer = FileProcess(tmp_path, Layout(), 1 << 20, -1)
        job = FileSegment(path=str(tmp_path / "none.qlog"), first_lsn=1, last_lsn=2)
        try:
            with pytest.raises(OSError) as refused:
                await filer.run(job)  # there is no manifest
            assert refused.value.filename == str(tmp_path / "manifest.json")
            (tmp_path / "manifest.json").write_bytes(b'{"version": 99}')
            with pytest.raises(StorageError, match="version 99") as damaged:
                await filer.run(job)
            assert not damaged.value.retryable
            with pytest.raises(StorageError, match="ValueError") as unknown:
                await filer.run(Merge(files=()))
            assert unknown.value.retryable and filer.ended == 0 and filer.starts == 1
        finally:
            await filer.close()
        with pytest.raises(StorageError, match="closing"):
            await filer.run(job)

    run(story())


async def stopped_at_work(w: World, work: Awaitable[None]) -> "tuple[int, asyncio.Task[None]]":
    """Begin a compaction whose process stands still in the middle; return it and the task."""
    filer = filer_of(w)
    assert filer.pid is not None
    os.kill(filer.pid, signal.SIGSTOP)
    task = asyncio.ensure_future(work)
    await until(lambda: filer._process.open)
    return filer.pid, task


def test_an_error_nobody_waits_for_any_more_is_not_told_of(tmp_path: Path) -> None:
    async def story() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, what: told.append(what))
        async with world(tmp_path, make_filer=FileProcess) as w:
            publish(w, 0, 10)
            await w.store.compact()
            publish(w, 10, 100)
            _, task = await stopped_at_work(w, w.store.compact())
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()
        await asyncio.sleep(0)
        assert told == []

    run(story())


def test_one_that_was_calm_is_hurried_when_too_much_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileproc, "LOOK_S", 0.01)

    async def story() -> None:
        async with world(tmp_path, make_filer=FileProcess) as w:
            publish(w, 0, 10)
            await w.store.compact()
            publish(w, 10, 100)
            pid, task = await stopped_at_work(w, w.store.compact())
            await asyncio.sleep(0.1)
            assert not task.done()  # nobody is in a hurry
            monkeypatch.setattr(opened, "BEHIND_COUNT", 0)
            async with asyncio.timeout(20):
                await task
            filer = filer_of(w)
            assert filer.pid != pid and (filer.ended, filer.hurried) == (0, 1)
            assert w.store.health()["file_rows"] == 110

    run(story())


WRITER = """
import asyncio, sys
from pathlib import Path
from qautlra.store.fileproc import FileProcess
from tests.store.test_fileproc import publish, stopped_at_work
from tests.store.world import world

async def story():
    async with world(Path(sys.argv[1]), make_filer=FileProcess) as w:
        publish(w, 0, 10)
        await w.store.compact()
        publish(w, 10, 2000)
        pid, task = await stopped_at_work(w, w.store.compact())
        print(pid, flush=True)
        await task

asyncio.run(story())
"""


def test_what_a_killed_server_leaves_keeps_others_out_until_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([PRODUCT, str(ROOT)])}
    server = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert server.stdout is not None
    left = next(int(line) for line in server.stdout if line.strip().isdigit())  # after what it logs
    server.kill()
    server.wait(10)
    server.stdout.close()
    try:
        monkeypatch.setattr(lock, "LEFT_S", 0.3)
        with pytest.raises(StorageError, match="in use by another process"):
            lock.lock_directory(tmp_path)
    finally:
        os.kill(left, signal.SIGCONT)
    monkeypatch.setattr(lock, "LEFT_S", 20.0)

    async def story() -> None:
        async with world(tmp_path) as w:  # it ends by itself
            assert await volumes(w) == list(range(2010))
            await w.store.compact()
            assert w.store.health()["file_rows"] == 2010

    run(story())
    assert verify(tmp_path, CALENDAR).errors == []


def test_what_jobs_free_is_kept_until_none_comes() -> None:
    """In a process of its own: allocators read their settings as they start."""
    story = """
import socket, sys, threading, time
from pathlib import Path
import pyarrow as pa
from qautlra.base.memory import give_back
from qautlra.store.kept import Control

def resident_mb():
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) >> 10

def job():
    parts = [pa.table({"a": pa.nulls(1 << 20, pa.float64())})] * 16
    pa.concat_tables(parts).combine_chunks()
    bytes(bytearray(b"x") * (64 << 20))

def begin(number, link):
    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    print("kept", resident_mb() - before, flush=True)

def rest():
    give_back()
    print("rests", resident_mb() - before, flush=True)

before = resident_mb()
Control().serve(begin, rest, 0.5)
"""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-c", story],
        env=os.environ | fileproc.KEEPS_MEMORY | {"PYTHONPATH": PRODUCT},
        stdin=theirs, stdout=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    theirs.close()
    assert process.stdout is not None
    with process, ours:
        for _ in range(2):
            for _ in range(3):
                one, other = socket.socketpair()
                socket.send_fds(ours, [b"q"], [other.fileno()])
                what, mb = process.stdout.readline().split()
                assert what == "kept"
                one.close()
                other.close()
            assert int(mb) > 180, "by default 144 here"
            what, mb = process.stdout.readline().split()
            assert what == "rests" and int(mb) < 60, (what, mb)
        ours.shutdown(socket.SHUT_RDWR)


def test_a_job_without_memory_begins_anew_where_others_were_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What former jobs left may be why there is none; of a fresh process it is the job's own fault."""
    ends: list[int] = []

    class Ended(BaseException):
        pass

    def end(code: int) -> None:
        ends.append(code)
        raise Ended

    def fail(*_: Any) -> Any:
        raise pa.ArrowMemoryError("malloc of size 5 failed")

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(fileworker, "do", fail)
    worker = fileworker.Worker(tmp_path)
    ask = fileworker.Ask(job=Merge(files=()), layout=Layout(), is_calm=False)
    found = worker._done(ask, None)
    assert isinstance(found, fileworker.Failed) and "malloc of size 5" in found.text and not ends
    worker._is_fresh = False
    with pytest.raises(Ended):
        worker._done(ask, None)
    assert ends == [os.EX_UNAVAILABLE]
