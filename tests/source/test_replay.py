from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qautlra._core.market import Calendar, Rows
from qautlra.base.errors import ConfigError
from qautlra.source.base import SLICE_ROWS
from qautlra.source.replay import ReplayOptions, ReplaySource

from .conftest import Market

Run = Callable[[Any], Any]
HEAD = "TradingDay,InstrumentID,ExchangeID,LastPrice,Volume,UpdateTime,UpdateMillisec,ActionDay\n"


def csv_of(*rows: str) -> str:
    return HEAD + "".join(f"{row}\n" for row in rows)


def row(clock: str, price: float = 5230.0, day: str = "20210104", ms: int = 0) -> str:
    return f"{day},IF2101,CFFEX,{price},1,{clock},{ms},{day}"


async def finish(market: Market, options: ReplayOptions) -> ReplaySource:
    source = ReplaySource(market.context(), options)
    await source.start()
    while not source.state.startswith("finished"):
        await asyncio.sleep(0.05)
        assert not source.failed.done(), source.failed.result()
    await source.stop(1.0)
    return source


async def until(market: Market, options: ReplayOptions, count: int) -> ReplaySource:
    source = ReplaySource(market.context(), options)
    await source.start()
    while len(market.published) < count:
        await asyncio.sleep(0)
        assert not source.failed.done(), source.failed.result()
    await source.stop(1.0)
    return source


def restored(calendar: Calendar, rows: Rows, count: int) -> Market:
    """A market whose tape has recovered the first rows."""
    market = Market(calendar)
    kept = Rows(market.instruments)
    for i in range(count):
        kept.append_dict(market.instruments, rows.to_dict(i))
    market.tape.restore(kept)
    return market


def test_the_real_day_at_full_speed(market: Market, run_loop: Run, real_day: Path) -> None:
    source = run_loop(finish(market, ReplayOptions([real_day], speed=0)))
    assert len(market.published) == 27_955
    assert max(market.sizes) <= SLICE_ROWS
    assert market.tape.duplicates == market.tape.late == 0
    last = market.tape.last(market.instruments.find("CFFEX.IF2101"))
    assert last is not None
    assert (last["last_price"], last["settlement"], last["volume"]) == (5260.0, 5278.6, 84_288)
    assert market.clock.now_ns() == market.published.ts_event_ns(27_954)
    health = source.health()
    assert health["state"] == "finished"
    assert health["rows"] == 27_955
    assert health["errors"] == []


@pytest.mark.parametrize("speed", [0, 1000])
def test_rows_of_two_days_are_never_published_together(
    market: Market, run_loop: Run, tmp_path: Path, speed: float
) -> None:
    """What follows the tape sees the one day end before it sees anything of the next."""
    file = tmp_path / "two.csv"
    days = ("20210104", "20210105")
    file.write_text(csv_of(*(row(f"09:30:{s:02d}", day=day) for day in days for s in range(20))))
    run_loop(finish(market, ReplayOptions([file], speed=speed)))
    ends = [0]
    for size in market.sizes:
        ends.append(ends[-1] + size)
    assert len(market.published) == 40 and 20 in ends


@pytest.mark.parametrize("count", [1, 1023, 9_999, 27_955])
def test_resumes_after_the_stored_row(
    calendar: Calendar, market: Market, run_loop: Run, real_day: Path, count: int
) -> None:
    options = ReplayOptions([real_day], speed=0)
    run_loop(finish(market, options))
    again = restored(calendar, market.published, count)
    source = run_loop(finish(again, options))
    assert len(again.published) == 27_955 - count
    assert source.health()["skipped"] == count
    if count < 27_955:
        assert again.published.ts_event_ns(0) == market.published.ts_event_ns(count)
    assert again.tape.duplicates == 0


