from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from qautlra._core.market import Calendar
from qautlra.base.errors import ConfigError
from qautlra.source.history import BAR_SCHEMA
from qautlra.source.hours import CommonHours
from qautlra.source.sim import SimOptions, SimSource

from .conftest import Market

Run = Callable[[Any], Any]
DAY = SimOptions(seed=7, trading_day=20250603, history_bars=500)


class MemoryBars:
    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.expected = False

    async def bar_symbols(self) -> set[str]:
        return {name for table in self.tables for name in table["instrument_id"].unique().to_pylist()}

    def expect_bars(self) -> None:
        self.expected = True

    async def write_bars(self, table: pa.Table) -> None:
        assert self.expected
        self.tables.append(table)


async def trade(market: Market, options: SimOptions, seconds: float) -> SimSource:
    source = SimSource(market.context(), options)
    await source.start()
    assert source.state == "running"
    await asyncio.sleep(seconds)
    await source.stop(1.0)
    return source


def strip(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows]


def test_the_same_seed_gives_the_same_rows(calendar: Calendar, run_loop: Run) -> None:
    one, two, other = Market(calendar), Market(calendar), Market(calendar)
    run_loop(trade(one, DAY, 20))
    run_loop(trade(two, DAY, 33))  # asked longer and at other moments
    run_loop(trade(other, dataclasses.replace(DAY, seed=8), 20))
    size = min(len(one.published), len(two.published))
    assert size > 4000
    assert strip(one.rows())[:size] == strip(two.rows())[:size]
    assert strip(one.rows())[:100] != strip(other.rows())[:100]


def test_cadence(market: Market, run_loop: Run) -> None:
    run_loop(trade(market, DAY, 100))
    counts = Counter(row["instrument_id"] for row in market.rows())
    span_s = 100
    first_rb = min(name for name in counts if name.startswith("SHFE.rb"))
    assert counts.pop(first_rb) / span_s == pytest.approx(50, rel=0.02)
    for name, count in counts.items():
        assert 1.9 <= count / span_s <= 5.1, name


@pytest.mark.parametrize(
    ("day", "wanted"),
    [
        (20250603, {"SHFE.au2512", "SHFE.rb2512", "CFFEX.IF2506", "SSE.600000", "SZSE.000001"}),
        (20210802, {"SHFE.cu2109", "CFFEX.IF2109", "DCE.m2109"}),
        (20261123, {"SHFE.rb2701", "DCE.m2701", "SHFE.cu2701", "CFFEX.IF2612"}),
    ],
)
def test_lists_the_contracts_of_the_day(market: Market, run_loop: Run, day: int, wanted: set[str]) -> None:
    options = dataclasses.replace(DAY, trading_day=day, history_bars=300)
    source = run_loop(trade(market, options, 1))
    assert wanted <= set(source.facts())
    assert 45 <= len(source.facts()) <= 65
    expiries = [one.contract.expiry_day for one in source.facts().values() if one.contract.is_future]
    assert all(expiry >= day for expiry in expiries)


def test_rows_are_plausible(market: Market, run_loop: Run) -> None:
    run_loop(trade(market, DAY, 60))
    last: dict[str, dict[str, Any]] = {}
    for row in market.rows():
        name = row["instrument_id"]
        before = last.get(name)
        if before is not None:
            assert row["datetime"] > before["datetime"]
            assert row["volume"] >= before["volume"]
            assert row["amount"] >= before["amount"]
        last[name] = row
        assert row["lower_limit"] <= row["last_price"] <= row["upper_limit"]
        assert row["bid_price1"] < row["ask_price1"]
        assert row["bid_volume5"] > 0
        assert row["ask_volume5"] > 0
        assert row["lowest"] <= row["last_price"] <= row["highest"]
        info = market.instruments.info(market.instruments.find(name))
        ticks = row["last_price"] / info["price_tick"]
        assert ticks == pytest.approx(round(ticks), abs=1e-6)
        assert repr(row["last_price"]) == f"{row['last_price']:.6f}".rstrip("0") or row["last_price"] % 1 == 0
        average = row["amount"] / row["volume"] / info["volume_multiple"]
        assert row["average"] == pytest.approx(average, rel=1e-3)
    future, stock = last["SHFE.au2512"], last["SSE.600000"]
    assert future["open_interest"] > 0 and future["pre_settlement"] > 0
    assert stock["open_interest"] is None and stock["settlement"] is None
    assert last["SSE.510300"]["iopv"] is not None


