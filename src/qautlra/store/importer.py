"""Recorded rows into the store: CTP batches and our own files; what is stored already changes nothing.

Reading happens in a thread, one batch ahead. Files of CTP columns are opened by the caller (`RecordedFile`);
our own exports are opened here (`OwnFile`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from qautlra._core.market import CtpNormaliser, Rows
from qautlra._core.store import rows_from_arrow, rows_not_after
from qautlra.base import parquet_in
from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError, QautlraError
from qautlra.store.compaction import stored_identities
from qautlra.store.schema import INSTRUMENT, MARKET_DATA, ORDINAL, ROW_SCHEMA, STREAMS, TIME
from qautlra.store.tables.infer import cast
from qautlra.wire.arrow_size import MAGIC, unpacked_bytes

if TYPE_CHECKING:
    from qautlra._core.market import Calendar, Instruments
    from qautlra.store.catalogue import Catalogue
    from qautlra.store.compaction import Compactor

SLICE_ROWS = 4_096
BATCH_ROWS = 16_384
BAD_LINES_KEPT_COUNT = 20
UNPACKED_BYTES = 1 << 30
"""So much a batch of an Arrow file holds, unpacked."""


_B = TypeVar("_B")


class RecordedFile(Protocol):
    """A file of recorded ticks being read; the counts and `error` are those of the rows so far."""

    path: Path
    rows: int
    bad_rows: int
    bad_lines: list[int]

    @property
    def error(self) -> QautlraError | None:
        """What ended the file early: names file and place."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches in file order; blocking."""


@dataclass(slots=True)
class ImportReport:
    """What an import of one file did so far."""

    path: str
    read_rows: int = 0
    new_rows: int = 0
    known_rows: int = 0
    refused_rows: int = 0
    bad_rows: int = 0
    bad_lines: list[int] = field(default_factory=list)
    new_columns: list[str] = field(default_factory=list)
    error: str = ""
    is_done: bool = False


class Sink(Protocol):
    """Where imported rows go: the store."""

    async def import_rows(self, rows: Rows) -> int:
        """Log the rows not stored yet; return how many that were."""

    async def flush(self) -> None:
        """Wait until they are on the disk."""


async def import_file(
    sink: Sink,
    file: RecordedFile,
    instruments: Instruments,
    calendar: Calendar,
    progress: Callable[[ImportReport], None] = lambda _report: None,
) -> ImportReport:
    """Import one file; `progress` is told after every few thousand rows. Rows before damage are kept."""
    report = ImportReport(str(file.path))
    normaliser = CtpNormaliser(instruments, calendar)
    async for batch in ahead(file.batches()):
        own = INSTRUMENT in batch.schema.names
        for at in range(0, batch.num_rows, SLICE_ROWS):
            part = batch.slice(at, SLICE_ROWS)
            if own:
                rows, refused = rows_from_arrow(part, instruments, dated=True), 0
            else:
                rows, refused = normaliser.rows(
                    part, trust_action_day=True, now_ns=wall_ns(), source="import"
                )
            new = await sink.import_rows(rows)
            report.read_rows += part.num_rows
            report.refused_rows += refused
            report.new_rows += new
            report.known_rows += len(rows) - new
            progress(report)
    report.bad_rows, report.bad_lines = file.bad_rows, list(file.bad_lines)
    report.error = str(file.error) if file.error is not None else ""
    await sink.flush()
    report.is_done = True
    progress(report)
    return report


