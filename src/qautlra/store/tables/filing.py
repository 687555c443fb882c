"""Rows of the log into files, each stream by itself: what one's rows do to it holds none of the others up.

Rows no file can be made of are set aside, as Arrow files an import takes when the cause is gone.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from qautlra._core import journal
from qautlra.base import log
from qautlra.base.errors import StorageError
from qautlra.store.catalogue import DataFile, sync_directory, write_durably
from qautlra.store.parquet import Layout
from qautlra.store.tables import record
from qautlra.store.tables.definition import DEFINITIONS, STREAMS_COUNT, Book
from qautlra.store.tables.files import unite, write_rows

ASIDE = "aside"

_log = log.get_logger("store")


def aside_files(directory: Path) -> int:
    """Return how many files of rows that were set aside wait for somebody."""
    return sum(1 for _ in (directory / ASIDE).glob("*.arrow"))


def file_records(
    directory: Path, first_lsn: int, last_lsn: int, by_date: Collection[str], layout: Layout
) -> list[DataFile]:
    """Write the rows of the log's records; doing it again replaces the files. Blocking.

    OSError: the disk takes nothing now, and nothing is set aside for that. `by_date`: streams whose own
    fields would make too many files.
    """
    book = Book(directory / DEFINITIONS, STREAMS_COUNT)
    book.load()
    found: dict[str, list[tuple[int, bytes]]] = {}
    for lsn, kind, payload in journal.read(directory / "log", first_lsn):
        if first_lsn <= lsn <= last_lsn and kind == record.ROWS_RECORD:
            found.setdefault(record.head(payload)[0], []).append((lsn, payload))
    files: list[DataFile] = []
    for name, mine in found.items():
        if name not in book:
            continue  # it was deleted
        try:
            definition = book.get(name)
            tables = [record.decode(payload) for lsn, payload in mine if lsn > definition.born_lsn]
            if tables:
                rows = unite(tables, definition)
                files += write_rows(
                    directory, rows, definition, first_lsn, last_lsn, layout, by_fields=name not in by_date
                )
        except MemoryError:
            raise
        except (StorageError, pa.ArrowException, ValueError, TypeError, ArithmeticError) as error:
            if isinstance(error, StorageError) and error.retryable:
                raise
            _set_aside(directory, name, [payload for _, payload in mine], first_lsn, last_lsn, error)
    return files


def _set_aside(
    directory: Path, name: str, payloads: list[bytes], first_lsn: int, last_lsn: int, error: Exception
) -> None:
    """Keep rows where no question finds them and nothing deletes them: one file a schema."""
    tables: dict[pa.Schema, list[pa.Table]] = {}
    for payload in payloads:
        table = record.decode(payload)
        tables.setdefault(table.schema, []).append(table)
    place = directory / ASIDE
    place.mkdir(exist_ok=True, mode=0o700)
    sync_directory(directory)
    for at, (schema, same) in enumerate(tables.items()):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            for table in same:
                writer.write_table(table)
        path = place / f"{name}-{first_lsn:020d}-{last_lsn:020d}-{at}.arrow"
        write_durably(path, sink.getvalue())
        rows = sum(table.num_rows for table in same)
        _log.error("rows_set_aside", stream=name, rows=rows, path=str(path), error=str(error))
