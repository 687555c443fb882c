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
from qautlra.wire.settlement import risk_ratio
from qautlra.wire.trade_errors import INTERNAL, TABLE, number_of, refused


async def set_price(call: Call) -> dict[str, Any]:
    """Set the settlement price of an instrument for the day that is traded; it acts when that is settled."""
    asked = await call.body(wire.SettlementPrice)
    symbol = _checked(call, asked, force=asked.force)
    _set(call, symbol, asked.settlement_price, force=asked.force)
    await call.trade.durable(call.trade.head_lsn)
    return {"instrument_id": symbol, "settlement_price": asked.settlement_price}


def _checked(call: Call, asked: wire.SettlementPrice, *, force: bool) -> str:
    """Return the full name of the instrument; the error of a price that cannot be set."""
    symbol, price = call.symbol(asked.instrument_id), asked.settlement_price
    if not 0 < price < 1e9:
        raise refused(1008, f"settlement_price of {symbol}: expected a number above 0")
    code = call.trade.settling.refusal(symbol, price, force=force)
    if code:
        call.record(Act.SETTLEMENT, ok=False, what="price", instrument=symbol, price=price, code=code)
        row = TABLE.get(code, TABLE[INTERNAL])
        raise refused(code, f"{symbol} {price:.12g}: {row.en}", zh=f"{symbol} {price:.12g}：{row.zh}")
    return symbol


def _set(call: Call, symbol: str, price: float, *, force: bool) -> None:
    answer = call.trade.settling.set_price(symbol, price, force=force)
    call.record(Act.SETTLEMENT, ok=answer.ok, what="price", instrument=symbol, price=price, force=force)
    if not answer.ok:
        raise refused(answer.code, zh=answer.text)


async def set_prices(call: Call) -> dict[str, Any]:
    """Set several: none when one is refused. What the journal does not take is told of each."""
    asked = await call.body(wire.SettlementPrices)
    forced = [asked.force or one.force for one in asked.prices]
    symbols = [_checked(call, one, force=force) for one, force in zip(asked.prices, forced, strict=True)]
    results = []
    for one, symbol, force in zip(asked.prices, symbols, forced, strict=True):
        try:
            _set(call, symbol, one.settlement_price, force=force)
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
    found = await asyncio.to_thread((await call.trade.settling.settled()).settlement, day)
    if found is None:
        raise refused(6003)
    return _shown(found)


async def history(call: Call) -> list[dict[str, Any]]:
    """Show the days that ended, newest first."""
    count = call.number("limit", 250, 1, 1_000)
    statements = await call.trade.settling.settled()
    return [_shown(one) for one in await asyncio.to_thread(statements.settlements, count)]


async def detail(call: Call) -> dict[str, Any]:
    """Show an ended day with every account's money, by page."""
    first, last = call.page()
    day = call.part("date").replace("-", "")
    number = int(day) if day.isascii() and day.isdigit() and len(day) == 8 else 0
    statements = await call.trade.settling.settled()
    found = await asyncio.to_thread(statements.settlement, number)
    if found is None:
        raise refused(6003)
    accounts = await asyncio.to_thread(statements.of_day, number, last - first, first)
    details = [
        {"account_id": one.account_id, "funds": {**one.funds, "risk_ratio": risk_ratio(one.funds)}}
        for one in accounts
    ]
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
