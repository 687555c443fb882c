"""Our CTP broker on the drop-in library, against the real engine behind the simulated front.

The day with cuts is short here; QAUTLRA_CTP_CUTS=100 plays the long one.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from qautlra.app.brokers import TapeMarket
from qautlra.app.ctp import follow_status
from qautlra.base.clock import VirtualClock
from qautlra.base.errors import UnavailableError
from qautlra.base.secret import Secret
from qautlra.feed.directory import AUCTION, NOT_TRADING, TRADING, Directory
from qautlra.link.ctp_library import simulated_library
from qautlra.link.ctp_login import State
from qautlra.link.ctp_session import SessionOptions
from qautlra.model import codes
from qautlra.model.order import Answer, CancelOrder, Direction, InsertOrder, Offset
from qautlra.trade.brokers import ctp
from qautlra.trade.brokers.ctp import CtpBroker
from qautlra.trade.brokers.ctp_book import UNKNOWN
from tests.ctp.test_trader import PASSWORD, Venue
from tests.trade.rig import Rig

CUTS = int(os.environ.get("QAUTLRA_CTP_CUTS", "4"))
COPPER = "SHFE.cu2109"


@pytest.fixture(autouse=True)
def release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAUTLRA__CTP__ABI", "6.7.11")


def options(venue: Venue, user: str = "one", password: str = PASSWORD) -> SessionOptions:
    assert venue.service.address is not None
    return SessionOptions(
        name="sim",
        library=str(simulated_library()),
        fronts=(f"tcp://127.0.0.1:{venue.service.address[1]}",),
        broker_id="9999",
        user_id=user,
        password=Secret(password),
        app_id="qautlra_tests_1",
        auth_code=Secret("0" * 16),
        query_interval_s=0.0,
    )


def gateway(venue: Venue, directory: Path, **more: Any) -> CtpBroker:
    return CtpBroker(
        options(venue, **more),
        notes=directory / "notes.jsonl",
        now_ns=venue.rig.clock.now_ns,
        market=TapeMarket(venue.rig.instruments, venue.rig.tape),
    )


def play(tmp_path: Path, story: Callable[[Venue, CtpBroker], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with Venue(tmp_path / "venue", **settings) as venue:
            broker = gateway(venue, tmp_path)
            await broker.start()
            try:
                await asyncio.wait_for(story(venue, broker), 100)
            finally:
                await broker.stop(1.0)

    (tmp_path / "venue").mkdir()
    asyncio.run(main())


async def until(right: Callable[[], Any], timeout_s: float = 8.0) -> Any:
    async with asyncio.timeout(timeout_s):
        while not (found := right()):  # noqa: ASYNC110 - changed by callbacks
            await asyncio.sleep(0.005)
        return found


def order(order_id: str, direction: str, offset: str, volume: int, price: float, **more: Any) -> InsertOrder:
    words: dict[str, Any] = {"account_id": "one", "symbol": COPPER} | more
    return InsertOrder(
        order_id=order_id,
        direction=Direction[direction],
        offset=Offset[offset],
        volume=volume,
        limit_price=price,
        **words,
    )


async def shown(broker: CtpBroker, answer: Answer) -> None:
    assert answer.ok, answer
    await broker.durable(answer.lsn)


def test_nothing_is_sent_before_the_account_is_synced(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        answer = broker.insert(order("early", "BUY", "OPEN", 1, 75010))
        assert answer.code == codes.UNAVAILABLE
        await until(lambda: broker.is_synced)
        assert broker.synced_after_s < 3.0
        assert broker.trading_day == 20210802
        assert broker.funds("one")["balance"] == 1_000_000.0
        assert broker.find("one", "early") is None
        assert broker.health()["state"] == "synced"

    play(tmp_path, story)


def test_what_the_exchange_says_of_trading_reaches_the_feeds_clients(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        rig = venue.rig
        directory = Directory(rig.instruments, rig.calendar, VirtualClock("test", 0))  # a calendar of 1970
        follow_status(broker, directory)
        assert directory.trading_status(COPPER) == NOT_TRADING
        await until(lambda: directory.trading_status(COPPER) == TRADING)
        assert directory.trading_status("CFFEX.IF2109") == TRADING
        assert directory.trading_status("SHFE.cu2109C70000") == NOT_TRADING  # of another product
        rig.at("2021-08-02 10:16:00")
        await until(lambda: directory.trading_status(COPPER) == NOT_TRADING)
        assert directory.trading_status("CFFEX.IF2109") == TRADING
        rig.at("2021-08-02 20:56:00")
        await until(lambda: directory.trading_status(COPPER) == AUCTION)
        await broker.stop(1.0)
        assert directory.trading_status(COPPER) == NOT_TRADING  # the calendar again

    play(tmp_path, story)


def test_an_order_there_and_back(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        heard: list[tuple[int, ...]] = []
        broker.subscribe("one", lambda change, _: heard.append(change.orders))
        await shown(broker, broker.insert(order("mine", "BUY", "OPEN", 2, 75010)))
        await until(lambda: len(broker.trades("one")) == 1)
        found = broker.find("one", "mine")
        assert found is not None and not found.is_alive and found.volume_left == 0
        trade = broker.trades("one")[0]
        assert (trade.order_id, trade.price, trade.volume) == ("mine", 75010.0, 2)
        await until(lambda: broker.positions("one"))
        await until(lambda: broker.funds("one")["commission"] > 0)
        ours, theirs = broker.positions("one")[0], venue.rig.trade.positions("one")[0]
        for name in (
            "volume_long",
            "volume_long_today",
            "position_cost_long",
            "margin_long",
            "cost_long_today",
        ):
            assert ours[name] == theirs[name], name
        funds = venue.rig.trade.funds("one")
        for name in ("balance", "available", "margin", "commission", "position_profit"):
            assert broker.funds("one")[name] == pytest.approx(funds[name]), name
        await shown(broker, broker.insert(order("rest", "BUY", "OPEN", 1, 74000)))
        assert broker.insert(order("rest", "BUY", "OPEN", 1, 74000)).code == codes.DUPLICATE
        assert broker.cancel(CancelOrder(account_id="one", order_id="rest")).ok
        await until(lambda: not broker.find("one", "rest").is_alive)
        refused = broker.insert(order("many", "BUY", "OPEN", 400, 75000))
        await until(lambda: broker.find("one", "many").code)
        assert refused.ok and broker.find("one", "many").code == codes.FUNDS
        await shown(broker, broker.insert(order("tick", "BUY", "OPEN", 1, 75001)))
        await until(lambda: broker.find("one", "tick").code)
        assert broker.find("one", "tick").message.startswith("已撤单报单被拒绝")
        await until(lambda: broker.standing.shadow.figures.get("commission", (0.0, 0.0))[1] > 0)
        assert broker.trades("one")[0].commission == venue.rig.trade.trades("one")[0].commission > 0
        assert heard and not broker.differences

    play(tmp_path, story)


def test_orders_of_other_doors_are_seen_and_can_be_cancelled(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        venue.rig.send("page", COPPER, "BUY", "OPEN", 1, 74000, account="one")
        found = await until(lambda: broker.orders("one"))
        assert found[0].is_alive and found[0].order_id.startswith("ctp.0.0.")

    play(tmp_path, story)


def test_a_wrong_password_is_tried_once(tmp_path: Path) -> None:
    async def story(venue: Venue, _unused: CtpBroker) -> None:
        broker = gateway(venue, tmp_path / "other", user="two", password="not this one")
        await broker.start()
        await until(lambda: broker.health()["login"] == State.LOCKED)
        assert "login refused (3)" in broker.health()["error"]
        await asyncio.sleep(1.0)
        assert broker.insert(order("x", "BUY", "OPEN", 1, 75010, account_id="two")).code == codes.UNAVAILABLE
        await broker.stop(1.0)

    play(tmp_path, story)


def test_flow_control_holds_orders_back_and_loses_none(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced, 20)
        answers = [broker.insert(order(f"f{n}", "BUY", "OPEN", 1, 74000)) for n in range(30)]
        assert all(answer.ok for answer in answers)
        assert broker.health()["held_orders"] == 20
        await until(lambda: not broker.book.unknown_count)
        assert len(venue.rig.trade.orders("one")) == 30

    play(tmp_path, story, orders_per_s=10, query_interval_ms=200)


def test_a_restart_finds_its_orders_by_their_own_names(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("kept", "BUY", "OPEN", 1, 75010)))
        await until(lambda: broker.trades("one"))
        await shown(broker, broker.insert(order("many", "BUY", "OPEN", 400, 75000)))
        assert broker.find("one", "many").code == codes.FUNDS
        await broker.stop(1.0)
        again = gateway(venue, tmp_path)
        await again.start()
        await until(lambda: again.is_synced)
        assert [one.order_id for one in again.orders("one")] == ["kept", "many"]
        assert again.orders("one")[1].code == codes.FUNDS and not again.book.unknown_count
        assert [one.trade_id for one in again.trades("one")] == [t.trade_id for t in broker.trades("one")]
        assert not again.differences
        await again.stop(1.0)

    play(tmp_path, story)


def test_an_order_lost_on_the_way_is_unknown_and_ends_when_no_query_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctp, "CONFIRM_S", 2.0)

    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        for connection in list(venue.service.connections):  # what comes now is read by nobody
            connection.data_received = lambda _data: None  # type: ignore[method-assign]
        answer = broker.insert(order("lost", "BUY", "OPEN", 1, 75010))
        assert answer.ok
        await asyncio.sleep(0.05)
        for connection in list(venue.service.connections):
            connection.cut("test")
        with pytest.raises(UnavailableError):
            await broker.durable(answer.lsn)
        await until(lambda: not broker.is_synced)
        await until(lambda: broker.is_synced)
        found = broker.find("one", "lost")
        assert found is not None and found.is_alive and found.message == UNKNOWN
        assert [difference.kind for difference in broker.differences] == ["unknown"]
        assert venue.rig.trade.orders("one") == []
        assert broker.health()["unknown_orders"] == 1
        told: list[tuple[int, ...]] = []
        broker.subscribe("one", lambda change, _: told.append(change.orders))
        await until(lambda: not broker.orders("one")[0].is_alive)
        ended = broker.orders("one")[0]
        assert (ended.code, ended.volume_left) == (codes.NEVER_ARRIVED, 1) and (ended.number,) in told
        assert broker.health()["unknown_orders"] == 0 and venue.rig.trade.orders("one") == []
        assert broker.insert(order("lost", "BUY", "OPEN", 1, 75010)).code == codes.DUPLICATE
        await broker.stop(1.0)
        again = gateway(venue, tmp_path)
        await again.start()
        await until(lambda: again.is_synced)
        assert again.orders("one")[0].code == codes.NEVER_ARRIVED and not again.book.unknown_count
        await again.stop(1.0)

    play(tmp_path, story)


def test_duplicate_trades_count_once(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("one", "BUY", "OPEN", 1, 75010)))
        await until(lambda: broker.trades("one"))
        await asyncio.sleep(0.1)
        assert len(broker.trades("one")) == 1

    play(tmp_path, story, faults=["duplicate_trades"])


def test_our_ledger_says_what_the_broker_says_and_tells_what_differs(tmp_path: Path) -> None:
    async def story(venue: Venue, broker: CtpBroker) -> None:
        rig = venue.rig
        told: list[str] = []
        broker.subscribe("one", lambda change, _: told.extend(change.differences))
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("a", "BUY", "OPEN", 2, 75010)))
        await shown(broker, broker.insert(order("b", "SELL", "CLOSETODAY", 1, 75300)))
        await shown(broker, broker.insert(order("c", "BUY", "OPEN", 1, 3400, symbol="DCE.m2109")))
        rig.trade.transfer("one", -5_000.0)

        def agrees() -> bool:
            figures = broker.standing.shadow.figures
            theirs = rig.trade.funds("one")
            return bool(figures) and all(
                pair == (pytest.approx(theirs[name]), pytest.approx(theirs[name]))
                for name, pair in figures.items()
            )

        broker._compare_s = 0.0
        await until(agrees)
        assert theirs_frozen(broker) > 0 and not broker.differences and told == []
        # The broker takes a fee nobody knows of: the account's money at the front is what it is made of.
        account = rig.trade.engine.exchange.account(rig.trade.engine.number("one") or 0)
        account.set_funds(deposit=1_000_000.0, withdraw=5_000.0, commission=999.0)
        broker._compare_s = 0.0
        await until(lambda: len(broker.differences) == 3)
        assert {one.subject for one in broker.differences} == {"commission", "balance", "available"}
        shown_figures = broker.reckoning()["figures"]
        assert shown_figures["commission"] == {"ours": pytest.approx(37.505), "broker": 999.0}
        assert any(text.startswith("commission: ours 37.5") for text in told)
        assert "figure commission" in broker.health()["differences"][0]
        broker._compare_s = 0.0
        await asyncio.sleep(0.3)
        assert len(broker.differences) == 3  # told once while it stays

    def theirs_frozen(broker: CtpBroker) -> float:
        return broker.standing.shadow.figures["frozen_margin"][1]

    play(tmp_path, story)


@pytest.mark.parametrize("stands", [False, True])
def test_the_day_after_begins_with_what_was_left(tmp_path: Path, stands: bool) -> None:
    """Orders and trades are gone, lots are yesterday's, our ledger begins with them at their settlement.

    Where the link stands over the front's settlement, the first order is refused (not confirmed): that tells.
    """

    async def story(venue: Venue, broker: CtpBroker) -> None:
        rig = venue.rig
        await until(lambda: broker.is_synced)
        await shown(broker, broker.insert(order("a", "BUY", "OPEN", 3, 75010)))
        await shown(broker, broker.insert(order("b", "BUY", "OPEN", 1, 74000)))
        await until(lambda: broker.trades("one"))
        days: list[int] = []
        broker.subscribe("one", lambda change, _: days.append(broker.trading_day) if change.day else None)
        venue.quote(COPPER, 75100)
        rig.at("2021-08-03 09:30:00")
        rig.trade.follow_day()
        venue.quote(COPPER, 75100)
        if stands:
            await until(lambda: not broker._sent and not broker._round._rows)
            if broker.is_synced:  # else a question has told already: on a busy machine one may come first
                await shown(broker, broker.insert(order("c", "SELL", "CLOSE", 1, 75000)))
                refused = broker.find("one", "c")
                assert refused is not None and "（42）" in refused.message
        else:
            for connection in list(venue.service.connections):
                connection.cut("the night")
        await until(lambda: broker.is_synced and days)
        assert days == [20210803] and broker.orders("one") == [] and broker.trades("one") == []
        await shown(broker, broker.insert(order("a", "SELL", "CLOSE", 1, 75000)))  # ids are of a day
        await until(lambda: broker.trades("one"))
        await until(lambda: broker.standing.shadow.figures.get("close_profit", (0.0, 0.0))[1])
        held, theirs = broker.positions("one")[0], rig.trade.positions("one")[0]
        for name in ("volume_long_his", "volume_long_today", "volume_long_yd", "position_cost_long"):
            assert held[name] == theirs[name], name
        assert held["volume_long_his"] == 2 and held["volume_long_yd"] == 3
        funds = rig.trade.funds("one")
        for name, (ours, shown_) in broker.standing.shadow.figures.items():
            assert ours == pytest.approx(shown_) == pytest.approx(funds[name]), name
        assert not broker.differences

    play(tmp_path, story)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_day_with_cuts_gives_the_account_of_paper_trading(tmp_path: Path) -> None:
    """Every order that reached the front goes into a second exchange directly; the accounts must agree."""
    random = Random(5)
    slowest_s = 0.0

    async def story(venue: Venue, broker: CtpBroker, paper: Rig) -> None:
        nonlocal slowest_s
        paper.quotes()
        number, price = 0, 75000.0
        for cut in range(CUTS):
            await until(lambda: broker.is_synced)
            slowest_s = max(slowest_s, broker.synced_after_s)
            for step in range(random.randint(2, 5)):
                price += random.choice((-20, -10, 0, 10, 20))
                quote(venue.rig, price)
                quote(paper, price)
                held = {p["symbol"]: p for p in venue.rig.trade.positions("one")}.get(COPPER)
                today = held["volume_long_today"] - held["volume_long_frozen_today"] if held else 0
                closes = today > 0 and random.random() < 0.5
                number += 1
                words = ("SELL", "CLOSETODAY", 1) if closes else ("BUY", "OPEN", random.randint(1, 2))
                at = price + random.choice((-30, -10, 10, 30)) * (-1 if closes else 1)
                made = order(f"o{number}", words[0], words[1], words[2], at)
                answer = broker.insert(made)
                is_cut = step == 0 and cut > 0
                if is_cut:
                    if random.random() < 0.5:
                        await asyncio.sleep(random.random() * 0.004)
                    for connection in list(venue.service.connections):
                        connection.cut("scripted")
                    await until(lambda: not broker.is_synced)
                    await until(lambda: broker.is_synced)
                    slowest_s = max(slowest_s, broker.synced_after_s)
                else:
                    await shown(broker, answer)
                arrived = [o for o in venue.rig.trade.orders("one") if o.order_id.endswith(f".{broker._ref}")]
                assert len(arrived) <= 1
                if venue.rig.trade.find("one", name(broker, number)) is not None:
                    paper.trade.insert(made)
        await until(lambda: broker.is_synced)
        await until(lambda: not broker._stale and not broker._session.queries_waiting)
        await asyncio.sleep(0.3)
        ours, direct = venue.rig.trade.funds("one"), paper.trade.funds("one")
        assert ours == direct
        for key in ("balance", "available", "margin", "commission", "close_profit"):
            assert broker.funds("one")[key] == pytest.approx(direct[key]), key
        theirs = venue.rig.trade.trades("one")
        assert [(t.price, t.volume) for t in broker.trades("one")] == [(t.price, t.volume) for t in theirs]
        assert [(t.price, t.volume) for t in theirs] == [
            (t.price, t.volume) for t in paper.trade.trades("one")
        ]
        known = {o.order_id for o in broker.orders("one") if broker.book.is_shown(o.number)}
        assert len(known) == len(venue.rig.trade.orders("one"))
        assert [one for one in broker.differences if one.kind in ("figure", "position")] == []
        assert broker.standing.shadow.figures["commission"][0] == pytest.approx(direct["commission"])
        assert slowest_s <= 3.0
        print(f"{CUTS} cuts, {number} orders, {len(theirs)} trades, synced within {slowest_s:.2f} s")

    def name(broker: CtpBroker, number: int) -> str:
        place = broker.book.number(f"o{number}")
        key = broker.book.key(place) if place is not None else None
        return key.order_id if key is not None else ""

    def quote(rig: Rig, last: float) -> None:
        book = {"bid_price1": last - 10, "ask_price1": last + 10, "bid_volume1": 9, "ask_volume1": 9}
        rig.tick(COPPER, last, upper_limit=82500, lower_limit=67500, pre_settlement=75000, **book)

    async def main() -> None:
        async with Venue(tmp_path / "venue") as venue, Rig(tmp_path / "paper") as paper:
            paper.trade.open_account("one", 1_000_000.0)
            broker = gateway(venue, tmp_path)
            await broker.start()
            try:
                await asyncio.wait_for(story(venue, broker, paper), 580)
            finally:
                await broker.stop(1.0)

    for place in ("venue", "paper"):
        (tmp_path / place).mkdir()
    asyncio.run(main())
