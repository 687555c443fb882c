"""What a client's spelling names, and which instruments there are; clients never add to the table."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, Protocol

from qautlra.base.clock import Clock

TRADING = "CONTINOUS"  # the field's own spelling
NOT_TRADING = "NOTRADING"
PLACES_COUNT = 65_536


class Instruments(Protocol):
    """The interned table, read only here."""

    def find(self, spelling: str) -> int: ...
    def canonical(self, spelling: str) -> str | None: ...
    def symbol(self, instrument: int) -> str: ...
    def __len__(self) -> int: ...


class Calendar(Protocol):
    """Trading sections."""

    def trading_day(self, ts_ns: int) -> int: ...
    def section_bounds(self, symbol: str, trading_day: int) -> Any: ...


class Place(NamedTuple):
    """What a spelling names: the full symbol and its number in the table (-1: no source showed it yet)."""

    symbol: str
    instrument: int


class Directory:
    """Looks instruments up for sessions and REST."""

    def __init__(
        self, instruments: Instruments, calendar: Calendar | None = None, clock: Clock | None = None
    ) -> None:
        self._instruments = instruments
        self._calendar = calendar
        self._clock = clock
        self._places: dict[str, Place] = {}  # of spellings met before: thousands of clients share them

    def __len__(self) -> int:
        return len(self._instruments)

    def resolve(self, spelling: str) -> Place | None:
        """Return what `spelling` names, or None when it cannot be an instrument."""
        if (known := self._places.get(spelling)) is not None:
            return known
        instrument = self._instruments.find(spelling)
        if instrument >= 0:
            if len(self._places) >= PLACES_COUNT:
                self._places.clear()
            place = Place(sys.intern(self._instruments.symbol(instrument)), instrument)
            self._places[sys.intern(spelling)] = place
            return place
        symbol = self._instruments.canonical(spelling)
        return None if symbol is None else Place(symbol, -1)

    def find(self, symbol: str) -> int:
        """Return the number of a full symbol, -1 when no source has shown it."""
        return self._instruments.find(symbol)

    def symbols(self) -> list[str]:
        """Return every instrument of the table, in order of appearance."""
        return [self._instruments.symbol(i) for i in range(len(self._instruments))]

    def search(self, pattern: str) -> list[str]:
        """Return the instruments whose symbol holds `pattern`, letters of either case."""
        wanted = pattern.casefold()
        return [symbol for symbol in self.symbols() if wanted in symbol.casefold()]

    def trading_status(self, symbol: str) -> str:
        """Tell whether the market's present lies in a trading section of `symbol`."""
        if self._calendar is None or self._clock is None:
            return TRADING
        now = self._clock.now_ns()
        bounds = self._calendar.section_bounds(symbol, self._calendar.trading_day(now))
        return TRADING if not bounds or any(a <= now < b for a, b in bounds) else NOT_TRADING
