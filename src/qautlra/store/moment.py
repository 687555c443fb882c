"""The market's present of a data directory, for processes that answer from it beside its writer.

A writer whose market is simulated or recorded says every second where it is; what it said last stays.
One whose market keeps the machine's time says nothing.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Final

from qautlra.base import log
from qautlra.base.clock import Clock, WallClock

FILE: Final = "market.clock"
TELL_S: Final = 1.0
_BYTES: Final = 64
_WALL: Final = WallClock()
_log = log.get_logger("store")


async def tell(data_dir: Path, clock: Clock) -> None:
    """Write the time of `clock` for as long as this runs, off the loop; what fails is tried again."""
    path, loop = data_dir / FILE, asyncio.get_running_loop()
    is_wall = clock.name == _WALL.name
    failed = ""
    while True:
        try:
            if is_wall:
                return await loop.run_in_executor(None, partial(path.unlink, missing_ok=True))
            # One write of one length: nobody reads half of it.
            text = f"{clock.name} {clock.now_ns()}".ljust(_BYTES)
            await loop.run_in_executor(None, _write, path, text.encode())
            failed = ""
        except OSError as error:  # a full disk, say: the store has its own ways with one
            if failed != str(error):
                failed = str(error)
                _log.warning("market_clock_not_told", error=failed)
        await asyncio.sleep(TELL_S)


def _write(path: Path, text: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(file, text, 0)
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
