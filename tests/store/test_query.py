"""What a query means: ranges, order, limits, columns, forms, refusals; from hot tier and files alike."""

import asyncio
import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qautlra.base.errors import InputError, LimitError, NotFoundError, UnavailableError
from qautlra.model.query import CountsRequest, QueryFormat, QueryRequest, Verb
from qautlra.store.answer import QueryResult
from qautlra.store.history import StoreHistory
from qautlra.store.opened import Opened
from qautlra.store.service import QueryDoor
from tests.store.world import NOW, OPENING, S, World, run, tick, world

AU, RB, STOCK = "SHFE.au2102", "SHFE.rb2105", "SSE.600000"


def ten_each(w: World) -> None:
    w.publish(
        tick(symbol, OPENING + n * S, last_price=100.0 + n, volume=n)
        for n in range(10)
        for symbol in (AU, RB, STOCK)
    )


PLACES = pytest.mark.parametrize("place", ["hot", "files", "both"])


async def settle(w: World, place: str) -> None:
    """Have the rows where the test wants them."""
    if place == "hot":
        ten_each(w)
        return
    ten_each(w)
    await w.store.compact()
    if place == "files":
        assert w.store._open is not None
        w.store._open.hot.evict_through(2**62)
    w.publish([tick(AU, OPENING + 100 * S, last_price=1.0)] if place == "both" else [])


@PLACES
def test_ranges_are_half_open_and_ordered(tmp_path: Path, place: str) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await settle(w, place)
            start, stop = (OPENING + 3 * S) // S, (OPENING + 6 * S) // S
            rows = await w.query(start_time=start, end_time=stop)
            assert [(r["datetime"][17:19], r["instrument_id"]) for r in rows] == [
                (second, symbol) for second in ("03", "04", "05") for symbol in (AU, RB)
            ]
            back = await w.query(start_time=start, end_time=stop, descending=True)
            assert back == rows[::-1]
            assert await w.query(start_time=start, end_time=stop, limit=3) == rows[:3]
            assert await w.query(start_time=start, end_time=stop, limit=3, descending=True) == back[:3]
            assert await w.query(start_time=start, end_time=start) == []
            assert await w.query(start_time=start, end_time=stop, limit=0) == []

    run(story())


@PLACES
def test_streams_filters_and_columns(tmp_path: Path, place: str) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await settle(w, place)
            end = OPENING // S + 50
            assert len(await w.query(end_time=end)) == 20
            assert {r["instrument_id"] for r in await w.query("stock_market", end_time=end)} == {STOCK}
            assert len(await w.query("market_data", end_time=end)) == 30
            mine = await w.query(end_time=end, filter="instrument=au2102")
            assert [r["last_price"] for r in mine] == [100.0 + n for n in range(10)]
            some = "instrument='au2102' and last_price > 104.5 and volume <> 7"
            assert [r["volume"] for r in await w.query(end_time=end, filter=some)] == [5, 6, 8, 9]
            assert await w.query("stock_market", end_time=end, filter="instrument=au2102") == []
            assert await w.query(end_time=end, filter="instrument='no such'") == []
            assert await w.query(end_time=end, filter="trading_date = 2021-01-05") == []
            assert len(await w.query(end_time=end, filter="trading_date = 2021-01-04")) == 20
            late = "datetime >= '2021-01-04 09:30:08' and instrument in (rb2105, au2102)"
            assert len(await w.query(end_time=end, filter=late)) == 4
            for text, seconds in (
                ("datetime <= '2021-01-04 09:30:03'", [0, 1, 2, 3]),
                ("datetime = '2021-01-04 09:30:03'", [3]),
                ("datetime between '2021-01-04 09:30:02' and '2021-01-04 09:30:04'", [2, 3, 4]),
            ):
                found = await w.query(end_time=end, filter=f"{text} and instrument = au2102")
                assert [r["volume"] for r in found] == seconds, text
            rows = await w.query(end_time=end, columns=("volume", "instrument"), filter="volume = 3")
            assert rows == [{"volume": 3, "instrument_id": AU}, {"volume": 3, "instrument_id": RB}]
            one = (await w.query(end_time=end, limit=1))[0]
            assert list(one)[:3] == ["datetime", "instrument_id", "trading_date"]
            assert (one["datetime"], one["trading_date"]) == ("2021-01-04T01:30:00.000000Z", "2021-01-04")
            assert list(one)[-3:] == ["source", "seq", "recv_time"]
            assert one["close"] is None

    run(story())


def test_now_is_the_market_clocks(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, now_ns=OPENING + 5 * S) as w:
            ten_each(w)
            rows = await w.query(start_time="2s-ago", end_time="now", filter="instrument=au2102")
            assert [r["volume"] for r in rows] == [3, 4, 5]  # the last is stamped with now
            w.clock.advance_to(NOW)
            result = await w.store.query.run(QueryRequest(stream="futures_market"))
            assert (json.loads(result.chunks), result.clock) == ([], "test")  # type: ignore[arg-type]

    run(story())


