"""One body of examples for the order book, run against the naive twin and against the core.

The contract's worked examples (section 11, and 5.2-5.5 in numbers worked by hand): the twin must pass them on
its own before it may judge the core in tests/property/test_book.py.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import Any

import pytest

from qautlra._core import book as core
from tests.models import book as naive
from tests.models.book import (
    ALL_OR_NONE,
    ALL_VOLUME,
    ALLOW,
    AMENDED,
    ANY_PRICE,
    ANY_VOLUME,
    AT_MEDIAN,
    AUCTION,
    AUCTION_END,
    AUCTION_LOCKED,
    AUCTION_MATCHED,
    BAND,
    BEST,
    BREAK,
    BUY,
    CANCEL_BOTH,
    CANCEL_MAKER,
    CANCELLED,
    CLOSED,
    CONTINUOUS,
    DAY_END,
    FILL,
    FIVE_LEVEL,
    FORCED,
    GFA,
    GFD,
    GFS,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MIN_VOLUME,
    MINIMUM,
    OWN_TRADE,
    REST,
    SECTION_END,
    SELL,
    USER,
)
from tests.models.core_book import CoreBooks

Make = Callable[..., Any]


@pytest.fixture(params=["twin", "core"])
def make(request: pytest.FixtureRequest) -> Make:
    return {"twin": naive.Books, "core": CoreBooks}[request.param]


class Market:
    """One book of prices 1..200 in a phase, and short words for what the tests do to it."""

    def __init__(self, make: Make, phase: int = CONTINUOUS, **rules: Any) -> None:
        self.books = make()
        self.accounts = itertools.count(1000)
        assert self.books.add(1, 200, **rules) == 0
        self.books.set_phase(0, phase)

    def order(self, side: int, price: int, volume: int, account: int | None = None, **more: Any) -> int:
        """Number of the order, which no test here expects to be refused; each order is another account's."""
        found: int = self.books.insert(0, self.who(account), side, price, volume, **more)
        assert found > 0, found
        return found

    def refused(self, side: int, price: int, volume: int, account: int | None = None, **more: Any) -> int:
        before = self.books.events(), self.state()
        found: int = self.books.insert(0, self.who(account), side, price, volume, **more)
        assert found < 0
        assert (self.books.events(), self.state()) == ([], before[1])
        return found

    def who(self, account: int | None) -> int:
        return next(self.accounts) if account is None else account

    def fills(self) -> list[tuple[int, int]]:
        """(price, volume) of what has traded since this was last asked."""
        return [(event[3], event[4]) for event in self.books.events() if event[0] == FILL]

    def ended(self) -> list[tuple[int, int, int]]:
        """(order, unfilled, reason) of what was cancelled since."""
        return [(event[2], event[4], event[5]) for event in self.books.events() if event[0] == CANCELLED]

    def state(self) -> Any:
        return self.books.depth(0, 20), self.books.orders(0, BUY), self.books.orders(0, SELL)

    def volumes(self, side: int) -> list[int]:
        return [order[2] for order in self.books.orders(0, side)]


# Section 11


def test_a_an_order_without_counterparty_rests_then_fills(make: Make) -> None:
    books = make()
    assert books.add(6000, 9000) == 0  # SHFE.cu2109, tick 10
    books.set_phase(0, CONTINUOUS)
    first = books.insert(0, 1, BUY, 7500, 2)
    assert books.depth(0) == ([(7500, 2)], [])
    books.insert(0, 2, SELL, 7500, 2)
    assert books.events() == [
        (naive.ACCEPTED, 0, first),
        (naive.ACCEPTED, 0, first + 1),
        (FILL, 0, 1, 7500, 2, SELL, (first, 1, 0), (first + 1, 2, 0)),
    ]
    assert books.depth(0) == ([], [])
    assert books.last(0) == 7500


def test_c_partial_fill_at_better_prices_then_cancel_then_close(make: Make) -> None:
    books = make()
    assert books.add(4500, 5500) == 0  # SHFE.rb2110, tick 1
    books.set_phase(0, CONTINUOUS)
    best = books.insert(0, 2, BUY, 5001, 3)
    next_best = books.insert(0, 3, BUY, 5000, 4)
    books.events()
    order = books.insert(0, 1, SELL, 5000, 10)
    assert books.events() == [
        (naive.ACCEPTED, 0, order),
        (FILL, 0, 1, 5001, 3, SELL, (best, 2, 0), (order, 1, 7)),
        (FILL, 0, 2, 5000, 4, SELL, (next_best, 3, 0), (order, 1, 3)),
    ]
    assert books.orders(0, SELL) == [(order, 5000, 3, 1)]
    assert books.cancel(order) == 0
    assert books.events() == [(CANCELLED, 0, order, 1, 3, USER)]
    assert books.live_orders == 0
    books.insert(0, 4, SELL, 4990, 7)
    assert books.insert(0, 1, BUY, 4990, 7, opens=False) > 0
    assert list(naive.fills(books.events())) == [(4990, 7)]


