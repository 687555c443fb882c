"""CTP depth records -> rows: no-value rules, units, event time and trading day."""

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

from qautlra._core.market import Calendar, CtpNormaliser, Instruments, Rows
from qautlra.model.calendar import load_calendar

CALENDAR: Calendar = load_calendar()
TABLE = Instruments(CALENDAR, 20251121)
DBL_MAX = 1.7976931348623157e308
BEIJING = dt.timezone(dt.timedelta(hours=8))

RECORD: dict[str, Any] = {
    "TradingDay": "20251124",
    "ActionDay": "20251124",
    "InstrumentID": "au2512",
    "ExchangeID": "",
    "LastPrice": 936.48,
    "PreSettlementPrice": 931.56,
    "PreClosePrice": 932.10,
    "PreOpenInterest": 151876.0,
    "OpenPrice": 935.02,
    "HighestPrice": 936.90,
    "LowestPrice": 934.80,
    "Volume": 8123,
    "Turnover": 7601245600.0,
    "OpenInterest": 152340.0,
    "ClosePrice": DBL_MAX,
    "SettlementPrice": DBL_MAX,
    "UpperLimitPrice": 1043.34,
    "LowerLimitPrice": 819.76,
    "UpdateTime": "09:30:00",
    "UpdateMillisec": 500,
    "BidPrice1": 936.46,
    "BidVolume1": 3,
    "AskPrice1": 936.50,
    "AskVolume1": 7,
    "AveragePrice": 935770.0,
}


def ns(text: str) -> int:
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=BEIJING)
    return int((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1)) * 1000


def normalise(
    *records: dict[str, Any], live_at: str | None = None, normaliser: CtpNormaliser | None = None
) -> tuple[Rows, int]:
    normaliser = normaliser or CtpNormaliser(TABLE, CALENDAR)
    batch = pa.RecordBatch.from_pylist(list(records))
    now_ns = ns(live_at) if live_at else 0
    return normaliser.rows(batch, trust_action_day=live_at is None, now_ns=now_ns)


def one(**changes: Any) -> dict[str, Any]:
    rows, refused = normalise({**RECORD, **changes})
    assert (len(rows), refused) == (1, 0)
    return rows.to_dict(0)


def test_a_plain_record() -> None:
    got = one()
    assert got["instrument_id"] == "SHFE.au2512"
    assert got["datetime"] == ns("2025-11-24 09:30:00.5")
    assert got["trading_day"] == 20251124
    assert got["source"] == "replay"
    assert got["open_interest"] == 152340
    assert got["average"] == 935.77  # money per lot over 1,000 g
    assert (got["close"], got["settlement"], got["iopv"]) == (None, None, None)
    assert got["bid_price2"] is None


@pytest.mark.parametrize("absent", [DBL_MAX, -DBL_MAX, math.nan, math.inf, 3.4028234663852886e38, 1e15, None])
def test_no_value(absent: float | None) -> None:
    got = one(
        OpenPrice=absent, HighestPrice=absent, SettlementPrice=absent, Turnover=absent, OpenInterest=absent
    )
    assert [got[k] for k in ("open", "highest", "settlement", "amount", "open_interest")] == [None] * 5


def test_limit_up_has_no_ask() -> None:
    got = one(AskPrice1=DBL_MAX, AskVolume1=0)
    assert (got["ask_price1"], got["ask_volume1"]) == (None, None)
    assert (got["bid_price1"], got["bid_volume1"]) == (936.46, 3)


def test_a_quote_is_judged_by_its_volume() -> None:
    spread = one(
        InstrumentID="SP a2601&a2605", ExchangeID="DCE", BidPrice1=-12.0, AskPrice1=0.0, LastPrice=-11.0
    )
    assert (spread["bid_price1"], spread["ask_price1"], spread["last_price"]) == (-12.0, 0.0, -11.0)
    empty = one(BidPrice2=0.0, BidVolume2=0, AskPrice2=936.52, AskVolume2=0)
    assert (empty["bid_price2"], empty["ask_price2"]) == (None, None)


def test_limits_of_zero_are_none() -> None:
    got = one(UpperLimitPrice=0.0, LowerLimitPrice=0.0)
    assert (got["upper_limit"], got["lower_limit"]) == (None, None)


