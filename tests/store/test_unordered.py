"""Answers in no order, as Arrow: every row once, from memory, from files, and when rows move meanwhile."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qautlra.base.errors import StorageError
from qautlra.model.query import QueryRequest
from qautlra.store import query, scan
from qautlra.store.engine import SqlEngine
from tests.store.world import NOW, OPENING, QueryFormat, S, World, run, tick, world

AU, RB = "SHFE.au2102", "SHFE.rb2105"


def asked(**more: Any) -> QueryRequest:
    return QueryRequest(
        **{
            "stream": "futures_market",
            "start_time": 0,
            "end_time": NOW,
            "unordered": True,
            "format": QueryFormat.ARROW,
            **more,
        }
    )


def fill(w: World, count: int = 20_000) -> None:
    for symbol in (AU, RB):
        w.publish(tick(symbol, OPENING + i * S // 1_000, volume=i) for i in range(count))


def rows_of(stream: bytes) -> list[tuple[str, int]]:
    return ids(pa.ipc.open_stream(stream).read_all())


def ids(table: pa.Table) -> list[tuple[str, int]]:
    names, volumes = table.column("instrument_id"), table.column("volume")
    return list(zip(names.to_pylist(), volumes.to_pylist(), strict=True))


@pytest.fixture(autouse=True)
def small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "MESSAGE_ROWS", 1_000)


async def pieces_of(w: World, request: QueryRequest) -> Any:
    result = await w.store.query.run(request)
    assert not isinstance(result.chunks, bytes)
    return result, result.chunks


def test_from_memory_all_rows_leave_as_messages(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            fill(w)
            result, chunks = await pieces_of(w, asked())
            pieces = [bytes(piece) async for piece in chunks]
            assert len(pieces) == 41  # the first with the schema, and the end
            assert rows_of(b"".join(pieces)) == [(name, i) for name in (AU, RB) for i in range(20_000)]
            assert result.rows == 40_000
            result, chunks = await pieces_of(w, asked(limit=12_345, columns=("volume", "instrument_id")))
            stream = b"".join([bytes(piece) async for piece in chunks])
            assert rows_of(stream) == [(AU, i) for i in range(12_345)]

    run(story())


def test_from_memory_with_a_filter_of_instruments(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            fill(w, 9_000)
            _, chunks = await pieces_of(w, asked(filter="instrument='rb2105'"))
            stream = b"".join([bytes(piece) async for piece in chunks])
            assert rows_of(stream) == [(RB, i) for i in range(9_000)]
            _, chunks = await pieces_of(w, asked(filter="volume < 5"))
            stream = b"".join([bytes(piece) async for piece in chunks])
            assert sorted(rows_of(stream)) == [(name, i) for name in (AU, RB) for i in range(5)]

    run(story())


@pytest.mark.parametrize("taken", [1, 7, 20, 27])
@pytest.mark.parametrize("limit", [None, 33_333])
def test_rows_that_move_into_files_meanwhile_are_there_once(
    tmp_path: Path, taken: int, limit: int | None
) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            fill(w)
            _, chunks = await pieces_of(w, asked(limit=limit))
            pieces = [bytes(await anext(chunks)) for _ in range(taken)]
            await w.store.compact()
            assert w.store._open is not None
            w.store._open.hot.evict_through(2**62)
            w.publish([tick(RB, OPENING + 100 * S, volume=20_000)])
            pieces += [bytes(piece) async for piece in chunks]
            found = rows_of(b"".join(pieces))
            wanted = {(name, i) for name in (AU, RB) for i in range(20_000)} | {(RB, 20_000)}
            assert len(found) == len(set(found)) == (limit or len(wanted))
            assert set(found) <= wanted

    run(story())


def test_others_have_their_turn_between_two_messages(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            fill(w)
            turns = 0

            async def other() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.create_task(other())
            _, chunks = await pieces_of(w, asked())
            assert len([piece async for piece in chunks]) == 41
            task.cancel()
            assert turns >= 39

    run(story())


class Ways:
    """Which way row groups went."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages = self.tables = 0
        read, to_send = scan.Scanner.read, scan.Scanner.read_to_send

        def counted(*given: Any) -> Any:
            found = to_send(*given)
            self.messages += isinstance(found, scan.Message)
            return found

        def table(*given: Any) -> Any:
            self.tables += 1
            return read(*given)

        monkeypatch.setattr(scan.Scanner, "read", table)
        monkeypatch.setattr(scan.Scanner, "read_to_send", counted)

    def taken(self) -> tuple[int, int]:
        found = self.messages, self.tables
        self.messages = self.tables = 0
        return found


