from __future__ import annotations

import pytest

from qautlra._core.market import Calendar, Instruments
from qautlra.model.expiry import Expiry, expiry_day, expiry_rule, last_day
from qautlra.source.contracts import listing


@pytest.mark.parametrize(
    ("rule", "year", "month", "wanted"),
    [
        ("15th", 2025, 12, 20251215),
        ("15th", 2026, 2, 20260224),  # the 15th and the week after it are the Spring Festival
        ("third_friday", 2025, 6, 20250620),
        ("third_friday", 2021, 1, 20210115),
        ("second_friday", 2025, 6, 20250613),
        ("tenth_day", 2025, 9, 20250912),
        ("month_before", 2025, 8, 20250731),
        ("fourth_last_day", 2020, 5, 20200526),
        ("fourth_last_day", 2020, 6, 20200623),
        ("fifth_day", 2020, 9, 20200907),
        ("last_monday", 2024, 4, 20240429),
        ("last_monday", 2025, 12, 20251229),
        ("last_monday", 2026, 2, 20260209),  # the 16th and the 23rd are of the Spring Festival
    ],
)
def test_expiry_days(calendar: Calendar, rule: Expiry, year: int, month: int, wanted: int) -> None:
    assert expiry_day(rule, year, month, calendar) == wanted


@pytest.mark.parametrize(
    ("product", "year", "month", "wanted"),
    [
        ("DCE.eg", 2020, 7, 20200728),
        ("DCE.jd", 2020, 8, 20200826),
        ("DCE.m", 2020, 9, 20200914),
        ("INE.ec", 2024, 8, 20240826),
        ("INE.nr", 2020, 6, 20200615),
    ],
)
def test_contracts_ended_so(calendar: Calendar, product: str, year: int, month: int, wanted: int) -> None:
    rule = expiry_rule(*product.split("."))
    assert rule is not None and expiry_day(rule, year, month, calendar) == wanted


@pytest.mark.parametrize(
    ("symbol", "wanted"),
    [
        ("SHFE.au2610C800", 20260923),
        ("SHFE.rb2311C3700", 20231025),
        ("SHFE.rb2310C3700", 0),  # what held before is not known here
        ("SHFE.fu2610C3000", 0),
        ("INE.sc2312C600", 20231114),
        ("INE.lu2610C4000", 0),
        ("DCE.i2610-C-800", 20260916),
        ("DCE.m2411-C-3000", 0),
        ("CZCE.CF607C14000", 20260611),
        ("CZCE.CF609C14000", 20260812),
        ("CZCE.SR611MSC5000", 0),  # a series option
        ("CFFEX.IO2310-C-4000", 20231020),
        ("GFEX.si2610-C-9000", 0),
        ("SSE.10004477", 0),
        ("SHFE.au2610", 20261015),
    ],
)
def test_the_last_day_of_what_there_is(calendar: Calendar, symbol: str, wanted: int) -> None:
    instruments = Instruments(calendar, 20260601)
    assert last_day(instruments.info(instruments.intern(symbol)), calendar) == wanted


def test_no_month_is_listed_twice_and_none_is_dead(calendar: Calendar) -> None:
    day = 20210104
    while day < 20261120:
        contracts = listing(day, calendar)
        symbols = [one.symbol for one in contracts]
        assert len(set(symbols)) == len(symbols)
        assert all(one.expiry_day >= day for one in contracts if one.is_future)
        assert sum(one.live.ticks_per_s == 50 for one in contracts) == 1
        assert next(one for one in contracts if one.live.ticks_per_s == 50).product == "SHFE.rb"
        day = calendar.next_trading_day(day // 100 * 100 + 99 if day % 100 > 27 else day + 5)


def test_january_stays_to_its_last_day(calendar: Calendar) -> None:
    assert "SHFE.rb2701" in {one.symbol for one in listing(20261123, calendar)}
    assert "SHFE.rb2501" in {one.symbol for one in listing(20250115, calendar)}
    assert "SHFE.rb2501" not in {one.symbol for one in listing(20250116, calendar)}
