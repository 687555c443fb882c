"""The store as a service: owns log, hot tier and files; recovers, compacts, answers, takes imports.

Rows come in by `drain` (the tape's cursor) and by `import_rows`; both return only what the log has taken.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from qautlra._core.journal import JournalError
from qautlra._core.market import Rows
from qautlra.base import log, metrics
from qautlra.base.clock import Clock, monotonic_s
from qautlra.base.errors import StorageError, UnavailableError
from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.base.loop import give_way
from qautlra.base.service import Service
from qautlra.config.tree import Store
from qautlra.model.query import CountsRequest, QueryRequest, SqlRequest
from qautlra.store.answer import QueryResult
from qautlra.store.bardays import tidy_bars
from qautlra.store.compaction import ordered, without_repeats
from qautlra.store.disk import DiskGuard
from qautlra.store.exporter import ExportFormat, export_tables, format_of
from qautlra.store.fileproc import FileProcess, MakeFiler
from qautlra.store.filework import FileSegment
from qautlra.store.follower import FollowerQuery
from qautlra.store.history import StoreHistory
from qautlra.store.ingest import IngestDoor
from qautlra.store.lake import Part, market_parts, table_parts
from qautlra.store.lock import lock_directory
from qautlra.store.moment import ToldClock, tell
from qautlra.store.opened import Given, Opened, open_store
from qautlra.store.query import StoreQuery
from qautlra.store.recovery import restore
from qautlra.store.schema import BAR_1M, INSTRUMENT, TIME
from qautlra.store.watching import watch
from qautlra.store.whole import check_whole

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra._core.tape import Tape

COMPACT_POLL_S = 0.25
RETRY_S = 5.0
# A segment that is not full is sealed after this, so that the log a start has to read stays short.
ROLL_AGE_S = 900.0
HELD_POLL_S = 0.005
# Live rows given up are an error in health for so long after the last of them.
SHED_TOLD_S = 10.0

_T = TypeVar("_T")
_log = log.get_logger("store")


class StoreService(Service):
    """The store of one data directory; a second process on the same directory is refused."""

    name = "store"

    def __init__(
        self,
        *,
        settings: Store,
        data_dir: Path,
        instruments: Instruments,
        calendar: Calendar,
        tape: Tape,
        clock: Clock,
        follows: bool = False,
        make_filer: MakeFiler = FileProcess,
    ) -> None:
        super().__init__()
        self._follows = follows
        self._follower: FollowerQuery | None = None
        self.data_dir = Path(data_dir)
        self.query = QueryDoor()
        self.disk = DiskGuard(self.data_dir, settings.max_disk_percent)
        self.ingest = IngestDoor(
            self, lambda: self._open, instruments, clock, self.disk, settings.tail_rows,
            lambda: self._follower.book if self._follower is not None else None,
        )  # fmt: skip
        self._given = Given(
            settings=settings,
            data_dir=self.data_dir,
            instruments=instruments,
            calendar=calendar,
            tape=tape,
            clock=clock,
            make_filer=make_filer,
        )
        self._lock = -1
        self._open: Opened | None = None
        self.history = StoreHistory(lambda: self._open, instruments, settings.query_timeout_s)
        self._state_change = asyncio.Lock()
        self._error = ""
        self._log_error = ""
        self._missed = 0
        self._shed_s = float("-inf")
        self._started_before = False

    async def start(self) -> None:
        """Lock the directory, recover what it holds, begin to take rows, answer and compact.

        One that `follows` locks nothing and takes nothing: it answers what another process's directory says.
        """
        await asyncio.get_running_loop().run_in_executor(None, check_whole, self.data_dir)
        if self._follows:
            given = self._given
            canonical = given.instruments.canonical
            clock = ToldClock(self.data_dir)
            self._follower = FollowerQuery(given.settings, self.data_dir, clock, canonical)
            self.query.open(self._follower)
            return
        self._lock = await asyncio.get_running_loop().run_in_executor(None, lock_directory, self.data_dir)
        try:
            self._open = opened = await self._recover()
        except BaseException as error:
            self._unlock()
            if isinstance(error, JournalError):
                raise StorageError(f"the log cannot be opened: {error}", retryable=False) from error
            raise
        self._started_before = True
        await opened.aggregates.begin()
        self.query.open(opened.query)
        tail_rows = self._given.settings.tail_rows
        watch(opened, self.disk, tail_rows, lambda: self._rows_shed, lambda: self.ingest.under_way_bytes)
        self.spawn(self._keep_looking(opened), "look")
        self.spawn(self._keep_compacting(opened), "compact")
        self.spawn(tell(self.data_dir, self._given.clock), "clock")
        self.spawn(opened.tables.run(), "tables")
        self.spawn(opened.aggregates.run(), "aggregates")

    async def stop(self, grace_s: float) -> None:
        """Log what is on the tape, end the threads, let the directory go."""
        self.query.close()
        if self._follower is not None:
            await self._follower.process.close()
            self._follower = None
        opened, self._open = self._open, None
        # What it writes counts for nobody: nothing waits for it to end.
        ending = () if opened is None else (opened.filer.close(),)
        await asyncio.gather(self.cancel_tasks(grace_s), *ending)
        metrics.unwatch("qautlra_store_")
        if opened is not None:
            while opened.log.drain():
                pass
            del opened.log  # its cursor would hold the tape
            await opened.sql.close()
            await asyncio.get_running_loop().run_in_executor(None, opened.close, grace_s)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def drain(self) -> int:
        """Move rows from the tape to log and hot tier; return how many. Called after every batch."""
        if self._open is None:
            return 0
        taken = 0
        while step := self._open.log.drain():
            taken += step
        return taken

    def shed(self) -> int:
        """Give up the rows the log cannot take now, counted: a live market does not wait; return how many."""
        rows = 0 if self._open is None else int(self._open.log.shed())
        if rows:
            self._shed_s = monotonic_s()
        return rows

    def miss(self, rows: int) -> None:
        """Count live rows that go by while the store does not run."""
        self._missed += rows
        self._shed_s = monotonic_s()

    @property
    def _rows_shed(self) -> int:
        return self._missed + (0 if self._open is None else int(self._open.log.rows_shed))

    def in_hand(self) -> int:
        """Have the log take what it can; return how many rows of the tape a killed process would lose now."""
        if self._open is None:
            return 0
        if self._open.log.waiting:
            self.drain()
        return int(self._open.log.in_hand)

    def health(self) -> dict[str, Any]:
        """Return positions, sizes, and what holds the log back when something does."""
        facts: dict[str, Any] = {
            "data_dir": str(self.data_dir),
            "durability": self._given.settings.durability,
        }
        if self._follows:
            facts["follows"] = True
        opened = self._open
        if opened is not None:
            state = opened.catalogue.state
            facts |= {
                "rows_logged": opened.log.rows_logged,
                "log_lsn": opened.journal.head_lsn,
                "durable_lsn": opened.journal.durable_lsn,
                "compacted_lsn": state.watermark_lsn,
                "hot_rows": opened.hot.rows,
                "hot_bytes": opened.hot.bytes,
                "files": len(state.files),
                "file_rows": sum(file.rows for file in state.files),
                "file_bytes": sum(file.bytes for file in state.files),
                "blocked": opened.log.blocked,
                "unwritten_bytes": opened.journal.stats["buffered_bytes"],
                "disk_percent": round(self.disk.used_percent, 1),
                "filing_starts": opened.filer.starts,
                "filing_ended": opened.filer.ended,
            }
            if opened.damage:
                facts["log_damage"] = opened.damage
            if aside := opened.tables.aside_files:
                facts["aside_files"] = aside
            logs = opened.journal.error or opened.tables.log_error
            error = (
                logs
                or self._shedding(opened)
                or self._error
                or opened.tables.error
                or self.disk.error
                or opened.aggregates.error()
            )
            if error:
                facts["error"] = error
        if rows := self._rows_shed:
            facts["rows_shed"] = rows
        return facts

    def _shedding(self, opened: Opened) -> str:
        """Return why live rows are not stored now; empty when they are."""
        if monotonic_s() - self._shed_s > SHED_TOLD_S:
            return ""
        why = {
            "journal": f"{JOURNAL_BUFFER_BYTES >> 20} MiB of them wait for the disk, which does not keep up",
            "hot": "memory (store.hot_bytes) is full of rows that are in no file yet",
        }.get(opened.log.held, "the log takes rows again")
        return f"live rows went by unstored, {self._rows_shed} so far: {why}"

    def parts(self) -> list[Part]:
        """Return the files of every stream by date; none when the store does not run."""
        opened = self._open
        if opened is None:
            return []
        tables = opened.tables
        return [
            *market_parts(self.data_dir, opened.catalogue.state),
            *table_parts(tables.directory, tables.catalogue.state, tables.book.find),
        ]

    # Bars

    async def bar_symbols(self) -> set[str]:
        """Return the symbols that have one-minute bars stored."""
        opened = self._need()
        files = [file for file in opened.catalogue.state.files if file.stream == BAR_1M]
        if not files:
            return set()
        table = await opened.engine.run(
            f'SELECT DISTINCT "{INSTRUMENT}" FROM read_parquet(?)',
            [opened.catalogue.paths(files)],
            timeout_s=self._given.settings.query_timeout_s,
        )
        return set(table.column(0).to_pylist())

    def expect_bars(self) -> None:
        """Start the process that writes them, while they are made."""
        self.spawn(self._need().filer.wake(), "wake")

    async def write_bars(self, table: pa.Table) -> None:
        """Store one-minute bars (columns of `schema.BAR_SCHEMA`); those stored already stay as they are."""
        opened = self._need()
        bars = await asyncio.to_thread(_in_order, table)
        if not bars.num_rows:
            return
        async with self._state_change:
            await opened.write_bars(partial(self._work, opened), bars)

    # Imports

    async def import_rows(self, rows: Rows, patience_s: float = float("inf")) -> int:
        """Log rows that did not come over the tape, but not those stored already; return how many are new.

        Waits while the log or the hot tier is full, and raises StorageError after `patience_s` of that: rows
        before are logged. Not to be called from two tasks at once.
        """
        opened = self._need()
        give_up_s = monotonic_s() + patience_s
        before = opened.log.rows_logged
        while len(rows):
            fresh = await opened.known.fresh(rows)
            done = opened.log.append_rows(fresh)
            if done == len(fresh):
                break
            if opened.journal.failed:
                raise StorageError(f"the log takes nothing: {opened.journal.error}", retryable=False)
            if monotonic_s() > give_up_s:
                why = opened.journal.error or "the disk does not keep up"
                raise StorageError(f"the log takes nothing now: {why}", retry_after_s=1)
            opened.make_room()
            rows = Rows(self._given.instruments)
            rows.extend(fresh, done)
            await asyncio.sleep(HELD_POLL_S)
        await give_way()
        return opened.log.rows_logged - before

    async def export(
        self,
        request: QueryRequest,
        path: Path,
        form: ExportFormat | None = None,
        progress: Callable[[int], None] = lambda _rows: None,
    ) -> int:
        """Write the rows of a request to a file, in the form its name asks for; return how many."""
        query = self._need().query
        plan = query.plan(request, capped=False)
        schema = pa.schema([plan.stream.schema.field(name) for name in plan.columns])
        return await export_tables(query.tables(plan), schema, path, form or format_of(path), progress)

    async def flush(self) -> None:
        """Wait until everything taken so far is on the disk, whatever the durability."""
        opened = self._need()
        self.drain()
        synced = await asyncio.get_running_loop().run_in_executor(None, opened.journal.sync, 30.0)
        if not synced:
            raise StorageError(f"the log cannot be written: {opened.journal.error or 'timeout'}")

    async def compact(self) -> None:
        """Seal the log and put all of it into files, now."""
        opened = self._need()
        self.drain()
        target = opened.journal.head_lsn
        if opened.catalogue.state.watermark_lsn >= target:
            return
        while not opened.journal.roll():  # noqa: ASYNC110 - the writer thread makes room, nobody tells
            await asyncio.sleep(HELD_POLL_S)
        while opened.catalogue.state.watermark_lsn < target:
            if not await self._compact_next(opened):
                await asyncio.sleep(HELD_POLL_S)

    async def retire(self) -> int:
        """Delete what is older than it is kept, now; return how many files."""
        opened = self._need()
        async with self._state_change:
            before = opened.keeper.retired
            await opened.keeper.retire(partial(self._work, opened))
            return opened.keeper.retired - before

    # Recovery and compaction

    async def _recover(self) -> Opened:
        loop = asyncio.get_running_loop()
        opened = await loop.run_in_executor(
            None, open_store, dataclasses.replace(self._given, lock=self._lock)
        )
        try:
            # A restart finds the tape as it was: only a first start has to fill it.
            tape = None if self._started_before else self._given.tape
            await restore(
                opened.catalogue, opened.compactor.latest, self._given.instruments, opened.hot, tape
            )
            watermark = opened.catalogue.state.watermark_lsn
            opened.hot.set_safe_lsn(watermark)
            opened.log.recover(opened.journal.directory, watermark + 1, tape)
            opened.note_damage(opened.log.recovery)
            _log.info(
                "recovered", rows=opened.hot.rows, compacted_lsn=watermark, log_lsn=opened.journal.head_lsn
            )
        except BaseException:
            opened.close(1.0)
            raise
        return opened

    async def _keep_compacting(self, opened: Opened) -> None:
        rolled_s = monotonic_s()
        first = -1
        while True:
            await asyncio.sleep(COMPACT_POLL_S)
            self.drain()
            opened.make_room()
            if opened.journal.next_segment != first:
                first, rolled_s = opened.journal.next_segment, monotonic_s()
            if opened.journal.head_lsn >= first and monotonic_s() - rolled_s > ROLL_AGE_S:
                opened.journal.roll()
            try:
                while await self._compact_next(opened):
                    pass
                async with self._state_change:
                    await opened.keeper.step(partial(self._work, opened))
                self._error = ""
            except (OSError, StorageError, pa.ArrowException) as error:
                # Rows stay in the log and the hot tier; when that is full the tape waits.
                self._error = f"compaction: {error}"
                _log.error("compaction_failed", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _keep_looking(self, opened: Opened) -> None:
        while True:
            await asyncio.sleep(COMPACT_POLL_S)
            self._tell_of(opened.journal.error or self._shedding(opened))

    def _tell_of(self, error: str) -> None:
        """Log once that the log cannot be written (rows wait in memory), and once that it can again."""
        if error and not self._log_error:
            _log.error("log_stuck", error=error)
        elif self._log_error and not error:
            _log.info("log_goes_on", rows_shed=self._rows_shed)
        self._log_error = error

    async def _compact_next(self, opened: Opened) -> bool:
        """Put the oldest sealed segment into files; return whether there was one."""
        async with self._state_change:
            segment = opened.next_segment()
            if segment is None:
                return False
            await self._work(opened, opened.catalogue.settle)
            job = FileSegment(path=segment.path, first_lsn=segment.first_lsn, last_lsn=segment.last_lsn)
            done = await opened.filer.run(job, calm=opened.is_ahead)
            state = await self._work(
                opened, partial(opened.compactor.filed, done.files, done.latest, segment.last_lsn)
            )
            opened.catalogue.adopt(state)
            opened.pins.release_through(state.watermark_lsn)
            await self._work(opened, partial(opened.forget, state.watermark_lsn))
        return True

    async def _work(self, opened: Opened, work: Callable[[], _T]) -> _T:
        """Run blocking work in the store's one writing thread; cancellation waits for it to end."""
        future = asyncio.get_running_loop().run_in_executor(opened.writer, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _need(self) -> Opened:
        if self._open is None:
            raise UnavailableError("the store is not running yet")
        return self._open


class QueryDoor:
    """What is asked before the store has started, or while it restarts, is told so."""

    def __init__(self) -> None:
        self._query: StoreQuery | FollowerQuery | None = None

    def open(self, query: StoreQuery | FollowerQuery) -> None:
        """Answer with `query` from now on."""
        self._query = query

    def close(self) -> None:
        """Answer nothing until opened again."""
        self._query = None

    async def run(self, request: QueryRequest | SqlRequest) -> QueryResult:
        """Answer one request; UnavailableError when the store is not running."""
        return await self._need().run(request)

    def begin(self, request: QueryRequest | SqlRequest) -> QueryResult | Coroutine[Any, Any, QueryResult]:
        """Return an answer that memory has, else what has to be awaited for it; errors as `run`."""
        return self._need().begin(request)

    async def counts(self, request: CountsRequest) -> dict[str, Any]:
        """Count rows, as `run`."""
        return await self._need().counts(request)

    def _need(self) -> StoreQuery | FollowerQuery:
        if self._query is None:
            raise UnavailableError("the store is not running yet")
        return self._query


def _in_order(table: pa.Table) -> pa.Table:
    """Return bars by instrument, then time, the first of each moment. Of half a million some 50 ms."""
    keys = (INSTRUMENT, TIME)
    return without_repeats(ordered(tidy_bars(table), keys), keys)