# 5.3: priority, order types


def test_price_then_time(make: Make) -> None:
    m = Market(make)
    late_good = [m.order(SELL, 101, 1), m.order(SELL, 100, 1), m.order(SELL, 100, 2)]
    m.order(BUY, 101, 3)
    fills = [event for event in m.books.events() if event[0] == FILL]
    assert [(event[3], event[4], event[7][0]) for event in fills] == [
        (100, 1, late_good[1]),
        (100, 2, late_good[2]),
    ]
    assert m.books.depth(0) == ([], [(101, 1)])


def test_the_makers_price_counts(make: Make) -> None:
    m = Market(make)
    m.order(BUY, 90, 1)
    m.order(SELL, 80, 2)
    assert m.fills() == [(90, 1)]
    m.order(BUY, 95, 1)
    assert m.fills() == [(80, 1)]


def test_the_median_of_bid_ask_and_last_when_so_ruled(make: Make) -> None:
    m = Market(make, trade_price=AT_MEDIAN)
    m.books.set_reference(0, 92)
    m.order(SELL, 90, 1)
    m.order(BUY, 95, 1)
    assert m.fills() == [(92, 1)]  # the reference stands for the last trade
    m.order(SELL, 90, 1)
    m.order(BUY, 91, 1)
    assert m.fills() == [(91, 1)]  # last 92 is above both
    m.order(BUY, 99, 1)
    m.order(SELL, 97, 1)
    assert m.fills() == [(97, 1)]  # last 91 is below both


def test_market_orders_take_every_price_and_rest_nowhere(make: Make) -> None:
    m = Market(make)
    m.order(SELL, 100, 1)
    m.order(SELL, 200, 2)
    order = m.order(BUY, 0, 5, price_type=ANY_PRICE, time=IOC)
    events = m.books.events()
    assert list(naive.fills(events)) == [(100, 1), (200, 2)]
    assert events[-1][2:] == (order, events[-1][3], 2, REST)
    alone = m.order(SELL, 0, 5, price_type=ANY_PRICE, time=IOC)
    assert m.ended() == [(alone, 5, REST)]
    assert m.books.live_orders == 0


@pytest.mark.parametrize(("kind", "levels"), [(BEST, 1), (FIVE_LEVEL, 5)])
def test_best_and_five_level_stop_there(make: Make, kind: int, levels: int) -> None:
    m = Market(make)
    for step in range(7):
        m.order(BUY, 100 - 3 * step, 2)
    order = m.order(SELL, 0, 20, price_type=kind, time=IOC)
    events = m.books.events()
    assert list(naive.fills(events)) == [(100 - 3 * step, 2) for step in range(levels)]
    assert events[-1][2] == order
    assert events[-1][4:] == (20 - 2 * levels, REST)


def test_best_may_rest_at_the_price_it_met(make: Make) -> None:
    m = Market(make, best_rests=True)
    m.order(SELL, 100, 2)
    m.order(SELL, 101, 2)
    m.order(BUY, 0, 5, price_type=BEST, time=IOC)
    assert m.fills() == [(100, 2)]
    assert m.books.depth(0) == ([(100, 3)], [(101, 2)])
    m.books.end_day(0, 20210802)
    assert m.books.live_orders == 0
    m.books.set_phase(0, CONTINUOUS)
    m.books.events()
    alone = m.order(BUY, 0, 5, price_type=BEST, time=IOC)
    assert m.ended() == [(alone, 5, REST)]


def test_fak_trades_what_is_there(make: Make) -> None:
    m = Market(make)
    m.order(SELL, 100, 2)
    m.order(SELL, 101, 2)
    m.books.events()
    order = m.order(BUY, 100, 5, time=IOC)
    events = m.books.events()
    assert list(naive.fills(events)) == [(100, 2)]
    assert events[-1][2:] == (order, events[-1][3], 3, REST)


@pytest.mark.parametrize(("volume", "filled"), [(4, True), (5, False)])
def test_fok_is_all_or_nothing(make: Make, volume: int, filled: bool) -> None:
    m = Market(make)
    for price in (100, 101, 102):
        m.order(SELL, price, 2)
    before = m.state()
    m.books.events()
    order = m.order(BUY, 101, volume, time=IOC, condition=ALL_VOLUME)
    if filled:
        assert m.fills() == [(100, 2), (101, 2)]
    else:
        assert m.ended() == [(order, volume, ALL_OR_NONE)]
        assert m.state() == before


@pytest.mark.parametrize(("least", "filled"), [(2, True), (3, False)])
def test_fak_with_a_minimum(make: Make, least: int, filled: bool) -> None:
    m = Market(make)
    m.order(SELL, 100, 2)
    m.books.events()
    order = m.order(BUY, 100, 5, time=IOC, condition=MIN_VOLUME, min_volume=least)
    assert m.ended() == [(order, 3 if filled else 5, REST if filled else MINIMUM)]
    assert m.refused(BUY, 100, 5, time=IOC, condition=MIN_VOLUME, min_volume=0) == naive.BAD_VOLUME
    assert m.refused(BUY, 100, 5, time=IOC, condition=MIN_VOLUME, min_volume=6) == naive.BAD_VOLUME


