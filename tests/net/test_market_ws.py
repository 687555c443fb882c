"""The market socket over real TCP, with the `websockets` library as the other side."""

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.models.wire import merge
from tests.net.front import Front

MakeFront = Callable[..., Front]
PEEK = '{"aid":"peek_message"}'


def recv(ws: ClientConnection) -> Any:
    return json.loads(ws.recv(timeout=5))


def close_code(ws: ClientConnection, wait_s: float = 8.0) -> int:
    deadline = time.monotonic() + wait_s
    with pytest.raises(ConnectionClosed) as closed:
        while time.monotonic() < deadline:
            ws.recv(timeout=wait_s)
    assert closed.value.rcvd is not None, "the connection was cut without a goodbye"
    return closed.value.rcvd.code


def until(condition: Callable[[], bool], wait_s: float = 5.0) -> None:
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.005)


@pytest.mark.parametrize("path", ["/ws/market", "/ws/diff", "/ws/market?source=qq"])
def test_pull_conversation(front: Front, path: str) -> None:
    front.tick(0, last_price=5240.2)
    with connect(f"ws://{front.host}:{front.port}{path}") as ws:
        ws.send(PEEK)
        assert recv(ws) == {"aid": "rtn_data", "data": [{"ins_list": "", "mdhis_more_data": False}]}
        ws.send('{"aid":"subscribe_quote","ins_list":"IF2101"}')
        assert recv(ws)["aid"] == "rsp_subscribe_quote"
        ws.send(PEEK)
        tree: dict[str, Any] = {}
        for part in recv(ws)["data"]:
            merge(tree, part)
        assert tree["ins_list"] == "IF2101"
        assert tree["quotes"]["IF2101"]["last_price"] == 5240.2
        ws.send(PEEK)
        front.tick(0, last_price=5240.4)
        assert recv(ws)["data"][0]["quotes"]["IF2101"]["last_price"] == 5240.4


@pytest.mark.parametrize("path", ["/ws/qq/market", "/ws/sina/market"])
@pytest.mark.parametrize(
    "ask",
    [
        '{"aid":"subscribe_quote","ins_list":"IF2101"}',
        '{"type":"subscribe","payload":{"instruments":["IF2101"]}}',
    ],
)
def test_the_oldest_paths_tell_every_quote_whole_and_in_both_forms(front: Front, path: str, ask: str) -> None:
    front.tick(0, last_price=5240.2, volume=10)
    with connect(f"ws://{front.host}:{front.port}{path}") as ws:
        ws.send(ask)
        for price in (5240.2, 5240.4, 5240.6):
            if price != 5240.2:
                front.tick(0, last_price=price)
            forms: dict[str, dict[str, Any]] = {}
            while len(forms) < 2:
                told = recv(ws)
                if told.get("aid") == "rtn_data" and any("quotes" in part for part in told["data"]):
                    forms["rtn_data"] = next(p["quotes"]["IF2101"] for p in told["data"] if "quotes" in p)
                elif told.get("type") == "market_data":
                    forms["market_data"] = told["payload"]["data"]
            for quote in forms.values():
                assert quote["last_price"] == price and "volume" in quote and "open_interest" in quote


def test_the_configured_path_is_served_too(make_front: MakeFront) -> None:
    front = make_front(net={"market_path": "/quotes"})
    with connect(f"ws://{front.host}:{front.port}/quotes") as ws:
        ws.send(PEEK)
        assert recv(ws)["aid"] == "rtn_data"


def test_push_and_flow_and_stamp(front: Front) -> None:
    front.tick(0)
    with connect(front.url + "?flow=push&stamp=1") as ws:
        ws.send('{"aid":"subscribe_quote","ins_list":"IF2101"}')
        assert recv(ws)["aid"] == "rsp_subscribe_quote"
        first = recv(ws)
        assert "_ts" in first
        front.tick(0, volume=5)
        assert recv(ws)["data"][0]["quotes"]["IF2101"]["volume"] == 5


def test_greeting_only_when_asked_for(front: Front) -> None:
    with connect(front.url + "?greeting=1") as ws:
        assert "Session ID" in recv(ws)["payload"]["message"]
    with connect(front.url) as ws, pytest.raises(TimeoutError):
        ws.recv(timeout=0.1)


def test_bad_flow_is_refused(front: Front) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(front.url + "?flow=sideways")
    assert refused.value.response.status_code == 400


