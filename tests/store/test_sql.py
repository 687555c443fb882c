"""SQL over a store: hot and cold as one table, what is refused, limits, verbs, forms of the answer."""

import asyncio
import csv
import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError, LimitError, QautlraError, StorageError
from qautlra.model.query import CountsRequest, QueryFormat, SqlRequest, Verb
from tests.store.world import CALENDAR, MINUTE, NOW, OPENING, S, World, run, tick, world

AU, IF, STOCK = "SHFE.au2102", "CFFEX.IF2101", "SSE.600000"


def ticks(symbol: str, first: int, count: int, step_ns: int = S, **more: Any) -> Iterator[dict[str, Any]]:
    return (
        tick(symbol, OPENING + n * step_ns, last_price=100.0 + n, volume=n + 1, **more)
        for n in range(first, first + count)
    )


async def sql(w: World, text: str, form: QueryFormat = QueryFormat.ARRAY, **more: Any) -> Any:
    more = {"start_time": 0, "end_time": "now"} | more
    result = await w.store.query.run(SqlRequest(sql=text, format=form, **more))
    chunks = result.chunks
    body = chunks if isinstance(chunks, bytes) else b"".join([chunk async for chunk in chunks])
    return json.loads(body) if form is QueryFormat.ARRAY else body


async def one(w: World, text: str, **more: Any) -> Any:
    (row,) = await sql(w, text, **more)
    (value,) = row.values()
    return value


def test_hot_and_cold_are_one_table_at_any_moment(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            count = "SELECT count(*) FROM market_data"
            assert await one(w, count) == 0
            for step in range(6):
                w.publish(ticks(AU, step * 50, 50))
                w.publish(ticks(STOCK, step * 50, 50))
                assert await one(w, count) == (step + 1) * 100
                if step % 2:
                    compacting = asyncio.ensure_future(w.store.compact())
                    while not compacting.done():
                        assert await one(w, count) == (step + 1) * 100
                    await compacting
            assert await one(w, "SELECT count(*) FROM futures_market") == 300
            assert await one(w, "SELECT count(*) FROM stock_market") == 300
            distinct = "SELECT count(*) FROM (SELECT DISTINCT instrument_id, datetime, seq FROM market_data)"
            assert await one(w, distinct) == 600

    run(story())


def test_rows_are_those_of_the_other_query(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 30))
            await w.store.compact()
            w.publish(ticks(AU, 30, 30))
            plain = await w.query()
            asked = await sql(w, "SELECT * FROM futures_market ORDER BY datetime, instrument_id, seq")
            assert asked == plain
            cut = await sql(
                w, "SELECT seq FROM futures_market", start_time=(OPENING + 10 * S) // 1_000,
                end_time=(OPENING + 40 * S) // 1_000,
            )  # fmt: skip
            assert len(cut) == 30

    run(story())


def test_a_row_logged_twice_is_there_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 20))
            await w.store.compact()
            assert await one(w, "SELECT count(*) FROM futures_market") == 20
            assert w.store._open is not None
            w.store._open.hot.evict_through(2**60)
            # past the tape and past memory: the log takes them, whoever reads it must not
            w.store._open.log.append_rows(w.rows(ticks(AU, 10, 15)))
            w.store._open.log.append_rows(w.rows([tick(AU, OPENING - S)]))
            assert await one(w, "SELECT count(*) FROM futures_market") == 26

    run(story())


