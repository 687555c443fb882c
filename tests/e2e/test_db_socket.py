"""The store's socket through the real server: follow, ask, send; who is not let in; what is wrong is said."""

import base64
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.conftest import Serve

USER, PASSWORD = "keeper", "Check-pass-1"
ENV = {"QAUTLRA__AUTH__USERNAME": USER, "QAUTLRA__AUTH__PASSWORD": PASSWORD}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
DAY = ("--set", "source.sim.trading_day=2025-06-03", "--set", "source.sim.history_bars=0")


def say(ws: ClientConnection, **message: Any) -> None:
    ws.send(json.dumps(message))


def hear(ws: ClientConnection, kind: str) -> dict[str, Any]:
    for _ in range(200):
        message: dict[str, Any] = json.loads(ws.recv(timeout=10))
        if message["type"] == kind:
            return message
    raise AssertionError(f"no {kind}")


def test_follow_and_ask(serve: Serve) -> None:
    server = serve(*DAY, env=ENV)
    with connect(f"ws://127.0.0.1:{server.port}/ws/db", max_size=None) as ws:
        say(ws, type="subscribe", stream="futures_market", data={"instruments": ["rb2510"]}, id=1)
        assert hear(ws, "subscribed")["id"] == 1
        rows = hear(ws, "marketData")["data"] + hear(ws, "marketData")["data"]
        assert {row["instrument_id"] for row in rows} == {"SHFE.rb2510"}
        keys = [(row["datetime"], row["seq"]) for row in rows]
        assert len(keys) == len(set(keys)) and keys == sorted(keys)
        say(
            ws,
            type="query",
            stream="futures_market",
            data={"instruments": ["rb2510"], "limit": 3, "order": "desc"},
        )
        answer = hear(ws, "queryResult")
        assert len(answer["data"]) == 3 and answer["data"][0]["instrument_id"] == "SHFE.rb2510"
        # what is followed is what is stored
        stored = server.query(
            stream="futures_market", start_time=rows[0]["datetime"], end_time=rows[-1]["datetime"],
            filter="instrument=rb2510",
        )  # fmt: skip
        assert stored == rows[:-1] or [r["datetime"] for r in stored] == [
            r["datetime"] for r in rows[: len(stored)]
        ]
        say(ws, type="unsubscribe", stream="futures_market")
        assert hear(ws, "unsubscribed")["stream"] == "futures_market"
        say(ws, type="ping")
        assert hear(ws, "pong")


def test_instruments_of_a_users_stream(serve: Serve) -> None:
    server = serve(mode="db", env=ENV)
    with connect(f"ws://127.0.0.1:{server.port}/ws/db", additional_headers=BASIC, max_size=None) as ws:
        rows = [{"instrument_id": name, "n": n} for n, name in enumerate(("SHFE.au2612", "au2612", "rb2705"))]
        say(ws, type="ingest", stream="signals", data=rows)
        say(ws, type="ingest", stream="plain", data={"n": 1})
        hear(ws, "ack"), hear(ws, "ack")
        say(ws, type="subscribe", stream="signals", data={"instruments": ["au2612"]})
        assert hear(ws, "subscribed")["instruments"] == ["au2612"]
        say(ws, type="subscribe", stream="plain", data={"instruments": ["au2612"]})
        assert "have no instrument_id" in hear(ws, "error")["message"]
        say(ws, type="ingest", stream="signals", data=[rows[2]])
        say(ws, type="ingest", stream="signals", data=[{"n": 9}])
        say(ws, type="ingest", stream="signals", data=rows)
        assert [row["n"] for row in hear(ws, "marketData")["data"]] == [0, 1]


def test_an_answer_that_is_cut_says_so(serve: Serve) -> None:
    server = serve(mode="db", env=ENV)
    text = b"\n".join(b'{"n":1}' for _ in range(100_001))
    status, _, _ = server.request(
        "POST", "/api/v1/ingest", text, X_P_Stream="many", Content_Type="application/x-ndjson", **BASIC
    )
    assert status == 200
    with connect(f"ws://127.0.0.1:{server.port}/ws/db", max_size=None) as ws:
        say(ws, type="query", stream="many")
        answer = hear(ws, "queryResult")
        assert len(answer["data"]) == 100_000 and answer["truncated"] is True
        say(ws, type="query", stream="many", limit=5)
        assert "truncated" not in hear(ws, "queryResult")


def test_wrong_messages_are_answered_and_disturb_nothing(serve: Serve) -> None:
    server = serve(*DAY, env=ENV)
    with connect(f"ws://127.0.0.1:{server.port}/ws/db") as ws:
        for text in (
            "{", "[]", "5", '{"type":"drop"}', '{"type":"subscribe","stream":5}', '{"type":"query"}',
            '{"type":"subscribe","stream":"nosuch"}', '{"type":"subscribe","stream":"../x"}',
            '{"type":"subscribe","stream":"futures_market","data":{"instruments":"au"}}',
            '{"type":"query","stream":"futures_market","data":{"instruments":["a\' OR 1=1 --"]}}',
            '{"type":"query","stream":"futures_market","data":{"filter":"nosuch = 1"}}',
            '{"type":"ingest","stream":"app","data":[{"n":1}]}',
            '{"type":"subscribe","stream":"futures_market","data":{"filter":"last_price > 5"}}',
            '{"type":"subscribe","stream":"futures_market","instruments":["rb2510"]}',
            '{"type":"subscribe","stream":"futures_market","data":["rb2510"]}',
        ):  # fmt: skip
            ws.send(text)
            assert hear(ws, "error")["message"], text
        ws.send(b"\x00\x01")
        assert "Binary" in hear(ws, "error")["message"]
        say(ws, type="ping", id="still here")
        assert hear(ws, "pong")["id"] == "still here"
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{server.port}/ws/db?username=keeper&password=wrong")
    assert refused.value.response.status_code == 401


def test_events_sent_are_stored_and_told(serve: Serve) -> None:
    server = serve(*DAY, mode="db", env=ENV)
    address = f"ws://127.0.0.1:{server.port}/ws/db"
    with connect(address, additional_headers=BASIC) as ws, connect(address) as other:
        say(ws, type="ingest", stream="app", data=[{"n": 1}, {"n": 2}], id="a")
        assert hear(ws, "ack") == {"type": "ack", "id": "a", "stream": "app", "rows": 2}
        say(other, type="subscribe", stream="app")
        hear(other, "subscribed")
        say(ws, type="ingest", stream="app", data={"n": 3, "text": "a\nb"})
        hear(ws, "ack")
        (row,) = hear(other, "marketData")["data"]
        assert row["n"] == 3 and row["text"] == "a\nb"
        assert (row["p_src_ip"], row["p_user_agent"]) == ("127.0.0.1", "websocket")
        say(other, type="query", stream="app", data={"start_time": "1h", "end_time": "2100-01-01"})
        assert [row["n"] for row in hear(other, "queryResult")["data"]] == [1, 2, 3]
        say(ws, type="query", query="SELECT sum(n) AS s FROM app", startTime="1h", endTime="2100-01-01")
        assert hear(ws, "queryResult")["data"] == [{"s": 6.0}]
