"""Row groups of Parquet files decoded: columns that hold something are read, those of nothing are shared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qautlra.store.footers import Footer
from qautlra.store.schema import INSTRUMENT

# Rows of the columns of nothing that all answers share.
NOTHING_ROWS = 16_384
CELL_BYTES = 8


@dataclass(frozen=True, slots=True)
class Group:
    """Decoded columns of a row group; `rest` are those of one value (None: of none)."""

    rows: int
    columns: dict[str, pa.ChunkedArray]
    rest: dict[str, Any]

    @property
    def bytes(self) -> int:
        """About what the columns take in memory."""
        return self.rows * len(self.columns) * CELL_BYTES

    def slice(self, start: int, stop: int, schema: pa.Schema) -> pa.Table:
        """Return rows of the group."""
        count = stop - start
        arrays = []
        for name, kind in zip(schema.names, schema.types, strict=True):
            column = self.columns.get(name)
            if column is not None:
                arrays.append(column.slice(start, count))
                continue
            value = self.rest[name]
            arrays.append(
                _nothing(kind, count) if value is None else pa.repeat(pa.scalar(value, kind), count)
            )
        return pa.Table.from_arrays(arrays, schema=schema)


class GroupFile:
    """A Parquet file that is open, even when its name is gone by now. Any thread."""

    def __init__(self, path: str, footer: Footer) -> None:
        self.footer = footer
        self._source = pa.OSFile(path)
        self._idle: list[pq.ParquetFile] = []  # making one takes a third of decoding a group

    def read(self, at: int, schema: pa.Schema) -> Group:
        """Return a row group decoded. Blocking."""
        live, rest = group_columns(self.footer, at, schema)
        try:
            file = self._idle.pop()
        except IndexError:  # all are in use by other threads
            file = pq.ParquetFile(self._source, metadata=self.footer.meta)
        places = [self.footer.places[name] for name in live]
        table = file.reader.read_row_group(at, column_indices=places, use_threads=True)
        self._idle.append(file)
        wanted = pa.schema([schema.field(name) for name in live])
        if table.schema != wanted:
            table = table.cast(wanted)
        return Group(table.num_rows, dict(zip(live, table.columns, strict=True)), rest)


def group_columns(footer: Footer, at: int, schema: pa.Schema) -> tuple[list[str], dict[str, Any]]:
    """Return the columns of a group that have to be read, and the one value (or None) of the others."""
    live: list[str] = []
    rest: dict[str, Any] = {}
    for name in schema.names:
        if name in footer.empty or name not in footer.places:
            rest[name] = None
        elif name == INSTRUMENT and footer.first[at] == footer.last[at]:
            rest[name] = footer.first[at]
        else:
            live.append(name)
    return live, rest


def moments(times: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return a column of times, none of them missing, as Unix microseconds."""
    found: np.ndarray[Any, np.dtype[np.int64]] = times.to_numpy().view(np.int64)
    return found


def selected(table: pa.Table, names: tuple[str, ...]) -> pa.Table:
    """Return these columns of a table; the table itself when it has no other."""
    return table if table.schema.names == list(names) else table.select(names)


def _nothing(kind: pa.DataType, count: int) -> pa.Array:
    if count > NOTHING_ROWS:
        return pa.nulls(count, kind)
    return _shared_nothing(kind).slice(0, count)


@cache
def _shared_nothing(kind: pa.DataType) -> pa.Array:
    return pa.nulls(NOTHING_ROWS, kind)
