"""Frames between the drop-in CTP library and the front door; `ctp/front/wire.hpp` is the other end.

A frame is a head, the error's text in GB 18030 and a record. What does not begin with a hello, or is longer
than a frame can be, is a ValueError, and its sender's connection ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from qautlra.wire.ctp_records import Record, encode_text, layout

WIRE_VERSION: Final = 2
BODY_BYTES: Final = 1 << 19
REQUEST_BYTES: Final = 64 << 10
LAST: Final = 1
ANSWER: Final = 2
MARKET: Final = 1
TRADER: Final = 2
RESTART, RESUME, QUICK, NONE, FROM_NUMBER = range(5)
_HEAD = struct.Struct("<IHHiiIHH")
_HELLO = struct.Struct("<4sHH16siIHH")
_WELCOME = struct.Struct("<HHiii")
HEAD_BYTES: Final = _HEAD.size
TEXT_BYTES: Final = 80
_LOW: Final = (1 << 32) - 1


class Kind(IntEnum):
    """What a frame is; requests and their answers share a number."""

    HELLO = 1
    WELCOME = 2
    HEARTBEAT = 3
    ERROR = 4
    UNKNOWN = 5
    SUBSCRIBE = 6
    UNSUBSCRIBE = 7
    AUTHENTICATE = 16
    LOGIN = 17
    LOGOUT = 18
    PASSWORD = 19
    CONFIRM = 20
    INSERT = 21
    ACTION = 22
    QRY_ORDER = 40
    QRY_TRADE = 41
    QRY_POSITION = 42
    QRY_ACCOUNT = 43
    QRY_INVESTOR = 44
    QRY_TRADING_CODE = 45
    QRY_MARGIN_RATE = 46
    QRY_COMMISSION_RATE = 47
    QRY_EXCHANGE = 48
    QRY_INSTRUMENT = 49
    QRY_DEPTH = 50
    QRY_SETTLEMENT = 51
    QRY_POSITION_DETAIL = 52
    QRY_CONFIRM = 53
    QRY_BROKER_PARAMS = 54
    TICK = 100
    TICK_REPEAT = 101
    RTN_ORDER = 102
    RTN_TRADE = 103
    ERR_INSERT = 104
    ERR_ACTION = 105
    INSTRUMENT_STATUS = 106


RECORDS: Final[dict[int, tuple[str, str]]] = {
    Kind.AUTHENTICATE: ("ReqAuthenticate", "RspAuthenticate"),
    Kind.LOGIN: ("ReqUserLogin", "RspUserLogin"),
    Kind.LOGOUT: ("UserLogout", "UserLogout"),
    Kind.PASSWORD: ("UserPasswordUpdate", "UserPasswordUpdate"),
    Kind.CONFIRM: ("SettlementInfoConfirm", "SettlementInfoConfirm"),
    Kind.INSERT: ("InputOrder", "InputOrder"),
    Kind.ACTION: ("InputOrderAction", "InputOrderAction"),
    Kind.QRY_ORDER: ("QryOrder", "Order"),
    Kind.QRY_TRADE: ("QryTrade", "Trade"),
    Kind.QRY_POSITION: ("QryInvestorPosition", "InvestorPosition"),
    Kind.QRY_ACCOUNT: ("QryTradingAccount", "TradingAccount"),
    Kind.QRY_INVESTOR: ("QryInvestor", "Investor"),
    Kind.QRY_TRADING_CODE: ("QryTradingCode", "TradingCode"),
    Kind.QRY_MARGIN_RATE: ("QryInstrumentMarginRate", "InstrumentMarginRate"),
    Kind.QRY_COMMISSION_RATE: ("QryInstrumentCommissionRate", "InstrumentCommissionRate"),
    Kind.QRY_EXCHANGE: ("QryExchange", "Exchange"),
    Kind.QRY_INSTRUMENT: ("QryInstrument", "Instrument"),
    Kind.QRY_DEPTH: ("QryDepthMarketData", "DepthMarketData"),
    Kind.QRY_SETTLEMENT: ("QrySettlementInfo", "SettlementInfo"),
    Kind.QRY_POSITION_DETAIL: ("QryInvestorPositionDetail", "InvestorPositionDetail"),
    Kind.QRY_CONFIRM: ("QrySettlementInfoConfirm", "SettlementInfoConfirm"),
    Kind.QRY_BROKER_PARAMS: ("QryBrokerTradingParams", "BrokerTradingParams"),
}
"""Per request the record it asks with and the one it is answered with."""
QUERIES: Final = frozenset(kind for kind in RECORDS if kind >= Kind.QRY_ORDER)
"""Requests that flow control counts, each answered with rows under its request's number."""


