"""A sealed log segment becomes Parquet files: each row once, then the manifest, then the segment may go.

Files are written in a process of their own (`filework`), the manifest by the store. Every step can be cut
short and done again: names follow from log positions, and nothing counts until the manifest says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra._core.journal import JournalError
from qautlra._core.store import segment_to_arrow
from qautlra.base import log
from qautlra.store.catalogue import Catalogue, DataFile, State, write_durably
from qautlra.store.parquet import Layout, write_partitions
from qautlra.store.schema import INSTRUMENT, ORDINAL, ROW_SCHEMA, TIME

IDENTITY = (INSTRUMENT, TIME, ORDINAL)

_log = log.get_logger("store")


class Compactor:
    """The store's part: what a filed segment makes of the manifest, and the newest rows of the files."""

    def __init__(self, catalogue: Catalogue, layout: Layout) -> None:
        self._catalogue = catalogue
        self.layout = layout
        self.latest = ROW_SCHEMA.empty_table()

    def load(self) -> None:
        """Read the newest rows as of the watermark. Blocking."""
        self.latest = read_latest(self._catalogue.data_dir, self._catalogue.state)

    def filed(self, files: tuple[DataFile, ...], latest: str, last_lsn: int) -> State:
        """Write the manifest that says a segment is in files; return the state to adopt. Blocking."""
        state = self._catalogue.state
        days = {file.day for file in files}
        replaced = msgspec.structs.replace(
            state,
            watermark_lsn=last_lsn,
            latest=latest,
            # Bars of a day that got rows are made again.
            files=(*(file for file in state.files if not (file.is_made and file.day in days)), *files),
            bar_days=tuple(day for day in state.bar_days if day not in days),
        )
        self._catalogue.store(replaced)
        if latest != state.latest:
            self.latest = read_latest(self._catalogue.data_dir, replaced)
        return replaced

    def tidy(self) -> None:
        """Delete what no manifest names any more: older newest-row files and unfinished ones. Blocking."""
        data_dir = self._catalogue.data_dir
        keep = self._catalogue.state.latest
        stale = [path for path in data_dir.glob("latest-*.arrow") if path.name != keep]
        for path in (*stale, *data_dir.glob(".*.tmp"), *data_dir.glob("stream=*/date=*/**/.*.tmp")):
            path.unlink(missing_ok=True)


def read_latest(data_dir: Path, state: State) -> pa.Table:
    """Return the newest row of every instrument, of all files when their own is gone. Blocking."""
    if state.latest:
        try:
            with pa.memory_map(str(data_dir / state.latest)) as file:
                return pa.ipc.open_file(file).read_all()
        except (OSError, pa.ArrowException):
            pass
    latest = ROW_SCHEMA.empty_table()
    for file in state.files:
        if file.last_lsn:
            table = pq.read_table(data_dir / file.path, schema=ROW_SCHEMA, partitioning=None)
            latest = newest([latest, newest([table])])
    return latest


def file_segment(
    data_dir: Path, state: State, path: str, first_lsn: int, last_lsn: int, layout: Layout
) -> tuple[list[DataFile], str]:
    """Write what a segment holds and `state` does not; return the files, and the name of the newest rows'.

    Doing it again replaces them. Blocking.
    """
    known = read_latest(data_dir, state)
    table = _once(data_dir, state, known, ordered(read_segment(path).cast(ROW_SCHEMA)))
    files = write_partitions(data_dir, table, first_lsn, last_lsn, layout, tag=state.generation)
    name = state.latest
    if table.num_rows:
        name = f"latest-{last_lsn:020d}.arrow"
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, ROW_SCHEMA) as writer:
            writer.write_table(newest([known, table]))
        write_durably(data_dir / name, sink.getvalue())
    return files, name


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


def generation_of(file: DataFile) -> int:
    """Return which numbers of the log a file is named by."""
    parts = file.path.rsplit("/", 1)[-1].removesuffix(".parquet").split("-")
    return int(parts[2]) if len(parts) > 2 else 0


