"""The papers of a settled day: made a few at a time, the same as in one piece, and lost by no kill."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qautlra._core.market import Rows
from qautlra.base.errors import StorageError
from qautlra.base.loop import SLICE_COUNT
from qautlra.link.documents import SqliteRepository
from qautlra.model.condition import Condition, Conditional, Effect, Kind, Leg, Pricing, Relation, State
from qautlra.model.order import Direction
from qautlra.trade import conditional, engine
from qautlra.trade.days import AccountDay
from qautlra.trade.desk import Desk
from qautlra.trade.keeper import Keeper
from qautlra.trade.statements import Statement
from qautlra.wire import qifi_account
from tests.trade.rig import ACCOUNT, Rig, run

CU, RB = "SHFE.cu2109", "SHFE.rb2110"
ORDERS = 1_500
FREE = dict.fromkeys(
    ("orders_per_s", "orders_burst", "cancels_per_s", "cancels_burst", "repeats_max", "active_max",
     "day_orders", "day_cancels", "day_trades", "contract_orders", "contract_cancels", "contract_trades",
     "contract_opens", "contract_open_volume", "stale_ms"), 0,
)  # fmt: skip


def busy(rig: Rig, orders: int = ORDERS, account: str = ACCOUNT) -> None:
    """A day of an account that is more than a slice of papers, and of one that did nothing."""
    rig.quotes()
    for name in (account, "quiet"):
        assert rig.trade.open_account(name, 1e9).ok
    assert rig.trade.transfer(account, 100_000.0).ok
    rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=100_000, bid_price1=74_990, bid_volume1=100_000)
    for number in range(orders):
        kind = ("BUY", "OPEN") if number % 2 else ("SELL", "OPEN")
        assert rig.send(f"o{number}", CU, *kind, 1, 75_000 if number % 2 else 74_990, account).ok
    rig.tick(CU, 75_150, settlement=75_100)


async def until(right: Callable[[], Any], turns: int = 5_000) -> None:
    """Wait until it is so; a turn of the loop is a millisecond at least."""
    for _ in range(turns):
        if right():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("not within its time")


def end_day(rig: Rig) -> None:
    rig.at("2021-08-02 20:56:00")
    rig.trade.follow_day()
    assert rig.trade.trading_day == 20210803


def bodies(path: Path) -> dict[str, bytes]:
    with sqlite3.connect(path / "trade" / "statements.db") as database:
        return dict(database.execute("SELECT account_id, body FROM statements"))


class World:
    """The papers' readers beside a rig."""

    def __init__(self, rig: Rig, path: Path) -> None:
        self.desk = Desk(rig.trade, path, rig.tape, rig.instruments)
        self.keeper = Keeper(
            trade=rig.trade, repository=SqliteRepository(path / "documents"), now_ns=rig.clock.now_ns
        )

    async def __aenter__(self) -> World:
        await self.desk.start()
        await self.keeper.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keeper.stop(1.0)
        await self.desk.stop(1.0)


