"""Files of users' streams: rows of the log into Parquet by date, small files into one, what has to go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra.base.errors import StorageError
from qautlra.store.catalogue import DataFile, State, checksum, sync_directory
from qautlra.store.names import inside
from qautlra.store.parquet import Layout, write_parquet
from qautlra.store.tables.definition import Definition

PARTITIONS_COUNT = 1_000
ZONE_US = 8 * 3_600 * 1_000_000


def unite(tables: Iterable[pa.Table], definition: Definition) -> pa.Table:
    """Return tables under each other in the definition's columns; what an older one lacks has no value."""
    united = pa.concat_tables(list(tables), promote_options="default")
    columns = []
    for column in definition.schema:
        if column.name in united.column_names:
            columns.append(united.column(column.name).cast(column.type))
        else:
            columns.append(pa.nulls(united.num_rows, column.type))
    return pa.table(columns, schema=definition.schema)


def write_rows(
    data_dir: Path,
    table: pa.Table,
    definition: Definition,
    first_lsn: int,
    last_lsn: int,
    layout: Layout,
    tag: str = "",
) -> list[DataFile]:
    """Write rows by date and the definition's own fields; doing it again replaces the files. Blocking."""
    name = f"{first_lsn:020d}-{last_lsn:020d}{tag}.parquet"
    entries = []
    for day, values, rows in _partitions(table, definition):
        parts = (
            f"{field}={_part(value)}"
            for field, value in zip(definition.custom_partition, values, strict=True)
        )
        path = data_dir / f"stream={definition.name}" / f"date={day.isoformat()}"
        for part in parts:
            path = path / part
        path = inside(data_dir, path / name)
        created = [p for p in path.parents if p != data_dir and data_dir in p.parents and not p.exists()]
        ordered = rows.sort_by([(definition.time_column, "ascending")])
        write_parquet(path, ordered, layout)
        for parent in {path.parent, *(p.parent for p in created)}:
            sync_directory(parent)
        entries.append(describe(data_dir, path, ordered, definition, day, first_lsn, last_lsn))
    return entries


def describe(
    data_dir: Path,
    path: Path,
    table: pa.Table,
    definition: Definition,
    day: date,
    first_lsn: int,
    last_lsn: int,
) -> DataFile:
    """Return the entry of a file."""
    low, high = pc.min_max(table.column(definition.time_column).cast(pa.int64())).as_py().values()
    return DataFile(
        path=str(path.relative_to(data_dir)),
        stream=definition.name,
        day=day,
        rows=table.num_rows,
        bytes=path.stat().st_size,
        first_us=low or 0,
        last_us=high or 0,
        instruments=1,
        first_symbol="",
        last_symbol="",
        first_lsn=first_lsn,
        last_lsn=last_lsn,
        crc32=checksum(path),
    )


def merged(data_dir: Path, files: list[DataFile], definition: Definition, layout: Layout) -> DataFile:
    """Write one file with the rows of several of one directory, for the caller to put in their place."""
    tables = [pq.read_table(data_dir / file.path, partitioning=None) for file in files]
    table = unite(tables, definition).sort_by([(definition.time_column, "ascending")])
    first, last = min(file.first_lsn for file in files), max(file.last_lsn for file in files)
    path = (data_dir / files[0].path).with_name(f"{first:020d}-{last:020d}-m.parquet")
    write_parquet(path, table, layout)
    sync_directory(path.parent)
    return describe(data_dir, path, table, definition, files[0].day, first, last)


def rebuilt(data_dir: Path, definitions: Iterable[Definition]) -> State:
    """Return what the files on the disk say when there is no manifest. Blocking."""
    files: list[DataFile] = []
    for definition in definitions:
        if definition.derived is not None:
            continue  # made anew of its source
        for path in sorted(data_dir.glob(f"stream={definition.name}/date=*/**/*.parquet")):
            first, last = (int(part) for part in path.stem.split("-")[:2])
            day = next(part for part in path.parts if part.startswith("date=")).removeprefix("date=")
            try:
                table = pq.read_table(path, columns=[definition.time_column], partitioning=None)
            except (OSError, pa.ArrowException) as error:
                raise StorageError(f"{path} cannot be read: {error}", retryable=False) from None
            described = describe(data_dir, path, table, definition, date.fromisoformat(day), first, last)
            files.append(described)
    covered = [file for file in files if file.path.endswith("-m.parquet")]
    kept = [file for file in files if not _is_covered(file, covered)]
    watermark_lsn = max((file.last_lsn for file in kept), default=0)
    return State(watermark_lsn=watermark_lsn, files=tuple(kept))


def _is_covered(file: DataFile, merges: list[DataFile]) -> bool:
    """Tell whether a crash left a file beside the one it was merged into."""
    here = str(Path(file.path).parent)
    return any(
        other is not file
        and str(Path(other.path).parent) == here
        and other.first_lsn <= file.first_lsn <= file.last_lsn <= other.last_lsn
        and (other.bytes, other.path) != (file.bytes, file.path)
        for other in merges
    )


def _partitions(table: pa.Table, definition: Definition) -> Iterator[tuple[date, list[Any], pa.Table]]:
    times = table.column(definition.time_column).cast(pa.int64())
    days = pc.add(times, ZONE_US).cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    # Numbered: whatever a user's column is called, these are others.
    fields = [days, *(table.column(name) for name in definition.custom_partition)]
    names = [str(at) for at in range(len(fields))]
    keyed = pa.table(fields, names=names)
    groups = keyed.group_by(names).aggregate([]).to_pylist()
    if len(groups) > PARTITIONS_COUNT:
        raise StorageError(f"{definition.name}: {len(groups)} partitions in one minute", retryable=False)
    for group in groups:
        mask = None
        for name in names:
            value = pa.scalar(group[name], keyed.schema.field(name).type)
            same = (
                pc.is_null(keyed.column(name)) if group[name] is None else pc.equal(keyed.column(name), value)
            )
            mask = same if mask is None else pc.and_kleene(mask, same)
        rows = table if len(groups) == 1 else table.filter(pc.fill_null(mask, False))
        day, *values = (group[name] for name in names)
        yield day, values, rows


def _part(value: Any) -> str:
    """Return a value as one part of a path."""
    text = "none" if value is None else quote(str(value)[:64], safe="").replace(".", "%2E")
    return text or "empty"


def without(state: State, gone: Iterable[DataFile]) -> State:
    """Return the state without some files."""
    paths = {file.path for file in gone}
    return msgspec.structs.replace(state, files=tuple(file for file in state.files if file.path not in paths))
