"""Stored rows and whole tables: history, export, the market at a glance."""

from __future__ import annotations

import asyncio
import codecs
import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import msgspec
import orjson
from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.base.errors import InputError, UnavailableError
from qautlra.base.loop import in_slices, used_up
from qautlra.model.query import QueryRequest
from qautlra.net.route import OneOf, Parameters
from qautlra.net.trade_http.base import RANGE, Call, Door
from qautlra.net.trade_http.positions import positions_of
from qautlra.net.trade_http.statistics import statements_of
from qautlra.trade.records import ORDERS_COUNT
from qautlra.wire import trade_replies as replies
from qautlra.wire import trade_rows as rows

ROWS_COUNT: Final = 10_000
BARS: Final = "bar_1m"
TICKS: Final = "market_data"
KINDS: Final = OneOf(("orders", "trades", "positions", "transactions"))
FORMS: Final = OneOf(("csv", "json", "excel"))
ORDERS: Final = OneOf(("asc", "desc"))
_HEADS: Final = {
    "orders": ("trading_day", *rows.OrderInfo.__struct_fields__),
    "trades": ("trading_day", *rows.TradeInfo.__struct_fields__),
    "positions": tuple(
        dict.fromkeys(("account_id", "user_id", "instrument_id", *replies.PositionInfo.__annotations__))
    ),
    "transactions": (
        "id", "ts_ns", "account_id", "type", "amount", "balance_after", "trading_day", "method", "remark",
        "by", "transfer_id", "bank_account",
    ),
}  # fmt: skip
"""The columns of each table: a file without rows has them too."""
_MS: Final = ("submit_time", "update_time", "timestamp")
_NS: Final = ("ts_ns",)
_BEIJING: Final = timezone(timedelta(hours=8))
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SLICE_COUNT: Final = 200
PAGE_COUNT: Final = 1_000


async def ticks(call: Call) -> dict[str, Any]:
    """Show stored ticks of an instrument."""
    return await _stored(call, TICKS)


async def klines(call: Call) -> dict[str, Any]:
    """Show stored one-minute bars of an instrument."""
    return await _stored(call, BARS)


async def _stored(call: Call, stream: str) -> dict[str, Any]:
    store = call.deps.store
    if store is None:
        raise UnavailableError("this process has no store")
    symbol = call.symbol(call.text("instrument_id"))
    found = await store.run(
        QueryRequest(
            stream=stream,
            start_time=call.text("start_time", "1h-ago"),
            end_time=call.text("end_time", "now"),
            limit=call.number("limit", 1_000, 1, ROWS_COUNT),
            filter=f"instrument='{symbol}'",
            descending=call.word("order", ORDERS) == "desc",
        )
    )
    if not isinstance(found.chunks, bytes):
        raise UnavailableError("the store answers in pieces")
    return {"instrument_id": symbol, "stream": stream, "data": orjson.loads(found.chunks)}


