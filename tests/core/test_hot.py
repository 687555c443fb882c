"""Hot tier, log cursor, Arrow and JSON as Python uses them; the mechanics are tested in hot_test.cpp."""

import datetime as dt
import decimal
import json
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra._core.journal import Journal, JournalError
from qautlra._core.market import COUNT_FIELDS, FIELDS
from qautlra._core.store import (
    NEVER_NS,
    ROW_COLUMNS,
    HotStore,
    TickLog,
    render_json,
    rows_from_arrow,
    segment_to_arrow,
)
from qautlra._core.tape import Tape
from tests.models.market import MORNING_NS, SYMBOLS, Market

STEP_NS = 500_000_000


class Log:
    """Tape, journal, hot store and the cursor between them."""

    def __init__(self, directory: Path, hot_bytes: int = 16 << 20, **journal: Any) -> None:
        self.market = Market()
        self.tape = Tape(self.market.instruments, self.market.calendar, 1024)
        self.journal = Journal(directory, **journal)
        self.hot = HotStore(self.market.instruments, hot_bytes)
        self.ticks = TickLog(self.tape, self.journal, self.hot)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


def row(i: int, symbol: str = SYMBOLS[0], **values: Any) -> dict[str, Any]:
    return {"instrument_id": symbol, "datetime": MORNING_NS + i * STEP_NS, "last_price": 5000.2 + i} | values


