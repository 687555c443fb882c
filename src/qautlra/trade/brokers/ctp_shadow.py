"""Our own reckoning beside the broker's: volumes from yesterday's and today's trades, money by its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from qautlra.model.order import Direction, Offset, Trade
from qautlra.trade.brokers.ctp_book import Difference

CENT: Final = 0.011
"""Brokers round to the cent."""


def volumes(positions: Iterable[Mapping[str, Any]], trades: Iterable[Trade]) -> list[Difference]:
    """Return where the lots the broker holds are not those of yesterday and today's trades."""
    ours: Counter[tuple[str, str]] = Counter()
    theirs: dict[tuple[str, str], int] = {}
    for held in positions:
        for side in ("long", "short"):
            place = (str(held["symbol"]), side)
            theirs[place] = held[f"volume_{side}"]
            ours[place] += held[f"volume_{side}_yd"]
    for trade in trades:
        opens = trade.offset is Offset.OPEN
        side = "long" if (trade.direction is Direction.BUY) == opens else "short"
        ours[trade.symbol, side] += trade.volume if opens else -trade.volume
    return [
        Difference(
            "position", symbol, f"{side}: our trades give {ours[symbol, side]}, the broker holds {lots}"
        )
        for (symbol, side) in sorted(set(ours) | set(theirs))
        if (lots := theirs.get((symbol, side), 0)) != ours[symbol, side]
    ]


def money(funds: Mapping[str, float]) -> list[Difference]:
    """Return whether the broker's balance is the sum of what it says it is made of."""
    parts = (
        funds["static_balance"]
        + funds["close_profit"]
        + funds["position_profit"]
        + funds["premium"]
        - funds["commission"]
    )
    if abs(parts - funds["balance"]) <= CENT:
        return []
    return [Difference("money", "", f"its parts give {parts:.2f}, the broker says {funds['balance']:.2f}")]
