"""Arrow Flight through the real server and pyarrow's client: queries, live rows, puts, logins, bad input."""

import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as fl
import pytest

from tests.e2e.conftest import Serve, Server, free_port
from tests.e2e.test_ingest import BASIC, ENV, PASSWORD, USER, ingest, rows, send
from tests.e2e.test_kafka import until
from tests.e2e.test_tls import certificate, ready, tls

LOGIN = fl.FlightCallOptions(headers=[(b"authorization", BASIC["Authorization"].encode())])


def started(serve: Serve, *more: str, mode: str = "db", **given: Any) -> tuple[Server, fl.FlightClient]:
    port = free_port()
    server = serve("--set", f"net.flight_listen=127.0.0.1:{port}", *more, env=ENV, mode=mode, **given)
    return server, fl.FlightClient(f"grpc://127.0.0.1:{port}")


def get(client: fl.FlightClient, **asked: Any) -> pa.Table:
    return client.do_get(fl.Ticket(json.dumps(asked).encode())).read_all()


def put(client: fl.FlightClient, stream: str, *tables: pa.Table) -> list[int]:
    """What is told after each part."""
    writer, told = client.do_put(fl.FlightDescriptor.for_path(stream), tables[0].schema, LOGIN)
    counts = []
    with writer:
        for table in tables:
            writer.write_table(table)
            counts.append(json.loads(told.read().to_pybytes())["rows"])
    return counts


def calls(server: Server) -> float:
    health = server.get_json("/healthz")
    return next(float(one["calls"]) for one in health["services"] if one["name"] == "flight")


def test_put_and_get(serve: Serve) -> None:
    server, client = started(serve, "--set", "net.flight_batch_rows=700")
    tables = [
        pa.table({"n": pa.array(range(at, at + 1_000), pa.int64()), "s": ["x"] * 1_000}) for at in (0, 1_000)
    ]
    assert put(client, "app", *tables) == [1_000, 2_000]
    found = get(client, stream="app", start_time="1h", fields=["n"])
    assert sorted(found.column("n").to_pylist()) == list(range(2_000))
    assert max(batch.num_rows for batch in found.to_batches()) <= 700
    sql = get(client, query="SELECT sum(n) AS n FROM app", startTime="1h", endTime="now")
    assert [int(n) for n in sql.column("n").to_pylist()] == [1_999_000]
    info = client.get_flight_info(fl.FlightDescriptor.for_path("app"))
    assert info.schema.field("n").type == pa.int64() or info.schema.field("n").type == pa.float64()
    assert client.do_get(info.endpoints[0].ticket).read_all().num_rows == 2_000
    names = {info.descriptor.path[0].decode() for info in client.list_flights()}
    assert {"app", "futures_market", "bar_1d"} <= names
    ticks = pa.table({
        "instrument_id": ["SHFE.au2512"] * 3, "volume": pa.array([1, 2, 3]), "last_price": [1.0, 2.0, 3.0],
        "datetime": pa.array([1_733_100_000_000_000 + n for n in range(3)], pa.timestamp("us", "UTC")),
    })  # fmt: skip
    assert put(client, "futures_market", ticks) == [3] and put(client, "futures_market", ticks) == [3]
    assert get(client, stream="futures_market", start_time="2024-12-01", end_time="2024-12-04").num_rows == 3
    assert calls(server) == 0
    # what is not served is said, without the server's insides
    assert client.list_actions() == []
    with pytest.raises(pa.ArrowInvalid, match="there is no action 'x'") as refused:
        list(client.do_action(fl.Action("x", b"")))
    assert "Traceback" not in str(refused.value)


