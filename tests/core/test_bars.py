"""Bars: labels at the edges of sections, totals that add up, and the twin on random days."""

import math
import random
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra._core.tape import BarFolder, Tape, bars_from_rows
from tests.models import bars as naive
from tests.models.market import Market

MARKET = Market()
MINUTE = 60_000_000_000


def at(text: str, date: str = "2021-01-04") -> int:
    """Unix ns of Beijing time."""
    when = datetime.fromisoformat(f"{date} {text}").replace(tzinfo=ZoneInfo("Asia/Shanghai"))
    return round(when.timestamp() * 1000) * 1_000_000


def row(ts_ns: int, price: float | None, volume: int | None, **values: Any) -> dict[str, Any]:
    base = {"instrument_id": "IF2101", "datetime": ts_ns, "last_price": price, "volume": volume}
    return base | {"trading_day": MARKET.calendar.trading_day(ts_ns)} | values


def live(rows: list[dict[str, Any]], instrument: int = 0, period_s: int = 60) -> list[dict[str, Any]]:
    tape = Tape(MARKET.instruments, MARKET.calendar, 16)
    tape.publish(MARKET.rows(*rows))
    return list(tape.bars(instrument, period_s).to_pylist())


def stored(rows: list[dict[str, Any]], period_s: int = 60, **options: bool) -> list[dict[str, Any]]:
    batch = bars_from_rows(MARKET.rows(*rows), MARKET.calendar, MARKET.instruments, period_s, **options)
    return list(batch.to_pylist())


def labels(bars: list[dict[str, Any]]) -> list[str]:
    zone = ZoneInfo("Asia/Shanghai")
    return [datetime.fromtimestamp(bar["datetime"] / 1e9, zone).strftime("%H:%M") for bar in bars]


def test_the_auction_belongs_to_the_first_bar_and_the_closing_second_to_the_last() -> None:
    bars = live(
        [
            row(at("09:29:00.400"), 5230.0, 240),
            row(at("09:30:00.400"), 5231.0, 311),
            row(at("11:29:59.900"), 5232.0, 400),
            row(at("11:30:00.400"), 5233.0, 410),
            row(at("11:30:01.000"), 5239.0, 411),
            row(at("13:00:00.000"), 5234.0, 420),
            row(at("15:00:00.900"), 5235.0, 500),
            row(at("15:15:00.000"), 5299.0, 500, settlement=5235.2),
        ]
    )
    assert labels(bars) == ["09:30", "11:29", "13:00", "14:59"]
    assert [bar["volume"] for bar in bars] == [311, 99, 10, 80]
    assert [bar["close"] for bar in bars] == [5231.0, 5233.0, 5234.0, 5235.0]
    assert sum(bar["volume"] for bar in bars) == 500


def test_a_night_belongs_to_the_next_trading_day_and_starts_it() -> None:
    day = [
        row(at("14:59:00", "2021-01-08"), 400.0, 9000, instrument_id="SHFE.au2106"),
        row(at("20:59:00", "2021-01-08"), 401.0, 30, instrument_id="SHFE.au2106"),
        row(at("21:00:01", "2021-01-08"), 402.0, 50, instrument_id="SHFE.au2106"),
        row(at("02:29:59", "2021-01-09"), 403.0, 90, instrument_id="SHFE.au2106"),
        row(at("09:00:00", "2021-01-11"), 404.0, 95, instrument_id="SHFE.au2106"),
    ]
    bars = live(day, instrument=1)
    assert labels(bars) == ["14:59", "21:00", "02:29", "09:00"]
    assert [bar["volume"] for bar in bars] == [0, 50, 40, 5]  # joined at 14:59: what was before is unknown
    assert [bar["trading_day"] for bar in bars] == [20210108, 20210111, 20210111, 20210111]
    assert stored(day)[0]["volume"] == 9000


def test_totals_that_fall_give_no_negative_bar() -> None:
    bars = live(
        [
            row(at("09:30:00"), 1.0, 100, amount=1000.0),
            row(at("09:31:00"), 1.0, 90, amount=950.0),
            row(at("09:32:00"), 1.0, 95, amount=990.0),
        ]
    )
    assert [bar["volume"] for bar in bars] == [100, 0, 5]
    assert [bar["amount"] for bar in bars] == [1000.0, 0.0, 40.0]


