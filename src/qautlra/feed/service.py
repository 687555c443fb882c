"""The feed service: owns the hub and the sessions, takes their messages, and decides whom to give up.

When data goes out is `Delivery`'s. Sockets are behind `Sink`; the pump calls `on_batch` after every batch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from qautlra.base import metrics
from qautlra.base.clock import new_uuid, wall_ns
from qautlra.base.errors import ConfigError, InputError, LimitError
from qautlra.base.log import get_logger
from qautlra.base.service import Service
from qautlra.config.tree import Feed
from qautlra.feed import dialects
from qautlra.feed.catalogue import Catalogue
from qautlra.feed.client import Client, Flood, Sink, cost_of
from qautlra.feed.context import FeedHub, Flow
from qautlra.feed.deflate import Deflater
from qautlra.feed.delivery import Delivery
from qautlra.feed.directory import Directory
from qautlra.feed.lines import Lines
from qautlra.feed.sessions import Session
from qautlra.feed.subscriptions import DEFAULT, SubscriptionBook
from qautlra.wire.diff import NOTIFY_LIMIT
from qautlra.wire.errors import CLOSE_INTERNAL, CLOSE_POLICY, CLOSE_RESTART

SWEEP_S = 1.0
GOODBYE_S = 2.0

_log = get_logger("feed")


class FeedService(Service):
    """All clients of the market feed. Owner: the loop thread."""

    name = "feed"

    def __init__(
        self,
        *,
        hub: FeedHub,
        directory: Directory,
        settings: Feed,
        text_frame: Callable[[bytes], bytes],
        market_now_ns: Callable[[], int] = wall_ns,
        connected: Callable[[], bool] = lambda: True,
        demand_changed: Callable[[frozenset[str]], None] = lambda _wanted: None,
        lines: Lines | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        super().__init__()
        self.hub = hub
        self.directory = directory
        self.settings = settings
        self.text_frame = text_frame
        self.market_now_ns = market_now_ns
        self.connected = connected
        self.demand_changed = demand_changed
        self.lines = lines
        self.catalogue = catalogue
        self.book = SubscriptionBook(directory, self._demand)
        self._clients: dict[int, Client] = {}
        self.deflater = Deflater()
        self._delivery = Delivery(
            hub, settings, self._clients, market_now_ns, self._close, deflater=self.deflater
        )
        self._waiting: dict[str, set[int]] = {}
        self._empty = asyncio.Event()
        self._known = 0
        self._matched = 0
        self._demand_due = False
        self._running = False
        self.ticks_count = 0
        self.messages_count = 0
        self._refused = metrics.counter(
            "qautlra_feed_messages_refused", "Client messages not obeyed", ["reason"]
        )
        self._closed = metrics.counter(
            "qautlra_feed_clients_closed", "Clients the server gave up", ["reason"]
        )

    # --- life ---

    async def start(self) -> None:
        """Pin the configured instruments and begin to serve."""
        try:
            self.book.put(DEFAULT, {})
            self.book.pin(self.settings.default_instruments, DEFAULT)
        except InputError as error:
            raise ConfigError(error.message, key="feed.default_instruments") from None
        self._matched = 0
        self._running = True
        self._delivery.start()
        self.spawn(self._sweep_always(), "sweep")

    async def stop(self, grace_s: float) -> None:
        """Close every client with 1012, so that each comes back and asks again."""
        self._running = False
        self._delivery.stop()
        for client in list(self._clients.values()):
            self._close(client, CLOSE_RESTART, "service restart", "restart")
        self._empty = asyncio.Event()
        if self._clients:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), min(grace_s, GOODBYE_S))
        await self.cancel_tasks(grace_s)

    def health(self) -> dict[str, Any]:
        """Return counts of clients and what they want."""
        return {
            "state": "running" if self._running else "stopped",
            "clients": len(self._clients),
            "slow_clients": self._delivery.slow_count,
            "instruments_wanted": len(self.book),
            "instruments_waiting": len(self._waiting),
            "series": len(self.lines) if self.lines is not None else 0,
            "series_rows": self.lines.rows_count if self.lines is not None else 0,
            "ticks": self.ticks_count,
            "bytes_sent": self.bytes_sent_count,
        }

    # --- connections ---

    @property
    def bytes_sent_count(self) -> int:
        """How many bytes were handed to client sockets."""
        return self._delivery.bytes_sent_count

    @property
    def buffered_bytes(self) -> int:
        """Return how much waits in the fullest send buffer."""
        return max((client.sink.buffered() for client in self._clients.values()), default=0)

    @property
    def symbols_count(self) -> int:
        """Return how many instruments the client that wants most of them wants."""
        return max((len(client.session.demand) for client in self._clients.values()), default=0)

    @property
    def clients_count(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def served_count(self) -> int:
        """How many clients have subscribed and would be sent the next change (pulling or pushed to)."""
        self._delivery.admit(asyncio.get_running_loop().time())
        return sum(
            bool(client.session.demand or client.waiting)
            for handle, client in self._clients.items()
            if self._delivery.is_decided(handle)
        )

    def check_room(self) -> None:
        """Raise LimitError (503) when another client would be too many, or none is served now."""
        if not self._running:
            raise LimitError("The feed is not running", status=503)
        if len(self._clients) >= self.settings.max_clients:
            self._refused.labels("clients").inc()
            raise LimitError(
                f"At most {self.settings.max_clients} clients; try again later", status=503, retry_after_s=5
            )

    def attach(
        self, sink: Sink, *, flow: Flow | None = None, stamp: bool = False, whole: bool = False
    ) -> Client:
        """Take a connection in; call `detach` when it is gone. `whole`: it merges nothing (see Session)."""
        self.check_room()
        now = asyncio.get_running_loop().time()
        handle = self.hub.open()
        client = Client(Session(new_uuid(), handle, self, flow=flow, stamp=stamp, whole=whole), sink, now)
        self._clients[handle] = client
        # What is compressed comes back from the hub instead of going straight to the kernel.
        self.hub.connect(handle, sink.outlet if client.deflate is None else None)
        self._delivery.join(client)
        return client

    def greet(self, client: Client) -> None:
        """Send the greeting of a client that asked for one."""
        self._send(client, client.session.greet(), asyncio.get_running_loop().time())

    def detach(self, client: Client) -> None:
        """Forget a connection; safe to call twice."""
        handle = client.session.client
        if self._clients.pop(handle, None) is None:
            return
        self._delivery.leave(handle)
        if client.deflate is not None:
            self.deflater.forget(client.deflate)
        client.session.close()
        self._wait_for(client, set())
        self.book.put(client.session.key, {})
        self.hub.close(handle)
        if not self._clients:
            self._empty.set()

    def heard(self, client: Client) -> bool:
        """Note a sign of life (a ping, a pong); False when the client sends too many."""
        now = asyncio.get_running_loop().time()
        client.heard = now
        if client.bucket.take(cost_of(0), now):
            return True
        self._flooded(client, now)
        return False

    def receive(self, client: Client, text: str) -> None:
        """Take one text message; replies are written before this returns."""
        now = asyncio.get_running_loop().time()
        client.heard = now
        if client.closing:
            return
        if not client.bucket.take(cost_of(len(text)), now):
            self._flooded(client, now)
            return
        self.messages_count += 1
        session = client.session
        session.data_bytes = 0
        frames = dialects.receive(session, text, now)
        if frames:
            self._send(client, frames, now, session.data_bytes)
        self._settle(client, now)

    def receive_binary(self, client: Client) -> None:
        """Refuse one binary message."""
        now = asyncio.get_running_loop().time()
        client.heard = now
        if not client.bucket.take(1.0, now):
            self._flooded(client, now)
            return
        self._refused.labels("binary").inc()
        self._send(client, client.session.refuse("Binary messages are not supported", now), now)
        self._settle(client, now)

    # --- data ---

    def on_batch(self) -> None:
        """Take what the tape has and send what is due; called by the pump after each batch."""
        taken = self.hub.drain()
        if self._waiting and len(self.directory) != self._known:
            self._appear()
        self.ticks_count += taken
        if not self._clients:
            return
        if self.lines is not None:
            self.lines.drain()
        self._delivery.batch(taken)

    def stir(self, client: int) -> None:
        """Note that a client's charts have something new, while the tape is read."""
        self._delivery.stir(client)

    def wake(self, client: int) -> None:
        """See to it that a client is sent what its charts have, at any other time."""
        there = self._clients.get(client)
        if there is None or there.closing:
            return
        now = asyncio.get_running_loop().time()
        self._delivery.stir(client)
        self._delivery.send_stirred(now)
        self._settle(there, now)

    def _send(self, client: Client, frames: list[bytes], now: float, data_bytes: int = 0) -> None:
        """Write replies; the client pays for them, but not for data: a peek too many would end it."""
        data = b"".join(frames)
        client.bucket.charge((len(data) - data_bytes) / 4096)
        self._delivery.write(client, data, now)

    # --- after each message: what changed for the service ---

    def _settle(self, client: Client, now: float) -> None:
        session = client.session
        if session.revision != client.revision:
            client.revision = session.revision
            self.book.put(session.key, session.demand)
            self._wait_for(client, session.waiting)
        self._delivery.settle(client, now)

    def _wait_for(self, client: Client, symbols: set[str]) -> None:
        handle = client.session.client
        for symbol in client.waiting - symbols:
            waiting = self._waiting.get(symbol, set())
            waiting.discard(handle)
            if not waiting:
                self._waiting.pop(symbol, None)
        for symbol in symbols:
            self._waiting.setdefault(symbol, set()).add(handle)
        client.waiting = symbols
        self._known = -1  # a source may have shown it since it was looked up

    def _appear(self) -> None:
        """Give instruments that sources have shown since to the sessions that wait for them."""
        self._known = len(self.directory)
        now = asyncio.get_running_loop().time()
        for symbol in list(self._waiting):
            instrument = self.directory.find(symbol)
            if instrument < 0:
                continue
            for handle in self._waiting.pop(symbol):
                client = self._clients[handle]
                client.waiting.discard(symbol)
                client.session.appeared(symbol, instrument)
                client.revision = client.session.revision
                if client.session.held and client.session.unsent() and client.slow_since is None:
                    self._delivery.deliver(client, now)

    def _demand(self) -> None:
        if self._demand_due:
            return
        self._demand_due = True
        try:
            asyncio.get_running_loop().call_soon(self._tell_demand)
        except RuntimeError:  # no loop yet: composing
            self._tell_demand()

    def _tell_demand(self) -> None:
        self._demand_due = False
        self.demand_changed(self.book.wanted)

    # --- giving up ---

    def _flooded(self, client: Client, now: float) -> None:
        """Drop a message of a client that sends too many; say so once a second, close when it goes on."""
        self._refused.labels("rate").inc()
        flood = client.flooded(now)
        if flood is Flood.CLOSE:
            self._close(client, CLOSE_POLICY, "too many messages", "flood")
        elif flood is Flood.TELL:
            text = "Too many messages: slow down or be disconnected"
            self._delivery.write(client, b"".join(client.session.refuse(text, now, NOTIFY_LIMIT)), now)
            self._settle(client, now)

    def _close(self, client: Client, code: int, reason: str, why: str) -> None:
        if client.closing:
            return
        client.closing = True
        self._closed.labels(why).inc()
        _log.info("client_closed", session=client.session.key, code=code, reason=reason)
        client.sink.close(code, reason)

    async def _sweep_always(self) -> None:
        loop = asyncio.get_running_loop()
        settings = self.settings
        period = min(SWEEP_S, settings.ping_interval_s / 2, settings.slow_client_s / 2)
        while True:
            await asyncio.sleep(period)
            self._sweep(loop.time())
            self._match()

    def _match(self) -> None:
        """Pin what sources list and the configured patterns name, by full symbol or code, while it fits."""
        patterns, first = self.settings.auto_subscribe_patterns, self._matched
        self._matched = len(self.directory)
        if not patterns or self._matched == first:
            return
        symbols = self.directory.symbols()[first:]
        found = [
            symbol
            for symbol in symbols
            if any(fnmatchcase(symbol, p) or fnmatchcase(symbol.partition(".")[2], p) for p in patterns)
        ]
        pinned = self.book.pin_what_fits(found, DEFAULT)
        if pinned < len(found):
            _log.warning("patterns_too_wide", matched=len(found), pinned=pinned)

    def _sweep(self, now: float) -> None:
        """Look after silent and slow clients and changed trading states."""
        settings = self.settings
        for client in list(self._clients.values()):
            if now - client.heard >= settings.idle_timeout_s:
                self._close(client, CLOSE_INTERNAL, "nothing heard", "idle")
            elif now - client.pinged >= settings.ping_interval_s:
                client.pinged = now
                client.sink.ping()
            if client.session.watches_status:
                client.session.refresh_trading_status()
                if client.session.held and client.session.has_root and client.slow_since is None:
                    self._delivery.deliver(client, now)
                self._settle(client, now)
        if self._delivery.slow_count:
            self._delivery.check_slow(now)
            self._delivery.schedule(now)
