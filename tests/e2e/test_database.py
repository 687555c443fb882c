"""The database through the real server: SQL, counts, verbs, forms; who leaves, what is hostile, two modes."""

import base64
import io
import json
import socket
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.e2e.conftest import Serve, Server

DAY = ("--set", "source.sim.trading_day=2025-06-03", "--set", "source.sim.history_bars=0")


def ask(server: Server, body: dict[str, Any], path: str = "/api/v1/query", **headers: str) -> Any:
    status, answer, _ = server.request(
        "POST", path, json.dumps(body).encode(), Content_Type="application/json", **headers
    )
    assert status == 200, (status, answer[:400])
    return answer if headers else json.loads(answer)


def test_sql_beside_a_running_market(serve: Serve) -> None:
    server = serve(*DAY, "--set", "store.segment_bytes=1MiB", "--set", "source.sim.ticks_per_s=3000")
    both = {"startTime": "10d", "endTime": "now"}
    deadline = time.monotonic() + 30
    while True:
        (row,) = ask(server, {"query": "SELECT count(*) AS n FROM market_data", **both})
        store = next(s for s in server.get_json("/healthz")["services"] if s["name"] == "store")
        if row["n"] > 6000 and store["files"] > 3:
            break
        assert time.monotonic() < deadline, (row, store)
    # one statement sees each row once while segments become files
    for _ in range(5):
        text = (
            "SELECT count(*) AS n, count(DISTINCT (instrument_id, datetime, seq)) AS d, "
            "count(DISTINCT instrument_id) AS i FROM market_data"
        )
        (row,) = ask(server, {"query": text, **both})
        assert row["n"] == row["d"] and row["i"] > 20
    counts = ask(server, {"stream": "futures_market", **both, "numBins": 3}, "/api/v1/counts")
    assert [set(record) for record in counts["records"]] == [{"start_time", "end_time", "count"}] * 3
    text = "SELECT instrument_id, last_price FROM futures_market ORDER BY datetime LIMIT 10"
    body = {"query": text, **both}
    arrow = pa.ipc.open_stream(
        ask(server, body, Accept="application/vnd.apache.arrow.stream")
    ).read_all()  # fmt: skip
    parquet = pq.read_table(io.BytesIO(ask(server, body, "/api/v1/query?format=parquet", Accept="*/*")))
    assert arrow.equals(parquet) and arrow.num_rows == 10
    lines = ask(server, body, "/api/v1/query?streaming=true", Accept="*/*").splitlines()
    assert [json.loads(line)["last_price"] for line in lines] == arrow.column("last_price").to_pylist()
    newest = ask(server, {"stream": "market_data", "latest_on": True, "fields": ["last_price"]})
    assert len(newest) > 20
    bars = ask(server, {"stream": "futures_market", "sample_by": "1m", "fill": "prev", "start_time": "2h"})
    assert {"open", "high", "low", "close", "volume"} <= set(bars[0])


def test_hostile_sql_and_a_client_that_leaves(serve: Serve) -> None:
    server = serve(*DAY, "--set", "store.query_timeout_s=90")
    both = {"startTime": "1h", "endTime": "now"}
    for text in (
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT 1; SELECT 2",
        "COPY (SELECT 1) TO '/tmp/x'",
    ):
        status, answer, _ = server.request(
            "POST", "/api/v1/query", json.dumps({"query": text, **both}).encode()
        )
        assert status == 400, (text, answer)
        assert json.loads(answer)["code"] == "input"
    endless = "SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)"
    body = json.dumps({"query": endless, **both}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        time.sleep(0.5)
    # it holds the one thread of SQL until it is stopped: the next answer shows that it was
    began = time.monotonic()
    assert ask(server, {"query": "SELECT 1 AS one", **both}) == [{"one": 1}]
    assert time.monotonic() - began < 60  # its limit of time is 90 s
    assert server.request("GET", "/readyz")[0] == 200


def test_several_processes_answer_over_one_directory(serve: Serve, tmp_path: Path) -> None:
    env = {"QAUTLRA__AUTH__USERNAME": "keeper", "QAUTLRA__AUTH__PASSWORD": "Check-pass-1"}
    basic = {"Authorization": "Basic " + base64.b64encode(b"keeper:Check-pass-1").decode()}
    small = ("--set", "store.segment_bytes=128KiB")
    writer = serve(*small, mode="db", env=env)
    readers = [serve(mode="query") for _ in range(2)]

    def events(first: int, count: int) -> bytes:
        rows = [
            {
                "instrument_id": "au2512",
                "datetime": 1748914200000 + n * 500,
                "last_price": 780 + n,
                "volume": n,
            }
            for n in range(first, first + count)
        ]
        return json.dumps(rows).encode()

    asked = {"stream": "futures_market", "start_time": "2025-06-03", "end_time": "2025-06-04"}
    for step in range(6):
        status, answer, _ = writer.request(
            "POST", "/api/v1/ingest", events(step * 2000, 2000), X_P_Stream="futures_market",
            Content_Type="application/json", **basic,
        )  # fmt: skip
        assert status == 200, answer
        for reader in readers:
            (row,) = ask(
                reader,
                {"query": "SELECT count(*) AS n, count(DISTINCT datetime) AS d FROM futures_market",
                 "startTime": "2025-06-03", "endTime": "2025-06-04"},
            )  # fmt: skip
            assert row == {"n": (step + 1) * 2000, "d": (step + 1) * 2000}
    newest = {**asked, "order": "desc", "limit": 5, "filter": "instrument=au2512 AND volume > 10"}
    for reader in readers:
        assert reader.query(**newest) == writer.query(**newest)
        assert ask(reader, {**asked, "sample_by": "5m"}) == ask(writer, {**asked, "sample_by": "5m"})
        status, answer, _ = reader.request("POST", "/api/v1/ingest", b"{}", X_P_Stream="app", **basic)
        assert status in (401, 403), answer
    assert writer.request("POST", "/api/v1/ingest", b'{"n": 1}', X_P_Stream="app", **basic)[0] == 200
    assert [r["n"] for r in readers[1].query(stream="app", start_time="1h", end_time="2100-01-01")] == [1]
    for path in ("", "/app", "/app/schema", "/app/retention", "/futures_market/schema"):
        answers = [one.request("GET", f"/api/v1/logstream{path}")[:2] for one in (writer, *readers)]
        assert answers[0][0] == 200 and answers == answers[:1] * 3, path
    for path in ("/app/stats", "/futures_market/info"):  # what only the writer knows
        status, answer, _ = readers[0].request("GET", f"/api/v1/logstream{path}")
        assert status == 403 and b"ask this of the process that writes" in answer
    writer.kill()
    assert readers[0].query(**newest) == readers[1].query(**newest) != []
