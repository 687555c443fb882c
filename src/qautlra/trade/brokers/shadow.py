"""The shadow of an account at a broker: our own ledger beside the broker's figures.

The ledger is the exchange's (QIFI arithmetic, margin, fees, close rules). It is opened with what the broker
had at the day's beginning - balance, lots and their settlement price -, is fed the day's orders and trades in
the order of the flow and our own market's prices, and must then say what the broker says.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from qautlra._core.account import BUY, SELL, Account, Hold, Ledger
from qautlra.model.order import Order, Trade

CENT: Final = 0.011
"""Brokers round to the cent: so much may each figure differ, and half of it for every trade's fee."""
TICKS: Final = 5
"""Prices move between the broker's figures and ours: so many ticks of all lots held may profits differ."""
FREE: Final = ("static_balance", "close_profit", "margin", "frozen_margin")
FEES: Final = ("commission", "frozen_commission")
PRICED: Final = ("position_profit", "balance", "available")
LOTS: Final = ("volume", "volume_today", "volume_his", "volume_frozen")
WAITING_COUNT: Final = 10_000
"""Orders and trades that may wait for the account's opening or for rates. Then new orders are refused, and of
what comes all the same nothing is booked: until the next day the broker's own figures count."""
_SIDES: Final = (("long", BUY), ("short", SELL))


class Market(Protocol):
    """What is known of instruments without the broker."""

    def terms(self, symbol: str) -> Mapping[str, Any] | None:
        """Return the arguments of `Ledger.set_terms`; None for an instrument that is not known."""

    def price(self, symbol: str, name: str) -> float | None:
        """Return `last_price`, `pre_settlement`, a limit or the snapshot's `datetime` (ns); None for none."""


class Difference(NamedTuple):
    """Something the broker shows otherwise: an order, a trade, a position or a figure."""

    kind: str
    subject: str
    detail: str


