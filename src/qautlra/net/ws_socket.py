"""One WebSocket connection behind aiohttp's upgrade: bytes between a transport and the room that answers.

Any room can sit behind it: `serve_socket` is given who takes the messages. It knows no dialect.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from aiohttp import web

from qautlra._core.feed import Outlet
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import AuthError, InputError
from qautlra.base.log import get_logger
from qautlra.net.auth import recognised
from qautlra.net.origin import may_open
from qautlra.net.ws_codec import (
    PING_FRAME,
    FrameReader,
    Op,
    WsViolation,
    accept_value,
    close_code,
    close_frame,
    control_frame,
    negotiate,
    text_of,
)
from qautlra.wire.errors import CLOSE_INTERNAL, CLOSE_POLICY

if TYPE_CHECKING:
    from qautlra.auth.rights import Principal
    from qautlra.auth.service import AuthService
    from qautlra.feed.deflate import Terms
    from qautlra.net.deps import Deps

CLOSE_GRACE_S = 2.0
SLICE_S, SLICE_COUNT = 0.002, 16
"What one client sent is taken for so long; then the others have their turn."
TURN_BYTES = 64 << 10
"So much of one client is read in one turn: a loop may read thirty times before it looks at anybody else."
_CLOSE, _TEXT = Op.CLOSE, Op.TEXT  # looking a member up costs ten times as much
_log = get_logger("net")


class Receiver(Protocol):
    """Who takes what one connection sends; an exception closes the connection with 1011."""

    def opened(self) -> None:
        """The upgrade is answered: from now on there may be written."""

    def receive(self, text: str) -> None:
        """Take one text message."""

    def receive_binary(self, payload: bytes) -> None:
        """Take one binary message."""

    def paused(self) -> None:
        """Note that all that came is taken; does not raise."""

    def heard(self) -> bool:
        """Note a ping or a pong; False: too many, leave it unanswered."""

    def detached(self) -> None:
        """The connection is gone; called once."""


class Socket(asyncio.Protocol):
    """One upgraded connection: the transport's protocol on one side, a room's sink on the other.

    It takes the place of aiohttp's protocol, which would keep a request, a task and their buffers per client.
    """

    __slots__ = (
        "_abort",
        "_closing",
        "_held",
        "_limit",
        "_loop",
        "_reader",
        "_rest",
        "_transport",
        "alone",
        "deflate",
        "outlet",
        "receiver",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        max_message_bytes: int,
        send_buffer_bytes: int,
        deflate: Terms | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(max_message_bytes, deflate=deflate is not None)
        self.deflate = deflate
        self._transport = transport
        self.outlet = Outlet(_descriptor(transport))
        self._limit = send_buffer_bytes
        self._closing = False
        self._held = False
        self._rest: list[tuple[Op, bytes]] | None = None  # read, and taken with the next turn of the loop
        self._abort: asyncio.TimerHandle | None = None
        self.receiver: Receiver | None = None
        self.alone: Callable[[bytes], bool] | None = None
        "Asked before `receiver` is given the only message of a read, not yet looked at: True, it was taken."

    # --- what the room calls ---

    def write(self, frames: bytes) -> None:
        """Send ready frames, queueing what the kernel does not take; a closing connection drops them."""
        transport, outlet = self._transport, self.outlet
        if self._closing or transport.is_closing():
            return
        if outlet.behind and not transport.get_write_buffer_size():
            outlet.caught_up()
        sent = outlet.send(frames)
        if sent < len(frames):
            transport.write(memoryview(frames)[sent:] if sent else frames)

    def buffered(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._transport.get_write_buffer_size()

    def ping(self) -> None:
        """Send a ping, unless so much waits already that it would say nothing."""
        if self.buffered() <= self._limit:
            self.write(PING_FRAME)

    def hold(self, held: bool) -> None:
        """Stop or go on reading."""
        self._held = held
        self._pause(held or self._rest is not None)

    def _pause(self, held: bool) -> None:
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
        self._end()
        self.hold(False)
        self._abort = self._loop.call_later(CLOSE_GRACE_S, self._cut)

    # --- what the transport calls ---

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        messages = self._reader.feed(data)
        if self._rest is not None:  # an encrypted connection may bring more although it is paused
            self._rest += messages
            return
        self._take(messages, self.alone if len(messages) == 1 else None)
        if self._rest is None and (self._reader.is_behind or len(data) >= TURN_BYTES):
            self._put_off([])

    def _take(self, messages: list[tuple[Op, bytes]], alone: Callable[[bytes], bool] | None = None) -> None:
        """Take messages for SLICE_S, the rest with the next turn of the loop; nothing is read before it."""
        until_s = monotonic_s() + SLICE_S if len(messages) > SLICE_COUNT else 0.0
        for at, (op, payload) in enumerate(messages):
            if until_s and at and not at % SLICE_COUNT and monotonic_s() >= until_s:
                self._put_off(messages[at:])
                break
            if op is _CLOSE:
                self._answer_close(payload)
                break
            if self._closing:
                continue
            try:
                if alone is None or op is not _TEXT or not alone(payload):
                    self._message(op, payload)
            except WsViolation as violation:
                self._fail(violation)
            except Exception as error:
                _log.error("session_failed", error=str(error), exc_info=error)
                self.close(CLOSE_INTERNAL, "internal error")
        else:
            if self._reader.violation is not None:
                self._fail(self._reader.violation)
        if self.receiver is not None:
            self.receiver.paused()

    def _put_off(self, rest: list[tuple[Op, bytes]]) -> None:
        """Take these, and then what else was read, with the next turn of the loop; read no more before."""
        self._rest = rest
        self._pause(True)
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        rest, self._rest = self._rest, None
        if self.receiver is None:
            return
        self._take(rest or self._reader.feed(b""))
        if self._rest is None:
            if self._reader.is_behind:
                self._put_off([])
            else:
                self._pause(self._held)

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone, its descriptor not closed yet."""
        self._end()
        if self._abort is not None:
            self._abort.cancel()
        receiver, self.receiver, self.alone = self.receiver, None, None
        if receiver is not None:
            receiver.detached()

    def feed_data(self, data: bytes, _size: int = 0) -> tuple[bool, bytes]:
        """Take what aiohttp had read behind the request already; it calls parsers like this."""
        self.data_received(data)
        return False, b""

    def feed_eof(self) -> None:
        """Do nothing: aiohttp lets go of the connection, which lives on."""

    def _message(self, op: Op, payload: bytes) -> None:
        receiver = self.receiver
        if receiver is None:
            return
        if op is _TEXT:
            receiver.receive(text_of(payload))
        elif op is Op.BINARY:
            receiver.receive_binary(payload)
        elif receiver.heard() and op is Op.PING and self.buffered() <= self._limit:
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
        self._end()
        self._transport.close()
        if self._abort is None:
            self._abort = self._loop.call_later(CLOSE_GRACE_S, self._cut)

    def _end(self) -> None:
        self._closing = True
        self.outlet.leave()

    def _cut(self) -> None:
        self._transport.abort()


