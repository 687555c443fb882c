"""Users' streams kept: a log of their own, files by date, acknowledged when durable. One owner: the store.

Everything is on the loop but what is blocking, which runs in one thread in order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core import journal as core
from qautlra._core.journal import Journal
from qautlra.base import log
from qautlra.base.clock import monotonic_s, wall_ns
from qautlra.base.errors import InputError, NotFoundError, StorageError
from qautlra.base.limits import JOURNAL_BUFFER_BYTES
from qautlra.config.tree import Store
from qautlra.model.streams import IngestKey
from qautlra.store.catalogue import EVER_US, Catalogue, DataFile, Progress, State, unlink_stale
from qautlra.store.disk import is_full
from qautlra.store.fileproc import Filer
from qautlra.store.filework import FileTables, MakeTable, MergeTable
from qautlra.store.logs import readable_lsn
from qautlra.store.plan import moment
from qautlra.store.schema import STREAMS
from qautlra.store.tables import record
from qautlra.store.tables.definition import (
    ARRIVAL,
    DEFINITIONS,
    Book,
    Definition,
    check_table_name,
    own_columns,
)
from qautlra.store.tables.files import ZONE_US, by_stream, crowded, rebuilt, without
from qautlra.store.tables.filing import aside_files
from qautlra.store.tables.infer import DAY_US, check_times
from qautlra.store.tables.keys import Keys, Stored, mark_of, marked
from qautlra.store.tables.rows import Grown, rows_of, table_rows

FILE_AGE_S = 60.0
POLL_S = 0.25
FRESH_COUNT = 256
DURABLE_POLL_S = 0.001
DURABLE_S = 5.0
LINGER_S = 120.0
STREAM_FILES_COUNT = 10_000

_T = TypeVar("_T")
_log = log.get_logger("store")


class TableStore:
    """All users' streams of one data directory."""

    def __init__(self, directory: Path, settings: Store, filer: Filer) -> None:
        self.directory = directory
        self._settings = settings
        self._filer = filer
        self.book = Book(directory / DEFINITIONS, settings.schema.cache_size)
        self.catalogue = Catalogue(directory, rebuild=self._rebuilt)
        self._journal: Journal | None = None
        self._thread = ThreadPoolExecutor(1, "tables")
        self._change = asyncio.Lock()
        self._waiting: dict[str, int] = {}
        self._stale: list[tuple[float, str]] = []
        self._large: set[str] = set()  # small files whose rows have no room in a merge
        self._first_waiting_s = 0.0
        self._retained_day = -1
        self.rows_taken = 0
        self.keys = Keys(directory)
        self.replays = 0
        self.fresh: dict[str, list[tuple[int, int, int]]] = {}
        "Of rows in the log, by stream: (position, first time, last time), Unix us; a few hundred at most."
        self.followers: set[Callable[[str, pa.Table], None]] = set()
        self.error = ""

    @property
    def retention_days(self) -> int:
        """Return how long the market's rows are kept, and streams that say nothing of it; 0: for ever."""
        return self._settings.retention_days

    @property
    def buffered_bytes(self) -> int:
        """Return how much of the log is not written yet."""
        return 0 if self._journal is None else self._journal.stats["buffered_bytes"]

    @property
    def readable_lsn(self) -> int:
        """Return how much of the log other processes find in its files."""
        return readable_lsn(self._log())

    @property
    def log_error(self) -> str:
        """Return what keeps the log from being written; empty when nothing does."""
        return "" if self._journal is None else self._journal.error

    @property
    def aside_files(self) -> int:
        """How many files of rows no file of a stream could be made of wait for somebody."""
        return aside_files(self.directory)

    def open(self) -> None:
        """Open log, definitions and manifest. Blocking. JournalError, StorageError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.book.load()
        self.keys.load()
        self._journal = Journal(
            self.directory / "log",
            segment_bytes=self._settings.segment_bytes,
            buffer_bytes=JOURNAL_BUFFER_BYTES,
            durability=self._settings.durability,
        )
        if self.catalogue.load():
            self.catalogue.store(self.catalogue.state)
        state = self.catalogue.state
        born_lsns = (one.born_lsn for name in self.book.names() if (one := self.book.find(name)) is not None)
        record.count_up(self._journal, max(state.watermark_lsn, *born_lsns, 0))
        self._journal.drop_through(state.watermark_lsn)
        self._tidy(state)
        for lsn, kind, payload in core.read(self._journal.directory, state.watermark_lsn + 1):
            if kind == record.ROWS_RECORD and lsn > state.watermark_lsn:
                name, rows = record.head(payload)
                definition = self.book.find(name)
                if definition is not None and lsn > definition.born_lsn:
                    self._waiting[name] = self._waiting.get(name, 0) + rows
                    table = record.decode(payload)
                    self._note(definition, lsn, table)
                    self.keys.hear(table, lsn)
        self._first_waiting_s = monotonic_s()

    def close(self, grace_s: float) -> None:
        """Close log and thread. Blocking."""
        self._thread.shutdown(wait=True)
        if self._journal is not None:
            self._journal.close(grace_s)

    # Taking rows in

    async def ingest(
        self,
        name: str,
        events: Sequence[Any] | pa.Table,
        extra: Mapping[str, Any],
        *,
        create: bool = True,
        key: IngestKey | None = None,
    ) -> int:
        """Store events; return how many when they are durable. A stream that is not there is made.

        What is stored under a `key` already is not stored again. InputError: an event that cannot be stored,
        then none is and nothing is changed; or 422, a key that came with other events. StorageError: the log
        takes nothing now.
        """
        async with self._change:
            definition = self._definition(name, create)
            mark = "" if key is None else mark_of(key, definition)
            known = None if key is None else self.keys.find(mark, key)
            if known is None or not known.is_whole:
                grown = await self._rows(definition, events, extra)
                rows, total = grown.table, int(grown.table.num_rows)
                if not total:
                    return 0
                if key is not None and known is None:
                    known = Stored(digest=key.digest, rows=0, total=total, at_us=wall_us())
                rows = rows if known is None else rows.slice(known.rows)
                pieces = record.split(rows)
                definition = await self._keep(definition, grown)
                lsn = self._append(definition, pieces, mark, known)
            else:
                rows, total, lsn = definition.schema.empty_table(), known.total, known.lsn
                self.replays += 1
        await self._durable(lsn)
        self.rows_taken += rows.num_rows
        if rows.num_rows:
            for heard in list(self.followers):
                heard(definition.name, rows)
        return total

    async def _rows(
        self, definition: Definition, events: Sequence[Any] | pa.Table, extra: Mapping[str, Any]
    ) -> Grown:
        """Return events as rows of a stream, and the columns it has when it is grown by what they bring."""
        may_grow = self._settings.schema.auto_detect and not definition.is_static
        make = table_rows if isinstance(events, pa.Table) else rows_of
        extra = {ARRIVAL: wall_us()} | dict(extra)
        grown: Grown = await self._work(partial(make, events, definition, _moments(extra), may_grow=may_grow))
        if grown.table.num_rows:
            check_times(grown.table, definition)
        return grown

    async def _keep(self, definition: Definition, grown: Grown) -> Definition:
        """Make the stream when it is not there, or let it grow, and return it."""
        if grown.is_new:
            definition = msgspec.structs.replace(definition, columns=grown.columns)
        if definition.name not in self.book:
            return await self._make(definition)
        if grown.is_new:
            await self._work(partial(self.book.put, definition))
        return definition

    def _definition(self, name: str, create: bool) -> Definition:
        """Return a stream, or what becomes one with its first rows."""
        check_table_name(name)
        if name in self.book:
            found = self.book.get(name)
            if found.derived is not None:
                raise InputError(f"{name!r} is made of {found.derived.source}", key="stream", status=409)
            return found
        if not create or not self._settings.schema.auto_detect:
            raise NotFoundError(f"there is no stream {name!r}; make it first", key="stream")
        return Definition(name=name, columns=own_columns(), created_us=wall_us())

    async def _make(self, definition: Definition) -> Definition:
        journal = self._log()
        await self._forget(definition.name)
        definition = msgspec.structs.replace(definition, born_lsn=journal.head_lsn)
        await self._work(partial(self.book.put, definition))
        return definition

    def _note(self, definition: Definition, lsn: int, table: pa.Table) -> None:
        """Remember which times came at which position."""
        times = table.column(definition.time_column).cast(pa.int64())
        low, high = pc.min_max(times).as_py().values()
        noted = self.fresh.setdefault(definition.name, [])
        noted.append((lsn, low, high))
        if len(noted) > FRESH_COUNT:
            lsns, lows, highs = zip(*noted, strict=True)
            noted[:] = [(max(lsns), min(lows), max(highs))]

    def _append(self, definition: Definition, pieces: list[pa.Table], mark: str, known: Stored | None) -> int:
        """Log rows, with what of a request they make stored, if it has a key; return the last's position."""
        journal, name = self._log(), definition.name
        lsn = 0
        if not self._waiting:
            self._first_waiting_s = monotonic_s()
        for piece in pieces:
            if known is not None:
                known = msgspec.structs.replace(known, rows=known.rows + piece.num_rows)
                piece = marked(piece, mark, known)
            lsn = int(journal.append(record.ROWS_RECORD, record.encode(name, piece)))
            if not lsn:
                raise StorageError(
                    f"the log takes nothing now: {journal.error or 'it is full'}", retry_after_s=1
                )
            self._waiting[name] = self._waiting.get(name, 0) + piece.num_rows
            self._note(definition, lsn, piece)
            if known is not None:
                self.keys.note(mark, msgspec.structs.replace(known, lsn=lsn))
        return lsn

    async def _durable(self, lsn: int) -> None:
        journal = self._log()
        give_up_s = monotonic_s() + DURABLE_S
        while journal.durable_lsn < lsn:
            if journal.failed or monotonic_s() > give_up_s:
                raise StorageError(
                    f"not durable yet: {journal.error or 'the disk is slow'}; sent again without an "
                    "Idempotency-Key the same events may be stored twice",
                    retry_after_s=1,
                )
            await asyncio.sleep(DURABLE_POLL_S)

    # Streams

    async def create(self, definition: Definition, *, update: bool = False) -> None:
        """Make a stream; InputError 409 when there is one of the name, unless to `update` how it is kept."""
        check_table_name(definition.name)
        async with self._change:
            if definition.name.lower() in STREAMS:
                raise InputError(
                    f"{definition.name!r} is the name of a built-in stream", key="stream", status=409
                )
            if definition.name in self.book:
                before = self.book.get(definition.name)
                if not update:
                    raise InputError(f"there is a stream {before.name!r} already", key="stream", status=409)
                kept = msgspec.structs.replace(
                    before,
                    time_limit_days=definition.time_limit_days or before.time_limit_days,
                    custom_partition=definition.custom_partition or before.custom_partition,
                )
                await self._work(partial(self.book.put, kept))
                return
            grows = self._settings.schema.auto_detect and not definition.is_static
            if not grows and definition.columns == own_columns():
                raise InputError(
                    "nothing could be stored in it: a static stream, and any while store.schema.auto_detect "
                    'is off, needs its columns in the body, {"fields": [{"name", "data_type"}, …]}',
                    key="fields",
                )
            await self._make(definition)

    async def drop(self, name: str) -> None:
        """Delete a stream and its files."""
        async with self._change:
            name = self.book.get(name).name
            await self._forget(name)
            await self._work(partial(self.book.remove, name))
            self._waiting.pop(name, None)
            self.fresh.pop(name, None)

    async def _forget(self, name: str) -> None:
        """Take files and progress of a stream out of the manifest, if there are any."""
        state = self.catalogue.state
        gone = [file for file in state.files if file.stream == name]
        if gone or name in state.derived:
            derived = {key: value for key, value in state.derived.items() if key != name}
            await self._replace(msgspec.structs.replace(without(state, gone), derived=derived), gone)

    async def retain(self, name: str, days: int, description: str) -> None:
        """Keep a stream for so many days."""
        async with self._change:
            definition = msgspec.structs.replace(
                self.book.get(name), retention_days=days, retention_description=description
            )
            await self._work(partial(self.book.put, definition))
        self._retained_day = -1

    def stats(self, name: str) -> dict[str, int]:
        """Return rows and bytes of a stream: in files and in the log."""
        definition = self.book.get(name)
        files = [file for file in self.catalogue.state.files if file.stream == definition.name]
        return {
            "rows": sum(file.rows for file in files) + self._waiting.get(definition.name, 0),
            "file_bytes": sum(file.bytes for file in files),
            "files": len(files),
            "log_rows": self._waiting.get(definition.name, 0),
        }

    # Files

    async def run(self) -> None:
        """Put the log into files once a minute, merge small ones, delete what is too old; for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            errors = []
            for step in (self._file_when_due, self.merge_small, self._retire, self._sweep):
                try:
                    await step()
                except Exception as error:
                    # Whatever holds one of them up: the others are done, and every door stays open.
                    errors.append(str(error))
                    _log.error("tables_failed", error=f"{type(error).__name__}: {error}")
            self.error = "; ".join(f"files of streams: {text}" for text in errors)
            if errors:
                await asyncio.sleep(5.0)

    async def _file_when_due(self) -> None:
        due = self._waiting and monotonic_s() - self._first_waiting_s > FILE_AGE_S
        if due or any(segment.sealed for segment in self._log().segments()):
            await self.file_away()

    async def file_away(self) -> None:
        """Put everything logged so far into files."""
        journal = self._log()
        async with self._change:
            target = journal.head_lsn
            if target <= self.catalogue.state.watermark_lsn:
                return
            give_up_s = monotonic_s() + DURABLE_S
            journal.roll()
            while not any(s.sealed and s.last_lsn >= target for s in journal.segments()):
                if monotonic_s() > give_up_s:
                    raise StorageError(f"the log cannot be sealed: {journal.error or 'the disk is slow'}")
                await asyncio.sleep(DURABLE_POLL_S)
            state = self.catalogue.state
            counts = Counter(file.stream for file in state.files)
            by_date = tuple(name for name, count in counts.items() if count >= STREAM_FILES_COUNT)
            job = FileTables(first_lsn=state.watermark_lsn + 1, last_lsn=target, by_date=by_date)
            done = await self._filer.run(job)
            state = msgspec.structs.replace(state, watermark_lsn=target, files=(*state.files, *done.files))
            await self._work(self.keys.keep)  # before the records that say them go
            await self._work(partial(self.catalogue.store, state))
            self.catalogue.adopt(state)
            self._waiting.clear()
            self.fresh.clear()
            await self._work(partial(journal.drop_through, state.watermark_lsn))

    @property
    def head_lsn(self) -> int:
        """Position of the newest row taken."""
        return int(self._log().head_lsn)

    async def settle(self) -> None:
        """Wait until everything taken so far is durable."""
        await self._durable(self.head_lsn)

    async def make(
        self, definition: Definition, within: tuple[int, int], table: pa.Table, progress: Progress
    ) -> None:
        """Put rows in the place of a made stream's rows with start <= time < stop, and note how far it is.

        NotFoundError when the stream the rows are for was deleted, also when there is another of its name.
        """
        async with self._change:
            name = definition.name
            if name not in self.book or self.book.get(name).created_us != definition.created_us:
                raise NotFoundError(f"{name!r} was deleted meanwhile", key="stream")
            before = self.catalogue.state
            gone = [file for file in before.files if file.stream == name]
            gone = [file for file in gone if file.first_us < within[1] and file.last_us >= within[0]]
            serial = before.serial + 1
            job = MakeTable(
                files=tuple(gone), definition=definition, start_us=within[0], stop_us=within[1], serial=serial
            )
            new = (await self._filer.run(job, table)).files
            state = without(before, gone)
            progress = msgspec.structs.replace(progress, created_us=definition.created_us)
            state = msgspec.structs.replace(
                state, files=(*state.files, *new), derived={**state.derived, name: progress}, serial=serial
            )
            await self._replace(state, gone)

    async def merge_small(self) -> None:
        """Put small files of one directory together, one directory at a time."""
        if not crowded(self.catalogue.state, self._large):
            return
        async with self._change:
            # What was there before the lock was waited for may be deleted, or made again, by now.
            before = self.catalogue.state
            failed: Exception | None = None
            self._large &= {file.path for file in before.files}
            for files in crowded(before, self._large):
                serial = before.serial + 1
                try:
                    definition = self.book.get(files[0].stream)
                    job = MergeTable(files=tuple(files), definition=definition, serial=serial)
                    done = await self._filer.run(job)
                except (StorageError, NotFoundError, pa.ArrowException, OSError) as error:
                    if is_full(error):
                        raise
                    failed = error  # whatever these are, others are merged
                    continue
                if not done.files:
                    self._large.update(file.path for file in files)
                    continue
                if len(done.taken) < len(files):
                    self._large.update(file.path for file in done.files)
                taken = list(done.taken)
                state = without(before, taken)
                state = msgspec.structs.replace(state, files=(*state.files, *done.files), serial=serial)
                await self._replace(state, taken)
                break
            if failed is not None:
                raise failed

    async def _retire(self) -> None:
        today = _today()
        if today == self._retained_day:
            return
        async with self._change:
            gone = []
            for name, files in by_stream(self.catalogue.state).items():
                try:
                    keep = self._kept_days(name)
                except StorageError as error:
                    _log.error("not_retired", stream=name, error=str(error))
                    continue  # how long it is kept is not known: it stays
                gone += [file for file in files if keep and file.day.toordinal() - 719_163 < today - keep]
            if gone:
                await self._replace(without(self.catalogue.state, gone), gone)
                _log.info("retired", files=len(gone))
        self._retained_day = today

    def kept_since_us(self, name: str) -> int:
        """Return from which moment on rows of a stream are kept; the beginning of time when all are."""
        keep = self._kept_days(name)
        return (_today() - keep) * DAY_US - ZONE_US if keep else EVER_US

    def _kept_days(self, name: str) -> int:
        own = self.book.get(name).retention_days if name in self.book else 0
        return own or self.retention_days

    async def _replace(self, state: State, gone: list[DataFile]) -> None:
        await self._work(partial(self.catalogue.store, state))
        self.catalogue.adopt(state)
        self._stale += [(monotonic_s() + LINGER_S, file.path) for file in gone]

    async def _sweep(self) -> None:
        """Delete files no question that began before they went can still want."""
        now = monotonic_s()
        over = [path for until_s, path in self._stale if until_s < now]
        unlink_stale(self.directory, self.catalogue.state, over)
        self._stale = [item for item in self._stale if item[0] >= now]

    def _tidy(self, state: State) -> None:
        known = {file.path for file in state.files}
        for path in self.directory.glob("stream=*/date=*/**/*"):
            if path.is_file() and str(path.relative_to(self.directory)) not in known:
                path.unlink(missing_ok=True)

    def _rebuilt(self) -> State:
        journal = self._log()
        first_lsn = min((segment.first_lsn for segment in journal.segments()), default=0)
        logged: dict[str, list[int]] = {}
        for lsn, kind, payload in core.read(journal.directory, first_lsn):
            if kind == record.ROWS_RECORD:
                logged.setdefault(record.head(payload)[0], []).append(lsn)
        return rebuilt(self.directory, [self.book.get(name) for name in self.book.names()], first_lsn, logged)

    def _log(self) -> Journal:
        if self._journal is None:
            raise StorageError("the log of streams is not open")
        return self._journal

    async def _work(self, work: Callable[[], _T]) -> _T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


def _today() -> int:
    """Return the date in Beijing, in days since 1970."""
    return (wall_us() + ZONE_US) // DAY_US


def wall_us() -> int:
    """Return Unix microseconds of the machine."""
    return wall_ns() // 1_000


def _moments(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {name: moment(value) if name == ARRIVAL else value for name, value in extra.items()}
