"""How full the disk may get: above the ceiling nothing is taken in, and by itself it goes on below it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from qautlra.base.clock import monotonic_s
from qautlra.base.errors import StorageError

LOOK_S = 1.0


def is_full(error: BaseException) -> bool:
    """Tell whether an error says that there is no room, on the disk or for this user."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class DiskGuard:
    """Looks at the data directory's disk at most once a second."""

    def __init__(self, path: Path, max_percent: float) -> None:
        self._path = path
        self._max_percent = max_percent
        self._looked_s = float("-inf")
        self._used_percent = 0.0

    @property
    def used_percent(self) -> float:
        """How much of the disk is taken, 0 to 100."""
        now = monotonic_s()
        if now - self._looked_s > LOOK_S:
            self._looked_s = now
            try:
                facts = os.statvfs(self._path)
            except OSError:
                return self._used_percent
            free = facts.f_bavail / max(facts.f_blocks - facts.f_bfree + facts.f_bavail, 1)
            self._used_percent = 100.0 * (1.0 - free)
        return self._used_percent

    @property
    def is_full(self) -> bool:
        """Whether the ceiling is reached."""
        return self.used_percent >= self._max_percent

    @property
    def error(self) -> str:
        """What is wrong while the ceiling is reached; else empty."""
        if not self.is_full:
            return ""
        return (
            f"the disk is {self.used_percent:.1f}% full and may be {self._max_percent:g}% "
            "(store.max_disk_percent); nothing is taken until there is room"
        )

    def check(self) -> None:
        """StorageError 507 while the ceiling is reached."""
        if error := self.error:
            raise StorageError(error, status=507, retry_after_s=10)
