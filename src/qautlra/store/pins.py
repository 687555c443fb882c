"""What running reads need kept in the hot tier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qautlra._core.store import HotStore


class Pins:
    """Log positions that running reads need kept in the hot tier; bounded by the reads' deadlines."""

    def __init__(self, hot: HotStore) -> None:
        self._hot = hot
        self._held: dict[int, int] = {}
        self._safe_lsn = 0

    def release_through(self, lsn: int) -> None:
        """Allow the hot tier to forget rows up to `lsn` as soon as no read needs them."""
        self._safe_lsn = lsn
        self._tell()

    @contextmanager
    def hold_above(self, lsn: int) -> Iterator[None]:
        """Keep rows above `lsn` while the block runs."""
        self._held[lsn] = self._held.get(lsn, 0) + 1
        try:
            yield
        finally:
            self._held[lsn] -= 1
            if not self._held[lsn]:
                del self._held[lsn]
            self._tell()

    def _tell(self) -> None:
        self._hot.set_safe_lsn(min([self._safe_lsn, *self._held]))
