"""Hostile statements and events through one real server: refused in words, nobody else harmed."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.e2e.conftest import Server, serving
from tests.e2e.test_ingest import ARROW, BASIC, ENV, ingest, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
TIMEOUT_S = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    places = serving(tmp_path_factory.mktemp("hostile"))
    start = next(places)
    settings = (
        "store.segment_bytes=64KiB",
        f"store.query_timeout_s={TIMEOUT_S}",
        "store.query_memory_bytes=128MiB",
    )
    found: Server = start(*(word for one in settings for word in ("--set", one)), mode="db", env=ENV)  # type: ignore[operator]
    assert ingest(found, "app", [{"n": 1, "text": "x"}])[0] == 200
    yield found
    places.close()  # type: ignore[attr-defined]


def sql(server: Server, text: str) -> tuple[int, Any]:
    body = json.dumps({"query": text, "startTime": "1d", "endTime": "now"}).encode()
    status, answer, _ = server.request("POST", "/api/v1/query", body)
    return status, json.loads(answer)


def is_well(server: Server) -> None:
    assert sql(server, "SELECT n FROM app") == (200, [{"n": 1.0}])
    assert [row["n"] for row in rows(server, "app")] == [1]
    assert server.get_json("/healthz")["status"] == "ok"


def files(server: Server) -> set[str]:
    data = Path(server.environment["QAUTLRA__STORE__DATA_DIR"])
    return {
        str(path)
        for path in data.parent.rglob("*")
        if path.is_file() and path.suffix in (".csv", ".db", ".parquet")
    }


REFUSED = (
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "FROM read_csv('/etc/passwd')",
    "FROM glob('/*')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM app ORDER BY (SELECT read_text('/etc/passwd'))",
    "SELECT * FROM app WHERE EXISTS (FROM read_text('/x'))",
    "SELECT [x FOR x IN (SELECT read_text('/etc/passwd'))]",
    "SELECT * FROM latest_on('../x')",
    "SELECT * FROM latest_on((SELECT 'app'))",
    "SELECT * FROM sample_by('app; DROP VIEW app', '1m')",
    "ATTACH '/tmp/x.db'",
    "ATTACH ':memory:' AS m",
    "DETACH memory",
    "USE memory",
    "COPY app TO '/tmp/x.csv'",
    "COPY app FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp'",
    "PRAGMA database_list",
    "SET memory_limit='100GB'",
    "RESET memory_limit",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/tmp/x.so'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SECRET x (TYPE S3)",
    "DROP VIEW app",
    "INSERT INTO app VALUES (1)",
    "DELETE FROM app",
    "UPDATE app SET n=1",
    "ALTER TABLE app ADD COLUMN x INT",
    "VACUUM",
    "CHECKPOINT",
    "BEGIN; SELECT 1",
    "SELECT 1; SELECT 2",
    "EXPLAIN SELECT 1",
    "DESCRIBE app",
    "SHOW ALL TABLES",
    "SUMMARIZE app",
    "CALL pragma_version()",
    "PREPARE x AS SELECT 1",
    "SELECT getenv('HOME')",
    "SELECT query('SELECT 1')",
    "SELECT list_transform([1], x -> getenv('HOME'))",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM query_table('app')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM force_checkpoint()",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT " + "+".join(["1"] * 20000),
    "SELECT 1 \x00",
    ";",
    "x" * 70_000,
)


def test_statements_that_look_outside_are_refused(server: Server) -> None:
    before = files(server)
    for text in REFUSED:
        status, answer = sql(server, text)
        assert status == 400 and answer["code"] == "input" and answer["error"], (text[:80], status, answer)
        assert "root:" not in json.dumps(answer)
    assert files(server) == before
    is_well(server)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("SELECT count(*) FROM range(1000000) a, range(1000000) b", 504),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t", 504),
        ("SELECT string_agg(repeat('x', 100000), '') FROM range(1000000)", None),
        ("SELECT list(i) FROM range(1000000000) t(i)", None),
        # memory or time ends first; some never look whether they are to stop: then the process ends
        ("SELECT lpad('', 2147483647, 'x')", None),
        ("SELECT bitstring('1', 2000000000)", None),
        ("SELECT array_to_string(range(100000000), ',')", None),
        ("SELECT printf('%2000000000d', 1)", None),
    ],
)
def test_who_asks_beside_an_endless_statement_is_answered(
    server: Server, text: str, status: int | None
) -> None:
    told: list[tuple[int, Any]] = []
    hostile = threading.Thread(target=lambda: told.append(sql(server, text)))
    hostile.start()
    time.sleep(0.2)
    is_well(server)
    hostile.join()
    (answer,) = told
    assert answer[0] in ((413, 504) if status is None else (status,)), answer
    assert answer[1]["code"] == "limit"


def test_a_client_that_leaves_ends_what_it_asked(server: Server) -> None:
    for text in ("SELECT * FROM range(100000000000)", "SELECT lpad('', 2147483647, 'x')"):
        body = json.dumps({"query": text, "startTime": "1d", "endTime": "now"}).encode()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = "POST /api/v1/query?streaming=true HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.3)
        is_well(server)


def test_rows_without_end_are_capped(server: Server) -> None:
    body = json.dumps(
        {"query": "SELECT * FROM range(100000000000)", "startTime": "1d", "endTime": "now"}
    ).encode()
    status, answer, headers = server.request("POST", "/api/v1/query", body)
    assert status == 200 and len(json.loads(answer)) == 100_000 and headers["X-Truncated"] == "true"


def arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (json.dumps({f"c{n}": n for n in range(10_000)}).encode(), "application/json"),
        (b"[" * 100_000 + b"]" * 100_000, "application/json"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "application/json"),
        (b'{"a": 1e400}', "application/json"),
        (b'{"a": Infinity}', "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b'{"a\\u0000b": 1}', "application/json"),
        (b'{"": 1}', "application/json"),
        (b'{"a\\"b": 1}', "application/json"),
        (b'{"a": 1, "A": 2}', "application/json"),
        (b'{"a": "\\ud800"}', "application/json"),
        (b'{"a": "\xff"}', "application/json"),
        (b"[null]", "application/json"),
        (b"a,a\n1,2\n", "text/csv"),
        (b"a,A\n1,2\n", "text/csv"),
        (b"a\n1,2\n", "text/csv"),
        (b'a\n"x\n', "text/csv"),
        (b"a\0,b\n1,2\n", "text/csv"),
        (arrow(pa.table([[1], [2]], names=["a", "a"])), ARROW),
        (arrow(pa.table([[1], [2]], names=["a", "A"])), ARROW),
        (arrow(pa.table({"a": pa.array([2**64 - 1], pa.uint64())})), ARROW),
        (arrow(pa.table({"a": pa.array([2**62], pa.timestamp("s"))})), ARROW),
        (arrow(pa.table({f"c{n}": [n] for n in range(5000)})), ARROW),
        (arrow(pa.table({"a": [b"\x00\xff"]})), ARROW),
        (arrow(pa.table({"a": pa.array([5], pa.duration("s"))})), ARROW),
        (arrow(pa.table({"a": pa.array([5], pa.time32("s"))})), ARROW),
        (arrow(pa.table({"a": pa.array([[b"x"]])})), ARROW),
    ],
)
def test_events_that_cannot_be_kept_are_refused_whole(server: Server, body: bytes, form: str) -> None:
    assert ingest(server, "kept", {"n": 1})[0] == 200
    before = len(rows(server, "kept"))
    status, answer = ingest(server, "kept", body, form)
    assert status in (400, 413) and answer["error"] and answer["code"] in ("input", "limit"), (status, answer)
    assert len(rows(server, "kept")) == before
    assert ingest(server, "ghost", body, form)[0] == status
    assert {"name": "ghost"} not in server.get_json("/api/v1/logstream")
    is_well(server)


def test_headers_that_are_not_utf8_are_no_fault_of_ours(server: Server) -> None:
    def told(method: str, path: str, header: bytes, body: bytes = b"") -> bytes:
        basic = (
            b"" if header.startswith(b"Auth") else b"\r\nAuthorization: " + BASIC["Authorization"].encode()
        )
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n".encode()
            client.sendall(head + b"X-P-Stream: headers\r\n" + header + basic + b"\r\n\r\n" + body)
            client.settimeout(10)
            return client.recv(4096).split(b" ")[1]

    for name in (b"User-Agent", b"X-P-Meta-Host", b"X-P-Tag-Host", b"X-P-Log-Source"):
        assert told("POST", "/api/v1/ingest", name + b": caf\xe9", b'{"n": 1}') == b"200", name
    kept = [row[name] for name in ("p_user_agent", "host", "p_format") for row in rows(server, "headers")]
    assert kept.count("caf\ufffd") == 4
    for name, status in (
        (b"X-P-Custom-Partition", b"200"),
        (b"X-P-Time-Partition-Limit", b"400"),
        (b"X-P-Static-Schema-Flag", b"400"),
    ):
        assert told("PUT", "/api/v1/logstream/other", name + b": \xe9\xff") == status, name
    for scheme in (b"Basic", b"Bearer"):
        assert told("POST", "/api/v1/ingest", b"Authorization: " + scheme + b" \xe9\xff") == b"401", scheme
        assert told("GET", "/api/v1/query?stream=app", b"Authorization: " + scheme + b" \xe9") == b"200", (
            scheme
        )
    is_well(server)


def test_names_that_are_paths_make_no_files(server: Server) -> None:
    data = Path(server.environment["QAUTLRA__STORE__DATA_DIR"])
    for name in (
        "..",
        "../x",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "%2e%2e",
        "Select",
        "-x",
        "app;drop",
        "x'y",
        'x"y',
        "x\ty",
        "x" * 65,
    ):
        status, answer = ingest(server, name, {"n": 1})
        assert status == 400 and answer["key"] == "stream", name
    for value in ("../../x", "/etc", "..", ".", "\0", "a" * 300, "%2e%2e", "a\\b", "=", ""):
        assert ingest(server, "by_field", {"n": 1, "place": value})[0] == 200, value
    outside = {path for path in data.parent.iterdir() if path != data and not path.name.startswith("server-")}
    assert not outside
    for path in data.rglob("*"):
        assert path.resolve().is_relative_to(data.resolve()) and ".." not in path.parts
    places = {path.name for path in (data / "tables").iterdir() if path.is_dir()}
    assert all(name in ("log", "streams") or name.startswith("stream=") for name in places), places


def test_strange_columns_are_kept_filed_and_answered(server: Server) -> None:
    """Whatever a column is called, its rows become files and no other stream waits for them."""
    events = [
        {"__day": 1, "0": 2, "n": 3},
        {"date": "x", "stream": "y", "filename": 4},
        {"a;DROP TABLE x": 1, " ": 2, "a.b": 3},
        {"select": 1, "from": "x", "é中": 2},
        {"time": "9999-12-31T23:59:00Z"},
        {"time": "0001-01-01T00:00:00Z"},
        {"a": {"b": 1}, "a_b": "x"},
        {"x": "y" * 3_000_000},
        {"x": "a\0b"},
        {"id": 2**53 + 1},
    ]
    for at, event in enumerate(events):
        name = f"strange{at}"
        assert ingest(server, name, [event])[0] == 200, event
        (row,) = rows(server, name)
        values = {value for value in row.values() if isinstance(value, (int, float, str))}
        for value in (v for v in event.values() if not isinstance(v, dict)):
            shown = value[:-1] + ".000000Z" if isinstance(value, str) and value.endswith(":00Z") else value
            assert shown in values, (event, row)
        status, found = sql(server, f'SELECT count(*) AS n FROM "{name}"')
        assert (status, found) == (200, [{"n": 1}])
    big = [{"pad": f"{n:06d}" * 100} for n in range(200)]  # a full segment is sealed by the next record
    data = Path(server.environment["QAUTLRA__STORE__DATA_DIR"]) / "tables"
    deadline = time.monotonic() + 60
    while len(list(data.glob("stream=strange*/**/*.parquet"))) < len(events):
        assert server.get_json("/healthz")["status"] == "ok"
        assert time.monotonic() < deadline
        assert ingest(server, "filler", big)[0] == 200
        time.sleep(0.1)
    for at in range(len(events)):
        assert len(rows(server, f"strange{at}")) == 1
    is_well(server)
