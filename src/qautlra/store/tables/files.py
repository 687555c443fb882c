"""Files of users' streams: rows of the log into Parquet by date, small files into one, what has to go."""

from __future__ import annotations

import calendar
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra.base.errors import StorageError
from qautlra.store.catalogue import DataFile, State, checksum, serial_of, sync_directory
from qautlra.store.names import inside, path_part
from qautlra.store.parquet import Layout, write_parquet
from qautlra.store.tables.definition import Definition

PARTITIONS_COUNT = 1_000
MERGE_COUNT = 8
MERGE_BYTES = 16 << 20
MERGED_BYTES = 512 << 20
"Of the rows of one merge in memory: texts may unpack a hundredfold."
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
    *,
    by_fields: bool = True,
) -> list[DataFile]:
    """Write rows by date and the definition's own fields; doing it again replaces the files. Blocking.

    `by_fields` False: by date alone.
    """
    name = f"{first_lsn:020d}-{last_lsn:020d}{tag}.parquet"
    entries = []
    for day, below, rows in _partitions(table, definition, by_fields=by_fields):
        path = data_dir / f"stream={definition.name}" / f"date={day.isoformat()}"
        path = inside(data_dir, path.joinpath(*below, name))
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


def made(
    data_dir: Path,
    files: Iterable[DataFile],
    definition: Definition,
    within: tuple[int, int],
    table: pa.Table,
    layout: Layout,
    serial: int,
) -> list[DataFile]:
    """Write rows of a made stream and those of `files` outside start <= time < stop; return the new files."""
    parts = [unite([table], definition)]
    for file in files:
        rows = pq.read_table(data_dir / file.path, partitioning=None)
        times = rows.column(definition.time_column).cast(pa.int64())
        parts.append(rows.filter(pc.or_(pc.less(times, within[0]), pc.greater_equal(times, within[1]))))
    rows = unite(parts, definition)
    return write_rows(data_dir, rows, definition, 0, 0, layout, f"-a{serial}") if rows.num_rows else []


def merged(
    data_dir: Path, files: Sequence[DataFile], definition: Definition, layout: Layout, serial: int
) -> tuple[list[DataFile], list[DataFile]]:
    """Write one file with the rows of several of one directory, for the caller to put in their place.

    Return it and those it holds: neighbours, as many as have room in MERGED_BYTES; nothing when no two have.
    """
    tables: list[pa.Table] = []
    taken: list[DataFile] = []
    for file in files:
        table = pq.read_table(data_dir / file.path, partitioning=None)
        if sum(one.nbytes for one in (*tables, table)) > MERGED_BYTES:
            if len(taken) > 1:
                break
            tables, taken = [], []
        tables.append(table)
        taken.append(file)
    files = taken
    if len(files) < 2:
        return [], []
    table = unite(tables, definition).sort_by([(definition.time_column, "ascending")])
    first, last = min(file.first_lsn for file in files), max(file.last_lsn for file in files)
    path = (data_dir / files[0].path).with_name(f"{first:020d}-{last:020d}-m{serial}.parquet")
    write_parquet(path, table, layout)
    sync_directory(path.parent)
    return [describe(data_dir, path, table, definition, files[0].day, first, last)], taken


def rebuilt(
    data_dir: Path,
    definitions: Iterable[Definition],
    log_first_lsn: int,
    logged: Mapping[str, Sequence[int]],
) -> State:
    """Return what the files on the disk say when there is no manifest. Blocking.

    `log_first_lsn`: where the log begins; `logged`: the positions of each stream's rows in it, in order.
    Files whose rows are all there still are left out: they are made again, with those a kill prevented.
    """
    files: list[DataFile] = []
    for definition in definitions:
        if definition.derived is not None:
            continue  # made anew of its source
        for path in sorted(data_dir.glob(f"stream={definition.name}/date=*/**/*.parquet")):
            first, last = (int(part) for part in path.stem.split("-")[:2])
            if last <= definition.born_lsn:
                continue  # of an earlier stream of the name
            lsns = logged.get(definition.name, ())
            if first >= log_first_lsn and bisect_left(lsns, first) < bisect_right(lsns, last):
                continue
            day = next(part for part in path.parts if part.startswith("date=")).removeprefix("date=")
            try:
                table = pq.read_table(path, columns=[definition.time_column], partitioning=None)
            except (OSError, pa.ArrowException) as error:
                raise StorageError(f"{path} cannot be read: {error}", retryable=False) from None
            described = describe(data_dir, path, table, definition, date.fromisoformat(day), first, last)
            files.append(described)
    folders: dict[str, list[DataFile]] = {}
    for file in files:
        folders.setdefault(file.path.rpartition("/")[0], []).append(file)
    kept = [file for mine in folders.values() for file in mine if not _is_covered(file, mine)]
    watermark_lsn = max((file.last_lsn for file in kept), default=0)
    return State(watermark_lsn=watermark_lsn, files=tuple(kept))


