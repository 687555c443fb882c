"""Figures of trades and days: worked cases, and pairs of lots against a naive twin."""

import math
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.trade.statistics import (
    Closing,
    Deal,
    Pairing,
    day_profit,
    money,
    returns,
    risk_statistics,
    trade_statistics,
    unrealized,
)


def ten(_symbol: str) -> float:
    return 10.0


def deal(is_buy: bool, offset: str, volume: int, price: float, at: int = 0, day: int = 1) -> Deal:
    return Deal("X", is_buy, offset, volume, price, 1.0, at, day)


def closings(deals: Iterable[Deal], multiple: Callable[[str], float]) -> list[Closing]:
    pairing = Pairing(multiple)
    pairing.take(deals)
    return pairing.closings


def test_oldest_lots_are_closed_first() -> None:
    found = closings(
        [deal(True, "OPEN", 2, 100), deal(True, "OPEN", 2, 110), deal(False, "CLOSE", 3, 120, at=9)], ten
    )
    (one,) = found
    assert (one.volume, one.profit, one.is_long) == (3, (20 + 20 + 10) * 10, True)


def test_todays_lots_are_closed_by_closetoday() -> None:
    found = closings(
        [deal(True, "OPEN", 1, 100, day=1), deal(True, "OPEN", 1, 110, day=2),
         deal(False, "CLOSETODAY", 1, 120, day=2), deal(False, "CLOSE", 1, 120, day=2)],
        ten,
    )  # fmt: skip
    assert [one.profit for one in found] == [100, 200]


def test_a_short_gains_when_the_price_falls() -> None:
    (one,) = closings([deal(False, "OPEN", 1, 100), deal(True, "CLOSE", 1, 90)], ten)
    assert (one.profit, one.is_long) == (100, False)


def test_lots_of_before_the_first_record_are_left_out() -> None:
    assert closings([deal(False, "CLOSE", 5, 100)], ten) == []
    (one,) = closings([deal(True, "OPEN", 1, 90), deal(False, "CLOSE", 5, 100)], ten)
    assert (one.volume, one.profit) == (1, 100)


def test_sums_and_what_is_undefined() -> None:
    deals = [deal(True, "OPEN", 2, 100), deal(False, "CLOSE", 1, 110), deal(False, "CLOSE", 1, 95, day=2)]
    found = trade_statistics(deals, closings(deals, ten), ten)
    assert (found["total_trades"], found["total_volume"], found["total_commission"]) == (3, 4, 3)
    assert found["total_turnover"] == 10 * (200 + 110 + 95)
    assert (found["win_rate"], found["avg_profit"], found["avg_loss"], found["profit_factor"]) == (
        0.5,
        100,
        50,
        2,
    )
    assert [part["profit"] for part in found["by_period"]] == [100, -50]
    nothing = trade_statistics([], [], ten)
    for name in ("win_rate", "avg_profit", "avg_loss", "profit_factor", "max_profit", "max_loss"):
        assert nothing[name] is None


def funds(before: float, after: float, moved: float = 0.0) -> dict[str, float]:
    return {"static_balance": before + moved, "balance": after + moved}


def test_money_moved_is_no_return() -> None:
    days = [funds(100, 110), funds(110, 110, moved=1000), funds(1110, 999)]
    assert day_profit(days[1]) == 0
    assert returns(days) == pytest.approx([0.1, 0.0, -0.1])
    found = risk_statistics(days)
    assert found["total_return"] == pytest.approx(1.1 * 0.9 - 1)
    assert found["max_drawdown"] == pytest.approx(0.1)
    assert (found["win_days"], found["loss_days"], found["days"]) == (1, 1, 3)
    assert found["volatility"] == pytest.approx(0.1 * math.sqrt(252))
    assert found["var_95"] == pytest.approx(0.09)


def test_no_days_no_figures() -> None:
    assert all(value is None for name, value in risk_statistics([]).items() if "days" not in name)


@pytest.mark.parametrize("after", [90, 100, 110])
def test_one_day_has_no_ratios(after: float) -> None:
    found = risk_statistics([funds(100, after)])
    for name in ("volatility", "sharpe", "sortino", "calmar"):
        assert found[name] is None, name
    assert found["total_return"] == pytest.approx(after / 100 - 1)
    two = risk_statistics([funds(100, after), funds(after, after - 5)])
    assert two["sortino"] is not None and two["calmar"] is not None


steps = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(1, 5), st.integers(90, 110)), max_size=40
)


@given(steps)
def test_pairs_are_a_naive_twin_s(plan: list[tuple[bool, bool, int, int]]) -> None:
    """One lot at a time from a plain list."""
    deals, lots, expected = [], {True: [], False: []}, []  # type: ignore[var-annotated]
    for is_buy, opens, volume, price in plan:
        if opens:
            lots[is_buy] += [price] * volume
        else:
            taken, lots[not is_buy] = lots[not is_buy][:volume], lots[not is_buy][volume:]
            if taken:
                sign = -1 if is_buy else 1
                expected.append((len(taken), sum((price - one) * sign for one in taken) * 10))
        deals.append(deal(is_buy, "OPEN" if opens else "CLOSE", volume, price))
    assert [(one.volume, one.profit) for one in closings(deals, ten)] == expected


def test_money_has_no_noise() -> None:
    assert money(0.1, 0.2) == 0.3 and money(5_999.400000000023) == 5_999.4
    assert day_profit({"balance": 1_000_998.9, "static_balance": 994_999.5}) == 5_999.4
    pairing = Pairing(ten)
    pairing.take([deal(True, "OPEN", 3, 0.1), deal(False, "CLOSE", 1, 0.4)])
    lots = pairing.open_lots()
    assert [(lot.volume, lot.price) for lot in lots] == [(2, 0.1)]
    row = {"symbol": "X", "volume_long": 2, "volume_short": 0, "last_price": 0.4, "float_profit_long": 9.0}
    assert unrealized(lots, [row], ten) == {"X": 6.0}
    assert unrealized(lots, [row | {"volume_long": 3}], ten) == {"X": 9.0}, (
        "lots nobody knows: its own figure"
    )
