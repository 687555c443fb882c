"""The end of a day: statements kept before it is settled, prices of an operator, settling by hand."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from qautlra.base.clock import VirtualClock
from qautlra.base.errors import StorageError
from qautlra.model.order import Change
from qautlra.trade.days import AccountDay
from qautlra.trade.statements import Settlement
from tests.trade.rig import ACCOUNT, Rig, run

CU, RB = "SHFE.cu2109", "SHFE.rb2110"


def traded(rig: Rig) -> None:
    """Worked example A of the contract up to the end of its first day."""
    if not rig.trade.has(ACCOUNT):
        assert rig.trade.open_account(ACCOUNT, 900_000).ok
        assert rig.trade.transfer(ACCOUNT, 100_000).ok
    rig.quotes()
    rig.send("o1", CU, "BUY", "OPEN", 2, 75_000)
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
    rig.send("o2", CU, "SELL", "CLOSETODAY", 1, 75_200)
    rig.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)


def test_a_statement_is_kept_of_every_day(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        traded(rig)
        assert await rig.trade.statement(ACCOUNT, 20210802) == ""
        rig.tick(CU, 75_150, settlement=75_100)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        found = await rig.trade.settling.statement_of(ACCOUNT, 20210802)
        assert found is not None and found == await rig.trade.settling.statement_of(ACCOUNT)
        assert found.funds["balance"] == pytest.approx(1_001_462.5)
        assert found.funds["close_profit"] == 1_000 and found.funds["position_profit"] == 500
        assert found.prices == {CU: 75_100}
        assert [t.volume for t in found.trades] == [2, 1] and found.positions[0]["volume_long"] == 1
        assert [t.amount for t in found.transfers] == [100_000]
        [day] = rig.trade.settling.statements.settlements()
        assert (day.trading_day, day.next_day, day.by) == (20210802, 20210803, "")
        assert (day.accounts_count, day.orders_count, day.trades_count) == (1, 2, 2)
        assert day.balance == pytest.approx(1_001_462.5) and day.commission == 37.5
        text = await rig.trade.statement(ACCOUNT, 20210802)
        for piece in (
            "交易结算单(盯市)",
            "客户号：acc001",
            "日期：20210802",
            "1001462.50",
            "出入金明细",
            "75100",
        ):
            assert piece in text
        assert await rig.trade.statement(ACCOUNT, 20210801) == "" == await rig.trade.statement("nobody")

    run(tmp_path, body)


def unmoved(tmp_path: Path) -> Rig:
    """A new exchange whose market clock no source has set yet."""
    rig = Rig(tmp_path)
    rig.clock = rig.trade.clock = VirtualClock("test")
    return rig


def test_the_first_day_begins_with_the_first_prices(tmp_path: Path) -> None:
    async def body() -> None:
        async with unmoved(tmp_path) as rig:
            assert rig.trade.open_account(ACCOUNT, 900_000).ok and rig.trade.trading_day == 0
            rig.at("2021-08-02 09:30:00")
            rig.quotes()
            assert rig.trade.trading_day == 20210802  # without waiting for a turn of the service
            assert rig.send("o1", CU, "BUY", "OPEN", 2, 75_000).ok

    asyncio.run(body())


def test_what_was_ordered_before_the_first_day_ends_with_its_beginning(tmp_path: Path) -> None:
    """An order that was quicker than the first batch keeps no day from beginning."""
    heard: list[tuple[str, bool]] = []

    async def body() -> None:
        async with unmoved(tmp_path) as rig:

            def alive(change: Change) -> list[tuple[str, bool]]:
                orders = [rig.trade.order(number) for number in change.orders]
                return [(order.order_id, order.is_alive) for order in orders]

            rig.trade.subscribe(ACCOUNT, lambda _change, found: heard.extend(found), alive)
            assert rig.trade.open_account(ACCOUNT, 900_000).ok
            rig.at("2021-08-02 09:30:00")
            on_batch, rig.trade.on_batch = rig.trade.on_batch, lambda: None  # type: ignore[method-assign]
            rig.quotes()
            assert rig.send("o1", CU, "BUY", "OPEN", 2, 75_000).ok and rig.trade.trading_day == 0
            on_batch()
            assert rig.trade.trading_day == 20210802 and rig.trade.orders(ACCOUNT) == []
            assert rig.trade.funds(ACCOUNT)["available"] == 900_000
            assert rig.trade.settling.statements.settlements() == []
            assert rig.send("o2", CU, "BUY", "OPEN", 2, 75_000).ok
            await asyncio.sleep(0.05)

    asyncio.run(body())
    assert heard[0] == ("o1", False) and heard[-1] == ("o2", True)


def test_a_day_cut_before_its_settlement_ends_again_the_same(tmp_path: Path) -> None:
    """Killed between the statements' begin and the settle record: the next start ends the day again."""
    before: list[AccountDay] = []

    async def first(rig: Rig) -> None:
        traded(rig)
        days = rig.trade.settling.days
        assert days is not None
        ended = days.end(20210803)
        before.extend(ended.accounts)
        rig.trade.settling.statements.begin(Settlement(trading_day=20210802, next_day=20210803, market_ns=1))
        assert rig.trade.trading_day == 20210802

    async def second(rig: Rig) -> None:
        assert rig.trade.trading_day == 20210802
        assert await rig.trade.settling.statement_of(ACCOUNT, 20210802) is None
        rig.tick(CU, 75_200)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        after = await rig.trade.settling.statement_of(ACCOUNT, 20210802)
        assert after is not None
        assert (after.funds, after.trades) == (before[0].funds, before[0].trades)
        assert len(rig.trade.settling.statements.settlements()) == 1
        assert rig.trade.funds(ACCOUNT)["pre_balance"] == after.funds["balance"]

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")


