"""What may be done to files of rows, as values for another process to do, and the doing.

Everything that counts is the caller's: no job changes a manifest, and each can be cut short and done again.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from msgspec import Struct

from qautlra.store import compaction
from qautlra.store.barfiles import write_new_bars
from qautlra.store.catalogue import MADE, DataFile, read_state
from qautlra.store.merge import merge
from qautlra.store.names import TABLES
from qautlra.store.parquet import Layout
from qautlra.store.tables import files as table_files
from qautlra.store.tables.definition import Definition
from qautlra.store.tables.filing import file_records


class FileSegment(Struct, frozen=True, kw_only=True, tag=True):
    """A sealed segment of the market's log into files; rows the manifest on the disk has are left out."""

    path: str
    first_lsn: int
    last_lsn: int


class Merge(Struct, frozen=True, kw_only=True, tag=True):
    """Small files of the market's ticks into one."""

    files: tuple[DataFile, ...]


class FileBars(Struct, frozen=True, kw_only=True, tag=True):
    """The given bars into files, but those `files` have already. `is_made`: of stored rows."""

    files: tuple[DataFile, ...]
    serial: int
    is_made: bool


class FileTables(Struct, frozen=True, kw_only=True, tag=True):
    """Records of the log of users' streams into files; of streams `by_date` by their dates alone."""

    first_lsn: int
    last_lsn: int
    by_date: tuple[str, ...]


class MergeTable(Struct, frozen=True, kw_only=True, tag=True):
    """Small files of a user's stream into one."""

    files: tuple[DataFile, ...]
    definition: Definition
    serial: int


class MakeTable(Struct, frozen=True, kw_only=True, tag=True):
    """The given rows and those of `files` outside start <= time < stop into files of a made stream."""

    files: tuple[DataFile, ...]
    definition: Definition
    start_us: int
    stop_us: int
    serial: int


Job = FileSegment | Merge | FileBars | FileTables | MergeTable | MakeTable


class Done(Struct, frozen=True, kw_only=True, tag=True):
    """The files that are written, whole and synced.

    `latest`: of a segment's rows, the file of the newest; `taken`: the files put together.
    """

    files: tuple[DataFile, ...]
    latest: str = ""
    taken: tuple[DataFile, ...] = ()


def do(job: Job, table: pa.Table | None, data_dir: Path, layout: Layout) -> Done:
    """Do a job on the files of a store. Blocking. OSError, StorageError, pa.ArrowException."""
    tables = data_dir / TABLES
    match job:
        case FileSegment():
            state = read_state(data_dir)
            files, latest = compaction.file_segment(
                data_dir, state, job.path, job.first_lsn, job.last_lsn, layout
            )
            return Done(files=tuple(files), latest=latest)
        case Merge():
            return Done(files=(merge(data_dir, job.files, layout),))
        case FileBars():
            assert table is not None
            tag = f"{MADE}{job.serial}" if job.is_made else str(job.serial)
            return Done(files=tuple(write_new_bars(data_dir, table, job.files, layout, tag)))
        case FileTables():
            filed = file_records(tables, job.first_lsn, job.last_lsn, job.by_date, layout)
            return Done(files=tuple(filed))
        case MergeTable():
            new, taken = table_files.merged(tables, job.files, job.definition, layout, job.serial)
            return Done(files=tuple(new), taken=tuple(taken))
        case MakeTable():
            assert table is not None
            within = job.start_us, job.stop_us
            made = table_files.made(tables, job.files, job.definition, within, table, layout, job.serial)
            return Done(files=tuple(made))
