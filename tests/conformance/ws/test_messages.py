"""RFC 6455 case by case: sizes, fragments, reserved bits and opcodes, text, control frames, close codes."""

import struct

import pytest

from tests.conformance.ws.conftest import PING_JSON, PONG_JSON, MakeRaw
from tests.net.test_ws_codec import frame

LIMIT = 64 * 1024


def ping_of(size: int) -> bytes:
    return PING_JSON.ljust(size)


@pytest.mark.parametrize("size", [14, 125, 126, 127, 128, 65_535, LIMIT])
def test_texts_of_every_length_form(raw: MakeRaw, size: int) -> None:
    client = raw()
    client.send(frame(1, ping_of(size)))
    assert client.read(16) == PONG_JSON


@pytest.mark.parametrize("piece", [1, 997, 64_000])
def test_a_long_text_in_packets_of_any_size(raw: MakeRaw, piece: int) -> None:
    client = raw()
    data = frame(1, ping_of(3000 if piece == 1 else LIMIT))
    client.send(*(data[at : at + piece] for at in range(0, len(data), piece)))
    assert client.read(16) == PONG_JSON


@pytest.mark.parametrize("piece", [1, 2, 5, 13])
def test_a_text_in_fragments_of_any_size(raw: MakeRaw, piece: int) -> None:
    client = raw()
    parts = [PING_JSON[at : at + piece] for at in range(0, len(PING_JSON), piece)]
    client.send(
        *(
            frame(1 if n == 0 else 0, part, final=n == len(parts) - 1) + frame(9, bytes([n]))
            for n, part in enumerate(parts)
        )
    )
    for n in range(len(parts)):  # a ping is answered at once, also inside a message
        if n == len(parts) - 1:
            assert client.read(16) == PONG_JSON
        assert client.frame() == (10, bytes([n]))


@pytest.mark.parametrize("first", [1, 2])
def test_empty_fragments(raw: MakeRaw, first: int) -> None:
    client = raw()
    client.send(frame(first, b"", final=False), frame(0, b"", final=False), frame(0, b""))
    client.send(frame(9, b"still here"))
    while (got := client.any_frame()) != (10, b"still here"):
        assert got[0] == 1  # an empty text and a binary message are told, not closed


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_reserved_opcodes(raw: MakeRaw, opcode: int, payload: bytes) -> None:
    client = raw()
    client.send(frame(1, PING_JSON), frame(opcode, payload))
    assert client.read(16) == PONG_JSON
    assert client.close_code() == 1002


@pytest.mark.parametrize("bits", [0x10, 0x20, 0x40, 0x30, 0x50, 0x60, 0x70])
@pytest.mark.parametrize("opcode", [0, 1, 2, 8, 9, 10])
def test_reserved_bits(raw: MakeRaw, bits: int, opcode: int) -> None:
    client = raw()
    data = frame(opcode, b"")
    client.send(bytes([data[0] | bits]) + data[1:])
    assert client.close_code() == 1002


VALID_TEXT = ["κόσμε", "\u07ff\u0800\uffff", "\U00010000\U0010ffff", "\ud7ff\ue000", "\ufffd", "\x00\x7f"]


@pytest.mark.parametrize("text", VALID_TEXT)
def test_valid_text_cut_at_every_byte(raw: MakeRaw, text: str) -> None:
    client = raw()
    data = b'{"aid":"ping","x":"' + text.encode().replace(b"\x00", b"") + b'"}'
    for at in range(18, len(data) - 1):
        client.send(frame(1, data[:at], final=False), frame(0, data[at:]))
        assert client.read(16) == PONG_JSON


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xfe", b"\xff", b"\xe2\x82", b"ok\xf0\x9f\x98",
    ],
)  # fmt: skip
def test_invalid_text(raw: MakeRaw, payload: bytes) -> None:
    whole, fragments = raw(), raw()
    whole.send(frame(1, payload))
    assert whole.close_code() == 1007
    fragments.send(*(frame(int(n == 0), bytes([byte]), final=False) for n, byte in enumerate(payload)))
    fragments.send(frame(0, b""))
    assert fragments.close_code() == 1007


@pytest.mark.parametrize("opcode", [8, 9, 10])
@pytest.mark.parametrize("size", [126, 127, 200, 65_536])
def test_control_frames_are_short(raw: MakeRaw, opcode: int, size: int) -> None:
    client = raw()
    client.send(frame(opcode, bytes(size)))
    assert client.close_code() == 1002


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_control_frames_are_whole(raw: MakeRaw, opcode: int) -> None:
    client = raw()
    client.send(frame(opcode, b"", final=False))
    assert client.close_code() == 1002


def test_many_pings_are_answered_in_order(raw: MakeRaw) -> None:
    client = raw()
    client.send(b"".join(frame(9, bytes([n])) for n in range(50)))
    assert [client.frame() for _ in range(50)] == [(10, bytes([n])) for n in range(50)]


LEGAL = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
ILLEGAL = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]


@pytest.mark.parametrize(("code", "answer"), [(c, c) for c in LEGAL] + [(c, 1002) for c in ILLEGAL])
def test_close_codes(raw: MakeRaw, code: int, answer: int) -> None:
    client = raw()
    client.send(frame(8, struct.pack("!H", code) + b"bye"))
    assert client.close_code() == answer
    assert client.ended()


def test_a_close_inside_a_message_ends_it(raw: MakeRaw) -> None:
    client = raw()
    client.send(frame(1, b'{"aid":', final=False), frame(8, struct.pack("!H", 1000)), frame(0, b'"ping"}'))
    assert client.close_code() == 1000
    assert client.ended()


@pytest.mark.parametrize("size", [LIMIT + 1, 1 << 20, 1 << 40, (1 << 63) - 1])
def test_too_long_is_told_before_it_is_sent(raw: MakeRaw, size: int) -> None:
    client = raw()
    client.send(b"\x81\xff" + struct.pack("!Q", size))
    assert client.close_code() == 1009


def test_too_long_in_fragments(raw: MakeRaw) -> None:
    client = raw()
    client.send(frame(1, b"x" * 40_000, final=False), frame(0, b"x" * 40_000, final=False))
    assert client.close_code() == 1009
