"""The past of main contracts: who was main on which day; bars and rows of a real store put together by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qautlra.feed.mains import MainHistory, delivery, main_contracts
from qautlra.store.aggregates import BAR_1D
from tests.store.world import MINUTE, OPENING, World, run, tick, world

DAY = 86_400 * 10**9
SERIES, OLD, NEW = "KQ.m@CFFEX.IF", "CFFEX.IF2101", "CFFEX.IF2102"
EVER = (0, 2**53)
COLUMNS = ("trading_date", "last_price", "volume", "open_interest", "seq")


def number(*day: int) -> int:
    return (date(*day) - date(1970, 1, 1)).days


def test_the_most_held_contract_is_main_from_the_next_day_on_and_none_delivered_earlier() -> None:
    days = [date(2021, 1, day) for day in (4, 5, 6, 7)]
    held = [
        (days[0], "SHFE.rb2101", 90.0), (days[0], "SHFE.rb2105", 80.0), (days[0], "SHFE.rb2110", None),
        (days[1], "SHFE.rb2101", 70.0), (days[1], "SHFE.rb2105", 80.0), (days[1], "SHFE.rb2105C4000", 999.0),
        (days[2], "SHFE.rb2101", 99.0), (days[2], "SHFE.rb2105", 80.0),
        (days[3], "SHFE.rb2105", 80.0), (days[3], "SHFE.rb2110", 81.0),
        # of products whose names begin alike
        (days[3], "SHFE.rbx2110", 999.0), (days[3], "SHFE.rb", 999.0), (days[3], "SHFE.rb21101", 999.0),
    ]  # fmt: skip
    assert main_contracts(held, "SHFE.rb") == [
        (number(2021, 1, 4), "SHFE.rb2101"), (number(2021, 1, 6), "SHFE.rb2105"),
        (number(2021, 1, 8), "SHFE.rb2110"),
    ]  # fmt: skip
    assert main_contracts([], "SHFE.rb") == []


def test_years_of_one_digit_are_those_near_the_day() -> None:
    assert delivery("CZCE.SR601", date(2025, 12, 1)) == 202601
    assert delivery("CZCE.SR601", date(2016, 1, 4)) == 201601
    assert delivery("CZCE.SR001", date(2019, 6, 1)) == 202001
    assert delivery("CZCE.SR912", date(2020, 1, 2)) == 201912
    assert delivery("SHFE.rb2605", date(2025, 12, 1)) == 202605
    assert delivery("SHFE.rb", date(2025, 12, 1)) == 0


@asynccontextmanager
async def rolled(directory: Path) -> AsyncIterator[tuple[World, MainHistory]]:
    """Three days of two contracts, the later one held more from the second on; a fourth of the series."""
    async with world(directory, OPENING + 5 * DAY) as w:
        for day, interests in enumerate(((90.0, 80.0), (70.0, 80.0), (10.0, 95.0))):
            for contract, price, interest in zip((OLD, NEW), (5000.0, 6000.0), interests, strict=True):
                w.publish(
                    tick(
                        contract, OPENING + day * DAY + k * MINUTE, seq=day * 10 + k,
                        last_price=price + 10 * day + k, volume=k + 1, open_interest=interest,
                    )
                    for k in range(3)
                )  # fmt: skip
        w.publish(
            tick(SERIES, OPENING + 3 * DAY + k * MINUTE, last_price=7000.0 + k, volume=k + 1)
            for k in range(2)
        )
        await w.store.compact()
        assert w.store._open is not None
        await w.store._open.aggregates.refresh(BAR_1D)
        yield w, MainHistory(w.store.history, lambda symbol: (20210106, NEW) if symbol == SERIES else None)


def closes(table: pa.Table) -> list[float]:
    times = table.column("datetime").cast(pa.int64()).to_pylist()
    assert times == sorted(times)
    return list(table.column("close" if "close" in table.column_names else "last_price").to_pylist())


EXPECTED = [5000.0, 5001.0, 5002.0, 5010.0, 5011.0, 5012.0, 6020.0, 6021.0, 6022.0]


def test_minutes_are_those_of_the_days_main_contract(tmp_path: Path) -> None:
    async def body() -> None:
        async with rolled(tmp_path) as (w, past):
            minutes = await past.minutes(SERIES, *EVER)
            assert closes(minutes) == [*EXPECTED, 7000.0, 7001.0]
            assert minutes.schema == (await w.store.history.minutes(OLD, *EVER)).schema
            assert closes(await past.minutes(OLD, *EVER)) == [x - 10 * (x > 6000) for x in EXPECTED[:6]] + [
                5020.0, 5021.0, 5022.0,
            ]  # fmt: skip
            # A product whose name goes on is another one.
            assert (await w.store.history.interests("CFFEX.I", *EVER)).num_rows == 6
            other = MainHistory(w.store.history, lambda _: (20210106, NEW))
            assert closes(await other.minutes("KQ.m@CFFEX.I", *EVER))[0] == 6000.0
            # A range within the days, whose days before decide.
            low = (OPENING + 2 * DAY) // 1000
            assert closes(await past.minutes(SERIES, low, low + 2 * MINUTE // 1000)) == EXPECTED[6:8]
            assert closes(await past.minutes(SERIES, low - DAY // 1000, low)) == EXPECTED[3:6]

    run(body())


def test_rows_that_bars_are_folded_of_are_the_newest_asked_for(tmp_path: Path) -> None:
    async def body() -> None:
        async with rolled(tmp_path) as (_, past):
            low, high = OPENING // 1000, (OPENING + 3 * DAY) // 1000
            whole = await past.prices(SERIES, COLUMNS, low, high, 100)
            assert closes(whole) == EXPECTED
            assert set(whole.column("seq").to_pylist()) == {0}
            assert closes(await past.prices(SERIES, COLUMNS, low, high, 4)) == EXPECTED[-4:]
            assert closes(await past.prices(SERIES, COLUMNS, high, high + DAY // 1000, 9)) == [7000.0, 7001.0]
            assert closes(await past.ticks(SERIES, COLUMNS, *EVER)) == [7000.0, 7001.0]
            assert (await past.measure(SERIES, *EVER))[0] == 2

    run(body())


@pytest.mark.parametrize("chosen", [None, (20210104, OLD)])
def test_what_is_not_made_here_is_the_stores(tmp_path: Path, chosen: Any) -> None:
    async def body() -> None:
        async with rolled(tmp_path) as (w, _):
            past = MainHistory(w.store.history, lambda _: chosen)
            if chosen is None:
                assert closes(await past.minutes(SERIES, *EVER)) == [7000.0, 7001.0]
            else:  # the contract of now counts from its day on, whatever files say
                assert closes(await past.minutes(SERIES, *EVER))[6:9] == [5020.0, 5021.0, 5022.0]
            assert closes(await past.minutes("KQ.i@CFFEX.IF", *EVER)) == []

    run(body())