def test_rows_as_they_come(serve: Serve) -> None:
    server, client = started(serve)
    assert ingest(server, "app", {"n": 0, "when": "a"})[0] == 200
    heard: list[float] = []
    reader = client.do_get(fl.Ticket(b'{"stream": "app"}'))

    def listen() -> None:
        with contextlib.suppress(Exception):
            for chunk in reader:
                heard.extend(chunk.data.column("n").to_pylist())

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    until(lambda: calls(server) == 1)
    for n in range(1, 50):
        assert ingest(server, "app", {"n": n, f"new{n}": 1})[0] == 200
    until(lambda: heard == [float(n) for n in range(1, 50)])
    reader.cancel()
    thread.join(10)
    until(lambda: calls(server) == 0)  # who leaves is counted out
    market = client.do_get(fl.Ticket(b'{"stream": "futures_market", "instruments": ["au2512"]}'))
    assert market.schema.field("instrument_id").type == pa.string()
    until(lambda: calls(server) == 1)
    tick = {"instrument_id": "SHFE.au2512", "datetime": int(time.time() * 1e6), "volume": 7}
    assert ingest(server, "futures_market", [tick, tick | {"instrument_id": "SHFE.rb2601"}])[0] == 200
    assert market.read_chunk().data.column("volume").to_pylist() == [7]
    market.cancel()
    until(lambda: calls(server) == 0)
    assert server.stop() == 0


def test_logins(serve: Serve) -> None:
    server, client = started(serve)
    table = pa.table({"n": [1]})

    def fails(options: fl.FlightCallOptions | None, kind: type[Exception]) -> None:
        with pytest.raises(kind):
            writer, told = client.do_put(fl.FlightDescriptor.for_path("app"), table.schema, options)
            with writer:
                writer.write_table(table)
                told.read()

    fails(None, fl.FlightUnauthenticatedError)
    for wrong in (b"Basic bm9ib2R5OndybA==", b"Basic !!", b"Bearer nonsense", b"Digest x"):
        fails(fl.FlightCallOptions(headers=[(b"authorization", wrong)]), fl.FlightUnauthenticatedError)
    token = client.authenticate_basic_token(USER, PASSWORD)
    writer, told = client.do_put(
        fl.FlightDescriptor.for_path("app"), table.schema, fl.FlightCallOptions(headers=[token])
    )
    with writer:
        writer.write_table(table)
        assert json.loads(told.read().to_pybytes()) == {"rows": 1}
    with pytest.raises(fl.FlightUnauthenticatedError):
        client.authenticate_basic_token(USER, "wrong")
    server.stop()
    server, client = started(serve, "--set", "auth.require_login=true")
    with pytest.raises(fl.FlightUnauthenticatedError):
        get(client, stream="app", start_time="1h")
    found = client.do_get(fl.Ticket(b'{"stream": "app", "start_time": "1h"}'), LOGIN).read_all()
    assert found.num_rows == 1


def without_origin(error: BaseException) -> None:
    """Nobody is told where in the server an error was raised."""
    text = str(error)
    assert "Traceback" not in text and ".py" not in text and "line " not in text, text


