"""Messages of the order exchange to commands: the envelope with an action, the flat form of the running
traders, and the flat QIFI order of strategies. What cannot be read is refused with a code and a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from qautlra.base.errors import InputError
from qautlra.model.command import Ask, Command, Notice, Question, Transfer
from qautlra.model.order import (
    HEDGE_FLAGS,
    VOLUME_MAX,
    AmendOrder,
    CancelOrder,
    Direction,
    InsertOrder,
    Offset,
    PriceType,
    TimeCondition,
    VolumeCondition,
)
from qautlra.wire.order_id import SAID, is_order_id

MESSAGE_BYTES: Final = 64 << 10
TEXT_CHARS: Final = 256
ACCOUNT_CHARS: Final = 64
PRICE_MAX: Final = 1e12

BAD_PARAMETERS: Final = 1008
NO_INSTRUMENT: Final = 1007
NO_ACCOUNT: Final = 1006
BAD_VOLUME: Final = 1003
BAD_PRICE: Final = 3003
BAD_AMOUNT: Final = 2004

_TOWARDS: Final = {
    1: (Direction.BUY, Offset.OPEN),
    -1: (Direction.SELL, Offset.CLOSE),
    2: (Direction.BUY, Offset.OPEN),
    -2: (Direction.SELL, Offset.OPEN),
    3: (Direction.BUY, Offset.CLOSE),
    -3: (Direction.SELL, Offset.CLOSE),
    4: (Direction.BUY, Offset.CLOSETODAY),
    -4: (Direction.SELL, Offset.CLOSETODAY),
}
_PRICE_TYPES: Final = {"MARKET": PriceType.ANY, **{item.name: item for item in PriceType}}
_OFFSETS: Final = {"CLOSEYESTERDAY": "CLOSEYESTERDAY", **Offset.__members__}
_HEDGES: Final = dict.fromkeys(HEDGE_FLAGS, True)
_AT_ONCE: Final = {"IMMEDIATELY": True}
_SPLIT: Final = ("SHFE", "INE")
_NOTICES: Final = frozenset({"peek", "login", "subscribe", "kill", "change_password"})
_ASKS: Final = {
    "query_account": Ask.ACCOUNT,
    "query_position": Ask.POSITION,
    "query_positions": Ask.POSITION,
    "query_order": Ask.ORDERS,
    "query_orders": Ask.ORDERS,
    "query_trade": Ask.TRADES,
    "query_trades": Ask.TRADES,
    "query_settlement": Ask.SETTLEMENT,
    "query_bank": Ask.BANK,
}
_ENVELOPE: Final = frozenset({"send_order", "cancel_order", "amend_order", "transfer", *_ASKS, *_NOTICES})
_NAMED: Final = (_ENVELOPE | {"sendorder"}) - _NOTICES - {"query_settlement"}
"""What must name its account: it moves or shows what is the account's."""

Resolve = Callable[[str], str | None]
E = TypeVar("E")


class BadOrder(InputError):
    """A refused message: `number` of the house's table of codes, and whose it was as far as it was read."""

    code = "bad_order"

    def __init__(self, number: int, text: str, *, account_id: str = "", order_id: str = "") -> None:
        super().__init__(text, number=number)
        self.number = number
        self.account_id = account_id
        self.order_id = order_id


class _Message(msgspec.Struct, gc=False):
    """Every field of the dialects, of any type; types are checked where a field is used."""

    topic: Any = None
    action: Any = None
    account_cookie: Any = None
    user_id: Any = None
    data: Any = None
    code: Any = None
    instrument_id: Any = None
    exchange_id: Any = None
    order_direction: Any = None
    direction: Any = None
    order_offset: Any = None
    offset: Any = None
    towards: Any = None
    volume: Any = None
    price: Any = None
    limit_price: Any = None
    order_id: Any = None
    price_type: Any = None
    order_type: Any = None
    time_condition: Any = None
    volume_condition: Any = None
    min_volume: Any = None
    hedge_flag: Any = None
    contingent_condition: Any = None
    new_price: Any = None
    new_volume: Any = None
    amount: Any = None
    bank_id: Any = None
    bankid: Any = None
    trading_day: Any = None
    day: Any = None


_decoder = msgspec.json.Decoder(_Message)


def decode(body: bytes, resolve: Resolve, account_id: str = "") -> Command:
    """Return the command of a message; BadOrder says what is wrong with it.

    `resolve` turns a spelling (`cu2109`, `SHFE.cu2109`) into the full symbol, None when it cannot be one.
    `account_id` is the account whose queue alone it came by, "" where that says nothing. It stands in only
    for what names no account by itself (`peek`, `query_settlement`): never for an order or a transfer.
    An order without an id has `order_id` "": the door gives it one.
    """
    if len(body) > MESSAGE_BYTES:
        raise BadOrder(BAD_PARAMETERS, f"a message of more than {MESSAGE_BYTES} bytes")
    try:
        message = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadOrder(BAD_PARAMETERS, f"not a JSON object: {error}") from None
    account = _whose(message, account_id)
    try:
        return _command(message, account, resolve)
    except BadOrder as error:
        error.account_id = account
        error.order_id = message.order_id if isinstance(message.order_id, str) else error.order_id
        raise


