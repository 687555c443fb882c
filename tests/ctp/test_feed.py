"""Ticks of the tape as frames of the simulated front: which, in which order, and what is dropped for whom."""

from typing import Any

import pytest

from qautlra._core.ctp_feed import CtpFeed
from qautlra._core.tape import Tape
from qautlra.wire.ctp_frames import Kind, Reader
from qautlra.wire.ctp_records import Record, layout
from tests.models.market import MORNING_NS, SYMBOLS, Market


class Front:
    """A market, its tape and the feed of a front."""

    def __init__(self, capacity: int = 64, **limits: int) -> None:
        self.market = Market()
        self.tape = Tape(self.market.instruments, self.market.calendar, capacity)
        self.feed = CtpFeed(self.tape, **limits)
        self.now_ns = MORNING_NS
        self.client = self.feed.open()

    def tick(self, instrument: int = 0, /, **values: Any) -> None:
        self.now_ns += 500_000_000
        row = {"instrument_id": SYMBOLS[instrument], "datetime": self.now_ns, "last_price": 1.0} | values
        assert self.tape.publish(self.market.rows(row)) == 1

    def got(self, client: int | None = None) -> list[Record]:
        wanted = self.client if client is None else client
        found = []
        for one, frames in self.feed.drain():
            if one == wanted:
                found += [layout("DepthMarketData").read(f.record) for f in Reader(1 << 20).feed(frames)]
        return found


def prices(records: list[Record]) -> list[tuple[str, float]]:
    return [(record.text("InstrumentID"), record["LastPrice"]) for record in records]


def test_every_tick_after_the_subscription_and_the_latest_before_it() -> None:
    front = Front()
    front.tick(last_price=5.0)
    front.tick(last_price=6.0)
    assert front.feed.subscribe(front.client, "IF2101") == 0
    assert prices(front.got()) == [("IF2101", 6.0)]
    for price in (7.0, 8.0, 7.0):
        front.tick(last_price=price)
        front.tick(1, last_price=300.0)
    assert [price for _, price in prices(front.got())] == [7.0, 8.0, 7.0]


def test_only_an_instruments_own_code_names_it() -> None:
    front = Front()
    assert front.feed.subscribe(front.client, "CFFEX.IF2101") == 1
    assert front.feed.subscribe(front.client, "if2101") == 1
    assert front.feed.subscribe(front.client, "NOSUCH99") == 1
    assert front.feed.instrument_of("au2112") == 2


def test_a_record_has_the_units_of_its_exchange() -> None:
    front = Front()
    front.feed.subscribe(front.client, "IF2101")
    front.tick(
        last_price=5200.2,
        average=5190.0,
        amount=3.3e9,
        volume=2119,
        open_interest=1000.0,
        upper_limit=5700.0,
        lower_limit=4700.0,
        bid_price1=5200.0,
        bid_volume1=3,
        ask_price1=None,
    )
    (record,) = front.got()
    assert record["Turnover"] == 3.3e9
    assert record["AveragePrice"] == 5190.0  # this market's CFFEX has no multiplier in it
    assert (record["BidPrice1"], record["BidVolume1"], record["AskVolume1"]) == (5200.0, 3, 0)
    assert record["AskPrice1"] != record["AskPrice1"]
    assert (record["TradingDay"], record["ActionDay"]) == ("20210104", "20210104")
    assert (record["UpdateTime"], record["UpdateMillisec"]) == ("09:30:00", 500)
    assert (record["UpperLimitPrice"], record["Volume"], record["ExchangeID"]) == (5700.0, 2119, "CFFEX")
    assert record["SettlementPrice"] != record["SettlementPrice"]


def test_a_held_client_gets_the_latest_of_each_instrument_once() -> None:
    front = Front()
    for code in ("IF2101", "au2106"):
        front.feed.subscribe(front.client, code)
    front.feed.hold(front.client, True)
    for price in range(10):
        front.tick(0, last_price=float(price))
        front.tick(1, last_price=100.0 + price)
    assert front.got() == []
    front.feed.hold(front.client, False)
    assert sorted(prices(front.got())) == [("IF2101", 9.0), ("au2106", 109.0)]
    assert front.feed.coalesced == 18
    front.tick(last_price=11.0)
    assert prices(front.got()) == [("IF2101", 11.0)]


def test_a_full_buffer_coalesces_and_keeps_the_order_per_instrument() -> None:
    front = Front(unsent_bytes=608 * 3)
    front.feed.subscribe(front.client, "IF2101")
    front.feed.drain()
    for price in range(40):
        front.tick(last_price=float(price))
    assert [price for _, price in prices(front.got())][:3] == [0.0, 1.0, 2.0]
    assert prices(front.got()) == [("IF2101", 39.0)]


def test_an_overrun_tape_leaves_the_latest() -> None:
    front = Front(capacity=16)
    front.feed.subscribe(front.client, "IF2101")
    for price in range(40):
        front.tick(last_price=float(price))
    got = [price for _, price in prices(front.got())]
    assert got == [39.0]
    assert front.feed.overruns == 1


def test_clients_do_not_see_each_other_and_places_are_given_again() -> None:
    front = Front(max_clients=2)
    other = front.feed.open()
    with pytest.raises(RuntimeError):
        front.feed.open()
    front.feed.subscribe(front.client, "IF2101")
    front.feed.subscribe(other, "au2106")
    front.tick(0)
    front.tick(1)
    assert {client for client, _ in front.feed.drain()} == {front.client, other}
    front.feed.close(other)
    front.tick(1)
    assert front.feed.drain() == []
    assert front.feed.open() == other
    assert front.feed.unsubscribe(front.client, "IF2101")
    assert not front.feed.unsubscribe(front.client, "IF2101")
    front.tick(0)
    assert front.feed.drain() == []
    with pytest.raises(LookupError):
        front.feed.subscribe(7, "IF2101")


def test_a_snapshot_asked_for_is_one_frame_of_its_kind() -> None:
    front = Front()
    assert front.feed.depth("IF2101", Kind.QRY_DEPTH, 3, 5) is None
    front.tick(last_price=9.0)
    (got,) = Reader(1 << 20).feed(front.feed.depth("IF2101", Kind.QRY_DEPTH, 3, 5) or b"")
    assert (got.kind, got.flags, got.request) == (Kind.QRY_DEPTH, 3, 5)
    assert layout("DepthMarketData").read(got.record)["LastPrice"] == 9.0
