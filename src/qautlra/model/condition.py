"""Conditional orders as the house speaks of them: what is waited for, what it releases, what became of it.

Words are DIFF's (trading contract 2.2). Prices are CNY, times Unix nanoseconds, days YYYYMMDD.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum

import msgspec

from qautlra.model.order import Direction, InsertOrder, Offset, PriceType


class Kind(StrEnum):
    """What a condition looks at."""

    TIME = "time"
    MARKET_OPEN = "market_open"
    PRICE = "price"
    PRICE_RANGE = "price_range"
    BREAK_EVEN = "break_even"


class Relation(StrEnum):
    """How the last price stands to the condition's."""

    G = "G"
    GE = "GE"
    L = "L"
    LE = "LE"


class Effect(StrEnum):
    """What a released order does. CLOSE takes today's and older lots as is asked, CLOSETODAY only today's."""

    OPEN = "OPEN"
    CLOSE = "CLOSE"
    CLOSETODAY = "CLOSETODAY"
    REVERSE = "REVERSE"


class Pricing(StrEnum):
    """Where a released order's price comes from: trigger, other side's best, none, price limit, itself."""

    CONTINGENT = "CONTINGENT"
    CONSIDERATION = "CONSIDERATION"
    MARKET = "MARKET"
    OVER = "OVER"
    LIMIT = "LIMIT"


class Validity(StrEnum):
    """Until when it waits: the end of this day, of `last_day`, or for ever."""

    GFD = "GFD"
    GTD = "GTD"
    GTC = "GTC"


class State(StrEnum):
    """How far it is; the last three are ends."""

    LIVE = "live"
    SUSPEND = "suspend"
    TOUCHED = "touched"
    CANCEL = "cancel"
    DISCARD = "discard"


class Outcome(IntEnum):
    """What became of a request, as DIFF numbers it (contract 2.5)."""

    BAD_INSTRUMENT = 501
    TIME_PAST = 502
    BAD_PRICE = 503
    ALREADY_MET = 504
    BAD_RANGE = 505
    BAD_BREAK_EVEN = 506
    BAD_ORDER_INSTRUMENT = 507
    BAD_VOLUME = 508
    BAD_ORDER_PRICE = 509
    BAD_DAY = 510
    TOO_MANY_TODAY = 511
    TOO_MANY = 512
    STOPPED = 513
    DUPLICATE = 514
    WRONG_USER = 515
    INSERTED = 516
    CANCEL_WRONG_USER = 518
    CANCEL_UNKNOWN = 519
    CANCEL_TOUCHED = 520
    CANCEL_CANCELLED = 521
    CANCEL_DISCARDED = 522
    CANCELLED = 523
    PAUSE_WRONG_USER = 525
    PAUSE_UNKNOWN = 526
    PAUSE_TOUCHED = 527
    PAUSE_CANCELLED = 528
    PAUSE_DISCARDED = 529
    PAUSE_PAUSED = 530
    PAUSED = 531
    RESUME_WRONG_USER = 533
    RESUME_UNKNOWN = 534
    RESUME_NOT_PAUSED = 535
    RESUMED = 536
    HISTORY_WRONG_USER = 538
    HISTORY_BAD_DAY = 539
    ALL_MET = 540


