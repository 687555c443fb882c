"""When futures end: the exchanges' rules of 2025 for the last trading day of a delivery month."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal, Protocol

Expiry = Literal[
    "15th",
    "fifth_day",
    "tenth_day",
    "fourth_last_day",
    "last_monday",
    "month_before",
    "third_friday",
    "second_friday",
]
"Days are trading days of the delivery month."

_OF_EXCHANGE: Mapping[str, Expiry] = {
    "SHFE": "15th",
    "INE": "15th",
    "DCE": "tenth_day",
    "CZCE": "tenth_day",
    "GFEX": "tenth_day",
    "CFFEX": "third_friday",
}
_OF_PRODUCT: Mapping[str, Expiry] = {
    "SHFE.fu": "month_before",
    "INE.sc": "month_before",
    "INE.lu": "month_before",
    "INE.ec": "last_monday",
    "CZCE.ZC": "fifth_day",
    "DCE.bz": "fourth_last_day",
    "DCE.eb": "fourth_last_day",
    "DCE.eg": "fourth_last_day",
    "DCE.jd": "fourth_last_day",
    "DCE.lh": "fourth_last_day",
    "DCE.pg": "fourth_last_day",
    "CFFEX.T": "second_friday",
    "CFFEX.TF": "second_friday",
    "CFFEX.TS": "second_friday",
    "CFFEX.TL": "second_friday",
}


class Days(Protocol):
    """The calendar as far as last trading days need it; days are YYYYMMDD."""

    def is_trading_day(self, day: int) -> bool:
        """Say whether the market is open on `day`."""
        ...

    def next_trading_day(self, day: int) -> int:
        """Return the first trading day after `day`."""
        ...

    def previous_trading_day(self, day: int) -> int:
        """Return the last trading day before `day`."""
        ...


def expiry_rule(exchange: str, product: str) -> Expiry | None:
    """Return the rule of a futures product, None when it is not known."""
    return _OF_PRODUCT.get(f"{exchange}.{product}", _OF_EXCHANGE.get(exchange))


def expiry_day(rule: Expiry, year: int, month: int, days: Days) -> int:
    """Return the last trading day (YYYYMMDD) of the contract delivered in that month."""
    first = date(year, month, 1)
    if rule == "month_before":
        return days.previous_trading_day(_number(first))
    if rule in ("fifth_day", "tenth_day"):
        day = days.previous_trading_day(_number(first))
        for _ in range(5 if rule == "fifth_day" else 10):
            day = days.next_trading_day(day)
        return day
    if rule in ("fourth_last_day", "last_monday"):
        end = (first + timedelta(days=31)).replace(day=1)
        if rule == "fourth_last_day":
            day = _number(end)
            for _ in range(4):
                day = days.previous_trading_day(day)
            return day
        monday = end - timedelta(days=end.weekday() or 7)
        while not days.is_trading_day(_number(monday)):
            monday -= timedelta(weeks=1)
        return _number(monday)
    if rule == "15th":
        target = first.replace(day=15)
    else:
        friday = first + timedelta(days=(4 - first.weekday()) % 7)
        target = friday + timedelta(weeks=2 if rule == "third_friday" else 1)
    wanted = _number(target)
    return wanted if days.is_trading_day(wanted) else days.next_trading_day(wanted)


def _number(day: date) -> int:
    return day.year * 10000 + day.month * 100 + day.day
