"""One process's feed passed on by another, whose time it may take over, and no feed at all."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import DiffClient
from tests.e2e.conftest import Serve, Server, free_port

DAY = ("--set", "source.sim.trading_day=2025-06-03", "--set", "source.sim.history_bars=0")


def upstream(server: Server) -> dict[str, Any]:
    health = server.get_json("/healthz")
    (found,) = [one for one in health["services"] if one["name"] == "source.upstream"]
    return dict(found)


def wait_for(
    server: Server, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 40.0
) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    state: dict[str, Any] = {}
    while time.monotonic() < deadline:
        state = upstream(server)
        if condition(state):
            return state
        time.sleep(0.05)
    raise AssertionError(f"it did not come to it: {state}")


@pytest.mark.slow
def test_a_feed_passed_on_reaches_clients(serve: Serve) -> None:
    first = serve(*DAY)
    second = serve("--source", "upstream", "--set", f"source.upstream.url={first.ws}", mode="md")
    assert upstream(second)["note"]
    client = DiffClient(second.ws, "au2512,CFFEX.IF2506", lambda tree: len(tree.get("quotes", {})) == 2)
    client.start()
    client.join(20)
    assert client.error is None
    quotes = client.tree["quotes"]
    assert set(quotes) == {"au2512", "CFFEX.IF2506"}
    assert all(quote["last_price"] > 0 for quote in quotes.values())
    state = upstream(second)
    assert state["instruments"] == 2
    (source,) = second.get_json("/api/status")["sources"]
    assert (source["name"], source["connected"]) == ("upstream", True)
    metrics = second.request("GET", "/metrics")[1].decode()
    assert "qautlra_source_upstream_connected 1.0" in metrics
    assert 'qautlra_source_latency_seconds_count{source="upstream"} 0.0' in metrics  # simulated stamps
    deadline = time.monotonic() + 10  # when nobody wants it any more, the feed is told
    while upstream(second)["instruments"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert upstream(second)["instruments"] == 0


@pytest.mark.slow
def test_the_time_of_a_simulated_feed_can_be_taken_over(serve: Serve, tmp_path: Path) -> None:
    """And a process that only answers takes it from the directory."""
    first = serve(*DAY, data=tmp_path / "first")
    second = serve(
        "--source", "upstream", "--set", f"source.upstream.url={first.ws}",
        "--set", "source.upstream.clock=feed", "--set", "source.upstream.instruments=au2512",
        mode="md,db", data=tmp_path / "second",
    )  # fmt: skip
    wait_for(second, lambda state: state["rows"] > 20)
    beside = [serve(mode="query", data=tmp_path / name) for name in ("first", "second")]
    for server, name in ((first, "sim"), (second, "upstream")):
        clock = server.get_json("/healthz")["clock"]
        assert (clock["name"], clock["now"][:7]) == (name, "2025-06"), clock
    last = {
        "stream": "futures_market",
        "start_time": "5s-ago",
        "end_time": "now",
        "filter": "instrument=au2512",
    }
    for server in (second, *beside):
        deadline = time.monotonic() + 20  # what it answers from is filed and told every second
        while not server.query(**last):
            assert time.monotonic() < deadline, server.get_json("/healthz")["clock"]
            time.sleep(0.1)


@pytest.mark.slow
def test_no_feed_at_all_is_shown_and_ends_nothing(serve: Serve) -> None:
    port = free_port()
    server = serve("--source", "upstream", "--set", f"source.upstream.url=ws://127.0.0.1:{port}/ws/market")
    state = wait_for(server, lambda state: bool(state.get("error")))
    assert not state["connected"]
    (source,) = server.get_json("/api/status")["sources"]
    assert not source["connected"]
    assert server.request("GET", "/readyz")[0] == 200
    deadline = time.monotonic() + 20  # and in the end the paper exchange takes no orders
    while not any(one["name"] == "trade" and one["error"] for one in server.get_json("/healthz")["services"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
