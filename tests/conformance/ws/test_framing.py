"""RFC 6455 against the running front, byte by byte on a raw socket: handshake, framing, text, close."""

import socket
import struct

import pytest

from tests.conformance.ws.conftest import PING_JSON, PONG_JSON, MakeRaw
from tests.net.front import Front
from tests.net.test_ws_codec import frame


def test_handshake(raw: MakeRaw) -> None:
    client = raw("Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n")
    assert client.status == "HTTP/1.1 101 Switching Protocols"
    assert client.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert client.headers["upgrade"] == "websocket"
    assert client.headers["connection"].lower() == "upgrade"
    for absent in (
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "content-length",
        "transfer-encoding",
    ):
        assert absent not in client.headers


def test_a_message_right_behind_the_handshake(raw: MakeRaw) -> None:
    assert raw(after=frame(1, PING_JSON)).read(16) == PONG_JSON


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 6, 7, 19])
def test_a_frame_in_two_packets(raw: MakeRaw, cut: int) -> None:
    client = raw()
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = frame(1, PING_JSON)
    client.send(data[:cut], data[cut:])
    assert client.read(16) == PONG_JSON


def test_many_frames_in_one_packet(raw: MakeRaw) -> None:
    client = raw()
    client.send(frame(1, PING_JSON) * 50)
    assert client.read(16 * 50) == PONG_JSON * 50


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 125])
def test_ping_returns_its_payload(raw: MakeRaw, payload: bytes) -> None:
    client = raw()
    client.send(frame(9, payload))
    assert client.frame() == (10, payload)


def test_unsolicited_pong_is_ignored(raw: MakeRaw) -> None:
    client = raw()
    client.send(frame(10, b"x"), frame(1, PING_JSON))
    assert client.read(16) == PONG_JSON


def test_fragments_with_a_ping_between(raw: MakeRaw) -> None:
    client = raw()
    client.send(
        frame(1, PING_JSON[:5], final=False),
        frame(9, b"p"),
        frame(0, b"", final=False),
        frame(0, PING_JSON[5:]),
    )
    assert client.frame() == (10, b"p")
    assert client.read(16) == PONG_JSON


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"\x81\x01x", 1002),
        (bytes([0xC1]) + frame(1, b"x")[1:], 1002),
        (frame(5, b"x"), 1002),
        (frame(0, b"x"), 1002),
        (frame(1, b"x", final=False) + frame(1, b"x"), 1002),
        (frame(9, b"x", final=False), 1002),
        (bytes([0x89, 0xFE, 0, 126]), 1002),
        (frame(8, b"\x03"), 1002),
        (frame(8, (1005).to_bytes(2, "big")), 1002),
        (frame(8, (999).to_bytes(2, "big")), 1002),
        (frame(8, (1000).to_bytes(2, "big") + b"\xff"), 1007),
        (frame(1, b"\xc0\xaf"), 1007),
        (frame(1, b"\xed\xa0\x80"), 1007),
        (frame(1, b"\xf4\x90\x80\x80"), 1007),
        (frame(1, b"\xce\xba", final=False) + frame(0, b"\xf8"), 1007),
        (bytes([0x81, 0xFF]) + struct.pack("!Q", 1 << 62), 1009),
        (bytes([0x82, 0xFF]) + struct.pack("!Q", 65537), 1009),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_violations_close_with_their_code(front: Front, raw: MakeRaw, stream: bytes, code: int) -> None:
    client = raw()
    client.send(stream)
    assert client.close_code() == code
    assert client.ended()
    assert front.call("GET", "/health").status == 200


def test_text_split_inside_a_character(raw: MakeRaw) -> None:
    client = raw()
    text = '{"aid":"ping","x":"\u6c89\U0001f600"}'.encode()
    client.send(frame(1, text[:21], final=False), frame(0, text[21:]))
    assert client.read(16) == PONG_JSON


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_close_is_echoed_and_ends(raw: MakeRaw, code: int) -> None:
    client = raw()
    client.send(frame(8, code.to_bytes(2, "big") + b"bye"))
    assert client.close_code() == code
    assert client.ended()


def test_empty_close(raw: MakeRaw) -> None:
    client = raw()
    client.send(frame(8))
    assert client.frame() == (8, b"")
    assert client.ended()


def test_nothing_is_read_after_close(raw: MakeRaw) -> None:
    client = raw()
    client.send(frame(8, (1000).to_bytes(2, "big")) + frame(1, PING_JSON))
    assert client.close_code() == 1000
    assert client.data == b""
    assert client.ended()


def test_half_open_and_cut_connections_end(front: Front, raw: MakeRaw) -> None:
    client = raw()
    client.socket.shutdown(socket.SHUT_WR)
    assert client.ended()
    client = raw()
    client.send(frame(1, PING_JSON)[:5])
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
    assert front.call("GET", "/health").status == 200
