"""Orders, trades and accounts as the house speaks of them: what doors decode to and render from.

Enumerators carry the core's numbers and the DIFF names. Money and prices are CNY, volumes lots or shares,
times Unix nanoseconds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import msgspec

OUTSIDE: Final = 1 << 30
"""Orders and trades of brokers outside are numbered from here on."""
VOLUME_MAX: Final = (1 << 31) - 1
"""Most lots one order can have anywhere: CTP's records have 32 bits for them."""


class Direction(IntEnum):
    """Which way an order goes."""

    BUY = 0
    SELL = 1


class Offset(IntEnum):
    """Whether it opens, or which lots it closes."""

    OPEN = 0
    CLOSE = 1
    CLOSETODAY = 2


class PriceType(IntEnum):
    """How the price is meant; ANY, BEST and FIVELEVEL have none."""

    LIMIT = 0
    ANY = 1
    BEST = 2
    FIVELEVEL = 3


class TimeCondition(IntEnum):
    """How long what did not trade at once stays."""

    IOC = 1
    GFS = 2
    GFD = 3
    GTD = 4
    GTC = 5
    GFA = 6


class VolumeCondition(IntEnum):
    """How much must trade at once: anything, `min_volume`, or all."""

    ANY = 1
    MIN = 2
    ALL = 3


HEDGE_FLAGS: Final = ("SPECULATION", "ARBITRAGE", "HEDGE", "MARKETMAKER", "COVERED")
"""What an order may say it is for. All are booked alike here, and sent to brokers outside as speculation."""


class InsertOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order from any door. `order_id` is unique for the account within the trading day."""

    account_id: str
    order_id: str
    symbol: str
    "Canonical, `SHFE.cu2109`."
    direction: Direction
    offset: Offset
    volume: float
    "A whole number from 1 to VOLUME_MAX; the exchange refuses others."
    limit_price: float | None = None
    price_type: PriceType = PriceType.LIMIT
    time_condition: TimeCondition = TimeCondition.GFD
    volume_condition: VolumeCondition = VolumeCondition.ANY
    min_volume: int = 0
    gtd_day: int = 0
    "YYYYMMDD, with GTD."
    reduce_only: bool = False
    force: bool = False
    "By liquidation or an operator: passes by most of the risk gate. No door may set it for a user."


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Withdraw what is left of an order."""

    account_id: str
    order_id: str


class AmendOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Set price and volume (what has traded included) of a living order; None leaves one as it is."""

    account_id: str
    order_id: str
    price: float | None = None
    volume: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command: `code` 0, or one of the table in `wire/trade_codes`.

    `number` is the order's of the day (of the first order where the id was used before), None when there is
    none. `lsn` is the journal record that must be durable before anybody is told; 0 without one.
    """

    code: int
    order_id: str = ""
    number: int | None = None
    lsn: int = 0
    text: str = ""
    lots_frozen: int = 0
    "Of a close refused for its lots: how many of them other orders keep."

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.code == 0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the day as it stands."""

    number: int
    "Of the day, dense from 0 over all accounts."
    account_id: str
    order_id: str
    exchange_order_id: str
    'The exchange\'s number; "" of one that was refused.'
    symbol: str
    direction: Direction
    offset: Offset
    price_type: PriceType
    time_condition: TimeCondition
    volume_condition: VolumeCondition
    limit_price: float | None
    volume: int
    volume_left: int
    is_alive: bool
    code: int
    "Why it was refused; 0 otherwise."
    message: str
    "Its state for people, in Chinese, as the predecessor's programs look for it."
    insert_ns: int
    update_ns: int


def order_from(
    asked: InsertOrder, *, number: int, now_ns: int, message: str, code: int = 0, is_alive: bool = True
) -> Order:
    """Return the order of the day that was asked for, before any exchange has said anything of it."""
    return Order(
        number=number,
        account_id=asked.account_id,
        order_id=asked.order_id,
        exchange_order_id="",
        symbol=asked.symbol,
        direction=asked.direction,
        offset=asked.offset,
        price_type=asked.price_type,
        time_condition=asked.time_condition,
        volume_condition=asked.volume_condition,
        limit_price=asked.limit_price,
        volume=int(asked.volume),
        volume_left=int(asked.volume),
        is_alive=is_alive,
        code=code,
        message=message,
        insert_ns=now_ns,
        update_ns=now_ns,
    )


class Trade(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One side of a match."""

    number: int
    "Of the day, dense from 0 over all accounts."
    seq: int
    "Of the account, over its orders' and trades' events."
    account_id: str
    trade_id: str
    "`order_id|match`, unique for the account within the trading day."
    exchange_trade_id: str
    "The match: the same for both sides."
    order_id: str
    symbol: str
    direction: Direction
    offset: Offset
    volume: int
    price: float
    commission: float
    close_profit: float
    trade_ns: int
    cause: str = ""
    "Of a contract's end: `delivery`, `exercise` or `lapse`; else of an order."


class Said(msgspec.Struct, frozen=True):
    """A warning of a broker outside, in its own words and by its own code."""

    code: int
    text: str
    level: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is new of one account since the change before; durable when it is handed out."""

    account_id: str
    orders: tuple[int, ...] = ()
    "Numbers of orders that changed, in order of their last change."
    trades: tuple[int, ...] = ()
    "Numbers of new trades."
    reckoned: tuple[int, ...] = ()
    "Numbers of trades told before, whose fee and profit are known only now."
    events: tuple[int, ...] = ()
    "Both as they happened, where that is known: numbers of orders, and -1 - number of trades."
    symbols: frozenset[str] = frozenset()
    "Positions that changed."
    transfers: int = 0
    "Number of the first new transfer; 0 when there is none."
    conditions: tuple[str, ...] = ()
    "Ids of conditional orders that changed."
    lsn: int = 0
    "Everything up to this record is in what is read now."
    refused: tuple[Answer, ...] = ()
    "Withdrawals that were taken and then refused by the broker or its exchange."
    funds: bool = True
    day: bool = False
    "The trading day has changed: orders and trades of before are gone, numbers start again."
    alerts: tuple[dict[str, Any], ...] = ()
    said: tuple[Said, ...] = ()
    "What the broker warns of, naming no order."
    differences: tuple[str, ...] = ()
    "What the broker shows otherwise than our own reckoning, for people."
