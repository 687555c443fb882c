"""The cold tier as open tables beside the store: one Delta table a stream, on a disk or in object storage.

A date is written whole, in one commit that takes the place of what the table had of it, whenever its files
changed; so a date is there as it was at one moment, each row once, however often this is cut short. Of the
market's streams it is the trading date, of users' the date their files are of, in a column of its own. A
table is one store's, which its description names; files a commit has replaced are deleted an hour later.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from qautlra.base import log, metrics
from qautlra.base.clock import monotonic_s, new_token, wall_ns
from qautlra.base.errors import ConfigError, StorageError
from qautlra.base.secret import Secret
from qautlra.base.service import Service
from qautlra.store.catalogue import DataFile, State, write_durably
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, ROW_SCHEMA, TRADING_DATE
from qautlra.store.timegrammar import BEIJING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from deltalake import DeltaTable

    from qautlra.store.tables.definition import Definition

NOTES = "lake.json"
DATE_COLUMN = "p_file_date"
RETRY_S = 10.0
KEPT_H = 1
"How long readers that began before a commit find the files it has replaced."
SWEEP_S = 3_600.0
_OWNER = "qautlra store "
_log = log.get_logger("store")


class Notes(Struct, kw_only=True):
    """The store's name in its tables; what is written: marks of dates, and of which making of a stream."""

    id: str
    written: dict[str, int] = {}


class LakeService(Service):
    """Writes what changed every `interval_s`. Storage that is away is tried again; nothing else waits."""

    name = "lake"

    def __init__(
        self,
        parts: Callable[[], Iterable[Part]],
        data_dir: Path,
        url: str,
        interval_s: float,
        options: dict[str, Secret],
        *,
        take_over: bool = False,
        retention_days: int = 0,
    ) -> None:
        super().__init__()
        try:
            import deltalake  # noqa: F401
        except ImportError:
            raise ConfigError(
                "open tables need deltalake",
                key="store.lake.url",
                value=url,
                expected='pip install "qautlra[lake]"',
            ) from None
        self._parts = parts
        self._data_dir = data_dir
        self._url = url.rstrip("/")
        self._interval_s = interval_s
        self._options = options
        self._take_over = take_over
        self._retention_days = retention_days
        self._retired_on = date.min
        self._notes = Notes(id="")
        self._swept_s: dict[str, float] = {}
        self.commits = 0
        self.rows = 0
        self.error = ""

    async def start(self) -> None:
        """Remember what is written, and begin."""
        path = self._data_dir / NOTES
        try:
            self._notes = msgspec.json.decode(path.read_bytes(), type=Notes)
        except (FileNotFoundError, msgspec.DecodeError):
            self._notes = Notes(id=new_token(8))
        metrics.watch("qautlra_lake_commits_total", "Dates written", lambda: self.commits, kind="counter")
        metrics.watch("qautlra_lake_rows_total", "Rows written", lambda: self.rows, kind="counter")
        self.spawn(self._keep_writing(), "write")

    async def stop(self, grace_s: float) -> None:
        """End; a commit is there or it is not."""
        metrics.unwatch("qautlra_lake_")
        await self.cancel_tasks(grace_s)

    def health(self) -> dict[str, Any]:
        """Return where the tables are and what holds them up."""
        facts: dict[str, Any] = {"url": self._url, "commits": self.commits, "rows": self.rows}
        return facts | ({"error": self.error} if self.error else {})

    async def _keep_writing(self) -> None:
        while True:
            wait_s, held_up = self._interval_s, ""
            parts = list(self._parts())
            newest = {part.stream: part.day for part in sorted(parts, key=lambda one: one.day)}
            steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
                (part.stream, partial(self._write_new, part))
                for part in parts
                if part.day >= self._first_kept(newest[part.stream])
            ]
            steps.append(("retention", self._retire))
            for stream, step in steps:
                try:
                    await step()
                except Exception as error:  # the client's errors have no common root
                    text = f"{stream}: {type(error).__name__}: {error}"[:500]
                    if text != self.error:
                        _log.error("lake_held_up", error=text)
                    held_up, wait_s = held_up or text, min(RETRY_S, self._interval_s)
            self.error = held_up
            await asyncio.sleep(wait_s)

    def _first_kept(self, newest: date) -> date:
        """Return the first date a table keeps whose newest is that, from which days are counted."""
        if not self._retention_days:
            return date.min
        return min(_today(), newest) - timedelta(days=self._retention_days)

    async def _retire(self) -> None:
        """Once a day, take dates out of the tables that are older than they are kept."""
        today = _today()
        if not self._retention_days or self._retired_on == today:
            return
        tables = {key.rpartition("/")[0] for key in self._notes.written} - {self._url}
        for table in sorted(tables):
            await asyncio.to_thread(self._take_out, table)
        self._retired_on = today

    async def _write_new(self, part: Part) -> None:
        table = f"{self._url}/{part.stream}"
        key = f"{table}/{part.day}"
        mark = crc32("\n".join(sorted(file.path for file in part.files)).encode())
        written = self._notes.written
        if written.get(key) == mark:
            return
        is_anew = written.get(table, part.created_us) != part.created_us
        if not written:  # a table names its store, which must know its name from then on
            await self._keep_notes()
        await asyncio.to_thread(self._write, table, part, is_anew=is_anew)
        self.commits += 1
        self.rows += sum(file.rows for file in part.files)
        if is_anew:
            for known in [known for known in written if known.startswith(f"{table}/")]:
                del written[known]
        written |= {table: part.created_us, key: mark}
        await self._keep_notes()
        if monotonic_s() - self._swept_s.get(table, float("-inf")) > SWEEP_S:
            await asyncio.to_thread(self._sweep, table)
            self._swept_s[table] = monotonic_s()

    async def _keep_notes(self) -> None:
        content = msgspec.json.encode(self._notes)
        await asyncio.to_thread(write_durably, self._data_dir / NOTES, content)

    def _write(self, table: str, part: Part, *, is_anew: bool) -> None:
        """Put the rows of a date in the place of what the table has of it, or of all it has. Blocking."""
        from deltalake import write_deltalake

        write_deltalake(
            self._owned(table) or table,
            pa.RecordBatchReader.from_batches(part.schema, _batches(part)),
            mode="overwrite",
            schema_mode="overwrite" if is_anew else "merge",
            predicate=None if is_anew else f"{part.date_column} = '{part.day}'",
            partition_by=[part.date_column],
            description=f"{_OWNER}{self._notes.id}",
            storage_options=self._storage(),
        )

    def _take_out(self, table: str) -> None:
        """Delete a table's dates that are not kept any more, and what such deletes have left. Blocking."""
        found = self._owned(table)
        if found is None:
            return
        (column,) = found.metadata().partition_columns
        days = [date.fromisoformat(one[column]) for one in found.partitions()]
        first = self._first_kept(max(days, default=date.max))
        if any(day < first for day in days):
            found.delete(f"{column} < '{first}'")
            _log.info("lake_retired", table=table, before=str(first))
        self._sweep(table)

    def _owned(self, table: str) -> DeltaTable | None:
        """Return a table that is there and this store's; StorageError when it is another's. Blocking."""
        found = self._open(table)
        if found is None:
            return None
        owner = found.metadata().description or ""
        if owner == f"{_OWNER}{self._notes.id}":
            return found
        if owner.startswith(_OWNER) and not self._take_over:
            raise StorageError(
                f"{table} is the table of another store ({owner.removeprefix(_OWNER)}), whose rows would be "
                "replaced: name another store.lake.url, or, if that one is no more, set store.lake.take_over"
            )
        found.alter.set_table_description(f"{_OWNER}{self._notes.id}")
        return self._open(table)

    def _open(self, table: str) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            return DeltaTable(table, storage_options=self._storage())
        except TableNotFoundError:
            return None

    def _sweep(self, table: str) -> None:
        """Delete files no commit of the last hour had, also of a write that was cut short. Blocking."""
        found = self._open(table)
        if found is not None:
            found.vacuum(KEPT_H, dry_run=False, enforce_retention_duration=False, full=True)

    def _storage(self) -> dict[str, str] | None:
        return {name: value.reveal() for name, value in self._options.items()} or None


