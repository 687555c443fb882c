"""The contract's worked examples by RabbitMQ: its numbers, and the same document as without a queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from qautlra.wire.qifi import to_json
from qautlra.wire.qifi_account import document
from tests.link.test_bus import until
from tests.net.test_trade_amqp import Desk, kind

__all__ = ["kind"]

CU, RB = "SHFE.cu2109", "SHFE.rb2110"
Send = Callable[..., Awaitable[None]]
Example = Callable[[Desk, Send], Awaitable[None]]


def funds(desk: Desk, **expected: float) -> None:
    found = desk.rig.trade.funds(desk.account)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


async def copper(desk: Desk, send: Send) -> None:
    """A: two days of copper with a settlement between, and the two closes that are refused."""
    rig = desk.rig
    await send("o1", CU, "BUY", "OPEN", 2, 75_000)
    funds(desk, frozen_margin=75_000, frozen_commission=37.5, available=924_962.5, balance=1_000_000)
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
    funds(desk, margin=75_000, commission=37.5, available=924_962.5, risk_ratio=0.0750028126054727)
    rig.tick(CU, 75_100)
    funds(desk, balance=1_000_962.5, available=925_962.5, risk_ratio=0.0749278819136581)
    await send("a2x", CU, "SELL", "CLOSE", 1, 75_200)
    await send("o2", CU, "SELL", "CLOSETODAY", 1, 75_200)
    rig.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)
    funds(desk, close_profit=1_000, balance=1_001_962.5, available=964_462.5, risk_ratio=0.0374265503948501)
    rig.tick(CU, 75_100, settlement=75_100)
    rig.at("2021-08-02 21:00:01")
    rig.trade.follow_day()
    funds(desk, pre_balance=1_001_462.5, static_balance=1_001_462.5, position_profit=0, float_profit=500)
    funds(desk, margin=37_550, available=963_912.5, risk_ratio=0.0374951633236392)
    rig.tick(CU, 74_900, upper_limit=82_500, lower_limit=67_500)
    funds(desk, position_profit=-1_000, float_profit=-500, balance=1_000_462.5, available=962_912.5)
    await send("a5x", CU, "SELL", "CLOSETODAY", 1, 74_800)
    await send("o3", CU, "SELL", "CLOSE", 1, 74_800)
    rig.tick(CU, 74_800, bid_price1=74_800, bid_volume1=1)
    funds(desk, close_profit=-1_500, commission=18.7, margin=0, balance=999_943.8, available=999_943.8)


async def rebar(desk: Desk, send: Send) -> None:
    """C: a partial fill at two prices, a cancel, a close of today's lots."""
    rig = desk.rig
    rig.tick(RB, 5001, bid_price1=5001, bid_volume1=3, bid_price2=5000, bid_volume2=4)
    await send("c1", RB, "SELL", "OPEN", 10, 5_000)
    rig.tick(RB, 5001)
    funds(desk, frozen_margin=13_500, margin=31_502.7, commission=35.003, position_profit=-40)
    await send("c1", "", "CANCEL", "", 0, 0)
    funds(desk, frozen_margin=0, frozen_commission=0, balance=999_924.997, available=968_422.297)
    rig.tick(RB, 4990, ask_price1=4990, ask_volume1=7)
    await send("c2", RB, "BUY", "CLOSETODAY", 7, 4_990)
    funds(desk, close_profit=730, commission=69.933, balance=1_000_660.067)


def run(desk: Desk, example: Example, by_queue: bool) -> dict[str, Any]:
    """Return the document the example leaves, the account's name put aside."""

    async def queue(order_id: str, symbol: str, side: str, offset: str, volume: int, price: float) -> None:
        account = desk.account
        if side == "CANCEL":
            await desk.send({"topic": "cancel_order", "account_cookie": account, "order_id": order_id})
            await until(lambda: not desk.orders()[order_id].is_alive)
            return
        exchange_id, instrument_id = symbol.split(".")
        data = {"instrument_id": instrument_id, "exchange_id": exchange_id, "order_id": order_id}
        data |= {"direction": side, "offset": offset, "volume": volume, "price": price}
        await desk.send({"topic": "order", "action": "send_order", "account_cookie": account, "data": data})
        await until(lambda: order_id in desk.orders())

    async def straight(order_id: str, symbol: str, side: str, offset: str, volume: int, price: float) -> None:
        if side == "CANCEL":
            desk.rig.cancel(order_id, account=desk.account)
            return
        desk.rig.send(order_id, symbol, side, offset, volume, price, account=desk.account)

    found: dict[str, Any] = {}

    async def main() -> None:
        async with asyncio.timeout(40), desk:
            await example(desk, queue if by_queue else straight)
            trade = desk.rig.trade
            made = document(
                desk.account,
                funds=trade.funds(desk.account),
                positions=trade.positions(desk.account),
                orders=trade.orders(desk.account),
                trades=trade.trades(desk.account),
                transfers=trade.transfers(desk.account),
                trading_day=trade.trading_day,
                now_ns=desk.rig.clock.now_ns(),
            )
            found.update(json.loads(to_json(made).replace(desk.account.encode(), b"acc001")))

    asyncio.run(main())
    return found


@pytest.mark.parametrize("example", [copper, rebar])
def test_the_document_is_the_same_whichever_door(kind: str, tmp_path: Path, example: Example) -> None:
    by_queue = run(Desk(kind, tmp_path / "queue"), example, by_queue=True)
    straight = run(Desk("memory", tmp_path / "straight"), example, by_queue=False)
    assert by_queue == straight
    assert by_queue["orders"] and by_queue["account_cookie"] == "acc001"
