"""The library face: QAMD's types, their JSON, tables and converters."""

import datetime as dt
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra import qamd
from qautlra.qamd import DailyBar, InstrumentType, MDSnapshot, MinuteBar, Tick
from tests.services import module

MOMENT = dt.datetime(2025, 11, 21, 13, 0, 0, 500_000, tzinfo=dt.UTC)
SNAPSHOT = MDSnapshot(
    instrument_id="SHFE.au2512",
    datetime=MOMENT,
    last_price=936.48,
    open=935.02,
    highest=936.90,
    lowest=934.80,
    pre_close=932.10,
    upper_limit=1043.34,
    lower_limit=819.76,
    average=935.77,
    volume=8123,
    amount=7601245600.0,
    bid_price1=936.46,
    bid_volume1=3,
    ask_price1=936.50,
    ask_volume1=7,
    open_interest=152340.0,
    pre_open_interest=151876.0,
    pre_settlement=931.56,
)


def test_snapshot_json() -> None:
    got = json.loads(SNAPSHOT.to_json())
    assert len(MDSnapshot.__struct_fields__) == 58
    assert got["datetime"] == "2025-11-21T13:00:00.500Z"
    assert (got["settlement"], got["close"], got["iopv"]) == ("-", None, None)
    assert "bid_price2" not in got
    assert len(got) == 22
    assert MDSnapshot.from_json(SNAPSHOT.to_json()) == SNAPSHOT


def test_a_required_price_that_is_missing_is_null() -> None:
    empty = MDSnapshot(instrument_id="SHFE.au2512", datetime=MOMENT)
    got = json.loads(empty.to_json())
    assert got["last_price"] is None
    assert got["volume"] == 0
    assert math.isnan(MDSnapshot.from_json(empty.to_json()).last_price)


@pytest.mark.parametrize(
    "written",
    [
        "2025-11-21T13:00:00.5Z",
        "2025-11-21T13:00:00.500000000Z",
        "2025-11-21T21:00:00.500+08:00",
        "2025-11-21 21:00:00.500000",  # DIFF's Beijing text
        int(MOMENT.timestamp()) * 10**9 + 500_000_000,
    ],
)
def test_times_in_every_form(written: str | int) -> None:
    assert MDSnapshot.from_dict({"instrument_id": "x", "datetime": written}).datetime == MOMENT


@pytest.mark.parametrize(
    ("micro", "text"), [(0, ":00Z"), (500_000, ":00.500Z"), (500_001, ":00.500001Z"), (1, ":00.000001Z")]
)
def test_fraction_digits(micro: int, text: str) -> None:
    tick = Tick(
        instrument_id="x", last_price=1.0, volume=1, amount=1.0, datetime=MOMENT.replace(microsecond=micro)
    )
    assert tick.to_dict()["datetime"].endswith(text)


@pytest.mark.parametrize("value", ["-", "n/a", "", None, 12.5, 3])
def test_optional_f64_takes_numbers_text_and_null(value: Any) -> None:
    got = MDSnapshot.from_json(json.dumps({**SNAPSHOT.to_dict(), "open_interest": value}))
    assert got.open_interest == value
    assert got.is_futures_or_options() is isinstance(value, float | int)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"last_price": "5"}, "MDSnapshot.last_price"),
        ({"last_price": True}, "MDSnapshot.last_price"),
        ({"volume": 1.5}, "MDSnapshot.volume"),
        ({"volume": 10**400}, "MDSnapshot.volume"),
        ({"datetime": "yesterday"}, "MDSnapshot.datetime"),
        ({"datetime": 1.5}, "MDSnapshot.datetime"),
        ({"instrument_id": 5}, "MDSnapshot.instrument_id"),
        ({"iopv": [1]}, "MDSnapshot.iopv"),
        ({"bid_price9": {}}, "MDSnapshot.bid_price9"),
    ],
)
def test_wrong_values_name_their_key(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        MDSnapshot.from_dict({**SNAPSHOT.to_dict(), **change})


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"datetime": null}', b"\xff", "{}"])
def test_what_is_no_snapshot(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="MDSnapshot"):
        MDSnapshot.from_json(text)


