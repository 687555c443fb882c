"""Orders and trades in CTP's words: InputOrder to `InsertOrder`, `Order` and `Trade` to its records and back.

An order that came by CTP is named `ctp.FRONT.SESSION.REF` in the house, and so finds its three keys again;
others show front 0, session 0 and their number as reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from qautlra.model import codes as house_codes
from qautlra.model.order import (
    OUTSIDE,
    Direction,
    InsertOrder,
    Offset,
    Order,
    PriceType,
    TimeCondition,
    Trade,
    VolumeCondition,
    order_from,
)
from qautlra.wire import ctp_codes as codes
from qautlra.wire.ctp_records import Layout, Record, layout

_ID = re.compile(r"ctp\.(\d+)\.(-?\d+)\.(.{1,12})")
OFFSETS: Final = {"0": Offset.OPEN, "1": Offset.CLOSE, "3": Offset.CLOSETODAY, "4": Offset.CLOSE}
OFFSET_FLAGS: Final = {Offset.OPEN: "0", Offset.CLOSE: "1", Offset.CLOSETODAY: "3"}
HEDGE_FLAGS: Final = frozenset({"", "1", "2", "3", "5", "6", "7"})
"""Speculation, arbitrage, hedge, market making and the two mixed ones; without one it is speculation."""
PRICE_TYPES: Final = {
    "1": PriceType.ANY,
    "2": PriceType.LIMIT,
    "3": PriceType.BEST,
    "G": PriceType.FIVELEVEL,
}
PRICE_FLAGS: Final = {kind: flag for flag, kind in PRICE_TYPES.items()}
BY_EXCHANGE: Final = frozenset(
    {
        "PRICE_NOT_ON_TICK",
        "PRICE_ABOVE_UPPER_LIMIT",
        "PRICE_BELOW_LOWER_LIMIT",
        "NOT_TRADING",
        "AUCTION_ONLY",
        "NOT_IN_AUCTION",
        "INSTRUMENT_SUSPENDED",
    }
)
"""Refusals a real exchange makes: told by the order's own status, not by an error answer."""
ACCEPTED, TRADED, PART_TRADED, QUEUEING, CANCELLED = "a", "0", "1", "3", "5"


class RefusedError(Exception):
    """An order CTP itself refuses; `code` is its error number."""

    def __init__(self, code: int) -> None:
        super().__init__(codes.text(code, "en"))
        self.code = code


class Key(NamedTuple):
    """How CTP names an order before the exchange does."""

    front: int
    session: int
    ref: str

    @property
    def order_id(self) -> str:
        """Return the order's name in the house."""
        return f"ctp.{self.front}.{self.session}.{self.ref}"


def key_of(order_id: str, number: int) -> Key:
    """Return the three keys of an order from any door."""
    match = _ID.fullmatch(order_id)
    if match is None:
        return Key(0, 0, str(number + 1))
    return Key(int(match[1]), int(match[2]), match[3])


def read_order(asked: Record, account_id: str, symbol: str, key: Key) -> InsertOrder:
    """Return the order a program enters; RefusedError when a field of it makes no sense."""
    offset = OFFSETS.get(asked.text("CombOffsetFlag")[:1])
    direction, price_type = asked.text("Direction"), PRICE_TYPES.get(asked.text("OrderPriceType"))
    condition, volume_condition = asked.text("TimeCondition"), asked.text("VolumeCondition")
    if price_type is None:
        raise RefusedError(codes.WRONG_PRICE_TYPE)
    if asked.text("ContingentCondition") not in ("1", ""):
        raise RefusedError(codes.UNSUPPORTED)
    if (
        offset is None
        or asked.text("CombHedgeFlag")[:1] not in HEDGE_FLAGS
        or direction not in ("0", "1")
        or condition not in set("123456")
        or volume_condition not in set("123")
        or not key.ref
    ):
        raise RefusedError(codes.BAD_FIELD)
    price, gtd_day = asked.price("LimitPrice"), asked.text("GTDDate")
    if price_type is PriceType.LIMIT and price != price:
        raise RefusedError(codes.BAD_FIELD)
    return InsertOrder(
        account_id=account_id,
        order_id=key.order_id,
        symbol=symbol,
        direction=Direction(int(direction)),
        offset=offset,
        volume=asked.whole("VolumeTotalOriginal"),
        limit_price=price if price_type is PriceType.LIMIT else None,
        price_type=price_type,
        time_condition=TimeCondition(int(condition)),
        volume_condition=VolumeCondition(int(volume_condition)),
        min_volume=asked.whole("MinVolume") if volume_condition == "2" else 0,
        gtd_day=int(gtd_day) if gtd_day.isdigit() else 0,
    )


