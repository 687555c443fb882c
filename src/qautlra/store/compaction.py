"""A sealed log segment becomes Parquet files: each row once, then the manifest, then the segment may go.

Runs in a thread. Every step can be cut short and done again: names follow from log positions, and nothing
counts until the manifest says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra.store.catalogue import Catalogue, State, write_durably
from qautlra.store.parquet import Layout, write_partitions
from qautlra.store.schema import INSTRUMENT, ORDINAL, ROW_SCHEMA, TIME

IDENTITY = (INSTRUMENT, TIME, ORDINAL)

ReadSegment = Callable[[str], pa.Table]


class Compactor:
    """Turns segments into files, one at a time. `read_segment` gives a segment's rows in any order."""

    def __init__(self, catalogue: Catalogue, layout: Layout, read_segment: ReadSegment) -> None:
        self._catalogue = catalogue
        self.layout = layout
        self._read = read_segment
        self.latest = ROW_SCHEMA.empty_table()
        self.dropped = 0

    def load(self) -> None:
        """Read the newest rows as of the watermark, from the files when their own file is gone. Blocking."""
        state = self._catalogue.state
        if state.latest:
            try:
                with pa.memory_map(str(self._catalogue.data_dir / state.latest)) as file:
                    self.latest = pa.ipc.open_file(file).read_all()
                return
            except (OSError, pa.ArrowException):
                pass
        latest = ROW_SCHEMA.empty_table()
        for file in state.files:
            if file.last_lsn:
                table = pq.read_table(
                    self._catalogue.data_dir / file.path, schema=ROW_SCHEMA, partitioning=None
                )
                latest = newest([latest, newest([table])])
        self.latest = latest

    def compact(self, path: str, first_lsn: int, last_lsn: int) -> State:
        """Write what a segment holds, then the manifest; return the state for the loop to adopt. Blocking."""
        state = self._catalogue.state
        table = self._once(ordered(self._read(path).cast(ROW_SCHEMA)), state)
        latest = newest([self.latest, table])
        name = state.latest
        files = write_partitions(
            self._catalogue.data_dir, table, first_lsn, last_lsn, self.layout, tag=state.generation
        )
        if table.num_rows:
            name = f"latest-{last_lsn:020d}.arrow"
            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, ROW_SCHEMA) as writer:
                writer.write_table(latest)
            write_durably(self._catalogue.data_dir / name, sink.getvalue())
        days = {file.day for file in files}
        replaced = msgspec.structs.replace(
            state,
            watermark_lsn=last_lsn,
            latest=name,
            # Bars of a day that got rows are made again.
            files=(*(file for file in state.files if not (file.is_made and file.day in days)), *files),
            bar_days=tuple(day for day in state.bar_days if day not in days),
        )
        self._catalogue.store(replaced)
        self.latest = latest
        return replaced

    def tidy(self) -> None:
        """Delete what no manifest names any more: older newest-row files and unfinished ones. Blocking."""
        data_dir = self._catalogue.data_dir
        keep = self._catalogue.state.latest
        stale = [path for path in data_dir.glob("latest-*.arrow") if path.name != keep]
        for path in (*stale, *data_dir.glob(".*.tmp"), *data_dir.glob("stream=*/date=*/**/.*.tmp")):
            path.unlink(missing_ok=True)

    def _once(self, table: pa.Table, state: State) -> pa.Table:
        """Leave out rows that are there already: repeated in the segment, or late copies of filed ones."""
        rows = table.num_rows
        table = without_repeats(table, IDENTITY)
        if self.latest.num_rows and table.num_rows:
            place = pc.index_in(table.column(INSTRUMENT), self.latest.column(INSTRUMENT).combine_chunks())
            newest_filed = self.latest.column(TIME).take(place)
            late = pc.fill_null(pc.less_equal(table.column(TIME), newest_filed), False)
            if pc.any(late).as_py():
                table = self._without_filed(table, late, state)
        self.dropped += rows - table.num_rows
        return table

    def _without_filed(self, table: pa.Table, late: pa.ChunkedArray, state: State) -> pa.Table:
        suspects = table.select(IDENTITY).filter(late)
        low, high = pc.min_max(suspects.column(TIME).cast(pa.int64())).as_py().values()
        symbols = frozenset(suspects.column(INSTRUMENT).unique().to_pylist())
        parts = {file.stream for file in state.files if file.last_lsn}
        files = state.overlapping(parts, low, high + 1, symbols)
        paths = self._catalogue.paths(files)
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


def ordered(table: pa.Table) -> pa.Table:
    """Return the rows by instrument, then time, then ordinal; the table itself when they are."""
    if _is_ordered(table):
        return table
    return table.sort_by([(name, "ascending") for name in IDENTITY])


def _is_ordered(table: pa.Table) -> bool:
    count = table.num_rows
    later = None
    for name in reversed(IDENTITY):
        column = table.column(name)
        before, after = column.slice(0, max(count - 1, 0)), column.slice(1)
        above = pc.greater(after, before)
        # the least of the three may repeat, a greater one decides, equal ones leave it to the next
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
