"""Figures made of real trades and real days: statistics, profit, risk, rankings, positions, the statement."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from qautlra.auth.rights import Right
from qautlra.base.errors import UnavailableError
from qautlra.base.loop import in_slices, used_up
from qautlra.model.order import Direction, Offset, Trade
from qautlra.net.trade_http.accounts import account_info
from qautlra.net.trade_http.base import PAGE_COUNT, RANGE, Call, Door
from qautlra.net.trade_http.positions import positions_of
from qautlra.trade import statistics as figures
from qautlra.trade.statements import DayFunds, Statement
from qautlra.trade.statistics import Deal, money
from qautlra.wire import settlement
from qautlra.wire import trade_replies as replies
from qautlra.wire import trade_rows as rows
from qautlra.wire.envelope import Rows
from qautlra.wire.trade_errors import refused

WHOSE = {
    "account_id": "the account (may be left out by who owns one)",
    "user_id": "or who owns it",
    **RANGE,
}


async def statements_of(call: Call, account_id: str, start: int, end: int) -> list[Statement]:
    """Return an account's statements of ended days."""
    statements = await call.trade.settling.settled()
    return await asyncio.to_thread(statements.of_account, account_id, start, end)


class _History(NamedTuple):
    """An account's days as far as there are statements, and today."""

    today: int
    statements: list[Statement]
    deals: list[Deal]  # oldest first
    multiples: dict[str, float]

    def between(self, start: int, end: int) -> list[Deal]:
        return [deal for deal in in_slices(self.deals) if start <= deal.trading_day <= end]

    def multiple(self, symbol: str) -> float:
        return self.multiples[symbol]


async def _history(call: Call, account_id: str) -> _History:
    """Return every trade there is a record of; what goes through them all runs beside the loop."""
    today = call.trade.trading_day
    statements = await statements_of(call, account_id, 0, today - 1)
    days = [(kept.trading_day, kept.trades) for kept in statements]
    days.append((today, await call.made(call.trade.trade, call.trade.trade_numbers(account_id))))
    symbols = await asyncio.to_thread(
        lambda: {trade.symbol for _, trades in days for trade in in_slices(trades)}
    )
    shares = {symbol for symbol in symbols if call.desk.is_share(symbol)}
    deals = await asyncio.to_thread(
        lambda: [
            _deal(trade, day, trade.symbol in shares) for day, trades in days for trade in in_slices(trades)
        ]
    )
    if call.trade.trading_day != today:
        raise UnavailableError("the trading day has ended meanwhile; ask again")
    held = {row["symbol"] for kept in statements for row in kept.positions}
    held |= {row["symbol"] for row in call.trade.positions(account_id)}
    return _History(
        today, statements, deals, {symbol: call.desk.multiple(symbol) for symbol in symbols | held}
    )


def _deal(trade: Trade, day: int, is_share: bool) -> Deal:
    is_buy = trade.direction is Direction.BUY
    offset = trade.offset
    if is_share:  # whatever was said: what is bought opens, what is sold closes
        offset = Offset.OPEN if is_buy else Offset.CLOSE
    return Deal(
        trade.symbol,
        is_buy,
        offset.name,
        trade.volume,
        trade.price,
        trade.commission,
        trade.trade_ns,
        day,
    )


async def trades(call: Call) -> dict[str, Any]:
    """Sum up trades; lots are paired over all days."""
    account_id = call.chosen(call.text("account_id"), call.text("user_id"), Right.VIEW)
    start, end = call.days()
    history = await _history(call, account_id)

    def summed() -> dict[str, Any]:
        pairing = figures.Pairing(history.multiple)
        pairing.take(history.deals)
        done = [one for one in in_slices(pairing.closings) if start <= one.trading_day <= end]
        return figures.trade_statistics(history.between(start, end), done, history.multiple)

    return {"account_id": account_id, **await asyncio.to_thread(summed)}


async def pnl(call: Call) -> dict[str, Any]:
    """Show profit of the days asked for: what was realised against open prices, how what is not realised has
    changed, fees, by day and by instrument. The days' profits add up to `net`.
    """
    account_id = call.chosen(call.text("account_id"), call.text("user_id"), Right.VIEW)
    start, end = call.days()
    history = await _history(call, account_id)
    now = call.trade.positions(account_id)
    days = _funds(call, account_id, history.statements, start, end)
    sums = await asyncio.to_thread(_profit, history, start, end, now)
    return {
        "account_id": account_id,
        **{name: sums[name] for name in ("realized", "unrealized", "total", "commission", "net")},
        "daily_pnl": [_day(day, funds) for day, funds in days],
        "instrument_pnl": sums["instrument_pnl"],
    }


