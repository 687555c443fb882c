"""The trade session without a socket: what a turn of the loop brings together, and its share of the loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from qautlra.base import metrics
from qautlra.net import trade_packets, trade_session
from qautlra.net.trade_channel import TREE_PAUSE, Channel
from tests.net.test_trade_session import CU, Room, go, say, until
from tests.trade.rig import ACCOUNT

pytestmark = pytest.mark.alone


def dropped() -> float:
    found = [line for line in metrics.render().splitlines() if b"trade_notices_dropped_total " in line]
    return float(found[-1].split()[-1])


def test_an_order_is_told_before_the_turn_of_the_loop_ends_and_later_ones_at_its_end(tmp_path: Path) -> None:
    """What comes thick shares a write of the journal; what comes alone waits for nobody."""

    async def body(room: Room) -> None:
        session, client = await room.log_in()
        order = {"user_id": ACCOUNT, "exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY"}
        order |= {"offset": "OPEN", "volume": 1, "price_type": "LIMIT", "limit_price": 74_000.0}

        def told() -> list[str]:
            return list(client.tree["trade"][ACCOUNT].get("orders", {}))

        for turn in range(2):
            first, *others = (f"o{turn}{number}" for number in range(4))
            say(session, "insert_order", order_id=first, **order)
            assert first not in told()
            session.paused()
            assert told()[-1] == first
            for order_id in others:
                say(session, "insert_order", order_id=order_id, **order)
                session.paused()
            assert told()[-1] == first
            before = len(client.sent)
            await asyncio.sleep(0)
            assert told()[-3:] == others
            assert len(client.sent) == before + 1

    go(tmp_path, body, durability="process")


def test_orders_of_one_turn_of_the_loop_share_a_sync(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        order = {"user_id": ACCOUNT, "exchange_id": "SHFE", "instrument_id": "cu2109", "direction": "BUY"}
        order |= {"offset": "OPEN", "volume": 1, "price_type": "LIMIT", "limit_price": 74_000.0}
        before = len(client.sent)
        for number in range(5):
            say(session, "insert_order", order_id=f"o{number}", **order)
            session.paused()
        await until(lambda: "o4" in client.tree["trade"][ACCOUNT]["orders"])
        assert len(client.sent) == before + 1

    go(tmp_path, body, durability="power")


def test_trees_asked_for_at_once_are_one(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        room.send("o1", CU, "BUY", "OPEN", 1, 74_000)
        before = len(client.sent)
        for _ in range(100):
            say(session, "qry_account_info")
        await asyncio.sleep(0.2)
        assert sum("banks" in str(packet) for packet in client.sent[before:]) == 1

    go(tmp_path, body, durability="power")


def test_trees_take_a_small_share_of_the_loop(tmp_path: Path) -> None:
    """A large account's tree takes long to write: who asks for one after the other waits, not everybody."""

    async def body(room: Room) -> None:
        session, client = await room.log_in()
        for n in range(4000):
            room.send(f"n{n}", CU, "BUY", "OPEN", 1, 70_000, force=True)
        await asyncio.sleep(0.2)
        tree_s, channel = 1.0, Channel(room.trade, ACCOUNT, ACCOUNT, always_whole=False)
        for _ in range(5):
            began = monotonic()
            channel.whole()
            tree_s = min(tree_s, monotonic() - began)
        before, began = len(client.sent), monotonic()
        while monotonic() - began < 0.5:
            say(session, "qry_account_info")
            await asyncio.sleep(0)
        trees = sum("banks" in str(packet)[-200:] for packet in client.sent[before:])
        assert 1 <= trees <= 2 + (monotonic() - began) / (TREE_PAUSE * tree_s)
        await until(lambda: "banks" in str(client.sent[-1])[-200:])

    go(tmp_path, body)


def test_questions_wait_in_a_bounded_number_and_who_does_not_read_is_not_answered(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        for _ in range(trade_session.ASKING_COUNT + 5):
            say(session, "qry_settlement_info", trading_day=0)
        await until(lambda: 335 in client.codes)
        await asyncio.sleep(0.2)
        answers = sum(packet["aid"] == "qry_settlement_info" for packet in client.sent)
        assert answers == trade_session.ASKING_COUNT
        client.is_full, count = True, len(client.sent)
        for _ in range(5):
            say(session, "ping")
            say(session, "qry_settlement_info", trading_day=0)
            say(session, "qry_his_condition_order", user_id=ACCOUNT, action_day=20210802)
        await asyncio.sleep(0.2)
        assert len(client.sent) == count
        client.is_full = False
        say(session, "ping")
        assert client.sent[-1]["aid"] == "pong"

    go(tmp_path, body)


def test_notices_dropped_for_a_slow_client_are_counted(tmp_path: Path) -> None:
    async def body(room: Room) -> None:
        session, client = await room.log_in()
        client.is_full = True
        before = dropped()
        for _ in range(trade_packets.MAX_NOTICES + 5):
            say(session, "cancel_order", user_id=ACCOUNT, order_id="none")
        await asyncio.sleep(0.1)
        assert dropped() - before == 5
        session.detached()

    go(tmp_path, body)
