"""The only place that reads the machine's clocks and entropy; everyone else is given a `Clock` or calls here.

One market clock per process: wall time for live sources, virtual for `sim` and `replay`.
"""

from __future__ import annotations

import random as _random
import secrets as _secrets
import time as _time
import uuid as _uuid
from typing import Protocol

__all__ = [
    "Clock",
    "MarketClock",
    "VirtualClock",
    "WallClock",
    "monotonic_ns",
    "monotonic_s",
    "new_random",
    "new_token",
    "new_uuid",
    "wall_ns",
]

monotonic_ns = _time.monotonic_ns
"""CLOCK_MONOTONIC in ns: for intervals, deadlines and the `_ts` stamp; no relation to the date."""

monotonic_s = _time.monotonic
"""CLOCK_MONOTONIC in seconds."""

wall_ns = _time.time_ns
"""Unix time in ns of the machine: log stamps, file names, receive times of live sources."""


def new_random(seed: int | None = None) -> _random.Random:
    """Return a generator of its own; the same seed repeats exactly, None takes the system's entropy."""
    return _random.Random(seed)


def new_token(size_bytes: int = 16) -> str:
    """Return an unguessable URL-safe text of `size_bytes` of entropy."""
    return _secrets.token_urlsafe(size_bytes)


def new_uuid() -> str:
    """Return a random UUID as text."""
    return str(_uuid.uuid4())


class Clock(Protocol):
    """Market time: what `now` means in queries, trading days and expiry."""

    @property
    def name(self) -> str:
        """Name shown to people and in reply headers: `wall`, `sim`, `replay`."""
        ...

    def now_ns(self) -> int:
        """Return Unix ns of the market's present."""
        ...


class MarketClock(Clock, Protocol):
    """The process's clock as sources see it."""

    def advance_to(self, ts_ns: int) -> int:
        """Say that the market has reached `ts_ns`; return the time now in force."""
        ...


class WallClock:
    """Market time is the machine's time."""

    name = "wall"

    def now_ns(self) -> int:
        """Return Unix ns of the machine."""
        return _time.time_ns()

    def advance_to(self, _ts_ns: int) -> int:
        """Return the time in force: the machine's time goes by itself."""
        return _time.time_ns()


class VirtualClock:
    """Market time moved by a source; it never goes back. Before the first move it stands at `start_ns`."""

    def __init__(self, name: str = "virtual", start_ns: int | None = None) -> None:
        self.name = name
        self._now_ns = _time.time_ns() if start_ns is None else start_ns
        self._moved = start_ns is not None

    def now_ns(self) -> int:
        """Return Unix ns of the last move."""
        return self._now_ns

    @property
    def moved(self) -> bool:
        """Whether any source or recovery has set the time yet."""
        return self._moved

    def advance_to(self, ts_ns: int) -> int:
        """Move to `ts_ns` if later than now (the first move goes anywhere); return the time now in force."""
        if not self._moved or ts_ns > self._now_ns:
            self._now_ns = ts_ns
            self._moved = True
        return self._now_ns
