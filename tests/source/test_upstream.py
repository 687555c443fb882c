"""The `upstream` source against a small DIFF server: demand, rows, health, coming back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from qautlra.base.errors import ConfigError
from qautlra.base.secret import Secret
from qautlra.source import upstream
from qautlra.source.base import Demand
from qautlra.source.upstream import UpstreamOptions, UpstreamSource
from tests.link.feed_server import FeedServer, running, until
from tests.source.conftest import Market

QUOTE = {"datetime": "2025-11-21 21:00:00.500000", "last_price": 936.48, "volume": 8123}


@asynccontextmanager
async def source_of(
    market: Market, server: FeedServer, *names: str, demand: Demand | None = None
) -> AsyncIterator[UpstreamSource]:
    context = replace(market.context(), demand=demand or Demand())
    source = UpstreamSource(
        context, UpstreamOptions.parse(url=server.url, instruments=names, retry_max_s=0.2)
    )
    await source.start()
    try:
        yield source
    finally:
        await source.stop(1.0)


def test_full_rows_come_out(market: Market) -> None:
    async def story() -> None:
        async with (
            running(FeedServer()) as server,
            source_of(market, server, "au2512", "nonsense!") as source,
        ):
            await until(lambda: server.lists == ["au2512"])
            await server.quotes(au2512=QUOTE)
            await server.quotes(au2512={"volume": 8130, "datetime": "2025-11-21 21:00:01.000000"})
            await server.quotes(au2512={"volume": 8130, "datetime": "2025-11-21 21:00:01.000000"})
            await server.quotes(rb2601=QUOTE)
            await until(lambda: len(market.published) == 2)
            first, second = market.rows()
            assert (first["instrument_id"], first["trading_day"], first["source"]) == (
                "SHFE.au2512", 20251124, "upstream",
            )  # fmt: skip
            assert (second["last_price"], second["volume"]) == (936.48, 8130)
            await until(lambda: source.health().get("unwanted") == 1)
            health = source.health()
            assert health["connected"]
            assert health["rows"] == 2
            assert health["last_tick"] == "2025-11-21T13:00:01.000+00:00"
            assert health["unknown_instruments"] == ["nonsense!"]
            assert "note" not in health

    asyncio.run(story())


def test_demand_comes_on_top_of_the_settings(market: Market) -> None:
    async def story() -> None:
        demand = Demand(["SHFE.rb2601"])
        async with running(FeedServer()) as server, source_of(market, server, "au2512", demand=demand):
            await until(lambda: server.lists == ["au2512,SHFE.rb2601"])
            demand.put(frozenset({"SHFE.au2512"}))  # asked for already, under the settings' spelling
            demand.put(frozenset({"SHFE.au2512", "CFFEX.IF2512"}))
            await until(lambda: server.lists[1:] == ["au2512,CFFEX.IF2512"])
            await server.quotes(**{"CFFEX.IF2512": QUOTE, "SHFE.rb2601": QUOTE})
            await until(lambda: len(market.published) == 1)
        demand.put(frozenset())  # nobody listens any more
        assert market.rows()[0]["instrument_id"] == "CFFEX.IF2512"

    asyncio.run(story())


def test_names_nobody_quotes_keep_none_out_that_are_quoted(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(upstream, "SYMBOLS_PER_CLIENT_COUNT", 4)
        asked = {"SHFE.rb2601", "SHFE.zn2601"}
        demand = Demand(asked)
        async with (
            running(FeedServer()) as server,
            source_of(market, server, "au2512", demand=demand) as source,
        ):
            await until(lambda: server.lists == ["au2512,SHFE.rb2601,SHFE.zn2601"])
            await server.quotes(**{"SHFE.zn2601": QUOTE})
            await until(lambda: len(market.published) == 1)
            made_up = {f"SHFE.cu{number}" for number in range(2512, 2513 + 5 * 100, 100)}
            demand.put(frozenset(asked | made_up))
            await until(lambda: len(server.lists) == 2)
            assert server.lists[1].startswith("au2512,SHFE.zn2601,SHFE.cu2512,")
            assert source.health()["left_out"] == 5
            demand.put(frozenset({"SHFE.ag2512"} | asked | made_up))  # asked for, and shown from now on
            await until(lambda: len(server.lists) == 3)
            assert server.lists[2].startswith("au2512,SHFE.zn2601,SHFE.ag2512,")
            await server.quotes(**{"SHFE.ag2512": QUOTE})
            await until(lambda: len(market.published) == 2)
            demand.put(frozenset({"SHFE.ag2512", "SHFE.al2512", "SHFE.al2601", *asked, *made_up}))
            await until(lambda: len(server.lists) == 4)
            assert set(server.lists[3].split(",")[1:3]) == {"SHFE.zn2601", "SHFE.ag2512"}

    asyncio.run(story())


def test_being_cut_off_is_a_state_and_no_failure(market: Market) -> None:
    async def story() -> None:
        server = FeedServer()
        await server.start()
        async with source_of(market, server, "au2512") as source:
            await until(lambda: source.health()["connected"])
            await server.quotes(au2512=QUOTE)
            await until(lambda: len(market.published) == 1)
            await server.stop()
            await until(lambda: not source.health()["connected"])
            assert source.health()["state"] in ("waiting", "connecting")
            assert not source.failed.done()
            server.received.clear()
            await server.start()
            await until(lambda: server.lists == ["au2512"])
            await server.quotes(au2512=QUOTE)  # the start of the new connection repeats what is known
            await server.quotes(au2512={"volume": 9000, "datetime": "2025-11-21 21:00:02"})
            await until(lambda: len(market.published) == 2)
            assert source.health()["connects"] == 2
            assert not source.failed.done()
        await server.stop()

    asyncio.run(story())


def test_a_restart_knows_what_is_on_the_tape(market: Market) -> None:
    async def story() -> None:
        async with running(FeedServer()) as server:
            for expected in (1, 2):
                async with source_of(market, server, "au2512"):
                    await until(lambda: len(server.connections) == 1)
                    await server.quotes(au2512=QUOTE)
                    if expected == 2:
                        await server.quotes(au2512=QUOTE | {"volume": 1})
                    await until(lambda expected=expected: len(market.published) == expected)
                await until(lambda: not server.connections)
        assert [(row["volume"], row["seq"]) for row in market.rows()] == [(8123, 0), (1, 1)]

    asyncio.run(story())


def test_nothing_asked_for_is_said(market: Market) -> None:
    async def story() -> None:
        async with running(FeedServer()) as server, source_of(market, server) as source:
            await until(lambda: source.health()["connected"])
            assert "nothing is asked for" in source.health()["note"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("url", "http://x", "source.upstream.url"), ("stream", "orders", "source.upstream.stream")],
)
def test_wrong_settings_are_named(setting: str, value: str, words: str) -> None:
    settings: dict[str, Any] = {"url": "ws://127.0.0.1:1/"} | {setting: value}
    with pytest.raises(ConfigError, match=words):
        UpstreamOptions.parse(**settings)


def test_login() -> None:
    options = UpstreamOptions.parse(url="ws://127.0.0.1:1/", username="me", password=Secret("pässword"))
    assert options.client.headers == (("Authorization", "Basic bWU6cMOkc3N3b3Jk"),)


def test_latency_is_told_of_live_stamps_only(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        source = UpstreamSource(
            market.context(), UpstreamOptions.parse(url="ws://127.0.0.1:1/", instruments=["au2512"])
        )
        stamp_ns = 1_763_730_000_500_000_000
        for ahead_s, wanted in ((0.25, 0.25), (-2.0, -2.0), (1e6, None)):
            monkeypatch.setattr(upstream, "wall_ns", lambda at=stamp_ns + int(ahead_s * 1e9): at)
            await source._take([{"au2512": QUOTE | {"volume": int(ahead_s) + 10}}])
            assert source.health()["latency_s"] == wanted

    asyncio.run(story())


def test_a_feed_that_has_gone_back_is_said(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated market that began anew, say: prices stood still, and nothing was wrong."""
    monkeypatch.setattr(upstream, "BEHIND_S", 0.05)

    async def story() -> None:
        async with running(FeedServer()) as server, source_of(market, server, "au2512") as source:
            await until(lambda: len(server.connections) == 1)

            async def at(second: int) -> None:
                await server.quotes(
                    au2512=QUOTE | {"datetime": f"2025-11-21 21:00:{second:02d}.000000", "volume": second}
                )
                await until(lambda: bool(market.rows()) and market.rows()[-1]["volume"] == second)

            await at(30)
            await at(10)
            assert "behind" not in source.health()
            await asyncio.sleep(0.1)
            await at(11)
            assert source.health()["behind"] and "older than what came before" in source.health()["error"]
            await at(31)
            assert "behind" not in source.health() and "error" not in source.health()

    asyncio.run(story())
