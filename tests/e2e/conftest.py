"""A real `qautlra serve` process for each test that wants one: started, watched, stopped by its own pid."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from qautlra.cli.main import cli


def free_port() -> int:
    """Return a port nobody listens on, below those the system gives to connections: it stays free."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


@dataclass
class Server:
    """One running server. `get`/`post` speak to it; `kill` is kill -9."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/market"

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        request = urllib.request.Request(self.base + path, data=body, method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read(), dict(reply.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)

    def get_json(self, path: str) -> Any:
        status, body, _ = self.request("GET", path)
        assert status == 200, (status, body[:500])
        return json.loads(body)

    def query(self, **body: Any) -> list[dict[str, Any]]:
        status, answer, _ = self.request(
            "POST", "/api/v1/query", json.dumps(body).encode(), Content_Type="application/json"
        )
        assert status == 200, (status, answer[:500])
        rows: list[dict[str, Any]] = json.loads(answer)
        return rows

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended: {self.log.read_text()[-3000:]}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                if self.request("GET", "/readyz")[0] == 200:
                    return
            time.sleep(0.03)
        raise AssertionError(f"not ready after {timeout_s} s: {self.log.read_text()[-3000:]}")

    def wait_source(self, state: str = "finished", timeout_s: float = 60.0) -> dict[str, Any]:
        """Until the first source reports `state`; returns its health."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            health = self.get_json("/healthz")
            sources = [s for s in health["services"] if s["name"].startswith("source")]
            if sources and sources[0].get("state") == state:
                found: dict[str, Any] = sources[0]
                return found
            time.sleep(0.05)
        raise AssertionError(f"source never {state}: {health}")

    def add_user(self, name: str, password: str, *more: str) -> None:
        """Add one by the command, in a thread of this process: one of its own loads for half a second."""
        words = ["user", "add", name, "--password-stdin", *more, "--port", str(self.port)]
        run = CliRunner().invoke
        with ThreadPoolExecutor(1) as thread:  # as playwright has a loop in this one
            done = thread.submit(run, cli, words, input=f"{password}\n", env=self.environment).result(60)
        assert done.exit_code == 0, (words, done.output)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server: `serve("--source", "sim", env={...})`; every one is stopped at the end."""
    yield from serving(tmp_path)


def serving(tmp_path: Path) -> Iterator[Serve]:
    """Yield the starter of servers that live in `tmp_path`, then stop them."""
    servers: list[Server] = []

    def start(
        *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None, data: Path | None = None,
        port: int | None = None, mode: str = "all", wait: bool = True,
    ) -> Server:  # fmt: skip
        port = port or free_port()
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("QAUTLRA__", "QADB_", "QAMDGATEWAY_"))
        }
        environment |= {"QAUTLRA__STORE__DATA_DIR": str(data or tmp_path / "data")} | (env or {})
        log = tmp_path / f"server-{len(servers)}.log"
        command = [sys.executable, "-m", "qautlra", "serve", "--mode", mode, "--port", str(port), *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=cwd or tmp_path
            )
        server = Server(process, port, log, environment)
        servers.append(server)
        if wait:
            server.wait_ready()
        return server

    try:
        yield start
    finally:  # however the generator is closed
        for server in servers:
            with contextlib.suppress(Exception):
                server.stop()
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait(10)
