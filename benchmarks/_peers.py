"""bench: helper. The point query by other databases, each as it is best asked; those not installed are named.

1,000 rows of one instrument from a moment on, all columns. Every engine holds the same rows, ordered by
instrument and time; `ask` answers in the engine's own best form, `prices` takes the last prices out of that.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

LIMIT = 1_000
STEP_US = 500_000  # of the generator: ArcticDB reads by range, so it is told where 1,000 rows end


@dataclass
class Peer:
    """One engine with the rows in it."""

    ask: Callable[[str, int], Any]
    prices: Callable[[Any], list[float]]


def moment(us: int) -> datetime:
    """Return Unix microseconds as a UTC time."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


def _arrow_prices(table: Any) -> list[float]:
    return [float(price) for price in table.column("last_price").to_pylist()]


def duckdb_table(table: duckdb.DuckDBPyConnection) -> Peer:
    """DuckDB's own table, ordered."""
    sql = (
        "SELECT * FROM ticks WHERE instrument_id = ? AND datetime >= make_timestamptz(?) "
        "ORDER BY datetime LIMIT 1000"
    )
    return Peer(lambda name, us: table.sql(sql, params=[name, us]).to_arrow_table(), _arrow_prices)


def duckdb_parquet(path: Path) -> Peer:
    """DuckDB over one ordered Parquet file."""
    link = duckdb.connect()
    link.execute("SET threads = 1")
    sql = (
        f"SELECT * FROM read_parquet('{path}') WHERE instrument_id = ? AND datetime >= make_timestamptz(?) "
        "ORDER BY datetime LIMIT 1000"
    )
    return Peer(lambda name, us: link.sql(sql, params=[name, us]).to_arrow_table(), _arrow_prices)


def datafusion_parquet(path: Path) -> Peer:
    """DataFusion over the same file."""
    import datafusion

    config = datafusion.SessionConfig().set("datafusion.execution.parquet.pushdown_filters", "true")
    context = datafusion.SessionContext(config)
    context.register_parquet("ticks", str(path))

    def ask(name: str, us: int) -> Any:
        sql = (
            f"SELECT * FROM ticks WHERE instrument_id = '{name}' "
            f"AND datetime >= TIMESTAMP '{moment(us).isoformat()}' ORDER BY datetime LIMIT 1000"
        )
        return context.sql(sql).to_arrow_table()

    return Peer(ask, _arrow_prices)


def polars_parquet(path: Path) -> Peer:
    """Polars over the same file, which it need not order."""
    import polars

    lazy = polars.scan_parquet(path)

    def ask(name: str, us: int) -> Any:
        wanted = (polars.col("instrument_id") == name) & (polars.col("datetime") >= moment(us))
        return lazy.filter(wanted).head(LIMIT).collect()

    return Peer(ask, lambda frame: frame["last_price"].to_list())


def arcticdb_symbols(path: Path, work: Path) -> Peer:
    """ArcticDB (LMDB), a symbol for each instrument."""
    import arcticdb
    import pandas as pd

    place = work / "arctic"
    is_new = not place.exists()
    library = arcticdb.Arctic(f"lmdb://{place}?map_size=32GB").get_library("ticks", create_if_missing=True)
    for name, table in _instruments(path) if is_new else ():
        frame = table.drop_columns(["instrument_id"]).to_pandas()
        frame["datetime"] = frame["datetime"].dt.tz_localize(None)
        library.write(name, frame.set_index("datetime"))

    def ask(name: str, us: int) -> Any:
        first = pd.Timestamp(us, unit="us")
        last = pd.Timestamp(us + LIMIT * STEP_US - 1, unit="us")
        return library.read(name, date_range=(first, last)).data

    return Peer(ask, lambda frame: frame["last_price"].tolist())


