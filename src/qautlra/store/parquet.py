"""Writing Parquet files so that each is either whole or not there, in the layout that measured smallest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra.store.catalogue import DataFile, describe, sync_directory
from qautlra.store.names import inside, partition_dir, path_part
from qautlra.store.schema import INSTRUMENT, TIME, TRADING_DATE, stream_of

SOUGHT = (TIME, INSTRUMENT, TRADING_DATE)
# Prices that hardly change within a group: as a dictionary they take next to nothing, and few pages.
CALM = frozenset({
    "open", "highest", "lowest", "close", "settlement", "upper_limit", "lower_limit", "pre_close",
    "pre_settlement", "pre_open_interest",
})  # fmt: skip
# A question unpacks the pages its rows lie in. One ends after so many rows, once it has so many bytes.
PAGE_ROWS = 2_048
PAGE_BYTES = 1_024
HOUR_US = 3_600_000_000
EMPTY_KEY = "qautlra.empty"


@dataclass(frozen=True, slots=True)
class Layout:
    """How files are packed: compression codec (`zstd`, `uncompressed`, ...) and rows per row group."""

    compression: str = "zstd"
    row_group_rows: int = 16_384
    level: int = 1
    "Of zstd, for prices; a higher one is smaller and slower to write, not to read."
    fields: tuple[str, ...] = ()
    "What ticks are partitioned by below the trading date: hour, instrument, exchange, product, source."


def write_parquet(path: Path, table: pa.Table, layout: Layout, *, by_instrument: bool = False) -> None:
    """Write `table` to `path` durably: aside, synced, renamed. `by_instrument`: it is ordered by it."""
    empty = frozenset(name for name in table.column_names if table[name].null_count == table.num_rows)
    groups = _groups([table], layout.row_group_rows) if by_instrument else iter([table])
    with _whole(path) as aside:
        _write(aside, groups, table.schema, empty, layout, by_instrument=by_instrument)


def write_parts(
    path: Path, parts: Iterable[pa.Table], schema: pa.Schema, empty: frozenset[str], layout: Layout
) -> None:
    """Write tables that follow each other, cut between instruments, as write_parquet does one; the columns
    `empty` have no value in any."""
    with _whole(path) as aside:
        _write(aside, _groups(parts, layout.row_group_rows), schema, empty, layout, by_instrument=True)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give the place to write to, and put what was written there in its own, or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp")
    try:
        yield aside
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)  # a full disk needs the room
        raise


def _write(
    path: Path,
    groups: Iterator[pa.Table],
    schema: pa.Schema,
    empty: frozenset[str],
    layout: Layout,
    *,
    by_instrument: bool,
) -> None:
    few, whole, levels = [], [], {}
    for column in schema:
        levels[column.name] = 1  # differences are no smaller for a higher one
        if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type) or column.name in CALM:
            few.append(column.name)
        elif pa.types.is_integer(column.type) or pa.types.is_temporal(column.type):
            whole.append(column.name)
        else:
            levels[column.name] = layout.level
    with path.open("wb") as file:
        with pq.ParquetWriter(
            file,
            schema,
            compression="NONE" if layout.compression == "uncompressed" else layout.compression,
            # Counts and times as differences, prices plain: half the bytes of the defaults on real ticks.
            use_dictionary=few,
            column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
            compression_level=levels if layout.compression == "zstd" else None,
            write_batch_size=PAGE_ROWS,
            data_page_size=PAGE_BYTES,
            # Of what is looked for: for all columns they would be a twentieth of the file, and slow to open.
            write_statistics=list(SOUGHT) if by_instrument else True,
            store_schema=False,
            write_page_checksum=True,
        ) as writer:
            names = [name for name in schema.names if name in empty]
            writer.add_key_value_metadata({EMPTY_KEY: "\n".join(names)})
            for group in groups:
                writer.write_table(group, row_group_size=layout.row_group_rows)
        file.flush()
        os.fsync(file.fileno())


def empty_columns(meta: pq.FileMetaData) -> frozenset[str]:
    """Return the columns a file says have no value in any row."""
    said = (meta.metadata or {}).get(EMPTY_KEY.encode(), b"").decode()
    return frozenset(said.split("\n")) if said else frozenset()


def _groups(parts: Iterable[pa.Table], most_rows: int) -> Iterator[pa.Table]:
    """Yield the row groups of tables that follow each other, the same however they are cut."""
    rest: pa.Table | None = None
    for part in parts:
        table = part if rest is None else pa.concat_tables([rest, part])
        rest = None
        for start, stop in row_groups(table, most_rows):
            group = table.slice(start, stop - start)
            if stop == table.num_rows and 2 * group.num_rows < most_rows:
                rest = group  # instruments of the next table may share it
            else:
                yield group
    if rest is not None:
        yield rest


def row_groups(table: pa.Table, most_rows: int) -> list[tuple[int, int]]:
    """Return the row groups to write, of at most `most_rows`, beginning and ending with whole instruments.

    A question about one instrument then reads groups of its own; small instruments share one.
    """
    count = table.num_rows
    if count <= 1:
        return [(0, count)]
    symbols = table.column(INSTRUMENT)
    starts = pc.not_equal(symbols.slice(1), symbols.slice(0, count - 1)).to_numpy().nonzero()[0] + 1
    found, begin, end = [], 0, 0
    for stop in [*starts.tolist(), count]:
        if stop - begin > most_rows and end > begin:
            found.append((begin, end))
            begin = end
        if stop - begin >= most_rows // 2:
            pieces = -(-(stop - begin) // most_rows)
            rows = -(-(stop - begin) // pieces)
            found += [(at, min(at + rows, stop)) for at in range(begin, stop, rows)]
            begin = stop
        end = stop
    if begin < count:
        found.append((begin, count))
    return found


def write_partitions(
    data_dir: Path,
    table: pa.Table,
    first_lsn: int,
    last_lsn: int,
    layout: Layout,
    stream: str = "",
    tag: int | str = 0,
) -> list[DataFile]:
    """Write ordered rows, one file per (stream, trading date, the layout's fields), and return their entries.

    Names follow from the log positions, so doing it again replaces the files. `stream` empty: ticks.
    """
    name = f"{first_lsn:020d}-{last_lsn:020d}" + (f"-{tag}" if tag else "") + ".parquet"
    entries = []
    for part, day, whole in _partitions(table, stream):
        for below, rows in _divided(whole, () if stream else layout.fields):
            directory = partition_dir(data_dir, part, day).joinpath(*below)
            path = inside(data_dir, directory / name)
            parents = (directory, *directory.parents)
            created = [parent for parent in parents if data_dir in parent.parents and not parent.exists()]
            write_parquet(path, rows, layout, by_instrument=True)
            for parent in (directory, *(child.parent for child in created)):
                sync_directory(parent)
            entries.append(describe(data_dir, path, rows, part, day, first_lsn, last_lsn))
    return entries


def _divided(rows: pa.Table, fields: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    """Yield the directories below the date, and their rows in order."""
    if not fields:
        yield (), rows
        return
    keys = pa.table([_key(rows, field) for field in fields], names=list(fields))
    groups = keys.group_by(list(fields)).aggregate([]).to_pylist()
    for group in sorted(groups, key=lambda one: tuple(one.values())):
        mask = None
        for field in fields:
            same = pc.equal(keys.column(field), group[field])
            mask = same if mask is None else pc.and_(mask, same)
        yield tuple(path_part(field, group[field]) for field in fields), rows.filter(mask)


def _key(rows: pa.Table, field: str) -> pa.ChunkedArray:
    if field == "hour":
        local = pc.add(rows.column(TIME).cast(pa.int64()), 8 * HOUR_US)
        hours = pc.divide(local, HOUR_US)
        hour = pc.subtract(hours, pc.multiply(pc.divide(hours, 24), 24))
        return pc.utf8_lpad(hour.cast(pa.string()), 2, "0")
    if field == "source":
        return pc.fill_null(rows.column("source").cast(pa.string()), "none")
    symbols = rows.column(INSTRUMENT).unique()
    named = pa.array([_named(symbol, field) for symbol in symbols.to_pylist()], pa.string())
    return named.take(pc.index_in(rows.column(INSTRUMENT), symbols).combine_chunks())


def _named(symbol: str, field: str) -> str:
    if field == "instrument":
        return symbol
    exchange, _, code = symbol.partition(".")
    if field == "exchange":
        return exchange
    return code.rstrip("0123456789") if code[:1].isalpha() else "none"


def dated(table: pa.Table) -> pa.Table:
    """Return the table with the Beijing date where a row says no trading date."""
    days = table.column(TRADING_DATE)
    if not days.null_count:
        return table
    local = pc.add(table.column(TIME).cast(pa.int64()), 8 * 3_600 * 1_000_000)
    found = pc.fill_null(days, local.cast(pa.timestamp("us")).cast(pa.date32(), safe=False))
    return table.set_column(table.column_names.index(TRADING_DATE), TRADING_DATE, found)


def _partitions(table: pa.Table, stream: str) -> Iterator[tuple[str, date, pa.Table]]:
    table = dated(table)
    symbols = table.column(INSTRUMENT).unique().to_pylist()
    parts: dict[str, list[str]] = {}
    for symbol in symbols:
        parts.setdefault(stream or stream_of(symbol), []).append(symbol)
    for part, members in sorted(parts.items()):
        mine = table
        if len(parts) > 1:
            mine = table.filter(pc.is_in(table.column(INSTRUMENT), pa.array(members, pa.string())))
        days = mine.column(TRADING_DATE).unique().to_pylist()
        for day in sorted(days):
            rows = mine if len(days) == 1 else mine.filter(pc.equal(mine.column(TRADING_DATE), day))
            yield part, day, rows
