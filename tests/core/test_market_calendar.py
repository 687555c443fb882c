"""Trading days, trading sections and bar labels."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra._core.market import Calendar
from qautlra.model.calendar import data_file, load_calendar, read_toml
from tests.services import module

CALENDAR = load_calendar()
BEIJING = dt.timezone(dt.timedelta(hours=8))
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def ns(text: str) -> int:
    """Unix ns of a Beijing wall time."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=BEIJING)
    return int((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1)) * 1000


def wall(ts_ns: int) -> str:
    return dt.datetime.fromtimestamp(ts_ns / 1e9, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2025-11-21 14:59:59", 20251121),
        ("2025-11-21 17:59:59", 20251121),
        ("2025-11-21 18:00:00", 20251124),
        ("2025-11-21 21:00:00", 20251124),  # Friday night is Monday's
        ("2025-11-22 00:30:00", 20251124),
        ("2025-11-22 02:30:00", 20251124),
        ("2025-11-22 12:00:00", 20251124),  # nothing trades: the next day
        ("2025-11-24 07:59:59", 20251124),
        ("2025-11-24 09:00:00", 20251124),
        ("2025-11-24 21:00:00", 20251125),
        ("2025-11-25 02:29:59", 20251125),
        ("2024-02-08 21:00:00", 20240219),  # the exchanges closed on New Year's Eve too
        ("2021-09-30 21:00:00", 20211008),
        ("2021-02-20 10:00:00", 20210222),  # a Saturday made a working day is no trading day
    ],
)
def test_trading_day(moment: str, day: int) -> None:
    assert CALENDAR.trading_day(ns(moment)) == day


def test_neighbours() -> None:
    assert CALENDAR.is_trading_day(20210104)
    assert not CALENDAR.is_trading_day(20210101)
    assert not CALENDAR.is_trading_day(20240209)
    assert not CALENDAR.is_trading_day(20241332)
    assert CALENDAR.next_trading_day(20201231) == 20210104
    assert CALENDAR.previous_trading_day(20210104) == 20201231
    assert CALENDAR.next_trading_day(20260930) == 20261008
    assert CALENDAR.known_through == 20261231


@pytest.mark.parametrize(
    ("day", "night"),
    [
        (20251124, True),  # behind a plain weekend
        (20251125, True),
        (20211008, False),  # after the national holiday
        (20240102, False),  # Friday to Tuesday
        (20230406, False),  # one holiday in mid-week
        (20200204, False),  # the suspension of 2020
        (20200506, False),
        (20200507, True),
    ],
)
def test_night_session(day: int, night: bool) -> None:
    assert CALENDAR.has_night(day) is night
    bounds = CALENDAR.section_bounds("SHFE.au2512", day)
    assert len(bounds) == (4 if night else 3)


def test_sections() -> None:
    assert CALENDAR.sections("SHFE.au2512")[0] == ("21:00", "26:30")
    assert CALENDAR.sections("SHFE.rb2512")[0] == ("21:00", "23:00")
    assert CALENDAR.sections("IF2512") == [("09:30", "11:30"), ("13:00", "15:00")]
    assert CALENDAR.sections("T2512")[-1] == ("13:00", "15:15")
    assert CALENDAR.sections("600000") == [("09:30", "11:30"), ("13:00", "15:00")]
    assert CALENDAR.sections("HKEX.00700") == []
    assert CALENDAR.sections("KQ.m@SHFE.rb") == CALENDAR.sections("SHFE.rb2512")
    assert CALENDAR.sections("m1807-C-2450") == CALENDAR.sections("m1807")
    with pytest.raises(ValueError, match="no product"):
        CALENDAR.sections("zz2512")


def test_which_sections_open_with_an_auction() -> None:
    def openings(symbol: str, day: int) -> list[str]:
        return [wall(at) for at in CALENDAR.auction_openings(symbol, day)]

    assert openings("SHFE.au2512", 20251124) == ["2025-11-21 21:00:00", "2025-11-24 09:00:00"]
    assert openings("SHFE.au2512", 20251009) == ["2025-10-09 09:00:00"]  # no night before it
    assert openings("SHFE.au2306", 20230525) == ["2023-05-24 21:00:00"]
    assert openings("CZCE.SR601", 20251124) == ["2025-11-21 21:00:00"]
    assert openings("IF2512", 20251124) == openings("600000", 20251124) == ["2025-11-24 09:30:00"]
    assert openings("HKEX.00700", 20251124) == []


def test_friday_night_opens_monday() -> None:
    bounds = CALENDAR.section_bounds("SHFE.au2512", 20251124)
    assert [(wall(a), wall(b)) for a, b in bounds[:2]] == [
        ("2025-11-21 21:00:00", "2025-11-22 02:30:00"),
        ("2025-11-24 09:00:00", "2025-11-24 10:15:00"),
    ]


