"""Rows of an uploaded file in order: Parquet, Arrow, CSV, CSV.gz, NDJSON. Blocking."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import hashlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any, AnyStr, Final, Literal, TypeAlias

import orjson
import pyarrow as pa

from qautlra.base import parquet_in
from qautlra.base.errors import InputError
from qautlra.base.limits import INGEST_BODY_BYTES
from qautlra.model.cells import CellColumn, Cells
from qautlra.store.importer import open_ipc
from qautlra.wire.ingest import check_batch, csv_rows

Form = Literal["parquet", "arrow", "csv", "csv.gz", "ndjson"]
Batch: TypeAlias = "pa.Table | list[dict[str, Any]]"

FORMS: Final = ("parquet", "arrow", "csv", "csv.gz", "ndjson")
BATCH_ROWS = 4_096
LOOKED_ROWS = 65_536
LINE_CHARS = INGEST_BODY_BYTES
"""A line of a text file holds no more than an event that is sent by itself."""


def batches(path: Path, form: Form, total: Callable[[int], None]) -> Iterator[Batch]:
    """Yield the rows of a file in order, BATCH_ROWS at a time; `total` is told how many, where that is known.

    A CSV is looked through before its first row, since what a column is depends on all its cells; meanwhile
    batches without rows come, so that whoever takes them can stop. InputError: the file cannot be read, or
    not further.
    """
    try:
        yield from _batches(path, form, total)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"the file cannot be read: {error}; the rows before it are stored") from None


def digest_of(path: Path) -> str:
    """Return what tells a file's content from every other's: 16 hex digits of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _batches(path: Path, form: Form, total: Callable[[int], None]) -> Iterator[Batch]:
    if form == "parquet":
        with contextlib.closing(parquet_in.batches(path, BATCH_ROWS, total=total)) as found:
            for batch in found:
                yield _checked(batch)
    elif form == "arrow":
        with open_ipc(path) as reader:
            parts: Iterator[pa.RecordBatch] = (
                (reader.get_batch(at) for at in range(reader.num_record_batches))
                if isinstance(reader, pa.RecordBatchFileReader)
                else iter(reader)
            )
            for batch in parts:
                whole = _checked(batch)
                for at in range(0, whole.num_rows, BATCH_ROWS):
                    yield whole.slice(at, BATCH_ROWS)
    elif form == "ndjson":
        with path.open("rb") as file:
            yield from _some(_lines(file))
    else:
        columns: dict[str, CellColumn] = {}
        with _text(path) as text:
            for rows in _look(text, columns):
                total(rows)
                yield Cells(())
        with _text(path) as text:
            for some in _some(_cells(text)):
                yield Cells(some, columns)


def _look(file: IO[str], columns: dict[str, CellColumn]) -> Iterator[int]:
    """Note what the columns of a CSV say, up to what is none; yield how many rows were seen, now and then."""
    rows = 0
    with contextlib.suppress(InputError):  # told when its line is come to
        for rows, event in enumerate(csv_rows(_read(file)), 1):
            for name, cell in event.items():
                if cell is not None:
                    column = columns.get(name)
                    if column is None:
                        column = columns[name] = CellColumn(cell)
                    column.note(cell)
            if rows % LOOKED_ROWS == 0:
                yield rows
    yield rows


def _some(events: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    try:
        for event in events:
            rows.append(event)
            if len(rows) >= BATCH_ROWS:
                yield rows
                rows = []
    except InputError:
        if rows:
            yield rows  # those before what cannot be read
        raise
    if rows:
        yield rows


def _checked(batch: pa.RecordBatch) -> pa.Table:
    check_batch(batch)
    return pa.Table.from_batches([batch])


def _text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _lines(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_read(file), 1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if not text.strip():
            continue
        try:
            event = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InputError(f"line {number} is not JSON: {error}; the rows before it are stored") from None
        if not isinstance(event, dict):
            raise InputError(f"line {number} is not an object; the rows before it are stored")
        yield event


def _read(file: IO[AnyStr]) -> Iterator[AnyStr]:
    """Yield lines. Each is held whole, and a packed file of a megabyte may have one of a gigabyte."""
    for number in count(1):
        line = file.readline(LINE_CHARS + 1)
        if len(line) > LINE_CHARS:
            raise InputError(f"line {number} is longer than {LINE_CHARS} characters")
        if not line:
            return
        yield line


def _cells(file: IO[str]) -> Iterator[dict[str, Any]]:
    try:
        yield from csv_rows(_read(file))
    except InputError as error:
        raise InputError(f"{error}; the rows before it are stored") from None
