"""Open tables: what one stream's files do to it holds no other up, and it is tried again."""

import asyncio
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

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