@PLACES
def test_every_form_says_the_same(tmp_path: Path, place: str) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await settle(w, place)
            rows = await w.query(end_time=NOW)
            fields = json.loads(await w.answer(end_time=NOW, format=QueryFormat.RECORDS))
            assert fields["records"] == rows
            assert fields["fields"][:2] == ["datetime", "instrument_id"]
            lines = (await w.answer(end_time=NOW, format=QueryFormat.NDJSON)).splitlines()
            assert [json.loads(line) for line in lines] == rows
            text = (await w.answer(end_time=NOW, format=QueryFormat.CSV)).decode()
            table = list(csv.DictReader(io.StringIO(text)))
            assert [(r["datetime"], r["instrument_id"], float(r["last_price"])) for r in table] == [
                (r["datetime"], r["instrument_id"], r["last_price"]) for r in rows
            ]
            assert table[0]["close"] == ""
            stream = await w.answer(end_time=NOW, format=QueryFormat.ARROW)
            arrow = pa.ipc.open_stream(stream).read_all()
            assert arrow.column("last_price").to_pylist() == [r["last_price"] for r in rows]
            assert arrow.schema.field("datetime").type == pa.timestamp("us", "UTC")
            # and with nothing in it
            for form in QueryFormat:
                empty = await w.answer(end_time=1, format=form)
                expected = {
                    QueryFormat.ARRAY: b"[]",
                    QueryFormat.RECORDS: json.dumps({"fields": fields["fields"], "records": []}).encode(),
                    QueryFormat.NDJSON: b"",
                    QueryFormat.CSV: text.splitlines()[0].encode() + b"\n",
                }
                if form in expected:
                    assert empty.replace(b" ", b"") == expected[form].replace(b" ", b"")
                elif form is QueryFormat.PARQUET:
                    assert pq.read_table(io.BytesIO(empty)).num_rows == 0
                else:
                    assert pa.ipc.open_stream(empty).read_all().num_rows == 0

    run(story())


