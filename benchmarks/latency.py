"""Tick to client: how long a quote takes from the tape to a reader, and what a stalled reader does to that.

`steady`: 50 clients, 200 updates/s (10,000 messages/s), a real `qautlra serve` in turns with the C++ limit
server, `websockets` and aiohttp. `stalled`: 200 clients beside one that never reads, with and without it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import _bench
import fanout

CLIENTS = 50
UPDATES_PER_S = 200
TARGET = 1.3
STALLED_CLIENTS = 200
STALLED_RATE = 5800  # 100 flushes/s of every instrument: 1 MB/s per client fills what the kernel buffers
STALLED_BURST = 58
STALLED_S = 9.0
STALLED_TARGET = 1.2
READ_BUFFER_BYTES = 65_536
SEND_BUFFER_BYTES = 128 << 10  # less than the default, to be full within a run


def main() -> None:
    """Measure both scenes in turns and print the line."""
    chosen = _bench.options(__doc__ or "", ("--seconds", {"type": float}), ("--rounds", {"type": int}))
    rounds, seconds = (1, 0.4) if chosen.short else (3, 4.0)
    rounds, seconds = chosen.rounds or rounds, chosen.seconds or seconds
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory:
        tools = _bench.generators(Path(directory))
        if isinstance(tools, str):
            _bench.report("latency", skipped=tools)
            return
        steady: dict[str, list[dict[str, float]]] = {}
        stalled: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            steady.setdefault("product", []).append(product(tools, seconds))
            for who in fanout.OTHERS:
                found = fanout.other(tools, who, 1, CLIENTS, seconds, rate=UPDATES_PER_S)
                steady.setdefault(who, []).append(found)
            for name, count in (("without", 0), ("with", 1)):
                stalled.setdefault(name, []).append(beside_stalled(tools, count, STALLED_S))
    server, load = _bench.cores()
    _bench.report(
        "latency",
        steady=compared(steady),
        stalled=stalled_line(stalled),
        seconds=seconds,
        value="microseconds from publication on the tape (the others': from sending) to the reader",
        control="ws_limit, websockets.broadcast, aiohttp at the same rate; the feed without a stalled one",
        product="serve --mode md, sim at a rate, push flow, stamped frames",
        cores={"server": server, "load": load},
    )


def compared(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return the spreads of the steady scene and the ratio of the medians."""
    line: dict[str, Any] = {
        who: {key: _bench.spread([run[key] for run in runs], 1) for key in ("p50_us", "p99_us")}
        for who, runs in found.items()
    }
    ratio = line["product"]["p99_us"]["median"] / line["limit"]["p99_us"]["median"]
    per_message = found["product"][0]["quotes_per_message"]
    return line | {
        "quotes_per_message": per_message,
        "p99_to_limit": round(ratio, 3),
        "target_ratio": TARGET,
        "met": ratio <= TARGET,
    }


def stalled_line(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return what the stalled client changed for the others and what it cost in memory."""
    line: dict[str, Any] = {
        name: {key: _bench.spread([run[key] for run in runs], 1) for key in runs[0]}
        for name, runs in found.items()
    }
    ratio = line["with"]["p99_us"]["median"] / line["without"]["p99_us"]["median"]
    grown = line["with"]["rss_kb"]["median"] - line["without"]["rss_kb"]["median"]
    return line | {
        "p99_with_to_without": round(ratio, 3),
        "target_ratio": STALLED_TARGET,
        "grown_kb": grown,
        "bound_kb": 8 * SEND_BUFFER_BYTES // 1024,
        "met": ratio < STALLED_TARGET and grown <= 8 * SEND_BUFFER_BYTES / 1024,
    }


def product(tools: dict[str, Path], seconds: float) -> dict[str, float]:
    """Return figures of one run of the product at the steady rate."""
    server_core, load_core = _bench.cores()
    with _bench.serve(*fanout.arguments(1, str(UPDATES_PER_S)), core=server_core) as server:
        url = f"ws://127.0.0.1:{server.port}{fanout.PATH}"
        load = [*_bench.pin(load_core), str(tools["ws_load"])]
        asked = ("--subscribe", fanout.subscription())
        return fanout.run_load(load, url, server.pid, CLIENTS, seconds, *asked)


def beside_stalled(tools: dict[str, Path], stalled: int, seconds: float) -> dict[str, float]:
    """Return p99 of 200 readers and the server's memory beside `stalled` clients that never read."""
    server_core, load_core = _bench.cores()
    arguments = fanout.arguments(STALLED_BURST, str(STALLED_RATE))
    for setting in (f"feed.slow_client_s={seconds}", f"feed.send_buffer_bytes={SEND_BUFFER_BYTES}"):
        arguments += ["--set", setting]
    with _bench.serve(*arguments, core=server_core) as server:
        command = [*_bench.pin(load_core), str(tools["ws_load"])]
        command += ["--url", f"ws://127.0.0.1:{server.port}{fanout.PATH}", "--warmup", "0.5"]
        command += ["--clients", str(STALLED_CLIENTS + stalled), "--stall", str(stalled)]
        command += ["--duration", str(seconds), "--rcvbuf", str(READ_BUFFER_BYTES)]
        command += ["--server-pid", str(server.pid), "--subscribe", fanout.subscription()]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        slow_seen = 0
        while process.poll() is None:
            time.sleep(0.25)
            slow_seen = max(slow_seen, int(server.service("feed").get("slow_clients", 0)))
        assert process.stdout is not None
        seen = json.loads(process.stdout.read())
    if stalled and not slow_seen:
        raise SystemExit("the stalled client was never seen to be slow: nothing was measured")
    return {
        "p50_us": seen["lat_us"]["p50"],
        "p99_us": seen["lat_us"]["p99"],
        "messages_per_s": seen["msgs_per_s"],
        "rss_kb": seen["rss_kb"],
        "closed": seen["closed"],
    }


if __name__ == "__main__":
    main()