def _profit(history: _History, start: int, end: int, now: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of `pnl`; `now` are the positions of today."""
    pairing = figures.Pairing(history.multiple)

    def open_at(day: int) -> dict[str, float]:
        """Return what was not realised at the end of a day, by instrument."""
        kept = [one for one in history.statements if one.trading_day <= day]
        positions = now if day >= history.today else kept[-1].positions if kept else []
        return figures.unrealized(pairing.open_lots(), positions, history.multiple)

    pairing.take(history.between(0, start - 1))
    before, earlier = open_at(start - 1), len(pairing.closings)
    deals = history.between(start, end)
    pairing.take(deals)
    after, done = open_at(end), pairing.closings[earlier:]
    rows: dict[str, dict[str, float]] = {}

    def row(symbol: str) -> dict[str, float]:
        return rows.setdefault(symbol, {"profit": 0.0, "unrealized": 0.0, "commission": 0.0})

    for one in in_slices(done):
        row(one.symbol)["profit"] += one.profit
    for deal in in_slices(deals):
        row(deal.symbol)["commission"] += deal.commission
    for symbol in before.keys() | after.keys():
        row(symbol)["unrealized"] += after.get(symbol, 0.0) - before.get(symbol, 0.0)
    realized = money(math.fsum(one.profit for one in in_slices(done)))
    commission = money(math.fsum(deal.commission for deal in in_slices(deals)))
    unrealized = money(*after.values(), *(-value for value in before.values()))
    return {
        "realized": realized,
        "unrealized": unrealized,
        "total": money(realized, unrealized),
        "commission": commission,
        "net": money(realized, unrealized, -commission),
        "instrument_pnl": [
            {
                "instrument_id": symbol,
                **{name: money(one[name]) for name in ("profit", "unrealized", "commission")},
                "net": money(one["profit"], one["unrealized"], -one["commission"]),
            }
            for symbol, one in sorted(rows.items())
        ],
    }


def _day(day: int, funds: dict[str, float]) -> dict[str, Any]:
    names = ("close_profit", "position_profit", "commission", "premium", "deposit", "withdraw", "balance")
    return {
        "trading_day": str(day),
        "profit": figures.day_profit(funds),
        **{name: funds[name] for name in names},
    }


async def _days(call: Call, account_id: str) -> list[tuple[int, dict[str, float]]]:
    start, end = call.days()
    statements = await call.trade.settling.settled()
    days = await asyncio.to_thread(statements.funds_of, account_id, start, end)
    return _funds(call, account_id, days, start, end)


def _funds(
    call: Call, account_id: str, statements: Sequence[Statement | DayFunds], start: int, end: int
) -> list[tuple[int, dict[str, float]]]:
    """Return each day's money, today's as it stands."""
    found = [(kept.trading_day, kept.funds) for kept in statements if start <= kept.trading_day <= end]
    today = call.trade.trading_day
    if start <= today <= end and (not found or found[-1][0] < today):
        found.append((today, call.trade.funds(account_id)))
    return found


async def risk(call: Call) -> dict[str, Any]:
    """Show drawdown, volatility and ratios of daily returns."""
    account_id = call.chosen(call.text("account_id"), call.text("user_id"), Right.VIEW)
    days = await _days(call, account_id)
    info = account_info(call, account_id)
    found = figures.risk_statistics([funds for _, funds in days])
    return {"account_id": account_id, "risk_ratio": info.risk_ratio, "risk_level": info.risk_level, **found}


async def rankings(call: Call) -> list[dict[str, Any]]:
    """Order the accounts one may look at by their return."""
    found = []
    for account_id in call.visible():
        days = await _days(call, account_id)
        summed = figures.risk_statistics([funds for _, funds in days])
        found.append(
            {
                "account_id": account_id,
                "user_id": call.owner(account_id),
                "balance": days[-1][1]["balance"] if days else None,
                **{name: summed[name] for name in ("days", "total_return", "max_drawdown", "sharpe")},
            }
        )
    found.sort(key=lambda row: row["total_return"] if row["total_return"] is not None else -1e9, reverse=True)
    limit = call.number("limit", 100, 1, 1_000)
    return [{"rank": place, **row} for place, row in enumerate(found[:limit], 1)]


async def positions(call: Call) -> dict[str, Any]:
    """Show what an account holds and how it is spread."""
    account_id = call.account(call.part("account_id"))
    funds = call.trade.funds(account_id)
    rows = []
    for row in positions_of(call, account_id):
        last = row["last_price"] or 0.0
        value = last * row["contract_multiplier"]
        rows.append(
            {
                "instrument_id": row["instrument_id"],
                "net_volume": row["volume_long"] - row["volume_short"],
                "long_value": value * row["volume_long"],
                "short_value": value * row["volume_short"],
                "margin": row["margin"],
                "margin_share": row["margin"] / funds["balance"] if funds["balance"] > 0 else None,
                "float_profit": row["float_profit"],
                "position_profit": row["position_profit"],
            }
        )
    rows.sort(key=lambda row: row["margin"], reverse=True)
    return {
        "account_id": account_id,
        "balance": funds["balance"],
        "margin": funds["margin"],
        "long_value": sum(row["long_value"] for row in rows),
        "short_value": sum(row["short_value"] for row in rows),
        "concentration": rows[0]["margin_share"] if rows else None,
        "positions": rows,
    }


async def statement(call: Call) -> dict[str, Any]:
    """Show the settlement statement of an ended day."""
    account_id = call.chosen(call.text("account_id"), "", Right.VIEW)
    asked = call.day("date", 0)
    first, last = call.page() if call.asks_page else (0, None)
    found = await call.trade.settling.statement_of(account_id, asked)
    if found is None:
        raise refused(6003)
    names = (
        "pre_balance", "deposit", "withdraw", "commission", "close_profit", "position_profit", "balance",
        "margin", "available", "static_balance", "float_profit", "premium",
    )  # fmt: skip
    owner = call.owner(account_id)
    kept = await call.desk.ask(call.desk.records.orders, account_id, found.trading_day, found.trading_day)
    totals = len(found.trades), len(kept)
    chosen = range(first, max(totals) if last is None else last)

    def shown() -> tuple[str, Rows[rows.TradeInfo], Rows[rows.OrderInfo]]:
        return (
            settlement.render(found),  # before its trades are given up
            Rows(rows.trade_info(one, owner) for at, one in enumerate(used_up(found.trades)) if at in chosen),
            Rows(rows.order_info(one, owner) for at, (_, one) in enumerate(used_up(kept)) if at in chosen),
        )

    text, trades, orders = await asyncio.to_thread(shown)
    return {
        "account_id": account_id,
        "trading_day": str(found.trading_day),
        **{name: found.funds[name] for name in names},
        "risk_ratio": settlement.risk_ratio(found.funds),
        "positions": [row for row in found.positions if row["volume_long"] or row["volume_short"]],
        "trades": trades,
        "trades_total": totals[0],
        "orders": orders,
        "orders_total": totals[1],
        "transfers": found.transfers,
        "settlement_prices": found.prices,
        "text": text,
    }


_ROWS = list[dict[str, Any]]
DOORS = (
    Door("GET", "/api/data/statistics/trades", trades, "Trades summed up", Right.VIEW, parameters=WHOSE),
    Door("GET", "/api/data/statistics/pnl", pnl, "Profit and loss", Right.VIEW, parameters=WHOSE),
    Door("GET", "/api/data/statistics/risk", risk, "Risk of daily returns", Right.VIEW, parameters=WHOSE),
    Door(
        "GET", "/api/data/statistics/rankings", rankings, "Accounts by return", Right.VIEW, reply=_ROWS,
        parameters={"limit": "up to 1000 (100)", **RANGE},
    ),
    Door(
        "GET", "/api/data/analysis/position/{account_id}", positions, "How positions are spread", Right.VIEW
    ),
    Door(
        "GET", "/api/data/settlement/statement", statement, "The statement of an ended day", Right.VIEW,
        parameters={
            "account_id": "the account",
            "date": "YYYYMMDD; the newest when left out",
            "page": "of orders and trades, from 1; without page and page_size all",
            "page_size": f"up to {PAGE_COUNT} (100)",
        },
        reply=replies.StatementReply,
    ),
)  # fmt: skip
