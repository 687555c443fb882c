"""What the C++ decoder of DIFF orders must say, from the contract (2.2) and with Python's own JSON."""

from __future__ import annotations

import json
import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from qautlra._core.orders import Command

WORDS = {
    "direction": {"BUY": 0, "SELL": 1},
    "offset": {"OPEN": 0, "CLOSE": 1, "CLOSETODAY": 2, "CLOSEYESTERDAY": 1},
    "price_type": {"LIMIT": 0, "ANY": 1, "BEST": 2, "FIVELEVEL": 3, "MARKET": 1},
    "time_condition": {"IOC": 1, "GFS": 2, "GFD": 3, "GTD": 4, "GTC": 5, "GFA": 6},
    "volume_condition": {"ANY": 1, "MIN": 2, "ALL": 3},
    "hedge_flag": {"SPECULATION": 0, "ARBITRAGE": 1, "HEDGE": 2, "MARKETMAKER": 3, "COVERED": 4},
}
TEXTS = ("user_id", "order_id", "exchange_id", "instrument_id", "contingent_condition")
NEEDED = ("order_id", "exchange_id", "instrument_id", "direction", "offset", "volume", "price_type")
NONE = Command("none", "", "", "", "", 0, 0, 0, None, 0, 3, 1, 0, 0, 1008, "json")


class Number(str):
    """A number's text, kept as written."""


def constant(text: str) -> None:
    raise ValueError(text)


def parse(message: bytes) -> list[tuple[str, Any]] | None:
    """The members of the object in order, None for what is no object of strict JSON in UTF-8."""
    try:
        found = json.loads(
            message.decode("utf-8"),
            parse_int=Number,
            parse_float=Number,
            parse_constant=constant,
            object_pairs_hook=lambda pairs: ("object", pairs),
        )
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # no lone surrogates anywhere
    except (ValueError, RecursionError):
        return None
    return found[1] if isinstance(found, tuple) else None


def whole(text: str) -> int:
    value = Decimal(text)
    if value != value.to_integral_value():
        return 0
    if "." in text or "e" in text.lower() or not -(1 << 63) <= int(value) < 1 << 63:
        return int(value) if abs(float(text)) < 9e15 else 0
    return int(value)


def price(text: str) -> float | None:
    value = float(text)
    if not math.isfinite(value) or abs(value) > 1e9:
        return None
    micros = (Decimal(value) * 1_000_000).quantize(Decimal(1), ROUND_HALF_UP)
    return int(micros) / 1e6


def decode(message: bytes) -> Command:
    """Decode as `orders.decode` does."""
    members = parse(message)
    if members is None:
        return NONE
    values: dict[str, Any] = {"time_condition": 3, "volume_condition": 1}
    seen: dict[str, bool] = {}
    wrong = ""
    aid: Any = ""
    for key, value in members:
        is_text = isinstance(value, str) and not isinstance(value, Number)
        well = True
        if key == "aid":
            aid = value if is_text else aid
            well = is_text or value is None
        elif key in TEXTS:
            seen[key] = is_text
            if is_text:
                values[key] = value
            well = value is None or (is_text and len(value.encode()) <= 256)
        elif key in WORDS:
            seen[key] = is_text
            well = value is None or (is_text and value in WORDS[key])
            if is_text and well:
                values[key] = WORDS[key][value]
        elif key in ("volume", "min_volume", "GTD_date", "limit_price"):
            is_number = isinstance(value, Number)
            seen[key] = is_number
            well = is_number or value is None or value == "-"
            convert = price if key == "limit_price" else whole
            values[key] = convert(value) if is_number else None if key == "limit_price" else 0
        if not well and not wrong:
            wrong = key
    if aid not in ("insert_order", "cancel_order"):
        kind, wrong = "other", ""
    else:
        kind = "insert" if aid == "insert_order" else "cancel"
        order_id = values.get("order_id", "")
        if not wrong and (len(order_id.encode()) > 256 or any(c in "=#|;/" or c < " " for c in order_id)):
            wrong = "order_id"
        for key in NEEDED if kind == "insert" else NEEDED[:1]:
            if not wrong and not seen.get(key):
                wrong = key
        if kind == "insert":
            if not seen.get("time_condition") and values.get("price_type", 0) != 0:
                values["time_condition"] = 1
            if values.get("price_type", 0) != 0:
                values["limit_price"] = None
            if not wrong and values.get("contingent_condition", "") not in ("", "IMMEDIATELY"):
                wrong = "contingent_condition"
    minimum, day = values.get("min_volume", 0), values.get("GTD_date", 0)
    return Command(
        kind,  # type: ignore[arg-type]
        values.get("user_id", ""),
        values.get("order_id", ""),
        values.get("exchange_id", ""),
        values.get("instrument_id", ""),
        values.get("direction", 0),
        values.get("offset", 0),
        values.get("volume", 0),
        values.get("limit_price"),
        values.get("price_type", 0),
        values["time_condition"],
        values["volume_condition"],
        minimum if 0 < minimum <= 1 << 30 else 0,
        day if 0 < day <= 99_991_231 else 0,
        1008 if wrong else 0,
        wrong,
    )
