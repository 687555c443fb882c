"""Which phase of its trading day an instrument is in, and until when: sections, and auctions beside them.

Commodities gather orders for four minutes before their first section and match in the fifth, index futures
likewise, and so does the daytime of what traded at night where its exchange holds that auction; shares gather
from 09:15 (no cancels from 09:20) to 09:25 and close with an auction from 14:57 (trading contract 5.7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from qautlra._core import book

SECOND_NS: Final = 1_000_000_000
HOURS_COUNT: Final = 256
_MINUTE_NS: Final = 60 * SECOND_NS
_SHARE_EXCHANGES: Final = ("SSE", "SZSE", "BSE")


class Sections(Protocol):
    """The calendar as far as phases need it."""

    def trading_day(self, ts_ns: int) -> int: ...
    def next_trading_day(self, day: int) -> int: ...
    def day_end(self, day: int) -> int: ...
    def section_bounds(self, symbol: str, trading_day: int) -> list[tuple[int, int]]: ...
    def auction_openings(self, symbol: str, trading_day: int) -> list[int]: ...


class Phase(NamedTuple):
    """A phase of the book, from `since_ns` until before `until_ns`."""

    phase: int
    since_ns: int
    until_ns: int
    is_last: bool = False
    "Whether no other follows in its day; it ends with the day."


class Phases:
    """Answers `at(symbol, now_ns)`; the day's phases are made once for all symbols of the same hours. Bounds:
    one day per symbol, HOURS_COUNT hours.

    `has_ended(symbol, day)` tells of a contract whose last trading day was before `day`: it is closed.
    """

    def __init__(
        self, calendar: Sections, has_ended: Callable[[str, int], bool] = lambda _symbol, _day: False
    ) -> None:
        self._calendar = calendar
        self._has_ended = has_ended
        self._days: dict[str, tuple[int, list[Phase]]] = {}
        self._made: dict[tuple[Any, ...], list[Phase]] = {}

    def at(self, symbol: str, now_ns: int) -> Phase:
        """Return the phase of `symbol` at `now_ns`; closed when its sections are not known."""
        day = self._calendar.trading_day(now_ns)
        known = self._days.get(symbol)
        if known is None or known[0] != day:
            if self._has_ended(symbol, day):  # asked again: what the market shows may say otherwise
                until_ns = min(now_ns + _MINUTE_NS, self._calendar.day_end(day))
                return Phase(book.CLOSED, 0, until_ns, is_last=True)
            known = self._days[symbol] = (day, self._of_day(symbol, day))
        for phase in known[1]:
            if now_ns < phase.until_ns:
                return phase
        return known[1][-1]

    def _of_day(self, symbol: str, day: int) -> list[Phase]:
        bounds, end_ns = self._calendar.section_bounds(symbol, day), self._calendar.day_end(day)
        if not bounds:
            return [Phase(book.CLOSED, 0, end_ns, is_last=True)]
        share = symbol.partition(".")[0] in _SHARE_EXCHANGES
        openings = self._calendar.auction_openings(symbol, day)
        key = (end_ns, share, tuple(bounds), tuple(openings))
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= HOURS_COUNT:
                self._made.clear()
            found = self._made[key] = _phases(bounds, openings, end_ns, share=share)
        return found


def _phases(bounds: list[tuple[int, int]], openings: list[int], end_ns: int, *, share: bool) -> list[Phase]:
    """Return the phases of a day with these sections."""
    first = bounds[0][0]
    found: list[Phase] = []

    def then(phase: int, until_ns: int) -> None:
        since = found[-1].until_ns if found else 0
        if until_ns > since:
            found.append(Phase(phase, since, until_ns))

    if share:
        then(book.CLOSED, first - 15 * _MINUTE_NS)
        then(book.AUCTION, first - 10 * _MINUTE_NS)
        then(book.AUCTION_LOCKED, first - 5 * _MINUTE_NS)
    else:
        then(book.CLOSED, first - 5 * _MINUTE_NS)
        then(book.AUCTION, first - _MINUTE_NS)
    then(book.AUCTION_MATCHED, first)
    for number, (start, end) in enumerate(bounds):
        if number and start in openings:
            then(book.BREAK, start - 5 * _MINUTE_NS)
            then(book.AUCTION, start - _MINUTE_NS)
            then(book.AUCTION_MATCHED, start)
        then(book.BREAK, start)
        if share and number == len(bounds) - 1:
            then(book.CONTINUOUS, end - 3 * _MINUTE_NS)
            then(book.AUCTION_LOCKED, end)
        else:
            then(book.CONTINUOUS, end)
    found.append(Phase(book.CLOSED, found[-1].until_ns, end_ns, is_last=True))
    return found
