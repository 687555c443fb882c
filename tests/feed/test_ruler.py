"""Bars' numbers: the calendar's own labels, without a gap, for every period."""

import random

import pytest

from qautlra.feed.ruler import Rulers
from qautlra.model.calendar import load_calendar

CALENDAR = load_calendar()
NOW_NS = 1_795_400_000_000_000_000
SYMBOLS = ("SHFE.au2512", "CFFEX.IF2506", "SSE.600000", "DCE.m2701", "CZCE.SR601")
PERIODS = (1, 5, 7, 60, 61, 300, 3600, 7200, 14_400, 25_201, 36_000, 40_000, 86_399, 86_400)


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("period_s", PERIODS)
def test_numbers_and_labels_are_each_others_inverse(symbol: str, period_s: int) -> None:
    ruler = Rulers(CALENDAR).of(symbol, period_s, NOW_NS)
    chance = random.Random(period_s)
    for _ in range(100):
        day = CALENDAR.trading_day(chance.randrange(1_300_000_000, 1_780_000_000) * 10**9)
        opened, closed = chance.choice(CALENDAR.section_bounds(symbol, day))
        label = CALENDAR.bar_open(symbol, chance.randrange(opened, closed), period_s * 10**9)
        assert ruler.time_of(ruler.id_at(label)) == label


@pytest.mark.parametrize("day", [20200203, 20210104, 20250605, 20251009])
@pytest.mark.parametrize("period_s", [5, 7, 300, 3600, 40_000])
def test_numbers_of_a_day_have_no_gap(day: int, period_s: int) -> None:
    ruler = Rulers(CALENDAR).of("SHFE.au2512", period_s, NOW_NS)
    labels: list[int] = []
    for trading_day in (day, CALENDAR.next_trading_day(day)):
        for opened, closed in CALENDAR.section_bounds("SHFE.au2512", trading_day):
            for ts_ns in range(opened, closed, 10**9):
                label = CALENDAR.bar_open("SHFE.au2512", ts_ns, period_s * 10**9)
                if not labels or labels[-1] != label:
                    labels.append(label)
    ids = ruler.at(labels).tolist()
    assert ids == list(range(ids[0], ids[0] + len(labels)))
    assert ruler.times(ids).tolist() == labels


def test_bars_of_days_are_labelled_by_their_first_trading_day() -> None:
    rulers = Rulers(CALENDAR)
    one, five = rulers.of("SHFE.au2512", 86_400, NOW_NS), rulers.of("SHFE.au2512", 5 * 86_400, NOW_NS)
    day = one.id_at(NOW_NS)
    assert five.id_at(NOW_NS) == day // 5
    assert five.time_of(day // 5) == one.time_of(day // 5 * 5)


def test_a_moment_between_bars_belongs_to_the_one_before() -> None:
    ruler = Rulers(CALENDAR).of("SHFE.au2512", 60, NOW_NS)
    (_, morning), (after, _), *_ = CALENDAR.section_bounds("SHFE.au2512", 20250605)[1:]
    last = ruler.id_at(morning - 60 * 10**9)
    assert ruler.time_of(last) == morning - 60 * 10**9
    assert ruler.id_at((morning + after) // 2) == last
    assert ruler.id_at(after) == last + 1
    assert ruler.id_at(0) == -1


def test_rulers_are_shared_and_few() -> None:
    rulers = Rulers(CALENDAR)
    assert rulers.of("SHFE.au2512", 60, NOW_NS) is rulers.of("SHFE.au2606", 60, NOW_NS)
    for period_s in range(1, 100):
        rulers.of("SHFE.au2512", period_s, NOW_NS)
    assert len(rulers._kept) == Rulers.KEPT_COUNT


@pytest.mark.parametrize("period_s", [0, -60, 86_401, 100_000])
def test_a_period_is_seconds_up_to_a_day_or_days(period_s: int) -> None:
    with pytest.raises(ValueError, match="whole"):
        Rulers(CALENDAR).of("SHFE.au2512", period_s, NOW_NS)
