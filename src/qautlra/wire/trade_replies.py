"""What the trading REST answers its users, as far as it is not a row of `trade_rows`. Times are Unix
milliseconds.

These describe; the doors make the values. Days are texts YYYYMMDD, money is CNY, ratios are shares of one.
"""

from __future__ import annotations

from typing import Any, TypedDict

from qautlra.wire.trade_rows import OrderInfo, TradeInfo


class Refused(TypedDict):
    """Why one of several was refused."""

    code: int
    message: str


# --- accounts ---


class Opened(TypedDict):
    """A new account."""

    account_id: str
    user_id: str
    broker: str
    opened: bool


class Transferred(TypedDict):
    """A movement between bank and account."""

    transfer_id: int | None
    amount: float
    message: str
    available: float


class Bank(TypedDict):
    """A bank of an account."""

    bank_id: str
    bank_name: str
    currency: str


class TransferRow(TypedDict):
    """A transfer of the day: in when positive, out when negative."""

    transfer_id: int
    account_id: str
    bank_id: str
    amount: float
    currency: str
    success: bool
    error_code: int
    message: str
    timestamp: int


class EquityDay(TypedDict):
    """An account at the end of a day, or today as it stands."""

    trading_day: str
    balance: float
    available: float
    margin: float
    close_profit: float
    position_profit: float
    commission: float
    deposit: float
    withdraw: float
    profit: float
    risk_ratio: float | None


class EquityMinute(TypedDict):
    """An account at a minute."""

    timestamp: int
    balance: float
    available: float
    margin: float


class EquityCurve(TypedDict):
    """Equity by day, and by minute since the server started."""

    account_id: str
    days: list[EquityDay]
    minutes: list[EquityMinute]


class Frozen(TypedDict):
    """Who froze an account, how and why."""

    freeze_type: str
    reason: str
    by: str
    timestamp: int


class AccountStatus(TypedDict):
    """Whether an account is frozen."""

    account_id: str
    status: str
    trading_state: str
    freeze: Frozen | None


class FrozenReply(TypedDict):
    """What an account is after it was frozen or released."""

    account_id: str
    status: str


class Rate(TypedDict):
    """A charge: a share of the money, and money per lot."""

    ratio_by_money: float
    ratio_by_volume: float


class FeeRates(TypedDict):
    """What trades of an instrument cost."""

    instrument_id: str
    open: Rate
    close: Rate
    close_today: Rate


class MarginRates(TypedDict):
    """What positions in an instrument bind."""

    instrument_id: str
    long: Rate
    short: Rate


class InstrumentFees(TypedDict):
    """Fees paid today in one instrument."""

    instrument_id: str
    commission: float
    volume: float
    trades: int


class FeesOfDay(TypedDict):
    """Fees paid today."""

    account_id: str
    total_commission: float
    by_instrument: list[InstrumentFees]


class PositionMargin(TypedDict):
    """What one position binds."""

    instrument_id: str
    margin: float
    margin_long: float
    margin_short: float


class MarginOfAccount(TypedDict):
    """What binds an account's money."""

    account_id: str
    balance: float
    margin: float
    frozen_margin: float
    frozen_commission: float
    available: float
    risk_ratio: float | None
    positions: list[PositionMargin]


# --- orders, positions, days ---


class BatchResult(TypedDict):
    """What became of one of several orders."""

    index: int
    success: bool
    order_id: str | None
    error: Refused | None


class BatchReply(TypedDict):
    """What became of several orders."""

    total: int
    success_count: int
    failed_count: int
    results: list[BatchResult]


class ConditionalRow(TypedDict):
    """A conditional order; of a richer one its first condition and order, and all of both."""

    conditional_order_id: str
    account_id: str
    user_id: str
    instrument_id: str
    direction: str
    offset: str
    volume: float
    order_type: str
    limit_price: float | None
    condition_type: str
    trigger_condition: str
    trigger_price: float | None
    status: str
    valid_until: int | None
    created_at: int
    finished_at: int | None
    order_ids: list[str]
    error_code: int
    message: str
    conditions: list[dict[str, Any]]
    orders: list[dict[str, Any]]


class ConditionalCounts(TypedDict):
    """Conditional orders by state."""

    total: int
    pending: int
    suspended: int
    triggered: int
    cancelled: int
    expired: int
    failed: int


class PositionLots(TypedDict):
    """Both sides of a position: lots of today (`_today`) and of before (`_his`), costs and profits."""

    last_price: float | None
    volume_long_today: int
    volume_long_his: int
    volume_long: int
    volume_long_frozen_today: int
    volume_long_frozen_his: int
    volume_long_frozen: int
    volume_long_yd: int
    pos_long_his: int
    pos_long_today: int
    open_price_long: float
    open_cost_long: float
    position_price_long: float
    position_cost_long: float
    cost_long_today: float
    float_profit_long: float
    position_profit_long: float
    margin_long: float
    volume_short_today: int
    volume_short_his: int
    volume_short: int
    volume_short_frozen_today: int
    volume_short_frozen_his: int
    volume_short_frozen: int
    volume_short_yd: int
    pos_short_his: int
    pos_short_today: int
    open_price_short: float
    open_cost_short: float
    position_price_short: float
    position_cost_short: float
    cost_short_today: float
    float_profit_short: float
    position_profit_short: float
    margin_short: float
    float_profit: float
    position_profit: float
    margin: float
    frozen_margin: float


class PositionInfo(PositionLots):
    """A position, whose it is and its instrument's terms."""

    account_id: str
    user_id: str
    instrument_id: str
    price_tick: float
    contract_multiplier: float


class PositionKept(PositionLots):
    """A position of an ended day."""

    instrument: int
    symbol: str


class StatementReply(TypedDict):
    """The statement of an ended day; orders and trades by page where a page is asked for."""

    account_id: str
    trading_day: str
    pre_balance: float
    deposit: float
    withdraw: float
    commission: float
    close_profit: float
    position_profit: float
    balance: float
    margin: float
    available: float
    risk_ratio: float | None
    static_balance: float
    float_profit: float
    premium: float
    positions: list[PositionKept]
    trades: list[TradeInfo]
    trades_total: int
    orders: list[OrderInfo]
    orders_total: int
    transfers: list[dict[str, Any]]
    settlement_prices: dict[str, float]
    text: str
