"""What a conditional order must be, and what it means that a condition holds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from qautlra.model import codes
from qautlra.model.condition import (
    Condition,
    Conditional,
    Effect,
    Kind,
    Leg,
    Outcome,
    Pricing,
    Relation,
    State,
    Validity,
)
from qautlra.model.order import Direction
from qautlra.trade.releasing import trigger_of

PARTS_MAX: Final = 10
"Conditions, and orders, of one conditional order."
ID_BYTES_MAX: Final = 240
"What the ids of released orders leave."

HOUSE_CODES: Final[Mapping[Outcome, int]] = {
    Outcome.BAD_INSTRUMENT: codes.NO_INSTRUMENT,
    Outcome.TIME_PAST: codes.BAD_PARAMETERS,
    Outcome.BAD_PRICE: codes.BAD_PRICE,
    Outcome.ALREADY_MET: codes.CONDITION_MET,
    Outcome.ALL_MET: codes.CONDITION_MET,
    Outcome.BAD_RANGE: codes.BAD_PRICE,
    Outcome.BAD_BREAK_EVEN: codes.BAD_PRICE,
    Outcome.BAD_ORDER_INSTRUMENT: codes.NO_INSTRUMENT,
    Outcome.BAD_VOLUME: codes.BAD_VOLUME,
    Outcome.BAD_ORDER_PRICE: codes.BAD_PRICE,
    Outcome.BAD_DAY: codes.GTD_PAST,
    Outcome.TOO_MANY_TODAY: codes.DAY_ORDERS,
    Outcome.TOO_MANY: codes.ACTIVE_ORDERS,
    Outcome.DUPLICATE: codes.DUPLICATE,
    Outcome.WRONG_USER: codes.NO_ACCOUNT,
    Outcome.CANCEL_UNKNOWN: codes.NO_CONDITION,
    Outcome.PAUSE_UNKNOWN: codes.NO_CONDITION,
    Outcome.RESUME_UNKNOWN: codes.NO_CONDITION,
    Outcome.CANCEL_TOUCHED: codes.CONDITION_OVER,
    Outcome.CANCEL_CANCELLED: codes.CONDITION_OVER,
    Outcome.CANCEL_DISCARDED: codes.CONDITION_OVER,
    Outcome.PAUSE_PAUSED: codes.CONDITION_OVER,
    Outcome.PAUSE_TOUCHED: codes.CONDITION_OVER,
    Outcome.PAUSE_CANCELLED: codes.CONDITION_OVER,
    Outcome.PAUSE_DISCARDED: codes.CONDITION_OVER,
    Outcome.RESUME_NOT_PAUSED: codes.CONDITION_OVER,
}

NO_CANCEL: Final[Mapping[State, Outcome]] = {
    State.TOUCHED: Outcome.CANCEL_TOUCHED,
    State.CANCEL: Outcome.CANCEL_CANCELLED,
    State.DISCARD: Outcome.CANCEL_DISCARDED,
}
NO_PAUSE: Final[Mapping[State, Outcome]] = {
    State.SUSPEND: Outcome.PAUSE_PAUSED,
    State.TOUCHED: Outcome.PAUSE_TOUCHED,
    State.CANCEL: Outcome.PAUSE_CANCELLED,
    State.DISCARD: Outcome.PAUSE_DISCARDED,
}


def refusal(order: Conditional, knows: Callable[[str], bool], now_ns: int) -> Outcome | None:
    """Return why it cannot be taken whatever the market says, None when it can."""
    if not order.order_id or len(order.order_id.encode()) > ID_BYTES_MAX:
        return Outcome.DUPLICATE
    if not 0 < len(order.conditions) <= PARTS_MAX:
        return Outcome.BAD_INSTRUMENT
    if not 0 < len(order.legs) <= PARTS_MAX:
        return Outcome.BAD_VOLUME
    for condition in order.conditions:
        if not knows(condition.symbol):
            return Outcome.BAD_INSTRUMENT
        if condition.kind is Kind.PRICE and not _is_price(condition.price):
            return Outcome.BAD_PRICE
        if condition.kind is Kind.BREAK_EVEN and not _is_price(condition.price):
            return Outcome.BAD_BREAK_EVEN
        if condition.kind is Kind.PRICE_RANGE and not _is_range(condition):
            return Outcome.BAD_RANGE
        if condition.kind is Kind.TIME and condition.time_ns <= 0:
            return Outcome.TIME_PAST
    for leg in order.legs:
        refused = _leg_refusal(order, leg, knows)
        if refused is not None:
            return refused
    if order.validity is Validity.GTD and order.last_day < order.trading_day:
        return Outcome.BAD_DAY
    return Outcome.BAD_DAY if order.until_ns and order.until_ns <= now_ns else None


def _leg_refusal(order: Conditional, leg: Leg, knows: Callable[[str], bool]) -> Outcome | None:
    if not knows(leg.symbol):
        return Outcome.BAD_ORDER_INSTRUMENT
    if leg.close_all:
        if leg.effect is Effect.OPEN:
            return Outcome.BAD_VOLUME
    elif not (math.isfinite(leg.volume) and leg.volume >= 1 and leg.volume == int(leg.volume)):
        return Outcome.BAD_VOLUME
    if leg.pricing is Pricing.LIMIT and not _is_price(leg.limit_price):
        return Outcome.BAD_ORDER_PRICE
    if leg.pricing is Pricing.CONTINGENT and trigger_of(order, leg.symbol) is None:
        return Outcome.BAD_ORDER_PRICE
    return None


def is_at(condition: Condition, price: float) -> bool:
    """Tell whether a last price is where a PRICE, PRICE_RANGE or armed BREAK_EVEN condition wants it."""
    if condition.kind is Kind.PRICE_RANGE:
        return condition.left <= price <= condition.right
    if condition.kind is Kind.BREAK_EVEN:
        return price <= condition.price if condition.direction is Direction.BUY else price >= condition.price
    if condition.relation is Relation.G:
        return price > condition.price
    if condition.relation is Relation.GE:
        return price >= condition.price
    return price < condition.price if condition.relation is Relation.L else price <= condition.price


def armed(order: Conditional, prices: Mapping[str, float]) -> tuple[int, ...]:
    """Return the numbers of BREAK_EVEN conditions whose price was passed, those of before included."""
    found = set(order.armed)
    for number, condition in enumerate(order.conditions):
        price = prices.get(condition.symbol)
        if condition.kind is Kind.BREAK_EVEN and price is not None:
            buys = condition.direction is Direction.BUY
            if price > condition.price if buys else price < condition.price:
                found.add(number)
    return tuple(sorted(found))


def is_timed(order: Conditional) -> bool:
    """Tell whether it must be looked at without a tick of its instruments."""
    return bool(order.until_ns) or waits_for_time(order)


def waits_for_time(order: Conditional) -> bool:
    """Tell whether it may be met without a tick of its instruments."""
    return any(c.kind in (Kind.TIME, Kind.MARKET_OPEN) for c in order.conditions)


def moments(order: Conditional) -> Iterator[int]:
    """Yield the times it must be looked at."""
    if order.until_ns:
        yield order.until_ns
    for condition in order.conditions:
        if condition.kind is Kind.TIME:
            yield condition.time_ns


def _is_price(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _is_range(condition: Condition) -> bool:
    left, right = condition.left, condition.right
    return math.isfinite(left) and math.isfinite(right) and 0 <= left <= right