def _today() -> date:
    return datetime.fromtimestamp(wall_ns() / 1e9, BEIJING).date()


@dataclass(frozen=True, slots=True)
class Part:
    """The files of one date of a stream, below `directory`. `created_us` tells streams of one name apart."""

    stream: str
    day: date
    directory: Path
    files: list[DataFile]
    schema: pa.Schema
    date_column: str
    created_us: int = 0


def market_parts(data_dir: Path, state: State) -> Iterator[Part]:
    """Yield the parts of the market's streams, oldest first."""
    for (stream, day), files in grouped(state).items():
        schema = BAR_SCHEMA if stream == BAR_1M else ROW_SCHEMA
        yield Part(stream, day, data_dir, files, schema, TRADING_DATE)


def table_parts(directory: Path, state: State, find: Callable[[str], Definition | None]) -> Iterator[Part]:
    """Yield the parts of users' streams, oldest first; their date is in a column no user's is called."""
    for (stream, day), files in grouped(state).items():
        definition = find(stream)
        if definition is None:
            continue
        names = {column.name.lower() for column in definition.columns}
        column = DATE_COLUMN
        while column in names:
            column += "_"
        schema = definition.schema.append(pa.field(column, pa.date32()))
        yield Part(stream, day, directory, files, schema, column, definition.created_us)


def grouped(state: State) -> dict[tuple[str, date], list[DataFile]]:
    """Return the files of each stream and date, oldest first."""
    found: dict[tuple[str, date], list[DataFile]] = {}
    for file in sorted(state.files, key=lambda one: (one.day, one.stream, one.path)):
        found.setdefault((file.stream, file.day), []).append(file)
    return found


def _batches(part: Part) -> Iterator[pa.RecordBatch]:
    for file in part.files:
        parquet = pq.ParquetFile(part.directory / file.path)
        there = set(parquet.schema_arrow.names)
        for batch in parquet.iter_batches(65_536, columns=[n for n in part.schema.names if n in there]):
            yield pa.RecordBatch.from_arrays(
                [_column(batch, field, part) for field in part.schema], schema=part.schema
            )


def _column(batch: pa.RecordBatch, field: pa.Field, part: Part) -> pa.Array:
    if field.name in batch.schema.names:
        return batch.column(field.name).cast(field.type)
    if field.name == part.date_column:
        return pa.repeat(pa.scalar(part.day, field.type), batch.num_rows)
    return pa.nulls(batch.num_rows, field.type)
