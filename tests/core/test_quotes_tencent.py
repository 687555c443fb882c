"""Tencent's lines -> rows: the contract's samples and every state, byte for byte."""

import math
from typing import Any

import pytest

from qautlra._core.quotes import TencentNormaliser
from tests.core.quotes import CALENDAR, FRIDAY, golden, ns, read, table, values


def one(name: str, now: str = FRIDAY) -> dict[str, Any]:
    rows, refused = read(TencentNormaliser(table(), CALENDAR), golden("tencent", name), now)
    assert refused == {}
    assert len(rows) == 1
    return rows[0]


def refusal(name: str, now: str = FRIDAY) -> dict[str, str]:
    rows, refused = read(TencentNormaliser(table(), CALENDAR), golden("tencent", name), now)
    assert rows == []
    return refused


def test_the_stock_sample() -> None:
    row = one("stock")
    assert row["instrument_id"] == "SZSE.000001"
    assert row["datetime"] == ns("2025-11-21T02:30:15+00:00")
    assert row["trading_day"] == 20251121
    assert (row["source"], row["phase"], row["seq"]) == ("tencent", "", 0)
    assert values(row) == {
        "last_price": 12.34, "pre_close": 12.21, "open": 12.25, "highest": 12.41, "lowest": 12.18,
        "upper_limit": 13.43, "lower_limit": 10.99, "average": 12.31,
        "volume": 45_678_900, "amount": 562_345_678.0,
        "bid_price1": 12.33, "bid_price2": 12.32, "bid_price3": 12.31, "bid_price4": 12.30,
        "bid_price5": 12.29,
        "ask_price1": 12.34, "ask_price2": 12.35, "ask_price3": 12.36, "ask_price4": 12.37,
        "ask_price5": 12.38,
        "bid_volume1": 120_300, "bid_volume2": 98_000, "bid_volume3": 221_000, "bid_volume4": 330_100,
        "bid_volume5": 45_000, "ask_volume1": 31_000, "ask_volume2": 142_200, "ask_volume3": 99_000,
        "ask_volume4": 200_100, "ask_volume5": 77_700,
    }  # fmt: skip


def test_the_index_sample_has_no_book_and_no_limits() -> None:
    row = one("index", "2025-11-21 15:00:10")
    assert row["instrument_id"] == "SSE.000001"
    assert row["datetime"] == ns("2025-11-21 15:00:00")
    assert values(row) == {
        "last_price": 3842.19, "pre_close": 3830.45, "open": 3839.25, "highest": 3851.22, "lowest": 3833.09,
        "average": 3842.53, "volume": 41_456_024_700, "amount": 679_398_992_445.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["samples", "several_on_a_line"])
def test_several_lines(name: str) -> None:
    rows, refused = read(TencentNormaliser(table(), CALENDAR), golden("tencent", name), "2025-11-21 15:00:10")
    assert [row["instrument_id"] for row in rows] == ["SZSE.000001", "SSE.000001"]
    assert refused == {}


def test_half_a_character_is_no_separator() -> None:
    assert values(one("tilde_in_a_name")) == values(one("stock"))


@pytest.mark.parametrize("name", ["star_lots", "star_shares"])
def test_the_amount_tells_what_688_counts_in(name: str) -> None:
    row = one(name)
    assert (row["instrument_id"], row["volume"], row["amount"]) == ("SSE.688001", 1_234_500, 61_725_000.0)


@pytest.mark.parametrize("name", ["slashed_time", "dashed_time"])
def test_every_form_of_time(name: str) -> None:
    assert one(name)["datetime"] == ns("2025-11-21 10:30:15")


def test_hong_kong() -> None:
    row = one("hong_kong", "2025-11-21 16:00:00")
    assert (row["instrument_id"], row["trading_day"]) == ("HKEX.00700", 20251121)
    assert row["datetime"] == ns("2025-11-21 15:59:58")
    got = values(row)
    assert (got["volume"], got["amount"]) == (16_319_939, 9_990_123_456.0)
    assert (got["bid_price1"], got["bid_volume1"], got["ask_price1"], got["ask_volume1"]) == (
        612.5,
        0,
        613.0,
        0,
    )
    assert not {"bid_price2", "bid_volume2", "upper_limit", "average"} & set(got)


def test_new_york_writes_its_own_time() -> None:
    row = one("new_york", "2025-11-22 05:10:00")
    assert (row["instrument_id"], row["trading_day"]) == ("US.AAPL", 20251121)
    assert row["datetime"] == ns("2025-11-21 16:00:01-05:00")
    assert (row["volume"], row["bid_volume1"], row["last_price"]) == (59_030_832, 100, 271.49)


@pytest.mark.parametrize(
    ("shown", "offset"),
    [
        ("2025-03-09 01:59:59", 5),
        ("2025-03-09 03:00:00", 4),
        ("2025-11-02 00:59:59", 4),
        ("2025-11-02 02:00:00", 5),
    ],
)
def test_new_york_summer_time(shown: str, offset: int) -> None:
    body = golden("tencent", "new_york").replace(b"2025-11-21 16:00:01", shown.encode())
    at = f"{shown}-0{offset}:00"
    rows, refused = TencentNormaliser(table(), CALENDAR).rows(body, ns(at) + 10**9)
    assert (refused, rows.ts_event_ns(0)) == ([], ns(at))


@pytest.mark.parametrize("name", ["old_50_fields", "old_60_fields", "shortest"])
def test_shorter_lines_of_older_years(name: str) -> None:
    whole, short = values(one("stock")), values(one(name))
    gone = set(whole) - set(short)
    assert gone <= {"average", "upper_limit", "lower_limit", "amount"}
    assert short == {key: value for key, value in whole.items() if key not in gone}


