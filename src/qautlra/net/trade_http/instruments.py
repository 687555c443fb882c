"""Instruments as operators see them: stop, let go on, take off, list one of our own; counts of orders."""

from __future__ import annotations

from typing import Any

import msgspec

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.errors import InputError
from qautlra.net.trade_http.base import Call, Door
from qautlra.net.trade_http.market import instrument_info
from qautlra.trade.board import OwnTerms
from qautlra.wire import office_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire import trade_rows as rows


async def listing(call: Call) -> list[dict[str, Any]]:
    """List every instrument that has prices or is listed, with what stands in it here."""
    exchange, pattern = call.trade.engine.exchange, call.text("pattern").lower()
    lines = dict.fromkeys(call.desk.tape.seen())
    lines |= dict.fromkeys(
        call.desk.instruments.find(exchange.symbol(n)) for n in range(exchange.instruments)
    )

    def shown(line: int) -> dict[str, Any]:
        row = instrument_info(call, line)
        number = exchange.instrument(row["instrument_id"])
        row["listed"] = number is not None
        row["live_orders"] = exchange.live_in(number) if number is not None else 0
        row["holders"] = len(exchange.holders(number)) if number is not None else 0
        return row

    return await call.each(
        shown, [line for line in lines if pattern in call.desk.instruments.symbol(line).lower()]
    )


async def create(call: Call) -> dict[str, Any]:
    """List an instrument the feed does not carry, of a product whose hours are known."""
    asked = await call.body(wire.CreateInstrument)
    board = call.desk.board
    symbol = board.own_name(asked.instrument_id, asked.exchange)
    lower, upper = wire.band_of(asked, asked.price_tick, None)
    terms = OwnTerms(
        price_tick=asked.price_tick,
        contract_multiplier=asked.contract_multiplier,
        upper_limit=upper,
        lower_limit=lower,
        margin_rate=asked.margin_rate,
        commission_rate=asked.commission_rate,
        close_today_rate=asked.close_today_rate,
        instrument_name=asked.instrument_name,
        pre_settlement=asked.pre_settlement,
    )
    board.list_own(symbol, terms)
    await call.trade.durable(call.trade.head_lsn)
    await board.keep_own(symbol, msgspec.to_builtins(terms))
    call.record(Act.SETTINGS_CHANGE, what="instrument create", instrument=symbol)
    return instrument_info(call, call.desk.instruments.find(symbol))


async def update(call: Call) -> dict[str, Any]:
    """Set the price limits of the day."""
    asked = await call.body(wire.UpdateInstrument)
    symbol = call.symbol(call.part("id"))
    number = call.trade.engine.instrument(symbol)
    if number is None:
        raise InputError(f"{symbol} cannot be traded", number=1007)
    board = call.desk.board
    tick, kept = board.terms(symbol)[0], board.own.get(symbol)
    last = call.desk.snapshot(symbol) or {}
    reference = last.get("pre_settlement") if kept is None else kept.get("pre_settlement")
    ticks = [round(price / tick) for price in wire.band_of(asked, tick, reference)]
    lower, upper = ticks[0] * tick, ticks[1] * tick
    code, _, lsn = call.trade.engine.exchange.set_band(number, ticks[0], ticks[1])
    call.trade.wake()
    call.record(
        Act.SETTINGS_CHANGE, what="price limits", instrument=symbol, lower=lower, upper=upper, code=code,
    )  # fmt: skip
    await call.trade.durable(lsn)
    if code:
        raise InputError("these limits are not taken", number=code)
    if kept is not None:
        base = reference if asked.pre_settlement is None else asked.pre_settlement
        limits = {"lower_limit": lower, "upper_limit": upper, "pre_settlement": base}
        await board.keep_own(symbol, board.own[symbol] | limits)
    return {"instrument_id": symbol, "lower_limit": lower, "upper_limit": upper}


async def suspend(call: Call) -> dict[str, Any]:
    """Stop trading in an instrument; its orders stay and can be withdrawn when it goes on."""
    return await _set(call, "suspended")


