"""A year's trades are paired in a thread that leaves the loop to others."""

import asyncio
import gc
import time

import pytest

from qautlra.trade.statistics import Pairing
from tests.trade.test_statistics import deal, ten

pytestmark = pytest.mark.alone


def test_a_year_s_trades_are_paired_beside_the_loop() -> None:
    deals = [
        deal(bool(at & 1), "OPEN" if at & 2 else "CLOSE", 1 + at % 5, 3_000 + at % 97, at, at // 500)
        for at in range(125_000)
    ]

    async def longest_gap(work: asyncio.Task[None]) -> float:
        longest, before = 0.0, time.perf_counter()
        while not work.done():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
        return longest

    async def measured() -> tuple[float, float]:
        start = time.perf_counter()
        gap = await longest_gap(asyncio.create_task(asyncio.to_thread(Pairing(ten).take, deals)))
        return gap, time.perf_counter() - start

    gc.disable()  # a process that serves freezes what it began with
    try:
        gap, took = asyncio.run(measured())
    finally:
        gc.enable()
    assert gap < took / 5, (gap, took)  # on the loop it is all of it
