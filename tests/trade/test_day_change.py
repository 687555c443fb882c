"""The market goes from one trading day into the next while orders live: each day is dealt with alone."""

from __future__ import annotations

import gc
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import pytest

from qautlra.model.condition import (
    Condition,
    Conditional,
    Effect,
    Kind,
    Leg,
    Pricing,
    Relation,
    State,
    Validity,
)
from qautlra.model.order import AmendOrder, Direction
from tests.trade.rig import ACCOUNT, Rig, run

CU, RB = "SHFE.cu2109", "SHFE.rb2110"
TODAY: dict[str, float] = {"upper_limit": 82_500, "lower_limit": 67_500, "pre_settlement": 75_000}
NEXT: dict[str, float] = {"upper_limit": 82_550, "lower_limit": 67_550, "pre_settlement": 75_050}


def bought(rig: Rig) -> None:
    """One lot at 75,000; an order to sell another at 75,500 lives when the market closes at 75,100."""
    assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
    rig.quotes()
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=5, **TODAY)
    assert rig.send("o1", CU, "BUY", "OPEN", 1, 75_000).ok
    assert rig.send("o2", CU, "SELL", "OPEN", 1, 75_500).ok
    rig.at("2021-08-02 14:59:59")
    rig.tick(CU, 75_100, **TODAY)


def begins(rig: Rig, **more: Any) -> None:
    """The next day's first row comes at once, and far above: no second has passed."""
    rig.at("2021-08-02 21:00:00")
    rig.tick(CU, 76_000, bid_price1=76_000, bid_volume1=5, **NEXT | more)


