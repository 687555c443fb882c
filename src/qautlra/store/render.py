"""Arrow tables to the bytes of an answer, piece by piece: JSON array, records, NDJSON, CSV, Arrow, Parquet.

A renderer belongs to one answer. `piece` may run in a thread; pieces come one after the other.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from qautlra._core.store import render_json
from qautlra.model.query import QueryFormat
from qautlra.store.answer import Chunk


class Renderer(ABC):
    """`head` + pieces + `tail` is the whole answer."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def head(self) -> bytes:
        """Return what comes before the first row."""
        return b""

    @abstractmethod
    def piece(self, table: pa.Table) -> Chunk:
        """Return some more rows."""

    def tail(self) -> bytes:
        """Return what comes after the last row."""
        return b""


class JsonArray(Renderer):
    """`[{...},{...}]`, or with `records` `{"fields":[...],"records":[...]}`."""

    def __init__(self, schema: pa.Schema, records: bool = False) -> None:
        super().__init__(schema)
        self._records = records
        self._separator = b""

    def head(self) -> bytes:
        """Open the array."""
        return b'{"fields":' + orjson.dumps(self.schema.names) + b',"records":[' if self._records else b"["

    def piece(self, table: pa.Table) -> bytes:
        """Return rows with the commas between them, and one before when rows went before."""
        parts: list[bytes | memoryview] = []
        for batch in table.to_batches():
            if batch.num_rows:
                parts += (self._separator, memoryview(render_json(batch))[1:-1])
                self._separator = b","
        return b"".join(parts)

    def tail(self) -> bytes:
        """Close the array."""
        return b"]}" if self._records else b"]"


class JsonLines(Renderer):
    """One object per line."""

    def piece(self, table: pa.Table) -> bytes:
        """Return whole lines."""
        return b"".join(render_json(batch, mode="ndjson") for batch in table.to_batches())


class Csv(Renderer):
    """A header line, then rows; no value is an empty field, times are RFC 3339."""

    def head(self) -> bytes:
        """Return the header line."""
        names = [name.replace('"', '""') for name in self.schema.names]  # SQL calls a column what it likes
        return (",".join(f'"{name}"' for name in names) + "\n").encode()

    def piece(self, table: pa.Table) -> bytes:
        """Return whole lines."""
        out = io.BytesIO()
        csv.write_csv(readable_times(table), out, csv.WriteOptions(include_header=False))
        return out.getvalue()


class ArrowStream(Renderer):
    """One Arrow IPC stream."""

    def head(self) -> bytes:
        """Return the schema message."""
        return bytes(self.schema.serialize())

    def piece(self, table: pa.Table) -> Chunk:
        """Return record batch messages."""
        # Rows of the hot tier have their texts as dictionaries; the stream has none.
        plain = table if table.schema == self.schema else table.cast(self.schema)
        batches = plain.combine_chunks().to_batches()
        messages = [memoryview(batch.serialize()) for batch in batches]
        return messages[0] if len(messages) == 1 else b"".join(messages)

    def tail(self) -> bytes:
        """Return the end-of-stream mark."""
        return b"\xff\xff\xff\xff\0\0\0\0"


class Parquet(Renderer):
    """One Parquet file (zstd); row groups leave as they are made."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__(schema)
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(_Counting(self._sink), schema, compression="zstd")

    def piece(self, table: pa.Table) -> bytes:
        """Return row groups."""
        self._writer.write_table(table.cast(self.schema))
        return _taken(self._sink)

    def tail(self) -> bytes:
        """Return the footer."""
        self._writer.close()
        return _taken(self._sink)


class _Counting(io.RawIOBase):
    """Tells a Parquet writer how much it has written, though what was written leaves the buffer."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        size = self._sink.write(data)
        self._written += size
        return size


def _taken(sink: io.BytesIO) -> bytes:
    text = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return text


def readable_times(table: pa.Table) -> pa.Table:
    """Return the table with every timestamp as an RFC 3339 text, one without a zone as a text without."""
    for at, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            form = "%Y-%m-%dT%H:%M:%S" + ("Z" if column.type.tz is not None else "")
            table = table.set_column(at, column.name, pc.strftime(table.column(at), form))
    return table


def renderer(form: QueryFormat, schema: pa.Schema) -> Renderer:
    """Return a renderer for one answer."""
    match form:
        case QueryFormat.NDJSON:
            return JsonLines(schema)
        case QueryFormat.CSV:
            return Csv(schema)
        case QueryFormat.ARROW:
            return ArrowStream(schema)
        case QueryFormat.PARQUET:
            return Parquet(schema)
    return JsonArray(schema, records=form is QueryFormat.RECORDS)
