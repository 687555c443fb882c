"""Stored rows into files: CSV, Parquet or Arrow; written aside and put in place when whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from qautlra.base.errors import InputError, StorageError
from qautlra.model.query import QueryFormat
from qautlra.store.render import Renderer, renderer

ExportFormat = Literal["csv", "parquet", "arrow"]
SUFFIXES: dict[str, ExportFormat] = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".ipc": "arrow", ".feather": "arrow",
}  # fmt: skip


def format_of(path: Path) -> ExportFormat:
    """Return the format a file name asks for; InputError when it asks for none."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise InputError(f"{path}: the name must end in one of {', '.join(SUFFIXES)}, or a format be given")
    return form


class _Writer(Protocol):
    def write(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


class _Rendered:
    def __init__(self, file: BinaryIO, render: Renderer) -> None:
        self._file = file
        self._render = render
        file.write(render.head())

    def write(self, table: pa.Table) -> None:
        self._file.write(self._render.piece(table))

    def close(self) -> None:
        self._file.write(self._render.tail())


class _Arrow:
    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(file, schema)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


class _Parquet:
    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(file, schema, compression="zstd")

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


async def export_tables(
    tables: AsyncIterator[pa.Table],
    schema: pa.Schema,
    path: Path,
    form: ExportFormat,
    progress: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write the tables to `path`, replacing it when all are written; return the rows. Told: rows so far."""
    loop = asyncio.get_running_loop()
    aside = path.with_name(f".{path.name}.part")
    rows = 0
    try:
        with ThreadPoolExecutor(1, "export") as thread:
            file = aside.open("wb")
            try:
                writer = await loop.run_in_executor(thread, _writer, file, schema, form)
                async for table in tables:
                    await loop.run_in_executor(thread, writer.write, table.select(schema.names).cast(schema))
                    rows += table.num_rows
                    progress(rows)
                await loop.run_in_executor(thread, writer.close)
            finally:
                file.close()
        aside.rename(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)
    return rows


def _writer(file: BinaryIO, schema: pa.Schema, form: ExportFormat) -> _Writer:
    match form:
        case "csv":
            return _Rendered(file, renderer(QueryFormat.CSV, schema))
        case "arrow":
            return _Arrow(file, schema)
        case "parquet":
            return _Parquet(file, schema)
