from __future__ import annotations

from qautlra._core.market import Calendar
from qautlra.source.hours import CommonHours, OpenTime, overlap, union

HOUR_NS = 3_600_000_000_000


def test_overlap_and_union() -> None:
    assert overlap([(0, 10), (20, 30)], [(5, 25)]) == [(5, 10), (20, 25)]
    assert overlap([(0, 10)], [(10, 20)]) == []
    assert union([(5, 7), (0, 3), (3, 4), (6, 9)]) == [(0, 4), (5, 9)]


def test_common_hours_of_futures_and_stocks(calendar: Calendar) -> None:
    hours = CommonHours(calendar, ["SHFE.au2512", "CFFEX.IF2506", "SSE.600000"])
    sections = hours.of(20250603)
    assert [(s.close_ns - s.open_ns) // 60_000_000_000 for s in sections] == [45, 60, 90]
    assert sections[0].open_ns % (24 * HOUR_NS) == HOUR_NS * 3 // 2  # 09:30 in Beijing
    inside = sections[1].open_ns + 1
    assert hours.at_or_after(20250603, inside) == sections[1]
    assert hours.at_or_after(20250603, sections[2].close_ns).trading_day == 20250604
    assert hours.at_or_after(20250603, sections[0].close_ns) == sections[1]


def test_open_time_skips_breaks(calendar: Calendar) -> None:
    open_time = OpenTime(calendar)
    open_time.know("CFFEX.IF2506", 20250603)
    (morning, afternoon) = calendar.section_bounds("CFFEX.IF2506", 20250603)
    assert open_time.between(morning[0] - 60, morning[0] + 5) == 5
    assert open_time.between(morning[1] - 3, afternoon[0] + 4) == 7
    assert open_time.between(afternoon[1], afternoon[1] + HOUR_NS) == 0
    assert open_time.between(afternoon[1], morning[0]) == 0