class Frame(NamedTuple):
    """One received frame; `record` is empty when it has none."""

    kind: int
    flags: int
    request: int
    error: int
    number: int
    text: bytes
    record: bytes

    def asked(self) -> Record:
        """Return the request's record for reading; ValueError when it is not as long as it must be."""
        wanted = layout(RECORDS[self.kind][0])
        if len(self.record) != wanted.size:
            raise ValueError(f"{wanted.name} has {wanted.size} bytes, not {len(self.record)}")
        return wanted.read(self.record)


class Hello(NamedTuple):
    """How a library introduces itself."""

    role: int
    release: str
    private_mode: int
    private_seen: int
    "Number of the last frame of the private flow it has; 48 bits, 0 for none."


def frame(
    kind: int,
    record: bytes = b"",
    *,
    request: int = 0,
    error: int = 0,
    text: str = "",
    answer: bool = False,
    last: bool = True,
    number: int = 0,
) -> bytes:
    """Return one frame; an answer carries an error number, 0 for none."""
    words = encode_text(text, TEXT_BYTES) if text else b""
    flags = (LAST if last else 0) | (ANSWER if answer else 0)
    head = _HEAD.pack(
        len(words) + len(record), kind, flags, request, error, number & _LOW, len(words), number >> 32
    )
    return head + words + record


def hello(role: int, release: str, private_mode: int = QUICK, private_seen: int = 0) -> bytes:
    """Return a library's first frame."""
    words = (private_mode, private_seen & _LOW, private_seen >> 32, 0)
    body = _HELLO.pack(b"QCTP", WIRE_VERSION, role, release.encode("ascii"), *words)
    return frame(Kind.HELLO, body)


def read_hello(first: Frame) -> Hello:
    """Return what the first frame says; ValueError when it is none or of another version."""
    if first.kind != Kind.HELLO or len(first.record) != _HELLO.size:
        raise ValueError("the first frame is no hello")
    magic, version, role, release, mode, seen, mark, _ = _HELLO.unpack(first.record)
    if magic != b"QCTP" or role not in (MARKET, TRADER):
        raise ValueError("the first frame is no hello")
    if version != WIRE_VERSION:
        raise ValueError(f"the library speaks version {version} of the frames, this server {WIRE_VERSION}")
    return Hello(role, release.split(b"\0", 1)[0].decode("ascii", "replace"), mode, mark << 32 | seen)


def welcome(query_interval_ms: int = 0, orders_per_s: int = 0, silence_ms: int = 0) -> bytes:
    """Return the front's first frame: its flow control, and how long a silence means that it is lost."""
    return frame(Kind.WELCOME, _WELCOME.pack(WIRE_VERSION, 0, query_interval_ms, orders_per_s, silence_ms))


class Reader:
    """Cuts a byte stream into frames. Holds at most one frame of `most_bytes` and what came after it."""

    def __init__(self, most_bytes: int = REQUEST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are whole now; ValueError for one that is too long or contradicts itself."""
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= HEAD_BYTES:
                size, kind, flags, request, error, number, text_size, mark = _HEAD.unpack_from(
                    self._buffer, at
                )
                if size > self._most_bytes or text_size > size:
                    raise ValueError("no frame is like this")
                begin, end = at + HEAD_BYTES, at + HEAD_BYTES + size
                if len(self._buffer) < end:
                    return
                at = end
                text = bytes(self._buffer[begin : begin + text_size])
                record = bytes(self._buffer[begin + text_size : end])
                yield Frame(kind, flags, request, error, mark << 32 | number, text, record)
        finally:
            del self._buffer[:at]
