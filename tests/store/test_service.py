"""The store as a service: recovery, restarts, one process per directory, bars written by sources."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from qautlra.base.errors import StorageError, UnavailableError
from qautlra.model.query import Verb
from qautlra.store import recovery
from qautlra.store.catalogue import Catalogue
from qautlra.store.schema import BAR_SCHEMA
from tests.store.world import MINUTE, OPENING, S, run, tick, world

AU = "SHFE.au2102"


def test_a_disk_above_its_ceiling_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, max_disk_percent=1e-6) as w:
            assert "max_disk_percent" in w.store.health()["error"]
        async with world(tmp_path, max_disk_percent=100) as w:
            health = w.store.health()
            assert "error" not in health and 0 < health["disk_percent"] < 100

    run(story())


def test_recovery_brings_tape_and_rows_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(tick(AU, OPENING + n * S, volume=n + 1, open_interest=n) for n in range(200))
            await w.store.compact()
            w.publish(tick(AU, OPENING + n * S, volume=n + 1, open_interest=n) for n in range(200, 260))
            rows = await w.query()
            bars = w.tape.bars(0)
            last = w.tape.last(0)
        async with world(tmp_path) as w:
            assert await w.query() == rows
            assert w.tape.last(0) == last
            assert w.tape.last_identity(0) == (OPENING + 259 * S, 0)
            # today is in memory again, also what had been compacted, and its bars
            assert w.store.health()["hot_rows"] == 260
            assert w.tape.bars(0).to_pydict() == bars.to_pydict()
            # the same rows again are the same rows
            w.publish([tick(AU, OPENING + 259 * S, volume=260)])
            assert len(await w.query()) == 260

    run(story())


def test_a_restart_in_the_same_process_keeps_the_tape(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(tick(AU, OPENING + n * S) for n in range(10))
            await w.store.stop(5.0)
            with pytest.raises(UnavailableError):
                await w.query()
            assert w.tape.room() == w.tape.capacity, "the cursor still holds the tape"
            await w.store.start()
            w.publish(tick(AU, OPENING + n * S) for n in range(10, 20))
            assert len(await w.query()) == 20

    run(story())


def test_one_process_per_directory(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path):
            with pytest.raises(StorageError, match=r"is in use by another process \(pid \d+\)"):
                async with world(tmp_path):
                    pass

    run(story())


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    async def story() -> None:
        with pytest.raises(StorageError, match="file"):
            async with world(tmp_path / "file"):
                pass

    run(story())


def test_a_torn_log_gives_the_rows_before_the_damage(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(tick(AU, OPENING + n * S) for n in range(10))
        segment = max((tmp_path / "log").glob("*.qlog"))
        with segment.open("r+b") as file:
            file.truncate(segment.stat().st_size - 5)
        async with world(tmp_path) as w:
            assert len(await w.query()) == 9
            (damage,) = w.store.health()["log_damage"]
            assert segment.name in damage
            # the row that was torn comes again
            w.publish([tick(AU, OPENING + 9 * S)])
            assert len(await w.query()) == 10

    run(story())


def test_a_damaged_sealed_segment_is_kept_aside_and_its_clean_rows_filed(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(tick(AU, OPENING + n * S) for n in range(10))
            assert w.store._open is not None
            await w.store.flush()
            segment = max((tmp_path / "log").glob("*.qlog"))
            with segment.open("r+b") as file:
                file.seek(-40, 2)
                file.write(b"\xff" * 8)
            await w.store.compact()
            assert 0 < w.store.health()["file_rows"] < 10
            assert [p.name for p in (tmp_path / "damaged").iterdir()] == [segment.name]

    run(story())


def bar(symbol: str, minute: int, close: float) -> dict[str, Any]:
    moment = datetime(2021, 1, 4, 1, 30, tzinfo=UTC) + timedelta(minutes=minute)
    return {
        "datetime": moment, "instrument_id": symbol, "trading_date": date(2021, 1, 4),
        "open": 1.0, "high": 2.0, "low": 0.5, "close": close, "volume": 7,
        "amount": 8.0, "open_oi": float("nan"), "close_oi": None,
    }  # fmt: skip


def test_bars_of_a_source_are_joined_with_those_of_rows(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            assert await w.store.bar_symbols() == set()
            written = pa.Table.from_pylist([bar(AU, 1, 11.0), bar(AU, 0, 10.0), bar(AU, 1, 11.5)], BAR_SCHEMA)
            await w.store.write_bars(written)
            assert await w.store.bar_symbols() == {AU}
            # minutes 1, 2 and 3 from rows: minute 1 is stored already
            w.publish(tick(AU, OPENING + n * MINUTE, last_price=100.0 + n, volume=n) for n in (1, 2, 3))
            rows = await w.query("bar_1m")
            assert [(r["datetime"][14:16], r["close"], r["volume"]) for r in rows] == [
                ("30", 10.0, 7), ("31", 11.0, 7), ("32", 102.0, 1), ("33", 103.0, 1),
            ]  # fmt: skip
            assert rows[0]["open_oi"] is None
            assert await w.query("bar_1m", descending=True, limit=2) == rows[:1:-1]
            assert await w.query("bar_1m", filter="close > 100 and instrument=au2102") == rows[2:]
            assert await w.query("bar_1m", filter="instrument=rb2105") == []
            # again, and some more: only what is new is written
            await w.store.write_bars(pa.Table.from_pylist([bar(AU, 0, 99.0), bar(AU, 5, 15.0)], BAR_SCHEMA))
            closes = [r["close"] for r in await w.query("bar_1m")]
            assert closes == [10.0, 11.0, 102.0, 103.0, 15.0]
            before = closes
        async with world(tmp_path) as w:
            assert [r["close"] for r in await w.query("bar_1m")] == before

    run(story())


def test_bars_of_an_unfinished_write_are_not_taken_for_stored_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the manifest of a new store named them, the first days' files do not count."""

    def cut(*_: Any) -> None:
        raise OSError("power cut")

    async def story() -> None:
        async with world(tmp_path) as w:
            with monkeypatch.context() as patched:
                patched.setattr(Catalogue, "store", cut)
                with pytest.raises(OSError, match="power cut"):
                    await w.store.write_bars(pa.Table.from_pylist([bar(AU, 0, 10.0)], BAR_SCHEMA))
        assert list(tmp_path.glob("stream=bar_1m/*/*.parquet"))
        async with world(tmp_path) as w:
            assert await w.store.bar_symbols() == set()
            await w.store.write_bars(pa.Table.from_pylist([bar(AU, 0, 11.0)], BAR_SCHEMA))
            assert [r["close"] for r in await w.query("bar_1m")] == [11.0]

    run(story())


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            with capture_logs() as told:
                for error in ("", "no space", "no space", "", ""):
                    w.store._tell_of(error)
            assert [entry["event"] for entry in told] == ["log_stuck", "log_goes_on"]

    run(story())


def test_the_newest_rows_are_known_after_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a day too long to be read back, and of an instrument that had no row since days."""
    monkeypatch.setattr(recovery, "TODAY_ROWS", 10)
    day = 24 * 3_600 * S

    async def work() -> None:
        async with world(tmp_path, OPENING + 2 * day) as w:
            w.publish([tick("SHFE.cu2103", OPENING, last_price=7.0)])
            w.publish([tick("SHFE.au2106", OPENING + day + at * S, last_price=at) for at in range(50)])
            await w.store.compact()
        async with world(tmp_path, OPENING + 2 * day) as w:
            found = await w.query(verb=Verb(name="latest_on"))
            assert [(row["instrument_id"], row["last_price"]) for row in found] == [
                ("SHFE.au2106", 49.0),
                ("SHFE.cu2103", 7.0),
            ]
            w.publish([tick("SHFE.au2106", OPENING + day + 60 * S, last_price=60.0)])
            found = await w.query(verb=Verb(name="latest_on"))
            assert [row["last_price"] for row in found] == [60.0, 7.0]

    run(work())
