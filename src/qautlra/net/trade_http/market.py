"""The market as a trader sees it: instruments, book, tick, trades, bars. Open on loopback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from qautlra.auth.rights import Right
from qautlra.base.errors import InputError, NotFoundError
from qautlra.feed.series import BAR_FIELDS
from qautlra.model.naming import instrument_name
from qautlra.net.trade_http.base import SLICE_COUNT, Call, Door
from qautlra.wire.qamd import rfc3339

PERIODS_S: Final = {0: 86_400, 4: 60, 5: 300, 6: 900, 7: 1_800, 8: 3_600}
BARS_COUNT: Final = 10_000
LEVELS_COUNT: Final = 10


def instrument_info(call: Call, line: int) -> dict[str, Any]:
    """Return an instrument as it is shown."""
    desk = call.desk
    info, last = desk.instruments.info(line), desk.tape.last(line) or {}
    fee = info["fee"]
    symbol = info["symbol"]
    kept = desk.board.own.get(symbol, {})
    known: dict[str, Any] = {
        name: kept.get(name) if last.get(name) is None else last[name]
        for name in ("upper_limit", "lower_limit", "pre_settlement")
    }
    base = known["pre_settlement"]
    return {
        "instrument_id": symbol,
        "instrument_name": kept.get("instrument_name") or instrument_name(info),
        "instrument_type": info["kind"],
        "exchange": info["exchange_id"],
        "product_id": info["product_id"],
        "contract_multiplier": kept.get("contract_multiplier", info["volume_multiple"]),
        "price_tick": kept.get("price_tick", info["price_tick"]),
        "margin_rate": kept.get("margin_rate", info["margin_ratio"]),
        "commission_rate": kept.get("commission_rate", fee),
        **known,
        "limit_up_rate": known["upper_limit"] / base - 1 if base and known["upper_limit"] else None,
        "limit_down_rate": 1 - known["lower_limit"] / base if base and known["lower_limit"] else None,
        "last_price": last.get("last_price"),
        "status": desk.board.status_of(symbol),
        "expire_year": info["delivery_year"],
        "expire_month": info["delivery_month"],
    }


async def details(call: Call, symbols: Iterable[str]) -> list[dict[str, Any]]:
    """Return instruments with their terms, those that have prices; a few at a time."""
    lines = [call.desk.instruments.find(symbol) for symbol in symbols]
    priced = [line for line in lines if call.desk.tape.last_identity(line) is not None]
    return await call.each(lambda line: instrument_info(call, line), priced)


async def tick(call: Call) -> dict[str, Any]:
    """Show the newest snapshot."""
    symbol, last = _last(call)
    return {"instrument_id": symbol, **_timed(last)}


async def orderbook(call: Call) -> dict[str, Any]:
    """Show the feed's levels, and the exchange's own book: those levels and users' orders together."""
    symbol, last = _last(call)
    depth = call.number("depth", 5, 1, LEVELS_COUNT)
    sides = {
        side: [
            {"price": last[f"{side}_price{level}"], "volume": last.get(f"{side}_volume{level}")}
            for level in range(1, depth + 1)
            if last.get(f"{side}_price{level}") is not None
        ]
        for side in ("bid", "ask")
    }
    own: dict[str, list[dict[str, Any]]] = {"book_bids": [], "book_asks": []}
    number = call.trade.engine.exchange.instrument(symbol)
    if number is not None:
        for name, levels in zip(own, call.trade.engine.exchange.depth(number, depth), strict=True):
            own[name] = [{"price": price, "volume": volume} for price, volume in levels]
    timed = _timed(last)
    return {
        "instrument_id": symbol,
        "bids": sides["bid"],
        "asks": sides["ask"],
        **own,
        "last_price": last.get("last_price"),
        "timestamp": timed["timestamp"],
        "datetime": timed["datetime"],
    }


