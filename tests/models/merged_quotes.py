"""Naive twin of the quote merger: RFC 7386 over dicts, then a row of the merged tree."""

from __future__ import annotations

from typing import Any

from qautlra._core.market import COUNT_FIELDS, FIELDS

LEVELS = [(f"{side}_price{n}", f"{side}_volume{n}") for side in ("bid", "ask") for n in range(1, 11)]


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386, word for word."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None


def values(quote: dict[str, Any]) -> dict[str, float | int | None]:
    """The QAMD values of a merged quote, without its stamp."""
    found: dict[str, float | int | None] = {}
    for name in FIELDS[1:]:
        x = number(quote.get(name))
        if x is not None and name in COUNT_FIELDS:
            found[name] = int(x) if x >= 0 and x.is_integer() else None
        else:
            found[name] = x
    for price, volume in LEVELS:
        if found[price] is None:
            found[volume] = None
    if found["upper_limit"] == 0 and found["lower_limit"] == 0:
        found["upper_limit"] = found["lower_limit"] = None
    return found
