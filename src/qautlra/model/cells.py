"""Cells of a text file: what a text says when it may be a number."""

from __future__ import annotations

import re
from typing import Any, Final

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as JSON writes one: `-1.50`, `1e3`; not `007`, `+1`, `1_000`, `inf`."""
_INT_CHARS_COUNT: Final = 20


class Cells(list[Any]):
    """Events of a text file: a text that is written as a number is one if its column has numbers."""


def number_in(text: str) -> int | float | None:
    """Return the number a text is written as; None: it is none, or a whole one of more than 64 bits."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    if found[1] or found[2]:
        return float(text)
    return int(text) if len(text) <= _INT_CHARS_COUNT else None
