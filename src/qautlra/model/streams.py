"""What a user says of a stream when making it, and what a text says when it may be a number."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct

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


class StreamOptions(Struct, frozen=True, kw_only=True):
    """`fields` are declared columns (name, type); a static stream takes no others.

    Without `infer_times` a text becomes a time in declared columns only.
    """

    is_static: bool = False
    update: bool = False
    time_partition: str = ""
    time_limit_days: int = 0
    custom_partition: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] | None = None
    infer_times: bool = True


class IngestKey(Struct, frozen=True, kw_only=True):
    """Under which key a user sends rows, with the hash of their content: sent again they are stored once."""

    user: str
    key: str
    digest: str


class Derived(Struct, frozen=True, kw_only=True):
    """A stream made of another one: a row per period and group, kept up with what comes.

    `bars`: open, high, low, close, volume along trading sections; else `values` are {name: (function,
    column)} and `by` the columns of a group. `filter` is in the query's grammar.
    """

    source: str
    period_s: int
    bars: bool = False
    by: tuple[str, ...] = ()
    values: dict[str, tuple[str, str]] = {}
    filter: str = ""
