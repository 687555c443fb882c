"""A trading day and its end through the trade socket: worked example A with one client connected."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.net.trade_front import Client, TradeFront, run
from tests.trade.rig import ACCOUNT

CU = "SHFE.cu2109"


async def order(client: Client, name: str, direction: str, offset: str, volume: int, price: float) -> None:
    await client.send(
        "insert_order",
        user_id=ACCOUNT,
        order_id=name,
        exchange_id="SHFE",
        instrument_id="cu2109",
        direction=direction,
        offset=offset,
        volume=volume,
        price_type="LIMIT",
        limit_price=price,
        volume_condition="ANY",
        time_condition="GFD",
    )


def close(client: Client, **expected: float) -> bool:
    found = client.funds
    return all(found[name] == pytest.approx(value, abs=1e-6) for name, value in expected.items())


async def first_day(front: TradeFront, client: Client) -> None:
    await order(client, "o1", "BUY", "OPEN", 2, 75_000)
    await client.until(lambda: client.funds["frozen_margin"])
    assert close(client, frozen_margin=75_000, frozen_commission=37.5, available=924_962.5)
    front.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
    assert "成交通知" in (await client.notice(406))[2]
    await client.until(lambda: close(client, margin=75_000, commission=37.5, balance=999_962.5))
    front.tick(CU, 75_100)
    await client.until(lambda: close(client, position_profit=1_000, balance=1_000_962.5))
    await order(client, "a2x", "SELL", "CLOSE", 1, 75_200)
    assert (await client.notice(415))[1] == "WARNING"
    refused = await client.until(lambda: client.tree["orders"].get("a2x"))
    assert (refused["status"], refused["volume_left"]) == ("FINISHED", 1)
    await order(client, "o2", "SELL", "CLOSETODAY", 1, 75_200)
    front.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)
    await client.until(lambda: close(client, close_profit=1_000, margin=37_500, balance=1_001_962.5))
    assert close(client, available=964_462.5, risk_ratio=0.0374265503948501)


def test_a_two_days_with_one_client(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        async with front.client() as client:
            await first_day(front, client)
            await client.send("qry_settlement_info", trading_day=20210802)
            assert (await client.packet("qry_settlement_info"))["settlement_info"] == ""
            front.tick(CU, 75_100, settlement=75_100)
            front.at("2021-08-02 20:56:00")
            front.trade.follow_day()
            await client.until(lambda: close(client, pre_balance=1_001_462.5, close_profit=0, commission=0))
            assert close(client, static_balance=1_001_462.5, float_profit=500, margin=37_550)
            assert close(client, available=963_912.5, risk_ratio=0.0374951633236392)
            position = client.tree["positions"][CU]
            assert (position["volume_long_his"], position["volume_long_today"]) == (1, 0)
            assert client.tree["trading_day"] == "20210803"
            told = await client.notice(325)
            assert "1001462.50" in told[2]
            await client.send("qry_settlement_info", trading_day=20210802)
            asked: dict[str, Any] = await client.packet("qry_settlement_info")
            assert asked["settlement_info"] == told[2]
            assert (asked["user_name"], asked["trading_day"]) == (ACCOUNT, 20210802)
            # The same connection goes on trading.
            front.at("2021-08-03 09:30:00")
            front.tick(CU, 74_900)
            await client.until(lambda: close(client, position_profit=-1_000, balance=1_000_462.5))
            await order(client, "a5x", "SELL", "CLOSETODAY", 1, 74_800)
            await client.notice(414)
            await order(client, "o5", "SELL", "CLOSE", 1, 74_800)
            front.tick(CU, 74_800, bid_price1=74_800, bid_volume1=1)
            await client.until(lambda: close(client, close_profit=-1_500, margin=0, balance=999_943.8))
            assert close(client, available=999_943.8, commission=18.7, risk_ratio=0)

    run(tmp_path, body)


def test_a_statement_is_told_until_it_is_confirmed(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        assert front.trade.settling.settle(by="root", force=True).ok
        async with front.client() as client:
            assert (await client.notice(325))[1] == "INFO"
            await client.send("confirm_settlement")
            await client.send("qry_settlement_info", trading_day=0)
            assert "20210802" in (await client.packet("qry_settlement_info"))["settlement_info"]
        async with front.client() as again:
            await again.send("qry_settlement_info", trading_day="junk")
            assert (await again.packet("qry_settlement_info"))["settlement_info"] == ""
            assert not [one for one in again.notices if one[0] == 325]

    run(tmp_path, body)


def test_an_order_that_ends_with_its_day_is_told_however_late_the_client_asks(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        async with front.client() as client:
            await order(client, "o1", "BUY", "OPEN", 1, 74_000)
            await client.until(lambda: client.tree.get("orders", {}).get("o1", {}).get("status") == "ALIVE")
            await client.until(lambda: client.tree.get("trading_day") == "20210802")
            assert front.trade.transfer(ACCOUNT, 10).ok
            await asyncio.sleep(0.3)  # the answer to what was asked for
            assert front.trade.settling.settle(by="root", force=True).ok
            await asyncio.sleep(0.3)  # nothing is asked for meanwhile: both days wait in one message
            await client.until(lambda: client.tree["trading_day"] == "20210803")
            assert client.tree["orders"]["o1"]["status"] == "FINISHED"
            assert close(client, pre_balance=1_000_010, frozen_margin=0)

    run(tmp_path, body)


def test_the_end_of_a_contract_is_told(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.last_days[CU] = 20210802
        front.quotes()
        async with front.client() as client:
            await first_day(front, client)
            front.tick(CU, 75_100, settlement=75_100)
            front.at("2021-08-02 20:56:00")
            front.trade.follow_day()
            assert (await client.notice(608))[1:] == (
                "INFO", "到期交割,合约:SHFE.cu2109,手数:1,价格:75100",
            )  # fmt: skip
            await client.until(lambda: close(client, pre_balance=1_001_462.5, margin=0, close_profit=0))
            assert client.funds["available"] == client.funds["balance"]
            order = client.tree["orders"]["expiry.SHFE.cu2109.1"]
            assert (order["status"], order["volume_left"]) == ("FINISHED", 0)
            assert order["last_msg"] == "到期交割：按结算价了结" and order["exchange_order_id"]
            [trade] = [t for t in client.tree["trades"].values() if t["order_id"] == order["order_id"]]
            assert (trade["offset"], trade["price"], trade["volume"]) == ("CLOSETODAY", 75_100, 1)
            assert client.tree["positions"][CU]["volume_long"] == 0
            assert "交割" in (await client.notice(325))[2]
            assert [code for code, *_ in client.notices].count(417) == 2  # of its own orders only

    run(tmp_path, body)
