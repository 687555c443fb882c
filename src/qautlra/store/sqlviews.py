"""Streams as SQL sees them: a view over a stream's files and the log's tail; the macros of `sqlverbs`.

Made anew for every statement from one state of the manifest, so that each row is there once.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from qautlra.store.catalogue import State
from qautlra.store.schema import TIME, Stream
from qautlra.store.sqlverbs import MACRO_SQL
from qautlra.store.tables.definition import Definition
from qautlra.store.tables.tail import TableTail


def make_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros on a connection."""
    for sql in MACRO_SQL:
        connection.execute(sql)


def make_view(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    state: State,
    tables: dict[str, pa.Table],
    data_dir: Path,
    within: tuple[int, int],
) -> list[str]:
    """Make a stream a view of rows with start <= time < stop (Unix us); return what was registered for it."""
    start_us, stop_us = within
    files = state.overlapping(stream.parts, start_us, stop_us)
    names = ", ".join(f'"{name}"' for name in stream.columns)
    sources, registered = [], []
    if files:
        paths = ", ".join(_quoted(str(data_dir / file.path)) for file in files)
        sources.append(f"SELECT {names} FROM read_parquet([{paths}])")
    for part in stream.parts:
        table = tables.get(part)
        if table is not None and table.num_rows:
            name = f"__tail_{part}"
            connection.register(name, table)
            registered.append(name)
            sources.append(f"SELECT {names} FROM {name}")
    if not sources:
        name = f"__none_{stream.name}"
        connection.register(name, stream.schema.empty_table())
        registered.append(name)
        sources.append(f"SELECT {names} FROM {name}")
    connection.execute(
        f'CREATE OR REPLACE TEMP VIEW "{stream.name}" AS SELECT * FROM ({" UNION ALL ".join(sources)}) '
        f"WHERE {_within(TIME, within)}"
    )
    return registered


def make_table_view(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    tail: TableTail,
    directory: Path,
    within: tuple[int, int],
) -> None:
    """Make a user's stream a view of its rows with start <= time < stop; columns older rows lack are null."""
    start_us, stop_us = within
    schema = f"__schema_{definition.name}"
    connection.register(schema, definition.schema.empty_table())
    sources = [f'FROM "{schema}"']
    files = tail.state.overlapping((definition.name,), start_us, stop_us)
    if files:
        paths = ", ".join(_quoted(str(directory / file.path)) for file in files)
        sources.append(f"FROM read_parquet([{paths}], union_by_name = true, hive_partitioning = false)")
    tables = tail.tables(definition)
    if tables:
        rows = f"__rows_{definition.name}"
        connection.register(rows, pa.concat_tables(tables, promote_options="default"))
        sources.append(f'FROM "{rows}"')
    names = ", ".join(f'"{column.name}"' for column in definition.columns)
    connection.execute(
        f'CREATE OR REPLACE TEMP VIEW "{definition.name}" AS SELECT {names} FROM '
        f"({' UNION ALL BY NAME '.join(sources)}) WHERE {_within(definition.time_column, within)}"
    )


def _within(column: str, within: tuple[int, int]) -> str:
    start_us, stop_us = within
    return (
        f'"{column}" >= make_timestamptz({max(start_us, -(2**60))}::BIGINT)'
        f' AND "{column}" < make_timestamptz({min(stop_us, 2**60)}::BIGINT)'
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
