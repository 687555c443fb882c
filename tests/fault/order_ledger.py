"""A trader beside the server who remembers what he was told, and judges a recovered account by it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SYMBOL = ("SHFE", "rb2701")


class Ledger:
    """What was sent, and everything a report has ever said of it. It never asks the server what it thinks."""

    def __init__(self) -> None:
        self.sent: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.trades: dict[str, dict[str, Any]] = {}
        self.notices: list[tuple[int, str]] = []

    @property
    def in_flight(self) -> int:
        """How many orders nobody has reported on."""
        return len(self.sent.keys() - self.orders.keys())

    def read(self, user: str, message: str | bytes) -> bool:
        """Note what one packet says; True when it was the whole tree."""
        whole = False
        for patch in json.loads(message).get("data", ()):
            for notice in patch.get("notify", {}).values():
                self.notices.append((notice["code"], notice["content"]))
            tree = patch.get("trade", {}).get(user, {})
            whole = whole or tree.get("trade_more_data") is False
            self.orders |= tree.get("orders", {})
            self.trades |= tree.get("trades", {})
        return whole

    def judge(self, orders: dict[str, Any], trades: dict[str, Any]) -> None:
        """Compare a recovered account with everything that was ever told."""
        for order_id, told in self.orders.items():
            assert order_id in orders, f"acknowledged order {order_id} is lost"
            now = orders[order_id]
            assert now["volume_left"] <= told["volume_left"], order_id
            if told["status"] == "FINISHED":
                assert now == told
            assert now["exchange_order_id"] == told["exchange_order_id"], order_id
        for trade_id, told in self.trades.items():
            assert trades.get(trade_id) == told, f"told trade {trade_id} is lost or another"
        assert orders.keys() <= self.sent.keys()
        filled: dict[str, int] = {}
        for trade in trades.values():
            filled[trade["order_id"]] = filled.get(trade["order_id"], 0) + trade["volume"]
        for order_id, order in orders.items():
            assert order["volume_orign"] == self.sent[order_id]["volume"], order_id
            done = order["volume_orign"] - order["volume_left"]
            assert filled.get(order_id, 0) == done, f"{order_id} traded {filled.get(order_id)} for {done}"


def insert(order_id: str, user: str, rng: random.Random, low: float, high: float) -> dict[str, Any]:
    """Return a random order: most trade at once, some rest far away, some are taken back by the market."""
    buy = rng.random() < 0.5
    offset = "OPEN" if rng.random() < 0.6 else "CLOSETODAY"
    crossing = rng.random() < 0.7
    return {
        "aid": "insert_order",
        "user_id": user,
        "order_id": order_id,
        "exchange_id": SYMBOL[0],
        "instrument_id": SYMBOL[1],
        "direction": "BUY" if buy else "SELL",
        "offset": offset,
        "volume": rng.randint(1, 5),
        "price_type": "LIMIT",
        "limit_price": high if buy == crossing else low,
        "volume_condition": "ANY",
        "time_condition": "IOC" if rng.random() < 0.3 else "GFD",
    }


@contextmanager
def login(url: str, user: str, password: str, ledger: Ledger) -> Iterator[ClientConnection]:
    """A connection whose whole tree has come, read into the ledger."""
    with connect(url, max_size=None) as ws:
        ws.send(json.dumps({"aid": "req_login", "bid": "paper", "user_name": user, "password": password}))
        while not ledger.read(user, ws.recv(60)):
            pass
        yield ws


def drain(ws: ClientConnection, user: str, ledger: Ledger, wait_s: float = 0.0) -> None:
    """Read what has come, and what comes within `wait_s`; a cut connection is an end too."""
    end = time.monotonic() + wait_s
    try:
        while True:
            ledger.read(user, ws.recv(max(end - time.monotonic(), 0)))
    except (TimeoutError, ConnectionClosed):
        return
