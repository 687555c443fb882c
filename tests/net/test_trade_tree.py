"""The whole tree of an account made a piece at a time is of one moment, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from qautlra.model.order import CancelOrder, Direction, InsertOrder, Offset
from qautlra.net import trade_channel
from qautlra.net.trade_channel import Channel
from qautlra.wire.trade import Patch
from tests.trade.rig import ACCOUNT, Rig, run

CU = "SHFE.cu2109"


def enter(rig: Rig, name: str, price: float) -> None:
    order = InsertOrder(
        account_id=ACCOUNT, order_id=name, symbol=CU, direction=Direction.BUY, offset=Offset.OPEN, volume=1,
        limit_price=price,
    )  # fmt: skip
    assert rig.trade.insert(order).ok


def shown(patch: Patch) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(patch.render(1))["trade"][ACCOUNT]
    return found


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_orders_and_trades_of_while_it_was_made_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(trade_channel, "PIECE_COUNT", 3)

    async def body(rig: Rig) -> None:
        assert rig.trade.open_account(ACCOUNT, 10_000_000).ok
        rig.quotes()
        for number in range(count):
            enter(rig, f"o{number}", 74_900 if number % 2 else 75_010)
        channel = Channel(rig.trade, ACCOUNT, ACCOUNT, always_whole=False)

        async def made() -> tuple[dict[str, Any], dict[str, Any]]:
            return shown(await channel.grown()), shown(channel.whole())

        growing = asyncio.ensure_future(made())
        for number in range(3):
            await asyncio.sleep(0)
            enter(rig, f"n{number}", 75_010)
            if count > 1:  # of a piece that is written already
                rig.trade.cancel(CancelOrder(account_id=ACCOUNT, order_id=f"o{2 * number + 1}"))
            rig.tick(CU, 75_000 - number, ask_price1=75_010, ask_volume1=1)
        grown, whole = await growing
        assert grown == whole and grown["trade_more_data"] is False
        states = {name: order["status"] for name, order in grown["orders"].items()}
        if count >= 6:
            assert states["o1"] == "FINISHED" and "n0" in states

    run(tmp_path, body)


def test_a_day_that_ends_meanwhile_begins_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_channel, "PIECE_COUNT", 3)

    async def body(rig: Rig) -> None:
        assert rig.trade.open_account(ACCOUNT, 10_000_000).ok
        rig.quotes()
        for number in range(9):
            enter(rig, f"o{number}", 75_010)
        channel = Channel(rig.trade, ACCOUNT, ACCOUNT, always_whole=False)
        growing = asyncio.ensure_future(channel.grown())
        await asyncio.sleep(0)
        assert rig.trade.settling.settle(by="", force=True).ok
        whole = shown(await growing)
        assert whole["orders"] == whole["trades"] == {} and whole["trade_more_data"] is False

    run(tmp_path, body)
