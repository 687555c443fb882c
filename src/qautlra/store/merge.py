"""Files of one partition become one: all rows in order, each once, a few instruments in memory at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra.store.catalogue import DataFile, Extent, entry, sync_directory
from qautlra.store.compaction import IDENTITY, generation_of, ordered, without_repeats
from qautlra.store.parquet import Layout, empty_columns, write_parts
from qautlra.store.schema import INSTRUMENT, ROW_SCHEMA

# Written once, read for years.
MERGED_LEVEL = 7
# Of each file in memory at a time, unless one instrument has more.
LOAD_ROWS = 16_384


def merge(data_dir: Path, files: Sequence[DataFile], layout: Layout, load_rows: int = LOAD_ROWS) -> DataFile:
    """Write one file with the rows of several, each once; the caller puts it in their place. Blocking."""
    sources = [_Source(data_dir / file.path, load_rows) for file in files]
    first, last = min(file.first_lsn for file in files), max(file.last_lsn for file in files)
    tag = generation_of(files[0])
    name = f"{first:020d}-{last:020d}" + (f"-{tag}" if tag else "") + ".parquet"
    path = (data_dir / files[0].path).with_name(name)
    extent = Extent()
    empty = frozenset.intersection(*(source.empty for source in sources))
    layout = dataclasses.replace(layout, level=MERGED_LEVEL)
    write_parts(path, _noted(_united(sources), extent), ROW_SCHEMA, empty, layout)
    sync_directory(path.parent)
    return entry(data_dir, path, extent, files[0].stream, files[0].day, first, last)


class _Source:
    """The rows of a file in order, some row groups of them in memory. Blocking."""

    def __init__(self, path: Path, load_rows: int) -> None:
        self._file = pq.ParquetFile(path)
        meta = self._file.metadata
        there = {meta.schema.column(i).path for i in range(meta.num_columns)}
        self._names = [name for name in ROW_SCHEMA.names if name in there]
        self.empty = empty_columns(meta) | (set(ROW_SCHEMA.names) - there)
        self._sizes = [meta.row_group(at).num_rows for at in range(meta.num_row_groups)]
        self._load_rows = load_rows
        self._next = 0
        self.rows = ROW_SCHEMA.empty_table()

    @property
    def is_read(self) -> bool:
        """Whether all that is left of the file is in memory."""
        return self._next == len(self._sizes)

    @property
    def last_symbol(self) -> str:
        """The last instrument in memory."""
        symbol: str = self.rows.column(INSTRUMENT)[-1].as_py()
        return symbol

    def load(self) -> None:
        """Read on."""
        groups, rows = [], 0
        while rows < self._load_rows and not self.is_read:
            groups.append(self._next)
            rows += self._sizes[self._next]
            self._next += 1
        read = self._file.read_row_groups(groups, columns=self._names)
        columns = [
            read.column(field.name).cast(field.type)
            if field.name in self._names
            else pa.nulls(rows, field.type)
            for field in ROW_SCHEMA
        ]
        more = pa.table(columns, schema=ROW_SCHEMA)
        self.rows = pa.concat_tables([self.rows, more]) if self.rows.num_rows else more

    def take_below(self, symbol: str | None) -> pa.Table:
        """Give the rows of instruments before this one, all for None, and keep the others."""
        if symbol is None:
            count = self.rows.num_rows
        else:
            count = pc.sum(pc.less(self.rows.column(INSTRUMENT), symbol), min_count=0).as_py()
        taken, self.rows = self.rows.slice(0, count), self.rows.slice(count)
        return taken


def _united(sources: list[_Source]) -> Iterator[pa.Table]:
    """Yield the rows of all in order, each once, cut between instruments."""
    while True:
        for source in sources:
            if not source.rows.num_rows and not source.is_read:
                source.load()
        held = [source for source in sources if source.rows.num_rows]
        if not held:
            return
        # Of the first instrument that a file may have more of, and of later ones, not all is in memory.
        bound = min((source.last_symbol for source in held if not source.is_read), default=None)
        parts = [part for source in held if (part := source.take_below(bound)).num_rows]
        if parts:
            yield without_repeats(ordered(pa.concat_tables(parts)), IDENTITY)
            continue
        for source in held:
            if not source.is_read and source.last_symbol == bound:
                source.load()


def _noted(tables: Iterator[pa.Table], extent: Extent) -> Iterator[pa.Table]:
    for table in tables:
        extent.add(table)
        yield table
