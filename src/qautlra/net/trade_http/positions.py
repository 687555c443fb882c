"""Positions and trades of the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qautlra.auth.rights import Right
from qautlra.net.trade_http.base import OPTIONAL_PAGE, Call, Door
from qautlra.wire import trade_replies as replies
from qautlra.wire import trade_rows as rows


def positions_of(call: Call, account_id: str) -> list[dict[str, Any]]:
    """Return the account's positions that hold something, as they are shown."""
    owner = call.owner(account_id)
    held = _held(call.trade.positions(account_id))
    return [_shown(call, account_id, owner, row) for row in held]


async def shown_positions(
    call: Call, account_id: str, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return positions that were read before, as they are shown; a few at a time."""
    owner = call.owner(account_id)
    return await call.each(lambda row: _shown(call, account_id, owner, row), _held(rows))


def _held(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["volume_long"] or row["volume_short"]]


def _shown(call: Call, account_id: str, owner: str, row: dict[str, Any]) -> dict[str, Any]:
    tick, multiple = call.desk.board.terms(row["symbol"])[:2]
    return {
        "account_id": account_id,
        "user_id": owner,
        "instrument_id": row["symbol"],
        **{name: value for name, value in row.items() if name not in ("instrument", "symbol")},
        "price_tick": tick,
        "contract_multiplier": multiple,
    }


async def of_account(call: Call) -> list[dict[str, Any]]:
    """Show the positions of an account."""
    account_id = call.account(call.part("account_id"))
    return await shown_positions(call, account_id, call.trade.positions(account_id))


async def of_user(call: Call) -> list[dict[str, Any]]:
    """Show the positions of a user's accounts."""
    accounts = call.accounts_of(call.part("user_id"))
    return [row for account_id in accounts for row in positions_of(call, account_id)]


async def trades_of_account(call: Call) -> Sequence[rows.TradeInfo]:
    """Show the day's trades of an account."""
    account_id = call.account(call.part("account_id"))
    owner, numbers = call.owner(account_id), call.paged(call.trade.trade_numbers(account_id))
    return await call.made(lambda number: rows.trade_info(call.trade.trade(number), owner), numbers)


async def trades_of_user(call: Call) -> Sequence[rows.TradeInfo]:
    """Show the day's trades of a user's accounts."""
    accounts = call.accounts_of(call.part("user_id"))
    numbers = [number for account_id in accounts for number in call.trade.trade_numbers(account_id)]

    def dated(number: int) -> tuple[int, rows.TradeInfo]:
        trade = call.trade.trade(number)
        return trade.trade_ns, rows.trade_info(trade, call.owner(trade.account_id))

    if len(accounts) < 2:
        return [row for _, row in await call.made(dated, call.paged(numbers))]
    found = await call.made(dated, numbers)
    found.sort(key=lambda row: row[0])
    return [row for _, row in call.paged(found)]


_ROWS, _TRADES = list[dict[str, Any]], list[rows.TradeInfo]
DOORS = (
    Door(
        "GET", "/api/position/account/{account_id}", of_account, "Positions of an account", Right.VIEW,
        reply=list[replies.PositionInfo],
    ),
    Door(
        "GET", "/api/position/user/{user_id}", of_user, "Positions of a user", Right.VIEW,
        reply=list[replies.PositionInfo],
    ),
    Door(
        "GET", "/api/trades/account/{account_id}", trades_of_account, "The day's trades of an account",
        Right.VIEW, reply=_TRADES, parameters=OPTIONAL_PAGE,
    ),
    Door(
        "GET", "/api/trades/user/{user_id}", trades_of_user, "The day's trades of a user", Right.VIEW,
        reply=_TRADES, parameters=OPTIONAL_PAGE,
    ),
)  # fmt: skip