async def filed(w: World, count: int) -> None:
    """Put rows of two instruments into files, nothing of them in memory."""
    fill(w, count)
    await w.store.compact()
    assert w.store._open is not None
    w.store._open.hot.evict_through(2**62)


def test_from_files_row_groups_leave_as_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(w: World, **more: Any) -> pa.Table:
        _, chunks = await pieces_of(w, asked(**more))
        return pa.ipc.open_stream(b"".join([bytes(piece) async for piece in chunks])).read_all()

    async def story() -> None:
        ways = Ways(monkeypatch)
        async with world(tmp_path, row_group_rows=1_024) as w:
            await filed(w, 5_000)
            every = {(name, i) for name in (AU, RB) for i in range(5_000)}
            order = [("instrument_id", "ascending"), ("datetime", "ascending")]
            found = await answer(w)
            assert found.num_rows == len(every)
            assert set(ids(found)) == every
            messages, tables = ways.taken()
            assert messages >= 10 and not tables
            # the same, value for value, as rows that are put in order
            result = await w.store.query.run(asked(unordered=False))
            assert not isinstance(result.chunks, bytes)
            plain = pa.ipc.open_stream(b"".join([bytes(piece) async for piece in result.chunks])).read_all()
            assert found.sort_by(order).equals(plain.sort_by(order))
            ways.taken()
            # a limit in the middle of a row group
            found = await answer(w, limit=8_500)
            assert found.num_rows == len(set(ids(found))) == 8_500
            assert set(ids(found)) <= every
            assert ways.taken()[0] > 0
            # a range that cuts row groups: those it has all of are messages
            found = await answer(w, start_time=datetime.fromtimestamp(OPENING / 1e9 + 0.5, UTC).isoformat())
            assert set(ids(found)) == {(name, i) for name in (AU, RB) for i in range(500, 5_000)}
            messages, tables = ways.taken()
            assert messages > 0 and tables > 0
            # what has to be looked at, or has not all columns rows are ordered by
            found = await answer(w, filter="instrument='rb2105'")
            assert set(ids(found)) == {(RB, i) for i in range(5_000)}
            assert ways.taken()[0] == 0
            found = await answer(w, columns=("volume", "instrument_id"))
            assert set(ids(found)) == every
            assert ways.taken()[0] == 0

    run(story())


@pytest.mark.parametrize("compression", ["lz4", "uncompressed"])
def test_from_files_of_any_packing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    async def story() -> None:
        ways = Ways(monkeypatch)
        async with world(tmp_path, row_group_rows=1_024, compression=compression) as w:
            await filed(w, 5_000)
            _, chunks = await pieces_of(w, asked())
            found = pa.ipc.open_stream(b"".join([bytes(piece) async for piece in chunks])).read_all()
            assert set(ids(found)) == {(name, i) for name in (AU, RB) for i in range(5_000)}
            messages, tables = ways.taken()
            assert bool(messages) != bool(tables) == (compression == "lz4")  # pyarrow reads that

    run(story())


def test_two_row_groups_are_read_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        engine = SqlEngine(tmp_path, 1, 1 << 26)
        both = threading.Barrier(2, timeout=10)

        def work() -> pa.Table:
            both.wait()
            return pa.table({})

        await asyncio.gather(*(engine.call(work, timeout_s=15.0) for _ in range(2)))
        engine.close()
        with pytest.raises(RuntimeError):
            await engine.call(work, timeout_s=1.0)

    run(story())


def test_a_damaged_page_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await filed(w, 5_000)
            (path,) = tmp_path.glob("stream=*/**/*.parquet")
            content = bytearray(path.read_bytes())
            group = pq.read_metadata(path).row_group(0)
            chunk = next(
                one for at in range(group.num_columns) if (one := group.column(at)).path_in_schema == "volume"
            )
            content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
            path.write_bytes(content)
            with pytest.raises(StorageError, match="damaged"):
                _, chunks = await pieces_of(w, asked())
                async for _ in chunks:
                    pass

    run(story())
