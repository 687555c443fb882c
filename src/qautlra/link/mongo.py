"""Account documents in MongoDB, by pymongo's own asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from qautlra.base.errors import ConfigError, LinkError
from qautlra.base.secret import Secret
from qautlra.wire import qifi_mongo as wire
from qautlra.wire.qifi_parts import Parts

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient
    from pymongo.asynchronous.collection import AsyncCollection

    from qautlra.model.qifi import Account, Qifi

OPEN_TIMEOUT_S = 5.0


class MongoRepository:
    """As `trade.repository.AccountRepository`. `key_sep` "_" is for servers that forbid dots in keys."""

    def __init__(
        self,
        url: Secret,
        *,
        database: str = wire.DATABASE,
        key_sep: str = ".",
        timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        if urlsplit(url.reveal()).scheme not in ("mongodb", "mongodb+srv"):
            raise ConfigError(
                "not the URL of a MongoDB",
                key="link.mongo.url",
                expected="mongodb://user:password@host:27017",
            )
        self._url = url
        self._database = database
        self._key_sep = key_sep
        self._timeout_ms = int(timeout_s * 1000)
        self._client: AsyncMongoClient[dict[str, Any]] | None = None

    @property
    def shown_place(self) -> str:
        """The URL without user and password, and the database."""
        parts = urlsplit(self._url.reveal())
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{self._database}"

    async def open(self) -> None:
        """Connect and make the indexes."""
        try:
            from pymongo import AsyncMongoClient
        except ImportError:
            raise ConfigError("MongoDB needs pymongo (pip install pymongo)", key="link.mongo.url") from None
        await self.close()
        async with _failures():
            client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                self._url.reveal(),
                serverSelectionTimeoutMS=self._timeout_ms,
                connectTimeoutMS=self._timeout_ms,
                socketTimeoutMS=self._timeout_ms,
                appname="qautlra",
            )
            self._client = client
            for name, (keys, unique) in wire.INDEXES.items():
                await self._in(name).create_index(list(keys), unique=unique)

    async def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def save(self, document: Parts, seq: int) -> bool:
        """Put the document in place of the account's; False when one of a later `seq` is there."""
        return await self._put(wire.CURRENT, *wire.current(document.document(), seq, self._key_sep))

    async def save_day(self, document: Qifi, seq: int) -> bool:
        """Put the document of its trading day; False when a later one is there."""
        return await self._put(wire.DAYS, *wire.day(document, seq, self._key_sep))

    async def load(self, account_id: str) -> Qifi | None:
        """Return the account's document."""
        return await self._get(wire.CURRENT, {wire.ID: account_id})

    async def day(self, account_id: str, trading_day: str) -> Qifi | None:
        """Return the account's document of a trading day."""
        return await self._get(wire.DAYS, {wire.ID: account_id, wire.DAY: trading_day})

    async def seq(self, account_id: str) -> int:
        """Return where the account's document stands, 0 when there is none."""
        async with _failures():
            found = await self._in(wire.CURRENT).find_one({wire.ID: account_id}, {wire.SEQ: 1})
        return int(found.get(wire.SEQ, 0)) if found else 0

    async def accounts(self) -> list[str]:
        """Return the names of all accounts with a document, sorted."""
        async with _failures():
            return sorted(str(name) for name in await self._in(wire.CURRENT).distinct(wire.ID))

    async def days(self, account_id: str) -> list[str]:
        """Return the trading days there are documents of, sorted."""
        async with _failures():
            return sorted(
                str(day) for day in await self._in(wire.DAYS).distinct(wire.DAY, {wire.ID: account_id})
            )

    async def add_equity(self, account_id: str, funds: Account, updatetime: str) -> None:
        """Note the funds at a time."""
        async with _failures():
            point = wire.tick(account_id, msgspec.structs.asdict(funds), updatetime)
            await self._in(wire.TICKS).insert_one(point)

    async def equity(self, account_id: str, limit: int = 10_000) -> list[tuple[str, Account]]:
        """Return the newest `limit` points of equity, oldest first."""
        async with _failures():
            cursor = self._in(wire.TICKS).find({wire.ID: account_id}).sort(wire.TIME, -1).limit(limit)
            found = await cursor.to_list()
        return [wire.read_tick(point) for point in reversed(found)]

    async def trim_equity(self, before: str) -> int:
        """Delete points older than `before`; how many."""
        async with _failures():
            return (await self._in(wire.TICKS).delete_many({wire.TIME: {"$lt": before}})).deleted_count

    def _in(self, name: str) -> AsyncCollection[dict[str, Any]]:
        if self._client is None:
            raise LinkError("MongoDB is not connected")
        return self._client[self._database][name]

    async def _put(self, name: str, which: dict[str, Any], update: dict[str, Any]) -> bool:
        from pymongo.errors import DuplicateKeyError

        async with _failures():
            try:
                await self._in(name).update_one(which, update, upsert=True)
            except DuplicateKeyError:
                return False  # one is there, and the filter did not take it: it is newer
            return True

    async def _get(self, name: str, which: dict[str, Any]) -> Qifi | None:
        async with _failures():
            found = await self._in(name).find_one(which)
        return wire.read(found) if found else None


@asynccontextmanager
async def _failures() -> AsyncIterator[None]:
    """Turn the driver's errors into ours."""
    from pymongo.errors import PyMongoError

    try:
        yield
    except PyMongoError as error:
        raise LinkError(f"MongoDB: {str(error)[:300]}") from None
