"""Row groups of Parquet files: rows of ours natively where they can be sent as they are, by pyarrow else.

Of all rows the columns that hold something are decoded, those of nothing are shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qautlra._core.parquet import Columns, ParquetFile
from qautlra.store.footers import Footer
from qautlra.store.schema import INSTRUMENT, TIME, narrowed

# Rows of the columns of nothing that all answers share.
NOTHING_ROWS = 16_384
# Choices of columns a file remembers where to find.
COLUMNS_COUNT = 64


@dataclass(frozen=True, slots=True)
class Group:
    """Decoded columns of a row group; `rest` are those of one value (None: of none)."""

    rows: int
    columns: dict[str, pa.ChunkedArray]
    rest: dict[str, Any]

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
    """A Parquet file that is open, even when its name is gone by now. Any thread. `message` needs `own`."""

    def __init__(self, path: str, footer: Footer, own: ParquetFile | None = None) -> None:
        self.footer = footer
        self._path = path
        self._own = own
        self._is_foreign = False
        self._columns: dict[tuple[str, ...], Columns] = {}
        self._source = pa.OSFile(path)
        self._idle: list[pq.ParquetFile] = []  # making one takes a third of decoding a group

    def message(
        self,
        at: int,
        names: tuple[str, ...],
        schema: pa.Schema,
        symbol: str,
        low_us: int,
        stop_us: int,
        limit: int | None,
        *,
        descending: bool = False,
        may_wait: bool = True,
        head: bytes = b"",
        tail: bytes = b"",
    ) -> tuple[bytes, int, int, int] | None:
        """As `ParquetFile.read` of these columns; None too when one is not of the schema's type. Blocking."""
        assert self._own is not None
        columns = self._found(names, schema)
        if columns is None:
            return None
        is_only = self.footer.first[at] == self.footer.last[at] == symbol
        return self._own.read(
            at, columns, symbol, low_us, stop_us,
            limit=limit, is_only=is_only, descending=descending, may_wait=may_wait, head=head, tail=tail,
        )  # fmt: skip

    def all_rows(self, at: int, names: tuple[str, ...], schema: pa.Schema) -> tuple[bytes, int] | None:
        """As `ParquetFile.read_all` of these columns; None too as `message`. Blocking."""
        if self._own is None and not self._is_foreign:
            try:
                self._own = ParquetFile(self._path)
            except OSError:  # not to be read natively, or its name is gone by now
                self._is_foreign = True
        columns = None if self._own is None else self._found(names, schema)
        if self._own is None or columns is None:
            return None
        return self._own.read_all(at, columns)

    def _found(self, names: tuple[str, ...], schema: pa.Schema) -> Columns | None:
        """Return where columns are; None when one is not of the schema's type."""
        columns = self._columns.get(names)
        if columns is None:
            schema = narrowed(schema, names)
            if not self.footer.has_types_of(schema):
                return None
            live = {name: at for name, at in self.footer.places.items() if name not in self.footer.empty}
            if len(self._columns) >= COLUMNS_COUNT:
                self._columns.clear()
            columns = self._columns[names] = Columns(schema, live, TIME, INSTRUMENT)
        return columns

    def rows(
        self,
        at: int,
        schema: pa.Schema,
        symbol: str,
        low_us: int,
        stop_us: int,
        limit: int | None,
        descending: bool,
    ) -> pa.Table | None:
        """Return what `message` holds as a table. Blocking."""
        names = tuple(schema.names)
        found = self.message(at, names, schema, symbol, low_us, stop_us, limit, descending=descending)
        if found is None:
            return None
        if not found[1]:
            return schema.empty_table()
        return pa.Table.from_batches([pa.ipc.read_record_batch(pa.py_buffer(found[0]), schema)])

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
    return _shared_nothing(kind, NOTHING_ROWS).slice(0, count)


@cache
def _shared_nothing(kind: pa.DataType, count: int) -> pa.Array:
    return pa.nulls(count, kind)
