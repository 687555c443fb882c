"""What the house itself checks of an order before a broker outside is asked: the risk gate's own checks.

Of the 18 checks of contract 6.1 those of the order, of prices and of rates decide (3, 5 to 12, of 18
reduce-only); lots, funds and what follows from them are the broker's to judge, states and locks the router's.
What is counted is what brokers show: orders they took, whoever sent them, withdrawals and trades; after a
start the day is counted again as they tell it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from qautlra._core.account import Ledger
from qautlra._core.risk import Gate
from qautlra.model import codes
from qautlra.model.order import InsertOrder, Order, PriceType, TimeCondition, Trade
from qautlra.trade.brokers.shadow import Market


class _Account:
    """What a broker has shown of one account today, by its own numbers. Bound: its orders of the day."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begin()

    def begin(self) -> None:
        """The broker's numbers begin again."""
        self.alive: set[int] = set()
        self.placed: set[int] = set()
        self.withdrawn: set[int] = set()
        "By their owner, or asked to be."
        self.trades_count = 0


class OutsideGate:
    """One gate for all accounts outside; its counts are of one trading day."""

    def __init__(self, market: Market, profile: Literal["paper", "live"], **limits: Any) -> None:
        self._market = market
        self._ledger = Ledger()
        self._gate = Gate(self._ledger, profile, **limits)
        self._accounts: dict[str, _Account] = {}
        self._lines: dict[str, int] = {}

    # --- what is asked ---

    def refusal(self, order: InsertOrder, now_ns: int) -> int:
        """Return 0, or the code of the check that an order fails."""
        line = self._line(order.symbol)
        if line is None:
            return codes.NO_INSTRUMENT
        self._quote(order.symbol, line)
        account = self._account(order.account_id)
        code, _, _ = self._gate.check_outside(
            account.number,
            line,
            int(order.direction),
            int(order.offset),
            order.volume,
            order.limit_price if order.price_type is PriceType.LIMIT else None,
            price_type=int(order.price_type),
            reduce_only=order.reduce_only,
            force=order.force,
            now_ns=now_ns,
            live_orders=len(account.alive),
        )
        return code

    def refusal_of_cancel(self, order: Order, now_ns: int) -> int:
        """Return 0, or the code of the check that an order's withdrawal fails."""
        line = self._line(order.symbol)
        if line is None:
            return 0
        return self._gate.check_cancel(self._account(order.account_id).number, line, now_ns)[0]

    # --- what is counted ---

    def asked_to_cancel(self, order: Order) -> None:
        """Count a withdrawal that the broker was asked for: once for an order, in time or not."""
        if order.is_alive:
            self._withdrawn(self._account(order.account_id), order)

    def follow(self, account_id: str, orders: Iterable[Order], trades: Iterable[Trade]) -> None:
        """Count what a broker shows of an account, each order and trade by its own number, once."""
        account = self._account(account_id)
        for order in orders:
            self._follow_order(account, order)
        for trade in trades:
            if trade.number >= account.trades_count:
                account.trades_count = trade.number + 1
                if (line := self._line(trade.symbol)) is not None:
                    self._gate.traded(account.number, line)

    def begin(self, account_id: str) -> None:
        """The broker has begun a day: its numbers start again."""
        self._account(account_id).begin()

    def new_day(self) -> None:
        """Begin to count again; what brokers show of the new day already is to be followed again."""
        self._gate.new_day()
        for account in self._accounts.values():
            account.begin()

    def _follow_order(self, account: _Account, order: Order) -> None:
        number = order.number
        if order.is_alive:
            account.alive.add(number)
        else:
            account.alive.discard(number)
        line = self._line(order.symbol)
        if line is None or (order.code and number not in account.placed):
            return  # refused: our own exchange counts no such order, either
        if number not in account.placed:
            account.placed.add(number)
            price = order.limit_price if order.price_type is PriceType.LIMIT else None
            side, offset, kind = int(order.direction), int(order.offset), int(order.price_type)
            self._gate.placed(account.number, line, side, offset, order.volume, price, price_type=kind)
        by_itself = order.time_condition is TimeCondition.IOC
        if not order.is_alive and order.volume_left and not order.code and not by_itself:
            self._withdrawn(account, order)

    def _withdrawn(self, account: _Account, order: Order) -> None:
        line = self._line(order.symbol)
        if line is not None and order.number not in account.withdrawn:
            account.withdrawn.add(order.number)
            self._gate.cancelled(account.number, line)

    # --- what the native gate looks at ---

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account(self._ledger.open(name).number)
        return account

    def _line(self, symbol: str) -> int | None:
        line = self._lines.get(symbol)
        if line is None:
            terms = self._market.terms(symbol)
            if terms is None:
                return None
            line = self._lines[symbol] = len(self._lines)
            self._ledger.set_terms(line, symbol, **terms)
            self._ledger.set_quote(line, tradable=True, open=True)  # hours are the exchange's to judge
        return line

    def _quote(self, symbol: str, line: int) -> None:
        price = self._market.price
        last, ts_ns = price(symbol, "last_price"), price(symbol, "datetime")
        if last is not None:
            self._ledger.mark(line, last, int(ts_ns or 0))
        upper, lower = price(symbol, "upper_limit"), price(symbol, "lower_limit")
        if upper is not None and lower is not None:
            self._ledger.set_quote(line, upper=upper, lower=lower)
