"""Bars of a running day that are kept between questions are those of all its rows, folded in one go."""

import asyncio
import random
import shutil
from collections.abc import AsyncGenerator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from qautlra._core.tape import bars_from_rows
from qautlra.store import bardays
from qautlra.store.bardays import tidy_bars
from qautlra.store.keeping import Keeper
from qautlra.store.plan import moment
from qautlra.store.reader import Reader
from qautlra.store.schema import INSTRUMENT, TIME, TRADING_DATE
from tests.store.test_bar_ranges import SYMBOLS, day_of_rows
from tests.store.world import CALENDAR, MINUTE, OPENING, QueryFormat, S, World, run, tick, world

HOUR = 60 * MINUTE
NIGHT = OPENING + 11 * HOUR + 30 * MINUTE
"21:00 in Beijing of the first day, when the second begins."
Row = dict[str, Any]


class Told:
    """Every row that was stored, and the bars of all of them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int, int], Row] = {}

    def publish(self, w: World, rows: list[Row]) -> None:
        w.publish(rows)
        for row in rows:
            self.rows.setdefault((row["instrument_id"], row["datetime"], row["seq"]), row)

    def bars(self, w: World) -> pa.Table:
        """The twin: each day's rows folded at once."""
        rows = sorted(self.rows.values(), key=lambda row: (row["datetime"], row["instrument_id"], row["seq"]))
        oldest = rows[0]["datetime"]
        days: dict[int, list[Row]] = {}
        for row in rows:
            days.setdefault(CALENDAR.trading_day(row["datetime"]), []).append(row)
        tables = []
        for day, mine in sorted(days.items()):
            is_whole = CALENDAR.trading_day(oldest) < day
            batch = bars_from_rows(w.rows(mine), CALENDAR, w.instruments, whole_days=is_whole)
            tables.append(tidy_bars(batch))
        return pa.concat_tables(tables).sort_by([(TIME, "ascending"), (INSTRUMENT, "ascending")])


async def asked(w: World, **values: Any) -> pa.Table:
    body = await w.answer("bar_1m", format=QueryFormat.ARROW, **({"end_time": "2021-01-10"} | values))
    return pa.ipc.open_stream(body).read_all()