@pytest.mark.parametrize(
    ("symbol", "moment", "label"),
    [
        ("IF2101", "2021-01-04 09:29:00.4", "09:30:00"),  # the auction makes the first bar
        ("IF2101", "2021-01-04 09:24:59.9", None),
        ("IF2101", "2021-01-04 09:30:00", "09:30:00"),
        ("IF2101", "2021-01-04 09:30:59.999999", "09:30:00"),
        ("IF2101", "2021-01-04 09:31:00", "09:31:00"),
        ("IF2101", "2021-01-04 11:30:00", "11:29:00"),  # stamps within a second of the end close the section
        ("IF2101", "2021-01-04 11:30:00.999999", "11:29:00"),
        ("IF2101", "2021-01-04 11:30:01", None),
        ("IF2101", "2021-01-04 12:59:59.9", None),  # no auction before a later section
        ("IF2101", "2021-01-04 13:00:00", "13:00:00"),
        ("IF2101", "2021-01-04 15:00:00.4", "14:59:00"),
        ("IF2101", "2021-01-04 15:30:48", None),  # settlement
        ("T2103", "2021-01-04 15:00:30", "15:00:00"),
        ("T2103", "2021-01-04 15:15:00.5", "15:14:00"),
        ("SHFE.rb2105", "2021-01-05 10:20:00", None),
        ("SHFE.rb2105", "2021-01-05 20:55:00", "21:00:00"),
        ("SHFE.rb2105", "2021-01-05 20:54:59", None),
        ("SHFE.rb2105", "2021-01-05 08:59:30", None),  # its day began the evening before
        ("SHFE.rb2105", "2021-01-04 08:59:30", "09:00:00"),  # no night before it
        ("SHFE.rb2105", "2020-12-31 21:00:00", None),
        ("SHFE.wr2105", "2021-01-05 08:59:30", "09:00:00"),
        ("SHFE.au2106", "2021-01-06 02:29:59", "02:29:00"),
        ("SHFE.au2106", "2021-01-06 02:30:00.5", "02:29:00"),
        ("SHFE.au2508", "2025-06-04 08:59:00.5", "09:00:00"),  # the daytime has an auction of its own
        ("SHFE.au2508", "2025-06-04 08:54:59", None),
        ("SHFE.au2508", "2025-06-04 10:29:30", None),
        ("SHFE.au2308", "2023-05-25 08:59:00.5", None),
        ("DCE.m2309", "2023-05-26 08:59:00.5", "09:00:00"),  # the first one
        ("CZCE.SR509", "2025-06-04 08:59:00.5", None),  # takes no orders then
        ("600000", "2021-01-04 09:15:03", "09:30:00"),
        ("600000", "2021-01-04 14:59:59", "14:59:00"),
        ("600000", "2021-01-02 10:00:00", None),
        ("HKEX.00700", "2021-01-04 16:05:07", "16:05:00"),  # sections unknown: every row counts
    ],
)
def test_minute_bars(symbol: str, moment: str, label: str | None) -> None:
    opening = CALENDAR.bar_open(symbol, ns(moment), MINUTE)
    assert (None if opening == -1 else wall(opening)[11:]) == label


@pytest.mark.parametrize(
    ("moment", "period", "label"),
    [
        ("2025-11-21 21:59:59", HOUR, "2025-11-21 21:00:00"),
        ("2025-11-24 13:45:00", HOUR, "2025-11-24 13:00:00"),
        ("2025-11-22 00:10:00", 5 * MINUTE, "2025-11-22 00:10:00"),
        ("2025-11-24 09:00:07", 7_000_000_000, None),
        ("2025-11-21 21:30:00", 12 * HOUR, "2025-11-21 18:00:00"),  # never one bar of two trading days
        ("2025-11-21 14:30:00", 12 * HOUR, "2025-11-21 12:00:00"),
        ("2025-11-21 21:00:00", DAY, "2025-11-24 00:00:00"),
        ("2025-11-24 14:59:00", DAY, "2025-11-24 00:00:00"),
    ],
)
def test_other_periods(moment: str, period: int, label: str | None) -> None:
    opening = CALENDAR.bar_open("SHFE.au2512", ns(moment), period)
    if label is not None:
        assert wall(opening) == label
    assert period == DAY or ns(moment) - period < opening <= ns(moment)


@pytest.mark.parametrize("period", [0, -MINUTE, 1_500_000_000, 2 * DAY, 999])
def test_a_period_is_whole_seconds_up_to_a_day(period: int) -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        CALENDAR.bar_open("IF2101", ns("2021-01-04 10:00:00"), period)


