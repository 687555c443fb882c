"""The cold tier as open tables beside the store: one Delta table a stream, on a disk or in object storage.

A date is written whole, in one commit that takes the place of what the table had of it, whenever its files
changed; so a date is there as it was at one moment, each row once, however often this is cut short. Of the
market's streams it is the trading date, of users' the date their files are of, in a column of its own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from qautlra.base import log, metrics
from qautlra.base.errors import ConfigError
from qautlra.base.secret import Secret
from qautlra.base.service import Service
from qautlra.store.catalogue import DataFile, State, write_durably
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, ROW_SCHEMA, TRADING_DATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qautlra.store.tables.definition import Definition

NOTES = "lake.json"
DATE_COLUMN = "p_file_date"
RETRY_S = 10.0
_log = log.get_logger("store")


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
        self._written: dict[str, int] = {}
        self.commits = 0
        self.rows = 0
        self.error = ""

    async def start(self) -> None:
        """Remember what is written, and begin."""
        path = self._data_dir / NOTES
        try:
            self._written = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            self._written = {}  # everything is written again, in place of itself
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
            for part in list(self._parts()):
                try:
                    await self._write_new(part)
                except Exception as error:  # the client's errors have no common root
                    text = f"{part.stream}: {type(error).__name__}: {error}"[:500]
                    if text != self.error:
                        _log.error("lake_held_up", error=text)
                    held_up, wait_s = held_up or text, min(RETRY_S, self._interval_s)
            self.error = held_up
            await asyncio.sleep(wait_s)

    async def _write_new(self, part: Part) -> None:
        table = f"{self._url}/{part.stream}"
        key = f"{table}/{part.day}"
        mark = crc32("\n".join(sorted(file.path for file in part.files)).encode())
        if self._written.get(key) == mark:
            return
        is_anew = self._written.get(table, part.created_us) != part.created_us
        await asyncio.to_thread(self._write, table, part, is_anew=is_anew)
        self.commits += 1
        self.rows += sum(file.rows for file in part.files)
        if is_anew:
            gone = [known for known in self._written if known.startswith(f"{table}/")]
            for known in gone:
                del self._written[known]
        self._written |= {table: part.created_us, key: mark}
        content = msgspec.json.encode(self._written)
        await asyncio.to_thread(write_durably, self._data_dir / NOTES, content)

    def _write(self, table: str, part: Part, *, is_anew: bool) -> None:
        """Put the rows of a date in the place of what the table has of it, or of all it has. Blocking."""
        from deltalake import write_deltalake

        write_deltalake(
            table,
            pa.RecordBatchReader.from_batches(part.schema, _batches(part)),
            mode="overwrite",
            schema_mode="overwrite" if is_anew else "merge",
            predicate=None if is_anew else f"{part.date_column} = '{part.day}'",
            partition_by=[part.date_column],
            storage_options={name: value.reveal() for name, value in self._options.items()} or None,
        )


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
