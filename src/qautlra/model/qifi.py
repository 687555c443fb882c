"""QIFI, the account document of QUANTAXIS: one struct per object of it, fields named as it names them.

Every field has a value, so a document made here is complete. Money and prices are CNY, volumes lots or
shares, `*_date_time` and `datetime` Unix nanoseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Account(msgspec.Struct, kw_only=True):
    """The funds: `balance` is the dynamic equity with position_profit, `available` what can be used now."""

    user_id: str = ""
    currency: str = "CNY"
    pre_balance: float = 0.0
    deposit: float = 0.0
    withdraw: float = 0.0
    WithdrawQuota: float = 0.0
    close_profit: float = 0.0
    commission: float = 0.0
    premium: float = 0.0
    static_balance: float = 0.0
    position_profit: float = 0.0
    float_profit: float = 0.0
    balance: float = 0.0
    margin: float = 0.0
    frozen_margin: float = 0.0
    frozen_commission: float = 0.0
    frozen_premium: float = 0.0
    available: float = 0.0
    risk_ratio: float = 0.0


class Bank(msgspec.Struct, kw_only=True):
    """A bank the account transfers with; `fetch_amount` -1 while a query is pending."""

    id: str = ""
    name: str = ""
    bank_account: str = ""
    fetch_amount: float = 0.0
    qry_count: int = 0


class Order(msgspec.Struct, kw_only=True):
    """An order; FINISHED with `volume_left` > 0 is one that was cancelled or refused."""

    seqno: int = 0
    user_id: str = ""
    order_id: str = ""
    exchange_id: str = ""
    instrument_id: str = ""
    direction: str = ""
    offset: str = ""
    volume_orign: float = 0.0
    price_type: str = "LIMIT"
    limit_price: float = 0.0
    time_condition: str = "GFD"
    volume_condition: str = "ANY"
    insert_date_time: int = 0
    exchange_order_id: str = ""
    status: str = ""
    volume_left: float = 0.0
    last_msg: str = ""


class Position(msgspec.Struct, kw_only=True):
    """What is held of one instrument, long and short; `volume_* = today + his`, frozen a part of it."""

    user_id: str = ""
    exchange_id: str = ""
    instrument_id: str = ""
    volume_long_today: float = 0.0
    volume_long_his: float = 0.0
    volume_long: float = 0.0
    volume_long_frozen_today: float = 0.0
    volume_long_frozen_his: float = 0.0
    volume_long_frozen: float = 0.0
    volume_short_today: float = 0.0
    volume_short_his: float = 0.0
    volume_short: float = 0.0
    volume_short_frozen_today: float = 0.0
    volume_short_frozen_his: float = 0.0
    volume_short_frozen: float = 0.0
    volume_long_yd: float = 0.0
    volume_short_yd: float = 0.0
    pos_long_his: float = 0.0
    pos_long_today: float = 0.0
    pos_short_his: float = 0.0
    pos_short_today: float = 0.0
    open_price_long: float = 0.0
    open_price_short: float = 0.0
    open_cost_long: float = 0.0
    open_cost_short: float = 0.0
    position_price_long: float = 0.0
    position_price_short: float = 0.0
    position_cost_long: float = 0.0
    position_cost_short: float = 0.0
    last_price: float = 0.0
    float_profit_long: float = 0.0
    float_profit_short: float = 0.0
    float_profit: float = 0.0
    position_profit_long: float = 0.0
    position_profit_short: float = 0.0
    position_profit: float = 0.0
    margin_long: float = 0.0
    margin_short: float = 0.0
    margin: float = 0.0


class Trade(msgspec.Struct, kw_only=True):
    """One side of a match."""

    seqno: int = 0
    user_id: str = ""
    trade_id: str = ""
    exchange_id: str = ""
    instrument_id: str = ""
    order_id: str = ""
    exchange_trade_id: str = ""
    direction: str = ""
    offset: str = ""
    volume: float = 0.0
    price: float = 0.0
    trade_date_time: int = 0
    commission: float = 0.0


class Transfer(msgspec.Struct, kw_only=True):
    """A transfer with a bank: `amount` > 0 came in; `error_id` 0 is done."""

    datetime: int = 0
    currency: str = "CNY"
    amount: float = 0.0
    error_id: int = 0
    error_msg: str = ""


class Execution(msgspec.Struct, kw_only=True):
    """An algorithmic order and how far it is."""

    exec_id: str = ""
    account_cookie: str = ""
    strategy_id: str = ""
    instrument_id: str = ""
    exchange_id: str = ""
    direction: str = ""
    offset: str = ""
    volume_total: float = 0.0
    volume_filled: float = 0.0
    price_limit: float = 0.0
    create_time: int = 0
    start_time: int = 0
    end_time: int | None = None
    status: str = ""
    algorithm: str = ""
    parameters: dict[str, Any] = {}
    order_ids: list[str] = []
    avg_price: float = 0.0
    commission: float = 0.0
    progress: float = 0.0
    last_update_time: int = 0
    is_paused: bool = False
    is_cancelling: bool = False
    metrics: dict[str, Any] = {}


class Qifi(msgspec.Struct, kw_only=True):
    """The whole document. `status`: 100 requested, 200 running, 500 lost or ended, 600 login failed."""

    account_cookie: str
    password: str = ""
    portfolio: str = "default"
    broker_name: str = ""
    capital_password: str = ""
    bank_password: str = ""
    bankid: str = ""
    bankname: str = ""
    investor_name: str = ""
    money: float = 0.0
    pub_host: str = ""
    trade_host: str = ""
    wsuri: str = ""
    eventmq_ip: str = ""
    databaseip: str = ""
    taskid: str = ""
    settlement: dict[str, str] = {}
    updatetime: str = ""
    trading_day: str = ""
    status: int = 200
    ping_gap: int = 5
    accounts: Account = msgspec.field(default_factory=Account)
    banks: dict[str, Bank] = {}
    event: dict[str, str] = {}
    orders: dict[str, Order] = {}
    positions: dict[str, Position] = {}
    trades: dict[str, Trade] = {}
    transfers: dict[str, Transfer] = {}
    executions: dict[str, Execution] = {}
