"""The cold tier beside other databases on the reference generator's data: size, points, bars, latest, Arrow.

Rows come in by `qautlra data import`; answers over HTTP from `qautlra serve --mode db` with 1 MiB of memory,
so that they come from files. The peers are in this process (`_peers.py`), asked in turns with the product,
the same question to all; a copy of the store opened in this process (`_inprocess.py`) is asked as they are.
Answers are compared before anything is timed. With --work everything made is kept there for the next run.
"""

from __future__ import annotations

import base64
import http.client
import importlib.util
import json
import os
import random
import shutil
import socket
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
import _inprocess
import _peers

SHIFT_US = int(7.5 * 3600) * 1_000_000  # the generator's day begins in the evening; ours at 09:30
NAMES = {
    "last": "last_price", "high": "highest", "low": "lowest", "pre_settle": "pre_settlement",
    **{f"{side}{k}": f"{side}_price{k}" for side in ("bid", "ask") for k in range(1, 6)},
    **{f"{side}v{k}": f"{side}_volume{k}" for side in ("bid", "ask") for k in range(1, 6)},
}  # fmt: skip
ARRIVAL_ROWS = 500_000
POSTED_ROWS = 16_384
STREAM_ROWS = 1_000_000
UNBROKEN_US = 44 * 60_000_000
DUCKDB_BLOCK_BYTES = 262_144
ARROW = "application/vnd.apache.arrow.stream"


def main() -> None:
    """Generate, import, compare, measure in turns, print the line."""
    chosen = _bench.options(
        __doc__ or "",
        ("--snapshots", {"type": int}),
        ("--instruments", {"type": int}),
        ("--work", {"type": Path}),
    )
    instruments = chosen.instruments or (20 if chosen.short else 500)
    snapshots = chosen.snapshots or (200 if chosen.short else 2000)
    calls = 20 if chosen.short else 100
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as place:
        work = chosen.work or Path(place)
        work.mkdir(exist_ok=True)
        source, data = work / "in.parquet", work / "data"
        rows = instruments * snapshots
        if not source.exists():
            generated(instruments, snapshots, source)
        table = duckdb.connect(str(work / "peer.duckdb"))
        table.execute("SET threads = 1")
        table.execute(f"CREATE TABLE IF NOT EXISTS ticks AS FROM '{source}' ORDER BY instrument_id, datetime")
        table.execute("CHECKPOINT")
        peer_bytes = (work / "peer.duckdb").stat().st_size
        import_s = None
        if not data.exists():
            began = time.perf_counter()
            run("data", "import", str(source), "--data-dir", str(data), "--json")
            import_s = time.perf_counter() - began
        peers, missing = _peers.all_of(table, work, chosen.short)
        with _bench.serve("--mode", "db", "--set", "store.hot_bytes=1MiB", data_dir=data) as server:
            wait_for_files(server)
            found = measured(server, table, work, peers, calls)
            sizes = [server.service("store")["file_bytes"]]
        unfiled = unfiled_rates(source)
        real = real_day_sizes(work)
    ours, theirs = sum(sizes) / rows, peer_bytes / rows
    _bench.report(
        "store",
        rows=rows,
        instruments=instruments,
        import_rows_per_s=round(rows / import_s) if import_s else None,
        bytes_per_row=round(ours, 2),
        duckdb_bytes_per_row=round(theirs, 2),
        bytes_ratio=round(ours / theirs, 3),
        bytes_target_ratio=0.7,
        real_day=real,
        missing_peers=missing,
        **found,
        unfiled_arrow_gb_per_s=unfiled,
        control="DuckDB table sorted by instrument and time, one thread; the peers named; in this process",
        note="answers of the product are HTTP, those of the peers a call; equal rows checked first",
    )


