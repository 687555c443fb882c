"""Streams of users through the real server: made, grown, refused, filed, dropped, found after a kill."""

import base64
import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.e2e.conftest import Serve, Server

USER, PASSWORD = "keeper", "Check-pass-1"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
ENV = {"QAUTLRA__AUTH__USERNAME": USER, "QAUTLRA__AUTH__PASSWORD": PASSWORD}
DAY = ("--set", "source.sim.trading_day=2025-06-03", "--set", "source.sim.history_bars=0")
ARROW = "application/vnd.apache.arrow.stream"


def send(
    server: Server, method: str, path: str, body: Any = None, form: str = "application/json", **headers: str
) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    given = BASIC | ({"Content_Type": form} if data is not None else {}) | headers
    status, answer, _ = server.request(method, path, data, **given)
    try:
        return status, json.loads(answer) if answer else None
    except ValueError:
        return status, answer


def ingest(server: Server, stream: str, body: Any, form: str = "application/json", **headers: str) -> Any:
    return send(server, "POST", "/api/v1/ingest", body, form, X_P_Stream=stream, **headers)


def rows(server: Server, stream: str, **more: Any) -> list[dict[str, Any]]:
    return server.query(stream=stream, start_time="1d", **more)


def test_events_of_any_kind_become_rows(serve: Serve) -> None:
    server = serve(*DAY, env=ENV)
    assert ingest(server, "app", {"level": 1.5, "host": {"name": "a", "cpu": 3}}, X_P_Tag_Env="prod") == (
        200,
        None,
    )
    (row,) = rows(server, "app")
    assert row["level"] == 1.5 and row["host_name"] == "a" and row["host_cpu"] == 3 and row["env"] == "prod"
    assert row["p_timestamp"].endswith("Z") and row["p_src_ip"] == "127.0.0.1" and row["p_format"] == "json"
    # a value that is no number goes beside it, and new columns are null in old rows
    assert ingest(server, "app", [{"level": "info"}, {"level": "2.5", "extra": True}])[0] == 200
    found = rows(server, "app", order="asc")
    assert [r["level"] for r in found] == [1.5, None, 2.5]
    assert [r["level_utf8"] for r in found] == [None, "info", None]
    _, schema = send(server, "GET", "/api/v1/logstream/app/schema")
    kinds = {field["name"]: field["data_type"] for field in schema["fields"]}
    assert (kinds["level"], kinds["level_utf8"], kinds["extra"]) == ("Float64", "Utf8", "Boolean")
    # other forms
    assert ingest(server, "app", b'{"level": 3}\n\n{"level": 4}\n', "application/x-ndjson")[0] == 200
    assert ingest(server, "app", b"level,host_name\n5,b\n6,\n", "text/csv")[0] == 200
    sink = io.BytesIO()
    table = pa.table({"level": [7.0, 8.0], "n": pa.array([2**60, None], pa.int64())})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert ingest(server, "app", sink.getvalue(), ARROW)[0] == 200
    assert [r["level"] for r in rows(server, "app", filter="level >= 3")] == [3, 4, 5, 6, 7, 8]
    sql = {"query": "SELECT max(n) AS n, count(*) AS c FROM app", "startTime": "1d", "endTime": "now"}
    status, answer, _ = server.request("POST", "/api/v1/query", json.dumps(sql).encode())
    assert (status, json.loads(answer)) == (200, [{"n": 2**60, "c": 9}])
    _, stats = send(server, "GET", "/api/v1/logstream/app/stats")
    assert stats["ingestion"]["count"] == 9
    _, names = send(server, "GET", "/api/v1/logstream")
    assert {"name": "app"} in names and {"name": "futures_market"} in names
    assert send(server, "DELETE", "/api/v1/logstream/app")[0] == 200
    assert send(server, "GET", "/api/v1/logstream/app/schema")[0] == 404
    assert ingest(server, "app", {"other": 1})[0] == 200  # a new stream of the name has none of the old rows
    assert [set(r) & {"level", "other"} for r in rows(server, "app")] == [{"other"}]


