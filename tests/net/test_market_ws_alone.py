"""Clients of the market socket that are silent, slow or a flood: closed in time, and no others."""

import json
import socket
import threading
import time
from collections import deque
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from qautlra.feed import client as feed_client
from qautlra.net import ws_socket
from tests.net.front import Front
from tests.net.test_market_ws import PEEK, MakeFront, recv, until

pytestmark = pytest.mark.alone


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