def test_bad_input_harms_nobody(serve: Serve) -> None:
    server, client = started(serve)
    assert ingest(server, "app", {"n": 1})[0] == 200
    for ticket, kind in (
        (b"", pa.ArrowInvalid), (b"[]", pa.ArrowInvalid), (b"{torn", pa.ArrowInvalid),
        (b"[" * 100_000, pa.ArrowInvalid),
        (b'{"stream": "nope", "limit": 1}', KeyError), (b'{"stream": "../x"}', (KeyError, pa.ArrowInvalid)),
        (b'{"stream": 7}', pa.ArrowInvalid), (b'{"stream": "app", "instruments": 7}', pa.ArrowInvalid),
        (b'{"stream": "app", "filter": "1; DROP"}', pa.ArrowInvalid), (b"\xff\xfe", pa.ArrowInvalid),
        (b'{"query": "SELECT * FROM read_csv(\'/etc/passwd\')", "startTime": "1h", "endTime": "now"}',
         pa.ArrowInvalid),
    ):  # fmt: skip
        with pytest.raises(kind) as refused:
            client.do_get(fl.Ticket(ticket)).read_all()
        without_origin(refused.value)
    good = pa.table({"n": [2.0]})
    for descriptor, table, words in (
        (fl.FlightDescriptor.for_path("a b"), good, "not a stream name"),
        (fl.FlightDescriptor.for_path("a", "b"), good, "name a stream"),
        (fl.FlightDescriptor.for_command(b"{}"), good, "name a stream"),
        (fl.FlightDescriptor.for_path("futures_market"), good, "no column 'n'"),
        (fl.FlightDescriptor.for_path("bar_1d"), good, "is made of"),
        (fl.FlightDescriptor.for_path("app"), pa.table({"n": [b"\x00\xff"]}), "type binary have no place"),
    ):
        with pytest.raises(pa.ArrowInvalid, match=words) as refused:
            writer, told = client.do_put(descriptor, table.schema, LOGIN)
            with writer:
                writer.write_table(table)
                told.read()
        without_origin(refused.value)
    for info in (
        lambda: client.get_flight_info(fl.FlightDescriptor.for_command(b"{torn")),
        lambda: client.get_flight_info(fl.FlightDescriptor.for_path("nope")),
    ):
        with pytest.raises((pa.ArrowInvalid, KeyError)) as refused:
            info()
        without_origin(refused.value)
    for action in (
        lambda: list(client.do_action("x", LOGIN)),
        lambda: client.get_schema(fl.FlightDescriptor.for_path("app")),
    ):
        with pytest.raises((NotImplementedError, pa.ArrowException)):
            action()
    # a put that is broken off keeps what was told, and nothing is held
    writer, told = client.do_put(fl.FlightDescriptor.for_path("half"), good.schema, LOGIN)
    writer.write_table(good)
    assert json.loads(told.read().to_pybytes()) == {"rows": 1}
    del writer, told
    client.close()
    until(lambda: calls(server) == 0)
    assert len(rows(server, "half")) == 1 and len(rows(server, "app")) == 1
    assert send(server, "GET", "/api/v1/logstream/app/stats")[0] == 200


def test_at_most_so_many_calls(serve: Serve) -> None:
    server, client = started(serve)
    assert ingest(server, "app", {"n": 1})[0] == 200
    held = [client.do_get(fl.Ticket(b'{"stream": "app"}')) for _ in range(32)]
    until(lambda: calls(server) == 32)
    with pytest.raises(fl.FlightUnavailableError):
        get(client, stream="app", start_time="1h")
    for one in held:
        one.cancel()
    until(lambda: calls(server) == 0)
    assert get(client, stream="app", start_time="1h").num_rows == 1


def test_by_tls_and_a_busy_port(serve: Serve, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    port = free_port()
    server = serve(*tls(cert, key), mode="db", env=ENV | {"P_FLIGHT_PORT": str(port)}, wait=False)
    until(lambda: ready(server, cert))
    client = fl.FlightClient(f"grpc+tls://127.0.0.1:{port}", tls_root_certs=cert.read_bytes())
    assert put(client, "app", pa.table({"n": [1.0]})) == [1]
    # half and wrong greetings disturb nobody, and strangers write nothing into the log
    strangers = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(40)]
    for number, stranger in enumerate(strangers):
        stranger.sendall(
            (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 300)[number % 3]
        )
        if number % 3:
            stranger.recv(1)
    assert put(client, "app", pa.table({"n": [2.0]})) == [1]
    for stranger in strangers:
        stranger.close()
    assert "ssl_transport" not in server.log.read_text()
    other = serve("--set", f"net.flight_listen=127.0.0.1:{port}", mode="db", data=tmp_path / "b", wait=False)
    assert other.process.wait(30) in (1, 2)
    assert "net.flight_listen" in other.log.read_text()
    remote = serve("--set", "net.flight_listen=0.0.0.0:1", mode="db", data=tmp_path / "c", wait=False)
    assert remote.process.wait(30) in (1, 2) and "net.allow_remote" in remote.log.read_text()
