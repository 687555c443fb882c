"""Quote patches of a DIFF server into full rows: no-values, spellings, stamps, ordinals, bounds."""

import math
import tomllib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from qautlra._core.market import Calendar, Instruments, Rows
from qautlra._core.quotes_diff import QuoteMerger, heads

CONFIG = Path(__file__).parents[2] / "config"
CALENDAR = Calendar(
    *(tomllib.loads((CONFIG / f"{name}.toml").read_text("utf-8")) for name in ("calendar", "products"))
)
BEIJING = timezone(timedelta(hours=8))


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=BEIJING)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


@pytest.fixture
def merger() -> QuoteMerger:
    return QuoteMerger(Instruments(CALENDAR, 20251121))


def one(
    merger: QuoteMerger, quote: Any, name: str = "SHFE.au2512", recv_ns: int = 7
) -> dict[str, Any] | None:
    rows = merger.rows([{name: quote}], recv_ns)
    assert len(rows) <= 1
    return rows.to_dict(0) if len(rows) else None


FULL = {
    "instrument_id": "SHFE.au2512", "datetime": "2025-11-21 21:00:00.500000", "last_price": 936.48,
    "open": 935.02, "highest": 936.9, "lowest": 934.8, "volume": 8123, "amount": 7601245600.0,
    "open_interest": 152340, "pre_open_interest": 151876, "pre_close": 932.1, "pre_settlement": 931.56,
    "upper_limit": 1043.34, "lower_limit": 819.76, "bid_price1": 936.46, "bid_volume1": 3,
    "ask_price1": 936.5, "ask_volume1": 7, "close": "-", "settlement": "-", "average": 935.77,
}  # fmt: skip


def test_the_contracts_conversation(merger: QuoteMerger) -> None:
    row = one(merger, FULL)
    assert row is not None
    assert row["instrument_id"] == "SHFE.au2512"
    assert row["datetime"] == ns("2025-11-21 21:00:00.500000")
    assert row["trading_day"] == 20251124  # Friday night
    assert (row["source"], row["recv_time_ns"], row["seq"]) == ("upstream", 7, 0)
    assert (row["close"], row["settlement"], row["bid_price2"], row["iopv"]) == (None, None, None, None)
    assert (row["volume"], row["bid_volume1"], row["open_interest"]) == (8123, 3, 152340.0)
    patched = one(merger, {"last_price": 936.5, "volume": 8130, "datetime": "2025-11-21 21:00:01.000000"})
    assert patched == row | {
        "last_price": 936.5, "volume": 8130, "datetime": ns("2025-11-21 21:00:01")
    }  # fmt: skip
    locked = one(merger, {"ask_price1": "-", "ask_volume1": 0, "datetime": "2025-11-21 21:00:02.000000"})
    assert locked is not None
    assert (locked["ask_price1"], locked["ask_volume1"]) == (None, None)


@pytest.mark.parametrize(
    "stamp",
    [
        "2025-11-21 21:00:00.500000", "2025-11-21T13:00:00.500Z", "2025-11-21T21:00:00.5+08:00",
        1763730000500, 1763730000500000, 1763730000500000000,
    ],
)  # fmt: skip
def test_stamps(merger: QuoteMerger, stamp: Any) -> None:
    row = one(merger, FULL | {"datetime": stamp})
    assert row is not None
    assert row["datetime"] == ns("2025-11-21 21:00:00.500000")


@pytest.mark.parametrize(
    "stamp", [None, "-", "", "yesterday", True, 0, -5, 1 << 80, 1.5, [], "1800-01-01 00:00:00"]
)
def test_no_stamp_no_row(merger: QuoteMerger, stamp: Any) -> None:
    assert one(merger, FULL | {"datetime": stamp}) is None
    assert merger.undated == 1
    assert one(merger, {"datetime": "2025-11-21 21:00:01.000000"}) is not None


@pytest.mark.parametrize("value", [None, "-", "", "12", True, [], {}, 1e15, -1e300, 1 << 70, float("nan")])
def test_no_value(merger: QuoteMerger, value: Any) -> None:
    row = one(merger, FULL | {"last_price": value, "volume": value})
    assert row is not None
    assert row["last_price"] is None
    assert row["volume"] is None


def test_counts_are_whole_and_not_below_zero(merger: QuoteMerger) -> None:
    row = one(merger, FULL | {"volume": 12.0, "bid_volume1": 1.5, "ask_volume1": -1})
    assert row is not None
    assert (row["volume"], row["bid_volume1"], row["ask_volume1"]) == (12, None, None)


def test_other_words_and_zero_limits(merger: QuoteMerger) -> None:
    quote = FULL | {"high": 940.0, "low": 930.0, "upper_limit": 0, "lower_limit": 0, "price_tick": 0.01}
    row = one(merger, quote)
    assert row is not None
    assert (row["highest"], row["lowest"]) == (940.0, 930.0)
    assert (row["upper_limit"], row["lower_limit"]) == (None, None)


