"""Modes are names for sets of rooms; a process runs the union of the modes it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qautlra.base.errors import ConfigError

SOURCE: Final = "source"
FEED: Final = "feed"
STORE: Final = "store"
QUERY: Final = "query"
TRADE: Final = "trade"
INGEST: Final = "ingest"

ROOMS: Final[dict[str, frozenset[str]]] = {
    "all": frozenset({SOURCE, FEED, STORE, QUERY, INGEST, TRADE}),
    "md": frozenset({SOURCE, FEED}),
    "db": frozenset({SOURCE, STORE, QUERY, INGEST}),
    "ingest": frozenset({SOURCE, STORE, INGEST}),
    "query": frozenset({STORE, QUERY}),
    "trade": frozenset({SOURCE, FEED, TRADE}),
    "web": frozenset(),
}


def rooms(modes: Sequence[str], origin: str = "default", *, with_store: bool = True) -> frozenset[str]:
    """Return the rooms of the modes; ConfigError for a mode this build does not have."""
    found: set[str] = set()
    for mode in modes:
        if mode not in ROOMS:
            raise ConfigError(
                "this mode is not part of this build",
                key="mode",
                value=mode,
                origin=origin,
                expected="one of " + ", ".join(ROOMS),
            )
        found |= ROOMS[mode]
    if not with_store:
        found -= {STORE, QUERY, INGEST}
    return frozenset(found)
