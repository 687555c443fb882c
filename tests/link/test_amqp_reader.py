"""The reader of deliveries against its twin, whatever way the bytes are cut, and against junk."""

import random
from datetime import UTC, datetime
from typing import Any

import pamqp.frame
import pytest
from pamqp import commands
from pamqp.heartbeat import Heartbeat

from qautlra.link.amqp_reader import BODY_BYTES, JunkError, Reader, Taken
from tests.models.amqp import delivery, frames, read

PROPERTIES: list[dict[str, Any]] = [
    {},
    {"message_id": "m1"},
    {"content_type": "text/plain", "delivery_mode": 1},
    {"content_type": "text/plain", "content_encoding": "utf-8", "headers": {"a": 1, "b": "两", "c": [1]},
     "delivery_mode": 2, "priority": 3, "correlation_id": "c", "reply_to": "r", "expiration": "9",
     "message_id": "订单-1", "timestamp": datetime(2026, 11, 29, tzinfo=UTC), "message_type": "t",
     "user_id": "u", "app_id": "a"},
    {"headers": {}, "message_id": "x" * 255},
    {"timestamp": datetime(2026, 11, 29, tzinfo=UTC), "app_id": "a"},
]  # fmt: skip


def reader(frame_bytes: int = 131_072) -> Reader:
    made = Reader()
    made.deliveries, made.answers, made.frame_bytes = 2, 1, frame_bytes
    return made


def method(frame: Any, channel: int) -> bytes:
    return pamqp.frame.marshal(frame, channel)


def stream(rng: random.Random, count: int) -> bytes:
    """Frames of every kind a broker sends, in an order that is allowed."""
    parts = []
    for tag in range(1, count + 1):
        body = bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 30, 200))))
        parts.append(
            delivery(body, tag=tag, consumer=rng.choice(("q", "qautlra.orders.acc001", "x" * 255)),
                     redelivered=rng.random() < 0.5, frame_bytes=64, **rng.choice(PROPERTIES))
        )  # fmt: skip
        parts.append(
            rng.choice((
                b"",
                method(Heartbeat(), 0),
                method(commands.Basic.QosOk(), 1),
                method(commands.Basic.QosOk(), 2),
                method(commands.Queue.DeclareOk("q", 1, 2), 2),
                method(commands.Basic.Ack(tag), 1),
                delivery(b"of another channel", channel=3),
            ))
        )  # fmt: skip
    return b"".join(parts)


def test_every_cut_gives_what_the_twin_reads() -> None:
    rng = random.Random(20261129)
    data = stream(rng, 12)
    wanted = read(data, 2, 1)
    assert len(wanted[0]) == 12 and wanted[1] and wanted[2]
    for step in (1, 2, 3, 5, 7, 8, 9, 64, len(data)):
        made, taken, others = reader(), list[Taken](), b""
        for at in range(0, len(data), step):
            more = made.feed(data[at : at + step])
            taken += more[0]
            others += more[1]
        assert (taken, others, made.answers_count) == wanted, step
    for cut in range(len(data)):
        made = reader()
        first, second = made.feed(data[:cut]), made.feed(data[cut:])
        assert (first[0] + second[0], first[1] + second[1], made.answers_count) == wanted, cut


def test_random_streams_as_the_twin_reads_them() -> None:
    rng = random.Random(7)
    for _ in range(200):
        data = stream(rng, rng.randrange(1, 6))
        made, taken, others, at = reader(), list[Taken](), b"", 0
        while at < len(data):
            step = rng.choice((1, 3, 20, 300, 5000))
            more = made.feed(data[at : at + step])
            taken += more[0]
            others += more[1]
            at += step
        assert (taken, others, made.answers_count) == read(data, 2, 1)


def test_nothing_is_taken_before_a_channel_is_named() -> None:
    data = delivery(b"x") + delivery(b"y", channel=0) + method(commands.Basic.QosOk(), 0)
    assert Reader().feed(data) == ([], data)


def test_a_cancelled_consumer_is_told_and_passed_on() -> None:
    made, data = reader(), method(commands.Basic.Cancel("q", True), 2)
    assert made.feed(data) == ([], data) and made.is_cancelled
    other = reader()
    other.feed(method(commands.Basic.Cancel("q", True), 3))
    assert not other.is_cancelled