@pytest.mark.parametrize("name", ["au2512", "SHFE_au2512", "nf_AU2512"])
def test_any_spelling_is_one_instrument(merger: QuoteMerger, name: str) -> None:
    merger.want(["SHFE.au2512"])
    row = one(merger, FULL, name)
    assert row is not None
    assert row["instrument_id"] == "SHFE.au2512"
    assert one(merger, FULL, "SHFE.au2512") is None  # the same row under its other name


def test_what_is_not_wanted_is_counted_and_not_interned(merger: QuoteMerger) -> None:
    merger.want(["SHFE.rb2601"])
    assert one(merger, FULL) is None
    assert one(merger, FULL) is None
    assert one(merger, FULL, "no such thing!") is None
    assert (merger.unwanted, merger.refused, len(merger.instruments)) == (2, 1, 0)
    assert "no such thing" in merger.first_refusal
    merger.want(["SHFE.au2512"])
    assert one(merger, FULL) is not None
    assert len(merger) == 1
    merger.want([])
    assert len(merger) == 0
    merger.want(None)
    assert one(merger, {"last_price": 1.0}) is None  # the tree was forgotten: no stamp
    assert merger.undated == 1


def test_an_empty_quote_makes_no_instrument(merger: QuoteMerger) -> None:
    for quote in ({}, None, "", 0):
        assert one(merger, quote) is None
    assert len(merger.instruments) == len(merger) == 0


def test_the_bound(merger: QuoteMerger) -> None:
    small = QuoteMerger(merger.instruments, max_instruments=2)
    quotes = {f"SHFE.rb26{month:02d}": FULL for month in range(1, 6)}
    assert len(small.rows([quotes], 0)) == 2
    assert (len(small), small.unwanted) == (2, 3)
    for number in range(100):
        small.rows([{f"SHFE.rb{2700 + number}": FULL}], 0)
    assert len(small) == 2


def test_null_deletes(merger: QuoteMerger) -> None:
    assert one(merger, FULL) is not None
    assert one(merger, None) is None
    assert one(merger, {"last_price": 1.0}) is None
    row = one(merger, {"last_price": 1.0, "datetime": "2025-11-21 21:00:03"})
    assert row is not None
    assert row["open"] is None
    assert len(merger.rows([None], 0)) == 0
    assert one(merger, {"open": 1.0}) is None
    assert merger.undated == 2


def test_ordinals_of_one_stamp(merger: QuoteMerger) -> None:
    prices = [(one(merger, FULL | {"last_price": price}) or {}).get("seq") for price in (1.0, 1.0, 2.0, 1.0)]
    assert prices == [0, None, 1, 2]
    later = one(merger, {"datetime": "2025-11-21 21:00:01"})
    assert later is not None
    assert later["seq"] == 0


def test_what_is_stored_is_not_given_again(merger: QuoteMerger) -> None:
    before = merger.rows([{"SHFE.au2512": FULL}], 0)
    again = QuoteMerger(merger.instruments)
    again.restore(before)
    assert one(again, FULL) is None
    row = one(again, FULL | {"volume": 9000})
    assert row is not None
    assert row["seq"] == 1
    other = QuoteMerger(Instruments(CALENDAR))
    with pytest.raises(ValueError, match="differently"):
        other.restore(before)


def test_a_new_connection_starts_with_full_quotes(merger: QuoteMerger) -> None:
    one(merger, FULL | {"bid_price2": 936.0, "bid_volume2": 1})
    merger.forget()
    row = one(merger, FULL | {"datetime": "2025-11-21 21:00:09"})
    assert row is not None
    assert row["bid_price2"] is None


def test_ticks_that_travel_together_stay_apart(merger: QuoteMerger) -> None:
    first = {"SHFE.au2512": FULL}
    second = {"SHFE.au2512": {"last_price": 937.0}}  # belongs to the first: no stamp of its own
    third = {"SHFE.au2512": {"last_price": 938.0, "datetime": "2025-11-21 21:00:01"}}
    rows = merger.rows([first, second, third], 0).to_dicts()
    assert [row["last_price"] for row in rows] == [937.0, 938.0]
    assert [row["datetime"] for row in rows] == [ns("2025-11-21 21:00:00.500000"), ns("2025-11-21 21:00:01")]


def test_an_older_stamp_is_late_and_keeps_its_own_numbers(merger: QuoteMerger) -> None:
    one(merger, FULL)
    seqs = []
    for second, price in (("20:59:59", 1.0), ("20:59:59", 2.0), ("21:00:00.500000", 3.0)):
        row = one(merger, {"datetime": f"2025-11-21 {second}", "last_price": price})
        assert row is not None
        seqs.append(row["seq"])
    assert seqs == [0, 1, 1]
    assert merger.late == 2


def test_heads(merger: QuoteMerger) -> None:
    rows = merger.rows([{"SHFE.au2512": FULL, "SHFE.rb2601": {"datetime": FULL["datetime"]}}], 0)
    stamp = ns("2025-11-21 21:00:00.500000")
    found = heads(rows)
    assert found[0] == (0, stamp, 936.48, 8123)
    assert found[1][:2] == (1, stamp)
    assert math.isnan(found[1][2])
    assert found[1][3] == -1
    assert heads(rows, 1, 2)[0][0] == 1
    assert heads(Rows(merger.instruments)) == []
