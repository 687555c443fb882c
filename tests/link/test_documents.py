"""One body of tests for both places of account documents.

MongoDB here is secantusdb, a pre-release stand-in that speaks its protocol: what passes was proved on it, not
on MongoDB's own server.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qautlra import qifi
from qautlra.base.errors import ConfigError, LinkError, StorageError
from qautlra.base.secret import Secret
from qautlra.link.documents import NICENESS, SqliteRepository
from qautlra.link.mongo import MongoRepository
from qautlra.wire.qifi_parts import Parts, part
from tests.services import module

CU = (Path(__file__).parents[1] / "contract" / "qifi" / "cu.json").read_bytes()


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    secantus = module("secantus", "secantusdb, the stand-in for MongoDB")
    with secantus.SecantusDBServer(storage_path=str(tmp_path_factory.mktemp("mongo"))) as server:
        yield server.uri


@pytest.fixture(params=["sqlite", "mongo", "mongo_without_dots"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    if request.param == "sqlite":
        return lambda: SqliteRepository(tmp_path / "trade" / "accounts.sqlite")
    url = Secret(request.getfixturevalue("mongo_url"))
    sep = "_" if request.param == "mongo_without_dots" else "."
    name = "t" + tmp_path.name[-30:].replace("-", "_").replace("[", "_").replace("]", "_")
    return lambda: MongoRepository(url, database=name, key_sep=sep)


def run(make: Callable[[], Any], work: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        place = make()
        await place.open()
        try:
            async with asyncio.timeout(30):
                await work(place)
        finally:
            await place.close()

    asyncio.run(main())


def document(money: float = 0.0, name: str = "acc001", day: str = "20210802") -> qifi.Qifi:
    found = qifi.from_json(CU)
    found.account_cookie, found.money, found.trading_day = name, money, day
    return found


def parts(money: float = 0.0, name: str = "acc001") -> Parts:
    """The same document, as the keeper writes it."""
    whole = document(money, name)
    head = msgspec.structs.replace(whole, orders={}, trades={})
    return Parts(
        head,
        [part(key, item) for key, item in whole.orders.items()],
        [part(key, item) for key, item in whole.trades.items()],
    )


def test_a_document_is_kept_once_per_account(make: Callable[[], Any]) -> None:
    async def work(place: Any) -> None:
        assert await place.load("acc001") is None and await place.seq("acc001") == 0
        for seq in (5, 6, 7):
            assert await place.save(parts(money=seq), seq)
        assert await place.save(parts(name="acc002"), 1)
        assert await place.accounts() == ["acc001", "acc002"]
        assert await place.load("acc001") == document(money=7)
        assert await place.seq("acc001") == 7

    run(make, work)


def test_an_older_document_never_takes_the_place_of_a_newer(make: Callable[[], Any]) -> None:
    async def work(place: Any) -> None:
        assert await place.save(parts(money=9), 9)
        assert not await place.save(parts(money=8), 8)
        assert (await place.load("acc001")).money == 9
        assert await place.save(parts(money=9.5), 9)
        assert (await place.load("acc001")).money == 9.5
        # Many at once, in any order: the newest stays.
        order = [(n * 7) % 23 + 10 for n in range(23)]
        await asyncio.gather(*(place.save(parts(money=n), n) for n in order))
        assert (await place.load("acc001")).money == max(order)
        assert await place.seq("acc001") == max(order)

    run(make, work)


def test_days(make: Callable[[], Any]) -> None:
    async def work(place: Any) -> None:
        for day in ("20210803", "20210802"):
            assert await place.save_day(document(day=day), 3)
        assert not await place.save_day(document(day="20210802", money=-1), 2)
        assert await place.save_day(document(day="20210802", money=1), 3)
        assert await place.days("acc001") == ["20210802", "20210803"]
        assert (await place.day("acc001", "20210802")).money == 1
        assert await place.day("acc001", "20210804") is None

    run(make, work)


def test_equity_over_time(make: Callable[[], Any]) -> None:
    async def work(place: Any) -> None:
        for n in range(6):
            funds = qifi.Account(user_id="acc001", balance=1000.0 + n)
            await place.add_equity("acc001", funds, f"2021-08-02 09:30:0{n}.000000")
        found = await place.equity("acc001", limit=3)
        assert [(time[-9:], funds.balance) for time, funds in found] == [
            ("03.000000", 1003.0),
            ("04.000000", 1004.0),
            ("05.000000", 1005.0),
        ]
        assert await place.trim_equity("2021-08-02 09:30:04") == 4
        assert len(await place.equity("acc001")) == 2

    run(make, work)


def test_documents_outlive_the_process(make: Callable[[], Any]) -> None:
    async def first(place: Any) -> None:
        await place.save(parts(money=3), 3)

    async def second(place: Any) -> None:
        assert (await place.load("acc001")).money == 3

    run(make, first)
    run(make, second)


def test_names_are_values_never_statements(make: Callable[[], Any]) -> None:
    async def work(place: Any) -> None:
        name = "a'; DROP TABLE account; --$where"
        await place.save(parts(name=name), 1)
        assert await place.accounts() == [name]
        assert (await place.load(name)).account_cookie == name

    run(make, work)


def test_what_is_stored_has_the_chosen_keys(mongo_url: str) -> None:
    from pymongo import MongoClient

    async def work(place: Any) -> None:
        await place.save(parts(), 1)

    for sep, key in ((".", "SHFE.cu2109"), ("_", "SHFE_cu2109")):
        run(
            lambda sep=sep: MongoRepository(Secret(mongo_url), database="keys" + str(ord(sep)), key_sep=sep),
            work,
        )  # type: ignore[misc]
        with MongoClient[dict[str, Any]](mongo_url) as client:
            (found,) = client["keys" + str(ord(sep))]["account"].find({})
        assert list(found["positions"]) == [key] and found["account_cookie"] == "acc001"


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    async def away() -> None:
        place = MongoRepository(Secret("mongodb://me:hidden@127.0.0.1:1/"), timeout_s=0.2)
        with pytest.raises(LinkError) as caught:
            await place.open()
        assert "hidden" not in str(caught.value) and "hidden" not in place.shown_place
        with pytest.raises(StorageError):
            await SqliteRepository(tmp_path).open()
        with pytest.raises(ConfigError):
            MongoRepository(Secret("localhost"))

    asyncio.run(away())


def test_writing_documents_yields_to_orders(tmp_path: Path) -> None:
    async def work(place: Any) -> None:
        assert await place.save(parts(), 1)
        (thread,) = place._thread._threads
        ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        theirs = os.getpriority(os.PRIO_PROCESS, thread.native_id)
        assert theirs == min(ours + NICENESS, 19) > ours

    run(lambda: SqliteRepository(tmp_path / "accounts.sqlite"), work)