def _descriptor(transport: asyncio.Transport) -> int:
    """Return what a plain connection's bytes may be written to; -1 where they are encrypted first."""
    socket = transport.get_extra_info("socket")
    if socket is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    return int(socket.fileno())


async def serve_socket(
    request: web.Request,
    deps: Deps,
    attach: Callable[[Socket], Receiver],
    *,
    max_message_bytes: int,
    send_buffer_bytes: int,
    deflate: bool = False,
    who: Principal | None = None,
) -> web.StreamResponse:
    """Upgrade a request and give its connection to a socket; this returns at once.

    It is closed when the login ends of `who`, else of whom the guard recognised. `attach` may refuse by
    raising what the client is told instead of the upgrade.
    """
    answer = handshake(request, deps)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    agreed = negotiate(request.headers.get("Sec-WebSocket-Extensions", "")) if deflate else None
    if agreed is not None:
        answer["Sec-WebSocket-Extensions"] = agreed[1]
    socket = Socket(transport, max_message_bytes, send_buffer_bytes, agreed[0] if agreed else None)
    receiver = attach(socket)
    try:
        response = web.StreamResponse(status=101, headers=answer)
        await response.prepare(request)
        if transport.is_closing():
            raise ConnectionResetError
    except BaseException:
        receiver.detached()
        raise
    socket.receiver = receiver
    if (caller := who or recognised(request)) is not None:
        deps.entered[socket] = caller
    receiver.opened()
    _take_over(request.protocol, transport, socket)
    return response


def close_ended(deps: Deps, auth: AuthService) -> None:
    """Close the sockets of those whose login has ended since they connected."""
    for socket, who in list(deps.entered.items()):
        if socket.receiver is None:
            del deps.entered[socket]
            continue
        try:
            auth.now(who)
        except AuthError as error:
            del deps.entered[socket]
            socket.close(CLOSE_POLICY, error.message)


def _take_over(protocol: web.RequestHandler, transport: asyncio.Transport, socket: Socket) -> None:
    """Make `socket` the transport's protocol; to aiohttp the connection is lost."""
    transport.set_protocol(socket)
    protocol.set_parser(cast(Any, socket))  # hands over what was read behind the request
    protocol.transport = None  # or losing the connection would close it
    protocol.connection_lost(None)


def handshake(request: web.Request, deps: Deps) -> dict[str, str]:
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
