"""Arrow Flight: queries and live rows by DoGet, events by DoPut, with the logins of every other door.

gRPC's threads answer; whatever is asked of the process they ask on its loop and wait for. CALLS_COUNT calls
may run at once, more are refused. Off unless `net.flight_listen` names an address.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.flight as fl

from qautlra.auth.rights import Principal, Right
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s, new_token
from qautlra.base.errors import AuthError, ConfigError, InputError, LimitError, NotFoundError, QautlraError
from qautlra.base.log import get_logger
from qautlra.base.service import Service
from qautlra.net.deps import Deps
from qautlra.net.origin import is_loopback_name
from qautlra.wire.query import decode_query

ARROW: Final = "application/vnd.apache.arrow.stream"
CALLS_COUNT: Final = 32
PUT_BYTES: Final = 8 << 20
PUT_ROWS: Final = 16_384
TAIL_S: Final = 0.1
POLL_S: Final = 0.05
STOP_S: Final = 5.0
TOKENS_COUNT: Final = 1_000
TOKEN_S: Final = 900.0
_T = TypeVar("_T")
_log = get_logger("net")


class FlightDoor(Service):
    """Listens on one address, by TLS when the front door does."""

    name = "flight"

    def __init__(self, deps: Deps, host: str, port: int) -> None:
        super().__init__()
        self._deps = deps
        self._host, self._port = host, port
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port if self._server is None else int(self._server.port)

    async def start(self) -> None:
        """Listen; ConfigError when the address cannot be had."""
        settings = self._deps.settings
        scheme = "grpc+tls" if settings.tls_cert else "grpc"
        host = f"[{self._host}]" if ":" in self._host else self._host
        more: dict[str, Any] = {}
        if settings.tls_cert:
            pair = (Path(settings.tls_cert).read_bytes(), Path(settings.tls_key).read_bytes())
            more["tls_certificates"] = [pair]
        place = f"{host}:{self._port}"
        desk = _Desk(self._deps, asyncio.get_running_loop())
        try:
            self._server = await asyncio.to_thread(_Server, desk, f"{scheme}://{place}", **more)
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"cannot listen: {error}", key="net.flight_listen", value=place) from None
        metrics.watch("qautlra_flight_calls_count", "Calls that run", lambda: desk.running)
        metrics.watch("qautlra_flight_rows_total", "Rows sent", lambda: desk.rows_out, kind="counter")
        metrics.watch("qautlra_flight_put_rows_total", "Rows taken", lambda: desk.rows_in, kind="counter")

    async def stop(self, grace_s: float) -> None:
        """Stop listening and end what runs."""
        server, self._server = self._server, None
        metrics.unwatch("qautlra_flight_")
        if server is not None:
            server.desk.closing = True
            await asyncio.to_thread(server.shutdown)
        await self.cancel_tasks(grace_s)

    def health(self) -> dict[str, Any]:
        """Return the address and how many calls run."""
        running = self._server.desk.running if self._server is not None else 0
        return {"address": f"{self._host}:{self.port}", "calls": running}


class _Desk:
    """What the server's threads share: the loop, who is calling, how many may. Any thread."""

    def __init__(self, deps: Deps, loop: asyncio.AbstractEventLoop) -> None:
        self.deps = deps
        self._loop = loop
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self.running = 0
        self.rows_out = 0
        self.rows_in = 0
        self.closing = False

    def enter(self) -> None:
        """Count a call in; FlightUnavailableError when too many run."""
        with self._lock:
            if self.running >= CALLS_COUNT or self.closing:
                raise fl.FlightUnavailableError(f"{self.running} calls run already; try again")
            self.running += 1

    def leave(self) -> None:
        """Count a call out."""
        with self._lock:
            self.running -= 1

    def ask(self, work: Coroutine[Any, Any, _T], context: fl.ServerCallContext | None = None) -> _T:
        """Return what `work` gives on the loop; it is cancelled when the caller leaves."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while True:
            try:
                return future.result(POLL_S)
            except TimeoutError:
                if future.done():
                    raise
                if self.closing or (context is not None and context.is_cancelled()):
                    future.cancel()
                    raise fl.FlightCancelledError("the caller has left") from None
            except QautlraError as error:
                raise translated(error) from None

    def admit(self, context: fl.ServerCallContext, right: Right) -> None:
        """Let a call in, or raise what its caller is told."""
        middleware = context.get_middleware("login")
        self.ask(self._admit(middleware.given, peer_host(context.peer()), right))

    async def _admit(self, given: str, host: str, right: Right) -> None:
        deps = self.deps
        inside = is_loopback_name(host)
        if right is Right.MARKET and inside and not deps.require_login:
            return
        if deps.auth is None:
            raise AuthError("this needs a login, and this process has no users", status=403)
        who = await self.recognise(given, host)
        deps.auth.reads.take(who.user_id)
        if right is not Right.MARKET:
            who.require(right)

    async def recognise(self, given: str, host: str) -> Principal:
        """Return who `authorization` stands for."""
        assert self.deps.auth is not None
        scheme, _, text = given.partition(" ")
        if scheme.lower() == "bearer":
            known = self._tokens.get(text)
            if known is not None and known[0] > monotonic_s():
                return known[1]
            return self.deps.auth.recognise(text)
        if scheme.lower() == "basic":
            return await self.deps.auth.recognise_basic(*basic(text), host)
        raise AuthError("log in first: Basic or Bearer in the header authorization")

    async def token(self, given: str, host: str) -> str:
        """Return a token for Basic credentials, good for a quarter of an hour."""
        who = await self.recognise(given, host)
        token = new_token(32)
        self._tokens[token] = (monotonic_s() + TOKEN_S, who)
        while len(self._tokens) > TOKENS_COUNT:
            self._tokens.popitem(last=False)
        return token


class _Login(fl.ServerMiddlewareFactory):  # type: ignore[misc]
    """Keeps what a call says of who is calling; answers a handshake with a token."""

    def __init__(self, desk: list[_Desk]) -> None:
        self._desk = desk

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> fl.ServerMiddleware:
        given = next((values[0] for name, values in headers.items() if name.lower() == "authorization"), "")
        token = ""
        if info.method == fl.FlightMethod.HANDSHAKE and self._desk[0].deps.auth is not None:
            token = self._desk[0].ask(self._desk[0].token(given, "handshake"))
        return _Given(given, token)


class _Given(fl.ServerMiddleware):  # type: ignore[misc]
    def __init__(self, given: str, token: str) -> None:
        self.given = given
        self._token = token

    def sending_headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}


class _NoHandshake(fl.ServerAuthHandler):  # type: ignore[misc]
    """Lets the handshake be: who is calling is in the headers."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        return

    def is_valid(self, token: bytes) -> bytes:
        return b""


