"""What a CTP broker tells of our own account, in the house's words: orders, trades, positions, funds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from math import isfinite, nan
from typing import Any, Final

from qautlra.model import codes as house_codes
from qautlra.model.holding import flat
from qautlra.model.order import (
    VOLUME_MAX,
    Direction,
    InsertOrder,
    Offset,
    Order,
    PriceType,
    TimeCondition,
    Trade,
    VolumeCondition,
)
from qautlra.wire import ctp_codes as codes
from qautlra.wire.ctp_orders import OFFSET_FLAGS, OFFSETS, PRICE_FLAGS, PRICE_TYPES, Key, RefusedError
from qautlra.wire.ctp_records import Record, encode_text, layout

ENDED: Final = frozenset("0245")
HOUSE_CODES: Final = {
    codes.BAD_FIELD: house_codes.BAD_PARAMETERS,
    codes.INSTRUMENT_NOT_FOUND: house_codes.NO_INSTRUMENT,
    17: house_codes.NOT_TRADING,
    codes.DUPLICATE_REF: house_codes.DUPLICATE,
    25: house_codes.NO_ORDER,
    26: house_codes.NO_ORDER,
    29: house_codes.REDUCING,
    30: house_codes.CLOSE_LOTS,
    codes.NO_FUNDS: house_codes.FUNDS,
    50: house_codes.CLOSE_TODAY,
    51: house_codes.CLOSE_YESTERDAY,
    codes.WRONG_PRICE_TYPE: house_codes.PRICE_TYPE,
    codes.BAD_PRICE: house_codes.BAD_PRICE,
    106: house_codes.POSITION_LIMIT,
    116: house_codes.DAY_ORDERS,
}
"""Why a broker refused an order, in the house's table; CTP's own number is in the order's text."""
BEIJING_S: Final = 8 * 3600
TEXT_BYTES: Final = 1 << 10
DAY_MAX: Final = 99_991_231