async def export(call: Call) -> web.Response:
    """Send a table as a file: today's rows and those of ended days in the range.

    `excel` is CSV as spreadsheets open it by themselves: marked as UTF-8, times as texts of Beijing's time.
    """
    account_id = call.chosen(call.text("account_id"), "", Right.VIEW)
    kind, form = call.word("data_type", KINDS, "trades"), call.word("format", FORMS, "csv")
    rows = await _rows(call, account_id, kind)
    body = await asyncio.to_thread(_file, rows, kind, form)
    name = f"{account_id}-{kind}.{'json' if form == 'json' else 'csv'}"
    return web.Response(
        body=body,
        content_type="application/json" if form == "json" else "text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _file(rows: list[dict[str, Any]], kind: str, form: str) -> bytes:
    if form == "json":
        return b"[" + b",".join(orjson.dumps(row) for row in used_up(rows)) + b"]"
    if form == "csv":
        return to_csv(_HEADS[kind], rows)
    return codecs.BOM_UTF8 + to_csv(_HEADS[kind], [_with_times(row) for row in used_up(rows)])


async def _rows(call: Call, account_id: str, kind: str) -> list[dict[str, Any]]:
    trade, ask, records = call.trade, call.desk.ask, call.desk.records
    (start, end), today = call.days(), trade.trading_day
    fresh = start <= today <= end
    if kind == "positions":
        if not fresh:
            raise InputError(f"start, end: positions are those of {today}, older in statements", number=1008)
        return positions_of(call, account_id)
    if kind == "transactions":
        return [row for row in await _money(call, account_id) if start <= int(row["trading_day"] or 0) <= end]
    owner = call.owner(account_id)
    if kind == "orders":
        await trade.settling.settled()
        kept = await ask(records.orders, account_id, start, min(end, today - 1), ORDERS_COUNT + 1)
        if len(kept) > ORDERS_COUNT:
            raise InputError(f"start, end: more than {ORDERS_COUNT} orders in these days", number=1008)
        numbers = trade.order_numbers(account_id, rows.statuses("")) if fresh else []
        kept += [(today, one) for one in await call.made(trade.order, numbers)]
        return await asyncio.to_thread(_table, kept, rows.order_info, owner)
    days = await statements_of(call, account_id, start, min(end, today - 1))
    found = [(day.trading_day, one) for day in days for one in day.trades]
    del days
    found += [
        (today, one) for one in await call.made(trade.trade, trade.trade_numbers(account_id) if fresh else [])
    ]
    return await asyncio.to_thread(_table, found, rows.trade_info, owner)


def _table(
    found: list[tuple[int, Any]], shown: Callable[[Any, str], Any], owner: str
) -> list[dict[str, Any]]:
    return [
        {"trading_day": str(day), **msgspec.to_builtins(shown(one, owner))} for day, one in used_up(found)
    ]


async def _money(call: Call, account_id: str) -> list[dict[str, Any]]:
    """Return every movement of an account's money, oldest first."""
    found: list[dict[str, Any]] = []
    before = 1 << 62
    while page := await call.desk.ask(
        call.desk.records.listed, "money", account_id=account_id, before=before, count=PAGE_COUNT
    ):
        found += page
        before = page[-1]["id"]
    return found[::-1]


def to_csv(head: tuple[str, ...], rows: list[dict[str, Any]]) -> bytes:
    """Return rows as CSV under `head` and give them up; a text that a spreadsheet would run is quoted."""
    out = io.StringIO()
    names = list(dict.fromkeys((*head, *(name for row in in_slices(rows) for name in row))))
    writer = csv.writer(out)
    writer.writerow(names)
    for row in used_up(rows):
        writer.writerow([_harmless(row.get(name, "")) for name in names])
    return out.getvalue().encode()


def _with_times(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose times are texts; one that is not known stays 0."""
    return {
        name: _time(value, 10**3)
        if value and name in _MS
        else _time(value, 10**9)
        if value and name in _NS
        else value
        for name, value in row.items()
    }


def _time(value: int, unit: int) -> str:
    moment = datetime.fromtimestamp(value // unit, _BEIJING)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{value % unit * 1000 // unit:03d}"


def _harmless(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


async def overview(call: Call) -> dict[str, Any]:
    """Show the market at a glance: how many rose and fell, what moved and traded most."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(call.desk.tape.seen()):
        if number % _SLICE_COUNT == _SLICE_COUNT - 1:
            await asyncio.sleep(0)
        last = call.desk.tape.last(line) or {}
        price, before = last.get("last_price"), last.get("pre_settlement") or last.get("pre_close")
        if not isinstance(price, int | float) or not isinstance(before, int | float) or not before:
            continue
        rows.append(
            {
                "instrument_id": call.desk.instruments.symbol(line),
                "last_price": price,
                "change": price - before,
                "change_ratio": price / before - 1,
                "volume": last.get("volume"),
                "amount": last.get("amount"),
                "open_interest": last.get("open_interest"),
            }
        )
    rows.sort(key=lambda row: row["change_ratio"])
    return {
        "instruments": len(rows),
        "up": sum(row["change"] > 0 for row in rows),
        "down": sum(row["change"] < 0 for row in rows),
        "flat": sum(row["change"] == 0 for row in rows),
        "amount": sum(row["amount"] or 0 for row in rows),
        "top_gainers": [row for row in reversed(rows) if row["change"] > 0][:10],
        "top_losers": [row for row in rows if row["change"] < 0][:10],
        "most_traded": sorted(rows, key=lambda row: row["amount"] or 0, reverse=True)[:10],
    }


_STORED: Final[Parameters] = {
    "instrument_id": "in any spelling",
    "start_time": "1h-ago, 2025-06-03 09:30, … (1h-ago)",
    "end_time": "now",
    "limit": f"up to {ROWS_COUNT} (1000)",
    "order": ORDERS,
}
DOORS = (
    Door("GET", "/api/data/history/ticks", ticks, "Stored ticks", Right.MARKET, parameters=_STORED),
    Door("GET", "/api/data/history/klines", klines, "Stored minute bars", Right.MARKET, parameters=_STORED),
    Door(
        "GET", "/api/data/export", export, "A table as a file", Right.VIEW,
        parameters={"account_id": "the account", "data_type": KINDS, "format": FORMS, **RANGE},
    ),
    Door("GET", "/api/data/overview/market", overview, "The market at a glance", Right.MARKET),
)  # fmt: skip
