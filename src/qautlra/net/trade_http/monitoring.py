"""How the system does, for operators: counts, sums, services, storage."""

from __future__ import annotations

import resource
import shutil
from typing import Any

from qautlra import __version__
from qautlra.auth.rights import Right
from qautlra.net.trade_http.base import Call, Door
from qautlra.net.trade_http.instruments import order_stats
from qautlra.wire import office_replies as replies


async def system(call: Call) -> dict[str, Any]:
    """Show everything together."""
    return {
        "status": await status(call),
        "accounts": await accounts(call),
        "orders": await orders(call),
        "trades": await trades(call),
        "storage": await storage(call),
    }


async def status(call: Call) -> dict[str, Any]:
    """Show the process and its services."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    health = call.deps.process.health()
    return {
        "version": __version__,
        "status": health["status"],
        "uptime_s": round(call.deps.process.uptime_s(), 3),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "memory_peak_bytes": usage.ru_maxrss * 1024,
        "clients": call.deps.feed.served_count() if call.deps.feed is not None else 0,
        "instruments": len(call.desk.tape.seen()),
        "ticks": call.desk.tape.head,
        "trading_day": str(call.trade.trading_day),
        "services": [{"name": one["name"], "state": one["state"]} for one in health.get("services", [])],
    }


async def accounts(call: Call) -> dict[str, Any]:
    """Sum up accounts."""
    sums = {"balance": 0.0, "available": 0.0, "margin": 0.0, "commission": 0.0}
    levels = {"low": 0, "medium": 0, "high": 0, "critical": 0}
    names = call.trade.accounts()
    for name in names:
        funds = call.trade.funds(name)
        levels[call.trade.monitor.level(name)] += 1
        for key in sums:
            sums[key] += funds[key]
    return {
        "total_count": len(names),
        **{f"total_{key}": value for key, value in sums.items()},
        "by_level": levels,
    }


async def orders(call: Call) -> dict[str, Any]:
    """Count the day's orders."""
    return await order_stats(call)


async def trades(call: Call) -> dict[str, Any]:
    """Sum up the day's trades, each match of the built-in exchange once; those made outside stand alone."""
    exchange, outside = call.trade.engine.exchange, call.trade.router.trades()
    matches, volume, value = exchange.tally_trades()
    engine, multiple = call.trade.engine, call.desk.multiple
    turnover = sum(worth * multiple(engine.symbol(number)) for number, worth in value.items())
    for trade in outside:
        volume += trade.volume
        turnover += trade.volume * trade.price * call.desk.multiple(trade.symbol)
    return {
        "total_count": exchange.trades + len(outside),
        "matches": matches,
        "total_volume": volume,
        "total_turnover": turnover,
    }


async def storage(call: Call) -> dict[str, Any]:
    """Show the disk and what the journal and the store say of themselves."""
    directory = call.auth.directory
    disk = shutil.disk_usage(directory)
    services = {one["name"]: one for one in call.deps.process.health().get("services", [])}
    return {
        "disk_total_bytes": disk.total,
        "disk_free_bytes": disk.free,
        "journal": call.trade.health(),
        "store": services.get("store"),
    }


async def report(call: Call) -> dict[str, Any]:
    """Show a report of the day."""
    return {"trading_day": str(call.trade.trading_day), **await system(call)}


DOORS = tuple(
    Door("GET", f"/api/monitoring/{name}", work, summary, Right.MONITOR, reply=reply)
    for name, work, summary, reply in (
        ("system", system, "Everything together", replies.SystemState),
        ("status", status, "The process and its services", replies.ProcessState),
        ("accounts", accounts, "Accounts summed up", replies.AccountSums),
        ("orders", orders, "The day's orders counted", replies.OrderStats),
        ("trades", trades, "The day's trades summed up", replies.TradeSums),
        ("storage", storage, "Disk, journal, store", replies.StorageState),
        ("report", report, "A report of the day", replies.DayReport),
    )
)