def _is_covered(file: DataFile, folder: list[DataFile]) -> bool:
    """Tell whether a file was left beside one with its rows: it was merged, or filing was cut short."""
    return any(
        other.first_lsn <= file.first_lsn <= file.last_lsn <= other.last_lsn
        and (_range(other) != _range(file) or serial_of(other.path) > serial_of(file.path))
        for other in folder
    )


def _range(file: DataFile) -> tuple[int, int]:
    return file.first_lsn, file.last_lsn


def _partitions(
    table: pa.Table, definition: Definition, *, by_fields: bool
) -> Iterator[tuple[date, tuple[str, ...], pa.Table]]:
    """Yield day, directories below it and rows; by less than asked for where that would be too many.

    Where days are, a file is of the last day of its month, then of its year: nothing goes before its time.
    """
    days = pc.add(table.column(definition.time_column).cast(pa.int64()), ZONE_US)
    days = days.cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    fields = definition.custom_partition if by_fields else ()
    parts = [_parts(field, table.column(field)) for field in fields]
    for keys in ([days, *parts], [days], [_last_days(days, of_year=False)], [_last_days(days, of_year=True)]):
        names = [str(at) for at in range(len(keys))]
        keyed = pa.table(keys, names=names).append_column("rows", pa.array(np.arange(table.num_rows)))
        groups = keyed.group_by(names, use_threads=False).aggregate([("rows", "list")])
        if groups.num_rows <= PARTITIONS_COUNT:
            break
    for at in range(groups.num_rows):
        day, *below = (groups.column(name)[at].as_py() for name in names)
        rows = table if groups.num_rows == 1 else table.take(groups.column("rows_list")[at].values)
        yield day, tuple(below), rows


def _parts(field: str, column: pa.ChunkedArray) -> pa.Array:
    """Return the directory of each row: rows whose values make one directory are of one file."""
    if pa.types.is_nested(column.type):
        return pa.array([path_part(field, value) for value in column.to_pylist()], pa.string())
    found = column.combine_chunks().dictionary_encode()
    known = pa.array([path_part(field, value) for value in found.dictionary.to_pylist()], pa.string())
    return pc.fill_null(known.take(found.indices), path_part(field, None))


def _last_days(days: pa.ChunkedArray, *, of_year: bool) -> pa.Array:
    found = days.combine_chunks().dictionary_encode()
    lasts = []
    for day in found.dictionary.to_pylist():
        month = 12 if of_year else day.month
        lasts.append(date(day.year, month, calendar.monthrange(day.year, month)[1]))
    return pa.array(lasts, pa.date32()).take(found.indices)


def without(state: State, gone: Iterable[DataFile]) -> State:
    """Return the state without some files."""
    paths = {file.path for file in gone}
    return msgspec.structs.replace(state, files=tuple(file for file in state.files if file.path not in paths))


def by_stream(state: State) -> dict[str, list[DataFile]]:
    """Return the files of each stream."""
    found: dict[str, list[DataFile]] = {}
    for file in state.files:
        found.setdefault(file.stream, []).append(file)
    return found


def crowded(state: State, large: Container[str] = ()) -> list[list[DataFile]]:
    """Return small files of each directory, where enough are neighbours to be merged; not those in `large`.

    Neighbours, because a file is known to hold all positions of the log between its ends.
    """
    folders: dict[str, list[DataFile]] = {}
    for file in state.files:
        folders.setdefault(file.path.rpartition("/")[0], []).append(file)
    found: list[list[DataFile]] = []
    for files in folders.values():
        run: list[DataFile] = []
        runs = [run]
        for file in sorted(files, key=lambda one: (one.first_lsn, one.path)):
            if file.bytes < MERGE_BYTES and file.path not in large:
                run.append(file)
            elif run:
                runs.append(run := [])
        found += [one for one in runs if len(one) >= MERGE_COUNT]
    return found
