"""What a user says of a stream when making it."""

from __future__ import annotations

from msgspec import Struct


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