def test_czce_turnover_has_no_multiplier_and_may_fall() -> None:
    record = {**RECORD, "InstrumentID": "RM601", "ExchangeID": "CZCE", "AveragePrice": 2751.0, "Volume": 6617}
    rows, _ = normalise(
        {**record, "Turnover": 18203367.0},
        {**record, "Turnover": 18199500.0, "AveragePrice": 2750.0, "Volume": 6618, "UpdateMillisec": 501},
    )
    first, second = rows.to_dicts()
    assert (first["amount"], first["average"]) == (182033670.0, 2751.0)
    assert second["amount"] == 181995000.0 < first["amount"]


def test_an_empty_average_is_amount_over_volume() -> None:
    got = one(InstrumentID="RM601", ExchangeID="CZCE", AveragePrice=0.0, Turnover=18203367.0, Volume=6617)
    assert got["average"] == 2751.0
    before_trade = one(AveragePrice=DBL_MAX, Volume=0, Turnover=0.0)
    assert before_trade["average"] is None


# The table of contract 4.4: Friday 2025-11-21 night is Monday 2025-11-24, whatever each exchange writes.
NIGHT = [
    # code, time, TradingDay, ActionDay, the moment it happened
    ("au2512", "21:00:00", "20251124", "20251121", "2025-11-21 21:00:00"),
    ("au2512", "23:59:59", "20251124", "20251121", "2025-11-21 23:59:59"),
    ("au2512", "00:30:00", "20251124", "20251122", "2025-11-22 00:30:00"),
    ("sc2601", "02:29:59", "20251124", "20251122", "2025-11-22 02:29:59"),
    ("m2601", "21:00:00", "20251124", "20251124", "2025-11-21 21:00:00"),  # DCE writes the trading day
    ("m2601", "22:59:59", "20251124", "20251124", "2025-11-21 22:59:59"),
    ("SR601", "21:00:00", "20251121", "20251121", "2025-11-21 21:00:00"),  # CZCE the natural day
    ("SR601", "22:59:59", "20251121", "20251121", "2025-11-21 22:59:59"),
]


@pytest.mark.parametrize(("code", "time", "trading_day", "action_day", "moment"), NIGHT)
@pytest.mark.parametrize("live", [False, True])
def test_friday_night(
    code: str, time: str, trading_day: str, action_day: str, moment: str, live: bool
) -> None:
    record = {
        **RECORD,
        "InstrumentID": code,
        "UpdateTime": time,
        "TradingDay": trading_day,
        "ActionDay": action_day,
    }
    rows, refused = normalise({**record, "UpdateMillisec": 0}, live_at=moment if live else None)
    assert (len(rows), refused) == (1, 0)
    assert rows.ts_event_ns(0) == ns(moment)
    assert rows.trading_day(0) == 20251124


@pytest.mark.parametrize(
    ("code", "time", "trading_day", "moment"),
    [
        ("au2512", "21:00:00", "20251124", "2025-11-21 21:00:00"),
        ("au2512", "01:00:00", "20251124", "2025-11-22 01:00:00"),
        ("SR601", "21:00:00", "20251121", "2025-11-21 21:00:00"),
        ("IF2512", "09:30:00", "20251124", "2025-11-24 09:30:00"),
    ],
)
def test_recorded_rows_without_an_action_day(code: str, time: str, trading_day: str, moment: str) -> None:
    record = {
        **RECORD,
        "InstrumentID": code,
        "UpdateTime": time,
        "TradingDay": trading_day,
        "UpdateMillisec": 0,
    }
    rows, _ = normalise({**record, "ActionDay": ""})
    assert rows.ts_event_ns(0) == ns(moment)
    assert rows.trading_day(0) == 20251124


@pytest.mark.parametrize(
    ("time", "now", "moment"),
    [
        ("23:59:59", "2025-11-25 00:00:01", "2025-11-24 23:59:59"),  # the tick lags over midnight
        ("00:00:00", "2025-11-24 23:59:58", "2025-11-25 00:00:00"),  # our clock lags
        ("09:30:00", "2025-11-25 09:59:59", "2025-11-25 09:30:00"),
        ("09:30:00", "2025-11-25 10:00:01", None),  # more than half an hour old: the last tick said again
        ("21:00:00", "2025-11-25 08:30:00", None),
        ("14:59:59", "2025-11-25 20:50:00", None),
    ],
)
def test_live_rows_near_midnight_and_stale(time: str, now: str, moment: str | None) -> None:
    record = {
        **RECORD,
        "UpdateTime": time,
        "TradingDay": "20251125",
        "ActionDay": "20251125",
        "UpdateMillisec": 0,
    }
    rows, refused = normalise(record, live_at=now)
    assert refused == (moment is None)
    if moment is not None:
        assert rows.ts_event_ns(0) == ns(moment)
        assert rows.to_dict(0)["source"] == "ctp"
        assert rows.to_dict(0)["recv_time_ns"] == ns(now)


