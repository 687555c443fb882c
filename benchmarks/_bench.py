"""bench: helper. What the benchmarks share: options, one JSON line, a real server process, CPU accounting.

The machine's two cores are split: the server is pinned to the first, load and control to the second, and
the product and its control take turns, because absolute figures of a shared machine drift.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
START_S = 60.0


def options(text: str, *more: tuple[str, dict[str, Any]]) -> argparse.Namespace:
    """Return the parsed command line; `short` is also set by QAUTLRA_BENCH_QUICK=1."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--short", action="store_true", help="few, short rounds: shows that it works")
    for flag, settings in more:
        parser.add_argument(flag, **settings)
    found = parser.parse_args()
    found.short = found.short or os.environ.get("QAUTLRA_BENCH_QUICK", "") == "1"
    return found


def shared() -> Path | None:
    """Return the directory of reference data and load generators, None where there is none."""
    place = Path(os.environ.get("QAUTLRA_SHARED", REPOSITORY.parent / "shared"))
    return place if (place / "data").is_dir() else None


def real_day(count: int = 1) -> list[Path]:
    """Return the recorded trading days; ends the benchmark with a line saying so when they are not there."""
    place = shared()
    days = sorted((place / "data").glob("IF2101_*.csv.gz"))[:count] if place else []
    if not days:
        report(Path(sys.argv[0]).stem, skipped="no recorded day: set QAUTLRA_SHARED to the reference data")
        raise SystemExit(0)
    return days


def spread(values: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """Return median, smallest and largest of repeated measurements and how many there were."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "n": len(values),
    }


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the measurements lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def report(name: str, **values: Any) -> None:
    """Print the benchmark's one line."""
    line = {
        "name": name,
        **values,
        "machine": machine(),
        "command": shlex.join(["python", f"benchmarks/{name}.py", *sys.argv[1:]]),
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)


def machine() -> str:
    """Return one sentence about where this was measured."""
    model = platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load before {load:.2f}"
    )


def cores() -> tuple[int, int]:
    """Return the core of the server and the core of the load: the same one when there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 if len(usable) > 1 else 0]


def pin(core: int) -> list[str]:
    """Return the command prefix that keeps a process on one core; empty where taskset is missing."""
    return ["taskset", "-c", str(core)] if shutil.which("taskset") else []


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, wait_s: float = 10.0) -> None:
    """Return when somebody listens there."""
    end = time.monotonic() + wait_s
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > end:
            raise SystemExit(f"nobody listens on port {port}")
        time.sleep(0.02)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of all threads of a process, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError, ValueError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Server:
    """A real `qautlra serve` process on a free port and an empty data directory."""

    def __init__(self, process: subprocess.Popen[str], port: int, data_dir: Path) -> None:
        self.process = process
        self.pid = process.pid
        self.port = port
        self.data_dir = data_dir
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, timeout_s: float = 10.0) -> Any:
        """Return the JSON a GET answers with, also when it answers with an error."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout_s) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def service(self, name: str) -> dict[str, Any]:
        """Return the health of one service, empty when there is none of that name."""
        services = self.get("/healthz").get("services", [])
        return next((dict(one) for one in services if one["name"] == name), {})

    def wait(self, name: str, key: str, wanted: str, timeout_s: float) -> dict[str, Any]:
        """Wait until a service's health has `wanted` at the start of `key`."""
        end = time.monotonic() + timeout_s
        while True:
            health = self.service(name)
            if str(health.get(key, "")).startswith(wanted):
                return health
            if time.monotonic() > end:
                raise SystemExit(f"{name}: {key} is not {wanted!r} after {timeout_s} s: {health}")
            time.sleep(0.02)


@contextlib.contextmanager
def serve(
    *arguments: str,
    core: int | None = None,
    data_dir: Path | None = None,
    program: Sequence[str] = ("-m", "qautlra"),
) -> Iterator[Server]:
    """Run `qautlra serve` with these arguments until the block ends; its log is shown only when it fails.

    `program`: what Python is given to run in its place.
    """
    with contextlib.ExitStack() as stack:
        if data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qautlra-bench-")))
        port = free_port()
        command = [
            *(pin(core) if core is not None else []),
            *(sys.executable, *program, "serve", "--json", "--port", str(port)),
            *("--data-dir", str(data_dir), "--log-level", "warning", *arguments),
        ]
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment())
        alarm = threading.Timer(START_S, process.kill)
        alarm.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("{"):
                process.wait(10)
                log.seek(0)
                raise SystemExit(f"{shlex.join(command)} did not start:\n{line}{log.read()}")
            alarm.cancel()
            yield Server(process, port, data_dir)
        finally:
            alarm.cancel()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()


def environment() -> dict[str, str]:
    """Return this process's environment with the package importable from a checkout."""
    found = dict(os.environ)
    product = importlib.util.find_spec("qautlra")
    if product is not None and product.origin is not None:  # the same one for the server as for this process
        found["PYTHONPATH"] = str(Path(product.origin).parents[1])
    return found


def generators(directory: Path) -> dict[str, Path] | str:
    """Compile the C++ load generator and limit server into `directory`; a sentence when that cannot be."""
    place = shared()
    source = place / "bench" / "ws" if place else None
    if source is None or not (source / "ws_load.cpp").is_file():
        return "load generator not there (QAUTLRA_SHARED/bench/ws)"
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        return "no C++ compiler for the load generator"
    built = {}
    for name, libraries in (("ws_load", ["-lz"]), ("ws_limit", ["-lcrypto", "-lz"])):
        target = directory / name
        command = [compiler, "-O2", "-std=c++17", "-w", str(source / f"{name}.cpp"), "-o", str(target)]
        run = subprocess.run([*command, *libraries], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            return f"{name} does not compile: {run.stderr.strip().splitlines()[-1][:200]}"
        built[name] = target
    return built


def import_product() -> None:
    """Make `import qautlra` find the checkout this file lies in, when it is not installed."""
    if importlib.util.find_spec("qautlra") is None and (REPOSITORY / "src" / "qautlra").is_dir():
        sys.path.insert(0, str(REPOSITORY / "src"))
