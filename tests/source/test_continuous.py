"""Main contracts and indices made of a product's contracts."""

from typing import Any

import pytest

from qautlra._core.tape import Follower, Tape
from qautlra.source.base import Demand
from qautlra.source.continuous import Continuous
from tests.models.market import MORNING_NS, Market

DAY_NS = 86_400_000_000_000
MAIN, INDEX = "KQ.m@SHFE.au", "KQ.i@SHFE.au"


class Bench:
    def __init__(self) -> None:
        self.market = Market()
        self.tape = Tape(self.market.instruments, self.market.calendar, 256)
        self.demand = Demand()
        self.made = Continuous(self.tape, self.market.instruments, Follower(self.tape), self.demand)
        self.now_ns = MORNING_NS + 600_000_000_000

    def tick(self, symbol: str, price: float, interest: float, **more: Any) -> None:
        self.now_ns += 500_000_000
        row = {"instrument_id": symbol, "datetime": self.now_ns, "source": "sim", "last_price": price}
        row |= {"open_interest": interest, "volume": 10, "pre_settlement": 300.0, "upper_limit": 400.0} | more
        assert self.tape.publish(self.market.rows(row)) == 1
        self.made.drain()

    def last(self, symbol: str) -> dict[str, Any] | None:
        instrument = self.market.instruments.find(symbol)
        return self.tape.last(instrument) if instrument >= 0 else None


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_made_that_nobody_wants(bench: Bench) -> None:
    bench.tick("SHFE.au2106", 390.0, 100.0)
    assert bench.last(MAIN) is None and bench.tape.head == 1