_REFUSED = "条件单已被服务器拒绝,"
_CANCEL, _PAUSE, _RESUME = (f"条件单{what}请求已被服务器拒绝,原因:" for what in ("撤单", "暂停", "恢复"))
_HISTORY = "历史条件单查询请求已被服务器拒绝,原因:"
TEXTS: Mapping[Outcome, str] = {
    Outcome.BAD_INSTRUMENT: f"{_REFUSED}触发条件中的合约不存在",
    Outcome.TIME_PAST: f"{_REFUSED}触发时间已过",
    Outcome.BAD_PRICE: f"{_REFUSED}触发价格不合法",
    Outcome.ALREADY_MET: f"{_REFUSED}条件已经满足,请重新设置",
    Outcome.BAD_RANGE: f"{_REFUSED}触发价格区间不合法",
    Outcome.BAD_BREAK_EVEN: f"{_REFUSED}保本价格不合法",
    Outcome.BAD_ORDER_INSTRUMENT: f"{_REFUSED}触发后委托的合约不存在",
    Outcome.BAD_VOLUME: f"{_REFUSED}触发后委托的手数不合法",
    Outcome.BAD_ORDER_PRICE: f"{_REFUSED}触发后委托的价格不合法",
    Outcome.BAD_DAY: f"{_REFUSED}有效日期不合法",
    Outcome.TOO_MANY_TODAY: f"{_REFUSED}当日新增条件单数量超过上限",
    Outcome.TOO_MANY: f"{_REFUSED}有效条件单数量超过上限",
    Outcome.STOPPED: f"{_REFUSED}系统暂时无法记录",
    Outcome.DUPLICATE: f"{_REFUSED}单号重复",
    Outcome.WRONG_USER: f"{_REFUSED}下单指令中的用户名错误",
    Outcome.INSERTED: "条件单下单成功",
    Outcome.CANCEL_WRONG_USER: f"{_CANCEL}用户名错误",
    Outcome.CANCEL_UNKNOWN: f"{_CANCEL}单号不存在",
    Outcome.CANCEL_TOUCHED: f"{_CANCEL}条件单已触发",
    Outcome.CANCEL_CANCELLED: f"{_CANCEL}条件单已撤",
    Outcome.CANCEL_DISCARDED: f"{_CANCEL}条件单已作废",
    Outcome.CANCELLED: "条件单撤单成功",
    Outcome.PAUSE_WRONG_USER: f"{_PAUSE}用户名错误",
    Outcome.PAUSE_UNKNOWN: f"{_PAUSE}单号不存在",
    Outcome.PAUSE_TOUCHED: f"{_PAUSE}条件单已触发",
    Outcome.PAUSE_CANCELLED: f"{_PAUSE}条件单已撤",
    Outcome.PAUSE_DISCARDED: f"{_PAUSE}条件单已作废",
    Outcome.PAUSE_PAUSED: f"{_PAUSE}条件单已经暂停",
    Outcome.PAUSED: "条件单暂停成功",
    Outcome.RESUME_WRONG_USER: f"{_RESUME}用户名错误",
    Outcome.RESUME_UNKNOWN: f"{_RESUME}单号不存在",
    Outcome.RESUME_NOT_PAUSED: f"{_RESUME}条件单不是暂停状态",
    Outcome.RESUMED: "条件单恢复成功",
    Outcome.HISTORY_WRONG_USER: f"{_HISTORY}用户名错误",
    Outcome.HISTORY_BAD_DAY: f"{_HISTORY}日期有误",
    Outcome.ALL_MET: f"{_REFUSED}所有条件都已满足,请重新设置",
}


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is waited for."""

    kind: Kind
    symbol: str
    time_ns: int = 0
    "TIME: from then on it holds."
    price: float = 0.0
    "PRICE: the last price's; BREAK_EVEN: what it must pass and come back to."
    relation: Relation = Relation.GE
    left: float = 0.0
    right: float = 0.0
    "PRICE_RANGE: both ends belong to it."
    direction: Direction = Direction.BUY
    "BREAK_EVEN: of the position, BUY for a long one."


class Leg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order to release, as it was asked for."""

    symbol: str
    direction: Direction
    effect: Effect
    volume: float = 0.0
    close_all: bool = False
    "Everything held, in place of `volume`."
    today_first: bool = True
    "CLOSE where lots are told apart (SHFE, INE): today's go first."
    pricing: Pricing = Pricing.LIMIT
    limit_price: float = 0.0


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order as it is entered; `code` None until it was."""

    order: InsertOrder
    after: tuple[str, ...] = ()
    "Entered only when these orders have traded whole: the opening half of a REVERSE."
    code: int | None = None


class Conditional(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conditional order; a change of state is a new value of it."""

    account_id: str
    order_id: str
    conditions: tuple[Condition, ...]
    legs: tuple[Leg, ...]
    user_id: str = ""
    "Who sent it, as it is told back."
    every: bool = False
    "All conditions must hold at once, else any."
    validity: Validity = Validity.GFD
    last_day: int = 0
    "GTD."
    until_ns: int = 0
    "Not after this moment; 0 without one."
    cancel_closing: bool = False
    "The account's closing orders of the instruments are withdrawn first."
    purpose: str = ""
    "What the sender calls it (STOP_LOSS, ...); nothing depends on it."
    trading_day: int = 0
    insert_ns: int = 0
    state: State = State.LIVE
    end_ns: int = 0
    end_day: int = 0
    "Trading day in which it was touched, cancelled or discarded."
    armed: tuple[int, ...] = ()
    "Numbers of BREAK_EVEN conditions whose price was passed."
    releases: tuple[Release, ...] = ()
    text: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether it may still come to something."""
        return self.state in (State.LIVE, State.SUSPEND)

    @property
    def is_releasing(self) -> bool:
        """Whether it was touched and orders of it are not entered yet."""
        return self.state is State.TOUCHED and any(one.code is None for one in self.releases)


class ConditionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request about a conditional order.

    `code` is 0 or the house's number, `outcome` DIFF's, `lsn` the record that must be durable first.
    """

    outcome: Outcome
    code: int = 0
    text: str = ""
    lsn: int = 0
    order: Conditional | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.code == 0


def price_order(
    *,
    account_id: str,
    order_id: str,
    symbol: str,
    direction: Direction,
    offset: Offset,
    volume: float,
    trigger_price: float,
    relation: Relation,
    limit_price: float | None = None,
    price_type: PriceType = PriceType.LIMIT,
    until_ns: int = 0,
    purpose: str = "",
    user_id: str = "",
) -> Conditional:
    """Return the one-condition, one-order form REST knows: at a price, send an order; GTC without an end.

    `price_type` is LIMIT or ANY; a LIMIT without its price stays one, and is refused as such.
    """
    effect = Effect[offset.name]
    return Conditional(
        account_id=account_id,
        order_id=order_id,
        user_id=user_id or account_id,
        conditions=(Condition(kind=Kind.PRICE, symbol=symbol, price=trigger_price, relation=relation),),
        legs=(
            Leg(
                symbol=symbol,
                direction=direction,
                effect=effect,
                volume=volume,
                pricing=Pricing.LIMIT if price_type is PriceType.LIMIT else Pricing.MARKET,
                limit_price=limit_price or 0.0,
            ),
        ),
        validity=Validity.GTC,
        until_ns=until_ns,
        purpose=purpose,
    )
