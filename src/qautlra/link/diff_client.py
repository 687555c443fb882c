"""One DIFF feed as a client: connects, subscribes, reads, and comes back when the connection is lost.

Whatever goes wrong outside is a reason to reconnect, never an error to the caller. The patches of each
message go to `on_patches`, which is awaited before the next message is read: a slow taker makes a server
that answers peeks merge more into each frame, and never fills our memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from qautlra.base.clock import new_random
from qautlra.base.log import get_logger
from qautlra.link import web_socket
from qautlra.link.back_off import BackOff
from qautlra.link.conversation import Conversation

UNSENT_FRAMES_COUNT = 16

_log = get_logger("link")
OnPatches = Callable[[list[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DiffClientOptions:
    """Where the feed is and what is put up with. `silence_s`: no frame for so long ends the connection."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    max_instruments: int = 5000
    message_bytes: int = 16 << 20
    open_timeout_s: float = 10.0
    silence_s: float = 30.0
    retry_min_s: float = 0.2
    retry_max_s: float = 20.0
    settled_s: float = 5.0
    "A connection that lasted so long starts the back-off anew."
    ca_path: str = ""
    "Certificates (a PEM file, or a directory of them) that are trusted besides the system's."


class DiffClient:
    """Keeps one subscription alive. Owner: the loop thread; one task awaits `run`."""

    def __init__(
        self,
        options: DiffClientOptions,
        on_patches: OnPatches,
        *,
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        web_socket.check_url(options.url)
        self._options = options
        self._trust = web_socket.trust_of(options.url, options.ca_path)
        self._on_patches = on_patches
        self._on_connected = on_connected
        self._talk = Conversation(options.max_instruments)
        self._connection: ClientConnection | None = None
        self._back_off = BackOff(
            options.retry_min_s, options.retry_max_s, new_random().random, options.settled_s
        )
        self._sending: asyncio.Task[None] | None = None
        self._unsent: list[str] = []
        self.state = "connecting"
        self.error = ""
        self.connects_count = 0
        self.failures_count = 0

    @property
    def conversation(self) -> Conversation:
        """What was said: names, manner of the server, counts."""
        return self._talk

    @property
    def is_connected(self) -> bool:
        """Whether frames can arrive now."""
        return self._connection is not None

    def round_trip_s(self) -> float | None:
        """Return the time the last protocol ping took, None before any."""
        connection = self._connection
        return (connection.latency or None) if connection is not None else None

    def want(self, names: Iterable[str]) -> None:
        """Replace the subscription; it is sent now when connected, and on every connection.

        Every set reaches the server, in order: it sends full quotes of what is new in each.
        """
        self._unsent += self._talk.want(names)
        if self._unsent and (self._sending is None or self._sending.done()) and self._connection is not None:
            self._sending = asyncio.get_running_loop().create_task(self._send_changes(self._connection))

    async def run(self) -> None:
        """Stay connected until cancelled."""
        try:
            await self._back_off.attempt(self._once, self._waits)
        finally:
            self.state = "stopped"
            self._give_up_connection()

    @property
    def shown_url(self) -> str:
        """The URL without what may be secret in it."""
        return web_socket.shown_url(self._options.url)

    async def _waits(self, wait_s: float) -> float:
        self.state = "waiting"
        _log.warning("feed_lost", url=self.shown_url, error=self.error, retry_s=round(wait_s, 2))
        return wait_s

    async def _once(self) -> None:
        """One connection from its opening to its end; the reason of the end is in `error`."""
        options = self._options
        self.state = "connecting"
        try:
            async with connect(
                options.url,
                additional_headers=list(options.headers),
                max_size=options.message_bytes,
                open_timeout=options.open_timeout_s,
                close_timeout=1.0,
                ping_interval=options.silence_s / 3,
                ping_timeout=options.silence_s / 2,
                compression=None,
                proxy=None if web_socket.is_local(options.url) else True,
                ssl=self._trust,
            ) as connection:
                await self._converse(connection)
        except web_socket.FAILURES as error:
            self.error = web_socket.end_of(error)
        finally:
            self.failures_count += 1
            self._give_up_connection()

    async def _converse(self, connection: ClientConnection) -> None:
        self._on_connected()
        for frame in self._talk.opened():
            await connection.send(frame)
        self._connection = connection
        self.state, self.error = "connected", ""
        self.connects_count += 1
        self.want(self._talk.names)
        _log.info("feed_connected", url=self.shown_url, instruments=len(self._talk.names))
        async for message in connection:
            frames, patches = self._talk.receive(message)
            # The peek goes first: the server prepares the next answer while this one is used.
            for frame in frames:
                await connection.send(frame)
            if patches:
                await self._on_patches(patches)
        self.error = "closed by the server"

    async def _send_changes(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):  # the next connection begins with the whole set
            while self._unsent and connection is self._connection:
                if len(self._unsent) > UNSENT_FRAMES_COUNT:
                    self.error = "the server does not read"
                    await connection.close()
                    return
                await connection.send(self._unsent.pop(0))

    def _give_up_connection(self) -> None:
        self._connection = None
        self._talk.closed()
        self._unsent = []
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
