"""What bars in the middle of a day need of the rows before: each instrument's newest there, from memory.

A bar's volume is counted from the row before its first. Reading the whole day for it takes seconds when the
day is long, whatever the range; the newest rows before it are a few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core.store import rows_from_arrow
from qautlra._core.tape import BarFolder
from qautlra.store.plan import moment
from qautlra.store.schema import INSTRUMENT, ORDINAL, TIME, TRADING_DATE

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra._core.store import HotStore

TICK_COLUMNS = (TIME, INSTRUMENT, TRADING_DATE, "last_price", "volume", "amount", "open_interest", ORDINAL)
"""What a bar is made of."""
_ROWS = 4
_TURN_COUNT = 64


class Seeds:
    """Finds them in the hot tier."""

    def __init__(self, hot: HotStore, instruments: Instruments, calendar: Calendar) -> None:
        self._hot, self._instruments, self._calendar = hot, instruments, calendar

    async def before(
        self, numbers: Iterable[int], day: date, begin_us: int, low_us: int
    ) -> tuple[pa.Table, list[str]]:
        """Return rows of the day before `low_us`, and the symbols that must be read from its beginning.

        Those are the instruments whose newest row before `low_us` is not in memory any more, or is of a bar
        that opens later (an auction's), or whose newest rows do not say what a bar counts from. Of one
        without any row before it nothing is needed.
        """
        batches = [self._hot.scan([], fields=TICK_COLUMNS)]
        unsure: list[str] = []
        for turn, number in enumerate(numbers, 1):
            if not turn % _TURN_COUNT:
                await asyncio.sleep(0)
            cold_ns = self._hot.cold_max_ts([number])
            found = self._hot.scan(
                [number], begin_us * 1_000, low_us * 1_000, limit=_ROWS, descending=True, fields=TICK_COLUMNS
            )
            if found.num_rows and cold_ns < found.column(TIME)[0].value * 1_000:
                batches.append(found)
            elif found.num_rows or cold_ns >= begin_us * 1_000:
                unsure.append(self._instruments.symbol(number))
        await asyncio.sleep(0)
        rows = pa.Table.from_batches(batches).sort_by([(TIME, "ascending"), (ORDINAL, "ascending")])
        sound = self._sound(rows, day, low_us)
        names = pc.unique(rows.column(INSTRUMENT)).to_pylist()
        unsure += [name for name in names if name not in sound]
        return rows.filter(pc.is_in(rows.column(INSTRUMENT), pa.array(sound, pa.string()))), unsure

    def _sound(self, rows: pa.Table, day: date, low_us: int) -> set[str]:
        """Return the instruments whose rows, by time, say all that bars from `low_us` on count from."""
        full = rows.filter(pc.equal(rows.column(TRADING_DATE), day))
        for name in ("last_price", "volume", "amount"):
            full = full.filter(full.column(name).is_valid())
        newest = {name: at for at, name in enumerate(full.column(INSTRUMENT).to_pylist())}
        totals = self._bars(full.take(pa.array(sorted(newest.values()), pa.int64())))
        last = self._bars(rows)
        opened = dict(zip(*(last.column(name).to_pylist() for name in (INSTRUMENT, TIME)), strict=True))
        return {name for name in totals.column(INSTRUMENT).to_pylist() if opened[name] < moment(low_us)}

    def _bars(self, rows: pa.Table) -> pa.RecordBatch:
        folder = BarFolder(self._instruments, self._calendar)
        for batch in rows.combine_chunks().to_batches():
            folder.add(rows_from_arrow(batch, self._instruments))
        return folder.finish()
