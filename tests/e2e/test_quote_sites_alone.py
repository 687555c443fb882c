"""Two sites on the live clock: which of them speaks depends on who is how late."""

import datetime as dt

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.test_quote_sites import Feed, site, source, until
from tests.source.quote_server import QuoteServer, beijing_now, serving, sina_stock_line, tencent_line

__all__ = ["site"]

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]


def test_one_site_takes_over_from_the_other_and_gives_back(serve: Serve, site: QuoteServer) -> None:
    """Tencent is preferred for stocks: Sina speaks while it refuses, and no longer than that."""

    def say(price: float, lots: int, ahead_s: int = 0, sina_ahead_s: int = 0) -> None:
        """What both sites show now. Stamps are whole seconds and a tie changes no leader: hence `ahead`."""
        now = beijing_now()
        times = [now + dt.timedelta(seconds=ahead) for ahead in (ahead_s, sina_ahead_s)]
        site.lines["sh600000"] = tencent_line("sh600000", price, lots, times[0])
        other.lines["sh600000"] = sina_stock_line("sh600000", price, lots * 100, times[1])

    def metric(name: str, kind: str) -> float:
        text = server.request("GET", "/metrics")[1].decode()
        return float(text.partition(f'{name}{{source="{kind}"}} ')[2].partition("\n")[0] or 0)

    with serving() as other:
        say(10.5, 100)
        fast = [f"source.{kind}.{key}" for kind in ("tencent", "sina") for key in
                ("interval_s=0.5", "backoff_max_s=1.0")]  # fmt: skip
        server = serve(
            *("--source", "tencent", "--source", "sina"),
            *("--set", f"source.tencent.url={site.url}", "--set", f"source.sina.url={other.url}"),
            *("--set", "source.routing.return_s=1.0", "--set", "source.routing.stale_s=2.0"),
            *(part for text in fast for part in ("--set", text)),
        )
        feed = Feed(server.ws, "SSE.600000")
        feed.wait(lambda quotes: quotes.get("SSE.600000", {}).get("last_price") == 10.5)
        step = iter(range(1, 1000))

        def leads(price: float, lots: int, ahead_s: int, sina_ahead_s: int) -> bool:
            """Whether Tencent leads; until then it says something newer each time."""
            say(price + next(step) / 100, lots + next(step), ahead_s, sina_ahead_s)
            return metric("qautlra_source_led_instruments_count", "tencent") == 1

        until(lambda: leads(10.5, 100, 2, 0))
        takeovers = metric("qautlra_source_takeovers_total", "sina")  # before it fails: Sina may be quick
        site.manner = "status"
        until(lambda: source(server, "tencent")["state"] == "backoff")

        def taken_over() -> bool:
            say(8.6 + next(step) / 100, 2000 + next(step), sina_ahead_s=8)
            return metric("qautlra_source_takeovers_total", "sina") > takeovers

        until(taken_over)

        def seen(price: float, lots: int, ahead_s: int, sina_ahead_s: int) -> None:
            """Say it until the client has it: each time with more lots and, after a second, a newer stamp."""

            def told() -> bool:
                say(price, lots + next(step), ahead_s, sina_ahead_s)
                feed.take(0.3)
                return bool(feed.quotes["SSE.600000"]["last_price"] == price)

            until(told)

        seen(7.7, 2900, 0, 8)
        assert source(server, "tencent")["connected"] is False
        site.manner = "ok"
        until(lambda: leads(10.7, 3000, 14, 8))
        seen(11.9, 5000, 20, 8)
        assert metric("qautlra_source_compared_total", "sina") > 0
        end = (beijing_now() + dt.timedelta(minutes=2)).strftime("%Y-%m-%d %H:%M:%S")
        asked = {"stream": "stock_market", "start_time": "1h-ago", "end_time": end, "limit": 1000}
        stored = until(lambda: server.query(**asked))
        assert {row["source"] for row in stored} == {"tencent", "sina"}
        assert [row["volume"] for row in stored] == sorted(row["volume"] for row in stored)
