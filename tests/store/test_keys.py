"""Events sent again under one key: stored once, whatever ends between, for as long as keys are kept."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import InputError, StorageError
from qautlra.model.query import QueryFormat, QueryRequest
from qautlra.model.streams import IngestKey
from qautlra.store.tables import keys, record
from qautlra.store.tables.store import TableStore
from qautlra.store.upkeep import copy_store
from tests.store.world import World, run, world


@asynccontextmanager
async def tables(path: Path) -> AsyncIterator[tuple[World, TableStore]]:
    async with world(path) as w:
        assert w.store._open is not None
        yield w, w.store._open.tables


def key(name: str, digest: str = "d", user: str = "u") -> IngestKey:
    return IngestKey(user=user, key=name, digest=digest)


async def take(w: World, name: IngestKey | None, *numbers: int, stream: str = "app") -> int:
    events = [{"n": number} for number in numbers]
    return await w.store.ingest.ingest(stream, events, {}, create=True, key=name)


async def numbers(w: World, stream: str = "app") -> list[int]:
    request = QueryRequest(stream=stream, start_time="1h", end_time="2200-01-01", format=QueryFormat.ARRAY)
    result = await w.store.query.run(request)
    assert isinstance(result.chunks, bytes)
    return [row["n"] for row in json.loads(result.chunks)]


def test_sent_again_they_are_stored_once_over_files_and_restarts(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path / "first") as (w, store):
            assert await take(w, key("a"), 1, 2) == 2
            assert await take(w, key("a"), 1, 2) == 2
            assert await take(w, None, 3) == await take(w, None, 3) == 1
            assert await numbers(w) == [1, 2, 3, 3] and store.replays == 1
        async with tables(tmp_path / "first") as (w, store):  # from the log
            assert await take(w, key("a"), 1, 2) == 2
            await store.file_away()
            assert await take(w, key("b"), 4) == 1
        copy_store(tmp_path / "first", tmp_path / "copy")
        for directory in (tmp_path / "first", tmp_path / "copy"):  # from the files, and from both
            async with tables(directory) as (w, store):
                assert await take(w, key("a"), 1, 2) == 2
                assert await take(w, key("b"), 4) == 1
                assert await numbers(w) == [1, 2, 3, 3, 4] and store.replays == 2

    run(story())


def test_a_key_is_of_one_user_one_stream_and_one_content(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, _):
            await take(w, key("a"), 1)
            await take(w, key("a", user="other"), 2)
            await take(w, key("a"), 3, stream="beside")
            with pytest.raises(InputError, match="other content") as refused:
                await take(w, key("a", "another"), 4)
            assert refused.value.status == 422
            assert await numbers(w) == [1, 2] and await numbers(w, "beside") == [3]
            # a stream made anew has none of its rows
            await w.store.ingest.drop("app")
            assert await take(w, key("a"), 1) == 1
            assert await numbers(w) == [1]

    run(story())


def test_one_that_was_cut_short_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(record, "ROWS_BYTES", 400)
        async with tables(tmp_path) as (w, store):
            log, appended = store._log(), 0

            class Full:
                """A log that takes three records, and no more."""

                def append(self, kind: int, payload: bytes) -> int:
                    nonlocal appended
                    appended += 1
                    return int(log.append(kind, payload)) if appended <= 3 else 0

                def __getattr__(self, name: str) -> Any:
                    return getattr(log, name)

            monkeypatch.setattr(store, "_journal", Full())
            with pytest.raises(StorageError, match="takes nothing"):
                await take(w, key("a"), *range(100))
            monkeypatch.setattr(store, "_journal", log)
            stored = await numbers(w)
            assert 0 < len(stored) < 100
        async with tables(tmp_path) as (w, _):
            assert await take(w, key("a"), *range(100)) == 100
            assert sorted(await numbers(w)) == list(range(100))

    run(story())


def test_keys_are_kept_for_so_long_and_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(keys, "KEYS_COUNT", 3)
        async with tables(tmp_path) as (w, store):
            for name in "abcd":
                await take(w, key(name), ord(name))
            assert len(store.keys) == 3
            await take(w, key("a"), ord("a"))
            await take(w, key("d"), ord("d"))
            assert len(await numbers(w)) == 5
            monkeypatch.setattr(keys, "KEYS_AGE_S", -1)
            await take(w, key("d"), ord("d"))
            assert len(await numbers(w)) == 6

    run(story())


def test_damaged_keys_are_not_taken_for_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with tables(tmp_path) as (w, store):
            await take(w, key("a"), 1)
            await store.file_away()
        (tmp_path / "tables" / "keys.json").write_bytes(b"{torn")
        with pytest.raises(StorageError, match=r"keys\.json is damaged"):
            async with tables(tmp_path):
                pass

    run(story())
