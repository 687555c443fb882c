"""The pump of a process with a store: what can wait is not published while no log writes it in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qautlra.source.base import HOLD_POLL_S, SLICE_ROWS, Pump

if TYPE_CHECKING:
    from qautlra._core.market import Rows


class GatedPump(Pump):
    """A pump that stands still while `is_open()` is False; a live market goes on, and `missed` is told.

    A store that restarts has no cursor on the tape meanwhile: what goes by then is in no log. `in_hand` says
    how many rows a killed process would lose: one that may wait has no more than SLICE_ROWS of them.
    """

    def __init__(
        self,
        *arguments: Any,
        is_open: Callable[[], bool],
        in_hand: Callable[[], int] = lambda: 0,
        missed: Callable[[int], None] = lambda _rows: None,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._is_open = is_open
        self._in_hand = in_hand
        self._missed = missed

    async def publish(self, rows: Rows, start: int = 0, stop: int | None = None) -> int:
        """Publish rows[start:stop]; return how many were taken, after at least one turn of the loop."""
        end = len(rows) if stop is None else stop
        taken = 0
        for at in range(start, end, SLICE_ROWS):
            slice_end = min(at + SLICE_ROWS, end)
            while self._wait and (not self._is_open() or self._is_too_much(slice_end - at)):
                self.held_count += 1
                await asyncio.sleep(HOLD_POLL_S)
            if not self._is_open():
                self._missed(slice_end - at)
            taken += await super().publish(rows, at, slice_end)
        if start >= end:
            await asyncio.sleep(0)
        return taken

    def _is_too_much(self, count: int) -> bool:
        in_hand = self._in_hand()
        return bool(in_hand) and in_hand + count > SLICE_ROWS
