"""Accounts as their owners see them: open, look, move money, equity over time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from qautlra.auth.audit import Act
from qautlra.auth.rights import Access, Right
from qautlra.base.errors import InputError, NotFoundError
from qautlra.model import qifi as document
from qautlra.net.trade_http.base import RANGE, Call, Door
from qautlra.trade.statistics import day_profit
from qautlra.wire import qifi, qifi_account
from qautlra.wire import trade_replies as replies
from qautlra.wire import trade_rest as wire
from qautlra.wire import trade_rows as rows
from qautlra.wire.envelope import Named
from qautlra.wire.settlement import risk_ratio
from qautlra.wire.trade_errors import refused

BANK = {"bank_id": "SIM", "bank_name": "模拟银行", "currency": "CNY"}
STATES = ("ACTIVE", "REDUCING", "HALTED")
LOCKS = ("active", "trading_frozen", "withdraw_frozen", "frozen")
_TYPES = ("individual", "institutional", "market_maker")


async def create(call: Call) -> dict[str, Any]:
    """Open an account of a user, named as asked for or after the user."""
    asked = await call.body(wire.OpenAccountRequest)
    user_id = call.request.match_info.get("user_id") or asked.user_id or call.who.user_id
    if user_id.lower() != call.who.user_id.lower():
        call.who.require(Right.MANAGE_USERS)
    if asked.account_type not in _TYPES:
        raise InputError(f"account_type: expected one of {', '.join(_TYPES)}", number=1008)
    user, broker = call.auth.users.find(user_id), asked.broker or call.trade.brokers()[0]
    if broker not in call.trade.brokers():
        raise InputError(f"broker: expected one of {', '.join(call.trade.brokers())}", number=1008)
    if broker != call.trade.brokers()[0]:
        call.who.require(Right.MANAGE_USERS)  # it trades with the house's own login there
    name = asked.account_id or asked.account_name or _free_name(call, user.user_id)
    if call.auth.users.account(name) is not None or call.trade.has(name):
        raise refused(2001)
    entry = await call.auth.give_account(user.user_id, name, Access.OWN, broker=broker, cash=asked.init_cash)
    call.record(Act.ACCOUNT_OPEN, name, user=user.user_id, cash=asked.init_cash, broker=entry.broker)
    return {"account_id": name, "user_id": user.user_id, "broker": entry.broker, "opened": entry.opened}


def _free_name(call: Call, user_id: str) -> str:
    for name in (user_id, *(f"{user_id[:60]}-{number}" for number in range(2, 1000))):
        if call.auth.users.account(name) is None and not call.trade.has(name):
            return name
    raise InputError("account_id: name the account", number=1008)


def account_info(call: Call, account_id: str) -> rows.AccountInfo:
    """Return an account's money as it is shown."""
    trade, exchange = call.trade, call.trade.engine.exchange
    funds, number = trade.funds(account_id), trade.engine.number(account_id) or 0
    shown = {name: funds[name] for name in rows.AccountInfo.__struct_fields__ if name in funds}
    seat = trade.router.seat(account_id)
    return rows.AccountInfo(
        account_id=account_id,
        broker=trade.broker_of(account_id),
        status=LOCKS[exchange.account(number).locks],
        trading_state=STATES[exchange.gate.account_state(number)],
        currency="CNY",
        risk_level=trade.monitor.level(account_id),
        trading_day=str(trade.trading_day_of(account_id) or ""),
        broker_state="synced" if seat is None else seat.state,
        **shown,
    )


def frozen_info(call: Call, account_id: str) -> dict[str, Any] | None:
    """Return who froze an account, how and why; None for one that is not frozen."""
    frozen = call.trade.monitor.frozen(account_id)
    if frozen is None:
        return None
    return {
        "freeze_type": frozen.kind,
        "reason": frozen.reason,
        "by": frozen.by,
        "timestamp": frozen.ts_ns // 1_000_000,
    }


async def reckoning(call: Call) -> dict[str, Any]:
    """Show how an account stands with its broker, and our own ledger's figures beside the broker's."""
    account_id = call.account(call.part("account_id"))
    seat = call.trade.router.seat(account_id)
    if seat is None:
        return {"account": account_id, "broker": call.trade.broker_of(account_id), "state": "synced"}
    return seat.status() | seat.broker.reckoning()


