"""`qautlra serve` as a process: soon ready, ends cleanly and in time under full load, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import PRODUCT

pytestmark = pytest.mark.alone

STOP_S = 5.0
READY_S = 2.0


_started: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """A test that fails leaves no server behind."""
    yield
    for process in _started:
        if process.poll() is None:
            process.kill()
        process.wait(10)
    _started.clear()


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QAUTLRA__", "QADB_", "QAMDGATEWAY_", "P_", "RUST_LOG", "XDG_"))
    }
    environment |= {"PYTHONPATH": PRODUCT, "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "qautlra", "serve", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=tmp_path
    )
    _started.append(process)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_cleanly_and_in_time_under_full_load(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "--json", "--port", "0", "--set", "source.sim.ticks_per_s=max")
    assert process.stdout is not None
    facts = json.loads(process.stdout.readline())
    assert facts["ready"]
    # On a machine that others use as well, starting takes longer, as loading libraries alone does.
    control = time.monotonic()
    subprocess.run([sys.executable, "-c", "import duckdb, pyarrow.parquet, aiohttp"], check=True)
    assert facts["started_s"] < max(READY_S, 5 * (time.monotonic() - control))
    assert facts["data_dir"] == str(tmp_path / ".local" / "share" / "qautlra")

    async def watch() -> int | None:
        async with aiohttp.ClientSession() as session, session.ws_connect(facts["market"][0]) as ws:
            await ws.send_str('{"aid":"subscribe_quote","ins_list":"SHFE.rb2701,SSE.600000"}')
            for _ in range(5):
                await ws.receive()
            process.send_signal(number)
            while (await ws.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                pass
            return ws.close_code

    assert asyncio.run(asyncio.wait_for(watch(), 20)) == 1012
    before = time.monotonic()
    assert process.wait(STOP_S) == 0
    assert time.monotonic() - before < STOP_S
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()


def test_prints_addresses_for_people(tmp_path: Path) -> None:
    process = start(tmp_path, "--mode", "md", "--port", "0", "--set", "source.sim.history_bars=0")
    assert process.stdout is not None
    lines = [process.stdout.readline().decode() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    assert "ready" in lines[0]
    assert "http://127.0.0.1:" in lines[1]
    assert "/ws/market" in lines[2]


def test_a_taken_port_and_a_taken_directory_are_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(tmp_path, "--mode", "web", "--port", str(port))
        _, error = process.communicate(timeout=20)
        assert process.returncode == 1
        assert f"127.0.0.1:{port}" in error.decode()
        assert "Traceback" not in error.decode()
    first = start(tmp_path, "--mode", "db", "--json", "--port", "0")
    assert first.stdout is not None
    first.stdout.readline()
    second = start(tmp_path, "--mode", "db", "--port", "0")
    _, error = second.communicate(timeout=20)
    assert second.returncode == 1
    assert f"in use by another process (pid {first.pid})" in error.decode()
    first.send_signal(signal.SIGTERM)
    assert first.wait(STOP_S) == 0


def test_a_wrong_trading_day_ends_with_its_name(tmp_path: Path) -> None:
    process = start(tmp_path, "--mode", "md", "--port", "0", "--set", "source.sim.trading_day=2025-06-01")
    _, error = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "source.sim.trading_day" in error.decode()
    assert "Traceback" not in error.decode()
