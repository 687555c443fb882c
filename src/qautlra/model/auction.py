"""Which of a trading day's sections open with a call auction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

DAY_AUCTION_SINCE: Final = 20230526
"The first trading day whose daytime opens with an auction, too, where a night session came before it."
_DAY_AUCTIONS: Final = ("SHFE", "INE", "DCE")
"CZCE lets orders of the night be withdrawn then, and takes none."
_OVERNIGHT_NS: Final = 2 * 3600 * 1_000_000_000


def auction_openings(symbol: str, trading_day: int, bounds: Sequence[tuple[int, int]]) -> list[int]:
    """Return the opening times (Unix ns) of the sections that begin with an auction.

    `bounds` are the day's [open, close), night first. The first section always is one of them.
    """
    found = [opened for opened, _ in bounds[:1]]
    if symbol.partition(".")[0] in _DAY_AUCTIONS and trading_day >= DAY_AUCTION_SINCE:
        for (_, closed), (opened, _) in pairwise(bounds):
            if opened - closed > _OVERNIGHT_NS:
                found.append(opened)
    return found
