"""Random days of an account: core equals twin to the cent, cash is conserved, positions are the trades."""

from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.core.account_rig import CoreAccount
from tests.models.account import BUY, IF, OPTION, SELL, STOCK, TERMS, Account, Terms

D = Decimal
CENT = D("0.01")
SYMBOLS = sorted(TERMS)
MIDDLE = {symbol: D(mid) for symbol, mid in zip(SYMBOLS, (5000, 80, 3000, 75000, 5000, 10), strict=True)}

symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from([BUY, SELL])
offsets = st.sampled_from(["OPEN", "OPEN", "CLOSE", "CLOSETODAY"])
steps = st.integers(-20, 20)  # ticks around the middle
lots = st.integers(1, 8)


def price_of(symbol: str, step: int) -> Decimal:
    return MIDDLE[symbol] + step * TERMS[symbol].tick


class Accounts(RuleBasedStateMachine):
    terms: ClassVar[dict[str, Terms]] = TERMS
    margin_side = "sum"

    @initialize(cash=st.integers(0, 50_000_000))
    def open(self, cash: int) -> None:
        self.twin = Account(self.terms, self.margin_side)
        self.core = CoreAccount(self.terms, self.margin_side)
        self.log: list[tuple[str, tuple[Any, ...]]] = []
        self.moved = D(0)  # into the account and out of it again, over all days
        self.paid = D(0)  # for what was bought less what was sold for
        self.fees = D(0)  # of days settled
        self.lots: dict[str, int] = dict.fromkeys(SYMBOLS, 0)
        self.count = 0
        self.both("deposit", D(cash) / 100)

    def both(self, name: str, *arguments: Any) -> int:
        """The same call to each; the answers must agree."""
        expected = getattr(self.twin, name)(*arguments)
        got = getattr(self.core, name)(*arguments)
        assert got == expected, (name, arguments)
        self.log.append((name, arguments))
        if expected == 0 and name in ("deposit", "withdraw"):
            self.moved += arguments[0] if name == "deposit" else -arguments[0]
        return int(got or 0)

    def traded(self, symbol: str, direction: str, volume: int, price: Decimal) -> None:
        sign = 1 if direction == BUY else -1
        self.paid += sign * volume * price * self.terms[symbol].multiple
        self.lots[symbol] += sign * volume

    @rule(symbol=symbols, direction=sides, offset=offsets, volume=lots, step=steps)
    def insert(self, symbol: str, direction: str, offset: str, volume: int, step: int) -> None:
        price = price_of(symbol, step)
        order = self.twin.plan(symbol, direction, offset, volume, price)
        if not isinstance(order, int):
            short = self.twin.funds()["available"] - sum(self.twin.keeps(order))
            if abs(short) < CENT:
                return  # rounding may decide either way
        self.count += 1
        self.both("insert", f"o{self.count}", symbol, direction, offset, volume, price)

    @rule(data=st.data(), volume=lots, step=steps)
    def fill(self, data: st.DataObject, volume: int, step: int) -> None:
        if not self.twin.orders:
            return
        order_id = data.draw(st.sampled_from(sorted(self.twin.orders)))
        order = self.twin.orders[order_id]
        symbol, direction, price = order.symbol, order.direction, price_of(order.symbol, step)
        if self.both("fill", order_id, volume, price) == 0:
            self.traded(symbol, direction, volume, price)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        names = sorted(self.twin.orders) or ["none"]
        self.both("cancel", data.draw(st.sampled_from(names)))

    @rule(data=st.data(), left=lots)
    def shrink(self, data: st.DataObject, left: int) -> None:
        if self.twin.orders:
            self.both("shrink", data.draw(st.sampled_from(sorted(self.twin.orders))), left)

    @rule(data=st.data(), step=steps)
    def move(self, data: st.DataObject, step: int) -> None:
        if not self.twin.orders:
            return
        order = self.twin.orders[order_id := data.draw(st.sampled_from(sorted(self.twin.orders)))]
        had, order.price = order.price, price_of(order.symbol, step)
        short = self.twin.funds()["available"]
        order.price = had
        if abs(short) >= CENT:  # rounding may decide either way
            self.both("move", order_id, price_of(order.symbol, step))

    @rule(symbol=symbols, direction=sides, offset=offsets, volume=lots, step=steps)
    def trade(self, symbol: str, direction: str, offset: str, volume: int, step: int) -> None:
        price = price_of(symbol, step)
        if self.both("trade", symbol, direction, offset, volume, price) == 0:
            self.traded(symbol, direction, volume, price)

    @rule(symbol=symbols, step=steps)
    def mark(self, symbol: str, step: int) -> None:
        self.both("mark", symbol, price_of(symbol, step))

    @rule(symbol=symbols, step=steps)
    def settle(self, symbol: str, step: int) -> None:
        fees = self.twin.commission
        if self.both("settle", {symbol: price_of(symbol, step)}) == 0:
            self.fees += fees

    @rule()
    def end_of_day(self) -> None:
        for order_id in sorted(self.twin.orders):
            self.both("cancel", order_id)
        fees = self.twin.commission
        assert self.both("settle") == 0
        self.fees += fees

    @rule(symbol=st.sampled_from([s for s in SYMBOLS if s != STOCK]), step=steps, fee=st.sampled_from([0, 1]))
    def expire(self, symbol: str, step: int, fee: int) -> None:
        """A contract ends: with orders of it alive not, else both legs go."""
        held = [(side, self.twin.leg(symbol, side).volume) for side in (BUY, SELL)]
        price = price_of(symbol, step)
        if self.both("expire", symbol, price, fee * D("0.0001")) == 0:
            for side, volume in held:
                self.traded(symbol, SELL if side == BUY else BUY, volume, price)

    @rule(direction=sides, volume=lots, step=steps)
    def exercise(self, direction: str, volume: int, step: int) -> None:
        """Options into their underlying: worth nothing then, futures at the strike."""
        price = price_of(IF, step)
        self.both("expire", OPTION, D(0))
        assert self.both("assign", IF, direction, volume, price) == 0
        self.lots[OPTION] = sum(
            (1 if side == BUY else -1) * self.twin.leg(OPTION, side).volume for side in (BUY, SELL)
        )
        self.traded(IF, direction, volume, price)

    @rule(symbol=symbols, old=lots, new=lots, volume=lots, part=lots, left=lots, step=steps)
    def over_night(
        self, symbol: str, old: int, new: int, volume: int, part: int, left: int, step: int
    ) -> None:
        """Old and new lots at different costs, and an order that closes some of both, partly done."""
        self.trade(symbol, BUY, "OPEN", old, step)
        self.end_of_day()
        self.trade(symbol, BUY, "OPEN", new, -step)
        self.mark(symbol, 3)
        for offset in ("CLOSE", "CLOSETODAY"):
            self.insert(symbol, SELL, offset, volume, 0)
            order_id = f"o{self.count}"
            if order_id in self.twin.orders:
                self.both("shrink", order_id, left)
                price = price_of(symbol, 2)
                if self.both("fill", order_id, part, price) == 0:
                    self.traded(symbol, SELL, part, price)

    @rule(amount=st.integers(-100, 10_000_000))
    def deposit(self, amount: int) -> None:
        self.both("deposit", D(amount) / 100)

    @rule(amount=st.integers(-100, 10_000_000))
    def withdraw(self, amount: int) -> None:
        if abs(self.twin.funds()["withdraw_quota"] - D(amount) / 100) >= CENT:
            self.both("withdraw", D(amount) / 100)

    @invariant()
    def the_core_equals_its_twin(self) -> None:
        got = self.core.funds()
        for name, expected in self.twin.funds().items():
            if name == "risk_ratio":
                balance = self.twin.funds()["balance"]
                if balance > 1:  # of a small balance a cent is much
                    assert abs(D(got[name]) - expected) < (D("1e-6") + CENT / balance) * max(D(1), expected)
            else:
                assert abs(D(got[name]) - expected) <= CENT, (name, got[name], expected)
        for symbol in SYMBOLS:
            position = self.core.position(symbol)
            for name, expected in self.twin.position(symbol).items():
                if name.startswith("volume"):
                    assert position[name] == expected, (symbol, name)
                else:
                    assert abs(D(position[name]) - expected) <= CENT, (symbol, name)

    @invariant()
    def nothing_is_lost(self) -> None:
        funds = self.core.funds()
        held = {symbol: self.core.position(symbol) for symbol in SYMBOLS}
        for symbol, p in held.items():
            assert p["volume_long"] - p["volume_short"] == self.lots[symbol], symbol
            for side in ("long", "short"):
                for days in ("today", "his"):
                    frozen = p[f"volume_{side}_frozen_{days}"]
                    assert 0 <= frozen <= p[f"volume_{side}_{days}"], (symbol, side, days)
        # What was put in, less what was paid for things and fees, is there, as cash or as things at market.
        value = D(0)
        for symbol in SYMBOLS:
            if self.terms[symbol].asset != "option":
                units = self.terms[symbol].multiple * self.lots[symbol]
                value += units * self.twin.last.get(symbol, D(0))
        there = D(funds["balance"]) + self.fees + D(funds["commission"])
        assert abs(self.moved - self.paid + value - there) <= CENT
        if not self.twin.orders:
            assert funds["frozen_margin"] == funds["frozen_commission"] == funds["frozen_premium"] == 0

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        again = CoreAccount(self.terms, self.margin_side)
        for name, arguments in self.log:
            getattr(again, name)(*arguments)
        assert again.ledger.state_hash() == self.core.ledger.state_hash()


class LargerSide(Accounts):
    terms: ClassVar = {s: Terms(**(vars(t) | {"group": n // 2})) for n, (s, t) in enumerate(TERMS.items())}
    margin_side = "max"


class OldFirst(Accounts):
    terms: ClassVar = {s: Terms(**(vars(t) | {"rule": "his_first"})) for s, t in TERMS.items()}


for machine in (Accounts, LargerSide, OldFirst):
    machine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)

TestAccounts = Accounts.TestCase
TestLargerSide = LargerSide.TestCase
TestOldFirst = OldFirst.TestCase