def test_what_is_refused_changes_nothing(serve: Serve) -> None:
    server = serve(*DAY, env=ENV)
    assert server.request("POST", "/api/v1/ingest", b"{}", X_P_Stream="app")[0] == 401
    wrong = {"Authorization": "Basic " + base64.b64encode(b"keeper:wrong").decode()}
    assert server.request("POST", "/api/v1/ingest", b"{}", X_P_Stream="app", **wrong)[0] == 401
    assert server.request("DELETE", "/api/v1/logstream/app")[0] == 401
    for name in ("", "select", "../x", "a b", "x" * 65, "a/b", "é"):
        assert ingest(server, name.encode().decode("latin-1"), {"a": 1})[0] == 400, name
    for body, form in (
        (b"{broken", "application/json"),
        (b"5", "application/json"),
        (b"[1, 2]", "application/json"),
        (b'[{"a": 1}, 5]', "application/json"),
        (b"a\n1\n2,3\n", "text/csv"),
        (b'{"a":1}\n{', "application/x-ndjson"),
        (b"\xff\xfe", "text/csv"),
        (b"not arrow at all", ARROW),
        (b"ARROW1\0\0" + b"\xff" * 64, ARROW),
        (b"<x/>", "application/xml"),
        (json.dumps({f"c{n}": n for n in range(2000)}).encode(), "application/json"),
    ):
        status, answer = ingest(server, "app", body, form)
        assert status in (400, 413, 415), (body[:20], status, answer)
        assert answer["error"]
    assert ingest(server, "app", b"[" + b" " * (11 << 20) + b"]")[0] == 413
    assert {"name": "app"} not in send(server, "GET", "/api/v1/logstream")[1]
    assert ingest(server, "nosuch", {"a": 1})[0] == 200
    assert send(server, "POST", "/api/v1/logstream/absent", {"a": 1})[0] == 404
    assert send(server, "PUT", "/api/v1/logstream/nosuch")[0] == 409
    assert send(server, "PUT", "/api/v1/logstream/futures_market")[0] == 409
    assert send(server, "DELETE", "/api/v1/logstream/futures_market")[0] == 409
    assert server.request("GET", "/readyz")[0] == 200


def test_declared_streams(serve: Serve) -> None:
    server = serve(*DAY, "--set", "store.schema.auto_detect=false", env=ENV)
    assert ingest(server, "app", {"a": 1})[0] == 404
    status, answer = send(server, "PUT", "/api/v1/logstream/und")
    assert status == 400 and answer["key"] == "fields" and "auto_detect" in answer["error"]
    assert {"name": "und"} not in send(server, "GET", "/api/v1/logstream")[1]
    body = {"fields": [{"name": "a", "data_type": "float"}, {"name": "when", "data_type": "datetime"}]}
    made = send(
        server, "PUT", "/api/v1/logstream/app", body, X_P_Static_Schema_Flag="true",
        X_P_Time_Partition="when", X_P_Time_Partition_Limit="30d",
    )  # fmt: skip
    assert made[0] == 200, made
    assert ingest(server, "app", {"a": 1, "b": 2, "when": "2026-01-01T00:00:00Z"})[0] == 400
    assert ingest(server, "app", {"a": 1})[0] == 400  # no time
    status, answer = ingest(server, "app", {"a": "x", "when": "2026-01-01T00:00:00Z"})
    assert status == 400 and answer["key"] == "a" and "float64 and cannot hold 'x'" in answer["error"]
    old = {"a": 1, "when": "2001-01-01T00:00:00Z"}
    status, answer = ingest(server, "app", old)
    assert status == 400 and "older than 30 days" in answer["error"]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert ingest(server, "app", {"a": 1, "when": now})[0] == 200
    assert [row["a"] for row in rows(server, "app", end_time="2100-01-01")] == [1]
    for text, status in ((b"30d", 400), (b"0d", 400), (b"30", 400), (b"40000d", 400), (b"30d", 200)):
        task = [{"description": "x", "action": "delete", "duration": text.decode()}]
        sent = task * 2 if status == 400 and text == b"30d" else task
        assert send(server, "PUT", "/api/v1/logstream/app/retention", sent)[0] == status, text
    _, kept = send(server, "GET", "/api/v1/logstream/app/retention")
    assert kept == [{"description": "x", "action": "delete", "duration": "30d"}]
    fields = {"fields": [{"name": "when", "data_type": "datetime"}]}
    assert send(server, "PUT", "/api/v1/logstream/wrong", fields, X_P_Infer_Timestamp="maybe")[0] == 400
    assert send(server, "POST", "/api/v1/logstream/schema/detect", {"x": {"y": [1, 2]}})[1]["fields"] == [
        {"name": "x_y", "data_type": "List", "nullable": True}
    ]


def test_cells_of_text_keep_their_text(serve: Serve, tmp_path: Path) -> None:
    server = serve(*DAY, env=ENV)
    cells = ["000002", "1e3", "007", "1_000", "-inf", "9007199254740993"]
    body = "\n".join(["code", *cells]).encode()
    assert ingest(server, "codes", [{"code": "000001"}])[0] == 200
    assert ingest(server, "codes", body, "text/csv")[0] == 200
    fields = {"fields": [{"name": "code", "data_type": "string"}, {"name": "id", "data_type": "int64"}]}
    assert send(server, "PUT", "/api/v1/logstream/declared", fields, X_P_Static_Schema_Flag="true")[0] == 200
    assert ingest(server, "declared", body, "text/csv")[0] == 200
    assert ingest(server, "declared", b"id\n9007199254740993\n-9223372036854775808\n", "text/csv")[0] == 200
    assert ingest(server, "fresh", body, "text/csv")[0] == 200
    path = "/api/v1/import/codes?stream=uploaded&format=csv"
    assert send(server, "PUT", path, body, "application/octet-stream")[0] in (200, 201, 202)
    deadline = time.monotonic() + 30
    while send(server, "GET", "/api/v1/import/codes")[1]["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for stream, expected in (
        ("codes", ["000001", *cells]),
        ("declared", [*cells, None, None]),
        ("fresh", cells),
        ("uploaded", cells),
    ):
        assert [row["code"] for row in rows(server, stream)] == expected, stream
    ids = [row["id"] for row in rows(server, "declared") if row["id"] is not None]
    assert ids == [9007199254740993, -9223372036854775808]
    assert ingest(server, "numbers", b"n,i\n1.50,9007199254740993\n1e3,2\n", "text/csv")[0] == 200
    found = [(row["n"], row["i"]) for row in rows(server, "numbers")]
    assert found == [(1.5, 9007199254740993), (1000, 2)]
    # and market rows: ids and times that are digits
    market = b"instrument_id,datetime,last_price,volume\nSZSE.000001,1609723800000,10.5,7\n"
    assert ingest(server, "stock_market", market, "text/csv")[0] == 200
    (row,) = server.query(stream="stock_market", start_time="2021-01-04", end_time="2021-01-05")
    assert (row["instrument_id"], row["last_price"], row["volume"]) == ("SZSE.000001", 10.5, 7)


