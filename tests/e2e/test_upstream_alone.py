"""One process's feed stored by another: the specification's exports, and a feed that dies and comes back."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve, Server, free_port
from tests.e2e.test_upstream import DAY, upstream, wait_for

pytestmark = pytest.mark.alone

RANGE = {"stream": "futures_market", "start_time": "2025-05-30", "end_time": "2025-06-05"}
EXPORTS = """
export QADB_WS_CLIENT_ENABLED=true
export QADB_WS_CLIENT_HOST=localhost
export QADB_WS_CLIENT_PORT=8014
export QADB_WS_CLIENT_PATH=/ws/market
export QADB_WS_CLIENT_STREAM=futures_market
export QADB_WS_CLIENT_INSTRUMENTS=au2512,rb2512,IF2506
"""
WANTED = {"SHFE.au2512", "SHFE.rb2512", "CFFEX.IF2506"}
OWN = {"source", "recv_time"}  # what the storing process says of itself
Identity = tuple[str, str, int]


@pytest.fixture
def store_command(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start the store by its original command line."""
    servers: list[Server] = []

    def start(*arguments: str, env: dict[str, str], port: int) -> Server:
        environment = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("QAUTLRA__", "QADB_", "QAMDGATEWAY_", "P_"))
        }
        environment |= env | {"P_ADDR": f"127.0.0.1:{port}"}
        log = tmp_path / f"store-{len(servers)}.log"
        command = [sys.executable, "-c", "from qautlra.cli.aliases import store; store()", *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=tmp_path
            )
        servers.append(Server(process, port, log, environment))
        return servers[-1]

    yield start
    for server in servers:
        with contextlib.suppress(Exception):
            server.stop()
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(10)


def rows_of(server: Server) -> dict[Identity, dict[str, Any]]:
    rows = server.query(**RANGE, limit=100_000, filter="instrument in ('au2512','rb2512','IF2506')")
    found = {(row["datetime"], row["instrument_id"], row["seq"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def same_rows(stored: dict[Identity, dict[str, Any]], sent: dict[Identity, dict[str, Any]]) -> None:
    for identity, row in stored.items():
        there = sent[identity]
        differs = {k: (row.get(k), there.get(k)) for k in {*row, *there} - OWN if row.get(k) != there.get(k)}
        assert not differs, (identity, differs)


@pytest.mark.slow
def test_a_store_keeps_another_process_s_feed(
    serve: Serve, store_command: Callable[..., Server], tmp_path: Path
) -> None:
    port, store_port = free_port(), free_port()
    exports = dict(re.findall(r"export (\w+)=(\S+)", EXPORTS)) | {"QADB_WS_CLIENT_PORT": str(port)}
    # The store comes first and waits for the feed: it is up and says so.
    second = store_command(
        "--mode", "ingest", env=exports | {"QADB_DATA_DIR": str(tmp_path / "second")}, port=store_port
    )
    second.wait_ready()
    assert not upstream(second)["connected"]
    assert second.request("POST", "/api/v1/query", b"{}")[0] == 403

    first = serve(*DAY, data=tmp_path / "first", port=port)
    wait_for(second, lambda state: state["connected"] and state["rows"] > 20)
    first.kill()
    wait_for(second, lambda state: not state["connected"] and state.get("error"))
    before, away_since = upstream(second)["rows"], datetime.now(UTC).isoformat()
    assert second.request("GET", "/readyz")[0] == 200

    first = serve(*DAY, data=tmp_path / "first", port=port)  # goes on after the last stored row
    state = wait_for(second, lambda state: state["connects"] == 2 and state["rows"] > before + 40)
    assert state["restarts"] == 0
    sent = rows_of(first)
    assert second.stop() == 0

    kept = serve(mode="query", data=tmp_path / "second")
    stored = rows_of(kept)
    sent |= rows_of(first)
    assert len(stored) >= state["rows"]
    assert {name for _, name, _ in stored} == WANTED
    assert {row["source"] for row in stored.values()} == {"upstream"}
    same_rows(stored, sent)
    # Since the feed was back, all is there but what it merged between two peeks of a busy machine.
    for name in WANTED:
        times = [i[0] for i, row in stored.items() if i[1] == name and row["recv_time"] > away_since]
        span = [i for i in sent if i[1] == name and min(times) <= i[0] <= max(times)]
        missing = [i for i in span if i not in stored]
        assert len(missing) <= 1 + 0.2 * len(span), (name, len(missing), len(span))


@pytest.mark.slow
def test_a_store_that_is_killed_keeps_what_it_had_and_goes_on(
    serve: Serve, store_command: Callable[..., Server], tmp_path: Path
) -> None:
    """What the feed sends while the store is away it has for nobody: those rows alone are not there."""
    port, store_port = free_port(), free_port()
    exports = dict(re.findall(r"export (\w+)=(\S+)", EXPORTS)) | {"QADB_WS_CLIENT_PORT": str(port)}
    directory = tmp_path / "second"
    feed = serve(*DAY, data=tmp_path / "first", port=port)
    had, times = 0, []
    for _ in range(3):
        store = store_command(
            "--mode", "ingest", env=exports | {"QADB_DATA_DIR": str(directory)}, port=store_port
        )
        store.wait_ready()
        began = datetime.now(UTC).isoformat()
        had += wait_for(store, lambda state: state["connected"] and state["rows"] > 30)["rows"]
        times.append((began, datetime.now(UTC).isoformat()))
        store.kill()
    stored, sent = rows_of(serve(mode="query", data=directory)), rows_of(feed)
    assert len(stored) >= had and {name for _, name, _ in stored} == WANTED
    same_rows(stored, sent)
    for began, ended in times:
        for name in WANTED:
            mine = [i for i, row in stored.items() if i[1] == name and began < row["recv_time"] < ended]
            span = [i for i in sent if i[1] == name and mine and min(mine) <= i <= max(mine)]
            assert mine and len(span) - len(mine) <= 1 + 0.2 * len(span), (name, len(mine), len(span))
