"""The paper broker's market: what the feed shows trades with users' orders, once per level as it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qautlra._core import book
from qautlra._core.exchange import Exchange
from qautlra._core.journal import Journal, read
from qautlra._core.paper import PaperFeed
from qautlra._core.tape import Tape
from tests.models.market import MORNING_NS, Market

BUY, SELL = 0, 1
OPEN, CLOSE = 0, 1
DAY = 20210104
SECOND = 1_000_000_000
IF: dict[str, Any] = {
    "tick": 0.2,
    "multiple": 300,
    "margin": (0.1, 0),
    "open": (0.000023, 0),
    "close": (0.000023, 0),
    "close_today": (0.0001, 0),
}


class Rig:
    """One instrument on a tape and on an exchange, two accounts."""

    def __init__(self, journal: Journal | None = None) -> None:
        market = Market()
        self.market = market
        self.tape = Tape(market.instruments, market.calendar, 16)
        self.x = Exchange(journal)
        self.x.list("CFFEX.IF2101", 4700, 5740, kinds=book.kinds_of("CFFEX", book.FUTURE), **IF)
        for account in ("a", "b"):
            self.x.move_money(self.x.open_account(account), 100_000_000)
        self.x.settle(DAY)
        self.x.set_phase(0, book.CONTINUOUS)
        self.x.events()
        self.feed = PaperFeed(self.x, self.tape)
        line = market.instruments.intern("CFFEX.IF2101")
        self.feed.join(0, line)
        self.second = 0

    def tick(
        self,
        *,
        last: float = 5230.0,
        bid: tuple[float, int] | None = (5229.8, 5),
        ask: tuple[float, int] | None = (5230.2, 5),
        **more: float,
    ) -> list[int]:
        self.second += 1
        row: dict[str, Any] = {"instrument_id": "IF2101", "datetime": MORNING_NS + self.second * SECOND}
        row |= {"last_price": last, "seq": 0} | more
        if bid:
            row |= {"bid_price1": bid[0], "bid_volume1": bid[1]}
        if ask:
            row |= {"ask_price1": ask[0], "ask_volume1": ask[1]}
        self.tape.publish(self.market.rows(row))
        return self.feed.step()

    def send(
        self, order_id: str, side: int, volume: int, price: float, account: int = 1, **more: Any
    ) -> dict[str, Any]:
        self.feed.refresh(0)
        code, number, _ = self.x.insert(
            account, order_id, 0, side, more.pop("offset", OPEN), volume, price, **more
        )
        assert code == 0, code
        return self.x.order(number)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_order_takes_what_the_feed_shows_and_no_more(rig: Rig) -> None:
    rig.tick()
    order = rig.send("o1", BUY, 8, 5230.2)
    assert (order["left"], order["alive"]) == (3, True)
    trades = [rig.x.trade(n) for n in rig.x.trades_of(1)]
    assert [(t["volume"], t["price"]) for t in trades] == [(5, 5230.2)]
    assert trades[0]["time_ns"] == MORNING_NS + SECOND


def test_a_level_shown_unchanged_is_taken_once(rig: Rig) -> None:
    rig.tick()
    rig.send("o1", BUY, 4, 5230.2)
    rig.tick(last=5230.2)  # the same ask is still shown: one lot of it is left
    assert rig.send("o2", BUY, 4, 5230.2)["left"] == 3
    rig.tick(ask=(5230.2, 6))  # it changed: it is there anew
    assert rig.x.order(1)["left"] == 0
    assert rig.x.order(1)["alive"] is False


def test_a_resting_order_trades_at_its_own_price_when_the_other_side_reaches_it(rig: Rig) -> None:
    rig.tick()
    assert rig.send("o1", BUY, 2, 5229.0)["left"] == 2
    assert rig.tick(last=5229.2, bid=(5228.6, 1), ask=(5228.8, 1)) == [0]
    assert rig.x.order(0)["left"] == 1
    assert rig.x.trade(0)["price"] == 5229.0


def test_users_stand_before_the_street_and_trade_with_each_other(rig: Rig) -> None:
    rig.tick()
    rig.send("b1", SELL, 2, 5230.2, account=2)
    rig.tick(last=5230.2, ask=(5230.2, 9))
    order = rig.send("a1", BUY, 3, 5230.2)
    assert order["left"] == 0
    assert rig.x.order(0)["left"] == 0  # b's two lots first, then one of the street's
    assert [rig.x.trade(n)["volume"] for n in rig.x.trades_of(1)] == [2, 1]
    assert [rig.x.trade(n)["volume"] for n in rig.x.trades_of(2)] == [2]


def test_no_ask_at_the_limit_means_no_fill(rig: Rig) -> None:
    rig.tick(last=5740.0, bid=(5740.0, 900), ask=None, upper_limit=5740.0, lower_limit=4700.0)
    order = rig.send("o1", BUY, 1, 5740.0)
    assert (order["left"], order["alive"]) == (1, True)


def test_snapshots_of_a_section_that_is_over_show_no_book(rig: Rig) -> None:
    rig.tick()
    rig.feed.begin_phase(0, MORNING_NS + 2 * SECOND)
    assert rig.send("o1", BUY, 1, 5230.2)["left"] == 1
    rig.tick()
    assert rig.x.order(0)["left"] == 0


@pytest.mark.parametrize("between", ["settled", "stopped", "stopped, asked"])
def test_what_is_shown_is_shown_again_before_an_order_of_the_next_phase(rig: Rig, between: str) -> None:
    """The feed is silent from then on: an order meets the ask it shows, not an empty book."""
    rig.tick()
    assert rig.send("o1", BUY, 1, 5230.2)["left"] == 0
    if between == "settled":
        assert rig.x.end_day()[0] == 0
        assert rig.x.settle(DAY + 1)[0] == 0
    else:
        rig.x.set_phase(0, book.BREAK)
        rig.feed.begin_phase(0, 0)
        if between == "stopped, asked":
            rig.feed.refresh(0)
    rig.x.set_phase(0, book.CONTINUOUS)
    rig.feed.begin_phase(0, 0)
    assert rig.send("o2", BUY, 2, 5300.0)["left"] == 0
    assert rig.x.trade(rig.x.trades_of(1)[-1])["price"] == 5230.2
    assert rig.x.broken == 0


def test_an_auction_is_the_users_own(rig: Rig) -> None:
    """What the feed showed before it is gone when it begins, not with the next snapshot."""
    rig.tick()
    assert rig.send("o1", BUY, 1, 5230.0)["alive"]
    rig.x.set_phase(0, book.AUCTION)
    rig.feed.begin_phase(0, 0)
    assert rig.x.insert(1, "o2", 0, BUY, OPEN, 2, 5300.0)[0] == 0
    rig.x.set_phase(0, book.AUCTION_MATCHED)
    assert rig.x.trades_of(1) == []


def test_what_rests_trades_with_what_is_shown_when_its_instrument_goes_on(rig: Rig) -> None:
    rig.tick()
    assert rig.send("o1", BUY, 1, 5230.0)["alive"]
    rig.x.set_phase(0, book.BREAK)
    rig.feed.begin_phase(0, 0)
    rig.tick(ask=(5229.8, 4), bid=None)
    rig.x.set_phase(0, book.CONTINUOUS)
    rig.feed.begin_phase(0, 0)
    assert rig.x.trade(0)["price"] == 5230.0


def test_levels_of_the_section_before_are_gone_when_the_next_begins(rig: Rig) -> None:
    rig.tick()
    rig.send("o1", BUY, 1, 5230.2)
    rig.x.set_phase(0, book.BREAK)
    rig.feed.begin_phase(0, MORNING_NS + 2 * SECOND)
    rig.x.set_phase(0, book.CONTINUOUS)
    rig.feed.begin_phase(0, MORNING_NS + 3 * SECOND)
    assert rig.send("o2", BUY, 1, 5230.2)["left"] == 1


@pytest.mark.parametrize("volume", [1_250, 40, 3_000_000])
@pytest.mark.parametrize("side", [BUY, SELL])
def test_lots_are_rules_for_users_not_for_what_the_feed_shows(tmp_path: Path, volume: int, side: int) -> None:
    """Users go in hundreds and to a million at most; the market's own levels stand as shown."""
    lots = {"buy_min": 100, "buy_step": 100, "sell_min": 100, "sell_step": 100, "volume_max": 1_000_000}
    with Journal(tmp_path) as journal:
        rig = Rig(journal)
        rig.x.set_phase(0, book.CLOSED)
        rig.x.list("CFFEX.IF2101", 4700, 5740, **(IF | {"multiple": 1, "margin": (0.0001, 0)} | lots))
        rig.x.set_phase(0, book.CONTINUOUS)
        level = (5230.0, volume)
        rig.tick(bid=level if side == BUY else None, ask=level if side == SELL else None)
        assert rig.x.insert(1, "odd", 0, 1 - side, OPEN, 150, 5230.0)[0] == 1003
        order = rig.send("o", 1 - side, 1_000_000, 5230.0)
        assert order["left"] == max(0, 1_000_000 - volume)
        journal.sync()
        again = Exchange()
        for _, kind, payload in read(tmp_path):
            assert again.replay(kind, payload) == 0
        assert again.state_hash() == rig.x.state_hash()


