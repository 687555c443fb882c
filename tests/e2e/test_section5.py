"""The behaviours of section 5 of the contract through one real server; docs/store-contract.md lists all."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Server, serving
from tests.e2e.test_ingest import ARROW, ENV, ingest, rows, send

pytestmark = pytest.mark.slow
FIRST_MS = 1748914200000  # 2025-06-03 09:30 in Beijing
COUNT = 40
DAY = {"start_time": "2025-06-03", "end_time": "2025-06-04"}
SQL_DAY = {"startTime": "2025-06-03", "endTime": "2025-06-04"}


def tick(number: int, code: str) -> dict[str, Any]:
    return {
        "instrument_id": code,
        "datetime": FIRST_MS + number * 500,
        "last_price": 780.0 + number,
        "volume": number + 1,
        "settlement": "-",
        "pre_settlement": 779.5,
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    places = serving(tmp_path_factory.mktemp("section5"))
    start = next(places)
    found: Server = start("--set", "store.segment_bytes=64KiB", mode="db", env=ENV)  # type: ignore[operator]
    both = [tick(n, code) for n in range(COUNT) for code in ("au2512", "rb2510")]
    assert ingest(found, "futures_market", both)[0] == 200
    yield found
    places.close()  # type: ignore[attr-defined]


def ask(
    server: Server, path: str = "/api/v1/query", body: Any = None, method: str = "POST", **headers: str
) -> Any:
    data = None if body is None else json.dumps(body).encode()
    return server.request(method, path, data, **headers)


def prices(server: Server, **more: Any) -> list[float]:
    return [row["last_price"] for row in server.query(stream="futures_market", **(DAY | more))]


def refusal(server: Server, body: Any, wanted: int = 400, path: str = "/api/v1/query") -> str:
    status, answer, _ = ask(server, path, body)
    assert status == wanted, (body, status, answer[:300])
    told = json.loads(answer)
    assert told["code"] and told["error"]
    return str(told["error"])


# 5.2 the specification's form


def test_three_ways_to_ask(server: Server) -> None:
    body = {"stream": "futures_market", **DAY, "filter": "instrument=au2512", "limit": 3}
    by_get = ask(server, body=body, method="GET")[1]
    by_post = ask(server, body=body)[1]
    text = (
        "stream=futures_market&start_time=2025-06-03&end_time=2025-06-04&filter=instrument%3Dau2512&limit=3"
    )
    assert by_get == by_post == ask(server, f"/api/v1/query?{text}", method="GET")[1]
    assert len(json.loads(by_get)) == 3


def test_forms_of_an_answer(server: Server) -> None:
    body = {
        "stream": "futures_market",
        **DAY,
        "limit": 5,
        "fields": ["datetime", "instrument_id", "last_price"],
    }
    status, answer, headers = ask(server, body=body)
    assert status == 200 and float(headers["p-time-elapsed"]) >= 0
    plain = json.loads(answer)
    assert len(plain) == 5 and list(plain[0]) == ["datetime", "instrument_id", "last_price"]
    whole = json.loads(ask(server, "/api/v1/query?fields=true", body=body)[1])
    assert whole == {"fields": ["datetime", "instrument_id", "last_price"], "records": plain}
    lines = ask(server, body=body, Accept="application/x-ndjson")[1]
    assert [json.loads(line) for line in lines.splitlines()] == plain
    csv = ask(server, body=body, Accept="text/csv")[1].decode().splitlines()
    assert csv[0].replace('"', "") == "datetime,instrument_id,last_price" and len(csv) == 6
    table = pa.ipc.open_stream(ask(server, body=body, Accept=ARROW)[1]).read_all()
    parquet = pq.read_table(io.BytesIO(ask(server, body=body, Accept="application/vnd.apache.parquet")[1]))
    assert table.column("last_price").to_pylist() == [row["last_price"] for row in plain]
    assert parquet.column("last_price").to_pylist() == table.column("last_price").to_pylist()


def test_ranges_are_half_open_and_limits_keep_the_first(server: Server) -> None:
    only = {"filter": "instrument=au2512"}
    assert prices(server, **only) == [780.0 + n for n in range(COUNT)]
    fifth = FIRST_MS + 5 * 500
    assert prices(server, **only, start_time=fifth)[0] == 785.0
    assert prices(server, **only, end_time=fifth)[-1] == 784.0
    assert prices(server, **only, limit=2) == [780.0, 781.0]
    assert prices(server, **only, limit=2, order="desc") == [780.0 + COUNT - 1, 780.0 + COUNT - 2]
    assert prices(server, **only, limit=0) == []
    assert "limit" in refusal(server, {"stream": "futures_market", "limit": -1})


def test_a_stream_that_is_missing_or_unknown(server: Server) -> None:
    assert "stream" in refusal(server, {"start_time": "1h-ago"})
    assert "nosuch" in refusal(server, {"stream": "nosuch"}, 404)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("instrument = 'au2512'", COUNT),
        ('instrument == "au2512"', COUNT),
        ("instrument=au2512", COUNT),
        ("instrument_id=SHFE.au2512", COUNT),
        ("instrument='SHFE_au2512'", COUNT),
        ("instrument <> au2512", COUNT),
        ("instrument != au2512 AND last_price >= 790 and volume < 13", 2),
        ("NOT (last_price < 810) AND instrument IN (au2512, 'rb2510')", 20),
        ("last_price BETWEEN 780 AND 782", 6),
        ("instrument_id LIKE '%rb%'", COUNT),
        ("settlement IS NULL AND pre_settlement IS NOT NULL", 2 * COUNT),
        ("last_price < 781 OR last_price > 818", 4),
        (f"time < {FIRST_MS + 500} OR timestamp >= {FIRST_MS + (COUNT - 1) * 500}", 4),
    ],
)
def test_the_filter_grammar(server: Server, text: str, count: int) -> None:
    assert len(prices(server, filter=text)) == count


@pytest.mark.parametrize(
    "text",
    [
        "nosuch = 1",
        "last_price = 1; DROP TABLE x",
        "last_price = 1 -- x",
        "last_price = 1 /* x */",
        "last_price IN (SELECT 1)",
        "abs(last_price) = 1",
        "last_price =",
        "1",
        "'",
        "last_price = 1 UNION SELECT 2",
        "read_text('/etc/passwd') = 'x'",
        "(" * 2000 + "last_price = 1" + ")" * 2000,
        "last_price = 1\x00",
    ],
)
def test_what_is_no_filter(server: Server, text: str) -> None:
    told = refusal(server, {"stream": "futures_market", **DAY, "filter": text})
    if text.startswith("nosuch"):
        assert "last_price" in told, "the columns there are"


# 5.3 the parseable form


def test_sql_and_its_options(server: Server) -> None:
    text = "SELECT instrument_id, settlement, last_price FROM futures_market"
    text += " ORDER BY datetime, instrument_id LIMIT 2"
    found = json.loads(ask(server, body={"query": text, **SQL_DAY, "sendNull": True})[1])
    assert [list(row) for row in found] == [["instrument_id", "settlement", "last_price"]] * 2
    snake = {"query": text, "start_time": "2025-06-03", "end_time": "2025-06-04", "send_null": False}
    assert json.loads(ask(server, body=snake)[1])[0] == {"instrument_id": "SHFE.au2512", "last_price": 780.0}
    whole = json.loads(ask(server, "/api/v1/query?fields=true", body={"query": text, **SQL_DAY})[1])
    assert whole["fields"] == ["instrument_id", "settlement", "last_price"] and len(whole["records"]) == 2
    lines = ask(server, "/api/v1/query?streaming=true", body={"query": text, **SQL_DAY})[1].splitlines()
    assert len(lines) == 2
    count = {"query": "select count(*) from futures_market", **SQL_DAY}
    assert [list(row.values()) for row in json.loads(ask(server, body=count)[1])] == [[2 * COUNT]]


def test_times_of_sql(server: Server) -> None:
    text = "SELECT count(*) AS n FROM futures_market"
    for missing in ("startTime", "endTime"):
        body = {"query": text, **SQL_DAY}
        del body[missing]
        assert missing in refusal(server, body)
    assert refusal(server, {"query": text, "startTime": "2025-06-04", "endTime": "2025-06-03"})
    assert refusal(server, {"query": text, "startTime": "soon", "endTime": "now"})
    # seconds count: nothing is cut to the minute; an RFC 3339 start goes with the end now
    some = {"query": text, "startTime": "2025-06-03T01:30:01Z", "endTime": "2025-06-03T09:30:02+08:00"}
    assert json.loads(ask(server, body=some)[1]) == [{"n": 4}]
    some["endTime"] = "now"
    assert json.loads(ask(server, body=some)[1]) == [{"n": 2 * COUNT - 4}]


def test_counts_over_time(server: Server) -> None:
    body = {"stream": "futures_market", **SQL_DAY, "numBins": 24}
    found = json.loads(ask(server, "/api/v1/counts", body)[1])
    assert found["fields"] == ["start_time", "end_time", "count"]
    assert [record["count"] for record in found["records"]] == [0] * 9 + [2 * COUNT] + [0] * 14
    assert "numBins" in refusal(server, body | {"numBins": 0}, path="/api/v1/counts")
    assert refusal(server, body | {"stream": "nosuch"}, 404, "/api/v1/counts")


def test_events_are_ranged_by_arrival_unless_a_column_is_named(server: Server) -> None:
    then = "2001-02-03T04:05:06Z"
    assert ingest(server, "arrived", {"when": then, "n": 1})[0] == 200
    assert send(server, "PUT", "/api/v1/logstream/happened", X_P_Time_Partition="when")[0] == 200
    assert ingest(server, "happened", {"when": then, "n": 1})[0] == 200
    past = {"start_time": "2001-02-03", "end_time": "2001-02-04"}
    assert server.query(stream="arrived", **past) == []
    assert [row["n"] for row in server.query(stream="happened", **past)] == [1]
    assert len(rows(server, "arrived")) == 1 and rows(server, "happened") == []


# 5.4 the time grammar


@pytest.mark.parametrize(
    "start",
    [
        "1h-ago",
        "1h ago",
        "-1h",
        "now-1h",
        "now-1h30m",
        "2 hours",
        "90s",
        "1M",
        "1y",
        "100ms",
        "today",
        "yesterday",
        "2025-06-03",
        "2025-06-03 09:30",
        "2025-06-03 09:30:00.5",
        "2025-06-03T01:30:00Z",
        "2025-06-03T09:30:00+08:00",
        1748914200,
        1748914200000,
        1748914200000000,
        1748914200000000000,
    ],
)
def test_moments(server: Server, start: Any) -> None:
    status, answer, _ = ask(server, body={"stream": "futures_market", "start_time": start})
    assert status == 200, answer
    count = (
        {"1y": 0, "1M": 0}.get(str(start), 0) if not str(start).startswith(("2025", "1748")) else 2 * COUNT
    )
    if str(start).endswith(":00.5"):
        count -= 2
    assert len(json.loads(answer)) == count
    assert ask(server, body={"stream": "futures_market", "start_time": start, "end_time": "now"})[0] == 200


@pytest.mark.parametrize(
    "start", ["soon", "1x-ago", "now+", "2025-13-01", "2025-02-30", "", "-", "1e400", True, {}, []]
)
def test_no_moments(server: Server, start: Any) -> None:
    told = refusal(server, {"stream": "futures_market", "start_time": start})
    assert "start_time" in told
    if isinstance(start, str) and len(start) > 1:
        assert start.split("-")[0] in told, "the token"


# 5.5 streams and events


def test_the_calls_of_a_stream(server: Server) -> None:
    path = "/api/v1/logstream/calls"
    assert send(server, "PUT", path, X_P_Custom_Partition="region")[0] == 200
    assert send(server, "POST", path, [{"region": "a", "n": 1}, {"region": "b", "n": 2}])[0] == 200
    assert {"name": "calls"} in send(server, "GET", "/api/v1/logstream")[1]
    info = send(server, "GET", f"{path}/info")[1]
    assert info["custom_partition"] == ["region"] and info == send(server, "GET", path)[1]
    names = {field["name"] for field in send(server, "GET", f"{path}/schema")[1]["fields"]}
    assert {"region", "n", "p_timestamp", "p_user_agent", "p_src_ip", "p_format"} <= names
    assert send(server, "GET", f"{path}/stats")[1]["ingestion"]["count"] == 2
    assert send(server, "PUT", path, X_P_Update_Stream="true", X_P_Time_Partition_Limit="5d")[0] == 200
    assert send(server, "GET", path)[1]["time_limit_days"] == 5
    assert send(server, "DELETE", path)[0] == 200
    assert send(server, "GET", path)[0] == 404 and send(server, "DELETE", path)[0] == 404
    # the name may be used again, and nothing of before is in it
    assert ingest(server, "calls", {"n": 3})[0] == 200
    assert [row["n"] for row in rows(server, "calls")] == [3]


def test_the_calls_of_a_stream_that_is_always_there(server: Server) -> None:
    for name in ("futures_market", "stock_market", "market_data"):
        path = f"/api/v1/logstream/{name}"
        counted = {
            "query": f"SELECT count(*) AS n FROM {name}",
            "startTime": "2000-01-01",
            "endTime": "2100-01-01",
        }

        def rows_there(asked: bytes = json.dumps(counted).encode()) -> int:
            return int(json.loads(server.request("POST", "/api/v1/query", asked)[1])[0]["n"])

        before = rows_there()
        stats = send(server, "GET", f"{path}/stats")[1]
        assert before <= stats["ingestion"]["count"] <= rows_there(), name
        info = send(server, "GET", f"{path}/info")[1]
        assert info == send(server, "GET", path)[1] and info["time_partition"] == "datetime"
        assert info["is_static"] and info["created-at"] is None and info["retention_days"] == 0
        assert send(server, "GET", f"{path}/retention") == (200, [])  # for ever, as the store is set
        assert send(server, "PUT", f"{path}/retention", [])[0] in (400, 409)


def test_whether_it_is_there(server: Server) -> None:
    for path in ("/api/v1/liveness", "/api/v1/readiness"):
        for method in ("GET", "HEAD"):
            assert server.request(method, path)[:2] == (200, b"")
    about = server.get_json("/api/v1/about")
    assert about["version"] and about["mode"] == "db"
    assert b"qautlra_store_rows_logged_total" in server.request("GET", "/metrics")[1]


def test_parameters_no_door_has_are_refused(server: Server) -> None:
    """A misspelt or foreign parameter is told, instead of an answer to another question."""
    assert ingest(server, "strict", {"a": 1})[0] == 200
    asked = [
        ("GET", "/api/v1/logstream/strict/stats?date=2025-06-03"),
        ("GET", "/api/v1/logstream?limit=1"),
        ("GET", "/api/v1/about?verbose=1"),
        ("GET", "/api/v1/aggregate?name=x"),
        ("GET", "/api/v1/import?state=done"),
        ("PUT", "/api/v1/import/x?stream=strict&format=csv&more=maybe"),
        ("PUT", "/api/v1/import/x?stream=strict&format=csv&att=5"),
        ("POST", "/api/v1/counts?stream=strict"),
        ("POST", "/api/v1/ingest?stream=strict"),
        ("DELETE", "/api/v1/logstream/strict?dry_run=true"),
        ("PUT", "/api/v1/logstream/strict/retention?days=30"),
    ]
    for method, path in asked:
        status, told = send(server, method, path, [{"a": 1}] if method in ("POST", "PUT") else None)
        name = path.partition("?")[2].rpartition("&")[2].partition("=")[0]
        assert status == 400 and told["error"].startswith(f"{name}: "), (path, status, told)
    assert len(rows(server, "strict")) == 1
    assert send(server, "GET", "/api/v1/import")[1] == []
    # whoever watches a process may say what it likes
    assert server.request("GET", "/api/v1/liveness?from=balancer")[0] == 200


def test_an_event_gains_its_arrival(server: Server) -> None:
    before = datetime.now(UTC)
    status, answer = ingest(server, "gained", {"a": 1}, X_P_Meta_Host="h1", X_P_Tag_Env="prod")
    assert (status, answer) == (200, None)
    (row,) = rows(server, "gained")
    moment = datetime.fromisoformat(row["p_timestamp"])
    assert before.timestamp() - 1 <= moment.timestamp() <= time.time() + 1
    assert (row["host"], row["env"], row["p_src_ip"], row["p_format"]) == ("h1", "prod", "127.0.0.1", "json")
    assert "Python" in row["p_user_agent"]


def test_a_value_of_another_type_goes_beside(server: Server) -> None:
    events: list[dict[str, Any]] = [
        {"level": 1.5},
        {"level": "info"},
        {"level": True},
        {"level": [1]},
        {"level": "2.5"},
        {"level": {"x": 1}},
    ]
    for event in events:
        assert ingest(server, "mixed", event)[0] == 200
    found = rows(server, "mixed")
    assert [row["level"] for row in found] == [1.5, None, None, None, 2.5, None]
    assert found[1]["level_utf8"] == "info" and found[2]["level_boolean"] is True
    assert found[3]["level_list"] is not None and found[5]["level_x"] == 1


def test_nothing_is_no_number(server: Server) -> None:
    assert ingest(server, "edges", b'{"a": 1e400}')[0] == 400
    assert ingest(server, "edges", b'{"a": NaN}')[0] == 400
    assert ingest(server, "edges", b'{"a": 1e308, "b": -0.0}')[0] == 200
    (row,) = rows(server, "edges")
    assert row["a"] == 1e308 and row["b"] == 0
    for number in (2**53 + 1, 2**62 + 1, 5, 2**64 - 1):
        assert ingest(server, "ids", {"id": number})[0] == 200
    found = [
        [value for name, value in row.items() if name.startswith("id") and value is not None]
        for row in rows(server, "ids")
    ]
    assert found == [[2**53 + 1], [2**62 + 1], [5], [str(2**64 - 1)]]


def test_market_rows_keep_their_types(server: Server) -> None:
    (row,) = server.query(stream="futures_market", **DAY, filter="instrument=au2512", limit=1)
    assert row["datetime"] == "2025-06-03T01:30:00.000000Z" and row["trading_date"] == "2025-06-03"
    assert row["settlement"] is None and row["pre_settlement"] == 779.5 and row["volume"] == 1
    assert row["instrument_id"] == "SHFE.au2512" and "recv_time" in row and row["seq"] == 0


# 5.6 storage


def test_late_and_repeated_rows(server: Server) -> None:
    def mine() -> list[tuple[str, int]]:
        found = server.query(stream="futures_market", start_time="2025-06-05", end_time="2025-06-06")
        return [(row["datetime"], row["volume"]) for row in found]

    base = FIRST_MS + 2 * 86_400_000
    events = [tick(n, "cu2512") | {"datetime": base + n * 500} for n in range(20)]
    assert ingest(server, "futures_market", events[10:])[0] == 200
    assert ingest(server, "futures_market", events)[0] == 200  # ten late, ten there already
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: ingest(server, "futures_market", events)[0], range(8)))
    assert again == [200] * 8
    assert [volume for _, volume in mine()] == list(range(1, 21))
    counted = {
        "query": "SELECT count(*) AS n FROM futures_market",
        "startTime": "2025-06-05",
        "endTime": "2025-06-06",
    }
    assert json.loads(ask(server, body=counted)[1]) == [{"n": 20}]
    # rows of one moment are told apart by their order
    same = [tick(n, "cu2512") | {"datetime": base + 99_000, "seq": n} for n in range(3)]
    assert ingest(server, "futures_market", same + same)[0] == 200
    assert len(mine()) == 23


def test_files_are_where_they_belong(server: Server) -> None:
    data = Path(server.environment["QAUTLRA__STORE__DATA_DIR"])
    for n in range(12):
        events = [
            tick(n * 400 + k, "ag2512") | {"datetime": FIRST_MS + 3_600_000 + (n * 400 + k) * 10}
            for k in range(400)
        ]
        assert ingest(server, "futures_market", events)[0] == 200
    place = data / "stream=futures_market" / "date=2025-06-03"
    deadline = time.monotonic() + 30
    while not list(place.glob("*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for path in place.glob("*.parquet"):
        meta = pq.read_metadata(path)
        assert meta.row_group(0).column(0).compression == "ZSTD"
    found = server.query(stream="futures_market", **DAY, filter="instrument=ag2512", limit=100_000)
    assert len(found) == 4800 and len({row["datetime"] for row in found}) == 4800
