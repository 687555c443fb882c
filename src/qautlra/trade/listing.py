"""An instrument as the exchange lists it: terms of money, kinds of order, price limits.

Pure: takes the instrument table's facts and the newest snapshot, gives the arguments of `Exchange.list`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from qautlra._core import book

# Shares (contract 5.9): commission of the value with a minimum, tax on sales, transfer fee both ways.
STOCK_COMMISSION = 0.00025
STOCK_COMMISSION_MIN = 5.0
STOCK_SELL_TAX = 0.0005
STOCK_TRANSFER_FEE = 0.00001
# Without limits from the feed an order may be this far from the reference.
WIDE_BAND = 0.5
STOCK_LOT = 100
STAR_MIN = 200
SHARES = ("STOCK", "FUND", "BOND")
_BANDS = {"STAR": 0.2, "CHINEXT": 0.2, "BSE": 0.3}


def tradable(info: Mapping[str, Any]) -> bool:
    """Tell whether orders of this instrument can be taken at all: its tick and multiple are known."""
    return (
        info["kind"] in ("FUTURE", "OPTION", *SHARES)
        and bool(info["price_tick"])
        and float(info["volume_multiple"] or 0) >= 1
    )


def listing(info: Mapping[str, Any], snapshot: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the keyword arguments of `Exchange.list`; None when nothing says where prices are."""
    tick = float(info["price_tick"])
    limits = band(info, snapshot, tick)
    if limits is None:
        return None
    kind = info["kind"]
    terms = _shares(info) if kind in SHARES else _derivative(info)
    product = {"OPTION": book.OPTION, "FUTURE": book.FUTURE}.get(kind, book.STOCK)
    reference = _number(snapshot, "pre_close" if kind in SHARES else "pre_settlement")
    return {
        "lower": limits[0],
        "upper": limits[1],
        "tick": tick,
        "reference": reference,
        "kinds": book.kinds_of(info["exchange_id"], product),
        **terms,
    }


def ledger_terms(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ledger must know of a future or an option: the arguments of `Ledger.set_terms`."""
    return {"tick": float(info["price_tick"]), **_derivative(info)}


def band(
    info: Mapping[str, Any], snapshot: Mapping[str, Any] | None, tick: float
) -> tuple[float, float] | None:
    """Return (lower, upper): the feed's own limits, else around the previous settlement or the last price."""
    lower, upper = _number(snapshot, "lower_limit"), _number(snapshot, "upper_limit")
    if lower is not None and upper is not None and 0 <= lower < upper:
        return lower, upper
    share = info["kind"] in SHARES
    for name in ("pre_close", "last_price") if share else ("pre_settlement", "pre_close", "last_price"):
        base = _number(snapshot, name)
        if base is not None and base > 0:
            ratio = _share_band(info) if share and name == "pre_close" else WIDE_BAND
            return (
                max(math.ceil(base * (1 - ratio) / tick - 1e-6), 1) * tick,
                math.floor(base * (1 + ratio) / tick + 1e-6) * tick,
            )
    return None


def _share_band(info: Mapping[str, Any]) -> float:
    return _BANDS.get(_board(info), 0.1)


def _board(info: Mapping[str, Any]) -> str:
    code = str(info["instrument_id"])
    if info["exchange_id"] == "BSE":
        return "BSE"
    if info["exchange_id"] == "SSE" and code.startswith("68"):
        return "STAR"
    if info["exchange_id"] == "SZSE" and code.startswith("30"):
        return "CHINEXT"
    return "MAIN"


def _shares(info: Mapping[str, Any]) -> dict[str, Any]:
    fund = info["kind"] != "STOCK"
    star = _board(info) == "STAR"
    return {
        "multiple": 1.0,
        "margin": (1.0, 0.0),
        "open": (STOCK_COMMISSION, 0.0),
        "close": (STOCK_COMMISSION, 0.0),
        "fee_min": STOCK_COMMISSION_MIN,
        "sell_tax": 0.0 if fund else STOCK_SELL_TAX,
        "transfer_fee": 0.0 if fund else STOCK_TRANSFER_FEE,
        "asset": "stock",
        "buy_min": STAR_MIN if star else STOCK_LOT,
        "buy_step": 1 if star else STOCK_LOT,
        "sell_min": STAR_MIN if star else STOCK_LOT,
        "sell_step": 1 if star else STOCK_LOT,
    }


def _derivative(info: Mapping[str, Any]) -> dict[str, Any]:
    ratio = float(info["margin_ratio"] or 0.1)
    fee = info["fee"] or {"open": 0.0001, "close": 0.0001, "close_today": 0.0001, "by": "money"}

    def rate(name: str) -> tuple[float, float]:
        value = float(fee[name])
        return (0.0, value) if fee["by"] == "lot" else (value, 0.0)

    return {
        "multiple": float(info["volume_multiple"]),
        "margin": (ratio, 0.0),
        "open": rate("open"),
        "close": rate("close"),
        "close_today": rate("close_today"),
        "asset": "option" if info["kind"] == "OPTION" else "future",
    }


def _number(snapshot: Mapping[str, Any] | None, name: str) -> float | None:
    value = snapshot.get(name) if snapshot else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