def test_helpers() -> None:
    assert SNAPSHOT.spread() == pytest.approx(0.04)
    assert SNAPSHOT.is_futures_or_options()
    assert not SNAPSHOT.is_etf()
    assert not SNAPSHOT.has_level2_depth()
    deep = MDSnapshot.from_dict({**SNAPSHOT.to_dict(), "ask_volume2": 4, "iopv": 1.002})
    assert deep.has_level2_depth()
    assert deep.is_etf()
    assert SNAPSHOT.tick().to_dict() == {
        "instrument_id": "SHFE.au2512",
        "last_price": 936.48,
        "volume": 8123,
        "amount": 7601245600.0,
        "datetime": "2025-11-21T13:00:00.500Z",
    }


def minute(**changes: Any) -> MinuteBar:
    values: dict[str, Any] = {
        "order_book_id": "IF2301.CFFEX",
        "instrument_type": InstrumentType.FUTURE,
        "datetime": MOMENT,
        "open": 4000.0,
        "high": 4010.0,
        "low": 3990.0,
        "close": 4004.0,
        "volume": 16_777_217.0,  # more than a float32 holds
        "total_turnover": 1.0e10,
    }
    return MinuteBar(**{**values, **changes})


def test_minute_bar() -> None:
    bar = minute(trading_date=dt.date(2025, 11, 24))
    assert bar.range() == 20.0
    assert bar.returns() == pytest.approx(0.001)
    assert bar.percent_change() == pytest.approx(0.1)
    assert minute(open=0.0).returns() == 0.0
    got = json.loads(bar.to_json())
    assert got["instrument_type"] == "Future"
    assert got["trading_date"] == "2025-11-24"
    assert got["volume"] == 16_777_217.0
    assert "open_interest" not in got
    assert MinuteBar.from_json(bar.to_json()) == bar


def test_daily_bars_by_type() -> None:
    values: dict[str, Any] = {
        "date": dt.date(2021, 1, 4),
        "order_book_id": "600000.XSHG",
        "open": 9.6,
        "high": 9.8,
        "low": 9.5,
        "close": 9.7,
        "volume": 1e8,
        "total_turnover": 9.7e8,
    }
    stock = DailyBar.stock(**values, num_trades=5, limit_up=10.5, limit_down=8.6)
    assert stock.price_limits() == (8.6, 10.5)
    assert DailyBar.index(**values).price_limits() is None
    assert DailyBar.fund(**values, iopv=1.1, limit_up=2.0).price_limits() is None
    future = DailyBar.future(**values, settlement=9.65, prev_settlement=9.6, open_interest=10)
    assert future.to_dict()["settlement"] == 9.65
    assert "iopv" not in future.to_dict()
    assert future.instrument_type == "Future"
    assert DailyBar.from_json(future.to_json()) == future
    with pytest.raises(ValueError, match="has no settlement"):
        DailyBar.stock(**values, settlement=9.65)


@pytest.mark.parametrize(
    "item",
    [SNAPSHOT, SNAPSHOT.tick(), minute(), minute(open_interest=5.0, trading_date=dt.date(2025, 11, 24))],
)
def test_tables_and_frames(item: Any) -> None:
    module("pandas", "pandas")
    items = [item, item]
    table = qamd.to_arrow(items)
    assert table.column_names == list(type(item).__struct_fields__)
    assert table.schema.field("datetime").type == pa.timestamp("us", "UTC")
    assert qamd.from_arrow(table, type(item)) == items
    assert qamd.from_pandas(qamd.to_pandas(items), type(item)) == items
    with pytest.raises(ValueError, match="no records"):
        qamd.to_arrow([])


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    finite,
    st.integers(0, 2**53),
    st.one_of(finite, st.just("-")),
    st.one_of(st.none(), finite),
    st.datetimes(),
)
def test_json_round_trip(
    price: float, volume: int, oi: Any, level: float | None, moment: dt.datetime
) -> None:
    before = MDSnapshot.from_dict(
        {
            **SNAPSHOT.to_dict(),
            "datetime": moment.replace(year=2000 + moment.year % 200, tzinfo=dt.UTC, day=min(moment.day, 28)),
            "last_price": price,
            "volume": volume,
            "open_interest": oi,
            "bid_price7": level,
        }
    )
    assert MDSnapshot.from_json(before.to_json()) == before