HOSTILE = (
    "SELECT 1; SELECT 2",
    "COPY futures_market TO 'x.csv'",
    "ATTACH 'x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "PRAGMA database_list",
    "CREATE TABLE x (i INT)",
    "INSERT INTO futures_market VALUES (1)",
    "DELETE FROM futures_market",
    "DROP VIEW futures_market",
    "CALL pragma_version()",
    "EXPLAIN SELECT 1",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM '/etc/hosts.csv'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_parquet('stream=futures_market/*/*.parquet')",
    "SELECT * FROM parquet_metadata('x')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('futures_market')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM main.futures_market",
    "SELECT * FROM __tail_futures_market",
    "SELECT * FROM latest_on('/etc/passwd')",
    "SELECT * FROM latest_on('fut' || 'ures_market')",
    "SELECT * FROM sqlite_master",
    "SHOW TABLES",
    "DESCRIBE futures_market",
    "SELECT getenv('HOME')",
    "SELECT current_setting('allowed_directories')",
    "SELECT getvariable('x')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT list_transform([1], x -> (SELECT getenv('HOME')))",
    "WITH a AS (SELECT * FROM read_csv('/etc/passwd')) SELECT * FROM a",
    "WITH \"/etc/passwd\" AS (SELECT 1) SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM futures_market WHERE EXISTS (FROM read_text('/etc/passwd'))",
    "SELECT 1 UNION ALL SELECT count(*) FROM glob('/*')",
    "SELECT write_log('x')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "this is no SQL",
    "SELECT \0",
    "",
)  # fmt: skip


def test_hostile_statements_are_refused_and_harm_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 5))
            await w.store.compact()
            before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
            await one(w, "SELECT count(*) FROM futures_market")
            assert w.store._open is not None
            process = w.store._open.sql.pid
            for text in HOSTILE:
                with pytest.raises(InputError) as refused:
                    await sql(w, text)
                assert refused.value.status == 400, text
                assert "passwd" not in str(refused.value) or "passwd" in text
            assert await one(w, "SELECT count(*) FROM futures_market") == 5
            assert w.store._open.sql.pid == process
            assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before

    run(story())


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    wrong = {
        "SELECT nosuch FROM futures_market": "nosuch",
        "SELECT * FROM nosuch": "there are bar_1d, bar_1m, futures_market",
        "SELECT * FROM futures_market WHERE last_price = 'x'": "query: ",
        "SELECT sum(9223372036854775807::BIGINT + 0 * i) FROM range(9) t(i)": "64 bits",
    }

    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 5))
            for text, message in wrong.items():
                with pytest.raises(InputError, match=message):
                    await sql(w, text)

    run(story())


def test_limits_of_time_memory_and_rows(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, query_timeout_s=0.5) as w:
            endless = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)"
            with pytest.raises(LimitError, match=r"longer than 0\.5 s") as late:
                await sql(w, endless)
            assert late.value.status == 504
        async with world(tmp_path, query_memory_bytes=64 << 20, query_rows=10, query_timeout_s=60) as w:
            with pytest.raises(LimitError, match="MiB") as big:
                await sql(w, "SELECT list(i) FROM range(100000000) t(i)")
            assert big.value.status == 413
            result = await w.store.query.run(
                SqlRequest(sql="SELECT * FROM range(50)", start_time=0, end_time="now")
            )
            assert (result.rows, result.truncated) == (10, True)
            body = await sql(w, "SELECT * FROM range(50)", QueryFormat.NDJSON)
            assert body.count(b"\n") == 50
            assert await one(w, "SELECT 1") == 1

    run(story())


def test_a_statement_nobody_waits_for_is_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, query_timeout_s=60.0) as w:
            assert await one(w, "SELECT 1") == 1
            endless = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)"
            task = asyncio.ensure_future(sql(w, endless))
            await asyncio.sleep(0.3)
            assert w.store._open is not None
            door = w.store._open.sql
            assert len(door._process.open) == 1
            process = door.pid
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(3):
                while door._process.open:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert door.pid == process

    run(story())


def test_a_process_that_died_is_started_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            assert await one(w, "SELECT 1") == 1
            assert w.store._open is not None
            door = w.store._open.sql
            task = asyncio.ensure_future(
                sql(w, "SELECT sum(a.i*b.i) FROM range(1000000) a(i), range(1000000) b(i)")
            )
            for starts in (1, 2, 3):  # it is asked again, but not for ever
                while door.starts < starts or door.pid is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.2)
                os.kill(door.pid, signal.SIGKILL)
            with pytest.raises(StorageError, match="ask again"):
                await task
            assert await one(w, "SELECT 1") == 1
            assert door.starts == 4

    run(story())


