"""The market socket: upgrades, moves bytes between one connection and the feed, and nothing else."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
from typing import Any, cast

from aiohttp import web

from qautlra.base.errors import AuthError, InputError, UnavailableError
from qautlra.base.log import get_logger
from qautlra.feed.client import Client
from qautlra.feed.context import Flow
from qautlra.feed.service import FeedService
from qautlra.net.deps import Deps
from qautlra.net.origin import may_open
from qautlra.net.route import Route
from qautlra.net.ws_codec import (
    PING_FRAME,
    FrameReader,
    Op,
    WsViolation,
    accept_value,
    close_code,
    close_frame,
    control_frame,
    text_of,
)
from qautlra.wire.errors import CLOSE_INTERNAL

CLOSE_GRACE_S = 2.0
_log = get_logger("net")


class Socket:
    """One upgraded connection: aiohttp's parser on one side, the feed's Sink on the other."""

    __slots__ = ("_abort", "_closing", "_limit", "_loop", "_reader", "_transport", "client", "closed", "feed")

    def __init__(self, feed: FeedService, transport: asyncio.Transport, max_message_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(max_message_bytes)
        self._transport = transport
        self._limit = feed.settings.send_buffer_bytes
        self._closing = False
        self._abort: asyncio.TimerHandle | None = None
        self.feed = feed
        self.client: Client | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # --- what the feed calls ---

    def write(self, frames: bytes) -> None:
        """Queue ready frames; a closing connection drops them."""
        if not self._closing and not self._transport.is_closing():
            self._transport.write(frames)

    def buffered(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._transport.get_write_buffer_size()

    def ping(self) -> None:
        """Send a ping, unless so much waits already that it would say nothing."""
        if self.buffered() <= self._limit:
            self.write(PING_FRAME)

    def hold(self, held: bool) -> None:
        """Stop or go on reading."""
        with contextlib.suppress(RuntimeError):  # already so, or closing
            if held:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and wait CLOSE_GRACE_S for the client's; then cut the connection."""
        if self._closing:
            return
        self.write(close_frame(code, reason))
        self._closing = True
        self.hold(False)
        self._abort = self._loop.call_later(CLOSE_GRACE_S, self._cut)

    # --- what aiohttp calls with what arrives ---

    def feed_data(self, data: bytes, _size: int = 0) -> tuple[bool, bytes]:
        """Take bytes of the client."""
        for op, payload in self._reader.feed(data):
            if op is Op.CLOSE:
                self._answer_close(payload)
                return False, b""
            if self._closing:
                continue
            try:
                self._message(op, payload)
            except WsViolation as violation:
                self._fail(violation)
            except Exception as error:
                _log.error("session_failed", error=str(error), exc_info=error)
                self.close(CLOSE_INTERNAL, "internal error")
        if self._reader.violation is not None:
            self._fail(self._reader.violation)
        return False, b""

    def feed_eof(self) -> None:
        """The connection is gone."""
        self._closing = True
        if self._abort is not None:
            self._abort.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    def _message(self, op: Op, payload: bytes) -> None:
        client = self.client
        if client is None:
            return
        if op is Op.TEXT:
            self.feed.receive(client, text_of(payload))
        elif op is Op.BINARY:
            self.feed.receive_binary(client)
        elif self.feed.heard(client) and op is Op.PING and self.buffered() <= self._limit:
            self.write(control_frame(Op.PONG, payload))

    def _fail(self, violation: WsViolation) -> None:
        """Close for a violation; as nothing the client says counts any more, TCP says goodbye too."""
        if not self._closing:
            self.close(violation.code, violation.reason)
            with contextlib.suppress(OSError, RuntimeError):
                self._transport.write_eof()

    def _answer_close(self, payload: bytes) -> None:
        """Echo the client's goodbye, unless it answers ours, and end."""
        if not self._closing:
            try:
                code = close_code(payload)
                answer = control_frame(Op.CLOSE) if code == 1005 else close_frame(code)
            except WsViolation as violation:
                answer = close_frame(violation.code, violation.reason)
            self.write(answer)
        self._closing = True
        self._transport.close()
        if self._abort is None:
            self._abort = self._loop.call_later(CLOSE_GRACE_S, self._cut)

    def _cut(self) -> None:
        self._transport.abort()
        self.feed_eof()


def routes(deps: Deps) -> list[Route]:
    """Return the market socket's routes: its path, the configured one, and older servers' names for it."""

    async def market(request: web.Request) -> web.StreamResponse:
        return await _serve(request, deps)

    paths = dict.fromkeys(
        ("/ws/market", deps.settings.market_path, "/ws/diff", "/ws/qq/market", "/ws/sina/market")
    )
    return [
        Route(
            "GET",
            path,
            market,
            "Market data socket: DIFF (aid), gateway (type), CORE (op) and QO (action) messages",
            tag="feed",
            parameters={
                "flow": "push or pull: fixes who decides when data is sent",
                "stamp": "1 adds _ts (ns, CLOCK_MONOTONIC) to every data frame",
                "greeting": "1 greets on connect",
                "source": "accepted for older clients; every source serves every client",
            },
            statuses={101: "switching to WebSocket", 403: "another site's page", 426: "not an upgrade"},
        )
        for path in paths
    ]


async def _serve(request: web.Request, deps: Deps) -> web.StreamResponse:
    answer = _handshake(request, deps)
    feed = deps.feed
    if feed is None:
        raise UnavailableError(f"No market feed in mode {','.join(deps.modes)}")
    flow = request.query.get("flow")
    if flow not in (None, "push", "pull"):
        raise InputError("flow: expected push or pull")
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    socket = Socket(feed, transport, deps.settings.message_bytes)
    client = feed.attach(socket, flow=Flow(flow) if flow else None, stamp=request.query.get("stamp") == "1")
    try:
        response = web.StreamResponse(status=101, headers=answer)
        await response.prepare(request)
        socket.client = client
        if request.query.get("greeting") == "1":
            feed.greet(client)
        # aiohttp hands everything after the upgrade to this "parser"; the call is in its 3.x API.
        request.protocol.set_parser(cast(Any, socket))
        await socket.closed
    finally:
        feed.detach(client)
    return response


def _handshake(request: web.Request, deps: Deps) -> dict[str, str]:
    """Return the headers of the 101 answer; raise what the client is told instead."""
    headers = request.headers
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in [
        token.strip().lower() for token in headers.get("Connection", "").split(",")
    ]:
        raise InputError(f"{request.path} is a WebSocket: connect with ws://", status=426)
    if not may_open(headers.get("Origin"), headers.get("Host", ""), deps):
        page = headers.get("Origin")
        raise AuthError(
            f"Pages of {page} may not open this socket; allow them in net.cors.allowed_origins", status=403
        )
    if headers.get("Sec-WebSocket-Version") != "13":
        raise InputError("Sec-WebSocket-Version: expected 13", status=426)
    try:
        accept = accept_value(headers.get("Sec-WebSocket-Key", ""))
    except (ValueError, binascii.Error):
        raise InputError("Sec-WebSocket-Key is missing or not 16 bytes in base64") from None
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