def test_market_fok(make: Make) -> None:
    m = Market(make)
    m.order(SELL, 100, 2)
    m.books.events()
    order = m.order(BUY, 0, 3, price_type=ANY_PRICE, time=IOC, condition=ALL_VOLUME)
    assert m.ended() == [(order, 3, ALL_OR_NONE)]
    m.order(BUY, 0, 2, price_type=ANY_PRICE, time=IOC, condition=ALL_VOLUME)
    assert m.fills() == [(100, 2)]


@pytest.mark.parametrize(
    ("price_type", "time", "condition"),
    [
        (ANY_PRICE, GFD, ANY_VOLUME),
        (BEST, GTC, ANY_VOLUME),
        (LIMIT, GFD, ALL_VOLUME),
        (LIMIT, GTC, MIN_VOLUME),
    ],
)
def test_combinations_that_mean_nothing(make: Make, price_type: int, time: int, condition: int) -> None:
    m = Market(make)
    assert m.refused(BUY, 100, 1, price_type=price_type, time=time, condition=condition) == naive.UNSUPPORTED


# Amendment


def test_less_volume_keeps_the_place(make: Make) -> None:
    m = Market(make)
    first, second = m.order(BUY, 100, 5), m.order(BUY, 100, 5)
    assert m.books.amend(first, 100, 2) == 0
    assert m.books.events()[-1] == (AMENDED, 0, first, 100, 2, True)
    assert [order[0] for order in m.books.orders(0, BUY)] == [first, second]
    assert m.books.depth(0) == ([(100, 7)], [])


@pytest.mark.parametrize(("price", "left"), [(100, 6), (101, 5), (99, 1)])
def test_another_price_or_more_volume_loses_it(make: Make, price: int, left: int) -> None:
    m = Market(make)
    first = m.order(BUY, 100, 5)
    m.order(BUY, 100, 5)
    m.order(BUY, price, 1)
    assert m.books.amend(first, price, left) == 0
    assert m.books.events()[-1] == (AMENDED, 0, first, price, left, False)
    assert [order[0] for order in m.books.orders(0, BUY) if order[1] == price][-1] == first


def test_an_amended_order_trades_where_it_crosses(make: Make) -> None:
    m = Market(make)
    first = m.order(BUY, 100, 5)
    m.order(SELL, 102, 2)
    m.books.events()
    assert m.books.amend(first, 103, 5) == 0
    events = m.books.events()
    assert events[0] == (AMENDED, 0, first, 103, 5, False)
    assert list(naive.fills(events)) == [(102, 2)]
    assert m.books.depth(0) == ([(103, 3)], [])
    m.order(SELL, 110, 3)
    assert m.books.amend(first, 110, 3) == 0
    assert m.books.live_orders == 0
    assert m.books.amend(first, 110, 3) == naive.NO_ORDER


def test_amendments_refused(make: Make) -> None:
    m = Market(make)
    order = m.order(BUY, 100, 5)
    for price, left, code in (
        (100, 0, naive.BAD_VOLUME),
        (100, -1, naive.BAD_VOLUME),
        (201, 5, naive.ABOVE_LIMIT),
        (0, 5, naive.BELOW_LIMIT),
    ):
        assert m.books.amend(order, price, left) == code
    assert m.books.amend(order + 1, 100, 5) == naive.NO_ORDER
    m.books.set_phase(0, BREAK)
    assert m.books.amend(order, 100, 4) == naive.NO_CANCEL_NOW
    assert m.books.depth(0) == ([(100, 5)], [])


# Cancelling


def test_cancelling_what_is_gone_is_a_plain_no(make: Make) -> None:
    m = Market(make)
    order = m.order(BUY, 100, 1)
    m.order(SELL, 100, 1)
    assert m.books.cancel(order) == naive.NO_ORDER
    assert m.books.cancel(0) == naive.NO_ORDER
    assert m.books.cancel(999) == naive.NO_ORDER
    again = m.order(BUY, 100, 1)  # whoever has the old one's memory now
    assert m.books.cancel(order) == naive.NO_ORDER
    assert m.books.cancel(again) == 0


def test_all_orders_of_an_account(make: Make) -> None:
    m = Market(make)
    assert m.books.add(1, 50) == 1
    m.books.set_phase(1, CONTINUOUS)
    mine = [
        m.order(SELL, 120, 1, account=7),
        m.order(BUY, 100, 1, account=7),
        m.order(BUY, 101, 2, account=7),
    ]
    m.order(BUY, 101, 1)
    other_book = m.books.insert(1, 7, BUY, 10, 1)
    m.books.set_phase(0, CLOSED)
    m.books.events()
    assert m.books.remove_account(7) == 4
    assert m.ended() == [
        (mine[2], 2, FORCED),
        (mine[1], 1, FORCED),
        (mine[0], 1, FORCED),
        (other_book, 1, FORCED),
    ]
    assert m.books.remove_account(7) == 0
    assert m.books.live_orders == 1