def test_market_streams_take_events_too(serve: Serve) -> None:
    server = serve(*DAY, mode="db", env=ENV)
    event = {
        "datetime": "2025-06-02T09:30:00+08:00", "instrument_id": "au2512", "last_price": 780.5,
        "settlement": "-", "volume": 7, "bid_price1": "780.4",
    }  # fmt: skip
    assert ingest(server, "futures_market", [event, event])[0] == 200
    asked = {"start_time": "2025-06-02", "end_time": "2025-06-03", "filter": "instrument=au2512"}
    (row,) = server.query(stream="futures_market", **asked)
    assert row["last_price"] == 780.5 and row["settlement"] is None and row["bid_price1"] == 780.4
    assert row["trading_date"] == "2025-06-03" or row["trading_date"] == "2025-06-02"
    ahead = {**event, "datetime": "2126-06-02T09:30:00+08:00"}  # a start would take it for the present
    whole = ({"x": 1}, {**event, "volume": "many"}, {**event, "datetime": "soon"}, {"last_price": 1}, ahead)
    for wrong in whole:
        assert ingest(server, "futures_market", wrong)[0] == 400, wrong


@pytest.mark.parametrize("kills", [2])
def test_acknowledged_events_survive_kills(serve: Serve, tmp_path: Path, kills: int) -> None:
    acknowledged: list[int] = []
    for round_number in range(kills):
        server = serve("--set", "store.segment_bytes=64KiB", mode="db", env=ENV, data=tmp_path / "kept")
        stop = threading.Event()

        def feed(server: Server = server, base: int = round_number * 100_000, stop: Any = stop) -> None:
            number = base
            while not stop.is_set():
                try:
                    status, _ = ingest(server, "log", [{"n": number}, {"n": number + 0.5, "pad": "x" * 500}])
                except (OSError, ConnectionError):
                    return
                if status == 200:
                    acknowledged.append(number)
                number += 1

        feeder = threading.Thread(target=feed)
        feeder.start()
        time.sleep(1.0)
        server.kill()
        stop.set()
        feeder.join()
    server = serve(mode="db", env=ENV, data=tmp_path / "kept")
    body = server.request(
        "POST", "/api/v1/query?streaming=true", json.dumps({"stream": "log", "start_time": "1d"}).encode()
    )[1]
    found = [json.loads(line)["n"] for line in body.splitlines()]
    whole = [n for n in found if n == int(n)]
    assert len(whole) == len(set(whole)), "rows are there twice"
    assert set(acknowledged) <= set(whole), "acknowledged rows are lost"
    assert len(acknowledged) > 20


def test_modes_say_what_they_do(serve: Serve, tmp_path: Path) -> None:
    server = serve(*DAY, mode="ingest", env=ENV)
    status, body, _ = server.request("POST", "/api/v1/query", b'{"stream": "futures_market"}')
    assert status == 403 and "Mode ingest" in json.loads(body)["error"]
    assert ingest(server, "app", {"a": 1})[0] == 200


def test_a_request_sent_again_under_its_key_stores_nothing_twice(serve: Serve) -> None:
    server = serve(env=ENV, mode="db")

    def post(body: Any, key: str, **more: str) -> int:
        status: int = send(
            server, "POST", "/api/v1/ingest", body, X_P_Stream="app", Idempotency_Key=key, **more
        )[0]
        return status

    assert post([{"n": 1}, {"n": 2}], "first") == 200
    assert post([{"n": 1}, {"n": 2}], "first") == 200
    server.kill()
    server = serve(env=ENV, mode="db")
    assert post([{"n": 1}, {"n": 2}], "first") == 200
    assert post([{"n": 3}], "first") == 422
    assert post([{"n": 1}, {"n": 2}], "first", X_P_Meta_site="x") == 422
    assert post([{"n": 3}], "x" * 256) == post([{"n": 3}], "") == 400
    assert post([{"n": 3}], "second") == 200
    assert sorted(row["n"] for row in rows(server, "app")) == [1, 2, 3]
