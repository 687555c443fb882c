"""Minute bars said plainly: group rows by label, difference the day's totals."""

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]


def bars(rows: list[Row], label: Callable[[Row], int], *, whole_days: bool = True) -> list[Row]:
    """Bars of one instrument's rows in time order; `label` gives a row's bar opening in ns, -1 for none."""
    out: list[Row] = []
    day, volume, amount = None, 0, 0.0
    for number, row in enumerate(rows):
        if row["trading_day"] != day:
            day, volume, amount = row["trading_day"], 0, 0.0
            if number == 0 and not whole_days:
                volume, amount = row.get("volume") or 0, row.get("amount") or 0.0
        opened = label(row)
        price, interest = row.get("last_price"), row.get("open_interest")
        if opened < 0 or price is None:
            continue
        if not out or out[-1]["datetime"] != opened:
            out.append(
                {
                    "datetime": opened,
                    "open": price,
                    "high": price,
                    "low": price,
                    "volume": 0,
                    "amount": 0.0,
                    "open_oi": None,
                    "close_oi": None,
                    "trading_day": day,
                }
            )
        bar = out[-1]
        bar["high"], bar["low"], bar["close"] = max(bar["high"], price), min(bar["low"], price), price
        if interest is not None:
            bar["open_oi"] = interest if bar["open_oi"] is None else bar["open_oi"]
            bar["close_oi"] = interest
        if row.get("volume") is not None:
            bar["volume"] += max(0, row["volume"] - volume)
            volume = row["volume"]
        if row.get("amount") is not None:
            bar["amount"] += max(0.0, row["amount"] - amount)
            amount = row["amount"]
    return out
