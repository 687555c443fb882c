"""The time grammar by example: every form of the contract, and what is refused by name."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.base.errors import InputError
from qautlra.store.timegrammar import parse_range, parse_time, rfc3339, to_datetime

BEIJING = timezone(timedelta(hours=8))


def beijing(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=BEIJING).timestamp()) * 10**9  # type: ignore[arg-type, misc]


NOW = beijing(2021, 3, 31, 10, 0, 0)
S, M, H, D = 10**9, 60 * 10**9, 3600 * 10**9, 86_400 * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        (" NOW ", NOW),
        ("1h-ago", NOW - H),
        ("1h ago", NOW - H),
        ("1h - ago", NOW - H),
        ("-1h", NOW - H),
        ("now-1h", NOW - H),
        ("now - 1h", NOW - H),
        ("now+1h", NOW + H),
        ("now-1h30m", NOW - H - 30 * M),
        ("-1h30m15s", NOW - H - 30 * M - 15 * S),
        ("2 hours ago", NOW - 2 * H),
        ("1 hour 30 minutes ago", NOW - H - 30 * M),
        ("1.5h ago", NOW - H - 30 * M),
        ("5ns ago", NOW - 5),
        ("5us ago", NOW - 5_000),
        ("5µs ago", NOW - 5_000),
        ("5ms ago", NOW - 5_000_000),
        ("5s ago", NOW - 5 * S),
        ("5sec ago", NOW - 5 * S),
        ("5 seconds ago", NOW - 5 * S),
        ("5m ago", NOW - 5 * M),
        ("5min ago", NOW - 5 * M),
        ("5d ago", NOW - 5 * D),
        ("5 days-ago", NOW - 5 * D),
        ("1w ago", NOW - 7 * D),
        ("1M-ago", beijing(2021, 2, 28, 10)),
        ("1 month ago", beijing(2021, 2, 28, 10)),
        ("13M ago", beijing(2020, 2, 29, 10)),
        ("1y ago", beijing(2020, 3, 31, 10)),
        ("1y2M3d ago", beijing(2020, 1, 28, 10)),
        ("today", beijing(2021, 3, 31)),
        ("yesterday", beijing(2021, 3, 30)),
        ("yesterday+21h", beijing(2021, 3, 30, 21)),
        ("2021-01-04", beijing(2021, 1, 4)),
        ("2021-01-04 09:30", beijing(2021, 1, 4, 9, 30)),
        ("2021-01-04 09:30:15", beijing(2021, 1, 4, 9, 30, 15)),
        ("2021-01-04 09:30:15.5", beijing(2021, 1, 4, 9, 30, 15) + S // 2),
        ("2021-01-04T09:30:15.123456789", beijing(2021, 1, 4, 9, 30, 15) + 123_456_789),
        ("2021-01-04T01:30:15Z", beijing(2021, 1, 4, 9, 30, 15)),
        ("2021-01-04T01:30:15.5Z", beijing(2021, 1, 4, 9, 30, 15) + S // 2),
        ("2021-01-03T20:30:15-05:00", beijing(2021, 1, 4, 9, 30, 15)),
        ("2021-01-04t09:30:15+0800", beijing(2021, 1, 4, 9, 30, 15)),
        ("2016-12-31T23:59:60Z", beijing(2017, 1, 1, 8)),
        (1_609_723_800, 1_609_723_800 * S),
        (1_609_723_800_123, 1_609_723_800_123 * 10**6),
        (1_609_723_800_123_456, 1_609_723_800_123_456 * 10**3),
        (1_609_723_800_123_456_789, 1_609_723_800_123_456_789),
        # by size: seconds, ms, us, ns
        (9 * 10**9, 9 * 10**9 * S),
        (10**11, 10**11 * 10**6),
        (9 * 10**12, 9 * 10**12 * 10**6),
        (10**14, 10**14 * 10**3),
        (9 * 10**15, 9 * 10**15 * 10**3),
        (10**17, 10**17),
        ("1609723800", 1_609_723_800 * S),
        ("1609723800123", 1_609_723_800_123 * 10**6),
        (0, 0),
        (-1, -S),
        (1_609_723_800.5, 1_609_723_800 * S + S // 2),
        ("1609723800.5", 1_609_723_800 * S + S // 2),
    ],
)
def test_every_form(text: object, expected: int) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("", ""),
        ("soon", "soon"),
        ("5 parsecs ago", "parsecs"),
        ("1h30 ago", "30"),
        ("now-", "now-"),
        ("-", ""),
        ("ago", "ago"),
        ("2021-13-01", "2021-13-01"),
        ("2021-02-29", "2021-02-29"),
        ("2021-01-04 25:00", "2021-01-04 25:00"),
        ("2021-01-04T01:30:15+25:00", "+25:00"),
        ("2021/01/04", "2021/01/04"),
        ("1.5M ago", "1.5M"),
        ("1h", "1h"),
        ("99999y ago", "-1199988"),
        ("400y ago", "400y ago"),
        ("9999-12-31", "9999-12-31"),
        ("１h ago", "１h"),
        ("x" * 200, "x" * 80),
        (True, "True"),
        (None, "None"),
        ([], "[]"),
        (float("nan"), "nan"),
        (1e300, "1e+300"),
        (10**40, str(10**40)),
    ],
)
def test_the_error_names_the_token(text: object, token: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_time(text, NOW, key="end_time")
    assert caught.value.message.startswith("end_time: cannot read")
    assert caught.value.details["token"] == token


def test_ranges() -> None:
    # a row stamped with this very moment has happened
    after = NOW + 1000
    assert parse_range(None, None, NOW) == (NOW - H, after)
    assert parse_range("10m", " Now ", NOW) == (NOW - 10 * M, after)
    assert parse_range("2 hours", None, NOW) == (NOW - 2 * H, after)
    assert parse_range("now", "now", NOW) == (NOW, after)
    assert parse_range(NOW, NOW, NOW) == (NOW, NOW)
    with pytest.raises(InputError, match=r"start_time .* lies after end_time"):
        parse_range("now", "1h-ago", NOW)
    with pytest.raises(InputError, match="bare duration only starts a range"):
        parse_range("2h", "1h", NOW)


@given(st.integers(-(2**62), 2**62))
def test_rfc3339_round_trips_to_the_microsecond(ts_ns: int) -> None:
    assert parse_time(rfc3339(ts_ns), NOW) == ts_ns // 1000 * 1000
    assert to_datetime(ts_ns).tzinfo is not None


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_a_clear_error(text: str) -> None:
    try:
        assert isinstance(parse_time(text, NOW), int)
    except InputError as error:
        assert error.message.startswith("time: cannot read")
