"""Questions about time against what plain Python makes of the rows: bars at edges, rows as of a moment."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import InputError, NotFoundError
from qautlra.model.query import Verb
from qautlra.model.streams import Derived, StreamOptions
from qautlra.store import aggregates
from tests.store.test_sql import AU, IF, sql
from tests.store.world import CALENDAR, MINUTE, NOW, OPENING, S, World, run, tick, world

HOUR, DAY = 60 * MINUTE, 24 * 60 * MINUTE
OPEN_9 = OPENING - 30 * MINUTE
NIGHT = OPENING + 11 * HOUR + 30 * MINUTE  # 21:00 of the same day: the next trading day
LATER = NIGHT + DAY


@pytest.fixture(autouse=True)
def unasked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stream is made of another but when a test asks for it."""
    monkeypatch.setattr(aggregates, "EVERY_S", 3_600.0)


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6) * 1_000


def text(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // S, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def sections(symbol: str, ts_ns: int) -> list[tuple[int, int]]:
    """The trading sections of the trading day of a moment."""
    found: list[tuple[int, int]] = CALENDAR.section_bounds(symbol, CALENDAR.trading_day(ts_ns))
    return found


def label(symbol: str, ts_ns: int, period_ns: int) -> int:
    """When the bar of a row opens: whole periods after its section; the day's bar with the first section."""
    bounds = sections(symbol, ts_ns)
    if period_ns == DAY:
        return bounds[0][0]
    begin, end = next(one for one in bounds if ts_ns < one[1] + S)
    return begin + (min(max(ts_ns, begin), end - 1) - begin) // period_ns * period_ns


def known(symbol: str, opens_ns: int, period_ns: int) -> int:
    """From when on a bar changes no more."""
    bounds = sections(symbol, opens_ns)
    if period_ns == DAY:
        return bounds[-1][1] + S
    end = next(end for begin, end in bounds if begin <= opens_ns < end)
    return opens_ns + period_ns if opens_ns + period_ns < end else end + S


def a_day(seed: int = 3) -> list[dict[str, Any]]:
    """Ticks of two instruments over a trading day and the night after it, in the order of their stamps."""
    rng = random.Random(seed)
    stamps = [OPEN_9 + rng.randrange(6 * HOUR // S) * S for _ in range(500)]
    for begin, end in sections(AU, OPENING):
        # to the last: what comes within a second after a section belongs to its last bar
        stamps += [begin, begin + S // 2, end - S, end - 1_000, end, end + S // 2, end + S - 1_000]
    stamps += [NIGHT + rng.randrange(HOUR // S) * S for _ in range(200)]
    made = []
    for symbol in (AU, IF):
        total, day = 0, 0
        for at in sorted({at for at in stamps if CALENDAR.bar_open(symbol, at, MINUTE) >= 0}):
            if CALENDAR.trading_day(at) != day:
                total, day = 0, CALENDAR.trading_day(at)
            total += rng.randrange(5)
            made.append(tick(symbol, at, last_price=rng.randrange(90, 110) * 1.0, volume=total))
    return sorted(made, key=lambda row: row["datetime"])


def bars(
    ticks: list[dict[str, Any]], period_ns: int, start_ns: int, stop_ns: int, whole: int
) -> list[dict[str, Any]]:
    """Bars of the rows in [start, stop), volume from what had been traded before each row.

    Days after `whole` count from nothing, others from their first row.
    """
    made: dict[tuple[int, str], dict[str, Any]] = {}
    before: dict[tuple[str, int], int] = {}
    for row in ticks:
        symbol, at, price = row["instrument_id"], row["datetime"], row["last_price"]
        day = (symbol, CALENDAR.trading_day(at))
        first = 0 if day[1] > whole else row["volume"]
        traded, before[day] = row["volume"] - before.get(day, first), row["volume"]
        if not start_ns <= at < stop_ns:
            continue
        bar = made.setdefault(
            (label(symbol, at, period_ns), symbol),
            {"open": price, "high": price, "low": price, "close": price, "volume": 0},
        )
        bar["high"], bar["low"] = max(bar["high"], price), min(bar["low"], price)
        bar["close"] = price
        bar["volume"] += traded
    return [
        {"datetime": text(at), "instrument_id": symbol, **bar} for (at, symbol), bar in sorted(made.items())
    ]


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("datetime", "instrument_id", "open", "high", "low", "close", "volume")
    return [{name: row[name] for name in names} for row in rows]


def inside(body: Callable[[World, list[dict[str, Any]]], Awaitable[None]], path: Path) -> None:
    """Run a story in a store of a day's ticks, half of them in files."""

    async def story() -> None:
        async with world(path, now_ns=LATER) as w:
            ticks = a_day()
            w.publish(ticks[: len(ticks) // 2])
            await w.store.compact()
            w.publish(ticks[len(ticks) // 2 :])
            await body(w, ticks)

    run(story())


RANGES = (
    (OPEN_9 - HOUR, LATER),
    (OPENING + 2 * MINUTE, OPENING + 12 * MINUTE),
    (OPENING + 2 * MINUTE + 30 * S, NIGHT + 3 * MINUTE + 20 * S),
    (OPENING - 90 * MINUTE, NIGHT + HOUR),  # midnight in UTC
    (NIGHT + 10 * MINUTE, NIGHT + HOUR),
)
PERIODS = {"30s": 30 * S, "90s": 90 * S, "5m": 5 * MINUTE, "7m": 7 * MINUTE, "1h": HOUR, "1d": DAY}


def test_bars_are_those_of_the_rows_in_range_cut_from_each_section_s_start(tmp_path: Path) -> None:
    async def body(w: World, ticks: list[dict[str, Any]]) -> None:
        for start, stop in RANGES:
            within = {"start_time": start // 1_000, "end_time": stop // 1_000}
            for period, period_ns in PERIODS.items():
                verb = Verb(name="sample_by", period=period)
                expected = bars(ticks, period_ns, start, stop, 20210104)
                assert expected
                made = await w.query("market_data", verb=verb, **within)
                assert shown(made) == expected, (period, text(start))
                asked = await sql(w, f"SELECT * FROM sample_by('market_data', '{period}')", **within)
                # SQL sees the rows of its range alone: a day it does not begin counts from the first of them
                rows = [row for row in ticks if start <= row["datetime"]]
                mine = bars(rows, period_ns, start, stop, 20210104 if start < NIGHT else 20210105)
                assert shown(asked) == mine, (period, text(start))
                if start % MINUTE or stop % MINUTE or period_ns < MINUTE:
                    continue
                of_bars = await w.query("bar_1m", verb=verb, **within)
                macro = await sql(w, f"SELECT * FROM sample_bars('bar_1m', '{period}')", **within)
                assert of_bars == macro
                if period == "5m":  # whose edges are those of minutes
                    assert [row["datetime"] for row in of_bars] == [row["datetime"] for row in expected]

    inside(body, tmp_path)


def test_filled_bars_stand_where_bars_do(tmp_path: Path) -> None:
    async def body(w: World, ticks: list[dict[str, Any]]) -> None:
        for period, period_ns in PERIODS.items():
            within = {"start_time": (OPENING + 2 * MINUTE) // 1_000, "end_time": (NIGHT + HOUR) // 1_000}
            plain = await w.query("market_data", verb=Verb(name="sample_by", period=period), **within)
            filled = await w.query(
                "market_data", verb=Verb(name="sample_by", period=period, fill="null"), **within
            )
            assert [row for row in filled if row["close"] is not None] == plain
            for row in filled:
                at = ns(row["datetime"])
                assert label(row["instrument_id"], at, period_ns) == at
            found = {(row["instrument_id"], ns(row["datetime"])) for row in filled}
            first, last = ns(plain[0]["datetime"]), ns(plain[-1]["datetime"])
            for at in range(first, last, 30 * S):
                if CALENDAR.bar_open(AU, at, MINUTE) >= 0:
                    assert (AU, label(AU, at, period_ns)) in found

    inside(body, tmp_path)


def test_made_bars_are_the_sampled_ones_whatever_comes_late(tmp_path: Path) -> None:
    async def body(w: World, ticks: list[dict[str, Any]]) -> None:
        made = w.store._open.aggregates  # type: ignore[union-attr]
        for source in ("market_data", "bar_1m"):
            await w.store.ingest.derive("bar_7m", Derived(source=source, period_s=420, bars=True))
            await made.refresh("bar_7m")
            for at in (OPENING + 200 * S, OPENING + 45 * MINUTE + S // 2, NIGHT):
                late = tick(AU, at, seq=5, last_price=200.0 + at % 7, volume=1)
                late.pop("source")
                await w.store.ingest.ingest("futures_market", [late], {}, create=True)
                await made.refresh("bar_7m")
                verb = Verb(name="sample_by", period="7m")
                assert await w.query("bar_7m") == await w.query(source, verb=verb)
            await w.store.ingest.drop("bar_7m")

    inside(body, tmp_path)


def as_of(
    ticks: list[dict[str, Any]], rows: list[dict[str, Any]], period_ns: int, start_ns: int
) -> list[str | None]:
    """The label of the newest of `rows` that is known at each tick from `start` on."""
    known_at = [
        (known(row["instrument_id"], ns(row["datetime"]), period_ns), row["instrument_id"], row["datetime"])
        for row in rows
    ]
    return [
        max(((at, label) for at, symbol, label in known_at if symbol == row["instrument_id"]
             and at <= row["datetime"]), default=(0, None))[1]
        for row in sorted(ticks, key=lambda row: (row["datetime"], row["instrument_id"]))
        if row["datetime"] >= start_ns
    ]  # fmt: skip


def test_no_row_carries_a_bar_that_is_not_over(tmp_path: Path) -> None:
    async def body(w: World, ticks: list[dict[str, Any]]) -> None:
        made = w.store._open.aggregates  # type: ignore[union-attr]
        await w.store.ingest.derive("bar_7m", Derived(source="bar_1m", period_s=420, bars=True))
        for name in ("bar_7m", "bar_1d"):
            await made.refresh(name)
        for name, period_ns in (("bar_1m", MINUTE), ("bar_7m", 7 * MINUTE), ("bar_1d", DAY)):
            stored = await w.query(name, start_time="2020-12-01")
            expected = as_of(ticks, stored, period_ns, 0)
            assert None in expected and len(set(expected)) > 1
            joined = await w.query("market_data", verb=Verb(name="asof", other=name))
            assert [row["other_datetime"] for row in joined] == expected, name
            asked = f"SELECT * FROM asof_join('market_data', '{name.upper()}')"
            found = await sql(w, f"{asked} ORDER BY datetime, instrument_id")
            assert [row["other_datetime"] for row in found] == expected, name
            for row in joined:
                if row["other_datetime"] is not None and period_ns < DAY:
                    assert ns(row["other_datetime"]) + min(period_ns, MINUTE) <= ns(row["datetime"])

    inside(body, tmp_path)


def test_bars_before_the_range_are_known_in_it(tmp_path: Path) -> None:
    async def body(w: World, ticks: list[dict[str, Any]]) -> None:
        await w.store._open.aggregates.refresh("bar_1d")  # type: ignore[union-attr]
        for start, name, period_ns in (
            (OPENING + 17 * S, "bar_1m", MINUTE),
            (NIGHT + 20 * MINUTE, "bar_1m", MINUTE),
            (NIGHT + 20 * MINUTE, "BAR_1D", DAY),
        ):
            stored = await w.query(name, start_time="2020-12-01")
            expected = as_of(ticks, stored, period_ns, start)
            assert expected[0] is not None
            verb = Verb(name="asof", other=name)
            joined = await w.query("market_data", verb=verb, start_time=start // 1_000)
            assert [row["other_datetime"] for row in joined] == expected, (name, text(start))

    inside(body, tmp_path)


def test_other_rows_are_known_at_their_own_time(tmp_path: Path) -> None:
    five = Derived(source="market_data", period_s=300, by=("instrument_id",), values={"n": ("count", "*")})

    async def body(w: World, ticks: list[dict[str, Any]]) -> None:
        await w.store.ingest.derive("five", five)
        await w.store._open.aggregates.refresh("five")  # type: ignore[union-attr]
        same = await w.query("futures_market", verb=Verb(name="asof", other="market_data"))
        assert all(row["other_datetime"] == row["datetime"] for row in same)
        joined = await w.query("market_data", verb=Verb(name="asof", other="five"))
        assert any(row["n"] for row in joined)
        for row in joined:
            if row["other_datetime"] is not None:
                assert ns(row["other_datetime"]) + 300 * S <= ns(row["datetime"])

    inside(body, tmp_path)


def test_of_rows_of_one_moment_the_newest_is_joined(tmp_path: Path) -> None:
    """Ticks that share a stamp are told apart by `seq`, a user's rows by when they arrived."""

    async def body(w: World, ticks: list[dict[str, Any]]) -> None:
        stamps = (row["datetime"] for row in ticks if row["instrument_id"] == AU)
        at = next(stamp for stamp in stamps if stamp > OPENING)
        w.publish([tick(AU, at, last_price=500.0 + seq, seq=seq) for seq in range(1, 40)])
        fields = (("datetime", "timestamp_us"), ("instrument_id", "utf8"), ("v", "float64"))
        await w.store.ingest.create("signals", StreamOptions(fields=fields, time_partition="datetime"))
        for v in range(40):
            row = {"datetime": text(at), "instrument_id": AU, "v": float(v)}
            await w.store.ingest.ingest("signals", [row], {}, create=False)
        range_of = {"start_time": at // 1_000, "end_time": at // 1_000 + 1, "filter": f"instrument = '{AU}'"}
        joined = await w.query("market_data", verb=Verb(name="asof", other="signals"), **range_of)
        assert len(joined) == 40 and {row["v"] for row in joined} == {39.0}
        asked = "SELECT DISTINCT last_price FROM asof_join('signals', 'futures_market')"
        assert await sql(w, asked) == [{"last_price": 539.0}]

    inside(body, tmp_path)


def test_what_cannot_be_joined_or_sampled_says_why(tmp_path: Path) -> None:
    wrong = {
        "SELECT * FROM latest_on('app')": "with 'app', which has no column datetime, instrument_id, seq",
        "SELECT * FROM sample_by('bar_1m', '5m')": "which has no column seq, last_price",
        "SELECT * FROM sample_bars('futures_market', '5m')": "which has no column high, low",
        "SELECT * FROM rolling_mean('app', '5s')": "'app', which has no column datetime",
        "SELECT * FROM asof_join('futures_market', 'app')": "asof_join.. with 'app'",
        "SELECT * FROM sample_by('futures_market', '2 days')": "at most a day, not 2 days",
        "SELECT * FROM sample_by('futures_market', '0s')": "at most a day, not 0s",
        "DESCRIBE futures_market": "not a SELECT; the columns of a stream are at",
        "SHOW TABLES": "not a SELECT",
    }

    async def story() -> None:
        async with world(tmp_path, now_ns=NOW) as w:
            w.publish([tick(AU, OPENING)])
            await w.store.ingest.create("app", StreamOptions(fields=(("r", "float64"),)))
            for asked, message in wrong.items():
                with pytest.raises(InputError, match=message):
                    await sql(w, asked)
            assert await sql(w, "SELECT count(*) AS n FROM sample_by('futures_market', '30ms')") == [{"n": 1}]
            with pytest.raises(InputError, match="asof: 'app' has no datetime or no instrument_id"):
                await w.query(verb=Verb(name="asof", other="app"))
            with pytest.raises(NotFoundError, match="nosuch"):
                await w.query(verb=Verb(name="asof", other="nosuch"))

    asyncio.run(story())
