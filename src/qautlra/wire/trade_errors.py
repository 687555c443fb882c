"""The one table of error numbers of the trading doors: name, HTTP status, Chinese and English text.

Numbers below 9000 that the core answers with are the core's; a test keeps the two tables together.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from qautlra.base.errors import InputError, QautlraError


class TradeError(NamedTuple):
    """One row."""

    name: str
    status: int
    zh: str
    en: str


BAD_PARAMETERS: Final = 1008
INTERNAL: Final = 5006
NO_LOGIN: Final = 9401
FORBIDDEN: Final = 9403
NOT_FOUND: Final = 9404
CONFLICT: Final = 9409
RATE: Final = 9429
UNAVAILABLE: Final = 9503

TABLE: Final[dict[int, TradeError]] = {
    number: TradeError(name, status, zh, en)
    for number, name, status, zh, en in (
        (1001, "NOTIONAL_EXCEEDS_FREE_BALANCE", 400, "开仓保证金不足", "Not enough available funds"),
        (1002, "POSITION_LIMIT_EXCEEDED", 400, "持仓超过限额", "Position limit exceeded"),
        (1003, "QUANTITY_EXCEEDS_MAXIMUM", 400, "下单手数不合法", "Not a permitted volume"),
        (1004, "RISK_RATIO_EXCEEDED", 400, "账户风险度过高，禁止开仓", "Risk ratio too high to open"),
        (1005, "SELF_TRADE", 400, "可能自成交，拒绝下单", "Would trade with the account's own order"),
        (1006, "ACCOUNT_NOT_FOUND", 404, "账户不存在", "No such account"),
        (1007, "INSTRUMENT_NOT_FOUND", 404, "合约不存在", "No such instrument"),
        (1008, "INVALID_PARAMETERS", 400, "报单字段有误", "Invalid parameters"),
        (1009, "CONCENTRATION_EXCEEDED", 400, "单一合约占用保证金超过权益限制", "Too much in one contract"),
        (1010, "NOTIONAL_EXCEEDS_MAX_PER_ORDER", 400, "单笔报单金额超过限制", "Order notional too large"),
        (2001, "ACCOUNT_EXISTS", 409, "账户已存在", "The account exists already"),
        (2002, "ACCOUNT_FROZEN", 400, "账户已冻结，禁止交易", "The account is frozen"),
        (2003, "WITHDRAW_EXCEEDS_QUOTA", 400, "转账失败，可取资金不足", "More than can be withdrawn"),
        (2004, "INVALID_AMOUNT", 400, "转账失败，金额不合法", "Not a permitted amount"),
        (2005, "ORDERS_ALIVE", 400, "仍有未了结的委托单", "Orders are still alive"),
        (3001, "ORDER_NOT_FOUND", 404, "要撤销的单不存在", "No such live order"),
        (3002, "DUPLICATE_ORDER_ID", 409, "单号重复", "Duplicate order id"),
        (3003, "INVALID_PRICE", 400, "下单价格不合法", "Not a permitted price"),
        (3004, "PRICE_NOT_ON_TICK", 400, "下单价格不是价格单位的整倍数", "Price is no multiple of the tick"),
        (3005, "CLOSE_EXCEEDS_POSITION", 400, "平仓手数超过持仓量", "More than the position to close"),
        (3006, "CLOSE_EXCEEDS_TODAY", 400, "平今手数超过今仓持仓量", "More than today's to close"),
        (3007, "CLOSE_EXCEEDS_YESTERDAY", 400, "平昨手数超过昨仓持仓量", "More than yesterday's to close"),
        (3008, "ACTIVE_ORDERS_EXCEEDED", 400, "活动委托数量超过上限", "Too many active orders"),
        (3009, "REPEATED_ORDER", 400, "重复委托次数超过上限", "The same order too often"),
        (3010, "DAILY_ORDERS_EXCEEDED", 400, "当日委托次数超过上限", "Too many orders today"),
        (3011, "DAILY_CANCELS_EXCEEDED", 400, "当日撤单次数超过上限", "Too many cancels today"),
        (3012, "DAILY_TRADES_EXCEEDED", 400, "当日成交次数超过上限", "Too many trades today"),
        (3013, "REDUCE_ONLY", 400, "只减仓委托不能开仓", "A reduce-only order cannot open"),
        (3014, "GTD_IN_PAST", 400, "委托有效期已过", "The order's last day is past"),
        (3015, "PRICE_TOO_FAR_FROM_LAST", 400, "委托价格偏离最新价过大", "Price too far from the last"),
        (3016, "STALE_FEED", 400, "行情中断，禁止市价委托", "No market orders: the feed is stale"),
        (3017, "TRADING_STATE_REDUCING", 400, "当前只允许平仓", "Only closing is permitted now"),
        (3018, "TRADING_STATE_HALTED", 400, "交易已暂停", "Trading is halted"),
        (3019, "INSTRUMENT_SUSPENDED", 400, "合约当前不可交易", "The instrument cannot be traded now"),
        (3020, "CONDITION_NOT_FOUND", 404, "条件单不存在", "No such conditional order"),
        (3021, "CONDITION_MET", 400, "条件单的条件已经满足", "The condition is met already"),
        (3022, "CONDITION_OVER", 409, "条件单当前状态不允许该操作", "Not in the order's present state"),
        (3023, "NOT_REVERSED", 400, "平仓未全部成交，反手开仓未发出", "Not closed, so not reversed"),
        (4001, "UNSUPPORTED_ORDER", 400, "交易所不支持该报单类型", "Not taken by the exchange"),
        (4002, "PRICE_ABOVE_UPPER_LIMIT", 400, "下单价格超过涨停价", "Price above the upper limit"),
        (4003, "PRICE_BELOW_LOWER_LIMIT", 400, "下单价格低于跌停价", "Price below the lower limit"),
        (4004, "NOT_TRADING", 400, "当前时间不允许下单", "No orders at this time"),
        (4005, "NO_CANCEL_NOW", 400, "当前时间不允许撤单", "No cancels at this time"),
        (4006, "AUCTION_ONLY", 400, "该报单只能在集合竞价时使用", "Only in a call auction"),
        (4007, "NOT_IN_AUCTION", 400, "集合竞价不接受该报单", "Not in a call auction"),
        (5001, "FULL", 503, "系统容量已满", "The engine is full"),
        (5002, "BROKER_UNAVAILABLE", 503, "交易通道不可用", "The broker is unavailable"),
        (5003, "VALUE_TOO_LARGE", 400, "金额超出系统上限", "Beyond what an account can hold"),
        (5004, "NOT_JOURNALED", 503, "日志不可写，拒绝下单", "Refused: the journal cannot be written"),
        (5005, "DIVERGED", 500, "重放状态不一致", "The replayed state differs"),
        (5006, "INTERNAL", 500, "系统内部错误", "Internal error; the server's log has the details"),
        (6001, "NO_SETTLEMENT_PRICE", 400, "缺少结算价", "No settlement price"),
        (6002, "ALREADY_SETTLED", 409, "该交易日已结算", "This trading day is settled already"),
        (6003, "SETTLEMENT_NOT_FOUND", 404, "没有该日结算数据", "No settlement of that day"),
        (6004, "MARKET_OPEN", 409, "市场尚未收盘，不能结算", "The market of the day is not over"),
        (9401, "NOT_LOGGED_IN", 401, "请先登录", "Log in first"),
        (9403, "FORBIDDEN", 403, "没有权限", "You may not do this"),
        (9404, "NOT_FOUND", 404, "不存在", "Not found"),
        (9409, "CONFLICT", 409, "与现有状态冲突", "In conflict with what is there"),
        (9413, "TOO_LARGE", 413, "请求过大", "The request is too large"),
        (9429, "MAX_ORDER_SUBMIT_RATE", 429, "报单过于频繁", "Too many requests"),
        (9503, "UNAVAILABLE", 503, "服务不可用", "The service is not running"),
    )
}  # fmt: skip


def refused(number: int, en: str = "", zh: str = "", **details: Any) -> InputError:
    """Return the error of a number; `en` and `zh` say it more exactly than the table."""
    row = TABLE.get(number, TABLE[INTERNAL])
    return InputError(en or row.en, status=row.status, number=number, zh=zh or row.zh, **details)


def said(error: QautlraError) -> str:
    """Return what a person is told, in Chinese; what is wrong with a request's form keeps its own words."""
    if "zh" in error.details:
        return str(error.details["zh"])
    if error.code == "limit":
        return "请求过于频繁"
    if error.code == "auth" and error.status == 401:
        return "用户名或密码错误"
    number = number_of(error)
    zh = TABLE.get(number, TABLE[INTERNAL]).zh
    return f"{zh}({error.message})" if number == BAD_PARAMETERS and error.message else zh


def number_of(error: QautlraError) -> int:
    """Return the number of one of our errors."""
    number = error.details.get("number")
    if isinstance(number, int):
        return number
    if error.code == "auth":
        return NO_LOGIN if error.status == 401 else FORBIDDEN
    by_status = {404: NOT_FOUND, 409: CONFLICT, 413: 9413, 429: RATE, 503: UNAVAILABLE}
    if error.status in by_status:
        return by_status[error.status]
    return BAD_PARAMETERS if 400 <= error.status < 500 else INTERNAL
