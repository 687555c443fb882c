"""Risk as operators see it: accounts by level, margin, alerts, liquidation, the kill switch."""

from __future__ import annotations

from typing import Any, Final

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.errors import InputError
from qautlra.net.route import OneOf
from qautlra.net.trade_http.base import Call, Door
from qautlra.net.trade_http.positions import positions_of
from qautlra.trade.alerts import LEVELS, Alert
from qautlra.trade.liquidation import Liquidation, to_dict
from qautlra.trade.monitor import STATES
from qautlra.wire import office_replies as replies
from qautlra.wire import trade_rest as wire

ALERTS_COUNT = 500
RISK_LEVELS: Final = OneOf(LEVELS)


async def accounts(call: Call) -> list[dict[str, Any]]:
    """Show accounts by risk, the riskiest first."""
    rows = call.trade.monitor.accounts(call.word("risk_level", RISK_LEVELS) or None)
    return [row | {"user_id": call.owner(row["account_id"])} for row in rows]


async def margin_summary(call: Call) -> dict[str, Any]:
    """Sum up margin over all accounts, by level and by instrument."""
    by_level = dict.fromkeys(LEVELS, 0)
    by_instrument: dict[str, dict[str, float]] = {}
    total = {"balance": 0.0, "margin": 0.0, "available": 0.0, "frozen_margin": 0.0}
    for account_id in call.trade.accounts():
        funds = call.trade.funds(account_id)
        by_level[call.trade.monitor.level(account_id)] += 1
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
    """Show the newest alerts of an account, of all without one, newest first."""
    account_id = call.text("account_id")
    found = call.trade.monitor.alerts(call.account(account_id) if account_id else None)
    return [_alert(one) for one in found[::-1][:ALERTS_COUNT]]


def _alert(alert: Alert) -> dict[str, Any]:
    shown = alert.to_dict()
    return shown | {"timestamp": shown.pop("ts_ns") // 1_000_000}


async def handle(call: Call) -> dict[str, Any]:
    """Mark an alert as seen to."""
    asked = await call.body(wire.AlertRequest)
    account_id, monitor = call.account(asked.account_id), call.trade.monitor
    await call.done(monitor.handle(account_id, asked.alert_id, call.who.user_id))
    return {"account_id": account_id, "alert_id": asked.alert_id, "handled": True}


async def liquidations(call: Call) -> list[dict[str, Any]]:
    """Show liquidations, newest first."""
    account_id = call.text("account_id")
    wanted = call.account(account_id) if account_id else None
    found = call.trade.liquidator.records(wanted, call.number("limit", 100, 1, 1_000))
    return [_shown(record) for record in found]


async def liquidate(call: Call) -> dict[str, Any]:
    """Begin to close everything an account holds; the record says how far it is."""
    asked = await call.body(wire.LiquidateRequest)
    account_id = call.account(asked.account_id)
    record = call.trade.liquidator.start(account_id, reason=asked.reason, by=call.who.user_id)
    await call.trade.durable(call.trade.head_lsn)
    call.record(Act.LIQUIDATION, account_id, reason=asked.reason, status=record.status)
    return _shown(record)


def _shown(record: Liquidation) -> dict[str, Any]:
    shown = to_dict(record)
    for name in ("started", "ended"):
        shown[f"{name}_at"] = shown.pop(f"{name}_ns") // 1_000_000 or None
    return shown


async def state(call: Call) -> dict[str, Any]:
    """Show what may be traded: by everybody, and by accounts that are not ACTIVE."""
    monitor = call.trade.monitor
    states = {name: monitor.state(name) for name in call.trade.accounts()}
    special = {name: one for name, one in states.items() if one != "ACTIVE"}
    return {"state": monitor.state(), "accounts": special}


async def set_state(call: Call) -> dict[str, Any]:
    """Throw the kill switch or release it; HALTED withdraws every order unless told otherwise."""
    asked = await call.body(wire.StateRequest)
    wanted = asked.state.strip().upper()
    if wanted not in STATES:
        raise InputError(f"state: expected one of {', '.join(STATES)}", number=1008)
    account_id = None if asked.account_id is None else call.account(asked.account_id)
    named = STATES[STATES.index(wanted)]
    await call.done(call.trade.monitor.set_state(named, account_id, cancel=asked.cancel_orders))
    call.record(Act.RISK_STATE, asked.account_id or "", state=wanted, cancelled=asked.cancel_orders)
    return await state(call)


DOORS = (
    Door(
        "GET", "/api/management/risk/accounts", accounts, "Accounts by risk", Right.VIEW_RISK,
        reply=list[replies.RiskAccount],
        parameters={"risk_level": RISK_LEVELS},
    ),
    Door(
        "GET", "/api/management/risk/margin-summary", margin_summary, "Margin of all", Right.VIEW_RISK,
        reply=replies.MarginSummary,
    ),
    Door(
        "GET", "/api/management/risk/alerts", alerts, "Alerts", Right.VIEW_RISK, reply=list[replies.AlertRow],
        parameters={"account_id": "of this account"},
    ),
    Door(
        "POST", "/api/management/risk/alerts/handle", handle, "An alert was seen to", Right.MANAGE_RISK,
        wire.AlertRequest,
        reply=replies.AlertHandled,
    ),
    Door(
        "GET", "/api/management/risk/liquidations", liquidations, "Liquidations", Right.VIEW_RISK,
        reply=list[replies.LiquidationRow],
        parameters={"account_id": "of this account", "limit": "up to 1000 (100)"},
    ),
    Door(
        "POST", "/api/management/risk/force-liquidate", liquidate, "Close what an account holds",
        Right.MANAGE_RISK, wire.LiquidateRequest,
        reply=replies.LiquidationRow,
    ),
    Door(
        "GET", "/api/admin/risk/state", state, "What may be traded", Right.VIEW_RISK,
        reply=replies.RiskState,
    ),
    Door(
        "POST", "/api/admin/risk/state", set_state, "The kill switch", Right.MANAGE_RISK, wire.StateRequest,
        reply=replies.RiskState,
    ),
)  # fmt: skip
