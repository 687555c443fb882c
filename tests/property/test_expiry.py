"""Random days at whose end contracts end: exchange equals twin, money stays, a replay comes to the same."""

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from qautlra._core import book
from qautlra._core.exchange import DELIVERED, EXERCISED, LAPSED, Exchange
from qautlra._core.journal import Journal, read
from tests.core.account_rig import OFFSETS, SIDES, pair
from tests.models.account import BUY, SELL, Account, Terms
from tests.models.expiry import Deal, expire

D = Decimal
CENT = D("0.01")
ONE = (D("0.0001"), D(0))
FEES = {"open": ONE, "close": ONE, "close_today": (D("0.0002"), D(0))}
CU, M, IO = "SHFE.cu2109", "DCE.m2109", "CFFEX.IO2109-C-5000"
CALL, PUT = "DCE.m2109-C-3500", "DCE.m2109-P-3500"
TERMS = {
    CU: Terms(5, D(10), (D("0.1"), D(0)), rule="split", **FEES),
    M: Terms(10, D(1), (D("0.05"), D(0)), **FEES),
    IO: Terms(100, D("0.2"), (D("0.1"), D(500)), **FEES, asset="option"),
    CALL: Terms(10, D("0.5"), (D("0.1"), D(100)), **FEES, asset="option"),
    PUT: Terms(10, D("0.5"), (D("0.1"), D(100)), **FEES, asset="option"),
}
MIDDLE = {CU: D(75_000), M: D(3_500), IO: D(80), CALL: D(60), PUT: D(60)}
STRIKE = D(3_500)
NUMBERS = {symbol: number for number, symbol in enumerate(TERMS)}
USERS = (1, 2, 3)
CASH = D(10_000_000)

symbols = st.sampled_from(list(TERMS))
users = st.sampled_from(USERS)
steps = st.integers(-10, 10)


def price_of(symbol: str, step: int) -> Decimal:
    return MIDDLE[symbol] + step * TERMS[symbol].tick


