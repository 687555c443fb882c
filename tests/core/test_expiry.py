"""The end of a contract on the exchange: what is refused, what has no room, which ids it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from qautlra._core import book
from qautlra._core.exchange import DELIVERED, EXERCISED, LAPSED, Exchange
from qautlra._core.journal import Journal, read
from tests.core.test_exchange import BUY, CU, DAY, OPEN, SELL, funds, opened


def both_hold(x: Exchange, lots: int = 2) -> None:
    """acc001 has bought what acc002 has sold of cu2109, at 75,000."""
    x.insert(1, "b", 0, BUY, OPEN, lots, 75_000)
    x.insert(2, "s", 0, SELL, OPEN, lots, 75_000)
    x.mark(0, 75_000)
    assert x.holders(0) == [1, 2]


def test_it_is_refused_while_the_contract_trades_or_makes_no_sense() -> None:
    x = opened()
    assert x.list("SSE.600000", 1, 100, tick=0.01, asset="stock") == 2
    both_hold(x)
    assert x.expire(0, DELIVERED, 75_100)[0] == 2005
    x.end_day()
    for wrong in (EXERCISED, LAPSED):
        assert x.expire(0, wrong, 75_100)[0] == 1008
    assert x.expire(0, DELIVERED, 75_100, into=1)[0] == x.expire(2, DELIVERED, 10)[0] == 1008
    assert x.expire(0, DELIVERED, 75_100, fee=1.5)[0] == 1008
    assert x.expire(0, DELIVERED, -1)[0] == x.expire(0, DELIVERED, float("nan"))[0] == 3003
    assert x.expire(9, DELIVERED, 1)[0] == 1007
    with pytest.raises(ValueError, match="no end"):
        x.expire(0, 1, 75_100)
    assert x.expire(1, DELIVERED, 5_000) == (0, None, 0)  # nobody holds it
    funds(x, margin=75_000, close_profit=0)
    x.events()
    assert x.expire(0, DELIVERED, 75_100)[0] == 0
    funds(x, margin=0, close_profit=1_000, commission=37.5, balance=1_000_962.5, available=1_000_962.5)
    assert [(event[0], event[3]) for event in x.events()] == [
        ("order", 1), ("trade", 1), ("order", 2), ("trade", 2),
    ]  # fmt: skip
    assert x.settle(DAY + 1)[0] == 0 and x.holders(0) == [] and x.broken == 0


def test_an_id_that_was_used_today_is_not_used_again() -> None:
    x = opened()
    both_hold(x)
    x.insert(1, "expiry.SHFE.cu2109.1", 0, BUY, OPEN, 1, 60_010)
    x.end_day()
    assert x.expire(0, DELIVERED, 75_000)[0] == 0
    assert [x.order(n)["order_id"] for n in x.orders_of(1)][-2:] == [
        "expiry.SHFE.cu2109.1", "expiry.SHFE.cu2109.2",
    ]  # fmt: skip


def test_what_has_no_room_today_goes_with_another_day(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        x = opened(journal, orders_max=3)
        both_hold(x)
        x.end_day()
        assert x.expire(0, DELIVERED, 75_100)[0] == 5001
        funds(x, margin=0)
        funds(x, 2, margin=75_000, position_profit=0)
        assert x.settle(DAY + 1)[0] == 0
        assert x.expire(0, DELIVERED, 75_200)[0] == 0
        funds(x, 2, margin=0, close_profit=-2_000)
        assert journal.sync()
        again = Exchange(orders_max=3)
        for _, kind, payload in read(tmp_path):
            assert again.replay(kind, payload) == 0
        assert again.state_hash() == x.state_hash()


def test_more_lots_than_an_order_has_go_by_several() -> None:
    x = Exchange()
    terms = CU | {"margin": (0, 0), "open": (0, 0), "tick": 0.01, "multiple": 1}
    assert x.list("DCE.x2109", 0.01, 1, kinds=book.kinds_of("DCE", book.FUTURE), **terms) == 0
    account = x.open_account("a", 1e6)
    x.settle(DAY)
    most = (1 << 30) - 1
    x.account(account).set_leg(0, BUY, his=3 * most, cost_his=0.01 * 3 * most, last=0.01)
    x.end_day()
    assert x.expire(0, DELIVERED, 0.01)[0] == 0
    assert [x.trade(n)["volume"] for n in x.trades_of(account)] == [most, most, most]
    assert x.account(account).funds()["close_profit"] == 0