def test_an_older_journal_is_replayed_by_the_rules_it_was_written_by(tmp_path: Path) -> None:
    """Records of kind 48 are of a time when a bid in no whole lots did not stand: nothing traded with it."""
    with Journal(tmp_path) as journal:
        rig = Rig(journal)
        rig.x.set_phase(0, book.CLOSED)
        rig.x.list("CFFEX.IF2101", 4700, 5740, buy_min=100, buy_step=100, **(IF | {"margin": (0.0001, 0)}))
        rig.x.set_phase(0, book.CONTINUOUS)
        rig.tick(bid=(5230.0, 150), ask=None)
        assert rig.send("o", SELL, 100, 5230.0)["left"] == 0
        journal.sync()
        old = Exchange()
        kinds = [kind for _, kind, _ in read(tmp_path)]
        assert 52 in kinds
        for _, kind, payload in read(tmp_path):
            assert old.replay(48 if kind == 52 else kind, payload) == 0
        assert old.order(0)["left"] == 100


def test_positions_are_marked_and_new_limits_taken_over(rig: Rig) -> None:
    rig.tick()
    rig.send("o1", BUY, 1, 5230.2)
    rig.tick(last=5240.0, upper_limit=5600.0, lower_limit=4800.0)
    assert rig.x.account(1).funds()["position_profit"] == pytest.approx((5240 - 5230.2) * 300)
    code, _, _ = rig.x.insert(1, "o2", 0, BUY, OPEN, 1, 5600.2)
    assert code == 4002


