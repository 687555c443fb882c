"""Rows per second a real `qautlra serve` takes in and makes durable (`process`), fed by its own replay.

A recorded day is replayed again and again at full speed: read, normalised, put on the tape, logged and
compacted. Then SQL counts the rows while more arrive: each logged one is among them. At the end the process
is killed and what the log still has is compared with what it acknowledged.
"""

from __future__ import annotations

import gzip
import http.client
import io
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.csv as csv

import _bench

TARGET_ROWS_PER_S = 400_000
BLOCK_BYTES = 1 << 20


def main() -> None:
    """Measure product and controls in turns and print the line."""
    chosen = _bench.options(__doc__ or "", ("--seconds", {"type": float}), ("--mode", {"default": "db"}))
    seconds = chosen.seconds or (2.0 if chosen.short else 10.0)
    (day,) = _bench.real_day()
    runs, reads, writes = [], [], []
    for _ in range(1 if chosen.short else 3):
        runs.append(ingest(day, chosen.mode, seconds))
        reads.append(plain_read(day))
        writes.append(plain_write(runs[-1]["log_bytes_per_row"], runs[-1]["rows"]))
    rate = _bench.spread([run["rows_per_s"] for run in runs], 0)
    read, write = _bench.spread(reads, 0), _bench.spread(writes, 0)
    _bench.report(
        "ingest",
        rows_per_s=rate,
        per_second=_bench.spread([each for run in runs for each in run["each_s"]], 0),
        rows=sum(run["rows"] for run in runs),
        log_bytes_per_row=runs[-1]["log_bytes_per_row"],
        rows_per_server_cpu_s=_bench.spread([run["rows"] / run["cpu_s"] for run in runs], 0),
        server_cpu=round(sum(run["cpu"] for run in runs) / len(runs), 2),
        compacted_rows=sum(run["compacted"] for run in runs),
        counted_by_sql=[run["counted"] for run in runs],
        not_yet_compacted=[run["behind"] for run in runs],
        killed=[run["killed"] for run in runs],
        target_rows_per_s=TARGET_ROWS_PER_S,
        met=rate["median"] >= TARGET_ROWS_PER_S,
        control_read_rows_per_s=read,
        ratio_to_read=round(rate["median"] / read["median"], 3),
        control_write_rows_per_s=write,
        ratio_to_write=round(rate["median"] / write["median"], 3),
        control="the same file unpacked and read by pyarrow alone; the log's bytes copied and written alone",
        product=f"serve --mode {chosen.mode} --source replay --speed max --loop, durability process",
        seconds=seconds,
    )


def ingest(day: Path, mode: str, seconds: float) -> dict[str, Any]:
    """Return figures of one run; the process ends by SIGKILL and its log is opened again."""
    arguments = ["--mode", mode, "--source", "replay", "--replay", str(day), "--speed", "max", "--loop"]
    arguments += ["--set", "store.durability=process"]
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory:
        place = Path(directory)
        with _bench.serve(*arguments, data_dir=place) as server:
            before = warm = server.wait("store", "rows_logged", "", 10.0)
            cpu, start = _bench.cpu_s(server.pid), time.monotonic()
            each, at = [], start
            while at - start < seconds:
                time.sleep(1.0)
                now, health = time.monotonic(), server.service("store")
                each.append((health["rows_logged"] - warm["rows_logged"]) / (now - at))
                warm, at = health, now
            elapsed, used = at - start, _bench.cpu_s(server.pid) - cpu
            rows = warm["rows_logged"] - before["rows_logged"]
            log_bytes = sum(path.stat().st_size for path in (place / "log").glob("*.qlog"))
            in_log = warm["log_lsn"] - warm["compacted_lsn"]
            counted = count(server)
            durable = server.service("store")["durable_lsn"]
            server.process.kill()
            server.process.wait()
        with _bench.serve("--mode", "db", data_dir=place) as again:
            kept = again.service("store")["log_lsn"]
        if kept < durable:
            raise SystemExit(f"the log ends at {kept} after the kill, {durable} was acknowledged")
    return {
        "rows": rows,
        "rows_per_s": rows / elapsed,
        "each_s": each,
        "cpu": used / elapsed,
        "cpu_s": used,
        "compacted": warm["compacted_lsn"],
        "log_bytes_per_row": round(log_bytes / max(in_log, 1), 1),
        "counted": counted,
        "behind": in_log,
        "killed": f"log at {kept} of {durable} acknowledged",
    }


def count(server: _bench.Server) -> int:
    """Return how many rows SQL counts while more arrive; end the run when it misses logged ones."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    asked = {
        "query": "SELECT count(*) AS n FROM market_data",
        "startTime": "2000-01-01",
        "endTime": "2200-01-01",
    }
    before = server.service("store")["rows_logged"]
    link.request("POST", "/api/v1/query", json.dumps(asked), {"Content-Type": "application/json"})
    answer = link.getresponse()
    text = answer.read()
    after = server.service("store")["rows_logged"]
    if answer.status != 200:
        raise SystemExit(f"SQL: {answer.status}: {text[:300]!r}")
    found = int(json.loads(text)[0]["n"])
    if not before <= found <= after:
        raise SystemExit(f"SQL counts {found} rows, {before} were logged before and {after} after")
    return found


def plain_read(day: Path) -> float:
    """Return rows per second of unpacking and parsing alone, one thread."""
    start, rows = time.perf_counter(), 0
    while time.perf_counter() - start < 1.0:
        text = gzip.decompress(day.read_bytes())
        rows += csv.read_csv(io.BytesIO(text), csv.ReadOptions(use_threads=False)).num_rows
    return rows / (time.perf_counter() - start)


def plain_write(row_bytes: float, rows: int) -> float:
    """Return rows per second of copying and writing the same bytes in blocks, nothing else."""
    total = max(int(row_bytes * rows), BLOCK_BYTES)
    source = os.urandom(BLOCK_BYTES)
    with tempfile.NamedTemporaryFile(prefix="qautlra-bench-") as file:
        descriptor, start, done = file.fileno(), time.perf_counter(), 0
        while done < total:
            done += os.write(descriptor, bytearray(source))
        return rows / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
