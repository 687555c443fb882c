"""The polled sources against a local server: what is asked, what is published, and every way a site fails."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from qautlra.base.clock import VirtualClock, new_random
from qautlra.base.errors import ConfigError
from qautlra.source import polling
from qautlra.source.base import Demand
from qautlra.source.polling import PollingOptions, PollingSource
from qautlra.source.sina import SITE as SINA
from qautlra.source.sina import sina_source
from qautlra.source.tencent import SITE as TENCENT
from qautlra.source.tencent import tencent_source
from tests.core.quotes import BEIJING, golden, ns
from tests.source.conftest import Market
from tests.source.quote_server import QuoteServer, sina_future_line, sina_stock_line, tencent_line

NOW = dt.datetime(2025, 11, 21, 10, 30, 30, tzinfo=BEIJING)
AT = NOW - dt.timedelta(seconds=2)
FAST_S = 0.02


class Bench:
    """A server, a market at half past ten of a Friday, and sources between them."""

    def __init__(self, calendar: Any, server: QuoteServer) -> None:
        self.market = Market(calendar, VirtualClock("test", ns("2025-11-21 10:30:30")))
        self.server = server
        self.demand = Demand()
        self.sources: list[PollingSource] = []

    async def start(self, site: Any = TENCENT, *symbols: str, **options: Any) -> PollingSource:
        settings = {"url": self.server.url, "interval_s": FAST_S, "timeout_s": 2.0} | options
        context = replace(self.market.context(), demand=self.demand)
        self.demand.put(frozenset(symbols))
        source = PollingSource(context, site, PollingOptions(**settings), random=new_random(7))
        self.sources.append(source)
        await source.start()
        return source

    def rows(self) -> list[dict[str, Any]]:
        return self.market.rows()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the server and the source tell nobody
            await asyncio.sleep(0.002)


@pytest.fixture
def run(calendar: Any) -> Callable[[Callable[[Bench], Awaitable[None]]], None]:
    def runner(body: Callable[[Bench], Awaitable[None]]) -> None:
        async def main() -> None:
            async with QuoteServer() as server:
                bench = Bench(calendar, server)
                try:
                    await body(bench)
                finally:
                    for source in bench.sources:
                        assert not source.failed.done() or source.failed.result() is None
                        await source.stop(1.0)

        asyncio.run(main())

    return runner


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


def test_stocks_from_tencent(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sz000001"] = golden("tencent", "stock")
        source = await bench.start(TENCENT, "SZSE.000001", "SHFE.au2512")
        await until(lambda: source.health()["polls"] >= 3)
        (row,) = bench.rows()
        assert (row["instrument_id"], row["volume"], row["source"]) == ("SZSE.000001", 45_678_900, "tencent")
        health = source.health()
        assert (health["state"], health["connected"], health["rows"]) == ("running", True, 1)
        assert health["unserved"] == ["SHFE.au2512"]
        assert health["refused"] == {}
        assert health["unchanged"] >= 2
        assert health["last_tick"] == "2025-11-21T02:30:15.000+00:00"
        _, path, headers = bench.server.requests[0]
        assert path == "/q=sz000001"
        assert headers["Referer"] == "https://gu.qq.com/"
        assert headers["User-Agent"].startswith("Mozilla/5.0")

    run(body)


def test_futures_and_stocks_from_sina(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["nf_AU2512"] = sina_future_line("nf_AU2512", 936.48, 8123, AT)
        bench.server.lines["sh600519"] = sina_stock_line("sh600519", 1456.66, 1_203_344, AT)
        source = await bench.start(SINA, "SHFE.au2512", "SSE.600519", "SSE.600999")
        await until(lambda: source.health()["polls"] >= 1)
        assert {row["instrument_id"]: row["last_price"] for row in bench.rows()} == {
            "SHFE.au2512": 936.48,
            "SSE.600519": 1456.66,
        }
        assert source.health()["refused"] == {"sh600999": "the site does not know it"}
        _, path, headers = bench.server.requests[0]
        assert path.startswith("/rn=")
        assert path.endswith("&list=nf_AU2512,sh600519,sh600999")
        assert headers["Referer"] == "https://finance.sina.com.cn"

    run(body)


def test_without_the_referer_sina_refuses(run: Run) -> None:
    async def body(bench: Bench) -> None:
        site = replace(SINA, headers={})
        source = await bench.start(site, "SSE.600519")
        await until(lambda: source.health()["failures"] >= 1)
        assert source.health()["poll_error"] == "127.0.0.1 answered 403"

    run(body)


def test_nothing_wanted_is_nothing_asked(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sz000001"] = golden("tencent", "stock")
        source = await bench.start(TENCENT)
        await asyncio.sleep(FAST_S)
        assert bench.server.requests == []
        assert source.health()["state"] == "idle"
        bench.demand.put(frozenset({"SZSE.000001"}))
        await until(lambda: len(bench.rows()) == 1)
        bench.demand.put(frozenset())
        await until(lambda: source.health()["state"] == "idle")
        asked = len(bench.server.requests)
        await asyncio.sleep(5 * FAST_S)
        assert len(bench.server.requests) == asked

    run(body)


def test_what_is_wanted_anew_is_asked_for_at_once(run: Run) -> None:
    async def body(bench: Bench) -> None:
        source = await bench.start(TENCENT, "SZSE.000001", interval_s=60.0)
        bench.server.lines["sh600000"] = tencent_line("sh600000", 10.5, 100, AT)
        await until(lambda: source.health()["polls"] == 1)
        bench.demand.put(frozenset({"SZSE.000001", "SSE.600000"}))
        await until(lambda: len(bench.rows()) == 1)
        assert bench.server.symbols_asked() == [["sz000001"], ["sh600000"]]

    run(body)


@pytest.mark.parametrize(("site", "bound"), [(TENCENT, 60), (SINA, 800)])
def test_batches_are_bounded(run: Run, site: Any, bound: int) -> None:
    async def body(bench: Bench) -> None:
        wanted = [f"SSE.6{n:05d}" for n in range(bound + 5)]
        source = await bench.start(site, *wanted)
        await until(lambda: source.health()["polls"] >= 2)
        sizes = [len(symbols) for symbols in bench.server.symbols_asked()[:2]]
        assert sizes == [bound, 5]

    run(body)


def test_only_news_is_published(run: Run) -> None:
    async def body(bench: Bench) -> None:
        lines = bench.server.lines
        source = await bench.start(TENCENT, "SSE.600000")

        async def answer(last: float, lots: int, at: dt.datetime) -> None:
            lines["sh600000"] = tencent_line("sh600000", last, lots, at)
            polls = source.health()["polls"]
            await until(lambda: source.health()["polls"] >= polls + 2)

        await answer(10.5, 100, AT)
        await answer(10.5, 100, AT + dt.timedelta(seconds=3))  # only the clock moved
        await answer(10.6, 120, AT + dt.timedelta(seconds=3))
        await answer(10.6, 121, AT + dt.timedelta(seconds=3))  # the same second again
        await answer(10.5, 100, AT)  # an older answer out of a cache
        assert [(row["volume"], row["seq"]) for row in bench.rows()] == [
            (10_000, 0),
            (12_000, 0),
            (12_100, 1),
        ]

    run(body)


def test_after_the_close_nothing_stale_is_stored(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sh600000"] = tencent_line("sh600000", 10.5, 100, AT - dt.timedelta(days=1))
        source = await bench.start(TENCENT, "SSE.600000")
        await until(lambda: source.health()["polls"] >= 2)
        assert bench.rows() == []
        assert source.health()["refused"] == {"sh600000": "stale: not of this trading day"}
        assert bench.market.instruments.find("SSE.600000") == -1

    run(body)


def test_a_restart_does_not_store_a_quote_again(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sh600000"] = tencent_line("sh600000", 10.5, 100, AT)
        first = await bench.start(TENCENT, "SSE.600000")
        await until(lambda: first.health()["rows"] == 1)
        await first.stop(1.0)
        bench.server.lines["sh600000"] = tencent_line("sh600000", 10.5, 100, AT + dt.timedelta(seconds=3))
        second = await bench.start(TENCENT, "SSE.600000")
        await until(lambda: second.health()["polls"] >= 2)
        assert len(bench.rows()) == 1

    run(body)


FAILURES = {
    "garbage": "the answer holds no quotes",
    "wrong": "the answer holds no quotes",
    "cut": "the answer is cut",
    "hang_up": "the answer is cut",
    "huge": "the answer is longer than",
    "slow": "no answer within 0.1 s",
}


@pytest.mark.parametrize("manner", list(FAILURES))
def test_a_failing_site_is_seen_and_outlived(run: Run, manner: str) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sz000001"] = golden("tencent", "stock")
        bench.server.manner = manner
        source = await bench.start(
            TENCENT, "SZSE.000001", timeout_s=0.1 if manner == "slow" else 2.0, backoff_max_s=0.1
        )
        await until(lambda: source.health()["failures"] >= 2)
        health = source.health()
        assert (health["state"], health["connected"]) == ("backoff", False)
        assert FAILURES[manner] in health["poll_error"]
        assert bench.rows() == []
        bench.server.manner = "ok"
        await until(lambda: source.health()["connected"])
        assert len(bench.rows()) == 1
        assert "poll_error" not in source.health()

    run(body)


def test_an_unterminated_line_costs_only_itself(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sh600000"] = tencent_line("sh600000", 10.5, 100, AT)
        bench.server.lines["sh600001"] = tencent_line("sh600001", 11.5, 100, AT)
        bench.server.manner = "unterminated"
        source = await bench.start(TENCENT, "SSE.600000", "SSE.600001")
        await until(lambda: source.health()["polls"] >= 1)
        assert [row["instrument_id"] for row in bench.rows()] == ["SSE.600000"]
        assert source.health()["refused"] == {"sh600001": "the line is cut"}

    run(body)


@pytest.mark.parametrize("manner", ["ok", "empty"])
def test_an_unknown_symbol_is_no_failure_of_the_site(run: Run, manner: str) -> None:
    async def body(bench: Bench) -> None:
        bench.server.manner = manner
        source = await bench.start(TENCENT, "SSE.600999")
        await until(lambda: source.health()["polls"] >= 2)
        health = source.health()
        assert (health["connected"], health["failures"]) == (True, 0)
        assert health["refused"] == {"sh600999": "the site does not answer for it"}

    run(body)


def test_an_unknown_symbol_is_asked_for_rarely(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sz000001"] = golden("tencent", "stock")
        source = await bench.start(TENCENT, "SSE.600999", "SZSE.000001")
        await until(lambda: source.health()["polls"] >= 15)
        asked = bench.server.symbols_asked()[:15]
        assert sum("sh600999" in symbols for symbols in asked) == polling.MISSES_COUNT
        assert all("sz000001" in symbols for symbols in asked)
        bench.server.lines["sh600999"] = tencent_line("sh600999", 10.5, 100, AT)
        await until(lambda: len(bench.rows()) == 2)
        assert source.health()["refused"] == {}

    run(body)


@pytest.mark.parametrize("status", [302, 403, 429, 500, 503])
def test_refusals_back_off_and_double(run: Run, status: int) -> None:
    async def body(bench: Bench) -> None:
        bench.server.manner, bench.server.status = "status", status
        source = await bench.start(TENCENT, "SZSE.000001")
        await until(lambda: len(bench.server.requests) >= 5)
        times = [at for at, _, _ in bench.server.requests]
        gaps = [after - before for before, after in pairwise(times)]
        for number, gap in enumerate(gaps):
            assert gap >= 0.5 * 2 * FAST_S * 2**number - 0.012  # a busy machine notes a request late
        assert source.health()["poll_error"] == f"127.0.0.1 answered {status}"
        assert source.health()["failing_count"] >= 4

    run(body)


def test_retry_after_is_obeyed(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.manner, bench.server.status, bench.server.retry_after = "status", 429, "30"
        source = await bench.start(TENCENT, "SZSE.000001")
        await until(lambda: source.health()["failures"] == 1)
        assert 29 < source.health()["retry_in_s"] <= 30
        bench.demand.put(frozenset({"SZSE.000001", "SSE.600000"}))  # a new wish does not break the rule
        await asyncio.sleep(5 * FAST_S)
        assert len(bench.server.requests) == 1

    run(body)


def test_nobody_listens_there(run: Run) -> None:
    async def body(bench: Bench) -> None:
        source = await bench.start(TENCENT, "SZSE.000001", url="http://127.0.0.1:9")
        await until(lambda: source.health()["failures"] >= 1)
        assert "127.0.0.1:9" in source.health()["poll_error"]

    run(body)


def test_a_bad_batch_does_not_starve_the_next(run: Run) -> None:
    async def body(bench: Bench) -> None:
        site = replace(TENCENT, batch_count=1)
        bench.server.lines["sh600001"] = tencent_line("sh600001", 11.5, 100, AT)
        bench.server.lines["sh600000"] = b"no quote at all;"
        source = await bench.start(site, "SSE.600000", "SSE.600001", backoff_max_s=0.05)
        await until(lambda: len(bench.rows()) == 1)
        assert source.health()["failures"] >= 1

    run(body)


def test_a_market_asleep_is_asked_less(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sz000001"] = golden("tencent", "stock")
        source = await bench.start(TENCENT, "SZSE.000001", calm_after_s=0.5, calm_factor=6.0)
        await until(lambda: source.health()["state"] == "calm")
        asked = len(bench.server.requests)
        await until(lambda: len(bench.server.requests) > asked + 1)
        (before, _, _), (after, _, _) = bench.server.requests[-2:]
        assert after - before >= FAST_S * 6.0 * 0.85
        bench.server.lines["sz000001"] = tencent_line("sz000001", 12.5, 500_000, AT)
        await until(lambda: source.health()["state"] == "running")

    run(body)


def test_the_phase_of_a_quote_is_shown(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.market.clock = VirtualClock("test", ns("2025-11-21 09:16:31"))
        bench.server.lines["sz000001"] = golden("tencent", "auction")
        source = await bench.start(TENCENT, "SZSE.000001")
        await until(lambda: len(bench.rows()) == 1)
        assert source.phase("SZSE.000001") == "AUCTION"
        assert source.health()["phases"] == {"AUCTION": 1}

    run(body)


def test_configured_instruments_are_polled_unasked(run: Run) -> None:
    async def body(bench: Bench) -> None:
        bench.server.lines["sz000001"] = golden("tencent", "stock")
        await bench.start(TENCENT, instruments=("000001.XSHE",))
        await until(lambda: len(bench.rows()) == 1)

    run(body)


@pytest.mark.parametrize(
    ("make", "instrument", "reason"),
    [
        (tencent_source, "au2512", "tencent does not serve it"),
        (sina_source, "what?", "not an instrument"),
        (sina_source, "DCE.m2601-C-2450", "sina does not serve it"),
    ],
)
def test_wrong_configured_instruments_are_named(
    market: Market, make: Any, instrument: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        make(market.context(), PollingOptions("http://127.0.0.1:9", instruments=(instrument,)))


def test_what_each_site_serves(market: Market) -> None:
    tencent = tencent_source(market.context(), PollingOptions("http://127.0.0.1:9"))
    sina = sina_source(market.context(), PollingOptions("http://127.0.0.1:9"))
    assert [tencent.serves(s) for s in ("SSE.600000", "SHFE.au2512")] == [True, False]
    assert [sina.serves(s) for s in ("SSE.600000", "SHFE.au2512", "DCE.m2601-C-2450")] == [True, True, False]