def random_rows(seed: int, count: int) -> list[dict[str, Any]]:
    random_ = random.Random(seed)
    rows = []
    for i in range(count):
        values: dict[str, Any] = row(i // 3, SYMBOLS[i % 4], seq=i % 2, volume=i, source="replay")
        for name in random_.sample(FIELDS[1:], 20):
            values[name] = (
                random_.randrange(10**6) if name in COUNT_FIELDS else random_.randrange(10**6) / 100
            )
        rows.append(values | {"trading_day": 20210104, "recv_time_ns": MORNING_NS + i * 1000})
    return rows


def test_the_batch_has_the_row_schema(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(*random_rows(1, 50)))
    batch = log.hot.scan()
    batch.validate(full=True)
    assert tuple(batch.schema.names) == ROW_COLUMNS
    assert ROW_COLUMNS[:3] == ("datetime", "instrument_id", "trading_date")
    assert ROW_COLUMNS[3:-3] == FIELDS[1:]
    assert ROW_COLUMNS[-3:] == ("source", "seq", "recv_time")
    for column in batch.schema:
        text = pa.dictionary(pa.int32(), pa.string())
        expected = {
            "datetime": pa.timestamp("us", "UTC"),
            "recv_time": pa.timestamp("us", "UTC"),
            "trading_date": pa.date32(),
            "instrument_id": text,
            "source": text,
            "seq": pa.int64(),
        }.get(column.name, pa.int64() if column.name in COUNT_FIELDS else pa.float64())
        assert column.type == expected, column.name


def test_rows_go_through_tape_log_arrow_and_parquet_unchanged(log: Log, tmp_path: Path) -> None:
    rows = log.market.rows(*random_rows(2, 300))
    assert log.tape.publish(rows) == 300
    assert log.ticks.waiting == 300
    assert log.ticks.drain() == 300
    assert log.ticks.drain() == log.ticks.waiting == 0
    batch = log.hot.scan()
    pq.write_table(pa.table(batch), tmp_path / "rows.parquet")
    by_key = sorted(rows.to_dicts(), key=lambda r: (r["datetime"], r["instrument_id"], r["seq"]))
    for source in (batch, pa.table(batch), pq.read_table(tmp_path / "rows.parquet"), batch.slice(7, 100)):
        expected = by_key[7:107] if source.num_rows == 100 else by_key
        assert rows_from_arrow(source, log.market.instruments).to_dicts() == expected
    plain = pa.table(batch).cast(
        pa.schema(
            pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
            for f in batch.schema
        )
    )
    assert rows_from_arrow(plain, log.market.instruments).to_dicts() == by_key


def test_unusable_tables_are_refused_by_name(log: Log) -> None:
    instruments = log.market.instruments
    now = pa.array([MORNING_NS], pa.timestamp("ns", "UTC"))
    assert len(rows_from_arrow(pa.table({"datetime": now, "instrument_id": [SYMBOLS[0]]}), instruments)) == 1
    for columns, why in (
        ({"datetime": now}, "no column instrument_id"),
        ({"instrument_id": ["SHFE.au2512"]}, "no column datetime"),
        ({"datetime": now, "instrument_id": pa.nulls(1, pa.string())}, "row 0 has no instrument_id"),
        ({"datetime": now, "instrument_id": [1]}, "instrument_id is not text"),
        ({"datetime": now, "instrument_id": ["?!"]}, "."),
        ({"datetime": [1], "instrument_id": [SYMBOLS[0]]}, "row 0: datetime"),
        ({"datetime": now, "instrument_id": [SYMBOLS[0]], "volume": [1.5]}, "row 0: volume"),
        ({"datetime": now, "instrument_id": [SYMBOLS[0]], "open": ["x"]}, "row 0: open"),
        ({"datetime": now, "instrument_id": [SYMBOLS[0]], "open": [[1.0]]}, "column open"),
        ({"datetime": now, "instrument_id": [SYMBOLS[0]], "seq": [-1]}, "row 0: seq"),
    ):
        with pytest.raises(ValueError, match=why):
            rows_from_arrow(pa.table(columns), instruments)


def test_the_first_row_that_cannot_be_is_named_whatever_its_column(log: Log) -> None:
    instruments = log.market.instruments
    times = pa.array([MORNING_NS] * 4, pa.timestamp("ns", "UTC"))
    good = {"datetime": times, "instrument_id": [SYMBOLS[0]] * 4}
    for columns, why in (
        ({"open": [1.0, 1.0, 1.0, float("inf")], "volume": [1.0, 1.5, 2.0, 3.0]}, "row 1: volume"),
        ({"open": [1.0, float("inf"), 1.0, 1.0], "volume": [1.0, 1.5, 2.0, 3.0]}, "row 1: open"),
        ({"open": [1.0, 1.0, float("inf"), 1.0], "seq": [0, 0, 0, -1]}, "row 2: open"),
    ):
        with pytest.raises(ValueError, match=why):
            rows_from_arrow(pa.table(good | columns), instruments)
    named = good | {"instrument_id": [SYMBOLS[0], None, SYMBOLS[0], SYMBOLS[0]]}
    with pytest.raises(ValueError, match="row 1 has no instrument_id"):
        rows_from_arrow(pa.table(named | {"seq": [0, 0, -1, 0]}), instruments)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_a_number_that_stands_for_none_is_none(log: Log, kind: pa.DataType) -> None:
    """CTP writes the largest double, and through a float the largest of those."""
    most = 1.7976931348623157e308 if kind == pa.float64() else 3.4028234663852886e38
    table = pa.table({
        "datetime": pa.array([MORNING_NS] * 4, pa.timestamp("ns", "UTC")),
        "instrument_id": [SYMBOLS[0]] * 4,
        "settlement": pa.array([most, -most, 9.0e14, -1.0], kind),
    })  # fmt: skip
    rows = rows_from_arrow(table, log.market.instruments).to_dicts()
    assert [row.get("settlement") is None for row in rows] == [True, True, False, False]
    assert rows[3]["settlement"] == -1.0


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.float32(), pa.float64()])
def test_numbers_of_every_type_are_read(log: Log, kind: pa.DataType) -> None:
    times = pa.array([MORNING_NS, MORNING_NS + 1, MORNING_NS + 2], pa.timestamp("ns", "UTC"))
    given = pa.array([1, None, 3], pa.int64()).cast(kind)
    table = pa.table({"datetime": times, "instrument_id": [SYMBOLS[0]] * 3, "open": given, "volume": given})
    rows = rows_from_arrow(table.slice(1), log.market.instruments).to_dicts()
    assert [row.get("open") for row in rows] == [None, 3.0]
    assert [row.get("volume") for row in rows] == [None, 3]


