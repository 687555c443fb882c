"""Continuous aggregates as JSON: `{"source", "period", "by", "values", "filter"}`, `{"source", "bars"}`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from qautlra.base.errors import InputError
from qautlra.model.streams import Derived
from qautlra.wire.period import period_s

KEYS: Final = ("source", "period", "bars", "by", "values", "filter")
NAME_CHARS_COUNT: Final = 128


def decode_aggregate(body: bytes) -> Derived:
    """Return what a body describes; InputError names the key that is wrong."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}", key="body") from None
    if not isinstance(data, dict):
        raise InputError("expected an object", key="body")
    if unknown := [key for key in data if key not in KEYS]:
        raise InputError(f"{unknown[0][:64]!r} is no key; there are {', '.join(KEYS)}", key=unknown[0][:64])
    bars = data.get("bars")
    if bars is not None:
        if extra := [key for key in ("period", "by", "values") if key in data]:
            raise InputError(f"{extra[0]}: is not given with bars", key=extra[0])
        source = _text(data, "source", "bar_1m")
        return Derived(
            source=source, period_s=period_s(bars, "bars"), bars=True, filter=_text(data, "filter", "")
        )
    values = data.get("values")
    if not isinstance(values, dict) or not values:
        raise InputError('values: expected {"name": "max(column)", …}', key="values")
    by = data.get("by", [])
    if not isinstance(by, list) or not all(isinstance(name, str) for name in by):
        raise InputError("by: expected a list of columns", key="by")
    return Derived(
        source=_text(data, "source"),
        period_s=period_s(data.get("period"), "period"),
        by=tuple(dict.fromkeys(by)),
        values={name: _call(name, text) for name, text in values.items()},
        filter=_text(data, "filter", ""),
    )


def encode_aggregate(name: str, derived: Derived) -> dict[str, Any]:
    """Return an aggregate as the same JSON, with its name."""
    found: dict[str, Any] = {"name": name, "source": derived.source}
    period = f"{derived.period_s}s"
    if derived.bars:
        found["bars"] = period
    else:
        found |= {"period": period, "by": list(derived.by)}
        found["values"] = {key: f"{function}({column})" for key, (function, column) in derived.values.items()}
    return found | ({"filter": derived.filter} if derived.filter else {})


def _text(data: dict[str, Any], key: str, default: str | None = None) -> str:
    value = data.get(key, default)
    if not isinstance(value, str):
        raise InputError(f"{key}: expected a text", key=key)
    return value


def _call(name: str, text: Any) -> tuple[str, str]:
    function, bracket, rest = text.partition("(") if isinstance(text, str) else ("", "", "")
    column, end, behind = rest.partition(")")
    function, column = function.strip(), column.strip()
    is_call = bracket and end and not behind.strip() and "(" not in column and '"' not in column
    if not is_call or not all(0 < len(part) <= NAME_CHARS_COUNT for part in (function, column)):
        raise InputError(f"values: {name[:64]}: expected a text like max(column)", key=name[:64])
    return function, column
