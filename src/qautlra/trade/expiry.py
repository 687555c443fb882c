"""Contracts whose last trading day is over: what is held of them goes before that day is settled.

Futures go at their settlement price. Options lapse or are exercised by themselves: those on an index for
money, those on a future into it. No clock and no prices of its own: `Days` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qautlra._core.exchange import DELIVERED, EXERCISED, LAPSED
from qautlra.base.log import get_logger
from qautlra.trade.engine import CAUSES

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra.trade.engine import Engine

_FUTURES: Final[Mapping[str, str]] = {"IO": "IF", "HO": "IH", "MO": "IM"}
"""Of CFFEX, by the product of options on the same index: both end at the same price."""
_log = get_logger("trade")


class End(NamedTuple):
    """What becomes of what is held: `Exchange.expire`'s arguments."""

    how: int
    price: float
    into: int | None = None
    strike: float = 0.0
    is_put: bool = False


class Expiries:
    """The held contracts that end with a day. `fee_ratio` of their value is taken from delivered futures."""

    def __init__(self, engine: Engine, instruments: Instruments, fee_ratio: float) -> None:
        self._engine = engine
        self._instruments = instruments
        self._fee_ratio = fee_ratio

    def ending(self, next_day: int) -> list[int]:
        """Return what is held and not traded any more on `next_day`, options first.

        What they may be exercised into is listed now, while the day has not ended.
        """
        engine, exchange = self._engine, self._engine.exchange
        found = [
            number
            for number in range(exchange.instruments)
            if exchange.holders(number) and engine.has_ended(engine.symbol(number), next_day)
        ]
        kinds = {number: self._info(number) for number in found}
        for number in found:
            if kinds[number]["kind"] == "OPTION" and kinds[number]["underlying_symbol"]:
                engine.instrument(kinds[number]["underlying_symbol"])
        return sorted(found, key=lambda number: kinds[number]["kind"] != "OPTION")

    def close(
        self, ending: list[int], settled: Mapping[int, float], price_of: Callable[[str], float | None]
    ) -> None:
        """Have them go; `settled` are settlement prices, `price_of` tells the day's own price of a symbol."""
        engine = self._engine
        for number in ending:
            symbol, price = engine.symbol(number), settled.get(number)
            info = self._info(number)
            if info["kind"] == "OPTION":
                end = self._option(info, price, price_of)
            elif price is not None:
                end = End(DELIVERED, price)
            else:
                _log.error("not_closed_out", symbol=symbol, reason="no price is known")
                continue
            code = engine.exchange.expire(
                number,
                end.how,
                end.price,
                fee=self._fee_ratio if end.how == DELIVERED else 0.0,
                into=end.into,
                strike=end.strike,
                is_put=end.is_put,
                now_ns=engine.now_ns(),
            )[0]
            if code:
                _log.error("not_closed_out", symbol=symbol, how=CAUSES[end.how], code=code)
            else:
                _log.info("closed_out", symbol=symbol, how=CAUSES[end.how], price=end.price)

    def _option(
        self, info: Mapping[str, Any], own: float | None, price_of: Callable[[str], float | None]
    ) -> End:
        """Exercise what is worth something by its underlying's price, else by its own."""
        underlying, strike = info["underlying_symbol"], info["strike_price"]
        is_put = info["option_class"] == "PUT"
        spot = next((p for s in self._priced_by(info) if (p := price_of(s)) is not None), None)
        if spot is None or strike is None:
            return End(EXERCISED, own) if own else End(LAPSED, 0.0)
        value = round(strike - spot if is_put else spot - strike, 6)
        if value <= 0:
            return End(LAPSED, 0.0)
        into = self._engine.instrument(underlying)
        if into is None or self._info(into)["kind"] != "FUTURE":
            return End(EXERCISED, value)
        return End(EXERCISED, 0.0, into, strike, is_put)

    def _priced_by(self, info: Mapping[str, Any]) -> list[str]:
        """Return what an option is measured against, the best first."""
        found = [info["underlying_symbol"]] if info["underlying_symbol"] else []
        future = _FUTURES.get(info["product_id"] or "")
        if info["exchange_id"] == "CFFEX" and future is not None:
            month = f"{info['delivery_year'] % 100:02d}{info['delivery_month']:02d}"
            found.insert(0, f"CFFEX.{future}{month}")
        return found

    def _info(self, number: int) -> Mapping[str, Any]:
        return self._instruments.info(self._instruments.find(self._engine.symbol(number)))
