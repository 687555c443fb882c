"""Orders: submit, cancel, change, many at once, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.clock import new_token
from qautlra.base.errors import AuthError, LimitError, QautlraError, UnavailableError
from qautlra.model.codes import BAD_VOLUME
from qautlra.model.order import AmendOrder, Answer, CancelOrder, Order
from qautlra.net import audited
from qautlra.net.route import OneOf
from qautlra.net.trade_http.base import OPTIONAL_PAGE, Call, Door, error_of
from qautlra.wire import trade_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire import trade_rows as rows
from qautlra.wire.trade_errors import number_of, refused

ALIVE: Final = "alive"
WORD_CHARS: Final = 32
"""Of what an order says, kept of one that cannot be read."""
STATUSES: Final = OneOf((ALIVE, *rows.STATUSES))


async def submit(call: Call) -> rows.OrderReply:
    """Enter an order."""
    asked = await call.body(wire.SubmitOrder)
    account_id = call.chosen(asked.account_id, asked.user_id, Right.TRADE)
    answer = _enter(call, account_id, asked)
    await call.done(answer)
    return _reply(call, account_id, answer.order_id)


def _enter(call: Call, account_id: str, asked: wire.SubmitOrder) -> Answer:
    order_id = asked.order_id or f"R{new_token(9)}"
    try:
        if asked.account_id and asked.account_id != account_id:
            raise AuthError("an order of another account", status=403)
        symbol = call.symbol(asked.instrument_id, asked.exchange_id)
        order = wire.insert_of(asked, account_id=account_id, order_id=order_id, symbol=symbol)
    except QautlraError as error:
        said = audited.of_words(
            order_id,
            asked.instrument_id,
            asked.direction[:WORD_CHARS],
            asked.offset[:WORD_CHARS],
            asked.volume,
            asked.price,
        )
        call.record(Act.ORDER_SUBMIT, account_id, ok=False, **said, code=number_of(error))
        raise
    answer = call.trade.insert(order)
    call.record(Act.ORDER_SUBMIT, account_id, ok=answer.ok, **audited.of_order(order, answer))
    return answer


def _reply(call: Call, account_id: str, order_id: str) -> rows.OrderReply:
    order = call.trade.find(account_id, order_id)
    return rows.OrderReply(order_id, rows.status_of(order) if order is not None else "unknown")


async def cancel(call: Call) -> rows.OrderReply:
    """Withdraw what is left of an order."""
    asked = await call.body(wire.CancelRequest)
    account_id = call.chosen(asked.account_id, asked.user_id, Right.CANCEL)
    await call.done(_withdraw(call, account_id, asked.order_id))
    return _reply(call, account_id, asked.order_id)


def _withdraw(call: Call, account_id: str, order_id: str) -> Answer:
    answer = call.trade.cancel(CancelOrder(account_id=account_id, order_id=order_id))
    call.record(Act.ORDER_CANCEL, account_id, ok=answer.ok, **audited.of_change(order_id, answer))
    return answer


async def batch(call: Call) -> dict[str, Any]:
    """Enter several orders in their order; one that is refused does not keep the next from going in."""
    asked = await call.body(wire.BatchRequest)
    account_id = call.account(asked.account_id, Right.TRADE)
    _take_more(call, len(asked.orders) - 1)
    answers: list[Answer | QautlraError] = []
    for one in asked.orders:
        try:
            answers.append(_enter(call, account_id, one))
        except QautlraError as error:
            answers.append(error)
    entered = [_result(call, index, one) for index, one in enumerate(answers) if isinstance(one, Answer)]
    faults = [
        _fault(index, asked.orders[index].order_id, one)
        for index, one in enumerate(answers)
        if isinstance(one, QautlraError)
    ]
    return _summed(sorted([*await asyncio.gather(*entered), *faults], key=lambda one: one["index"]))


async def batch_cancel(call: Call) -> dict[str, Any]:
    """Withdraw several orders."""
    asked = await call.body(wire.BatchCancelRequest)
    account_id = call.account(asked.account_id, Right.CANCEL)
    _take_more(call, len(asked.order_ids) - 1)
    answers = [_withdraw(call, account_id, order_id) for order_id in asked.order_ids]
    return _summed(await asyncio.gather(*(_result(call, *one) for one in enumerate(answers))))


def _take_more(call: Call, count: int) -> None:
    if count > call.auth.orders.burst:
        raise LimitError(f"no more than {call.auth.orders.burst:g} at once", status=400)
    if count:
        call.auth.orders.take(call.who.user_id, count)


async def _result(call: Call, index: int, answer: Answer) -> dict[str, Any]:
    """Return what became of one of several, when that is durable; of one it is not known of, that."""
    try:
        await call.trade.durable(answer.lsn)
    except UnavailableError as error:
        return _fault(index, answer.order_id, error)
    if answer.ok:
        return {"index": index, "success": True, "order_id": answer.order_id, "error": None}
    return _fault(index, answer.order_id, error_of(answer))


def _fault(index: int, order_id: str | None, error: QautlraError) -> dict[str, Any]:
    said = {"code": number_of(error), "message": error.message}
    return {"index": index, "success": False, "order_id": order_id, "error": said}


def _summed(results: list[dict[str, Any]]) -> dict[str, Any]:
    done = sum(result["success"] for result in results)
    return {
        "total": len(results),
        "success_count": done,
        "failed_count": len(results) - done,
        "results": results,
    }


async def modify(call: Call) -> rows.OrderInfo:
    """Set price or volume of a living order."""
    asked = await call.body(wire.ModifyRequest)
    order_id = call.part("order_id")
    account_id = call.chosen(asked.account_id, "", Right.TRADE)
    if asked.new_price is None and asked.new_volume is None:
        raise refused(1008, "nothing to change: new_price or new_volume")
    answer = call.trade.amend(
        AmendOrder(account_id=account_id, order_id=order_id, price=asked.new_price, volume=asked.new_volume)
    )
    detail = audited.of_change(order_id, answer, price=asked.new_price, volume=asked.new_volume)
    call.record(Act.ORDER_AMEND, account_id, ok=answer.ok, **detail)
    if answer.code == BAD_VOLUME and asked.new_volume is not None:
        order = _found(call, order_id, [account_id])
        if 1 <= asked.new_volume <= (traded := order.volume - order.volume_left):
            more = f"new_volume: {traded:g} have traded already, expected more"
            raise refused(BAD_VOLUME, more, zh=f"改单手数须大于已成交的 {traded:g} 手")
    await call.done(answer)
    return _shown(call, _found(call, order_id, [account_id]))


async def one(call: Call) -> rows.OrderInfo:
    """Show an order of the day."""
    account_id = call.text("account_id")
    accounts = [call.account(account_id)] if account_id else call.visible()
    return _shown(call, _found(call, call.part("order_id"), accounts))


def _found(call: Call, order_id: str, accounts: list[str]) -> Order:
    for account_id in accounts:
        order = call.trade.find(account_id, order_id)
        if order is not None:
            return order
    raise refused(3001, "no such order today")


def _shown(call: Call, order: Order) -> rows.OrderInfo:
    return rows.order_info(order, call.owner(order.account_id))


async def of_user(call: Call) -> Sequence[rows.OrderInfo]:
    """Show the day's orders of a user's accounts: of one status if asked, `alive` those that live."""
    accounts, status = call.accounts_of(call.part("user_id")), call.word("status", STATUSES)
    statuses = rows.ALIVE if status == ALIVE else rows.statuses(status)
    numbers = [number for name in accounts for number in call.trade.order_numbers(name, statuses)]
    if len(accounts) < 2:
        return await call.made(lambda number: _shown(call, call.trade.order(number)), call.paged(numbers))

    def dated(number: int) -> tuple[int, rows.OrderInfo]:
        order = call.trade.order(number)
        return order.insert_ns, _shown(call, order)

    found = await call.made(dated, numbers)
    found.sort(key=lambda row: row[0])
    return [row for _, row in call.paged(found)]


DOORS = (
    Door(
        "POST", "/api/order/submit", submit, "Enter an order", Right.TRADE, wire.SubmitOrder, rows.OrderReply
    ),
    Door(
        "POST", "/api/order/cancel", cancel, "Withdraw an order", Right.CANCEL,
        wire.CancelRequest, rows.OrderReply,
    ),
    Door(
        "POST", "/api/order/batch", batch, "Enter several orders", Right.TRADE, wire.BatchRequest,
        reply=replies.BatchReply,
    ),
    Door(
        "POST", "/api/order/batch-cancel", batch_cancel, "Withdraw several orders", Right.CANCEL,
        wire.BatchCancelRequest,
        reply=replies.BatchReply,
    ),
    Door(
        "PUT", "/api/order/modify/{order_id}", modify, "Change a living order", Right.TRADE,
        wire.ModifyRequest, rows.OrderInfo,
    ),
    Door(
        "GET", "/api/order/user/{user_id}", of_user, "The day's orders of a user", Right.VIEW,
        reply=list[rows.OrderInfo], parameters={"status": STATUSES, **OPTIONAL_PAGE},
    ),
    Door(
        "GET", "/api/order/{order_id}", one, "An order of the day", Right.VIEW, reply=rows.OrderInfo,
        parameters={"account_id": "whose, where several have one of this name"},
    ),
)  # fmt: skip
