"""What the SQL process is asked, and the kinds of piece it answers with (`sqlproc` to `sqlworker`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

from msgspec import Struct

from qautlra.store.plan import microseconds, moment

DATA: Final = b"d"
FAILED: Final = b"e"
DONE: Final = b"z"
HEAD: Final = b"h"


class Ask(Struct, frozen=True, kw_only=True):
    """One statement. `position`, `table_position`: what the logs had when it was asked; all is in the answer.

    `streams` are named by the server's own statements; those of users are read to find them. `whole_days`:
    the views begin with the trading day `start_us` lies in. `asof`: the stream whose rows others are joined
    with as of their moments; its bars are read from the day's beginning on. Bound values are [kind, value] of
    kinds `t` (Unix us), `d` (a date), `v`.
    """

    sql: str
    form: str
    start_us: int
    stop_us: int
    position: int
    cap_rows: int
    timeout_s: float
    omit_null: bool = False
    streams: tuple[str, ...] = ()
    values: tuple[tuple[str, Any], ...] = ()
    whole_days: bool = False
    asof: str = ""
    table_start_us: int = 0
    table_stop_us: int = 0
    table_position: int = 0


def bound_values(values: Iterable[Any]) -> tuple[tuple[str, Any], ...]:
    """Return values of a statement as an `Ask` holds them."""
    found: list[tuple[str, Any]] = []
    for value in values:
        if isinstance(value, datetime):
            found.append(("t", microseconds(value)))
        elif isinstance(value, date):
            found.append(("d", value.isoformat()))
        else:
            found.append(("v", value))
    return tuple(found)


def value_of(kind: str, value: Any) -> Any:
    """Return a bound value as the engine takes it."""
    if kind == "t":
        return moment(value)
    return date.fromisoformat(value) if kind == "d" else value