def test_market_time_stays_inside_common_sections(market: Market, run_loop: Run) -> None:
    options = dataclasses.replace(DAY, history_bars=0, ticks_per_s=10.0)
    run_loop(trade(market, options, 195 * 60 + 30))  # a whole day and the first half minute of the next
    hours = CommonHours(market.calendar, {row["instrument_id"] for row in market.published_sample()})
    spans = [*hours.of(20250603), *hours.of(20250604)]
    days = Counter()
    for i in range(0, len(market.published), 97):
        ts = market.published.ts_event_ns(i)
        (section,) = [s for s in spans if s.open_ns <= ts < s.close_ns]
        assert market.published.trading_day(i) == section.trading_day
        days[section.trading_day] += 1
    assert set(days) == {20250603, 20250604}

    def rows_of(symbol: str) -> list[dict[str, Any]]:
        number = market.instruments.find(symbol)
        mine = [i for i in range(len(market.published)) if market.published.instrument(i) == number]
        return [market.published.to_dict(i) for i in mine]

    rows = rows_of("SHFE.au2512")
    *earlier, before = [row for row in rows if row["trading_day"] == 20250603]
    after = next(row for row in rows if row["trading_day"] == 20250604)
    # The day's last row has its close and its settlement price, which the next day begins with.
    assert after["pre_close"] == before["last_price"] == before["close"]
    assert after["pre_settlement"] == before["settlement"] != earlier[0]["pre_settlement"]
    assert {row["close"] for row in (*earlier, after)} == {None}
    assert {row["settlement"] for row in (*earlier, after)} == {None}
    share = [row for row in rows_of("SSE.600000") if row["trading_day"] == 20250603][-1]
    assert (share["close"], share["settlement"]) == (share["last_price"], None)
    assert after["pre_open_interest"] == before["open_interest"]
    assert after["volume"] < before["volume"]


def test_continues_after_what_is_stored(calendar: Calendar, run_loop: Run) -> None:
    first, second = Market(calendar), Market(calendar)
    run_loop(trade(first, DAY, 30))
    for i in range(len(first.instruments)):
        second.instruments.intern(first.instruments.symbol(i))
    second.tape.restore(first_rows(first, second))
    run_loop(trade(second, DAY, 30))
    newest = {row["instrument_id"]: row for row in first.rows()}
    seen: set[str] = set()
    start = max(row["datetime"] for row in newest.values())
    for row in second.rows():
        name = row["instrument_id"]
        assert row["datetime"] > start
        if name not in seen:
            seen.add(name)
            assert row["volume"] >= newest[name]["volume"]
            assert row["open"] == newest[name]["open"]
            assert row["pre_settlement"] == newest[name]["pre_settlement"]
            assert row["last_price"] == pytest.approx(newest[name]["last_price"], rel=0.01)
    assert seen == set(newest)
    assert second.clock.now_ns() > first.clock.now_ns()


def first_rows(first: Market, second: Market) -> Any:
    from qautlra._core.market import Rows

    rows = Rows(second.instruments)
    for i in range(len(first.published)):
        rows.append_dict(second.instruments, first.published.to_dict(i))
    return rows


def test_a_day_before_the_stored_market_is_refused(calendar: Calendar, run_loop: Run) -> None:
    first, second = Market(calendar), Market(calendar)
    run_loop(trade(first, dataclasses.replace(DAY, trading_day=20261123), 2))
    second.tape.restore(first_rows(first, second))
    source = SimSource(second.context(), DAY)
    with pytest.raises(ConfigError, match=r"source\.sim\.trading_day.*2026-11-23"):
        run_loop(source.start())


