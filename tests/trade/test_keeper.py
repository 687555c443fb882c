"""Account documents behind the journal: the latest wins, days are kept, an outage loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qautlra import qifi
from qautlra.base.errors import StorageError
from qautlra.base.secret import Secret
from qautlra.link.documents import SqliteRepository
from qautlra.link.mongo import MongoRepository
from qautlra.trade.keeper import Keeper
from tests.link.test_bus import until
from tests.link.test_documents import mongo_url
from tests.trade.rig import ACCOUNT, Rig, beijing_ns, run

__all__ = ["mongo_url"]

CU = "SHFE.cu2109"


class Flaky(SqliteRepository):
    """The real place, which fails while it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.away = False
        self.saves = 0

    async def save(self, document: Any, seq: int) -> bool:
        if self.away:
            raise StorageError("away")
        self.saves += 1
        return await super().save(document, seq)


def make(rig: Rig, place: SqliteRepository, **settings: Any) -> Keeper:
    return Keeper(
        trade=rig.trade, repository=place, now_ns=rig.clock.now_ns, **{"interval_s": 0.02} | settings
    )


def test_the_document_follows_the_account(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        place = Flaky(tmp_path / "documents.sqlite")
        keeper = make(rig, place)
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        await keeper.start()
        rig.quotes()
        rig.send("o1", CU, "BUY", "OPEN", 2, 75_000)
        rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
        rig.send("o2", CU, "SELL", "CLOSETODAY", 1, 75_200)
        rig.tick(CU, 75_200, bid_price1=75_200, bid_volume1=1)
        await until(lambda: keeper.saved_count and not keeper.health()["waiting"])
        await asyncio.sleep(0.2)
        document = await place.load(ACCOUNT)
        assert document is not None
        # Contract 1.11: the same numbers, whichever door.
        assert document.accounts.balance == pytest.approx(1_001_962.5, abs=1e-6)
        assert document.accounts.available == document.money == pytest.approx(964_462.5, abs=1e-6)
        assert document.positions[CU].open_cost_long == 375_000
        assert [order.status for order in document.orders.values()] == ["FINISHED", "FINISHED"]
        assert [trade.commission for trade in document.trades.values()] == [37.5, 0.0]
        assert await place.seq(ACCOUNT) == rig.trade.head_lsn
        assert len(await place.equity(ACCOUNT)) == 1
        await keeper.stop(1.0)

    run(tmp_path, body)


def test_many_changes_are_few_writes(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        place = Flaky(tmp_path / "documents.sqlite")
        keeper = make(rig, place, interval_s=0.1, orders_count=50)
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        rig.quotes()
        await keeper.start()
        for n in range(60):
            rig.send(f"o{n}", CU, "BUY", "OPEN", 1, 70_000)
            rig.cancel(f"o{n}")
            if n % 20 == 0:
                await asyncio.sleep(0.01)
        rig.send("alive", CU, "BUY", "OPEN", 1, 70_000)
        await asyncio.sleep(0.5)
        assert place.saves < 8
        document = await place.load(ACCOUNT)
        assert document is not None and len(document.orders) == 50
        assert document.orders["alive"].status == "ALIVE" and "o59" in document.orders
        await keeper.stop(1.0)

    run(tmp_path, body)


def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        place = Flaky(tmp_path / "documents.sqlite")
        keeper = make(rig, place)
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        rig.quotes()
        await keeper.start()
        await until(lambda: place.saves)
        place.away = True
        rig.send("o1", CU, "BUY", "OPEN", 2, 75_000)
        await until(lambda: keeper.health().get("error") == "away")
        assert not keeper.failed.done() and rig.send("o2", CU, "BUY", "OPEN", 1, 70_000).ok
        place.away = False
        await until(lambda: not keeper.health()["waiting"])
        await asyncio.sleep(0.05)
        document = await place.load(ACCOUNT)
        assert document is not None and {"o1", "o2"} <= set(document.orders)
        assert "error" not in keeper.health()
        await keeper.stop(1.0)

    run(tmp_path, body)


def test_days_are_kept_as_they_ended(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        place = SqliteRepository(tmp_path / "documents.sqlite")
        keeper = make(rig, place)
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        rig.quotes()
        await keeper.start()
        rig.send("o1", CU, "BUY", "OPEN", 2, 75_000)
        rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
        rig.send("late", CU, "BUY", "OPEN", 1, 70_000)
        rig.at("2021-08-02 21:30:00")
        rig.trade.follow_day()
        rig.send("new", CU, "BUY", "OPEN", 1, 70_000)
        await until(lambda: keeper.saved_count and not keeper.health()["waiting"])
        await asyncio.sleep(0.2)
        assert await place.days(ACCOUNT) == ["20210802"]
        day = await place.day(ACCOUNT, "20210802")
        assert day is not None and set(day.orders) == {"o1", "late"} and len(day.trades) == 1
        assert day.orders["late"].status == "FINISHED"
        now = await place.load(ACCOUNT)
        assert now is not None and now.trading_day == "20210803"
        assert set(now.orders) == {"new"} and not now.trades
        assert now.positions[CU].volume_long_his == 2
        await keeper.stop(1.0)

    run(tmp_path, body)


@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
def test_transfers_and_events_are_in_the_document(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Contract 1.1 and 1.6, over a restart and the end of the day."""
    url = Secret(request.getfixturevalue("mongo_url")) if kind == "mongo" else None
    before: list[Any] = []

    def place_of(rig: Rig) -> Any:
        name = tmp_path / "documents.sqlite"
        return SqliteRepository(name) if url is None else MongoRepository(url, database="transfers")

    async def written(rig: Rig, keeper: Keeper) -> Any:
        await until(lambda: keeper.saved_count and not keeper.health()["waiting"])
        await asyncio.sleep(0.1)
        document = await keeper.repository.load(ACCOUNT)
        assert document is not None and document.event and document.transfers
        assert qifi.load(qifi.to_bson(document)) == qifi.load(qifi.to_json(document)) == document
        return document

    async def first(rig: Rig) -> None:
        keeper = make(rig, place_of(rig))
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        await keeper.start()
        rig.quotes()
        assert rig.trade.transfer(ACCOUNT, 500).ok
        rig.at("2021-08-02 09:30:05")
        assert rig.trade.transfer(ACCOUNT, -9e9).code == 2003
        assert rig.send("o1", CU, "BUY", "OPEN", 2, 75_000).ok
        rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=2)
        assert not rig.send("o2", CU, "SELL", "CLOSE", 1, 75_000).ok
        document = await written(rig, keeper)
        done, refused = document.transfers["1"], document.transfers["2"]
        at_ns = beijing_ns("2021-08-02 09:30:00")
        assert done == qifi.Transfer(datetime=at_ns, amount=500.0, error_id=0, error_msg="转账成功")
        assert (refused.amount, refused.error_id, refused.currency) == (-9e9, 2003, "CNY")
        assert document.event == {
            "2021-08-02 09:30:00": "转账成功",
            "2021-08-02 09:30:05": "下单成功；下单失败," + document.orders["o2"].last_msg
            + "；成交通知,合约:SHFE.cu2109,手数:2；转账失败," + refused.error_msg,
        }  # fmt: skip
        before.append((document.transfers, document.event))
        await keeper.stop(1.0)

    async def second(rig: Rig) -> None:
        keeper = make(rig, place_of(rig))
        await keeper.start()
        document = await written(rig, keeper)
        assert (document.transfers, document.event) == before[0]
        rig.at("2021-08-02 21:30:00")
        rig.trade.follow_day()
        await until(lambda: keeper.saved_count > 1 and not keeper.health()["waiting"])
        await asyncio.sleep(0.1)
        day, now = (
            await keeper.repository.day(ACCOUNT, "20210802"),
            await keeper.repository.load(ACCOUNT),
        )
        assert day is not None and (day.transfers, day.event) == before[0]
        assert now is not None and not now.transfers and not now.event
        await keeper.stop(1.0)

    run(tmp_path / "rig", first, durability="process")
    run(tmp_path / "rig", second, durability="process")


def test_transfers_and_events_of_a_document_are_bounded(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        keeper = make(rig, SqliteRepository(tmp_path / "documents.sqlite"), orders_count=50)
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        rig.quotes()
        for second in range(130):
            rig.at(f"2021-08-02 09:3{second // 60}:{second % 60:02}")
            assert rig.trade.transfer(ACCOUNT, 1 + second).ok
            assert rig.send(f"o{second}", CU, "BUY", "OPEN", 1, 70_000).ok and rig.cancel(f"o{second}").ok
        await keeper.start()
        await until(lambda: keeper.saved_count and not keeper.health()["waiting"])
        await asyncio.sleep(0.1)
        document = await keeper.repository.load(ACCOUNT)
        assert document is not None and len(document.orders) == 50
        assert [one.amount for one in document.transfers.values()] == list(range(81, 131))
        assert len(document.event) == 50  # a transfer and an order in each second
        assert list(document.event)[-1] == "2021-08-02 09:32:09"
        await keeper.stop(1.0)

    run(tmp_path, body)


def test_a_document_of_a_later_journal_is_left_alone_and_reported(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        place = SqliteRepository(tmp_path / "documents.sqlite")
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        await place.open()
        keeper = make(rig, place)
        other = keeper.document(ACCOUNT)
        other.head.money = 42
        await place.save(other, 1 << 40)
        await keeper.start()
        await until(lambda: "error" in keeper.health())
        assert ACCOUNT in keeper.health()["error"]
        kept = await place.load(ACCOUNT)
        assert kept is not None and kept.money == 42
        await keeper.stop(1.0)

    run(tmp_path, body)


def test_trading_starts_without_the_database(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        place = MongoRepository(Secret("mongodb://127.0.0.1:1/"), timeout_s=0.1)
        keeper = Keeper(trade=rig.trade, repository=place, now_ns=rig.clock.now_ns)
        assert rig.trade.open_account(ACCOUNT, 1_000_000).ok
        await keeper.start()
        await until(lambda: "MongoDB" in keeper.health().get("error", ""))
        assert not keeper.failed.done() and keeper.health()["waiting"] == 1
        await keeper.stop(1.0)

    run(tmp_path, body)