def _whose(message: _Message, account_id: str) -> str:
    if message.account_cookie is not None:
        return _account(message.account_cookie)
    name = message.action if message.topic == "order" else message.topic
    if isinstance(name, str) and name in _NAMED:
        order_id = message.order_id if isinstance(message.order_id, str) else ""
        raise BadOrder(NO_ACCOUNT, "account_cookie is missing", order_id=order_id)
    return _account(account_id)


def _command(message: _Message, account: str, resolve: Resolve) -> Command:
    topic = message.topic
    if topic == "sendorder" or topic == "send_order":
        return _insert(message, account, resolve)
    if topic == "order":
        action = message.action
        if not isinstance(action, str) or action not in _ENVELOPE:
            raise BadOrder(BAD_PARAMETERS, f"unknown action {_shown(action)}")
        inner = _inner(message.data)
        order_id = inner.order_id if isinstance(inner.order_id, str) else ""
        try:
            return (
                _insert(inner, account, resolve) if action == "send_order" else _other(action, inner, account)
            )
        except BadOrder as error:
            error.order_id = order_id
            raise
    if isinstance(topic, str) and topic in _ENVELOPE:
        return _other(topic, message, account)
    raise BadOrder(BAD_PARAMETERS, f"unknown topic {_shown(topic)}")


def _inner(data: Any) -> _Message:
    if data is None:
        return _Message()
    if not isinstance(data, dict):
        raise BadOrder(BAD_PARAMETERS, "data is not an object")
    return msgspec.convert(data, _Message)


def _other(name: str, message: _Message, account: str) -> Command:
    if name == "cancel_order":
        return CancelOrder(account_id=account, order_id=_order_id(message.order_id, needed=True))
    if name == "amend_order":
        return _amend(message, account)
    if name == "transfer":
        amount = message.amount
        if not _is_number(amount) or amount == 0 or abs(amount) > PRICE_MAX:
            raise BadOrder(BAD_AMOUNT, f"amount {_shown(amount)} is not an amount of money")
        bank = message.bank_id if message.bank_id is not None else message.bankid
        return Transfer(account_id=account, amount=float(amount), bank_id=_text("bank_id", bank or ""))
    if name in _ASKS:
        ask = _ASKS[name]
        day = message.trading_day if message.trading_day is not None else message.day
        return Question(
            account_id=account, ask=ask, day=_day(day) if ask is Ask.SETTLEMENT and day is not None else 0
        )
    return Notice(account_id=account, topic=name)


def _insert(message: _Message, account: str, resolve: Resolve) -> InsertOrder:
    order_id = _order_id(message.order_id, needed=False)
    direction, offset = _way(message)
    price_type = _either(
        _PRICE_TYPES, ("price_type", message.price_type), ("order_type", message.order_type), PriceType.LIMIT
    )
    _named(_HEDGES, "hedge_flag", message.hedge_flag, True)
    _named(_AT_ONCE, "contingent_condition", message.contingent_condition, True)
    symbol = _symbol(_first(message.code, message.instrument_id), message.exchange_id, resolve)
    if offset is None:
        offset = Offset.CLOSE
        if symbol.partition(".")[0] not in _SPLIT:
            raise BadOrder(BAD_PARAMETERS, "CLOSEYESTERDAY is of SHFE and INE alone")
    return InsertOrder(
        account_id=account,
        order_id=order_id,
        symbol=symbol,
        direction=direction,
        offset=offset,
        volume=_volume(message.volume),
        limit_price=_price(_first(message.price, message.limit_price), price_type),
        price_type=price_type,
        time_condition=_named(
            TimeCondition.__members__,
            "time_condition",
            message.time_condition,
            TimeCondition.GFD if price_type is PriceType.LIMIT else TimeCondition.IOC,
        ),
        volume_condition=_named(
            VolumeCondition.__members__, "volume_condition", message.volume_condition, VolumeCondition.ANY
        ),
        min_volume=int(_volume(message.min_volume)) if message.min_volume is not None else 0,
    )


def _amend(message: _Message, account: str) -> AmendOrder:
    price, volume = _first(message.new_price, message.price), _first(message.new_volume, message.volume)
    if price is None and volume is None:
        raise BadOrder(BAD_PARAMETERS, "amend_order names neither price nor volume")
    return AmendOrder(
        account_id=account,
        order_id=_order_id(message.order_id, needed=True),
        price=None if price is None else _price(price, PriceType.LIMIT),
        volume=None if volume is None else _volume(volume),
    )


