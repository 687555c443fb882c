"""The door of Arrow Flight over a store of our making: failed puts, a renewed certificate, its end."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.flight as fl
import pytest

from qautlra.auth.rights import Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.base.clock import WallClock
from qautlra.base.errors import InputError, LimitError, QautlraError, StorageError
from qautlra.base.secret import Secret
from qautlra.config.tree import Net
from qautlra.net import flight, flight_desk, tls
from qautlra.net.deps import Deps
from qautlra.net.flight import FlightDoor
from tests.e2e.test_ingest import BASIC, PASSWORD, USER
from tests.e2e.test_kafka import until
from tests.e2e.test_tls import certificate
from tests.net.front import FakeProcess

T = TypeVar("T")
LOGIN = fl.FlightCallOptions(headers=[(b"authorization", BASIC["Authorization"].encode())])
OWN = "A-pass-of-their-own-1"
SCHEMA = pa.schema([("n", pa.int64())])


class Store:
    """Takes rows until `fails` is due: after so many parts."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.fails: tuple[int, Exception] | None = None
        self.parts = 0

    def names(self) -> list[str]:
        return ["app"]

    async def ingest(self, _name: str, events: pa.Table, _extra: Any, *, create: bool) -> int:
        if self.fails is not None and self.parts >= self.fails[0]:
            raise self.fails[1]
        self.parts += 1
        self.rows += events.column("n").to_pylist()
        return int(events.num_rows)

    def live(self, _name: str, _instruments: Any) -> Any:
        return Silent()


class Silent:
    """A stream nothing happens in."""

    schema = SCHEMA
    dropped = 0

    def take_table(self) -> None:
        return None

    def close(self) -> None:
        pass