def test_a_holiday_is_refused(market: Market, run_loop: Run) -> None:
    source = SimSource(market.context(), dataclasses.replace(DAY, trading_day=20251001))
    with pytest.raises(ConfigError, match="2025-10-09"):
        run_loop(source.start())


def test_history_is_written_once(market: Market, run_loop: Run) -> None:
    market.bars = MemoryBars()
    options = dataclasses.replace(DAY, history_bars=1000)
    source = run_loop(trade(market, options, 1))
    (table,) = market.bars.tables
    assert table.schema.equals(BAR_SCHEMA)
    counts = Counter(table["instrument_id"].to_pylist())
    assert set(counts) == set(source.facts())
    assert set(counts.values()) == {1000}
    first = next(row for row in market.rows() if row["instrument_id"] == "SHFE.au2512")
    bars = [bar for bar in table.to_pylist() if bar["instrument_id"] == "SHFE.au2512"]
    today = [bar for bar in bars if str(bar["trading_date"]) == "2025-06-03"]
    assert [bar["datetime"] for bar in bars] == sorted(bar["datetime"] for bar in bars)
    assert first["open"] == today[0]["open"]
    assert first["volume"] >= sum(bar["volume"] for bar in today)
    assert bars[-1]["datetime"].timestamp() * 1e9 < first["datetime"]
    assert all(
        b["low"] <= min(b["open"], b["close"]) <= max(b["open"], b["close"]) <= b["high"] for b in bars
    )
    run_loop(trade(market, options, 1))
    assert len(market.bars.tables) == 1


@pytest.mark.parametrize("burst", [1, 20])
def test_a_rate_in_bursts(market: Market, run_loop: Run, burst: int) -> None:
    run_loop(trade(market, dataclasses.replace(DAY, ticks_per_s=1000.0, burst=burst, history_bars=0), 10))
    assert len(market.published) == pytest.approx(10_000, rel=0.02)
    if burst > 1:
        assert set(market.sizes) == {burst}


def test_flat_out_yields_after_each_burst(market: Market, run_loop: Run) -> None:
    async def both() -> int:
        source = SimSource(
            market.context(), dataclasses.replace(DAY, ticks_per_s="max", burst=5, history_bars=0)
        )
        await source.start()
        turns = 0
        while len(market.published) < 500:
            await asyncio.sleep(0)
            turns += 1
        await source.stop(1.0)
        return turns

    assert run_loop(both()) >= 90
    assert set(market.sizes) == {5}
    numbers = [market.published.instrument(i) for i in range(50)]
    assert len(set(numbers)) == 50  # all instruments in turn


def test_a_stall_slows_the_market_instead_of_jumping(market: Market, run_loop: Run) -> None:
    async def stall() -> tuple[int, int]:
        source = SimSource(market.context(), dataclasses.replace(DAY, history_bars=0))
        await source.start()
        await asyncio.sleep(1)
        before = market.clock.now_ns()
        asyncio.get_running_loop().now_s += 600  # type: ignore[attr-defined]
        await asyncio.sleep(0.1)
        after = market.clock.now_ns()
        await source.stop(1.0)
        return before, after

    before, after = run_loop(stall())
    assert 0 < after - before < 2_000_000_000


def test_options_name_the_wrong_key() -> None:
    with pytest.raises(ConfigError, match=r"source\.sim\.ticks_per_s"):
        SimOptions.parse(seed=1, trading_day="", ticks_per_s="fast", burst=1, history_bars=0)
    parsed = SimOptions.parse(seed=1, trading_day="2025-06-03", ticks_per_s=0.0, burst=1, history_bars=0)
    assert parsed.ticks_per_s == "natural"
    assert parsed.trading_day == 20250603
