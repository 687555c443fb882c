"""What an account's trades and days say: realised profit, first in first out; ratios of daily returns.

Pure functions. Undefined figures are None, never 0. Formulas: trading contract 7.4. Those that go through all
trades are for a thread beside the event loop's: a program has a hundred thousand of them a year.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from qautlra.base.loop import in_slices

DAYS_A_YEAR = 252


class Deal(NamedTuple):
    """A trade as far as statistics need it."""

    symbol: str
    is_buy: bool
    offset: str
    volume: int
    price: float
    commission: float
    time_ns: int
    trading_day: int


class Closing(NamedTuple):
    """What one trade closed: lots, profit without fees, and how long the lots were held on average."""

    symbol: str
    is_long: bool
    volume: int
    profit: float
    time_ns: int
    trading_day: int
    held_ns: float


class Lot(NamedTuple):
    """Lots that are still open, as one trade opened them."""

    symbol: str
    is_long: bool
    volume: int
    price: float
    time_ns: int
    trading_day: int


def money(*parts: float) -> float:
    """Return a sum in CNY to the millionth, in which the ledger counts: without the noise of doubles."""
    return round(math.fsum(parts), 6)


class Pairing:
    """Pairs closing trades with what they close, oldest lots first (CLOSETODAY: the day's own first)."""

    def __init__(self, multiple: Callable[[str], float]) -> None:
        self._multiple = multiple
        self._lots: defaultdict[tuple[str, bool], deque[Lot]] = defaultdict(deque)
        self.closings: list[Closing] = []

    def take(self, deals: Iterable[Deal]) -> None:
        """Go on with trades later than all before."""
        for deal in in_slices(deals):
            if deal.offset == "OPEN":
                key = deal.symbol, deal.is_buy
                self._lots[key].append(Lot(*key, deal.volume, deal.price, deal.time_ns, deal.trading_day))
            else:
                self._close(deal)

    def open_lots(self) -> list[Lot]:
        """Return what is open so far."""
        return [lot for held in self._lots.values() for lot in held]

    def _close(self, deal: Deal) -> None:
        key = deal.symbol, not deal.is_buy
        held = self._lots[key]
        left, profit, held_ns, taken = deal.volume, 0.0, 0.0, 0
        if deal.offset == "CLOSETODAY":
            today = [lot for lot in held if lot.trading_day == deal.trading_day]
            held = deque([*today, *(lot for lot in held if lot.trading_day != deal.trading_day)])
        while left and held:
            lot = held.popleft()
            volume = min(left, lot.volume)
            move = deal.price - lot.price
            profit += (-move if deal.is_buy else move) * volume * self._multiple(deal.symbol)
            held_ns += (deal.time_ns - lot.time_ns) * volume
            left -= volume
            taken += volume
            if volume < lot.volume:
                held.appendleft(lot._replace(volume=lot.volume - volume))
        if deal.offset == "CLOSETODAY":
            self._lots[key] = deque(sorted(held, key=lambda lot: lot.trading_day))
        if taken:  # what was opened before the first record is not known
            mean_ns = held_ns / taken
            self.closings.append(Closing(*key, taken, money(profit), deal.time_ns, deal.trading_day, mean_ns))


def unrealized(
    lots: Iterable[Lot], positions: Iterable[Mapping[str, Any]], multiple: Callable[[str], float]
) -> dict[str, float]:
    """Return by symbol what open lots would bring at the last prices of `positions` that hold them.

    Where a position holds other lots than these (some are of before the first record) its own figure counts.
    """
    held: defaultdict[tuple[str, str], list[Lot]] = defaultdict(list)
    for lot in lots:
        held[lot.symbol, "long" if lot.is_long else "short"].append(lot)
    found: defaultdict[str, float] = defaultdict(float)
    for row in positions:
        symbol = row["symbol"]
        for side, sign in (("long", 1), ("short", -1)):
            known, volume, last = held[symbol, side], row[f"volume_{side}"], row["last_price"]
            if volume and (sum(lot.volume for lot in known) != volume or last is None):
                found[symbol] += row[f"float_profit_{side}"]
            elif volume:
                moves = [(last - lot.price) * lot.volume for lot in known]
                found[symbol] += sign * math.fsum(moves) * multiple(symbol)
    return {symbol: money(value) for symbol, value in found.items()}


def trade_statistics(
    deals: Sequence[Deal], done: Sequence[Closing], multiple: Callable[[str], float]
) -> dict[str, Any]:
    """Return the figures of the contract's TradeStatistics, in all, by day and by instrument."""
    wins = [c.profit for c in done if c.profit > 0]
    losses = [c.profit for c in done if c.profit < 0]
    return {
        **_sums(deals, multiple),
        "win_count": len(wins),
        "loss_count": len(losses),
        "win_rate": len(wins) / len(done) if done else None,
        "avg_profit": sum(wins) / len(wins) if wins else None,
        "avg_loss": -sum(losses) / len(losses) if losses else None,
        "profit_factor": sum(wins) / -sum(losses) if losses else None,
        "max_profit": max(wins, default=None),
        "max_loss": -min(losses) if losses else None,
        "longest_winning_streak": _streak(done, 1),
        "longest_losing_streak": _streak(done, -1),
        "avg_holding_s": sum(c.held_ns for c in done) / len(done) / 1e9 if done else None,
        "by_period": _grouped(deals, done, multiple, "trading_day", lambda item: item.trading_day),
        "by_instrument": _grouped(deals, done, multiple, "instrument_id", lambda item: item.symbol),
    }


def _sums(deals: Sequence[Deal], multiple: Callable[[str], float]) -> dict[str, Any]:
    return {
        "total_trades": len(deals),
        "total_volume": sum(deal.volume for deal in in_slices(deals)),
        "total_turnover": money(
            math.fsum(deal.volume * deal.price * multiple(deal.symbol) for deal in in_slices(deals))
        ),
        "total_commission": money(math.fsum(deal.commission for deal in in_slices(deals))),
    }


def _grouped(
    deals: Sequence[Deal],
    done: Sequence[Closing],
    multiple: Callable[[str], float],
    name: str,
    key: Callable[[Any], Any],
) -> list[dict[str, Any]]:
    parts: dict[Any, tuple[list[Deal], list[Closing]]] = {}
    for deal in in_slices(deals):
        parts.setdefault(key(deal), ([], []))[0].append(deal)
    for closing in in_slices(done):
        parts.setdefault(key(closing), ([], []))[1].append(closing)
    return [
        {name: str(value), **_sums(part, multiple), "profit": money(math.fsum(c.profit for c in closed))}
        for value, (part, closed) in sorted(parts.items())
    ]


def _streak(done: Sequence[Closing], sign: int) -> int:
    longest = run = 0
    for closing in done:
        run = run + 1 if closing.profit * sign > 0 else 0
        longest = max(longest, run)
    return longest


def day_profit(funds: dict[str, float]) -> float:
    """Return what a day brought, fees taken off, money moved in and out left out."""
    return money(funds["balance"], -funds["static_balance"])


def returns(days: Sequence[dict[str, float]]) -> list[float]:
    """Return each day's return on the equity before it and what came in or went out."""
    return [day_profit(funds) / funds["static_balance"] for funds in days if funds["static_balance"] > 0]


def risk_statistics(days: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return drawdown, volatility and ratios of compounded daily returns; money moved does not count.

    One day spreads nothing: of it the ratios (sharpe, sortino, calmar) and the volatility are None.
    """
    found = returns(days)
    n = len(found)
    curve = [1.0]
    for one in found:
        curve.append(curve[-1] * (1 + one))
    mean = sum(found) / n if n else None
    spread = (
        math.sqrt(sum((one - mean) ** 2 for one in found) / (n - 1)) if n > 1 and mean is not None else None
    )
    down = math.sqrt(sum(min(one, 0.0) ** 2 for one in found) / n) if n > 1 else None
    annual = curve[-1] ** (DAYS_A_YEAR / n) - 1 if n and curve[-1] > 0 else None
    drawdown = _drawdown(curve)
    year = math.sqrt(DAYS_A_YEAR)
    return {
        "days": n,
        "total_return": curve[-1] - 1 if n else None,
        "annual_return": annual,
        "volatility": spread * year if spread is not None else None,
        "max_drawdown": drawdown if n else None,
        "sharpe": mean / spread * year if mean is not None and spread else None,
        "sortino": mean / down * year if mean is not None and down else None,
        "calmar": annual / drawdown if n > 1 and annual is not None and drawdown else None,
        "win_days": sum(one > 0 for one in found),
        "loss_days": sum(one < 0 for one in found),
        "var_95": -_quantile(sorted(found), 0.05) if n else None,
    }


def _drawdown(curve: Sequence[float]) -> float:
    peak = worst = 0.0
    for value in curve:
        peak = max(peak, value)
        worst = max(worst, (peak - value) / peak if peak else 0.0)
    return worst


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
