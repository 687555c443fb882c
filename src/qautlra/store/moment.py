"""The market's present of a data directory, for processes that answer from it beside its writer.

A writer whose market is simulated or recorded says every second where it is; what it said last stays.
One whose market keeps the machine's time says nothing.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from qautlra.base.clock import Clock, WallClock

FILE: Final = "market.clock"
TELL_S: Final = 1.0
_BYTES: Final = 64
_WALL: Final = WallClock()


async def tell(data_dir: Path, clock: Clock) -> None:
    """Write the time of `clock` for as long as this runs; OSError where it cannot be written."""
    path = data_dir / FILE
    if clock.name == _WALL.name:
        path.unlink(missing_ok=True)
        return
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            # One write of one length: nobody reads half of it.
            os.pwrite(file, f"{clock.name} {clock.now_ns()}".ljust(_BYTES).encode(), 0)
            await asyncio.sleep(TELL_S)
    finally:
        os.close(file)


class ToldClock:
    """The clock of the directory's writer as of a second ago; the machine's where nothing is said."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE

    @property
    def name(self) -> str:
        """Name of the writer's clock."""
        return self._told()[0]

    def now_ns(self) -> int:
        """Return Unix ns of the market's present."""
        return self._told()[1]

    def _told(self) -> tuple[str, int]:
        try:
            name, now_ns = self._path.read_text("ascii").split()
            return name, int(now_ns)
        except (OSError, ValueError):
            return _WALL.name, _WALL.now_ns()
