"""Sina's lines -> rows: the contract's samples and every state, byte for byte."""

from typing import Any

import pytest

from qautlra._core.quotes import FreshRows, SinaNormaliser
from tests.core.quotes import CALENDAR, FRIDAY, golden, ns, read, table, values


def one(name: str, now: str = FRIDAY) -> dict[str, Any]:
    rows, refused = read(SinaNormaliser(table(), CALENDAR), golden("sina", name), now)
    assert refused == {}
    assert len(rows) == 1
    return rows[0]


def refusal(name: str, now: str = FRIDAY) -> dict[str, str]:
    rows, refused = read(SinaNormaliser(table(), CALENDAR), golden("sina", name), now)
    assert rows == []
    return refused


def test_the_stock_sample() -> None:
    row = one("stock")
    assert (row["instrument_id"], row["trading_day"]) == ("SSE.600519", 20251121)
    assert row["datetime"] == ns("2025-11-21 10:30:15")
    assert (row["source"], row["phase"], row["seq"]) == ("sina", "", 0)
    assert values(row) == {
        "open": 1450.0, "pre_close": 1448.88, "last_price": 1456.66, "highest": 1462.0, "lowest": 1446.01,
        "volume": 1_203_344, "amount": 1_750_012_345.0,
        "bid_price1": 1456.65, "bid_price2": 1456.6, "bid_price3": 1456.5, "bid_price4": 1456.48,
        "bid_price5": 1456.45, "ask_price1": 1456.66, "ask_price2": 1456.7, "ask_price3": 1456.8,
        "ask_price4": 1457.0, "ask_price5": 1457.01,
        "bid_volume1": 300, "bid_volume2": 200, "bid_volume3": 500, "bid_volume4": 100, "bid_volume5": 900,
        "ask_volume1": 100, "ask_volume2": 400, "ask_volume3": 300, "ask_volume4": 1100, "ask_volume5": 200,
    }  # fmt: skip


def test_the_index_counts_in_lots() -> None:
    row = one("index", "2025-11-21 15:31:00")
    assert row["instrument_id"] == "SSE.000001"
    assert values(row) == {
        "open": 3839.25, "pre_close": 3830.45, "last_price": 3842.19, "highest": 3851.22, "lowest": 3833.09,
        "volume": 41_456_024_700, "amount": 679_398_992_445.0,
    }  # fmt: skip


def test_an_index_that_counts_in_shares() -> None:
    row = one("index_in_shares", "2025-11-21 15:31:00")
    assert (row["instrument_id"], row["volume"]) == ("SZSE.399001", 40_170_263_373)


@pytest.mark.parametrize(
    ("now", "stamp", "day"),
    [
        ("2025-11-21 21:00:01", "2025-11-21 21:00:00", 20251124),  # Friday's night belongs to Monday
        ("2025-11-21 15:31:00", "2025-11-20 21:00:00", 20251121),  # the same text by day: the night before
        ("2025-11-24 08:59:00", "2025-11-21 21:00:00", 20251124),  # before Monday's opening: Friday's night
    ],
)
def test_the_commodity_sample(now: str, stamp: str, day: int) -> None:
    row = one("commodity", now)
    assert (row["instrument_id"], row["datetime"], row["trading_day"]) == ("SHFE.au2512", ns(stamp), day)
    assert values(row) == {
        "open": 935.02, "highest": 936.9, "lowest": 934.8, "last_price": 936.48, "pre_settlement": 931.56,
        "bid_price1": 936.46, "ask_price1": 936.5, "bid_volume1": 3, "ask_volume1": 7,
        "open_interest": 152_340.0, "volume": 8123, "average": 935.77, "amount": 935.77 * 8123 * 1000,
    }  # fmt: skip


def test_a_night_row_after_midnight() -> None:
    body = golden("sina", "commodity").replace(b",210000,", b",013005,")
    rows, refused = read(SinaNormaliser(table(), CALENDAR), body, "2025-11-22 01:30:06")
    assert refused == {}
    assert (rows[0]["datetime"], rows[0]["trading_day"]) == (ns("2025-11-22 01:30:05"), 20251124)