# Self-trade


@pytest.mark.parametrize(
    ("side", "price", "more"),
    [
        (BUY, 105, {}),
        (BUY, 200, {}),
        (BUY, 0, {"price_type": ANY_PRICE, "time": IOC}),
        (BUY, 105, {"time": IOC, "condition": ALL_VOLUME}),
    ],
)
def test_opening_against_oneself_is_refused(make: Make, side: int, price: int, more: dict[str, int]) -> None:
    m = Market(make)
    m.order(SELL, 104, 1)
    m.order(SELL, 105, 1, account=7)
    assert m.refused(side, price, 1, account=7, **more) == naive.SELF_TRADE
    m.order(side, price, 1, account=8, **more)


def test_below_ones_own_price_and_closing_are_free(make: Make) -> None:
    m = Market(make)
    own = m.order(SELL, 105, 1, account=7)
    m.order(BUY, 104, 1, account=7)
    m.order(BUY, 105, 1, account=7, opens=False)
    (fill,) = [event for event in m.books.events() if event[0] == FILL]
    assert fill[7] == (own, 7, 0)


def test_only_the_first_level_matters_to_best(make: Make) -> None:
    m = Market(make)
    m.order(SELL, 104, 1)
    m.order(SELL, 105, 1, account=7)
    m.order(BUY, 0, 1, account=7, price_type=BEST, time=IOC)
    assert m.refused(BUY, 0, 1, account=7, price_type=BEST, time=IOC) == naive.SELF_TRADE


def test_other_books_do_not_matter(make: Make) -> None:
    m = Market(make)
    assert m.books.add(1, 200) == 1
    m.books.set_phase(1, CONTINUOUS)
    m.order(SELL, 100, 1, account=7)
    assert m.books.insert(1, 7, BUY, 150, 1) > 0


def test_deep_in_a_long_queue_it_is_still_found(make: Make) -> None:
    m = Market(make)
    for n in range(150):
        m.order(SELL, 100 + n % 3, 1)
    m.order(SELL, 101, 1, account=7)
    m.order(SELL, 150, 1, account=8)
    assert m.refused(BUY, 101, 1, account=7) == naive.SELF_TRADE
    assert m.refused(BUY, 102, 1, account=7) == naive.SELF_TRADE
    m.order(BUY, 102, 1, account=8)


def test_cancel_maker(make: Make) -> None:
    m = Market(make, self_trade=CANCEL_MAKER)
    older, better = m.order(SELL, 105, 2, account=7), m.order(SELL, 104, 2, account=7)
    m.order(SELL, 105, 1)
    beyond = m.order(SELL, 106, 1, account=7)
    m.books.events()
    m.order(BUY, 105, 3, account=7)
    events = m.books.events()
    assert [event[2:] for event in events if event[0] == CANCELLED] == [
        (older, 7, 2, OWN_TRADE),
        (better, 7, 2, OWN_TRADE),
    ]
    assert list(naive.fills(events)) == [(105, 1)]
    assert m.books.depth(0) == ([(105, 2)], [(106, 1)])
    assert m.books.cancel(beyond) == 0


def test_cancel_maker_leaves_less_for_all_or_none(make: Make) -> None:
    m = Market(make, self_trade=CANCEL_MAKER)
    m.order(SELL, 105, 2, account=7)
    m.order(SELL, 105, 1)
    m.books.events()
    order = m.order(BUY, 105, 3, account=7, time=IOC, condition=ALL_VOLUME)
    assert m.ended()[-1] == (order, 3, ALL_OR_NONE)


def test_cancel_both(make: Make) -> None:
    m = Market(make, self_trade=CANCEL_BOTH)
    own = m.order(SELL, 105, 2, account=7)
    m.order(SELL, 104, 1)
    m.books.events()
    order = m.order(BUY, 105, 3, account=7)
    assert m.ended() == [(own, 2, OWN_TRADE), (order, 3, OWN_TRADE)]
    assert m.books.depth(0) == ([], [(104, 1)])


def test_allowing_it(make: Make) -> None:
    m = Market(make, self_trade=ALLOW)
    m.order(SELL, 105, 2, account=7)
    m.order(BUY, 105, 2, account=7)
    assert m.fills() == [(105, 2)]


def test_amending_into_oneself(make: Make) -> None:
    m = Market(make)
    m.order(SELL, 105, 2, account=7)
    order = m.order(BUY, 100, 2, account=7)
    assert m.books.amend(order, 105, 2) == naive.SELF_TRADE
    assert m.books.depth(0) == ([(100, 2)], [(105, 2)])
    both = Market(make, self_trade=CANCEL_BOTH)
    own = both.order(SELL, 105, 2, account=7)
    order = both.order(BUY, 100, 2, account=7)
    both.books.events()
    assert both.books.amend(order, 105, 1) == 0
    assert both.ended() == [(own, 2, OWN_TRADE), (order, 1, OWN_TRADE)]
    assert both.books.live_orders == 0


