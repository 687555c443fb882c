"""Events that are being taken in: so many bytes of them at once, and for so long."""

import asyncio
from pathlib import Path

import pytest

from qautlra.base.errors import LimitError, StorageError
from qautlra.store import ingest
from tests.store.world import run, world

EVENTS = [{"n": 1}]


def test_events_beyond_the_bound_are_refused_and_harm_nobody(tmp_path: Path) -> None:
    half = ingest.UNDER_WAY_BYTES // 2

    async def story() -> None:
        async with world(tmp_path) as w:
            opened = w.store._open
            assert opened is not None
            door = w.store.ingest
            async with opened.tables._change:  # somebody makes a stream, slowly
                first = [
                    asyncio.create_task(door.ingest("app", EVENTS, {}, create=True, body_bytes=half))
                    for _ in range(2)
                ]
                await asyncio.sleep(0)
                assert door.under_way_bytes == 2 * half
                with pytest.raises(LimitError):
                    await door.ingest("app", EVENTS, {}, create=True, body_bytes=1)
            assert await asyncio.gather(*first) == [1, 1]
            assert door.under_way_bytes == 0
            # one that is larger than all there is room for is taken when it is alone
            size = ingest.UNDER_WAY_BYTES + 1
            assert await door.ingest("app", EVENTS, {}, create=True, body_bytes=size) == 1
            assert door.stats("app")["rows"] == 3

    run(story())


def test_events_that_wait_too_long_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "PATIENCE_S", 0.05)

    async def story() -> None:
        async with world(tmp_path) as w:
            opened = w.store._open
            assert opened is not None
            door = w.store.ingest
            async with opened.tables._change, asyncio.timeout(10):
                with pytest.raises(StorageError, match="does not keep up") as refused:
                    await door.ingest("app", EVENTS, {}, create=True)
                assert refused.value.retryable and door.under_way_bytes == 0
            assert await door.ingest("app", EVENTS, {}, create=True) == 1
            assert door.stats("app")["rows"] == 1

    run(story())
