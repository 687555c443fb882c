"""kill -9 while orders come from RabbitMQ, judged by a ledger kept outside the server.

Each round publishes a burst, kills the server at a random moment with at least 20 orders in flight, and
starts it again on the same data. At the end, by the ledger: every order published is in the journal exactly
once, no report or trade that was told is missing from it, every trade in it was told, and replaying the
journal gives the state the recovered servers had.

QAUTLRA_KILLS sets the number of kills; `make kill-amqp` runs the long form.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import aiormq
import pytest
from websockets.sync.client import connect

from qautlra._core.exchange import Exchange
from qautlra._core.journal import Journal
from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.bus import Message
from tests.e2e.conftest import Serve, Server, free_port, serve
from tests.services import RABBIT_URL, rabbit_url

__all__ = ["rabbit_url", "serve"]

KILLS = int(os.environ.get("QAUTLRA_KILLS", "3"))
BURST = 120
IN_FLIGHT = 20
SYMBOL = "SHFE.rb2701"


class Ledger:
    """What was sent and what was told, kept by a stranger."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.published: set[str] = set()
        self.undisturbed: set[str] = set()
        "Of those, the ones sent to the server that ends by itself."
        self.reported: dict[str, dict[str, Any]] = {}
        self.trades: dict[str, dict[str, Any]] = {}
        self.told_again = 0
        self.told_wrong: list[str] = []

    def report(self, body: bytes) -> None:
        message = json.loads(body)
        if message["topic"] == "order":
            self.reported[message["data"]["order_id"]] = message["data"]

    def trade(self, body: bytes) -> None:
        trade = json.loads(body)
        before = self.trades.setdefault(trade["trade_id"], trade)
        if before is not trade:
            self.told_again += 1
            if before != trade:
                self.told_wrong.append(trade["trade_id"])

    @property
    def in_flight(self) -> int:
        return len(self.published - set(self.reported))


def limits(server: Server) -> tuple[float, float]:
    with connect(server.ws) as market:
        market.send(json.dumps({"aid": "subscribe_quote", "ins_list": SYMBOL}))
        while True:
            market.send('{"aid":"peek_message"}')
            for patch in json.loads(market.recv(10)).get("data", ()):
                quote = patch.get("quotes", {}).get(SYMBOL, {})
                if isinstance(quote.get("lower_limit"), int | float):
                    return float(quote["lower_limit"]), float(quote["upper_limit"])


def order(account: str, number: int, low: float, high: float) -> tuple[str, bytes]:
    """Return an order: it trades at once, rests, or is refused for its price; of all three dialects."""
    side = "BUY" if number % 2 else "SELL"
    way = number % 5
    crosses, rests = (high - 1, low) if side == "BUY" else (low + 1, high)
    price = {0: crosses, 1: crosses, 2: rests, 3: rests, 4: rests + 0.5}[way]
    order_id = f"k{number}"
    data = {"exchange_id": "SHFE", "price": price, "volume": 1 + number % 3, "order_id": order_id}
    data |= {"time_condition": "IOC"} if way < 2 else {}
    if number % 3 == 0:
        body: dict[str, Any] = {
            "topic": "order",
            "action": "send_order",
            "account_cookie": account,
            "data": data | {"instrument_id": "rb2701", "direction": side, "offset": "OPEN"},
        }
    elif number % 3 == 1:
        body = data | {"topic": "sendorder", "account_cookie": account, "code": "rb2701"}
        body |= {"order_direction": side, "order_offset": "OPEN"}
    else:
        body = data | {"topic": "send_order", "account_cookie": account, "instrument_id": "rb2701"}
        body |= {"towards": 2 if side == "BUY" else -2}
    return order_id, json.dumps(body).encode()


