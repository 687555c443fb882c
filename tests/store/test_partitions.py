"""Ticks partitioned by more than the date: the same answers, merged, rebuilt, retired; nothing outside."""

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qautlra.store.names import path_part
from qautlra.store.parquet import Layout, write_partitions
from qautlra.store.schema import INSTRUMENT, ROW_SCHEMA, TIME, TRADING_DATE
from qautlra.store.upkeep import verify
from tests.store.world import CALENDAR, MINUTE, OPENING, World, run, tick, world

SYMBOLS = ("SHFE.au2102", "SHFE.rb2105", "CFFEX.IF2101", "SSE.600000")
CASES: dict[str, tuple[Any, set[str]]] = {
    "date": ("date", {""}),
    "hour": (["date", "hour"], {"hour=09", "hour=10", "hour=11"}),
    "instrument": ("instrument", {f"instrument={symbol}" for symbol in SYMBOLS}),
    "three": (
        ["exchange", "product", "source"],
        {
            "exchange=SHFE/product=au/source=sim", "exchange=SHFE/product=rb/source=sim",
            "exchange=CFFEX/product=IF/source=sim", "exchange=SSE/product=none/source=sim",
        },
    ),
}  # fmt: skip


def ticks(seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        tick(rng.choice(SYMBOLS), OPENING + n * MINUTE, last_price=rng.randrange(100) * 1.0, volume=n)
        for n in range(100)
    ]


async def answers(w: World) -> list[Any]:
    span = {"start_time": "2021-01-01", "end_time": "2021-02-01"}
    found: list[Any] = [await w.query("market_data", **span)]
    found.append(await w.query("futures_market", filter="instrument='au2102' AND volume > 20", **span))
    found.append(await w.query("market_data", descending=True, limit=7, **span))
    found.append(await w.query("bar_1m", **span))
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_same_answers_from_other_directories(tmp_path: Path, case: str) -> None:
    by, expected = CASES[case]
    rows = ticks(3)

    async def story() -> None:
        async with world(tmp_path / "plain") as plain:
            plain.publish(rows)
            right = await answers(plain)
        directory = tmp_path / "data"
        async with world(directory, partition_by=by) as w:
            for part in range(10):
                w.publish(rows[part * 10 : part * 10 + 10])
                await w.store.compact()
            assert await answers(w) == right
        places = {
            "/".join(path.relative_to(directory).parts[2:-1])
            for path in directory.glob("stream=*/date=*/**/*.parquet")
            if "bar_1m" not in path.parts[-2]
        }
        assert places == expected
        assert verify(directory, CALENDAR).errors == []
        # rebuilt from the files alone, and opened with another setting, which new files follow
        (directory / "manifest.json").unlink()
        async with world(directory, partition_by="date") as w:
            assert await answers(w) == right
            w.publish([tick(SYMBOLS[0], OPENING + 101 * MINUTE, volume=101)])
            await w.store.compact()
            assert len(await w.query("market_data", start_time="2021-01-01")) == 101
        assert list(directory.glob("stream=futures_market/date=2021-01-04/*.parquet"))
        assert verify(directory, CALENDAR).errors == []

    run(story())


def test_small_files_of_a_directory_are_merged(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, partition_by="instrument") as w:
            opened = w.store._open
            assert opened is not None
            for n in range(12):
                w.publish([tick(symbol, OPENING + n * MINUTE, volume=n) for symbol in SYMBOLS])
                await w.store.compact()
            for _ in range(40):
                opened.keeper._next_s = 0.0
                async with w.store._state_change:
                    await opened.keeper.step(lambda work: w.store._work(opened, work))
            files = opened.catalogue.state.files
            assert opened.keeper.merged and len(files) < 48
            for file in files:
                assert file.first_symbol == file.last_symbol and file.first_symbol in file.path
            assert len(await w.query("market_data", start_time="2021-01-01")) == 48

    run(story())


HOSTILE = (
    "..", ".", "../x", "a/b", ".hidden", "\0", "", "日本", "none", "empty", "None", "a=b", "a%3Db", "_",
    "%5F", "__HIVE_DEFAULT_PARTITION__", "x" * 300, "x" * 301, "日" * 64 + "1", "日" * 64 + "2", "." * 250,
)  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_value_is_one_part_of_a_path(tmp_path: Path, hostile: str) -> None:
    for part in (path_part("field", hostile), path_part(hostile or "x", "value")):
        assert "/" not in part and "\0" not in part and not part.startswith(".")
        assert json.dumps(part).isascii()
        (tmp_path / part).mkdir(exist_ok=True)  # the file system takes it
        assert sum(1 for _ in tmp_path.iterdir()) in (1, 2)


@pytest.mark.parametrize("as_field", [False, True])
def test_another_value_has_another_part(as_field: bool) -> None:
    values = [*HOSTILE, *(() if as_field else (None,))]
    parts = [path_part(value, "v") if as_field else path_part("f", value) for value in values]
    assert len(set(parts)) == len(values)


def test_long_names_of_instruments_are_files_of_their_own(tmp_path: Path) -> None:
    layout = Layout(fields=("instrument",))
    names = sorted("SHFE." + "x" * 300 + end for end in "abc")
    values = {INSTRUMENT: names, TIME: [1, 2, 3], TRADING_DATE: [date(2021, 1, 4)] * 3}
    columns = [
        pa.array(values[field.name], field.type) if field.name in values else pa.nulls(3, field.type)
        for field in ROW_SCHEMA
    ]
    files = write_partitions(tmp_path, pa.table(columns, schema=ROW_SCHEMA), 1, 3, layout)
    assert len({file.path for file in files}) == 3
    found = [pq.read_table(tmp_path / file.path, partitioning=None) for file in files]
    assert sorted(table.column(INSTRUMENT)[0].as_py() for table in found) == names
