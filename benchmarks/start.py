"""From `qautlra serve` to its first answer, and from SIGTERM to its end: CPU and time of all its processes.

Each mode is started on an empty data directory, asked for /readyz when it says that it is ready, and ended.
`cpu_s` is of the server and every process it started by then; `all_cpu_s` of all of them to their end. With
`--beside SRC`, the `src` directory of another checkout, that one takes turns with this one. The control is a
bare aiohttp server on uvloop that answers the same way: what nobody who serves HTTP from Python is spared.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import _bench

_bench.import_product()

MODES = ("all", "md", "db", "query", "trade", "web")
WAIT_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CONTROL = """
import asyncio, json, uvloop
from aiohttp import web

async def run():
    async def readyz(_):
        return web.json_response({"ready": True})
    app = web.Application()
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, handle_signals=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"urls": ["http://127.0.0.1:%d" % runner.addresses[0][1]]}), flush=True)
    await asyncio.Event().wait()

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    try:
        runner.run(run())
    except web.GracefulExit:
        pass
"""


def main() -> None:
    """Start each contestant in turns and print the line."""
    chosen = _bench.options(
        __doc__ or "",
        ("--rounds", {"type": int}),
        ("--modes", {"default": "", "help": "comma list; default: " + ",".join(MODES)}),
        ("--beside", {"default": "", "metavar": "SRC", "help": "sources of another build, in turns"}),
    )
    modes = chosen.modes.split(",") if chosen.modes else MODES[: 1 if chosen.short else None]
    builds = {"product": ""} | ({"beside": chosen.beside} if chosen.beside else {})
    measured: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(chosen.rounds or (1 if chosen.short else 5)):
        for mode in modes:
            for build in sorted(builds, reverse=bool(number % 2)):
                measured.setdefault((mode, build), []).append(once(mode, builds[build]))
        measured.setdefault(("", "control"), []).append(once("", ""))
    lines: dict[str, Any] = {}
    for mode in modes:
        lines[mode] = summary(measured[mode, "product"])
        if chosen.beside:
            lines[mode] |= {
                "beside": summary(measured[mode, "beside"]),
                "ratio": {
                    key: round(statistics.median(ratios(measured, mode, key)), 3)
                    for key in ("cpu_s", "all_cpu_s", "ready_s", "stop_s")
                },
            }
    _bench.report(
        "start",
        modes=lines,
        control=summary(measured["", "control"]),
        value="seconds of CPU and time to the first 200 of /readyz, of CPU in all, from SIGTERM to the end",
    )


def ratios(measured: dict[tuple[str, str], list[dict[str, float]]], mode: str, key: str) -> list[float]:
    """Return this build's figure over the other's, round by round."""
    pairs = zip(measured[mode, "product"], measured[mode, "beside"], strict=True)
    return [ours[key] / theirs[key] for ours, theirs in pairs]


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return each figure with its spread."""
    return {key: _bench.spread([run[key] for run in runs], 3) for key in runs[0]}


def once(mode: str, source: str) -> dict[str, float]:
    """Return the figures of one start and end; of the control where there is no mode."""
    environment = _bench.environment()
    if source:
        environment["PYTHONPATH"] = source
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory, contextlib.ExitStack() as stack:
        serve = ["-m", "qautlra", "serve", "--json", "--port", "0", "--log-level", "warning"]
        arguments = [*serve, "--mode", mode, "--data-dir", directory] if mode else ["-c", CONTROL]
        began_s = time.perf_counter()
        process = stack.enter_context(
            subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
        )
        stack.callback(process.kill)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("{"):
            raise SystemExit(f"{mode or 'the control'} did not start: {line}")
        with urllib.request.urlopen(json.loads(line)["urls"][0] + "/readyz", timeout=WAIT_S) as answer:
            answer.read()
        ready_s = time.perf_counter() - began_s
        cpu_s, processes = of_tree(process.pid)
        stopped_s = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(process.pid, 0)
        stop_s = time.perf_counter() - stopped_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{mode or 'the control'} ended with {process.returncode}")
        return {
            "cpu_s": cpu_s,
            "ready_s": ready_s,
            "processes": processes,
            "all_cpu_s": usage.ru_utime + usage.ru_stime,
            "stop_s": stop_s,
        }


def of_tree(pid: int) -> tuple[float, int]:
    """Return CPU seconds of a process and all below it, with those that ended, and how many there are now."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            one = int(place.parent.name)
            parents[one], ticks[one] = int(fields[1]), int(fields[13]) + int(fields[14])
    below, found = {pid}, 0.0
    while more := {one for one, parent in parents.items() if parent in below} - below:
        below |= more
    for one in below:
        found += ticks[one] / TICKS_PER_S + _bench.cpu_s(one)
    return found, len(below)


if __name__ == "__main__":
    main()