def instant_ns(date: str, clock: str) -> int:
    """Return Unix ns of a Beijing date and clock; 0 when they are none."""
    try:
        at = datetime.strptime(f"{date}{clock}", "%Y%m%d%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return 0
    return (int(at.timestamp()) - BEIJING_S) * 1_000_000_000


def write_query(name: str, *, broker: str, user: str, symbol: str = "") -> bytes:
    """Return the record of a query about our own account, of one instrument where it is named."""
    exchange, _, code = symbol.partition(".")
    words = {"BrokerID": broker, "InvestorID": user}
    if symbol:
        words |= {"ExchangeID": exchange, "InstrumentID": code}
        words |= {"HedgeFlag": "1"} if "HedgeFlag" in layout(name).offsets else {}
    return layout(name).pack(words)


def key(record: Record) -> Key:
    """Return the three keys of an Order record."""
    return Key(record.whole("FrontID"), record.whole("SessionID"), record.text("OrderRef"))


def house_code(number: int) -> int:
    """Return the house's code of a CTP error."""
    return HOUSE_CODES.get(number, house_codes.REFUSED_THERE)


def write_input(order: InsertOrder, *, broker: str, user: str, ref: str) -> bytes:
    """Return the InputOrder record of an order of ours; RefusedError when it cannot say all of it."""
    exchange, _, code = order.symbol.partition(".")
    into = layout("InputOrder")
    if order.price_type is PriceType.LIMIT and not isfinite(
        nan if order.limit_price is None else order.limit_price
    ):
        raise RefusedError(codes.BAD_PRICE)
    texts = {"InstrumentID": code, "ExchangeID": exchange, "OrderRef": ref}
    if (
        any(len(encode_text(text, TEXT_BYTES)) >= into.offsets[name][2] for name, text in texts.items())
        or not 1 <= order.volume <= VOLUME_MAX
        or not 0 <= order.min_volume <= VOLUME_MAX
        or not 0 <= order.gtd_day <= DAY_MAX
    ):
        raise RefusedError(codes.BAD_FIELD)
    return into.pack(
        {
            "BrokerID": broker,
            "InvestorID": user,
            "UserID": user,
            **texts,
            "Direction": str(int(order.direction)),
            "CombOffsetFlag": OFFSET_FLAGS[order.offset],
            "CombHedgeFlag": "1",
            "OrderPriceType": PRICE_FLAGS[order.price_type],
            "LimitPrice": order.limit_price or 0.0,
            "VolumeTotalOriginal": int(order.volume),
            "TimeCondition": str(int(order.time_condition)),
            "VolumeCondition": str(int(order.volume_condition)),
            "MinVolume": order.min_volume or 1,
            "GTDDate": str(order.gtd_day) if order.gtd_day else "",
            "ContingentCondition": "1",
            "ForceCloseReason": "0",
        }
    )


def write_cancel(key: Key, order: Order, *, broker: str, user: str) -> bytes:
    """Return the InputOrderAction record that withdraws an order."""
    exchange, _, code = order.symbol.partition(".")
    return layout("InputOrderAction").pack(
        {
            "BrokerID": broker,
            "InvestorID": user,
            "UserID": user,
            "FrontID": key.front,
            "SessionID": key.session,
            "OrderRef": key.ref,
            "ExchangeID": exchange,
            "InstrumentID": code,
            "ActionFlag": "0",
        }
    )


def order_of(record: Record, *, number: int, account_id: str, order_id: str, now_ns: int) -> Order:
    """Return the order as the broker shows it."""
    status, submitted = record.text("OrderStatus"), record.text("OrderSubmitStatus")
    price_type = PRICE_TYPES.get(record.text("OrderPriceType"), PriceType.LIMIT)
    return Order(
        number=number,
        account_id=account_id,
        order_id=order_id,
        exchange_order_id=record.text("OrderSysID"),
        symbol=f"{record.text('ExchangeID')}.{record.text('InstrumentID')}",
        direction=Direction(int(record.text("Direction") or "0")),
        offset=OFFSETS.get(record.text("CombOffsetFlag")[:1], Offset.CLOSE),
        price_type=price_type,
        time_condition=TimeCondition(int(record.text("TimeCondition") or "3")),
        volume_condition=VolumeCondition(int(record.text("VolumeCondition") or "1")),
        limit_price=record.price("LimitPrice") if price_type is PriceType.LIMIT else None,
        volume=record.whole("VolumeTotalOriginal"),
        volume_left=record.whole("VolumeTotalOriginal") - record.whole("VolumeTraded"),
        is_alive=status not in ENDED,
        code=house_codes.REFUSED_THERE if status == "5" and submitted == "4" else 0,
        message=record.text("StatusMsg"),
        insert_ns=instant_ns(record.text("InsertDate"), record.text("InsertTime")) or now_ns,
        update_ns=now_ns,
    )


def trade_of(record: Record, order: Order, *, number: int) -> Trade:
    """Return a trade of one of the account's orders; CTP tells neither its commission nor its profit."""
    match = record.text("TradeID")
    return Trade(
        number=number,
        seq=number + 1,
        account_id=order.account_id,
        trade_id=f"{order.order_id}|{match}",
        exchange_trade_id=match,
        order_id=order.order_id,
        symbol=order.symbol,
        direction=order.direction,
        offset=OFFSETS.get(record.text("OffsetFlag"), order.offset),
        volume=record.whole("Volume"),
        price=record.price("Price"),
        commission=0.0,
        close_profit=0.0,
        trade_ns=instant_ns(record.text("TradeDate"), record.text("TradeTime")),
    )


def funds(record: Record) -> dict[str, float]:
    """Return the account's money as the broker shows it."""
    balance, margin = record.price("Balance"), record.price("CurrMargin")
    pre, deposit, withdraw = (record.price(name) for name in ("PreBalance", "Deposit", "Withdraw"))
    return {
        "pre_balance": pre,
        "deposit": deposit,
        "withdraw": withdraw,
        "withdraw_quota": record.price("WithdrawQuota"),
        "static_balance": pre + deposit - withdraw,
        "close_profit": record.price("CloseProfit"),
        "commission": record.price("Commission"),
        "premium": record.price("CashIn"),
        "position_profit": record.price("PositionProfit"),
        "float_profit": record.price("PositionProfit"),
        "balance": balance,
        "margin": margin,
        "frozen_margin": record.price("FrozenMargin"),
        "frozen_commission": record.price("FrozenCommission"),
        "frozen_premium": record.price("FrozenCash"),
        "available": record.price("Available"),
        "market_value": 0.0,
        "risk_ratio": margin / balance if balance else 0.0,
        "leverage": margin / balance if balance else 0.0,
    }


def margin_rate(record: Record) -> dict[str, tuple[float, float]]:
    """Return what the broker binds per lot, of the value and by lot: terms of a ledger."""
    return {
        name: (record.price(f"{side}MarginRatioByMoney"), record.price(f"{side}MarginRatioByVolume"))
        for name, side in (("margin", "Long"), ("margin_short", "Short"))
    }


def commission_rate(record: Record) -> dict[str, tuple[float, float]]:
    """Return the broker's fees, of the value and by lot: terms of a ledger."""
    return {
        name: (record.price(f"{what}RatioByMoney"), record.price(f"{what}RatioByVolume"))
        for name, what in (("open", "Open"), ("close", "Close"), ("close_today", "CloseToday"))
    }


def positions(rows: Iterable[Record], multiple: Any) -> list[dict[str, Any]]:
    """Return the account's positions; today's and yesterday's rows of SHFE and INE become one."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        symbol = f"{row.text('ExchangeID')}.{row.text('InstrumentID')}"
        held = found.setdefault(symbol, flat(symbol))
        side = "long" if row.text("PosiDirection") == "2" else "short"
        total, today = row.whole("Position"), row.whole("TodayPosition")
        frozen = row.whole("ShortFrozen" if side == "long" else "LongFrozen")
        held[f"volume_{side}"] += total
        held[f"volume_{side}_today"] += today
        held[f"volume_{side}_his"] += total - today
        held[f"volume_{side}_yd"] += row.whole("YdPosition")
        held[f"volume_{side}_frozen"] += frozen
        if row.text("PositionDate") == "2":
            held[f"volume_{side}_frozen_his"] += frozen
        else:
            held[f"volume_{side}_frozen_today"] += frozen
            held[f"cost_{side}_today"] += row.price("PositionCost") if today == total else 0.0
        held[f"position_cost_{side}"] += row.price("PositionCost")
        held[f"open_cost_{side}"] += row.price("OpenCost")
        held[f"position_profit_{side}"] += row.price("PositionProfit")
        held[f"margin_{side}"] += row.price("UseMargin")
        for name, field in (("pre_settlement", "PreSettlementPrice"), ("last_price", "SettlementPrice")):
            if (price := row.price(field)) > 0:
                held[name] = price
    for held in found.values():
        for side in ("long", "short"):
            lots = held[f"volume_{side}"] * float(multiple(held["symbol"]))
            held[f"pos_{side}_today"] = held[f"volume_{side}_today"]
            held[f"pos_{side}_his"] = held[f"volume_{side}_his"]
            held[f"open_price_{side}"] = held[f"open_cost_{side}"] / lots if lots else 0.0
            held[f"position_price_{side}"] = held[f"position_cost_{side}"] / lots if lots else 0.0
            held[f"float_profit_{side}"] = held[f"position_profit_{side}"]
        for name in ("position_profit", "margin"):
            held[name] = held[f"{name}_long"] + held[f"{name}_short"]
        held["float_profit"] = held["position_profit"]
    return list(found.values())
