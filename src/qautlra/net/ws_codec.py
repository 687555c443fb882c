"""The server's half of RFC 6455 without a socket: bytes in, messages out; control frames made here.

Data frames that go out are built by the core. A violation carries the close code to answer with.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from enum import IntEnum
from typing import Final

from qautlra._core.frames import take_texts
from qautlra.feed.deflate import Terms
from qautlra.wire.errors import CLOSE_POLICY, CLOSE_PROTOCOL, CLOSE_TEXT, CLOSE_TOO_BIG

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DEFLATE_OPTIONS: Final = frozenset(
    {
        "client_max_window_bits",
        "client_no_context_takeover",
        "server_max_window_bits",
        "server_no_context_takeover",
    }
)
MAX_FRAGMENTS_COUNT: Final = 1024
SLICE_BYTES: Final = 128 << 10
"Of payloads, unpacked, and FRAME_COST_BYTES a frame: so much is read in one go, in a millisecond or two."
FRAME_COST_BYTES: Final = 100
_KNOWN_CLOSE_CODES: Final = frozenset(
    {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
)


class Op(IntEnum):
    """Opcodes."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


PING_FRAME: Final = b"\x89\x00"
_OPS: Final = frozenset(Op)
_TEXT: Final = Op.TEXT  # looking a member up costs ten times as much


class WsViolation(Exception):
    """The client broke the protocol or a bound; close with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def accept_value(key: str) -> str:
    """Return the Sec-WebSocket-Accept of a Sec-WebSocket-Key; ValueError when the key is not 16 bytes."""
    if len(base64.b64decode(key, validate=True)) != 16:
        raise ValueError("the key is not 16 bytes")
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def control_frame(op: Op, payload: bytes = b"") -> bytes:
    """Return a control frame; `payload` is cut to the 125 bytes such a frame may hold."""
    payload = payload[:125]
    return bytes((0x80 | op, len(payload))) + payload


def text_head(payload_bytes: int) -> bytes:
    """Return the head of a text frame of 64 KiB or more, whose payload follows."""
    return bytes((0x80 | Op.TEXT, 127)) + payload_bytes.to_bytes(8, "big")


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame."""
    return control_frame(Op.CLOSE, code.to_bytes(2, "big") + reason.encode()[:123])


def close_code(payload: bytes) -> int:
    """Return the code of a client's close frame, 1005 when it gave none; WsViolation when it is illegal."""
    if not payload:
        return 1005
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (code in _KNOWN_CLOSE_CODES or 3000 <= code <= 4999):
        raise WsViolation(CLOSE_PROTOCOL, "illegal close code")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise WsViolation(CLOSE_TEXT, "close reason is not UTF-8") from None
    return code


def negotiate(offers: str) -> tuple[Terms, str] | None:
    """Return the first permessage-deflate offer that can be met, and the header that accepts it.

    Clients are told not to refer to earlier messages: a window per client would cost 32 KB each.
    """
    for offer in offers.split(","):
        name, *options = (part.strip() for part in offer.split(";"))
        if name.lower() != "permessage-deflate":
            continue
        pairs = [option.partition("=") for option in options]
        asked = {key.strip(): value.strip() for key, _, value in pairs}
        if len(asked) != len(options) or not asked.keys() <= _DEFLATE_OPTIONS:
            continue
        bits = asked.get("server_max_window_bits", "15").strip('"')
        if not bits.isascii() or not bits.isdigit() or not 9 <= int(bits) <= 15:  # zlib has no window of 8
            continue
        takeover = "server_no_context_takeover" not in asked
        answer = ["permessage-deflate", "client_no_context_takeover"]
        if not takeover:
            answer.append("server_no_context_takeover")
        if "server_max_window_bits" in asked:
            answer.append(f"server_max_window_bits={int(bits)}")
        return Terms(int(bits), takeover), "; ".join(answer)
    return None