def test_papers_are_made_in_slices_and_are_what_they_were_in_one_piece(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        async with World(rig, tmp_path) as world:
            busy(rig)
            trade = rig.trade
            before: list[AccountDay] = []
            documents: dict[str, Any] = {}
            take = world.keeper.take_day

            def taken(document: Any, seq: int) -> None:
                documents[document.account_cookie] = document
                take(document, seq)

            world.keeper.take_day = taken  # type: ignore[method-assign]
            trade.day_ended.append(lambda ended: before.extend(ended.accounts))
            sizes: list[int] = []
            turns = 0
            steps = trade.settling.papers._steps

            def counted() -> Any:
                for count in steps():
                    sizes.append(count)
                    yield count

            trade.settling.papers._steps = counted  # type: ignore[method-assign]
            end_day(rig)
            assert trade.settling.papers.day == 20210802 and sum(sizes) < 2 * SLICE_COUNT + 64
            assert rig.send("next", CU, "BUY", "OPEN", 1, 75_000).ok  # the next day goes on meanwhile

            async def count_turns() -> None:
                nonlocal turns
                while trade.settling.papers.day:
                    turns += 1
                    await asyncio.sleep(0)

            counting = asyncio.create_task(count_turns())
            found = await trade.settling.statement_of(ACCOUNT, 20210802)
            await counting
            assert max(sizes) <= SLICE_COUNT and turns > sum(sizes) / (2 * SLICE_COUNT)
            [one, quiet] = before
            assert found is not None and len(found.trades) == ORDERS and found.trades == one.trades
            assert [order.order_id for order in trade.orders(ACCOUNT)] == ["next"]
            transfers = found.transfers
            assert [one.amount for one in transfers] == [100_000]
            for day in (one, quiet):
                expected = Statement(
                    account_id=day.account_id,
                    trading_day=20210802,
                    funds=day.funds,
                    positions=day.positions,
                    trades=day.trades,
                    transfers=transfers if day is one else [],
                    prices={CU: 75_100.0} if day is one else {},
                )
                assert bodies(tmp_path)[day.account_id] == msgspec.json.encode(expected)
            assert sorted(bodies(tmp_path)) == sorted([ACCOUNT, "quiet"])
            kept = await world.desk.ask(world.desk.records.orders, ACCOUNT)
            assert kept == [(20210802, order) for order in one.orders] and len(kept) == ORDERS
            [settlement] = trade.settling.statements.settlements()
            assert (settlement.accounts_count, settlement.orders_count) == (2, ORDERS)
            assert settlement.trades_count == ORDERS and settlement.prices == {CU: 75_100}
            assert documents[ACCOUNT] == qifi_account.document(
                ACCOUNT,
                funds=one.funds,
                positions=one.positions,
                orders=one.orders,
                trades=one.trades,
                transfers=transfers,
                trading_day=20210802,
                now_ns=settlement.market_ns,
            )
            total = sum(trade.funds(name)["pre_balance"] for name in (ACCOUNT, "quiet"))
            assert total == pytest.approx(sum(day.funds["balance"] for day in before))

    run(tmp_path, body, limits=FREE)


def test_a_quiet_days_papers_are_there_at_once(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        busy(rig, 20)
        end_day(rig)
        assert rig.trade.settling.papers.day == 0
        assert rig.trade.settling.statements.days(ACCOUNT) == [20210802]

    run(tmp_path, body)


def killed(source: Path, to: Path) -> None:
    """What a kill leaves at this moment; SQLite's files as they lie there."""
    shutil.copytree(source, to, dirs_exist_ok=True)


@pytest.mark.parametrize("moment", ["begun", "settled", "making", "written"])
def test_a_kill_at_any_moment_of_it_leaves_the_day_before_or_after(tmp_path: Path, moment: str) -> None:
    """Before the settle record the day ends again; behind it the next start makes the papers."""
    whole: dict[str, Any] = {}
    slices = 0

    def at_third(go_on: Callable[[], bool]) -> bool:
        nonlocal slices
        slices += 1
        if slices == 3:
            killed(tmp_path / "first", tmp_path / "killed")
        return go_on()

    async def first(rig: Rig) -> None:
        busy(rig)
        trade, made = rig.trade, tmp_path / "first"
        await trade.durable(trade.head_lsn)
        papers_of = trade.settling.papers
        days = trade.settling.days
        assert days is not None
        if moment == "begun":
            settle = days.settle
            days.settle = lambda ended: (killed(made, tmp_path / "killed"), settle(ended))[1]  # type: ignore[method-assign]
        end_day(rig)
        whole["hash"] = trade.engine.exchange.state_hash()
        await trade.durable(trade.head_lsn)
        if moment == "settled":
            killed(made, tmp_path / "killed")
        if moment == "making":
            slice_of, papers_of._slice = papers_of._slice, lambda: at_third(slice_of)  # type: ignore[method-assign]
        await papers_of.kept()
        if moment == "written":
            killed(made, tmp_path / "killed")
        whole["bodies"] = bodies(made)
        whole["settlement"] = trade.settling.statements.settlement(20210802)
        whole["funds"] = {name: trade.funds(name) for name in (ACCOUNT, "quiet")}

    async def second(rig: Rig) -> None:
        trade = rig.trade
        settled = trade.trading_day == 20210803
        assert settled == (moment != "begun")
        if not settled:
            rig.tick(CU, 75_150, settlement=75_100)
            end_day(rig)
        trade.settling.papers.turn()
        async with asyncio.timeout(20):
            await trade.settling.papers.kept()
        assert bodies(tmp_path / "killed") == whole["bodies"] and len(whole["bodies"]) == 2
        found = trade.settling.statements.settlement(20210802)
        assert found is not None
        assert found == msgspec.structs.replace(whole["settlement"], market_ns=found.market_ns)
        assert {name: trade.funds(name) for name in (ACCOUNT, "quiet")} == whole["funds"]
        assert trade.engine.exchange.trading_day == 20210803 and not trade.engine.exchange.broken

    run(tmp_path / "first", first, durability="process", limits=FREE)
    run(tmp_path / "killed", second, durability="process", limits=FREE)


def test_no_replay_begins_behind_a_day_whose_papers_are_not_kept(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        busy(rig)
        end_day(rig)
        await rig.trade.durable(rig.trade.head_lsn)
        checkpoints = rig.trade._checkpoints.entries
        await asyncio.sleep(0)
        assert rig.trade.settling.papers.day and checkpoints() == []
        await rig.trade.settling.papers.kept()
        await until(checkpoints)
        assert [day for day, _ in checkpoints()] == [20210803]

    run(tmp_path, body, durability="process", limits=FREE)


@pytest.mark.parametrize("orders", [20, ORDERS])
def test_papers_that_cannot_be_written_are_written_later_and_no_day_ends_before(
    tmp_path: Path, orders: int
) -> None:
    async def body(rig: Rig) -> None:
        busy(rig, orders)
        trade = rig.trade
        statements = trade.settling.statements
        finish, statements.finish = statements.finish, refused  # type: ignore[method-assign]
        end_day(rig)
        await trade.settling.settled()
        assert "20210802" in trade.health()["error"] and trade.settling.papers.day == 20210802
        assert rig.send("next", CU, "BUY", "OPEN", 1, 75_000).ok
        rig.at("2021-08-03 20:56:00")
        with pytest.raises(StorageError):
            trade.follow_day()
        assert trade.trading_day == 20210803 and len(trade.orders(ACCOUNT)) == 1
        statements.finish = finish  # type: ignore[method-assign]
        trade.follow_day()
        await trade.settling.settled()
        assert statements.days(ACCOUNT) == [20210802, 20210803] and trade.health()["error"] == ""

    def refused(*_: Any) -> None:
        raise StorageError("the disk is full")

    run(tmp_path, body, limits=FREE)


def test_an_ended_day_is_read_after_its_exchange_has_gone_on(tmp_path: Path) -> None:
    """Accounts, orders and trades as the day left them, though the next one has its own."""

    async def body(rig: Rig) -> None:
        busy(rig, 20)
        exchange = rig.trade.engine.exchange
        days = rig.trade.settling.days
        assert days is not None
        ended = days.end(20210803)
        before = list(ended.accounts)
        rig.trade.collect()
        assert days.settle(ended) and exchange.take_ended() is None
        rig.at("2021-08-03 09:30:00")
        assert rig.send("next", CU, "BUY", "OPEN", 3, 75_000).ok
        rig.tick(CU, 74_000)
        assert list(ended.accounts) == before and ended.exchange is not exchange
        assert ended.exchange.insert(1, "x", 0, 0, 0, 1, 75_000)[0] == 1007  # it takes no orders
        exchange.reuse(ended.exchange)  # has orders: nothing happens
        assert len(rig.trade.orders(ACCOUNT)) == 1 and len(before[0].orders) == 20
        assert list(ended.accounts) == before

    run(tmp_path, body, limits=FREE)


# --- what else begins with a day ---


def listed(rig: Rig, count: int) -> list[str]:
    """Options that are listed, each with a price."""
    names = [
        f"SHFE.cu{month}{kind}{40_000 + 100 * step}"
        for step in range(count // 10 + 1)
        for month in ("2110", "2111", "2112", "2201", "2202")
        for kind in "CP"
    ][:count]
    rows = Rows(rig.instruments)
    for number, name in enumerate(names):
        stamp = {"instrument_id": name, "datetime": rig.clock.now_ns(), "seq": number + 1}
        limits = {"last_price": 200, "pre_settlement": 200, "upper_limit": 900, "lower_limit": 10}
        rows.append_dict(rig.instruments, stamp | limits)
    rig.tape.publish(rows)
    rig.trade.on_batch()
    assert all(rig.trade.engine.instrument(name) is not None for name in names)
    return names


def test_phases_of_many_instruments_begin_a_few_at_a_time(tmp_path: Path) -> None:
    """None trades by the hours of before meanwhile, and an order finds its instrument in its phase."""

    async def body(rig: Rig) -> None:
        assert rig.trade.open_account(ACCOUNT, 1e9).ok
        names = listed(rig, engine.PHASES_COUNT + 200)
        of, set_phase = rig.trade.engine, rig.trade.engine._set_phase
        moved: list[int] = []

        def counted(instrument: int, now_ns: int) -> None:
            moved.append(instrument)
            set_phase(instrument, now_ns)

        of._set_phase = counted  # type: ignore[method-assign]
        rig.at("2021-08-02 21:10:00")
        rig.trade.follow_day()
        assert len(moved) == engine.PHASES_COUNT and of.is_phase_due
        assert rig.send("o1", names[-1], "BUY", "OPEN", 1, 200).ok
        assert rig.cancel("o1").ok
        del moved[:]
        rig.tick(CU, 75_000)
        assert 0 < len(moved) <= engine.PHASES_COUNT and not of.is_phase_due
        # and where no batch comes, the loop does it
        rig.at("2021-08-03 01:10:00")
        rig.tick(CU, 75_000)
        assert of.is_phase_due
        await until(lambda: not of.is_phase_due)

    run(tmp_path, body)


def condition(number: int, account: str = ACCOUNT) -> Conditional:
    leg = Leg(
        symbol=CU, direction=Direction.BUY, effect=Effect.OPEN, volume=1, pricing=Pricing.LIMIT,
        limit_price=76_000,
    )  # fmt: skip
    met = Condition(symbol=CU, kind=Kind.PRICE, relation=Relation.GE, price=76_000)
    return Conditional(account_id=account, order_id=f"c{number}", conditions=(met,), legs=(leg,))


def waiting(rig: Rig) -> int:
    return sum(one.state is State.LIVE for one in rig.trade.conditions.list(ACCOUNT))


def test_conditional_orders_of_a_day_end_a_few_at_a_time_and_are_not_met_on_the_next(tmp_path: Path) -> None:
    count = 3 * conditional.ENDS_COUNT

    async def first(rig: Rig) -> None:
        rig.quotes()
        assert rig.trade.open_account(ACCOUNT, 1e9).ok
        assert all(rig.trade.conditions.insert(condition(number)).order for number in range(count))
        rig.at("2021-08-02 21:10:00")
        rig.trade.follow_day()
        assert waiting(rig) == count - conditional.ENDS_COUNT
        await rig.trade.durable(rig.trade.head_lsn)
        killed(tmp_path / "first", tmp_path / "killed")
        rig.tick(CU, 76_000)  # would have met them all
        await ended(rig)

    async def ended(rig: Rig) -> None:
        await until(lambda: not waiting(rig))
        found = rig.trade.conditions.list(ACCOUNT)
        assert len(found) == count and {one.state for one in found} == {State.DISCARD}
        assert {one.end_day for one in found} == {20210802} and rig.trade.orders(ACCOUNT) == []

    settings: dict[str, Any] = {"durability": "process", "conditions": {"day_max": 1_000, "valid_max": 1_000}}
    run(tmp_path / "first", first, **settings)
    run(tmp_path / "killed", ended, **settings)
