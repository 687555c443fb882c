"""Many clients: what each of 5,000 open connections costs `qautlra serve` in memory, and that all are served.

Resident memory per connection, 50 instruments watched by everyone, against the bare C++ server's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import _bench
import fanout

CLIENTS = 5000
INSTRUMENTS = 50
FLUSHES_PER_S = 4
TARGET_KB = 20.0


def main() -> None:
    """Measure in turns and print the line."""
    chosen = _bench.options(__doc__ or "", ("--clients", {"type": int}), ("--rounds", {"type": int}))
    rounds, count = (1, 500) if chosen.short else (3, CLIENTS)
    rounds, count = chosen.rounds or rounds, chosen.clients or count
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 500:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 500, hard), hard))
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory:
        tools = _bench.generators(Path(directory))
        if isinstance(tools, str):
            _bench.report("clients", skipped=tools)
            return
        runs: dict[str, list[dict[str, float]]] = {"product": [], "limit": []}
        for _ in range(rounds):
            runs["product"].append(product(tools, count))
            runs["limit"].append(limit(tools, count))
    several: dict[str, Any] = {
        who: {key: _bench.spread([run[key] for run in found], 2) for key in found[0]}
        for who, found in runs.items()
    }
    _bench.report(
        "clients",
        **several,
        clients=count,
        instruments=INSTRUMENTS,
        target_kb=TARGET_KB,
        met=several["product"]["kb_per_connection"]["median"] <= TARGET_KB,
        value="RSS growth of the server per connection, measured while quotes flow; all clients got the same",
        control="ws_limit: an epoll server that keeps a descriptor per client",
        server=f"serve --mode md, sim in bursts, {FLUSHES_PER_S} flushes/s, push flow",
    )


def product(tools: dict[str, Path], count: int) -> dict[str, float]:
    """Return figures of one run of the product."""
    server_core, load_core = _bench.cores()
    names = json.loads(fanout.subscription())["ins_list"].split(",")[:INSTRUMENTS]
    asked = json.dumps({"aid": "subscribe_quote", "ins_list": ",".join(names)}, separators=(",", ":"))
    arguments = fanout.arguments(20, str(20 * FLUSHES_PER_S))
    with _bench.serve(*arguments, core=server_core) as server:
        url = f"ws://127.0.0.1:{server.port}{fanout.PATH}"
        return load(tools, load_core, url, server.pid, count, "--subscribe", asked)


def limit(tools: dict[str, Path], count: int) -> dict[str, float]:
    """Return figures of one run of the limit server."""
    server_core, load_core = _bench.cores()
    port = _bench.free_port()
    command = [*_bench.pin(server_core), str(tools["ws_limit"]), "--port", str(port), "--secs", "60"]
    process = subprocess.Popen([*command, "--clients", str(count), "--rate", str(FLUSHES_PER_S)])
    try:
        _bench.wait_for_port(port)
        return load(tools, load_core, f"ws://127.0.0.1:{port}/", process.pid, count)
    finally:
        process.kill()
        process.wait()


def load(tools: dict[str, Path], core: int, url: str, pid: int, count: int, *more: str) -> dict[str, float]:
    """Return what was seen of `count` clients."""
    command = [*_bench.pin(core), str(tools["ws_load"]), "--url", url, "--clients", str(count)]
    command += ["--duration", "4", "--warmup", "2", "--server-pid", str(pid), *more]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    seen = json.loads(run.stdout)
    if seen["open"] != count or not seen["min_client"]:
        raise SystemExit(f"{url}: {seen['open']} of {count} clients open, the least got {seen['min_client']}")
    return {
        "kb_per_connection": seen["kb_per_conn"],
        "connect_s": seen["connect_s"],
        "messages_per_s": seen["msgs_per_s"],
        "p99_ms": seen["lat_us"]["p99"] / 1000,
        "fairness": seen["min_client"] / max(seen["max_client"], 1),
    }


if __name__ == "__main__":
    main()