def test_rows_without_a_trading_date_have_the_calendars(log: Log) -> None:
    night = MORNING_NS + 13 * 3_600 * 10**9
    times = pa.array([MORNING_NS, MORNING_NS, night], pa.timestamp("ns", "UTC"))
    days = pa.array([None, dt.date(2020, 2, 3), None], pa.date32())
    table = pa.table({"datetime": times, "instrument_id": [SYMBOLS[0]] * 3, "trading_date": days})
    calendar = log.market.calendar
    found = rows_from_arrow(table, log.market.instruments, dated=True).to_dicts()
    expected = [calendar.trading_day(MORNING_NS), 20200203, calendar.trading_day(night)]
    assert [row["trading_day"] for row in found] == expected
    assert rows_from_arrow(table, log.market.instruments).to_dicts()[0]["trading_day"] == 0


def test_scan_filters_orders_limits_and_projects(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(*(row(i, s) for i in range(10) for s in SYMBOLS)))
    everything = [(r["datetime"], r["instrument_id"]) for r in log.hot.scan().to_pylist()]
    assert everything == sorted(everything)
    assert len(everything) == 40
    start, stop = MORNING_NS + 2 * STEP_NS, MORNING_NS + 5 * STEP_NS
    batch = log.hot.scan([1, 3], start, stop, fields=["seq", "instrument_id", "last_price", "seq"])
    assert batch.schema.names == ["seq", "instrument_id", "last_price"]
    assert batch.num_rows == log.hot.count([1, 3], start, stop) == 6
    assert batch["instrument_id"].to_pylist() == [SYMBOLS[3], SYMBOLS[1]] * 3  # by name, not by number
    newest = log.hot.scan(limit=5, descending=True).to_pylist()
    assert newest == log.hot.scan().to_pylist()[::-1][:5]
    assert log.hot.scan(min_lsn=log.journal.head_lsn).num_rows == 0
    assert log.hot.scan(min_lsn=log.journal.head_lsn - 3).num_rows == 3
    assert log.hot.scan([], limit=5).num_rows == log.hot.scan([999]).num_rows == 0
    with pytest.raises(ValueError, match="no column 'nonsense'; there are datetime"):
        log.hot.scan(fields=["nonsense"])
    assert log.hot.latest()["datetime"].to_pylist() == [newest[0]["datetime"]] * 4
    assert log.hot.latest([2]).num_rows == 1
    text = render_json(log.hot.latest())
    assert log.hot.latest_json() == (text, 4)
    assert log.hot.latest_json(limit=2) == (render_json(log.hot.latest().slice(0, 2)), 2)
    moments = sorted(log.hot.latest()["datetime"].cast(pa.int64()).to_pylist())
    assert log.hot.latest_json(stop_ns=moments[-1] * 1_000) is None
    assert log.hot.latest_json(start_ns=moments[-1] * 1_000 + 1_000) == (b"[]", 0)


def test_the_same_identity_is_dropped_and_counted(log: Log) -> None:
    rows = log.market.rows(*(row(i) for i in range(100)))
    assert log.ticks.append_rows(rows) == 100
    assert log.ticks.append_rows(rows, 40) == 100
    assert log.ticks.rows_logged == 100
    assert log.ticks.duplicates == 60
    assert log.hot.contains(0, MORNING_NS, 0)
    assert not log.hot.contains(0, MORNING_NS, 1)
    with pytest.raises(ValueError, match="start"):
        log.ticks.append_rows(rows, 101)


