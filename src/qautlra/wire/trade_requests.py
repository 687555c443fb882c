"""The DIFF trade protocol's requests: what a client may say, as typed values (contract 2.2)."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, get_args

import msgspec
import orjson

from qautlra.base.errors import InputError
from qautlra.model.order import (
    CancelOrder,
    Direction,
    InsertOrder,
    Offset,
    PriceType,
    TimeCondition,
    VolumeCondition,
)
from qautlra.wire.order_id import SAID, is_order_id

_DIRECTION: Final = {item.name: item for item in Direction}
_OFFSET: Final = {item.name: item for item in Offset} | {"CLOSEYESTERDAY": Offset.CLOSE}  # QAX's name for it
_PRICE_TYPE: Final = {item.name: item for item in PriceType} | {"MARKET": PriceType.ANY}
_TIME: Final = {item.name: item for item in TimeCondition}
_VOLUME: Final = {item.name: item for item in VolumeCondition}


class Request(msgspec.Struct, tag_field="aid", frozen=True):
    """Root of all requests; the tag is the `aid`."""


class Login(Request, tag="req_login", frozen=True):
    bid: str = ""
    user_name: str = ""
    password: str = ""


class Peek(Request, tag="peek_message", frozen=True):
    pass


class Ping(Request, tag="ping", frozen=True):
    pass


class ConfirmSettlement(Request, tag="confirm_settlement", frozen=True):
    pass


class Insert(Request, tag="insert_order", frozen=True):
    user_id: str
    exchange_id: str
    instrument_id: str
    direction: Literal["BUY", "SELL"]
    offset: Literal["OPEN", "CLOSE", "CLOSETODAY", "CLOSEYESTERDAY"]
    volume: float
    price_type: Literal["LIMIT", "ANY", "BEST", "FIVELEVEL", "MARKET"] = "LIMIT"
    order_id: str = ""
    limit_price: float | str | None = None
    volume_condition: Literal["ANY", "MIN", "ALL"] = "ANY"
    time_condition: Literal["IOC", "GFS", "GFD", "GTD", "GTC", "GFA"] = "GFD"
    min_volume: int = 0
    GTD_date: Annotated[int, msgspec.Meta(ge=0, le=99_991_231)] = 0
    contingent_condition: str = "IMMEDIATELY"
    hedge_flag: Literal["SPECULATION", "ARBITRAGE", "HEDGE", "MARKETMAKER", "COVERED"] = "SPECULATION"


class Cancel(Request, tag="cancel_order", frozen=True):
    user_id: str
    order_id: str


class Transfer(Request, tag="req_transfer", frozen=True):
    amount: float
    bank_id: str = ""
    future_account: str = ""
    future_password: str = ""
    bank_password: str = ""
    currency: str = "CNY"


class QuerySettlement(Request, tag="qry_settlement_info", frozen=True):
    trading_day: int | str


class QueryAccount(Request, tag="qry_account_info", frozen=True):
    pass


class QueryTransfers(Request, tag="qry_transfer_serial", frozen=True):
    pass


class QueryBanks(Request, tag="qry_account_register", frozen=True):
    pass


class QueryBankCapital(Request, tag="qry_bankcapital", frozen=True):
    bank_id: str = ""


class ChangePassword(Request, tag="change_password", frozen=True):
    old_password: str
    new_password: str


class ChangeFundPassword(Request, tag="change_trading_account_password", frozen=True):
    pass


class Condition(msgspec.Struct, frozen=True):
    """One condition of a conditional order."""

    contingent_type: str
    exchange_id: str = ""
    instrument_id: str = ""
    contingent_time: int = 0
    contingent_price: float = 0.0
    price_relation: str = ""
    contingent_price_range_left: float = 0.0
    contingent_price_range_right: float = 0.0
    break_even_price: float = 0.0
    break_even_direction: str = ""


class ConditionOrder(msgspec.Struct, frozen=True):
    """One order a condition releases."""

    exchange_id: str
    instrument_id: str
    direction: str
    offset: str
    volume: float = 0
    close_today_prior: bool = True
    volume_type: str = "NUM"
    price_type: str = "LIMIT"
    limit_price: float = 0.0


class InsertCondition(Request, tag="insert_condition_order", frozen=True):
    user_id: str
    condition_list: list[Condition]
    order_list: list[ConditionOrder]
    order_id: str = ""
    conditions_logic_operator: str = ""
    conditions_logic_oper: str = ""
    time_condition_type: str = "GFD"
    GTD_date: int = 0
    is_cancel_origin_close_order: bool = False
    is_cancel_ori_close_order: bool = False


class CancelCondition(Request, tag="cancel_condition_order", frozen=True):
    user_id: str
    order_id: str


class PauseCondition(Request, tag="pause_condition_order", frozen=True):
    user_id: str
    order_id: str


class ResumeCondition(Request, tag="resume_condition_order", frozen=True):
    user_id: str
    order_id: str


class QueryHistoryConditions(Request, tag="qry_his_condition_order", frozen=True):
    user_id: str = ""
    action_day: int | str = 0


_REQUESTS = (
    Login
    | Peek
    | Ping
    | ConfirmSettlement
    | Insert
    | Cancel
    | Transfer
    | QuerySettlement
    | QueryAccount
    | QueryTransfers
    | QueryBanks
    | QueryBankCapital
    | ChangePassword
    | ChangeFundPassword
    | InsertCondition
    | CancelCondition
    | PauseCondition
    | ResumeCondition
    | QueryHistoryConditions
)
_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(_REQUESTS)
_OTHERS: Final = frozenset(
    {
        "subscribe_trading_status",
        "set_risk_management_rule",
        "pre_insert_order",
    }
)


def decode(text: str | bytes) -> Request | None:
    """Return the request of a message, None for one that is not JSON or nothing a server answers.

    InputError names what is wrong with a known request.
    """
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        try:
            aid = orjson.loads(text).get("aid")
        except (orjson.JSONDecodeError, AttributeError):
            return None
        if not isinstance(aid, str) or aid in _OTHERS:
            return None
        raise InputError(f"{aid[:40]}: {error}", aid=aid) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Head(msgspec.Struct):
    aid: str = ""


_head: msgspec.json.Decoder[_Head] = msgspec.json.Decoder(_Head)
_TRADE_AIDS: Final = frozenset(
    str(kind.__struct_config__.tag) for kind in get_args(_REQUESTS) if kind not in (Peek, Ping)
)


def is_trade(text: str | bytes) -> bool:
    """Tell whether a message of a socket that carries market and trade is for the trade half."""
    try:
        return _head.decode(text).aid in _TRADE_AIDS
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return False


def insert_of(request: Insert, account_id: str, order_id: str) -> InsertOrder:
    """Return the order of a request; InputError for a word the protocol does not have."""
    if request.contingent_condition not in ("IMMEDIATELY", ""):
        raise InputError("contingent_condition: use insert_condition_order")
    return InsertOrder(
        account_id=account_id,
        order_id=check_id(order_id),
        symbol=f"{request.exchange_id}.{request.instrument_id}",
        direction=_DIRECTION[request.direction],
        offset=_OFFSET[request.offset],
        volume=request.volume,
        limit_price=_price(request.limit_price),
        price_type=_PRICE_TYPE[request.price_type],
        time_condition=_TIME[request.time_condition],
        volume_condition=_VOLUME[request.volume_condition],
        min_volume=request.min_volume,
        gtd_day=request.GTD_date,
    )


def cancel_of(request: Cancel, account_id: str) -> CancelOrder:
    """Return the cancel of a request."""
    return CancelOrder(account_id=account_id, order_id=request.order_id)


def check_id(order_id: str) -> str:
    """Return an order id that may be; InputError for one that may not."""
    if not is_order_id(order_id):
        raise InputError(f"order_id: {SAID}")
    return order_id


def _price(value: float | str | None) -> float | None:
    if value is None or isinstance(value, str):
        return None  # "-": no number
    return value if math.isfinite(value) else None
