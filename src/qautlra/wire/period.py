"""Periods of bars and means as texts: `5m`, `30 seconds`, `1d`."""

from __future__ import annotations

import re
from typing import Any, Final

from qautlra.base.errors import InputError

DAY_S: Final = 86_400
_PERIOD: Final = re.compile(
    r"\s*(\d{1,6})\s*(?:(s|secs?|seconds?)|(m|mins?|minutes?)|(h|hours?)|(d|days?))\s*", re.ASCII
)
_UNITS_S: Final = (1, 60, 3_600, DAY_S)


def period_s(value: Any, key: str) -> int:
    """Return the seconds of a period from a second to a day; InputError naming `key` when it is none."""
    match = _PERIOD.fullmatch(value) if isinstance(value, str) else None
    seconds = 0
    if match is not None:
        number, *units = match.groups()
        seconds = int(number) * next(size for unit, size in zip(units, _UNITS_S, strict=True) if unit)
    if not 0 < seconds <= DAY_S:
        shown = f", got {value[:64]!r}" if isinstance(value, str) else ""
        raise InputError(f"{key}: expected a period like 30s, 5m, 1h or 1d{shown}", key=key)
    return seconds
