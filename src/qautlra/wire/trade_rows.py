"""Rows of the trading REST: orders, trades and accounts as they are shown. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from qautlra._core import exchange
from qautlra.model.order import Order, PriceType, Trade

STATUSES: Final = exchange.STATUSES
"""What an order's state is called."""
ALIVE: Final = 0b11
"""Of the bits of STATUSES, those of orders that live."""


class OrderInfo(Struct, frozen=True, kw_only=True):
    """An order of the day."""

    order_id: str
    account_id: str
    user_id: str
    instrument_id: str
    direction: str
    offset: str
    order_type: str
    time_condition: str
    volume: int
    filled_volume: int
    price: float | None
    status: str
    error_code: int
    message: str
    exchange_order_id: str
    submit_time: int
    update_time: int


class TradeInfo(Struct, frozen=True, kw_only=True):
    """A trade of the day."""

    trade_id: str
    order_id: str
    exchange_trade_id: str
    account_id: str
    user_id: str
    instrument_id: str
    direction: str
    offset: str
    volume: int
    price: float
    commission: float
    close_profit: float
    timestamp: int


class OrderReply(Struct, frozen=True):
    """What became of a command."""

    order_id: str
    status: str


class AccountInfo(Struct, frozen=True, kw_only=True):
    """An account's money, in CNY."""

    account_id: str
    broker: str
    status: str
    trading_state: str
    currency: str
    balance: float
    pre_balance: float
    static_balance: float
    deposit: float
    withdraw: float
    withdraw_quota: float
    available: float
    margin: float
    frozen_margin: float
    frozen_commission: float
    close_profit: float
    position_profit: float
    float_profit: float
    commission: float
    risk_ratio: float | None
    risk_level: str
    trading_day: str
    broker_state: str
    "`synced` when orders go to the broker; what else it may be is the broker's."


def statuses(word: str) -> int:
    """Return the bits of a status, those of all without one."""
    return 1 << STATUSES.index(word) if word else (1 << len(STATUSES)) - 1


def order_info(order: Order, user_id: str = "") -> OrderInfo:
    """Return an order as it is shown."""
    return OrderInfo(
        order_id=order.order_id,
        account_id=order.account_id,
        user_id=user_id or order.account_id,
        instrument_id=order.symbol,
        direction=order.direction.name,
        offset=order.offset.name,
        order_type="MARKET" if order.price_type is PriceType.ANY else order.price_type.name,
        time_condition=order.time_condition.name,
        volume=order.volume,
        filled_volume=order.volume - order.volume_left,
        price=order.limit_price,
        status=status_of(order),
        error_code=order.code,
        message=order.message,
        exchange_order_id=order.exchange_order_id,
        submit_time=order.insert_ns // 1_000_000,
        update_time=order.update_ns // 1_000_000,
    )


def status_of(order: Order) -> str:
    """Return an order's state in a word, one of STATUSES."""
    if order.code:
        return "rejected"
    if order.is_alive:
        return "submitted" if order.volume_left == order.volume else "partially_filled"
    return "cancelled" if order.volume_left else "filled"


def trade_info(trade: Trade, user_id: str = "") -> TradeInfo:
    """Return a trade as it is shown."""
    return TradeInfo(
        trade_id=trade.trade_id,
        order_id=trade.order_id,
        exchange_trade_id=trade.exchange_trade_id,
        account_id=trade.account_id,
        user_id=user_id or trade.account_id,
        instrument_id=trade.symbol,
        direction=trade.direction.name,
        offset=trade.offset.name,
        volume=trade.volume,
        price=trade.price,
        commission=trade.commission,
        close_profit=trade.close_profit,
        timestamp=trade.trade_ns // 1_000_000,
    )
