"""After the trade: levels, alerts, the kill switch, locks, and liquidation by force."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qautlra._core.risk import ALERTS
from qautlra.model.order import Change
from qautlra.trade.liquidation import Liquidation
from qautlra.wire.trade import ALERT_CODES
from tests.trade.rig import ACCOUNT, Rig, run

CU, RB = "SHFE.cu2109", "SHFE.rb2110"
LIMITS = {"upper_limit": 82_500, "lower_limit": 67_500}
WIDE = {"concentration_ratio": 0.0, "stop_ratio": 0.0}
QUIET = {"limits": WIDE, "liquidation": {"enabled": False}}


def fall(rig: Rig, last: float, bid_lots: int = 0) -> None:
    """A price of copper, and how many lots are bid there."""
    book = {"bid_price1": last, "bid_volume1": bid_lots} if bid_lots else {}
    rig.tick(CU, last, **LIMITS, **book)


async def heavy(rig: Rig, lots: int = 26) -> None:
    """26 lots of copper on 1,000,000: every 10 of price are 1,300; at 75,000 the margin is 975,000."""
    assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
    rig.quotes()
    assert rig.send("o", CU, "BUY", "OPEN", lots, 75_000).ok
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=lots, **LIMITS)
    assert rig.trade.positions(ACCOUNT)[0]["volume_long"] == lots
    await settled()


async def settled() -> None:
    await asyncio.sleep(0.03)


def kinds(rig: Rig) -> list[tuple[str, str]]:
    return [(alert.kind, alert.level) for alert in rig.trade.monitor.alerts(ACCOUNT)]


def last_record(rig: Rig) -> Liquidation:
    return rig.trade.liquidator.records(ACCOUNT)[0]


def test_every_kind_of_alert_has_a_notice() -> None:
    assert set(ALERT_CODES) == set(ALERTS)


def test_levels_rise_and_alerts_are_told_once(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        heard: list[Change] = []
        rig.trade.subscribe(None, lambda change, _: heard.append(change))
        await heavy(rig, lots=14)
        assert rig.trade.monitor.level(ACCOUNT) == "low" and kinds(rig) == []
        fall(rig, 70_000)  # margin 525,000 of 649,737.5
        rig.trade.monitor.review(ACCOUNT)
        assert kinds(rig) == [("level_escalation", "high")]
        await settled()
        assert [a["kind"] for change in heard for a in change.alerts] == ["level_escalation"]
        rig.trade.monitor.on_turn()
        assert len(kinds(rig)) == 1
        fall(rig, 75_000)
        rig.trade.monitor.on_turn()
        assert rig.trade.monitor.level(ACCOUNT) == "low" and len(kinds(rig)) == 1
        fall(rig, 68_000)  # 509,737.5: above 1
        rig.trade.monitor.on_turn()
        assert {kind for kind, _ in kinds(rig)[1:]} == {
            "level_escalation",
            "liquidation_triggered",
            "margin_insufficient",
            "negative_available",
        }
        ids = [alert.alert_id for alert in rig.trade.monitor.alerts(ACCOUNT)]
        assert ids == [f"ALERT20210802{n:08d}" for n in range(1, 6)]
        assert rig.trade.liquidator.records() == []  # switched off
        [row] = rig.trade.monitor.accounts("critical")
        assert (row["account_id"], row["alerts_count"], row["state"]) == (ACCOUNT, 5, "ACTIVE")
        assert rig.trade.monitor.accounts("low") == []
        summary = rig.trade.monitor.margin_summary()
        assert summary["levels"]["critical"] == 1 and summary["margin"] == 525_000

    run(tmp_path, body, **QUIET)


def test_a_house_without_accounts_has_no_ratio(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        summary = rig.trade.monitor.margin_summary()
        assert (summary["accounts_count"], summary["balance"], summary["risk_ratio"]) == (0, 0, None)

    run(tmp_path, body, **QUIET)


def test_alerts_outlive_a_restart_and_are_not_told_again(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        await heavy(rig, lots=14)
        fall(rig, 70_000)
        rig.trade.monitor.on_turn()
        [alert] = rig.trade.monitor.alerts()
        assert "风险等级升至高" in alert.text and "80.80%" in alert.text
        assert rig.trade.monitor.handle(ACCOUNT, alert.alert_id, "root").ok
        assert rig.trade.monitor.handle(ACCOUNT, "ALERT1", "root").code == 9404

    async def second(rig: Rig) -> None:
        await settled()
        rig.trade.monitor.on_turn()
        [alert] = rig.trade.monitor.alerts()
        assert alert.handled_by == "root"
        fall(rig, 68_500)
        rig.trade.monitor.on_turn()
        assert rig.trade.monitor.alerts()[-1].alert_id == "ALERT2021080200000003"
        assert len(rig.trade.monitor.alerts()) == 3  # the level, and nearly or at liquidation

    run(tmp_path, first, durability="process", **QUIET)
    run(tmp_path, second, durability="process", **QUIET)


def test_no_more_than_a_hundred_alerts_are_kept(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig, lots=14)
        for _ in range(60):
            for price in (70_000, 75_000):
                fall(rig, price)
                rig.trade.monitor.review(ACCOUNT)
            fall(rig, 68_000)
            rig.trade.monitor.review(ACCOUNT)
        kept = rig.trade.monitor.alerts(ACCOUNT)
        assert len(kept) == 100 and kept[-1].alert_id > kept[0].alert_id > "ALERT2021080200000100"

    run(tmp_path, body, **QUIET)


def test_the_kill_switch(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        monitor = rig.trade.monitor
        assert rig.trade.open_account("other", 1_000_000).ok
        await heavy(rig, lots=2)
        assert rig.send("rest", CU, "BUY", "OPEN", 1, 74_000).ok
        assert rig.send("others", CU, "BUY", "OPEN", 1, 74_000, account="other").ok
        assert monitor.set_state("REDUCING", ACCOUNT).ok
        assert rig.send("open", CU, "BUY", "OPEN", 1, 74_000).code == 3017
        assert rig.send("close", CU, "SELL", "CLOSETODAY", 1, 76_000).ok
        assert monitor.set_state("HALTED", ACCOUNT).ok
        assert [o.is_alive for o in rig.trade.orders(ACCOUNT)] == [False] * 4
        assert rig.send("no", CU, "SELL", "CLOSETODAY", 1, 76_000).code == 3018
        assert rig.trade.find("other", "others").is_alive  # type: ignore[union-attr]
        assert monitor.set_state("HALTED").ok
        assert not rig.trade.find("other", "others").is_alive  # type: ignore[union-attr]
        assert rig.send("no", CU, "BUY", "OPEN", 1, 74_000, account="other").code == 3018
        assert monitor.set_state("ACTIVE", "nobody").code == 1006

    async def second(rig: Rig) -> None:
        monitor = rig.trade.monitor
        assert (monitor.state(), monitor.state(ACCOUNT)) == ("HALTED", "HALTED")
        rig.quotes()
        assert monitor.set_state("ACTIVE").ok
        assert rig.send("yes", CU, "BUY", "OPEN", 1, 74_000, account="other").ok
        assert rig.send("no2", CU, "BUY", "OPEN", 1, 74_000).code == 3018

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")


@pytest.mark.parametrize(
    ("kind", "order_code", "withdraw_code"),
    [("TRADING_ONLY", 2002, 0), ("WITHDRAW_ONLY", 0, 2002), ("FULL", 2002, 2002)],
)
def test_locks(tmp_path: Path, kind: Any, order_code: int, withdraw_code: int) -> None:
    async def first(rig: Rig) -> None:
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        assert rig.trade.monitor.freeze(ACCOUNT, kind, "because", "root").ok
        assert rig.trade.monitor.freeze("nobody", kind, "because", "root").code == 1006

    async def second(rig: Rig) -> None:
        rig.quotes()
        frozen = rig.trade.monitor.frozen(ACCOUNT)
        assert frozen is not None and (frozen.kind, frozen.reason, frozen.by) == (kind, "because", "root")
        assert rig.send("o", CU, "BUY", "OPEN", 1, 75_000).code == order_code
        assert rig.trade.transfer(ACCOUNT, -1).code == withdraw_code
        assert rig.trade.monitor.unfreeze(ACCOUNT, "seen to", "root").ok
        assert rig.trade.monitor.frozen(ACCOUNT) is None
        assert rig.send("p", CU, "BUY", "OPEN", 1, 75_000).ok and rig.trade.transfer(ACCOUNT, -1).ok

    run(tmp_path, first, durability="process")
    run(tmp_path, second, durability="process")


def test_a_days_loss_leaves_an_account_that_can_only_close(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        await heavy(rig, lots=4)
        fall(rig, 74_000)  # -20,000
        rig.trade.monitor.on_turn()
        assert ("daily_loss", "low") in kinds(rig)
        assert rig.trade.monitor.state(ACCOUNT) == "REDUCING"

    async def second(rig: Rig) -> None:
        assert rig.trade.monitor.state(ACCOUNT) == "REDUCING"

    run(tmp_path, first, durability="process", limits={"loss_max": 10_000})
    run(tmp_path, second, durability="process", limits={"loss_max": 10_000})


def test_many_cancels_of_one_instrument_are_told_once(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        rig.quotes()
        for number in range(4):
            assert kinds(rig) == [("many_cancels", "low")] * (number == 3)
            assert rig.send(f"c{number}", CU, "BUY", "OPEN", 1, 70_000).ok
            assert rig.cancel(f"c{number}").ok
            rig.trade.monitor.on_turn()
        assert kinds(rig) == [("many_cancels", "low")]

    async def second(rig: Rig) -> None:
        rig.trade.monitor.on_turn()
        assert kinds(rig) == [("many_cancels", "low")]

    run(tmp_path, first, durability="process", limits={"cancels_warn": 3})
    run(tmp_path, second, durability="process", limits={"cancels_warn": 3})


def test_no_market_order_while_the_feed_is_silent(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        rig.quotes()
        from qautlra.model.order import PriceType, TimeCondition

        market = {"price_type": PriceType.ANY, "time_condition": TimeCondition.IOC}
        assert rig.send("a", "DCE.m2109", "BUY", "OPEN", 1, None, **market).code == 0
        rig.at("2021-08-02 09:30:31")
        assert rig.send("b", "DCE.m2109", "BUY", "OPEN", 1, None, **market).code == 3016
        assert rig.send("c", "DCE.m2109", "BUY", "OPEN", 1, 3_500).ok

    run(tmp_path, body, limits={"stale_ms": 30_000})


# --- liquidation ---


def test_an_account_above_its_balance_is_closed(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        assert rig.send("mine", RB, "BUY", "OPEN", 1, 4_900).ok
        fall(rig, 74_700, bid_lots=10)
        await settled()
        record = last_record(rig)
        assert (record.status, record.instruments_closed) == ("partially_filled", {CU: 10})
        assert record.risk_ratio_before == pytest.approx(975_000 / 960_512.5)
        assert record.balance_before == pytest.approx(960_512.5)
        assert not rig.trade.find(ACCOUNT, "mine").is_alive  # type: ignore[union-attr]
        assert rig.trade.monitor.state(ACCOUNT) == "REDUCING"
        assert rig.send("again", RB, "BUY", "OPEN", 1, 4_900).code == 3017
        forced = rig.trade.find(ACCOUNT, "LIQ20210802000001.1.1")
        assert forced is not None and forced.offset.name == "CLOSETODAY"
        assert forced.limit_price == 74_320 and forced.volume == 26  # 74,700 x 0.995, down to the tick
        fall(rig, 74_600, bid_lots=40)
        rig.trade.liquidator.step()
        record = last_record(rig)
        assert (record.status, record.instruments_closed) == ("filled", {CU: 26})
        assert (record.is_over and rig.trade.positions(ACCOUNT) == []) or not any(
            p["volume_long"] for p in rig.trade.positions(ACCOUNT)
        )
        funds = rig.trade.funds(ACCOUNT)
        assert record.balance_after == funds["balance"] and funds["margin"] == 0
        assert record.total_loss == pytest.approx(record.balance_before - funds["balance"])
        assert rig.trade.monitor.state(ACCOUNT) == "ACTIVE"
        assert len(rig.trade.liquidator.records()) == 1

    run(tmp_path, body, limits=WIDE)


def test_it_tries_again_at_the_prices_of_then(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        fall(rig, 74_700)
        await settled()
        assert last_record(rig).attempt == 1
        for second in range(2, 12, 2):
            rig.at(f"2021-08-02 09:30:{second:02d}")
            fall(rig, 74_700 - 500 * second)
            rig.trade.liquidator.step()
        record = last_record(rig)
        assert (record.attempt, record.status, record.is_over) == (4, "failed", True)
        orders = [rig.trade.find(ACCOUNT, order_id) for order_id in record.order_ids]
        assert [o.is_alive for o in orders if o] == [False, False, False, True]
        prices = [o.limit_price for o in orders if o and o.limit_price is not None]
        assert prices == sorted(prices, reverse=True) and len(set(prices)) == 4
        assert rig.trade.monitor.state(ACCOUNT) == "REDUCING"
        # What the last attempt left in the market trades later: then the account is free again.
        fall(rig, 71_700, bid_lots=50)
        rig.trade.liquidator.step()
        record = last_record(rig)
        assert (record.status, record.instruments_closed) == ("filled", {CU: 26})
        assert rig.trade.monitor.state(ACCOUNT) == "ACTIVE"

    run(tmp_path, body, limits=WIDE)


def test_what_was_not_closed_is_followed_by_another_after_a_minute(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        fall(rig, 74_000)
        await settled()
        assert not last_record(rig).is_over
        rig.at("2021-08-02 09:30:02")
        rig.trade.liquidator.step()
        assert last_record(rig).is_over
        rig.trade.monitor.on_turn()
        assert len(rig.trade.liquidator.records()) == 1
        rig.at("2021-08-02 09:31:03")
        fall(rig, 70_000, bid_lots=50)
        rig.trade.monitor.on_turn()
        rig.trade.liquidator.step()
        assert [(one.record_id[-2:], one.status) for one in rig.trade.liquidator.records()] == [
            ("02", "filled"),
            ("01", "failed"),
        ]
        assert rig.trade.monitor.state(ACCOUNT) == "ACTIVE"

    run(tmp_path, body, limits=WIDE, liquidation={"retries": 0})


def test_it_waits_for_the_market(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        rig.at("2021-08-02 10:20:00")
        record = rig.trade.liquidator.start(ACCOUNT, reason="by hand", by="root")
        assert (record.status, record.by, record.attempt) == ("pending", "root", 0)
        assert rig.trade.liquidator.start(ACCOUNT, reason="twice") == record
        rig.at("2021-08-02 10:30:00")
        fall(rig, 75_000, bid_lots=50)
        rig.trade.liquidator.step()
        assert last_record(rig).status == "filled"
        assert rig.trade.liquidator.record(record.record_id) == last_record(rig)
        with pytest.raises(KeyError):
            rig.trade.liquidator.start("nobody", reason="x")

    run(tmp_path, body, limits=WIDE)


def test_today_and_yesterday_are_closed_apart(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig, lots=3)
        rig.at("2021-08-02 21:00:00")
        rig.trade.follow_day()
        assert rig.send("t", CU, "BUY", "OPEN", 2, 75_000).ok
        rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2, **LIMITS)
        fall(rig, 75_000, bid_lots=50)
        record = rig.trade.liquidator.start(ACCOUNT, reason="by hand", by="root")
        assert (record.status, record.instruments_closed) == ("filled", {CU: 5})
        orders = [rig.trade.find(ACCOUNT, order_id) for order_id in record.order_ids]
        assert [(o.offset.name, o.volume) for o in orders if o] == [("CLOSETODAY", 2), ("CLOSE", 3)]

    run(tmp_path, body, limits=WIDE)


def test_a_restart_goes_on_with_it(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        await heavy(rig)
        fall(rig, 74_700, bid_lots=10)
        await settled()
        assert last_record(rig).status == "partially_filled"

    async def second(rig: Rig) -> None:
        assert last_record(rig).status == "partially_filled" and not last_record(rig).is_over
        rig.at("2021-08-02 09:30:05")
        fall(rig, 74_700, bid_lots=50)
        rig.trade.liquidator.step()
        record = last_record(rig)
        assert (record.status, record.instruments_closed) == ("filled", {CU: 26})
        assert rig.trade.monitor.state(ACCOUNT) == "ACTIVE"
        assert sum(t.volume for t in rig.trade.trades(ACCOUNT)) == 52

    run(tmp_path, first, durability="process", limits=WIDE)
    run(tmp_path, second, durability="process", limits=WIDE)


def test_the_end_of_a_day_ends_it(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        fall(rig, 74_700)
        await settled()
        rig.at("2021-08-02 20:56:00")
        rig.trade.follow_day()
        record = last_record(rig)
        assert (record.status, record.is_over) == ("failed", True)
        assert rig.trade.monitor.state(ACCOUNT) == "REDUCING"

    run(tmp_path, body, limits=WIDE)


def test_a_record_counts_what_was_closed_not_money_moved_meanwhile(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        assert rig.trade.transfer(ACCOUNT, 7_000).ok
        fall(rig, 74_700)
        await settled()
        record = rig.trade.liquidator.start(ACCOUNT, reason="by hand", by="root")
        assert (record.balance_after, record.profit, record.total_loss) == (None, None, None)
        assert rig.trade.transfer(ACCOUNT, 50_000).ok
        fall(rig, 74_600, bid_lots=40)
        rig.trade.liquidator.step()
        record = last_record(rig)
        assert record.status == "filled"
        balance = rig.trade.funds(ACCOUNT)["balance"]
        assert record.balance_after == balance
        assert record.profit == pytest.approx(balance - record.balance_before - 50_000) and record.profit < 0
        assert record.total_loss == -record.profit

    run(tmp_path, body, limits=WIDE)


def test_a_liquidation_that_brings_money_is_no_loss(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig, lots=5)
        rig.tick(CU, 74_700, bid_price1=74_800, bid_volume1=40, **LIMITS)
        record = rig.trade.liquidator.start(ACCOUNT, reason="by hand", by="root")
        assert (record.status, record.profit, record.total_loss) == ("filled", 5 * 5 * 100, 0)

    run(tmp_path, body, limits=WIDE)


def test_what_is_closed_on_a_later_day_counts_no_money_of_the_days_between(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        fall(rig, 74_700)
        await settled()
        assert rig.trade.transfer(ACCOUNT, 40_000).ok
        rig.at("2021-08-02 21:00:00")
        rig.trade.follow_day()
        assert (last_record(rig).status, last_record(rig).is_over) == ("failed", True)
        assert rig.trade.transfer(ACCOUNT, 2_000).ok
        fall(rig, 74_700, bid_lots=50)
        assert rig.send("mine", CU, "SELL", "CLOSE", 26, 74_700).ok
        rig.trade.liquidator.step()
        record = last_record(rig)
        assert record.status == "filled"
        balance = rig.trade.funds(ACCOUNT)["balance"]
        assert record.profit == pytest.approx(balance - record.balance_before - 42_000)

    run(tmp_path, body, limits={**WIDE}, liquidation={"retries": 0})


def test_an_account_without_balance_has_no_ratio_in_its_record(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        await heavy(rig)
        rig.tick(CU, 60_000, upper_limit=82_500, lower_limit=60_000)
        await settled()
        record = last_record(rig)
        assert (record.risk_ratio_before, record.reason) == (None, "风险度:-")

    run(tmp_path, body, limits=WIDE)
