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
    where = (
        f'"{TIME}" >= make_timestamptz({max(start_us, -(2**60))}::BIGINT)'
        f' AND "{TIME}" < make_timestamptz({min(stop_us, 2**60)}::BIGINT)'
    )
    connection.execute(
        f'CREATE OR REPLACE TEMP VIEW "{stream.name}" AS SELECT * FROM ({" UNION ALL ".join(sources)}) '
        f"WHERE {where}"
    )
    return registered


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