def test_rows_that_make_no_bar_leave_their_volume_to_the_next_one() -> None:
    bars = live(
        [
            row(at("09:30:00"), 1.0, 100),
            row(at("11:45:00"), 1.0, 103),
            row(at("13:00:01"), None, 105),
            row(at("13:00:02"), 1.0, None),
            row(at("13:00:03"), 2.0, 106),
        ]
    )
    assert labels(bars) == ["09:30", "13:00"]
    assert [bar["volume"] for bar in bars] == [100, 6]


def test_open_interest_is_the_first_and_the_last_seen() -> None:
    bars = live(
        [
            row(at("09:30:00"), 1.0, 1),
            row(at("09:30:10"), 1.0, 1, open_interest=50.0),
            row(at("09:30:20"), 1.0, 1, open_interest=60.0),
            row(at("09:30:30"), 1.0, 1),
            row(at("09:31:00"), 1.0, 1),
        ]
    )
    assert (bars[0]["open_oi"], bars[0]["close_oi"]) == (50.0, 60.0)
    assert math.isnan(bars[1]["open_oi"]) and math.isnan(bars[1]["close_oi"])


def test_a_range_that_starts_within_a_day_does_not_count_what_was_before() -> None:
    rows = [row(at("10:00:00"), 1.0, 5000), row(at("10:00:30"), 1.0, 5010)]
    assert stored(rows, whole_days=False)[0]["volume"] == 10
    assert stored(rows)[0]["volume"] == 5010
    assert stored([row(at("09:29:00"), 1.0, 5)], whole_days=False)[0]["volume"] == 5


def test_a_row_out_of_order_reopens_no_bar() -> None:
    rows = [row(at("09:31:00"), 2.0, 10), row(at("09:30:59"), 9.0, 9), row(at("09:31:01"), 3.0, 12)]
    bars = stored(rows)
    assert [(bar["high"], bar["volume"]) for bar in bars] == [(3.0, 12)]


def test_totals_start_anew_when_the_trading_day_turns_within_a_minute() -> None:
    rows = [
        row(at("21:00:01"), 1.0, 500, instrument_id="SHFE.au2106", trading_day=20210104),
        row(at("21:00:02"), 1.0, 3, instrument_id="SHFE.au2106", trading_day=20210105),
        row(at("21:00:03"), 1.0, 9, instrument_id="SHFE.au2106", trading_day=20210104),
    ]
    assert [bar["volume"] for bar in stored(rows)] == [503]


def test_longer_periods_are_joined_minutes() -> None:
    rows = [row(at("09:29:00"), 10.0, 1), row(at("09:30:59"), 12.0, 2), row(at("09:34:00"), 8.0, 7)]
    rows += [row(at("09:35:00"), 9.0, 8), row(at("14:59:00"), 11.0, 20)]
    bars = live(rows, period_s=300)
    assert labels(bars) == ["09:30", "09:35", "14:55"]
    assert [(b["open"], b["high"], b["low"], b["close"], b["volume"]) for b in bars] == [
        (10.0, 12.0, 8.0, 8.0, 7),
        (9.0, 9.0, 9.0, 9.0, 1),
        (11.0, 11.0, 11.0, 11.0, 12),
    ]
    assert [b["volume"] for b in live(rows, period_s=86_400)] == [20]
    for wrong in (0, 59, 90, 86_460):
        with pytest.raises(ValueError, match="period"):
            live(rows, period_s=wrong)


def test_closed_bars_are_bounded_and_the_oldest_go() -> None:
    tape = Tape(MARKET.instruments, MARKET.calendar, 16, bars=3)
    for minute in range(10):
        tape.publish(MARKET.rows(row(at("09:30:00") + minute * MINUTE, float(minute), minute)))
    assert [bar["open"] for bar in tape.bars(0).to_pylist()] == [6.0, 7.0, 8.0, 9.0]


def test_mixed_instruments_come_ordered_by_time_then_name() -> None:
    rows = [
        row(at("09:30:00"), 1.0, 1, instrument_id=symbol)
        for symbol in ("SHFE.au2112", "CFFEX.IF2101", "SHFE.au2106")
    ]
    rows.append(row(at("09:31:00"), 1.0, 1))
    assert [bar["instrument_id"] for bar in stored(rows)] == [
        "CFFEX.IF2101",
        "SHFE.au2106",
        "SHFE.au2112",
        "CFFEX.IF2101",
    ]


