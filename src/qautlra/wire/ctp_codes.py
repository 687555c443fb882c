"""CTP's error numbers with their texts as programs know them, in both languages."""

from __future__ import annotations

from typing import Final

BAD_LOGIN: Final = 3
NOT_LOGGED_IN: Final = 6
NO_PRIVILEGE: Final = 9
BAD_FIELD: Final = 15
INSTRUMENT_NOT_FOUND: Final = 16
DUPLICATE_REF: Final = 22
BAD_ACTION: Final = 23
ORDER_NOT_FOUND: Final = 25
ORDER_DONE: Final = 26
UNSUPPORTED: Final = 27
NO_FUNDS: Final = 31
NOT_CONFIRMED: Final = 42
TOO_MANY_SESSIONS: Final = 60
AUTH_FAILED: Final = 63
NOT_AUTHENTICATED: Final = 64
LOGIN_FORBIDDEN: Final = 75
WRONG_PRICE_TYPE: Final = 80
NOT_READY: Final = 90
BAD_PRICE: Final = 95
WRONG_EXCHANGE: Final = 148
BUSY: Final = 154

_TEXTS: Final[dict[int, tuple[str, str]]] = {
    0: ("正确", "no error"),
    3: ("CTP:不合法的登录", "wrong user or password"),
    5: ("CTP:用户已经登录", "already logged in"),
    6: ("CTP:还没有登录", "not logged in"),
    7: ("CTP:还没有初始化", "the front is not ready"),
    9: ("CTP:无此功能权限", "not allowed"),
    15: ("CTP:报单字段有误", "an order field is wrong"),
    16: ("CTP:找不到合约", "no such instrument"),
    17: ("CTP:合约不能交易", "the instrument cannot be traded now"),
    20: ("CTP:投资者在该交易所没有开户", "the investor is not at this exchange"),
    21: ("CTP:席位未连接到交易所", "not connected to the exchange"),
    22: ("CTP:报单错误：不允许重复报单", "an order reference was used twice"),
    23: ("CTP:错误的报单操作字段", "a field of the action is wrong"),
    24: ("CTP:撤单已报送，不允许重复撤单", "the cancel was sent already"),
    25: ("CTP:撤单找不到相应报单", "no order to cancel"),
    26: ("CTP:报单已全成交或已撤销，不能再撤", "filled or cancelled, cannot be cancelled"),
    27: ("CTP:不支持的功能", "unsupported function"),
    28: ("CTP:没有报单交易权限", "no right to trade"),
    29: ("CTP:只能平仓", "only closing is allowed"),
    30: ("CTP:平仓量超过持仓量", "closes more than is held"),
    31: ("CTP:资金不足", "not enough money"),
    42: ("CTP:结算结果未确认", "the settlement is not confirmed"),
    50: ("CTP:平今仓位不足", "closes more of today's than is held"),
    51: ("CTP:平昨仓位不足", "closes more of yesterday's than is held"),
    60: ("CTP:用户会话数超过限制", "too many sessions of this user"),
    63: ("CTP:客户端认证失败", "the program's authentication failed"),
    64: ("CTP:客户端未认证", "the program is not authenticated"),
    75: ("CTP:连续登录失败次数超限，登录被禁止", "too many failed logins, login is forbidden"),
    80: ("CTP:交易所不支持的价格类型", "the exchange has no such price type"),
    90: ("CTP:查询未就绪，请稍后重试", "queries are not ready, try again"),
    95: ("CTP:不支持的价格", "unsupported price"),
    106: ("CTP:超过持仓限额", "beyond the position limit"),
    116: ("CTP:报单过于频繁或超过当日限制", "too many orders"),
    131: ("CTP:弱密码", "the password is weak"),
    140: ("CTP:首次登录必须修改密码", "the password must be changed"),
    141: ("CTP:密码已过期", "the password has expired"),
    143: ("CTP:该IP被禁止登录", "this address may not log in"),
    144: ("CTP:该IP在黑名单中", "this address is listed as bad"),
    147: ("CTP:交易所代码不能为空", "the exchange is missing"),
    148: ("CTP:交易所代码不合法", "the exchange is wrong"),
    154: ("CTP:查询核心忙，请稍后重试", "the query core is busy, try again"),
}
RETRY: Final = frozenset({NOT_READY, BUSY})
LOCKED: Final = frozenset({3, 75, 131, 140, 141, 143, 144})
"""Login errors that another try makes worse: a person must act."""


def text(code: int, language: str = "zh") -> str:
    """Return the sentence of an error number, in Chinese as CTP writes it or in English."""
    known = _TEXTS.get(code)
    if known is None:
        return f"CTP:错误{code}" if language == "zh" else f"CTP error {code}"
    return known[0] if language == "zh" else known[1]


def known() -> dict[int, tuple[str, str]]:
    """Return every number with its two texts."""
    return dict(_TEXTS)
