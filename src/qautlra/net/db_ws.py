"""The store's socket `/ws/db`: follow streams as they are stored, ask, and send events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakSet

import msgspec
import orjson
from aiohttp import web

from qautlra._core.feed import text_frame
from qautlra.auth.rights import Principal, Right
from qautlra.base import metrics
from qautlra.base.errors import AuthError, InputError, LimitError, QautlraError, UnavailableError
from qautlra.base.limits import CLIENTS_COUNT
from qautlra.base.log import get_logger
from qautlra.net.auth import asker, identify
from qautlra.net.deps import Deps
from qautlra.net.route import Route
from qautlra.net.ws_socket import Socket, serve_socket
from qautlra.wire import db_socket
from qautlra.wire.db_socket import DbMessage
from qautlra.wire.query import decode_query

MESSAGE_BYTES = 1 << 20
SEND_BUFFER_BYTES = 1 << 20
WAITING_COUNT = 64
WAITING_BYTES = 2 * MESSAGE_BYTES
FOLLOWED_COUNT = 32
PUSH_S = 0.1
PING_S = 10.0
IDLE_S = 30.0
_log = get_logger("net")


class Tail(Protocol):
    """New rows of a stream."""

    dropped: int

    def take(self) -> tuple[bytes, int]: ...
    def close(self) -> None: ...


_followers: WeakSet[Follower] = WeakSet()
metrics.bound("net_db_clients", lambda: len(_followers), CLIENTS_COUNT, when_full="refuse")
metrics.bound(
    "net_db_messages", lambda: max((one._messages.qsize() for one in _followers), default=0), WAITING_COUNT,
    when_full="refuse",
)  # fmt: skip
metrics.bound(
    "net_db_waiting", lambda: max((one.waiting_bytes for one in _followers), default=0), WAITING_BYTES,
    unit="bytes", when_full="block",
)  # fmt: skip


class Follower:
    """One client of the store. Messages are answered in order; WAITING_COUNT may wait, more are refused.

    While they are longer than WAITING_BYTES, nothing more is read of it. With more than SEND_BUFFER_BYTES to
    read, nothing is taken from it, either: one answer may stand beyond that.
    """

    def __init__(
        self, deps: Deps, socket: Socket, who: Principal | None, name: str, address: str = ""
    ) -> None:
        _followers.add(self)
        self._deps = deps
        self._socket = socket
        self._who = who
        self._name = name
        self._address = address
        self._messages: asyncio.Queue[str] = asyncio.Queue(WAITING_COUNT)
        self.waiting_bytes: int = 0
        self._is_held = False
        self._tails: dict[str, Tail] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = True
        self._reads = asyncio.Event()
        "Whether the client reads what it is sent."
        self._reads.set()

    def opened(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._answer()), loop.create_task(self._push())]

    def receive(self, text: str) -> None:
        self._heard = True
        if self._messages.full():
            self._send(db_socket.error_message(LimitError(f"{WAITING_COUNT} messages wait already")))
        else:
            self._messages.put_nowait(text)
            self.waiting_bytes += len(text)
            self._hold()

    def receive_binary(self, _payload: bytes) -> None:
        self._heard = True
        self._send(db_socket.error_message(InputError("Binary messages are not taken; send JSON text")))

    def paused(self) -> None:
        pass

    def heard(self) -> bool:
        self._heard = True
        return True

    def detached(self) -> None:
        _followers.discard(self)
        for task in self._tasks:
            task.cancel()
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()

    async def _answer(self) -> None:
        while True:
            text = await self._messages.get()
            await self._reads.wait()
            self.waiting_bytes -= len(text)
            self._heard = True  # of one that is not read from, nothing else is heard
            self._hold()
            request_id = None
            try:
                message = db_socket.decode_message(text, self._deps.settings.db_stream)
                request_id = message.request_id
                await self._do(message)
            except QautlraError as error:
                self._send(db_socket.error_message(error, request_id))
            except Exception as error:
                _log.error("db_socket_failed", error=str(error), exc_info=error)
                self._send(db_socket.answer("error", request_id, message="Internal error"))

    async def _do(self, message: DbMessage) -> None:
        if message.kind == "ping":
            self._send(db_socket.answer("pong", message.request_id))
        elif message.kind == "subscribe":
            self._follow(message)
        elif message.kind == "unsubscribe":
            if (tail := self._tails.pop(message.stream, None)) is not None:
                tail.close()
            self._send(db_socket.answer("unsubscribed", message.request_id, stream=message.stream))
        elif message.kind == "query":
            await self._query(message)
        else:
            await self._ingest(message)

    def _follow(self, message: DbMessage) -> None:
        streams = self._deps.streams
        if streams is None:
            raise UnavailableError("No store in this mode")
        if message.stream not in self._tails and len(self._tails) >= FOLLOWED_COUNT:
            raise LimitError(f"{FOLLOWED_COUNT} streams are followed already")
        tail = streams.live(message.stream, message.instruments)
        if (before := self._tails.pop(message.stream, None)) is not None:
            before.close()
        self._tails[message.stream] = tail
        names = list(message.instruments or ())
        self._send(
            db_socket.answer("subscribed", message.request_id, stream=message.stream, instruments=names)
        )

    async def _query(self, message: DbMessage) -> None:
        store = self._deps.answering()
        try:
            body = orjson.dumps(message.body)
        except orjson.JSONEncodeError:  # it reads more levels than it writes
            raise InputError("Invalid message format: too many levels") from None
        asked = msgspec.structs.replace(decode_query(body), who=self._name)
        result = await store.run(asked)
        rows = result.chunks if isinstance(result.chunks, bytes) else b"[]"
        more = {"truncated": True} if result.truncated else {}  # by the server's cap, not by the limit
        self._send(db_socket.rows_message("queryResult", message.stream, rows, message.request_id, **more))

    async def _ingest(self, message: DbMessage) -> None:
        store = self._deps.taking_in()
        auth = self._deps.auth
        if self._who is None or auth is None:
            raise AuthError("log in first: Basic or Bearer when connecting")
        auth.now(self._who).require(Right.INGEST)
        events = message.body if isinstance(message.body, list) else [message.body]
        extra = {"p_format": "json", "p_user_agent": "websocket", "p_src_ip": self._address}
        rows = await store.ingest(message.stream, events, extra, create=True)
        self._send(db_socket.answer("ack", message.request_id, stream=message.stream, rows=rows))

    async def _push(self) -> None:
        """Send new rows every PUSH_S, not to a client that does not read; cut one that is silent."""
        quiet_s, waiting = 0.0, 0
        while True:
            await asyncio.sleep(PUSH_S)
            quiet_s += PUSH_S
            before, waiting = waiting, self._socket.buffered()
            self._heard = self._heard or waiting < before  # it reads, however slowly
            if not self._reads.is_set() and waiting <= SEND_BUFFER_BYTES // 2:
                self._reads.set()
                self._hold()
            if quiet_s >= PING_S:
                if not self._heard and quiet_s >= IDLE_S:
                    self._socket.close(1001, "no answer to pings")
                    return
                if self._heard:
                    quiet_s, self._heard = 0.0, False
                self._socket.ping()
            for stream, tail in list(self._tails.items()):
                if self._socket.buffered() > SEND_BUFFER_BYTES:
                    break
                with contextlib.suppress(UnavailableError):
                    rows, count = tail.take()
                    if count:
                        self._send(db_socket.rows_message("marketData", stream, rows))
                    if tail.dropped:
                        told, tail.dropped = tail.dropped, 0
                        text = (
                            f"{told} rows of {stream} were skipped: this client reads too slowly; query them"
                        )
                        self._send(db_socket.error_message(LimitError(text)))

    def _send(self, message: bytes) -> None:
        self._socket.write(text_frame(message))
        if self._reads.is_set() and self._socket.buffered() > SEND_BUFFER_BYTES:
            self._reads.clear()
            self._hold()

    def _hold(self) -> None:
        """Read of the client, or not."""
        held = not self._reads.is_set() or self.waiting_bytes > WAITING_BYTES
        if held is not self._is_held:
            self._is_held = held
            self._socket.hold(held)


def routes(deps: Deps) -> list[Route]:
    """Return the store's socket: its path and the one of the original's documents."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if deps.streams is None:
            raise UnavailableError(f"No store in mode {','.join(deps.modes)}")
        if len(_followers) >= CLIENTS_COUNT:
            raise LimitError(f"no more than {CLIENTS_COUNT} clients of the store's socket")
        who = await _caller(request, deps)
        name = asker(deps, request) if who is None else who.user_id
        address = request.remote or ""
        attach: Callable[[Socket], Any] = lambda socket: Follower(deps, socket, who, name, address)  # noqa: E731
        return await serve_socket(
            request,
            deps,
            attach,
            max_message_bytes=MESSAGE_BYTES,
            send_buffer_bytes=SEND_BUFFER_BYTES,
            who=who,
        )

    return [
        Route(
            "GET",
            path,
            serve,
            "The store's socket: subscribe, unsubscribe, query, ingest",
            tag="store",
            statuses={
                101: "switching to WebSocket",
                401: "wrong login",
                426: "not an upgrade",
                429: "too many clients",
            },
        )
        for path in dict.fromkeys(("/ws/db", "/ws", deps.settings.db_path))
    ]


async def _caller(request: web.Request, deps: Deps) -> Principal | None:
    """Return who connects: by Authorization, `?token=`, or `?username=&password=`; None without any."""
    auth = deps.auth
    if auth is None:
        return None
    if "username" in request.query and "password" in request.query:
        return await auth.recognise_basic(
            request.query["username"], request.query["password"], request.remote or ""
        )
    if "Authorization" in request.headers or "token" in request.query:
        return await identify(auth, request)
    return None
