"""One-minute bars of the whole running day of all instruments, asked again while rows come.

Rows of the reference generator arrive as Arrow over HTTP and stay in memory. Between two batches the bars are
asked three ways in turn: all of the day, which the server keeps but for what is new; all instruments by name,
which it folds from all rows, as it did for every such question before it kept any; and of DuckDB, one thread,
over a table of the same rows. Both answers of the product are compared, and their prices with DuckDB's.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import _bench
from load import USER, Feed, body
from store import ARROW, UNBROKEN_US, generated

FIRST_SHARE = 0.75
POSTED_ROWS = 8_192
MINUTE = (
    "SELECT time_bucket(INTERVAL 1 MINUTE, datetime) AS datetime, instrument_id, "
    "arg_min(last_price, datetime) AS open, max(last_price) AS high, min(last_price) AS low, "
    "arg_max(last_price, datetime) AS close, max(volume) AS volume FROM ticks GROUP BY 1, 2"
)


def main() -> None:
    """Fill the day, ask in turns, print the line."""
    chosen = _bench.options(__doc__ or "", ("--snapshots", {"type": int}), ("--instruments", {"type": int}))
    instruments = chosen.instruments or (20 if chosen.short else 500)
    snapshots = chosen.snapshots or (200 if chosen.short else 1_600)
    rounds = 5 if chosen.short else 20
    password = "Bench-" + base64.urlsafe_b64encode(os.urandom(9)).decode()
    os.environ["QAUTLRA__AUTH__PASSWORD"] = password
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        generated(instruments, snapshots, Path(place) / "in.parquet")
        table = pq.read_table(Path(place) / "in.parquet")
    settings = [f"auth.username={USER}", "store.hot_bytes=3GiB", "store.segment_bytes=2GiB"]
    flags = [part for one in settings for part in ("--set", one)]
    with _bench.serve("--mode", "db", *flags) as server:
        found = measured(Day(server, password, table), int(table.num_rows * FIRST_SHARE), rounds)
    _bench.report(
        "bars",
        instruments=instruments,
        **found,
        control="DuckDB, one thread, in this process, over a table of the same rows",
        note="answers of the product are HTTP, as Arrow; all are of the same rows, in turns",
    )


class Day:
    """A running day in a server and in DuckDB."""

    def __init__(self, server: _bench.Server, password: str, table: pa.Table) -> None:
        self._feed = Feed(server.port, password)
        self._link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self._table = table
        self._names = ",".join(f"'{name}'" for name in table.column("instrument_id").unique().to_pylist())
        self._peer = duckdb.connect()
        self._peer.execute("SET threads = 1")
        self._peer.register("coming", table.slice(0, 0))
        self._peer.execute("CREATE TABLE ticks AS FROM coming")
        self.rows = 0

    def grow(self, rows: int) -> None:
        """Store rows that come next, here and there."""
        end = min(self.rows + rows, self._table.num_rows)
        self._peer.register("coming", self._table.slice(self.rows, end - self.rows))
        self._peer.execute("INSERT INTO ticks FROM coming")
        for at in range(self.rows, end, POSTED_ROWS):
            self._feed.post(body(self._table.slice(at, min(POSTED_ROWS, end - at))))
        self.rows = end

    def kept(self) -> pa.Table:
        """Ask for all bars of the day."""
        return self._ask()

    def anew(self) -> pa.Table:
        """Ask for the same bars by names."""
        return self._ask(filter=f"instrument IN ({self._names})")

    def peer(self) -> pa.Table:
        """Ask DuckDB."""
        return self._peer.sql(MINUTE).to_arrow_table()

    def _ask(self, **more: Any) -> pa.Table:
        low = self._table.column("datetime")[0].as_py().timestamp()
        asked = {
            "stream": "bar_1m",
            "start_time": int((low - 3_600) * 1e6),
            "end_time": int((low + 86_400) * 1e6),
        }
        self._link.request(
            "POST",
            "/api/v1/query",
            json.dumps(asked | more),
            {"Content-Type": "application/json", "Accept": ARROW},
        )
        answer = self._link.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {text[:300]!r}")
        return pa.ipc.open_stream(text).read_all()


def measured(day: Day, first_rows: int, rounds: int) -> dict[str, Any]:
    """Return what the questions take, in ms."""
    day.grow(first_rows)
    began = time.perf_counter()
    day.kept()
    first_ms = (time.perf_counter() - began) * 1e3
    ways: dict[str, Callable[[], pa.Table]] = {"kept": day.kept, "anew": day.anew, "duckdb": day.peer}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    step = first_rows // 3 // rounds
    for _ in range(rounds):
        day.grow(step)
        answers = {}
        for name, ask in ways.items():
            began = time.perf_counter()
            answers[name] = ask()
            taken[name].append((time.perf_counter() - began) * 1e3)
        check(**answers)
    p50 = {name: _bench.quantile(times, 0.5) for name, times in taken.items()}
    return {
        "rows": day.rows,
        "new_rows_a_question": step,
        "bars": answers["kept"].num_rows,
        "first_ms": round(first_ms, 1),
        **{f"{name}_ms": _bench.spread(times, 2) for name, times in taken.items()},
        "ratio_to_anew": round(p50["kept"] / p50["anew"], 3),
        "ratio_to_duckdb": round(p50["kept"] / p50["duckdb"], 3),
    }


def check(kept: pa.Table, anew: pa.Table, duckdb: pa.Table) -> None:
    """End the run unless all three say the same."""
    if not kept.equals(anew):
        raise SystemExit(f"two answers: {kept.num_rows} bars and {anew.num_rows}, or other values")
    # Later there are breaks, whose ticks are in no bar of the product.
    until = min(kept.column("datetime").cast(pa.int64()).to_numpy()) + UNBROKEN_US
    names = ["datetime", "instrument_id", "open", "high", "low", "close"]
    ours, theirs = (
        sorted(row for row in zip(*(cells(one, name) for name in names), strict=True) if row[0] < until)
        for one in (kept, duckdb)
    )
    if ours != theirs:
        raise SystemExit(f"DuckDB says something else: {len(ours)} bars and {len(theirs)}")


def cells(table: pa.Table, name: str) -> list[Any]:
    """Return a column as a list, times in microseconds."""
    column = table.column(name)
    return list(
        (
            column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()) if name == "datetime" else column
        ).to_pylist()
    )


if __name__ == "__main__":
    main()
