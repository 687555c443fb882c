"""Where in the journal a replay may begin: a small file beside it, one line per trading day, newest last.

A checkpoint counts once its last record is durable; segments of days before `keep_days` checkpoints are
deleted. Losing the file costs only a longer start.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qautlra.base.log import get_logger

if TYPE_CHECKING:
    from qautlra._core.journal import Journal

_log = get_logger("trade")
Entry = tuple[int, int]  # (trading day that begins, LSN of the first record)


class Checkpoints:
    """The file, and what of the journal is not needed any more."""

    def __init__(self, path: Path, keep_days: int) -> None:
        self._path = path
        self._keep_days = keep_days

    def entries(self) -> list[Entry]:
        """Return the known checkpoints, oldest first; none when the file is missing or says nothing."""
        try:
            found = json.loads(self._path.read_bytes())
            return [(int(day), int(lsn)) for day, lsn in found]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            _log.warning("checkpoints_unreadable", path=str(self._path), reason=str(error))
            return []

    def begin_at(self) -> list[int]:
        """Return the LSNs a replay may begin with, the best first; 1 is always the last resort."""
        return [*(lsn for _, lsn in reversed(self.entries())), 1]

    def add(self, day: int, lsn: int) -> int:
        """Note a durable checkpoint; return the newest LSN that nobody needs any more, 0 for none."""
        entries = [*(entry for entry in self.entries() if entry[1] < lsn), (day, lsn)]
        kept = entries[-self._keep_days :]
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(json.dumps(kept).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        return kept[0][1] - 1 if len(entries) > len(kept) else 0

    async def count(
        self, journal: Journal, durable: Callable[[], Awaitable[None]], day: int, first: int
    ) -> None:
        """Note one once it is durable; what no replay needs any more is deleted."""
        await durable()
        loop = asyncio.get_running_loop()
        unneeded = await loop.run_in_executor(None, self.add, day, first)
        if unneeded:
            deleted = await loop.run_in_executor(None, journal.drop_through, unneeded)
            _log.info("journal_trimmed", through_lsn=unneeded, segments=deleted)