class Shadow:
    """One account on one trading day. Owner: its broker; no I/O."""

    def __init__(self, market: Market, *, margin_side: Any = "sum") -> None:
        self._market = market
        self._margin_side = margin_side
        self.rates: dict[str, Mapping[str, Any]] = {}
        "By symbol: what this broker takes as margin and fees, in the place of the table's own."
        self.clear()

    def clear(self) -> None:
        """Begin a trading day: nothing is known of it yet."""
        self._ledger = Ledger(self._margin_side)
        self._account: Account = self._ledger.open("shadow")
        self._lines: dict[str, int] = {}
        self._terms: dict[str, Mapping[str, Any]] = {}
        self._unknown: set[str] = set()
        self._refused: list[Difference] = []
        self._moved = 0.0
        self._marks: dict[str, float] = {}
        self._waiting: deque[Order | Trade] = deque()
        self._missed_count = 0
        self._holds: dict[str, Hold] = {}
        self._booked: Counter[str] = Counter()  # lots by order
        self._ended: dict[str, int] = {}  # orders that are over: lots they traded
        self._trades_count = 0
        self.is_open = False
        self.figures: dict[str, tuple[float, float]] = {}
        "By name: ours, the broker's; of the last comparison."

    def open(self, positions: Iterable[Mapping[str, Any]], funds: Mapping[str, float]) -> None:
        """Begin with the account as it was before the day's first trade."""
        self.is_open = True
        self._account.set_funds(
            pre_balance=funds["pre_balance"], deposit=funds["deposit"], withdraw=funds["withdraw"]
        )
        self._moved = funds["deposit"] - funds["withdraw"]
        for held in positions:
            for side, direction in _SIDES:
                lots = held[f"volume_{side}_yd"]
                line = self._line(held["symbol"]) if lots else None
                if line is None:
                    continue
                price = self._settled_at(held)
                multiple = self._terms[held["symbol"]]["multiple"]
                cost = (price or 0.0) * lots * multiple
                self._account.set_leg(
                    line, direction, his=lots, yd=lots, cost_his=cost, open_cost_his=cost, last=price
                )

    def _settled_at(self, held: Mapping[str, Any]) -> float | None:
        """Return the settlement price yesterday's lots are valued by."""
        symbol = held["symbol"]
        if held.get("pre_settlement"):
            return float(held["pre_settlement"])
        for side, _ in _SIDES:
            if his := held[f"volume_{side}_his"]:
                cost = held[f"position_cost_{side}"] - held[f"cost_{side}_today"]
                return float(cost / (his * self._terms[symbol]["multiple"]))
        return self._market.price(symbol, "pre_settlement")

    def note(self, event: Order | Trade) -> None:
        """Put an order as it is now, or a new trade, behind those before it; `book` takes them."""
        if self._missed_count or len(self._waiting) >= WAITING_COUNT:
            self._missed_count += 1
        else:
            self._waiting.append(event)

    @property
    def waiting_count(self) -> int:
        """How many orders and trades wait to be booked."""
        return len(self._waiting)

    def book(self) -> list[tuple[Trade, float, float]]:
        """Book what waits, as far as rates are known; return the trades with their commission and profit."""
        found: list[tuple[Trade, float, float]] = []
        while self.is_open and self._waiting:
            event = self._waiting[0]
            line = self._line(event.symbol) if event.symbol in self.rates else None
            if line is None:
                break
            self._waiting.popleft()
            if isinstance(event, Order):
                self._order(line, event)
            else:
                found.append((event, *self._trade(line, event)))
        return found

    def _order(self, line: int, order: Order) -> None:
        """Freeze what a new order binds: that decides which lots a closing order closes."""
        name = order.order_id
        if not order.is_alive:
            self._ended[name] = order.volume - order.volume_left
            self._release(name)
        elif name not in self._holds and name not in self._ended:
            price = order.limit_price or self._market.price(order.symbol, "last_price") or 0.0
            side, offset = int(order.direction), int(order.offset)
            code, hold = self._account.freeze(line, side, offset, order.volume, price)
            if hold is not None and not code:  # else the frozen figures tell
                self._holds[name] = hold

    def _trade(self, line: int, trade: Trade) -> tuple[float, float]:
        name, self._trades_count = trade.order_id, self._trades_count + 1
        hold = self._holds.get(name)
        if hold is not None and hold.left >= trade.volume:
            code, fee, profit, _, _ = self._account.fill(hold, trade.volume, trade.price)
        else:
            side, offset = int(trade.direction), int(trade.offset)
            code, fee, profit, _, _ = self._account.trade(line, side, offset, trade.volume, trade.price)
        self._booked[name] += trade.volume
        self._release(name)
        if code:
            self._refused.append(Difference("trade", trade.trade_id, f"our ledger refuses it ({code})"))
            return 0.0, 0.0
        return fee, profit

    def _release(self, name: str) -> None:
        """Give back what an order that is over still binds, once its trades are booked."""
        if name in self._ended and self._booked[name] >= self._ended[name]:
            hold = self._holds.pop(name, None)
            if hold is not None:
                self._account.release(hold)

    @property
    def is_current(self) -> bool:
        """Whether everything that has happened is booked."""
        return self.is_open and not self._waiting and not self._unknown and not self._missed_count

    def funds(self) -> dict[str, float]:
        """Return the account's money as the ledger has it (contract 1.2)."""
        return self._account.funds()

    def positions(self) -> list[dict[str, Any]]:
        """Return the account's positions as the ledger has them (contract 1.3)."""
        return self._account.positions()

    def compare(self, positions: Sequence[Mapping[str, Any]], funds: Mapping[str, float]) -> list[Difference]:
        """Set both sides beside each other; return what differs by more than the tolerances."""
        if self._missed_count:
            detail = f"{self._missed_count} of the day are not booked: more than {WAITING_COUNT} had to wait"
            return [Difference("ledger", "orders and trades", detail)]
        self._move_money(funds)
        self.mark(positions)
        ours = self._account.funds()
        mine = {row["symbol"]: row for row in self._account.positions()}
        self.figures = {name: (ours[name], funds[name]) for name in (*FREE, *FEES, *PRICED)}
        found = [*self._refused, *self._lots(positions, mine)]
        if self._unknown:  # without its terms no figure of the account can agree
            unknown = sorted(self._unknown)
            return found + [Difference("terms", symbol, "nothing is known of it") for symbol in unknown]
        fees = CENT + CENT / 2 * self._trades_count
        moves = sum(
            (held["volume_long"] + held["volume_short"]) * terms["multiple"] * terms["tick"] * TICKS
            for held in positions
            if (terms := self._terms.get(held["symbol"])) is not None
        )
        for names, tolerance in ((FREE, CENT), (FEES, fees), (PRICED, fees + moves)):
            found += self._figures(names, tolerance)
        return found

    def _figures(self, names: Iterable[str], tolerance: float) -> list[Difference]:
        return [
            Difference("figure", name, f"ours {ours:.2f}, the broker's {theirs:.2f}")
            for name, (ours, theirs) in self.figures.items()
            if name in names and not abs(ours - theirs) <= tolerance
        ]

    def _lots(
        self, positions: Iterable[Mapping[str, Any]], mine: Mapping[str, Mapping[str, Any]]
    ) -> list[Difference]:
        theirs = {held["symbol"]: held for held in positions}
        found = []
        for symbol in sorted((set(theirs) | set(mine)) - self._unknown):
            for side, _ in _SIDES:
                names = [f"{head}_{side}" + tail for head, tail in _split(LOTS)]
                ours, shown = ([row.get(name, 0) for name in names] for row in _rows(symbol, mine, theirs))
                if ours != shown:
                    words = ", ".join(
                        f"{name} {a} ({b})" for name, a, b in zip(names, ours, shown, strict=True)
                    )
                    found.append(Difference("position", symbol, f"ours (the broker's): {words}"))
        return found

    def _move_money(self, funds: Mapping[str, float]) -> None:
        moved = funds["deposit"] - funds["withdraw"]
        amount, self._moved = moved - self._moved, moved
        if amount > 0:
            self._account.deposit(amount)
        elif amount < 0 and (code := self._account.withdraw(-amount)):
            self._refused.append(
                Difference("figure", "withdraw", f"our ledger refuses {-amount:.2f} ({code})")
            )

    def mark(self, positions: Iterable[Mapping[str, Any]] = ()) -> list[str]:
        """Value what is held by our prices, by `positions`' own where we have none; return what moved."""
        shown = {held["symbol"]: held.get("last_price") for held in positions}
        moved = []
        for symbol, line in self._lines.items():
            last = self._market.price(symbol, "last_price")
            if last is None or not math.isfinite(last):
                last = shown.get(symbol)  # nobody here watches this instrument
            if last is not None and math.isfinite(last) and last != self._marks.get(symbol):
                self._marks[symbol] = last
                self._ledger.mark(line, last)
                moved.append(symbol)
        return moved

    def _line(self, symbol: str) -> int | None:
        """Return the ledger's number of an instrument; None when nothing is known of it."""
        known = self._lines.get(symbol)
        if known is not None:
            return known
        table = self._market.terms(symbol)
        if table is None:
            self._unknown.add(symbol)
            return None
        self._unknown.discard(symbol)
        terms = {**table, **self.rates.get(symbol, {})}
        line = self._lines[symbol] = len(self._lines)
        self._terms[symbol] = terms
        self._ledger.set_terms(line, symbol, **terms)
        return line


def _split(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(head, f"_{tail}" if tail else "") for head, _, tail in (name.partition("_") for name in names)]


def _rows(symbol: str, *tables: Mapping[str, Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return (table.get(symbol, {}) for table in tables)