# 5.4: the call auction


@pytest.mark.parametrize(
    ("buys", "sells", "reference", "expected"),
    [
        pytest.param([(105, 10), (103, 10)], [(100, 10), (101, 10)], 50, (101, 20, 0), id="most volume"),
        pytest.param([(103, 10), (102, 5)], [(100, 10)], 100, (103, 10, 0), id="least imbalance"),
        pytest.param([(110, 10)], [(100, 10)], 104, (104, 10, 0), id="nearest, on a tick without orders"),
        pytest.param([(110, 10)], [(100, 10)], 120, (110, 10, 0), id="nearest from above"),
        pytest.param([(110, 10)], [(100, 10)], 7, (100, 10, 0), id="nearest from below"),
        pytest.param([(110, 15)], [(100, 10)], None, (110, 10, 5), id="buyers left: higher"),
        pytest.param([(110, 10)], [(100, 15)], None, (100, 10, -5), id="sellers left: lower"),
        pytest.param([(110, 10)], [(100, 10)], None, (100, 10, 0), id="nobody left: lower"),
        pytest.param([(105, 10), (100, 5)], [(100, 10), (101, 5)], None, (100, 10, 5), id="by turns"),
        pytest.param([(100, 3)], [(100, 5)], None, (100, 3, -2), id="one tick"),
        pytest.param([(99, 3)], [(100, 5)], 100, None, id="nothing crosses"),
        pytest.param([], [(100, 5)], 100, None, id="one side"),
    ],
)
def test_auction_price(
    make: Make,
    buys: list[tuple[int, int]],
    sells: list[tuple[int, int]],
    reference: int | None,
    expected: tuple[int, int, int] | None,
) -> None:
    m = Market(make, AUCTION)
    if reference is not None:
        m.books.set_reference(0, reference)
    for price, volume in sells:
        m.order(SELL, price, volume)
    for price, volume in buys:
        m.order(BUY, price, volume)
    assert m.fills() == []
    assert m.books.indication(0) == expected
    m.books.set_phase(0, CONTINUOUS)
    fills = m.fills()
    assert sum(volume for _, volume in fills) == (expected[1] if expected else 0)
    assert {price for price, _ in fills} == ({expected[0]} if expected else set())
    assert m.books.last(0) == (expected[0] if expected else None)
    assert m.books.indication(0) is None


def test_better_prices_fill_whole_and_the_auction_price_by_time(make: Make) -> None:
    m = Market(make, AUCTION)
    m.books.set_reference(0, 101)
    first, second = m.order(BUY, 101, 4), m.order(BUY, 101, 4)
    better = m.order(BUY, 105, 3)
    m.order(SELL, 100, 6)
    m.books.events()
    m.books.set_phase(0, AUCTION_MATCHED)
    fills = [event for event in m.books.events() if event[0] == FILL]
    assert [(event[3], event[4], event[5], event[6][0]) for event in fills] == [
        (101, 3, None, better),
        (101, 3, None, first),
    ]
    assert [order[:3] for order in m.books.orders(0, BUY)] == [(first, 101, 1), (second, 101, 4)]
    assert m.books.last(0) == 101


def test_what_is_left_goes_on_with_its_old_place(make: Make) -> None:
    m = Market(make, AUCTION)
    old, auction_only = m.order(BUY, 100, 2), m.order(BUY, 100, 2, time=GFA)
    m.order(SELL, 100, 1)
    m.books.events()
    m.books.set_phase(0, AUCTION_MATCHED)
    assert m.ended() == [(auction_only, 2, AUCTION_END)]
    assert m.books.insert(0, 50, BUY, 100, 1) == naive.NOT_TRADING
    m.books.set_phase(0, CONTINUOUS)
    new = m.order(BUY, 100, 1)
    m.order(SELL, 100, 1)
    assert [order[0] for order in m.books.orders(0, BUY)] == [new]
    assert m.books.cancel(old) == naive.NO_ORDER


def test_what_an_auction_does_not_take(make: Make) -> None:
    m = Market(make, AUCTION)
    assert m.refused(BUY, 0, 1, price_type=ANY_PRICE, time=IOC) == naive.NOT_IN_AUCTION
    assert m.refused(BUY, 100, 1, time=IOC) == naive.NOT_IN_AUCTION
    m.books.set_phase(0, CONTINUOUS)
    assert m.refused(BUY, 100, 1, time=GFA) == naive.AUCTION_ONLY


def test_an_auction_knows_self_trade_too(make: Make) -> None:
    m = Market(make, AUCTION)
    m.order(SELL, 100, 1, account=7)
    assert m.refused(BUY, 101, 1, account=7) == naive.SELF_TRADE
    cancelling = Market(make, AUCTION, self_trade=CANCEL_MAKER)
    own = cancelling.order(SELL, 100, 1, account=7)
    cancelling.books.events()
    cancelling.order(BUY, 101, 1, account=7)
    assert cancelling.ended() == [(own, 1, OWN_TRADE)]


