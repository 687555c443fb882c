"""Recorded rows in and out: again changes nothing, damage keeps what came before it and names the place."""

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError
from qautlra.model.query import QueryRequest
from qautlra.source.files import TickFile
from qautlra.store.exporter import format_of
from qautlra.store.importer import ImportReport, OwnFile, import_file
from qautlra.store.schema import ROW_SCHEMA
from tests.store.world import OPENING, S, World, run, tick, world

HEAD = "TradingDay,InstrumentID,ExchangeID,LastPrice,Volume,UpdateTime,UpdateMillisec,ActionDay\n"
AU = "SHFE.au2102"


def ctp_text(count: int, start: int = 0) -> str:
    return HEAD + "".join(
        f"20210104,au2102,SHFE,{390 + n % 5}.5,{n},10:{n // 60:02d}:{n % 60:02d},500,20210104\n"
        for n in range(start, start + count)
    )


async def take(w: World, path: Path) -> ImportReport:
    file = OwnFile(path) if OwnFile.recognises(path) else TickFile(path)
    seen: list[int] = []
    report = await import_file(
        w.store, file, w.instruments, w.instruments.calendar, lambda r: seen.append(r.read_rows)
    )
    assert seen == sorted(seen)
    assert report.is_done
    return report


def test_importing_again_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "ticks.csv"
        path.write_text(ctp_text(300))
        async with world(tmp_path / "data") as w:
            first = await take(w, path)
            assert (first.read_rows, first.new_rows, first.known_rows, first.error) == (300, 300, 0, "")
            rows = await w.query(end_time="2021-01-05")
            assert len(rows) == 300
            assert {row["source"] for row in rows} == {"import"}
            # while it is in the hot tier, when it is in files, and after a restart
            assert (await take(w, path)).new_rows == 0
            await w.store.compact()
            assert (await take(w, path)).new_rows == 0
            assert w.store._open is not None
            w.store._open.hot.evict_through(2**62)
            assert (await take(w, path)).known_rows == 300
        async with world(tmp_path / "data") as w:
            assert (await take(w, path)).new_rows == 0
            path.write_text(ctp_text(310, 100))
            assert (await take(w, path)).new_rows == 110
            assert len(await w.query(end_time="2021-01-05")) == 410
            assert w.tape.head == 0, "imports do not go over the tape"

    run(story())


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.arrow"])
def test_what_is_exported_can_be_imported(tmp_path: Path, name: str) -> None:
    async def story() -> None:
        path = tmp_path / name
        async with world(tmp_path / "one") as w:
            w.publish(
                tick(AU, OPENING + n * S // 2, volume=n, open_interest=5, ask_price2=None if n % 2 else 1.5)
                for n in range(100)
            )
            told: list[int] = []
            request = QueryRequest(stream="futures_market", start_time=0, end_time="now", limit=90)
            assert await w.store.export(request, path, progress=told.append) == 90
            assert told[-1] == 90
            rows = await w.query(limit=90)
        assert [p.name for p in tmp_path.glob("*out*")] == [name]
        async with world(tmp_path / "two") as w:
            report = await take(w, path)
            assert (report.new_rows, report.error) == (90, "")
            assert await w.query() == rows
            assert (await take(w, path)).new_rows == 0

    run(story())


def test_a_compressed_arrow_stream_and_a_foreign_parquet(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path / "data") as w:
            stamps = pa.array([OPENING // 1000 + n * 1_000_000 for n in range(5)], pa.timestamp("us", "UTC"))
            columns = {"datetime": stamps, "instrument_id": ["au2102"] * 5, "last_price": [1, 2, 3, 4, 5]}
            with pa.ipc.new_stream(str(tmp_path / "own.ipc"), pa.table(columns).schema) as writer:
                writer.write_table(pa.table(columns))
            assert (await take(w, tmp_path / "own.ipc")).new_rows == 5
            names = HEAD.strip().split(",")
            values = ["20210104", "rb2105", "SHFE", 4000.0, 7, "10:00:00", 0, "20210104"]
            pq.write_table(
                pa.table({k: [v] for k, v in zip(names, values, strict=True)}), tmp_path / "ctp.parquet"
            )
            assert (await take(w, tmp_path / "ctp.parquet")).new_rows == 1
            found = await w.query(end_time="2021-01-05")
            assert [row["instrument_id"] for row in found] == [AU] * 5 + ["SHFE.rb2105"]

    run(story())


@pytest.mark.parametrize("zone", ["", "+08:00", "Z"])
def test_times_of_a_csv_of_ours_are_beijings_without_a_zone(tmp_path: Path, zone: str) -> None:
    path = tmp_path / "own.csv"
    text = "2021-01-04T01:30:00.5" if zone == "Z" else "2021-01-04 09:30:00.5"
    path.write_text(f"datetime,instrument_id,last_price\n{text}{zone},au2102,390\n")

    async def story() -> None:
        async with world(tmp_path / "data") as w:
            assert (await take(w, path)).new_rows == 1
            (row,) = await w.query(end_time="2021-01-05")
            assert row["datetime"] == "2021-01-04T01:30:00.500000Z"
            path.write_text("datetime,instrument_id,last_price\n1609723800000,au2102,390\n")
            assert "1609723800000" in (await take(w, path)).error

    run(story())


def test_damage_keeps_the_rows_before_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path / "data") as w:
            cut = tmp_path / "cut.csv.gz"
            packed = gzip.compress(ctp_text(3000).encode())
            cut.write_bytes(packed[: len(packed) // 2])
            report = await take(w, cut)
            assert "cut.csv.gz" in report.error
            assert 0 < report.new_rows < 3000
            assert len(await w.query(end_time="2021-01-05")) == report.new_rows
            line = tmp_path / "line.csv"
            line.write_text(ctp_text(10, 3100) + "20210104,au2102,SHFE,not a price,1,11:00:00,0,20210104\n")
            report = await take(w, line)
            assert (report.new_rows, report.bad_rows, report.bad_lines) == (10, 1, [12])
            torn = tmp_path / "torn.parquet"
            pq.write_table(pa.table({"InstrumentID": ["au2102"], "UpdateTime": ["10:00:00"]}), torn)
            torn.write_bytes(torn.read_bytes()[:-20])
            report = await take(w, torn)
            assert report.new_rows == 0
            assert "torn.parquet" in report.error

    run(story())


def test_damage_of_our_own_files_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path / "one") as w:
            w.publish(tick(AU, OPENING + n * S) for n in range(5000))
            request = QueryRequest(stream="futures_market", start_time=0, end_time="now")
            await w.store.export(request, tmp_path / "own.csv")
        path = tmp_path / "own.csv"
        path.write_bytes(path.read_bytes()[:-200] + b"\nrubbish")
        async with world(tmp_path / "two") as w:
            report = await take(w, path)
            assert "own.csv" in report.error
            assert len(await w.query()) == report.new_rows

    run(story())


def test_an_import_waits_while_the_hot_tier_is_full(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path / "data", hot_bytes=1 << 20, segment_bytes=1 << 16) as w:

            def batches() -> Iterator[pa.RecordBatch]:
                for part in range(10):
                    stamps = [OPENING // 1000 + (part * 2000 + n) * 1_000 for n in range(2000)]
                    yield pa.RecordBatch.from_pydict(
                        {
                            "datetime": pa.array(stamps, pa.timestamp("us", "UTC")),
                            "instrument_id": [AU] * 2000,
                            "last_price": [float(n) for n in range(2000)],
                        }
                    )

            file = OwnFile(tmp_path / "made.arrow")
            file.batches = batches  # type: ignore[method-assign]
            report = await import_file(w.store, file, w.instruments, w.instruments.calendar)
            assert report.new_rows == 20_000
            assert len(await w.query(end_time="2021-01-05", columns=("seq",))) == 20_000
            assert w.store.health()["hot_bytes"] <= 1 << 20

    run(story())


def test_memory_full_of_one_segment_seals_it(tmp_path: Path) -> None:
    """A segment larger than memory would never be full: it is sealed when nothing else can make room."""

    async def story() -> None:
        async with world(tmp_path, hot_bytes=1 << 20, segment_bytes=64 << 20) as w:
            rows = w.rows(tick(AU, OPENING + n * S // 10, volume=n) for n in range(30_000))
            async with asyncio.timeout(60):
                assert await w.store.import_rows(rows) == 30_000
            assert len(await w.query(end_time="2021-01-05", columns=("seq",))) == 30_000

    run(story())


def test_rows_far_ahead_are_refused_whole(tmp_path: Path) -> None:
    """The newest row is what a start takes for the market's present: its clock, the prices of accounts."""
    day_ns = 86_400 * S

    async def story() -> None:
        async with world(tmp_path) as w:
            door = w.store.ingest
            now_ns = max(wall_ns(), w.clock.now_ns())
            times = [OPENING, now_ns + 30 * day_ns]
            assert await door.ingest("futures_market", table(times), {}, create=False) == 2
            for late_ns in (now_ns + 32 * day_ns, 9_000_000_000 * S):
                times = [OPENING + S, late_ns]
                events = [{"datetime": one // 10**6, "instrument_id": AU, "last_price": 1} for one in times]
                for given in (table(times), events):
                    with pytest.raises(InputError, match="more than 31 days ahead"):
                        await door.ingest("futures_market", given, {}, create=False)
                with pytest.raises(InputError, match="more than 31 days ahead"):
                    await door.import_rows(w.rows(tick(AU, one) for one in times))
            assert len(await w.query(end_time=(now_ns + 40 * day_ns) // 10**6)) == 2

    def table(times: list[int]) -> pa.Table:
        kind = ROW_SCHEMA.field("datetime").type
        stamps = pa.array([one // 1_000 for one in times], pa.int64()).cast(kind)
        return pa.table(
            {"datetime": stamps, "instrument_id": [AU] * len(times), "last_price": [1.0] * len(times)}
        )

    run(story())


def test_a_name_without_a_format() -> None:
    assert format_of(Path("a.PARQUET")) == "parquet"
    with pytest.raises(InputError, match=r"must end in one of \.csv"):
        format_of(Path("a.xlsx"))