@pytest.mark.parametrize("shown", ["2025-11-21", "2025-11-22", "2025-11-24"])
def test_whatever_date_the_night_shows(shown: str) -> None:
    body = (
        golden("sina", "commodity").replace(b",210000,", b",013005,").replace(b"2025-11-21", shown.encode())
    )
    rows, refused = read(SinaNormaliser(table(), CALENDAR), body, "2025-11-22 01:30:06")
    assert refused == {}
    assert rows[0]["datetime"] == ns("2025-11-22 01:30:05")


@pytest.mark.parametrize(
    ("now", "time", "shown"),
    [
        ("2025-11-22 16:00:00", "150000", "2025-11-21"),  # Saturday: Friday's close
        ("2025-11-24 09:10:00", "150000", "2025-11-21"),
        ("2025-11-24 09:10:00", "145900", "2025-11-21"),
        ("2025-11-25 09:10:00", "090500", "2025-11-24"),  # nothing traded since yesterday's morning
        ("2025-11-21 20:00:00", "150000", "2025-11-21"),  # the trading day has moved on
        ("2025-10-09 08:30:00", "150000", "2025-09-30"),  # after the holidays
    ],
)
def test_a_stale_commodity_is_no_tick(now: str, time: str, shown: str) -> None:
    body = golden("sina", "commodity").replace(b",210000,", f",{time},".encode())
    body = body.replace(b"2025-11-21", shown.encode())
    rows, refused = read(SinaNormaliser(table(), CALENDAR), body, now)
    assert (rows, refused) == ([], {"nf_AU2512": "stale: not of this trading day"})


@pytest.mark.parametrize("name", ["commodity_18", "commodity_28"])
def test_shorter_commodity_lines(name: str) -> None:
    now = "2025-11-21 21:00:01"
    whole, short = values(one("commodity", now)), values(one(name, now))
    assert set(whole) - set(short) <= {"average", "amount"}
    assert short.items() <= whole.items()


def test_a_commodity_before_the_open_is_held() -> None:
    assert refusal("commodity_before_the_open", "2025-11-21 20:55:05") == {
        "nf_AU2512": "held: no last price yet"
    }


def test_a_commodity_after_the_close() -> None:
    row = one("commodity_closed", "2025-11-21 15:20:00")
    assert (row["datetime"], row["trading_day"]) == (ns("2025-11-21 15:00:00"), 20251121)
    assert (row["close"], row["settlement"]) == (936.48, 935.78)


def test_the_continuous_month_and_zhengzhou() -> None:
    row = one("continuous")
    assert (row["instrument_id"], row["amount"]) == ("KQ.m@SHFE.rb", 3054.0 * 456789 * 10)
    assert one("czce")["instrument_id"] == "CZCE.SR601"


def test_the_financial_sample() -> None:
    row = one("financial", "2025-11-21 14:29:10")
    assert (row["instrument_id"], row["trading_day"]) == ("CFFEX.IF2512", 20251121)
    assert row["datetime"] == ns("2025-11-21 14:29:09.100")
    assert values(row) == {
        "open": 4532.0, "highest": 4561.2, "lowest": 4510.4, "last_price": 4545.6, "volume": 52482,
        "amount": 71_506_390_620.0, "open_interest": 129_902.0, "upper_limit": 4983.4, "lower_limit": 4077.4,
        "pre_close": 4532.2, "pre_settlement": 4530.4, "pre_open_interest": 139_367.0, "average": 4541.645,
        "bid_price1": 4545.6, "bid_volume1": 5, "ask_price1": 4546.0, "ask_volume1": 2,
    }  # fmt: skip


def test_the_line_of_2016_has_its_multiplier_already() -> None:
    instruments = table()
    rows, refused = read(SinaNormaliser(instruments, CALENDAR), golden("sina", "financial_2016"), FRIDAY)
    assert refused == {}
    assert rows[0]["instrument_id"] == "CFFEX.IF1603"
    assert rows[0]["amount"] == 638_026_000.0
    assert rows[0]["average"] == pytest.approx(638_026_000 / 732 / 300)
    assert (rows[0]["close"], rows[0]["settlement"]) == (None, None)


