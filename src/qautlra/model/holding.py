"""An account's money and positions before anything is known of them: every field a door may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

NO_FUNDS: Final[Mapping[str, float]] = dict.fromkeys(
    (
        "pre_balance", "deposit", "withdraw", "withdraw_quota", "static_balance", "close_profit",
        "commission", "premium", "position_profit", "float_profit", "balance", "margin", "frozen_margin",
        "frozen_commission", "frozen_premium", "available", "market_value", "risk_ratio", "leverage",
    ),
    0.0,
)  # fmt: skip
_LOTS: Final = ("volume", "volume_today", "volume_his", "volume_yd", "pos_today", "pos_his")
_FROZEN: Final = ("volume_frozen", "volume_frozen_today", "volume_frozen_his")
_MONEY: Final = (
    "open_price", "open_cost", "position_price", "position_cost", "float_profit", "position_profit", "margin",
)  # fmt: skip


def flat(symbol: str) -> dict[str, Any]:
    """Return the position of an instrument of which nothing is held (contract 1.3)."""
    held: dict[str, Any] = {"symbol": symbol, "last_price": float("nan"), "frozen_margin": 0.0}
    for side in ("long", "short"):
        for name in (*_LOTS, *_FROZEN):
            head, _, tail = name.partition("_")
            held[f"{head}_{side}" + (f"_{tail}" if tail else "")] = 0
        for name in _MONEY:
            held[f"{name}_{side}"] = 0.0
        held[f"cost_{side}_today"] = 0.0
    return held | dict.fromkeys(("float_profit", "position_profit", "margin"), 0.0)


def with_gone(
    shown: list[dict[str, Any]], before: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], set[str]]:
    """Return positions with a flat one for each that was shown before and is not now, and which had lots.

    Who keeps what was told of an account would keep lots that nobody shows any more.
    """
    names = {held["symbol"] for held in shown}
    gone = [held for held in before if held["symbol"] not in names]
    news = {held["symbol"] for held in gone if held["volume_long"] or held["volume_short"]}
    return shown + [flat(held["symbol"]) for held in gone], news
