"""A flood: 1,000 connections a second for 10 s, each breaking the protocol, beside honest clients.

What is measured is what the honest ones feel (p99 from the tape to their sockets, with and without the
flood), and what is left behind: descriptors, memory, the process's health.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _bench
import fanout

HONEST = 10
UPDATES_PER_S = 200
VISITS_PER_S = 1000.0
TARGET = 2.0
FLOOD = str(Path(__file__).with_name("_flood.py"))


def main() -> None:
    """Measure with and without the flood in turns and print the line."""
    chosen = _bench.options(__doc__ or "", ("--seconds", {"type": float}), ("--rounds", {"type": int}))
    rounds, seconds = (1, 2.0) if chosen.short else (3, 10.0)
    rounds, seconds = chosen.rounds or rounds, chosen.seconds or seconds
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory:
        tools = _bench.generators(Path(directory))
        if isinstance(tools, str):
            _bench.report("flood", skipped=tools)
            return
        found = [one(tools, seconds) for _ in range(rounds)]
    line: dict[str, Any] = {key: _bench.spread([run[key] for run in found], 2) for key in found[0]}
    ratio = line["p99_flood_us"]["median"] / line["p99_calm_us"]["median"]
    server, load = _bench.cores()
    _bench.report(
        "flood",
        **line,
        p99_ratio=round(ratio, 3),
        target_ratio=TARGET,
        met=ratio <= TARGET,
        honest_clients=HONEST,
        control="the same server and clients before the flood",
        product=f"serve --mode md, sim at {UPDATES_PER_S} ticks/s, push flow, stamped frames",
        cores={"server": server, "load and flood": load},
    )


def descriptors(pid: int) -> int:
    """Return how many descriptors a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def rss_kb(pid: int) -> int:
    """Return a process's resident memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def one(tools: dict[str, Path], seconds: float) -> dict[str, float]:
    """Return figures of one server before, during and after a flood."""
    server_core, load_core = _bench.cores()
    with _bench.serve(*fanout.arguments(1, str(UPDATES_PER_S)), core=server_core) as server:
        calm = honest(tools, load_core, server, seconds)
        before = descriptors(
            server.pid
        )  # after the first clients: some are opened when they are first needed
        rss_before = rss_kb(server.pid)
        command = [*_bench.pin(load_core), "nice", "-n", "10", sys.executable, FLOOD, "127.0.0.1"]
        command += [str(server.port), str(VISITS_PER_S), str(seconds)]
        storm = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(0.2)
        stormy = honest(tools, load_core, server, seconds - 0.7)
        assert storm.stdout is not None
        said = json.loads(storm.stdout.read())
        storm.wait(60)
        health = server.get("/healthz")  # first: its own connection must be gone as well
        end = time.monotonic() + 10
        while descriptors(server.pid) > before and time.monotonic() < end:
            time.sleep(0.1)
        left = descriptors(server.pid) - before
        if health["status"] != "ok" or left > 0:
            raise SystemExit(f"after the flood: {health['status']}, {left} descriptors left")
        return {
            "p50_calm_us": calm["p50_us"],
            "p99_calm_us": calm["p99_us"],
            "p50_flood_us": stormy["p50_us"],
            "p99_flood_us": stormy["p99_us"],
            "visits_per_s": said["visits"] / said["sent_s"],
            "bad_frames": float(said.get("closed", 0) + said.get("told", 0)),
            "unanswered": float(said["visits"] - said.get("closed", 0) - said.get("told", 0)),
            "descriptors_left": float(left),
            "grown_kb": float(rss_kb(server.pid) - rss_before),
        }


def honest(tools: dict[str, Path], core: int, server: _bench.Server, seconds: float) -> dict[str, float]:
    """Return what honest clients see for a while."""
    load = [*_bench.pin(core), str(tools["ws_load"])]
    url = f"ws://127.0.0.1:{server.port}{fanout.PATH}"
    return fanout.run_load(load, url, server.pid, HONEST, seconds, "--subscribe", fanout.subscription())


if __name__ == "__main__":
    main()