instants = st.integers(ns("2009-01-01 00:00:00"), ns("2027-12-31 00:00:00"))


@given(instants, st.integers(1, 86_400))
def test_bars_never_mix_trading_days(ts_ns: int, period_s: int) -> None:
    period = period_s * 1_000_000_000
    opening = CALENDAR.bar_open("SHFE.au2512", ts_ns, period)
    if opening == -1:
        return
    day = CALENDAR.trading_day(ts_ns)
    bounds = CALENDAR.section_bounds("SHFE.au2512", day)
    assert any(a - 300_000_000_000 <= ts_ns < b + 1_000_000_000 for a, b in bounds)
    if period_s < 86_400:
        assert CALENDAR.trading_day(max(opening, bounds[0][0])) == day
        assert opening < ts_ns + 300_000_000_000


@given(instants)
def test_trading_day_against_a_naive_count(ts_ns: int) -> None:
    def opens(day: dt.date) -> bool:
        return day.weekday() < 5 and int(day.strftime("%Y%m%d")) not in closed

    closed = {d for days in read_toml(data_file("calendar.toml"))["closed"].values() for d in days}
    local = dt.datetime.fromtimestamp(ts_ns // 1_000_000_000, BEIJING)
    day = local.date() + dt.timedelta(days=local.hour >= 18)
    while not opens(day):
        day += dt.timedelta(days=1)
    assert CALENDAR.trading_day(ts_ns) == int(day.strftime("%Y%m%d"))


def test_the_process_zone_does_not_matter() -> None:
    code = (
        "from qautlra.model.calendar import load_calendar as l; c = l();"
        "print(c.trading_day(1763730000000000000), c.bar_open('au2512', 1763730000000000000, 60000000000))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("UTC", "Asia/Shanghai", "America/New_York")
    }
    assert answers == {"20251124 1763730000000000000\n"}


def _broken(change: Callable[[dict, dict], None]) -> str:
    days, markets = read_toml(data_file("calendar.toml")), read_toml(data_file("products.toml"))
    change(days, markets)
    with pytest.raises((ValueError, KeyError)) as caught:
        Calendar(days, markets)
    return str(caught.value)


def test_wrong_data_names_its_key() -> None:
    assert "closed.2021" in _broken(lambda d, m: d["closed"].update({"2021": [20211301]}))
    assert "sections.day0900.day[0]" in _broken(
        lambda d, m: d["sections"]["day0900"].update(day=[["9h", "10:15"]])
    )
    assert "sections.day0900.day[1]" in _broken(
        lambda d, m: d["sections"]["day0900"].update(day=[["09:00", "10:15"], ["10:00", "11:00"]])
    )
    assert "products.SHFE.au.sections" in _broken(
        lambda d, m: m["products"]["SHFE.au"].update(sections="dusk")
    )
    assert "products.SHFE.au" in _broken(lambda d, m: m["products"]["SHFE.au"].update(price_tick=0))
    assert "products.FOO.x" in _broken(lambda d, m: m["products"].update({"FOO.x": {}}))
    assert "known_through" in _broken(lambda d, m: d.pop("known_through"))
    assert "products.SHFE.au.fee" in _broken(lambda d, m: m["products"]["SHFE.au"].update(fee={"open": 1}))


def test_closed_days_agree_with_an_independent_calendar() -> None:
    chinese_calendar = module("chinese_calendar", "chinesecalendar")
    closed = {d for days in read_toml(data_file("calendar.toml"))["closed"].values() for d in days}
    day, other = dt.date(2008, 1, 1), set()
    while day <= dt.date(2026, 12, 31):
        if day.weekday() < 5 and chinese_calendar.is_holiday(day):
            other.add(int(day.strftime("%Y%m%d")))
        day += dt.timedelta(days=1)
    # New Year's Eve of 2024 was a working day, but the exchanges closed.
    assert closed - other == {20240209}
    assert not other - closed


def test_a_copy_beside_the_users_configuration_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next year's holidays are entered there without a new release."""
    text = data_file("calendar.toml").read_text("utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_calendar().is_trading_day(20270101)
    (tmp_path / "qautlra").mkdir()
    own = tmp_path / "qautlra" / "calendar.toml"
    own.write_text(
        text.replace("20261231", "20271231").replace("2026 = [", "2027 = [20270101]\n2026 = ["), "utf-8"
    )
    found = load_calendar()
    assert data_file("calendar.toml") == own and found.known_through == 20271231
    assert not found.is_trading_day(20270101) and found.is_trading_day(20270104)
    own.write_text("known_through = ", "utf-8")
    with pytest.raises(ValueError, match=str(own)):
        load_calendar()
