"""Conditional orders on the DIFF trade socket: requests to values, values to objects (contract 2.2, 2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, TypeVar

import orjson

from qautlra.base.errors import InputError
from qautlra.model.condition import (
    Condition,
    Conditional,
    Effect,
    Kind,
    Leg,
    Pricing,
    Relation,
    State,
    Validity,
)
from qautlra.model.order import Direction
from qautlra.wire import trade_requests as asks

E = TypeVar("E", bound=Enum)
_SCALES: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
"""A time below the first is told in units of the second, in ns: seconds, milliseconds, microseconds."""


def order_of(request: asks.InsertCondition, account_id: str, order_id: str) -> Conditional:
    """Return the conditional order of a request; InputError for a word the protocol does not have."""
    logic = request.conditions_logic_operator or request.conditions_logic_oper or "AND"
    if logic not in ("AND", "OR"):
        raise InputError(f"conditions_logic_operator: {logic[:20]!r} is not one of AND, OR")
    return Conditional(
        account_id=account_id,
        order_id=asks.check_id(order_id),
        user_id=request.user_id,
        conditions=tuple(_condition(one) for one in request.condition_list),
        legs=tuple(_leg(one) for one in request.order_list),
        every=logic == "AND",
        validity=_word(Validity, "time_condition_type", request.time_condition_type),
        last_day=request.GTD_date,
        cancel_closing=request.is_cancel_origin_close_order or request.is_cancel_ori_close_order,
    )


def _condition(one: asks.Condition) -> Condition:
    kind = _word(Kind, "contingent_type", one.contingent_type)
    even = kind is Kind.BREAK_EVEN
    return Condition(
        kind=kind,
        symbol=f"{one.exchange_id}.{one.instrument_id}",
        time_ns=_ns(one.contingent_time),
        price=one.break_even_price if even else one.contingent_price,
        relation=_word(Relation, "price_relation", one.price_relation) if kind is Kind.PRICE else Relation.GE,
        left=one.contingent_price_range_left,
        right=one.contingent_price_range_right,
        direction=_named(Direction, "break_even_direction", one.break_even_direction)
        if even
        else Direction.BUY,
    )


def _leg(one: asks.ConditionOrder) -> Leg:
    if one.volume_type not in ("NUM", "CLOSE_ALL"):
        raise InputError(f"volume_type: {one.volume_type[:20]!r} is not one of NUM, CLOSE_ALL")
    return Leg(
        symbol=f"{one.exchange_id}.{one.instrument_id}",
        direction=_named(Direction, "direction", one.direction),
        effect=_word(Effect, "offset", one.offset),
        volume=one.volume,
        close_all=one.volume_type == "CLOSE_ALL",
        today_first=one.close_today_prior,
        pricing=_word(Pricing, "price_type", one.price_type),
        limit_price=one.limit_price,
    )


def condition_object(order: Conditional) -> dict[str, Any]:
    """Return a conditional order as clients keep it."""
    touched = order.state is State.TOUCHED
    return {
        "order_id": order.order_id,
        "user_id": order.user_id or order.account_id,
        "trading_day": order.trading_day,
        "insert_date_time": order.insert_ns // 10**9,
        "status": order.state.value,
        "touched_time": order.end_ns // 10**9 if touched else 0,
        "condition_list": [_condition_object(order, number) for number in range(len(order.conditions))],
        "conditions_logic_operator": "AND" if order.every else "OR",
        "order_list": [_leg_object(leg) for leg in order.legs],
        "time_condition_type": order.validity.value,
        "GTD_date": order.last_day,
        "is_cancel_origin_close_order": order.cancel_closing,
        "last_msg": order.text,
    }


def _condition_object(order: Conditional, number: int) -> dict[str, Any]:
    one = order.conditions[number]
    exchange_id, _, instrument_id = one.symbol.partition(".")
    even = one.kind is Kind.BREAK_EVEN
    return {
        "contingent_type": one.kind.value,
        "exchange_id": exchange_id,
        "instrument_id": instrument_id,
        "contingent_time": one.time_ns // 10**9,
        "contingent_price": 0.0 if even else one.price,
        "price_relation": one.relation.value,
        "contingent_price_range_left": one.left,
        "contingent_price_range_right": one.right,
        "break_even_price": one.price if even else 0.0,
        "break_even_direction": one.direction.name,
        "has_break_event": number in order.armed,
    }


def _leg_object(leg: Leg) -> dict[str, Any]:
    exchange_id, _, instrument_id = leg.symbol.partition(".")
    return {
        "exchange_id": exchange_id,
        "instrument_id": instrument_id,
        "direction": leg.direction.name,
        "offset": leg.effect.value,
        "volume_type": "CLOSE_ALL" if leg.close_all else "NUM",
        "volume": int(leg.volume),
        "close_today_prior": leg.today_first,
        "price_type": leg.pricing.value,
        "limit_price": leg.limit_price,
    }


def packet(user_id: str, trading_day: int, orders: Iterable[Conditional]) -> bytes:
    """Return the packet of conditional orders as they are now."""
    return _packet("rtn_condition_orders", "condition_orders", user_id, trading_day, orders)


def history_packet(user_id: str, trading_day: int, orders: Iterable[Conditional]) -> bytes:
    """Return the packet of a day's conditional orders that wait no more."""
    return _packet("rtn_his_condition_orders", "his_condition_orders", user_id, trading_day, orders)


def _packet(aid: str, name: str, user_id: str, trading_day: int, orders: Iterable[Conditional]) -> bytes:
    found = [condition_object(order) for order in orders]
    return orjson.dumps({"aid": aid, "user_id": user_id, "trading_day": str(trading_day), name: found})


def day_of(text: int | str) -> int:
    """Return a day (YYYYMMDD) however it is written; 0 for what is none."""
    plain = str(text).replace("-", "")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) == 8 else 0


def _ns(time: int) -> int:
    for below, unit in _SCALES:
        if time < below:
            return time * unit
    return time


def _word(kind: type[E], name: str, value: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(item.value) for item in kind)
        raise InputError(f"{name}: {value[:20]!r} is not one of {known}") from None


def _named(kind: type[E], name: str, value: str) -> E:
    try:
        return kind[value]
    except KeyError:
        known = ", ".join(item.name for item in kind)
        raise InputError(f"{name}: {value[:20]!r} is not one of {known}") from None