# Phases, days, limits, lots


@pytest.mark.parametrize(
    ("phase", "orders", "cancels"),
    [
        (CLOSED, False, False),
        (AUCTION, True, True),
        (AUCTION_LOCKED, True, False),
        (AUCTION_MATCHED, False, False),
        (CONTINUOUS, True, True),
        (BREAK, False, True),
    ],
)
def test_what_each_phase_takes(make: Make, phase: int, orders: bool, cancels: bool) -> None:
    m = Market(make)
    order = m.order(BUY, 100, 1)
    m.books.set_phase(0, phase)
    assert m.books.phase(0) == phase
    if orders:
        m.order(BUY, 100, 1)
    else:
        assert m.refused(BUY, 100, 1) == naive.NOT_TRADING
    assert m.books.cancel(order) == (0 if cancels else naive.NO_CANCEL_NOW)
    assert m.books.remove(order) == (naive.NO_ORDER if cancels else 0)


def test_a_section_ends(make: Make) -> None:
    m = Market(make)
    m.order(BUY, 100, 1)
    section = m.order(SELL, 110, 1, time=GFS)
    m.books.events()
    m.books.set_phase(0, AUCTION)  # a closing auction belongs to the section
    assert m.ended() == []
    m.books.set_phase(0, BREAK)
    assert m.ended() == [(section, 1, SECTION_END)]
    assert m.books.live_orders == 1


def test_a_day_ends(make: Make) -> None:
    m = Market(make)
    today = m.order(BUY, 100, 1)
    until = {day: m.order(BUY, 99, 1, time=GTD, gtd_day=day) for day in (20210802, 20210803)}
    m.order(SELL, 110, 1, time=GTC)
    m.order(SELL, 100, 1)
    today = m.order(BUY, 101, 2)
    assert m.refused(BUY, 99, 1, time=GTD) == naive.BAD_PARAMETERS
    m.books.events()
    m.books.end_day(0, 20210802)
    assert m.ended() == [(today, 2, DAY_END), (until[20210802], 1, DAY_END)]
    assert m.books.phase(0) == CLOSED
    assert m.books.last(0) is None
    assert m.books.volume(0) == 0
    m.books.end_day(0, 20210803)
    assert m.books.depth(0) == ([], [(110, 1)])


def test_price_limits(make: Make) -> None:
    m = Market(make)
    assert m.refused(BUY, 201, 1) == naive.ABOVE_LIMIT
    assert m.refused(SELL, 0, 1) == naive.BELOW_LIMIT
    m.order(BUY, 1, 1)
    m.order(SELL, 200, 1)


def test_new_price_limits(make: Make) -> None:
    m = Market(make)
    low, kept, queued, high = (m.order(BUY, price, 2) for price in (50, 100, 100, 150))
    m.order(SELL, 160, 1, account=7)
    m.books.events()
    assert m.books.set_band(0, 60, 140) == 0
    assert sorted(m.ended())[:2] == [(low, 2, BAND), (high, 2, BAND)]
    assert m.books.band(0) == (60, 140)
    assert [order[0] for order in m.books.orders(0, BUY)] == [kept, queued]
    assert m.books.depth(0) == ([(100, 4)], [])
    assert m.refused(BUY, 150, 1) == naive.ABOVE_LIMIT
    m.order(BUY, 140, 1, account=7)
    assert m.books.set_band(0, 141, 140) == naive.BAD_PARAMETERS
    assert m.books.set_band(0, -500, 500) == 0  # spreads trade below zero
    m.order(SELL, -500, 1)
    assert m.fills() == [(140, 1)]


def test_lots_of_a_main_board_share(make: Make) -> None:
    m = Market(make, buy_min=100, buy_step=100, sell_min=100, sell_step=100)
    assert m.refused(BUY, 100, 150) == naive.BAD_VOLUME
    assert m.refused(BUY, 100, 50) == naive.BAD_VOLUME
    m.order(BUY, 100, 200)
    for volume, fine in ((100, True), (250, True), (50, True), (150, True), (70, False), (30, False)):
        code = m.books.insert(0, next(m.accounts), SELL, 120, volume, held=250)
        assert (code > 0) is fine, volume
    assert m.refused(SELL, 120, 150, held=300) == naive.BAD_VOLUME
    assert m.refused(SELL, 120, 50, held=40) == naive.BAD_VOLUME


def test_lots_of_a_star_board_share(make: Make) -> None:
    m = Market(make, buy_min=200, buy_step=1, sell_min=200, sell_step=1)
    assert m.refused(BUY, 100, 199) == naive.BAD_VOLUME
    m.order(BUY, 100, 201)
    m.order(SELL, 120, 150, held=150)
    assert m.refused(SELL, 120, 150, held=151) == naive.BAD_VOLUME


