"""Continuous aggregates through the real server: made, kept up with, found after a kill, or refused."""

import json
from typing import Any

from tests.e2e.conftest import Serve, Server
from tests.e2e.test_ingest import ENV, ingest, send
from tests.e2e.test_kafka import until

DAY = 1_733_100_000  # 2024-12-02 08:40 in Beijing


def rows(server: Server, stream: str, **more: Any) -> list[dict[str, Any]]:
    return server.query(stream=stream, start_time="2024-01-01", end_time="2025-01-01", **more)


def ticks(server: Server, first: int, count: int, **more: Any) -> None:
    made = [
        {"instrument_id": "SHFE.au2512", "datetime": (DAY + 1_500 + n) * 10**6, "last_price": 600.0 + n % 10,
         "volume": n} | more
        for n in range(first, first + count)
    ]  # fmt: skip
    assert ingest(server, "futures_market", made)[0] == 200


def test_rows_follow_their_source(serve: Serve) -> None:
    server = serve(env=ENV, mode="db")
    body = {"source": "futures_market", "period": "1m", "by": ["instrument_id"],
            "values": {"high": "max(last_price)", "n": "count(*)", "last": "last( volume )"}}  # fmt: skip
    assert send(server, "PUT", "/api/v1/aggregate/minutes", body)[0] == 200
    assert send(server, "PUT", "/api/v1/aggregate/half", {"source": "bar_1m", "bars": "30m"})[0] == 200
    ticks(server, 0, 600)
    until(lambda: sum(row["n"] for row in rows(server, "minutes")) == 600)
    first = rows(server, "minutes", order="asc")[0]
    assert first == {
        "datetime": "2024-12-02T01:05:00.000000Z", "instrument_id": "SHFE.au2512", "high": 609.0, "n": 60,
        "last": 59,
    }  # fmt: skip
    until(lambda: [row["volume"] for row in rows(server, "half")] == [599])
    ticks(server, 600, 60)
    until(lambda: sum(row["n"] for row in rows(server, "minutes")) == 660)
    ticks(server, 5, 1, last_price=999.0, seq=1)  # late
    until(lambda: rows(server, "minutes", order="asc")[0]["high"] == 999.0)
    listed = send(server, "GET", "/api/v1/aggregate")[1]
    assert [one["name"] for one in listed] == ["bar_1d", "half", "minutes"]
    assert listed[2]["values"] == {"high": "max(last_price)", "n": "count(*)", "last": "last(volume)"}
    server.kill()
    server = serve(env=ENV, mode="db")
    ticks(server, 660, 60)
    until(lambda: sum(row["n"] for row in rows(server, "minutes")) == 721)
    assert send(server, "POST", "/api/v1/aggregate/bar_1d/refresh") == (200, {"rows": 1})
    (day,) = rows(server, "bar_1d", filter="instrument='au2512'")
    assert (day["high"], day["volume"], day["trading_date"]) == (999.0, 719, "2024-12-02")
    sql = {"query": "SELECT sum(n) AS n FROM minutes", "startTime": "2024-01-01", "endTime": "2025-01-01"}
    _, answer, _ = server.request("POST", "/api/v1/query", json.dumps(sql).encode())
    assert json.loads(answer) == [{"n": 721}]
    assert send(server, "DELETE", "/api/v1/aggregate/minutes")[0] == 200
    assert send(server, "GET", "/api/v1/aggregate/minutes")[0] == 404
    metrics = server.request("GET", "/metrics")[1].decode()
    assert "qautlra_store_aggregate_refreshes_total" in metrics


def test_what_is_wrong_is_said(serve: Serve) -> None:
    server = serve(env=ENV, mode="db")
    good = {"source": "futures_market", "period": "1m", "values": {"n": "count(*)"}}
    for change, status in (
        ({"source": "nope"}, 404), ({"source": "../x"}, 404), ({"period": "1y"}, 400), ({"period": 7}, 400),
        ({"values": {"n": "count(*); DROP TABLE x"}}, 400), ({"values": {"n": "sleep(volume)"}}, 400),
        ({"values": {"n": 'max("volume")'}}, 400), ({"values": {}}, 400), ({"by": "instrument_id"}, 400),
        ({"filter": "volume > (SELECT 1)"}, 400), ({"nonsense": 1}, 400), ({"bars": "5m"}, 400),
    ):  # fmt: skip
        got, answer = send(server, "PUT", "/api/v1/aggregate/x", good | change)
        assert got == status and answer["error"], (change, got, answer)
    assert send(server, "PUT", "/api/v1/aggregate/x", b"{torn")[0] == 400
    assert send(server, "PUT", "/api/v1/aggregate/a%20b", good)[0] == 400
    assert send(server, "PUT", "/api/v1/aggregate/futures_market", good)[0] == 409
    assert server.request("PUT", "/api/v1/aggregate/x", json.dumps(good).encode())[0] == 401
    assert send(server, "DELETE", "/api/v1/aggregate/bar_1d")[0] == 409
    assert send(server, "DELETE", "/api/v1/logstream/bar_1d")[0] == 409
    assert ingest(server, "bar_1d", {"a": 1})[0] == 409
    assert [one["name"] for one in send(server, "GET", "/api/v1/aggregate")[1]] == ["bar_1d"]