def test_a_tape_that_ran_ahead_leaves_the_latest(rig: Rig) -> None:
    rig.tick()
    rig.send("o1", BUY, 1, 5230.2)
    rows = [
        {
            "instrument_id": "IF2101",
            "datetime": MORNING_NS + (10 + n) * SECOND,
            "seq": 0,
            "last_price": 5000.0 + n,
        }
        for n in range(40)
    ]
    rig.tape.publish(rig.market.rows(*rows))
    assert rig.feed.step() == [0]
    assert rig.x.account(1).position(0)["last_price"] == 5039.0


def test_the_journal_gives_the_same_state_back(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        rig = Rig(journal)
        for n in range(30):
            rig.tick(last=5230 + n % 7, bid=(5229.8 + n % 7, 1 + n % 4), ask=(5230.2 + n % 7, 1 + n % 3))
            rig.send(f"o{n}", n % 2, 1 + n % 5, 5230.0 + n % 9, account=1 + n % 2)
        assert rig.x.broken == 0
        again = Exchange()
        journal.sync()
        for _, kind, payload in read(tmp_path):
            assert again.replay(kind, payload) == 0
        assert again.state_hash() == rig.x.state_hash()
        assert [again.trade(n) for n in again.trades_of(1)] == [rig.x.trade(n) for n in rig.x.trades_of(1)]
        assert len(again.trades_of(1)) > 10
