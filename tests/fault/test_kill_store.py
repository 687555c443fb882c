"""kill -9 of a writing store at random moments, resumed each time: no row lost, none twice."""

import asyncio
import csv
import gzip
import random
import subprocess
from pathlib import Path

import pytest

from tests.fault.forked import Forked
from tests.fault.store_writer import write
from tests.store.world import run, world

KILLS = 25


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(300)
def test_no_row_lost_none_twice(real_days: list[Path], tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    directory = tmp_path / "data"
    finished_early = 0
    for _ in range(KILLS):
        process = Forked(write, directory, real_days)
        for line in process.stdout:
            if line.strip() == "ready":
                break
        try:
            process.wait(rng.uniform(0.0, 0.25))
            finished_early += 1
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait(10)
        process.stdout.close()
    assert finished_early <= KILLS // 5, "the kills came after the end: nothing was proved"
    process = Forked(write, directory, real_days)
    output = process.stdout.read()
    process.stdout.close()
    assert process.wait(120) == 0
    assert "done" in output.splitlines(), output
    expected = []
    for path in real_days:
        with gzip.open(path, "rt") as file:
            expected += [
                (row["ActionDay"], row["UpdateTime"], int(row["UpdateMillisec"]), int(row["Volume"]))
                for row in csv.DictReader(file)
            ]
    assert run(stored(directory)) == sorted(expected)


async def stored(directory: Path) -> list[tuple[str, str, int, int]]:
    async with world(directory) as w:
        health = w.store.health()
        assert health["file_rows"] > 0, "nothing was compacted"
        columns = ("datetime", "instrument_id", "seq", "volume")
        rows = await w.query(columns=columns, end_time="2021-01-06")
        await asyncio.sleep(0)
    assert {row["instrument_id"] for row in rows} == {"CFFEX.IF2101"}
    found = []
    for row in rows:
        day, clock = row["datetime"].split("T")
        hour = int(clock[:2]) + 8
        found.append((day.replace("-", ""), f"{hour:02d}{clock[2:8]}", int(clock[9:12]), row["volume"]))
    return found
