"""The end of a contract said plainly: all lots go at a price, options perhaps into their underlying."""

from decimal import Decimal
from typing import NamedTuple

from tests.models.account import BUY, OTHER, SELL, ZERO, Account


class Deal(NamedTuple):
    """A trade as the account is told of it."""

    account: int
    symbol: str
    direction: str
    offset: str
    volume: int
    price: Decimal
    commission: Decimal
    close_profit: Decimal


def expire(
    accounts: dict[int, Account],
    symbol: str,
    price: Decimal,
    fee: Decimal = ZERO,
    *,
    into: str = "",
    strike: Decimal = ZERO,
    is_put: bool = False,
) -> list[Deal]:
    """Close everything held of `symbol`; with `into` its options have become futures at the strike."""
    deals: list[Deal] = []
    for number, account in sorted(accounts.items()):
        t = account.terms[symbol]
        opened: list[tuple[int, str, int]] = []
        for side in (BUY, SELL):
            leg = account.leg(symbol, side)
            parts = {"CLOSE": (leg.today, leg.his)}
            if t.rule == "split":
                parts = {"CLOSETODAY": (leg.today,), "CLOSE": (leg.his,)}
            for offset, lots in parts.items():
                volume = sum(one.lots for one in lots)
                if not volume:
                    continue
                value, cost = price * volume * t.multiple, sum((one.cost for one in lots), ZERO)
                profit = ZERO if t.asset == "option" else value - cost if side == BUY else cost - value
                deals.append(Deal(number, symbol, OTHER[side], offset, volume, price, value * fee, profit))
                if into:
                    buys = (side == BUY) != is_put
                    opened.append((len(deals), BUY if buys else SELL, volume))
        assert account.expire(symbol, price, fee) == 0
        for place, direction, volume in reversed(opened):
            account.assign(into, direction, volume, strike)
            deals.insert(place, Deal(number, into, direction, "OPEN", volume, strike, ZERO, ZERO))
    return deals
