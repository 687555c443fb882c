"""The gate before the tape: a store that is away holds a recorded source, a live one drops and counts."""

from __future__ import annotations

import asyncio
from typing import Any

from qautlra.app.gate import GatedPump
from qautlra.source.base import SLICE_ROWS


class FakeTape:
    """Takes everything and remembers how many rows."""

    def __init__(self) -> None:
        self.taken = 0

    def publish(self, rows: Any, start: int = 0, stop: int = -1) -> int:
        self.taken += stop - start
        return stop


def test_waits_until_the_gate_opens() -> None:
    async def body() -> None:
        tape, opened = FakeTape(), [False]
        pump = GatedPump(tape, is_open=lambda: opened[0])
        rows: Any = range(2 * SLICE_ROWS + 5)
        task = asyncio.create_task(pump.publish(rows))
        for _ in range(5):
            await asyncio.sleep(0)
        assert tape.taken == 0
        assert not task.done()
        opened[0] = True
        assert await task == len(rows)
        assert tape.taken == pump.rows == len(rows)
        assert pump.held_count >= 1

    asyncio.run(body())


def test_closes_between_slices() -> None:
    async def body() -> None:
        tape = FakeTape()
        pump = GatedPump(tape, is_open=lambda: tape.taken < SLICE_ROWS)
        rows: Any = range(3 * SLICE_ROWS)
        task = asyncio.create_task(pump.publish(rows))
        for _ in range(10):
            await asyncio.sleep(0)
        assert tape.taken == SLICE_ROWS
        task.cancel()

    asyncio.run(body())


def test_a_live_market_goes_on_without_a_store_which_counts_what_it_misses() -> None:
    async def body() -> None:
        tape, missed, is_open = FakeTape(), [0], [False]

        def miss(rows: int) -> None:
            missed[0] += rows

        pump = GatedPump(tape, when_held="drop", is_open=lambda: is_open[0], missed=miss)
        rows: Any = range(SLICE_ROWS + 7)
        assert await pump.publish(rows) == SLICE_ROWS + 7
        assert (pump.dropped, tape.taken, missed[0]) == (0, SLICE_ROWS + 7, SLICE_ROWS + 7)
        is_open[0] = True
        assert await pump.publish(rows, 0, 5) == 5
        assert missed[0] == SLICE_ROWS + 7

    asyncio.run(body())


def test_no_more_comes_to_a_log_that_has_not_written_than_a_slice() -> None:
    async def body() -> None:
        tape, written = FakeTape(), [0]
        pump = GatedPump(tape, is_open=lambda: True, in_hand=lambda: tape.taken - written[0])
        rows: Any = range(3 * SLICE_ROWS)
        assert await pump.publish(rows, 0, 5) == 5
        task = asyncio.create_task(pump.publish(rows, 5))
        for _ in range(10):
            await asyncio.sleep(0)
        assert tape.taken == 5, "a whole slice more would be too much"
        while not task.done():
            assert tape.taken - written[0] <= SLICE_ROWS
            written[0] = tape.taken
            await asyncio.sleep(0)
        assert tape.taken == len(rows)

    asyncio.run(body())
