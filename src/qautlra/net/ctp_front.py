"""The simulated CTP front: a loopback port of its own on which the drop-in library's Api objects connect.

Each connection is one Api object; it says hello, becomes a market or a trader session and is answered frame
by frame. What is no frame, or no hello, ends the connection of its sender and nobody else's.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import ConfigError
from qautlra.base.log import get_logger
from qautlra.base.service import Service
from qautlra.config.listen import is_loopback, split
from qautlra.config.tree import CtpFront
from qautlra.net.ctp_faults import Faults
from qautlra.net.ctp_market import Feed, MarketSession
from qautlra.wire.ctp_frames import MARKET, Frame, Hello, Kind, Reader, frame, read_hello, welcome
from qautlra.wire.ctp_login import LoginReply

HELLO_S = 10.0
SWEEP_S = 1.0
SLICE_S = 0.002
UNSENT_BYTES = 1 << 20
GIVE_UP_BYTES = 16 << 20
_log = get_logger("ctp_front")


class TickFeed(Feed, Protocol):
    """`_core.ctp_feed.CtpFeed`, whole."""

    def drain(self) -> list[tuple[int, bytes]]: ...
    def take(self) -> list[tuple[int, bytes]]: ...
    @property
    def ticks(self) -> int: ...
    @property
    def coalesced(self) -> int: ...


class Session(Protocol):
    """One Api object's conversation."""

    def on_frame(self, got: Frame) -> None: ...
    def hold(self, held: bool) -> None: ...
    def close(self) -> None: ...


class Desk(Protocol):
    """What trader sessions share; a process without trading has none."""

    def turn(self) -> None: ...
    def health(self) -> dict[str, Any]: ...


class CtpFrontService(Service):
    """Listens on `trade.ctp_front.listen`. A busy default port gives way, a chosen one fails."""

    name = "ctp_front"

    def __init__(
        self,
        *,
        settings: CtpFront,
        feed: TickFeed,
        login: Callable[[], LoginReply],
        wanted: Callable[[str], bool] = lambda _code: False,
        symbol: Callable[[str], str | None] = lambda _code: None,
        chosen: bool = False,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.feed = feed
        self.login = login
        self.desk: Desk | None = None
        self.trader: Callable[[Callable[[bytes], None], Hello], Session] | None = None
        "Makes a session for a trader Api object that has said hello; None without trading."
        self.wanted = wanted
        self.demand_changed: Callable[[frozenset[str]], None] = lambda _wanted: None
        "Told which symbols market sessions watch, whenever that changes; live sources ask for them."
        self._symbol = symbol
        self._demand: frozenset[str] = frozenset()
        self.faults = Faults.parse(settings.faults)
        self._chosen = chosen
        self._server: asyncio.Server | None = None
        self.connections: set[Connection] = set()
        self._by_client: dict[int, Connection] = {}
        self.address: tuple[str, int] | None = None
        self.refused = metrics.counter("qautlra_net_ctp_refused", "Connections refused or cut", ["reason"])
        metrics.bound(
            "net_ctp_connections", lambda: len(self.connections), settings.max_clients, when_full="refuse"
        )
        metrics.watch(
            "qautlra_net_ctp_connections_count", "Api objects connected", lambda: len(self.connections)
        )
        metrics.watch(
            "qautlra_net_ctp_ticks_total", "Tick frames made", lambda: self.feed.ticks, kind="counter"
        )
        metrics.watch(
            "qautlra_net_ctp_coalesced_total",
            "Ticks replaced by a later one before they were sent",
            lambda: self.feed.coalesced,
            kind="counter",
        )

    async def start(self) -> None:
        """Bind; on return Api objects can connect."""
        host, port = split(self.settings.listen, "trade.ctp_front.listen")
        if not is_loopback(host):
            raise ConfigError(
                "the simulated front has no encryption and stays on this machine",
                key="trade.ctp_front.listen",
                value=self.settings.listen,
                expected="a loopback address such as 127.0.0.1",
            )
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Connection(self), host, port)
        except OSError as error:
            if self._chosen or error.errno != errno.EADDRINUSE:
                raise ConfigError(
                    f"cannot listen: {error.strerror or error}",
                    key="trade.ctp_front.listen",
                    value=self.settings.listen,
                ) from None
            self._server = await loop.create_server(lambda: Connection(self), host, 0)
            _log.warning("address_busy", address=self.settings.listen, action="another port is used")
        self.address = self._server.sockets[0].getsockname()[:2]
        self.spawn(self._sweep(), "sweep")

    async def stop(self, grace_s: float) -> None:
        """Close the port and every connection; the libraries come back by themselves."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in list(self.connections):
            connection.cut("stopping")
        await self.cancel_tasks(grace_s)

    def on_batch(self) -> None:
        """Send what is new on the tape; the pump calls this after every batch."""
        self._write(self.feed.drain())

    def flush(self) -> None:
        """Send what a subscription made ready, and tell the sources what is watched now."""
        self._write(self.feed.take())
        watched = [one.session.codes for one in self.connections if isinstance(one.session, MarketSession)]
        symbols = (self._symbol(code) for code in set[str]().union(*watched))
        demand = frozenset(symbol for symbol in symbols if symbol is not None)
        if demand != self._demand:
            self._demand = demand
            self.demand_changed(demand)

    def health(self) -> dict[str, Any]:
        """Return the front's address and how many Api objects are connected."""
        roles = [connection.role for connection in self.connections]
        facts: dict[str, Any] = {
            "front": f"tcp://{self.address[0]}:{self.address[1]}" if self.address else None,
            "market_clients": roles.count("market"),
            "trader_clients": roles.count("trader"),
            "ticks": self.feed.ticks,
        }
        if self.desk is not None:
            facts |= self.desk.health()
        if self.faults.active:
            facts["faults"] = self.faults.describe()
        return facts

    def bind(self, client: int, connection: Connection) -> None:
        """Remember which connection a client of the feed is."""
        self._by_client[client] = connection

    def _write(self, made: list[tuple[int, bytes]]) -> None:
        for client, frames in made:
            connection = self._by_client.get(client)
            if connection is not None:
                connection.send(frames)

    async def _sweep(self) -> None:
        """Give up who never greeted, keep quiet connections alive, play the scripted faults."""
        beat_s = self.settings.silence_ms / 4000 if self.settings.silence_ms else 0.0
        beaten_s = monotonic_s()
        while True:
            await asyncio.sleep(min(SWEEP_S, beat_s) if beat_s else SWEEP_S)
            now_s = monotonic_s()
            beat = beat_s and now_s - beaten_s >= beat_s
            if beat:
                beaten_s = now_s
            for connection in list(self.connections):
                if connection.session is None and now_s - connection.since_s > HELLO_S:
                    connection.cut("no_hello")
                elif beat and connection.session is not None:
                    connection.send(frame(Kind.HEARTBEAT))
            if self.desk is not None:
                self.desk.turn()
            if self.faults.cut_due(now_s):
                for connection in list(self.connections):
                    connection.cut("scripted")


