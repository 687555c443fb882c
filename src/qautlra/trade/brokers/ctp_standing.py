"""How an account at a CTP front stands: by our own ledger while both agree, else by the broker's figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from qautlra.model.holding import NO_FUNDS, with_gone
from qautlra.model.order import Trade
from qautlra.trade.brokers.ctp_book import CtpBook
from qautlra.trade.brokers.ctp_rates import Rates
from qautlra.trade.brokers.doubts import Doubts
from qautlra.trade.brokers.shadow import Difference, Market, Shadow
from qautlra.wire import ctp_broker as wire
from qautlra.wire.ctp_records import Record


class Standing:
    """A brain. Owner: the broker. Bounds: the day's orders and trades, and the ledger's own.

    The broker's figures are seconds old (one query a second); our ledger's follow each trade and price.
    """

    def __init__(self, book: CtpBook, market: Market, *, margin_side: str = "sum") -> None:
        self.shadow = Shadow(market, margin_side=margin_side)
        self.rates = Rates(self.shadow.rates)
        self._book = book
        self._market = market
        self._doubts = Doubts()
        self._funds: dict[str, float] = {}
        self._positions: list[dict[str, Any]] = []

    def clear(self) -> None:
        """Begin a trading day. What the broker showed last is kept until it shows something else."""
        self.shadow.rates.clear()
        self.shadow.clear()
        self._doubts = Doubts()

    # --- what the broker shows ---

    def show_positions(self, rows: list[Record]) -> None:
        """Take the answer to the position query."""
        self._positions, _ = with_gone(wire.positions(rows, self._multiple), self._positions)

    def show_funds(self, row: Record) -> None:
        """Take the answer to the account query."""
        self._funds = wire.funds(row)

    def _multiple(self, symbol: str) -> float:
        terms = self._market.terms(symbol)
        return float(terms["multiple"]) if terms is not None else 1.0

    # --- what counts ---

    @property
    def agrees(self) -> bool:
        """Whether our ledger has everything that happened, and the broker shows nothing else."""
        return self.shadow.is_current and self._doubts.agrees

    def funds(self) -> dict[str, float]:
        """Return the account's money: our ledger's while that agrees, else what the broker last showed."""
        if self.agrees:
            return self.shadow.funds()
        return self._funds or dict(NO_FUNDS)

    def positions(self) -> list[dict[str, Any]]:
        """Return the account's positions, from where its money comes."""
        return self.shadow.positions() if self.agrees else self._positions

    def figures(self) -> dict[str, dict[str, float]]:
        """Return our figures beside the broker's, by name, as of the last comparison."""
        figures = self.shadow.figures.items()
        return {name: {"ours": ours, "broker": theirs} for name, (ours, theirs) in figures}

    def symbols(self) -> frozenset[str]:
        """Return what the account holds, by either side."""
        return frozenset(held["symbol"] for held in (*self._positions, *self.shadow.positions()))

    # --- our ledger ---

    def needed(self) -> Iterable[str]:
        """Return whose rates the ledger needs: of what is held, ordered and traded."""
        return dict.fromkeys(
            [held["symbol"] for held in self._positions]
            + [order.symbol for order in self._book.orders if order.is_alive and order.exchange_order_id]
            + [trade.symbol for trade in self._book.trades]
        )

    def open(self) -> None:
        """Begin the day's ledger with what the broker showed, once."""
        if not self.shadow.is_open:
            self.shadow.open(self._positions, self._funds)

    def book(self) -> list[int]:
        """Book what our ledger has not yet; return the trades that have the fee and profit it reckons now."""
        booked: list[tuple[Trade, float, float]] = self.shadow.book()
        for trade, fee, profit in booked:
            reckoned = msgspec.structs.replace(trade, commission=fee, close_profit=profit)
            self._book.trades[trade.number] = reckoned
        self.shadow.mark()
        return [trade.number for trade, _, _ in booked]

    def compare(self) -> tuple[list[Difference], bool]:
        """Set both sides beside each other: what differs anew, and whether to compare again soon."""
        found = self._doubts.take(self.shadow.compare(self._positions, self._funds))
        return found, self._doubts.is_fresh
