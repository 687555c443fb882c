"""Answers to CTP's queries: accounts, positions, instruments, rates, exchanges as its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from qautlra.model.naming import instrument_name
from qautlra.wire.ctp_records import layout

STATEMENT_PIECE_BYTES: Final = 500
SPLIT_EXCHANGES: Final = frozenset({"SHFE", "INE"})
_EXCHANGES: Final = {
    "SHFE": "上海期货交易所",
    "INE": "上海国际能源交易中心",
    "DCE": "大连商品交易所",
    "CZCE": "郑州商品交易所",
    "CFFEX": "中国金融期货交易所",
    "GFEX": "广州期货交易所",
}


def account(funds: Mapping[str, float], *, account_id: str, broker: str, trading_day: int) -> bytes:
    """Return the TradingAccount record of the account's money."""
    return layout("TradingAccount").pack(
        {
            "BrokerID": broker,
            "AccountID": account_id,
            "PreBalance": funds["pre_balance"],
            "Deposit": funds["deposit"],
            "Withdraw": funds["withdraw"],
            "FrozenMargin": funds["frozen_margin"],
            "FrozenCash": funds["frozen_premium"],
            "FrozenCommission": funds["frozen_commission"],
            "CurrMargin": funds["margin"],
            "CashIn": funds["premium"],
            "Commission": funds["commission"],
            "CloseProfit": funds["close_profit"],
            "PositionProfit": funds["position_profit"],
            "Balance": funds["balance"],
            "Available": funds["available"],
            "WithdrawQuota": funds["withdraw_quota"],
            "ExchangeMargin": funds["margin"],
            "TradingDay": str(trading_day),
            "SettlementID": 1,
            "CurrencyID": "CNY",
        }
    )


def positions(
    position: Mapping[str, Any], *, account_id: str, broker: str, trading_day: int, multiple: float
) -> Iterator[bytes]:
    """Yield the InvestorPosition records of one instrument: today and yesterday apart on SHFE and INE."""
    exchange, _, code = str(position["symbol"]).partition(".")
    for side, direction, frozen in (("long", "2", "ShortFrozen"), ("short", "3", "LongFrozen")):
        today, his = position[f"volume_{side}_today"], position[f"volume_{side}_his"]
        yesterday = position[f"volume_{side}_yd"]
        total = today + his
        if not total and not yesterday:
            continue
        cost, opened = position[f"position_cost_{side}"], position[f"open_cost_{side}"]
        today_cost = position[f"cost_{side}_today"]
        profit, margin = position[f"position_profit_{side}"], position[f"margin_{side}"]
        # No price without lots of yesterday that are still held: then clients take the market's own.
        settled = (cost - today_cost) / (his * multiple) if his else 0.0
        last_price = position["last_price"]
        frozen_today = position[f"volume_{side}_frozen_today"]
        frozen_his = position[f"volume_{side}_frozen_his"]
        common = {
            "BrokerID": broker,
            "InvestorID": account_id,
            "InstrumentID": code,
            "ExchangeID": exchange,
            "PosiDirection": direction,
            "HedgeFlag": "1",
            "TradingDay": str(trading_day),
            "SettlementID": 1,
            "PreSettlementPrice": settled,
            "SettlementPrice": last_price,
        }
        if exchange not in SPLIT_EXCHANGES:
            yield layout("InvestorPosition").pack(
                common
                | {
                    "PositionDate": "1",
                    "Position": total,
                    "TodayPosition": today,
                    "YdPosition": yesterday,
                    frozen: frozen_today + frozen_his,
                    "PositionCost": cost,
                    "OpenCost": opened,
                    "PositionProfit": profit,
                    "UseMargin": margin,
                    "ExchangeMargin": margin,
                }
            )
            continue
        sign = 1.0 if side == "long" else -1.0
        today_profit = (
            sign * (last_price * today * multiple - today_cost) if today and last_price == last_price else 0.0
        )
        rows = (
            ("1", today, today, 0, frozen_today, today_cost, today_cost, today_profit),
            (
                "2",
                his,
                0,
                yesterday,
                frozen_his,
                cost - today_cost,
                opened - today_cost,
                profit - today_profit,
            ),
        )
        for date, volume, of_today, of_before, kept, row_cost, row_opened, row_profit in rows:
            if not volume and not of_before:
                continue
            share = margin * row_cost / cost if cost else 0.0
            yield layout("InvestorPosition").pack(
                common
                | {
                    "PositionDate": date,
                    "Position": volume,
                    "TodayPosition": of_today,
                    "YdPosition": of_before,
                    frozen: kept,
                    "PositionCost": row_cost,
                    "OpenCost": row_opened,
                    "PositionProfit": row_profit,
                    "UseMargin": share,
                    "ExchangeMargin": share,
                }
            )