async def of_user(call: Call) -> list[rows.AccountInfo]:
    """Show the accounts of a user."""
    return [account_info(call, account_id) for account_id in call.accounts_of(call.part("user_id"))]


async def one(call: Call) -> dict[str, Any]:
    """Show an account as a QIFI document."""
    account_id = call.account(call.part("account_id"))
    trade = call.trade
    orders, trades = await call.day_of(
        account_id,
        lambda number: qifi.plain(qifi_account.order_of(trade.order(number))),
        lambda number: qifi.plain(qifi_account.trade_of(trade.trade(number))),
    )
    transfers = qifi_account.transfers_of(trade.transfers(account_id))
    newest = slice(-qifi_account.EVENTS_COUNT, None)
    funds, held = trade.funds(account_id), trade.positions(account_id)
    day, now_ns, status = trade.trading_day_of(account_id), trade.clock.now_ns(), trade.status_of(account_id)
    # From here on nothing is read: the rest may take its time.
    positions = await call.each(lambda row: qifi_account.position_of(account_id, row), held)
    head = qifi_account.assemble(
        account_id,
        funds=funds,
        positions={row["symbol"]: one for row, one in zip(held, positions, strict=True)},
        orders={},
        trades={},
        transfers=transfers,
        event=qifi_account.events_of(
            [msgspec.convert(one, document.Order) for one in orders[newest]],
            [msgspec.convert(one, document.Trade) for one in trades[newest]],
            transfers,
        ),
        trading_day=day,
        now_ns=now_ns,
        settings=qifi_account.Settings(broker_name=trade.broker_of(account_id)),
        status=status,
    )
    await asyncio.sleep(0)
    found = qifi.to_dict(head)
    for name, key, made in (("orders", "order_id", orders), ("trades", "trade_id", trades)):
        await asyncio.sleep(0)
        found[name] = Named({one[key]: one for one in made})
    return found


async def deposit(call: Call) -> rows.AccountInfo:
    """Put money in."""
    asked = await call.body(wire.MoneyRequest)
    account_id = call.chosen(asked.account_id, asked.user_id, Right.TRANSFER)
    return await move(call, account_id, wire.amount_of(asked.amount), asked)


async def withdraw(call: Call) -> rows.AccountInfo:
    """Take money out."""
    asked = await call.body(wire.MoneyRequest)
    account_id = call.chosen(asked.account_id, asked.user_id, Right.TRANSFER)
    return await move(call, account_id, -wire.amount_of(asked.amount), asked)


async def move(
    call: Call, account_id: str, amount: float, asked: wire.MoneyRequest, act: Act | None = None
) -> rows.AccountInfo:
    """Move money, write down who had it moved (as `act`, else as what it is), and show the account."""
    if asked.request_id and call.trade.is_outside(account_id):
        raise InputError("request_id: the account's broker knows none", number=1008)
    method = asked.method or "bank"
    again = {"again": True} if call.trade.transfer_of(account_id, asked.request_id) is not None else {}
    answer = call.trade.transfer(
        account_id,
        amount,
        by=call.who.user_id,
        method=method,
        remark=asked.remark,
        bank_account=asked.bank_account,
        request_id=asked.request_id,
    )
    if act is None:
        act = Act.DEPOSIT if amount > 0 else Act.WITHDRAW
    told = {"method": asked.method, "remark": asked.remark, "bank_account": asked.bank_account} | again
    call.record(act, account_id, ok=answer.ok, amount=amount, **told)
    await call.done(answer)
    await call.desk.money_kept()
    return account_info(call, account_id)


async def transfer(call: Call) -> dict[str, Any]:
    """Move money between bank and account: in when positive, out when negative."""
    asked = await call.body(wire.TransferRequest)
    account_id = call.account(asked.account_id, Right.TRANSFER)
    if asked.bank_id != BANK["bank_id"]:
        raise NotFoundError(f"no bank {asked.bank_id!r} of this account")
    sign = -1 if asked.amount < 0 else 1
    note = wire.MoneyRequest(amount=abs(asked.amount), method="bank", request_id=asked.request_id)
    again = call.trade.transfer_of(account_id, asked.request_id)
    number = again.seq if again is not None else len(call.trade.transfers(account_id)) + 1
    info = await move(call, account_id, sign * wire.amount_of(abs(asked.amount)), note, Act.TRANSFER)
    if call.trade.is_outside(account_id):  # the broker tells later what became of it
        text = "asked of the account's broker"
        return {"transfer_id": None, "amount": asked.amount, "message": text, "available": info.available}
    return {
        "transfer_id": number,
        "amount": asked.amount,
        "message": "转账成功",
        "available": info.available,
    }