@pytest.mark.parametrize("volume", [0, -1, 501, 1 << 30])
def test_volumes_out_of_range(make: Make, volume: int) -> None:
    m = Market(make, volume_max=500)
    assert m.refused(BUY, 100, volume) == naive.BAD_VOLUME
    m.order(BUY, 100, 500)


def test_bounds_are_refusals(make: Make) -> None:
    books = make(live_orders_max=2, accounts_max=10)
    assert books.add(1, 200) == 0
    books.set_phase(0, CONTINUOUS)
    assert books.insert(0, 10, BUY, 100, 1) == naive.NO_ACCOUNT
    assert books.insert(1, 1, BUY, 100, 1) == naive.NO_INSTRUMENT
    first = books.insert(0, 1, BUY, 100, 1)
    books.insert(0, 1, BUY, 100, 1)
    assert books.insert(0, 1, BUY, 100, 1) == naive.FULL
    assert books.cancel(first) == 0
    assert books.insert(0, 1, BUY, 100, 1) > 0


# The core alone


def test_every_code_and_reason_has_a_name() -> None:
    codes = {value for name, value in vars(naive).items() if isinstance(value, int) and value <= -1000}
    assert {-code for code in codes} | {0} == set(core.CODES)
    assert sorted(core.REASONS) == list(range(1, 11))


GFD_, FAK, FOK, ANY_, ANY_FOK, BEST_, FIVE = 1 << 0, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 10


@pytest.mark.parametrize(
    ("exchange", "product", "takes", "refuses"),
    [
        ("SHFE", core.FUTURE, GFD_ | FAK | FOK, ANY_ | BEST_ | FIVE),
        ("INE", core.FUTURE, GFD_ | FAK | FOK, ANY_ | BEST_ | FIVE),
        ("DCE", core.FUTURE, GFD_ | FAK | FOK | ANY_, BEST_ | FIVE),
        ("DCE", core.OPTION, GFD_ | FAK | FOK, ANY_ | BEST_ | FIVE),
        ("CZCE", core.FUTURE, GFD_ | FAK | ANY_, FOK | ANY_FOK | BEST_ | FIVE),
        ("CFFEX", core.FUTURE, GFD_ | FAK | FOK | BEST_ | FIVE, ANY_ | 1 << 9 | 1 << 11),
        ("SSE", core.OPTION, GFD_ | FOK, FAK | ANY_ | BEST_ | FIVE),
        ("SZSE", core.OPTION, GFD_ | FOK, FAK | ANY_ | BEST_ | FIVE),
        ("paper", core.FUTURE, core.EVERY_KIND, 0),
    ],
)
def test_the_matrix_of_section_5_2(exchange: str, product: int, takes: int, refuses: int) -> None:
    kinds = core.kinds_of(exchange, product)
    assert kinds & takes == takes
    assert kinds & refuses == 0
    if exchange != "paper":
        assert kinds & 1 << 3 == 0  # GTD, GTC


def test_a_kind_the_book_does_not_take_is_refused() -> None:
    m = Market(CoreBooks, kinds=core.kinds_of("CZCE", core.FUTURE))
    assert m.refused(BUY, 100, 1, time=IOC, condition=ALL_VOLUME) == naive.UNSUPPORTED
    assert m.refused(BUY, 100, 1, time=GTC) == naive.UNSUPPORTED
    m.order(BUY, 0, 1, price_type=ANY_PRICE, time=IOC)


@pytest.mark.parametrize(
    ("price", "tick", "ticks"),
    [
        (75000, 10, 7500),
        (0.3, 0.1, 3),
        (4567.2, 0.2, 22836),
        (-35.5, 0.5, -71),
        (0, 1, 0),
        (1e9, 0.001, 10**12),
    ],
)
def test_whole_ticks(price: float, tick: float, ticks: int) -> None:
    assert core.to_ticks(price, tick) == ticks


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        (75005, 10),
        (0.25, 0.1),
        (4567.19, 0.2),
        (0.9999, 1),
        (float("nan"), 1),
        (float("inf"), 1),
        (1, 0),
        (1, -1),
    ],
)
def test_not_whole_ticks(price: float, tick: float) -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        core.to_ticks(price, tick)


def test_bands() -> None:
    assert core.band_inside(75105, 0.1, 10) == (6760, 8261)  # 67,594.5 and 82,615.5
    assert core.band_inside(5000, 0.1, 1) == (4500, 5500)
    assert core.band_rounded(10.05, 0.1, 0.01) == (905, 1106)  # 9.045 and 11.055: half up
    assert core.band_rounded(3.0, 0.05, 0.01) == (285, 315)
    lower, upper = core.band_inside(float("nan"), 0.1, 1)
    assert lower > upper


@pytest.mark.parametrize(
    ("lower", "upper"), [(2, 1), (0, 1 << 20), (-(1 << 62), 1 << 62), (1 << 50, 1 << 50)]
)
def test_bands_that_cannot_be(lower: int, upper: int) -> None:
    books = core.Books()
    assert books.add(lower, upper) == naive.BAD_PARAMETERS
    assert len(books) == 0