def test_equal_stamps_resume_by_ordinal(calendar: Calendar, run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "equal.csv"
    path.write_text(csv_of(*(row("10:00:00", 5000 + n) for n in range(5)), row("10:00:01", 5010)))
    first = Market(calendar)
    run_loop(finish(first, ReplayOptions([path], speed=0)))
    assert [r["seq"] for r in first.rows()] == [0, 1, 2, 3, 4, 0]
    again = restored(calendar, first.published, 3)
    run_loop(finish(again, ReplayOptions([path], speed=0)))
    assert [r["last_price"] for r in again.rows()] == [5003, 5004, 5010]


def test_speed_follows_open_time(market: Market, run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "paced.csv"
    stamps = ["09:29:00", "09:30:00", "09:30:10", "11:29:59", "13:00:01", "15:30:00"]
    path.write_text(csv_of(*(row(t, 5230 + n) for n, t in enumerate(stamps))))
    run_loop(finish(market, ReplayOptions([path], speed=10)))
    start = market.times[0]
    times = [
        round(t - start, 2) for t, size in zip(market.times, market.sizes, strict=True) for _ in range(size)
    ]
    # The auction and the lunch break take no time, nor does what follows the close.
    assert times == pytest.approx([0, 0, 1, 719.9, 720.1, 1440], abs=0.3)


def test_loop_moves_whole_weeks_and_never_back(market: Market, run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "two_days.csv"
    path.write_text(csv_of(row("10:00:00"), row("14:00:00"), row("10:00:00", day="20210105")))
    run_loop(until(market, ReplayOptions([path], speed=0, loop=True), 21))
    rows = market.rows()
    stamps = [r["datetime"] for r in rows]
    assert stamps == sorted(set(stamps))
    days = [r["trading_day"] for r in rows]
    # From 2021-01-04/05 by weeks; 2021-02-15/16 are holidays, so the pass after 02-08/09 is 02-22/23.
    assert sorted(set(days)) == [
        20210104, 20210105, 20210111, 20210112, 20210118, 20210119, 20210125, 20210126,
        20210201, 20210202, 20210208, 20210209, 20210222, 20210223,
    ]  # fmt: skip
    assert all(market.calendar.trading_day(r["datetime"]) == r["trading_day"] for r in rows)
    assert market.tape.late == 0


def test_loop_resumes_in_the_pass_it_stopped_in(calendar: Calendar, run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text(csv_of(row("10:00:00"), row("14:00:00", 5231.0)))
    options = ReplayOptions([path], speed=0, loop=True)
    whole, part = Market(calendar), Market(calendar)
    run_loop(until(whole, options, 20))
    again = restored(calendar, whole.published, 7)
    run_loop(until(again, options, 13))
    assert [r["datetime"] for r in again.rows()][:13] == [r["datetime"] for r in whole.rows()][7:20]
    assert len(part.published) == 0


def test_bad_rows_are_counted_with_their_lines(market: Market, run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(
        csv_of(row("10:00:00"), "oops", row("10:00:01").replace("5230.0", "abc"), row("10:00:02"), row(""))
    )
    source = run_loop(finish(market, ReplayOptions([path], speed=0)))
    health = source.health()
    assert len(market.published) == 2
    assert health["bad_rows"] == 2
    assert health["bad_lines"] == {str(path): [3, 4]}
    assert health["refused"] == 1  # readable, but without a time


def test_a_cut_file_keeps_its_rows_and_names_the_error(market: Market, run_loop: Run, tmp_path: Path) -> None:
    path, other = tmp_path / "cut.csv.gz", tmp_path / "next.csv"
    packed = gzip.compress(
        csv_of(*(row(f"10:{m:02d}:{s:02d}", 5000 + s) for m in range(60) for s in range(60))).encode()
    )
    path.write_bytes(packed[: len(packed) * 3 // 4])
    other.write_text(csv_of(row("11:00:00")))
    source = run_loop(finish(market, ReplayOptions([path, other], speed=0)))
    assert 100 < len(market.published) < 3600
    assert market.rows()[-1]["datetime"] > market.rows()[-2]["datetime"]
    health = source.health()
    assert health["state"] == "finished with errors"
    assert str(path) in health["errors"][0]
    assert "cut short" in health["errors"][0]


def test_waits_for_clients(market: Market, run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text(csv_of(row("10:00:00")))

    async def wait() -> None:
        source = ReplaySource(market.context(), ReplayOptions([path], speed=0, wait_clients=2))
        await source.start()
        market.clients = 1
        await asyncio.sleep(5)
        assert source.state == "waiting"
        assert len(market.published) == 0
        market.clients = 2
        await asyncio.sleep(1)
        assert source.state == "finished"
        await source.stop(1.0)

    run_loop(wait())
    assert len(market.published) == 1


def test_options_name_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "there.csv"
    path.write_text("x")
    assert ReplayOptions.parse([str(path)], "max", False, 0).speed == 0
    assert ReplayOptions.parse([str(path)], "2.5", False, 0).speed == 2.5
    with pytest.raises(ConfigError, match=r"source\.replay\.files.*no such file"):
        ReplayOptions.parse([str(tmp_path / "missing.csv")], "max", False, 0)
    with pytest.raises(ConfigError, match=r"source\.replay\.files"):
        ReplayOptions.parse([], "max", False, 0)
    for speed in ("0", "-1", "fast"):
        with pytest.raises(ConfigError, match=r"source\.replay\.speed"):
            ReplayOptions.parse([str(path)], speed, False, 0)
