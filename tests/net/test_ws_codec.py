"""The WebSocket reader: every split of the bytes gives the same messages; every violation its code."""

import os
import struct
import zlib
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.net import ws_codec
from qautlra.net.ws_codec import (
    FrameReader,
    Op,
    WsViolation,
    accept_value,
    close_code,
    close_frame,
    control_frame,
    text_of,
    unmask,
)

LIMIT = 1000


def frame(op: int, payload: bytes = b"", *, final: bool = True, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", (0x80 if final else 0) | op, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", (0x80 if final else 0) | op, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", (0x80 if final else 0) | op, 0x80 | 127, size)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def test_the_example_of_the_rfc() -> None:
    assert accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for bad in ("", "eA==", "not base64!", "AAAAAAAAAAAAAAAAAAAAAAA="):
        with pytest.raises(ValueError, match=r".*"):
            accept_value(bad)


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_unmask(payload: bytes, mask: bytes) -> None:
    assert unmask(mask, payload) == bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


MESSAGE = st.one_of(
    st.tuples(
        st.sampled_from([Op.TEXT, Op.BINARY]), st.lists(st.binary(max_size=150), min_size=1, max_size=4)
    ),
    st.tuples(st.sampled_from([Op.PING, Op.PONG]), st.binary(max_size=125).map(lambda b: [b])),
)


@given(st.lists(MESSAGE, max_size=6), st.data())
def test_any_cutting_gives_the_same_messages(
    messages: list[tuple[Op, list[bytes]]], data: st.DataObject
) -> None:
    stream = b""
    for op, parts in messages:
        for i, part in enumerate(parts):
            stream += frame(op if i == 0 else 0, part, final=i == len(parts) - 1)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = FrameReader(LIMIT)
    found: list[tuple[Op, bytes]] = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:stop])
    assert reader.violation is None
    assert found == [(op, b"".join(parts)) for op, parts in messages]


@given(st.lists(MESSAGE, max_size=12), st.data())
def test_what_is_read_in_slices_is_the_same(
    messages: list[tuple[Op, list[bytes]]], data: st.DataObject
) -> None:
    stream = b"".join(
        frame(op if i == 0 else 0, part, final=i == len(parts) - 1)
        for op, parts in messages
        for i, part in enumerate(parts)
    )
    reader, found = FrameReader(LIMIT), list[tuple[Op, bytes]]()
    cut = data.draw(st.integers(0, len(stream)))
    with patch.object(ws_codec, "SLICE_BYTES", data.draw(st.integers(1, 600))):
        for piece in (stream[:cut], stream[cut:]):
            found += reader.feed(piece)
            while reader.is_behind and data.draw(st.booleans()):
                found += reader.feed(b"")
        while reader.is_behind:
            found += reader.feed(b"")
    assert reader.violation is None and not reader._buffer
    assert found == [(op, b"".join(parts)) for op, parts in messages]