class _Server(fl.FlightServerBase):  # type: ignore[misc]
    def __init__(self, desk: _Desk, location: str, **more: Any) -> None:
        self.desk = desk
        super().__init__(location, auth_handler=_NoHandshake(), middleware={"login": _Login([desk])}, **more)

    def do_get(self, context: fl.ServerCallContext, ticket: fl.Ticket) -> fl.FlightDataStream:
        """Answer a query, or follow a stream when the ticket names nothing but one."""
        desk = self.desk
        desk.admit(context, Right.MARKET)
        asked = ticket_of(ticket.ticket)
        desk.enter()
        rows: _Rows  # counts itself out, also when it cannot be made
        rows = _Tail(desk, context, asked) if is_tail(asked) else _Answer(desk, context, ticket.ticket)
        return fl.GeneratorStream(rows.schema, rows)

    def do_put(
        self,
        context: fl.ServerCallContext,
        descriptor: fl.FlightDescriptor,
        reader: fl.MetadataRecordBatchReader,
        writer: fl.FlightMetadataWriter,
    ) -> None:
        """Store the rows that are put; after each part that is durable, say how many were taken."""
        desk = self.desk
        desk.admit(context, Right.INGEST)
        store = desk.deps.ingest
        if store is None:
            raise fl.FlightUnauthorizedError("this mode takes nothing in")
        stream = stream_of(descriptor)
        extra = {"p_format": "arrow", "p_user_agent": "flight", "p_src_ip": peer_host(context.peer())}
        desk.enter()
        taken = 0
        try:
            for chunk in reader:
                table = pa.Table.from_batches([chunk.data])
                try:
                    table.validate(full=True)
                except pa.ArrowException as error:
                    raise pa.ArrowInvalid(f"{error}; {taken} rows before are stored") from None
                for part in parts(table):
                    try:
                        rows = desk.ask(store.ingest(stream, part, extra, create=True), context)
                    except pa.ArrowInvalid as error:
                        raise pa.ArrowInvalid(f"{error}; {taken} rows before are stored") from None
                    taken += rows
                    desk.rows_in += rows
                writer.write(json.dumps({"rows": taken}).encode())
        finally:
            desk.leave()

    def get_flight_info(
        self, context: fl.ServerCallContext, descriptor: fl.FlightDescriptor
    ) -> fl.FlightInfo:
        """Describe a query (the command) or a stream's newest hour (the path): schema and ticket."""
        self.desk.admit(context, Right.MARKET)
        if descriptor.descriptor_type == fl.DescriptorType.CMD:
            command = descriptor.command
        else:
            command = json.dumps({"stream": stream_of(descriptor), "start_time": "1h-ago"}).encode()
        self.desk.enter()
        answer = _Answer(self.desk, context, command)
        answer.close()
        return fl.FlightInfo(answer.schema, descriptor, [fl.FlightEndpoint(fl.Ticket(command), [])], -1, -1)

    def list_flights(self, context: fl.ServerCallContext, criteria: bytes) -> Iterator[fl.FlightInfo]:
        """List the streams; a stream's schema is in its flight info."""
        self.desk.admit(context, Right.MARKET)
        streams = self.desk.deps.ingest or self.desk.deps.streams
        names = [] if streams is None else streams.names()
        for name in names:
            ticket = fl.Ticket(json.dumps({"stream": name, "start_time": "1h-ago"}).encode())
            descriptor = fl.FlightDescriptor.for_path(name)
            yield fl.FlightInfo(pa.schema([]), descriptor, [fl.FlightEndpoint(ticket, [])], -1, -1)