def chdb_table(path: Path, work: Path) -> Peer:
    """ClickHouse in the process: MergeTree ordered by instrument and time."""
    from chdb import session

    link = session.Session(str(work / "chdb"))
    link.query("CREATE DATABASE IF NOT EXISTS d")
    link.query(
        "CREATE TABLE IF NOT EXISTS d.ticks ENGINE = MergeTree ORDER BY (instrument_id, datetime) "
        f"SETTINGS allow_nullable_key = 1 AS SELECT * FROM file('{path}', 'Parquet')"
    )

    def ask(name: str, us: int) -> Any:
        sql = (
            f"SELECT * FROM d.ticks WHERE instrument_id = '{name}' "
            f"AND datetime >= fromUnixTimestamp64Micro({us}) ORDER BY datetime LIMIT 1000"
        )
        return pa.ipc.open_stream(link.query(sql, "ArrowStream").bytes()).read_all()

    return Peer(ask, _arrow_prices)


def sqlite_table(path: Path, work: Path) -> Peer:
    """SQLite, the rows in the index."""
    place = work / "peer.sqlite"
    is_new = not place.exists()
    link = sqlite3.connect(place, isolation_level=None)
    link.execute("PRAGMA journal_mode = OFF")
    link.execute("PRAGMA synchronous = OFF")
    names = pq.read_schema(path).names
    at = names.index("last_price")
    link.execute(
        f"CREATE TABLE IF NOT EXISTS ticks({', '.join(names)}, "
        "PRIMARY KEY (instrument_id, datetime)) WITHOUT ROWID"
    )
    link.execute("BEGIN")
    for _, table in _instruments(path) if is_new else ():
        time_at = table.column_names.index("datetime")
        plain = table.set_column(time_at, "datetime", table.column("datetime").cast(pa.int64()))
        values = zip(*plain.to_pydict().values(), strict=True)
        link.executemany(f"INSERT INTO ticks VALUES({','.join('?' * len(names))})", values)
    link.execute("COMMIT")
    sql = "SELECT * FROM ticks WHERE instrument_id = ? AND datetime >= ? ORDER BY datetime LIMIT 1000"
    return Peer(
        lambda name, us: link.execute(sql, (name, us)).fetchall(), lambda rows: [row[at] for row in rows]
    )


def all_of(table: duckdb.DuckDBPyConnection, work: Path, few: bool) -> tuple[dict[str, Peer], dict[str, str]]:
    """Return the peers by name, and why the others are missing. `few`: only DuckDB."""
    found = {"duckdb_table": duckdb_table(table)}
    missing: dict[str, str] = {}
    if few:
        return found, {"others": "not in a short run"}
    path = work / "ordered.parquet"
    if not path.exists():
        table.execute(
            f"COPY (SELECT * FROM ticks) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
        )
    makers: dict[str, Callable[[], Peer]] = {
        "duckdb_parquet": lambda: duckdb_parquet(path),
        "datafusion": lambda: datafusion_parquet(path),
        "polars": lambda: polars_parquet(path),
        "arcticdb": lambda: arcticdb_symbols(path, work),
        "chdb": lambda: chdb_table(path, work),
        "sqlite": lambda: sqlite_table(path, work),
    }
    for name, make in makers.items():
        try:
            found[name] = make()
        except ImportError as error:
            missing[name] = str(error)
    return found, missing


def _instruments(path: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of one instrument after the other."""
    kept: list[pa.Table] = []
    name = ""
    with contextlib.closing(pq.ParquetFile(path)) as file:
        for at in range(file.num_row_groups):
            table = file.read_row_group(at)
            symbols = table.column("instrument_id").to_pylist()
            begin = 0
            for stop in range(1, len(symbols) + 1):
                if stop < len(symbols) and symbols[stop] == symbols[begin]:
                    continue
                if kept and symbols[begin] != name:
                    yield name, pa.concat_tables(kept)
                    kept = []
                name = symbols[begin]
                kept.append(table.slice(begin, stop - begin))
                begin = stop
    if kept:
        yield name, pa.concat_tables(kept)
