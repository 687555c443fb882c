"""Doors of several sources before one pump: what is let through, who is asked for what."""

import asyncio
from typing import Any

import pytest

from qautlra._core.market import Rows
from qautlra.base import metrics
from qautlra.source import routing
from qautlra.source.base import Demand, Source
from qautlra.source.routing import Routing
from tests.source.conftest import Market

START_NS = 1_763_730_000_000_000_000
S = 1_000_000_000


class Fake(Source):
    """A source that serves some symbols and may be cut off."""

    def __init__(self, market: Market, name: str, serves: str = "") -> None:
        super().__init__(market.context(), name)
        self.connected = True
        self._serves = serves

    def serves(self, symbol: str) -> bool:
        return symbol.startswith(self._serves)

    def health(self) -> dict[str, Any]:
        return super().health() | {"connected": self.connected}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr(routing, "monotonic_s", lambda: time[0])
    return time


def rows(market: Market, *seconds: float, symbol: str = "SHFE.au2512", last: float = 1.0) -> Rows:
    made = Rows(market.instruments)
    for at in seconds:
        made.append_dict(
            market.instruments,
            {"instrument_id": symbol, "datetime": START_NS + int(at * S), "last_price": last, "volume": 9000},
        )
    return made


def test_only_the_leader_s_rows_reach_the_tape(market: Market, now: list[float]) -> None:
    asked = Demand(["SHFE.au2512", "SSE.600000"])
    way = Routing(("upstream", "sina"), market.instruments, market.pump, asked)
    upstream, sina = Fake(market, "upstream"), Fake(market, "sina", "SHFE.")
    way.attach({"upstream": upstream, "sina": sina})
    assert way.demand("upstream").wanted == {"SHFE.au2512", "SSE.600000"}
    assert way.demand("sina").wanted == {"SHFE.au2512"}
    asked.put(frozenset({"SHFE.rb2601"}))
    assert way.demand("sina").wanted == {"SHFE.rb2601"}

    async def story() -> None:
        assert await way.door("upstream").publish(rows(market, 0, 1)) == 2
        assert await way.door("sina").publish(rows(market, 1.5, last=2.0)) == 0
        mixed = rows(market, 2.0)
        mixed.extend(rows(market, 2.0, 2.5, symbol="SSE.600000"))
        mixed.extend(rows(market, 2.2))
        assert await way.door("sina").publish(mixed) == 2  # the stock, which no one else knows
        upstream.connected = False
        now[0] += 1
        assert await way.door("sina").publish(rows(market, 3.0), 0, 1) == 1
        assert (way.door("upstream").rows, way.door("sina").rows) == (2, 3)

    asyncio.run(story())
    stamps = [(row["instrument_id"], (row["datetime"] - START_NS) / S) for row in market.rows()]
    assert stamps == [
        ("SHFE.au2512", 0.0), ("SHFE.au2512", 1.0), ("SSE.600000", 2.0), ("SSE.600000", 2.5),
        ("SHFE.au2512", 3.0),
    ]  # fmt: skip
    text = metrics.render().decode()
    assert 'qautlra_source_led_instruments_count{source="sina"} 2.0' in text
    assert 'qautlra_source_takeovers_total{source="sina"} 1.0' in text
    assert 'qautlra_source_disagreements_total{source="sina",what="price"} 1.0' in text
    metrics.unwatch("qautlra_source_")


def test_what_the_tape_holds_back_is_counted(market: Market, now: list[float]) -> None:
    class Full:
        rows = dropped = 0

        async def publish(self, rows: Rows, start: int = 0, stop: int | None = None) -> int:
            return 1

    way = Routing(("upstream", "sina"), market.instruments, Full(), Demand())

    async def story() -> None:
        assert await way.door("sina").publish(rows(market, 0, 1, 2)) == 1

    asyncio.run(story())
    assert (way.door("sina").rows, way.door("sina").dropped) == (1, 2)