class _Rows:
    """Batches for one caller; counted out when they end, or nobody wants them any more."""

    schema: pa.Schema

    def __init__(self, desk: _Desk, context: fl.ServerCallContext) -> None:
        self._desk = desk
        self._context = context
        self._open = True

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            batch = self._next()
        except StopIteration:
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        self._desk.rows_out += batch.num_rows
        return batch

    def _next(self) -> pa.RecordBatch:
        raise NotImplementedError

    def close(self) -> None:
        """Count the call out; safe to call again."""
        if self._open:
            self._open = False
            self._desk.leave()

    def __del__(self) -> None:
        self.close()


class _Answer(_Rows):
    """The rows of a query."""

    def __init__(self, desk: _Desk, context: fl.ServerCallContext, body: bytes) -> None:
        super().__init__(desk, context)
        self._pieces: AsyncIterator[bytes | memoryview] | None = None
        store = desk.deps.store
        if store is None:
            self.close()
            raise fl.FlightUnauthorizedError("this mode answers no queries")
        try:
            result = desk.ask(store.run(decode_query(body, accept=ARROW)), context)
            chunks = result.chunks
            if isinstance(chunks, bytes | memoryview):
                self._reader = pa.ipc.open_stream(chunks)
            else:
                self._pieces = chunks
                self._reader = pa.ipc.open_stream(pa.PythonFile(_Pull(self), mode="r"))
        except QautlraError as error:
            self.close()
            raise translated(error) from None
        except BaseException:
            self.close()
            raise
        self.schema = self._reader.schema
        self._rest: Iterator[pa.RecordBatch] = iter(())

    def _next(self) -> pa.RecordBatch:
        most = self._desk.deps.settings.flight_batch_rows
        while True:
            batch = next(self._rest, None)
            if batch is not None:
                return batch
            whole = self._reader.read_next_batch()
            self._rest = (whole.slice(at, most) for at in range(0, whole.num_rows, most))

    def piece(self) -> bytes:
        """Return the next bytes of the answer, none at its end."""
        assert self._pieces is not None
        return self._desk.ask(_next_of(self._pieces), self._context)

    def close(self) -> None:
        pieces, self._pieces = getattr(self, "_pieces", None), None
        if pieces is not None and self._open and (end := getattr(pieces, "aclose", None)) is not None:
            asyncio.run_coroutine_threadsafe(end(), self._desk._loop)
        super().close()


