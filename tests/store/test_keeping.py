"""Files after they are written: merged, deleted when old, bars of finished days; questions go on."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import LimitError
from qautlra.model.query import SqlRequest
from qautlra.model.streams import Derived
from qautlra.store import keeping
from tests.store.world import MINUTE, OPENING, S, World, run, tick, world

AU, IF, DAY = "SHFE.au2102", "CFFEX.IF2101", 86_400 * S
STEP = keeping.Keeper.step


@pytest.fixture(autouse=True)
def only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's own turns do nothing: on a slow machine they would come in between."""

    async def nothing(_keeper: object, _work: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(keeping.Keeper, "step", nothing)


async def step(w: World) -> None:
    opened = w.store._open
    assert opened is not None
    async with w.store._state_change:
        opened.keeper._next_s = 0.0
        await STEP(opened.keeper, lambda work: w.store._work(opened, work))


async def small_files(w: World, count: int) -> None:
    for n in range(count):
        w.publish(tick(symbol, OPENING + n * S, volume=n + 1) for symbol in (AU, IF))
        await w.store.compact()


def test_small_files_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LINGER_S", 0.0)

    async def story() -> None:
        async with world(tmp_path) as w:
            await small_files(w, 7)
            await step(w)
            assert w.store.health()["files"] == 7
            await small_files(w, 12)  # some rows again: dropped
            before = await w.query()
            sql = SqlRequest(sql="SELECT count(*) AS n FROM futures_market", start_time=0, end_time="now")
            merging = asyncio.ensure_future(step(w))
            while not merging.done():
                assert (await w.store.query.run(sql)).chunks == b'[{"n":24}]'
                assert await w.query() == before
            await merging
            assert w.store.health()["files"] == 1
            await step(w)
            assert len(list(tmp_path.glob("stream=*/date=*/*.parquet"))) == 1
            assert await w.query() == before
        async with world(tmp_path) as w:
            assert await w.query() == before
        (tmp_path / "manifest.json").unlink()
        async with world(tmp_path) as w:
            assert await w.query() == before

    run(story())


def test_a_crash_between_merging_and_deleting_doubles_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await small_files(w, 9)
            before = await w.query()
            await step(w)
            assert len(list(tmp_path.glob("stream=*/date=*/*.parquet"))) == 10
        (tmp_path / "manifest.json").unlink()  # the worst: nothing says which of them count
        async with world(tmp_path) as w:
            assert await w.query() == before
            assert len(list(tmp_path.glob("stream=*/date=*/*.parquet"))) == 1

    run(story())


def test_only_neighbours_are_merged() -> None:
    def file(first: int, size: int = 1, **more: Any) -> keeping.DataFile:
        words = {
            "rows": 1,
            "stream": "s",
            "day": date(2021, 1, 4),
            "path": f"p/{first}-{first}.parquet",
        } | more
        return keeping.DataFile(
            bytes=size, first_us=0, last_us=0, instruments=1, first_symbol="", last_symbol="",
            first_lsn=first, last_lsn=first, **words,
        )  # fmt: skip

    small = [file(n) for n in range(1, 9)]
    assert [len(run) for run in keeping.mergeable(keeping.State(files=tuple(small)))] == [8]
    big = file(5, keeping.MERGE_BYTES)
    apart = [*small[:4], big, *(file(n) for n in range(6, 12))]
    assert keeping.mergeable(keeping.State(files=tuple(apart))) == []
    other = [file(n, path=f"p/{n}-{n}-1.parquet") for n in range(20, 24)]
    assert keeping.mergeable(keeping.State(files=(*small[:7], *other))) == []
    pair = keeping.State(files=(file(1), file(2)), watermark_lsn=2)
    assert keeping.mergeable(pair) == []
    assert keeping.mergeable(pair, date(2021, 1, 4)) == []
    assert [len(run) for run in keeping.mergeable(pair, date(2021, 1, 5))] == [2]
    assert keeping.mergeable(pair, date(2021, 1, 5), is_quiet=False) == []
    later = keeping.State(files=pair.files, watermark_lsn=3)
    assert [len(run) for run in keeping.mergeable(later, date(2021, 1, 5), is_quiet=False)] == [2]
    many = [file(n, rows=keeping.MERGE_ROWS // 10) for n in range(1, 30)]
    assert [len(run) for run in keeping.mergeable(keeping.State(files=tuple(many)))] == [10, 10, 9]


def test_old_days_go_but_never_the_newest(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, retention_days=2) as w:
            for day in (0, 1, 2, 7):
                w.publish([tick(AU, OPENING + day * DAY)])
                await w.store.compact()
            w.clock.advance_to(OPENING + 8 * DAY)
            await step(w)
            assert [row["trading_date"] for row in await w.query()] == ["2021-01-11"]
            w.publish([tick(AU, OPENING + 8 * DAY)])
            await w.store.compact()
            w.clock.advance_to(OPENING + 300 * DAY)  # so says a clock that is wrong
            await step(w)
            assert len(await w.query(start_time="2021-01-01")) == 2

    run(story())


def test_the_last_day_that_is_kept_stays(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, retention_days=2) as w:
            for day in range(4):
                w.publish([tick(AU, OPENING + day * DAY)])
                await w.store.compact()
            w.clock.advance_to(OPENING + 3 * DAY)
            await step(w)
            kept = [row["trading_date"] for row in await w.query(start_time="2021-01-01")]
            assert sorted(kept) == ["2021-01-05", "2021-01-06", "2021-01-07"]

    run(story())


def test_bars_of_finished_days_are_stored_and_made_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(tick(AU, OPENING + n * 10 * S, volume=n + 1, open_interest=1) for n in range(60))
            w.publish([tick(AU, OPENING + DAY, volume=3, open_interest=1)])
            await w.store.compact()
            w.clock.advance_to(OPENING + DAY)
            folded = await w.query("bar_1m")
            assert len(folded) == 11
            await step(w)
            assert w.store._open is not None
            state = w.store._open.catalogue.state
            assert state.bar_days == (date(2021, 1, 4),)
            assert sum(file.rows for file in state.files if file.stream == "bar_1m") == 10
            assert await w.query("bar_1m") == folded
            # rows of another instrument for that day: its bars come to those stored
            w.publish(tick(IF, OPENING + n * MINUTE, volume=n + 1) for n in range(3))
            await w.store.compact()
            assert w.store._open.catalogue.state.bar_days == ()
            assert len(await w.query("bar_1m")) == 14
            await step(w)
            assert w.store._open.catalogue.state.bar_days == (date(2021, 1, 4),)
            assert len(await w.query("bar_1m")) == 14
            # and a late row of a minute that has a bar: that bar is made again
            late = tick(AU, OPENING + 65 * S, last_price=999.0, volume=7, open_interest=1)
            await w.store.import_rows(w.rows([late]))
            await w.store.compact()
            for _ in range(2):
                bars = await w.query("bar_1m", filter="instrument=au2102")
                assert bars[1]["high"] == 999.0 and len(bars) == 11
                await step(w)

    run(story())


def test_late_rows_are_in_the_bars_before_they_are_in_files(tmp_path: Path) -> None:
    """Bars of a finished day are stored; a row of it that comes later counts at once, in what is made too."""

    async def sql_bars(w: World) -> list[dict[str, Any]]:
        sql = SqlRequest(sql="SELECT * FROM bar_1m", start_time=0, end_time="2022-01-01")
        answer = await w.store.query.run(sql)
        assert isinstance(answer.chunks, bytes)
        found = json.loads(answer.chunks)
        return sorted(found, key=lambda row: (row["datetime"], row["instrument_id"]))

    async def story() -> None:
        async with world(tmp_path) as w:
            await w.store.ingest.derive("half", Derived(source="bar_1m", period_s=1800, bars=True))
            w.publish(tick(AU, OPENING + n * 10 * S, volume=n + 1, amount=1.0 * n) for n in range(60))
            w.publish([tick(AU, OPENING + DAY, volume=3, amount=3.0)])
            await w.store.compact()
            w.clock.advance_to(OPENING + DAY)
            await step(w)
            await w.store.ingest.refresh("half")
            assert w.store._open is not None
            assert w.store._open.catalogue.state.bar_days == (date(2021, 1, 4),)
            w.publish([tick(IF, OPENING + DAY + S, volume=1, amount=1.0)])  # of another day
            late = [tick(AU, OPENING + 65 * S, last_price=999.0, volume=7, amount=7.0)]
            late += [tick(IF, OPENING + n * MINUTE, volume=n + 1, amount=1.0 * n) for n in range(3)]
            await w.store.import_rows(w.rows(late))
            for is_filed in (False, True):
                bars = await w.query("bar_1m", end_time="2022-01-01")
                assert len(bars) == 15 and bars[3]["high"] == 999.0, is_filed
                assert await sql_bars(w) == bars
                await w.store.ingest.refresh("half")
                made = await w.query("half", start_time=0, end_time="2022-01-01")
                assert [row["high"] for row in made] == [100.0, 999.0, 100.0, 100.0], is_filed
                await w.store.compact()
                await step(w)

    run(story())


def test_a_manifest_made_again_knows_bars_that_were_made_of_rows(tmp_path: Path) -> None:
    """They are left out and made again: some were made before rows of their day, which come later still."""

    async def story() -> None:
        late = [tick(AU, OPENING + 65 * S, last_price=999.0, volume=7)]
        async with world(tmp_path) as w:
            w.publish(tick(AU, OPENING + n * 10 * S, volume=n + 1) for n in range(60))
            w.publish([tick(AU, OPENING + DAY, volume=3)])
            await w.store.compact()
            w.clock.advance_to(OPENING + DAY)
            await step(w)
            await w.store.import_rows(w.rows(late))
            await w.store.compact()
            await step(w)
            bars = await w.query("bar_1m", end_time="2022-01-01")
            assert len(bars) == 11 and bars[1]["high"] == 999.0
            assert len(list(tmp_path.glob("stream=bar_1m/date=*/*.parquet"))) == 2, "one for questions before"
        (tmp_path / "manifest.json").unlink()
        async with world(tmp_path, OPENING + DAY) as w:
            assert await w.query("bar_1m", end_time="2022-01-01") == bars
            await step(w)
            assert await w.query("bar_1m", end_time="2022-01-01") == bars
            assert w.store._open is not None
            assert w.store._open.catalogue.state.bar_days == (date(2021, 1, 4),)
            later = tick(AU, OPENING + 125 * S, last_price=1_000.0, volume=13)
            await w.store.import_rows(w.rows([later]))
            assert (await w.query("bar_1m", end_time="2022-01-01"))[2]["high"] == 1_000.0

    run(story())


def test_waiting_statements_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qautlra.store.sqlproc.QUERY_QUEUE_COUNT", 0)

    async def story() -> None:
        async with world(tmp_path, query_timeout_s=5.0) as w:
            endless = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)"
            asked = [
                asyncio.ensure_future(
                    w.store.query.run(SqlRequest(sql=endless, start_time=0, end_time="now"))
                )
                for _ in range(3)
            ]
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=4)
            with pytest.raises(LimitError, match="waiting already"):
                await done.pop()
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)

    run(story())