def test_what_is_cold_and_what_makes_way(tmp_path: Path) -> None:
    log = Log(tmp_path, hot_bytes=100_000)
    rows = log.market.rows(*(row(i) for i in range(3000)))
    assert log.hot.cold_max_ts() == log.hot.cold_max_ts([0]) == NEVER_NS
    done = log.ticks.append_rows(rows)
    assert 0 < done < 3000
    assert log.ticks.blocked
    assert log.ticks.held == "hot"
    assert log.journal.sync()  # what fills the tier was sealed, so that it can be compacted
    assert [s.last_lsn for s in log.journal.segments() if s.sealed] == [log.journal.head_lsn]
    log.hot.set_safe_lsn(log.journal.head_lsn)
    assert log.ticks.append_rows(rows, done) > done
    assert log.hot.bytes <= log.hot.max_bytes
    cold = log.hot.cold_max_ts([0])
    assert cold == log.hot.cold_max_ts() > MORNING_NS
    assert log.hot.count(None, cold + 1) == log.hot.rows
    log.hot.note_cold(2, cold + 5)
    assert log.hot.cold_max_ts() == log.hot.cold_max_ts([0, 2]) == cold + 5
    assert log.hot.cold_max_ts([1]) == NEVER_NS
    with pytest.raises(ValueError, match="no instrument 4"):
        log.hot.note_cold(4, 0)
    assert log.hot.evict_through(log.journal.head_lsn) > 0
    assert log.hot.rows == log.hot.bytes == 0


def test_rows_of_parquet_can_be_loaded_back(log: Log) -> None:
    rows = log.market.rows(*(row(i) for i in range(50)))
    assert log.hot.load(rows, 7) == 50
    assert log.hot.load(rows, 8) == 0
    assert log.hot.scan(min_lsn=6).num_rows == 50
    assert log.hot.scan(min_lsn=7).num_rows == 0
    assert log.journal.head_lsn == 0
    with pytest.raises(ValueError, match="lsn"):
        log.hot.load(rows, 0)


def test_recovery_is_the_log_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", segment_bytes=8192)
    rows = random_rows(3, 500)
    log.tape.publish(log.market.rows(*rows))
    while log.ticks.drain():
        pass
    before = log.hot.scan()
    lasts = [log.tape.last(i) for i in range(4)]
    log.journal.close()

    again = Log(tmp_path / "log", segment_bytes=8192)
    assert again.ticks.recover(tmp_path / "log", 1, again.tape) == 500
    assert again.hot.scan().equals(before)
    assert [again.tape.last(i) for i in range(4)] == lasts
    assert again.ticks.recovery["refused"] == again.ticks.recovery["duplicates"] == 0
    assert again.ticks.recovery["last_lsn"] == again.journal.head_lsn
    # The source sends everything again: nothing is logged twice. What is new goes on in the same segment.
    assert again.tape.publish(log_rows(again, rows)) == 500
    again.ticks.drain()
    assert again.ticks.rows_logged == 0
    again.tape.publish(log_rows(again, [row(1000)]))
    assert again.ticks.drain() == 1
    again.journal.close()

    third = Log(tmp_path / "log")
    assert third.ticks.recover(tmp_path / "log") == 501
    assert third.tape.last(0) is None  # no tape was asked for
    with pytest.raises(JournalError, match="No such file"):
        third.ticks.recover(tmp_path / "none")


def log_rows(log: Log, rows: list[dict[str, Any]]) -> Any:
    return log.market.rows(*rows)