def test_a_live_record_said_again_is_no_new_row() -> None:
    normaliser = CtpNormaliser(TABLE, CALENDAR)
    now = "2025-11-24 09:40:00"
    changed = {**RECORD, "LastPrice": 936.5}
    first = normalise(RECORD, changed, changed, live_at=now, normaliser=normaliser)
    again = normalise(changed, RECORD, live_at=now, normaliser=normaliser)
    assert (len(first[0]), first[1]) == (2, 1)
    assert (len(again[0]), again[1]) == (1, 1)
    recorded = normalise(RECORD, RECORD)
    assert (len(recorded[0]), recorded[1]) == (2, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"UpdateTime": ""}, "UpdateTime"),
        ({"UpdateTime": "25:00:00"}, "UpdateTime"),
        ({"UpdateTime": "noon"}, "UpdateTime"),
        ({"UpdateMillisec": 1000}, "UpdateMillisec"),
        ({"TradingDay": "", "ActionDay": ""}, "neither"),
        ({"TradingDay": "20251332", "ActionDay": "x"}, "neither"),
        ({"InstrumentID": ""}, "empty"),
        ({"InstrumentID": "zz2512"}, "no product"),
        ({"InstrumentID": "au\x012512"}, "character"),
    ],
)
def test_refused_records_are_counted_and_explained(changes: dict[str, Any], reason: str) -> None:
    normaliser = CtpNormaliser(TABLE, CALENDAR)
    rows, refused = normalise(RECORD, {**RECORD, **changes}, normaliser=normaliser)
    assert (len(rows), refused) == (1, 1)
    assert "record 1" in normaliser.first_refusal
    assert reason in normaliser.first_refusal


def test_garbage_behind_the_terminator_is_cut() -> None:
    assert one(InstrumentID="au2512\0\x7f junk", ExchangeID="SHFE\0!")["instrument_id"] == "SHFE.au2512"


def test_missing_columns_mean_no_value() -> None:
    rows, refused = normalise({"InstrumentID": "IF2512", "TradingDay": "20251124", "UpdateTime": "10:00:00"})
    got = rows.to_dict(0)
    assert refused == 0
    assert [k for k, v in got.items() if v is not None] == [
        "instrument_id",
        "datetime",
        "trading_day",
        "seq",
        "recv_time_ns",
        "source",
    ]


def test_types_that_tables_come_in() -> None:
    columns = {
        "InstrumentID": pa.array(["IF2512", "IF2512"], pa.large_string()),
        "TradingDay": pa.array([20251124, 20251124], pa.int64()),
        "ActionDay": pa.array([dt.date(2025, 11, 24)] * 2, pa.date32()),
        "UpdateTime": pa.array([dt.time(9, 30), dt.time(9, 31)], pa.time32("s")),
        "UpdateMillisec": pa.array([0, None], pa.int32()),
        "LastPrice": pa.array(["4500.2", ""], pa.string()),
        "OpenPrice": pa.array([4500, None], pa.int64()),
        "HighestPrice": pa.array([4500.5, 1.0], pa.float32()),
        "Volume": pa.array([12.0, None], pa.float64()),
        "Remark": pa.array([{"a": 1}, None]),
        "ClosePrice": pa.nulls(2),
    }
    rows, refused = CtpNormaliser(TABLE, CALENDAR).rows(
        pa.RecordBatch.from_pydict(columns), trust_action_day=True, now_ns=0
    )
    first, second = rows.to_dicts()
    assert refused == 0
    assert (first["last_price"], first["open"], first["highest"], first["volume"]) == (
        4500.2,
        4500,
        4500.5,
        12,
    )
    assert (second["last_price"], second["open"], second["volume"]) == (None, None, None)
    assert second["datetime"] == ns("2025-11-24 09:31:00")


