"""Everything one run of the store owns, and the blocking work done with it in the writing thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core.journal import Journal, Segment
from qautlra._core.store import HotStore, TickLog
from qautlra.base import log
from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.store.aggregates import Aggregates
from qautlra.store.bars import BarReader
from qautlra.store.catalogue import Catalogue, DataFile
from qautlra.store.compaction import Compactor
from qautlra.store.engine import SqlEngine
from qautlra.store.fileproc import MakeFiler
from qautlra.store.filework import FileBars
from qautlra.store.importer import KnownRows
from qautlra.store.keeping import Keeper, Work
from qautlra.store.logs import readable_lsn
from qautlra.store.names import TABLES
from qautlra.store.parquet import Layout
from qautlra.store.pins import Pins
from qautlra.store.query import StoreQuery
from qautlra.store.reader import Reader
from qautlra.store.schema import BAR_1M, TIME, TRADING_DATE
from qautlra.store.sqldoor import SqlDoor
from qautlra.store.sqlproc import SqlProcess
from qautlra.store.tables.store import TableStore

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra._core.tape import Tape
    from qautlra.base.clock import Clock
    from qautlra.config.tree import Store

BEHIND_COUNT = 3

_log = log.get_logger("store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the store is given by the process."""

    settings: Store
    data_dir: Path
    instruments: Instruments
    calendar: Calendar
    tape: Tape
    clock: Clock
    make_filer: MakeFiler
    lock: int = -1
    "Of the directory: the process that writes files holds it too."


class Opened:
    """The open log, hot tier and files of a data directory. Made and closed in a thread, used on the loop."""

    def __init__(self, given: Given, catalogue: Catalogue, journal: Journal) -> None:
        settings, instruments = given.settings, given.instruments
        self.catalogue = catalogue
        self.journal = journal
        self.damage = [f"{cut.path} at byte {cut.offset}: {cut.reason}" for cut in journal.cuts]
        self.compactor = Compactor(
            catalogue,
            Layout(settings.compression, settings.row_group_rows, fields=partition_fields(settings)),
        )
        self.filer = given.make_filer(
            catalogue.data_dir, self.compactor.layout, settings.segment_bytes, given.lock
        )
        self.hot_bytes = settings.hot_bytes
        self.hot = HotStore(instruments, settings.hot_bytes)
        self.log = TickLog(given.tape, journal, self.hot)
        self.pins = Pins(self.hot)
        self.writer = ThreadPoolExecutor(1, "store-writer")
        self.engine = SqlEngine(catalogue.data_dir, settings.query_threads, settings.query_memory_bytes)
        reader = Reader(catalogue, self.hot, instruments, self.engine, self.pins)
        self.known = KnownRows(catalogue, self.compactor, instruments)
        self.sql = SqlProcess(catalogue.data_dir, settings.query_threads, settings.query_memory_bytes)
        self.tables = TableStore(catalogue.data_dir / TABLES, settings, self.filer)
        self.door = door = SqlDoor(
            self.sql,
            given.clock,
            lambda: readable_lsn(journal),
            self.tables.book,
            table_position=lambda: self.tables.readable_lsn,
            timeout_s=settings.query_timeout_s,
            cap_rows=settings.query_rows,
        )
        self.bars = BarReader(catalogue, reader, self.engine, self.hot, instruments, given.calendar)
        self.aggregates = Aggregates(self, given.calendar, given.clock, instruments.canonical)
        self.keeper = Keeper(self, given.clock, settings.retention_days, settings.query_timeout_s)
        self.query = StoreQuery(
            reader,
            self.bars,
            given.clock,
            instruments.canonical,
            door,
            timeout_s=settings.query_timeout_s,
            cap_rows=settings.query_rows,
        )

    def note_damage(self, recovery: dict[str, Any]) -> None:
        """Remember what recovery could not read."""
        self.damage += [f"{d.path} at byte {d.offset}: {d.reason}" for d in recovery["damage"]]
        if recovery["refused"]:
            self.damage.append(f"{recovery['refused']} records refused: {recovery['first_refusal']}")
        for text in self.damage:
            _log.error("log_damaged", where=text)

    def next_segment(self) -> Segment | None:
        """Return the oldest sealed segment that is not in files."""
        return min(self._waiting(), key=lambda segment: segment.first_lsn, default=None)

    def is_ahead(self) -> bool:
        """Whether there is time to put rows into files: few segments wait, and take half of memory."""
        return self._is_low() and len(self._waiting()) < BEHIND_COUNT

    def _is_low(self) -> bool:
        behind = self.journal.head_lsn - self.catalogue.state.watermark_lsn
        return 2 * behind * self.hot.bytes < self.hot.rows * self.hot_bytes

    def _waiting(self) -> list[Segment]:
        watermark = self.catalogue.state.watermark_lsn
        return [s for s in self.journal.segments() if s.sealed and s.last_lsn > watermark]

    def make_room(self) -> None:
        """Seal the segment being written when half of memory is of rows that no file has and no other waits.

        Only what is in files may go, and the tape waits where memory is full.
        """
        begun, watermark = self.journal.next_segment, self.catalogue.state.watermark_lsn
        if self.journal.head_lsn < begun:
            return
        others = any(watermark < s.last_lsn and s.first_lsn < begun for s in self.journal.segments())
        if self.log.held == "hot" or not (self._is_low() or others):
            self.journal.roll()

    def forget(self, lsn: int) -> None:
        """Delete segments whose rows are all in files. Blocking."""
        self.journal.drop_through(lsn)
        self.compactor.tidy()

    def hot_rows_of(self, day: date) -> bool:
        """Whether memory has rows of a trading day that no file has."""
        batch = self.hot.scan(min_lsn=self.catalogue.state.watermark_lsn, limit=1, fields=[TRADING_DATE])
        return bool(batch.num_rows) and batch.column(0)[0].as_py() <= day

    def tidy_files(self) -> None:
        """Delete Parquet files the manifest does not name: work a crash cut short, or undid. Blocking."""
        data_dir = self.catalogue.data_dir
        known = {file.path for file in self.catalogue.state.files}
        for path in data_dir.glob("stream=*/date=*/**/*.parquet"):
            if str(path.relative_to(data_dir)) not in known:
                path.unlink(missing_ok=True)

    async def write_bars(self, work: Work, bars: pa.Table, made: date | None = None) -> None:
        """Store the bars (by instrument, then time) that are not stored yet; `work` as the keeper's.

        `made`: these are all the bars there are of that trading day.
        """
        catalogue = self.catalogue
        state, serial = catalogue.state, catalogue.state.serial + 1
        files: tuple[DataFile, ...] = ()
        if bars.num_rows:
            low, high = pc.min_max(bars.column(TIME).cast(pa.int64())).as_py().values()
            stored = tuple(state.overlapping((BAR_1M,), low, high + 1))
            done = await self.filer.run(FileBars(files=stored, serial=serial, is_made=made is not None), bars)
            files = done.files
        if made is not None:
            files = tuple(msgspec.structs.replace(file, is_made=True) for file in files)
        elif not files:
            return
        days = state.bar_days if made is None else (*state.bar_days, made)
        replaced = msgspec.structs.replace(
            state,
            files=(*state.files, *files),
            bar_days=days,
            serial=serial if files else state.serial,
        )
        await work(partial(catalogue.store, replaced))
        catalogue.adopt(replaced)

    def close(self, grace_s: float) -> None:
        """End the threads and close the log. Blocking."""
        self.query.close()
        self.engine.close()
        self.writer.shutdown(wait=True)
        self.tables.close(grace_s)
        self.journal.close(grace_s)


