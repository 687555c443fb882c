"""Conditional orders: what touches them, what they release, and that a kill neither loses nor repeats one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from qautlra.model.condition import (
    Condition,
    Conditional,
    ConditionAnswer,
    Effect,
    Kind,
    Leg,
    Outcome,
    Pricing,
    Relation,
    State,
    Validity,
    price_order,
)
from qautlra.model.order import Change, Direction, Offset, PriceType, TimeCondition
from tests.trade.rig import ACCOUNT, Rig, beijing_ns, run

CU, RB, M = "SHFE.cu2109", "SHFE.rb2110", "DCE.m2109"
BUY, SELL = Direction.BUY, Direction.SELL
LIMITS = {"upper_limit": 82_500, "lower_limit": 67_500}


def opened(rig: Rig) -> None:
    assert rig.trade.open_account(ACCOUNT, 10_000_000).ok
    rig.quotes()


def at_price(price: float, relation: str = "GE", symbol: str = CU) -> Condition:
    return Condition(kind=Kind.PRICE, symbol=symbol, price=price, relation=Relation(relation))


def leg(direction: Direction = BUY, effect: str = "OPEN", volume: float = 1, **more: Any) -> Leg:
    values = {"symbol": CU, "pricing": Pricing.LIMIT, "limit_price": 75_000.0} | more
    return Leg(direction=direction, effect=Effect(effect), volume=volume, **values)


def insert(rig: Rig, name: str, *conditions: Condition, legs: Any = None, **more: Any) -> ConditionAnswer:
    return rig.trade.conditions.insert(
        Conditional(
            account_id=ACCOUNT,
            order_id=name,
            conditions=conditions,
            legs=(leg(),) if legs is None else tuple(legs),
            **more,
        )
    )


def state(rig: Rig, name: str) -> State:
    order = rig.trade.conditions.get(ACCOUNT, name)
    assert order is not None
    return order.state


def sent(rig: Rig, name: str, number: int = 1) -> Any:
    return rig.trade.find(ACCOUNT, f"CO.{name}.{number}")


@pytest.mark.parametrize(
    ("relation", "below", "meets"),
    [("GE", 75_090, 75_100), ("G", 75_100, 75_110), ("LE", 74_910, 74_900), ("L", 74_900, 74_890)],
)
def test_a_price_touches_at_the_first_tick_there(
    tmp_path: Path, relation: str, below: float, meets: float
) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        answer = insert(rig, "c", at_price(75_100 if relation[0] == "G" else 74_900, relation))
        assert answer.ok and answer.outcome is Outcome.INSERTED and answer.lsn
        rig.tick(CU, below)
        assert state(rig, "c") is State.LIVE and sent(rig, "c") is None
        rig.tick(CU, meets)
        assert state(rig, "c") is State.TOUCHED
        order = sent(rig, "c")
        assert (order.volume, order.limit_price, order.is_alive) == (1, 75_000, True)
        assert rig.trade.funds(ACCOUNT)["frozen_margin"] == 37_500
        rig.tick(CU, meets)
        assert len(rig.trade.orders(ACCOUNT)) == 1

    run(tmp_path, body)


def test_no_tick_of_a_batch_is_passed_over(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        insert(rig, "c", at_price(75_100))
        rig.ticks(CU, [75_050, 75_110, 75_040])
        assert state(rig, "c") is State.TOUCHED

    run(tmp_path, body)


def test_rows_between_triggers_are_passed_over_and_none_that_matters(tmp_path: Path) -> None:
    """Many wait, the price walks: each is touched by the first row at its trigger, whatever came before."""

    async def body(rig: Rig) -> None:
        opened(rig)
        moves = [7, -30, 55, -80, 20, 90, -140, 60, 10, -10, 0, 170, -300, 250]
        triggers = [(75_000 + step, "GE") for step in range(20, 200, 20)]
        triggers += [(75_000 - step, "LE") for step in range(20, 200, 20)]
        for number, (price, relation) in enumerate(triggers):
            assert insert(rig, f"c{number}", at_price(price, relation)).ok
        price, waiting = 75_000, dict(enumerate(triggers))
        for move in moves:
            price += move
            rig.tick(CU, price)
            for number, (trigger, relation) in list(waiting.items()):
                if price >= trigger if relation == "GE" else price <= trigger:
                    del waiting[number]
            live = {o.order_id for o in rig.trade.conditions.list(ACCOUNT) if o.state is State.LIVE}
            assert live == {f"c{number}" for number in waiting}, price

    run(tmp_path, body, conditions={"day_max": 100, "valid_max": 100})


def test_a_row_looks_only_at_those_whose_price_it_passed(tmp_path: Path) -> None:
    """However many wait for an instrument, in an auction too: one more that is sent costs one look."""
    names = [f"c{number}" for number in range(200)]

    async def body(rig: Rig) -> None:
        opened(rig)
        looks: list[str] = []
        conditions, look_at = rig.trade.conditions, rig.trade.conditions._look_at
        conditions._look_at = lambda order: (looks.append(order.order_id), look_at(order))  # type: ignore

        def looked(price: float) -> list[str]:
            looks.clear()
            rig.tick(CU, price)
            return list(looks)

        for number, name in enumerate(names):
            assert insert(rig, name, at_price(75_100 + 10 * number), validity=Validity.GTC).ok
        assert looked(75_010) == names and not looked(75_020) and not looked(75_020)
        assert looked(75_110) == ["c0", "c1"] and state(rig, "c1") is State.TOUCHED
        assert insert(rig, "new", at_price(75_500)).ok
        assert looked(75_115) == ["new"] and looked(75_100) == []
        assert conditions.pause(ACCOUNT, "c2").ok and looked(75_120) == []
        assert conditions.resume(ACCOUNT, "c2").ok and looked(75_119) == ["c2"]
        rig.at("2021-08-02 10:20:00")
        assert looked(75_135)[0] in ("c3", "c2") and looked(75_136) == []
        rig.at("2021-08-02 10:30:00")
        assert set(looked(75_136)) == {"c2", "c3"} and state(rig, "c3") is State.TOUCHED

    run(tmp_path, body, conditions={"day_max": 300, "valid_max": 300})


def test_the_end_of_a_day_with_many_takes_a_moment(tmp_path: Path) -> None:
    """Each that ends is counted, not looked for among all the others."""
    reads = 0

    async def body(rig: Rig) -> None:
        nonlocal reads
        opened(rig)
        for number in range(3000):
            assert insert(rig, f"c{number}", at_price(76_000)).ok

        def is_waiting(order: Conditional) -> bool:
            nonlocal reads
            reads += 1
            return order.state in (State.LIVE, State.SUSPEND)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Conditional, "is_waiting", property(is_waiting))
            assert rig.trade.settling.settle(by="", force=True).ok
            for _ in range(3000):
                await asyncio.sleep(0)
        assert len(rig.trade.conditions.list(ACCOUNT)) == 1000
        assert reads < 10 * 3000

    run(tmp_path, body, conditions={"day_max": 3000, "valid_max": 3000})


def test_a_trigger_passed_while_closed_is_met_at_the_opening(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        insert(rig, "c", at_price(75_100))
        rig.at("2021-08-02 10:20:00")
        rig.tick(CU, 75_200)
        assert state(rig, "c") is State.LIVE
        rig.at("2021-08-02 10:30:00")
        rig.tick(CU, 75_200)
        assert state(rig, "c") is State.TOUCHED

    run(tmp_path, body)


def test_range_and_break_even(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        insert(rig, "range", Condition(kind=Kind.PRICE_RANGE, symbol=CU, left=75_200, right=75_300))
        insert(rig, "even", Condition(kind=Kind.BREAK_EVEN, symbol=CU, price=75_100, direction=BUY))
        rig.tick(CU, 75_310)  # past both
        assert state(rig, "range") is State.LIVE and state(rig, "even") is State.LIVE
        order = rig.trade.conditions.get(ACCOUNT, "even")
        assert order is not None and order.armed == (0,)
        rig.tick(CU, 75_300)
        assert state(rig, "range") is State.TOUCHED and state(rig, "even") is State.LIVE
        rig.tick(CU, 75_100)
        assert state(rig, "even") is State.TOUCHED

    run(tmp_path, body)


def test_times_and_openings(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        ten = Condition(kind=Kind.TIME, symbol=CU, time_ns=beijing_ns("2021-08-02 10:00:00"))
        insert(rig, "time", ten)
        both = insert(rig, "both", ten, at_price(75_100), every=True)
        assert both.ok
        rig.tick(CU, 75_100)
        assert state(rig, "both") is State.LIVE  # the price alone
        rig.at("2021-08-02 10:00:00")
        rig.tick(RB, 5001)  # any tick moves the clock
        assert state(rig, "time") is State.TOUCHED and state(rig, "both") is State.TOUCHED
        opening = Condition(kind=Kind.MARKET_OPEN, symbol=CU)
        assert insert(rig, "now", opening).outcome is Outcome.ALREADY_MET
        rig.at("2021-08-02 10:20:00")  # the break
        assert insert(rig, "open", opening).ok
        rig.trade.conditions.on_turn()
        assert state(rig, "open") is State.LIVE
        rig.at("2021-08-02 10:30:00")
        rig.trade.conditions.on_turn()
        assert state(rig, "open") is State.TOUCHED and sent(rig, "open").is_alive

    run(tmp_path, body)


def test_a_price_outside_of_trading_releases_nothing(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        insert(rig, "c", at_price(75_100))
        rig.at("2021-08-02 15:10:00")
        rig.tick(CU, 75_200)
        assert state(rig, "c") is State.LIVE

    run(tmp_path, body)


@pytest.mark.parametrize(
    ("pricing", "price", "price_type", "time"),
    [
        (Pricing.CONTINGENT, 75_100, PriceType.LIMIT, TimeCondition.GFD),
        (Pricing.CONSIDERATION, 75_120, PriceType.LIMIT, TimeCondition.GFD),
        (Pricing.OVER, 82_500, PriceType.LIMIT, TimeCondition.GFD),
        (Pricing.MARKET, 82_500, PriceType.LIMIT, TimeCondition.IOC),  # SHFE takes no market orders
    ],
)
def test_where_the_price_comes_from(
    tmp_path: Path, pricing: Pricing, price: float, price_type: PriceType, time: TimeCondition
) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        insert(rig, "c", at_price(75_100), legs=[leg(pricing=pricing)])
        rig.tick(CU, 75_130, ask_price1=75_120, ask_volume1=9, bid_price1=75_110, bid_volume1=9, **LIMITS)
        order = sent(rig, "c")
        assert order.price_type is price_type and order.time_condition is time
        assert order.limit_price == price

    run(tmp_path, body)


async def two_lots_over_two_days(rig: Rig) -> None:
    """One lot of yesterday, two of today."""
    opened(rig)
    rig.send("y", CU, "BUY", "OPEN", 1, 75_000)
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=1)
    rig.at("2021-08-02 21:00:00")
    rig.trade.follow_day()
    rig.send("t", CU, "BUY", "OPEN", 2, 75_000)
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2, upper_limit=82_500, lower_limit=67_500)
    [position] = rig.trade.positions(ACCOUNT)
    assert (position["volume_long_his"], position["volume_long_today"]) == (1, 2)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"close_all": True, "volume": 0}, [("CLOSETODAY", 2), ("CLOSE", 1)]),
        ({"close_all": True, "volume": 0, "today_first": False}, [("CLOSE", 1), ("CLOSETODAY", 2)]),
        ({"volume": 1}, [("CLOSETODAY", 1)]),
        ({"volume": 2, "today_first": False}, [("CLOSE", 1), ("CLOSETODAY", 1)]),
    ],
)
def test_closing_splits_todays_lots_from_older_ones(
    tmp_path: Path, more: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    async def body(rig: Rig) -> None:
        await two_lots_over_two_days(rig)
        insert(rig, "c", at_price(74_900, "LE"), legs=[leg(SELL, "CLOSE", pricing=Pricing.OVER, **more)])
        rig.tick(CU, 74_900, bid_price1=74_900, bid_volume1=5, **LIMITS)
        found = [o for o in rig.trade.orders(ACCOUNT) if o.order_id.startswith("CO.")]
        assert [(o.offset.name, o.volume) for o in found] == expected
        assert all(not o.is_alive and not o.volume_left and not o.code for o in found)

    run(tmp_path, body)


def test_the_accounts_own_closing_orders_make_way(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await two_lots_over_two_days(rig)
        assert rig.send("mine", CU, "SELL", "CLOSETODAY", 2, 76_000).ok
        everything = leg(SELL, "CLOSE", 0, close_all=True, pricing=Pricing.OVER)
        insert(rig, "c", at_price(74_900, "LE"), legs=[everything], cancel_closing=True)
        rig.tick(CU, 74_900, bid_price1=74_900, bid_volume1=5, **LIMITS)
        mine = rig.trade.find(ACCOUNT, "mine")
        assert mine is not None and not mine.is_alive and mine.volume_left == 2
        assert rig.trade.positions(ACCOUNT)[0]["volume_long"] == 0

    run(tmp_path, body)


def test_a_reversal_opens_when_all_is_closed(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await two_lots_over_two_days(rig)
        around = leg(SELL, "REVERSE", 0, close_all=True, limit_price=74_900)
        insert(rig, "c", at_price(74_900, "LE"), legs=[around])
        rig.tick(CU, 74_900, bid_price1=74_900, bid_volume1=1)
        assert sent(rig, "c", 1) is not None and sent(rig, "c", 3) is None
        rig.tick(CU, 74_900, bid_price1=74_900, bid_volume1=9)
        rig.tick(CU, 74_900)
        assert sent(rig, "c", 3).offset is Offset.OPEN and sent(rig, "c", 3).volume == 3
        other = insert(rig, "d", at_price(74_000, "LE"), legs=[leg(SELL, "REVERSE", 9)])
        assert other.ok
        rig.tick(CU, 74_000)
        order = rig.trade.conditions.get(ACCOUNT, "d")
        assert order is not None and not order.is_releasing
        assert [r.code for r in order.releases][-1] == 3023 and "反手开仓未发出" not in order.text[:4]

    run(tmp_path, body)


def test_an_order_the_gate_refuses_is_on_record(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        insert(rig, "c", at_price(75_100), legs=[leg(volume=5_000)])
        rig.tick(CU, 75_100)
        order = rig.trade.conditions.get(ACCOUNT, "c")
        assert order is not None and [r.code for r in order.releases] == [1001]
        assert order.state is State.TOUCHED and order.text == "已触发,委托未成功:开仓保证金不足"
        assert sent(rig, "c").code == 1001
        assert rig.trade.conditions.statistics(ACCOUNT)["failed"] == 1

    run(tmp_path, body)


def test_pause_resume_cancel(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        conditions = rig.trade.conditions
        insert(rig, "c", at_price(75_100))
        assert conditions.pause(ACCOUNT, "c").outcome is Outcome.PAUSED
        assert conditions.pause(ACCOUNT, "c").outcome is Outcome.PAUSE_PAUSED
        rig.tick(CU, 75_100)
        assert state(rig, "c") is State.SUSPEND
        assert conditions.resume(ACCOUNT, "c").outcome is Outcome.RESUMED
        assert conditions.resume(ACCOUNT, "c").outcome is Outcome.RESUME_NOT_PAUSED
        rig.tick(CU, 75_100)
        assert conditions.cancel(ACCOUNT, "c").outcome is Outcome.CANCEL_TOUCHED
        insert(rig, "d", at_price(76_000))
        assert conditions.cancel(ACCOUNT, "d").outcome is Outcome.CANCELLED
        assert conditions.cancel(ACCOUNT, "d").outcome is Outcome.CANCEL_CANCELLED
        rig.tick(CU, 76_000)
        assert sent(rig, "d") is None
        for call in (conditions.cancel, conditions.pause, conditions.resume):
            assert call(ACCOUNT, "no").code == 3020
        assert [o.order_id for o in conditions.history(ACCOUNT, 20210802)] == ["c", "d"]
        assert conditions.history(ACCOUNT, 20210803) == []

    run(tmp_path, body)


def test_what_cannot_be_taken(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        past = beijing_ns("2021-08-02 09:00:00")
        good = at_price(76_000)

        def outcome(*conditions: Condition, **more: Any) -> Outcome:
            answer = insert(rig, "x", *conditions, **more)
            assert not answer.ok and answer.text and answer.order is None
            return answer.outcome

        assert outcome(at_price(1, symbol="SHFE.zz2109")) is Outcome.BAD_INSTRUMENT
        assert outcome() is Outcome.BAD_INSTRUMENT
        assert outcome(Condition(kind=Kind.TIME, symbol=CU, time_ns=past)) is Outcome.TIME_PAST
        assert outcome(at_price(float("nan"))) is Outcome.BAD_PRICE
        assert outcome(at_price(75_000)) is Outcome.ALREADY_MET
        assert outcome(good, at_price(75_000, "LE")) is Outcome.ALREADY_MET
        assert outcome(at_price(75_000), at_price(75_000, "LE"), every=True) is Outcome.ALL_MET
        backwards = Condition(kind=Kind.PRICE_RANGE, symbol=CU, left=2, right=1)
        assert outcome(backwards) is Outcome.BAD_RANGE
        assert outcome(Condition(kind=Kind.BREAK_EVEN, symbol=CU, price=-1)) is Outcome.BAD_BREAK_EVEN
        assert outcome(good, legs=[leg(symbol="X.y")]) is Outcome.BAD_ORDER_INSTRUMENT
        assert outcome(good, legs=[]) is Outcome.BAD_VOLUME
        assert outcome(good, legs=[leg(volume=0.5)]) is Outcome.BAD_VOLUME
        assert outcome(good, legs=[leg(close_all=True)]) is Outcome.BAD_VOLUME
        assert outcome(good, legs=[leg(limit_price=0.0)]) is Outcome.BAD_ORDER_PRICE
        assert outcome(good, legs=[leg(symbol=RB, pricing=Pricing.CONTINGENT)]) is Outcome.BAD_ORDER_PRICE
        assert outcome(good, validity=Validity.GTD, last_day=20210801) is Outcome.BAD_DAY
        assert outcome(good, until_ns=past) is Outcome.BAD_DAY
        assert insert(rig, "x", good).ok
        assert outcome(good) is Outcome.DUPLICATE
        nobody = Conditional(account_id="nobody", order_id="x", conditions=(good,), legs=(leg(),))
        assert rig.trade.conditions.insert(nobody).outcome is Outcome.WRONG_USER
        for number in range(19):
            assert insert(rig, f"n{number}", good).ok
        assert outcome(good, legs=[leg()]) is Outcome.DUPLICATE
        assert insert(rig, "many", good).outcome is Outcome.TOO_MANY_TODAY

    run(tmp_path, body)


def test_no_more_than_may_wait(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        assert insert(rig, "a", at_price(76_000)).ok and insert(rig, "b", at_price(76_000)).ok
        assert insert(rig, "c", at_price(76_000)).outcome is Outcome.TOO_MANY
        rig.trade.conditions.cancel(ACCOUNT, "a")
        assert insert(rig, "c", at_price(76_000)).ok

    run(tmp_path, body, conditions={"day_max": 100, "valid_max": 2})


def test_what_trades_an_ended_contract_waits_no_more(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        rig.last_days[CU] = 20210802
        insert(rig, "ends", at_price(80_000), validity=Validity.GTC)
        insert(
            rig, "stays", at_price(80_000), validity=Validity.GTC,
            legs=[leg(symbol="DCE.m2109", limit_price=3_500)],
        )  # fmt: skip
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        ended = rig.trade.conditions.get(ACCOUNT, "ends")
        assert ended is not None and (ended.state, ended.text) == (State.DISCARD, "合约已到期")
        assert state(rig, "stays") is State.LIVE

    run(tmp_path, body)


def test_how_long_they_wait(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        far = at_price(80_000)
        insert(rig, "day", far)
        insert(rig, "two", far, validity=Validity.GTD, last_day=20210803)
        insert(rig, "ever", far, validity=Validity.GTC)
        insert(rig, "hour", far, validity=Validity.GTC, until_ns=beijing_ns("2021-08-02 10:30:00"))
        rig.at("2021-08-02 10:30:00")
        rig.tick(RB, 5001)
        assert state(rig, "hour") is State.DISCARD and state(rig, "day") is State.LIVE
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert [state(rig, n) for n in ("day", "two", "ever")] == [State.DISCARD, State.LIVE, State.LIVE]
        rig.at("2021-08-03 20:56:00")
        rig.trade.follow_day()
        assert [state(rig, n) for n in ("two", "ever")] == [State.DISCARD, State.LIVE]
        assert rig.trade.conditions.history(ACCOUNT, 20210803)[0].order_id == "two"

    run(tmp_path, body)


def test_subscribers_hear_which_changed(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        heard: list[Change] = []
        await asyncio.sleep(0.05)
        rig.trade.subscribe(ACCOUNT, lambda change, _: heard.append(change))
        insert(rig, "c", at_price(75_100))
        await asyncio.sleep(0.05)
        assert heard[-1].conditions == ("c",)
        rig.tick(CU, 75_100)
        await asyncio.sleep(0.05)
        assert heard[-1].conditions == ("c",) and heard[-1].orders

    run(tmp_path, body, durability="power")


def test_the_one_price_form_of_rest(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        order = price_order(
            account_id=ACCOUNT,
            order_id="stop",
            symbol=M,
            direction=BUY,
            offset=Offset.OPEN,
            volume=2,
            trigger_price=3_510,
            relation=Relation.GE,
            price_type=PriceType.ANY,
            purpose="STOP_LOSS",
        )
        assert rig.trade.conditions.insert(order).ok
        rig.tick(M, 3_510, ask_price1=3_511, ask_volume1=5)
        found = sent(rig, "stop")
        assert found.price_type is PriceType.ANY and found.volume_left == 0
        assert rig.trade.conditions.list(ACCOUNT)[0].purpose == "STOP_LOSS"

    run(tmp_path, body)


def test_a_restart_keeps_what_waits(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        opened(rig)
        insert(rig, "even", Condition(kind=Kind.BREAK_EVEN, symbol=CU, price=75_100, direction=BUY))
        insert(rig, "paused", at_price(75_000, "L"))
        rig.trade.conditions.pause(ACCOUNT, "paused")
        rig.tick(CU, 75_200)

    async def second(rig: Rig) -> None:
        assert state(rig, "paused") is State.SUSPEND
        rig.tick(CU, 75_100)
        assert state(rig, "even") is State.TOUCHED and sent(rig, "even").is_alive

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")


def test_a_kill_at_any_record_releases_once(tmp_path: Path) -> None:
    """Every prefix of the journal after the insert leads to one order of each id, filled once."""
    marks: list[int] = []

    async def life(rig: Rig) -> None:
        opened(rig)
        rig.send("y", CU, "BUY", "OPEN", 2, 75_000)
        rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
        answer = insert(
            rig,
            "c",
            at_price(74_900, "LE"),
            legs=[leg(SELL, "CLOSE", 2, pricing=Pricing.OVER), leg(symbol=RB, limit_price=4_900.0)],
        )
        await rig.trade.durable(answer.lsn)
        marks.append(sum(path.stat().st_size for path in files(tmp_path / "whole")))
        rig.tick(CU, 74_900, bid_price1=74_900, bid_volume1=5, **LIMITS)
        await rig.trade.durable(rig.trade.head_lsn)
        marks.append(sum(path.stat().st_size for path in files(tmp_path / "whole")))

    def files(directory: Path) -> list[Path]:
        return sorted((directory / "trade" / "journal").glob("*.qlog"))

    run(tmp_path / "whole", life, durability="process")
    [segment] = [path for path in files(tmp_path / "whole") if path.stat().st_size]
    outcomes = set()
    for size in [*range(marks[0], marks[1], 60), marks[1]]:
        directory = tmp_path / f"cut{size}"
        shutil.copytree(tmp_path / "whole", directory)
        with (directory / "trade" / "journal" / segment.name).open("r+b") as file:
            file.truncate(size)

        async def again(rig: Rig) -> None:
            found = rig.trade.conditions.get(ACCOUNT, "c")
            assert found is not None
            outcomes.add((found.state, len(rig.trade.orders(ACCOUNT)), found.is_releasing))
            rig.quotes()
            for _ in range(2):
                rig.tick(CU, 74_900, bid_price1=74_900, bid_volume1=5, **LIMITS)
            assert [o.order_id for o in rig.trade.orders(ACCOUNT)] == ["y", "CO.c.1", "CO.c.2"]
            assert [t.volume for t in rig.trade.trades(ACCOUNT)] == [2, 2]
            found = rig.trade.conditions.get(ACCOUNT, "c")
            assert found is not None and [r.code for r in found.releases] == [0, 0]

        run(directory, again, durability="process")
    # The cuts fell before the trigger, between it and its orders, between these, and after all of it.
    assert {(State.LIVE, 1, False), (State.TOUCHED, 1, True), (State.TOUCHED, 3, False)} <= outcomes
    assert (State.TOUCHED, 2, True) in outcomes


def test_orders_that_no_exchange_would_take_do_not_wait(tmp_path: Path) -> None:
    """Off the tick never; beyond the limits not within the day they are of, they may be others later."""

    async def body(rig: Rig) -> None:
        opened(rig)
        good = at_price(76_000)
        late = {"until_ns": beijing_ns("2021-08-03 10:00:00"), "validity": Validity.GTC}
        soon = {"until_ns": beijing_ns("2021-08-02 14:00:00"), "validity": Validity.GTC}
        wrong: list[tuple[float, int, dict[str, Any]]] = [
            (75_005, 3004, {}),
            (75_005, 3004, late),
            (82_510, 4002, {}),
            (67_490, 4003, {}),
            (82_510, 4002, soon),
            (82_510, 4002, {"validity": Validity.GTD, "last_day": 20210802}),
        ]
        for price, code, more in wrong:
            answer = insert(rig, "x", good, legs=[leg(limit_price=price)], **more)
            assert (answer.outcome, answer.code) == (Outcome.BAD_ORDER_PRICE, code), (price, more)
        contingent = [leg(pricing=Pricing.CONTINGENT)]
        assert insert(rig, "x", at_price(76_005), legs=contingent).code == 3004
        for number, more in enumerate(
            (late, {"validity": Validity.GTC}, {"validity": Validity.GTD, "last_day": 20210803})
        ):
            assert insert(rig, f"c{number}", good, legs=[leg(limit_price=82_510)], **more).ok
        assert insert(rig, "at", at_price(76_005), legs=[leg(limit_price=82_500)]).ok
        # of the next day, whose limits the feed has not told
        rig.at("2021-08-02 15:20:00")
        assert rig.trade.settling.settle(by="root").ok
        assert insert(rig, "next", good, legs=[leg(limit_price=82_510)]).ok
        assert insert(rig, "x", good, legs=[leg(limit_price=75_005)]).code == 3004
        rig.at("2021-08-02 21:00:00")
        rig.tick(CU, 75_000, upper_limit=80_000, lower_limit=70_000)
        assert insert(rig, "x", good, legs=[leg(limit_price=82_510)]).code == 4002

    run(tmp_path, body)