def test_the_ladders_are_bounded_together() -> None:
    books = core.Books(levels_max=100)
    assert books.add(1, 60) == 0
    assert books.add(1, 60) == naive.FULL
    assert books.set_band(0, 1, 100) == 0
    assert books.set_band(0, 1, 101) == naive.FULL
    assert books.band(0) == (1, 100)


def test_unread_events_are_bounded() -> None:
    books = core.Books(events_max=3)
    books.add(1, 200)
    books.set_phase(0, CONTINUOUS)
    for _ in range(3):
        assert books.insert(0, 1, BUY, 100, 1) > 0
    assert books.insert(0, 1, BUY, 100, 1) == naive.FULL
    assert books.clear_events() == 3
    assert books.insert(0, 1, BUY, 100, 1) > 0


def test_garbage_is_refused_not_believed() -> None:
    books = core.Books()
    books.add(1, 200)
    books.set_phase(0, CONTINUOUS)
    for names in ({"side": 2}, {"side": 255}, {"price_type": 4}, {"time": 8}, {"condition": 4}):
        given = {"side": BUY, "price_type": LIMIT, "time": GFD, "condition": ANY_VOLUME} | names
        assert books.insert(0, 1, price=100, volume=1, **given) == naive.BAD_PARAMETERS
    for names in ({"time": 0}, {"time": 7}, {"condition": 0}):
        given = {"side": BUY, "price_type": LIMIT, "time": GFD, "condition": ANY_VOLUME} | names
        assert books.insert(0, 1, price=100, volume=1, **given) == naive.UNSUPPORTED
    assert books.insert(0, 1, BUY, 1 << 62, 1) == naive.ABOVE_LIMIT
    assert books.insert(0, 1, BUY, -(1 << 62), 1) == naive.BELOW_LIMIT
    assert books.cancel((1 << 64) - 1) == naive.NO_ORDER
    with pytest.raises(IndexError):
        books.depth(1)
    with pytest.raises(ValueError, match="phase"):
        books.set_phase(0, 6)
    with pytest.raises(ValueError, match="bounds"):
        core.Books(live_orders_max=1 << 24)


def test_the_hash_tells_states_apart_and_not_memory() -> None:
    def played(*calls: tuple[int, int, int]) -> CoreBooks:
        books = CoreBooks()
        books.add(1, 200)
        books.set_phase(0, CONTINUOUS)
        for side, price, volume in calls:
            books.insert(0, 1, side, price, volume)
        return books

    story = ((BUY, 100, 2), (SELL, 110, 3), (BUY, 100, 1))
    base = played(*story)
    assert base.state_hash() == played(*story).state_hash()
    hashes = {base.state_hash()}
    other = [
        played(*story[:2]),
        played((BUY, 100, 1), (SELL, 110, 3), (BUY, 100, 2)),
        played((BUY, 100, 2), (SELL, 110, 3), (BUY, 101, 1)),
    ]
    for change in ("set_phase", "set_reference"):
        one = played(*story)
        getattr(one, change)(0, BREAK)
        other.append(one)
    hashes |= {one.state_hash() for one in other}
    assert len(hashes) == 6
    # Cancelled in another order: the same orders are gone, their memory is handed out differently.
    first, second = played(*story), played(*story)
    for books, numbers in ((first, (1, 3)), (second, (3, 1))):
        for number in numbers:
            assert books.cancel(number) == 0
        books.insert(0, 1, BUY, 90, 1)
        books.insert(0, 1, BUY, 91, 1)
    assert first.orders(0, BUY) == second.orders(0, BUY)
    assert first.state_hash() == second.state_hash()


def test_a_stream_is_the_same_calls() -> None:
    ops = [
        (0, SELL, 0, 1, 105, 3),
        (0, SELL, 0, 2, 104, 2),
        (0, BUY, 1, 3, 104, 2),
        (2, BUY, 0, 4, 0, 4),
        (1, 0, 0, 2, 0, 0),
        (1, 0, 0, 1, 0, 0),
        (0, BUY, 0, 5, 999, 1),
        (0, BUY, 9, 6, 100, 1),
        (0, BUY, 0, 77, 100, 1),
    ]
    stream = b"".join(struct.pack("<BBHIii", *op) for op in ops)
    books = core.Books()
    for _ in range(2):
        books.set_phase(books.add(1, 200, self_trade=ALLOW), CONTINUOUS)
    numbers = core.OrderNumbers(len(ops))
    trades, volume, value, misses, refused = books.play(stream[: 16 * 5], numbers)
    assert (trades, volume, value, misses, refused) == (2, 4, 2 * 104 + 2 * 105, 1, 0)
    assert books.depth(0) == ([], [(105, 1)])
    assert books.play(stream[16 * 5 :], numbers) == (0, 0, 0, 0, 3)  # price, book and number out of range
    assert books.depth(0) == ([], [])
    assert books.live_orders == 1
    with pytest.raises(ValueError, match="16-byte"):
        books.play(stream[:-1], numbers)