class Expiries(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.journal = Journal(Path(self.place.name))
        self.core = Exchange(self.journal, orders_max=2_000, live_orders_max=100, accounts_max=10)
        for symbol, t in TERMS.items():
            exchange, kind = symbol.partition(".")[0], book.OPTION if t.asset == "option" else book.FUTURE
            number = self.core.list(
                symbol, float(t.tick), float(2 * MIDDLE[symbol]), tick=float(t.tick), multiple=t.multiple,
                kinds=book.kinds_of(exchange, kind), margin=pair(t.margin), open=pair(t.open),
                close=pair(t.close), close_today=pair(t.close_today), asset=t.asset, close_rule=t.rule,
            )  # fmt: skip
            assert number == NUMBERS[symbol]
        self.twin = {user: Account(TERMS) for user in USERS}
        for user in USERS:
            assert self.core.open_account(f"user{user}", float(CASH)) == user
            self.twin[user].deposit(CASH)
        self.day, self.count, self.fees = 20210802, 0, D(0)
        self.core.settle(self.day)
        for symbol in TERMS:  # or what nobody has marked is worth what each bought it for
            self.mark(symbol, 0)
        self.begin()

    def begin(self) -> None:
        for number in NUMBERS.values():
            self.core.set_phase(number, book.CONTINUOUS)
        self.core.events()
        self.deals: list[Deal] = []

    @rule(symbol=symbols, buyer=users, seller=users, volume=st.integers(1, 5), step=steps, data=st.data())
    def meet(self, symbol: str, buyer: int, seller: int, volume: int, step: int, data: st.DataObject) -> None:
        """Two users trade with each other."""
        if buyer == seller:
            return
        price = price_of(symbol, step)
        sides = {buyer: BUY, seller: SELL}
        offsets = {
            user: data.draw(st.sampled_from(["OPEN", "OPEN", "CLOSE", "CLOSETODAY"])) for user in sides
        }
        for user, direction in sides.items():
            if isinstance(self.twin[user].plan(symbol, direction, offsets[user], volume, price), int):
                offsets[user] = "OPEN"
        for user, direction in sides.items():
            self.count += 1
            arguments: tuple[Any, ...] = (symbol, direction, offsets[user], volume, price)
            code, *_ = self.core.insert(
                user, f"o{self.count}", NUMBERS[symbol], SIDES[direction], OFFSETS[offsets[user]], volume,
                float(price), now_ns=self.count,
            )  # fmt: skip
            assert code == 0 == self.twin[user].trade(*arguments)
        assert self.core.accounts_live_orders == 0

    @rule(symbol=symbols, step=steps)
    def mark(self, symbol: str, step: int) -> None:
        self.core.mark(NUMBERS[symbol], float(price_of(symbol, step)))
        for account in self.twin.values():
            account.mark(symbol, price_of(symbol, step))

    @rule(ends=st.sets(symbols), at=st.fixed_dictionaries(dict.fromkeys(TERMS, steps)), fee=st.integers(0, 2))
    def end_of_day(self, ends: set[str], at: dict[str, int], fee: int) -> None:
        """Settle; contracts end before, options first. A second end of the same changes nothing."""
        prices = {symbol: price_of(symbol, step) for symbol, step in at.items()}
        assert self.core.end_day()[0] == 0
        for symbol, price in prices.items():
            self.core.set_settlement(NUMBERS[symbol], float(price))
            for account in self.twin.values():
                account.mark(symbol, price)
        for symbol in sorted(ends, key=lambda one: TERMS[one].asset != "option"):
            self.finish(symbol, prices, D(fee) / 10_000)
        self.the_same()
        found = [trade for n in range(self.core.trades) if (trade := self.core.trade(n))["reason"]]
        assert [self.shown(trade) for trade in found] == [self.expected(deal) for deal in self.deals]
        for symbol in ends:
            assert not any(
                position[f"volume_{side}"]
                for user in USERS
                for side in ("long", "short")
                if (position := self.core.account(user).position(NUMBERS[symbol])) is not None
            )
        self.fees += sum((account.commission for account in self.twin.values()), D(0))
        self.day += 1
        assert self.core.settle(self.day)[0] == 0
        for account in self.twin.values():
            assert account.settle() == 0
        self.begin()

    def finish(self, symbol: str, prices: dict[str, Decimal], fee: Decimal) -> None:
        more: dict[str, Any] = {}
        how, price = DELIVERED, prices[symbol]
        if symbol == IO:
            price = max(D(0), price - MIDDLE[IO])
            how = EXERCISED if price else LAPSED
        elif symbol in (CALL, PUT):
            price, value = D(0), prices[M] - STRIKE
            how = LAPSED
            if value > 0 if symbol == CALL else value < 0:
                how = EXERCISED
                more = {"into": M, "strike": STRIKE, "is_put": symbol == PUT}
        core = {**more, "into": NUMBERS[M], "strike": float(STRIKE)} if more else {}
        head = self.journal.head_lsn
        held = any(account.leg(symbol, side).volume for account in self.twin.values() for side in (BUY, SELL))
        for _ in range(2):
            answer = self.core.expire(
                NUMBERS[symbol], how, float(price), fee=float(fee), now_ns=self.count, **core
            )
            assert answer[0] == 0
        assert self.journal.head_lsn == head + held
        self.deals += expire(self.twin, symbol, price, fee, **more)

    def shown(self, trade: dict[str, Any]) -> tuple[Any, ...]:
        order = self.core.order(trade["order"])
        assert not order["alive"] and order["left"] == 0 and order["exchange_number"]
        assert order["volume"] == trade["volume"] and order["order_id"].startswith("expiry.")
        return (
            trade["account"], trade["instrument"], order["side"], order["offset"], trade["volume"],
            trade["price"], round(trade["commission"], 4), round(trade["close_profit"], 2),
        )  # fmt: skip

    def expected(self, deal: Deal) -> tuple[Any, ...]:
        return (
            deal.account, NUMBERS[deal.symbol], SIDES[deal.direction], OFFSETS[deal.offset], deal.volume,
            float(deal.price), round(float(deal.commission), 4), round(float(deal.close_profit), 2),
        )  # fmt: skip

    @invariant()
    def the_same(self) -> None:
        for user, twin in self.twin.items():
            account = self.core.account(user)
            got = account.funds()
            for name, expected in twin.funds().items():
                if name != "risk_ratio":
                    assert abs(D(got[name]) - expected) <= CENT, (user, name, got[name], expected)
            for symbol, number in NUMBERS.items():
                position = account.position(number)
                for name, expected in twin.position(symbol).items():
                    found = D(0) if position is None else D(position[name])
                    assert abs(found - expected) <= CENT, (user, symbol, name, found, expected)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each lot has two sides among the users: what they have together is what came in, less fees."""
        both = [self.core.account(user).funds() for user in USERS]
        there = sum((D(funds["balance"] + funds["commission"]) for funds in both), D(0)) + self.fees
        assert abs(there - CASH * len(USERS)) <= CENT
        for number in NUMBERS.values():
            held = [self.core.account(user).position(number) or {} for user in USERS]
            longs, shorts = (sum(p.get(f"volume_{s}", 0) for p in held) for s in ("long", "short"))
            assert longs == shorts
        assert self.core.broken == 0

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        self.journal.sync()
        again = Exchange(orders_max=2_000, live_orders_max=100, accounts_max=10)
        for _, kind, payload in read(self.place.name):
            assert again.replay(kind, payload) == 0
        assert again.state_hash() == self.core.state_hash()
        self.journal.close()
        self.place.cleanup()


Expiries.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestExpiries = Expiries.TestCase
