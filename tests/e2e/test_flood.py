"""A flood of connections that break the protocol: the process stays healthy, lets go of all, serves on.

Short here; `qautlra bench flood` is the whole of it, with what honest clients feel.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Serve

pytestmark = pytest.mark.alone

FLOOD = Path(__file__).resolve().parents[2] / "benchmarks" / "_flood.py"
RATE, SECONDS = 200.0, 2.5


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_flood_leaves_nothing_behind(serve: Serve) -> None:
    server = serve(
        "--mode",
        "md",
        "--source",
        "sim",
        "--set",
        "source.sim.ticks_per_s=200",
        "--set",
        "source.sim.trading_day=2025-06-03",
    )
    with connect(server.ws + "?flow=push") as honest:
        honest.send('{"aid":"subscribe_quote","ins_list":"SHFE.rb2512,SHFE.au2512,CFFEX.IF2506"}')
        time.sleep(0.5)
        before = descriptors(server.process.pid)
        flood = subprocess.Popen(
            [sys.executable, str(FLOOD), "127.0.0.1", str(server.port), str(RATE), str(SECONDS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        waits = []
        while flood.poll() is None:
            start = time.monotonic()
            assert honest.recv(timeout=5)
            waits.append(time.monotonic() - start)
        assert flood.stdout is not None
        said = json.loads(flood.stdout.read())
        assert said["closed"] + said["told"] == said["visits"] == RATE * SECONDS
        assert said["closed"] == said["visits"] * 0.8  # broken JSON and binary frames are told, not closed
        assert len(waits) > 5
        deadline = time.monotonic() + 10
        while descriptors(server.process.pid) > before:
            assert time.monotonic() < deadline, "descriptors are not given back"
            time.sleep(0.1)
        status, body, _ = server.request("GET", "/healthz")
        assert status == 200
        feed = next(s for s in json.loads(body)["services"] if s["name"] == "feed")
        assert feed["clients"] == 1
        assert honest.recv(timeout=5)
