"""Between a program and a real broker: blocks publishers as the broker does in an alarm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pamqp.frame
from pamqp import commands

FRAME_HEAD_BYTES = 7


class Relay:
    """Of its newest connection."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self.url = ""
        self.connects_count = 0
        self.held_bytes = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._broker: asyncio.StreamWriter | None = None
        self._client: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        """Listen on a port of its own, for as long as this lasts."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = f"amqp://{self._to.username}:{self._to.password}@127.0.0.1:{port}{self._to.path}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def block(self, reason: str = "low on memory") -> None:
        """From now on the broker reads nothing, and says so."""
        self.hold()
        self._tell(commands.Connection.Blocked(reason))

    def unblock(self) -> None:
        """Give the broker what was held back."""
        self.flow()
        self._tell(commands.Connection.Unblocked())

    def hold(self) -> None:
        """From now on the broker hears nothing, and does not know why."""
        self._flows.clear()

    def flow(self) -> None:
        """Give the broker what was held back."""
        self._flows.set()

    def put_up(self, *frames: tuple[int, Any]) -> None:
        """Say something to the broker as if the program had; between two writes of it, so whole frames."""
        assert self._broker is not None
        for channel, frame in frames:
            self._broker.write(pamqp.frame.marshal(frame, channel))

    def put_down(self, data: bytes) -> None:
        """Say something to the program as if the broker had."""
        assert self._client is not None
        self._client.write(data)

    @property
    def broker_port(self) -> int:
        """Our port of the connection to the broker: by it the broker's own list names it."""
        assert self._broker is not None
        port: int = self._broker.get_extra_info("sockname")[1]
        return port

    def cut(self) -> None:
        """End the connection without a goodbye, and lose what was held back."""
        assert self._client is not None
        self._client.transport.abort()
        for task in self._tasks:
            task.cancel()

    def _tell(self, frame: commands.Connection.Blocked | commands.Connection.Unblocked) -> None:
        assert self._client is not None
        self._client.write(pamqp.frame.marshal(frame, 0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects_count += 1
        self._client = writer
        self._flows.set()
        broker = await asyncio.open_connection(self._to.hostname, self._to.port or 5672)
        self._broker = broker[1]
        for work in (self._up(reader, broker[1]), self._down(broker[0], writer)):
            task = asyncio.ensure_future(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.held_bytes += 0 if self._flows.is_set() else len(data)
                await self._flows.wait()
                writer.write(data)
        finally:
            writer.transport.abort()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass whole frames, so that one of ours comes between two."""
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await reader.readexactly(FRAME_HEAD_BYTES)
                    writer.write(head + await reader.readexactly(int.from_bytes(head[3:], "big") + 1))
        finally:
            writer.close()