def test_every_form_has_the_same_rows(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 5))
            text = "SELECT instrument_id, last_price, sum(volume) AS v, NULL AS none FROM futures_market"
            text += " GROUP BY ALL ORDER BY 2"
            rows = await sql(w, text)
            assert rows[1] == {"instrument_id": AU, "last_price": 101.0, "v": 2, "none": None}
            lines = await sql(w, text, QueryFormat.NDJSON)
            assert [json.loads(line) for line in lines.splitlines()] == rows
            arrow = pa.ipc.open_stream(await sql(w, text, QueryFormat.ARROW)).read_all()
            assert arrow.to_pylist() == rows
            parquet = pq.read_table(io.BytesIO(await sql(w, text, QueryFormat.PARQUET)))
            assert parquet.to_pylist() == rows
            table = (await sql(w, text, QueryFormat.CSV)).decode().splitlines()
            assert table[0] == '"instrument_id","last_price","v","none"' and table[2] == f'"{AU}",101,2,'
            records = json.loads(await sql(w, text, QueryFormat.RECORDS))
            assert records == {"fields": ["instrument_id", "last_price", "v", "none"], "records": rows}
            without = await sql(w, text, send_null=False)
            assert without[1] == {"instrument_id": AU, "last_price": 101.0, "v": 2}
            nested = await sql(w, "SELECT [1, 2] AS l, {'a': DATE '2021-01-04'} AS s, INTERVAL 1 DAY AS i")
            assert nested[0]["l"] == [1, 2] and nested[0]["s"] == {"a": "2021-01-04"}
            assert nested[0]["i"] == "P1D"

    run(story())


def test_intervals_are_durations(tmp_path: Path) -> None:
    written = {
        "1 day": "P1D", "0 seconds": "PT0S", "90 minutes": "PT1H30M", "1.5 seconds": "PT1.5S",
        "14 months 3 days 1 microsecond": "P14M3DT0.000001S", "-1 day": "P-1D", "-90 seconds": "PT-1M-30S",
        "1 month -2 days": "P1M-2D",
    }  # fmt: skip
    text = "SELECT " + ", ".join(f"INTERVAL '{one}' AS c{at}" for at, one in enumerate(written))
    text += ", NULL::INTERVAL AS none"
    expected = {f"c{at}": one for at, one in enumerate(written.values())} | {"none": None}

    async def story() -> None:
        async with world(tmp_path) as w:
            assert await sql(w, text) == [expected]
            parquet = pq.read_table(io.BytesIO(await sql(w, text, QueryFormat.PARQUET)))
            assert parquet.to_pylist() == [expected]
            listed = "SELECT [INTERVAL 1 DAY] AS listed"
            assert await sql(w, listed) == [{"listed": ["P1D"]}]
            with pytest.raises(InputError, match="cast it to VARCHAR"):
                await sql(w, listed, QueryFormat.PARQUET)
            line = (await sql(w, text, QueryFormat.CSV)).decode().splitlines()[1]
            assert line.startswith('"P1D","PT0S","PT1H30M"')
            arrow = pa.ipc.open_stream(await sql(w, text, QueryFormat.ARROW)).read_all()
            assert arrow.schema.field("c0").type == pa.month_day_nano_interval()

    run(story())