class Connection(asyncio.Protocol):
    """One Api object's connection. Bounded: ticks coalesce, and one that reads nothing is cut."""

    def __init__(self, service: CtpFrontService) -> None:
        self._service = service
        self._reader = Reader()
        self._transport: asyncio.Transport | None = None
        self.session: Session | None = None
        self.role = "new"
        self.since_s = monotonic_s()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES)
        if len(self._service.connections) >= self._service.settings.max_clients:
            self.cut("too_many")
            return
        self._service.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Hand over the frames that are whole; anything that is none ends the connection."""
        self._take(self._reader.feed(data))

    def _take(self, frames: Iterator[Frame]) -> bool:
        """Take frames for SLICE_S, the rest with the next turn of the loop; nothing is read before it."""
        until_s = monotonic_s() + SLICE_S
        try:
            for got in frames:
                if self._transport is None:
                    return False
                if self.session is None:
                    self._greet(got)
                else:
                    self.session.on_frame(got)
                if monotonic_s() >= until_s and self._transport is not None:
                    self._transport.pause_reading()
                    asyncio.get_running_loop().call_soon(self._go_on, frames)
                    return False
        except (ValueError, UnicodeError) as error:
            _log.info("ctp_connection_refused", error=str(error)[:200])
            self.cut("bad_frame")
            return False
        return True

    def _go_on(self, frames: Iterator[Frame]) -> None:
        try:
            is_done = self._take(frames)
        except Exception:  # as from `data_received`: the connection ends
            self.cut("failed")
            raise
        if is_done and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _greet(self, got: Frame) -> None:
        service = self._service
        said = read_hello(got)
        if service.faults.refuse_hello():
            return
        if said.role == MARKET:
            session = MarketSession(
                service.feed, self.send, reply=service.login, flush=service.flush, wanted=service.wanted
            )
            service.bind(session.client, self)
            self.session, self.role = session, "market"
        elif service.trader is not None:
            self.session, self.role = service.trader(self.send, said), "trader"
        else:
            raise ValueError("this process has no trading")
        settings = service.settings
        self._put(welcome(settings.query_interval_ms, settings.orders_per_s, settings.silence_ms))

    def send(self, frames: bytes) -> None:
        """Write frames; scripted faults may delay, repeat or swallow them."""
        faults = self._service.faults
        if not faults.active:
            self._put(frames)
            return
        for delay_s, copy in faults.apply(frames):
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self._put, copy)
            else:
                self._put(copy)

    def _put(self, frames: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(frames)
        if transport.get_write_buffer_size() > GIVE_UP_BYTES:
            self.cut("reads_nothing")

    def pause_writing(self) -> None:
        """The other side reads slower than the market moves: its ticks become the latest ones."""
        if self.session is not None:
            self.session.hold(True)

    def resume_writing(self) -> None:
        """It has caught up."""
        if self.session is not None:
            self.session.hold(False)
            self._service.flush()

    def cut(self, reason: str) -> None:
        """End the connection now."""
        self._service.refused.labels(reason).inc()
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the session."""
        self._transport = None
        self._service.connections.discard(self)
        if self.session is not None:
            self.session.close()
            self.session = None
            self._service.flush()
