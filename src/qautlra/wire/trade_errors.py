"""The one table of error numbers of the trading doors: name, HTTP status, Chinese and English text.

What the engine answers with is named in `model.codes`; a test sees that no code is missing here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from qautlra.base.errors import InputError, QautlraError
from qautlra.model import codes


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

_ENGINE: Final = {
    1001: (400, "Not enough available funds"),
    1002: (400, "Position limit exceeded"),
    1003: (400, "Not a permitted volume"),
    1004: (400, "Risk ratio too high to open"),
    1005: (400, "Would trade with the account's own order"),
    1006: (404, "No such account"),
    1007: (404, "No such instrument"),
    1008: (400, "Invalid parameters"),
    1009: (400, "Too much in one contract"),
    1010: (400, "Order notional too large"),
    2002: (400, "The account is frozen"),
    2003: (400, "More than can be withdrawn"),
    2004: (400, "Not a permitted amount"),
    2005: (400, "Orders are still alive"),
    3001: (404, "No such live order"),
    3002: (409, "Duplicate order id"),
    3003: (400, "Not a permitted price"),
    3004: (400, "Price is no multiple of the tick"),
    3005: (400, "More than the position to close"),
    3006: (400, "More than today's to close"),
    3007: (400, "More than yesterday's to close"),
    3008: (400, "Too many active orders"),
    3009: (400, "The same order too often"),
    3010: (400, "Too many orders today"),
    3011: (400, "Too many cancels today"),
    3012: (400, "Too many trades today"),
    3013: (400, "A reduce-only order cannot open"),
    3014: (400, "The order's last day is past"),
    3015: (400, "Price too far from the last"),
    3016: (400, "No market orders: the feed is stale"),
    3017: (400, "Only closing is permitted now"),
    3018: (400, "Trading is halted"),
    3019: (400, "The instrument cannot be traded now"),
    3020: (404, "No such conditional order"),
    3021: (400, "The condition is met already"),
    3022: (409, "Not in the order's present state"),
    3023: (400, "Not closed, so not reversed"),
    4001: (400, "Not taken by the exchange"),
    4002: (400, "Price above the upper limit"),
    4003: (400, "Price below the lower limit"),
    4004: (400, "No orders at this time"),
    4005: (400, "No cancels at this time"),
    4006: (400, "Only in a call auction"),
    4007: (400, "Not in a call auction"),
    4008: (400, "Refused by the broker"),
    4009: (400, "The account's broker does not do this"),
    4010: (503, "The order never reached the broker"),
    4011: (503, "The feed is lost: the paper exchange takes no orders"),
    5001: (503, "The engine is full"),
    5002: (503, "The broker is unavailable"),
    5003: (400, "Beyond what an account can hold"),
    5004: (503, "Refused: the journal cannot be written"),
    5005: (500, "The replayed state differs"),
    6002: (409, "This trading day is settled already"),
    6004: (409, "The market of the day is not over"),
    9429: (429, "Too many requests"),
}
"""HTTP status and English of what the engine answers with; names and Chinese are `model.codes`'."""
_DOORS: Final = (
    (2001, TradeError("ACCOUNT_EXISTS", 409, "账户已存在", "The account exists already")),
    (5006, TradeError("INTERNAL", 500, "系统内部错误", "Internal error; the server's log has the details")),
    (6001, TradeError("NO_SETTLEMENT_PRICE", 400, "缺少结算价", "No settlement price")),
    (6003, TradeError("SETTLEMENT_NOT_FOUND", 404, "没有该日结算数据", "No settlement of that day")),
    (9401, TradeError("NOT_LOGGED_IN", 401, "请先登录", "Log in first")),
    (9403, TradeError("FORBIDDEN", 403, "没有权限", "You may not do this")),
    (9404, TradeError("NOT_FOUND", 404, "不存在", "Not found")),
    (9409, TradeError("CONFLICT", 409, "与现有状态冲突", "In conflict with what is there")),
    (9413, TradeError("TOO_LARGE", 413, "请求过大", "The request is too large")),
    (9503, TradeError("UNAVAILABLE", 503, "服务不可用", "The service is not running")),
)


def _table() -> dict[int, TradeError]:
    found = {
        number: TradeError(codes.describe(number).name, status, codes.describe(number).text, en)
        for number, (status, en) in _ENGINE.items()
    }
    return found | dict(_DOORS)


TABLE: Final = _table()


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