def test_a_csv_names_its_columns_as_they_are(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            text = await sql(w, 'SELECT 1 AS "a""b,c", 2 AS "x\ny", 3 AS d', QueryFormat.CSV)
            assert list(csv.reader(io.StringIO(text.decode(), newline=""))) == [
                ['a"b,c', "x\ny", "d"],
                ["1", "2", "3"],
            ]

    run(story())


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """A join has two of each; in JSON the second took the first's place, and Parquet could not be read."""

    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 1))
            two = "SELECT a.last_price, b.last_price, [a.seq] AS l FROM market_data a, market_data b"
            for sql_text, names in (
                (two.replace(", [a.seq] AS l", ""), ["last_price", "last_price_1"]),
                (two, ["last_price", "last_price_1", "l"]),
                ("SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a", ["a", "a_2", "a_1", "a_3"]),
            ):
                (row,) = await sql(w, sql_text)
                assert list(row) == names
                assert (await sql(w, sql_text, QueryFormat.CSV)).splitlines()[0] == (
                    ",".join(f'"{name}"' for name in names).encode()
                )
                assert (
                    pq.read_table(io.BytesIO(await sql(w, sql_text, QueryFormat.PARQUET))).column_names
                    == names
                )
                arrow = pa.ipc.open_stream(await sql(w, sql_text, QueryFormat.ARROW)).read_all()
                assert list(arrow.to_pylist()[0].values()) == list(row.values())

    run(story())


def test_a_time_without_a_zone_has_none_in_a_csv(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            asked = "SELECT TIMESTAMP '2026-01-02 09:30:00' AS n, TIMESTAMPTZ '2026-01-02 09:30:00+08' AS z"
            told = ["2026-01-02T09:30:00.000000", "2026-01-02T01:30:00.000000Z"]
            assert list((await sql(w, asked))[0].values()) == told
            assert (await sql(w, asked, QueryFormat.CSV)).decode().splitlines()[1] == (
                ",".join(f'"{text}"' for text in told)
            )

    run(story())


def test_times_have_one_zone_in_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")  # of the process that answers

    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 5))
            for verb in (
                None, Verb(name="sample_by", period="1m"), Verb(name="rolling_mean", period="5s"),
                Verb(name="asof", other="bar_1m"), Verb(name="latest_on"),
            ):  # fmt: skip
                body = await w.answer(verb=verb, format=QueryFormat.ARROW)
                schema = pa.ipc.open_stream(body).read_all().schema
                assert schema.field("datetime").type == pa.timestamp("us", "UTC"), verb
            found = await sql(w, "SELECT * FROM futures_market", QueryFormat.ARROW)
            assert pa.ipc.open_stream(found).schema.field("datetime").type == pa.timestamp("us", "UTC")
            first = await one(w, "SELECT min(datetime)::VARCHAR FROM futures_market")
            assert first == "2021-01-04 01:30:00+00"

    run(story())


def test_now_in_sql_is_the_clock_of_what_is_asked(tmp_path: Path) -> None:
    """The market's clock may be years before the machine's, or after it."""

    async def put(w: World) -> None:
        w.publish([tick(AU, w.clock.now_ns() - S)])
        await w.store.ingest.ingest("app", [{"n": 1.0}], {}, create=True)

    async def ask(w: World, stream: str, start_ns: int) -> Any:
        return await one(w, f"SELECT count(*) FROM {stream}", start_time=start_ns // 1_000)

    async def story() -> None:
        hour = 60 * MINUTE
        for name, now_ns in (("before", NOW), ("after", wall_ns() + 40 * 24 * hour)):
            async with world(tmp_path / name, now_ns=now_ns) as w:
                await put(w)
                assert await ask(w, "futures_market", now_ns - hour) == 1
                assert await ask(w, "app", wall_ns() - hour) == 1
                assert await one(w, "SELECT count(*) FROM app, futures_market", start_time="1h") == 1
                late, stream = (wall_ns() - hour, "futures_market") if name == "before" else (now_ns, "app")
                with pytest.raises(InputError, match="lies after end_time"):
                    await ask(w, stream, late)
                with pytest.raises(InputError, match="lies after end_time"):
                    await ask(w, "range(1)", max(now_ns, wall_ns()) + hour)

    run(story())


def test_plain_queries_as_parquet(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 500))
            body = await w.answer(format=QueryFormat.PARQUET)
            table = pq.read_table(io.BytesIO(body))
            assert table.num_rows == 500 and table.column("volume").to_pylist() == list(range(1, 501))

    run(story())