def test_slices_of_tables() -> None:
    records = [
        {**RECORD, "LastPrice": float(n), "UpdateMillisec": n, "Volume": n if n % 2 else None}
        for n in range(50)
    ]
    whole = pa.RecordBatch.from_pylist(records)
    rows, _ = CtpNormaliser(TABLE, CALENDAR).rows(whole.slice(13, 20), trust_action_day=True, now_ns=0)
    got = rows.to_dicts()
    assert [r["last_price"] for r in got] == [float(n) for n in range(13, 33)]
    assert [r["volume"] for r in got] == [n if n % 2 else None for n in range(13, 33)]


def test_unreadable_tables_say_which_column() -> None:
    normaliser = CtpNormaliser(TABLE, CALENDAR)
    for columns, reason in (
        ({"InstrumentID": ["au2512"], "LastPrice": [b"x"]}, "LastPrice"),
        ({"InstrumentID": [1]}, "InstrumentID"),
        ({"LastPrice": [1.0]}, "InstrumentID"),
    ):
        with pytest.raises(ValueError, match=reason):
            normaliser.rows(pa.RecordBatch.from_pydict(columns), trust_action_day=True, now_ns=0)


def test_ordinals_of_equal_stamps_go_on_across_batches() -> None:
    normaliser = CtpNormaliser(TABLE, CALENDAR)
    other = {**RECORD, "InstrumentID": "rb2601"}
    later = {**RECORD, "UpdateMillisec": 501}
    first, _ = normalise(RECORD, RECORD, other, normaliser=normaliser)
    second, _ = normalise(RECORD, later, RECORD, later, normaliser=normaliser)
    assert [first.ordinal(i) for i in range(3)] == [0, 1, 0]
    assert [second.ordinal(i) for i in range(4)] == [2, 0, 3, 1]
    rows, _ = normaliser.rows(
        pa.RecordBatch.from_pylist([RECORD]), trust_action_day=True, now_ns=0, ordinals=False
    )
    assert rows.ordinal(0) == 0


def read(path: Path) -> tuple[pa.Table, Rows, int]:
    table = pyarrow.csv.read_csv(path)
    normaliser, rows, refused = CtpNormaliser(TABLE, CALENDAR), Rows(TABLE), 0
    for batch in table.to_batches():
        part, bad = normaliser.rows(batch, trust_action_day=True, now_ns=0)
        rows.extend(part)
        refused += bad
    return table, rows, refused


@pytest.mark.shared
def test_the_real_days(real_days: list[Path]) -> None:
    read_days = [read(path) for path in real_days]
    assert [len(rows) for _, rows, _ in read_days] == [27_955, 28_254]
    assert [refused for _, _, refused in read_days] == [0, 0]


@pytest.mark.shared
def test_the_real_day_value_by_value(real_day: Path) -> None:
    table, rows, _ = read(real_day)
    got = rows.to_dicts()
    source = table.to_pylist()
    assert len({(r["datetime"], r["seq"]) for r in got}) == len(got)
    names = {
        "LastPrice": "last_price",
        "OpenPrice": "open",
        "HighestPrice": "highest",
        "LowestPrice": "lowest",
        "PreClosePrice": "pre_close",
        "PreSettlementPrice": "pre_settlement",
        "UpperLimitPrice": "upper_limit",
        "LowerLimitPrice": "lower_limit",
        "Turnover": "amount",
        "Volume": "volume",
        "OpenInterest": "open_interest",
        "PreOpenInterest": "pre_open_interest",
        "ClosePrice": "close",
        "SettlementPrice": "settlement",
    }
    for record, row in zip(source, got, strict=True):
        for theirs, ours in names.items():
            assert row[ours] == record[theirs], (theirs, record)
        assert row["average"] == record["AveragePrice"] / 300
        moment = dt.datetime.strptime(str(record["ActionDay"]), "%Y%m%d").replace(tzinfo=BEIJING)
        clock: dt.time = record["UpdateTime"]
        moment += dt.timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second)
        assert row["datetime"] == int(moment.timestamp()) * 10**9 + record["UpdateMillisec"] * 10**6
        assert row["trading_day"] == 20210104
    assert 1569176.2312 / 300 in {r["average"] for r in got}
    assert got[0]["amount"] == 376560000.0
    assert got[-1]["settlement"] == 5278.6
