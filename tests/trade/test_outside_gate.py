"""The gate before brokers outside, by the numbers of the live profile: it sees what our own exchange sees."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qautlra.model.order import (
    CancelOrder,
    Direction,
    InsertOrder,
    Offset,
    Order,
    PriceType,
    TimeCondition,
    Trade,
    order_from,
)
from qautlra.trade.brokers.gate import OutsideGate
from tests.ctp.test_broker import until
from tests.trade.test_router import House, order, play, release

__all__ = ["release"]
COPPER, INDEX = "SHFE.cu2109", "CFFEX.IF2109"
S = 1_000_000_000


class Market:
    """Two instruments, without a price unless they are given some."""

    def __init__(self, **prices: float) -> None:
        self.prices = prices

    def terms(self, symbol: str) -> Mapping[str, Any] | None:
        if symbol not in (COPPER, INDEX):
            return None
        return {"multiple": 5.0, "tick": 10.0, "margin": (0.1, 0.0)}

    def price(self, _symbol: str, name: str) -> float | None:
        return self.prices.get(name)


class Broker:
    """Takes every order the gate lets by, and shows it."""

    def __init__(self, **limits: Any) -> None:
        self.gate = OutsideGate(Market(), "live", **limits)
        self.orders: list[Order] = []
        self.trades: list[Trade] = []
        self.now_ns = S

    def insert(self, offset: str = "OPEN", price: float = 75000, symbol: str = COPPER, **more: Any) -> int:
        """Return the gate's code; a second passes with every ten orders."""
        number = len(self.orders)
        self.now_ns += S // 10
        asked = InsertOrder(
            account_id="one", order_id=f"o{number}", symbol=symbol, direction=Direction(offset != "OPEN"),
            offset=Offset[offset], volume=1, limit_price=price, **more,
        )  # fmt: skip
        code = self.gate.refusal(asked, self.now_ns)
        if not code:
            self.orders.append(order_from(asked, number=number, now_ns=self.now_ns, message=""))
            self.gate.follow("one", self.orders[-1:], ())
        return code

    def show(self, number: int, **change: Any) -> None:
        self.orders[number] = msgspec.structs.replace(self.orders[number], is_alive=False, **change)
        self.gate.follow("one", [self.orders[number]], ())

    def cancel(self, number: int) -> int:
        code = self.gate.refusal_of_cancel(self.orders[number], self.now_ns)
        if not code:
            self.gate.asked_to_cancel(self.orders[number])
            self.show(number)
        return code

    def trade(self, number: int) -> None:
        one = self.orders[number]
        self.trades.append(
            Trade(
                number=len(self.trades), seq=0, account_id="one", trade_id=f"t{len(self.trades)}",
                exchange_trade_id="", order_id=one.order_id, symbol=one.symbol, direction=one.direction,
                offset=one.offset, volume=1, price=75000.0, commission=0.0, close_profit=0.0, trade_ns=0,
            )
        )  # fmt: skip
        self.show(number, volume_left=0)
        self.gate.follow("one", (), self.trades[-1:])


@pytest.mark.parametrize("offset", ["OPEN", "CLOSE", "CLOSETODAY"])
def test_repeats_rates_and_living_orders_count_whatever_the_offset(offset: str) -> None:
    broker = Broker()
    assert [broker.insert(offset) for _ in range(11)] == [0] * 10 + [3009]
    assert [broker.insert(offset, 75000 + 10 * n) for n in range(1, 42)] == [0] * 40 + [3008]
    broker.trade(0)
    assert broker.insert(offset, 74990) == 0 and broker.insert(offset, 74980) == 3008
    broker = Broker()
    still = [broker.gate.refusal(order(f"{n}", "SELL", offset, 1, 75000), S) for n in range(21)]
    assert still == [0] * 20 + [9429]


def test_orders_of_a_day_and_a_contract() -> None:
    broker = Broker(active_max=0, repeats_max=0)
    for n in range(2000):
        assert broker.insert(("OPEN", "CLOSE")[n % 2]) == 0
    assert broker.insert() == 3010 and broker.insert("CLOSE") == 3010
    assert broker.insert(symbol=INDEX) == 0
    broker.gate.new_day()
    assert broker.insert() == 0


def test_cancels_have_a_rate_and_a_number() -> None:
    broker = Broker(active_max=0, repeats_max=0)
    for _ in range(1001):
        broker.insert()
    assert [broker.cancel(0) for _ in range(21)] == [0] * 20 + [9429]  # one withdrawal, asked for 20 times
    for number in range(1, 480):
        broker.now_ns += S // 10
        assert broker.insert() == 0
        assert broker.cancel(number) == 0
    assert broker.insert() == 3011 and broker.insert("CLOSE") == 0  # 480: no more opening
    for number in range(480, 1000):
        broker.now_ns += S // 10
        assert broker.cancel(number) == 0
    assert broker.cancel(1000) == 3011