def test_treasury_futures_keep_their_third_decimal() -> None:
    row = one("treasury", "2025-11-21 14:29:10")
    assert (row["instrument_id"], row["last_price"], row["ask_price1"]) == ("CFFEX.T2512", 108.205, 108.205)
    assert row["amount"] == 5_626_660.0 * 10_000


def test_an_amount_that_fits_no_price_is_no_value() -> None:
    body = golden("sina", "financial").replace(b",238354635.400,", b",238354.635,")
    rows, _ = read(SinaNormaliser(table(), CALENDAR), body, "2025-11-21 14:29:10")
    assert rows[0]["amount"] is None


def test_suspended() -> None:
    row = one("suspended")
    assert (row["instrument_id"], row["phase"]) == ("SZSE.000004", "SUSPENDED")
    assert values(row) == {"last_price": 9.87, "pre_close": 9.87, "volume": 0, "amount": 0.0}


def test_before_the_auction() -> None:
    row = one("before_the_auction", "2025-11-21 09:11:05")
    assert row["phase"] == "PREOPEN"
    assert values(row) == {"last_price": 1448.88, "pre_close": 1448.88, "volume": 0, "amount": 0.0}
    held = refusal("before_the_auction_without_a_price", "2025-11-21 09:07:45")
    assert held == {"sh600519": "held: no last price yet"}


def test_the_auction_is_flagged_and_keeps_the_unmatched_side() -> None:
    row = one("auction", "2025-11-21 09:16:25")
    assert row["phase"] == "AUCTION"
    assert values(row) == {
        "last_price": 1448.88, "pre_close": 1448.88, "volume": 0, "amount": 0.0,
        "bid_price1": 1450.0, "ask_price1": 1450.0, "bid_volume1": 5200, "ask_volume1": 5200,
        "bid_volume2": 1300,
    }  # fmt: skip


def test_an_index_before_the_open() -> None:
    row = one("index_before_the_open", "2025-11-21 09:10:15")
    assert row["phase"] == "PREOPEN"
    assert values(row) == {"last_price": 3830.45, "pre_close": 3830.45, "volume": 0, "amount": 0.0}


def test_at_the_upper_limit_nobody_sells() -> None:
    row = one("limit_up")
    assert (row["last_price"], row["ask_price1"], row["ask_volume1"], row["phase"]) == (
        1593.77,
        None,
        None,
        "",
    )


def test_hong_kong_and_new_york() -> None:
    row = one("hong_kong", "2025-11-21 16:00:05")
    assert (row["instrument_id"], row["datetime"]) == ("HKEX.00700", ns("2025-11-21 15:59:58"))
    assert (row["volume"], row["amount"], row["last_price"]) == (16_319_939, 9_990_123_456.0, 612.5)
    row = one("new_york", "2025-11-22 05:01:00")
    assert (row["instrument_id"], row["trading_day"]) == ("US.AAPL", 20251121)
    assert (row["datetime"], row["pre_close"]) == (ns("2025-11-22 05:00:01"), None)


def test_refusals_name_symbol_and_reason() -> None:
    unknown = "the site does not know it"
    assert refusal("unknown") == {"sh999999": unknown, "nf_XX9999": "not an instrument"}
    assert refusal("delisted") == {"sz000005": "delisted"}
    assert refusal("page") == {"": "not a quote"}
    assert "stale" in refusal("stock", "2025-11-24 09:20:00")["sh600519"]
    rows, refused = read(SinaNormaliser(table(), CALENDAR), golden("sina", "cut"), "2025-11-21 15:31:00")
    assert len(rows) == 4
    assert refused == {"sz000004": "the line is cut"}


@pytest.mark.parametrize(
    ("symbol", "spelling"),
    [
        ("SHFE.au2512", "nf_AU2512"),
        ("CZCE.SR601", "nf_SR2601"),
        ("CFFEX.IF2512", "nf_IF2512"),
        ("INE.sc2601", "nf_SC2601"),
        ("GFEX.lc2601", "nf_LC2601"),
        ("KQ.m@SHFE.rb", "nf_RB0"),
        ("KQ.m@CZCE.SR", "nf_SR0"),
        ("SSE.600000", "sh600000"),
        ("SZSE.000001", "sz000001"),
        ("BSE.430047", "bj430047"),
        ("HKEX.00700", "rt_hk00700"),
        ("US.AAPL", "gb_aapl"),
        ("US.BRK.B", "gb_brk$b"),
    ],
)
def test_spellings_both_ways(symbol: str, spelling: str) -> None:
    normaliser = SinaNormaliser(table(), CALENDAR)
    assert normaliser.source_symbol(symbol) == spelling
    assert normaliser.canonical(spelling) == symbol


