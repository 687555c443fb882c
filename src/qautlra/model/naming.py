"""What people call an instrument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def instrument_name(info: Mapping[str, Any]) -> str:
    """Return the name of what `Instruments.info` tells of: a contract's product with year and month.

    An option adds its side and strike; what has no product is called by its code.
    """
    name: str = info["product_name"] or info["product_id"] or info["instrument_id"]
    year, month = info["delivery_year"], info["delivery_month"]
    if info["kind"] not in ("FUTURE", "OPTION") or not year or not month:
        return name
    name += f"{year % 100:02d}{month:02d}"
    if info["kind"] == "OPTION":
        name += f"{'购' if info['option_class'] == 'CALL' else '沽'}{info['strike_price']:g}"
    return name