def test_trades_have_a_number() -> None:
    broker = Broker(active_max=0, repeats_max=0)
    for number in range(1000):
        assert broker.insert() == 0
        broker.trade(number)
    assert broker.insert() == 3012 and broker.insert("CLOSE") == 3012
    broker.gate.follow("one", broker.orders, broker.trades)  # told again: nothing new
    assert broker.insert(symbol=INDEX) == 0


def test_what_others_sent_counts_and_what_was_refused_does_not() -> None:
    broker = Broker(contract_orders=3, cancels_block=2)
    broker.insert()
    first = broker.orders[0]
    rest = [msgspec.structs.replace(first, number=n, order_id=f"x{n}") for n in range(1, 6)]
    refused = [msgspec.structs.replace(one, is_alive=False, code=3004) for one in rest[:2]]
    killed = msgspec.structs.replace(rest[2], is_alive=False, time_condition=TimeCondition.IOC)
    broker.gate.follow("one", [*refused, killed], ())
    assert broker.gate.refusal(order("n", "BUY", "OPEN", 1, 75000), broker.now_ns) == 0
    broker.gate.follow("one", [rest[3]], ())
    assert broker.gate.refusal(order("n", "BUY", "OPEN", 1, 75000), broker.now_ns) == 3010
    broker.gate.begin("one")  # a new day of the broker's: its numbers are other orders
    broker.gate.new_day()
    for number in (0, 1):
        broker.gate.follow("one", [msgspec.structs.replace(first, number=number, is_alive=False)], ())
    assert broker.gate.refusal(order("n", "BUY", "OPEN", 1, 75000), broker.now_ns) == 3011


def test_a_silent_market_takes_no_order_without_a_price() -> None:
    market = Market(last_price=75000.0, upper_limit=82500.0, lower_limit=67500.0, datetime=float(S))
    gate = OutsideGate(market, "live", stale_ns=3 * S)
    asked = msgspec.structs.replace(
        order("a", "BUY", "OPEN", 1, 0), limit_price=None, price_type=PriceType.ANY
    )
    assert [gate.refusal(asked, now_ns) for now_ns in (S, 4 * S, 5 * S)] == [0, 0, 3016]
    market.prices["datetime"] = 5.0 * S
    assert gate.refusal(asked, 6 * S) == 0


def test_an_order_that_may_only_reduce_does_not_open() -> None:
    assert Broker().insert(reduce_only=True) == 3013 and Broker().insert("CLOSE", reduce_only=True) == 0


def test_the_router_asks_for_closes_and_cancels_and_counts_what_the_broker_shows(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        trade, venue = house.trade, house.venue.rig.trade
        gate = house.router.gate = OutsideGate(
            house.market, "live", active_max=3, contract_trades=2, cancels=(1, 2), orders=(0, 0)
        )

        def code(order_id: str, direction: str, offset: str, price: float) -> int:
            return trade.insert(order(order_id, direction, offset, 1, price)).code

        def cancel(order_id: str, *, force: bool = False) -> int:
            return trade.cancel(CancelOrder(account_id="one", order_id=order_id), force=force).code

        assert code("a", "BUY", "OPEN", 75010) == 0
        await until(lambda: len(trade.trades("one")) == 1)
        assert [code(f"b{n}", "SELL", "CLOSETODAY", 75100) for n in range(2)] == [0, 0]
        assert code("c", "BUY", "OPEN", 74000) == 0
        await until(lambda: len(venue.orders("one")) == 4)
        await until(lambda: trade.orders("one")[2].code)  # one lot was held: the exchange refuses the second
        assert code("d", "BUY", "OPEN", 74000) == 0  # so two are alive
        assert code("e", "SELL", "CLOSETODAY", 75100) == 3008 and code("e", "BUY", "OPEN", 74000) == 3008
        await until(lambda: all(one.exchange_order_id for one in trade.orders("one") if one.is_alive))
        assert cancel("nobody") == 3001 and (cancel("c"), cancel("c")) == (0, 0)
        assert cancel("d") == 9429 and cancel("d", force=True) == 0
        await until(lambda: sum(one.is_alive for one in trade.orders("one")) == 1)
        assert code("f", "BUY", "OPEN", 75010) == 0
        await until(lambda: len(trade.trades("one")) == 2)
        assert code("g", "BUY", "OPEN", 75010) == 3012
        # After a start the day is counted again, as the broker tells it.
        house.router.gate = OutsideGate(house.market, "live", contract_trades=2, contract_orders=5)
        house.router.new_day()
        assert code("h", "SELL", "CLOSETODAY", 75100) == 3010
        assert gate is not house.router.gate

    play(tmp_path, story)