def test_what_nobody_wants_is_known_by_its_contracts(bench: Bench) -> None:
    assert bench.made.main_of(MAIN) is None  # no row yet
    bench.tick("SHFE.au2106", 390.0, 100.0)
    bench.tick("SHFE.au2112", 395.0, 50.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2106"
    assert (row := bench.last("SHFE.au2106")) is not None
    assert bench.made.chosen(MAIN) == (row["trading_day"], "SHFE.au2106")
    assert bench.made.chosen("SHFE.au2106") is bench.made.chosen(INDEX) is None
    instruments = bench.market.instruments
    assert instruments.symbol(bench.made.enter(INDEX)) == INDEX and instruments.find(MAIN) == -1
    bench.made.enter_all()
    assert instruments.symbol(instruments.find(MAIN)) == MAIN
    for other in ("KQ.m@SHFE.xx", "KQ.m@DCE.jm", "KQ.m@", "SHFE.au2199", "nonsense"):
        assert bench.made.enter(other) == -1 and bench.made.main_of(other) is None
    bench.tick("SHFE.au2112", 395.0, 500.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2106"  # today
    assert bench.last(MAIN) is None
    bench.tick(MAIN, 391.0, 100.0)
    assert bench.made.chosen(MAIN) is None  # a source shows it


def test_what_nobody_wants_changes_between_days_too(bench: Bench) -> None:
    bench.tick("SHFE.au2106", 390.0, 100.0)
    bench.tick("SHFE.au2112", 395.0, 50.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2106"
    bench.tick("SHFE.au2112", 395.0, 500.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2106"  # today
    bench.now_ns += DAY_NS
    bench.tick("SHFE.au2112", 396.0, 500.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2112"


def test_a_first_row_owed_days_later_is_of_the_main_contract_of_that_day(bench: Bench) -> None:
    bench.tick("SHFE.au2106", 390.0, 100.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2106"
    bench.now_ns += DAY_NS
    bench.tick("SHFE.au2112", 396.0, 500.0)
    for _ in range(300):  # more than the tape holds: nobody reads that tick
        bench.tick("CFFEX.IF2101", 5000.0, 1.0)
    bench.demand.put(frozenset({MAIN}))
    bench.made.drain()
    main = bench.last(MAIN)
    assert main is not None and main["last_price"] == 396.0


def test_the_main_contract_is_the_one_with_most_open_interest(bench: Bench) -> None:
    bench.tick("SHFE.au2106", 390.0, 100.0)
    bench.tick("SHFE.au2112", 395.0, 50.0)
    bench.demand.put(frozenset({MAIN}))
    bench.tick("SHFE.au2112", 395.5, 50.0)  # the first row does not wait for the main contract's next
    main = bench.last(MAIN)
    assert main is not None and (main["last_price"], main["upper_limit"], main["source"]) == (
        390.0,
        400.0,
        "",
    )
    bench.tick("SHFE.au2106", 391.0, 100.0)
    main = bench.last(MAIN)
    assert main is not None and main["last_price"] == 391.0
    head = bench.tape.head
    bench.tick("SHFE.au2112", 396.0, 50.0)
    assert bench.tape.head == head + 1
    assert bench.made.main_of(MAIN) == "SHFE.au2106"


def test_it_changes_between_days_only_and_never_back(bench: Bench) -> None:
    bench.demand.put(frozenset({MAIN}))
    bench.tick("SHFE.au2106", 390.0, 100.0)
    bench.tick("SHFE.au2112", 395.0, 200.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2106"  # today
    bench.now_ns += DAY_NS
    bench.tick("SHFE.au2112", 396.0, 200.0)
    main = bench.last(MAIN)
    assert bench.made.main_of(MAIN) == "SHFE.au2112" and main is not None and main["last_price"] == 396.0
    bench.tick("SHFE.au2106", 391.0, 900.0)
    bench.now_ns += DAY_NS
    bench.tick("SHFE.au2106", 392.0, 900.0)
    assert bench.made.main_of(MAIN) == "SHFE.au2112"


def test_the_index_is_weighed_by_open_interest(bench: Bench) -> None:
    bench.demand.put(frozenset({INDEX}))
    bench.tick("SHFE.au2106", 390.0, 300.0)
    bench.tick("SHFE.au2112", 394.0, 100.0)
    index = bench.last(INDEX)
    assert index is not None
    assert (index["last_price"], index["open_interest"], index["volume"]) == (391.0, 400.0, 20)
    assert (index["open"], index["highest"], index["lowest"]) == (390.0, 391.0, 390.0)
    assert index["pre_settlement"] == 300.0 and index["bid_price1"] is None and index["upper_limit"] is None


def test_an_index_begins_its_day_with_most_of_its_contracts(bench: Bench) -> None:
    """The quickest contract's price is not the product's: it would stay the day's open, or its highest."""
    bench.demand.put(frozenset({INDEX}))
    bench.tick("SHFE.au2106", 390.0, 300.0)
    bench.tick("SHFE.au2112", 394.0, 100.0)
    bench.now_ns += DAY_NS
    bench.tick("SHFE.au2112", 398.0, 100.0)
    before = bench.last(INDEX)
    assert before is not None and before["trading_day"] == 20210104
    bench.tick("SHFE.au2106", 394.0, 300.0)
    index = bench.last(INDEX)
    assert index is not None and index["trading_day"] == 20210105
    assert (index["open"], index["highest"], index["last_price"]) == (395.0, 395.0, 395.0)
    bench.now_ns += DAY_NS  # the other one is silent: a minute is enough
    bench.tick("SHFE.au2112", 400.0, 100.0)
    bench.now_ns += 60_000_000_000
    bench.tick("SHFE.au2112", 401.0, 100.0)
    index = bench.last(INDEX)
    assert index is not None and (index["trading_day"], index["open"]) == (20210106, 401.0)


def test_an_index_keeps_its_days_open_over_a_restart(bench: Bench) -> None:
    bench.demand.put(frozenset({INDEX}))
    bench.tick("SHFE.au2106", 390.0, 100.0)
    bench.tick("SHFE.au2106", 380.0, 100.0)
    bench.made = Continuous(bench.tape, bench.market.instruments, Follower(bench.tape), Demand(()))
    bench.demand = bench.made._demand
    bench.demand.put(frozenset({INDEX}))
    bench.tick("SHFE.au2106", 385.0, 100.0)
    index = bench.last(INDEX)
    assert index is not None
    assert (index["open"], index["highest"], index["lowest"], index["last_price"]) == (
        390.0,
        390.0,
        380.0,
        385.0,
    )


def test_a_source_that_shows_the_series_itself_is_left_alone(bench: Bench) -> None:
    bench.tick(MAIN, 380.0, 1.0, source="sina")
    bench.demand.put(frozenset({MAIN}))
    bench.tick("SHFE.au2106", 390.0, 100.0)
    main = bench.last(MAIN)
    assert main is not None and main["last_price"] == 380.0


def test_after_a_restart_over_its_own_rows_it_goes_on(bench: Bench) -> None:
    bench.demand.put(frozenset({MAIN}))
    bench.tick("SHFE.au2106", 390.0, 100.0)
    bench.made = Continuous(bench.tape, bench.market.instruments, Follower(bench.tape), Demand(()))
    bench.demand = bench.made._demand
    bench.demand.put(frozenset({MAIN}))
    bench.tick("SHFE.au2106", 391.0, 100.0)
    main = bench.last(MAIN)
    assert main is not None and main["last_price"] == 391.0


def test_what_is_not_wanted_any_more_is_not_made(bench: Bench) -> None:
    bench.demand.put(frozenset({MAIN, INDEX}))
    bench.tick("SHFE.au2106", 390.0, 100.0)
    bench.demand.put(frozenset())
    head = bench.tape.head
    bench.tick("SHFE.au2106", 391.0, 100.0)
    assert bench.tape.head == head + 1
