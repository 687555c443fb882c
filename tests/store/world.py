"""A store on its own: tape, instruments and a market clock that stands, in a directory of the test's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from qautlra._core.market import Instruments, Rows
from qautlra._core.tape import Tape
from qautlra.base.clock import VirtualClock
from qautlra.config.tree import Store
from qautlra.model.calendar import load_calendar
from qautlra.model.query import QueryFormat, QueryRequest
from qautlra.store.fileproc import Calm, MakeFiler
from qautlra.store.filework import Done, Job, do
from qautlra.store.parquet import Layout
from qautlra.store.service import StoreService

T = TypeVar("T")
CALENDAR = load_calendar()
S, MINUTE = 10**9, 60 * 10**9
# 2021-01-04 09:30:00 in Beijing
OPENING = 1_609_723_800 * S
NOW = OPENING + 6 * 3_600 * S


@dataclass
class World:
    """One run of a store, and what it was given."""

    store: StoreService
    tape: Tape
    instruments: Instruments
    clock: VirtualClock

    def rows(self, values: Iterable[dict[str, Any]]) -> Rows:
        rows = Rows(self.instruments)
        for value in values:
            rows.append_dict(self.instruments, value)
        return rows

    def publish(self, values: Iterable[dict[str, Any]]) -> None:
        rows = self.rows(values)
        at = 0
        while at < len(rows):
            taken = self.tape.publish(rows, at)
            self.store.drain()
            assert taken > at, "the tape is held"
            at = taken

    async def query(self, stream: str = "futures_market", **asked: Any) -> list[dict[str, Any]]:
        body = await self.answer(stream, **asked)
        found: list[dict[str, Any]] = json.loads(body)
        return found

    async def answer(self, stream: str = "futures_market", **asked: Any) -> bytes:
        asked.setdefault("start_time", 0)
        result = await self.store.query.run(QueryRequest(stream=stream, **asked))
        if isinstance(result.chunks, bytes):
            return result.chunks
        return b"".join([chunk async for chunk in result.chunks])


class InThread:
    """Does jobs as the filing process does them, in a thread of the test's process."""

    pid = None
    starts = jobs = ended = hurried = 0

    def __init__(self, data_dir: Path, layout: Layout, segment_bytes: int, lock: int) -> None:
        assert segment_bytes and lock >= 0
        self._data_dir, self._layout = data_dir, layout

    async def run(self, job: Job, table: pa.Table | None = None, *, calm: Calm | None = None) -> Done:
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(None, do, job, table, self._data_dir, self._layout)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    async def wake(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def world(
    directory: Path, now_ns: int = NOW, *, make_filer: MakeFiler = InThread, **settings: Any
) -> AsyncIterator[World]:
    """A running store; `settings` are those of the section `store`. Files are written in a thread."""
    instruments = Instruments(CALENDAR, 20210104)
    tape = Tape(instruments, CALENDAR, 4096)
    clock = VirtualClock("test", now_ns)
    settings = {"durability": "process", "hot_bytes": 8 << 20} | settings
    store = StoreService(
        settings=Store(**settings),
        data_dir=directory,
        instruments=instruments,
        calendar=CALENDAR,
        tape=tape,
        clock=clock,
        make_filer=make_filer,
    )
    await store.start()
    try:
        yield World(store, tape, instruments, clock)
    finally:
        await store.stop(5.0)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def tick(symbol: str, ts_ns: int, seq: int = 0, **values: Any) -> dict[str, Any]:
    """A row with some values of its own; what is not given has no value."""
    return {
        "instrument_id": symbol, "datetime": ts_ns, "seq": seq, "source": "sim",
        "last_price": 100.0, "volume": 1,
    } | values  # fmt: skip


__all__ = ["CALENDAR", "MINUTE", "NOW", "OPENING", "QueryFormat", "S", "World", "run", "tick", "world"]
