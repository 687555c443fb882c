"""A QIFI document, and the messages about its parts, of what the trade room says of an account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from qautlra.model import order as words
from qautlra.model import qifi

RUNNING: Final = 200
_BEIJING: Final = timezone(timedelta(hours=8))
_FUNDS: Final = frozenset(qifi.Account.__struct_fields__)
_POSITION: Final = frozenset(qifi.Position.__struct_fields__)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says besides the account: who runs it and where."""

    broker_name: str = "paper"
    portfolio: str = "default"
    bankid: str = "SIM"
    bankname: str = "模拟银行"
    pub_host: str = ""
    trade_host: str = ""
    wsuri: str = ""
    eventmq_ip: str = ""
    databaseip: str = ""
    taskid: str = ""
    ping_gap: int = 5


def document(
    account_id: str,
    *,
    funds: Mapping[str, Any],
    positions: Iterable[Mapping[str, Any]],
    orders: Iterable[words.Order],
    trades: Iterable[words.Trade],
    trading_day: int,
    now_ns: int,
    settings: Settings | None = None,
    status: int = RUNNING,
) -> qifi.Qifi:
    """Return the document of an account. Passwords are never in it."""
    return assemble(
        account_id,
        funds=funds,
        positions=positions,
        orders={order.order_id: order_of(order) for order in orders},
        trades={trade.trade_id: trade_of(trade) for trade in trades},
        trading_day=trading_day,
        now_ns=now_ns,
        settings=settings,
        status=status,
    )


def assemble(
    account_id: str,
    *,
    funds: Mapping[str, Any],
    positions: Iterable[Mapping[str, Any]],
    orders: dict[str, qifi.Order],
    trades: dict[str, qifi.Trade],
    trading_day: int,
    now_ns: int,
    settings: Settings | None = None,
    status: int = RUNNING,
) -> qifi.Qifi:
    """Return the document of an account whose orders and trades are rendered already."""
    about = settings or Settings()
    account = funds_of(account_id, funds)
    return qifi.Qifi(
        account_cookie=account_id,
        portfolio=about.portfolio,
        broker_name=about.broker_name,
        bankid=about.bankid,
        bankname=about.bankname,
        investor_name=account_id,
        money=account.available,
        pub_host=about.pub_host,
        trade_host=about.trade_host,
        wsuri=about.wsuri,
        eventmq_ip=about.eventmq_ip,
        databaseip=about.databaseip,
        taskid=about.taskid,
        updatetime=stamp(now_ns),
        trading_day=str(trading_day) if trading_day else "",
        status=status,
        ping_gap=about.ping_gap,
        accounts=account,
        banks={about.bankid: qifi.Bank(id=about.bankid, name=about.bankname)} if about.bankid else {},
        orders=orders,
        positions={row["symbol"]: position_of(account_id, row) for row in positions},
        trades=trades,
    )


def funds_of(account_id: str, funds: Mapping[str, Any]) -> qifi.Account:
    """Return the funds; what has no value (no balance, so no risk_ratio) is 0."""
    values = {name: value for name, value in funds.items() if name in _FUNDS and value is not None}
    if "withdraw_quota" in funds:
        values["WithdrawQuota"] = funds["withdraw_quota"]
    return qifi.Account(**values | {"user_id": account_id, "currency": "CNY"})


def position_of(account_id: str, row: Mapping[str, Any]) -> qifi.Position:
    """Return one position; `row` has its fields and `symbol`."""
    exchange_id, _, instrument_id = row["symbol"].partition(".")
    values = {name: value for name, value in row.items() if name in _POSITION and value is not None}
    own = {"user_id": account_id, "exchange_id": exchange_id, "instrument_id": instrument_id}
    return qifi.Position(**values | own)


def order_of(order: words.Order) -> qifi.Order:
    """Return one order; what has no price has 0."""
    exchange_id, _, instrument_id = order.symbol.partition(".")
    return qifi.Order(
        seqno=order.number,
        user_id=order.account_id,
        order_id=order.order_id,
        exchange_id=exchange_id,
        instrument_id=instrument_id,
        direction=order.direction._name_,
        offset=order.offset._name_,
        volume_orign=order.volume,
        price_type=order.price_type._name_,
        limit_price=order.limit_price or 0.0,
        time_condition=order.time_condition._name_,
        volume_condition=order.volume_condition._name_,
        insert_date_time=order.insert_ns,
        exchange_order_id=order.exchange_order_id,
        status="ALIVE" if order.is_alive else "FINISHED",
        volume_left=order.volume_left,
        last_msg=order.message,
    )


def trade_of(trade: words.Trade) -> qifi.Trade:
    """Return one trade."""
    exchange_id, _, instrument_id = trade.symbol.partition(".")
    return qifi.Trade(
        seqno=trade.seq,
        user_id=trade.account_id,
        trade_id=trade.trade_id,
        exchange_id=exchange_id,
        instrument_id=instrument_id,
        order_id=trade.order_id,
        exchange_trade_id=trade.exchange_trade_id,
        direction=trade.direction._name_,
        offset=trade.offset._name_,
        volume=trade.volume,
        price=trade.price,
        trade_date_time=trade.trade_ns,
        commission=trade.commission,
    )


def stamp(now_ns: int) -> str:
    """Return `YYYY-MM-DD HH:MM:SS.ffffff` of the markets' own time."""
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(_BEIJING)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{now_ns // 1000 % 1_000_000:06d}"