async def resume(call: Call) -> dict[str, Any]:
    """Let it go on."""
    return await _set(call, "active")


async def delist(call: Call) -> dict[str, Any]:
    """Take it off for good; refused while anybody holds it."""
    symbol = call.symbol(call.part("id"))
    number = call.trade.engine.exchange.instrument(symbol)
    if number is not None:
        holders = [
            name for name in call.trade.accounts()
            for row in call.trade.engine.positions(name, (symbol,))
            if row["volume_long"] or row["volume_short"]
        ]  # fmt: skip
        if holders:
            raise InputError(f"{len(holders)} accounts hold {symbol}", status=409, number=9409)
        if call.trade.engine.exchange.live_in(number):
            raise InputError(f"orders in {symbol} are alive", status=409, number=2005)
    return await _set(call, "delisted")


async def _set(call: Call, status: str) -> dict[str, Any]:
    symbol = call.symbol(call.part("id"))
    if status == "active" and call.desk.board.status_of(symbol) == "delisted":
        raise InputError(f"{symbol} was taken off", status=409, number=9409)
    await call.desk.board.set_status(symbol, status, call.who.user_id)
    await call.trade.durable(call.trade.head_lsn)
    call.record(Act.SETTINGS_CHANGE, what=f"instrument {status}", instrument=symbol)
    return {"instrument_id": symbol, "status": call.desk.board.status_of(symbol)}


async def order_stats(call: Call) -> dict[str, Any]:
    """Count the day's orders, of accounts that trade outside too."""
    trade, outside, exchange = call.trade, call.trade.router, call.trade.engine.exchange
    tally, volume, listed = exchange.tally_orders()
    counts = dict(zip(rows.STATUSES, tally, strict=True))
    by_instrument = {trade.engine.symbol(number): count for number, count in listed.items()}
    for order in outside.orders():
        counts[rows.status_of(order)] += 1
        by_instrument[order.symbol] = by_instrument.get(order.symbol, 0) + 1
        volume += order.volume - order.volume_left
    busiest = sorted(by_instrument.items(), key=lambda item: item[1], reverse=True)[:20]
    return {
        "trading_day": str(trade.trading_day),
        "total_orders": sum(counts.values()),
        "live_orders": exchange.accounts_live_orders + sum(one.is_alive for one in outside.orders()),
        "total_trades": exchange.trades + len(outside.trades()),
        "filled_volume": volume,
        "by_status": counts,
        "by_instrument": [{"instrument_id": name, "orders": count} for name, count in busiest],
    }


_MANAGE = Right.MANAGE_INSTRUMENTS
DOORS = (
    Door(
        "GET", "/api/admin/market/order-stats", order_stats, "The day's orders counted", Right.MONITOR,
        reply=replies.OrderStats,
    ),
    Door(
        "GET", "/api/admin/instruments", listing, "Instruments", Right.MONITOR,
        reply=list[replies.InstrumentRow], parameters={"pattern": "part of the symbol, either case"},
    ),
    Door(
        "POST", "/api/admin/instrument/create", create, "List an instrument of our own", _MANAGE,
        wire.CreateInstrument, replies.InstrumentInfo,
    ),
    Door(
        "PUT", "/api/admin/instrument/{id}/update", update, "Set price limits", _MANAGE,
        wire.UpdateInstrument,
        reply=replies.InstrumentLimits,
    ),
    Door(
        "PUT", "/api/admin/instrument/{id}/suspend", suspend, "Stop an instrument", _MANAGE,
        reply=replies.InstrumentStatus,
    ),
    Door(
        "PUT", "/api/admin/instrument/{id}/resume", resume, "Let it go on", _MANAGE,
        reply=replies.InstrumentStatus,
    ),
    Door(
        "DELETE", "/api/admin/instrument/{id}/delist", delist, "Take it off for good", _MANAGE,
        reply=replies.InstrumentStatus,
    ),
)  # fmt: skip
