"""One DIFF feed as a client: connects, subscribes, reads, and comes back when the connection is lost.

Whatever goes wrong outside is a reason to reconnect, never an error to the caller. The patches of each
message go to `on_patches`, which is awaited before the next message is read: a slow taker makes a server
that answers peeks merge more into each frame, and never fills our memory.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI, WebSocketException

from qautlra.base.clock import monotonic_s, new_random
from qautlra.base.errors import LinkError
from qautlra.base.log import get_logger
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


def check_url(url: str) -> str:
    """Return the URL; LinkError when it is not one of a WebSocket."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LinkError(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname or port == 0 or parts.fragment:
        raise LinkError(f"{url!r} is not a WebSocket URL (ws://host:port/path)")
    return url


def trusted(path: str) -> ssl.SSLContext:
    """Return a context that trusts a certificate, or all of a directory; LinkError when there is none."""
    context = ssl.create_default_context()
    place = Path(path)
    try:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        for file in files:
            context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        raise LinkError(f"{path}: no certificates can be read there: {error}") from None
    return context


class BackOff:
    """Waits between attempts: doubling from `least_s` to `most_s`, each shortened at random by up to half."""

    def __init__(self, least_s: float, most_s: float, random: Callable[[], float]) -> None:
        self._least_s, self._most_s, self._random = least_s, most_s, random
        self._next_s = least_s

    def reset(self) -> None:
        """Start from the shortest wait again."""
        self._next_s = self._least_s

    def next_s(self) -> float:
        """Return the seconds to wait before the next attempt."""
        wait_s = self._next_s
        self._next_s = min(wait_s * 2, self._most_s)
        return wait_s * (1 - self._random() / 2)


class DiffClient:
    """Keeps one subscription alive. Owner: the loop thread; one task awaits `run`."""

    def __init__(
        self,
        options: DiffClientOptions,
        on_patches: OnPatches,
        *,
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        check_url(options.url)
        self._options = options
        is_secure = options.url.startswith("wss:")
        self._trust = trusted(options.ca_path) if is_secure and options.ca_path else is_secure or None
        self._on_patches = on_patches
        self._on_connected = on_connected
        self._talk = Conversation(options.max_instruments)
        self._connection: ClientConnection | None = None
        self._back_off = BackOff(options.retry_min_s, options.retry_max_s, new_random().random)
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
            while True:
                began_s = monotonic_s()
                await self._once()
                if monotonic_s() - began_s >= self._options.settled_s:
                    self._back_off.reset()
                wait_s = self._back_off.next_s()
                self.state = "waiting"
                _log.warning("feed_lost", url=self.shown_url, error=self.error, retry_s=round(wait_s, 2))
                await asyncio.sleep(wait_s)
        finally:
            self.state = "stopped"
            self._give_up_connection()

    @property
    def shown_url(self) -> str:
        """The URL without what may be secret in it."""
        parts = urlsplit(self._options.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

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
                proxy=None if _is_local(options.url) else True,
                ssl=self._trust,
            ) as connection:
                await self._converse(connection)
        except InvalidURI as error:
            self.error = str(error)
        except InvalidHandshake as error:
            self.error = f"refused: {error}"
        except ConnectionClosed as error:
            self.error = f"closed: {error}"
        except TimeoutError:
            self.error = "no answer in time"
        except (OSError, WebSocketException, EOFError) as error:
            self.error = str(error) or type(error).__name__
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


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
