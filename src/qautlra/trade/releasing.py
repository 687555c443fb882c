"""What a conditional order releases, as orders to enter: volumes by what is held, prices by the market.

Pure: the market and the positions are asked through two calls, nothing is entered here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from qautlra.model.condition import Condition, Conditional, Effect, Kind, Leg, Pricing, Release
from qautlra.model.order import Direction, InsertOrder, Offset, PriceType, TimeCondition

PREFIX: Final = "CO."
"Of the ids of released orders."
_SPLIT: Final = ("SHFE", "INE")
_MARKET: Final = {
    "DCE": PriceType.ANY,
    "GFEX": PriceType.ANY,
    "CZCE": PriceType.ANY,
    "CFFEX": PriceType.FIVELEVEL,
    "SSE": PriceType.FIVELEVEL,
    "SZSE": PriceType.FIVELEVEL,
    "BSE": PriceType.FIVELEVEL,
}

Snapshot = Callable[[str], Mapping[str, Any] | None]
Held = Callable[[str], Mapping[str, Any] | None]


def releases(order: Conditional, snapshot: Snapshot, held: Held) -> tuple[Release, ...]:
    """Return the orders to enter, in their order; none when nothing is held that could be closed.

    The ids derive from the conditional order's: whoever enters them again is met by the first ones.
    """
    found: list[Release] = []

    def add(leg: Leg, offset: Offset, volume: float, after: tuple[str, ...] = ()) -> str:
        order_id = f"{PREFIX}{order.order_id}.{len(found) + 1}"
        made = _order(order, leg, offset, volume, order_id, snapshot(leg.symbol))
        found.append(Release(order=made, after=after))
        return order_id

    for leg in order.legs:
        if leg.effect is Effect.OPEN:
            add(leg, Offset.OPEN, leg.volume)
            continue
        today, his = _closable(leg, held(leg.symbol), with_frozen=order.cancel_closing)
        if leg.effect is Effect.CLOSETODAY:
            volume = today if leg.close_all else leg.volume
            if volume:
                add(leg, Offset.CLOSETODAY, volume)
            continue
        volume = today + his if leg.close_all else leg.volume
        closing = tuple(add(leg, offset, lots) for offset, lots in _split(leg, volume, today, his))
        if leg.effect is Effect.REVERSE and closing:
            add(leg, Offset.OPEN, volume, closing)
    return tuple(found)


def trigger_of(order: Conditional, symbol: str) -> Condition | None:
    """Return the condition whose price `symbol`'s CONTINGENT orders take."""
    priced = (Kind.PRICE, Kind.BREAK_EVEN, Kind.PRICE_RANGE)
    return next((c for c in order.conditions if c.symbol == symbol and c.kind in priced), None)


def fixed_price_of(order: Conditional, leg: Leg) -> float | None:
    """Return the limit of a leg's orders where it is known before the market says anything."""
    if leg.pricing is Pricing.LIMIT:
        return leg.limit_price
    trigger = trigger_of(order, leg.symbol) if leg.pricing is Pricing.CONTINGENT else None
    return None if trigger is None or trigger.kind is Kind.PRICE_RANGE else trigger.price


def _closable(leg: Leg, position: Mapping[str, Any] | None, *, with_frozen: bool) -> tuple[int, int]:
    if position is None:
        return 0, 0
    side = "long" if leg.direction is Direction.SELL else "short"

    def lots(name: str) -> int:
        frozen = 0 if with_frozen else position[f"volume_{side}_frozen_{name}"]
        return int(position[f"volume_{side}_{name}"] - frozen)

    return lots("today"), lots("his")


def _split(leg: Leg, volume: float, today: int, his: int) -> list[tuple[Offset, float]]:
    """Lots by offset. More than is held stays in the last one: the gate says what is wrong with it."""
    if leg.symbol.partition(".")[0] not in _SPLIT:
        return [(Offset.CLOSE, volume)] if volume else []
    if leg.today_first:
        parts = [(Offset.CLOSETODAY, min(volume, today)), (Offset.CLOSE, max(volume - today, 0))]
    else:
        parts = [(Offset.CLOSE, min(volume, his)), (Offset.CLOSETODAY, max(volume - his, 0))]
    return [part for part in parts if part[1]]


def _order(
    order: Conditional,
    leg: Leg,
    offset: Offset,
    volume: float,
    order_id: str,
    snapshot: Mapping[str, Any] | None,
) -> InsertOrder:
    market = leg.pricing is Pricing.MARKET
    price_type = _MARKET.get(leg.symbol.partition(".")[0], PriceType.LIMIT) if market else PriceType.LIMIT
    price = None if price_type is not PriceType.LIMIT else _price(order, leg, snapshot or {})
    return InsertOrder(
        account_id=order.account_id,
        order_id=order_id,
        symbol=leg.symbol,
        direction=leg.direction,
        offset=offset,
        volume=volume,
        limit_price=price,
        price_type=price_type,
        time_condition=TimeCondition.IOC if market else TimeCondition.GFD,
    )


def _price(order: Conditional, leg: Leg, snapshot: Mapping[str, Any]) -> float | None:
    """The limit; None when the market does not say it: the gate refuses such an order."""
    buys = leg.direction is Direction.BUY
    last = _number(snapshot, "last_price")
    fixed = fixed_price_of(order, leg)
    if fixed is not None:
        return fixed
    if leg.pricing is Pricing.CONTINGENT:
        return last
    if leg.pricing is not Pricing.CONSIDERATION:
        limit = _number(snapshot, "upper_limit" if buys else "lower_limit")
        if limit is not None:
            return limit
    best = _number(snapshot, "ask_price1" if buys else "bid_price1")
    return last if best is None else best


def _number(snapshot: Mapping[str, Any], name: str) -> float | None:
    value = snapshot.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
