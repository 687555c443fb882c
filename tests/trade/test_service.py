"""The trading service: the contract's worked examples, restarts, days, what subscribers hear and when."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import UnavailableError
from qautlra.model import codes
from qautlra.model.order import AmendOrder, Change
from qautlra.trade.days import AccountDay, DayEnd
from tests.link.test_bus import until
from tests.trade.rig import ACCOUNT, Rig, run

CU = "SHFE.cu2109"
RB = "SHFE.rb2110"


def funds(rig: Rig, **expected: float) -> None:
    found = rig.trade.funds(ACCOUNT)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def opened(rig: Rig) -> None:
    assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
    rig.quotes()


async def life_of_copper(rig: Rig) -> None:
    """Worked example A up to the evening of its first day."""
    opened(rig)
    assert rig.send("o1", CU, "BUY", "OPEN", 2, 75_000).ok
    funds(rig, frozen_margin=75_000, frozen_commission=37.5, available=924_962.5, balance=1_000_000)
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
    funds(rig, margin=75_000, commission=37.5, balance=999_962.5, available=924_962.5)
    funds(rig, risk_ratio=0.0750028126054727)
    rig.tick(CU, 75_100)
    funds(rig, position_profit=1_000, float_profit=1_000, balance=1_000_962.5, available=925_962.5)
    before = rig.trade.funds(ACCOUNT)
    refused = rig.send("a2x", CU, "SELL", "CLOSE", 1, 75_200)
    assert (refused.code, refused.text) == (3007, "平昨手数超过昨仓持仓量")
    order = rig.trade.find(ACCOUNT, "a2x")
    assert order is not None and not order.is_alive and order.volume_left == 1
    assert order.exchange_order_id == "" and order.message == "平昨手数超过昨仓持仓量"
    assert rig.trade.funds(ACCOUNT) == before
    assert rig.send("o2", CU, "SELL", "CLOSETODAY", 1, 75_200).ok
    rig.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)
    funds(rig, close_profit=1_000, commission=37.5, margin=37_500, position_profit=1_000)
    funds(rig, balance=1_001_962.5, available=964_462.5, risk_ratio=0.0374265503948501)


def test_an_account_with_cash_is_one_record(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        before = rig.trade.head_lsn
        answer = rig.trade.open_account(ACCOUNT, 1_000_000)
        assert answer.ok and answer.lsn == rig.trade.head_lsn == before + 1
        funds(rig, deposit=1_000_000, balance=1_000_000)
        for wrong in (-1.0, float("nan"), float("inf")):
            assert rig.trade.open_account("other", wrong).code == 2004 and not rig.trade.has("other")
        assert rig.trade.open_account(ACCOUNT, 5.0).code == 2001

    async def again(rig: Rig) -> None:
        funds(rig, deposit=1_000_000, balance=1_000_000)
        assert rig.trade.accounts() == [ACCOUNT]

    run(tmp_path, body)
    run(tmp_path, again)


def test_a_the_life_of_copper_over_two_days(tmp_path: Path) -> None:
    ended: list[tuple[DayEnd, list[AccountDay]]] = []

    async def body(rig: Rig) -> None:
        rig.trade.day_ended.append(lambda day: ended.append((day, list(day.accounts))))
        await life_of_copper(rig)
        rig.tick(CU, 75_100, settlement=75_100)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert rig.trade.trading_day == 20210803
        funds(rig, pre_balance=1_001_462.5, static_balance=1_001_462.5, close_profit=0, commission=0)
        funds(rig, position_profit=0, float_profit=500, margin=37_550, available=963_912.5)
        funds(rig, risk_ratio=0.0374951633236392)
        assert rig.trade.orders(ACCOUNT) == rig.trade.trades(ACCOUNT) == []
        [position] = rig.trade.positions(ACCOUNT)
        assert (position["volume_long_his"], position["volume_long_today"]) == (1, 0)
        assert (position["position_cost_long"], position["open_cost_long"]) == (375_500, 375_000)
        rig.at("2021-08-03 09:30:00")
        rig.tick(CU, 74_900)
        funds(rig, position_profit=-1_000, float_profit=-500, balance=1_000_462.5, available=962_912.5)
        assert rig.send("a5x", CU, "SELL", "CLOSETODAY", 1, 74_800).code == 3006
        assert rig.send("o5", CU, "SELL", "CLOSE", 1, 74_800).ok
        rig.tick(CU, 74_800, bid_price1=74_800, bid_volume1=1)
        funds(rig, close_profit=-1_500, commission=18.7, margin=0, balance=999_943.8, available=999_943.8)

    run(tmp_path, body)
    [(day, [account])] = ended
    assert (day.trading_day, day.next_day) == (20210802, 20210803)
    assert account.funds["balance"] == pytest.approx(1_001_462.5)
    assert len(account.trades) == 2 and len(account.orders) == 3


def test_c_partial_fill_better_price_cancel(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        rig.tick(RB, 5001, bid_price1=5001, bid_volume1=3, bid_price2=5000, bid_volume2=4)
        assert rig.send("c1", RB, "SELL", "OPEN", 10, 5_000).ok
        rig.tick(RB, 5001)
        assert [(t.volume, t.price) for t in rig.trade.trades(ACCOUNT)] == [(3, 5001), (4, 5000)]
        order = rig.trade.find(ACCOUNT, "c1")
        assert order is not None and order.is_alive and order.volume_left == 3
        funds(rig, frozen_margin=13_500, margin=31_502.7, commission=35.003, position_profit=-40)
        assert rig.trade.positions(ACCOUNT)[0]["open_price_short"] == pytest.approx(5000.428571428571)
        assert rig.cancel("c1").ok
        funds(rig, frozen_margin=0, frozen_commission=0, balance=999_924.997, available=968_422.297)
        rig.tick(RB, 4990, ask_price1=4990, ask_volume1=7)
        assert rig.send("c2", RB, "BUY", "CLOSETODAY", 7, 4_990).ok
        funds(rig, close_profit=730, commission=69.933, balance=1_000_660.067)

    run(tmp_path, body)


def test_money_from_before_the_first_day_is_a_deposit_of_that_day(tmp_path: Path) -> None:
    """Contract 2.6 and 1.10: a new account has a deposit, and nothing of a day before."""

    async def first(rig: Rig) -> None:
        assert not rig.trade.trading_day
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok and rig.trade.transfer(ACCOUNT, -400).ok
        rig.clock._moved = True
        rig.quotes()
        assert rig.trade.trading_day == 20210802
        assert rig.trade.open_account("running", 1_000_000).ok and rig.trade.transfer("running", -400).ok
        assert rig.trade.funds(ACCOUNT) == rig.trade.funds("running")
        funds(rig, pre_balance=0, deposit=1_000_000, withdraw=400, static_balance=999_600, available=999_600)

    async def second(rig: Rig) -> None:
        funds(rig, pre_balance=0, deposit=1_000_000, withdraw=400, balance=999_600)
        rig.at("2021-08-02 21:30:00")
        rig.trade.follow_day()
        funds(rig, pre_balance=999_600, deposit=0, withdraw=0, balance=999_600)

    async def main() -> None:
        rig = Rig(tmp_path, durability="process")
        rig.clock._moved = False  # as a market clock that no source has set
        async with rig:
            await first(rig)

    asyncio.run(main())
    run(tmp_path, second, durability="process")


def test_a_restart_is_the_same_state(tmp_path: Path) -> None:
    kept: list[Any] = []

    async def first(rig: Rig) -> None:
        await life_of_copper(rig)
        assert rig.trade.transfer(ACCOUNT, 500).ok
        assert rig.send("rest", RB, "BUY", "OPEN", 1, 4_600).ok
        kept.append(rig.trade.engine.exchange.state_hash())
        kept.append((rig.trade.orders(ACCOUNT), rig.trade.trades(ACCOUNT), rig.trade.transfers(ACCOUNT)))

    async def second(rig: Rig) -> None:
        assert rig.trade.engine.exchange.state_hash() == kept[0]
        again = (rig.trade.orders(ACCOUNT), rig.trade.trades(ACCOUNT), rig.trade.transfers(ACCOUNT))
        assert again == kept[1]
        assert rig.send("rest", RB, "BUY", "OPEN", 1, 4_600).code == 3002
        assert rig.cancel("rest").ok

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")


def test_subscribers_hear_what_is_durable_in_order(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        heard: list[tuple[Change, Any]] = []
        end = rig.trade.subscribe(
            ACCOUNT, lambda change, seen: heard.append((change, seen)), lambda c: rig.trade.funds(ACCOUNT)
        )
        answer = rig.send("o1", CU, "BUY", "OPEN", 1, 75_000)
        assert heard == []
        await rig.trade.durable(answer.lsn)
        await asyncio.sleep(0.05)
        change, seen = heard[-1]
        assert change.account_id == ACCOUNT and change.lsn >= answer.lsn
        assert change.orders == (answer.number,) and CU in change.symbols
        assert seen["frozen_margin"] == 37_500
        end()
        count = len(heard)
        rig.cancel("o1")
        await asyncio.sleep(0.05)
        assert len(heard) == count

    run(tmp_path, body, durability="power")


def test_one_subscriber_that_fails_harms_nobody(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        heard: list[Change] = []

        def fails(_change: Change, _seen: object) -> None:
            raise RuntimeError("mine")

        rig.trade.subscribe(ACCOUNT, fails)
        rig.trade.subscribe(None, lambda change, _: heard.append(change))
        rig.send("o1", CU, "BUY", "OPEN", 1, 75_000)
        await asyncio.sleep(0.05)
        assert heard and heard[-1].orders == (0,)

    run(tmp_path, body)


def test_what_cannot_be_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        before = rig.trade.funds(ACCOUNT)
        assert rig.send("x", "SHFE.zz9999", "BUY", "OPEN", 1, 1.0).code == 1007
        assert rig.send("x", CU, "BUY", "OPEN", 1, 75_005).code == 3004
        assert rig.send("y", CU, "BUY", "OPEN", 1.5, 75_000).code == 1003
        assert rig.send("z", CU, "BUY", "OPEN", 1, 99_000).code == 4002
        assert rig.send("v", CU, "BUY", "OPEN", 1, None).code == 3003
        assert rig.send("w", CU, "BUY", "OPEN", 1, float("nan")).code == 3003
        assert rig.send("u", CU, "BUY", "OPEN", 100, 75_000).code == 1001
        assert rig.send("s", CU, "BUY", "OPEN", 1, 75_000, account="nobody").code == 1006
        assert rig.cancel("never").code == 3001
        amended = rig.trade.amend(AmendOrder(account_id=ACCOUNT, order_id="never", price=1.0))
        assert amended.code == 3001
        assert rig.trade.transfer(ACCOUNT, -2_000_000).code == 2003
        assert rig.trade.transfer(ACCOUNT, float("nan")).code == 2004
        assert rig.trade.funds(ACCOUNT) == before

    run(tmp_path, body)


def test_orders_follow_the_hours(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        assert rig.send("in", CU, "BUY", "OPEN", 1, 74_000).ok
        rig.at("2021-08-02 10:20:00")
        assert rig.send("break", CU, "BUY", "OPEN", 1, 74_000).code == 4004
        assert rig.cancel("in").ok
        rig.at("2021-08-02 15:30:00")
        assert rig.send("closed", CU, "BUY", "OPEN", 1, 74_000).code == 4004

    run(tmp_path, body)


def test_an_amended_order_keeps_what_traded(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        assert rig.send("o1", RB, "BUY", "OPEN", 4, 5_000).ok
        rig.tick(RB, 5000, ask_price1=5000, ask_volume1=1)
        assert rig.trade.amend(AmendOrder(account_id=ACCOUNT, order_id="o1", volume=3, price=4_990)).ok
        order = rig.trade.find(ACCOUNT, "o1")
        assert order is not None
        assert (order.volume, order.volume_left, order.limit_price) == (3, 2, 4_990)

    run(tmp_path, body)


def test_a_stopped_service_refuses_and_starts_again(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        await rig.trade.stop(1.0)
        with pytest.raises(UnavailableError):
            rig.send("o1", CU, "BUY", "OPEN", 1, 75_000)
        rig.trade.renew()
        await rig.trade.start()
        assert rig.trade.accounts() == [ACCOUNT]
        assert rig.send("o1", CU, "BUY", "OPEN", 1, 75_000).ok

    run(tmp_path, body, durability="process")


def test_a_start_begins_with_the_newest_day(tmp_path: Path) -> None:
    kept: list[int] = []

    async def first(rig: Rig) -> None:
        await life_of_copper(rig)
        rig.trade.transfer(ACCOUNT, 500)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        rig.at("2021-08-03 09:30:00")
        rig.tick(CU, 75_200)
        assert rig.send("new day", RB, "BUY", "OPEN", 1, 4_600).ok
        kept.append(rig.trade.engine.exchange.state_hash())
        await asyncio.sleep(0.2)

    async def second(rig: Rig) -> None:
        assert rig.trade.engine.exchange.state_hash() == kept[0]
        kept.append(rig.trade.health()["replayed"])
        assert [order.order_id for order in rig.trade.orders(ACCOUNT)] == ["new day"]
        assert rig.trade.positions(ACCOUNT)[0]["volume_long_his"] == 1

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")
    # Without the file, or with one that leads nowhere, the start is only longer.
    place = tmp_path / "trade" / "checkpoints.json"
    [[day, _]] = json.loads(place.read_text())
    assert day == 20210803

    async def longer(rig: Rig) -> None:
        assert rig.trade.engine.exchange.state_hash() == kept[0]
        assert rig.trade.health()["replayed"] > 2 * kept[1]

    for text in ("[[20210803, 2]]", "junk", None):
        place.unlink() if text is None else place.write_text(text)
        run(tmp_path, longer, durability="process")


def test_days_nobody_needs_are_deleted(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        opened(rig)
        for day in ("2021-08-03", "2021-08-04", "2021-08-05", "2021-08-06"):
            rig.at(f"{day} 09:30:00")
            rig.trade.follow_day()
            rig.tick(CU, 75_000)
            rig.send(day, CU, "BUY", "OPEN", 1, 74_000)
            await asyncio.sleep(0.2)
        segments = sorted((tmp_path / "trade" / "journal").glob("*"))
        assert len(segments) <= 4, segments

    async def again(rig: Rig) -> None:
        assert rig.trade.trading_day == 20210806
        assert [order.order_id for order in rig.trade.orders(ACCOUNT)] == ["2021-08-06"]
        assert rig.trade.funds(ACCOUNT)["static_balance"] == 1_000_000

    run(tmp_path, body, durability="process", journal_days=2)
    run(tmp_path, again, durability="process", journal_days=2)


def test_a_checkpoint_the_journal_lost_is_not_believed(tmp_path: Path) -> None:
    """After a power cut with durability `process` the file may know more than the journal."""

    async def first(rig: Rig) -> None:
        opened(rig)
        await asyncio.sleep(0.1)

    async def again(rig: Rig) -> None:
        assert rig.trade.accounts() == [ACCOUNT]
        assert rig.trade.funds(ACCOUNT)["balance"] == 1_000_000

    run(tmp_path, first, durability="process")
    (tmp_path / "trade" / "checkpoints.json").write_text("[[20210802, 9000]]")
    run(tmp_path, again, durability="process")


def test_what_traded_just_before_the_day_ended_is_told(tmp_path: Path) -> None:
    """A fill that waits for the commit under way when the day is rolled reaches whoever listens."""

    async def body(rig: Rig) -> None:
        opened(rig)
        heard: list[tuple[str, bool]] = []
        told: list[str] = []

        def prepare(change: Change) -> list[str]:
            return [rig.trade.trade(number).order_id for number in change.trades]

        def take(change: Change, prepared: list[str]) -> None:
            heard.extend((order_id, change.day) for order_id in prepared)
            told.extend(change.orders and ["orders"])

        rig.trade.subscribe(None, take, prepare)
        await asyncio.sleep(0.1)
        rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=1)
        rig.send("last", CU, "BUY", "OPEN", 1, 75_000)
        assert len(rig.trade.trades(ACCOUNT)) == 1
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        assert rig.trade.trading_day == 20210803
        await asyncio.sleep(0.2)
        assert heard == [("last", False)]

    run(tmp_path, body, durability="process")


def test_a_lost_feed_is_no_market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what stands there: paper orders traded with the last book for ever."""
    monkeypatch.setattr("qautlra.trade.service.FEED_LOST_S", 0.1)
    monkeypatch.setattr("qautlra.trade.service.TURN_S", 0.02)

    async def body(rig: Rig) -> None:
        trade, fed = rig.trade, True
        trade.is_fed = lambda: fed
        assert trade.open_account(ACCOUNT, 1_000_000).ok
        book = {"bid_price1": 74_990, "ask_price1": 75_010, "bid_volume1": 9, "ask_volume1": 9}
        rig.tick(CU, 75_000, **book)
        assert rig.send("resting", CU, "BUY", "OPEN", 1, 74_000).ok
        await asyncio.sleep(0.3)
        assert rig.send("good", CU, "BUY", "OPEN", 1, 75_010).ok and len(trade.trades(ACCOUNT)) == 1
        fed = False
        await asyncio.sleep(0.05)
        assert rig.send("soon", CU, "BUY", "OPEN", 1, 75_010).ok and len(trade.trades(ACCOUNT)) == 2
        await until(lambda: trade.engine.is_blind)
        refused = rig.send("lost", CU, "BUY", "OPEN", 1, 75_010)
        assert (refused.code, trade.find(ACCOUNT, "lost")) == (codes.FEED_LOST, None)
        assert trade.amend(AmendOrder(account_id=ACCOUNT, order_id="resting", price=75_010.0)).code == 4011
        assert "no source" in trade.health()["error"]
        rig.tick(CU, 73_000, **{**book, "bid_price1": 72_990, "ask_price1": 73_010})
        resting = trade.find(ACCOUNT, "resting")
        assert resting is not None and resting.is_alive  # from whom did that come, while none is connected?
        assert rig.cancel("resting").ok
        fed = True
        await until(lambda: not trade.engine.is_blind)
        assert not trade.health()["error"]
        assert rig.send("back", CU, "BUY", "OPEN", 1, 75_000).ok
        assert trade.trades(ACCOUNT)[-1].price == 73_010

    run(tmp_path, body)
