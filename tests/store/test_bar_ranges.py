"""Bars of a part of a day are those of the whole day, wherever the rows lie, and are made of few rows."""

import random
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qautlra.store.reader import Reader
from tests.store.world import MINUTE, OPENING, S, World, run, tick, world

SYMBOLS = [f"CFFEX.IF{year}{month:02}" for year in (21, 22) for month in range(1, 13)] + [
    "CFFEX.IC2101",
    "CFFEX.IC2102",
]
HOURS = 5.5  # with a break of one and a half


def day_of_rows(rng: random.Random, missing: float = 0.05) -> list[dict[str, Any]]:
    """Rows of a day by time: busy and quiet instruments, values that are missing, totals that fall."""
    rows = []
    for symbol in SYMBOLS:
        total, lacks = 0, rng.choice(["", "", "amount", "volume"]) if missing else ""
        at, step = OPENING - rng.choice([0, 30, 600]) * S, rng.choice([2, 20, 400, 8_000, 8_000])
        while (at := at + rng.randint(1, step * 2) * S // 2) < OPENING + int(HOURS * 60) * MINUTE:
            total = max(0, total + rng.choice([0, 1, 5, 40, -3 if rng.random() < 0.02 else 0]))
            values: dict[str, Any] = {
                "last_price": 5_000.0 + rng.randint(-50, 50) / 5, "volume": total, "amount": total * 5_000.0,
                "open_interest": 1_000 + rng.randint(0, 9),
            }  # fmt: skip
            for name in values:
                if rng.random() < (0.9 if name == lacks else missing):
                    values[name] = None
            rows.append(tick(symbol, at, **values))
    return sorted(rows, key=lambda row: row["datetime"])


async def compare(w: World, rng: random.Random) -> None:
    whole = await w.query("bar_1m", end_time="2021-01-08", limit=100_000)
    assert len(whole) > 500
    for turn in range(16):
        begin = OPENING + rng.randint(-60, int(HOURS * 60)) * MINUTE + rng.choice([0, 0, 17 * S])
        begin = OPENING + (turn - 1) * MINUTE if turn < 3 else begin
        end = begin + rng.choice([1, 5, 45, 400]) * MINUTE
        symbol = rng.choice([None, None, rng.choice(SYMBOLS)])
        asked = {"filter": f"instrument='{symbol}'"} if symbol else {}
        part = await w.query(
            "bar_1m", start_time=begin // 1_000, end_time=end // 1_000, limit=100_000, **asked
        )
        assert part == [
            row
            for row in whole
            if begin <= moment_ns(row["datetime"]) < end and symbol in (None, row["instrument_id"])
        ], (begin, end, symbol)


def moment_ns(text: str) -> int:
    return int(pa.scalar(text.removesuffix("Z")).cast(pa.timestamp("ns")).value)


@pytest.mark.parametrize("seed", range(6))
def test_a_part_of_the_day_has_the_bars_of_the_whole(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    rows = day_of_rows(rng)

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            filed = int(len(rows) * rng.choice([0, 0.3, 0.6, 1]))
            late = set(rng.sample(range(filed), filed // 20))
            w.publish(row for at, row in enumerate(rows[:filed]) if at not in late)
            await w.store.compact()
            assert w.store._open is not None
            if filed and rng.random() < 0.7:
                assert w.store._open.hot.evict_through(2**62) > 0
            w.publish(rows[filed:])
            w.publish(rows[at] for at in sorted(late))
            await compare(w, rng)

    run(story())


def test_the_newest_bars_of_a_long_day_are_made_of_the_newest_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = day_of_rows(random.Random(7), missing=0)
    read: list[int] = []
    pieces = Reader.pieces

    async def counted(*given: Any) -> AsyncGenerator[Any, None]:
        async for table in pieces(*given):
            read.append(table.num_rows)
            yield table

    monkeypatch.setattr(Reader, "pieces", counted)

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            w.publish(rows)
            begin = OPENING + int(HOURS * 60 - 10) * MINUTE
            found = await w.query("bar_1m", start_time=begin // 1_000, end_time="2021-01-08", limit=10_000)
            assert found and 0 < sum(read) < len(rows) // 4

    run(story())
