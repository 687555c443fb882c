"""One trading gateway as a client (DIFF): logs in, merges what it sends, comes back when it is lost.

Nothing is sent while the link is down, and nothing is kept to be sent later: an order must not arrive at a
market its sender no longer sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from qautlra.base.clock import monotonic_s, new_random
from qautlra.base.errors import LinkError
from qautlra.base.log import get_logger
from qautlra.base.secret import Secret
from qautlra.link import web_socket
from qautlra.link.back_off import BackOff
from qautlra.model.order import Said
from qautlra.wire import trade_client as wire

UNSENT_BYTES = 1 << 20
REFUSED, TURNED_AWAY = "refused", "turned away"
_log = get_logger("link")


@dataclass(frozen=True, slots=True)
class TradeClientOptions:
    """Where the gateway is, who logs in, and what is put up with."""

    url: str
    bid: str
    user: str
    password: Secret
    app_id: str = ""
    ping_s: float = 5.0
    silence_s: float = 30.0
    login_timeout_s: float = 15.0
    message_bytes: int = 16 << 20
    retry_min_s: float = 0.5
    retry_max_s: float = 60.0
    settled_s: float = 5.0
    refused_s: float = 5.0
    "Before a login that was refused for a reason that passes is tried again, at least."
    ca_path: str = ""
    "Certificates (a PEM file, or a directory of them) that are trusted besides the system's."


class TradeClient:
    """Keeps one login alive. `on_packet(touched, notices)` is told of every packet, `on_lost()` of a cut."""

    def __init__(
        self,
        options: TradeClientOptions,
        on_packet: Callable[[dict[str, set[str]], list[Said]], None],
        on_lost: Callable[[], None],
    ) -> None:
        web_socket.check_url(options.url)
        self._options = options
        self._trust = web_socket.trust_of(options.url, options.ca_path)
        self._on_packet = on_packet
        self._on_lost = on_lost
        self._connection: ClientConnection | None = None
        self._back_off = BackOff(
            options.retry_min_s, options.retry_max_s, new_random().random, options.settled_s
        )
        self._sends: set[asyncio.Task[None]] = set()
        self.tree = wire.Tree(options.user)
        self.state = "connecting"
        self.error = ""
        self.connects_count = 0

    @property
    def is_synced(self) -> bool:
        """Whether the whole account is here and orders can be sent."""
        return self._connection is not None and self.tree.is_whole

    @property
    def shown_url(self) -> str:
        """The URL without what may be secret in it."""
        return web_socket.shown_url(self._options.url)

    def send(self, frame: str) -> None:
        """Send now; LinkError when that is not possible now."""
        connection = self._connection
        if connection is None or not self.tree.is_whole:
            raise LinkError(f"the gateway is {self.state}")
        if connection.transport.get_write_buffer_size() > UNSENT_BYTES:
            raise LinkError("the gateway does not read")
        task = asyncio.get_running_loop().create_task(self._send(connection, frame))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    async def _send(self, connection: ClientConnection, frame: str) -> None:
        try:
            await connection.send(frame)
        except ConnectionClosed:
            return

    async def run(self) -> None:
        """Stay logged in until cancelled; a login refused for good is not tried again until a restart."""
        try:
            await self._back_off.attempt(self._once, self._waits)
        finally:
            self._lost()
            self.state = "stopped"

    async def _waits(self, wait_s: float) -> float:
        if self.state == REFUSED:
            _log.error("gateway_refused", url=self.shown_url, user=self.tree.user, error=self.error)
            await asyncio.get_running_loop().create_future()
        if self.state == TURNED_AWAY:
            wait_s = max(wait_s, self._options.refused_s)
        self.state = "waiting"
        _log.warning("gateway_lost", url=self.shown_url, error=self.error, retry_s=round(wait_s, 2))
        return wait_s

    async def _once(self) -> None:
        options = self._options
        self.state = "connecting"
        try:
            async with connect(
                options.url,
                max_size=options.message_bytes,
                open_timeout=options.login_timeout_s,
                close_timeout=1.0,
                ping_interval=options.ping_s,
                ping_timeout=options.silence_s,
                compression=None,
                proxy=None,
                ssl=self._trust,
            ) as connection:
                await self._converse(connection)
        except web_socket.FAILURES as error:
            self.error = web_socket.end_of(error)
        finally:
            self._lost()

    async def _converse(self, connection: ClientConnection) -> None:
        options = self._options
        self.tree.clear()
        self.state = "logging in"
        login = wire.login(options.bid, options.user, options.password.reveal(), options.app_id)
        for frame in (login, wire.CONFIRM, wire.PEEK):
            await connection.send(frame)
        self._connection = connection
        deadline_s = monotonic_s() + options.login_timeout_s
        while True:
            wait_s = None if self.tree.is_whole else max(0.0, deadline_s - monotonic_s())
            async with asyncio.timeout(wait_s):
                message = await connection.recv()
            was_whole = self.tree.is_whole
            try:
                touched, notices = self.tree.read(message)
            except ValueError:
                continue
            if touched:
                await connection.send(wire.PEEK)
            refusal = None if was_whole else wire.login_refusal(notices)
            if refusal is not None:
                self.error, passes = refusal
                self.state = TURNED_AWAY if passes else REFUSED
                return
            if self.tree.is_whole and not was_whole:
                self.state, self.error = "synced", ""
                self.connects_count += 1
                _log.info("gateway_synced", url=self.shown_url)
            self._on_packet(touched, notices)

    def _lost(self) -> None:
        was, self._connection = self._connection, None
        if was is not None:
            self._on_lost()
