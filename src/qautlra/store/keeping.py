"""What becomes of files after they are written: bars of finished days, small ones merged, old ones deleted.

Steps of the store's compaction loop; each changes the manifest as a whole. Files that went are deleted when
no question that began before can still want them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pyarrow as pa

from qautlra.base import log
from qautlra.base.clock import Clock, monotonic_s
from qautlra.store.catalogue import DataFile, State, unlink_stale
from qautlra.store.compaction import generation_of
from qautlra.store.filework import Merge
from qautlra.store.plan import Plan, microseconds
from qautlra.store.schema import BAR_1M, MARKET_DATA, STREAMS, TRADING_DATE
from qautlra.store.timegrammar import BEIJING, to_datetime

if TYPE_CHECKING:
    from qautlra._core.store import HotStore
    from qautlra.store.bars import BarReader
    from qautlra.store.catalogue import Catalogue
    from qautlra.store.fileproc import Filer
    from qautlra.store.query import StoreQuery

EVERY_S = 1.0
MERGE_COUNT = 8
MERGE_BYTES = 16 << 20
# What is merged is written whole: no more files than make this many.
MERGE_ROWS = 1_000_000
# Without rows this long, whatever was imported is taken to be all.
QUIET_S = 3.0
LINGER_S = 120.0

Work = Callable[[Callable[[], Any]], Awaitable[Any]]
_log = log.get_logger("store")


class Shelves(Protocol):
    """What is kept: Opened."""

    catalogue: Catalogue
    hot: HotStore
    filer: Filer
    bars: BarReader
    query: StoreQuery

    def is_ahead(self) -> bool: ...
    def hot_rows_of(self, day: date) -> bool: ...
    async def write_bars(self, work: Work, bars: pa.Table, made: date | None) -> None: ...


class Keeper:
    """Owned by the store; `step` is called from its compaction loop, with the change of state to itself."""

    def __init__(self, opened: Shelves, clock: Clock, retention_days: int, timeout_s: float) -> None:
        self._opened = opened
        self._clock = clock
        self._retention_days = retention_days
        self._timeout_s = timeout_s
        self._stale: list[tuple[float, str]] = []
        self._next_s = 0.0
        self._seen_lsn, self._seen_s = -1, 0.0
        self.merged = 0
        self.retired = 0

    async def step(self, work: Work) -> None:
        """Do what is due, if anything; `work` runs blocking things in the store's writing thread."""
        if monotonic_s() < self._next_s:
            return
        self._next_s = monotonic_s() + EVERY_S
        self._sweep()
        await self.retire(work)
        await self._merge(work)
        await self._make_bars(work)

    # Old files

    async def retire(self, work: Work) -> None:
        """Delete whole trading dates that are older than they are kept; never the newest.

        Counted from the newest that is stored: a clock that is wrong by a year deletes nothing.
        """
        state, first_kept = self._opened.catalogue.state, self.first_kept()
        if first_kept is None:
            return
        gone = [file for file in state.files if file.day < first_kept]
        if gone:
            await self._replace(work, state, gone, [])
            for day in {file.day for file in gone}:
                self._opened.bars.forget(day)
            self.retired += len(gone)
            self._forget_before(first_kept)
            _log.info("retired", files=len(gone), before=str(first_kept))

    def first_kept(self) -> date | None:
        """Return the oldest trading date that is kept, None when all are."""
        state = self._opened.catalogue.state
        if not self._retention_days or not state.files:
            return None
        newest = max(file.day for file in state.files)
        return min(self._today(), newest) - timedelta(days=self._retention_days)

    def _forget_before(self, day: date) -> None:
        """Let memory go of what is in files, when it reaches back to what is not kept any more."""
        hot = self._opened.hot
        oldest = hot.scan(limit=1, fields=[TRADING_DATE])
        if oldest.num_rows and oldest.column(0)[0].as_py() < day:
            hot.evict_through(hot.safe_lsn)

    # Small files

    async def _merge(self, work: Work) -> None:
        state = self._opened.catalogue.state
        if state.watermark_lsn != self._seen_lsn:
            self._seen_lsn, self._seen_s = state.watermark_lsn, monotonic_s()
        for files in mergeable(state, self._today(), monotonic_s() - self._seen_s > QUIET_S):
            done = await self._opened.filer.run(Merge(files=tuple(files)), calm=self._opened.is_ahead)
            await self._replace(work, state, files, done.files)
            self.merged += len(files)
            return

    # Bars

    async def _make_bars(self, work: Work) -> None:
        """Store the one-minute bars of the oldest finished day that has none of its own yet."""
        opened = self._opened
        state = opened.catalogue.state
        ticks = STREAMS[MARKET_DATA].parts
        days = sorted({file.day for file in state.files if file.stream in ticks} - set(state.bar_days))
        today = self._today()
        for day in days:
            if day >= today or opened.hot_rows_of(day):
                continue
            low = microseconds(datetime.combine(day - timedelta(days=15), datetime.min.time(), BEIJING))
            high = microseconds(datetime.combine(day + timedelta(days=2), datetime.min.time(), BEIJING))
            stream = STREAMS[BAR_1M]
            plan = Plan(stream, tuple(stream.columns), low, high, (day, day), None, None, None, False, False)
            async with aclosing(opened.bars.pieces(plan, self._timeout_s)) as pieces:
                tables = [table async for table in pieces]
            if opened.catalogue.state is not state:
                return  # files came meanwhile: again at the next step
            await opened.write_bars(work, _sorted_bars(tables, stream.schema), made=day)
            opened.bars.forget(day)
            _log.info("bars_made", day=str(day), bars=sum(table.num_rows for table in tables))
            return

    def _today(self) -> date:
        return to_datetime(self._clock.now_ns()).astimezone(BEIJING).date()

    async def _replace(self, work: Work, state: State, gone: list[DataFile], new: Sequence[DataFile]) -> None:
        paths = {file.path for file in gone}
        kept = tuple(file for file in state.files if file.path not in paths)
        days = {file.day for file in kept}
        replaced = msgspec.structs.replace(
            state, files=(*kept, *new), bar_days=tuple(day for day in state.bar_days if day in days)
        )
        catalogue = self._opened.catalogue
        await work(partial(catalogue.store, replaced))
        catalogue.adopt(replaced)
        self._stale += [(monotonic_s() + LINGER_S, file.path) for file in gone]

    def _sweep(self) -> None:
        now, catalogue = monotonic_s(), self._opened.catalogue
        over = [path for until_s, path in self._stale if until_s < now]
        unlink_stale(catalogue.data_dir, catalogue.state, over)
        if over:
            self._opened.query.close_deleted()  # or the disk would not get their room back
        self._stale = [item for item in self._stale if item[0] >= now]