def stamp(ts_ns: int) -> tuple[str, str]:
    """Return date and clock of an instant in Beijing, as CTP writes them."""
    return _second(ts_ns // 1_000_000_000)


@lru_cache(maxsize=256)
def _second(unix_s: int) -> tuple[str, str]:
    at = datetime.fromtimestamp(unix_s, UTC) + timedelta(hours=8)
    return at.strftime("%Y%m%d"), at.strftime("%H:%M:%S")


def is_own_refusal(order: Order) -> bool:
    """Tell whether CTP itself refused it: then nobody but its sender hears of it, and no query shows it.

    What a broker outside refuses had been taken here: its end is told as an exchange's refusal is.
    """
    if order.number >= OUTSIDE:
        return False
    return order.code != 0 and house_codes.describe(order.code).name not in BY_EXCHANGE


def status_of(order: Order) -> tuple[str, str, str]:
    """Return (OrderStatus, OrderSubmitStatus, StatusMsg)."""
    if order.code:
        return CANCELLED, "4", f"已撤单报单被拒绝{order.symbol.partition('.')[0]}:{order.message}"
    if not order.is_alive:
        return (TRADED, "3", "全部成交") if not order.volume_left else (CANCELLED, "3", order.message)
    if not order.exchange_order_id:  # on its way to a broker outside
        return ACCEPTED, "0", order.message
    if order.volume_left < order.volume:
        return PART_TRADED, "3", "部分成交"
    return QUEUEING, "3", "未成交"


def write_order(
    order: Order, *, broker: str, trading_day: int, flags: str = "", accepted: bool = False, into: Layout
) -> bytes:
    """Return the Order record; `accepted` is its first state, before the exchange has answered."""
    exchange, _, code = order.symbol.partition(".")
    key = key_of(order.order_id, order.number)
    status, submitted, text = (ACCEPTED, "0", "报单已提交") if accepted else status_of(order)
    date, clock = stamp(order.insert_ns)
    done = not order.is_alive and not accepted and order.volume_left > 0
    traded = 0 if accepted else order.volume - order.volume_left
    return into.pack(
        {
            "BrokerID": broker,
            "InvestorID": order.account_id,
            "UserID": order.account_id,
            "AccountID": order.account_id,
            "OrderRef": key.ref,
            "FrontID": key.front,
            "SessionID": key.session,
            "OrderPriceType": PRICE_FLAGS[order.price_type],
            "Direction": str(int(order.direction)),
            "CombOffsetFlag": flags or OFFSET_FLAGS[order.offset],
            "CombHedgeFlag": "1",
            "LimitPrice": order.limit_price or 0.0,
            "VolumeTotalOriginal": order.volume,
            "VolumeTotal": order.volume - traded,
            "VolumeTraded": traded,
            "TimeCondition": str(int(order.time_condition)),
            "VolumeCondition": str(int(order.volume_condition)),
            "MinVolume": 1,
            "ContingentCondition": "1",
            "ForceCloseReason": "0",
            "OrderLocalID": f"{order.number + 1:>12}",
            "ExchangeID": exchange,
            "InstrumentID": code,
            "ExchangeInstID": code,
            "OrderSysID": "" if accepted else sys_id(order.exchange_order_id),
            "OrderStatus": status,
            "OrderSubmitStatus": submitted,
            "OrderType": "0",
            "OrderSource": "0",
            "StatusMsg": text,
            "TradingDay": str(trading_day),
            "InsertDate": date,
            "InsertTime": clock,
            "UpdateTime": stamp(order.update_ns)[1],
            "CancelTime": stamp(order.update_ns)[1] if done else "",
            "SequenceNo": order.number + 1,
            "BrokerOrderSeq": order.number + 1,
            "CurrencyID": "CNY",
        }
    )


def sys_id(number: str) -> str:
    """Return an exchange's number as CTP pads it."""
    return f"{number:>12}" if number else ""


def write_trade(trade: Trade, order: Order, *, broker: str, trading_day: int, flag: str = "") -> bytes:
    """Return the Trade record."""
    exchange, _, code = trade.symbol.partition(".")
    date, clock = stamp(trade.trade_ns)
    return layout("Trade").pack(
        {
            "BrokerID": broker,
            "InvestorID": trade.account_id,
            "UserID": trade.account_id,
            "OrderRef": key_of(order.order_id, order.number).ref,
            "ExchangeID": exchange,
            "InstrumentID": code,
            "ExchangeInstID": code,
            "TradeID": sys_id(trade.exchange_trade_id),
            "OrderSysID": sys_id(order.exchange_order_id),
            "OrderLocalID": f"{order.number + 1:>12}",
            "Direction": str(int(trade.direction)),
            "OffsetFlag": flag or OFFSET_FLAGS[trade.offset],
            "HedgeFlag": "1",
            "Price": trade.price,
            "Volume": trade.volume,
            "TradeDate": date,
            "TradeTime": clock,
            "TradeType": "0",
            "TradingDay": str(trading_day),
            "SequenceNo": trade.number + 1,
            "BrokerOrderSeq": order.number + 1,
        }
    )


def write_refused(order: InsertOrder, *, broker: str, trading_day: int, text: str, now_ns: int) -> bytes:
    """Return the Order record of one the exchange refused and kept no record of."""
    code = house_codes.BAD_PARAMETERS
    kept = order_from(order, number=0, now_ns=now_ns, message=text, code=code, is_alive=False)
    return write_order(kept, broker=broker, trading_day=trading_day, into=layout("Order"))


def action_key(asked: Record) -> Key:
    """Return the keys an action names; its reference is empty when it goes by the exchange's number."""
    return Key(asked.whole("FrontID"), asked.whole("SessionID"), asked.text("OrderRef"))


def write_unwithdrawn(order: Order, *, broker: str, text: str) -> bytes:
    """Return the OrderAction record of a withdrawal that was taken here and refused where the order is."""
    exchange, _, code = order.symbol.partition(".")
    key = key_of(order.order_id, order.number)
    return layout("OrderAction").pack(
        {
            "BrokerID": broker,
            "InvestorID": order.account_id,
            "UserID": order.account_id,
            "OrderRef": key.ref,
            "FrontID": key.front,
            "SessionID": key.session,
            "ExchangeID": exchange,
            "OrderSysID": sys_id(order.exchange_order_id),
            "ActionFlag": "0",
            "InstrumentID": code,
            "OrderActionStatus": "c",
            "StatusMsg": text,
        }
    )


def write_action(asked: Record, text: str) -> bytes:
    """Return the OrderAction record of a refused action."""
    shared: Mapping[str, Any] = {
        name: asked[name]
        for name in ("BrokerID", "InvestorID", "OrderActionRef", "OrderRef", "RequestID", "FrontID")
    }
    return layout("OrderAction").pack(
        {
            **shared,
            "SessionID": asked.whole("SessionID"),
            "ExchangeID": asked.text("ExchangeID"),
            "OrderSysID": asked.raw_text("OrderSysID"),
            "ActionFlag": asked.text("ActionFlag"),
            "UserID": asked.text("UserID"),
            "InstrumentID": asked.text("InstrumentID"),
            "OrderActionStatus": "c",
            "StatusMsg": text,
        }
    )
