"""An order over the trade socket: bytes in at a real `qautlra serve`, durable report bytes back.

Paced: 1,000 orders/s one at a time, with each durability of the journal. Pipelined: as many as it takes,
4,096 under way. Every order is judged, journaled, matched against the simulated market's book and reported
as a whole object with the account it changed; reports are counted by order id. The control is the floor of
a round trip: a TCP server that sends as many bytes straight back.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from typing import Any

from websockets.sync.client import connect

import _bench

SYMBOL = ("SHFE", "rb2701")
PACE_S = 0.001
WINDOW = 4096
BATCH = 64
UNLIMITED = ("trade.limits.orders_per_s=0", "trade.limits.orders_burst=0")
TARGET_P99_US = 250.0
TARGET_PER_S = 60_000
_ORDER_ID = re.compile(rb'"order_id":"(b[0-9]+)"[^{}]*"status":"FINISHED"')
_MASK = b"\x12\x34\x56\x78"


def frame(text: bytes) -> bytes:
    """Return a masked client text frame."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, size)
    key = (_MASK * (size // 4 + 1))[:size]
    body = (int.from_bytes(text, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    return head + _MASK + body


class Client:
    """A blocking WebSocket client that only looks for order ids in what it is sent."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /ws/trade?flow=push HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._left = b""
        self.bytes_in = 0
        while b"\r\n\r\n" not in self._left:
            self._left += self._socket.recv(65536)
        self._left = self._left.split(b"\r\n\r\n", 1)[1]

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, wait_s: float) -> bytes:
        """Return what came within `wait_s`."""
        left, self._left = self._left, b""
        if not left and not select.select([self._socket], [], [], wait_s)[0]:
            return b""
        data = left or self._socket.recv(1 << 20)
        self.bytes_in += len(data)
        return data

    def until(self, text: bytes, wait_s: float = 10.0) -> bytes:
        """Read until `text` was sent."""
        got, end = b"", time.monotonic() + wait_s
        while text not in got:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} never came: {got[-2000:]!r}")
            got += self.read(0.5)
        return got


def order(number: int, price: float) -> bytes:
    """Return the frame of one order: a limit order away from the market that does not rest."""
    body = {
        "aid": "insert_order", "user_id": "bench", "order_id": f"b{number}", "exchange_id": SYMBOL[0],
        "instrument_id": SYMBOL[1], "direction": "BUY", "offset": "OPEN", "volume": 1,
        "price_type": "LIMIT", "limit_price": price, "time_condition": "IOC", "volume_condition": "ANY",
    }  # fmt: skip
    return frame(json.dumps(body).encode())


def logged_in(port: int, password: str) -> Client:
    """Return a client whose whole account has come."""
    client = Client(port)
    login = {"aid": "req_login", "bid": "paper", "user_name": "bench", "password": password}
    client.send(frame(json.dumps(login).encode()))
    client.until(b'"trade_more_data":false')
    return client


def paced(client: Client, first: int, count: int, price: float) -> list[float]:
    """Send one order a millisecond and wait for its report; return the microseconds each took."""
    took = []
    due = time.perf_counter()
    for number in range(first, first + count):
        data, needle = order(number, price), f'"order_id":"b{number}"'.encode()
        due = max(due + PACE_S, time.perf_counter())
        while time.perf_counter() < due:
            pass
        began = time.perf_counter()
        client.send(data)
        got = b""
        while needle not in got:
            got += client.read(5.0)
        took.append((time.perf_counter() - began) * 1e6)
    return took


def pipelined(client: Client, first: int, count: int, price: float) -> float:
    """Send `count` orders with WINDOW under way; return how many were reported finished per second."""
    frames = [order(number, price) for number in range(first, first + count)]
    batches = [b"".join(frames[at : at + BATCH]) for at in range(0, count, BATCH)]
    seen: set[bytes] = set()
    sent, left, began = 0, b"", time.perf_counter()
    for batch in batches:
        client.send(batch)
        sent += BATCH
        while sent - len(seen) > WINDOW or (sent >= count and len(seen) < count):
            left += client.read(5.0)
            cut = left.rfind(b"}") + 1
            seen.update(_ORDER_ID.findall(left[:cut]))
            left = left[cut - 2000 if cut > 2000 else 0 :][-4000:]
            if time.perf_counter() - began > 120:
                raise TimeoutError(f"{len(seen)} of {count} reported")
    return count / (time.perf_counter() - began)


def echo(port_to: Any, report_bytes: int) -> None:
    """Answer each order's frame with `report_bytes` bytes, reading nothing of it; one client, then end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port_to.send(server.getsockname()[1])
        client, _ = server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = len(order(1_000_000, 1234.0))
        waiting = 0
        while data := client.recv(1 << 20):
            waiting += len(data)
            whole, waiting = divmod(waiting, size)
            client.sendall(b"x" * (report_bytes * whole))


def floor(pings: int, report_bytes: int, core: int) -> dict[str, Any]:
    """Measure the same round trips against the echo."""
    here, there = multiprocessing.Pipe()
    child = multiprocessing.Process(target=echo, args=(there, report_bytes), daemon=True)
    child.start()
    os.sched_setaffinity(child.pid or 0, {core})
    took = []
    with socket.create_connection(("127.0.0.1", here.recv())) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        due = time.perf_counter()
        for number in range(1_000_000, 1_000_000 + pings):
            data, left = order(number, 1234.0), report_bytes
            due = max(due + PACE_S, time.perf_counter())
            while time.perf_counter() < due:
                pass
            began = time.perf_counter()
            client.sendall(data)
            while left > 0:
                left -= len(client.recv(65536))
            took.append((time.perf_counter() - began) * 1e6)
    child.join(5)
    return {
        "p50_us": round(_bench.quantile(took, 0.5), 1),
        "p99_us": round(_bench.quantile(took, 0.99), 1),
        "n": len(took),
    }


def lower_limit(server: _bench.Server) -> float:
    """Return the instrument's lower price limit: a buy there trades with nobody."""
    with connect(f"ws://127.0.0.1:{server.port}/ws/market") as market:
        market.send(json.dumps({"aid": "subscribe_quote", "ins_list": ".".join(SYMBOL)}))
        market.send(json.dumps({"aid": "peek_message"}))
        while True:
            for patch in json.loads(market.recv(10)).get("data", ()):
                quote = patch.get("quotes", {}).get(".".join(SYMBOL), {})
                if isinstance(quote.get("lower_limit"), int | float):
                    return float(quote["lower_limit"])


def measure(
    durability: str, pings: int, orders: int, server_core: int, *, busy_poll: bool = False
) -> dict[str, Any]:
    """Run one server with one durability; return its figures."""
    password = "Bench-" + base64.urlsafe_b64encode(os.urandom(9)).decode()
    settings = [f"trade.durability={durability}", f"run.busy_poll={str(busy_poll).lower()}", *UNLIMITED]
    flags = [part for setting in settings for part in ("--set", setting)]
    with _bench.serve("--mode", "trade", *flags, core=server_core) as server:
        user = ["user", "add", "bench", "--password-stdin", "--account", "bench", "--cash", "100000000"]
        subprocess.run(
            [sys.executable, "-m", "qautlra", *user, "--port", str(server.port)],
            input=password.encode() + b"\n",
            check=True,
            capture_output=True,
        )
        client = logged_in(server.port, password)
        price = lower_limit(server)
        paced(client, 1, 200, price)
        took = paced(client, 1001, pings, price)
        cpu_s = _bench.cpu_s(server.pid)
        rate = pipelined(client, 100_000, orders, price)
        cpu_s = _bench.cpu_s(server.pid) - cpu_s
    return {
        "p50_us": round(_bench.quantile(took, 0.5), 1),
        "p99_us": round(_bench.quantile(took, 0.99), 1),
        "p999_us": round(_bench.quantile(took, 0.999), 1),
        "n": len(took),
        "pipelined_per_s": round(rate),
        "server_cpu_us_per_order": round(cpu_s / orders * 1e6, 2),
        "report_bytes": round(client.bytes_in / (200 + pings + orders)),
        "orders": orders,
    }


def main() -> None:
    """Measure with each durability and print the line."""
    chosen = _bench.options(__doc__ or "", ("--pings", {"type": int}), ("--orders", {"type": int}))
    pings, orders = (300, 4096) if chosen.short else (5000, 131_072)
    pings, orders = chosen.pings or pings, (chosen.orders or orders) // BATCH * BATCH
    server, load = _bench.cores()
    os.sched_setaffinity(0, {load})
    found = {name: measure(name, pings, orders, server) for name in ("memory", "process", "power")}
    found["memory_busy_poll"] = measure("memory", pings, orders, server, busy_poll=True)
    found["control"] = floor(pings, found["process"]["report_bytes"], server)
    _bench.report(
        "order_socket",
        **found,
        target={"process_p99_us": TARGET_P99_US, "pipelined_per_s": TARGET_PER_S},
        value="microseconds from sending an order to its durable report; orders reported per second",
        cores={"server": server, "load": load},
    )


if __name__ == "__main__":
    main()
