"""The time grammar of queries: `now-1h30m`, `2 hours ago`, `yesterday`, RFC 3339, Beijing dates, epochs.

Pure: the caller evaluates `now` once per request and passes it in. All results are Unix nanoseconds.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

from qautlra.base.errors import InputError

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
TEXT_CHARS_COUNT = 80
NS_PER_S = 1_000_000_000
ROW_NS = 1_000  # stamps of rows are whole microseconds
# What int64 nanoseconds hold, less a day so that a range's end may be widened.
MIN_NS = -(2**63) + 86_400 * NS_PER_S
MAX_NS = 2**63 - 86_400 * NS_PER_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_NS = {
    "ns": 1, "nano": 1, "nanosec": 1, "nanosecond": 1,
    "us": 1_000, "µs": 1_000, "μs": 1_000, "micro": 1_000, "microsec": 1_000, "microsecond": 1_000,
    "ms": 1_000_000, "milli": 1_000_000, "millisec": 1_000_000, "millisecond": 1_000_000,
    "s": NS_PER_S, "sec": NS_PER_S, "second": NS_PER_S,
    "m": 60 * NS_PER_S, "min": 60 * NS_PER_S, "minute": 60 * NS_PER_S,
    "h": 3_600 * NS_PER_S, "hr": 3_600 * NS_PER_S, "hour": 3_600 * NS_PER_S,
    "d": 86_400 * NS_PER_S, "day": 86_400 * NS_PER_S,
    "w": 604_800 * NS_PER_S, "wk": 604_800 * NS_PER_S, "week": 604_800 * NS_PER_S,
}  # fmt: skip
_UNIT_MONTHS = {"mo": 1, "mon": 1, "month": 1, "y": 12, "yr": 12, "year": 12}

_TERM = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-zµμ]{1,12})", re.ASCII)
_ANCHORED = re.compile(r"(now|today|yesterday)\s*(?:([+-])\s*(.+))?", re.IGNORECASE | re.DOTALL)
_AGO = re.compile(r"(.+?)(?:\s*-\s*|\s+)ago", re.IGNORECASE | re.DOTALL)
_EPOCH_INT = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_EPOCH_FRACTION = re.compile(r"[+-]?\d{1,11}\.\d{1,9}", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(?:([Zz])|([+-])(\d{2}):?(\d{2}))?",
    re.ASCII,
)


class _Refused(Exception):
    """What in the text cannot be read, and why."""

    def __init__(self, token: str, why: str) -> None:
        super().__init__(why)
        self.token = token
        self.why = why


def parse_time(value: object, now_ns: int, *, key: str = "time", bare_is_ago: bool = False) -> int:
    """Return the moment `value` names, in Unix ns.

    Integers are epochs whose unit follows from their size; a text without zone is Beijing time; months and
    years are calendar months in Beijing. A bare duration (`1h`) means that long ago, only where
    `bare_is_ago`. Raises InputError naming `key` and the part that cannot be read.
    """
    try:
        moment = _moment(value, now_ns, bare_is_ago)
        if not MIN_NS <= moment <= MAX_NS:
            raise _Refused(str(value), "the moment lies outside the years 1678 to 2261")
        return moment
    except _Refused as refused:
        shown = value if isinstance(value, str) else repr(value)
        raise InputError(
            f"{key}: cannot read {shown[:TEXT_CHARS_COUNT]!r} as a time: {refused.why}",
            key=key,
            token=refused.token[:TEXT_CHARS_COUNT],
        ) from None


def parse_range(start: object, end: object, now_ns: int) -> tuple[int, int]:
    """Return the half-open range [start, end) in Unix ns; None means one hour ago, and now.

    Rows of this very moment come before the end "now": a replay's clock stands on its last row.
    """
    start_ns, stop_ns = parse_edges(start, end, now_ns)
    check_order(start_ns, stop_ns)
    return start_ns, stop_ns


def check_order(start_ns: int, stop_ns: int) -> None:
    """InputError when a range ends before it starts."""
    if start_ns > stop_ns:
        raise InputError(
            f"start_time ({rfc3339(start_ns)}) lies after end_time ({rfc3339(stop_ns)})", key="start_time"
        )


def parse_edges(start: object, end: object, now_ns: int) -> tuple[int, int]:
    """Return the edges as `parse_range` does, in whichever order they are."""
    if end is None or (isinstance(end, str) and end.strip().lower() == "now"):
        stop_ns = now_ns + ROW_NS
    else:
        stop_ns = parse_time(end, now_ns, key="end_time")
    if start is None:
        start_ns = now_ns - 3_600 * NS_PER_S
    else:
        start_ns = parse_time(start, now_ns, key="start_time", bare_is_ago=True)
    return start_ns, stop_ns


def rfc3339(ts_ns: int) -> str:
    """Return the moment as `2021-01-04T01:29:00.400000Z`; what is finer than a microsecond is dropped."""
    return to_datetime(ts_ns).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_datetime(ts_ns: int) -> datetime:
    """Return the moment as a UTC datetime, floored to the microsecond."""
    return _EPOCH + timedelta(microseconds=ts_ns // 1_000)


def _moment(value: object, now_ns: int, bare_is_ago: bool) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _Refused(repr(value), "expected a text or a number")
    if isinstance(value, int):
        return _from_epoch(value)
    if isinstance(value, float):
        if not abs(value) < 1e11:
            raise _Refused(repr(value), "a fraction is read as seconds, and this is too large for that")
        return round(Fraction(value) * NS_PER_S)
    text = value.strip()
    if not text:
        raise _Refused(text, "it is empty")
    if len(text) > TEXT_CHARS_COUNT:
        raise _Refused(text, f"it is longer than {TEXT_CHARS_COUNT} characters")
    if _EPOCH_INT.fullmatch(text):
        return _from_epoch(int(text))
    if _EPOCH_FRACTION.fullmatch(text):
        return round(Fraction(text) * NS_PER_S)
    if match := _MOMENT.fullmatch(text):
        return _from_calendar(match)
    if match := _ANCHORED.fullmatch(text):
        anchor, sign, shift = match.groups()
        base = _anchor(anchor.lower(), now_ns)
        return base if shift is None else _shift(base, shift, -1 if sign == "-" else 1)
    if match := _AGO.fullmatch(text):
        return _shift(now_ns, match[1], -1)
    if text[0] == "-":
        return _shift(now_ns, text[1:], -1)
    if text[0].isdigit():
        moment = _shift(now_ns, text, -1)
        if not bare_is_ago:
            raise _Refused(text, f"a bare duration only starts a range; write '{text} ago' or 'now-{text}'")
        return moment
    raise _Refused(text, "expected now, today, yesterday, a duration such as 1h-ago, a date or an epoch")


def _from_epoch(number: int) -> int:
    size = abs(number)
    if size < 10**11:
        return number * NS_PER_S
    if size < 10**14:
        return number * 1_000_000
    return number * 1_000 if size < 10**17 else number


def _from_calendar(match: re.Match[str]) -> int:
    year, month, day, hour, minute, second, fraction, zulu, sign, zone_h, zone_m = match.groups()
    leap = second == "60"
    if zulu:
        offset = timedelta(0)
    elif sign:
        offset = timedelta(hours=int(zone_h), minutes=int(zone_m)) * (-1 if sign == "-" else 1)
        if int(zone_h) > 23 or int(zone_m) > 59:
            raise _Refused(f"{sign}{zone_h}:{zone_m}", f"{sign}{zone_h}:{zone_m} is not a zone offset")
    else:
        offset = timedelta(hours=8)
    try:
        local = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0),
            59 if leap else int(second or 0), tzinfo=UTC,
        )  # fmt: skip
    except ValueError as error:
        raise _Refused(match[0], str(error)) from None
    whole = (local - _EPOCH - offset) // timedelta(seconds=1) + leap
    return whole * NS_PER_S + int((fraction or "0").ljust(9, "0"))


def _anchor(name: str, now_ns: int) -> int:
    if name == "now":
        return now_ns
    day_ns = 86_400 * NS_PER_S
    midnight = (now_ns + 8 * 3_600 * NS_PER_S) // day_ns * day_ns - 8 * 3_600 * NS_PER_S
    return midnight - day_ns if name == "yesterday" else midnight


def _shift(base_ns: int, text: str, sign: int) -> int:
    months, exact, position = 0, Fraction(0), 0
    text = text.strip()
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            rest = text[position:]
            raise _Refused(rest, f"{rest!r} is not a duration such as 1h30m or 2 hours")
        number, unit = match.groups()
        if (step := _months_of(unit)) is not None:
            if "." in number:
                raise _Refused(match[0].strip(), "months and years must be whole")
            months += int(number) * step
        elif (size_ns := _ns_of(unit)) is not None:
            exact += Fraction(number) * size_ns
        else:
            raise _Refused(unit, f"{unit!r} is not a unit (ns us ms s m h d w M y)")
        position = match.end()
    if not text:
        raise _Refused(text, "the duration is missing")
    return _add_months(base_ns, sign * months) + sign * round(exact)


def _months_of(unit: str) -> int | None:
    return 1 if unit == "M" else _UNIT_MONTHS.get(_singular(unit))


def _ns_of(unit: str) -> int | None:
    return _UNIT_NS.get(_singular(unit))


def _singular(unit: str) -> str:
    lower = unit.lower()
    return lower[:-1] if len(lower) > 2 and lower.endswith("s") else lower


def _add_months(base_ns: int, months: int) -> int:
    if not months:
        return base_ns
    local = to_datetime(base_ns).astimezone(BEIJING)
    index = local.year * 12 + local.month - 1 + months
    year, month = divmod(index, 12)
    if not 1 <= year <= 9_999:
        raise _Refused(str(months), "the moment lies outside the years 1678 to 2261")
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    moved = local.replace(year=year, month=month + 1, day=day)
    return (moved - _EPOCH) // timedelta(microseconds=1) * 1_000 + base_ns % 1_000