async def trades(call: Call) -> list[dict[str, Any]]:
    """Show the newest matches of this exchange in an instrument: price, volume, time; not whose."""
    symbol = call.symbol(call.part("id"))
    limit = call.number("limit", 50, 1, 1_000)
    engine = call.trade.engine
    found: dict[str, dict[str, Any]] = {}
    instrument = engine.exchange.instrument(symbol)
    for number in range(engine.exchange.trades - 1, -1, -1):
        if number % SLICE_COUNT == 0:
            await call.give_way()
        raw = engine.exchange.trade(number)
        if raw["instrument"] != instrument:
            continue
        found.setdefault(
            str(raw["match"]),
            {
                "trade_id": str(raw["match"]),
                "price": raw["price"],
                "volume": raw["volume"],
                "timestamp": raw["time_ns"] // 1_000_000,
            },
        )
        if len(found) >= limit:
            break
    return list(found.values())


async def kline(call: Call) -> dict[str, Any]:
    """Show bars: period 0 a day, 4 one minute, 5 five, 6 fifteen, 7 thirty, 8 sixty."""
    catalogue = call.deps.feed.catalogue if call.deps.feed is not None else None
    if catalogue is not None:
        catalogue.enter(call.part("id"))  # bars of main contracts are made, wanted or not
    symbol = call.symbol(call.part("id"))
    period = call.number("period", 4, 0, 8)
    if period not in PERIODS_S:
        raise InputError("period: expected one of " + ", ".join(map(str, PERIODS_S)), number=1008)
    count = call.number("count", 500, 1, BARS_COUNT)
    bars = await _bars(call, symbol, PERIODS_S[period], count)
    return {"instrument_id": symbol, "period": period, "period_s": PERIODS_S[period], "data": bars}


class _Nobody:
    """Looks at a line once and need not be told of changes."""

    def changed(self) -> None:
        """Do nothing."""


async def _bars(call: Call, symbol: str, period_s: int, count: int) -> list[dict[str, Any]]:
    """Return the newest bars: out of the series charts share, the store's past included, else of the tape."""
    number = call.desk.instruments.find(symbol)
    lines = call.deps.feed.lines if call.deps.feed is not None else None
    if lines is None:
        rows = call.desk.tape.bars(number, period_s).to_pylist()[-count:]
        return [_bar(row["datetime"], row) for row in rows]
    nobody = _Nobody()
    line = lines.watch(symbol, number, period_s, nobody)
    try:
        await line.open(count, lines.now_ns())
        await line.reach(line.series.last - count + 1)
        block = line.series.block
        block = block.part(block.last - count + 1, block.last)
        found = list(zip(block.times.tolist(), block.values.tolist(), strict=True))
    finally:
        lines.leave(line, nobody)
    bars = (_bar(ns, dict(zip(BAR_FIELDS, values, strict=True))) for ns, values in found)
    return [bar for bar in bars if bar["close"] == bar["close"]]  # nothing happened: no prices


def _bar(ns: int, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "timestamp": ns // 1_000_000,
        "datetime": rfc3339(ns),
        **{name: row[name] for name in ("open", "high", "low", "close", "volume")},
        "open_interest": row["close_oi"],
    }


def _last(call: Call) -> tuple[str, dict[str, Any]]:
    symbol = call.symbol(call.part("id"))
    last = call.desk.snapshot(symbol)
    if last is None:
        raise NotFoundError(f"no price of {symbol} yet")
    return symbol, last


def _timed(last: dict[str, Any]) -> dict[str, Any]:
    ns = int(last.get("datetime") or 0)
    rest = {name: value for name, value in last.items() if name not in ("datetime", "instrument_id")}
    return {**rest, "timestamp": ns // 1_000_000, "datetime": rfc3339(ns) if ns else None}


_ROWS = list[dict[str, Any]]
DOORS = (
    Door(
        "GET", "/api/market/orderbook/{id}", orderbook, "Levels of the book", Right.MARKET,
        parameters={"depth": f"levels, up to {LEVELS_COUNT} (5)"},
    ),
    Door("GET", "/api/market/tick/{id}", tick, "The newest snapshot", Right.MARKET),
    Door(
        "GET", "/api/market/trades/{id}", trades, "The newest matches here", Right.MARKET, reply=_ROWS,
        parameters={"limit": "up to 1000 (50)"},
    ),
    Door(
        "GET", "/api/market/kline/{id}", kline, "Bars", Right.MARKET,
        parameters={"period": "0 day, 4 1m, 5 5m, 6 15m, 7 30m, 8 60m", "count": "the newest (500)"},
    ),
)  # fmt: skip
