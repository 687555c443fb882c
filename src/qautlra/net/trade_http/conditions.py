"""Conditional orders: one price, one order; the trade socket knows richer ones."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.clock import new_token
from qautlra.base.errors import InputError, QautlraError
from qautlra.model.condition import (
    Condition,
    Conditional,
    ConditionAnswer,
    Kind,
    Relation,
    State,
    price_order,
)
from qautlra.net.route import OneOf
from qautlra.net.trade_http.base import Call, Door
from qautlra.wire import trade_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire.trade_errors import number_of, refused

PURPOSES: Final = ("STOP_LOSS", "TAKE_PROFIT", "PRICE_TOUCH")
_STATUS: Final = {
    State.LIVE: "PENDING",
    State.SUSPEND: "SUSPENDED",
    State.TOUCHED: "TRIGGERED",
    State.CANCEL: "CANCELLED",
    State.DISCARD: "EXPIRED",
}
FAILED: Final = "FAILED"
STATUSES: Final = OneOf((*_STATUS.values(), FAILED))


async def insert(call: Call) -> dict[str, Any]:
    """Have an order wait for a price."""
    asked = await call.body(wire.ConditionalRequest)
    account_id = call.account(asked.account_id, Right.TRADE)
    try:
        order = _read(call, account_id, asked)
    except QautlraError as error:
        said = {"instrument": asked.instrument_id, "price": asked.trigger_price, "code": number_of(error)}
        call.record(Act.ORDER_SUBMIT, account_id, ok=False, conditional="", **said)
        raise
    answer = call.trade.conditions.insert(order)
    detail = {
        "conditional": order.order_id,
        "instrument": order.legs[0].symbol,
        "price": asked.trigger_price,
    }
    call.record(Act.ORDER_SUBMIT, account_id, ok=answer.ok, **detail)
    return shown(await _done(call, answer))


def _read(call: Call, account_id: str, asked: wire.ConditionalRequest) -> Conditional:
    """Return the conditional order that was asked for; InputError says what is wrong with it."""
    now_ns = call.trade.clock.now_ns()
    if not math.isfinite(asked.trigger_price) or asked.trigger_price <= 0:
        raise InputError("trigger_price: expected a number above 0", number=1008)
    until_ns = (asked.valid_until or 0) * 1_000_000
    if asked.valid_until is not None and not now_ns < until_ns < 1 << 62:
        raise InputError("valid_until is past", number=3014)
    purpose = asked.condition_type.strip().upper()
    if purpose not in PURPOSES:
        raise InputError(f"condition_type: expected one of {', '.join(PURPOSES)}", number=1008)
    if asked.trigger_condition.strip().upper() not in ("GE", "LE"):
        raise InputError("trigger_condition: expected GE or LE", number=1008)
    wire.check_waiting_type(asked.order_type)
    order = wire.insert_of(
        wire.SubmitOrder(
            instrument_id=asked.instrument_id,
            direction=asked.direction,
            offset=asked.offset,
            volume=asked.volume,
            price=asked.limit_price,
            order_type=asked.order_type,
        ),
        account_id=account_id,
        order_id=f"C{new_token(9)}",
        symbol=call.symbol(asked.instrument_id, asked.exchange_id),
    )
    return price_order(
        account_id=account_id,
        order_id=order.order_id,
        symbol=order.symbol,
        direction=order.direction,
        offset=order.offset,
        volume=order.volume,
        trigger_price=asked.trigger_price,
        relation=Relation(asked.trigger_condition.strip().upper()),
        limit_price=order.limit_price,
        price_type=order.price_type,
        until_ns=until_ns,
        purpose=purpose,
        user_id=call.who.user_id,
    )


async def _done(call: Call, answer: ConditionAnswer) -> Conditional:
    await call.trade.durable(answer.lsn)
    if not answer.ok or answer.order is None:
        raise refused(answer.code, zh=answer.text, outcome=int(answer.outcome))
    return answer.order


async def listing(call: Call) -> list[dict[str, Any]]:
    """Show the conditional orders of an account, or of every account the caller may look at."""
    status = call.word("status", STATUSES)
    chosen = [one for one in _listed(call) if status in ("", _status(one))]
    return await call.each(shown, chosen)


def _listed(call: Call) -> list[Conditional]:
    account_id = call.text("account_id")
    accounts = [call.account(account_id)] if account_id else call.visible()
    return [one for name in accounts for one in call.trade.conditions.list(name)]


async def statistics(call: Call) -> dict[str, Any]:
    """Count them by status."""
    counts = dict.fromkeys(STATUSES, 0)
    for one in _listed(call):
        counts[_status(one)] += 1
    return {"total": sum(counts.values()), **{name.lower(): count for name, count in counts.items()}}


async def cancel(call: Call) -> dict[str, Any]:
    """Have it wait no more."""
    name = call.part("id")
    account_id = call.text("account_id")
    accounts = [call.account(account_id)] if account_id else call.visible()
    owners = [one for one in accounts if call.trade.conditions.get(one, name) is not None]
    if not owners:
        raise refused(3020)
    call.who.require(Right.CANCEL, owners[0])
    answer = call.trade.conditions.cancel(owners[0], name)
    call.record(Act.ORDER_CANCEL, owners[0], ok=answer.ok, conditional=name)
    return shown(await _done(call, answer))


def shown(order: Conditional) -> dict[str, Any]:
    """Return a conditional order as it is shown; of a richer one the first condition and order."""
    condition, leg = order.conditions[0], order.legs[0]
    return {
        "conditional_order_id": order.order_id,
        "account_id": order.account_id,
        "user_id": order.user_id,
        "instrument_id": leg.symbol,
        "direction": leg.direction.name,
        "offset": leg.effect.value,
        "volume": leg.volume,
        "order_type": "LIMIT" if leg.pricing.value == "LIMIT" else leg.pricing.value,
        "limit_price": leg.limit_price or None,
        "condition_type": order.purpose or condition.kind.value.upper(),
        "trigger_condition": condition.relation.value,
        "trigger_price": _price(condition),
        "status": _status(order),
        "valid_until": order.until_ns // 1_000_000 or None,
        "created_at": order.insert_ns // 1_000_000,
        "finished_at": order.end_ns // 1_000_000 or None,
        "order_ids": [release.order.order_id for release in order.releases],
        "error_code": _failed(order),
        "message": order.text,
        "conditions": msgspec.to_builtins(order.conditions),
        "orders": msgspec.to_builtins(order.legs),
    }


def _failed(order: Conditional) -> int:
    return next((release.code for release in order.releases if release.code), 0)


def _status(order: Conditional) -> str:
    return FAILED if _failed(order) else _STATUS[order.state]


def _price(condition: Condition) -> float | None:
    return condition.price if condition.kind in (Kind.PRICE, Kind.BREAK_EVEN) else None


_WHOSE = {"account_id": "of this account; otherwise of all one may look at"}
DOORS = (
    Door(
        "POST", "/api/order/conditional", insert, "An order that waits for a price", Right.TRADE,
        wire.ConditionalRequest,
        reply=replies.ConditionalRow,
    ),
    Door(
        "GET", "/api/order/conditional/list", listing, "Conditional orders", Right.VIEW,
        reply=list[replies.ConditionalRow], parameters={**_WHOSE, "status": STATUSES},
    ),
    Door(
        "GET", "/api/order/conditional/statistics", statistics, "How many are in which state", Right.VIEW,
        parameters=_WHOSE,
        reply=replies.ConditionalCounts,
    ),
    Door(
        "DELETE", "/api/order/conditional/{id}", cancel, "Wait no more", Right.CANCEL, parameters=_WHOSE,
        reply=replies.ConditionalRow,
    ),
)  # fmt: skip