def test_recovery_reads_on_behind_damage(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", segment_bytes=8192)
    log.ticks.append_rows(log.market.rows(*(row(i) for i in range(600))))
    log.journal.close()
    segments = log.journal.segments()
    assert len(segments) >= 4
    path = Path(segments[1].path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again = Log(tmp_path / "other")
    recovered = again.ticks.recover(tmp_path / "log")
    lost = segments[1].last_lsn - again.ticks.recovery["damage"][0].lsn + 1
    assert recovered == 600 - lost
    (damage,) = again.ticks.recovery["damage"]
    assert damage.path == str(path)
    with pytest.raises(JournalError, match="checksum") as caught:
        segment_to_arrow(path)
    assert caught.value.offset == damage.offset
    assert (
        0 < segment_to_arrow(path, allow_damage=True).num_rows < segment_to_arrow(segments[0].path).num_rows
    )


def test_a_segment_is_sorted_and_whole_for_compaction(tmp_path: Path) -> None:
    log = Log(tmp_path, segment_bytes=20_000)
    rows = random_rows(4, 400)
    random.Random(4).shuffle(rows)
    log.ticks.append_rows(log.market.rows(*rows))
    log.journal.roll()
    assert log.journal.sync()
    parts = [segment_to_arrow(s.path) for s in log.journal.segments() if s.sealed]
    assert len(parts) > 3
    for part in parts:
        keys = [(r["instrument_id"], r["datetime"], r["seq"]) for r in part.to_pylist()]
        assert keys == sorted(set(keys))
    whole = sorted(
        (r for part in parts for r in part.to_pylist()),
        key=lambda r: (r["datetime"], r["instrument_id"], r["seq"]),
    )
    assert whole == log.hot.scan().to_pylist()
    empty = segment_to_arrow(log.journal.segments()[-1].path)
    assert empty.num_rows == 0
    assert empty.schema == parts[0].schema


def test_the_log_gives_way_to_a_full_journal_without_loss(tmp_path: Path) -> None:
    log = Log(tmp_path, buffer_bytes=65536)
    rows = log.market.rows(*(row(i) for i in range(50_000)))
    done = 0
    while done < len(rows):
        done = log.ticks.append_rows(rows, done)
    assert log.ticks.rows_logged == log.hot.rows == 50_000


# ---- JSON ------------------------------------------------------------------------------------------------


def expected_json(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as json.loads should see them, built from Python values alone."""
    deep = {
        f"{side}_{what}{n}" for side in ("bid", "ask") for what in ("price", "volume") for n in range(2, 11)
    }
    out = []
    for values in batch.to_pylist():
        fields: dict[str, Any] = {}
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                fields[name] = None
            elif isinstance(value, dt.datetime):
                fields[name] = value.strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if value.tzinfo else "")
            elif isinstance(value, dt.date):
                fields[name] = value.isoformat()
            elif value is not None or name not in deep:
                fields[name] = value
        out.append(fields)
    return out


def test_rows_as_json(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(*random_rows(6, 100)))
    batch = log.hot.scan()
    expected = expected_json(batch)
    text = render_json(batch)
    assert json.loads(text) == expected
    assert log.hot.scan_json() == (text, 100)
    assert json.loads(render_json(batch, mode="records")) == {
        "fields": list(ROW_COLUMNS),
        "records": expected,
    }
    lines = render_json(batch, mode="ndjson").splitlines()
    assert [json.loads(line) for line in lines] == expected
    assert list(json.loads(text)[0])[:3] == ["datetime", "instrument_id", "trading_date"]
    assert json.loads(render_json(batch.slice(13, 5))) == expected[13:18]
    assert json.loads(render_json(pa.concat_tables([pa.table(batch)] * 2))) == expected * 2


def alike_rows(rng: random.Random, count: int, *, steady: bool = False) -> list[dict[str, Any]]:
    """Rows as a feed has them: most values as in the row before, some gone, some for the first time.

    Steady ones all have the same values, of other sizes, and reach over minutes.
    """
    rows: list[dict[str, Any]] = []
    last: dict[str, dict[str, Any]] = {symbol: {} for symbol in SYMBOLS[:4]}
    for i in range(count):
        symbol = rng.choice(SYMBOLS[:4])
        values = last[symbol]
        for name in (
            FIELDS[1:] if steady and not values else rng.sample(FIELDS[1:], rng.choice([0, 1, 1, 2, 5, 20]))
        ):
            if not steady and rng.random() < 0.2:
                values.pop(name, None)
            elif name in COUNT_FIELDS:
                values[name] = rng.choice([0, -7, rng.randrange(10**9), 10**18])
            else:
                values[name] = rng.choice([0.0, -0.5, 1e-7, 1e300, round(rng.random() * 9e4, 2), 5230.0])
        if rng.random() < 0.1:
            values["recv_time"] = MORNING_NS + i * 1_000 + 7
        values["source"] = rng.choice(["sim", "replay"])
        rows.append(row(i * 7 if steady else i // 3, symbol, **{"last_price": 1.0, **values, "seq": i % 3}))
    return rows


@pytest.mark.parametrize("seed", range(8))
def test_rows_as_json_say_what_their_batch_says(log: Log, seed: int) -> None:
    rng = random.Random(seed)
    log.ticks.append_rows(log.market.rows(*alike_rows(rng, 300, steady=seed % 2 == 0)))
    kept = [tuple(rng.sample(ROW_COLUMNS, count)) for count in (3, 3, 62)]  # remembered
    for _ in range(30):
        fields = rng.choice([None, rng.sample(ROW_COLUMNS, rng.randrange(1, 9)), *kept, *kept])
        asked: dict[str, Any] = {
            "instruments": rng.choice([None, [0], [1, 3]]),
            "limit": rng.choice([0, 1, 7, 100]),
            "descending": rng.random() < 0.5,
            "fields": fields,
        }
        mode = rng.choice(["array", "records", "ndjson"])
        batch = log.hot.scan(**asked)
        assert log.hot.scan_json(**asked, mode=mode) == (render_json(batch, mode=mode), batch.num_rows), asked


def test_columns_that_are_none_leave_those_before_as_they_were(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(row(0)))
    fields = ("seq", "source")
    answer = log.hot.scan_json(fields=fields)
    names = ["seq"]
    assert log.hot.scan_json(fields=names)[0] == b'[{"seq":0}]'
    names[0] = "volume"
    assert b"volume" in log.hot.scan_json(fields=names)[0]
    with pytest.raises(ValueError, match="no column"):
        log.hot.scan_json(fields=("seq", "nonsense"))
    assert log.hot.scan_json(fields=fields) == log.hot.scan_json(fields=list(fields)) == answer


def test_open_interest_is_whole_and_prices_are_not(log: Log) -> None:
    log.ticks.append_rows(log.market.rows(row(0, open_interest=90767.0, open=5230.0, bid_price3=1.5)))
    text = log.hot.scan_json()[0]
    assert b'"open_interest":90767,' in text
    assert b'"open":5230.0,' in text
    assert b'"bid_price1":null,"bid_price3":1.5,"ask_price1":null,' in text  # levels 2-10: only what there is


def test_nothing_as_json(log: Log) -> None:
    assert render_json(log.hot.scan()) == b"[]"
    assert render_json(log.hot.scan(), mode="ndjson") == b""
    assert json.loads(render_json(log.hot.scan(fields=["seq"]), mode="records")) == {
        "fields": ["seq"],
        "records": [],
    }
    assert render_json(pa.table({"a": pa.array([], pa.int8())})) == b"[]"
    with pytest.raises(ValueError, match="mode"):
        render_json(log.hot.scan(), mode="xml")  # type: ignore[arg-type]


def test_every_type_a_query_may_give() -> None:
    when = dt.datetime(2021, 1, 4, 1, 29, 0, 400_000, dt.UTC)
    stamps = {
        f"ts_{unit}": pa.array(
            [when.replace(microsecond=0) if unit == "s" else when, None], pa.timestamp(unit, "UTC")
        )
        for unit in ("s", "ms", "us", "ns")
    }
    whole = {
        str(kind): pa.array([1, None], kind)
        for kind in (
            *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
            *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        )
    }
    table = pa.table(
        {
            **stamps,
            **whole,
            "most": pa.array([2**64 - 1, 0], pa.uint64()),
            "least": pa.array([-(2**63), 0], pa.int64()),
            "naive": pa.array([when.replace(tzinfo=None), None], pa.timestamp("us")),
            "float": pa.array([1.5, math.nan], pa.float32()),
            "double": pa.array([1e300, math.inf]),
            "minus": pa.array([-0.1, -math.inf]),
            "bool": pa.array([True, False]),
            "none": pa.nulls(2),
            "text": pa.array(['a"\\\n\r\t\x01\x1f é 期', ""]),
            "large": pa.array(["x", None], pa.large_string()),
            "dictionary": pa.array(["x", None]).dictionary_encode(),
            "day": pa.array([dt.date(2021, 1, 4), None], pa.date32()),
            "day64": pa.array([dt.date(1969, 12, 31), None], pa.date64()),
        }
    )
    batch = table.to_batches()[0]
    assert json.loads(render_json(batch)) == expected_json(batch)
    sums = pa.table(
        {"sum": pa.array([decimal.Decimal(3)], pa.decimal128(38, 0)), "at": pa.array([dt.time(9, 30)])}
    )
    assert json.loads(render_json(sums)) == [{"sum": 3.0, "at": "09:30:00.000000"}]
    with pytest.raises(TypeError, match="struct"):
        render_json(pa.table({"s": [{"a": {"b": 1}}]}))


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.text(),
            st.none() | st.datetimes(dt.datetime(1678, 1, 1), dt.datetime(2261, 1, 1)),
        ),
        max_size=20,
    ),
    st.text(
        st.characters(exclude_characters="\0", codec="utf-8"), max_size=5
    ),  # C strings in Arrow's interface
)
def test_json_reads_back_to_the_same_values(rows: list[tuple[Any, ...]], name: str) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(columns[0], pa.float64()),
            pa.array(columns[1], pa.int64()),
            pa.array(columns[2], pa.string()),
            pa.array(columns[3], pa.timestamp("us")),
        ],
        names=["x" + name, "n", "t" + name, "d"],
    )
    assert json.loads(render_json(batch)) == expected_json(batch)


@pytest.mark.shared
def test_the_real_day_as_json_is_the_csv(tmp_path: Path, real_day: Path) -> None:
    """Prices and counts of the file, through normaliser, log, hot tier and JSON, read without our code."""
    import pandas as pd
    import pyarrow.csv as pc

    from qautlra._core.market import CtpNormaliser
    from qautlra.model.calendar import load_instruments

    text = {name: pa.string() for name in ("TradingDay", "ActionDay", "InstrumentID", "UpdateTime")}
    table = pc.read_csv(real_day, convert_options=pc.ConvertOptions(column_types=text))
    instruments = load_instruments(20210104)
    normaliser = CtpNormaliser(instruments, instruments.calendar)
    tape = Tape(instruments, instruments.calendar, 4096)
    hot = HotStore(instruments, 64 << 20)
    ticks = TickLog(tape, Journal(tmp_path), hot)
    for batch in table.to_batches(max_chunksize=4096):
        rows, refused = normaliser.rows(batch, trust_action_day=True, now_ns=MORNING_NS)
        assert refused == 0
        assert tape.publish(rows) == len(rows)
        assert ticks.drain() == len(rows)
    body, count = hot.scan_json()
    frame = pd.read_csv(real_day)
    assert count == len(frame) == 27_955
    got = pd.DataFrame(json.loads(body))
    for ours, theirs in (
        ("last_price", "LastPrice"),
        ("bid_price1", "BidPrice1"),
        ("ask_price1", "AskPrice1"),
        ("volume", "Volume"),
        ("open_interest", "OpenInterest"),
        ("amount", "Turnover"),
        ("ask_volume1", "AskVolume1"),
    ):
        equal = (got[ours] == frame[theirs]) | (got[ours].isna() & frame[theirs].isna())
        assert equal.all(), ours
    stamps = pd.to_datetime(frame["ActionDay"].astype(str) + " " + frame["UpdateTime"]) - pd.Timedelta(
        hours=8
    )
    stamps += pd.to_timedelta(frame["UpdateMillisec"], unit="ms")
    assert (stamps.dt.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z" == got["datetime"]).all()
