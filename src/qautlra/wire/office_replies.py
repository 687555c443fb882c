"""What the trading REST answers its operators, as far as it is not a row of `trade_rows`; units there.

These describe; the doors make the values.
"""

from __future__ import annotations

from typing import Any, TypedDict

from qautlra.wire.trade_replies import Frozen, PositionInfo, Refused
from qautlra.wire.trade_rows import AccountInfo, OrderInfo, TradeInfo


class FeeShown(TypedDict):
    """The fee of an instrument: shares of the money, or CNY a lot."""

    open: float
    close: float
    close_today: float
    by: str


class InstrumentInfo(TypedDict):
    """An instrument with its terms and its newest prices."""

    instrument_id: str
    instrument_name: str
    instrument_type: str
    exchange: str
    product_id: str | None
    contract_multiplier: float
    price_tick: float
    margin_rate: float
    commission_rate: FeeShown | float | None
    upper_limit: float | None
    lower_limit: float | None
    pre_settlement: float | None
    limit_up_rate: float | None
    limit_down_rate: float | None
    last_price: float | None
    status: str
    expire_year: int | None
    expire_month: int | None


class InstrumentRow(InstrumentInfo):
    """An instrument, and what stands in it here."""

    listed: bool
    live_orders: int
    holders: int


class InstrumentStatus(TypedDict):
    """An instrument after it was stopped, resumed or taken off."""

    instrument_id: str
    status: str


class InstrumentLimits(TypedDict):
    """The price limits of an instrument."""

    instrument_id: str
    lower_limit: float
    upper_limit: float


class PriceResult(TypedDict):
    """What became of one settlement price."""

    instrument_id: str
    success: bool
    error: Refused | None


class PricesReply(TypedDict):
    """What became of several settlement prices."""

    total: int
    success_count: int
    failed_count: int
    results: list[PriceResult]


class PricesOfDay(TypedDict):
    """Settlement prices set for the day that is traded."""

    trading_day: str
    prices: dict[str, float]


class PriceSet(TypedDict):
    """A settlement price that was set."""

    instrument_id: str
    settlement_price: float


class SettledDay(TypedDict):
    """A day that ended."""

    trading_day: str
    next_day: str
    executed_at: int
    by: str | None
    accounts: int
    orders: int
    trades: int
    commission: float
    profit: float
    balance: float
    prices: dict[str, float]


class SettledAccount(TypedDict):
    """An account's money at the end of a day."""

    account_id: str
    funds: dict[str, float | None]


class SettledDetail(SettledDay):
    """A day that ended, with a page of its accounts."""

    account_details: list[SettledAccount]


class RiskAccount(TypedDict):
    """An account by its risk."""

    account_id: str
    risk_level: str
    risk_ratio: float | None
    balance: float
    available: float
    margin: float
    state: str
    alerts_count: int
    user_id: str


class InstrumentMargin(TypedDict):
    """Margin and lots of all accounts in one instrument."""

    instrument_id: str
    margin: float
    long: int
    short: int


class MarginSummary(TypedDict):
    """Margin of all accounts."""

    accounts: int
    total_balance: float
    total_margin: float
    total_available: float
    total_frozen_margin: float
    risk_ratio: float | None
    by_level: dict[str, int]
    by_instrument: list[InstrumentMargin]


class RiskState(TypedDict):
    """What may be traded: by everybody, and by accounts of which more is refused."""

    state: str
    accounts: dict[str, str]


class AlertHandled(TypedDict):
    """An alert that was seen to."""

    account_id: str
    alert_id: str
    handled: bool


class AlertRow(TypedDict):
    """An alert of the risk monitor."""

    alert_id: str
    account_id: str
    trading_day: int
    kind: str
    level: str
    risk_ratio: float | None
    balance: float
    available: float
    timestamp: int
    handled_by: str
    handled: bool
    text: str


class LiquidationRow(TypedDict):
    """A forced liquidation and how far it is."""

    record_id: str
    account_id: str
    trading_day: int
    reason: str
    by: str
    risk_ratio_before: float | None
    balance_before: float
    status: str
    attempt: int
    balance_after: float | None
    profit: float | None
    total_loss: float | None
    instruments_closed: dict[str, float]
    order_ids: list[str]
    started_at: int
    ended_at: int | None


class AccountOfUser(TypedDict):
    """An account and who owns it."""

    user_id: str
    info: AccountInfo


class AccountPage(TypedDict):
    """A page of accounts."""

    total: int
    accounts: list[AccountOfUser]


class AccountDetail(TypedDict):
    """An account whole."""

    user_id: str
    account: AccountInfo
    positions: list[PositionInfo]
    orders: list[OrderInfo]
    trades: list[TradeInfo]
    freeze: Frozen | None


class OrderPage(TypedDict):
    """A page of the day's orders, newest first."""

    total: int
    orders: list[OrderInfo]


class TradePage(TypedDict):
    """A page of the day's trades, newest first."""

    total: int
    trades: list[TradeInfo]


class MoneyMoved(TypedDict):
    """A movement of money."""

    transaction_id: int
    timestamp: int
    account_id: str
    type: str
    amount: float
    balance_after: float | None
    trading_day: str
    method: str
    remark: str
    bank_account: str
    by: str
    transfer_id: int | None


class MoneyPage(TypedDict):
    """Movements of money, newest first; `next_before` asks for older ones."""

    transactions: list[MoneyMoved]
    next_before: int | None


class Announcement(TypedDict):
    """Something everybody is told."""

    id: int
    title: str
    content: str
    announcement_type: str
    priority: str
    created_by: str
    created_at: int


class AnnouncementGone(TypedDict):
    """An announcement that was taken back."""

    id: int
    deleted: bool


class InstrumentOrders(TypedDict):
    """How many orders an instrument has today."""

    instrument_id: str
    orders: int


class OrderStats(TypedDict):
    """The day's orders counted."""

    trading_day: str
    total_orders: int
    live_orders: int
    total_trades: int
    filled_volume: int
    by_status: dict[str, int]
    by_instrument: list[InstrumentOrders]


class AccountSums(TypedDict):
    """All accounts summed up."""

    total_count: int
    total_balance: float
    total_available: float
    total_margin: float
    total_commission: float
    by_level: dict[str, int]


class TradeSums(TypedDict):
    """The day's trades summed up."""

    total_count: int
    matches: int
    total_volume: int
    total_turnover: float


class StorageState(TypedDict):
    """Disk, journal, store."""

    disk_total_bytes: int
    disk_free_bytes: int
    journal: dict[str, Any]
    store: dict[str, Any] | None


class ProcessState(TypedDict):
    """The process and its services."""

    version: str
    status: str
    uptime_s: float
    cpu_s: float
    memory_peak_bytes: int
    clients: int
    instruments: int
    ticks: int
    trading_day: str
    services: list[dict[str, str]]


class SystemState(TypedDict):
    """Everything monitored together."""

    status: ProcessState
    accounts: AccountSums
    orders: OrderStats
    trades: TradeSums
    storage: StorageState


class DayReport(SystemState):
    """A report of the day."""

    trading_day: str
