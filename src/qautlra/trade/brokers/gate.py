"""What the house itself checks of an order before a broker outside is asked: the risk gate's own checks.

The native gate runs over a ledger of its own that has money without end: of the 18 checks of contract 6.1
those of the order, of prices and of rates decide (3, 5 to 12); lots, funds and what follows from them (13 on)
are the broker's to judge. States and locks are the router's.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from qautlra._core.account import Ledger
from qautlra._core.risk import Gate
from qautlra.model import codes
from qautlra.model.order import InsertOrder, PriceType
from qautlra.trade.brokers.shadow import Market

BROKERS_FROM: Final = 13
"""The first check that is the broker's."""
_ENDLESS_CNY: Final = 1e12


class OutsideGate:
    """One gate for all accounts outside; its counts are of this process and of one trading day."""

    def __init__(self, market: Market, profile: Literal["paper", "live"], **limits: Any) -> None:
        self._market = market
        self._ledger = Ledger()
        self._gate = Gate(self._ledger, profile, **limits)
        self._accounts: dict[str, int] = {}
        self._lines: dict[str, int] = {}

    def new_day(self) -> None:
        """Begin to count again."""
        self._gate.new_day()

    def refusal(self, order: InsertOrder, now_ns: int) -> int:
        """Return 0, or the code of the check that an order fails; one that passes is counted."""
        line = self._line(order.symbol)
        if line is None:
            return codes.NO_INSTRUMENT
        self._quote(order.symbol, line, now_ns)
        account = self._account(order.account_id)
        whole = order.volume == order.volume and order.volume == int(order.volume)
        code, check, _, hold = self._gate.check(
            account,
            line,
            int(order.direction),
            int(order.offset),
            order.volume if whole else 0,
            order.limit_price if order.price_type is PriceType.LIMIT else None,
            price_type=int(order.price_type),
            time=int(order.time_condition),
            gtd_day=order.gtd_day,
            now_ns=now_ns,
            place=True,
        )
        if hold is not None and not code:
            self._ledger.account(account).release(hold)
        return code if 0 < check < BROKERS_FROM else 0

    def _account(self, name: str) -> int:
        number = self._accounts.get(name)
        if number is None:
            account = self._ledger.open(name)
            account.set_funds(pre_balance=_ENDLESS_CNY)
            number = self._accounts[name] = account.number
        return number

    def _line(self, symbol: str) -> int | None:
        line = self._lines.get(symbol)
        if line is None:
            terms = self._market.terms(symbol)
            if terms is None:
                return None
            line = self._lines[symbol] = len(self._lines)
            self._ledger.set_terms(line, symbol, **{**terms, "margin": (0.0, 0.0)})
            self._ledger.set_quote(line, tradable=True, open=True)  # hours are the exchange's to judge
        return line

    def _quote(self, symbol: str, line: int, now_ns: int) -> None:
        price = self._market.price
        last = price(symbol, "last_price")
        if last is not None:
            self._ledger.mark(line, last, now_ns)
        upper, lower = price(symbol, "upper_limit"), price(symbol, "lower_limit")
        if upper is not None and lower is not None:
            self._ledger.set_quote(line, upper=upper, lower=lower)
