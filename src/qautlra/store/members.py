"""Which instruments a question is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qautlra.store.schema import stream_of

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra.store.plan import Plan

# Sets of symbols whose numbers are remembered, and how large they may be for that.
KNOWN_COUNT = 1_024
KNOWN_SYMBOLS = 16


class StreamMembers:
    """The instruments of each stream, followed as the table of instruments grows."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._known = 0
        self._members: dict[str, list[int]] = {}
        self._found: dict[tuple[tuple[str, ...], frozenset[str]], list[int]] = {}

    def of(self, plan: Plan) -> list[int] | None:
        """Return the numbers of the instruments that can be in the answer, None for all there are."""
        return self.numbers(plan.stream.parts, plan.symbols)

    def numbers(self, parts: tuple[str, ...], symbols: frozenset[str] | None) -> list[int] | None:
        """Return the numbers of those instruments of some streams that are known; None for all there are."""
        if symbols is not None:
            return self._found.get((parts, symbols)) or self._find(parts, symbols)
        if len(parts) > 1:
            return None
        if self._known < len(self._instruments):
            for number in range(self._known, len(self._instruments)):
                part = stream_of(self._instruments.symbol(number))
                self._members.setdefault(part, []).append(number)
            for members in self._members.values():
                members.sort(key=self._instruments.symbol)  # as the hot tier wants them
            self._known = len(self._instruments)
        return self._members.get(parts[0], [])

    def _find(self, parts: tuple[str, ...], symbols: frozenset[str]) -> list[int]:
        names = [name for name in sorted(symbols) if stream_of(name) in parts]
        found = [number for name in names if (number := self._instruments.find(name)) >= 0]
        if len(found) == len(names) <= KNOWN_SYMBOLS:  # an unknown one may be known later
            if len(self._found) >= KNOWN_COUNT:
                self._found.clear()
            self._found[parts, symbols] = found
        return found
