from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from qautlra._core.market import Rows
from qautlra.source.base import SLICE_ROWS, Pump, Tape

from .conftest import Market

Run = Callable[[Any], Any]


class HoldingTape:
    """Takes `room` rows and no more until a drain makes room again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken: list[tuple[int, int]] = []

    def publish(self, rows: Rows, start: int = 0, stop: int = -1) -> int:
        end = min(stop, start + self.room)
        self.room -= end - start
        self.taken.append((start, end))
        return end


def rows_of(market: Market, count: int) -> Rows:
    rows = Rows(market.instruments)
    for n in range(count):
        rows.append_dict(market.instruments, {"instrument_id": "SHFE.au2512", "datetime": 10**18 + n})
    return rows


def test_publishes_in_slices_and_lets_others_run(market: Market, run_loop: Run) -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        done = False

        async def other() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        drained: list[str] = []
        tape = HoldingTape(10**6)
        pump = Pump(cast(Tape, tape), [lambda: drained.append("log")])
        pump.attach(lambda: drained.append("hub"))
        assert await pump.publish(rows_of(market, 3000)) == 3000
        done = True
        await task
        assert tape.taken == [(0, SLICE_ROWS), (SLICE_ROWS, 2 * SLICE_ROWS), (2 * SLICE_ROWS, 3000)]
        assert drained == ["log", "hub"] * 3
        assert pump.rows == 3000

    run_loop(work())
    assert turns >= 3


def test_waits_while_a_cursor_holds(market: Market, run_loop: Run) -> None:
    async def work() -> None:
        tape = HoldingTape(10)
        pump = Pump(cast(Tape, tape))
        task = asyncio.create_task(pump.publish(rows_of(market, 25)))
        await asyncio.sleep(1)
        assert pump.rows == 10
        assert pump.held_count > 10
        tape.room = 100
        assert await task == 25
        assert pump.dropped == 0

    run_loop(work())


def test_a_live_source_drops_and_counts(market: Market, run_loop: Run) -> None:
    pump = Pump(cast(Tape, HoldingTape(10)), when_held="drop")
    assert run_loop(pump.publish(rows_of(market, 25))) == 10
    assert (pump.rows, pump.dropped) == (10, 15)


def test_one_with_patience_waits_so_long_and_then_gives_up_what_waits(market: Market, run_loop: Run) -> None:
    async def work() -> None:
        tape = HoldingTape(10)
        given_up: list[float] = []

        def shed() -> int:
            given_up.append(asyncio.get_running_loop().time())
            tape.room = 10
            return 10

        pump = Pump(cast(Tape, tape), when_held="drop", shed=shed, patience_s=1.0)
        began_s = asyncio.get_running_loop().time()
        assert await pump.publish(rows_of(market, 45)) == 45
        assert [round(at - began_s) for at in given_up] == [1, 1, 1, 1], "it waits once"
        tape.room = 0
        await asyncio.sleep(11)
        began_s = asyncio.get_running_loop().time()
        assert await pump.publish(rows_of(market, 5)) == 5
        assert round(given_up[-1] - began_s) == 1
        assert pump.dropped == 0

    run_loop(work())