def replayed(directory: Path) -> tuple[int, dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return state hash, orders by id and trades by id of a copy of the journal."""
    journal = Journal(directory, durability="memory")
    try:
        exchange = Exchange(journal)
        exchange.replay_all(directory)
        orders: dict[str, dict[str, Any]] = {}
        for number in range(exchange.orders):
            found = exchange.order(number)
            if found["account"] == 0:
                continue
            assert found["order_id"] not in orders, "an order was executed twice"
            orders[found["order_id"]] = found
        trades: dict[str, dict[str, Any]] = {}
        for number in range(exchange.trades):
            trade = exchange.trade(number)
            if trade["account"] != 0:
                of = exchange.order(trade["order"])
                trades[f"{of['order_id']}|{trade['match']}"] = trade
        return exchange.state_hash(), orders, trades
    finally:
        journal.close()


class Round:
    """One server after another on the same data."""

    def __init__(self, serve: Serve, tmp_path: Path, account: str) -> None:
        self.serve, self.tmp_path, self.account = serve, tmp_path, account
        self.port = free_port()
        self.data = tmp_path / "data"
        self.copies = 0

    def start(self) -> Server:
        settings = (
            "trade.durability=process",
            f"link.amqp.url={RABBIT_URL}",
            f"trade.trader.account={self.account}",
            "trade.trader.cash=1000000000",
            f'trade.amqp.accounts=["{self.account}"]',
            "trade.limits.orders_per_s=0",
            "trade.limits.orders_burst=0",
            "trade.limits.active_max=0",
            "trade.ctp_front.enabled=false",
            "source.sim.history_bars=10",
            "link.amqp.prefetch_count=64",
            "trade.limits.concentration_ratio=0",
        )
        flags = [part for setting in settings for part in ("--set", setting)]
        server = self.serve(*flags, mode="trade", port=self.port, data=self.data, wait=False)
        server.wait_ready(60.0)
        deadline = time.monotonic() + 20
        while service(server, "trade.amqp")["state"] != "connected":  # before that nothing is bound
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return server

    def copy(self) -> Path:
        self.copies += 1
        target = self.tmp_path / f"journal-{self.copies}"
        shutil.copytree(self.data / "trade" / "journal", target)
        return target


def service(server: Server, name: str) -> dict[str, Any]:
    services: list[dict[str, Any]] = server.get_json("/healthz")["services"]
    return next(one for one in services if one["name"] == name)


@pytest.mark.slow
@pytest.mark.timeout(120 + 40 * KILLS)
def test_no_order_is_lost_or_executed_twice(rabbit_url: str, serve: Serve, tmp_path: Path) -> None:
    account = f"kill{uuid.uuid4().hex[:8]}"
    seed = int(os.environ.get("QAUTLRA_SEED", str(random.randrange(1 << 30))))
    print(f"seed {seed}")
    rng = random.Random(seed)
    ledger = Ledger(account)
    rounds = Round(serve, tmp_path, account)
    asyncio.run(_story(rabbit_url, rounds, ledger, rng))

    hash_, orders, trades = replayed(rounds.copy())
    assert hash_ == replayed(rounds.copy())[0]
    assert set(orders) == ledger.published
    for order_id, told in ledger.reported.items():
        kept = orders[order_id]
        assert told["volume_orign"] == kept["volume"]
        # What was told can be older than the end, never ahead of it.
        assert told["volume_left"] >= kept["left"]
        assert not (told["status"] == "FINISHED" and kept["alive"])
    assert not ledger.told_wrong
    assert set(ledger.trades) == set(trades)
    for trade_id, told in ledger.trades.items():
        assert (told["volume"], told["price"]) == (trades[trade_id]["volume"], trades[trade_id]["price"])
    with sqlite3.connect(rounds.data / "audit.db") as audit:
        blocks = audit.execute("SELECT entries FROM blocks ORDER BY seq").fetchall()
    audited = [
        entry[-1]["order_id"]
        for (block,) in blocks
        for entry in json.loads(block)
        if entry[1] == "ORDER_SUBMIT" and entry[5] == "rabbitmq"
    ]
    # A kill takes the entries of its last moment; nothing else is missing, and nobody else's are there.
    assert len(ledger.undisturbed) == BURST and ledger.undisturbed <= set(audited) <= ledger.published
    codes = Counter(order["code"] for order in orders.values())
    assert codes[0] > len(orders) / 2 and len(trades) > 5 * KILLS, codes
    print(json.dumps({
        "kills": KILLS, "seed": seed, "orders": len(orders), "trades": len(trades),
        "trades_told_again": ledger.told_again,
    }))  # fmt: skip


async def _story(url: str, rounds: Round, ledger: Ledger, rng: random.Random) -> None:
    account = ledger.account
    client = AmqpBus(AmqpOptions(Secret(url)))
    running = asyncio.create_task(client.run())
    connection = await aiormq.connect(url)
    channel = await connection.channel(publisher_confirms=False)
    server = await asyncio.to_thread(rounds.start)
    low, high = await asyncio.to_thread(limits, server)
    for exchange, key, take in (
        ("QAACCOUNT", f"{account}.order", ledger.report),
        ("QATRANSACTION", account, ledger.trade),
    ):
        queue = (await channel.queue_declare(exclusive=True)).queue
        await channel.queue_bind(queue, exchange, routing_key=key)

        async def deliver(message: Any, take: Any = take) -> None:
            take(message.body)

        await channel.basic_consume(queue, deliver, no_ack=True)
    number = 0
    try:
        for _ in range(KILLS):
            burst = [order(account, number + n, low, high) for n in range(BURST)]
            number += BURST
            for at in range(0, BURST, 40):
                part = burst[at : at + 40]
                await client.publish([Message("QAORDER_ROUTER", account, body) for _, body in part])
                ledger.published.update(order_id for order_id, _ in part)
                await asyncio.sleep(rng.random() * 0.004)
            await asyncio.sleep(rng.random() * 0.01)
            while ledger.in_flight < IN_FLIGHT:  # the server was quick: more, and at once
                more = [order(account, number + n, low, high) for n in range(BURST)]
                number += BURST
                await client.publish([Message("QAORDER_ROUTER", account, body) for _, body in more])
                ledger.published.update(order_id for order_id, _ in more)
            server.process.kill()
            in_flight = ledger.in_flight
            await asyncio.to_thread(server.process.wait, 10)
            assert in_flight >= IN_FLIGHT
            expected = replayed(rounds.copy())[0]
            server = await asyncio.to_thread(rounds.start)
            health = await asyncio.to_thread(service, server, "trade")
            assert int(health["recovered_hash"], 16) == expected, "the recovered state is another one"
        burst = [order(account, number + n, low, high) for n in range(BURST)]
        await client.publish([Message("QAORDER_ROUTER", account, body) for _, body in burst])
        ledger.undisturbed.update(order_id for order_id, _ in burst)
        ledger.published |= ledger.undisturbed
        deadline = time.monotonic() + 30
        while ledger.in_flight and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert not ledger.in_flight, sorted(ledger.published - set(ledger.reported))[:10]
        while service(server, "trade.amqp")["trades_waiting"] and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert await asyncio.to_thread(server.stop) == 0
    finally:
        running.cancel()
        await channel.queue_delete(f"qautlra.orders.{account}")
        await connection.close()
        await asyncio.gather(running, return_exceptions=True)