@PLACES
def test_any_order_is_the_same_rows(tmp_path: Path, place: str) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await settle(w, place)
            if place == "both":  # a copy of a filed row: once in the answer, as in every other
                assert w.store._open is not None
                w.store._open.hot.evict_through(2**62)
                w.publish([tick(AU, OPENING + 3 * S, last_price=103.0, volume=3)])

            async def rows(**asked: object) -> list[str]:
                lines = (await w.answer(end_time=NOW, format=QueryFormat.NDJSON, **asked)).splitlines()
                return [line.decode() for line in lines]

            for asked in (
                {},
                {"filter": "instrument='au2102'"},
                {"filter": "last_price > 104 AND volume < 9"},
                {"start_time": (OPENING + 3 * S) // S},
                {"columns": ("last_price", "seq")},
            ):
                wanted = await rows(**asked)
                assert wanted
                assert sorted(await rows(unordered=True, **asked)) == sorted(wanted)
                some = await rows(unordered=True, limit=4, **asked)
                assert len(some) == 4 and set(some) <= set(wanted)
            assert await rows(unordered=True, start_time=0, limit=0) == []
            arrow = await w.answer(end_time=NOW, format=QueryFormat.ARROW, unordered=True)
            assert pa.ipc.open_stream(arrow).read_all().num_rows == len(await rows())

    run(story())


@PLACES
def test_an_instruments_rows_from_files_take_no_thread(tmp_path: Path, place: str) -> None:
    """Where files have all there is, and were read before (by the first question here)."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await settle(w, place)
            asked = QueryRequest(
                stream="futures_market",
                start_time=0,
                end_time=NOW,
                limit=100,
                filter=f"instrument='{AU}'",
                format=QueryFormat.ARROW,
            )
            wanted = [row["last_price"] for row in await w.query(end_time=NOW, filter=f"instrument='{AU}'")]
            assert len(wanted) == (11 if place == "both" else 10)
            found = w.store.query.begin(asked)
            assert isinstance(found, QueryResult) == (place == "files")
            answer = found if isinstance(found, QueryResult) else await found
            assert isinstance(answer.chunks, bytes)
            table = pa.ipc.open_stream(answer.chunks).read_all()
            assert table.column("last_price").to_pylist() == wanted
            assert answer.rows == len(wanted)

    run(story())


def test_the_cap_is_told_and_streams_have_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, query_rows=7) as w:
            ten_each(w)
            query = w.store.query
            asked = QueryRequest(stream="futures_market", start_time=0, end_time="now")
            result = await query.run(asked)
            assert (result.rows, result.truncated) == (7, True)
            own = await query.run(QueryRequest(stream="futures_market", start_time=0, limit=5))
            assert (own.rows, own.truncated) == (5, False)
            lines = await w.answer(end_time="now", format=QueryFormat.NDJSON)
            assert len(lines.splitlines()) == 20

    run(story())


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"stream": "nosuch"}, NotFoundError, "there are futures_market"),
        ({"stream": "../etc"}, InputError, "not a stream name"),
        ({"stream": "futures_market", "columns": ("datetime", "nosuch")}, InputError, "there are datetime"),
        ({"stream": "futures_market", "filter": "nosuch=1"}, InputError, "there are datetime"),
        ({"stream": "bar_1m", "filter": "last_price=1"}, InputError, "there are datetime, instrument_id"),
        ({"stream": "futures_market", "start_time": "soon"}, InputError, "cannot read 'soon'"),
        ({"stream": "futures_market", "start_time": "now", "end_time": "1h-ago"}, InputError, "lies after"),
    ],
)
def test_refusals(tmp_path: Path, asked: dict[str, object], error: type[InputError], words: str) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            for form in (QueryFormat.ARRAY, QueryFormat.NDJSON):
                with pytest.raises(error, match=words):
                    await w.store.query.run(QueryRequest(**asked, format=form))  # type: ignore[arg-type]

    run(story())


def test_what_there_is_names_the_streams_of_users_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await w.store.ingest.ingest("own", [{"n": 1}], {}, create=True)
            for asked in (
                {"stream": "nosuch"},
                {"stream": "bar_1m", "verb": Verb(name="asof", other="nosuch")},
            ):
                with pytest.raises(NotFoundError, match=r"there is no stream 'nosuch'; .*, own$"):
                    await w.store.query.run(QueryRequest(**asked))  # type: ignore[arg-type]
            with pytest.raises(NotFoundError, match=r", own$"):
                await w.store.query.counts(CountsRequest(stream="nosuch", start_time=0, end_time="now"))

    run(story())


def test_before_the_store_runs() -> None:
    with pytest.raises(UnavailableError):
        run(QueryDoor().run(QueryRequest(stream="futures_market")))


def test_a_deadline_and_a_client_that_leaves(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            assert w.store._open is not None
            engine = w.store._open.engine
            endless = "SELECT count(*) FROM range(99999999) a, range(99999999) b WHERE a.range * b.range = 7"
            with pytest.raises(LimitError, match="took longer") as caught:
                await engine.run(endless, [], timeout_s=0.05)
            assert caught.value.status == 504
            left = asyncio.ensure_future(engine.run(endless, [], timeout_s=60))
            await asyncio.sleep(0)
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
            # the thread is free again
            table = await engine.run("SELECT 1 AS one", [], timeout_s=30)
            assert table.column("one").to_pylist() == [1]
            assert engine.interrupted == 2

    run(story())


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/qautlra-test'",
        "ATTACH '/tmp/qautlra-test.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET threads = 8",
        "PRAGMA database_list; ATTACH '/tmp/qautlra-test.db'",
    ],
)
def test_even_sql_of_a_user_could_reach_nothing(tmp_path: Path, statement: str) -> None:
    """No text of a user becomes SQL; should that ever fail, this still stands."""

    async def story() -> None:
        async with world(tmp_path) as w:
            assert w.store._open is not None
            with pytest.raises(Exception, match=r"disabled|locked|extension|does not exist"):
                await w.store._open.engine.run(statement, [], timeout_s=5)

    run(story())
    assert not Path("/tmp/qautlra-test").exists()


def test_a_chart_s_past_is_one_table_wherever_its_rows_lie(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            await settle(w, "files")
            w.publish(tick(AU, OPENING + n * S, last_price=100.0 + n, volume=n) for n in range(100, 110))
            columns, every = ("last_price", "volume"), (OPENING // 1_000, (OPENING + 200 * S) // 1_000)
            for newest, expected in ((None, 20), (20, 20), (15, 15)):
                table = await w.store.history.ticks(AU, columns, *every, newest)
                assert table.column("volume").to_pylist() == [*range(10), *range(100, 110)][-expected:]
                assert table.schema.field("instrument_id").type == pa.string()
            before = await w.store.history.ticks(AU, columns, 0, every[0], 10)
            assert before.num_rows == 0 and before.schema == table.schema

    run(story())


def test_the_past_waits_for_what_the_tape_has_and_the_store_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            assert await w.store.history.caught_up()
            assert w.tape.publish(w.rows([tick(AU, OPENING)])) == 1
            waiting = asyncio.create_task(w.store.history.caught_up())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            w.store.drain()
            assert await waiting
            monkeypatch.setattr("qautlra.store.history.BEHIND_MAX_S", 0.05)
            assert w.tape.publish(w.rows([tick(AU, OPENING + S)])) == 1
            assert not await w.store.history.caught_up()
            monkeypatch.setattr("qautlra.store.history.BEHIND_MAX_S", 3600.0)
            assert w.store._open is not None
            stuck = SimpleNamespace(log=w.store._open.log, journal=SimpleNamespace(error="no room"))
            behind = StoreHistory(lambda: cast(Opened, stuck), w.instruments, 1.0)
            assert w.tape.publish(w.rows([tick(AU, OPENING + 2 * S)])) == 1
            assert not await asyncio.wait_for(behind.caught_up(), 5)

    run(story())