async def banks(call: Call) -> list[dict[str, Any]]:
    """Show the banks of an account."""
    call.account(call.part("account_id"))
    return [BANK]


async def transfers(call: Call) -> list[dict[str, Any]]:
    """Show the day's transfers of an account."""
    return [
        {
            "transfer_id": one.seq,
            "account_id": one.account_id,
            "bank_id": one.bank_id,
            "amount": one.amount,
            "currency": "CNY",
            "success": not one.code,
            "error_code": one.code,
            "message": one.text,
            "timestamp": one.time_ns // 1_000_000,
        }
        for one in call.trade.transfers(call.account(call.part("account_id")))
    ]


async def equity_curve(call: Call) -> dict[str, Any]:
    """Show equity by day, with today as it stands, and by minute since the server started."""
    account_id = call.meant(call.part("user_id"))
    start, end = call.days()
    statements = await call.trade.settling.settled()
    days = await asyncio.to_thread(statements.funds_of, account_id, start, end)
    points = [_point(day.trading_day, day.funds) for day in days]
    today = call.trade.trading_day
    if start <= today <= end and (not days or days[-1].trading_day < today):
        points.append(_point(today, call.trade.funds(account_id)))
    minutes = [
        {"timestamp": ns // 1_000_000, "balance": balance, "available": available, "margin": margin}
        for ns, balance, available, margin in call.desk.equity.get(account_id, ())
    ]
    return {"account_id": account_id, "days": points, "minutes": minutes}


def _point(day: int, funds: dict[str, Any]) -> dict[str, Any]:
    names = ("balance", "available", "margin", "close_profit", "position_profit", "commission", "deposit")
    return {
        "trading_day": str(day),
        **{name: funds[name] for name in names},
        "withdraw": funds["withdraw"],
        "profit": day_profit(funds),
        "risk_ratio": risk_ratio(funds),
    }


_MONEY, _INFO = wire.MoneyRequest, rows.AccountInfo
_INFOS = list[rows.AccountInfo]
DOORS = (
    Door(
        "POST", "/api/user/{user_id}/account/create", create, "Open an account", Right.OPEN_ACCOUNT,
        wire.OpenAccountRequest,
        reply=replies.Opened,
    ),
    Door(
        "POST", "/api/account/open", create, "Open an account", Right.OPEN_ACCOUNT, wire.OpenAccountRequest,
        reply=replies.Opened,
    ),
    Door("GET", "/api/user/{user_id}/accounts", of_user, "Accounts of a user", Right.VIEW, reply=_INFOS),
    Door("POST", "/api/account/deposit", deposit, "Put money in", Right.TRANSFER, _MONEY, _INFO),
    Door("POST", "/api/account/withdraw", withdraw, "Take money out", Right.TRANSFER, _MONEY, _INFO),
    Door(
        "POST", "/api/account/transfer", transfer, "Move money between bank and account", Right.TRANSFER,
        wire.TransferRequest,
        reply=replies.Transferred,
    ),
    Door(
        "GET", "/api/account/{account_id}/banks", banks, "Banks of an account", Right.VIEW,
        reply=list[replies.Bank],
    ),
    Door(
        "GET", "/api/account/{account_id}/transfers", transfers, "The day's transfers", Right.VIEW,
        reply=list[replies.TransferRow],
    ),
    Door(
        "GET", "/api/account/{user_id}/equity-curve", equity_curve, "Equity by day and by minute", Right.VIEW,
        parameters=RANGE,
        reply=replies.EquityCurve,
    ),
    Door(
        "GET", "/api/account/{account_id}/broker", reckoning, "The account's broker, its figures beside ours",
        Right.VIEW,
    ),
    Door("GET", "/api/account/{account_id}", one, "An account as a QIFI document", Right.VIEW),
)  # fmt: skip
