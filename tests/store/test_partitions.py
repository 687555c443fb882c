"""Ticks partitioned by more than the date: the same answers, merged, rebuilt, retired; nothing outside."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from qautlra.store.names import path_part
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


@pytest.mark.parametrize("hostile", ["..", ".", "../x", "a/b", ".hidden", "\0", "x" * 300, "", "日本"])
def test_a_value_is_one_part_of_a_path(hostile: str) -> None:
    part = path_part(hostile)
    assert "/" not in part and "\0" not in part and not part.startswith(".") and len(part) < 1_000
    assert json.dumps(part).isascii()
