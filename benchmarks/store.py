"""The cold tier beside DuckDB on the reference generator's data: size, point queries, bars, latest, Arrow.

Rows come in by `qautlra data import`; answers over HTTP from `qautlra serve --mode db` with 1 MiB of memory,
so that they come from files. The peer is a DuckDB table sorted by instrument and time, in this process,
asked in turns. Answers are compared before anything is timed.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import _bench

SHIFT_US = int(7.5 * 3600) * 1_000_000  # the generator's day begins in the evening; ours at 09:30
NAMES = {
    "last": "last_price", "high": "highest", "low": "lowest", "pre_settle": "pre_settlement",
    **{f"{side}{k}": f"{side}_price{k}" for side in ("bid", "ask") for k in range(1, 6)},
    **{f"{side}v{k}": f"{side}_volume{k}" for side in ("bid", "ask") for k in range(1, 6)},
}  # fmt: skip
ARRIVAL_ROWS = 500_000
ARROW = "application/vnd.apache.arrow.stream"


def main() -> None:
    """Generate, import, compare, measure in turns, print the line."""
    chosen = _bench.options(__doc__ or "", ("--snapshots", {"type": int}), ("--instruments", {"type": int}))
    instruments = chosen.instruments or (20 if chosen.short else 500)
    snapshots = chosen.snapshots or (200 if chosen.short else 2000)
    calls = 20 if chosen.short else 100
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        work = Path(place)
        rows = generated(instruments, snapshots, work / "in.parquet")
        table = duckdb.connect(str(work / "peer.duckdb"))
        table.execute("SET threads = 1")
        source = str(work / "in.parquet")
        table.execute(f"CREATE TABLE ticks AS SELECT * FROM '{source}' ORDER BY instrument_id, datetime")
        table.execute("CHECKPOINT")
        peer_bytes = (work / "peer.duckdb").stat().st_size
        data = work / "data"
        began = time.perf_counter()
        run("data", "import", source, "--data-dir", str(data), "--json")
        import_s = time.perf_counter() - began
        sizes = [path.stat().st_size for path in data.glob("stream=*/date=*/*.parquet")]
        with _bench.serve("--mode", "db", "--set", "store.hot_bytes=1MiB", data_dir=data) as server:
            found = measured(server.port, table, instruments, snapshots, calls)
    ours, theirs = sum(sizes) / rows, peer_bytes / rows
    _bench.report(
        "store",
        rows=rows,
        instruments=instruments,
        import_rows_per_s=round(rows / import_s),
        bytes_per_row=round(ours, 2),
        duckdb_bytes_per_row=round(theirs, 2),
        bytes_ratio=round(ours / theirs, 3),
        bytes_target_ratio=0.7,
        **found,
        control="DuckDB table sorted by instrument and time, one thread, in this process",
        note="answers of the product are HTTP, those of the peer a call; equal rows checked first",
    )


def measured(
    port: int, table: duckdb.DuckDBPyConnection, instruments: int, snapshots: int, calls: int
) -> dict[str, Any]:
    """Return what the questions take, product and peer in turns."""
    symbols = [
        row[0] for row in table.execute("SELECT DISTINCT instrument_id FROM ticks ORDER BY 1").fetchall()
    ]
    low, high = table.execute(
        "SELECT epoch_us(min(datetime)), epoch_us(max(datetime)) FROM ticks"
    ).fetchall()[0]
    rng = random.Random(7)
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(accept: str = "application/json", **body: Any) -> tuple[bytes, float]:
        asked = {"stream": "futures_market", "start_time": low, "end_time": high + 1, **body}
        link.request(
            "POST", "/api/v1/query", json.dumps(asked), {"Content-Type": "application/json", "Accept": accept}
        )
        answer = link.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {text[:300]!r}")
        return text, float(answer.headers.get("p-time-elapsed", 0))

    def point(peer: bool) -> Any:
        symbol = rng.choice(symbols)
        start = low + rng.randrange(max(high - low, 1)) // 2
        if peer:
            sql = (
                "SELECT * FROM ticks WHERE instrument_id = ? AND datetime >= make_timestamptz(?) "
                "ORDER BY datetime LIMIT 1000"
            )
            return table.sql(sql, params=[symbol, start]).to_arrow_table()
        body, _ = ask(ARROW, filter=f"instrument='{symbol}'", start_time=start, limit=1000)
        return pa.ipc.open_stream(body).read_all()

    check(point, rng)
    minute = (
        "SELECT time_bucket(INTERVAL 1 MINUTE, datetime) AS t, instrument_id, arg_min(last_price, datetime), "
        "max(last_price), min(last_price), arg_max(last_price, datetime), max(volume) "
        "FROM ticks GROUP BY 1, 2"
    )
    wait_for_bars(ask)
    bars = len(json.loads(ask(stream="bar_1m", limit=100_000)[0]))
    expected = table.execute(f"SELECT count(*) FROM ({minute})").fetchall()[0][0]
    if bars != expected:
        raise SystemExit(f"{bars} bars, expected {expected}")
    found = {
        "cold_point_1000_ms": turns(lambda: point(False), lambda: point(True), calls),
        "bars_of_a_day_ms": turns(
            lambda: ask(ARROW, stream="bar_1m"), lambda: table.sql(minute).to_arrow_table(), calls // 10
        ),
        "bars": bars,
    }
    latest = [ask(latest_on=True, start_time=0)[1] * 1e3 for _ in range(calls)]
    found["latest_server_ms"] = _bench.spread(latest)
    whole = []
    for _ in range(3):
        began = time.perf_counter()
        body, _ = ask(ARROW)
        whole.append(len(body) / (time.perf_counter() - began) / 1e9)
    found["arrow_gb_per_s"] = _bench.spread(whole)
    return found


def check(point: Callable[[bool], Any], rng: random.Random) -> None:
    """End the run unless product and peer say the same about the same questions."""
    for _ in range(5):
        state = rng.getstate()
        ours = point(False)
        rng.setstate(state)
        theirs = point(True)
        names = [name for name in theirs.column_names if name not in ("datetime", "recv_ns")]
        for name in names:
            a, b = (one.column(name).to_pylist() for one in (ours, theirs))
            if a != b:
                raise SystemExit(f"different answers in {name}: {a[:3]} {b[:3]}")


def wait_for_bars(ask: Callable[..., Any]) -> None:
    """Wait until the day's bars are asked from files: it is over, so that they are made of themselves."""
    for _ in range(100):
        if ask(stream="bar_1m", limit=1)[1] < 0.05:
            return
        time.sleep(0.2)