def test_rows_of_the_next_day_neither_fill_nor_settle_the_day_before(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        bought(rig)
        begins(rig)
        assert rig.trade.trading_day == 20210803
        found = await rig.trade.settling.statement_of(ACCOUNT)
        assert found is not None and found.trading_day == 20210802
        assert [trade.order_id for trade in found.trades] == ["o1"]
        # What the next day calls the previous settlement is the day's settlement price.
        assert found.prices == {CU: 75_050}
        assert rig.trade.funds(ACCOUNT)["pre_balance"] == pytest.approx(1_000_000 - 18.75 + 250)
        assert rig.trade.funds(ACCOUNT)["position_profit"] == pytest.approx((76_000 - 75_050) * 5)

    run(tmp_path, body)


def test_a_day_left_without_a_word_of_its_settlement_ends_at_its_own_last_price(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        bought(rig)
        begins(rig, pre_settlement=float("nan"))
        found = await rig.trade.settling.statement_of(ACCOUNT)
        assert found is not None and found.prices == {CU: 75_100}

    run(tmp_path, body)


def test_days_that_were_missed_are_settled_at_what_was_known(tmp_path: Path) -> None:
    """Nobody looked from Monday on; Thursday's rows say nothing of Monday's end."""

    async def body(rig: Rig) -> None:
        bought(rig)
        rig.at("2021-08-05 09:00:00")
        rig.tick(CU, 76_000, **NEXT)
        assert rig.trade.trading_day == 20210805
        found = await rig.trade.settling.statement_of(ACCOUNT)
        assert found is not None and (found.trading_day, found.prices) == (20210802, {CU: 75_100})

    run(tmp_path, body)


@pytest.mark.parametrize("command", ["insert", "cancel", "amend"])
def test_a_command_between_the_clock_and_the_first_row_is_of_the_next_day(
    tmp_path: Path, command: str
) -> None:
    async def body(rig: Rig) -> None:
        bought(rig)
        rig.at("2021-08-02 21:00:00")
        if command == "insert":
            assert rig.send("o3", CU, "BUY", "OPEN", 1, 75_000).ok
            rig.trade.follow_day()
            assert [(o.order_id, o.is_alive) for o in rig.trade.orders(ACCOUNT)] == [("o3", True)]
        elif command == "cancel":
            assert rig.cancel("o2").code == 3001
        else:
            assert rig.trade.amend(AmendOrder(account_id=ACCOUNT, order_id="o2", price=75_400)).code == 3001
        assert rig.trade.trading_day == 20210803

    run(tmp_path, body)


def test_a_day_that_cannot_be_settled_trades_with_no_row_of_the_next(tmp_path: Path) -> None:
    """The feed goes on for everybody else; the next turn tries again."""

    async def body(rig: Rig) -> None:
        bought(rig)
        with sqlite3.connect(tmp_path / "trade" / "statements.db") as other:
            other.execute("ALTER TABLE statements RENAME TO hidden")
        begins(rig)
        assert rig.trade.trading_day == 20210802
        assert rig.send("o3", CU, "BUY", "OPEN", 1, 75_000).code == 4004
        begins(rig)
        assert [trade.order_id for trade in rig.trade.trades(ACCOUNT)] == ["o1"]
        with sqlite3.connect(tmp_path / "trade" / "statements.db") as other:
            other.execute("ALTER TABLE hidden RENAME TO statements")
        rig.trade.follow_day()
        found = await rig.trade.settling.statement_of(ACCOUNT)
        assert found is not None and found.prices == {CU: 75_050}
        assert rig.send("o4", CU, "BUY", "OPEN", 1, 75_000).ok

    run(tmp_path, body)


def test_a_day_settled_by_hand_is_followed_by_one_that_trades(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        bought(rig)
        rig.at("2021-08-02 15:20:00")
        rig.trade.on_batch()
        assert rig.trade.settling.settle(by="root").ok
        assert rig.send("o3", CU, "BUY", "OPEN", 1, 75_000).code == 4004
        rig.at("2021-08-02 20:56:00")
        assert rig.send("o4", CU, "BUY", "OPEN", 1, 75_000).ok  # the auction
        begins(rig)
        assert rig.send("o5", CU, "SELL", "OPEN", 1, 75_500).ok
        assert [(t.order_id, t.price) for t in rig.trade.trades(ACCOUNT)] == [("o5", 76_000)]

    run(tmp_path, body)


def test_the_next_auctions_reference_is_the_days_price_of_what_nobody_held_too(tmp_path: Path) -> None:
    """Of the prices that trade most, the call auction takes the one closest to it."""

    async def body(rig: Rig) -> None:
        bought(rig)
        assert rig.trade.open_account("other", 100_000).ok
        assert rig.trade.engine.instrument(RB) is not None  # listed, no more
        rig.tick(RB, 5_100, upper_limit=5_500, lower_limit=4_500, settlement=5_103)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert rig.send("r1", RB, "BUY", "OPEN", 1, 5_105).ok
        assert rig.send("r2", RB, "SELL", "OPEN", 1, 5_095, account="other").ok
        rig.at("2021-08-02 21:00:00")
        rig.tick(RB, 5_001, upper_limit=5_500, lower_limit=4_500)
        assert [trade.price for trade in rig.trade.trades(ACCOUNT)] == [5_103]

    run(tmp_path, body)


def test_a_contract_takes_no_orders_behind_its_last_day(tmp_path: Path) -> None:
    """Unless the market shows it on a later day: then the rule that told the day was wrong."""

    async def body(rig: Rig) -> None:
        bought(rig)
        rig.trade.engine._last_day = lambda symbol: 20210802 if symbol == CU else 0
        rig.at("2021-08-03 10:00:00")
        rig.tick(RB, 5_001)
        assert rig.send("o3", CU, "BUY", "OPEN", 1, 75_000).code == 4004
        assert rig.send("r1", RB, "BUY", "OPEN", 1, 5_000).ok
        rig.at("2021-08-03 10:05:00")
        rig.tick(CU, 75_000, **NEXT)
        assert rig.send("o4", CU, "BUY", "OPEN", 1, 75_000).ok

    run(tmp_path, body)


def test_a_settlement_price_that_stands_before_the_close_is_no_settlement_price(tmp_path: Path) -> None:
    """CZCE sends one from the night on; an operator who forces the day's end gets the last price."""

    async def body(rig: Rig) -> None:
        bought(rig)
        rig.tick(CU, 75_110, settlement=74_000, **TODAY)
        assert rig.trade.settling.settle(by="root", force=True).ok
        found = await rig.trade.settling.statement_of(ACCOUNT)
        assert found is not None and found.prices == {CU: 75_110}

    run(tmp_path, body)


def waiting(rig: Rig, name: str, validity: Validity) -> None:
    """A conditional order for a price that only the next day shows."""
    leg = Leg(
        symbol=CU,
        direction=Direction.BUY,
        effect=Effect.OPEN,
        volume=1,
        pricing=Pricing.LIMIT,
        limit_price=75_000.0,
    )
    condition = Condition(kind=Kind.PRICE, symbol=CU, price=75_900, relation=Relation.GE)
    order = Conditional(
        account_id=ACCOUNT, order_id=name, conditions=(condition,), legs=(leg,), validity=validity
    )
    assert rig.trade.conditions.insert(order).ok


def test_the_next_days_first_row_touches_no_conditional_order_of_the_day(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        bought(rig)
        waiting(rig, "today", Validity.GFD)
        waiting(rig, "ever", Validity.GTC)
        rig.at("2021-08-02 21:00:00")
        waiting(rig, "next", Validity.GFD)  # the clock says so, and no row yet
        begins(rig)
        states = {order.order_id: order.state for order in rig.trade.conditions.list(ACCOUNT)}
        assert states == {"today": State.DISCARD, "ever": State.TOUCHED, "next": State.TOUCHED}
        assert [order.order_id for order in rig.trade.orders(ACCOUNT)] == ["CO.ever.1", "CO.next.1"]

    run(tmp_path, body)


def test_a_service_stopped_at_the_moment_it_has_settled_leaves_nothing_begun(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        bought(rig)
        begins(rig)
        assert rig.trade.trading_day == 20210803  # and its checkpoint is about to be counted

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run(tmp_path, body)
        gc.collect()
    assert [str(one.message) for one in seen if "never awaited" in str(one.message)] == []
