"""`serve --source tencent|sina` against a local site that speaks their formats, on the live clock."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Serve, Server
from tests.source.quote_server import (
    QuoteServer,
    beijing_now,
    serving,
    sina_financial_line,
    sina_stock_line,
    tencent_line,
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def site() -> Iterator[QuoteServer]:
    with serving() as server:
        yield server


def source(server: Server, kind: str) -> dict[str, Any]:
    services = server.get_json("/healthz")["services"]
    return next(s for s in services if s["name"] == f"source.{kind}")


def until(condition: Any, timeout_s: float = 40.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("not in time")


class Feed:
    """A client that merges what it is sent."""

    def __init__(self, url: str, names: str) -> None:
        self.socket = connect(url)
        self.quotes: dict[str, dict[str, Any]] = {}
        self.socket.send(json.dumps({"aid": "subscribe_quote", "ins_list": names}))

    def wait(self, condition: Any, timeout_s: float = 40.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition(self.quotes):
            assert time.monotonic() < deadline, self.quotes
            self.take(timeout_s)

    def take(self, timeout_s: float) -> None:
        """Merge one message, if one comes."""
        with contextlib.suppress(TimeoutError):
            message = json.loads(self.socket.recv(timeout=timeout_s))
            for part in message.get("data", []) if message.get("aid") == "rtn_data" else []:
                for key, value in part.get("quotes", {}).items():
                    self.quotes.setdefault(key, {}).update(value)


def test_tencent_reaches_a_client_and_the_store(serve: Serve, site: QuoteServer) -> None:
    site.lines["sh600000"] = tencent_line("sh600000", 10.5, 100, beijing_now())
    server = serve(
        "--source", "tencent", "--set", f"source.tencent.url={site.url}",
        "--set", "source.tencent.interval_s=0.5",
    )  # fmt: skip
    assert source(server, "tencent")["state"] == "idle"
    feed = Feed(server.ws, "sh600000,SHFE.au2512")
    feed.wait(lambda quotes: quotes.get("sh600000", {}).get("last_price") == 10.5)
    assert feed.quotes["sh600000"]["volume"] == 10_000
    site.lines["sh600000"] = tencent_line("sh600000", 10.6, 130, beijing_now())
    feed.wait(lambda quotes: quotes["sh600000"].get("last_price") == 10.6)
    rows = until(lambda: [r for r in server.query(stream="stock_market", limit=10) if r["volume"] == 13_000])
    assert (rows[0]["instrument_id"], rows[0]["source"]) == ("SSE.600000", "tencent")
    health = source(server, "tencent")
    assert (health["connected"], health["rows"], health["unserved"]) == (True, 2, ["SHFE.au2512"])
    metrics = server.request("GET", "/metrics")[1].decode()
    assert 'qautlra_source_polls_total{outcome="ok",source="tencent"}' in metrics
    assert 'qautlra_source_latency_seconds_count{source="tencent"} 2.0' in metrics


def test_a_site_that_fails_is_seen_and_the_process_stays(serve: Serve, site: QuoteServer) -> None:
    site.manner = "status"
    server = serve(
        "--source", "sina", "--set", f"source.sina.url={site.url}", "--set", "source.sina.interval_s=0.5",
        "--set", "source.sina.instruments=SSE.600519",
    )  # fmt: skip
    until(lambda: source(server, "sina").get("failures"))
    health = source(server, "sina")
    assert (health["state"], health["connected"]) == ("backoff", False)
    assert health["poll_error"] == "127.0.0.1 answered 503"
    assert server.request("GET", "/readyz")[0] == 200
    site.lines["sh600519"] = sina_stock_line("sh600519", 1456.66, 100, beijing_now())
    site.manner = "ok"
    feed = Feed(server.ws, "SSE.600519")
    feed.wait(lambda quotes: quotes.get("SSE.600519", {}).get("last_price") == 1456.66)
    assert source(server, "sina")["connected"] is True


def test_both_sites_together_publish_one_of_them(serve: Serve, site: QuoteServer) -> None:
    now = beijing_now()
    site.lines["sh600000"] = tencent_line("sh600000", 10.5, 100, now)
    with serving() as other:
        other.lines["sh600000"] = sina_stock_line("sh600000", 10.5, 10_000, now)
        # A line with a date of its own: a commodity's would be stale on a weekend.
        other.lines["nf_IF2701"] = sina_financial_line("nf_IF2701", 4550.0, 8123, now)
        server = serve(
            "--source", "tencent", "--source", "sina",
            "--set", f"source.tencent.url={site.url}", "--set", "source.tencent.interval_s=0.5",
            "--set", f"source.sina.url={other.url}", "--set", "source.sina.interval_s=0.5",
        )  # fmt: skip
        feed = Feed(server.ws, "SSE.600000,CFFEX.IF2701")
        feed.wait(lambda quotes: set(quotes) == {"SSE.600000", "CFFEX.IF2701"})
        until(lambda: source(server, "sina")["polls"] and source(server, "tencent")["polls"])
        stored = until(lambda: server.query(stream="stock_market", limit=10))
        assert len({row["source"] for row in stored}) == 1
        until(lambda: server.query(stream="futures_market", limit=10))