def measured(
    server: _bench.Server,
    table: duckdb.DuckDBPyConnection,
    work: Path,
    peers: dict[str, _peers.Peer],
    calls: int,
) -> dict[str, Any]:
    """Return what the questions take, product and peer in turns."""
    symbols = [
        row[0] for row in table.execute("SELECT DISTINCT instrument_id FROM ticks ORDER BY 1").fetchall()
    ]
    low, high = table.execute(
        "SELECT epoch_us(min(datetime)), epoch_us(max(datetime)) FROM ticks"
    ).fetchall()[0]
    rng = random.Random(7)
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

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

    inside: list[float] = []  # ms the server says a point took it

    def point(symbol: str, start: int) -> Any:
        body, elapsed_s = ask(ARROW, filter=f"instrument='{symbol}'", start_time=start, limit=1000)
        inside.append(elapsed_s * 1e3)
        return pa.ipc.open_stream(body).read_all()

    def own_point(symbol: str, start: int) -> Any:
        return own.point(symbol, start, high + 1)

    def question() -> tuple[str, int]:
        return rng.choice(symbols), low + rng.randrange(max(high - low, 1)) // 2

    minute = (
        "SELECT time_bucket(INTERVAL 1 MINUTE, datetime) AS t, instrument_id, arg_min(last_price, datetime), "
        "max(last_price), min(last_price), arg_max(last_price, datetime), max(volume) "
        "FROM ticks GROUP BY 1, 2"
    )
    wait_for_bars(ask)
    bars = pa.ipc.open_stream(ask(ARROW, stream="bar_1m")[0]).read_all().num_rows
    # Later there are breaks, whose ticks are in no bar of the product.
    until = min(high + 1, low + UNBROKEN_US)
    found_bars = len(json.loads(ask(stream="bar_1m", end_time=until, limit=100_000)[0]))
    expected = table.execute(
        f"SELECT count(*) FROM ({minute}) WHERE t < make_timestamptz({until})"
    ).fetchall()[0][0]
    if found_bars != expected:
        raise SystemExit(f"{found_bars} bars, expected {expected}")
    shutil.rmtree(work / "own", ignore_errors=True)
    shutil.copytree(server.data_dir, work / "own")
    own = _inprocess.InProcess(work / "own")
    check(point, own_point, peers, [question() for _ in range(5)])
    inside.clear()
    products = {"product": point, "product_in_process": own_point}
    found = {
        "cold_point_1000_ms": points(server.pid, products, peers, [question() for _ in range(calls)]),
        "cold_point_server_ms": _bench.spread(inside),
        "bars_of_a_day_ms": turns(
            lambda: ask(ARROW, stream="bar_1m"), lambda: table.sql(minute).to_arrow_table(), calls // 10
        ),
        "bars": bars,
    }
    own.close()
    latest = [ask(latest_on=True, start_time=0)[1] * 1e3 for _ in range(calls)]
    found["latest_server_ms"] = _bench.spread(latest)
    found["arrow_gb_per_s"] = arrow_rates(server.port, low, high + 1)
    return found


def unfiled_rates(source: Path) -> dict[str, Any]:
    """Return how fast a million rows leave that are in memory and no file yet."""
    password = "Bench-" + base64.urlsafe_b64encode(os.urandom(9)).decode()
    os.environ["QAUTLRA__AUTH__PASSWORD"] = password
    settings = ["auth.username=bench", "store.hot_bytes=4GiB", "store.segment_bytes=2GiB"]
    secret = base64.b64encode(f"bench:{password}".encode()).decode()
    login = {"Authorization": f"Basic {secret}"}
    head = {**login, "X-P-Stream": "futures_market", "Content-Type": ARROW}
    rows, low, high = 0, 2**63, 0
    with _bench.serve("--mode", "db", *(part for one in settings for part in ("--set", one))) as server:
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for batch in pq.ParquetFile(source).iter_batches(POSTED_ROWS):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            link.request("POST", "/api/v1/ingest", sink.getvalue().to_pybytes(), head)
            answer = link.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"ingest: {answer.status}: {text[:300]!r}")
            times = pa.compute.min_max(batch.column("datetime").cast(pa.int64())).as_py()
            rows, low, high = rows + batch.num_rows, min(low, times["min"]), max(high, times["max"])
            if rows >= STREAM_ROWS:
                break
        rates = arrow_rates(server.port, low, high + 1, login)
        if server.service("store")["files"]:
            raise SystemExit("rows were put into files meanwhile")
    del os.environ["QAUTLRA__AUTH__PASSWORD"]
    return rates | {"rows": rows}


def arrow_rates(port: int, low: int, stop: int, more: dict[str, str] | None = None) -> dict[str, Any]:
    """Return how fast a million rows leave in any order, read into one buffer; `more` headers."""
    asked = {
        "stream": "futures_market",
        "start_time": low,
        "end_time": stop,
        "order": "any",
        "limit": STREAM_ROWS,
    }
    content = json.dumps(asked).encode()
    head = (
        f"POST /api/v1/query HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nAccept: {ARROW}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in (more or {}).items())
        + "\r\n"
    )
    buffer = memoryview(bytearray(1 << 20))
    rates = []
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as link:
            began, size = time.perf_counter(), 0
            link.sendall(head.encode() + content)
            while got := link.recv_into(buffer):
                size += got
            rates.append(size / (time.perf_counter() - began) / 1e9)
    return _bench.spread(rates)