def turns(ours: Callable[[], Any], theirs: Callable[[], Any], calls: int) -> dict[str, Any]:
    """Return median and 99th percentile of both, asked in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for at in range(calls + 3):
        for side, call in enumerate((ours, theirs)):
            began = time.perf_counter()
            call()
            if at >= 3:
                taken[side].append((time.perf_counter() - began) * 1e3)
    p50 = [_bench.quantile(one, 0.5) for one in taken]
    return {
        "p50": round(p50[0], 3),
        "p99": round(_bench.quantile(taken[0], 0.99), 3),
        "peer_p50": round(p50[1], 3),
        "peer_p99": round(_bench.quantile(taken[1], 0.99), 3),
        "ratio_p50": round(p50[0] / p50[1], 3),
        "n": calls,
    }


def generated(instruments: int, snapshots: int, path: Path) -> int:
    """Write the generator's rows in our columns; return how many."""
    place = _bench.shared()
    if place is None:
        _bench.report("store", skipped="no generator: set QAUTLRA_SHARED to the reference data")
        raise SystemExit(0)
    spec = importlib.util.spec_from_file_location("db_gen", place / "bench" / "store" / "db_gen.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rng = np.random.default_rng(7)
    tables = []
    for number, (symbol, exchange, tick, price) in enumerate(module.universe(instruments)):
        values = module.gen_instrument(symbol, exchange, tick, price, snapshots, rng)
        name = symbol if symbol.isalnum() and not symbol.endswith("x") else f"au{3000 + number}"
        if exchange == "CZCE":
            name = name[:-4] + name[-3:]  # three digits are how that exchange writes a month
        values.pop("instrument"), values.pop("exchange"), values.pop("recv_ns", None)
        columns = {NAMES.get(key, key): np.broadcast_to(value, snapshots) for key, value in values.items()}
        times = pa.array(np.asarray(columns.pop("ts")) - SHIFT_US).cast(pa.timestamp("us", "UTC"))
        fields = {"datetime": times, "instrument_id": [f"{exchange}.{name}"] * snapshots}
        tables.append(pa.table(fields | {key: pa.array(value) for key, value in columns.items()}))
    table = pa.concat_tables(tables)
    # In the order a gateway delivers: snapshot k of every instrument, then the next.
    order = np.arange(table.num_rows).reshape(instruments, snapshots).T.ravel()
    with pq.ParquetWriter(path, table.schema) as writer:
        for at in range(0, len(order), ARRIVAL_ROWS):
            writer.write_table(table.take(pa.array(order[at : at + ARRIVAL_ROWS])))
    return int(table.num_rows)


def run(*arguments: str) -> None:
    """Run the product's command; its output is shown only when it fails."""
    done = subprocess.run([sys.executable, "-m", "qautlra", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


if __name__ == "__main__":
    main()
