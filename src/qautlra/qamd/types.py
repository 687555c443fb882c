"""Snapshot, tick, minute bar and daily bar."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from qautlra.qamd.enums import InstrumentType
from qautlra.qamd.record import MISSING_VALUE, OptionalF64, Record


class MDSnapshot(Record, kw_only=True):
    """The latest state of one instrument: 58 fields, volumes and turnover cumulative over the trading day."""

    instrument_id: str
    datetime: dt.datetime
    last_price: float = math.nan
    open: float = math.nan
    highest: float = math.nan
    lowest: float = math.nan
    pre_close: float = math.nan
    upper_limit: float = math.nan
    lower_limit: float = math.nan
    average: float = math.nan
    volume: int = 0
    amount: float = math.nan
    bid_price1: float = math.nan
    ask_price1: float = math.nan
    bid_volume1: int = 0
    ask_volume1: int = 0
    bid_price2: float | None = None
    bid_price3: float | None = None
    bid_price4: float | None = None
    bid_price5: float | None = None
    bid_price6: float | None = None
    bid_price7: float | None = None
    bid_price8: float | None = None
    bid_price9: float | None = None
    bid_price10: float | None = None
    ask_price2: float | None = None
    ask_price3: float | None = None
    ask_price4: float | None = None
    ask_price5: float | None = None
    ask_price6: float | None = None
    ask_price7: float | None = None
    ask_price8: float | None = None
    ask_price9: float | None = None
    ask_price10: float | None = None
    bid_volume2: int | None = None
    bid_volume3: int | None = None
    bid_volume4: int | None = None
    bid_volume5: int | None = None
    bid_volume6: int | None = None
    bid_volume7: int | None = None
    bid_volume8: int | None = None
    bid_volume9: int | None = None
    bid_volume10: int | None = None
    ask_volume2: int | None = None
    ask_volume3: int | None = None
    ask_volume4: int | None = None
    ask_volume5: int | None = None
    ask_volume6: int | None = None
    ask_volume7: int | None = None
    ask_volume8: int | None = None
    ask_volume9: int | None = None
    ask_volume10: int | None = None
    open_interest: OptionalF64 = MISSING_VALUE
    pre_open_interest: OptionalF64 = MISSING_VALUE
    settlement: OptionalF64 = MISSING_VALUE
    pre_settlement: OptionalF64 = MISSING_VALUE
    close: OptionalF64 = None
    iopv: OptionalF64 = None

    KEPT = frozenset({"close", "iopv"})

    def has_level2_depth(self) -> bool:
        """Whether any value of the second level is there."""
        return any(
            x is not None for x in (self.bid_price2, self.ask_price2, self.bid_volume2, self.ask_volume2)
        )

    def is_futures_or_options(self) -> bool:
        return isinstance(self.open_interest, float | int)

    def is_etf(self) -> bool:
        return isinstance(self.iopv, float | int)

    def spread(self) -> float:
        """First ask less first bid; NaN when one side is empty."""
        return self.ask_price1 - self.bid_price1

    def tick(self) -> Tick:
        """Its projection on the five values of a tick."""
        return Tick(
            instrument_id=self.instrument_id,
            last_price=self.last_price,
            volume=self.volume,
            amount=self.amount,
            datetime=self.datetime,
        )


class Tick(Record, kw_only=True):
    instrument_id: str
    last_price: float
    volume: int
    amount: float
    datetime: dt.datetime


class _Bar(Record, kw_only=True):
    order_book_id: str
    instrument_type: InstrumentType
    open: float
    high: float
    low: float
    close: float
    volume: float
    total_turnover: float

    def range(self) -> float:
        return self.high - self.low

    def returns(self) -> float:
        """(close - open) / open; 0 when open is 0."""
        return (self.close - self.open) / self.open if self.open != 0 else 0.0

    def percent_change(self) -> float:
        return 100 * self.returns()


class MinuteBar(_Bar, kw_only=True):
    """One minute, labelled by its opening time; a night bar's trading date is the next trading day."""

    datetime: dt.datetime
    trading_date: dt.date | None = None
    open_interest: float | None = None


class DailyBar(_Bar, kw_only=True):
    date: dt.date
    num_trades: float | None = None
    limit_up: float | None = None
    limit_down: float | None = None
    open_interest: float | None = None
    prev_settlement: float | None = None
    settlement: float | None = None
    iopv: float | None = None

    # Which extras an instrument of a type has.
    EXTRAS: ClassVar[dict[InstrumentType, frozenset[str]]] = {
        InstrumentType.STOCK: frozenset({"num_trades", "limit_up", "limit_down"}),
        InstrumentType.FUTURE: frozenset(
            {"limit_up", "limit_down", "open_interest", "prev_settlement", "settlement"}
        ),
        InstrumentType.INDEX: frozenset({"num_trades"}),
        InstrumentType.FUND: frozenset({"limit_up", "limit_down", "iopv", "num_trades"}),
    }

    @classmethod
    def _of(cls, kind: InstrumentType, values: Mapping[str, Any]) -> Self:
        every = frozenset().union(*cls.EXTRAS.values())
        for name in every - cls.EXTRAS[kind]:
            if values.get(name) is not None:
                raise ValueError(f"DailyBar: a bar of type {kind} has no {name}")
        return cls(instrument_type=kind, **values)

    @classmethod
    def stock(cls, **values: Any) -> Self:
        return cls._of(InstrumentType.STOCK, values)

    @classmethod
    def future(cls, **values: Any) -> Self:
        return cls._of(InstrumentType.FUTURE, values)

    @classmethod
    def index(cls, **values: Any) -> Self:
        return cls._of(InstrumentType.INDEX, values)

    @classmethod
    def fund(cls, **values: Any) -> Self:
        return cls._of(InstrumentType.FUND, values)

    def price_limits(self) -> tuple[float, float] | None:
        """(down, up), only when both are known."""
        if self.limit_down is None or self.limit_up is None:
            return None
        return self.limit_down, self.limit_up
