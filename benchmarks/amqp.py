"""Orders through RabbitMQ to a real `qautlra serve` and their reports back.

Published to QAORDER_ROUTER, judged, journaled and matched, reported on QAACCOUNT. `paced`: 500 orders/s, each
from its publication to its report. `pipelined`: as many as it takes, 2,048 under way. One order in ten meets
the simulated market's book and trades, so QATRANSACTION is busy too. The control is the same messages through
the same broker to a consumer that only acknowledges and sends them back; both take turns, because what the
broker costs depends on the machine's other work. Load and control use the product's own link code, on uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiormq
import orjson
import uvloop
from websockets.sync.client import connect

import _bench
from qautlra.base import log
from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.bus import Delivery, Message, Queue

URL = os.environ.get("QAUTLRA_TEST_AMQP", "amqp://guest:guest@127.0.0.1:5672/")
EXCHANGE_ID, INSTRUMENT_ID = "SHFE", "rb2701"
PER_S = 500
WINDOW = 2048
BATCH = 64
CROSSING = 10
TARGET = {"pipelined_per_s": 5000, "paced_p99_ms": 1.0}
_ORDER_ID = re.compile(rb'"order_id":"(b[0-9]+)"')


def order(account: str, number: int, low: float, high: float) -> bytes:
    """Return an order that does not rest; one in CROSSING trades."""
    crosses = number % CROSSING == 0
    return orjson.dumps(
        {
            "topic": "sendorder",
            "account_cookie": account,
            "code": INSTRUMENT_ID,
            "exchange_id": EXCHANGE_ID,
            "order_direction": "SELL" if crosses and number % (2 * CROSSING) else "BUY",
            "order_offset": "OPEN",
            "volume": 1,
            "price": (low if number % (2 * CROSSING) else high) if crosses else low,
            "time_condition": "IOC",
            "order_id": f"b{number}",
        }
    )


class Client:
    """Publishes orders and notes when each report came; over the product's own link, as the control does."""

    def __init__(self, exchange: str, key: str, reports: Queue) -> None:
        self.exchange, self.key, self.reports = exchange, key, reports
        self.came: dict[bytes, float] = {}
        self.progress = asyncio.Event()
        self.bus = AmqpBus(AmqpOptions(Secret(URL)))
        self.bus.serve(reports, self._report)

    def _report(self, delivery: Delivery) -> None:
        found = _ORDER_ID.search(delivery.body)
        if found is not None and found[1] not in self.came:
            self.came[found[1]] = time.perf_counter()
            self.progress.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.bus.run())
        while not self.bus.is_connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def send(self, bodies: list[bytes]) -> None:
        await self.bus.publish([Message(self.exchange, self.key, body) for body in bodies])

    async def paced(self, bodies: list[tuple[bytes, bytes]]) -> list[float]:
        """Return the milliseconds from handing each over to its report."""
        took = []
        due = time.perf_counter()
        for name, body in bodies:
            due = max(due + 1 / PER_S, time.perf_counter())
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            async with asyncio.timeout(10):
                began = time.perf_counter()
                await self.send([body])
                while name not in self.came:
                    self.progress.clear()
                    await self.progress.wait()
            took.append((self.came[name] - began) * 1e3)
        return took

    async def pipelined(self, bodies: list[tuple[bytes, bytes]]) -> float:
        """Return the reports per second with WINDOW orders under way."""
        before, began = len(self.came), time.perf_counter()
        async with asyncio.timeout(120):
            for at in range(0, len(bodies), BATCH):
                while at - (len(self.came) - before) > WINDOW - BATCH:
                    self.progress.clear()
                    await self.progress.wait()
                await self.send([body for _, body in bodies[at : at + BATCH]])
            while len(self.came) - before < len(bodies):
                self.progress.clear()
                await self.progress.wait()
        return len(bodies) / (time.perf_counter() - began)


ECHO = """
import asyncio, sys, uvloop
from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.bus import Message, Queue
url, queue, back = sys.argv[1:]

async def main():
    bus, waiting, wake = AmqpBus(AmqpOptions(Secret(url))), [], asyncio.Event()
    def take(delivery):
        waiting.append(delivery)
        wake.set()
    bus.serve(Queue(queue), take)
    task = asyncio.create_task(bus.run())
    print("ready", flush=True)
    while True:
        await wake.wait()
        wake.clear()
        taken, waiting[:] = list(waiting), []
        await bus.publish([Message("", back, delivery.body) for delivery in taken])
        await bus.ack(taken)
uvloop.run(main())
"""


@contextlib.contextmanager
def echo(queue: str, back: str, core: int) -> Iterator[None]:
    """Run the control's consumer."""
    command = [*_bench.pin(core), sys.executable, "-c", ECHO, URL, queue, back]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=_bench.environment())
    try:
        assert process.stdout is not None and process.stdout.readline()
        time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(10)