def test_without_its_statement_a_day_is_not_settled(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        traded(rig)
        with sqlite3.connect(tmp_path / "trade" / "statements.db") as other:
            other.execute("DROP TABLE statements")
        rig.at("2021-08-02 20:56:00")
        with pytest.raises(StorageError):
            rig.trade.follow_day()
        assert rig.trade.trading_day == 20210802

    run(tmp_path, body)


def test_an_operators_price_outlives_a_restart(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        traded(rig)
        settling = rig.trade.settling
        assert settling.set_price("SHFE.zz2109", 1.0).code == 1007
        assert settling.set_price(CU, float("nan")).code == settling.set_price(CU, -1).code == 3003
        assert settling.set_price(CU, 75_300).ok
        assert settling.prices() == {CU: 75_300}

    async def second(rig: Rig) -> None:
        assert rig.trade.settling.prices() == {CU: 75_300}
        rig.tick(CU, 75_150, settlement=75_100)
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        found = await rig.trade.settling.statement_of(ACCOUNT)
        assert found is not None and found.prices == {CU: 75_300}
        assert found.funds["position_profit"] == 1_500
        assert rig.trade.settling.prices() == {}

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")


def test_an_operators_price_marks_nothing_before_the_settlement(tmp_path: Path) -> None:
    """Killed between the price and the settlement: the price is there, and still marks nothing."""

    def shown(rig: Rig) -> tuple[object, object]:
        return rig.trade.funds(ACCOUNT), rig.trade.positions(ACCOUNT)

    found: list[tuple[object, object]] = []

    async def first(rig: Rig) -> None:
        traded(rig)
        found.append(shown(rig))
        answer = rig.trade.settling.set_price(CU, 68_000)
        assert answer.ok and answer.lsn
        await rig.trade.durable(answer.lsn)
        assert rig.send("o3", CU, "BUY", "OPEN", 1, 70_000).ok
        assert rig.cancel("o3").ok
        rig.trade.collect()
        assert shown(rig) == found[0]
        await rig.trade.durable(rig.trade.head_lsn)
        shutil.copytree(tmp_path / "first", tmp_path / "killed")

    async def second(rig: Rig) -> None:
        assert rig.trade.settling.prices() == {CU: 68_000}
        assert shown(rig) == found[0]
        assert rig.trade.settling.settle(by="root", force=True).ok
        ended = await rig.trade.settling.statement_of(ACCOUNT)
        assert ended is not None and ended.prices == {CU: 68_000}
        assert ended.funds["position_profit"] == -35_000
        assert rig.trade.settling.prices() == {}

    run(tmp_path / "first", first, durability="process")
    run(tmp_path / "killed", second, durability="process")


def test_a_price_of_what_nobody_holds_is_the_next_days_reference(tmp_path: Path) -> None:
    """Of the prices that trade most, the next call auction takes the one closest to it."""

    async def body(rig: Rig) -> None:
        traded(rig)
        assert rig.trade.settling.set_price(RB, 5_100).ok
        assert rig.trade.settling.settle(by="root", force=True).ok
        found = await rig.trade.settling.statement_of(ACCOUNT)
        assert found is not None and found.prices == {CU: 75_200}
        assert rig.trade.open_account("other", 100_000).ok
        rig.at("2021-08-02 20:56:00")
        rig.tick(RB, 5_001, upper_limit=5_500, lower_limit=4_500)
        assert rig.send("r1", RB, "BUY", "OPEN", 1, 5_105).ok
        assert rig.send("r2", RB, "SELL", "OPEN", 1, 5_095, account="other").ok
        rig.at("2021-08-02 21:00:00")
        rig.tick(RB, 5_001)
        assert [trade.price for trade in rig.trade.trades(ACCOUNT)] == [5_100]

    run(tmp_path, body)


def test_settlement_prices_are_prices_of_the_day(tmp_path: Path) -> None:
    """On the tick and within the limits, unless it is meant; above 0 always."""

    async def body(rig: Rig) -> None:
        traded(rig)
        settling = rig.trade.settling
        for price, code in (
            (75_105, 3004),
            (75_100.0001, 3004),
            (82_510, 4002),
            (67_490, 4003),
            (99_999, 3004),
            (0, 3003),
            (1e12, 3003),
        ):
            assert settling.refusal(CU, price) == code == settling.set_price(CU, price).code, price
        assert settling.refusal("CFFEX.IF2109", 5_000.2) == 0 == settling.refusal(CU, 82_500)
        assert settling.prices() == {}
        for price in (0, -1, float("nan"), 1e12):
            assert settling.set_price(CU, price, force=True).code == 3003
        assert settling.set_price(CU, 99_999, force=True).ok
        assert settling.prices() == {CU: 99_999}
        # limits that came after the instrument was listed
        rig.tick(CU, 75_200, upper_limit=76_000, lower_limit=74_000)
        assert settling.set_price(CU, 76_010).code == 4002

    run(tmp_path, body)


def test_settling_by_hand(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        traded(rig)
        settling = rig.trade.settling
        assert settling.settle(by="root").code == 6004
        rig.at("2021-08-02 15:20:00")
        assert settling.settle(by="root").ok
        assert rig.trade.trading_day == 20210803
        assert settling.settle(by="root").code == settling.settle(by="root", force=True).code == 6002
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()  # the clock has reached what was settled already
        assert rig.trade.trading_day == 20210803
        rig.at("2021-08-03 10:00:00")
        assert settling.settle(by="root").code == 6004
        assert settling.settle(by="root", force=True).ok
        assert [(d.trading_day, d.by) for d in settling.statements.settlements()] == [
            (20210803, "root"),
            (20210802, "root"),
        ]
        assert settling.statements.days(ACCOUNT) == [20210802, 20210803]
        assert [s.account_id for s in settling.statements.of_day(20210803)] == [ACCOUNT]
        assert settling.statements.settlement(20210101) is None

    run(tmp_path, body)