@pytest.mark.parametrize(
    ("spelling", "symbol", "book", "kind"),
    [
        ("au2512", "SHFE.au2512", "au2512.SHFE", "Future"),
        ("sh600000", "SSE.600000", "600000.XSHG", "Stock"),
        ("000001.XSHE", "SZSE.000001", "000001.XSHE", "Stock"),
        ("000001.XSHG", "SSE.000001", "000001.XSHG", "Index"),
        ("510300", "SSE.510300", "510300.XSHG", "Fund"),
        ("IF2301.CFFEX", "CFFEX.IF2301", "IF2301.CFFEX", "Future"),
        ("CFFEX.IO2002-C-3550", "CFFEX.IO2002-C-3550", "IO2002-C-3550.CFFEX", "Other"),
    ],
)
def test_names(spelling: str, symbol: str, book: str, kind: str) -> None:
    assert qamd.instrument_id(spelling) == symbol
    assert qamd.order_book_id(spelling) == book
    assert qamd.order_book_id(book) == book
    assert qamd.instrument_type(spelling) == kind


def test_an_exchanges_own_code() -> None:
    assert qamd.instrument_id("lc2601", "GFEX") == "GFEX.lc2601"
    with pytest.raises(ValueError, match="no exchange"):
        qamd.instrument_id("x", "FOO")


def test_from_ctp() -> None:
    record = {
        "TradingDay": "20251124",
        "ActionDay": b"20251121",
        "InstrumentID": "au2512",
        "UpdateTime": "21:00:00",
        "UpdateMillisec": 500,
        "LastPrice": 936.48,
        "ClosePrice": 1.7976931348623157e308,
        "AskPrice1": 1.7976931348623157e308,
        "AskVolume1": 0,
        "Volume": 8123,
        "AveragePrice": 935770.0,
        "OpenInterest": 152340.0,
        "reserve1": "",
    }
    got = qamd.snapshot_from_ctp(record)
    assert got.instrument_id == "SHFE.au2512"
    assert got.datetime == MOMENT
    assert (got.last_price, got.average, got.volume, got.open_interest) == (936.48, 935.77, 8123, 152340.0)
    assert (got.settlement, got.close, got.ask_volume1) == ("-", None, 0)
    assert math.isnan(got.ask_price1)
    with pytest.raises(ValueError, match="UpdateTime"):
        qamd.snapshot_from_ctp({**record, "UpdateTime": ""})
    with pytest.raises(ValueError, match="30 minutes"):
        qamd.snapshot_from_ctp(record, now_ns=0)


@pytest.mark.shared
def test_the_real_day_through_the_library(real_day: Path) -> None:
    record = pyarrow.csv.read_csv(real_day).slice(1, 1).to_pylist()[0]
    got = qamd.snapshot_from_ctp({**record, "UpdateTime": record["UpdateTime"].isoformat()})
    assert got.average == 1569054.791 / 300
    assert got.to_dict()["datetime"] == "2021-01-04T01:30:00.400Z"


def test_importing_it_starts_nothing() -> None:
    code = (
        "import sys, qautlra.qamd;"
        "heavy = {'pyarrow', 'pandas', 'aiohttp', 'duckdb', 'uvloop'} & set(sys.modules);"
        "assert not heavy, heavy; ours = {m for m in sys.modules if m.startswith('qautlra.')};"
        "assert not any(m.split('.')[1] in ('wire', 'net', 'feed', 'store', 'app') for m in ours), ours"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
