"""Row groups of Parquet files decoded: columns that hold something are read, those of nothing are shared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

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


def read_group(
    source: Any, footer: Footer, at: int, schema: pa.Schema, *, use_threads: bool = False
) -> Group:
    """Return a row group decoded; `source` is a path or an open file. Blocking."""
    live, rest = group_columns(footer, at, schema)
    with pq.ParquetFile(source, metadata=footer.meta) as file:
        places = [footer.places[name] for name in live]
        table = file.reader.read_row_group(at, column_indices=places, use_threads=use_threads)
    wanted = pa.schema([schema.field(name) for name in table.column_names])
    if table.schema != wanted:
        table = table.cast(wanted)
    return Group(table.num_rows, dict(zip(wanted.names, table.columns, strict=True)), rest)


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


def _nothing(kind: pa.DataType, count: int) -> pa.Array:
    if count > NOTHING_ROWS:
        return pa.nulls(count, kind)
    return _shared_nothing(kind).slice(0, count)


@cache
def _shared_nothing(kind: pa.DataType) -> pa.Array:
    return pa.nulls(NOTHING_ROWS, kind)
