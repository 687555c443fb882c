"""Segments into files: partitions, crashes between any two steps, late copies, a damaged or lost manifest."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import StorageError
from qautlra.store import compaction, parquet
from qautlra.store.catalogue import Catalogue
from tests.store.world import NOW, OPENING, S, World, run, tick, world

AU, STOCK = "SHFE.au2102", "SSE.600000"
DAY = 24 * 3_600 * S


def days(w: World, symbols: tuple[str, ...] = (AU, STOCK), count: int = 2) -> None:
    w.publish(
        tick(symbol, OPENING + day * DAY + n * S, volume=n)
        for day in range(count)
        for n in range(5)
        for symbol in symbols
    )


async def volumes(w: World, stream: str = "market_data") -> list[tuple[str, int]]:
    rows = await w.query(stream, end_time=NOW // S + 30 * 86_400)
    return [(row["datetime"], row["volume"]) for row in rows]


def test_one_file_per_stream_and_trading_date(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            days(w)
            await w.store.compact()
            files = sorted(str(p.relative_to(tmp_path).parent) for p in tmp_path.glob("stream=*/*/*.parquet"))
            assert files == [
                f"stream={stream}/date={day}"
                for stream in ("futures_market", "stock_market")
                for day in ("2021-01-04", "2021-01-05")
            ]
            manifest = json.loads((tmp_path / "manifest.json").read_bytes())
            assert sorted(file["path"] for file in manifest["files"]) == sorted(
                str(p.relative_to(tmp_path)) for p in tmp_path.glob("stream=*/*/*.parquet")
            )
            assert sum(file["rows"] for file in manifest["files"]) == 20
            # the log behind it is gone
            assert sum(p.stat().st_size for p in (tmp_path / "log").glob("*.qlog")) < 200
            # and another round of nothing changes nothing
            await w.store.compact()
            assert json.loads((tmp_path / "manifest.json").read_bytes()) == manifest

    run(story())


class PowerCut(Exception):
    """Stands for the end of the process at this very step."""


def cut_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise PowerCut(step)

    if step == "parquet":
        monkeypatch.setattr(parquet, "write_parquet", stop)
    elif step == "second file":
        kept, calls = parquet.write_parquet, []

        def second(*arguments: Any, **more: Any) -> None:
            calls.append(1)
            if len(calls) == 2:
                raise PowerCut(step)
            kept(*arguments, **more)

        monkeypatch.setattr(parquet, "write_parquet", second)
    elif step == "latest":
        monkeypatch.setattr(compaction, "write_durably", stop)
    elif step == "manifest":
        monkeypatch.setattr(Catalogue, "store", stop)
    elif step == "adopt":
        monkeypatch.setattr(Catalogue, "adopt", stop)


@pytest.mark.parametrize("step", ["parquet", "second file", "latest", "manifest", "adopt"])
def test_a_crash_between_any_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            days(w)
            expected = await volumes(w)
            assert len(expected) == 20
            with monkeypatch.context() as patched:
                cut_at(patched, step)
                with pytest.raises(PowerCut):
                    await w.store.compact()
                # still running: nothing is missing, nothing twice
                assert await volumes(w) == expected
        async with world(tmp_path) as w:
            assert await volumes(w) == expected
            await w.store.compact()
            assert await volumes(w) == expected
            assert not list(tmp_path.glob("stream=*/*/.*.tmp"))
        async with world(tmp_path) as w:
            assert await volumes(w) == expected

    run(story())


def test_late_copies_of_filed_rows_are_not_filed_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            days(w, (AU,), 1)
            await w.store.compact()
            assert w.store._open is not None
            w.store._open.hot.evict_through(2**62)
            # the front says the second row again, and one nobody had seen
            w.publish([tick(AU, OPENING + S, volume=1), tick(AU, OPENING + S, 1, volume=11)])
            expected = [0, 1, 11, 2, 3, 4]
            assert [volume for _, volume in await volumes(w)] == expected
            # a copy takes no place among the first so many
            for limit in range(7):
                rows = await w.query(limit=limit)
                assert [row["volume"] for row in rows] == expected[:limit]
            await w.store.compact()
            assert [volume for _, volume in await volumes(w)] == expected
            assert w.store.health()["file_rows"] == 6

    run(story())


def test_a_lost_manifest_is_rebuilt_and_a_damaged_one_is_not_guessed_at(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            days(w)
            await w.store.compact()
            days(w, ("SHFE.rb2105",), 1)
            expected = await volumes(w)
        manifest = tmp_path / "manifest.json"
        before = json.loads(manifest.read_bytes())
        manifest.unlink()
        for latest in tmp_path.glob("latest-*.arrow"):
            latest.unlink()
        async with world(tmp_path) as w:
            assert await volumes(w) == expected
            # what was rebuilt knows the newest rows too: they are not published again
            assert w.tape.last_identity(w.instruments.find(AU)) == (OPENING + DAY + 4 * S, 0)
        after = json.loads(manifest.read_bytes())
        assert sorted(f["path"] for f in after["files"]) == sorted(f["path"] for f in before["files"])
        manifest.write_bytes(b'{"files": [')
        with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
            async with world(tmp_path):
                pass
        manifest.write_bytes(json.dumps(before | {"version": 99}).encode())
        with pytest.raises(StorageError, match="version 99"):
            async with world(tmp_path):
                pass

    run(story())


def test_a_removed_log_does_not_overwrite_files(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            days(w, (AU,), 1)
            await w.store.compact()
        for segment in (tmp_path / "log").glob("*.qlog"):
            segment.unlink()
        async with world(tmp_path) as w:
            w.publish([tick(AU, OPENING + 100 * S, volume=100)])
            assert [volume for _, volume in await volumes(w)] == [0, 1, 2, 3, 4, 100]
            await w.store.compact()
            assert [volume for _, volume in await volumes(w)] == [0, 1, 2, 3, 4, 100]
            assert w.store.health()["file_rows"] == 6

    run(story())


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            days(w, (AU,), 1)
            await w.store.compact()
        next(tmp_path.glob("stream=*/*/*.parquet")).unlink()
        with pytest.raises(StorageError, match=r"\.parquet is in the manifest and not on the disk"):
            async with world(tmp_path):
                pass

    run(story())


def test_a_small_memory_is_emptied_before_it_is_full(tmp_path: Path) -> None:
    """The tape never waits for room: half of memory without a file is sealed, however large segments are."""

    async def story() -> None:
        async with world(tmp_path, hot_bytes=1 << 20) as w:
            opened = w.store._open
            assert opened is not None
            for second in range(600):
                w.publish(tick(AU, OPENING + second * S + n * 10_000_000, volume=n) for n in range(50))
                assert opened.log.held == ""
                opened.make_room()
                while not opened.is_ahead():
                    if not await w.store._compact_next(opened):
                        await asyncio.sleep(0.01)
            assert opened.hot.evicted > 0
            assert w.store.health()["file_rows"] >= 15_000

    run(story())
