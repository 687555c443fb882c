"""The socket under aiormq's connection.

Deliveries and answers are handed over at once, without a task. Frames of connecting, topology, heartbeats and
closing go on to aiormq, by the stream it reads. Both write to one transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import aiormq

from qautlra.base.clock import monotonic_s
from qautlra.base.log import get_logger
from qautlra.link.amqp_reader import JunkError, Reader, Taken

TURN_COUNT = 32
"""Most messages handed over in one turn of the loop."""
_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_HEARTBEAT_S = 1.0
_log = get_logger("link")


class Socket(asyncio.StreamReaderProtocol):
    """One connection's. Bound: while messages of one read wait for their turn, nothing more is read."""

    def __init__(self, stream: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(stream, loop=loop)
        self._stream = stream
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Taken] = deque()
        self._passed_s = 0.0
        self.reader = Reader()
        self.on_taken: Callable[[Taken], None]
        self.on_answers: Callable[[int], None]
        self.on_cancelled: Callable[[], None]
        self.on_own: Callable[[int, bytes], None]
        self.on_blocked: Callable[[str], None]
        self.on_lost: Callable[[], None]
        self._blocked = ""
        self.let_go()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody is handed anything any more."""
        self._waiting.clear()
        self._transport = None
        super().connection_lost(error)
        self.on_lost()

    def data_received(self, data: bytes) -> None:
        """Hand over what is whole."""
        reader = self.reader
        try:
            taken, others = reader.feed(data)
        except JunkError as error:
            self._stream.set_exception(error)
            if self._transport is not None:
                self._transport.abort()
            return
        if others:
            super().data_received(others)
            self._passed_s = monotonic_s()
        elif monotonic_s() - self._passed_s > _HEARTBEAT_S:  # a broker that sends to us sends no heartbeats
            super().data_received(_HEARTBEAT)
            self._passed_s = monotonic_s()
        if reader.answers_count:
            count, reader.answers_count = reader.answers_count, 0
            self.on_answers(count)
        if reader.blocked != self._blocked:
            self._blocked = reader.blocked
            self.on_blocked(self._blocked)
        if reader.own:
            own, reader.own = reader.own, []
            for channel, frame in own:
                self.on_own(channel, frame)
        if reader.is_cancelled:
            reader.is_cancelled = False
            self.on_cancelled()
        if taken:
            is_first = not self._waiting
            self._waiting += taken
            if is_first:
                self._hand_over()

    def write(self, data: bytes) -> bool:
        """Write whole frames, without waiting; False when the connection is gone."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(data)
        return True

    def let_go(self) -> None:
        """Hand over nothing, as before there is a taker and when the connection is being closed."""
        self._waiting.clear()
        self.on_taken = lambda _taken: None
        self.on_answers = lambda _count: None
        self.on_cancelled = lambda: None
        self.on_own = lambda _channel, _frame: None
        self.on_blocked = lambda _reason: None
        self.on_lost = lambda: None

    def _hand_over(self) -> None:
        for _ in range(min(TURN_COUNT, len(self._waiting))):
            taken = self._waiting.popleft()
            try:
                self.on_taken(taken)
            except Exception:
                _log.exception("delivery_failed", message_id=taken.message_id)  # it stays unacknowledged
        if self._transport is None:
            self._waiting.clear()
        elif self._waiting:
            self._transport.pause_reading()
            self._loop.call_soon(self._hand_over)
        else:
            self._transport.resume_reading()


class SocketFactory(aiormq.TransportFactory):
    """Opens the socket of one connection as aiormq asks for it."""

    def __init__(self) -> None:
        self.socket: Socket | None = None

    async def create(self, url: Any, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; a broker by TLS is checked by what the URL says."""
        certificates = options.pop("ssl_context_provider")
        context = await certificates.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(loop=loop)
        socket = self.socket = Socket(stream, loop)
        transport, _ = await loop.create_connection(lambda: socket, url.host, url.port, ssl=context)
        return stream, asyncio.StreamWriter(transport, socket, stream, loop)
