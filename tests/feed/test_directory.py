"""What can be done in an instrument now: the newest row says so, else the calendar does."""

from datetime import datetime, timedelta, timezone

import pytest

from qautlra.base.clock import VirtualClock
from qautlra.feed.directory import AUCTION, NOT_TRADING, TRADING, Directory
from tests.models.market import Market

BEIJING = timezone(timedelta(hours=8))


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BEIJING).timestamp()) * 1_000_000_000


class Rows:
    def __init__(self) -> None:
        self.said: dict[int, tuple[int, int]] = {}

    def phase(self, instrument: int) -> tuple[int, int] | None:
        return self.said.get(instrument)


def state(now: str, symbol: str, rows: Rows | None = None) -> str:
    market = Market()
    clock = VirtualClock("replay", ns(now))
    return Directory(market.instruments, market.calendar, clock, rows).trading_status(symbol)


@pytest.mark.parametrize(
    ("symbol", "now", "expected"),
    [
        ("CFFEX.IF2101", "2021-01-04 09:24:59", NOT_TRADING),
        ("CFFEX.IF2101", "2021-01-04 09:25:00", AUCTION),
        ("CFFEX.IF2101", "2021-01-04 09:29:59", AUCTION),
        ("CFFEX.IF2101", "2021-01-04 09:30:00", TRADING),
        ("CFFEX.IF2101", "2021-01-04 12:56:00", NOT_TRADING),  # nothing is collected in the lunch break
        ("CFFEX.IF2101", "2021-01-04 13:00:00", TRADING),
        ("CFFEX.IF2101", "2021-01-04 15:00:00", NOT_TRADING),
        ("SHFE.au2106", "2021-01-04 20:56:00", AUCTION),
        ("SHFE.au2106", "2021-01-05 01:00:00", TRADING),
        ("SHFE.au2106", "2021-01-05 02:31:00", NOT_TRADING),
        ("SHFE.au2106", "2021-01-05 08:57:00", NOT_TRADING),  # the night had it
        ("SHFE.au2308", "2023-05-25 08:57:00", NOT_TRADING),
        ("SHFE.au2308", "2023-05-26 08:54:59", NOT_TRADING),
        ("SHFE.au2308", "2023-05-26 08:57:00", AUCTION),  # the first with one of its own
        ("SHFE.au2308", "2023-05-26 10:27:00", NOT_TRADING),
        ("SHFE.au2106", "2021-01-05 10:20:00", NOT_TRADING),
        ("SHFE.au2106", "2021-01-05 13:27:00", NOT_TRADING),
    ],
)
def test_the_calendar_says(symbol: str, now: str, expected: str) -> None:
    assert state(now, symbol) == expected


def test_a_contract_that_has_ended_does_not_trade() -> None:
    market, rows = Market(), Rows()
    number = market.instruments.find("CFFEX.IF2101")

    def said(now: str) -> str:
        clock = VirtualClock("replay", ns(now))
        directory = Directory(market.instruments, market.calendar, clock, rows, lambda _symbol: 20210115)
        return directory.trading_status("CFFEX.IF2101")

    assert said("2021-01-15 10:00:00") == TRADING
    assert said("2021-01-18 10:00:00") == NOT_TRADING
    rows.said[number] = (0, ns("2021-01-15 14:59:59"))
    assert said("2021-01-18 10:00:00") == NOT_TRADING
    rows.said[number] = (0, ns("2021-01-18 09:59:59"))  # the market knows better
    assert said("2021-01-18 10:00:00") == TRADING


def test_stocks_have_their_own_auctions() -> None:
    from qautlra.feed.directory import _scheduled

    day = [
        (ns(f"2021-01-04 {a}"), ns(f"2021-01-04 {b}")) for a, b in (("09:30", "11:30"), ("13:00", "15:00"))
    ]
    for at, expected in (
        *(("09:14", NOT_TRADING), ("09:15", AUCTION), ("09:24", AUCTION), ("09:25", NOT_TRADING)),
        *(("09:30", TRADING), ("11:29", TRADING), ("12:50", NOT_TRADING), ("14:56", TRADING)),
        *(("14:57", AUCTION), ("15:00", NOT_TRADING)),
    ):  # fmt: skip
        assert _scheduled("SSE.600000", ns(f"2021-01-04 {at}"), day, [day[0][0]]) == expected, at


def test_a_row_says_more_than_the_calendar_while_it_is_fresh() -> None:
    rows = Rows()
    rows.said[0] = (2, ns("2021-01-04 10:00:00"))
    assert state("2021-01-04 10:00:30", "CFFEX.IF2101", rows) == AUCTION
    assert state("2021-01-04 10:01:00", "CFFEX.IF2101", rows) == TRADING
    rows.said[0] = (3, ns("2021-01-04 09:00:00"))  # suspended, and that for the whole day
    assert state("2021-01-04 14:00:00", "CFFEX.IF2101", rows) == NOT_TRADING
    assert state("2021-01-05 10:00:00", "CFFEX.IF2101", rows) == TRADING
    assert state("2021-01-04 10:00:30", "SHFE.au2106", rows) == TRADING


def test_the_exchanges_word_goes_before_both_until_it_is_gone() -> None:
    market = Market()
    directory = Directory(market.instruments, market.calendar, VirtualClock("x", ns("2021-01-04 10:00:00")))
    symbol, other = "CFFEX.IF2101", "CFFEX.IF2103"
    directory.tell("ctp.one", "CFFEX.IF", NOT_TRADING)
    assert directory.trading_status(symbol) == directory.trading_status(other) == NOT_TRADING
    directory.tell("ctp.one", symbol, AUCTION)
    assert (directory.trading_status(symbol), directory.trading_status(other)) == (AUCTION, NOT_TRADING)
    directory.tell("ctp.two", "SHFE.au", NOT_TRADING)
    directory.forget("ctp.one")
    directory.forget("nobody")
    assert directory.trading_status(symbol) == TRADING