def test_binary_and_broken_messages_disturb_nobody(front: Front) -> None:
    with connect(front.url) as good, connect(front.url) as bad:
        good.send(PEEK)
        recv(good)
        good.send('{"aid":"subscribe_quote","ins_list":"IF2101"}')
        recv(good)
        bad.send("{broken")
        assert recv(bad)["type"] == "error"
        bad.send(b"\x00\x01")
        assert recv(bad)["type"] == "error"
        bad.send('{"type":"ping"}')
        assert [recv(bad)["type"] for _ in range(2)] == ["system", "pong"]
        good.send(PEEK)
        recv(good)
        good.send(PEEK)
        front.tick(0)
        assert "quotes" in recv(good)["data"][0]


def test_message_of_64_kib_passes_and_one_more_byte_is_1009(front: Front) -> None:
    limit = 64 * 1024
    with connect(front.url) as ws:
        ws.send('{"aid":"ping"}'.ljust(limit))
        assert recv(ws) == {"aid": "pong"}
        ws.send('{"aid":"ping"}'.ljust(limit + 1))
        assert close_code(ws) == 1009
    with connect(front.url) as ws:
        with suppress(ConnectionClosed):  # the answer may come while this is still being sent
            ws.send("x" * 2_000_000)
        assert close_code(ws) == 1009
    with connect(front.url) as ws:  # the same in fragments
        with suppress(ConnectionClosed):
            ws.send(["x" * 40_000, "y" * 40_000])
        assert close_code(ws) == 1009


def test_fragments_are_one_message(front: Front) -> None:
    with connect(front.url) as ws:
        ws.send(["{", '"aid"', "", ':"ping"', "}"])
        assert recv(ws) == {"aid": "pong"}


def test_ping_is_answered(front: Front) -> None:
    with connect(front.url) as ws:
        assert ws.ping(b"hello").wait(5)


def test_client_s_goodbye_is_returned(front: Front) -> None:
    with connect(front.url) as ws:
        ws.close(3001, "bye")
        assert ws.close_code == 3001
    until(lambda: front.feed.clients_count == 0)


def test_a_cut_connection_is_forgotten(front: Front) -> None:
    with connect(front.url) as ws:
        until(lambda: front.feed.clients_count == 1)
        ws.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: front.feed.clients_count == 0)


def test_too_many_clients_get_503_before_the_upgrade(make_front: MakeFront) -> None:
    front = make_front(feed={"max_clients": 2})
    with connect(front.url) as _one:
        with connect(front.url), pytest.raises(InvalidStatus) as refused:
            connect(front.url)
        assert refused.value.response.status_code == 503
        assert json.loads(refused.value.response.body)["error"]
        until(lambda: front.feed.clients_count == 1)
        with connect(front.url) as again:
            again.send(PEEK)
            recv(again)


def test_stop_says_service_restart(front: Front) -> None:
    with connect(front.url) as ws:
        until(lambda: front.feed.clients_count == 1)
        front.stop()
        assert close_code(ws) == 1012


# --- who may open it ---


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("http://127.0.0.1:5173", 101),
        ("http://localhost:8014", 101),
        ("https://evil.example", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("null", 403),
        ("garbage", 403),
        ("https://desk.example", 101),
    ],
)
def test_pages_of_other_hosts_may_not_open_it(make_front: MakeFront, origin: str | None, status: int) -> None:
    front = make_front(net={"cors": {"allowed_origins": ["https://desk.example"]}})
    headers = {"Origin": origin} if origin else {}
    if status == 101:
        with connect(front.url, additional_headers=headers) as ws:
            ws.send(PEEK)
            recv(ws)
        return
    with pytest.raises(InvalidStatus) as refused:
        connect(front.url, additional_headers=headers)
    assert refused.value.response.status_code == status
    assert "net.cors.allowed_origins" in json.loads(refused.value.response.body)["error"]


def test_a_rebound_name_is_another_host(front: Front) -> None:
    """DNS rebinding: a page of evil.example whose name now points here has Origin equal to Host."""
    reply = front.call(
        "GET", "/ws/market", Host="evil.example:8014", Origin="http://evil.example:8014", Upgrade="websocket",
        Connection="Upgrade", Sec_WebSocket_Version="13", Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==",
    )  # fmt: skip
    assert reply.status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 426),
        ({"Upgrade": "websocket"}, 426),
        ({"Upgrade": "websocket", "Connection": "Upgrade"}, 426),
        ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "8"}, 426),
        ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}, 400),
        (
            {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec_WebSocket_Version": "13",
                "Sec_WebSocket_Key": "eA==",
            },
            400,
        ),
    ],
)
def test_bad_handshakes_are_told_why(front: Front, headers: dict[str, str], status: int) -> None:
    reply = front.call("GET", "/ws/market", **headers)
    assert reply.status == status
    assert reply.json["error"]


def test_no_feed_in_this_mode(make_front: MakeFront) -> None:
    front = make_front(with_feed=False, modes=("db",))
    with pytest.raises(InvalidStatus) as refused:
        connect(front.url)
    assert refused.value.response.status_code == 503