def open_store(given: Given) -> Opened:
    """Open log and manifest and tidy up what a crash left. Blocking. JournalError, StorageError."""
    journal = Journal(
        given.data_dir / "log",
        segment_bytes=given.settings.segment_bytes,
        buffer_bytes=JOURNAL_BUFFER_BYTES,
        durability=given.settings.durability,
    )
    try:
        catalogue = Catalogue(given.data_dir)
        changed = catalogue.load(segment.first_lsn for segment in journal.segments())
        state = catalogue.state
        if changed and state.files:
            _log.warning("manifest_rebuilt", files=len(state.files))
        if journal.head_lsn < state.watermark_lsn:
            # The log was removed: its numbers begin anew, and so do the names made of them.
            _log.warning("log_restarted", log_lsn=journal.head_lsn, compacted_lsn=state.watermark_lsn)
            state = msgspec.structs.replace(
                state, watermark_lsn=journal.head_lsn, generation=state.generation + 1
            )
            changed = True
        if changed:
            catalogue.store(state)
            catalogue.adopt(state)
        opened = Opened(given, catalogue, journal)
        opened.tables.open()
        opened.compactor.load()
        opened.forget(state.watermark_lsn)
        opened.tidy_files()
        return opened
    except BaseException:
        journal.close(1.0)
        raise


def partition_fields(settings: Store) -> tuple[str, ...]:
    """Return what files of ticks are partitioned by below the trading date, which is always the first."""
    chosen = settings.partition_by
    names = [chosen] if isinstance(chosen, str) else chosen
    return tuple(dict.fromkeys(name for name in names if name != "date"))
