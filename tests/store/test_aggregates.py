"""Streams made of others: equal to the same made of all rows at once, whatever comes late, over restarts."""

import json
import random
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError, NotFoundError
from qautlra.model.query import QueryRequest, SqlRequest, Verb
from qautlra.model.streams import Derived, StreamOptions
from qautlra.store import aggregates
from tests.store.world import MINUTE, OPENING, S, World, run, tick, world

AU, RB = "SHFE.au2102", "SHFE.rb2105"
FIVE = Derived(
    source="futures_market",
    period_s=300,
    by=("instrument_id",),
    values={
        "n": ("count", "*"), "high": ("max", "last_price"), "low": ("min", "last_price"),
        "first": ("first", "last_price"), "last": ("last", "last_price"), "mean": ("avg", "last_price"),
        "total": ("sum", "volume"), "day": ("max", "trading_date"),
    },
)  # fmt: skip


@pytest.fixture(autouse=True)
def unasked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is refreshed but what a test asks for."""
    monkeypatch.setattr(aggregates, "EVERY_S", 3_600.0)


async def rows(w: World, name: str, **more: Any) -> list[dict[str, Any]]:
    request = QueryRequest(stream=name, start_time="2000-01-01", end_time="2200-01-01", **more)
    result = await w.store.query.run(request)
    assert isinstance(result.chunks, bytes)
    found: list[dict[str, Any]] = json.loads(result.chunks)
    return found


def naive(ticks: list[dict[str, Any]], period_ns: int) -> dict[tuple[int, str], dict[str, Any]]:
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    zone = 8 * 3_600 * S
    for one in ticks:
        at = (one["datetime"] + zone) // period_ns * period_ns - zone
        groups[at, one["instrument_id"]].append(one)
    made = {}
    for key, members in groups.items():
        members.sort(key=lambda one: (one["datetime"], one["seq"]))
        prices = [one["last_price"] for one in members]
        made[key] = {
            "n": len(members), "high": max(prices), "low": min(prices), "first": prices[0],
            "last": prices[-1], "total": sum(one["volume"] for one in members),
        }  # fmt: skip
    return made


def check(found: list[dict[str, Any]], expected: dict[tuple[int, str], dict[str, Any]]) -> None:
    seen = {}
    for row in found:
        at = int(datetime.fromisoformat(row["datetime"]).timestamp()) * S
        key = (at, row["instrument_id"])
        assert key not in seen, "a group is there twice"
        seen[key] = {name: row[name] for name in ("n", "high", "low", "first", "last", "total")}
    assert seen == expected


@pytest.mark.slow
def test_it_equals_all_rows_at_once_whatever_comes_late(tmp_path: Path) -> None:
    rng = random.Random(7)
    sent: list[dict[str, Any]] = []

    async def story() -> None:
        for round_number in range(4):
            async with world(tmp_path, segment_bytes=1 << 16) as w:
                made = w.store._open.aggregates  # type: ignore[union-attr]
                if not round_number:
                    await w.store.ingest.derive("five", FIVE)
                for step in range(6):
                    at = OPENING + (round_number * 6 + step) * 3 * MINUTE
                    batch = [
                        tick(
                            rng.choice((AU, RB)),
                            at + n * S,
                            last_price=rng.randrange(90, 110) * 1.0,
                            volume=n,
                        )
                        for n in range(60)
                    ]
                    if step == 3:  # rows of half an hour ago
                        late = OPENING - 30 * MINUTE + (round_number * 60 + rng.randrange(60)) * S
                        batch.append(tick(AU, late, last_price=1.0 + round_number, volume=9))
                    sent.extend(batch)
                    shown = [{k: v for k, v in one.items() if k != "source"} for one in batch]
                    await w.store.ingest.ingest("futures_market", shown, {}, create=True)
                    if rng.random() < 0.4:
                        await w.store.compact()
                    if rng.random() < 0.6:
                        await made.refresh("five")
                        check(await rows(w, "five"), naive(sent, 300 * S))
            # what came last is not made yet, and is made after the start
        async with world(tmp_path, segment_bytes=1 << 16) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            await made.refresh("five")
            check(await rows(w, "five"), naive(sent, 300 * S))
            assert await made.refresh("five") == 0, "nothing came: nothing is made"
            (one,) = await rows(w, "five", filter="instrument = au2102", limit=1)
            assert one["instrument_id"] == AU and one["day"] == "2021-01-04"
        # the manifest can go: the rows are made again
        (tmp_path / "tables" / "manifest.json").unlink()
        async with world(tmp_path, segment_bytes=1 << 16) as w:
            await w.store._open.aggregates.refresh("five")  # type: ignore[union-attr]
            check(await rows(w, "five"), naive(sent, 300 * S))

    run(story())


def test_only_what_changed_is_made_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            await w.store.ingest.derive("five", FIVE)
            w.publish(tick(AU, OPENING + n * MINUTE, volume=n) for n in range(100))
            assert await made.refresh("five") == 20
            w.publish([tick(AU, OPENING + 100 * MINUTE, volume=1)])
            assert await made.refresh("five") == 1
            w.publish([tick(AU, OPENING + 2 * MINUTE + S, volume=1)])  # late
            assert await made.refresh("five") == 1
            await w.store.compact()
            assert await made.refresh("five") == 0

    run(story())


def test_bars_of_any_period_and_of_days(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            await w.store.ingest.derive("bar_15m", Derived(source="bar_1m", period_s=900, bars=True))
            await w.store.ingest.derive("bar_10s", Derived(source="market_data", period_s=10, bars=True))
            total = 0
            for part in range(5):
                ticks = []
                for n in range(part * 400, part * 400 + 400):
                    total += n % 7
                    ticks.append(tick(AU, OPENING + n * 3 * S, last_price=100.0 + n % 13, volume=total))
                w.publish(ticks)
                if part == 2:
                    await w.store.compact()
                for name, period, source in (
                    ("bar_15m", "15m", "bar_1m"),
                    ("bar_10s", "10s", "market_data"),
                    ("bar_1d", "1d", "bar_1m"),
                ):
                    await made.refresh(name)
                    asked = await w.answer(
                        source, start_time="2021-01-01", end_time="2021-02-01",
                        verb=Verb(name="sample_by", period=period),
                    )  # fmt: skip
                    assert await rows(w, name) == json.loads(asked), (name, part)
            (day,) = await rows(w, "bar_1d")
            assert day["volume"] == total and day["high"] == 112.0 and day["trading_date"] == "2021-01-04"
            # bars that were stored as such are days too
            bar = {
                "datetime": "2020-12-30T09:01:00+08:00", "instrument_id": AU, "trading_date": "2020-12-30",
                "open": 1, "high": 3, "low": 1, "close": 2, "volume": 5, "amount": 9,
                "open_oi": 1, "close_oi": 2,
            }  # fmt: skip
            await w.store.ingest.ingest("bar_1m", [bar], {}, create=True)
            await made.refresh("bar_1d")
            assert [row["volume"] for row in await rows(w, "bar_1d")] == [5, total]
            sql = SqlRequest(sql="SELECT count(*) AS n FROM bar_1d", start_time=0, end_time="2021-01-05")
            result = await w.store.query.run(sql)
            assert json.loads(result.chunks) == [{"n": 2}]  # type: ignore[arg-type]

    run(story())


def test_a_users_stream_is_a_source_too(tmp_path: Path) -> None:
    derived = Derived(
        source="app", period_s=3_600, by=("host",), values={"n": ("count", "*"), "most": ("max", "v")}
    )

    async def story() -> None:
        async with world(tmp_path) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            tables = w.store._open.tables  # type: ignore[union-attr]
            fields = (("v", "float64"), ("host", "utf8"))
            await w.store.ingest.create("app", StreamOptions(time_partition="at", fields=fields))
            await w.store.ingest.derive("hourly", derived)

            async def put(hour: int, host: str, v: float) -> None:
                event = {"at": f"2026-01-02T{hour:02d}:30:00+08:00", "host": host, "v": v}
                await w.store.ingest.ingest("app", [event], {}, create=False)

            await put(1, "a", 1)
            await put(2, "a", 2)
            await put(2, "b", 3)
            assert await made.refresh("hourly") == 3
            await tables.file_away()
            await put(1, "a", 9)  # late
            assert await made.refresh("hourly") == 1 + 0
            got = [(row["host"], row["n"], row["most"]) for row in await rows(w, "hourly")]
            assert got[0] == ("a", 2, 9) and sorted(got[1:]) == [("a", 1, 2), ("b", 1, 3)]
            # made anew, the source has none of its old rows, and neither has the aggregate
            await w.store.ingest.drop("app")
            with pytest.raises(NotFoundError):
                await made.refresh("hourly")
            await w.store.ingest.create("app", StreamOptions(time_partition="at", fields=fields))
            await put(5, "z", 4)
            await made.refresh("hourly")
            assert [(row["host"], row["most"]) for row in await rows(w, "hourly")] == [("z", 4)]
            await w.store.ingest.drop("hourly")
            with pytest.raises(NotFoundError):
                await rows(w, "hourly")

    run(story())


@pytest.mark.parametrize(
    ("derived", "words"),
    [
        (Derived(source="futures_market", period_s=60, values={"x": ("max", "nope")}), "nope"),
        (Derived(source="futures_market", period_s=60, values={"x": ("evil", "volume")}), "evil"),
        (Derived(source="futures_market", period_s=60, values={"x": ("sum", "source")}), "is for numbers"),
        (Derived(source="futures_market", period_s=60, values={"x": ("sum", "*")}), "is for count"),
        (Derived(source="futures_market", period_s=60, values={"datetime": ("count", "*")}), "twice"),
        (Derived(source="futures_market", period_s=60, values={'a" FROM x': ("count", "*")}), "cannot name"),
        (Derived(source="futures_market", period_s=60, by=("nope",), values={"n": ("count", "*")}), "nope"),
        (Derived(source="market_data", period_s=60, values={"n": ("count", "*")}, filter="1; X"), "filter"),
        (Derived(source="bar_1d", period_s=60, values={"n": ("count", "*")}), "made of another"),
        (Derived(source="futures_market", period_s=60, values={}), "values"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(tmp_path: Path, derived: Derived, words: str) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            with pytest.raises(InputError, match=words):
                await w.store.ingest.derive("x", derived)
            assert "x" not in w.store.ingest.names()
            for name in ("futures_market", "bar_1d"):
                with pytest.raises(InputError) as refused:
                    await w.store.ingest.derive(name, FIVE)
                assert refused.value.status == 409
            with pytest.raises(InputError):
                await w.store.ingest.ingest("bar_1d", [{"a": 1}], {}, create=True)
            with pytest.raises(InputError):
                await w.store.ingest.drop("bar_1d")

    run(story())


MINUTES = Derived(source="app", period_s=60, values={"n": ("count", "*")})
FIELDS = (("v", "float64"),)


async def event(w: World, minute: int, stream: str = "app") -> None:
    row = {"at": f"2026-01-02T{minute // 60:02d}:{minute % 60:02d}:30+08:00", "v": minute}
    await w.store.ingest.ingest(stream, [row], {}, create=False)


async def settled(w: World) -> None:
    """As if every question that was under way had ended: what went is deleted."""
    store = w.store._open.tables  # type: ignore[union-attr]
    store._stale = [(0.0, path) for _, path in store._stale]
    await store._sweep()


def test_small_files_of_an_aggregate_are_merged_again_and_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            tables = w.store._open.tables  # type: ignore[union-attr]
            await w.store.ingest.create("app", StreamOptions(time_partition="at", fields=FIELDS))
            await w.store.ingest.derive("minutes", MINUTES)
            for minute in range(40):
                await event(w, minute)
                await made.refresh("minutes")
                await tables.merge_small()
                await settled(w)
                assert [row["n"] for row in await rows(w, "minutes")] == [1] * (minute + 1)
            assert len(tables.catalogue.state.files) < 9
        async with world(tmp_path) as w:
            assert len(await rows(w, "minutes")) == 40

    run(story())


def test_one_made_anew_under_an_old_name_has_all_its_rows(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            await w.store.ingest.create("app", StreamOptions(time_partition="at", fields=FIELDS))
            await event(w, 1)
            await event(w, 2)
            for _ in range(3):
                await w.store.ingest.derive("minutes", MINUTES)
                await made.refresh("minutes")
                assert [row["n"] for row in await rows(w, "minutes")] == [1, 1]
                await w.store.ingest.drop("minutes")
            await w.store.ingest.derive("minutes", MINUTES)
            await made.refresh("minutes")
            await settled(w)
            assert [row["n"] for row in await rows(w, "minutes")] == [1, 1]

    run(story())


def test_a_refresh_of_a_deleted_one_says_nothing_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is deleted, and another of the name made, while rows of the first are being made."""

    async def story() -> None:
        async with world(tmp_path) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            await w.store.ingest.create("app", StreamOptions(time_partition="at", fields=FIELDS))
            await event(w, 1)
            await w.store.ingest.derive("minutes", MINUTES)
            statement = made._made

            async def slow(*asked: Any) -> Any:
                found = await statement(*asked)
                await w.store.ingest.drop("minutes")
                values = {"most": ("max", "v")}
                await w.store.ingest.derive("minutes", Derived(source="app", period_s=60, values=values))
                return found

            with monkeypatch.context() as patch:
                patch.setattr(made, "_made", slow)
                with pytest.raises(NotFoundError, match="deleted meanwhile"):
                    await made.refresh("minutes")
            assert await rows(w, "minutes") == []
            assert await made.refresh("minutes") == 1
            assert [row["most"] for row in await rows(w, "minutes")] == [1]

    run(story())