def test_counts(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 60))
            await w.store.compact()
            w.publish(ticks(AU, 60, 30))
            start, stop = OPENING // 1_000, (OPENING + 120 * S) // 1_000
            asked = CountsRequest(stream="futures_market", start_time=start, end_time=stop, bins=4)
            counts = await w.store.query.counts(asked)
            assert [row["count"] for row in counts["records"]] == [30, 30, 30, 0]
            assert counts["records"][0]["start_time"] == "2021-01-04T01:30:00Z"
            with pytest.raises(InputError, match="numBins"):
                await w.store.query.counts(CountsRequest(stream="futures_market", bins=0))

    run(story())


def test_both_times_are_mandatory(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            with pytest.raises(InputError, match="endTime"):
                await sql(w, "SELECT 1", end_time=None)
            with pytest.raises(QautlraError):
                await sql(w, "SELECT 1", start_time="now", end_time="1h-ago")
            assert await one(w, "SELECT 1", start_time="10m") == 1

    run(story())


def test_sample_by_is_aligned_to_sections(tmp_path: Path) -> None:
    """Against the core's own bars: one minute from rows, and half an hour across the morning break."""

    async def story() -> None:
        async with world(tmp_path) as w:
            # 09:30 to 11:30 with the break from 10:15 to 10:30, in which a row makes no bar
            w.publish(
                tick(
                    AU,
                    OPENING + n * 30 * S,
                    last_price=(100.0 if CALENDAR.bar_open(AU, OPENING + n * 30 * S, MINUTE) >= 0 else 900.0)
                    + n % 7,
                    volume=10 * n,
                    open_interest=n,
                )
                for n in range(240)
            )
            minute = Verb(name="sample_by", period="1m")
            made = await w.query(verb=minute)
            names = ("datetime", "instrument_id", "open", "high", "low", "close", "volume")
            stored = await w.query("bar_1m")
            assert [[row[name] for name in names] for row in made] == [
                [row[name] for name in names] for row in stored
            ]
            half = await w.query(verb=Verb(name="sample_by", period="30m"))
            opens = {CALENDAR.bar_open(AU, OPENING + n * 30 * S, 30 * MINUTE) for n in range(240)} - {-1}
            assert len(half) == len(opens)
            from_bars = await w.query("bar_1m", verb=Verb(name="sample_by", period="30m"))
            assert [row["volume"] for row in from_bars] == [row["volume"] for row in half]
            assert [row["datetime"] for row in from_bars] == [row["datetime"] for row in half]
            day = await w.query(verb=Verb(name="sample_by", period="1d"))
            assert len(day) == 1 and day[0]["volume"] == sum(row["volume"] for row in half)

    run(story())


def test_sample_by_fills_gaps_inside_sections_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(
                [tick(AU, OPENING, volume=1), tick(AU, OPENING + 100 * MINUTE, last_price=101.0, volume=5)]
            )
            plain = await w.query(verb=Verb(name="sample_by", period="5m"))
            assert len(plain) == 2
            nulls = await w.query(verb=Verb(name="sample_by", period="5m", fill="null"))
            # 09:30-10:15 and 10:30-11:10: no bar between
            assert len(nulls) == 9 + 9
            assert nulls[1]["close"] is None and nulls[1]["volume"] is None
            before = await w.query(verb=Verb(name="sample_by", period="5m", fill="prev"))
            assert before[1]["open"] == before[1]["close"] == 100.0 and before[1]["volume"] == 0
            assert not [row for row in before if "02:15" <= row["datetime"][11:16] < "02:30"]
            assert await w.query("bar_1m", verb=Verb(name="sample_by", period="5m", fill="prev")) == before

    run(story())


def test_latest_rolling_mean_and_asof(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 20))
            w.publish(ticks(IF, 0, 10))
            await w.store.compact()
            newest = await w.query(verb=Verb(name="latest_on"))
            assert [(row["instrument_id"], row["last_price"]) for row in newest] == [(IF, 109.0), (AU, 119.0)]
            stop = (OPENING + 5 * S) // 1_000
            earlier = await w.query(verb=Verb(name="latest_on"), end_time=stop)
            assert [(row["instrument_id"], row["last_price"]) for row in earlier] == [
                (IF, 104.0),
                (AU, 104.0),
            ]
            macro = await sql(w, "SELECT instrument_id, last_price FROM latest_on('futures_market')")
            assert macro == [
                {"instrument_id": r["instrument_id"], "last_price": r["last_price"]} for r in newest
            ]
            mean = await w.query(
                verb=Verb(name="rolling_mean", period="2s"),
                filter="instrument=au2102",
                columns=("last_price",),
            )
            assert [row["rolling_mean"] for row in mean[:4]] == [100.0, 100.5, 101.0, 102.0]
            joined = await w.query(
                verb=Verb(name="asof", other="bar_1m"), filter="instrument=au2102", columns=("last_price",)
            )
            assert len(joined) == 20 and {row["open"] for row in joined} == {None}
            asked = (
                "SELECT count(*) FROM asof_join('bar_1m', 'futures_market') WHERE other_datetime IS NOT NULL"
            )
            assert await one(w, asked) == 2
            with pytest.raises(InputError, match="period"):
                await w.query(verb=Verb(name="sample_by", period="fortnight"))

    run(story())


