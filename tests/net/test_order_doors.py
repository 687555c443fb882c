"""Every door an order comes in by over REST takes price and kind alike."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.net.trading_front import TradingFront

CU = "SHFE.cu2109"
LIVING = "living"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TradingFront]:
    found = TradingFront(tmp_path_factory.mktemp("doors"))
    found.quotes()
    found.post("ann", "/api/order/submit", order(price=74000, order_id=LIVING))
    yield found
    found.stop()


def order(**more: Any) -> dict[str, Any]:
    return {
        "account_id": "acc001", "instrument_id": CU, "direction": "BUY", "offset": "OPEN", "volume": 1,
    } | more  # fmt: skip


def submitted(front: TradingFront, **more: Any) -> int:
    """Return the code one order by itself is answered with, 0 when it is taken."""
    reply = front.call("ann", "POST", "/api/order/submit", order(**more)).json
    return 0 if reply["success"] else int(reply["error"]["code"])


def in_a_batch(front: TradingFront, **more: Any) -> int:
    sent = {"account_id": "acc001", "orders": [order(**more)]}
    (result,) = front.post("ann", "/api/order/batch", sent)["results"]
    return 0 if result["success"] else int(result["error"]["code"])


def conditional(purpose: str, front: TradingFront, price: float | None = None, **more: Any) -> int:
    waits = {"trigger_price": 90000, "trigger_condition": "GE", "condition_type": purpose}
    sent = order(**waits, **({} if price is None else {"limit_price": price}), **more)
    reply = front.call("ann", "POST", "/api/order/conditional", sent).json
    return 0 if reply["success"] else int(reply["error"]["code"])


def stop_loss(front: TradingFront, **more: Any) -> int:
    return conditional("STOP_LOSS", front, **more)


def take_profit(front: TradingFront, **more: Any) -> int:
    return conditional("TAKE_PROFIT", front, **more)


def price_touch(front: TradingFront, **more: Any) -> int:
    return conditional("PRICE_TOUCH", front, **more)


@pytest.mark.parametrize("door", [submitted, in_a_batch, stop_loss, take_profit, price_touch])
def test_price_and_kind_mean_the_same_by_every_door(front: TradingFront, door: Any) -> None:
    def listed() -> tuple[int, int]:
        alive = front.get("ann", "/api/order/user/ann?status=alive")
        return len(alive), front.get("ann", "/api/order/conditional/statistics")["pending"]

    before = listed()
    for kind in ({}, {"order_type": "LIMIT"}, {"order_type": "limit"}):
        assert door(front, **kind) == 3003, kind
        for price in (0, -5):
            assert door(front, price=price, **kind) == 3003, price
    for kind in ("", "STOP", "LIMITED", "OTHER"):
        assert door(front, price=74000, order_type=kind) == 1008, kind
    assert listed() == before
    assert door(front, price=74000) == 0
    assert listed() != before


@pytest.mark.parametrize("kind", ["BEST", "FIVELEVEL"])
def test_what_waits_has_a_limit_or_goes_to_the_market(front: TradingFront, kind: str) -> None:
    """A conditional order knows no other kinds, so asks for none are answered as if for a market order."""
    assert price_touch(front, order_type=kind) == 1008


def test_a_conditional_market_order_needs_no_price(front: TradingFront) -> None:
    sent = order(trigger_price=90000, trigger_condition="GE", order_type="MARKET")
    made = front.post("ann", "/api/order/conditional", sent)
    assert (made["order_type"], made["limit_price"]) == ("MARKET", None)
    sent = order(trigger_price=90000, trigger_condition="GE", order_type="LIMIT", limit_price=74000)
    made = front.post("ann", "/api/order/conditional", sent)
    assert (made["order_type"], made["limit_price"]) == ("LIMIT", 74000)


@pytest.mark.parametrize("price", [0, -5])
def test_a_price_that_is_none_changes_no_order(front: TradingFront, price: float) -> None:
    sent = {"account_id": "acc001", "new_price": price}
    assert front.error("ann", "PUT", f"/api/order/modify/{LIVING}", sent) == (400, 3003)
    assert front.get("ann", f"/api/order/{LIVING}")["price"] == 74000
