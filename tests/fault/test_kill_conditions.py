"""kill -9 while conditional orders wait and are touched, judged by what a client of the socket was told.

Each round sends conditional orders whose triggers lie around the moving price and kills the server at a
random moment. At the end: every one that was told is there, one told as touched is touched, and each touched
one has entered each of its orders once.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.e2e.conftest import Serve, Server, serve

__all__ = ["serve"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = int(os.environ.get("QAUTLRA_KILLS", "2"))
SYMBOL, BURST = "SHFE.rb2701", 60
SETTINGS = {
    "trade.durability": "process",
    "source.sim.history_bars": "10",
    "trade.conditions.day_max": "100000",
    "trade.conditions.valid_max": "100000",
    "trade.limits.active_max": "0",
    "trade.limits.orders_per_s": "0",
    "trade.limits.concentration_ratio": "0",
}


class Told:
    """What the socket said: the newest state of each conditional order, and the account's orders."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.ever_touched: set[str] = set()
        self.orders: dict[str, dict[str, Any]] = {}

    def hear(self, text: str) -> None:
        packet = json.loads(text)
        for order in packet.get("condition_orders", ()):
            self.states[order["order_id"]] = order["status"]
            if order["status"] == "touched":
                self.ever_touched.add(order["order_id"])
        for patch in packet.get("data", ()):
            for order_id, order in patch.get("trade", {}).get("check", {}).get("orders", {}).items():
                self.orders.setdefault(order_id, {}).update(order)

    @property
    def expected(self) -> set[str]:
        """Ids of the orders of everything touched."""
        return {f"CO.{name}.{number}" for name in self.ever_touched for number in (1, 2)}

    @property
    def entered(self) -> set[str]:
        """Ids of the orders that are there."""
        return {order_id for order_id in self.orders if order_id.startswith("CO.")}

    def listen(self, socket: ClientConnection, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            try:
                self.hear(str(socket.recv(left)))
            except TimeoutError:
                return


@contextmanager
def login(server: Server, told: Told) -> Iterator[ClientConnection]:
    """A connection that is let in: what comes before that would refuse every request."""
    with connect(f"ws://127.0.0.1:{server.port}/ws/trade?flow=push", max_size=None) as socket:
        who = {"bid": "paper", "user_name": "check", "password": "Check-pass-1"}
        socket.send(json.dumps({"aid": "req_login", **who}))
        while '"trade"' not in (text := str(socket.recv(60))):
            told.hear(text)
        told.hear(text)
        yield socket


def quote(server: Server) -> dict[str, float]:
    found: dict[str, float] = {}
    with connect(server.ws) as market:
        market.send(json.dumps({"aid": "subscribe_quote", "ins_list": SYMBOL}))
        market.send('{"aid":"peek_message"}')
        while not isinstance(found.get("last_price"), int | float):
            for patch in json.loads(market.recv(10)).get("data", ()):
                found |= patch.get("quotes", {}).get(SYMBOL, {})
    return found


def request(name: str, last: float, low: float, number: int) -> str:
    """One that waits a few ticks off the price, above or below; its two orders rest at the lower limit."""
    step = 1 + number % 4
    where = {"price_relation": "GE", "contingent_price": last + step}
    if number % 2:
        where = {"price_relation": "LE", "contingent_price": last - step}
    leg = {
        "exchange_id": "SHFE",
        "instrument_id": "rb2701",
        "direction": "BUY",
        "offset": "OPEN",
        "volume": 1,
    }
    return json.dumps(
        {
            "aid": "insert_condition_order",
            "user_id": "check",
            "order_id": name,
            "condition_list": [
                {"contingent_type": "price", "exchange_id": "SHFE", "instrument_id": "rb2701", **where}
            ],
            "order_list": [leg | {"volume": 1, "limit_price": low}] * 2,
            "time_condition_type": "GTC",
        }
    )


def test_no_kill_loses_or_repeats_one(serve: Serve, tmp_path: Path) -> None:
    dice = random.Random(20260101)
    told = Told()
    arguments = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    server = serve(*arguments, wait=False)
    server.wait_ready(60)
    server.add_user("check", "Check-pass-1", "--account", "check", "--broker", "paper", "--cash", "1e9")
    waiting_at_kill = 0
    for kill in range(KILLS):
        now = quote(server)
        with suppress(ConnectionClosed), login(server, told) as socket:
            told.listen(socket, 0.5)
            for number in range(BURST):
                socket.send(request(f"k{kill}-{number}", now["last_price"], now["lower_limit"], number))
            before = len(told.ever_touched)
            deadline = time.monotonic() + 30
            while len(told.ever_touched) == before and time.monotonic() < deadline:  # the price has to move
                told.listen(socket, 0.05)
            told.listen(socket, dice.uniform(0.0, 0.5))
            server.kill()
            told.listen(socket, 1.0)
        waiting_at_kill += sum(state == "live" for state in told.states.values())
        server = serve(*arguments, wait=False)
        server.wait_ready(60)
    last = Told()
    with login(server, last) as socket:
        last.listen(socket, 3.0)
        for _ in range(50):  # more are touched meanwhile: their orders come in a frame of their own
            if last.entered == last.expected:
                break
            last.listen(socket, 0.2)
    assert set(told.states) <= set(last.states)
    assert told.ever_touched and waiting_at_kill, (waiting_at_kill, now, last.states)
    assert told.ever_touched <= last.ever_touched
    assert last.entered == last.expected
    # An id that was entered twice would have frozen its margin twice.
    alive = [order for order in last.orders.values() if order["status"] == "ALIVE"]
    assert len(alive) == len(last.expected)
