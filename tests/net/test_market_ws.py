"""The market socket over real TCP, with the `websockets` library as the other side."""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from qautlra.feed import client as feed_client
from qautlra.net import ws_socket
from tests.models.wire import merge
from tests.net.front import Front

pytestmark = pytest.mark.alone

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


def test_silent_client_is_closed(make_front: MakeFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_socket, "CLOSE_GRACE_S", 0.1)
    front = make_front(feed={"ping_interval_s": 0.1, "idle_timeout_s": 0.4})
    with connect(front.url) as answering:  # answers pings by itself
        raw = socket.create_connection((front.host, front.port))
        raw.sendall(
            f"GET /ws/market HTTP/1.1\r\nHost: {front.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        raw.settimeout(5)
        data = b""
        while chunk := raw.recv(4096):
            data += chunk
        frames = data.split(b"\r\n\r\n", 1)[1]
        assert frames.startswith(b"\x89\x00")  # pings
        assert (
            b"\x88" + bytes([2 + len("nothing heard")]) + (1011).to_bytes(2, "big") + b"nothing heard"
            in frames
        )
        answering.send(PEEK)
        assert recv(answering)["aid"] == "rtn_data"


@pytest.mark.slow
def test_slow_client_is_bounded_then_closed_and_others_go_on(make_front: MakeFront) -> None:
    front = make_front(
        feed={
            "send_buffer_bytes": 65536,
            "slow_client_s": 3.0,
            "batch_interval_ms": 5,
            "incremental": {"enabled": False},
        }
    )
    symbols = [f"CFFEX.IF{year}{month:02}" for year in range(22, 32) for month in range(1, 13)]
    prices = {f"{side}_price{n}": 5240.2 + n for side in ("bid", "ask") for n in range(1, 11)}

    def move(step: int) -> None:
        for symbol in symbols:
            front.tick(symbol, **{name: price + step for name, price in prices.items()})

    move(0)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((front.host, front.port))
    slow.sendall(
        b"GET /ws/market?flow=push HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    text = json.dumps({"aid": "subscribe_quote", "ins_list": ",".join(symbols)}).encode()
    slow.sendall(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text)
    with connect(front.url + "?flow=push", max_size=None) as quick:
        quick.send(text.decode())
        heard: deque[str | bytes] = deque(maxlen=100)

        def listen() -> None:
            with suppress(ConnectionClosed):
                heard.extend(quick)

        listening = threading.Thread(target=listen)
        listening.start()
        deadline = time.monotonic() + 60
        most = 0
        got = 0
        while front.feed.clients_count == 2 and time.monotonic() < deadline:
            got += 1
            move(got)
            sinks = [client.sink for client in list(front.feed._clients.values())]
            most = max(most, front.on_loop(lambda sinks=sinks: max(sink.buffered() for sink in sinks)))
            time.sleep(0.005)
        assert front.feed.clients_count == 1
        assert 65536 < most < 65536 + 512 * 1024  # the bound and one frame
        front.tick(symbols[0], volume=77)
        until(lambda: any('"volume":77' in str(message) for message in list(heard)), 30)
    listening.join()
    slow.close()


def test_flood_is_closed_with_1008_and_others_go_on(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_client, "FLOOD_CLOSE_S", 0.3)
    monkeypatch.setattr(feed_client, "MESSAGE_BURST", 50.0)
    monkeypatch.setattr(ws_socket, "CLOSE_GRACE_S", 0.1)
    with connect(front.url) as flood, connect(front.url) as other:
        other.send(PEEK)
        recv(other)
        message = b"\x81\x8e" + bytes(4) + b'{"aid":"ping"}'
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                flood.socket.sendall(message * 500)
        except OSError:
            pass
        assert time.monotonic() < deadline
        other.send('{"aid":"ping"}')
        assert recv(other) == {"aid": "pong"}


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
