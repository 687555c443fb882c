"""Rates, margins, freezing, passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qautlra.auth.audit import Act
from qautlra.auth.rights import Right
from qautlra.base.errors import InputError
from qautlra.net.auth import address_of
from qautlra.net.trade_http.accounts import account_info, frozen_info
from qautlra.net.trade_http.base import Call, Door
from qautlra.net.trade_http.positions import positions_of
from qautlra.trade.monitor import FreezeKind
from qautlra.wire import trade_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire.users import Done

FREEZES: Mapping[str, FreezeKind] = {
    "TRADING_ONLY": "TRADING_ONLY",
    "WITHDRAW_ONLY": "WITHDRAW_ONLY",
    "FULL": "FULL",
}


async def change_password(call: Call) -> Done:
    """Change one's password: accounts have none of their own."""
    asked = await call.body(wire.PasswordChange)
    wire.check_login_password(asked.password_type)
    user_id, address = call.who.user_id, address_of(call.request)
    await call.auth.change_password(user_id, asked.old_password, asked.new_password, address)
    return Done("password changed; log in again")


async def reset_password(call: Call) -> Done:
    """Set a user's password."""
    asked = await call.body(wire.PasswordReset)
    wire.check_login_password(asked.password_type)
    await call.auth.set_password(asked.user_id, asked.new_password)
    call.record(Act.PASSWORD_CHANGE, user=asked.user_id)
    return Done(f"the password of {asked.user_id} is set; their logins have ended")


async def commission_rates(call: Call) -> list[dict[str, Any]]:
    """Show what trades cost, by instrument."""
    return [
        {
            "instrument_id": symbol,
            "open": _rate(terms["open"]),
            "close": _rate(terms["close"]),
            "close_today": _rate(terms.get("close_today", terms["close"])),
        }
        for symbol, terms in await _terms(call)
    ]


async def margin_rates(call: Call) -> list[dict[str, Any]]:
    """Show what positions bind, by instrument."""
    return [
        {"instrument_id": symbol, "long": _rate(terms["margin"]), "short": _rate(terms["margin"])}
        for symbol, terms in await _terms(call)
    ]


async def _terms(call: Call) -> list[tuple[str, dict[str, Any]]]:
    board, asked = call.desk.board, call.text("instrument_id")
    names = [call.symbol(asked)] if asked else board.tradable()
    found = await call.each(lambda name: (name, board.money_terms(name)), names)
    return [(name, terms) for name, terms in found if terms is not None]


def _rate(pair: tuple[float, float]) -> dict[str, float]:
    return {"ratio_by_money": pair[0], "ratio_by_volume": pair[1]}


async def commission_statistics(call: Call) -> dict[str, Any]:
    """Sum up the day's fees of an account, by instrument."""
    account_id = call.meant(call.part("id"))
    by_instrument: dict[str, dict[str, float]] = {}
    for trade in await call.made(call.trade.trade, call.trade.trade_numbers(account_id)):
        one = by_instrument.setdefault(trade.symbol, {"commission": 0.0, "volume": 0, "trades": 0})
        one["commission"] += trade.commission
        one["volume"] += trade.volume
        one["trades"] += 1
    return {
        "account_id": account_id,
        "total_commission": call.trade.funds(account_id)["commission"],
        "by_instrument": [{"instrument_id": name, **row} for name, row in sorted(by_instrument.items())],
    }


async def margin_summary(call: Call) -> dict[str, Any]:
    """Show what binds an account's money, by position."""
    account_id = call.meant(call.part("id"))
    funds = call.trade.funds(account_id)
    return {
        "account_id": account_id,
        **{
            name: funds[name]
            for name in ("balance", "margin", "frozen_margin", "frozen_commission", "available", "risk_ratio")
        },
        "positions": [
            {
                "instrument_id": row["instrument_id"],
                "margin": row["margin"],
                "margin_long": row["margin_long"],
                "margin_short": row["margin_short"],
            }
            for row in positions_of(call, account_id)
        ],
    }


async def status(call: Call) -> dict[str, Any]:
    """Show whether an account is frozen, and why."""
    account_id = call.meant(call.part("id"))
    info = account_info(call, account_id)
    return {
        "account_id": account_id,
        "status": info.status,
        "trading_state": info.trading_state,
        "freeze": frozen_info(call, account_id),
    }


async def freeze(call: Call) -> dict[str, Any]:
    """Stop an account: its own login and any admin_token count for nothing, the caller's right does."""
    asked = await call.body(wire.FreezeRequest)
    kind = FREEZES.get(asked.freeze_type.strip().upper())
    if kind is None:
        raise InputError(f"freeze_type: expected one of {', '.join(FREEZES)}", number=1008)
    account_id = call.account(asked.account_id)
    await call.done(call.trade.monitor.freeze(account_id, kind, asked.reason, call.who.user_id))
    call.record(Act.ACCOUNT_FREEZE, account_id, reason=asked.reason, freeze_type=asked.freeze_type)
    return {"account_id": account_id, "status": account_info(call, account_id).status}


async def unfreeze(call: Call) -> dict[str, Any]:
    """Let it go on."""
    asked = await call.body(wire.UnfreezeRequest)
    account_id = call.account(asked.account_id)
    await call.done(call.trade.monitor.unfreeze(account_id, asked.reason, call.who.user_id))
    call.record(Act.ACCOUNT_UNFREEZE, account_id, reason=asked.reason)
    return {"account_id": account_id, "status": account_info(call, account_id).status}


_BASE = "/api/account-admin"
_OF_ONE = {"instrument_id": "of this instrument, in any spelling"}
DOORS = (
    Door(
        "POST", f"{_BASE}/password/change", change_password, "Change one's password", Right.USER,
        wire.PasswordChange, Done,
    ),
    Door(
        "POST", f"{_BASE}/password/reset", reset_password, "Set a user's password", Right.MANAGE_USERS,
        wire.PasswordReset, Done,
    ),
    Door(
        "GET", f"{_BASE}/commission/rates", commission_rates, "Fees by instrument", Right.USER,
        reply=list[replies.FeeRates], parameters=_OF_ONE,
    ),
    Door(
        "GET", _BASE + "/commission/statistics/{id}", commission_statistics, "The day's fees", Right.VIEW,
        reply=replies.FeesOfDay,
    ),
    Door(
        "GET", f"{_BASE}/margin/rates", margin_rates, "Margins by instrument", Right.USER,
        reply=list[replies.MarginRates], parameters=_OF_ONE,
    ),
    Door(
        "GET", _BASE + "/margin/summary/{id}", margin_summary, "What binds the money", Right.VIEW,
        reply=replies.MarginOfAccount,
    ),
    Door(
        "GET", _BASE + "/status/{id}", status, "Whether it is frozen", Right.VIEW,
        reply=replies.AccountStatus,
    ),
    Door(
        "POST", f"{_BASE}/freeze", freeze, "Stop an account", Right.FREEZE, wire.FreezeRequest,
        reply=replies.FrozenReply,
    ),
    Door(
        "POST", f"{_BASE}/unfreeze", unfreeze, "Let it go on", Right.FREEZE, wire.UnfreezeRequest,
        reply=replies.FrozenReply,
    ),
)  # fmt: skip