class _Pull:
    """A file whose bytes are asked for as they are read."""

    closed = False

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        parts, have = [self._left], len(self._left)
        while (size < 0 or have < size) and (piece := self._answer.piece()):
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        if size < 0:
            size = len(whole)
        self._left = whole[size:]
        return whole[:size]

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class _Tail(_Rows):
    """The rows of a stream from now on."""

    def __init__(self, desk: _Desk, context: fl.ServerCallContext, asked: dict[str, Any]) -> None:
        super().__init__(desk, context)
        self._tail: Any = None
        streams = desk.deps.ingest or desk.deps.streams
        names = asked.get("instruments")
        if streams is None or not isinstance(asked["stream"], str):
            self.close()
            raise pa.ArrowInvalid("stream: expected the name of a stream")
        if names is not None and not (isinstance(names, list) and all(isinstance(n, str) for n in names)):
            self.close()
            raise pa.ArrowInvalid("instruments: expected a list of texts")

        async def opened() -> Any:
            return streams.live(asked["stream"], names)

        try:
            self._tail = desk.ask(opened())
        except BaseException:
            self.close()
            raise
        self.schema = self._tail.schema

    def _next(self) -> pa.RecordBatch:
        while True:
            found = self._desk.ask(self._take(), self._context)
            if found is not None:
                return found

    async def _take(self) -> pa.RecordBatch | None:
        table = self._tail.take_table()
        if table is None or not table.num_rows:
            await asyncio.sleep(TAIL_S)
            return None
        return table.combine_chunks().to_batches()[0]

    def close(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            self._desk._loop.call_soon_threadsafe(tail.close)
        super().close()


async def _next_of(pieces: AsyncIterator[bytes | memoryview]) -> bytes:
    return bytes(await anext(pieces, b""))


def ticket_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a ticket."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise pa.ArrowInvalid("the ticket is not JSON") from None
    if not isinstance(found, dict):
        raise pa.ArrowInvalid("the ticket is not a JSON object")
    return found


def is_tail(asked: dict[str, Any]) -> bool:
    """Tell whether a ticket asks for rows from now on: it names a stream, maybe instruments, nothing else."""
    return "stream" in asked and set(asked) <= {"stream", "instruments"}


def stream_of(descriptor: fl.FlightDescriptor) -> str:
    """Return the stream a descriptor names: its path, or `stream` of its command."""
    if descriptor.descriptor_type == fl.DescriptorType.PATH and len(descriptor.path) == 1:
        return str(descriptor.path[0].decode("utf-8", "replace"))
    if descriptor.descriptor_type == fl.DescriptorType.CMD:
        name = ticket_of(descriptor.command).get("stream")
        if isinstance(name, str):
            return name
    raise pa.ArrowInvalid('name a stream: a path of one part, or the command {"stream": …}')


def parts(table: pa.Table) -> Iterator[pa.Table]:
    """Yield a table in parts of at most PUT_ROWS rows and about PUT_BYTES."""
    count = max(table.num_rows, 1)
    rows = max(min(PUT_ROWS, count * PUT_BYTES // max(table.nbytes, 1)), 1)
    for at in range(0, table.num_rows, rows):
        yield table.slice(at, rows)


def peer_host(peer: str) -> str:
    """Return the address of `ipv4:127.0.0.1:5000` or `ipv6:[::1]:5000`, decoded."""
    text = peer.replace("%5B", "[").replace("%5D", "]").partition(":")[2]
    return text.rpartition(":")[0].strip("[]")


def basic(text: str) -> tuple[str, str]:
    """Return user and password of Basic credentials."""
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError):
        raise AuthError("the Basic credentials are not readable") from None
    if not colon:
        raise AuthError("the Basic credentials are not readable")
    return user, password


def translated(error: QautlraError) -> Exception:
    """Return an error as Flight tells it."""
    kind: type[Exception] = fl.FlightServerError
    if isinstance(error, AuthError):
        kind = fl.FlightUnauthenticatedError if error.status == 401 else fl.FlightUnauthorizedError
    elif isinstance(error, NotFoundError):
        kind = pa.ArrowKeyError
    elif isinstance(error, LimitError):
        kind = fl.FlightTimedOutError if error.status == 504 else fl.FlightUnavailableError
    elif isinstance(error, InputError):
        kind = pa.ArrowInvalid
    elif error.status == 503:
        kind = fl.FlightUnavailableError
    return kind(error.message)