def test_progress_of_another_of_the_name_is_not_believed(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            tables = w.store._open.tables  # type: ignore[union-attr]
            await w.store.ingest.create("app", StreamOptions(time_partition="at", fields=FIELDS))
            await event(w, 1)
            await w.store.ingest.derive("minutes", MINUTES)
            await made.refresh("minutes")
            # a manifest as a deletion that was cut short leaves it beside the next one's definition
            definition = tables.book.get("minutes")
            tables.book.put(msgspec.structs.replace(definition, created_us=definition.created_us + 1))
            await event(w, 2)
            assert await made.refresh("minutes") == 2
            assert [row["n"] for row in await rows(w, "minutes")] == [1, 1]

    run(story())


def test_bars_that_come_after_others_were_retired_are_news(tmp_path: Path) -> None:
    def bar(day: str) -> dict[str, Any]:
        return {
            "datetime": f"{day}T09:01:00+08:00", "instrument_id": AU, "trading_date": day, "open": 1,
            "high": 3, "low": 1, "close": 2, "volume": 5, "amount": 9, "open_oi": 1, "close_oi": 2,
        }  # fmt: skip

    async def story() -> None:
        async with world(tmp_path, retention_days=10) as w:
            made = w.store._open.aggregates  # type: ignore[union-attr]
            w.store._open.keeper._next_s = float("inf")  # type: ignore[union-attr]
            await w.store.ingest.ingest("bar_1m", [bar("2020-12-30")], {}, create=True)
            await w.store.ingest.ingest("bar_1m", [bar("2020-12-01")], {}, create=True)
            await made.refresh("bar_1d")
            await w.store.retire()
            await w.store.ingest.ingest("bar_1m", [bar("2020-12-31")], {}, create=True)
            await made.refresh("bar_1d")
            days = [row["trading_date"] for row in await rows(w, "bar_1d")]
            assert days[-2:] == ["2020-12-30", "2020-12-31"]

    run(story())


@pytest.mark.parametrize("source", ["app", "futures_market"])
def test_what_retention_took_stays_when_a_row_of_those_days_comes_late(tmp_path: Path, source: str) -> None:
    now_ns = (wall_ns() if source == "app" else OPENING) // (3_600 * S) * 3_600 * S
    day = 86_400 * S

    async def send(w: World, *moments: int) -> None:
        made = [tick(AU, moment, last_price=5.0) for moment in moments]
        if source == "app":
            made = [
                {"at": datetime.fromtimestamp(one["datetime"] / S, UTC).isoformat(), "n": 1} for one in made
            ]
        else:
            made = [{key: value for key, value in one.items() if key != "source"} for one in made]
        await w.store.ingest.ingest(source, made, {}, create=True)

    async def story() -> None:
        async with world(tmp_path) as w:
            opened = w.store._open
            assert opened is not None
            if source == "app":
                await w.store.ingest.create(source, StreamOptions(time_partition="at"))
                await send(w, now_ns)
            derived = Derived(source=source, period_s=3_600, values={"n": ("count", "*")})
            old = now_ns - 42 * day
            await send(w, *(old + n * 20 * MINUTE for n in range(9)), now_ns)
            await w.store.ingest.derive("hours", derived)
            await w.store.ingest.retain("hours", 36_000)
            await w.store.ingest.refresh("hours")
            await opened.tables.file_away()
            await w.store.compact()
        async with world(tmp_path, retention_days=30) as w:
            opened = w.store._open
            assert opened is not None
            before = await rows(w, "hours")
            await opened.tables._retire()
            opened.keeper._next_s = 0.0
            await opened.keeper.step(lambda work: w.store._work(opened, work))
            assert len(await rows(w, source)) <= 2
            await send(w, old + 30 * MINUTE, old + 100 * MINUTE, now_ns + S)
            await w.store.ingest.refresh("hours")
            after = await rows(w, "hours")
            assert len(before) > 3 and after[:-1] == before[:-1]
            assert after[-1]["n"] == before[-1]["n"] + 1
            await w.store.compact()
        async with world(tmp_path, retention_days=36_000) as w:  # what went does not come back with it
            await send(w, old + 31 * MINUTE, now_ns + 2 * S)
            await w.store.ingest.refresh("hours")
            later = await rows(w, "hours")
            assert later[:-1] == before[:-1] and later[-1]["n"] == before[-1]["n"] + 2
            await w.store.ingest.derive("anew", derived)  # made of what there is
            await w.store.ingest.retain("anew", 36_000)
            await w.store.ingest.refresh("anew")
            assert [row["n"] for row in await rows(w, "anew")][:1] == [2]

    run(story())