def mergeable(state: State, before: date | None = None, is_quiet: bool = True) -> list[list[DataFile]]:
    """Return runs of small files of one partition that follow each other in the log, with none between.

    Of days `before` one nothing more is waited for: two files make a run, once rows of others came or all
    `is_quiet`.
    """
    partitions: dict[str, list[DataFile]] = {}
    for file in state.files:
        if file.last_lsn:
            partitions.setdefault(file.path.rpartition("/")[0], []).append(file)
    found = []
    for files in partitions.values():
        is_over = before is not None and files[0].day < before
        is_done = is_quiet or max(file.last_lsn for file in files) < state.watermark_lsn
        least = 2 if is_over and is_done else MERGE_COUNT
        run: list[DataFile] = []
        for file in sorted(files, key=lambda one: (generation_of(one), one.first_lsn)):
            is_full = len(run) >= least and sum(one.rows for one in run) >= MERGE_ROWS
            if run and (is_full or file.bytes >= MERGE_BYTES or generation_of(file) != generation_of(run[0])):
                if len(run) >= least:
                    found.append(run)
                run = []
            if file.bytes < MERGE_BYTES:
                run.append(file)
        if len(run) >= least:
            found.append(run)
    return found


def _sorted_bars(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    if not tables:
        return schema.empty_table()
    bars = pa.concat_tables([table.select(schema.names).cast(schema) for table in tables])
    return bars.sort_by([("instrument_id", "ascending"), ("datetime", "ascending")])
