"""One-minute bars: folded from the stored rows when asked for, joined with bars that were stored as such.

Bars are made a trading day at a time, from its beginning (`bardays`) or the newest rows before the range
(`barseeds`), so that volumes are right wherever it begins. A stored bar takes the place of one made of rows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import date, datetime, time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from qautlra._core.store import rows_from_arrow
from qautlra.store.bardays import GRACE_US, MINUTE_US, DayFolder, tidy_bars
from qautlra.store.barfiles import ROWS_COUNT, BarFiles
from qautlra.store.barseeds import TICK_COLUMNS, Seeds
from qautlra.store.mask import passing
from qautlra.store.plan import Plan, microseconds, moment
from qautlra.store.schema import BAR_SCHEMA, INSTRUMENT, MARKET_DATA, STREAMS, TIME, TRADING_DATE
from qautlra.store.timegrammar import BEIJING

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra._core.store import HotStore
    from qautlra.store.catalogue import Catalogue, DataFile
    from qautlra.store.engine import SqlEngine
    from qautlra.store.reader import Reader

DAY_STARTS = time(18, 0)
WINDOW_ROWS = 200_000


class BarReader:
    """Answers plans over `bar_1m`."""

    def __init__(
        self,
        catalogue: Catalogue,
        reader: Reader,
        engine: SqlEngine,
        hot: HotStore,
        instruments: Instruments,
        calendar: Calendar,
    ) -> None:
        self._catalogue = catalogue
        self._engine = engine
        self._hot = hot
        self._instruments = instruments
        self._calendar = calendar
        self._files = BarFiles(catalogue.data_dir)
        self._seeds = Seeds(hot, instruments, calendar)
        self._days = DayFolder(reader, hot, instruments, calendar)

    def close_deleted(self) -> None:
        """Let go of files whose names are gone."""
        self._files.close_deleted()

    @property
    def kept_bytes(self) -> int:
        """Size of the running days' bars that are kept between questions; bound: `bardays.KEPT_BYTES`."""
        return self._days.kept_bytes

    def forget(self, day: date) -> None:
        """Keep nothing of a trading day: rows of it were deleted, or its bars stored."""
        self._days.forget(day)

    async def pieces(self, plan: Plan, timeout_s: float) -> AsyncGenerator[pa.Table, None]:
        """Yield tables of `plan.read_columns`, together at most `plan.limit` bars; none of them is empty."""
        left = plan.limit
        for days in self._groups(plan):
            if left is not None and left <= 0:
                return
            low = max(plan.start_us, self._begin_us(days[0]))
            high = min(plan.stop_us, self._begin_us(self._next(days[-1])))
            if low >= high:
                continue
            anew = self._anew(days)
            folded = [await self._folded(plan, day, timeout_s) for day in days if day in anew]
            files = self._stored(plan, low, high, anew)
            derived = pa.concat_tables([BAR_SCHEMA.empty_table(), *folded])
            if files and derived.num_rows:
                derived = await self._without_stored(plan, files, derived, low, high, timeout_s)
            table = await self._chosen(plan, files, derived, low, high, left, timeout_s)
            if table.num_rows:
                if left is not None:
                    left -= table.num_rows
                yield table

    async def _chosen(
        self,
        plan: Plan,
        files: list[DataFile],
        derived: pa.Table,
        low: int,
        high: int,
        left: int | None,
        timeout_s: float,
    ) -> pa.Table:
        """Return the first `left` bars of [low, high) that pass the filter, in order."""
        if files and not derived.num_rows and sum(file.rows for file in files) <= ROWS_COUNT:
            return await self._engine.call(
                partial(self._files.read, plan, files, low, high, left), timeout_s=timeout_s
            )
        if files:
            sql, values = plan.statement(
                self._catalogue.paths(files), low, high, hot=bool(derived.num_rows), limit=left
            )
            hot = derived if derived.num_rows else None
            table = await self._engine.run(sql, values, timeout_s=timeout_s, hot=hot)
            return table.cast(pa.schema([BAR_SCHEMA.field(name) for name in plan.read_columns]))
        times = derived.column(TIME).cast(pa.int64()).to_numpy()
        first, last = np.searchsorted(times, (low, high))
        table = derived.slice(int(first), int(last - first))
        if plan.rest is not None:
            table = passing(table, plan.rest)
        if plan.descending:
            table = table.slice(0 if left is None else max(0, table.num_rows - left))
            table = table.take(pa.array(np.arange(table.num_rows - 1, -1, -1)))
        return table.slice(0, left).select(plan.read_columns)

    def _groups(self, plan: Plan) -> Iterable[list[date]]:
        """Yield runs of trading days that have rows or bars, in the plan's order, of about WINDOW_ROWS."""
        weights: dict[date, int] = {}
        first, last = self._day(plan.start_us), self._day(plan.stop_us - 1)
        state = self._catalogue.state
        ticks, bars = STREAMS[MARKET_DATA].parts, plan.stream.parts
        for file in state.overlapping((*ticks, *bars), *self._reach(plan), plan.symbols):
            if first <= file.day <= last:
                share = 1 if plan.symbols is None else min(1, len(plan.symbols) / file.instruments)
                rows = file.rows if file.stream in bars else file.instruments * 600
                weights[file.day] = weights.get(file.day, 0) + int(rows * share)
        for day in self._hot_days(plan):
            if first <= day <= last:
                weights[day] = weights.get(day, 0) + 600
        low, high = plan.days
        days = sorted((day for day in weights if low <= day <= high), reverse=plan.descending)
        group: list[date] = []
        weight = 0
        for day in days:
            if group and weight + weights[day] > WINDOW_ROWS:
                yield sorted(group)
                group, weight = [], 0
            group.append(day)
            weight += weights[day]
        if group:
            yield sorted(group)

    def _reach(self, plan: Plan) -> tuple[int, int]:
        """Return the range of tick times the bars of a plan are made of."""
        return self._begin_us(self._day(plan.start_us)), plan.stop_us + MINUTE_US + GRACE_US

    def _hot_days(self, plan: Plan) -> list[date]:
        low, high = self._reach(plan)
        numbers = self._numbers(plan)
        ends = []
        for descending in (False, True):
            batch = self._hot.scan(
                numbers, low * 1_000, high * 1_000, limit=1, descending=descending, fields=[TRADING_DATE]
            )
            if not batch.num_rows:
                return []
            ends.append(batch.column(TRADING_DATE)[0].as_py())
        days = [ends[0]]
        while days[-1] < ends[1]:
            days.append(self._next(days[-1]))
        return days

    def _numbers(self, plan: Plan) -> list[int] | None:
        if plan.symbols is None:
            return None
        found = [self._instruments.find(symbol) for symbol in sorted(plan.symbols)]
        return [number for number in found if number >= 0]

    def _anew(self, days: list[date]) -> set[date]:
        """Return the days whose bars are to be made of rows: none are stored, or rows came since."""
        state = self._catalogue.state
        found = set(days).difference(state.bar_days)
        for day in set(days) - found:
            within = (self._begin_us(day) * 1_000, self._begin_us(self._next(day)) * 1_000)
            since = self._hot.scan(None, *within, min_lsn=state.watermark_lsn, limit=1, fields=[TIME])
            if since.num_rows:
                found.add(day)
        return found

    async def _folded(self, plan: Plan, day: date, timeout_s: float) -> pa.Table:
        """Return the day's bars whose opening lies in the plan's range, made of rows."""
        begin = self._begin_us(day)
        end = min(self._begin_us(self._next(day)), plan.stop_us + MINUTE_US + GRACE_US)
        ticks = replace(
            plan,
            stream=STREAMS[MARKET_DATA],
            columns=TICK_COLUMNS,
            start_us=begin,
            stop_us=end,
            days=(day, day),
            rest=None,
            limit=None,
            descending=False,
        )
        is_whole = self._recording_since_us() < begin
        low = plan.start_us - plan.start_us % MINUTE_US
        extent = self._extent(day)
        if extent is None:
            return BAR_SCHEMA.empty_table()
        first, newest = extent
        low = begin if low <= first else low
        if plan.symbols is None and (low <= begin or self._days.reaches(day, low)):
            return await self._days.whole(ticks, day, newest, is_whole, timeout_s)
        folder = self._days.new(is_whole)
        if low > begin:
            numbers = self._numbers(plan)
            known = range(len(self._instruments)) if numbers is None else numbers
            seeds, others = await self._seeds.before(known, day, begin, low)
            for batch in seeds.to_batches():
                folder.add(rows_from_arrow(batch, self._instruments))
            if others:
                whole_day = replace(ticks, symbols=frozenset(others))
                await self._days.fold(folder, whole_day, day, (), timeout_s)
            await self._days.fold(folder, replace(ticks, start_us=low), day, others, timeout_s)
        else:
            await self._days.fold(folder, ticks, day, (), timeout_s)
        bars = tidy_bars(folder.finish())
        return (
            bars.filter(pc.greater_equal(bars.column(TIME), moment(plan.start_us))) if low > begin else bars
        )

    def _extent(self, day: date) -> tuple[int, int] | None:
        """Return the times (us) of a day's first and newest row; None where it has none."""
        low, high = self._begin_us(day), self._begin_us(self._next(day))
        files = [
            file
            for file in self._catalogue.state.overlapping(STREAMS[MARKET_DATA].parts, low, high)
            if file.day == day
        ]
        first, newest = [file.first_us for file in files], [file.last_us for file in files]
        for found, descending in ((first, False), (newest, True)):
            batch = self._hot.scan(
                None, low * 1_000, high * 1_000, limit=1, descending=descending, fields=[TIME]
            )
            if batch.num_rows:
                found.append(batch.column(TIME)[0].value)
        return (min(first), max(newest)) if first else None

    def _stored(self, plan: Plan, low: int, high: int, anew: set[date]) -> list[DataFile]:
        files = self._catalogue.state.overlapping(plan.stream.parts, low, high, plan.symbols)
        return [file for file in files if not (file.is_made and file.day in anew)]

    async def _without_stored(
        self, plan: Plan, files: list[DataFile], derived: pa.Table, low: int, high: int, timeout_s: float
    ) -> pa.Table:
        """Leave out the bars that are stored."""
        keys = replace(plan, columns=(TIME, INSTRUMENT), rest=None, limit=None)
        sql, values = keys.statement(self._catalogue.paths(files), low, high, hot=False, limit=None)
        stored = await self._engine.run(sql, values, timeout_s=timeout_s)
        stored = stored.cast(pa.schema([BAR_SCHEMA.field(name) for name in stored.column_names]))
        return derived.join(stored, [TIME, INSTRUMENT], join_type="left anti").select(derived.column_names)

    def _recording_since_us(self) -> int:
        """Return the time of the oldest row there is: days begun later were seen from their beginning."""
        ticks = STREAMS[MARKET_DATA].parts
        files = [file.first_us for file in self._catalogue.state.files if file.stream in ticks]
        batch = self._hot.scan(None, -(2**63), 2**63 - 1, limit=1, fields=[TIME])
        if batch.num_rows:
            files.append(batch.column(TIME)[0].value)
        return min(files, default=0)

    def _day(self, us: int) -> date:
        number = self._calendar.trading_day(us * 1_000)
        return date(number // 10_000, number // 100 % 100, number % 100)

    def _next(self, day: date) -> date:
        number = self._calendar.next_trading_day(_number(day))
        return date(number // 10_000, number // 100 % 100, number % 100)

    def _begin_us(self, day: date) -> int:
        """Return when a trading day begins: at 18:00 of the trading day before."""
        number = self._calendar.previous_trading_day(_number(day))
        before = date(number // 10_000, number // 100 % 100, number % 100)
        return microseconds(datetime.combine(before, DAY_STARTS, BEIJING))


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
