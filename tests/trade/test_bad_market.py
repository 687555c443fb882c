"""What a feed may say that no market would: the paper exchange takes no harm; a replay comes to the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.trade.rig import ACCOUNT, Rig, run

CU = "SHFE.cu2109"
SHARE = "SSE.600000"
HUGE = float((1 << 62) + 1)


def opened(rig: Rig) -> None:
    assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
    rig.quotes()


SNAPSHOTS: list[dict[str, Any]] = [
    {"last": 0.0},
    {"last": -1.0},
    {"last": float("nan")},
    {"last": 1e300},
    {"last": 500_000_000.0, "upper_limit": 82_500, "lower_limit": 67_500},
    {"last": 100.0, "upper_limit": 82_500, "lower_limit": 67_500},
    {"last": 75_000, "bid_price1": 0.0, "bid_volume1": 5, "ask_price1": 0.0, "ask_volume1": 5},
    {"last": 75_000, "bid_price1": -10.0, "bid_volume1": 5, "ask_price1": 76_000, "ask_volume1": 5},
    {"last": 75_000, "bid_price1": 75_003.0, "bid_volume1": 5, "ask_price1": 75_007.0, "ask_volume1": 5},
    {"last": 75_000, "bid_price1": 75_100, "bid_volume1": 5, "ask_price1": 75_000, "ask_volume1": 5},
    {"last": 75_000, "bid_price1": 74_900, "bid_volume1": HUGE, "ask_price1": 75_100, "ask_volume1": HUGE},
    {"last": 75_000, "bid_price1": 74_900, "bid_volume1": -5, "ask_price1": 75_100, "ask_volume1": -5},
    {"last": 75_000, "upper_limit": 0.0, "lower_limit": 0.0},
    {"last": 75_000, "upper_limit": 67_500, "lower_limit": 82_500},
    {"last": 75_000, "upper_limit": 1e12, "lower_limit": -1e12},
    {"last": 75_000, "upper_limit": 82_503, "lower_limit": 67_501},
    {"last": 75_000, "bid_price1": 74_900, "bid_volume1": 3, "bid_price2": 76_000, "bid_volume2": 3,
     "ask_price1": 75_100, "ask_volume1": 3},
]  # fmt: skip


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=str)
def test_no_snapshot_moves_money_it_should_not(tmp_path: Path, snapshot: dict[str, Any]) -> None:
    kept: list[int] = []

    async def body(rig: Rig) -> None:
        opened(rig)
        rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
        assert rig.send("o1", CU, "BUY", "OPEN", 2, 75_000).ok
        assert rig.send("far", CU, "BUY", "OPEN", 1, 70_000).ok
        before = rig.trade.funds(ACCOUNT)
        more = dict(snapshot)
        rig.tick(CU, more.pop("last"), **more)
        assert rig.trade.funds(ACCOUNT) == pytest.approx(before)
        assert [o.order_id for o in rig.trade.orders(ACCOUNT) if o.is_alive] == ["far"]
        assert rig.send("o2", CU, "BUY", "OPEN", 1, 70_010).ok  # and the market goes on
        rig.tick(CU, 75_000, ask_price1=70_000, ask_volume1=2)
        assert [o.order_id for o in rig.trade.orders(ACCOUNT) if o.is_alive] == []
        assert rig.trade.engine.exchange.broken == 0
        kept.append(rig.trade.engine.exchange.state_hash())
        await asyncio.sleep(0.05)

    async def again(rig: Rig) -> None:
        assert rig.trade.engine.exchange.state_hash() == kept[0]

    run(tmp_path, body, durability="process")
    run(tmp_path, again, durability="process")


def test_limits_follow_the_day_where_the_feed_has_none(tmp_path: Path) -> None:
    """Limits made from the previous close are of one day: the next day has its own."""

    async def body(rig: Rig) -> None:
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        rig.tick(SHARE, 10.5, pre_close=10.0)
        assert rig.send("d1", SHARE, "BUY", "OPEN", 100, 11.0).ok
        assert not rig.send("d1x", SHARE, "BUY", "OPEN", 100, 11.01).ok
        rig.at("2021-08-03 09:31:00")
        rig.trade.follow_day()
        rig.tick(SHARE, 11.5, pre_close=11.0)
        assert rig.send("d2", SHARE, "BUY", "OPEN", 100, 12.1).ok
        assert not rig.send("d2x", SHARE, "BUY", "OPEN", 100, 12.11).ok
        assert not rig.send("d2y", SHARE, "BUY", "OPEN", 100, 9.8).ok

    run(tmp_path, body)


def test_limits_that_move_within_the_day_end_what_lies_beyond(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        assert rig.send("in", CU, "BUY", "OPEN", 1, 74_000).ok
        assert rig.send("out", CU, "BUY", "OPEN", 1, 68_000).ok
        rig.tick(CU, 75_000, upper_limit=80_000, lower_limit=70_000)
        assert [o.order_id for o in rig.trade.orders(ACCOUNT) if o.is_alive] == ["in"]
        funds = rig.trade.funds(ACCOUNT)
        assert funds["frozen_margin"] == pytest.approx(74_000 * 5 * 0.1)
        assert not rig.send("below", CU, "BUY", "OPEN", 1, 69_000).ok

    run(tmp_path, body)
