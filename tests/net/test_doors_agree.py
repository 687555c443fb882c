"""The same orders through the DIFF socket, REST and RabbitMQ leave the same QIFI document."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.sync.client import connect

from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.bus import Message
from qautlra.net.amqp_out import Cursor
from qautlra.net.trade_amqp import AmqpSettings, TradeAmqp
from qautlra.wire import qifi_account
from tests.link.test_bus import Names, until
from tests.net.trade_desk import Trader
from tests.net.trading_front import PASSWORD, TradingFront
from tests.services import RABBIT_URL, require

CU, RB = "SHFE.cu2109", "SHFE.rb2110"
ACCOUNT = "acc001"
Send = Callable[[dict[str, Any]], None]


@contextmanager
def by_socket(front: TradingFront, _directory: Path) -> Iterator[Send]:
    with connect(f"ws://{front.host}:{front.port}/ws/trade", max_size=None) as ws:
        trader = Trader(ws)
        trader.user = "ann"
        trader.send(aid="req_login", bid="paper", user_name="ann", password=PASSWORD)

        def send(order: dict[str, Any]) -> None:
            if "cancel" in order:
                trader.send(aid="cancel_order", user_id="ann", order_id=order["cancel"])
            else:
                trader.order(
                    order["order_id"], order["symbol"], order["direction"], order["offset"], order["volume"],
                    order["price"],
                )  # fmt: skip

        yield send


@contextmanager
def by_rest(front: TradingFront, _directory: Path) -> Iterator[Send]:
    def send(order: dict[str, Any]) -> None:
        if "cancel" in order:
            front.post("ann", "/api/order/cancel", {"account_id": ACCOUNT, "order_id": order["cancel"]})
            return
        exchange_id, _, instrument_id = order["symbol"].partition(".")
        body = {"account_id": ACCOUNT, "user_id": "ann", "exchange_id": exchange_id, "order_type": "LIMIT"}
        body |= {"instrument_id": instrument_id} | {k: v for k, v in order.items() if k != "symbol"}
        front.call("ann", "POST", "/api/order/submit", body)

    yield send


@contextmanager
def by_rabbitmq(front: TradingFront, directory: Path) -> Iterator[Send]:
    require("RabbitMQ", 5672)
    mark = uuid.uuid4().hex[:8]

    def bus() -> AmqpBus:
        return AmqpBus(AmqpOptions(Secret(RABBIT_URL), 64, retry_max_s=0.3, probe_s=1.0))

    names = Names()  # the account's queue is durable: what a run before left there is not ours
    names.queues.append(f"qautlra.orders.{ACCOUNT}")
    names.exchanges += [f"qt.{mark}.in", f"qt.{mark}.trades", f"qt.{mark}.accounts"]

    async def begin() -> tuple[TradeAmqp, AmqpBus, asyncio.Task[None]]:
        door = TradeAmqp(
            trade=front.trade,
            bus=bus(),
            cursor=Cursor(directory / "amqp.cursor"),
            resolve=front.rig.instruments.canonical,
            now_ns=front.rig.clock.now_ns,
            settings=AmqpSettings(
                exchange=f"qt.{mark}.in",
                transactions_exchange=f"qt.{mark}.trades",
                account_exchange=f"qt.{mark}.accounts",
            ),
        )
        await names.clean()
        await door.start()
        client = bus()
        running = asyncio.create_task(client.run())
        await until(lambda: client.is_connected)
        await asyncio.sleep(0.5)  # the account's queue is bound
        return door, client, running

    async def end(door: TradeAmqp, running: asyncio.Task[None]) -> None:
        await door.stop(1.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await names.clean()

    door, client, running = front.wait_for(begin())

    def send(order: dict[str, Any]) -> None:
        if "cancel" in order:
            body: dict[str, Any] = {"topic": "cancel_order", "order_id": order["cancel"]}
        else:
            exchange_id, _, code = order["symbol"].partition(".")
            body = {
                "topic": "sendorder", "code": code, "exchange_id": exchange_id, "volume": order["volume"],
                "order_direction": order["direction"], "order_offset": order["offset"],
                "price": order["price"], "order_id": order["order_id"],
            }  # fmt: skip
        raw = json.dumps(body | {"account_cookie": ACCOUNT}).encode()
        front.wait_for(client.publish([Message(f"qt.{mark}.in", ACCOUNT, raw, "")]))

    try:
        yield send
    finally:
        front.wait_for(end(door, running))


def order(
    order_id: str, symbol: str, direction: str, offset: str, volume: int, price: float
) -> dict[str, Any]:
    return {
        "order_id": order_id, "symbol": symbol, "direction": direction, "offset": offset,
        "volume": volume, "price": price,
    }  # fmt: skip


def worked_examples(front: TradingFront, send: Send) -> None:
    """Steps of A and C of section 11, and orders that are refused."""

    def entered(sent: dict[str, Any]) -> None:
        send(sent)
        waited = 0
        while front.on_loop(lambda: front.trade.find(ACCOUNT, sent["order_id"])) is None:
            waited += 1
            assert waited < 500, sent
            front.wait_for(asyncio.sleep(0.01))

    entered(order("o1", CU, "BUY", "OPEN", 2, 75_000))
    front.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
    front.tick(CU, 75_100)
    entered(order("a2x", CU, "SELL", "CLOSE", 1, 75_200))
    entered(order("o2", CU, "SELL", "CLOSETODAY", 1, 75_200))
    front.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)
    front.tick(RB, 5001, bid_price1=5001, bid_volume1=3, bid_price2=5000, bid_volume2=4)
    entered(order("c1", RB, "SELL", "OPEN", 10, 5_000))
    front.tick(RB, 5001)
    send({"cancel": "c1"})
    while front.on_loop(lambda: front.trade.find(ACCOUNT, "c1").is_alive):  # type: ignore[union-attr]
        front.wait_for(asyncio.sleep(0.01))
    front.tick(RB, 4990, ask_price1=4990, ask_volume1=7)
    entered(order("c2", RB, "BUY", "CLOSETODAY", 7, 4_990))


def document(front: TradingFront) -> Any:
    def read() -> Any:
        trade = front.trade
        return qifi_account.document(
            ACCOUNT,
            funds=trade.funds(ACCOUNT),
            positions=trade.positions(ACCOUNT),
            orders=trade.orders(ACCOUNT),
            trades=trade.trades(ACCOUNT),
            transfers=trade.transfers(ACCOUNT),
            trading_day=trade.trading_day,
            now_ns=front.rig.clock.now_ns(),
            settings=qifi_account.Settings(),
        )

    return msgspec.to_builtins(front.on_loop(read))


def test_the_same_document_whichever_door(tmp_path: Path) -> None:
    found = {}
    for name, door in (("socket", by_socket), ("rest", by_rest), ("rabbitmq", by_rabbitmq)):
        directory = tmp_path / name
        directory.mkdir()
        front = TradingFront(directory)
        try:
            front.quotes()
            with door(front, directory) as send:
                worked_examples(front, send)
            found[name] = document(front)
        finally:
            front.stop()
    money = found["socket"]["accounts"]
    # A after A2, and C's close beside it
    assert money["close_profit"] == pytest.approx(1_000 + 730, abs=1e-6)
    assert money["commission"] == pytest.approx(37.5 + 69.933, abs=1e-6)
    assert money["margin"] == pytest.approx(37_500, abs=1e-6)
    assert money["balance"] == pytest.approx(1_001_962.5 + 660.067, abs=1e-6)
    assert [o["volume_left"] for o in found["socket"]["orders"].values()] == [0, 1, 0, 3, 0]
    assert found["rest"] == found["socket"]
    assert found["rabbitmq"] == found["socket"]
