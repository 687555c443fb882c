"""What a client's spelling names, and which instruments there are; clients never add to the table."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from qautlra.base.clock import Clock

TRADING = "CONTINOUS"  # the field's own spelling
AUCTION = "AUCTIONORDERING"
NOT_TRADING = "NOTRADING"
_AUCTION_PHASE, _SUSPENDED_PHASE = 2, 3
_STOCKS = ("SSE.", "SZSE.", "BSE.")
_MINUTE_NS = 60_000_000_000
FRESH_NS = _MINUTE_NS
"""A row tells the market's phase for so long."""
PLACES_COUNT = 65_536
TOLD_COUNT = 65_536
_FUTURE = re.compile(r"([A-Z]+\.[A-Za-z]+)\d+")


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
    def auction_openings(self, symbol: str, trading_day: int) -> list[int]: ...


class Phases(Protocol):
    """What the newest rows say of their market."""

    def phase(self, instrument: int) -> tuple[int, int] | None: ...


class Place(NamedTuple):
    """What a spelling names: the full symbol and its number in the table (-1: no source showed it yet)."""

    symbol: str
    instrument: int


class Directory:
    """Looks instruments up for sessions and REST.

    `ends(symbol)` tells the last trading day (YYYYMMDD) of a contract in the table, 0 where it is not known.
    """

    def __init__(
        self,
        instruments: Instruments,
        calendar: Calendar | None = None,
        clock: Clock | None = None,
        phases: Phases | None = None,
        ends: Callable[[str], int] = lambda _symbol: 0,
    ) -> None:
        self._instruments = instruments
        self._calendar = calendar
        self._clock = clock
        self._phases = phases
        self._ends = ends
        self._told: dict[str, dict[str, str]] = {}  # by who tells: of products and instruments
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

    def tell(self, who: str, name: str, status: str) -> None:
        """Take an exchange's word on a product (`SHFE.cu`) or an instrument, until `who` says else or goes.

        Beyond TOLD_COUNT names of one source nothing new is taken.
        """
        told = self._told.setdefault(who, {})
        if len(told) < TOLD_COUNT or name in told:
            told[name] = status

    def forget(self, who: str) -> None:
        """What a source told counts no more: its link is gone."""
        self._told.pop(who, None)

    def trading_status(self, symbol: str) -> str:
        """Tell what can be done in `symbol` now: by the exchange's word, the newest row, or the calendar."""
        future = _FUTURE.fullmatch(symbol)
        for told in self._told.values():
            said = told.get(symbol) or (told.get(future[1]) if future is not None else None)
            if said is not None:
                return said
        if self._calendar is None or self._clock is None:
            return TRADING
        now = self._clock.now_ns()
        day = self._calendar.trading_day(now)
        bounds = self._calendar.section_bounds(symbol, day)
        phase, at_ns = self._phase(symbol)
        if phase == _SUSPENDED_PHASE and self._calendar.trading_day(at_ns) == day:
            return NOT_TRADING
        last = self._ends(symbol) if self.find(symbol) >= 0 else 0
        if 0 < last < day and (not at_ns or self._calendar.trading_day(at_ns) <= last):
            return NOT_TRADING  # unless the market still shows it
        if phase == _AUCTION_PHASE and 0 <= now - at_ns < FRESH_NS:
            return AUCTION
        if not bounds:
            return TRADING
        return _scheduled(symbol, now, bounds, self._calendar.auction_openings(symbol, day))

    def _phase(self, symbol: str) -> tuple[int, int]:
        instrument = self._instruments.find(symbol) if self._phases is not None else -1
        found = self._phases.phase(instrument) if self._phases is not None and instrument >= 0 else None
        return found or (0, 0)


def _scheduled(symbol: str, now: int, bounds: Any, auctions: list[int]) -> str:
    """Return the state the calendar gives: orders are collected before an opening and as stocks close."""
    stock = symbol.startswith(_STOCKS)
    for opened, closed in bounds:
        if opened <= now < closed:
            ends = stock and (opened, closed) == tuple(bounds[-1]) and now >= closed - 3 * _MINUTE_NS
            return AUCTION if ends else TRADING
    first, last = (15, 5) if stock else (5, 0)
    for opened in auctions:
        if opened - first * _MINUTE_NS <= now < opened - last * _MINUTE_NS:
            return AUCTION
    return NOT_TRADING
