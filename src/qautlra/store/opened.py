"""Everything one run of the store owns, and the blocking work done with it in the writing thread."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra._core.journal import Journal, JournalError, Segment
from qautlra._core.store import HotStore, TickLog, segment_to_arrow
from qautlra.base import log
from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.store.aggregates import Aggregates
from qautlra.store.bars import BarReader
from qautlra.store.catalogue import Catalogue, State
from qautlra.store.compaction import Compactor
from qautlra.store.engine import SqlEngine
from qautlra.store.importer import KnownRows
from qautlra.store.keeping import Keeper
from qautlra.store.logs import readable_lsn
from qautlra.store.parquet import Layout, write_partitions
from qautlra.store.query import StoreQuery
from qautlra.store.reader import Pins, Reader
from qautlra.store.schema import BAR_1M, INSTRUMENT, ROW_SCHEMA, TIME, TRADING_DATE
from qautlra.store.sqldata import TABLES
from qautlra.store.sqldoor import SqlDoor
from qautlra.store.sqlproc import SqlProcess
from qautlra.store.tables.store import TableStore

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra._core.tape import Tape
    from qautlra.base.clock import Clock
    from qautlra.config.tree import Store

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
            read_segment,
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
        self.tables = TableStore(catalogue.data_dir / TABLES, settings, self.compactor.layout)
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
        watermark = self.catalogue.state.watermark_lsn
        waiting = [s for s in self.journal.segments() if s.sealed and s.last_lsn > watermark]
        return min(waiting, key=lambda segment: segment.first_lsn) if waiting else None

    def make_room(self) -> None:
        """Seal the segment being written when memory is full of its rows: only what is in files may go."""
        if self.log.held == "hot" and self.journal.head_lsn >= self.journal.next_segment:
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

    def write_bars(self, bars: pa.Table, made: date | None = None) -> State:
        """Write the bars (by instrument, then time) not stored yet; return the new state. Blocking.

        `made`: these are all the bars there are of that trading day.
        """
        catalogue = self.catalogue
        state = catalogue.state
        if not bars.num_rows and made is None:
            return state
        low, high = (
            (0, -1) if not bars.num_rows else pc.min_max(bars.column(TIME).cast(pa.int64())).as_py().values()
        )
        keys = [INSTRUMENT, TIME]
        tables = [
            pq.read_table(path, columns=keys, partitioning=None)
            for path in catalogue.paths(state.overlapping((BAR_1M,), low, high + 1))
        ]
        if tables:
            stored = pa.concat_tables(tables).cast(bars.select(keys).schema)
            bars = bars.join(stored, keys, join_type="left anti").select(bars.column_names)
            bars = bars.sort_by([(key, "ascending") for key in keys])
        days = state.bar_days if made is None else (*state.bar_days, made)
        if not bars.num_rows:
            if made is None:
                return state
            replaced = msgspec.structs.replace(state, bar_days=days)
            catalogue.store(replaced)
            return replaced
        serial = state.serial + 1
        files = write_partitions(
            catalogue.data_dir, bars, 0, 0, self.compactor.layout, stream=BAR_1M, tag=serial
        )
        if made is not None:
            files = [msgspec.structs.replace(file, is_made=True) for file in files]
        replaced = msgspec.structs.replace(state, files=(*state.files, *files), bar_days=days, serial=serial)
        catalogue.store(replaced)
        return replaced

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


def read_segment(path: str) -> pa.Table:
    """Return a segment's rows; of a damaged one those before the damage, and the segment is kept aside."""
    try:
        batch = segment_to_arrow(path)
    except JournalError as error:
        kept = Path(path).parent.parent / "damaged" / Path(path).name
        kept.parent.mkdir(exist_ok=True)
        kept.unlink(missing_ok=True)
        os.link(path, kept)
        _log.error("segment_damaged", error=str(error), kept=str(kept))
        batch = segment_to_arrow(path, allow_damage=True)
        if batch is None:
            return ROW_SCHEMA.empty_table()
    return pa.Table.from_batches([batch])
