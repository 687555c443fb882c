"""Rows that survive a power cut: durability `power` beside DuckDB and SQLite, awaited and pipelined.

The product's log and hot tier as the store uses them (`TickLog.append_rows`, then waiting for the journal),
in this process: every acknowledged row is synced and can be queried. DuckDB is given the same Arrow batches,
SQLite (WAL, synchronous=FULL) tuples made before the clock starts. Engines take turns within each round.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import _bench
from store import generated

_bench.import_product()
from qautlra._core.journal import Journal  # noqa: E402
from qautlra._core.market import Instruments, Rows  # noqa: E402
from qautlra._core.store import HotStore, TickLog, rows_from_arrow  # noqa: E402
from qautlra._core.tape import Tape  # noqa: E402
from qautlra.model.calendar import load_calendar  # noqa: E402

HOT_BYTES = 512 << 20
WINDOW_ROWS = 20_000  # not yet acknowledged, when pipelined
CALENDAR = load_calendar()
CPU_US: dict[int, list[float]] = {}  # a row, of all threads, by batch, pipelined


class Product:
    """Log and hot tier in a directory; memory of rows that are durable may go."""

    def __init__(self, place: Path) -> None:
        self.instruments = Instruments(CALENDAR, 20251009)
        self.journal = Journal(place / "log", durability="power")
        self.hot = HotStore(self.instruments, HOT_BYTES)
        self.log = TickLog(Tape(self.instruments, CALENDAR, 4096), self.journal, self.hot)

    def append(self, rows: Rows) -> int:
        """Log rows; their last position. Waits where the log or the memory is full."""
        done = 0
        while (done := self.log.append_rows(rows, done)) < len(rows):
            self.hot.set_safe_lsn(self.journal.durable_lsn)
            self.acknowledged(self.journal.head_lsn)
        return self.journal.head_lsn

    def acknowledged(self, lsn: int) -> None:
        """Wait for a position to be safe."""
        if not self.journal.wait_durable(lsn, 30.0):
            raise SystemExit(f"not durable: {self.journal.error}")

    def close(self) -> int:
        """Return how many rows were logged."""
        logged = self.log.rows_logged
        del self.log
        self.journal.close()
        return int(logged)


def product(place: Path, table: pa.Table, batch: int, seconds: float) -> float:
    """Return rows/s, each batch acknowledged before the next; from Arrow, as the peers are given."""
    engine = Product(place)
    parts = few_batches(table, batch, seconds)
    began, sent = time.perf_counter(), 0
    for part in parts:
        engine.acknowledged(engine.append(rows_from_arrow(part, engine.instruments)))
        sent += part.num_rows
        if time.perf_counter() - began > seconds:
            break
    took = time.perf_counter() - began
    return checked(engine, sent) / took


def pipelined(place: Path, table: pa.Table, batch: int, seconds: float) -> float:
    """Return rows/s with up to WINDOW_ROWS under way; the rows are ready, as they come over the tape."""
    engine = Product(place)
    count = min(table.num_rows, int(seconds * (600_000 if batch == 1 else 3_000_000)))
    parts = list(prepared(engine, table.slice(0, count), batch))
    began, sent, used = time.perf_counter(), 0, time.process_time()
    for part in parts:
        last = engine.append(part)
        sent += len(part)
        if last > WINDOW_ROWS and engine.journal.durable_lsn < last - WINDOW_ROWS:
            engine.acknowledged(last - WINDOW_ROWS)
        if time.perf_counter() - began > seconds:
            break
    engine.acknowledged(engine.journal.head_lsn)
    took = time.perf_counter() - began
    CPU_US.setdefault(batch, []).append((time.process_time() - used) / sent * 1e6)
    return checked(engine, sent) / took


def prepared(engine: Product, table: pa.Table, batch: int) -> Iterator[Rows]:
    """Yield the table as rows of the core, `batch` at a time."""
    for part in table.to_batches(max_chunksize=max(batch, 4_096)):
        rows = rows_from_arrow(part, engine.instruments)
        if batch >= 4_096:
            yield rows
            continue
        for at in range(0, len(rows), batch):
            few = Rows(engine.instruments)
            few.extend(rows, at, at + batch)
            yield few


def checked(engine: Product, sent: int) -> int:
    """Return the rows sent; end the run when not each of them is in the log once."""
    logged = engine.close()
    if logged != sent:
        raise SystemExit(f"{logged} rows logged of {sent}")
    return sent


def few_batches(table: pa.Table, batch: int, seconds: float) -> list[pa.RecordBatch]:
    """Return batches, more than can be written in the time with each awaited."""
    return table.slice(0, int(seconds * min(20_000 * batch, 600_000))).to_batches(max_chunksize=batch)


def duck(place: Path, table: pa.Table, batch: int, seconds: float) -> float:
    """Return rows/s of DuckDB, one transaction per Arrow batch."""
    link = duckdb.connect(str(place / "peer.duckdb"))
    link.register("given", table.slice(0, 0))
    link.execute("CREATE TABLE t AS SELECT * FROM given")
    parts = few_batches(table, batch, seconds)
    sent = 0
    began = time.perf_counter()
    for part in parts:
        link.register("given", part)
        link.execute("INSERT INTO t SELECT * FROM given")
        sent += part.num_rows
        if time.perf_counter() - began > seconds:
            break
    took = time.perf_counter() - began
    link.close()
    return sent / took


def sqlite(place: Path, table: pa.Table, batch: int, seconds: float) -> float:
    """Return rows/s of SQLite, WAL with every commit synced."""
    link = sqlite3.connect(place / "peer.sqlite", isolation_level=None)
    link.execute("PRAGMA journal_mode=WAL")
    link.execute("PRAGMA synchronous=FULL")
    link.execute(f"CREATE TABLE t({', '.join(table.column_names)})")
    insert = f"INSERT INTO t VALUES({','.join('?' * table.num_columns)})"
    plain = table.set_column(0, table.column_names[0], table.column(0).cast(pa.int64()))
    parts = [
        list(zip(*part.to_pydict().values(), strict=True)) for part in few_batches(plain, batch, seconds)
    ]
    sent = 0
    began = time.perf_counter()
    for part in parts:
        link.execute("BEGIN")
        link.executemany(insert, part)
        link.execute("COMMIT")
        sent += len(part)
        if time.perf_counter() - began > seconds:
            break
    took = time.perf_counter() - began
    link.close()
    return sent / took


def main() -> None:
    """Measure all in turns and print the line."""
    chosen = _bench.options(__doc__ or "", ("--seconds", {"type": float}), ("--rounds", {"type": int}))
    seconds = chosen.seconds or (0.5 if chosen.short else 1.0)
    rounds = chosen.rounds or (1 if chosen.short else 3)
    engines: dict[str, tuple[Callable[[Path, pa.Table, int, float], float], int]] = {
        "awaited_1": (product, 1),
        "duckdb_1": (duck, 1),
        "sqlite_1": (sqlite, 1),
        "awaited_100": (product, 100),
        "duckdb_100": (duck, 100),
        "sqlite_100": (sqlite, 100),
        "pipelined_1": (pipelined, 1),
        "pipelined_1000": (pipelined, 1_000),
        "pipelined_4096": (pipelined, 4_096),
    }
    found: dict[str, list[float]] = {name: [] for name in engines}
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        source = Path(place) / "in.parquet"
        generated(500, 2_000 if chosen.short else 6_000, source)
        table = pq.read_table(source).combine_chunks()
        source.unlink()
        for _ in range(rounds):
            for name, (engine, batch) in engines.items():
                with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory:
                    found[name].append(engine(Path(directory), table, batch, seconds))
    spreads = {name: _bench.spread(rates, 0) for name, rates in found.items()}
    middle = {name: spread["median"] for name, spread in spreads.items()}
    _bench.report(
        "power",
        rows_per_s=spreads,
        ratio_to_duckdb_100=round(middle["awaited_100"] / middle["duckdb_100"], 2),
        ratio_to_sqlite_100=round(middle["awaited_100"] / middle["sqlite_100"], 2),
        ratio_to_sqlite_1=round(middle["awaited_1"] / middle["sqlite_1"], 2),
        targets={
            "to_duckdb_100": 5,
            "to_sqlite_100": 1.2,
            "pipelined_1": 250_000,
            "pipelined_batches": 1_000_000,
        },
        pipelined_cpu_us_per_row={str(batch): _bench.spread(used, 3) for batch, used in CPU_US.items()},
        seconds=seconds,
        control="DuckDB autocommit from Arrow, SQLite WAL FULL from ready tuples, in turns within each round",
        note="in this process, no HTTP; every acknowledged row is in the log once and in the hot tier",
    )


if __name__ == "__main__":
    main()