def test_refusals_name_symbol_and_reason() -> None:
    assert refusal("too_short") == {"sz000001": "the line has 34 fields, not 35 or more"}
    assert refusal("none_match") == {}
    assert refusal("empty") == {"sz999999": "the site does not know it"}
    assert refusal("delisted") == {"sz000005": "delisted"}
    assert refusal("page") == {"": "not a quote"}
    assert refusal("before_the_auction_without_a_price") == {"sz000001": "held: no last price yet"}


def test_a_cut_line_is_refused_whole() -> None:
    body = golden("tencent", "cut")
    rows, refused = read(TencentNormaliser(table(), CALENDAR), body, "2025-11-21 15:00:10")
    assert [row["instrument_id"] for row in rows] == ["SZSE.000001"]
    assert refused == {"sh000001": "the line is cut"}


def test_before_the_auction() -> None:
    row = one("before_the_auction", "2025-11-21 09:09:01")
    assert row["phase"] == "PREOPEN"
    got = values(row)
    assert got.pop("amount") == 0.0
    assert got == {
        "last_price": 12.21, "pre_close": 12.21, "upper_limit": 13.43, "lower_limit": 10.99, "volume": 0,
    }  # fmt: skip


def test_the_auction_is_flagged_and_keeps_the_unmatched_side() -> None:
    row = one("auction", "2025-11-21 09:16:31")
    assert row["phase"] == "AUCTION"
    got = values(row)
    assert got["bid_price1"] == got["ask_price1"] == 12.30
    assert got["bid_volume1"] == got["ask_volume1"] == 150_000
    assert got["bid_volume2"] == 23_000
    assert not {"bid_price2", "ask_price2", "ask_volume2", "open", "highest", "lowest"} & set(got)


def test_suspended() -> None:
    row = one("suspended")
    assert (row["phase"], row["last_price"], row["volume"]) == ("SUSPENDED", 9.87, 0)
    assert (row["open"], row["highest"], row["bid_price1"], row["bid_volume1"]) == (None, None, None, None)


def test_at_the_upper_limit_nobody_sells() -> None:
    row = one("limit_up")
    assert (row["last_price"], row["bid_price1"], row["ask_price1"], row["ask_volume1"]) == (
        13.43,
        13.43,
        None,
        None,
    )
    assert row["phase"] == ""


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ("2025-11-22 10:30:30", "stale"),
        ("2025-11-24 09:10:00", "stale"),
        ("2025-11-20 10:30:30", "ahead"),
        ("2025-11-21 09:59:00", "ahead"),
    ],
)
def test_a_quote_of_another_day_is_no_tick(now: str, reason: str) -> None:
    assert reason in refusal("stock", now)["sz000001"]


def test_only_what_was_asked_for_enters_the_table() -> None:
    instruments = table()
    normaliser = TencentNormaliser(instruments, CALENDAR)
    rows, refused = normaliser.rows(golden("tencent", "samples"), ns("2025-11-21 15:00:10"), {"sh000001"})
    assert [rows.symbol(i) for i in range(len(rows))] == ["SSE.000001"]
    assert refused == [("sz000001", "not asked for")]
    assert instruments.find("SZSE.000001") == -1


def test_a_line_that_names_another_code_is_refused() -> None:
    body = golden("tencent", "stock").replace(b"v_sz000001", b"v_sz000002")
    assert TencentNormaliser(table(), CALENDAR).rows(body, ns(FRIDAY))[1] == [
        ("sz000002", "the line names another code")
    ]


def test_garbage_is_counted_and_bounded() -> None:
    normaliser = TencentNormaliser(table(), CALENDAR)
    rows, refused = normaliser.rows(b"x;" * 10_000, ns(FRIDAY))
    assert (len(rows), len(refused), normaliser.refused_count) == (0, 4096, 10_000)


@pytest.mark.parametrize("text", ["", "-", "--", "nan", "inf", "1e400", "0x10", "12.3.4", "-5", "1e15", "９"])
def test_what_is_no_price_is_no_value(text: str) -> None:
    body = golden("tencent", "stock").replace(b"~12.25~", f"~{text}~".encode("gb18030"))
    rows, _ = TencentNormaliser(table(), CALENDAR).rows(body, ns(FRIDAY))
    assert rows.to_dict(0)["open"] is None
    assert not any(isinstance(v, float) and math.isinf(v) for v in rows.to_dict(0).values())


@pytest.mark.parametrize(
    ("symbol", "spelling"),
    [
        ("SSE.600000", "sh600000"),
        ("SZSE.000001", "sz000001"),
        ("BSE.430047", "bj430047"),
        ("SSE.000001", "sh000001"),
        ("HKEX.00700", "hk00700"),
        ("US.AAPL", "usAAPL"),
        ("US.BRK.B", "usBRK.B"),
    ],
)
def test_spellings_both_ways(symbol: str, spelling: str) -> None:
    normaliser = TencentNormaliser(table(), CALENDAR)
    assert normaliser.source_symbol(symbol) == spelling
    assert normaliser.canonical(spelling) == symbol


@pytest.mark.parametrize(
    "symbol", ["SHFE.au2512", "KQ.m@SHFE.rb", "SSE.10002513", "NYSE.IBM", "", "nothing!", "é"]
)
def test_what_tencent_does_not_serve(symbol: str) -> None:
    assert TencentNormaliser(table(), CALENDAR).source_symbol(symbol) is None


@pytest.mark.parametrize(
    "spelling", ["", "sh", "sh60051", "s_sh600519", "ff_sh600519", "nf_AU2512", "shABCDEF", "é"]
)
def test_what_is_no_spelling_of_tencents(spelling: str) -> None:
    assert TencentNormaliser(table(), CALENDAR).canonical(spelling) is None
