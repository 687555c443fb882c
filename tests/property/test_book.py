"""Whatever is done to the core's books, its events and its orders are those of the naive twin."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.models import book as naive
from tests.models.book import BUY, CONTINUOUS, SELL
from tests.models.core_book import CoreBooks

LOWER, UPPER = 90, 110
ACCOUNTS = 4
LIVE_MAX = 120
RULES: tuple[dict[str, Any], ...] = (
    {},
    {"self_trade": naive.CANCEL_MAKER, "trade_price": naive.AT_MEDIAN},
    {"self_trade": naive.CANCEL_BOTH, "best_rests": True},
    {"self_trade": naive.ALLOW, "buy_min": 2, "buy_step": 2, "sell_min": 2, "sell_step": 2, "volume_max": 12},
)


class Pair:
    """Both told the same; answers and events compared at once."""

    def __init__(self) -> None:
        bounds = {"live_orders_max": LIVE_MAX, "accounts_max": ACCOUNTS + 1}
        self.twin, self.core = naive.Books(**bounds), CoreBooks(**bounds)
        for rules in RULES:
            self("add", LOWER, UPPER, **rules)
        for book in range(len(RULES)):
            self("set_phase", book, CONTINUOUS)

    def __call__(self, name: str, *arguments: Any, **named: Any) -> Any:
        expected = getattr(self.twin, name)(*arguments, **named)
        assert getattr(self.core, name)(*arguments, **named) == expected, (name, arguments, named)
        assert self.core.events() == self.twin.events(), (name, arguments, named)
        return expected

    def check(self) -> None:
        assert self.core.live_orders == self.twin.live_orders
        assert self.core.trades == self.twin.trades
        for book in range(len(RULES)):
            for side in (BUY, SELL):
                assert self.core.orders(book, side) == self.twin.orders(book, side)
            assert self.core.depth(book, 7) == self.twin.depth(book, 7)
            assert self.core.indication(book) == self.twin.indication(book)
            for name in ("last", "volume", "band", "phase"):
                assert getattr(self.core, name)(book) == getattr(self.twin, name)(book)


books = st.integers(0, len(RULES) - 1)
sides = st.sampled_from([BUY, SELL])
prices = st.integers(LOWER - 1, UPPER + 1)
volumes = st.integers(0, 12)
kinds = st.one_of(
    st.sampled_from([(naive.LIMIT, naive.GFD, naive.ANY_VOLUME)]),
    st.sampled_from(sorted(naive.KINDS)),
    st.tuples(st.integers(0, 3), st.integers(1, 6), st.integers(1, 3)),
)


class Machine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.pair = Pair()

    @rule(
        book=books,
        account=st.integers(0, ACCOUNTS),
        side=sides,
        price=prices,
        volume=volumes,
        kind=kinds,
        least=st.integers(0, 6),
        opens=st.booleans(),
        held=st.integers(0, 15),
        gtd_day=st.integers(0, 3),
    )
    def insert(self, kind: tuple[int, int, int], least: int, **order: Any) -> None:
        price_type, time, condition = kind
        self.pair("insert", price_type=price_type, time=time, condition=condition, min_volume=least, **order)

    @precondition(lambda self: self.pair.twin.numbers > 0)
    @rule(back=st.integers(0, 30))
    def cancel(self, back: int) -> None:
        self.pair("cancel", max(self.pair.twin.numbers - back, 0))

    @precondition(lambda self: self.pair.twin.numbers > 0)
    @rule(back=st.integers(0, 30), price=prices, left=volumes)
    def amend(self, back: int, price: int, left: int) -> None:
        self.pair("amend", max(self.pair.twin.numbers - back, 0), price, left)

    @rule(book=books, phase=st.integers(0, 5))
    def phase(self, book: int, phase: int) -> None:
        self.pair("set_phase", book, phase)

    @rule(book=books, reference=st.integers(LOWER - 5, UPPER + 5))
    def reference(self, book: int, reference: int) -> None:
        self.pair("set_reference", book, reference)

    @rule(book=books, lower=st.integers(85, 95), upper=st.integers(94, 115))
    def band(self, book: int, lower: int, upper: int) -> None:
        self.pair("set_band", book, lower, upper)

    @rule(book=books, day=st.integers(0, 3))
    def end_day(self, book: int, day: int) -> None:
        self.pair("end_day", book, day)

    @rule(account=st.integers(0, ACCOUNTS))
    def remove_account(self, account: int) -> None:
        self.pair("remove_account", account)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "pair"):
            self.pair.check()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def play(rng: random.Random, steps: int, check_every: int) -> Pair:
    """Mostly orders near the middle and cancels, now and then anything else."""
    pair = Pair()
    phases = [
        naive.AUCTION,
        naive.AUCTION_LOCKED,
        naive.AUCTION_MATCHED,
        CONTINUOUS,
        naive.BREAK,
        naive.CLOSED,
    ]
    for step in range(steps):
        dice = rng.random()
        book = rng.randrange(len(RULES))
        if dice < 0.6:
            price_type, time, condition = rng.choice(sorted(naive.KINDS))
            if rng.random() < 0.6:
                price_type, time, condition = (
                    naive.LIMIT,
                    rng.choice([naive.GFD, naive.GTC]),
                    naive.ANY_VOLUME,
                )
            price = round(rng.gauss(100, 4))
            pair(
                *("insert", book, rng.randrange(ACCOUNTS), rng.randrange(2), price, rng.randint(1, 8)),
                *(
                    price_type,
                    time,
                    condition,
                    rng.randint(0, 4),
                    rng.random() < 0.7,
                    rng.randint(0, 9),
                    rng.randint(0, 3),
                ),
            )
        elif dice < 0.85:
            pair("cancel", max(pair.twin.numbers - int(rng.expovariate(0.05)), 0))
        elif dice < 0.95:
            pair(
                "amend",
                max(pair.twin.numbers - rng.randrange(30), 0),
                round(rng.gauss(100, 4)),
                rng.randint(0, 8),
            )
        elif dice < 0.98:
            pair("set_phase", book, rng.choice(phases) if rng.random() < 0.3 else CONTINUOUS)
        elif dice < 0.994:
            pair("set_reference", book, rng.randint(LOWER, UPPER))
        elif dice < 0.997:
            pair("set_band", book, rng.randint(85, 95), rng.randint(105, 115))
        elif dice < 0.999:
            pair("end_day", book, rng.randint(0, 3))
        else:
            pair("remove_account", rng.randrange(ACCOUNTS))
        if step % check_every == 0:
            pair.check()
    pair.check()
    return pair


@pytest.mark.parametrize(
    "steps", [3_000, pytest.param(200_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_a_long_random_story(steps: int) -> None:
    seed = int(os.environ.get("QAUTLRA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"QAUTLRA_SEED={seed}")
    pair = play(random.Random(seed), steps, check_every=20)
    assert pair.twin.trades > steps / 10
    again = play(random.Random(seed), 500, check_every=500)
    assert again.core.state_hash() == play(random.Random(seed), 500, check_every=500).core.state_hash()
