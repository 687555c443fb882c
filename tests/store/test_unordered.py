"""Answers in no order, as Arrow, from memory: every row once, also when rows move into files meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qautlra.model.query import QueryRequest
from qautlra.store import query
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
    table = pa.ipc.open_stream(stream).read_all()
    return list(
        zip(table.column("instrument_id").to_pylist(), table.column("volume").to_pylist(), strict=True)
    )


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
