"""The exchange's trading day follows the market clock's: end, settlement prices, settlement, next day."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qautlra.base.log import get_logger
from qautlra.model import codes
from qautlra.model.order import Order, Trade
from qautlra.trade.expiry import Expiries
from qautlra.trade.notes import Note, to_bytes

if TYPE_CHECKING:
    from qautlra._core.exchange import Exchange
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape
    from qautlra.base.clock import Clock
    from qautlra.trade.engine import Calendar, Engine

PRICE_MAX: Final = 1e9
"CNY: what the ledger takes."
_log = get_logger("trade")


class AccountDay(NamedTuple):
    """One account as its day left it: all orders ended, positions at the settlement prices."""

    account_id: str
    funds: dict[str, float]
    positions: list[dict[str, Any]]
    orders: list[Order]
    trades: list[Trade]


class DayEnd:
    """A trading day that is over (YYYYMMDD), and the one that follows."""

    def __init__(
        self, engine: Engine, exchange: Exchange, trading_day: int, next_day: int, prices: dict[str, float]
    ) -> None:
        self._engine = engine
        self.exchange = exchange
        "As the day left it: this one until it is settled, then one for reading."
        self.trading_day = trading_day
        self.next_day = next_day
        self.prices = prices
        "Settlement prices of what is held, by symbol."

    @property
    def accounts(self) -> Iterator[AccountDay]:
        """Every account of the house's exchange, read one after the other."""
        for name in self.names():
            funds, positions = self.read(name)
            orders, trades = self.numbers(name)
            yield AccountDay(name, funds, positions, self.orders(orders), self.trades(trades))

    def names(self) -> list[str]:
        """Return the accounts of the house's exchange."""
        engine, ledger = self._engine, self.exchange.ledger
        names = [ledger.account(number).name for number in range(1, len(ledger))]  # 0 is the street
        return [name for name in names if engine.outside(name) is None]

    def read(self, name: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Return an account's money and positions."""
        account = self.exchange.account(self._number(name))
        return account.funds(), account.positions()

    def numbers(self, name: str) -> tuple[list[int], list[int]]:
        """Return the numbers of an account's orders and trades."""
        number = self._number(name)
        return self.exchange.orders_of(number), self.exchange.trades_of(number)

    def orders(self, numbers: Sequence[int]) -> list[Order]:
        """Return orders of the day."""
        return [self._engine.order_in(self.exchange, number) for number in numbers]

    def trades(self, numbers: Sequence[int]) -> list[Trade]:
        """Return trades of the day."""
        return [self._engine.trade_in(self.exchange, number) for number in numbers]

    def _number(self, name: str) -> int:
        number = self._engine.number(name)
        assert number is not None
        return number


class SettlementPrice(Note, frozen=True, kw_only=True, tag="settlement_price"):
    """What an operator set for the day that is traded."""

    trading_day: int
    symbol: str
    price: float


class Days:
    """Says when a day is over and settles it."""

    def __init__(
        self,
        engine: Engine,
        calendar: Calendar,
        tape: Tape,
        instruments: Instruments,
        clock: Clock,
        *,
        delivery_fee_ratio: float = 0.0,
    ) -> None:
        self._expiries = Expiries(engine, instruments, delivery_fee_ratio)
        self._engine = engine
        self._calendar = calendar
        self._tape = tape
        self._instruments = instruments
        self._clock = clock

    def follow(self) -> Iterator[DayEnd]:
        """Yield the day that ended, if one did; the first day of a new exchange begins without one, unless
        orders came before it: they end as those of a day 0.

        A market clock that no source has set yet says nothing, and a day before the exchange's own is a
        recording of the past beside a journal of later days: the exchange stays where it is.
        """
        if not getattr(self._clock, "moved", True):
            return
        exchange = self._engine.exchange
        day = self._calendar.trading_day(self._clock.now_ns())
        if day <= exchange.trading_day:
            if not self._engine.phased:
                self._engine.start_phases()
            return
        if exchange.trading_day == 0 and not exchange.orders and not exchange.live_orders:
            exchange.settle(day)
            self._engine.forget_prices()  # set for no day
            self._engine.start_phases()
            return
        yield self.end(day)

    def end(self, next_day: int) -> DayEnd:
        """End the day's orders, set settlement prices, have ended contracts go; the accounts are as the day
        leaves them.
        """
        exchange = self._engine.exchange
        ended = exchange.trading_day
        ending = self._expiries.ending(next_day)
        exchange.end_day()
        prices: dict[str, float] = {}
        settled: dict[int, float] = {}
        now_ns = self._clock.now_ns()
        for instrument in range(exchange.instruments):
            symbol = self._engine.symbol(instrument)
            price = self._of_day(symbol, instrument, ended, now_ns)
            if price is None:  # the last that was known
                price = exchange.ledger.last(instrument)
            if price is None:
                continue
            code = exchange.set_settlement(instrument, price)[0]
            if code:
                _log.error("settlement_price_not_set", symbol=symbol, price=price, code=code)
            elif exchange.holders(instrument):
                prices[symbol] = price
            settled[instrument] = price
        number_of = exchange.instrument
        self._expiries.close(ending, settled, lambda name: self._of_day(name, number_of(name), ended, now_ns))
        return DayEnd(self._engine, exchange, ended, next_day, prices)

    def may_settle(self, *, force: bool) -> int:
        """Return 0 when the traded day may be settled by hand: it is over, or it is forced; else a code."""
        now_ns, traded = self._clock.now_ns(), self._engine.exchange.trading_day
        if not traded or self._calendar.trading_day(now_ns) < traded:
            return codes.SETTLED_ALREADY
        if not force and not self._engine.is_over(now_ns):
            return codes.MARKET_OPEN
        return 0

    def next_day(self) -> int:
        """Return the trading day after the traded one."""
        return self._calendar.next_trading_day(self._engine.exchange.trading_day)

    def settle(self, ended: DayEnd) -> bool:
        """Settle all accounts and begin the next day; what changed before is collected."""
        exchange = self._engine.exchange
        code = exchange.settle(ended.next_day)[0]
        if code:
            _log.error("not_settled", trading_day=ended.trading_day, code=code)
            return False
        ended.exchange = exchange.take_ended() or exchange
        self._engine.forget_prices()
        self._engine.start_phases()
        self._engine.touch_all(day=True)
        _log.info("settled", trading_day=ended.trading_day, next_day=ended.next_day)
        return True

    def refusal(self, symbol: str, price: float, *, force: bool) -> int:
        """Return 0 when a settlement price can be set, else a code.

        It is above 0, and on the tick and within the day's limits unless by `force`.
        """
        instrument = self._engine.instrument(symbol)
        if instrument is None:
            return codes.NO_INSTRUMENT
        if not 0 < price <= PRICE_MAX:
            return codes.BAD_PRICE
        return 0 if force else self._engine.check_price(instrument, price)

    def set_price(self, symbol: str, price: float, *, force: bool) -> int:
        """Keep an instrument's settlement price for the end of the day that is traded; 0 or a code.

        It is noted in the journal and marks nothing before `end`.
        """
        code = self.refusal(symbol, price, force=force)
        engine = self._engine
        if not code:
            note = SettlementPrice(trading_day=engine.exchange.trading_day, symbol=symbol, price=price)
            code = engine.exchange.note(to_bytes(note))[0]
        instrument = engine.instrument(symbol)
        if not code and instrument is not None:
            engine.settlement_prices[instrument] = price
        return code

    def restore_prices(self, notes: list[SettlementPrice]) -> None:
        """Take back what was set before a start."""
        for note in notes:
            instrument = self._engine.instrument(note.symbol)
            if note.trading_day == self._engine.exchange.trading_day and instrument is not None:
                self._engine.settlement_prices[instrument] = note.price

    def _of_day(self, symbol: str, instrument: int | None, ended: int, now_ns: int) -> float | None:
        """An operator's price, else the feed's, else the day's last one; None without any.

        Nothing beyond the day's limits counts. The settlement price of a day the feed has left behind is what
        the next day calls the previous one.
        """
        if instrument is not None and instrument in self._engine.settlement_prices:
            return self._engine.settlement_prices[instrument]
        line = self._instruments.find(symbol)
        if line < 0:
            return None
        day, last, own, previous, lower, upper = self._tape.day_prices(line)
        if day == ended or not ended:
            # CZCE sends a settlement price from the night on: it is the day's own when the day is over.
            if own > 0 and lower <= own <= (upper or math.inf) and self._engine.has_closed(symbol, now_ns):
                return own
            found = last
        elif day == self._calendar.next_trading_day(ended):
            found = previous
        else:
            return None
        return found if found > 0 and lower <= found <= (upper or math.inf) else None