class FrameReader:
    """Assembles what one client sends. Holds at most one message of `max_message_bytes` and one read.

    With `deflate` messages may be compressed, each by itself; the bound holds for what comes out as well.
    While `is_behind`, more than SLICE_BYTES had come at once: feed nothing until it is not.
    """

    __slots__ = (
        "_buffer",
        "_compressed",
        "_deflate",
        "_fragments",
        "_max_bytes",
        "_needed_bytes",
        "_op",
        "_parts",
        "_size",
        "is_behind",
        "violation",
    )

    def __init__(self, max_message_bytes: int, *, deflate: bool = False) -> None:
        self._max_bytes = max_message_bytes
        self._deflate = deflate
        self._compressed = False  # the message being assembled
        self._buffer = bytearray()
        self._needed_bytes = 0  # to be in the buffer before there is a frame in it
        self._op: Op | None = None  # of the message being assembled
        self._parts: list[bytes] = []
        self._size = 0
        self._fragments = 0
        self.is_behind = False
        self.violation: WsViolation | None = None

    def feed(self, data: bytes) -> list[tuple[Op, bytes]]:
        """Take bytes; return the data messages and control frames they completed, in order.

        After `violation` is set, close with its code: nothing more is read.
        """
        if not self._buffer and self._op is None and self.violation is None:
            texts, taken = take_texts(data, self._max_bytes)
            out = [(_TEXT, payload) for payload in texts]
            if taken == len(data):
                return out
            data = data[taken:]
        else:
            out = []
        if self.violation is None:
            if self._buffer:
                self._buffer += data
                if len(self._buffer) < self._needed_bytes:
                    return out
                data = bytes(self._buffer)
                self._buffer.clear()
            try:
                self._read(data, out)
            except WsViolation as violation:
                self.violation = violation
                self.is_behind = False
                self._buffer.clear()
                self._parts.clear()
        return out

    def _read(self, data: bytes, out: list[tuple[Op, bytes]]) -> None:
        at = 0
        size = len(data)
        self.is_behind = False
        if self._op is None:
            texts, at = take_texts(data, self._max_bytes)
            out.extend([(_TEXT, payload) for payload in texts])
        needed, cost = 2, 0
        while size - at >= 2:
            if cost >= SLICE_BYTES:
                self.is_behind = True
                break
            first, second = data[at], data[at + 1]
            length = second & 0x7F
            head = 2
            if first & 0x70 and not (first & 0x70 == 0x40 and self._deflate and first & 0x0F in (1, 2)):
                raise WsViolation(CLOSE_PROTOCOL, "reserved bits are set")
            if not second & 0x80:
                raise WsViolation(CLOSE_PROTOCOL, "frame is not masked")
            code = first & 0x0F
            if code not in _OPS:
                raise WsViolation(CLOSE_PROTOCOL, f"unknown opcode {code}")
            if code >= 8 and (length > 125 or not first & 0x80):
                raise WsViolation(CLOSE_PROTOCOL, "control frame is fragmented or too long")
            if length == 126:
                if size - at < 4:
                    needed = 4
                    break
                length = int.from_bytes(data[at + 2 : at + 4], "big")
                head = 4
            elif length == 127:
                if size - at < 10:
                    needed = 10
                    break
                length = int.from_bytes(data[at + 2 : at + 10], "big")
                head = 10
            if code < 8 and self._size + length > self._max_bytes:
                raise WsViolation(CLOSE_TOO_BIG, f"message is longer than {self._max_bytes} bytes")
            body = at + head + 4
            if size < body + length:
                needed = body + length - at
                break
            payload = unmask(data[body - 4 : body], data[body : body + length])
            at = body + length
            cost += FRAME_COST_BYTES + length
            if code >= 8:
                out.append((Op(code), payload))
            else:
                if code != Op.CONTINUATION and self._op is None:
                    self._compressed = bool(first & 0x40)
                cost += self._data_frame(code, bool(first & 0x80), payload, out)
        self._buffer += data[at:]
        self._needed_bytes = 0 if self.is_behind else needed

    def _data_frame(self, code: int, final: bool, payload: bytes, out: list[tuple[Op, bytes]]) -> int:
        """Take one frame; return how many bytes were unpacked for it."""
        if code == Op.CONTINUATION:
            if self._op is None:
                raise WsViolation(CLOSE_PROTOCOL, "continuation without a message")
        elif self._op is not None:
            raise WsViolation(CLOSE_PROTOCOL, "new message inside a fragmented one")
        else:
            self._op = Op(code)
        if not final or self._parts:
            self._fragments += 1
            if self._fragments > MAX_FRAGMENTS_COUNT:
                raise WsViolation(CLOSE_POLICY, f"more than {MAX_FRAGMENTS_COUNT} fragments")
            self._parts.append(payload)
            self._size += len(payload)
            if not final:
                return 0
            payload = b"".join(self._parts)
            self._parts.clear()
        op = self._op
        self._op = None
        self._size = 0
        self._fragments = 0
        if not self._compressed:
            out.append((op, payload))
            return 0
        message = self._inflated(payload)
        out.append((op, message))
        return len(message)

    def _inflated(self, payload: bytes) -> bytes:
        inflater = zlib.decompressobj(-15)
        try:
            message = inflater.decompress(payload + b"\0\0\xff\xff", self._max_bytes + 1)
        except zlib.error:
            raise WsViolation(CLOSE_TEXT, "message is not deflated data") from None
        if len(message) > self._max_bytes:
            raise WsViolation(CLOSE_TOO_BIG, f"message is longer than {self._max_bytes} bytes")
        return message


def unmask(mask: bytes, payload: bytes) -> bytes:
    """Return the payload with its mask taken off."""
    size = len(payload)
    if not size:
        return b""
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def text_of(payload: bytes) -> str:
    """Return a text message; WsViolation 1007 when it is not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise WsViolation(CLOSE_TEXT, "text is not UTF-8") from None
