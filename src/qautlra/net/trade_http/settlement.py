"""Settlement: prices of the day, ending it by hand, and the days that ended."""

from __future__ import annotations

import asyncio
from typing import Any

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.errors import QautlraError
from qautlra.net.trade_http.base import PAGE, Call, Door
from qautlra.trade.statements import Settlement
from qautlra.wire import office_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire.trade_errors import number_of, refused


async def set_price(call: Call) -> dict[str, Any]:
    """Set the settlement price of an instrument for the day that is traded."""
    asked = await call.body(wire.SettlementPrice)
    symbol = _set(call, asked)
    await call.trade.durable(call.trade.head_lsn)
    return {"instrument_id": symbol, "settlement_price": asked.settlement_price}


def _set(call: Call, asked: wire.SettlementPrice) -> str:
    symbol = call.symbol(asked.instrument_id)
    if not 0 < asked.settlement_price < 1e9:
        raise refused(1008, "settlement_price: expected a number above 0")
    answer = call.trade.settling.set_price(symbol, asked.settlement_price)
    call.record(Act.SETTLEMENT, ok=answer.ok, what="price", instrument=symbol, price=asked.settlement_price)
    if not answer.ok:
        raise refused(answer.code, zh=answer.text)
    return symbol


async def set_prices(call: Call) -> dict[str, Any]:
    """Set several; one that is wrong does not keep the others from being set."""
    asked = await call.body(wire.SettlementPrices)
    results = []
    for one in asked.prices:
        try:
            _set(call, one)
            results.append({"instrument_id": one.instrument_id, "success": True, "error": None})
        except QautlraError as error:
            said = {"code": number_of(error), "message": error.message}
            results.append({"instrument_id": one.instrument_id, "success": False, "error": said})
    await call.trade.durable(call.trade.head_lsn)
    done = sum(bool(result["success"]) for result in results)
    return {
        "total": len(results),
        "success_count": done,
        "failed_count": len(results) - done,
        "results": results,
    }


async def execute(call: Call) -> dict[str, Any]:
    """End the trading day: orders end, every account is settled, the next day begins.

    While the market of the day is open this is refused (6004) unless `force` says it is meant.
    """
    asked = await call.body(wire.ExecuteRequest)
    day = call.trade.trading_day
    answer = call.trade.settling.settle(by=call.who.user_id, force=asked.force)
    call.record(Act.SETTLEMENT, ok=answer.ok, what="execute", trading_day=day, force=asked.force)
    await call.done(answer)
    found = await asyncio.to_thread(call.trade.settling.statements.settlement, day)
    if found is None:
        raise refused(6003)
    return _shown(found)


async def history(call: Call) -> list[dict[str, Any]]:
    """Show the days that ended, newest first."""
    count = call.number("limit", 250, 1, 1_000)
    return [_shown(one) for one in await asyncio.to_thread(call.trade.settling.statements.settlements, count)]


async def detail(call: Call) -> dict[str, Any]:
    """Show an ended day with every account's money, by page."""
    first, last = call.page()
    day = call.part("date").replace("-", "")
    number = int(day) if day.isascii() and day.isdigit() and len(day) == 8 else 0
    statements = call.trade.settling.statements
    found = await asyncio.to_thread(statements.settlement, number)
    if found is None:
        raise refused(6003)
    accounts = await asyncio.to_thread(statements.of_day, number, last - first, first)
    details = [{"account_id": one.account_id, "funds": one.funds} for one in accounts]
    return {**_shown(found), "account_details": details}


async def prices(call: Call) -> dict[str, Any]:
    """Show the prices set for the day that is traded."""
    return {"trading_day": str(call.trade.trading_day), "prices": call.trade.settling.prices()}


def _shown(day: Settlement) -> dict[str, Any]:
    return {
        "trading_day": str(day.trading_day),
        "next_day": str(day.next_day),
        "executed_at": day.market_ns // 1_000_000,
        "by": day.by or None,
        "accounts": day.accounts_count,
        "orders": day.orders_count,
        "trades": day.trades_count,
        "commission": day.commission,
        "profit": day.profit,
        "balance": day.balance,
        "prices": day.prices,
    }


DOORS = (
    Door(
        "POST", "/api/admin/settlement/set-price", set_price, "Set a settlement price", Right.SETTLE,
        wire.SettlementPrice,
        reply=replies.PriceSet,
    ),
    Door(
        "POST", "/api/admin/settlement/batch-set-prices", set_prices, "Set settlement prices", Right.SETTLE,
        wire.SettlementPrices,
        reply=replies.PricesReply,
    ),
    Door(
        "GET", "/api/admin/settlement/prices", prices, "Prices set for today", Right.SETTLE,
        reply=replies.PricesOfDay,
    ),
    Door(
        "POST", "/api/admin/settlement/execute", execute, "End the trading day", Right.SETTLE,
        wire.ExecuteRequest,
        reply=replies.SettledDay,
    ),
    Door(
        "GET", "/api/admin/settlement/history", history, "Days that ended", Right.SETTLE,
        reply=list[replies.SettledDay], parameters={"limit": "up to 1000 (250)"},
    ),
    Door(
        "GET", "/api/admin/settlement/detail/{date}", detail, "An ended day", Right.SETTLE, parameters=PAGE,
        reply=replies.SettledDetail,
    ),
)  # fmt: skip
