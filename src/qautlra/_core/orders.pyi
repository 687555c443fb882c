from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from qautlra._core.exchange import Exchange

CODES: Mapping[int, tuple[str, int, int, str]]
"""Every code of the exchange: (name, notify code of the DIFF socket or 0, CTP error, text)."""

Kind = Literal["none", "insert", "cancel", "other"]
Bytes = bytes | bytearray | memoryview

class Command(NamedTuple):
    """`code` is 0, or 1008 with the key that is wrong in `field` ("json": the message is none).

    `price` is None where there is none, `volume` 0 where it is no whole number.
    """

    kind: Kind
    user_id: str
    order_id: str
    exchange_id: str
    instrument_id: str
    side: int
    offset: int
    volume: int
    price: float | None
    price_type: int
    time: int
    condition: int
    min_volume: int
    gtd_day: int
    code: int
    field: str

class Answer(NamedTuple):
    kind: Kind
    code: int
    number: int | None
    lsn: int
    field: str
    report: bytes

class Entered(NamedTuple):
    """`packet` is empty where what came of it must be told the long way; `serial` is the last notice's."""

    code: int
    number: int | None
    lsn: int
    alive: bool
    packet: bytes
    serial: int

def decode(message: Bytes) -> Command: ...
def encode_order(x: Exchange, number: int) -> bytes: ...
def encode_trade(x: Exchange, number: int) -> bytes: ...
def encode_account(x: Exchange, account: int, *, with_quota: bool = False) -> bytes: ...
def encode_position(x: Exchange, account: int, instrument: int) -> bytes | None: ...
def encode_positions(x: Exchange, account: int) -> bytes: ...
def encode_orders(x: Exchange, numbers: Iterable[int]) -> bytes: ...
def encode_trades(x: Exchange, numbers: Iterable[int]) -> bytes: ...
def encode_part(
    x: Exchange,
    account: int,
    *,
    instruments: Iterable[int] = (),
    orders: Iterable[int] = (),
    trades: Iterable[int] = (),
) -> bytes: ...
def encode_change(
    x: Exchange, account: int, instruments: Iterable[int], orders: Iterable[int], trades: Iterable[int]
) -> bytes: ...
def changes(x: Exchange) -> dict[int, tuple[dict[int, None], list[int], list[int], set[int]]]: ...
def lives(x: Exchange, account: int) -> dict[int, bool]: ...
def brief(x: Exchange, number: int) -> tuple[str, bool, int, int]: ...
def message(x: Exchange, number: int) -> str: ...

class Path:
    exchange: Exchange
    def __init__(self, exchange: Exchange, *, whole: bool = False) -> None: ...
    def handle(self, account: int, message: Bytes, now_ns: int) -> Answer: ...

class Lane:
    exchange: Exchange
    def __init__(self, exchange: Exchange, account: int, user_id: str, notices: str) -> None: ...
    def read(self, message: bytes) -> Literal[0, 1, 2]: ...
    @property
    def is_insert(self) -> bool: ...
    @property
    def instrument(self) -> int: ...
    @property
    def order_id(self) -> str: ...
    def order(self) -> tuple[str, str, str, str, float, float]: ...
    def enter(self, now_ns: int, serial: int) -> Entered: ...
