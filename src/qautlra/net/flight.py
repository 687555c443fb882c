"""Arrow Flight: queries and live rows by DoGet, events by DoPut, with the logins of every other door.

gRPC's threads answer; whatever is asked of the process they ask on its loop and wait for. CALLS_COUNT calls
may run at once, more are refused. Off unless `net.flight_listen` names an address.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.flight as fl

from qautlra.auth.rights import Right
from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import ConfigError, InputError, LinkError
from qautlra.base.service import Service
from qautlra.net.deps import Deps
from qautlra.net.flight_desk import CALLS_COUNT, POLL_S, Desk, cut, peer_host, telling, told
from qautlra.net.flight_rows import Answer, Rows, Tail
from qautlra.net.tls import Certificate
from qautlra.wire.ingest import check_batch

PUT_BYTES: Final = 8 << 20
PUT_ROWS: Final = 16_384
RENEW_S: Final = 10.0
CALLS_S: Final = 1.0


class FlightDoor(Service):
    """Listens on one address, by TLS when the front door does."""

    name = "flight"

    def __init__(self, deps: Deps, host: str, port: int) -> None:
        super().__init__()
        self._deps = deps
        self._host, self._port = host, port
        self._certificate: Certificate | None = None
        self._desk: Desk | None = None
        self._server: _Server | None = None
        self._ending: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port if self._server is None else int(self._server.port)

    async def start(self) -> None:
        """Listen; ConfigError when the address cannot be had."""
        # A line of gRPC's own for every stranger who does not speak TLS is no log.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        settings = self._deps.settings
        self._certificate = None
        if settings.tls_cert or settings.tls_key:
            self._certificate = Certificate(settings.tls_cert, settings.tls_key)
        desk = self._desk = Desk(self._deps, asyncio.get_running_loop())
        self._server = await self._listen(desk, self._port)
        if self._certificate is not None:
            self.spawn(self._certificate.follow(self._renewed), "certificate")
        metrics.watch("qautlra_flight_calls_count", "Calls that run", lambda: desk.running)
        metrics.watch("qautlra_flight_rows_total", "Rows sent", lambda: desk.rows_out, kind="counter")
        metrics.watch("qautlra_flight_put_rows_total", "Rows taken", lambda: desk.rows_in, kind="counter")
        metrics.bound("net_flight_calls", lambda: desk.running, CALLS_COUNT, when_full="refuse")

    async def stop(self, grace_s: float) -> None:
        """Stop listening; calls under way get a second."""
        server, self._server = self._server, None
        metrics.unwatch("qautlra_flight_")
        metrics.unwatch("qautlra_net_flight_")
        if self._desk is not None:
            self._desk.closing = True
        await self.cancel_tasks(grace_s)
        if server is not None:
            port, until_s = int(server.port), monotonic_s() + grace_s
            self._ending.append(_shut(server))
            await self._ended(min(until_s, monotonic_s() + CALLS_S))
            cut(port)
            await self._ended(until_s)

    async def _ended(self, until_s: float) -> None:
        while self._ending and monotonic_s() < until_s:
            self._ending = [thread for thread in self._ending if thread.is_alive()]
            await asyncio.sleep(POLL_S)

    def health(self) -> dict[str, Any]:
        """Return the address, how many calls run, and why a certificate that has changed is not used."""
        running = self._desk.running if self._desk is not None else 0
        facts: dict[str, Any] = {"address": f"{self._host}:{self.port}", "calls": running}
        why = self._certificate.error if self._certificate is not None else ""
        return facts | ({"error": why} if why else {})

    async def _listen(self, desk: Desk, port: int) -> _Server:
        host = f"[{self._host}]" if ":" in self._host else self._host
        place = f"{host}:{port}"
        scheme, more = "grpc", {}
        if self._certificate is not None:
            scheme, more = "grpc+tls", {"tls_certificates": [self._certificate.pem]}
        try:
            return await asyncio.to_thread(_Server, desk, f"{scheme}://{place}", **more)
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"cannot listen: {error}", key="net.flight_listen", value=place) from None

    async def _renewed(self) -> None:
        """Listen with the renewed certificate. Calls that run go on by the old one to their own end."""
        assert self._desk is not None and self._server is not None
        port, old = self.port, self._server
        self._ending = [thread for thread in self._ending if thread.is_alive()] + [_shut(old)]
        until_s = monotonic_s() + RENEW_S
        while True:
            try:
                self._server = await self._listen(self._desk, port)
                return
            except ConfigError as error:
                if monotonic_s() > until_s:
                    raise LinkError(str(error)) from None
            await asyncio.sleep(POLL_S)


def _shut(server: _Server) -> threading.Thread:
    """Have a server give its address up, which it does at once; the thread ends with its last call."""
    thread = threading.Thread(target=server.shutdown, name="flight.shutdown", daemon=True)
    thread.start()
    return thread


class _Login(fl.ServerMiddlewareFactory):  # type: ignore[misc]
    """Keeps what a call says of who is calling; answers a handshake with a token."""

    def __init__(self, desk: list[Desk]) -> None:
        self._desk = desk

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> fl.ServerMiddleware:
        given = next((values[0] for name, values in headers.items() if name.lower() == "authorization"), "")
        token, desk = "", self._desk[0]
        if info.method == fl.FlightMethod.HANDSHAKE and desk.logins is not None:
            token = desk.ask(desk.logins.token(given))
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
    def __init__(self, desk: Desk, location: str, **more: Any) -> None:
        self.desk = desk
        super().__init__(location, auth_handler=_NoHandshake(), middleware={"login": _Login([desk])}, **more)

    @telling
    def do_get(self, context: fl.ServerCallContext, ticket: fl.Ticket) -> fl.FlightDataStream:
        """Answer a query, or follow a stream when the ticket names nothing but one."""
        desk = self.desk
        who = desk.admit(context, Right.MARKET)
        asked = ticket_of(ticket.ticket)
        desk.enter()
        rows: Rows  # counts itself out, also when it cannot be made
        rows = Tail(desk, context, asked, who) if is_tail(asked) else Answer(desk, context, ticket.ticket)
        return fl.GeneratorStream(rows.schema, rows)

    @telling
    def do_put(
        self,
        context: fl.ServerCallContext,
        descriptor: fl.FlightDescriptor,
        reader: fl.MetadataRecordBatchReader,
        writer: fl.FlightMetadataWriter,
    ) -> None:
        """Store the rows that are put; after each part that is durable, say how many were taken."""
        desk = self.desk
        who = desk.admit(context, Right.INGEST)
        store = desk.have(desk.deps.taking_in)
        stream = stream_of(descriptor)
        extra = {"p_format": "arrow", "p_user_agent": "flight", "p_src_ip": peer_host(context.peer())}

        async def stored(part: pa.Table) -> int:
            desk.still(who, Right.INGEST)
            return await store.ingest(stream, part, extra, create=True)

        desk.enter()
        taken = told = 0
        try:
            for chunk in reader:
                check_batch(chunk.data)
                for part in parts(pa.Table.from_batches([chunk.data])):
                    desk.check(context)
                    rows = desk.ask(stored(part))
                    taken += rows
                    desk.rows_in += rows
                writer.write(told_of(taken))
                told = taken
        except Exception as error:
            if taken > told:
                writer.write(told_of(taken))
            raise of_put(error, taken) from None
        finally:
            desk.leave()

    @telling
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
        answer = Answer(self.desk, context, command)
        answer.close()
        return fl.FlightInfo(answer.schema, descriptor, [fl.FlightEndpoint(fl.Ticket(command), [])], -1, -1)

    def list_flights(self, context: fl.ServerCallContext, criteria: bytes) -> Iterator[fl.FlightInfo]:
        """List the streams; a stream's schema is in its flight info."""
        return iter(self._flights(context))

    def list_actions(self, context: fl.ServerCallContext) -> list[Any]:
        """Return none: everything is a query or a put."""
        return []

    @telling
    def do_action(self, context: fl.ServerCallContext, action: fl.Action) -> None:
        """Refuse."""
        raise InputError(f"there is no action {action.type[:64]!r} here")

    @telling
    def do_exchange(
        self,
        context: fl.ServerCallContext,
        descriptor: fl.FlightDescriptor,
        reader: fl.MetadataRecordBatchReader,
        writer: fl.MetadataRecordBatchWriter,
    ) -> None:
        """Refuse."""
        raise InputError("DoExchange is not served; ask with DoGet, send with DoPut")

    @telling
    def _flights(self, context: fl.ServerCallContext) -> list[fl.FlightInfo]:
        self.desk.admit(context, Right.MARKET)
        found = []
        for name in self.desk.have(self.desk.deps.stored).names():
            ticket = fl.Ticket(json.dumps({"stream": name, "start_time": "1h-ago"}).encode())
            descriptor = fl.FlightDescriptor.for_path(name)
            found.append(fl.FlightInfo(pa.schema([]), descriptor, [fl.FlightEndpoint(ticket, [])], -1, -1))
        return found


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


def told_of(rows: int) -> bytes:
    """Return what the caller of a put is told of `rows` that are stored."""
    return json.dumps({"rows": rows}).encode()


def of_put(error: Exception, taken: int) -> Exception:
    """Return the error of a put with how many of its rows are stored: those it must not send again."""
    error = told(error)
    return type(error)(f"{error}; {taken} rows before are stored")