def test_other_spellings_that_sina_has_or_had() -> None:
    normaliser = SinaNormaliser(table(), CALENDAR)
    assert normaliser.canonical("hk00700") == "HKEX.00700"
    assert normaliser.canonical("CFF_RE_IF1603") == "CFFEX.IF1603"
    for other in ("", "nf_", "nf_9", "s_sh000001", "sh00001", "SHFE.au2512", "nf_QQ0", "é"):
        assert normaliser.canonical(other) is None


@pytest.mark.parametrize(
    "symbol",
    ["DCE.m2601-C-2450", "KQ.i@SHFE.rb", "DCE.SP a2601&a2605", "DCE.l2602F", "SSE.10002513", "NYSE.IBM", "?"],
)
def test_what_sina_does_not_serve(symbol: str) -> None:
    assert SinaNormaliser(table(), CALENDAR).source_symbol(symbol) is None


class TestFreshRows:
    def rows(
        self, normaliser: SinaNormaliser, fresh: FreshRows, body: bytes, now: str
    ) -> list[dict[str, Any]]:
        rows, _ = normaliser.rows(body, ns(now))
        fresh.keep(rows)
        return rows.to_dicts()

    def test_only_the_clock_moved(self) -> None:
        instruments = table()
        normaliser, fresh = SinaNormaliser(instruments, CALENDAR), FreshRows(instruments)
        body = golden("sina", "stock")
        assert len(self.rows(normaliser, fresh, body, FRIDAY)) == 1
        assert self.rows(normaliser, fresh, body, FRIDAY) == []
        later = body.replace(b"10:30:15", b"10:30:18")
        assert self.rows(normaliser, fresh, later, FRIDAY) == []
        moved = later.replace(b",1203344,", b",1203444,")
        assert [row["volume"] for row in self.rows(normaliser, fresh, moved, FRIDAY)] == [1_203_444]
        assert self.rows(normaliser, fresh, body, FRIDAY) == []  # an older answer out of a cache

    def test_rows_of_one_stamp_are_numbered(self) -> None:
        instruments = table()
        normaliser, fresh = SinaNormaliser(instruments, CALENDAR), FreshRows(instruments)
        body = golden("sina", "stock")
        sent = b"".join(body.replace(b",1203344,", f",{1203344 + n},".encode()) for n in range(3))
        assert [row["seq"] for row in self.rows(normaliser, fresh, sent, FRIDAY)] == [0, 1, 2]

    def test_the_same_quote_of_a_new_day_is_new(self) -> None:
        instruments = table()
        normaliser, fresh = SinaNormaliser(instruments, CALENDAR), FreshRows(instruments)
        body = golden("sina", "suspended")
        assert len(self.rows(normaliser, fresh, body, FRIDAY)) == 1
        monday = body.replace(b"2025-11-21", b"2025-11-24")
        assert len(self.rows(normaliser, fresh, monday, "2025-11-24 10:00:00")) == 1

    def test_what_the_tape_holds_is_not_new(self) -> None:
        instruments = table()
        normaliser = SinaNormaliser(instruments, CALENDAR)
        stored, _ = normaliser.rows(golden("sina", "stock"), ns(FRIDAY))

        class Tape:
            def last_row(self, instrument: int) -> Any:
                assert instrument == stored.instrument(0)
                return stored

        rows, _ = normaliser.rows(golden("sina", "stock"), ns(FRIDAY))
        assert FreshRows(instruments).keep(rows, Tape()) == 1
        assert len(rows) == 0

    def test_other_instruments_are_refused(self) -> None:
        rows, _ = SinaNormaliser(table(), CALENDAR).rows(b"", 0)
        with pytest.raises(ValueError, match="differently"):
            FreshRows(table()).keep(rows)
