"""Rows of the log into files, each stream by itself: what one's rows do to it holds none of the others up.

Rows no file can be made of are set aside, as Arrow files an import takes when the cause is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from qautlra.base import log
from qautlra.base.errors import StorageError
from qautlra.store.catalogue import DataFile, State, sync_directory, write_durably
from qautlra.store.parquet import Layout
from qautlra.store.tables import record
from qautlra.store.tables.definition import Book, Definition
from qautlra.store.tables.files import unite, write_rows

ASIDE = "aside"
STREAM_FILES_COUNT = 10_000

_log = log.get_logger("store")


class Filing:
    """Files of one directory of streams. In one thread."""

    def __init__(self, directory: Path, book: Book, layout: Layout) -> None:
        self._directory = directory
        self._book = book
        self._layout = layout

    @property
    def aside_files(self) -> int:
        """How many files of rows that were set aside wait for somebody."""
        return sum(1 for _ in (self._directory / ASIDE).glob("*.arrow"))

    def file(
        self, records: Iterable[tuple[int, bytes]], state: State, first_lsn: int, last_lsn: int
    ) -> list[DataFile]:
        """Write the rows of records (position, payload); doing it again replaces the files. Blocking.

        OSError: the disk takes nothing now, and nothing is set aside for that.
        """
        found: dict[str, list[tuple[int, bytes]]] = {}
        for lsn, payload in records:
            found.setdefault(record.head(payload)[0], []).append((lsn, payload))
        counts: dict[str, int] = {}
        for file in state.files:
            counts[file.stream] = counts.get(file.stream, 0) + 1
        files: list[DataFile] = []
        for name, mine in found.items():
            if name not in self._book:
                continue  # it was deleted
            try:
                definition = self._book.get(name)
                files += self._one(definition, mine, counts, first_lsn, last_lsn)
            except MemoryError:
                raise
            except (StorageError, pa.ArrowException, ValueError, TypeError, ArithmeticError) as error:
                if isinstance(error, StorageError) and error.retryable:
                    raise
                self._set_aside(name, [payload for _, payload in mine], first_lsn, last_lsn, error)
        return files

    def _one(
        self,
        definition: Definition,
        records: list[tuple[int, bytes]],
        counts: Mapping[str, int],
        first_lsn: int,
        last_lsn: int,
    ) -> list[DataFile]:
        tables = [record.decode(payload) for lsn, payload in records if lsn > definition.born_lsn]
        if not tables:
            return []
        by_fields = counts.get(definition.name, 0) < STREAM_FILES_COUNT
        return write_rows(
            self._directory,
            unite(tables, definition),
            definition,
            first_lsn,
            last_lsn,
            self._layout,
            by_fields=by_fields,
        )

    def _set_aside(
        self, name: str, payloads: list[bytes], first_lsn: int, last_lsn: int, error: Exception
    ) -> None:
        """Keep rows where no question finds them and nothing deletes them: one file a schema."""
        tables: dict[pa.Schema, list[pa.Table]] = {}
        for payload in payloads:
            table = record.decode(payload)
            tables.setdefault(table.schema, []).append(table)
        place = self._directory / ASIDE
        place.mkdir(exist_ok=True, mode=0o700)
        sync_directory(self._directory)
        for at, (schema, same) in enumerate(tables.items()):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, schema) as writer:
                for table in same:
                    writer.write_table(table)
            path = place / f"{name}-{first_lsn:020d}-{last_lsn:020d}-{at}.arrow"
            write_durably(path, sink.getvalue())
            rows = sum(table.num_rows for table in same)
            _log.error("rows_set_aside", stream=name, rows=rows, path=str(path), error=str(error))
