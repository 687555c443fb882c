"""Open tables: what one stream's files do to it holds no other up, and it is tried again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from qautlra.store import lake
from qautlra.store.catalogue import DataFile
from qautlra.store.lake import LakeService, Part
from tests.store.world import run

SCHEMA = pa.schema([("n", pa.int64()), ("p_file_date", pa.date32())])
DAY = date(2026, 1, 2)


def part(directory: Path, stream: str) -> Part:
    file = DataFile(
        path=f"{stream}.parquet", stream=stream, day=DAY, rows=2, bytes=1, first_us=0, last_us=0,
        instruments=1, first_symbol="", last_symbol="",
    )  # fmt: skip
    return Part(stream, DAY, directory, [file], SCHEMA, "p_file_date", 7)


def test_one_streams_files_hold_no_other_up(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "good.parquet")
    parts = [part(tmp_path, "bad"), part(tmp_path, "good")]

    async def until(service: LakeService, commits: int) -> None:
        async with asyncio.timeout(60):
            while service.commits < commits or (commits == 2 and service.error):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def story() -> None:
        service = LakeService(lambda: parts, tmp_path, str(tmp_path / "lake"), 0.05, {})
        await service.start()
        try:
            await until(service, 1)
            assert DeltaTable(str(tmp_path / "lake" / "good")).to_pyarrow_table().num_rows == 2
            pq.write_table(pa.table({"n": [3, 4]}), tmp_path / "bad.parquet")
            await until(service, 2)
            rows = DeltaTable(str(tmp_path / "lake" / "bad")).to_pyarrow_table().to_pylist()
            assert rows == [{"n": 3, "p_file_date": DAY}, {"n": 4, "p_file_date": DAY}]
        finally:
            await service.stop(5.0)

    run(story())


async def until(said: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not said():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


def rewritten(directory: Path, name: str, numbers: list[int]) -> Part:
    """A date's files anew."""
    made = part(directory, "app")
    pq.write_table(pa.table({"n": numbers}), directory / f"{name}.parquet")
    return replace(made, files=[msgspec.structs.replace(made.files[0], path=f"{name}.parquet")])


def test_what_commits_replace_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a date that is written whole every minute is kept a thousand times a day."""
    monkeypatch.setattr(lake, "KEPT_H", 0)
    monkeypatch.setattr(lake, "SWEEP_S", -1.0)
    place = tmp_path / "lake" / "app"

    async def story() -> None:
        parts = [rewritten(tmp_path, "0", [0])]
        service = LakeService(lambda: parts, tmp_path, str(tmp_path / "lake"), 0.05, {})
        await service.start()
        try:
            await until(lambda: service.commits == 1)
            (place / "p_file_date=2026-01-02" / "part-cut-short.parquet").write_bytes(b"PAR1")
            for at in range(1, 5):
                parts[:] = [rewritten(tmp_path, str(at), [at, at])]
                await until(lambda at=at: service.commits == at + 1)  # type: ignore[misc]
            await until(lambda: len(list(place.rglob("*.parquet"))) == 1)
            assert not service.error
            assert DeltaTable(str(place)).to_pyarrow_table().column("n").to_pylist() == [4, 4]
        finally:
            await service.stop(5.0)

    run(story())


def test_a_table_is_one_stores(tmp_path: Path) -> None:
    """Another store would put its rows of a date in the place of the first one's."""
    place = str(tmp_path / "lake")

    def numbers() -> list[int]:
        found: list[int] = DeltaTable(f"{place}/app").to_pyarrow_table().column("n").to_pylist()
        return found

    async def write(directory: Path, count: int, *, take_over: bool = False) -> str:
        directory.mkdir(exist_ok=True)
        parts = [rewritten(directory, str(count), list(range(count)))]
        service = LakeService(lambda: parts, directory, place, 0.05, {}, take_over=take_over)
        await service.start()
        try:
            await until(lambda: service.commits == 1 or bool(service.error))
            return service.error
        finally:
            await service.stop(5.0)

    async def story() -> None:
        assert await write(tmp_path / "one", 3) == ""
        assert "is the table of another store" in await write(tmp_path / "two", 1)
        assert numbers() == [0, 1, 2]
        assert await write(tmp_path / "one", 4) == "" and numbers() == [0, 1, 2, 3]
        # one that is no more is taken over, by its maker too
        assert await write(tmp_path / "two", 1, take_over=True) == "" and numbers() == [0]
        assert "another store" in await write(tmp_path / "one", 5)

    run(story())


def test_old_dates_leave_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those the store has no more of, too; dates that would leave at once are not written."""
    monkeypatch.setattr(lake, "KEPT_H", 0)
    today = lake._today()

    def dated(age_days: int) -> Part:
        return replace(rewritten(tmp_path, str(age_days), [age_days]), day=today - timedelta(days=age_days))

    def ages() -> list[int]:
        place = str(tmp_path / "lake" / "app")
        if not DeltaTable.is_deltatable(place):
            return []
        return sorted(DeltaTable(place).to_pyarrow_table().column("n").to_pylist())

    async def write(parts: list[Part], days: int, wanted: list[int]) -> None:
        place = str(tmp_path / "lake")
        service = LakeService(lambda: parts, tmp_path, place, 0.05, {}, retention_days=days)
        await service.start()
        try:
            await until(lambda: ages() == wanted)
            assert not service.error
        finally:
            await service.stop(5.0)

    async def story() -> None:
        await write([dated(900), dated(400), dated(40)], 0, [40, 400, 900])
        await write([dated(400), dated(40)], 30, [40])  # the newest stays
        await write([dated(400), dated(40), dated(3)], 30, [3])

    run(story())