def _way(message: _Message) -> tuple[Direction, Offset | None]:
    """Return direction and offset; an offset of None means yesterday's lots alone."""
    by_code: tuple[Direction, Offset] | None = None
    if message.towards is not None:
        if isinstance(message.towards, bool) or not isinstance(message.towards, int):
            raise BadOrder(BAD_PARAMETERS, f"towards {_shown(message.towards)} is not a number")
        by_code = _TOWARDS.get(message.towards)
        if by_code is None:
            raise BadOrder(BAD_PARAMETERS, f"towards {message.towards} is no order")
    side, code = by_code if by_code is not None else (None, None)
    words = Direction.__members__
    direction = _either(
        words, ("order_direction", message.order_direction), ("direction", message.direction), side
    )
    given = ("order_offset", message.order_offset), ("offset", message.offset)
    offset: Offset | str = _either(_OFFSETS, *given, code)
    # A word and a code that contradict each other: money is at stake, so neither is guessed. The codes of
    # shares (1, -1) say no more than the direction.
    if by_code is not None and (direction is not side or (offset != code and message.towards not in (1, -1))):
        word = offset if isinstance(offset, str) else offset.name
        raise BadOrder(BAD_PARAMETERS, f"towards {message.towards} contradicts {direction.name} {word}")
    return direction, None if isinstance(offset, str) else offset


def _symbol(spelling: Any, exchange: Any, resolve: Resolve) -> str:
    name = _text("instrument_id", spelling)
    if not name:
        raise BadOrder(BAD_PARAMETERS, "instrument_id is missing")
    if exchange is not None and exchange != "" and "." not in name:
        name = f"{_text('exchange_id', exchange)}.{name}"
    symbol = resolve(name)
    if symbol is None or "." not in symbol:
        raise BadOrder(NO_INSTRUMENT, f"no instrument {_shown(name)}")
    return symbol


def _volume(value: Any) -> float:
    if value is None:
        raise BadOrder(BAD_PARAMETERS, "volume is missing")
    if not _is_number(value) or abs(value) > VOLUME_MAX or value != int(value):
        raise BadOrder(BAD_VOLUME, f"volume {_shown(value)} is not a whole number of lots")
    return float(value)


def _price(value: Any, price_type: PriceType) -> float | None:
    if price_type is not PriceType.LIMIT:
        return None
    if value is None:
        raise BadOrder(BAD_PARAMETERS, "price is missing")
    if not _is_number(value) or abs(value) > PRICE_MAX:
        raise BadOrder(BAD_PRICE, f"price {_shown(value)} is not a price")
    return float(value)


def _order_id(value: Any, *, needed: bool) -> str:
    if value is None or value == "":
        if needed:
            raise BadOrder(BAD_PARAMETERS, "order_id is missing")
        return ""
    text = _text("order_id", value)
    if not is_order_id(text):
        raise BadOrder(BAD_PARAMETERS, f"order_id {_shown(text)} is not {SAID}")
    return text


def _account(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > ACCOUNT_CHARS or not value.isprintable():
        raise BadOrder(NO_ACCOUNT, f"account_cookie {_shown(value)} is no account")
    return value


def _day(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.replace("-", "").isdigit():
        value = int(value.replace("-", "")[:9])
    if isinstance(value, bool) or not isinstance(value, int) or not 19_000_101 <= value <= 29_991_231:
        raise BadOrder(BAD_PARAMETERS, f"trading_day {_shown(value)} is not a day like 20210802")
    return value


def _named(words: Any, name: str, value: Any, default: E | None) -> E:
    if value is None or value == "":
        if default is None:
            raise BadOrder(BAD_PARAMETERS, f"{name} is missing")
        return default
    found: E | None = words.get(value) if isinstance(value, str) else None
    if found is None:
        raise BadOrder(BAD_PARAMETERS, f"{name} {_shown(value)} is not one of {', '.join(words)}")
    return found


def _either(words: Any, one: tuple[str, Any], other: tuple[str, Any], default: E | None) -> E:
    """Return what a field of two names says: where both are there, they have to say the same."""
    said = [(name, _named(words, name, value, default)) for name, value in (one, other) if value is not None]
    if not said:
        return _named(words, other[0], None, default)
    if said[0][1] != said[-1][1]:
        text = f"{one[0]} {_shown(one[1])} contradicts {other[0]} {_shown(other[1])}"
        raise BadOrder(BAD_PARAMETERS, text)
    return said[0][1]


def _text(name: str, value: Any) -> str:
    if value is None:
        raise BadOrder(BAD_PARAMETERS, f"{name} is missing")
    if not isinstance(value, str) or len(value) > TEXT_CHARS:
        raise BadOrder(BAD_PARAMETERS, f"{name} {_shown(value)} is not a text")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise BadOrder(BAD_PARAMETERS, f"{name} is not a text")
    return value


def _first(one: Any, other: Any) -> Any:
    return one if one is not None else other


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _shown(value: Any) -> str:
    return repr(value)[:60]