def test_what_a_broker_says_of_publishers_is_noted_and_passed_on() -> None:
    made, data = reader(), method(commands.Connection.Blocked("low on memory"), 0)
    assert made.feed(data) == ([], data) and made.blocked == "low on memory"
    assert made.feed(method(commands.Connection.Blocked(), 0))[0] == [] and made.blocked == "blocked"
    made.feed(method(commands.Connection.Unblocked(), 0))
    assert made.blocked == ""


def test_a_long_body_is_cut_and_the_next_is_whole() -> None:
    made, long = reader(), bytes(range(256)) * (BODY_BYTES // 256 + 1000)
    data = delivery(long) + delivery(b"next", tag=2)
    taken, most = list[Taken](), 0
    for at in range(0, len(data), 65_536):
        taken += made.feed(data[at : at + 65_536])[0]
        most = max(most, len(made._body) + len(made._kept))
    assert [one.body for one in taken] == [long[:BODY_BYTES], b"next"]
    assert BODY_BYTES <= most <= BODY_BYTES + 131_072
    whole = reader(frame_bytes=1 << 27)
    assert [one.body for one in whole.feed(delivery(long, frame_bytes=1 << 27))[0]] == [long[:BODY_BYTES]]


def test_a_message_id_that_is_no_text_harms_nobody() -> None:
    data = delivery(b"x", message_id="ab").replace(b"\x02ab", b"\x02\xff\xfe")
    assert reader().feed(data)[0] == [Taken(b"q", 1, False, "\ufffd\ufffd", b"x")]


def _header(flags: int, properties: bytes, size: int = 1, class_id: int = 60) -> bytes:
    payload = class_id.to_bytes(2, "big") + bytes(2) + size.to_bytes(8, "big") + flags.to_bytes(2, "big")
    payload += properties
    return b"\x02\x00\x02" + len(payload).to_bytes(4, "big") + payload + b"\xce"


WHOLE = [raw for _, _, raw in frames(delivery(b"body"))]


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"AMQP\x00\x00\x09\x01",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        bytes(8),
        b"\x04\x00\x02\x00\x00\x00\x00\xce",
        b"\x01\x00\x02\x00\x02\x00\x00\x00",  # longer than agreed
        b"\x01\xff\xff\xff\xff\xff\xff\xff",
        WHOLE[0][:-1] + b"\xcd",
        WHOLE[0] + WHOLE[0],
        WHOLE[1],
        WHOLE[2],
        WHOLE[0] + WHOLE[2],
        WHOLE[0] + WHOLE[1] + WHOLE[1],
        WHOLE[0] + WHOLE[1] + WHOLE[0],
        WHOLE[0] + _header(0, b"", size=3) + WHOLE[2],  # a body longer than it says
        WHOLE[0] + _header(0, b"", class_id=90),
        WHOLE[0] + _header(1, b""),
        WHOLE[0] + _header(0x0080, b""),
        WHOLE[0] + _header(0x0080, b"\x09abc"),
        WHOLE[0] + _header(0xFF80, b"\xff"),
        WHOLE[0] + _header(0x2080, b"\xff\xff\xff\xff"),
        WHOLE[0] + _header(0x2080, b"\x00\x00"),
        WHOLE[0] + b"\x02\x00\x02\x00\x00\x00\x02\x00\x3c\xce",
        b"\x01\x00\x02\x00\x00\x00\x04\x00\x3c\x00\x3c\xce",
        b"\x01\x00\x02\x00\x00\x00\x06\x00\x3c\x00\x3c\x01q\xce",
    ],
)
def test_junk_ends_it(junk: bytes) -> None:
    with pytest.raises(JunkError):
        reader().feed(junk)
    made = reader()
    with pytest.raises(JunkError):
        for at in range(len(junk)):
            made.feed(junk[at : at + 1])


def test_a_frame_may_be_as_long_as_agreed_and_no_byte_longer() -> None:
    data = delivery(b"x" * 1016, frame_bytes=1024)
    assert len(reader(1024).feed(data)[0]) == 1
    with pytest.raises(JunkError):
        reader(1023).feed(data)
