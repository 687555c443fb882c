"""When contracts end: the exchanges' rules of 2025 for the last trading day of a delivery month.

Rules of options have changed more often: they are of the deliveries from which they are known to hold, and
where none is known (GFEX, INE but crude oil, fuel oil, apples, series options) there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Literal, Protocol

Expiry = Literal[
    "15th",
    "fifth_day",
    "tenth_day",
    "fourth_last_day",
    "last_monday",
    "month_before",
    "third_friday",
    "second_friday",
    "fifth_last_day_before",
    "thirteenth_last_day_before",
    "twelfth_day_before",
    "third_last_day_to_15th_before",
    "third_last_day_two_before",
]
"Days are trading days of the delivery month; of the month before it, or two before."

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

_OPTIONS: Mapping[str, tuple[int, Expiry]] = {  # from which delivery (YYYYMM) on
    "SHFE": (202311, "fifth_last_day_before"),
    "DCE": (202501, "twelfth_day_before"),
    "CZCE": (202601, "third_last_day_to_15th_before"),
}
_OPTIONS_OF_PRODUCT: Mapping[str, tuple[int, Expiry] | None] = {
    "INE.sc": (202307, "thirteenth_last_day_before"),
    "SHFE.fu": None,
    "CZCE.AP": None,
    "CZCE.CJ": (202601, "third_last_day_two_before"),
    "CZCE.PX": (202601, "third_last_day_two_before"),
}
_SERIES: Mapping[str, str] = {"CZCE": "MS", "DCE": "ms"}
"""In the codes of options that end a month earlier."""


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


def option_rule(exchange: str, product: str, year: int, month: int) -> Expiry | None:
    """Return the rule of options on a future of that delivery, None when it is not known."""
    if exchange == "CFFEX":
        return "third_friday"
    found = _OPTIONS_OF_PRODUCT.get(f"{exchange}.{product}", _OPTIONS.get(exchange))
    return found[1] if found is not None and year * 100 + month >= found[0] else None


def last_day(info: Mapping[str, Any], days: Days) -> int:
    """Return the last trading day (YYYYMMDD) of an instrument by its facts, 0 when it is not known."""
    exchange, product = info["exchange_id"], info["product_id"]
    year, month = info["delivery_year"], info["delivery_month"]
    if not product or not year or not month:
        return 0
    rule = None
    if info["kind"] == "FUTURE":
        rule = expiry_rule(exchange, product)
    elif info["kind"] == "OPTION" and not (
        exchange in _SERIES and _SERIES[exchange] in info["instrument_id"]
    ):
        rule = option_rule(exchange, product, year, month)
    return expiry_day(rule, year, month, days) if rule is not None else 0


def expiry_day(rule: Expiry, year: int, month: int, days: Days) -> int:
    """Return the last trading day (YYYYMMDD) of the contract delivered in that month."""
    first = date(year, month, 1)
    if rule == "month_before":
        return days.previous_trading_day(_number(first))
    before = (first - timedelta(days=1)).replace(day=1)
    match rule:
        case "fifth_day" | "tenth_day":
            return _nth(first, 5 if rule == "fifth_day" else 10, days)
        case "twelfth_day_before":
            return _nth(before, 12, days)
        case "fifth_last_day_before":
            return _nth_last(first, 5, days)
        case "thirteenth_last_day_before":
            return _nth_last(first, 13, days)
        case "third_last_day_to_15th_before":
            return _nth_last(before.replace(day=16), 3, days)
        case "third_last_day_two_before":
            return _nth_last(before, 3, days)
    if rule in ("fourth_last_day", "last_monday"):
        end = (first + timedelta(days=31)).replace(day=1)
        if rule == "fourth_last_day":
            return _nth_last(end, 4, days)
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


def _nth(first: date, count: int, days: Days) -> int:
    """Return the trading day of that number, from `first` on."""
    day = days.previous_trading_day(_number(first))
    for _ in range(count):
        day = days.next_trading_day(day)
    return day


def _nth_last(end: date, count: int, days: Days) -> int:
    """Return the trading day of that number, backwards from before `end`."""
    day = _number(end)
    for _ in range(count):
        day = days.previous_trading_day(day)
    return day


def _number(day: date) -> int:
    return day.year * 10000 + day.month * 100 + day.day