class OwnFile:
    """A file in our row schema: Parquet, Arrow IPC (file or stream), or CSV with our column names."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rows = 0
        self.bad_rows = 0
        self.bad_lines: list[int] = []
        self.error: QautlraError | None = None

    @classmethod
    def recognises(cls, path: str | Path) -> bool:
        """Whether the file's columns are ours; False also when it cannot be read at all. Blocking."""
        try:
            return {TIME, INSTRUMENT} <= set(_columns(Path(path)))
        except (OSError, pa.ArrowException):
            return False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches with those of our columns the file has; what ends it early is kept in `error`."""
        try:
            for batch in _read(self.path):
                self.rows += batch.num_rows
                if batch.num_rows:
                    yield _ours(batch)
        except (OSError, pa.ArrowException) as error:
            self.error = InputError(f"{self.path}: after {self.rows} rows: {error}")


class KnownRows:
    """Tells rows that are in the files from new ones. What is in the hot tier the log itself knows."""

    def __init__(self, catalogue: Catalogue, compactor: Compactor, instruments: Instruments) -> None:
        self._catalogue = catalogue
        self._compactor = compactor
        self._instruments = instruments
        self._latest: pa.Table | None = None
        self._newest_ns: dict[int, int] = {}

    async def fresh(self, rows: Rows) -> Rows:
        """Return the rows no file holds; until the caller's next await nothing changes that."""
        while True:
            state = self._catalogue.state
            found = await self._fresh(rows)
            if self._catalogue.state is state:
                return found

    async def _fresh(self, rows: Rows) -> Rows:
        suspects = rows_not_after(rows, self._newest())
        if not suspects:
            return rows
        keys = {index: _key(rows, index) for index in suspects}
        times = [key[1] for key in keys.values()]
        symbols = frozenset(key[0] for key in keys.values())
        files = self._catalogue.state.overlapping(
            STREAMS[MARKET_DATA].parts, min(times), max(times) + 1, symbols
        )
        table = await asyncio.get_running_loop().run_in_executor(
            None, stored_identities, self._catalogue.paths(files), pa.array(symbols), min(times), max(times)
        )
        stored = set(
            zip(
                table.column(INSTRUMENT).to_pylist(),
                table.column(TIME).cast(pa.int64()).to_pylist(),
                table.column(ORDINAL).to_pylist(),
                strict=True,
            )
        )
        known = [index for index in suspects if keys[index] in stored]
        if not known:
            return rows
        kept = Rows(self._instruments)
        start = 0
        for index in (*known, len(rows)):
            if index > start:
                kept.extend(rows, start, index)
            start = index + 1
        return kept

    def _newest(self) -> dict[int, int]:
        latest = self._compactor.latest
        if latest is not self._latest:
            self._latest = latest
            times = latest.column(TIME).cast(pa.int64()).to_pylist()
            symbols = latest.column(INSTRUMENT).to_pylist()
            self._newest_ns = {
                self._instruments.intern(symbol): us * 1_000 + 999
                for symbol, us in zip(symbols, times, strict=True)
            }
        return self._newest_ns


def _key(rows: Rows, index: int) -> tuple[str, int, int]:
    return rows.symbol(index), rows.ts_event_ns(index) // 1_000, rows.ordinal(index)


async def ahead(batches: Iterator[_B]) -> AsyncGenerator[_B, None]:
    """Yield what an iterator yields, which runs in a thread, one ahead."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "import") as thread:
        ahead = loop.run_in_executor(thread, next, batches, None)
        while (batch := await ahead) is not None:
            ahead = loop.run_in_executor(thread, next, batches, None)
            yield batch


def _columns(path: Path) -> list[str]:
    kind = path.suffix.lower()
    if kind in (".parquet", ".pq"):
        return parquet_in.columns(path)
    if kind in (".arrow", ".ipc", ".feather"):
        with open_ipc(path) as reader:
            return list(reader.schema.names)
    with pa.input_stream(str(path), compression="detect") as file:
        head = file.read(1 << 16).split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    return [name.strip().strip('"') for name in head.split(",")]


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    kind = path.suffix.lower()
    if kind in (".parquet", ".pq"):
        with closing(parquet_in.batches(path, BATCH_ROWS)) as found:
            yield from found
    elif kind in (".arrow", ".ipc", ".feather"):
        with open_ipc(path) as reader:
            if isinstance(reader, pa.RecordBatchFileReader):
                for index in range(reader.num_record_batches):
                    yield reader.get_batch(index)
            else:
                yield from reader
    else:
        # Times are texts first: they may name a zone or be Beijing's.
        types = {
            column.name: pa.string() if pa.types.is_timestamp(column.type) else column.type
            for column in ROW_SCHEMA
        }
        options = csv.ConvertOptions(column_types=types)
        with (
            pa.input_stream(str(path), compression="detect") as stream,
            csv.open_csv(stream, convert_options=options) as reader,
        ):
            yield from reader


@contextmanager
def open_ipc(path: Path) -> Iterator[pa.RecordBatchFileReader | pa.RecordBatchStreamReader]:
    """Give the reader of an Arrow file or stream; ArrowInvalid: a batch of it is too large to be unpacked."""
    with pa.memory_map(str(path)) as mapped:
        whole = mapped.read_buffer()
        is_file = whole[: len(MAGIC)].to_pybytes() == MAGIC
        if any(size > UNPACKED_BYTES for size in unpacked_bytes(whole)):
            raise pa.ArrowInvalid(f"a batch holds more than {UNPACKED_BYTES >> 20} MiB")
        del whole
    opened = pa.ipc.open_file if is_file else pa.ipc.open_stream
    with pa.OSFile(str(path)) as file, opened(file) as reader:
        yield reader


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind) and pa.types.is_string(values.type):
        values = pc.replace_with_mask(values, pc.equal(values, ""), pa.scalar(None, values.type))
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:  # no zone
            values = values.cast(pa.timestamp("us"))
    return cast(values, kind)


def _ours(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the columns of ours, each with our type; an ordinal that is missing is 0."""
    columns = {
        column.name: _typed(batch.column(column.name), column.type)
        for column in ROW_SCHEMA
        if column.name in batch.schema.names
    }
    if ORDINAL in columns:
        columns[ORDINAL] = pc.fill_null(columns[ORDINAL], 0)
    return pa.RecordBatch.from_pydict(columns)