async def compare(w: World, told: Told, rng: random.Random) -> None:
    expected = told.bars(w)
    found = await asked(w)
    assert found.equals(expected), difference(found, expected)
    low = OPENING + rng.randint(-10, 700) * MINUTE
    high = low + rng.choice([1, 30, 2_000]) * MINUTE
    within = pc.and_(
        pc.greater_equal(expected.column(TIME), moment(low // 1_000)),
        pc.less(expected.column(TIME), moment(high // 1_000)),
    )
    part = await asked(w, start_time=low // 1_000, end_time=high // 1_000)
    assert part.equals(expected.filter(within)), (low, high)
    newest = await asked(w, descending=True, limit=7)
    assert newest.to_pylist() == expected.slice(max(0, expected.num_rows - 7)).to_pylist()[::-1]


def difference(found: pa.Table, expected: pa.Table) -> Any:
    pairs = zip(found.to_pylist(), expected.to_pylist(), strict=False)
    return (found.num_rows, expected.num_rows, next((pair for pair in pairs if pair[0] != pair[1]), None))


def edges(rng: random.Random) -> list[Row]:
    """Rows around the ends of sections."""
    times = [
        OPENING - MINUTE,
        OPENING,
        OPENING + 2 * HOUR,
        OPENING + int(3.5 * HOUR),
        OPENING + int(5.5 * HOUR),
    ]
    return [
        tick(symbol, at + step, last_price=5_100.0, volume=9_000 + number, amount=1e9, open_interest=5)
        for symbol in rng.sample(SYMBOLS, 4)
        for number, at in enumerate(times)
        for step in (-1_000_000, 0, S // 2, S - 1_000_000, S)
    ]


def thin_day(seed: int, missing: float = 0.05) -> list[Row]:
    """Every tenth or so of a day's rows."""
    rng = random.Random(seed)
    return [row for row in day_of_rows(rng, missing) if rng.random() < 0.1]


def two_days(rng: random.Random) -> list[Row]:
    rows = thin_day(rng.randrange(99)) + edges(rng)
    shift = 24 * HOUR
    rows += [row | {"datetime": row["datetime"] + shift} for row in thin_day(rng.randrange(99))]
    rows += [
        tick(
            "SHFE.au2106",
            NIGHT - S + number * 7 * S,
            volume=number,
            amount=number * 400.0,
            last_price=400.0 + number,
        )
        for number in range(300)
    ]
    unique = {(row["instrument_id"], row["datetime"]): row for row in rows}
    return sorted(unique.values(), key=lambda row: row["datetime"])


@pytest.mark.parametrize("seed", range(5))
def test_kept_bars_are_those_of_all_rows(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After late rows, repeated ones, files, eviction, a new day, restarts, kills."""
    rng = random.Random(seed)
    monkeypatch.setattr(bardays, "BEHIND_US", rng.choice([0, 2_000_000, 10_000_000]))
    if seed == 4:
        monkeypatch.setattr(bardays, "KEPT_BYTES", 20_000)
    rows, told = two_days(rng), Told()
    cuts = sorted(rng.sample(range(1, len(rows)), 8))
    parts = [rows[low:high] for low, high in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    held: list[Row] = []

    async def some(w: World) -> bool:
        """Publish a part, ask, maybe do something to the store; false when none is left."""
        while parts:
            part = parts.pop(0)
            late = [row for row in part if rng.random() < 0.01]
            held.extend(late)
            told.publish(w, [row for row in part if row not in late])
            if rng.random() < 0.5:
                told.publish(w, rng.sample(held, len(held) // 2))
                told.publish(w, rng.sample(list(told.rows.values()), min(5, len(told.rows))))
            await compare(w, told, rng)
            choice = rng.random()
            assert w.store._open is not None
            if choice < 0.35:
                await w.store.compact()
                if rng.random() < 0.5:
                    w.store._open.hot.evict_through(2**62)
                await compare(w, told, rng)
            elif choice < 0.6:
                return True
        told.publish(w, held)
        await compare(w, told, rng)
        return False

    async def story() -> None:
        place, lives, more = tmp_path / "0", 0, True
        if rng.random() < 0.5:
            rows.insert(0, tick(SYMBOLS[0], OPENING - 96 * HOUR))
            parts[0].insert(0, rows[0])
        while more:
            async with world(place, hot_bytes=64 << 20) as w:
                more = await some(w)
                if rng.random() < 0.5:  # what a kill leaves behind
                    await w.store.flush()
                    lives += 1
                    place = Path(shutil.copytree(place, tmp_path / str(lives)))

    run(story())


def count_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    read: list[int] = []
    pieces = Reader.pieces

    async def counted(*given: Any) -> AsyncGenerator[Any, None]:
        async for table in pieces(*given):
            read.append(table.num_rows)
            yield table

    monkeypatch.setattr(Reader, "pieces", counted)
    return read


def test_a_question_again_reads_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, read = thin_day(7, missing=0), count_rows(monkeypatch)
    known, told = len(rows) * 9 // 10, Told()

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            told.publish(w, rows[:known])
            await asked(w)
            assert sum(read) >= known
            read.clear()
            told.publish(w, rows[known : known + 500])
            assert (await asked(w)).equals(told.bars(w))
            assert 500 <= sum(read) < 900
            # a late row: its instrument's alone are read again
            symbol = SYMBOLS[3]
            mine = sum(row["instrument_id"] == symbol for row in told.rows.values())
            read.clear()
            told.publish(w, [tick(symbol, OPENING + 3 * MINUTE + 1, volume=1, amount=1.0)])
            assert (await asked(w)).equals(told.bars(w))
            assert mine < sum(read) < mine + 500
            # rows that became files, and went from memory, are kept
            await w.store.compact()
            assert w.store._open is not None
            read.clear()
            told.publish(w, rows[known + 500 : known + 900])
            w.store._open.hot.evict_through(w.store._open.hot.safe_lsn)
            assert (await asked(w)).equals(told.bars(w))
            assert 400 <= sum(read) < 900

    run(story())


def test_rows_that_went_from_memory_unasked_are_not_missed(tmp_path: Path) -> None:
    rows, told = thin_day(3), Told()

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            told.publish(w, rows[: len(rows) // 2])
            await asked(w)
            late = [tick(symbol, OPENING + 3 * MINUTE + 1, volume=1, amount=1.0) for symbol in SYMBOLS]
            told.publish(w, late)
            await w.store.compact()
            assert w.store._open is not None and w.store._open.hot.evict_through(2**62)
            told.publish(w, rows[len(rows) // 2 :])
            assert (await asked(w)).equals(told.bars(w))

    run(story())


def test_questions_at_once_and_one_that_is_given_up(tmp_path: Path) -> None:
    rows, told = thin_day(5), Told()

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            for at in range(0, len(rows), len(rows) // 6 + 1):
                told.publish(w, rows[at : at + len(rows) // 6 + 1])
                given_up = asyncio.ensure_future(asked(w))
                others = [asyncio.ensure_future(asked(w)) for _ in range(3)]
                for _ in range(at % 7 + 1):
                    await asyncio.sleep(0)
                given_up.cancel()
                expected = told.bars(w)
                assert all([(await other).equals(expected) for other in others])

    run(story())


def test_nothing_is_kept_of_days_that_retention_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of such a day that come later still are its only ones."""

    async def rest(_keeper: Keeper, _work: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Keeper, "step", rest)
    old = thin_day(1)
    new = [row | {"datetime": row["datetime"] + 96 * HOUR} for row in thin_day(2)]
    told = Told()

    async def story() -> None:
        async with world(tmp_path, OPENING + 100 * HOUR, hot_bytes=64 << 20, retention_days=2) as w:
            w.publish(old)
            assert (await asked(w)).num_rows
            assert w.store._open is not None
            w.publish(new)
            await w.store.compact()
            await asked(w)
            bars = w.store._open.bars
            kept = bars.kept_bytes
            await w.store.retire()
            assert 0 <= bars.kept_bytes < kept <= bardays.KEPT_BYTES
            late = tick(SYMBOLS[0], OPENING + HOUR, volume=3, amount=1.0)
            told.publish(w, [late, *new])
            found = await asked(w)
            days = found.column(TRADING_DATE).to_pylist()
            assert days.count(days[0]) == 1
            assert (
                found.slice(1).column("volume").to_pylist()
                == told.bars(w).slice(1).column("volume").to_pylist()
            )

    run(story())


def test_the_second_after_a_section_belongs_to_its_last_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question between its rows takes no bar for final that is not."""
    monkeypatch.setattr(bardays, "BEHIND_US", 0)
    told, close = Told(), OPENING + 2 * HOUR

    async def story() -> None:
        async with world(tmp_path) as w:
            for number, (symbol, at) in enumerate(
                [(SYMBOLS[0], close - S), (SYMBOLS[1], close + S // 5), (SYMBOLS[0], close + S // 2)]
            ):
                told.publish(w, [tick(symbol, at, last_price=50.0 + number, volume=5 + number, amount=1.0)])
                assert (await asked(w)).equals(told.bars(w))

    run(story())


def test_a_day_that_turns_out_to_be_whole(tmp_path: Path) -> None:
    """With a row of the day before, the first volumes count: nothing was missed."""
    rows, told = [row for row in thin_day(4) if row["datetime"] > OPENING + HOUR], Told()

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            told.publish(w, rows)
            joined = await asked(w)
            assert joined.equals(told.bars(w))
            told.publish(w, [tick(SYMBOLS[0], OPENING - 96 * HOUR)])
            found = await asked(w)
            assert found.equals(told.bars(w)) and not found.slice(1).equals(joined)

    run(story())


def test_a_day_forgotten_while_it_is_folded_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, pieces, times = date(2021, 1, 4), Reader.pieces, []

    async def story() -> None:
        async with world(tmp_path, hot_bytes=64 << 20) as w:
            assert w.store._open is not None
            bars = w.store._open.bars
            w.publish(thin_day(4))
            await asked(w)
            assert bars._days.reaches(day, 0)

            async def forgetting(*given: Any) -> AsyncGenerator[Any, None]:
                if not times:
                    bars.forget(day)
                times.append(day)
                async for table in pieces(*given):
                    yield table

            monkeypatch.setattr(Reader, "pieces", forgetting)
            bars.forget(day)
            await asked(w)
            assert not bars._days.reaches(day, 0)

    run(story())
