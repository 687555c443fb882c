"""Every account, order, trade and movement of money, for operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final, TypeVar

from qautlra.auth.rights import Right
from qautlra.net.route import OneOf
from qautlra.net.trade_http.accounts import LOCKS, account_info, frozen_info, move
from qautlra.net.trade_http.base import PAGE, SLICE_COUNT, Call, Door
from qautlra.net.trade_http.positions import shown_positions
from qautlra.wire import office_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire import trade_rows as rows

T = TypeVar("T")
LOCKED: Final = OneOf(LOCKS)
STATUSES: Final = OneOf(rows.STATUSES)


async def accounts(call: Call) -> dict[str, Any]:
    """List accounts by page."""
    status = call.word("status", LOCKED)
    found = [account_info(call, name) for name in call.trade.accounts()]
    chosen = [info for info in found if status in ("", info.status)]
    first, last = call.page()
    return {
        "total": len(chosen),
        "accounts": [{"user_id": call.owner(info.account_id), "info": info} for info in chosen[first:last]],
    }


async def detail(call: Call) -> dict[str, Any]:
    """Show an account whole."""
    account_id = call.meant(call.part("user_id"))
    owner, trade = call.owner(account_id), call.trade
    orders, trades = await call.day_of(
        account_id,
        lambda number: rows.order_info(trade.order(number), owner),
        lambda number: rows.trade_info(trade.trade(number), owner),
    )
    account, frozen = account_info(call, account_id), frozen_info(call, account_id)
    held = trade.positions(account_id)
    return {
        "user_id": owner,
        "account": account,
        "positions": await shown_positions(call, account_id, held),
        "orders": orders,
        "trades": trades,
        "freeze": frozen,
    }


async def orders(call: Call) -> dict[str, Any]:
    """List the day's orders, newest first, by page."""
    status = call.word("status", STATUSES)
    here = call.trade.engine.exchange.chosen_orders(rows.statuses(status))
    outside = [one for one in call.trade.router.orders() if status in ("", rows.status_of(one))]
    found = await _newest(call, call.trade.engine.order, here, outside, lambda one: one.insert_ns)
    return {
        "total": len(here) + len(outside),
        "orders": [rows.order_info(one, call.owner(one.account_id)) for one in found],
    }


async def trades(call: Call) -> dict[str, Any]:
    """List the day's trades, newest first, by page."""
    engine, outside = call.trade.engine, call.trade.router.trades()
    here = range(engine.exchange.trades)
    found = await _newest(call, engine.trade, here, outside, lambda one: one.trade_ns)
    return {
        "total": len(here) + len(outside),
        "trades": [rows.trade_info(one, call.owner(one.account_id)) for one in found],
    }


async def _newest(
    call: Call, make: Callable[[int], T], here: Sequence[int], outside: list[T], moment: Callable[[T], int]
) -> list[T]:
    """Return the page asked for, newest first, of what is made of numbers and of `outside`."""
    first, last = call.page()
    if not outside:
        return [make(number) for number in here[::-1][first:last]]
    found = []
    merged = merge(outside[::-1], (make(number) for number in here[::-1]), key=lambda one: -moment(one))
    for place, one in enumerate(islice(merged, last)):
        if place % SLICE_COUNT == SLICE_COUNT - 1:
            await call.give_way()
        if place >= first:
            found.append(one)
    return found


async def deposit(call: Call) -> rows.AccountInfo:
    """Put money into any account."""
    asked = await call.body(wire.MoneyRequest)
    account_id = call.chosen(asked.account_id, asked.user_id, Right.VIEW)
    return await move(call, account_id, wire.amount_of(asked.amount), asked)


async def withdraw(call: Call) -> rows.AccountInfo:
    """Take money out of any account."""
    asked = await call.body(wire.MoneyRequest)
    account_id = call.chosen(asked.account_id, asked.user_id, Right.VIEW)
    return await move(call, account_id, -wire.amount_of(asked.amount), asked)


_NOT_NOTED_ONCE: Final = {"transfer_id": None, "bank_account": ""}
"What rows of earlier builds do not have."


async def transactions(call: Call) -> dict[str, Any]:
    """List movements of money, newest first; of one account if named."""
    account_id = call.request.match_info.get("user_id")
    if account_id is not None:
        account_id = call.meant(account_id)
    count = call.number("limit", 100, 1, 1_000)
    before = call.number("before", 1 << 62)
    found = await call.desk.ask(
        call.desk.records.listed, "money", account_id=account_id, before=before, count=count
    )
    rows = [
        {"transaction_id": row["id"], "timestamp": row["ts_ns"] // 1_000_000, **_NOT_NOTED_ONCE}
        | {key: value for key, value in row.items() if key not in ("id", "ts_ns")}
        for row in found
    ]
    return {"transactions": rows, "next_before": found[-1]["id"] if len(found) == count else None}


_PAGED = {"limit": "up to 1000 (100)", "before": "ids below this one"}
_MONEY = wire.MoneyRequest
DOORS = (
    Door(
        "GET", "/api/management/accounts", accounts, "Every account", Right.VIEW_ALL,
        parameters={**PAGE, "status": LOCKED},
        reply=replies.AccountPage,
    ),
    Door(
        "GET", "/api/management/account/{user_id}/detail", detail, "An account whole", Right.VIEW_ALL,
        reply=replies.AccountDetail,
    ),
    Door(
        "GET", "/api/management/orders", orders, "The day's orders", Right.VIEW_ALL,
        parameters={**PAGE, "status": STATUSES},
        reply=replies.OrderPage,
    ),
    Door(
        "GET", "/api/management/trades", trades, "The day's trades", Right.VIEW_ALL, parameters=PAGE,
        reply=replies.TradePage,
    ),
    Door(
        "POST", "/api/management/deposit", deposit, "Put money in", Right.MOVE_MONEY, _MONEY, rows.AccountInfo
    ),
    Door(
        "POST", "/api/management/withdraw", withdraw, "Take money out", Right.MOVE_MONEY, _MONEY,
        rows.AccountInfo,
    ),
    Door(
        "GET", "/api/management/transactions", transactions, "Money moved", Right.VIEW_ALL, parameters=_PAGED,
        reply=replies.MoneyPage,
    ),
    Door(
        "GET", "/api/management/transactions/{user_id}", transactions, "Money moved of an account",
        Right.VIEW_ALL, parameters=_PAGED,
        reply=replies.MoneyPage,
    ),
)  # fmt: skip
