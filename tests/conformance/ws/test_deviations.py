"""Where the socket knowingly differs from RFC 6455's letter or its stricter readings; each with its reason.

docs/feed.md lists them for people; a test here fails when one of them changes unseen.
"""

import struct

from tests.conformance.ws.conftest import PING_JSON, PONG_JSON, MakeRaw
from tests.net.test_ws_codec import frame


def test_text_is_judged_when_it_is_whole(raw: MakeRaw) -> None:
    """Not at the first bad byte (a stricter reading of 8.1): messages are short, nothing is gained."""
    client = raw()
    client.send(frame(1, b"\xff", final=False), frame(9, b"alive"))
    assert client.frame() == (10, b"alive")
    client.send(frame(0, b""))
    assert client.close_code() == 1007


def test_a_length_in_more_bytes_than_needed_is_taken(raw: MakeRaw) -> None:
    """5.2 asks senders for the shortest form; nothing can go wrong by reading the longer one."""
    client = raw()
    body = bytes(4) + PING_JSON
    client.send(b"\x81\xfe" + struct.pack("!H", len(PING_JSON)) + body)
    assert client.read(16) == PONG_JSON
    client.send(b"\x81\xff" + struct.pack("!Q", len(PING_JSON)) + body)
    assert client.read(16) == PONG_JSON


def test_a_length_with_its_top_bit_set_is_too_long(raw: MakeRaw) -> None:
    """5.2 makes it a protocol error; it is the same end (1009) as every other length beyond 64 KiB."""
    client = raw()
    client.send(b"\x81\xff" + struct.pack("!Q", 1 << 63))
    assert client.close_code() == 1009


def test_many_tiny_fragments_are_refused(raw: MakeRaw) -> None:
    """5.4 sets no bound; 1,024 fragments of one message is ours (1008), or empty ones would cost for ever."""
    client = raw()
    client.send(frame(1, b"", final=False) + frame(0, b"", final=False) * 1024)
    assert client.close_code() == 1008


def test_after_a_violation_tcp_ends_without_waiting_for_the_other_side(raw: MakeRaw) -> None:
    """7.1.7 allows it: what a client says after breaking the protocol is not read."""
    client = raw()
    client.send(b"\x81\x01x")
    assert client.close_code() == 1002
    assert client.ended()  # though we never answered


def test_binary_messages_are_answered_with_an_error_not_1003(raw: MakeRaw) -> None:
    """7.4.1 suggests 1003; a client that errs once keeps its subscriptions (the gateway's own behaviour)."""
    client = raw()
    client.send(frame(2, b"\x00\x01"))
    assert client.any_frame()[0] == 1
    client.send(frame(9, b"alive"))
    assert client.frame() == (10, b"alive")


def test_no_subprotocol_is_chosen(raw: MakeRaw) -> None:
    """4.2.2 lets a server agree to none: the dialect is told by each message, not by the connection."""
    client = raw("Sec-WebSocket-Protocol: diff, chat\r\n")
    assert client.status.startswith("HTTP/1.1 101")
    assert "sec-websocket-protocol" not in client.headers