def instrument(info: Mapping[str, Any], last_day: int) -> bytes:
    """Return the Instrument record; `last_day` YYYYMMDD, 0 when it is not known."""
    year, month = info["delivery_year"] or 0, info["delivery_month"] or 0
    option = info["kind"] == "OPTION"
    ratio = info["margin_ratio"] or 0.1
    code = info["instrument_id"]
    return layout("Instrument").pack(
        {
            "InstrumentID": code,
            "ExchangeInstID": code,
            "ExchangeID": info["exchange_id"],
            "InstrumentName": instrument_name(info),
            "ProductID": info["product_id"] or "",
            "ProductClass": "2" if option else "1",
            "DeliveryYear": year,
            "DeliveryMonth": month,
            "MaxMarketOrderVolume": 100,
            "MinMarketOrderVolume": 1,
            "MaxLimitOrderVolume": 500,
            "MinLimitOrderVolume": 1,
            "VolumeMultiple": int(info["volume_multiple"]),
            "PriceTick": info["price_tick"],
            "ExpireDate": str(last_day) if last_day else "",
            "InstLifePhase": "1",
            "IsTrading": 1,
            "PositionType": "2",
            "PositionDateType": "1" if info["exchange_id"] in SPLIT_EXCHANGES else "2",
            "LongMarginRatio": ratio,
            "ShortMarginRatio": ratio,
            "MaxMarginSideAlgorithm": "0",
            "StrikePrice": info["strike_price"] or 0.0,
            "OptionsType": {"CALL": "1", "PUT": "2"}.get(info["option_class"] or "", "\0"),
            "UnderlyingInstrID": (info["underlying_symbol"] or "").partition(".")[2],
            "UnderlyingMultiple": 1.0,
            "CombinationType": "0",
        }
    )


def margin_rate(info: Mapping[str, Any], *, account_id: str, broker: str) -> bytes:
    """Return the InstrumentMarginRate record."""
    ratio = info["margin_ratio"] or 0.1
    return layout("InstrumentMarginRate").pack(
        {
            "BrokerID": broker,
            "InvestorID": account_id,
            "InvestorRange": "1",
            "HedgeFlag": "1",
            "InstrumentID": info["instrument_id"],
            "ExchangeID": info["exchange_id"],
            "LongMarginRatioByMoney": ratio,
            "ShortMarginRatioByMoney": ratio,
        }
    )


def commission_rate(info: Mapping[str, Any], *, account_id: str, broker: str) -> bytes:
    """Return the InstrumentCommissionRate record: per lot or a share of turnover, never both."""
    fee = info["fee"] or {"open": 0.0001, "close": 0.0001, "close_today": 0.0001, "by": "money"}
    by = "Volume" if fee["by"] == "lot" else "Money"
    return layout("InstrumentCommissionRate").pack(
        {
            "BrokerID": broker,
            "InvestorID": account_id,
            "InvestorRange": "1",
            "InstrumentID": info["instrument_id"],
            "ExchangeID": info["exchange_id"],
            f"OpenRatioBy{by}": fee["open"],
            f"CloseRatioBy{by}": fee["close"],
            f"CloseTodayRatioBy{by}": fee["close_today"],
        }
    )


def exchanges() -> Iterator[tuple[str, bytes]]:
    """Yield (id, Exchange record) of every futures exchange."""
    for exchange, name in _EXCHANGES.items():
        yield (
            exchange,
            layout("Exchange").pack({"ExchangeID": exchange, "ExchangeName": name, "ExchangeProperty": "0"}),
        )


def investor(account_id: str, broker: str) -> bytes:
    """Return the Investor record."""
    return layout("Investor").pack(
        {"InvestorID": account_id, "BrokerID": broker, "InvestorName": account_id, "IsActive": 1}
    )


def trading_code(account_id: str, broker: str, exchange: str) -> bytes:
    """Return the TradingCode record of one exchange."""
    return layout("TradingCode").pack(
        {
            "InvestorID": account_id,
            "BrokerID": broker,
            "ExchangeID": exchange,
            "ClientID": account_id[:10],
            "IsActive": 1,
            "ClientIDType": "1",
        }
    )


def confirmation(account_id: str, broker: str, date: str, clock: str) -> bytes:
    """Return the SettlementInfoConfirm record."""
    return layout("SettlementInfoConfirm").pack(
        {
            "BrokerID": broker,
            "InvestorID": account_id,
            "AccountID": account_id,
            "ConfirmDate": date,
            "ConfirmTime": clock,
            "SettlementID": 1,
            "CurrencyID": "CNY",
        }
    )


def statement(text: str, *, account_id: str, broker: str, trading_day: int) -> Iterator[bytes]:
    """Yield the SettlementInfo records of a statement: numbered pieces, cut between characters."""
    for number, piece in enumerate(_pieces(text), 1):
        yield layout("SettlementInfo").pack(
            {
                "TradingDay": str(trading_day),
                "SettlementID": 1,
                "BrokerID": broker,
                "InvestorID": account_id,
                "SequenceNo": number,
                "Content": piece,
                "AccountID": account_id,
                "CurrencyID": "CNY",
            }
        )


def _pieces(text: str) -> Iterator[bytes]:
    piece = b""
    for character in text:
        raw = character.encode("gb18030", "replace")
        if len(piece) + len(raw) > STATEMENT_PIECE_BYTES:
            yield piece
            piece = b""
        piece += raw
    if piece:
        yield piece


def broker_params(account_id: str, broker: str) -> bytes:
    """Return the BrokerTradingParams record: margin at yesterday's settlement, profits count."""
    return layout("BrokerTradingParams").pack(
        {
            "BrokerID": broker,
            "InvestorID": account_id,
            "AccountID": account_id,
            "MarginPriceType": "1",
            "Algorithm": "1",
            "AvailIncludeCloseProfit": "0",
            "OptionRoyaltyPriceType": "1",
            "CurrencyID": "CNY",
        }
    )
