"""Risk through the trade socket: alerts, a forced liquidation and the kill switch as a client sees them."""

from __future__ import annotations

from pathlib import Path

from tests.net.trade_front import Client, TradeFront, run
from tests.trade.rig import ACCOUNT

CU = "SHFE.cu2109"
LIMITS = {"upper_limit": 82_500, "lower_limit": 67_500}


async def buy(client: Client, name: str, lots: int) -> None:
    await client.send(
        "insert_order",
        user_id=ACCOUNT,
        order_id=name,
        exchange_id="SHFE",
        instrument_id="cu2109",
        direction="BUY",
        offset="OPEN",
        volume=lots,
        price_type="LIMIT",
        limit_price=75_000,
        volume_condition="ANY",
        time_condition="GFD",
    )


def test_a_liquidation_is_announced_and_seen(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        async with front.client() as client:
            await buy(client, "o1", 26)
            front.tick(CU, 75_000, ask_price1=75_000, ask_volume1=26, **LIMITS)
            await client.until(lambda: client.funds["margin"] == 975_000)
            assert (await client.notice(601))[1] == "WARNING"  # to critical: 97.5 percent and more
            front.tick(CU, 74_700, bid_price1=74_700, bid_volume1=30, **LIMITS)
            code, level, text = await client.notice(603)
            assert (code, level) == (603, "ERROR") and text.startswith(
                "风险提示,达到强制平仓标准,风险度:101.51%"
            )
            order = await client.until(lambda: client.tree["orders"].get("LIQ20210802000001.1.1"))
            await client.until(lambda: client.funds["margin"] == 0)
            assert (order["offset"], order["direction"]) == ("CLOSETODAY", "SELL")
            assert client.tree["positions"][CU]["volume_long"] == 0
            record = front.trade.liquidator.records()[0]
            assert record.status == "filled"
            assert abs(record.balance_after - client.funds["balance"]) < 1e-6

    limits = {"concentration_ratio": 0.0, "stop_ratio": 0.0}
    run(tmp_path, body, limits=limits)


def test_halting_withdraws_what_lives(tmp_path: Path) -> None:
    async def body(front: TradeFront) -> None:
        front.quotes()
        async with front.client() as client:
            await buy(client, "o1", 1)
            await client.notice(417)
            assert front.trade.monitor.set_state("HALTED").ok
            await client.notice(419)
            await client.until(lambda: client.tree["orders"]["o1"]["status"] == "FINISHED")
            assert client.tree["orders"]["o1"]["volume_left"] == 1
            await buy(client, "o2", 1)
            refused = await client.until(lambda: client.tree["orders"].get("o2"))
            assert refused["last_msg"] == "交易已暂停"
            assert client.funds["available"] == 1_000_000

    run(tmp_path, body)
