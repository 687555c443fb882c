"""Risk as operators see it: accounts by level, margin, alerts, liquidation, the kill switch."""

from __future__ import annotations

from typing import Any

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.errors import InputError
from qautlra.net.trade_http.accounts import STATES, account_info
from qautlra.net.trade_http.base import Call, Door
from qautlra.net.trade_http.positions import positions_of
from qautlra.trade.desk import level_of
from qautlra.wire import trade_rest as wire
from qautlra.wire.trade_errors import refused

LEVELS = ("low", "medium", "high", "critical")


async def accounts(call: Call) -> list[dict[str, Any]]:
    """Show accounts by risk, the riskiest first."""
    wanted = call.text("risk_level").lower()
    if wanted not in ("", *LEVELS):
        raise InputError(f"risk_level: expected one of {', '.join(LEVELS)}", number=1008)
    found = []
    for account_id in call.trade.accounts():
        funds = call.trade.funds(account_id)
        level = level_of(funds["risk_ratio"])
        if wanted in ("", level):
            found.append(
                {
                    "account_id": account_id,
                    "user_id": call.owner(account_id),
                    "risk_level": level,
                    **{name: funds[name] for name in ("risk_ratio", "balance", "margin", "available")},
                    "position_profit": funds["position_profit"],
                    "state": account_info(call, account_id).trading_state,
                }
            )
    return sorted(found, key=lambda row: row["risk_ratio"] or 0.0, reverse=True)


async def margin_summary(call: Call) -> dict[str, Any]:
    """Sum up margin over all accounts, by level and by instrument."""
    by_level = dict.fromkeys(LEVELS, 0)
    by_instrument: dict[str, dict[str, float]] = {}
    total = {"balance": 0.0, "margin": 0.0, "available": 0.0, "frozen_margin": 0.0}
    for account_id in call.trade.accounts():
        funds = call.trade.funds(account_id)
        by_level[level_of(funds["risk_ratio"])] += 1
        for name in total:
            total[name] += funds[name]
        for row in positions_of(call, account_id):
            one = by_instrument.setdefault(row["instrument_id"], {"margin": 0.0, "long": 0, "short": 0})
            one["margin"] += row["margin"]
            one["long"] += row["volume_long"]
            one["short"] += row["volume_short"]
    return {
        "accounts": len(call.trade.accounts()),
        **{f"total_{name}": value for name, value in total.items()},
        "risk_ratio": total["margin"] / total["balance"] if total["balance"] > 0 else None,
        "by_level": by_level,
        "by_instrument": [{"instrument_id": name, **row} for name, row in sorted(by_instrument.items())],
    }


async def alerts(call: Call) -> list[dict[str, Any]]:
    """Show the newest alerts of an account, of all without one."""
    account_id = call.text("account_id")
    engine = call.trade.engine
    names = [call.account(account_id)] if account_id else call.trade.accounts()
    found = []
    for name in names:
        for alert in engine.exchange.gate.alerts(engine.number(name) or 0):
            shown = {"account_id": name, **alert, "timestamp": alert["ts_ns"] // 1_000_000}
            found.append({key: value for key, value in shown.items() if key != "ts_ns"})
    return sorted(found, key=lambda row: row["timestamp"], reverse=True)[:500]


async def handle(call: Call) -> dict[str, Any]:
    """Mark an alert as seen to."""
    asked = await call.body(wire.AlertRequest)
    number = call.trade.engine.number(call.account(asked.account_id)) or 0
    if not 0 <= asked.seq < 1 << 63 or not call.trade.engine.exchange.gate.handle(number, asked.seq):
        raise refused(9404, "no such alert")
    return {"account_id": asked.account_id, "seq": asked.seq, "handled": True}


async def liquidations(call: Call) -> list[dict[str, Any]]:
    """Show liquidations, newest first."""
    found = await call.desk.ask(
        call.desk.records.listed, "liquidations", count=call.number("limit", 100, 1, 1_000)
    )
    return [_shown(row) for row in found]


async def liquidate(call: Call) -> dict[str, Any]:
    """Close everything an account holds."""
    asked = await call.body(wire.LiquidateRequest)
    account_id = call.account(asked.account_id)
    record = await call.desk.liquidate(account_id, asked.reason, call.who.user_id)
    call.record(
        Act.LIQUIDATION,
        account_id,
        ok=record["status"] != "failed",
        reason=asked.reason,
        status=record["status"],
    )
    return _shown(record)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {"record_id": row["id"], "timestamp": row["ts_ns"] // 1_000_000} | {
        key: value for key, value in row.items() if key not in ("id", "ts_ns")
    }


async def state(call: Call) -> dict[str, Any]:
    """Show what may be traded: by everybody, and by accounts that are not ACTIVE."""
    engine = call.trade.engine
    gate = engine.exchange.gate
    special = {
        name: STATES[one]
        for name in engine.accounts()
        if (one := gate.account_state(engine.number(name) or 0))
    }
    return {"state": STATES[gate.state], "accounts": special}


async def set_state(call: Call) -> dict[str, Any]:
    """Throw the kill switch or release it; HALTED withdraws every order unless told otherwise."""
    asked = await call.body(wire.StateRequest)
    wanted = asked.state.strip().upper()
    if wanted not in STATES:
        raise InputError(f"state: expected one of {', '.join(STATES)}", number=1008)
    engine = call.trade.engine
    number = None if asked.account_id is None else engine.number(call.account(asked.account_id))
    engine.exchange.set_state(STATES.index(wanted), number)
    if wanted == "HALTED" and asked.cancel_orders:
        call.trade.cancel_all(asked.account_id)
    call.trade.wake()
    await call.trade.durable(call.trade.head_lsn)
    call.record(Act.RISK_STATE, asked.account_id or "", state=wanted, cancelled=asked.cancel_orders)
    return await state(call)


_ROWS = list[dict[str, Any]]
DOORS = (
    Door(
        "GET", "/api/management/risk/accounts", accounts, "Accounts by risk", Right.VIEW_RISK, reply=_ROWS,
        parameters={"risk_level": ", ".join(LEVELS)},
    ),
    Door("GET", "/api/management/risk/margin-summary", margin_summary, "Margin of all", Right.VIEW_RISK),
    Door(
        "GET", "/api/management/risk/alerts", alerts, "Alerts", Right.VIEW_RISK, reply=_ROWS,
        parameters={"account_id": "of this account"},
    ),
    Door(
        "POST", "/api/management/risk/alerts/handle", handle, "An alert was seen to", Right.MANAGE_RISK,
        wire.AlertRequest,
    ),
    Door(
        "GET", "/api/management/risk/liquidations", liquidations, "Liquidations", Right.VIEW_RISK,
        reply=_ROWS,
        parameters={"limit": "up to 1000 (100)"},
    ),
    Door(
        "POST", "/api/management/risk/force-liquidate", liquidate, "Close what an account holds",
        Right.MANAGE_RISK, wire.LiquidateRequest,
    ),
    Door("GET", "/api/admin/risk/state", state, "What may be traded", Right.VIEW_RISK),
    Door("POST", "/api/admin/risk/state", set_state, "The kill switch", Right.MANAGE_RISK, wire.StateRequest),
)  # fmt: skip