def compare(rows: list[dict[str, Any]]) -> None:
    def label(values: dict[str, Any]) -> int:
        return MARKET.calendar.bar_open("CFFEX.IF2101", values["datetime"], MINUTE)

    expected = naive.bars(rows, label)
    got = stored(rows)
    assert len(got) == len(expected)
    for bar, twin in zip(got, expected, strict=True):
        assert round(bar["datetime"].timestamp() * 1e9) == twin["datetime"]
        for name in ("open", "high", "low", "close", "volume", "amount"):
            assert bar[name] == twin[name], name
        for name in ("open_oi", "close_oi"):
            assert bar[name] == twin[name] or (math.isnan(bar[name]) and twin[name] is None)
        assert int(bar["trading_date"].strftime("%Y%m%d")) == twin["trading_day"]


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_random_days_agree_with_the_twin(seed: int, count: int) -> None:
    rng = random.Random(seed)
    ts, volume, day = at("09:25:00"), 0, 0
    rows = []
    for _ in range(count):
        ts += rng.choice([0, 1, 500, 500, 20_000, 3_600_000, 40_000_000]) * 1_000_000
        today = MARKET.calendar.trading_day(ts)
        volume = 0 if today != day else volume + rng.choice([0, 1, 100, -50])
        day = today
        price = rng.choice([None, 5230.2, 5230.4, -1.0, 5229.8])
        more = {"amount": rng.choice([None, volume * 5230.0]), "open_interest": rng.choice([None, 9.0, 10.0])}
        rows.append(row(ts, price, max(volume, 0) if rng.random() < 0.9 else None, **more))
    compare(rows)


def test_a_folder_goes_on_from_where_another_is() -> None:
    rows = [
        row(
            at("09:30:00") + step * MINUTE // 4,
            5230.0 + step % 7,
            10 * step,
            open_interest=1,
            instrument_id=symbol,
        )
        for step in range(40)
        for symbol in ("IF2101", "IF2103")
    ]
    whole = stored(rows)
    folder = BarFolder(MARKET.instruments, MARKET.calendar)
    folder.add(MARKET.rows(*rows[:50]))
    copy = folder.copy()
    copy.add(MARKET.rows(*rows[50:]))
    assert copy.finish().to_pylist() == whole
    # what was added to the copy is not in the folder; bars that are over can be let go, the open ones stay
    opened = at("09:34")
    folder.drop_before(opened)
    folder.add(MARKET.rows(*rows[50:]))
    seconds = [bar for bar in whole if bar["datetime"].timestamp() * 1e9 >= opened]
    assert folder.copy().finish().to_pylist() == seconds
    # an instrument that is forgotten is folded anew
    first = MARKET.rows(*rows).to_dicts()[0]["instrument_id"]
    folder.forget(MARKET.instruments.find(first))
    mine = [one for one in rows if one["instrument_id"] == "IF2101"]
    folder.add(MARKET.rows(*mine))
    found = folder.finish().to_pylist()
    assert [bar for bar in found if bar["instrument_id"] == first] == [
        bar for bar in whole if bar["instrument_id"] == first
    ]
    assert [bar for bar in found if bar["instrument_id"] != first] == [
        bar for bar in seconds if bar["instrument_id"] != first
    ]


@pytest.mark.shared
def test_the_real_day_adds_up(real_day: Any) -> None:
    import pyarrow.csv

    from qautlra._core.market import CtpNormaliser

    table = pyarrow.csv.read_csv(real_day).combine_chunks()
    normaliser = CtpNormaliser(MARKET.instruments, MARKET.calendar)
    rows, refused = normaliser.rows(table.to_batches()[0], trust_action_day=True, now_ns=0)
    assert (len(rows), refused) == (27_955, 0)
    tape = Tape(MARKET.instruments, MARKET.calendar, 1024)
    assert tape.publish(rows) == len(rows)
    bars = tape.bars(0).to_pylist()
    assert len(bars) == 240
    assert sum(bar["volume"] for bar in bars) == max(table.column("Volume").to_pylist())
    again = bars_from_rows(rows, MARKET.calendar, MARKET.instruments).to_pylist()
    assert [b["volume"] for b in again] == [b["volume"] for b in bars]
    compare(rows.to_dicts())