def limits(port: int) -> tuple[float, float]:
    """Return the instrument's price limits."""
    symbol = f"{EXCHANGE_ID}.{INSTRUMENT_ID}"
    with connect(f"ws://127.0.0.1:{port}/ws/market") as market:
        market.send(orjson.dumps({"aid": "subscribe_quote", "ins_list": symbol}).decode())
        while True:
            market.send('{"aid":"peek_message"}')
            for patch in orjson.loads(market.recv(10)).get("data", ()):
                quote = patch.get("quotes", {}).get(symbol, {})
                if isinstance(quote.get("lower_limit"), int | float):
                    return float(quote["lower_limit"]), float(quote["upper_limit"])


async def clean(queues: list[str]) -> None:
    """Delete what the runs left at the broker."""
    connection = await aiormq.connect(URL)
    channel = await connection.channel()
    for queue in queues:
        await channel.queue_delete(queue)
    await connection.close()


async def measure(durability: str, pings: int, orders: int, rounds: int, core: int) -> dict[str, Any]:
    """Run one server with one durability, its control in turns; return both figures."""
    account = f"bench{uuid.uuid4().hex[:8]}"
    settings = (
        f"trade.durability={durability}",
        f"link.amqp.url={URL}",
        f"trade.trader.account={account}",
        "trade.trader.cash=1000000000000",
        f'trade.amqp.accounts=["{account}"]',
        "trade.limits.orders_per_s=0",
        "trade.limits.orders_burst=0",
        "trade.ctp_front.enabled=false",
    )
    flags = [part for setting in settings for part in ("--set", setting)]
    found: dict[str, dict[str, list[float]]] = {
        who: {"p50_ms": [], "p99_ms": [], "pipelined_per_s": []} for who in ("product", "control")
    }
    control_queue = f"qautlra.bench.{account}"
    with _bench.serve("--mode", "trade", *flags, core=core) as server:
        low, high = limits(server.port)
        reports = Queue(f"{control_queue}.reports", (("QAACCOUNT", f"{account}.order"),), needs_ack=False)
        back = Queue(f"{control_queue}.back", needs_ack=False)
        product = Client("QAORDER_ROUTER", account, reports)
        control = Client("", control_queue, back)
        number = 0

        def bodies(count: int) -> list[tuple[bytes, bytes]]:
            nonlocal number
            number += count
            return [(b"b%d" % n, order(account, n, low, high)) for n in range(number - count, number)]

        async with product.running(), control.running():
            with echo(control_queue, back.name, core):
                for client in (product, control):
                    await client.paced(bodies(50))
                cpu_s = 0.0
                for _ in range(rounds):
                    for who, client in (("product", product), ("control", control)):
                        took = await client.paced(bodies(pings))
                        found[who]["p50_ms"].append(_bench.quantile(took, 0.5))
                        found[who]["p99_ms"].append(_bench.quantile(took, 0.99))
                        began_s = _bench.cpu_s(server.pid)
                        found[who]["pipelined_per_s"].append(await client.pipelined(bodies(orders)))
                        cpu_s += (_bench.cpu_s(server.pid) - began_s) if who == "product" else 0.0
        health = server.service("trade.amqp")
    await clean([control_queue, back.name, reports.name, f"qautlra.orders.{account}"])
    spread: dict[str, Any] = {
        who: {name: _bench.spread(values, 3) for name, values in of.items()} for who, of in found.items()
    }
    spread["product"]["server_cpu_us_per_order"] = round(cpu_s / orders / rounds * 1e6, 1)
    return spread | {"pings": pings, "orders": orders, "told": health.get("published")}


def main() -> None:
    """Measure with each durability and print the line."""
    chosen = _bench.options(__doc__ or "")
    log.configure("warning")
    try:
        asyncio.run(clean([]))
    except OSError as error:
        _bench.report("amqp", skipped=f"no RabbitMQ at {URL.rpartition('@')[2]}: {error}")
        return
    pings, orders, rounds = (100, 1024, 1) if chosen.short else (2000, 16_384, 5)
    server, load = _bench.cores()
    os.sched_setaffinity(0, {load})
    names = ("process",) if chosen.short else ("process", "power")
    _bench.report(
        "amqp",
        **{name: uvloop.run(measure(name, pings, orders, rounds, server)) for name in names},
        control="a consumer that only acknowledges and sends the same bytes back, over the same link code",
        target=TARGET,
        value="milliseconds from publishing an order to its report; orders reported per second",
        cores={"server": server, "load": load, "broker": "either"},
    )


if __name__ == "__main__":
    main()
