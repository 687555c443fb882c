"""The pump of a process with a store: nothing is published while no log would take it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qautlra.source.base import HOLD_POLL_S, SLICE_ROWS, Pump

if TYPE_CHECKING:
    from qautlra._core.market import Rows


class GatedPump(Pump):
    """A pump that stands still while `is_open()` is False, and drops and counts for a live source.

    A store that restarts has no cursor on the tape meanwhile: what went by then would be in no log.
    """

    def __init__(self, *arguments: Any, is_open: Callable[[], bool], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_open = is_open

    async def publish(self, rows: Rows, start: int = 0, stop: int | None = None) -> int:
        """Publish rows[start:stop]; return how many were taken, after at least one turn of the loop."""
        end = len(rows) if stop is None else stop
        taken = 0
        for at in range(start, end, SLICE_ROWS):
            while not self._is_open():
                self.held_count += 1
                if not self._wait:
                    self.dropped += end - at
                    await asyncio.sleep(0)
                    return taken
                await asyncio.sleep(HOLD_POLL_S)
            taken += await super().publish(rows, at, min(at + SLICE_ROWS, end))
        if start >= end:
            await asyncio.sleep(0)
        return taken
