"""A QIFI document, and the messages about its parts, of what the trade room says of an account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from qautlra.model import order as words
from qautlra.model import qifi

RUNNING: Final = 200
EVENTS_COUNT: Final = 100
"""Most entries of `event`, the newest."""
_BEIJING: Final = timezone(timedelta(hours=8))
_FUNDS: Final = frozenset(qifi.Account.__struct_fields__)
_POSITION: Final = frozenset(qifi.Position.__struct_fields__)


class Moved(Protocol):
    """A transfer between account and bank; `code` 0 when it was done."""

    @property
    def seq(self) -> int: ...
    @property
    def amount(self) -> float: ...
    @property
    def code(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def time_ns(self) -> int: ...


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
    transfers: Iterable[Moved],
    trading_day: int,
    now_ns: int,
    settings: Settings | None = None,
    status: int = RUNNING,
) -> qifi.Qifi:
    """Return the document of an account. Passwords are never in it."""
    made_orders = {order.order_id: order_of(order) for order in orders}
    made_trades = {trade.trade_id: trade_of(trade) for trade in trades}
    made_transfers = transfers_of(transfers)
    return assemble(
        account_id,
        funds=funds,
        positions=positions_of(account_id, positions),
        orders=made_orders,
        trades=made_trades,
        transfers=made_transfers,
        event=events_of(list(made_orders.values()), list(made_trades.values()), made_transfers),
        trading_day=trading_day,
        now_ns=now_ns,
        settings=settings,
        status=status,
    )


def assemble(
    account_id: str,
    *,
    funds: Mapping[str, Any],
    positions: dict[str, qifi.Position],
    orders: dict[str, qifi.Order],
    trades: dict[str, qifi.Trade],
    transfers: dict[str, qifi.Transfer],
    event: dict[str, str],
    trading_day: int,
    now_ns: int,
    settings: Settings | None = None,
    status: int = RUNNING,
) -> qifi.Qifi:
    """Return the document of an account whose parts are rendered already."""
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
        positions=positions,
        trades=trades,
        transfers=transfers,
        event=event,
    )


def funds_of(account_id: str, funds: Mapping[str, Any]) -> qifi.Account:
    """Return the funds; what has no value (no balance, so no risk_ratio) is 0."""
    values = {name: value for name, value in funds.items() if name in _FUNDS and value is not None}
    if "withdraw_quota" in funds:
        values["WithdrawQuota"] = funds["withdraw_quota"]
    return qifi.Account(**values | {"user_id": account_id, "currency": "CNY"})


def positions_of(account_id: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, qifi.Position]:
    """Return positions by symbol."""
    return {row["symbol"]: position_of(account_id, row) for row in rows}


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


def transfers_of(transfers: Iterable[Moved]) -> dict[str, qifi.Transfer]:
    """Return transfers by their number of the day."""
    return {
        str(one.seq): qifi.Transfer(
            datetime=one.time_ns, amount=one.amount, error_id=one.code, error_msg=one.text
        )
        for one in transfers
    }


def events_of(
    orders: Sequence[qifi.Order], trades: Sequence[qifi.Trade], transfers: Mapping[str, qifi.Transfer]
) -> dict[str, str]:
    """Return what happened by second, the newest EVENTS_COUNT: it follows from the document, so a restart
    changes nothing of it. What happened in one second is one text.
    """
    found = [(one.insert_date_time, _entered(one)) for one in orders[-EVENTS_COUNT:]]
    for trade in trades[-EVENTS_COUNT:]:
        text = f"成交通知,合约:{trade.exchange_id}.{trade.instrument_id},手数:{trade.volume:g}"
        found.append((trade.trade_date_time, text))
    for transfer in list(transfers.values())[-EVENTS_COUNT:]:
        text = f"转账失败,{transfer.error_msg}" if transfer.error_id else "转账成功"
        found.append((transfer.datetime, text))
    found.sort(key=lambda entry: entry[0])
    event: dict[str, str] = {}
    for time_ns, text in found[-EVENTS_COUNT:]:
        key = _second(time_ns // 1_000_000_000)
        event[key] = f"{event[key]}；{text}" if key in event else text
    return event


def _entered(order: qifi.Order) -> str:
    is_refused = order.status == "FINISHED" and not order.exchange_order_id
    if order.last_msg.startswith("到期"):  # nobody sent it
        return order.last_msg
    return f"下单失败,{order.last_msg}" if is_refused else "下单成功"


@lru_cache(maxsize=4096)
def _second(time_s: int) -> str:
    return stamp(time_s * 1_000_000_000)[:19]


def stamp(now_ns: int) -> str:
    """Return `YYYY-MM-DD HH:MM:SS.ffffff` of the markets' own time."""
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(_BEIJING)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{now_ns // 1000 % 1_000_000:06d}"