@pytest.mark.parametrize("kind", ["pings", "fragments", "packed"])
def test_of_a_flood_so_much_is_read_in_one_go(kind: str) -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = (pack.compress(b"x" * 60_000) + pack.flush(zlib.Z_SYNC_FLUSH))[:-4]
    one = {
        "pings": frame(9),
        "fragments": frame(1, b"", final=False) + frame(0, b"", final=False) * 1000 + frame(0),
        "packed": bytes([0xC1]) + frame(1, packed)[1:],
    }[kind]
    reader, slices = FrameReader(64 << 10, deflate=True), list[list[tuple[Op, bytes]]]()
    data = one * (256_000 // len(one))
    while data or reader.is_behind:
        slices.append(reader.feed(data))
        data = b""
    assert reader.violation is None
    assert sum(map(len, slices)) == 256_000 // len(one) and len(slices) > 20
    assert max(sum(len(payload) for _, payload in part) for part in slices) < 192 << 10
    assert max(map(len, slices)) <= 1_311


@given(st.binary(max_size=400))
def test_any_bytes_end_in_messages_or_a_violation(data: bytes) -> None:
    reader = FrameReader(LIMIT)
    for op, payload in reader.feed(data):
        assert op in Op
        assert len(payload) <= LIMIT
    if reader.violation is not None:
        assert reader.violation.code in (1002, 1008, 1009)
        assert reader.feed(frame(Op.TEXT, b"x")) == []


def test_control_frames_between_fragments() -> None:
    reader = FrameReader(LIMIT)
    stream = frame(1, b"a", final=False) + frame(9, b"p") + frame(0, b"", final=False) + frame(0, b"b")
    assert reader.feed(stream) == [(Op.PING, b"p"), (Op.TEXT, b"ab")]


def test_what_came_before_a_violation_is_delivered() -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(frame(1, b"good") + b"\xff\xff") == [(Op.TEXT, b"good")]
    assert reader.violation is not None


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (frame(1, b"x")[:1] + b"\x01x", 1002),  # no mask
        (bytes([0xC1]) + frame(1, b"x")[1:], 1002),  # reserved bits
        (bytes([0xA1]) + frame(1, b"x")[1:], 1002),
        (bytes([0x91]) + frame(1, b"x")[1:], 1002),
        (frame(3), 1002),
        (frame(11), 1002),
        (frame(0, b"x"), 1002),  # continuation of nothing
        (frame(1, b"x", final=False) + frame(1, b"y"), 1002),
        (frame(1, b"", final=False) + frame(2, b"y"), 1002),  # the first fragment may be empty
        (frame(9, b"x", final=False), 1002),
        (bytes([0x89, 0x80 | 126]) + struct.pack("!H", 126), 1002),
        (frame(1, b"x" * (LIMIT + 1)), 1009),
        (frame(1, b"x" * LIMIT, final=False) + frame(0, b"x"), 1009),
        (bytes([0x81, 0xFF]) + struct.pack("!Q", 1 << 63), 1009),  # told by the header alone
        (frame(1, b"", final=False) + frame(0, b"", final=False) * 1100, 1008),
    ],
)
def test_violations(stream: bytes, code: int) -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(stream) == []
    assert reader.violation is not None
    assert reader.violation.code == code


def test_a_message_of_the_bound_passes() -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(frame(1, b"x" * LIMIT)) == [(Op.TEXT, b"x" * LIMIT)]
    assert reader.violation is None


def test_memory_is_bounded_by_message_and_read() -> None:
    reader = FrameReader(LIMIT)
    stream = frame(1, os.urandom(LIMIT))
    for n in range(len(stream)):
        reader.feed(stream[n : n + 1])
        assert len(reader._buffer) <= LIMIT + 14


def test_a_message_that_comes_byte_by_byte_costs_its_length_not_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, reads = FrameReader(1 << 20), 0
    read = FrameReader._read

    def counted(self: FrameReader, data: bytes, out: list[tuple[Op, bytes]]) -> None:
        nonlocal reads
        reads += len(data)
        read(self, data, out)

    monkeypatch.setattr(FrameReader, "_read", counted)
    for at, byte in enumerate(stream := frame(1, b"x" * 70_000)):
        found = reader.feed(bytes([byte]))
        assert bool(found) is (at == len(stream) - 1)
    assert reads < 2 * len(stream)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4999])
def test_legal_close_codes(code: int) -> None:
    assert close_code(code.to_bytes(2, "big") + "再见".encode()) == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\x03", 1002)]
    + [(n.to_bytes(2, "big"), 1002) for n in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)]
    + [((1000).to_bytes(2, "big") + b"\xff", 1007)],
)
def test_illegal_close_payloads(payload: bytes, code: int) -> None:
    with pytest.raises(WsViolation) as violation:
        close_code(payload)
    assert violation.value.code == code


def test_frames_made_here() -> None:
    assert close_code(b"") == 1005
    assert close_frame(1012, "service restart") == b"\x88\x11\x03\xf4service restart"
    assert len(close_frame(1008, "x" * 500)) == 127
    assert control_frame(Op.PONG, b"hi") == b"\x8a\x02hi"
    assert text_of("中".encode()) == "中"
    with pytest.raises(WsViolation):
        text_of(b"\xc3\x28")
