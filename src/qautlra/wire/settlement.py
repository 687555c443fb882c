"""The text of a daily statement, laid out as the counters of futures brokers print it."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from qautlra.base.loop import in_slices, used_up
from qautlra.model.order import Direction, Offset, Trade

WIDTH: Final = 112
_SIDES: Final = {Direction.BUY: "买", Direction.SELL: "卖"}
_OFFSETS: Final = {Offset.OPEN: "开", Offset.CLOSE: "平", Offset.CLOSETODAY: "平今"}
_CAUSES: Final = {"delivery": "交割", "exercise": "行权", "lapse": "作废"}
_MONEY: Final = (
    ("期初结存", "pre_balance", "期末结存", "balance"),
    ("入    金", "deposit", "出    金", "withdraw"),
    ("平仓盈亏", "close_profit", "持仓盯市盈亏", "position_profit"),
    ("手 续 费", "commission", "权利金收支", "premium"),
    ("保证金占用", "margin", "可用资金", "available"),
    ("可取资金", "withdraw_quota", "浮动盈亏", "float_profit"),
)


class Moved(Protocol):
    """Money moved between account and bank."""

    @property
    def amount(self) -> float: ...
    @property
    def bank_id(self) -> str: ...
    @property
    def code(self) -> int: ...
    @property
    def time_ns(self) -> int: ...


class Statement(Protocol):
    """What is printed."""

    @property
    def account_id(self) -> str: ...
    @property
    def trading_day(self) -> int: ...
    @property
    def funds(self) -> Mapping[str, float]: ...
    @property
    def positions(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def trades(self) -> Sequence[Trade]: ...
    @property
    def transfers(self) -> Sequence[Moved]: ...
    @property
    def prices(self) -> Mapping[str, float]: ...


def risk_ratio(funds: Mapping[str, float]) -> float | None:
    """Return margin to balance; None where something is held and no balance is left to divide by."""
    if not funds.get("margin"):
        return 0.0
    return funds["margin"] / funds["balance"] if funds["balance"] > 0 else None


def render(statement: Statement) -> str:
    """Return the statement as text: funds, money moved, trades, positions.

    One of many trades takes long: in a thread, where it lets go of the interpreter.
    """
    lines = [
        _centre("交易结算单(盯市)"),
        "",
        f"客户号：{statement.account_id}    日期：{statement.trading_day}    币种：人民币",
        "",
        *_funds(statement.funds),
        *_transfers(statement),
        *_trades(statement),
        *_positions(statement),
    ]
    return "\n".join(lines) + "\n"


def _funds(funds: Mapping[str, float]) -> list[str]:
    lines = [_centre("资金状况"), "-" * WIDTH]
    for left, left_name, right, right_name in _MONEY:
        first = f"{_left(left + '：', 16)}{_number(funds.get(left_name, 0.0)):>20}"
        lines.append(f"{first}        {_left(right + '：', 16)}{_number(funds.get(right_name, 0.0)):>20}")
    ratio = risk_ratio(funds)
    lines.append(f"{_left('风 险 度：', 16)}{'-' if ratio is None else f'{ratio * 100:.2f}%':>20}")
    return [*lines, ""]


def _transfers(statement: Statement) -> list[str]:
    rows = [
        [_time(one.time_ns), one.bank_id, "入金" if one.amount > 0 else "出金", _number(abs(one.amount))]
        for one in statement.transfers
        if not one.code
    ]
    return _table("出入金明细", [("时间", 20), ("银行", 12), ("方向", 8), ("金额", -18)], rows)


def _trades(statement: Statement) -> list[str]:
    rows = [
        [
            _time(one.trade_ns),
            one.symbol,
            _SIDES[one.direction],
            _CAUSES.get(one.cause) or _OFFSETS[one.offset],
            f"{one.price:g}",
            str(one.volume),
            _number(one.commission),
            _number(one.close_profit),
            one.exchange_trade_id,
        ]
        for one in in_slices(statement.trades)
    ]
    columns = [("时间", 20), ("合约", 16), ("买卖", 6), ("开平", 6), ("成交价", -12), ("手数", -8)]
    columns += [("手续费", -12), ("平仓盈亏", -16), ("成交编号", -14)]
    total = ["合计", "", "", "", "", str(sum(one.volume for one in in_slices(statement.trades)))]
    total += [_number(sum(one.commission for one in in_slices(statement.trades)))]
    total += [_number(sum(one.close_profit for one in in_slices(statement.trades))), ""]
    if rows:
        rows.append(total)
    return _table("成交明细", columns, rows)


def _positions(statement: Statement) -> list[str]:
    rows = []
    for one in statement.positions:
        price = statement.prices.get(one["symbol"])
        for side, word in (("long", "买"), ("short", "卖")):
            if not one[f"volume_{side}"]:
                continue
            rows.append(
                [
                    one["symbol"],
                    word,
                    str(int(one[f"volume_{side}"])),
                    f"{one[f'open_price_{side}']:.4f}",
                    "-" if price is None else f"{price:g}",
                    _number(one[f"position_profit_{side}"]),
                    _number(one[f"float_profit_{side}"]),
                    _number(one[f"margin_{side}"]),
                ]
            )
    columns = [("合约", 16), ("买卖", 6), ("手数", -8), ("开仓均价", -16), ("结算价", -14)]
    columns += [("盯市盈亏", -16), ("浮动盈亏", -16), ("保证金", -16)]
    return _table("持仓汇总", columns, rows)


def _table(title: str, columns: Sequence[tuple[str, int]], rows: list[list[str]]) -> list[str]:
    """A titled table; a negative width aligns to the right. Nothing at all without rows, which it uses up."""
    if not rows:
        return []
    lines = [
        "".join([_cell(text, width) for text, (_, width) in zip(row, columns, strict=True)])
        for row in used_up(rows)
    ]
    head = "".join(_cell(name, width) for name, width in columns)
    return [_centre(title), "-" * WIDTH, head, "-" * WIDTH, *lines, "-" * WIDTH, ""]


def _cell(text: str, width: int) -> str:
    return _left(text, width) if width > 0 else " " * max(1, -width - _columns(text)) + text


def _left(text: str, width: int) -> str:
    return text + " " * max(1, width - _columns(text))


def _centre(text: str) -> str:
    return " " * max(0, (WIDTH - _columns(text)) // 2) + text


def _columns(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC) + timedelta(hours=8):%Y-%m-%d %H:%M:%S}"
