"""Sets up the simulated market of a trading day: listed contracts, their state at its start, their past."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from qautlra._core.market import Calendar, Instruments
from qautlra._core.sim import price_ticks
from qautlra.source import history
from qautlra.source.contracts import Contract

_MASK64 = (1 << 64) - 1


@dataclass(slots=True)
class Listed:
    """A contract under its interned number, with its tick as whole units of a power of ten."""

    contract: Contract
    instrument: int
    symbol: str
    volume_multiple: float
    tick_units: int
    decimals: int
    index: int = -1
    "Place in the simulator, -1 before it is there."

    @property
    def last_ticks(self) -> int:
        """Starting price in whole ticks."""
        return max(round(self.contract.live.price * 10.0**self.decimals / self.tick_units), 1)

    def price(self, ticks: int) -> float:
        """Return the price of whole ticks."""
        return ticks * self.tick_units / 10.0**self.decimals


@dataclass(frozen=True, slots=True)
class Past:
    """State of every instrument at the market's start, and the bars that led there."""

    states: dict[int, dict[str, Any]]
    bars: pa.Table
    "Of the instruments that were asked for, ordered by instrument, then time."


def intern(instruments: Instruments, contracts: Iterable[Contract]) -> list[Listed]:
    """Return the contracts with what the instrument table knows of them; unknown products are left out."""
    found = []
    for contract in contracts:
        try:
            instrument = instruments.intern(contract.symbol)
            units, decimals = price_ticks(instruments, instrument)
        except ValueError:
            continue
        info = instruments.info(instrument)
        found.append(
            Listed(contract, instrument, info["symbol"], float(info["volume_multiple"]), units, decimals)
        )
    return found


@dataclass(frozen=True, slots=True)
class PastMaker:
    """Makes the past of instruments up to a moment; blocking, but shares nothing, so a thread may run it."""

    calendar: Calendar
    seed: int
    bars_count: int

    def make(self, listed: Iterable[Listed], day: int, start_ns: int, with_bars: set[str]) -> Past:
        """Return the states at `start_ns` of trading day `day`, and bars of the symbols in `with_bars`."""
        grid = history.MinuteGrid(self.calendar, start_ns, self.bars_count)
        states: dict[int, dict[str, Any]] = {}
        tables: list[pa.Table] = []
        for item in sorted(listed, key=lambda one: one.symbol):
            live = item.contract.live
            minutes = grid.of(item.symbol, day)
            walk = history.Walk(
                symbol=item.symbol,
                last=item.last_ticks,
                sigma_per_minute=live.sigma_per_minute,
                volume_per_minute=int(live.ticks_per_s * 60 * live.lots_per_trade),
                lot=item.contract.lot,
                open_interest=live.open_interest_lots if item.contract.is_future else 0,
            )
            bars = history.make_bars(walk, minutes, history.random_of(self.seed, item.symbol, day))
            states[item.instrument] = self._state(item, bars, day)
            if item.symbol in with_bars and len(bars.close):
                tables.append(
                    history.table(item.symbol, bars, item.tick_units, item.decimals, item.volume_multiple)
                )
        return Past(states, history.join(tables))

    def _state(self, item: Listed, bars: history.Bars, day: int) -> dict[str, Any]:
        """Return what `Simulator.add` takes: cadence and sizes, the day so far, the day before."""
        live = item.contract.live
        future = item.contract.is_future
        money = history.amounts(bars, item.tick_units, item.decimals, item.volume_multiple)
        today = bars.minutes.days == day
        before = ~today
        state: dict[str, Any] = {
            "seed": self._stream(item.symbol, day),
            "tick_units": item.tick_units,
            "price_decimals": item.decimals,
            "volume_multiple": item.volume_multiple,
            "last": item.last_ticks,
            "pre_close": item.last_ticks,
            "pre_settlement": item.last_ticks if future else 0,
            "limit_ratio": live.limit_ratio,
            "open_interest": live.open_interest_lots if future else -1,
            "pre_open_interest": live.open_interest_lots if future else -1,
            "ticks_per_s": live.ticks_per_s,
            "sigma_per_minute": live.sigma_per_minute,
            "lot": item.contract.lot,
            "lots_per_trade": live.lots_per_trade,
            "depth_lots": live.depth_lots,
            "has_iopv": item.contract.is_fund,
        }
        if before.any():
            state["pre_close"] = int(bars.close[before][-1])
            if future:
                last_day = bars.minutes.days == bars.minutes.days[before][-1]
                lots = float(bars.volume[last_day].sum()) * item.volume_multiple
                average = float(money[last_day].sum()) / lots
                state["pre_settlement"] = max(round(average * 10**item.decimals / item.tick_units), 1)
                state["pre_open_interest"] = int(bars.close_oi[before][-1])
        if today.any():
            state["open"] = int(bars.open[today][0])
            state["highest"] = int(bars.high[today].max())
            state["lowest"] = int(bars.low[today].min())
            state["volume"] = int(bars.volume[today].sum())
            state["amount"] = float(np.round(money[today].sum(), 2))
        return state

    def _stream(self, symbol: str, moment: int) -> int:
        """Return the seed of an instrument's own random stream from a day, or a moment of resumption, on."""
        mixed = (self.seed + 1) * 0x9E3779B97F4A7C15 ^ zlib.crc32(symbol.encode()) << 17 ^ moment
        return (mixed * 0xBF58476D1CE4E5B9) & _MASK64
