"""kill -9 while topics are read, and the broker cut off: every message is there, and none of them twice."""

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve, Server, serving
from tests.e2e.test_kafka import kafka, rows, settings, until
from tests.kafka_broker import Broker, broker

KILLS = min(int(os.environ.get("QAUTLRA_KILLS", "10")), 40)
__all__ = ["broker"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 10 * KILLS)]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    yield from serving(tmp_path)


class Producer(threading.Thread):
    """Sends to both topics until told to end; counts what the broker took."""

    def __init__(self, broker: Broker, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self._broker = broker
        self._rng = rng
        self.ending = threading.Event()
        self.events = 0
        self.bad = 0
        self.ticks = 0

    def run(self) -> None:
        asyncio.run(self._send())

    async def _send(self) -> None:
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(bootstrap_servers=self._broker.address)
        await producer.start()
        now_us = int(time.time() * 1e6)
        while not self.ending.is_set():
            told = []
            for _ in range(self._rng.randrange(1, 200)):
                if self._rng.random() < 0.02:
                    value = b"{bad %d" % self.bad
                    self.bad += 1
                else:
                    size = self._rng.choice((1, 1, 3))
                    value = json.dumps([{"n": self.events + at} for at in range(size)]).encode()
                    self.events += size
                told.append(await producer.send("app", value, partition=self._rng.randrange(2)))
            for _ in range(50):
                tick = {"instrument_id": "SHFE.au2612", "datetime": now_us + self.ticks, "volume": self.ticks}
                told.append(await producer.send("market_data", json.dumps(tick).encode(), partition=0))
                self.ticks += 1
            await asyncio.gather(*told)
            await asyncio.sleep(0.02)
        await producer.stop()


def all_rows(server: Server, stream: str, column: str) -> list[float | str]:
    body = {"stream": stream, "start_time": "2d", "fields": [column]}
    status, answer, _ = server.request(
        "POST", "/api/v1/query", json.dumps(body).encode(), Accept="application/x-ndjson"
    )
    assert status == 200, answer
    return [json.loads(line)[column] for line in answer.splitlines()]


def test_every_message_once(serve: Serve, broker: Broker) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    broker.make("app", 2)
    broker.make("market_data")
    producer = Producer(broker, rng)
    producer.start()
    given = [
        *settings(broker, "app", "market_data", batch_messages="40"),
        "--set",
        "store.segment_bytes=64KiB",
    ]
    took = []
    for _ in range(KILLS):
        server = serve(*given, mode="db")
        until(lambda: kafka(server)["messages"] > 0)  # noqa: B023 - asked before the next one is there
        time.sleep(rng.uniform(0.0, 0.3))
        took.append(kafka(server)["messages"])
        server.kill()
    producer.ending.set()
    producer.join(40)
    assert not producer.is_alive()
    server = serve(*given, mode="db")
    until(lambda: kafka(server)["connected"] and kafka(server)["lag_messages"] == 0, 60)
    until(lambda: len(rows(server, "kafka_dead")) >= producer.bad)
    numbers = [int(n) for n in all_rows(server, "app", "n")]
    assert sorted(numbers) == list(range(producer.events)), "an event is lost, or is there twice"
    dead = all_rows(server, "kafka_dead", "value")
    assert sorted(dead) == sorted(f"{{bad {n}" for n in range(producer.bad))
    volumes = all_rows(server, "futures_market", "volume")
    assert sorted(volumes) == list(range(producer.ticks)), "a tick is lost, or is there twice"
    print(f"{KILLS} kills, {len(numbers)} events, {len(volumes)} ticks, {len(dead)} dead letters, {took}")
