"""What orders meet on the paper exchange when an operator settles or stops it while the feed goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trade.rig import ACCOUNT, Rig, run

CU, RB = "SHFE.cu2109", "SHFE.rb2110"


def shown(rig: Rig) -> None:
    """Four instruments, one of them with a bid and an ask."""
    assert rig.trade.open_account(ACCOUNT, 10_000_000).ok
    rig.quotes()
    rig.tick(RB, 5001, bid_price1=5000, bid_volume1=5, ask_price1=5002, ask_volume1=5)


def prices(rig: Rig) -> list[tuple[int, float]]:
    return [(t.volume, t.price) for t in rig.trade.trades(ACCOUNT)]


def test_an_order_behind_a_settlement_meets_what_the_feed_shows(tmp_path: Path) -> None:
    """No tick comes between: the order trades at the bid, not at its own limit, and a restart knows it."""
    hashes: list[int] = []

    async def first(rig: Rig) -> None:
        shown(rig)
        assert rig.send("o1", RB, "BUY", "OPEN", 3, 5002).ok
        assert rig.send("o2", RB, "BUY", "OPEN", 1, 4990).ok
        assert rig.trade.settling.settle(by="root", force=True).ok
        assert rig.trade.trading_day == 20210803
        assert rig.send("o3", RB, "SELL", "CLOSE", 2, 4900).ok
        assert rig.send("o4", RB, "BUY", "OPEN", 5, 5100).ok  # the day's book is there anew, and whole
        assert prices(rig) == [(2, 5000), (5, 5002)]
        rig.tick(RB, 5000, bid_price1=5000, bid_volume1=5, ask_price1=5002, ask_volume1=5)
        assert rig.send("o5", RB, "SELL", "CLOSETODAY", 4, 5000).ok
        assert prices(rig) == [(2, 5000), (5, 5002), (3, 5000)]  # the bid is the same: three lots were left
        hashes.append(rig.trade.engine.exchange.state_hash())

    async def second(rig: Rig) -> None:
        assert rig.trade.engine.exchange.state_hash() == hashes[0]
        assert prices(rig) == [(2, 5000), (5, 5002), (3, 5000)]

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")


def stop(rig: Rig, symbol: str, stopped: bool) -> None:
    (rig.trade.stopped.add if stopped else rig.trade.stopped.discard)(symbol)
    rig.trade.engine.follow_stop(symbol)


def test_an_order_of_a_stopped_instrument_can_be_withdrawn(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        shown(rig)
        for name in ("o1", "o2", "o3"):
            assert rig.send(name, RB, "BUY", "OPEN", 1, 4900).ok
        stop(rig, RB, True)
        assert rig.send("no", RB, "BUY", "OPEN", 1, 5002).code == 4004
        assert rig.cancel("o1").ok
        order = rig.trade.find(ACCOUNT, "o1")
        assert order is not None and (order.is_alive, order.message) == (False, "已撤单")
        assert rig.trade.funds(ACCOUNT)["frozen_margin"] == pytest.approx(2 * 4900 * 10 * 0.09)
        rig.at("2021-08-02 10:16:00")  # the exchange's break
        assert rig.cancel("o2").ok
        rig.at("2021-08-02 15:01:00")  # and its end: nothing goes in or out
        assert rig.cancel("o3").code == 4005

    run(tmp_path, body)


def test_a_stopped_auction_keeps_what_its_hours_keep(tmp_path: Path) -> None:
    """Copper's auction is over at 20:59: until the section begins nothing goes out, stopped or not."""

    async def body(rig: Rig) -> None:
        rig.at("2021-08-02 20:56:00")
        shown(rig)
        assert rig.send("o1", RB, "BUY", "OPEN", 1, 4900).ok
        assert rig.send("o2", RB, "BUY", "OPEN", 1, 4900).ok
        stop(rig, RB, True)
        assert rig.cancel("o1").ok
        rig.at("2021-08-02 20:59:30")
        assert rig.cancel("o2").code == 4005
        rig.at("2021-08-02 21:00:00")
        assert rig.cancel("o2").ok

    run(tmp_path, body)


def test_an_order_behind_a_stop_meets_what_the_feed_shows(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        shown(rig)
        assert rig.send("o1", RB, "BUY", "OPEN", 1, 4900).ok
        stop(rig, RB, True)
        rig.tick(RB, 5003, bid_price1=5002, bid_volume1=5, ask_price1=5004, ask_volume1=5)
        stop(rig, RB, False)
        assert rig.send("o2", RB, "BUY", "OPEN", 2, 5100).ok
        assert prices(rig) == [(2, 5004)]

    run(tmp_path, body)


def test_orders_alive_are_those_of_accounts(tmp_path: Path) -> None:
    """The levels of the feed stand in the books too, and are nobody's."""

    async def body(rig: Rig) -> None:
        shown(rig)
        assert rig.send("o1", RB, "BUY", "OPEN", 1, 4900).ok
        exchange = rig.trade.engine.exchange
        assert exchange.live_orders > 1
        assert exchange.accounts_live_orders == rig.trade.health()["live_orders"] == 1
        assert rig.cancel("o1").ok
        assert exchange.accounts_live_orders == 0

    run(tmp_path, body)
