"""Series: bars folded row by row are those folded at once and those of the core; rows keep their ids."""

import math
import random

import numpy as np
import pytest

from qautlra._core.market import Rows
from qautlra._core.tape import bars_from_rows
from qautlra.feed.ruler import Rulers
from qautlra.feed.series import (
    BAR_FIELDS,
    CLOSE,
    HIGH,
    OPEN,
    VOLUME,
    BarSeries,
    Block,
    Series,
    TickSeries,
    bars_of,
    fold_ticks,
)
from qautlra.model.calendar import load_calendar, load_instruments

CALENDAR = load_calendar()
SYMBOL = "CFFEX.IF2506"
DAY = 20250605
OPENED, CLOSED = CALENDAR.section_bounds(SYMBOL, DAY)[0]
NAN = math.nan


def bar_series(period_s: int, bound: int = 20_000) -> BarSeries:
    ruler = Rulers(CALENDAR).of(SYMBOL, period_s, OPENED)
    return BarSeries(ruler, lambda ts: CALENDAR.bar_open(SYMBOL, ts, period_s * 10**9), bound)


def walk(seed: int, count: int, longest_s: float = 20.0) -> list[tuple[int, float, float, float]]:
    """(time, price, total volume, open interest) from the opening on."""
    chance = random.Random(seed)
    ts, price, volume, interest = OPENED, 3900.0, 0.0, 1000.0
    rows = []
    for _ in range(count):
        ts += int(chance.random() ** 3 * longest_s * 1e9) // 1000 * 1000 + 1000
        price += chance.choice((-0.2, 0.0, 0.2))
        volume += chance.randint(0, 9)
        interest += chance.randint(-3, 3)
        if ts >= CLOSED:
            break
        rows.append((ts, round(price, 1), volume, interest))
    return rows


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("period_s", [60, 300])
def test_bars_are_those_of_the_core(seed: int, period_s: int) -> None:
    instruments = load_instruments()
    number = instruments.intern(SYMBOL)
    rows, series = Rows(instruments), bar_series(period_s)
    series.join(DAY, 0.0)
    for ts, price, volume, interest in walk(seed, 400):
        values = {"last_price": price, "volume": int(volume), "open_interest": interest}
        rows.append_dict(instruments, {"instrument_id": SYMBOL, "datetime": ts, "trading_day": DAY, **values})
        series.add(ts, DAY, price, volume, interest)
    assert number == 0
    core = bars_from_rows(rows, instruments.calendar, instruments, period_s)
    block = series.block
    traded = ~np.isnan(block.values[:, OPEN])
    times = np.array([t.value for t in core.column("datetime")], np.int64) * 1000
    assert block.times[traded].tolist() == times.tolist()
    for place, name in enumerate(BAR_FIELDS):
        wanted = np.array(core.column(name).to_pylist(), float)
        assert block.values[traded, place].tolist() == wanted.tolist(), name


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("period_s", [1, 5, 7, 60, 61, 3600])
def test_rows_at_once_are_rows_one_by_one(seed: int, period_s: int) -> None:
    series, found = bar_series(period_s), walk(seed, 300, 40.0)
    for ts, price, volume, interest in found:
        series.add(ts, DAY, price, volume, interest)
    labels = np.array([CALENDAR.bar_open(SYMBOL, ts, period_s * 10**9) for ts, *_ in found], np.int64)
    prices, volumes, interests = (
        np.array(column, float) for column in zip(*(r[1:] for r in found), strict=True)
    )
    folded = fold_ticks(np.full(len(found), DAY), prices, volumes, interests)
    block = bars_of(series.ruler, labels, folded)
    assert (block.first, block.times.tolist()) == (series.first, series.block.times.tolist())
    np.testing.assert_array_equal(block.values, series.block.values)
    assert block.values[:, VOLUME].sum() == found[-1][2] - found[0][2]


def test_a_bar_without_rows_has_no_price() -> None:
    series = bar_series(60)
    series.join(DAY, 0.0)
    series.add(OPENED, DAY, 3900.0, 5.0, NAN)
    series.add(OPENED + 180 * 10**9, DAY, 3901.0, 9.0, NAN)
    assert np.isnan(series.block.values[1:3, OPEN : CLOSE + 1]).all()
    assert series.block.values[:, VOLUME].tolist() == [5.0, 0.0, 0.0, 4.0]
    assert (np.diff(series.block.times) == 60 * 10**9).all()


def test_rows_without_a_price_or_outside_of_sections_make_no_bar() -> None:
    series = bar_series(60)
    assert not series.add(OPENED, DAY, NAN, 0.0, 1.0)
    assert not series.add(CLOSED + 5 * 10**9, DAY, 3900.0, 1.0, 1.0)
    assert (len(series), series.last) == (0, -1)


def test_what_was_traded_before_the_first_row_is_in_no_bar_but_the_next_days_auction_is() -> None:
    series = bar_series(60)
    series.add(OPENED, DAY, 3900.0, 500.0, NAN)
    next_day = CALENDAR.next_trading_day(DAY)
    series.add(CALENDAR.section_bounds(SYMBOL, next_day)[0][0], next_day, 3910.0, 33.0, NAN)
    volumes = series.block.values[:, VOLUME]
    assert (volumes[0], volumes[-1]) == (0.0, 33.0)


def test_a_row_that_says_nothing_new_changes_nothing() -> None:
    series = bar_series(60)
    series.add(OPENED, DAY, 3900.0, 5.0, 7.0)
    version = series.version
    assert not series.add(OPENED + 1000, DAY, 3900.0, 5.0, 7.0)
    assert series.add(OPENED + 2000, DAY, 3900.2, 5.0, 7.0)
    assert series.version == version + 1
    assert series.block.values[0, HIGH] == 3900.2


def test_rows_are_bounded_and_keep_their_ids() -> None:
    series = Series(1, bound=100)
    series.first = 1_000
    for number in range(1_000):
        series.append(number, [float(number)])
    assert len(series) <= 100
    assert series.last == 1_999
    assert series.block.part(1_990, 1_990).values.tolist() == [[990.0]]
    assert series.time_at(series.first) == series.first - 1_000


def test_older_rows_go_before_the_oldest_as_far_as_there_is_room() -> None:
    series = Series(1, bound=100)
    series.reset(Block(500, np.arange(50), np.zeros((50, 1))))
    series.prepend(Block(380, np.arange(120), np.ones((120, 1))))
    assert (series.first, series.last, len(series)) == (450, 549, 100)
    assert series.block.values[:50].all()
    assert not series.block.values[50:].any()


def test_the_first_tick_of_all_has_the_millisecond_of_its_time_as_id() -> None:
    series = TickSeries(1)
    series.add(1_609_723_740_500_000_000, [1.0])
    series.add(1_609_723_741_000_000_000, [2.0])
    assert (series.first, series.last) == (1_609_723_740_500, 1_609_723_740_501)
