"""Cells of a text file: what a text says when it may be a number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as JSON writes one: `-1.50`, `1e3`; not `007`, `+1`, `1_000`, `inf`."""
_INT_CHARS_COUNT: Final = 20
_CODE: Final = re.compile(r"-?0[0-9]+")
_TRUTHS: Final = {"true": True, "false": False}


@dataclass(slots=True)
class CellColumn:
    """What the cells of one column say together, of which `first` is the first with a value."""

    first: str
    has_codes: bool = False
    "Some are digits that are no number, as `000001` is none."
    is_truths: bool = True
    "All say true or false."

    def note(self, cell: str) -> None:
        """Count one more cell, the first one too."""
        if not self.has_codes and cell[0] in "-0" and _CODE.fullmatch(cell):
            self.has_codes = True
        if self.is_truths and truth_in(cell) is None:
            self.is_truths = False


class Cells(list[Any]):
    """Events of a text file: a text that is written as a number is one if its column has numbers.

    `columns` are those of the whole file, where somebody has looked at it.
    """

    def __init__(self, events: Iterable[Any], columns: dict[str, CellColumn] | None = None) -> None:
        super().__init__(events)
        self.columns = columns

    def part(self, start: int, stop: int) -> Cells:
        """Return some of the events."""
        return Cells(self[start:stop], self.columns)


def column_of(cells: Iterable[str | None]) -> CellColumn | None:
    """Return what cells say together; None when none has a value."""
    column: CellColumn | None = None
    for cell in cells:
        if cell:
            column = column or CellColumn(cell)
            column.note(cell)
    return column


def truth_in(text: str) -> bool | None:
    """Return whether a text says true or false, in letters of either case; None: neither."""
    return _TRUTHS.get(text.lower())


def number_in(text: str) -> int | float | None:
    """Return the number a text is written as; None: it is none, or a whole one of more than 64 bits."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    if found[1] or found[2]:
        return float(text)
    return int(text) if len(text) <= _INT_CHARS_COUNT else None
