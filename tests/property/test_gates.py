"""Random orders through the gate: the core gives the answers of its twin, check by check."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.core.risk_rig import Rig
from tests.models.account import BUY, SELL, TERMS, Order
from tests.models.risk import PROFILES, Ask
from tests.property.test_accounts import CENT, SYMBOLS, price_of, steps

D = Decimal
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "volume_max": st.integers(0, 20),
    "notional_max": st.sampled_from([D(0), D(1_000_000), D(10_000_000)]),
    "orders": st.tuples(st.integers(0, 5), st.integers(1, 5)),
    "cancels": st.tuples(st.integers(0, 3), st.integers(1, 3)),
    "repeats_max": st.integers(0, 3),
    "active_max": st.integers(0, 6),
    "day_orders": st.integers(0, 30),
    "day_cancels": st.integers(0, 6),
    "contract_orders": st.integers(0, 10),
    "contract_cancels": st.integers(0, 4),
    "contract_trades": st.integers(0, 6),
    "contract_opens": st.integers(0, 8),
    "contract_open_volume": st.integers(0, 40),
    "cancels_block": st.integers(0, 4),
    "position_max": st.integers(0, 20),
    "concentration_ratio": st.sampled_from([D(0), D("0.1"), D("0.5")]),
    "stop_ratio": st.sampled_from([D(0), D("0.3"), D("0.95")]),
    "price_deviation_ratio": st.sampled_from([D(0), D("0.001"), D("0.02")]),
    "stale_ns": st.sampled_from([0, 2_000_000_000]),
    "self_trade": st.booleans(),
}
# A few at a time: with all of them on nothing passes.
LIMITS = st.lists(st.sampled_from(sorted(CHOICES)), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: CHOICES[name] for name in names})
)


class Gates(RuleBasedStateMachine):
    @initialize(
        cash=st.sampled_from([50_000, 500_000, 5_000_000, 50_000_000]),
        profile=st.sampled_from(sorted(PROFILES)),
        limits=LIMITS,
    )
    def open(self, cash: int, profile: str, limits: dict[str, Any]) -> None:
        self.twin = Rig("twin", profile, D(cash), **limits)
        self.core = Rig("core", profile, D(cash), **limits)
        self.rigs = (self.twin, self.core)
        self.now = self.count = 0
        for rig in self.rigs:
            for symbol in SYMBOLS[1:]:
                last, upper, lower = (price_of(symbol, step) for step in (0, 18, -18))
                rig.quote(symbol, last=last, upper=upper, lower=lower)

    def near_a_bound(self, ask: Ask) -> bool:
        """Whether the cents that rounding moves could decide."""
        gate = self.twin.gate
        if ask.symbol not in TERMS or ask.volume < 1:
            return False
        price = ask.price if ask.price_type == "LIMIT" else gate.freeze_price(ask)
        if price is None:
            return False
        order = gate.account.plan(ask.symbol, ask.direction, ask.offset, ask.volume, price)
        if not isinstance(order, Order):
            return False
        funds = self.twin.account.funds()
        margin, balance = gate.geared()
        stop = gate.ratio("stop_ratio")
        concentration = gate.ratio("concentration_ratio")
        orders = [o for o in gate.account.orders.values() if o.symbol == ask.symbol]
        here = sum((gate.account.keeps(o)[0] for o in [*orders, order]), D(0))
        here += sum(gate.account.leg_margin(ask.symbol, side) for side in (BUY, SELL))
        gaps = (
            funds["available"] - sum(gate.account.keeps(order)),
            margin - balance * stop if stop and margin else D(1),
            here - balance * concentration if concentration and here else D(1),
        )
        return any(abs(gap) < CENT for gap in gaps)

    @rule(
        symbol=st.sampled_from([*SYMBOLS, *SYMBOLS, *SYMBOLS, "SHFE.none"]),
        direction=st.sampled_from([BUY, SELL]),
        offset=st.sampled_from(["OPEN", "OPEN", "CLOSE", "CLOSETODAY"]),
        volume=st.sampled_from([1, 1, 1, 2, 2, 3, 4, 5, 8, 13, 25, 0, -1]),
        step=steps,
        off_tick=st.integers(0, 9),
        price_type=st.sampled_from(["LIMIT", "LIMIT", "LIMIT", "ANY", "BEST"]),
        old_id=st.booleans(),
        odd=st.integers(0, 15),
        crosses_own=st.booleans(),
        passed_ms=st.integers(-100, 1500),
        trouble=st.integers(0, 40),
    )
    def submit(
        self,
        symbol: str,
        direction: str,
        offset: str,
        volume: int,
        step: int,
        off_tick: int,
        price_type: str,
        old_id: bool,
        odd: int,
        crosses_own: bool,
        passed_ms: int,
        trouble: int,
    ) -> None:
        self.now += passed_ms * 1_000_000
        price = None
        if price_type == "LIMIT":
            price = price_of(symbol if symbol in TERMS else SYMBOLS[0], step)
            if off_tick == 9:
                price += D("0.003")
        self.count += 0 if old_id and odd > 12 else 1
        ask = Ask(
            symbol,
            direction,
            offset,
            volume,
            price,
            f"o{self.count}",
            price_type,
            gtd_day=20210801 + odd if odd < 3 else None,
            reduce_only=odd == 4,
            force=odd == 5,
            crosses_own=crosses_own and odd > 8,
            now_ns=self.now,
        )
        if self.near_a_bound(ask):
            return
        self.trouble(trouble, True)
        expected = self.twin.gate.submit(ask)
        assert self.core.gate.submit(ask) == expected, ask
        self.trouble(trouble, False)
        self.same()

    @rule(
        symbol=st.sampled_from(SYMBOLS[1:]),
        direction=st.sampled_from([BUY, SELL]),
        volumes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
        close=st.booleans(),
    )
    def good_orders(self, symbol: str, direction: str, volumes: list[int], close: bool) -> None:
        """Orders with nothing wrong about them, filled at once; then perhaps the way back."""
        for n, volume in enumerate(volumes):
            self.count += 1
            self.now += 40_000_000
            offset = "CLOSETODAY" if close and n % 2 else "OPEN"
            side = SELL if (direction == BUY) == (offset != "OPEN") else BUY
            ask = Ask(symbol, side, offset, volume, price_of(symbol, n), f"o{self.count}", now_ns=self.now)
            if self.near_a_bound(ask):
                return
            expected = self.twin.gate.submit(ask)
            assert self.core.gate.submit(ask) == expected, ask
            if expected == (0, 0) and n % 3:
                for rig in self.rigs:
                    assert rig.gate.fill(ask.order_id, volume, price_of(symbol, n)) == 0
        self.same()

    def trouble(self, kind: int, on: bool) -> None:
        """A state or a lock for the length of one order."""
        for rig in self.rigs:
            if kind in (1, 2):
                rig.set_state(kind if on else 0)
            elif kind in (3, 4):
                rig.set_account_state(kind - 2 if on else 0)
            elif kind == 5:
                rig.lock(on)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.twin.account.orders:
            order_id = data.draw(st.sampled_from(sorted(self.twin.account.orders)))
            expected = self.twin.gate.cancel(order_id, self.now)
            assert self.core.gate.cancel(order_id, self.now) == expected
            self.same()

    @rule(data=st.data(), volume=st.integers(1, 10), step=steps)
    def fill(self, data: st.DataObject, volume: int, step: int) -> None:
        if self.twin.account.orders:
            order_id = data.draw(st.sampled_from(sorted(self.twin.account.orders)))
            price = price_of(self.twin.account.orders[order_id].symbol, step)
            expected = self.twin.gate.fill(order_id, volume, price)
            assert self.core.gate.fill(order_id, volume, price) == expected

    @rule(symbol=st.sampled_from(SYMBOLS), step=steps, odd=st.integers(0, 20))
    def quote(self, symbol: str, step: int, odd: int) -> None:
        for rig in self.rigs:
            rig.quote(symbol, self.now, last=price_of(symbol, step), tradable=odd != 0, open=odd != 1)

    @rule()
    def new_day(self) -> None:
        for order_id in sorted(self.twin.account.orders):
            for rig in self.rigs:
                rig.account.cancel(order_id)
        for rig in self.rigs:
            rig.account.settle()
            rig.gate.new_day()
        self.same()

    def same(self) -> None:
        got, expected = self.core.account.funds(), self.twin.account.funds()
        for name in ("balance", "available", "frozen_margin", "frozen_commission"):
            assert abs(D(got[name]) - expected[name]) <= CENT, name


Gates.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestGates = pytest.mark.slow(Gates.TestCase)
