"""Codes of refused commands: one number everywhere, its names and texts (trading contract 2.5, 4.4)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from qautlra._core import account, book


class Code(NamedTuple):
    """A code: the name machines read, DIFF's and CTP's numbers (0: none), the Chinese text."""

    number: int
    name: str
    diff: int
    ctp: int
    text: str


OK = 0
FUNDS = 1001
POSITION_LIMIT = 1002
BAD_VOLUME = 1003
NO_ACCOUNT = 1006
NO_INSTRUMENT = 1007
BAD_PARAMETERS = 1008
BAD_PRICE = 3003
BAD_TICK = 3004
CLOSE_LOTS = 3005
CLOSE_TODAY = 3006
CLOSE_YESTERDAY = 3007
ACTIVE_ORDERS = 3008
DAY_ORDERS = 3010
GTD_PAST = 3014
NO_CONDITION = 3020
CONDITION_MET = 3021
CONDITION_OVER = 3022
NOT_REVERSED = 3023
NO_ORDER = 3001
DUPLICATE = 3002
PRICE_TYPE = 4001
NOT_TRADING = 4004
REFUSED_THERE = 4008
NOT_AT_BROKER = 4009
NEVER_ARRIVED = 4010
FEED_LOST = 4011
FULL = 5001
UNAVAILABLE = 5002
NOT_JOURNALED = 5004
FROZEN = 2002
BAD_AMOUNT = 2004
REDUCING = 3017
HALTED = 3018
NOT_FOUND = 9404
CONFLICT = 9409
SETTLED_ALREADY = 6002
MARKET_OPEN = 6004
DIVERGED = 5005

_OWN = (
    Code(NOT_FOUND, "NOT_FOUND", 0, 15, "不存在"),
    Code(CONFLICT, "CONFLICT", 422, 15, "与现有状态冲突"),
    Code(SETTLED_ALREADY, "ALREADY_SETTLED", 0, 15, "该交易日已结算"),
    Code(MARKET_OPEN, "MARKET_OPEN", 0, 15, "市场尚未收盘，不能结算"),
    Code(NO_CONDITION, "CONDITION_NOT_FOUND", 0, 25, "条件单不存在"),
    Code(CONDITION_MET, "CONDITION_MET", 0, 15, "条件单的条件已经满足"),
    Code(CONDITION_OVER, "CONDITION_OVER", 0, 26, "条件单当前状态不允许该操作"),
    Code(NOT_REVERSED, "NOT_REVERSED", 0, 30, "平仓未全部成交，反手开仓未发出"),
    Code(4001, "UNSUPPORTED_ORDER_TYPE", 0, 80, "交易所不支持该类型的委托"),
    Code(4005, "NO_CANCEL_NOW", 0, 17, "当前时间不允许撤单"),
    Code(4006, "AUCTION_ONLY", 0, 17, "该委托仅在集合竞价时段有效"),
    Code(4007, "NOT_IN_AUCTION", 0, 17, "集合竞价时段不接受该类型的委托"),
    Code(REFUSED_THERE, "REFUSED_BY_BROKER", 330, 15, "柜台拒绝报单"),
    Code(NOT_AT_BROKER, "NOT_AT_BROKER", 0, 27, "该交易通道不支持此操作"),
    Code(
        NEVER_ARRIVED, "NEVER_ARRIVED", 330, 15, "委托未到达柜台：重新登录后柜台的全部委托中没有它，不会重发"
    ),
    Code(FEED_LOST, "FEED_LOST", 0, 17, "行情连接中断，模拟交易所暂不接受委托"),
    Code(FULL, "FULL", 0, 116, "系统当日委托数量已达上限"),
    Code(UNAVAILABLE, "BROKER_UNAVAILABLE", 0, 8, "交易通道不可用"),
    Code(NOT_JOURNALED, "NOT_JOURNALED", 0, 8, "系统暂时无法记录委托，未受理"),
    Code(DIVERGED, "DIVERGED", 0, 8, "日志与状态不符"),
)


CLOSING = frozenset({CLOSE_LOTS, CLOSE_TODAY, CLOSE_YESTERDAY})


@cache
def table() -> dict[int, Code]:
    """Return every code by number."""
    found = {code.number: code for code in _OWN}
    for number, (name, diff, ctp, text) in account.CODES.items():
        found[number] = Code(number, name, diff, ctp, text)
    missing = set(book.CODES) - set(found)
    assert not missing, missing
    return found


def describe(number: int) -> Code:
    """Return what is known of a code; one nobody knows describes itself."""
    return table().get(number) or Code(number, f"CODE_{number}", 0, 15, f"错误代码 {number}")
