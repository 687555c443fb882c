"""AMQP 0-9-1 frames of a published message, by hand: a burst is one buffer and one write."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache

from qautlra.link.bus import Message

_METHOD = struct.Struct(">BHI")
_HEADER = struct.Struct(">HHQH")
_ACK = struct.Struct(">HHQB")
_END = b"\xce"
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _MESSAGE_ID = 0x8000, 0x2000, 0x1000, 0x0080
_TRANSIENT, _KEPT = b"\x01", b"\x02"
FRAME_OVERHEAD_BYTES = 8


def encode(messages: Iterable[Message], channel: int, frame_bytes: int) -> bytes:
    """Return the frames of Basic.Publish with header and body of each message."""
    out: list[bytes] = []
    room = frame_bytes - FRAME_OVERHEAD_BYTES
    for exchange, key, body, message_id, reason in messages:
        properties = _properties(message_id, reason)
        out.append(_publish(channel, exchange, key, bool(reason)))
        out.append(_frame(2, channel, _HEADER.pack(60, 0, len(body), properties[0]) + properties[1]))
        for start in range(0, len(body), room):
            out.append(_frame(3, channel, body[start : start + room]))
    return b"".join(out)


def acknowledge(channel: int, tag: int, *, all_before: bool) -> bytes:
    """Return the frame of Basic.Ack for `tag`, and all before it on the channel."""
    return _frame(1, channel, _ACK.pack(60, 80, tag, all_before))


def bind(channel: int, queue: str, exchange: str, key: str) -> bytes:
    """Return the frame of a Queue.Bind without an answer; a refusal closes the channel."""
    names = _short(queue) + _short(exchange) + _short(key)
    return _frame(1, channel, struct.pack(">HHH", 50, 20, 0) + names + b"\x01" + bytes(4))


def question(channel: int) -> bytes:
    """Return the frame of a Basic.Qos that changes nothing and has an answer."""
    return _frame(1, channel, struct.pack(">HHIHB", 60, 10, 0, 0, 0))


@lru_cache(maxsize=4096)
def _publish(channel: int, exchange: str, key: str, is_mandatory: bool) -> bytes:
    arguments = struct.pack(">HHH", 60, 40, 0) + _short(exchange) + _short(key) + bytes((is_mandatory,))
    return _frame(1, channel, arguments)


def _properties(message_id: str, reason: str) -> tuple[int, bytes]:
    flags, values = _CONTENT_TYPE | _DELIVERY_MODE, _short("text/plain")
    if reason:
        text = reason.encode("utf-8", "replace")[:1024]
        entry = _short("reason") + b"S" + struct.pack(">I", len(text)) + text
        flags |= _HEADERS
        values += struct.pack(">I", len(entry)) + entry
    values += _KEPT if reason else _TRANSIENT  # a dead letter outlives the broker
    if message_id:
        flags |= _MESSAGE_ID
        values += _short(message_id, is_cut=True)  # a stranger's: U+FFFD is longer than what it stands for
    return flags, values


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return _METHOD.pack(kind, channel, len(payload)) + payload + _END


def _short(text: str, *, is_cut: bool = False) -> bytes:
    raw = text.encode()
    if is_cut and len(raw) > 255:
        raw = raw[:255].decode("utf-8", "ignore").encode()
    if len(raw) > 255:
        raise ValueError("a name of more than 255 bytes")
    return bytes((len(raw),)) + raw
