"""Deliveries and answers, read out of a broker's bytes; every other frame is the client library's.

No socket here. A delivery is three frames, method, header, body; what one read brought is taken in one pass.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

FRAME_BYTES = 131_072
BODY_BYTES = (64 << 10) + 1
"""Most that is kept of a body, a byte more than an order may have; a longer one is cut there."""

_frame = struct.Struct(">BHI").unpack_from
_tag = struct.Struct(">QB").unpack_from
_content = struct.Struct(">HHQH").unpack_from
_table = struct.Struct(">I").unpack_from
_OVERHEAD_BYTES = 8
_END = 0xCE
_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_BASIC = 60
_DELIVER, _CANCEL, _QOS_OK = b"\x00\x3c\x00\x3c", b"\x00\x3c\x00\x1e", b"\x00\x3c\x00\x0b"
_BLOCKED, _UNBLOCKED = b"\x00\x0a\x00\x3c", b"\x00\x0a\x00\x3d"
_MESSAGE_ID = 0x0080
_BEFORE_IT = ((0x8000, -1), (0x4000, -1), (0x2000, 4), (0x1000, 1), (0x0800, 1), (0x0400, -1), (0x0200, -1),
              (0x0100, -1))  # fmt: skip
"""Properties before the message's id: flag, and 1 for an octet, 4 for a table, -1 for a short string."""


class JunkError(ConnectionError):
    """What came is not AMQP 0-9-1, or nothing that may come here: the connection is of no more use."""


class Taken(NamedTuple):
    """A whole message as the broker delivered it."""

    consumer: bytes
    tag: int
    redelivered: bool
    message_id: str
    body: bytes


class Reader:
    """One connection's. Bounds: `frame_bytes` a frame, `body_bytes` a body.

    Of channel `deliveries` messages are taken, of `answers` those to Basic.Qos, of those from `own_from` on
    everything; of channel 0 nothing is, but what it says of publishers is noted.
    """

    def __init__(self) -> None:
        self.frame_bytes = FRAME_BYTES
        self.body_bytes = BODY_BYTES
        self.deliveries = 0
        self.answers = 0
        self.answers_count = 0
        self.own_from = 1 << 16
        self.own: list[tuple[int, bytes]] = []
        "Frames of those channels, with their numbers."
        self.is_cancelled = False
        "Whether the broker took a consumer away."
        self.blocked = ""
        "Why the broker takes no messages now, in its words; empty while it does."
        self._kept = bytearray()
        self._needed_bytes = 0
        self._message: tuple[bytes, int, bool] | None = None
        "Its method came, and not all of its body."
        self._message_id: str | None = None
        "None until its header came."
        self._missing_bytes = 0
        self._body = bytearray()

    def feed(self, data: bytes) -> tuple[list[Taken], bytes]:
        """Return the messages that are whole now and all frames of others; JunkError when that cannot be."""
        if self._kept:
            self._kept += data
            if len(self._kept) < self._needed_bytes:
                return [], b""
            data = bytes(self._kept)
            self._kept.clear()
        taken: list[Taken] = []
        others: list[bytes] = []
        at, size, needed = 0, len(data), _OVERHEAD_BYTES
        while size - at >= _OVERHEAD_BYTES:
            kind, channel, length = _frame(data, at)
            needed = length + _OVERHEAD_BYTES
            if needed > self.frame_bytes or kind not in (_METHOD, _HEADER, _BODY, _HEARTBEAT):
                raise JunkError(f"not AMQP 0-9-1, or too long a frame: {data[at : at + 8]!r}")
            end = at + needed
            if end > size:
                break
            if data[end - 1] != _END:
                raise JunkError("a frame does not end where it should")
            start, stop = at + 7, end - 1
            is_other = True
            if channel and channel == self.deliveries:
                is_other = False
                if kind == _BODY:
                    self._take_body(data[start:stop], taken)
                elif kind == _HEADER:
                    self._take_header(data, start, stop, taken)
                elif data[start : start + 4] == _DELIVER:
                    self._take_method(data, start + 4, stop)
                else:
                    is_other = True
                    self.is_cancelled |= data[start : start + 4] == _CANCEL
            elif channel and channel == self.answers and data[start : start + 4] == _QOS_OK:
                is_other = False
                self.answers_count += 1
            elif channel >= self.own_from:
                is_other = False
                self.own.append((channel, data[at:end]))
            elif not channel and kind == _METHOD:
                if data[start : start + 4] == _BLOCKED:
                    self.blocked = data[start + 5 : stop].decode("utf-8", "replace") or "blocked"
                elif data[start : start + 4] == _UNBLOCKED:
                    self.blocked = ""
            if is_other:
                others.append(data[at:end])
            at, needed = end, _OVERHEAD_BYTES
        if at < size:
            self._kept += data[at:]
            self._needed_bytes = needed
        return taken, b"".join(others)

    def _take_method(self, data: bytes, at: int, end: int) -> None:
        if self._message is not None:
            raise JunkError("a delivery inside another")
        after = at + 1 + data[at]
        if after + 9 > end:
            raise JunkError("a delivery that is cut")
        tag, flags = _tag(data, after)
        self._message = (data[at + 1 : after], tag, bool(flags & 1))

    def _take_header(self, data: bytes, at: int, end: int, taken: list[Taken]) -> None:
        if self._message is None or self._message_id is not None or at + 14 > end:
            raise JunkError("a header of no delivery, or cut")
        class_id, _weight, size, flags = _content(data, at)
        if class_id != _BASIC or flags & 1:
            raise JunkError("a header of no message")
        self._message_id = _message_id(data, at + 14, end, flags) if flags & _MESSAGE_ID else ""
        self._missing_bytes = size
        if not size:
            self._done(b"", taken)

    def _take_body(self, part: bytes, taken: list[Taken]) -> None:
        missing = self._missing_bytes - len(part)
        if self._message_id is None or missing < 0:
            raise JunkError("a body of no delivery, or longer than its header says")
        self._missing_bytes = missing
        if missing or self._body:
            self._body += part[: max(0, self.body_bytes - len(self._body))]
            if missing:
                return
            part = bytes(self._body)
            self._body.clear()
        self._done(part[: self.body_bytes], taken)

    def _done(self, body: bytes, taken: list[Taken]) -> None:
        assert self._message is not None and self._message_id is not None
        taken.append(Taken(*self._message, self._message_id, body))
        self._message = self._message_id = None


def _message_id(data: bytes, at: int, end: int, flags: int) -> str:
    for flag, size in _BEFORE_IT:
        if flags & flag and at < end:
            at += 1 + data[at] if size == -1 else size if size == 1 else 4 + _table(data, min(at, end - 4))[0]
    stop = at + 1 + data[at] if at < end else end + 1
    if stop > end:
        raise JunkError("properties that are cut")
    return data[at + 1 : stop].decode("utf-8", "replace")
