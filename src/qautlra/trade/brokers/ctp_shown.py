"""What a CTP broker shows of its account: the reads of the trading service, and who hears of changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qautlra.base.service import Service
from qautlra.model.order import Change, Order, Trade
from qautlra.trade.brokers.ctp_book import CtpBook

Callback = Callable[[Change, Any], None]


class CtpShown(Service):
    """The account as the front last showed it. Base of `CtpBroker`, which fills it."""

    name = "trade"

    def __init__(self, account: str, bid: str) -> None:
        super().__init__()
        self.account = account
        self.bid = bid
        self.book = CtpBook(account)
        self.day_ended: list[Callable[[Any], None]] = []
        "Never called: the broker settles, and its next login shows the day after."
        self._day = 0
        self._funds: dict[str, float] = {}
        self._positions: list[dict[str, Any]] = []
        self._subscribers: list[tuple[Callback, Callable[[Change], Any] | None]] = []

    @property
    def head_lsn(self) -> int:
        """What is shown is the broker's own, so it is durable already."""
        return 0

    @property
    def trading_day(self) -> int:
        """The front's trading day, 0 before the first login."""
        return self._day

    def accounts(self) -> list[str]:
        """Return the one account."""
        return [self.account]

    def has(self, account_id: str) -> bool:
        """Tell whether it is the one account."""
        return account_id == self.account

    def broker_of(self, account_id: str) -> str:
        """Return the broker's name."""
        if account_id != self.account:
            raise KeyError(account_id)
        return self.bid

    def funds(self, _account_id: str) -> dict[str, Any]:
        """Return the money the broker shows."""
        return self._funds

    def positions(self, _account_id: str) -> list[dict[str, Any]]:
        """Return the positions the broker shows."""
        return self._positions

    def orders(self, _account_id: str) -> list[Order]:
        """Return the orders of the day."""
        return list(self.book.orders)

    def trades(self, _account_id: str) -> list[Trade]:
        """Return the trades of the day."""
        return list(self.book.trades)

    def order(self, number: int) -> Order:
        """Return an order by number."""
        return self.book.orders[number]

    def trade(self, number: int) -> Trade:
        """Return a trade by number."""
        return self.book.trades[number]

    def find(self, _account_id: str, order_id: str) -> Order | None:
        """Return an order by its id."""
        number = self.book.number(order_id)
        return None if number is None else self.book.orders[number]

    def subscribe(
        self,
        account_id: str | None,
        callback: Callback,
        prepare: Callable[[Change], Any] | None = None,
    ) -> Callable[[], None]:
        """Hear of the account's changes; return what ends it."""
        if account_id is not None and account_id != self.account:
            return lambda: None
        entry = (callback, prepare)
        self._subscribers.append(entry)
        return lambda: self._subscribers.remove(entry) if entry in self._subscribers else None

    def _tell(self, change: Change) -> None:
        for callback, prepare in list(self._subscribers):
            callback(change, prepare(change) if prepare is not None else None)