class Door:
    """The door with its loop in a thread of its own."""

    def __init__(self, tmp_path: Path, require_login: bool = False, **net: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.store = Store()
        self.auth = AuthService(tmp_path, AuthOptions(username=USER, password=Secret(PASSWORD)))
        deps = Deps(
            settings=msgspec.convert(net, Net), clock=WallClock(), process=FakeProcess(),
            ingest=self.store, auth=self.auth, streams=self.store,  # type: ignore[arg-type]
            require_login=require_login,
        )  # fmt: skip
        self.door = FlightDoor(deps, "127.0.0.1", 0)
        self.run(self.auth.start())
        self.run(self.door.start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def client(self, trusted: Path | None = None) -> fl.FlightClient:
        if trusted is None:
            return fl.FlightClient(f"grpc://127.0.0.1:{self.door.port}")
        # Connections of one process to one address are shared otherwise.
        own = [("grpc.use_local_subchannel_pool", 1)]
        return fl.FlightClient(
            f"grpc+tls://127.0.0.1:{self.door.port}", tls_root_certs=trusted.read_bytes(), generic_options=own
        )

    def stop(self) -> None:
        if self._loop.is_closed():
            return
        self.run(self.door.stop(5.0))
        self.run(self.auth.stop(1.0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def make_door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    doors: list[Door] = []

    def make(**net: Any) -> Door:
        doors.append(Door(tmp_path / "auth", **net))
        return doors[-1]

    (tmp_path / "auth").mkdir()
    yield make
    for door in doors:
        door.stop()


def rows(count: int) -> pa.Table:
    return pa.table({"n": pa.array(range(count), pa.int64())}, schema=SCHEMA)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StorageError("the disk is full", status=507), fl.FlightServerError),
        (StorageError("the log is away"), fl.FlightUnavailableError),
        (LimitError("too much"), fl.FlightUnavailableError),
        (InputError("no such column"), pa.ArrowInvalid),
        (LimitError("too many columns", status=413), pa.ArrowInvalid),
        (QautlraError("no"), fl.FlightServerError),
        (ZeroDivisionError("a secret detail"), fl.FlightServerError),
    ],
)
def test_a_put_that_fails_says_what_is_stored(
    make_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    monkeypatch.setattr(flight, "PUT_ROWS", 10)
    door = make_door()
    door.store.fails = (5, error)  # the second batch's third part
    writer, told = door.client().do_put(fl.FlightDescriptor.for_path("app"), SCHEMA, LOGIN)
    writer.write_table(rows(30))
    assert json.loads(told.read().to_pybytes()) == {"rows": 30}
    writer.write_table(rows(30))
    assert json.loads(told.read().to_pybytes()) == {"rows": 50}
    with pytest.raises(kind, match="50 rows before are stored") as raised:
        writer.close()
    assert len(door.store.rows) == 50 and "secret" not in str(raised.value)


def test_a_renewed_certificate_is_used_and_calls_go_on(
    make_door: Callable[..., Door], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_S", 0.01)
    cert, key = certificate(tmp_path)
    new, new_key = certificate(tmp_path, "b")
    old = tmp_path / "old.pem"
    shutil.copy(cert, old)
    door = make_door(tls_cert=str(cert), tls_key=str(key))
    port = door.door.port
    writer, told = door.client(old).do_put(fl.FlightDescriptor.for_path("app"), SCHEMA, LOGIN)
    writer.write_table(rows(3))
    assert json.loads(told.read().to_pybytes()) == {"rows": 3}
    shutil.copy(new, cert)
    until(lambda: "cannot be used" in door.door.health().get("error", ""))
    assert len(list(door.client(old).list_flights())) == 1
    shutil.copy(new_key, key)

    def renewed() -> bool:
        with contextlib.suppress(fl.FlightUnavailableError):
            return len(list(door.client(new).list_flights())) == 1
        return False

    until(renewed)
    with pytest.raises(fl.FlightUnavailableError):
        list(door.client(old).list_flights())
    assert "error" not in door.door.health() and door.door.port == port
    # the call of before is not disturbed
    writer.write_table(rows(4))
    assert json.loads(told.read().to_pybytes()) == {"rows": 7}
    writer.close()


def test_a_caller_who_sends_nothing_does_not_hold_up_the_end(make_door: Callable[..., Door]) -> None:
    door = make_door()
    client = door.client()
    writer, told = client.do_put(fl.FlightDescriptor.for_path("app"), SCHEMA, LOGIN)
    writer.write_table(rows(1))
    told.read()
    reader = client.do_get(fl.Ticket(b'{"stream": "app"}'))
    until(lambda: door.door.health()["calls"] == 2)
    door.stop()
    with pytest.raises(fl.FlightError):
        writer.write_table(rows(1))
        writer.close()
    with pytest.raises(fl.FlightError):
        reader.read_chunk()


def test_a_long_call_ends_with_its_login(make_door: Callable[..., Door]) -> None:
    door = make_door(require_login=True)
    door.run(door.auth.add_user("check", OWN, Role.DATA))
    given = base64.b64encode(f"check:{OWN}".encode())
    login = fl.FlightCallOptions(headers=[(b"authorization", b"Basic " + given)])
    client = door.client()
    tail = client.do_get(fl.Ticket(b'{"stream": "app"}'), login)
    writer, _ = client.do_put(fl.FlightDescriptor.for_path("app"), SCHEMA, login)
    writer.write_table(rows(1))
    until(lambda: len(door.store.rows) == 1)
    door.run(door.auth.write(door.auth.users.set_disabled, "check", True))
    with pytest.raises(fl.FlightUnauthenticatedError, match="no longer valid"):
        tail.read_chunk()
    writer.write_table(rows(1))
    with pytest.raises(fl.FlightUnauthenticatedError, match=r"no longer valid.*1 rows before are stored"):
        writer.close()
    assert len(door.store.rows) == 1


def test_cutting_connections_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, (tmp_path / "file").open("wb"):
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            held, _ = server.accept()
            with held:
                before = len(os.listdir("/dev/fd"))
                flight_desk.cut(port)
                assert len(os.listdir("/dev/fd")) == before
                assert caller.recv(1) == b""
