"""Bars of all instruments of running days, kept between questions: only rows since the last one are folded.

Of a day are kept its final bars and a folder that has folded every row before a moment; the rows from there
on go into a copy of it at each question. An instrument that got a row from before that moment is made anew.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from qautlra._core.store import rows_from_arrow
from qautlra._core.tape import BarFolder
from qautlra.store.plan import moment
from qautlra.store.schema import BAR_SCHEMA, INSTRUMENT, TIME, TRADING_DATE

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra._core.store import HotStore
    from qautlra.store.plan import Plan
    from qautlra.store.reader import Reader

MINUTE_US = 60_000_000
# The last bar of a section takes rows up to a second after its end.
GRACE_US = 1_000_000
FOLD_ROWS = 4_096
# Rows that come so long after newer ones of other instruments are no reason to make theirs anew.
BEHIND_US = 10_000_000
# More late rows than this: the day is made anew.
LATE_ROWS = 8_192
DAYS_COUNT = 2
KEPT_BYTES = 128 << 20


@dataclass(slots=True)
class _Kept:
    """A day as far as it was made. Rows stored up to `lsn` and from before `until_us` are in the folder."""

    folder: BarFolder
    is_whole: bool
    until_us: int
    final_us: int
    "Bars that open before it are in `tables` and final, but for rows that come late."
    lsn: int = 0
    tables: list[pa.Table] = field(default_factory=list)
    "In order; each at least twice as long as the one behind it."

    @property
    def bytes(self) -> int:
        return sum(table.nbytes for table in self.tables)

    def append(self, bars: pa.Table) -> None:
        """Add bars that come behind all others."""
        while self.tables and self.tables[-1].num_rows < 2 * bars.num_rows:
            bars = pa.concat_tables([self.tables.pop(), bars]).combine_chunks()
        if bars.num_rows:
            self.tables.append(bars)


class DayFolder:
    """Folds the rows of a plan into bars, and keeps days. Owner: the loop."""

    def __init__(self, reader: Reader, hot: HotStore, instruments: Instruments, calendar: Calendar) -> None:
        self._reader, self._hot = reader, hot
        self._instruments, self._calendar = instruments, calendar
        self._days: OrderedDict[date, _Kept] = OrderedDict()
        self._turn = asyncio.Lock()
        self._forgotten = 0

    def new(self, is_whole: bool) -> BarFolder:
        """Return a folder of one-minute bars that has no rows yet; `is_whole` as its `whole_days`."""
        return BarFolder(self._instruments, self._calendar, whole_days=is_whole)

    async def fold(
        self, folder: BarFolder, ticks: Plan, day: date, without: Collection[str], timeout_s: float
    ) -> None:
        """Fold the rows of a plan that are of the day, but for those of some instruments."""
        left_out = pa.array(without, pa.string())
        async with aclosing(self._reader.pieces(ticks, timeout_s)) as pieces:
            async for table in pieces:
                mine = table.filter(pc.equal(table.column(TRADING_DATE), day))
                if without:
                    mine = mine.filter(pc.invert(pc.is_in(mine.column(INSTRUMENT), left_out)))
                mine = mine.combine_chunks()
                for at in range(0, mine.num_rows, FOLD_ROWS):
                    for batch in mine.slice(at, FOLD_ROWS).to_batches():
                        folder.add(rows_from_arrow(batch, self._instruments))
                    await asyncio.sleep(0)

    def reaches(self, day: date, low_us: int) -> bool:
        """Tell whether bars of a day are kept from before a moment to behind it."""
        kept = self._days.get(day)
        return kept is not None and kept.until_us > low_us

    @property
    def kept_bytes(self) -> int:
        """Size of the final bars that are kept, up to KEPT_BYTES."""
        return sum(one.bytes for one in self._days.values())

    def forget(self, day: date) -> None:
        """Let a day go: its rows were taken away, or its bars are stored."""
        self._days.pop(day, None)
        self._forgotten += 1

    async def whole(
        self, ticks: Plan, day: date, newest_us: int, is_whole: bool, timeout_s: float
    ) -> pa.Table:
        """Return the bars of all rows of a plan, which is of all a day's rows before some moment.

        Bars that open behind that moment may be there too. `newest_us`: of the day's rows.
        """
        async with self._turn:
            forgotten = self._forgotten
            kept = self._days.pop(day, None)  # comes back when all went well
            lsn, late = self._hot.newest_lsn, None
            if kept is not None and kept.is_whole == is_whole:
                late = self._late(kept, ticks.start_us)
            if kept is None or late is None:
                kept, late = _Kept(self.new(is_whole), is_whole, ticks.start_us, ticks.start_us), []
            await self._bring_up(kept, ticks, day, late, newest_us, timeout_s)
            kept.lsn = lsn
            if forgotten == self._forgotten:
                self._keep(day, kept)
            folder, until_us, final_us = kept.folder.copy(), kept.until_us, kept.final_us
            tables = list(kept.tables)
        if until_us < ticks.stop_us:
            await self.fold(folder, replace(ticks, start_us=until_us), day, (), timeout_s)
        return pa.concat_tables([BAR_SCHEMA.empty_table(), *tables, _from(folder, final_us)])

    def _late(self, kept: _Kept, begin_us: int) -> list[int] | None:
        """Return instruments with unfolded rows from before `until_us`; None when all may have some."""
        if self._hot.evicted_lsn > kept.lsn:
            return None
        within = begin_us * 1_000, kept.until_us * 1_000
        if self._hot.count(None, *within, min_lsn=kept.lsn) > LATE_ROWS:
            return None
        rows = self._hot.scan(None, *within, min_lsn=kept.lsn, fields=[INSTRUMENT])
        names = pc.unique(rows.column(INSTRUMENT)).cast(pa.string()).to_pylist()
        return [self._instruments.find(name) for name in names]

    async def _bring_up(
        self, kept: _Kept, ticks: Plan, day: date, late: list[int], newest_us: int, timeout_s: float
    ) -> None:
        """Fold late instruments anew, then the rows that came since; take out what is final by then."""
        names = [self._instruments.symbol(number) for number in late]
        if late:
            for number in late:
                kept.folder.forget(number)
            anew = replace(ticks, stop_us=kept.until_us, symbols=frozenset(names))
            await self.fold(kept.folder, anew, day, (), timeout_s)
            made = kept.folder.copy()
            await asyncio.get_running_loop().run_in_executor(None, _renew, kept, made, names)
        until_us = max(kept.until_us, min(newest_us - BEHIND_US, ticks.stop_us))
        if until_us > kept.until_us:
            since = replace(ticks, start_us=kept.until_us, stop_us=until_us)
            await self.fold(kept.folder, since, day, (), timeout_s)
            kept.until_us = until_us
        final_us = max(kept.final_us, _minute(until_us - GRACE_US))
        if final_us > kept.final_us:
            found = _from(kept.folder.copy(), kept.final_us)
            kept.append(found.filter(pc.less(found.column(TIME), moment(final_us))))
            kept.final_us = final_us
        kept.folder.drop_before(final_us * 1_000)

    def _keep(self, day: date, kept: _Kept) -> None:
        self._days[day] = kept
        while len(self._days) > DAYS_COUNT or self.kept_bytes > KEPT_BYTES:
            self._days.popitem(last=False)


def tidy_bars(bars: pa.RecordBatch | pa.Table) -> pa.Table:
    """Return bars with our columns, in order, and no value where a number is not one."""
    table = pa.Table.from_batches([bars]) if isinstance(bars, pa.RecordBatch) else bars
    columns = []
    for column_field in BAR_SCHEMA:
        column = table.column(column_field.name).cast(column_field.type)
        if pa.types.is_floating(column_field.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column_field.type), column)
        columns.append(column)
    return pa.table(columns, schema=BAR_SCHEMA)


def _renew(kept: _Kept, folder: BarFolder, names: list[str]) -> None:
    """Put final bars of instruments, as a folder has them, in the place of those there were. Blocking."""
    made, wanted = tidy_bars(folder.finish()), pa.array(names, pa.string())
    final = pc.less(made.column(TIME), moment(kept.final_us))
    made = made.filter(pc.and_(final, pc.is_in(made.column(INSTRUMENT), wanted)))
    others = [one.filter(pc.invert(pc.is_in(one.column(INSTRUMENT), wanted))) for one in kept.tables]
    table = pa.concat_tables([*others, made]).sort_by([(TIME, "ascending"), (INSTRUMENT, "ascending")])
    kept.tables.clear()
    kept.append(table.combine_chunks())


def _from(folder: BarFolder, low_us: int) -> pa.Table:
    """Return a folder's bars that open at a moment or later, and empty it."""
    bars = tidy_bars(folder.finish())
    return bars.filter(pc.greater_equal(bars.column(TIME), moment(low_us)))


def _minute(us: int) -> int:
    return us - us % MINUTE_US