def check(
    point: Callable[[str, int], Any],
    own_point: Callable[[str, int], Any],
    peers: dict[str, _peers.Peer],
    questions: list[tuple[str, int]],
) -> None:
    """End the run unless product and peers say the same about the same questions."""
    for question in questions:
        ours = point(*question)
        theirs = peers["duckdb_table"].ask(*question)
        for name in theirs.column_names:
            if name not in ("datetime", "recv_ns"):
                a, b = (one.column(name).to_pylist() for one in (ours, theirs))
                if a != b:
                    raise SystemExit(f"different answers in {name}: {a[:3]} {b[:3]}")
        prices = ours.column("last_price").to_pylist()
        if not own_point(*question).equals(ours):
            raise SystemExit(f"over HTTP and in this process are two answers to {question}")
        for name, peer in peers.items():
            if peer.prices(peer.ask(*question)) != prices:
                raise SystemExit(f"{name} says something else about {question}")


def points(
    pid: int,
    products: dict[str, Callable[[str, int], Any]],
    peers: dict[str, _peers.Peer],
    questions: list[tuple[str, int]],
) -> dict[str, Any]:
    """Return what the questions take, each asked of all in turn: ms, and ms of CPU (client and server)."""
    engines = {**products, **{name: peer.ask for name, peer in peers.items()}}
    taken: dict[str, list[float]] = {name: [] for name in engines}
    cpu: dict[str, list[float]] = {name: [] for name in engines}
    for question in questions:
        for name, ask in engines.items():
            used = time.process_time() + (_bench.cpu_s(pid) if name == "product" else 0.0)
            began = time.perf_counter()
            ask(*question)
            taken[name].append((time.perf_counter() - began) * 1e3)
            used -= time.process_time() + (_bench.cpu_s(pid) if name == "product" else 0.0)
            cpu[name].append(-used * 1e3)
    p50 = {name: round(_bench.quantile(times, 0.5), 3) for name, times in taken.items()}
    cpu_p50 = {name: round(_bench.quantile(times, 0.5), 3) for name, times in cpu.items()}
    best = min(peers, key=lambda name: p50[name])
    return {
        "p50": p50,
        "p99": {name: round(_bench.quantile(times, 0.99), 3) for name, times in taken.items()},
        "best_peer": best,
        "ratio_to_best_p50": {name: round(p50[name] / p50[best], 3) for name in products},
        "cpu_p50": cpu_p50,
        "cpu_ratio_to_best": {
            name: round(cpu_p50[name] / min(cpu_p50[peer] for peer in peers), 3) for name in products
        },
        "n": len(questions),
    }


def wait_for_files(server: _bench.Server) -> None:
    """Wait until small files are merged."""
    server.wait("store", "state", "running", 120.0)
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 5.0:
        files = server.service("store").get("files", -1)
        if files != before:
            before, since = files, time.monotonic()
        time.sleep(0.25)


def real_day_sizes(work: Path) -> dict[str, Any]:
    """Return bytes per row of a recorded day of one instrument, and of a DuckDB table of the same rows."""
    (day,) = _bench.real_day()
    data = work / "real"
    for before in (data, work / "real.duckdb"):  # of the run before
        shutil.rmtree(before) if before.is_dir() else before.unlink(missing_ok=True)
    run("data", "import", str(day), "--data-dir", str(data), "--json")
    files = list(data.glob("stream=*/date=*/*.parquet"))
    peer = duckdb.connect(str(work / "real.duckdb"))
    peer.execute("CREATE TABLE ticks AS SELECT * FROM read_parquet(?)", [[str(path) for path in files]])
    peer.execute("CHECKPOINT")
    ((rows, segments),) = peer.execute(
        "SELECT (SELECT count(*) FROM ticks), "
        "(SELECT count(DISTINCT block_id) FROM pragma_storage_info('ticks') WHERE block_id >= 0)"
    ).fetchall()
    ours = sum(path.stat().st_size for path in files)
    theirs = segments * DUCKDB_BLOCK_BYTES
    return {
        "rows": rows,
        "bytes_per_row": round(ours / rows, 2),
        "duckdb_bytes_per_row": round(theirs / rows, 2),
        "bytes_ratio": round(ours / theirs, 3),
    }


def wait_for_bars(ask: Callable[..., Any]) -> None:
    """Wait until the day's bars are asked from files: it is over, so that they are made of themselves."""
    for _ in range(900):
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
        name = Path(sys.argv[0]).stem  # others use the generator too
        _bench.report(name, skipped="no generator: set QAUTLRA_SHARED to the reference data")
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
