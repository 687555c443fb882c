"""An account's newest orders and trades of one day as its document has them, read a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol, TypeVar

from qautlra.base.clock import monotonic_s
from qautlra.model import qifi
from qautlra.model.order import Change, Order, Trade
from qautlra.wire import trade_rows as rows
from qautlra.wire.qifi_account import order_of, trade_of
from qautlra.wire.qifi_parts import Part, part

T = TypeVar("T")
SLICE_COUNT: Final = 1
"""Read in one turn of the loop: an order that comes meanwhile waits for so few."""


class Reads(Protocol):
    """What is asked of the trading service."""

    @property
    def trading_day(self) -> int: ...
    def order_numbers(self, account_id: str, statuses: int) -> list[int]: ...
    def trade_numbers(self, account_id: str) -> list[int]: ...
    def order(self, number: int) -> Order: ...
    def trade(self, number: int) -> Trade: ...


class Recent:
    """Bound: `bound_count` finished orders and as many trades, the newest; living orders stay."""

    def __init__(self, trade: Reads, account_id: str, bound_count: int) -> None:
        self.account_id = account_id
        self.trading_day = trade.trading_day
        self._bound_count = bound_count
        self._orders: dict[int, Part[qifi.Order]] = {}
        self._trades: dict[int, Part[qifi.Trade]] = {}
        newest = trade.order_numbers(account_id, rows.statuses(""))[-bound_count:]
        alive = trade.order_numbers(account_id, rows.ALIVE)
        self._changed = dict.fromkeys(sorted({*alive, *newest}))
        self._new = dict.fromkeys(trade.trade_numbers(account_id)[-bound_count:])

    def note(self, change: Change) -> None:
        """Remember what is to be read."""
        for number in change.orders:
            self._changed.pop(number, None)
            self._changed[number] = None
        self._new.update(dict.fromkeys((*change.trades, *change.reckoned)))

    async def catch_up(self, trade: Reads) -> float:
        """Read what changed, the newest first, at most the bound; return the seconds it took of the loop."""
        spent_s, left = 0.0, self._bound_count
        while left > 0 and len(self._changed) + len(self._new) > SLICE_COUNT:
            began_s = monotonic_s()
            self.read(trade, SLICE_COUNT)
            spent_s += monotonic_s() - began_s
            left -= SLICE_COUNT
            await asyncio.sleep(0)
        return spent_s

    def read(self, trade: Reads, count: int) -> None:
        """Read up to `count` changed orders and as many trades that are new or newly reckoned."""
        # A change of the day before, told after the day has changed, names numbers that are others' now.
        for number in _newest(self._changed, count):
            with suppress(ValueError):
                order = trade.order(number)
                if order.account_id == self.account_id:
                    self._orders[number] = part(order.order_id, order_of(order))
        for number in _newest(self._new, count):
            with suppress(ValueError):
                item = trade.trade(number)
                if item.account_id == self.account_id:
                    self._trades[number] = part(item.trade_id, trade_of(item))

    def orders(self) -> list[Part[qifi.Order]]:
        """Return the orders, oldest first; finished ones beyond the bound go."""
        _trim(self._orders, self._bound_count, lambda order: order.item.status != "ALIVE")
        return [self._orders[number] for number in sorted(self._orders)]

    def trades(self) -> list[Part[qifi.Trade]]:
        """Return the trades, oldest first; those beyond the bound go."""
        _trim(self._trades, self._bound_count, lambda _trade: True)
        # In one pass: to find the first of a dict again and again skips all that went before, each time.
        for number in list(islice(self._new, max(len(self._new) - self._bound_count, 0))):
            del self._new[number]
        return [self._trades[number] for number in sorted(self._trades)]


def _newest(numbers: dict[int, None], count: int) -> list[int]:
    return [numbers.popitem()[0] for _ in range(min(count, len(numbers)))]


def _trim(kept: dict[int, T], bound_count: int, may_go: Callable[[T], bool]) -> None:
    extra = len(kept) - bound_count
    if extra > 0:
        for number in list(islice((n for n in sorted(kept) if may_go(kept[n])), extra)):
            del kept[number]