def test_bars_in_sql_are_the_bars_of_the_other_query(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as w:
            w.publish(ticks(AU, 0, 100))
            await w.store.compact()
            w.publish(ticks(AU, 100, 100))
            w.publish(ticks(IF, 0, 100))
            plain = await w.query("bar_1m")
            assert len(plain) == 6
            asked = await sql(w, "SELECT * FROM bar_1m ORDER BY datetime, instrument_id")
            assert asked == plain
            await w.store.write_bars(pa.Table.from_pylist([]) if not plain else await _bars(w))
            assert await sql(w, "SELECT * FROM bar_1m ORDER BY datetime, instrument_id") == plain

    async def _bars(w: World) -> pa.Table:
        body = await w.answer("bar_1m", format=QueryFormat.ARROW, limit=3)
        return pa.ipc.open_stream(body).read_all()

    run(story())


def test_bars_in_sql_are_whole_wherever_the_range_begins(tmp_path: Path) -> None:
    """A day that began behind the oldest row there is was seen from its beginning, each day by itself."""

    async def story() -> None:
        async with world(tmp_path) as w:
            day = 86_400 * S
            w.publish(ticks(AU, 20, 400, amount=1.0))
            # neither begins in its day's first minute, and one is new on the second day
            late = [*ticks(AU, 86_400 + 300, 200, amount=1.0), *ticks(IF, 86_400 + 300, 200, amount=1.0)]
            w.publish(sorted(late, key=lambda row: row["datetime"]))
            for begin in (OPENING - day, OPENING + 3 * MINUTE, OPENING + day - S, OPENING + day + 6 * MINUTE):
                given = {"start_time": begin, "end_time": OPENING + 2 * day}
                found = await sql(w, "SELECT * FROM bar_1m ORDER BY datetime, instrument_id", **given)
                assert found == await w.query("bar_1m", **given)

    run(story())


def test_the_first_day_there_is_counts_from_its_opening_where_that_was_seen(tmp_path: Path) -> None:
    """As in `bar_1m`: a first row of the day's first minute opened it, a later one says what went before."""

    async def story() -> None:
        async with world(tmp_path) as w:
            seen, joined = ticks(IF, 30, 200, amount=1.0), ticks(STOCK, 90, 200, amount=1.0)
            w.publish(sorted([*seen, *joined], key=lambda row: row["datetime"]))
            bars = await w.query("bar_1m")
            assert [bars[0]["volume"], bars[1]["volume"], bars[2]["volume"]] == [60, 60, 29]
            assert await w.query("market_data", verb=Verb(name="sample_by", period="1m")) == bars
            days = await w.query("market_data", verb=Verb(name="sample_by", period="1d"))
            assert {day["instrument_id"]: day["volume"] for day in days} == {IF: 230, STOCK: 199}

    run(story())