def _once(data_dir: Path, state: State, latest: pa.Table, table: pa.Table) -> pa.Table:
    """Leave out rows that are there already: repeated in the segment, or late copies of filed ones."""
    table = without_repeats(table, IDENTITY)
    if latest.num_rows and table.num_rows:
        place = pc.index_in(table.column(INSTRUMENT), latest.column(INSTRUMENT).combine_chunks())
        newest_filed = latest.column(TIME).take(place)
        late = pc.fill_null(pc.less_equal(table.column(TIME), newest_filed), False)
        if pc.any(late).as_py():
            table = _without_filed(data_dir, state, table, late)
    return table


def _without_filed(data_dir: Path, state: State, table: pa.Table, late: pa.ChunkedArray) -> pa.Table:
    suspects = table.select(IDENTITY).filter(late)
    low, high = pc.min_max(suspects.column(TIME).cast(pa.int64())).as_py().values()
    symbols = frozenset(suspects.column(INSTRUMENT).unique().to_pylist())
    parts = {file.stream for file in state.files if file.last_lsn}
    files = state.overlapping(parts, low, high + 1, symbols)
    paths = [str(data_dir / file.path) for file in files]
    filed = stored_identities(paths, suspects.column(INSTRUMENT).unique(), low, high)
    return ordered(table.join(filed, list(IDENTITY), join_type="left anti").select(table.column_names))


def stored_identities(paths: Iterable[str], symbols: pa.Array, low_us: int, high_us: int) -> pa.Table:
    """Return the identities of the rows of `symbols` in the files with low <= time <= high. Blocking."""
    moment = ROW_SCHEMA.field(TIME).type
    wanted = (
        pc.field(INSTRUMENT).isin(symbols)
        & (pc.field(TIME) >= pa.scalar(low_us, moment))
        & (pc.field(TIME) <= pa.scalar(high_us, moment))
    )
    schema = pa.schema([ROW_SCHEMA.field(name) for name in IDENTITY])
    tables = [
        pq.read_table(path, columns=list(IDENTITY), filters=wanted, schema=schema, partitioning=None)
        for path in paths
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def ordered(table: pa.Table, keys: tuple[str, ...] = IDENTITY) -> pa.Table:
    """Return the rows by `keys` (instrument, then time, then ordinal); the table itself when they are."""
    if _is_ordered(table, keys):
        return table
    return table.sort_by([(name, "ascending") for name in keys])


def _is_ordered(table: pa.Table, keys: tuple[str, ...]) -> bool:
    count = table.num_rows
    later = None
    for name in reversed(keys):
        column = table.column(name)
        before, after = column.slice(0, max(count - 1, 0)), column.slice(1)
        above = pc.greater(after, before)
        # the least of them may repeat, a greater one decides, equal ones leave it to the next
        later = (
            pc.greater_equal(after, before)
            if later is None
            else pc.or_(above, pc.and_(pc.equal(after, before), later))
        )
    return bool(pc.all(later, min_count=0).as_py())


def without_repeats(table: pa.Table, keys: tuple[str, ...]) -> pa.Table:
    """Return an ordered table with the first of each run of rows equal in `keys`."""
    count = table.num_rows
    if count < 2:
        return table
    different = pa.chunked_array([], pa.bool_())
    for at, name in enumerate(keys):
        column = table.column(name)
        unequal = pc.not_equal(column.slice(1), column.slice(0, count - 1))
        different = pc.or_(different, unequal) if at else unequal
    if pc.all(different).as_py():
        return table
    return table.filter(pa.chunked_array([pa.array([True]), *different.chunks]))


def newest(tables: list[pa.Table]) -> pa.Table:
    """Return the newest row of each instrument among the tables, ordered by instrument."""
    table = ordered(pa.concat_tables(tables))
    count = table.num_rows
    if count < 2:
        return table
    symbols = table.column(INSTRUMENT)
    last = pc.not_equal(symbols.slice(1), symbols.slice(0, count - 1))
    return table.filter(pa.chunked_array([*last.chunks, pa.array([True])]))
