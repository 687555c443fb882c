"""A broker that does what a test says: connections and channels it opens as it should, the rest by hand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pamqp.frame
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from tests.models.amqp import delivery

_FRAME = 131_072


class Broker:
    """Of its newest connection; `is_silent` answers nothing any more."""

    def __init__(self) -> None:
        self.url = ""
        self.connects_count = 0
        self.heartbeats_count = 0
        self.acks: list[int] = []
        self.published: list[bytes] = []
        self.consumers: list[tuple[int, str]] = []
        self.is_silent = False
        self.channels_count = 2047
        self.delay_s = 0.0
        "Before each answer."
        self._writer: asyncio.StreamWriter | None = None
        self._tag = 0

    @asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator[Broker]:
        """Listen; with a context by TLS."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        self.url = f"{'amqps' if context else 'amqp'}://guest:guest@127.0.0.1:{port}/"
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """End the connection without a goodbye."""
        if self._writer is not None:
            self._writer.transport.abort()

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self._writer is not None
        self._writer.write(data)

    def tell(self, frame: Any, channel: int = 0) -> None:
        """Write a frame."""
        self.send(pamqp.frame.marshal(frame, channel))

    def deliver(self, *bodies: bytes) -> bytes:
        """Return messages for the first consumer."""
        channel, consumer = self.consumers[0]
        found = []
        for body in bodies:
            self._tag += 1
            found.append(delivery(body, channel=channel, tag=self._tag, consumer=consumer))
        return b"".join(found)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects_count += 1
        self._writer, self._tag = writer, 0
        self.consumers.clear()
        assert await reader.readexactly(8) == b"AMQP\x00\x00\x09\x01"
        self.tell(commands.Connection.Start(server_properties={"capabilities": {}}))
        try:
            while True:
                head = await reader.readexactly(7)
                raw = head + await reader.readexactly(int.from_bytes(head[3:], "big") + 1)
                _, channel, frame = pamqp.frame.unmarshal(raw)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                self._take(channel, frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _take(self, channel: int, frame: Any) -> None:
        match frame:
            case Heartbeat():
                self.heartbeats_count += 1
            case commands.Basic.Ack():
                self.acks.append(frame.delivery_tag)
            case commands.Basic.Publish() | ContentHeader():
                pass
            case ContentBody():
                self.published.append(frame.value)
            case _ if not self.is_silent:
                answer = self._answer(channel, frame)
                if answer is not None:
                    self.tell(answer, channel)

    def _answer(self, channel: int, frame: Any) -> Any:
        match frame:
            case commands.Connection.StartOk():
                return commands.Connection.Tune(self.channels_count, _FRAME, 60)
            case commands.Connection.Open():
                return commands.Connection.OpenOk()
            case commands.Connection.Close():
                return commands.Connection.CloseOk()
            case commands.Channel.Open():
                return commands.Channel.OpenOk()
            case commands.Channel.Close():
                return commands.Channel.CloseOk()
            case commands.Basic.Qos():
                return commands.Basic.QosOk()
            case commands.Queue.Declare():
                return commands.Queue.DeclareOk(frame.queue, 0, 1)
            case commands.Queue.Bind():
                return commands.Queue.BindOk()
            case commands.Exchange.Declare():
                return commands.Exchange.DeclareOk()
            case commands.Basic.Consume():
                self.consumers.append((channel, frame.consumer_tag))
                return commands.Basic.ConsumeOk(frame.consumer_tag)
        return None
