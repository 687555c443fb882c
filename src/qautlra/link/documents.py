"""Account documents in an SQLite file of this process: the embedded twin of MongoDB."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from qautlra.base.errors import StorageError
from qautlra.base.sqlite import connect
from qautlra.model.qifi import Account, Qifi
from qautlra.wire.qifi import from_json, to_json
from qautlra.wire.qifi_parts import Parts

T = TypeVar("T")
NICENESS = 10
_TABLES = """
CREATE TABLE account (account_id TEXT PRIMARY KEY, seq INTEGER NOT NULL,
    document BLOB NOT NULL);
CREATE TABLE history (account_id TEXT NOT NULL, trading_day TEXT NOT NULL, seq INTEGER NOT NULL,
    document BLOB NOT NULL, PRIMARY KEY (account_id, trading_day));
CREATE TABLE equity (account_id TEXT NOT NULL, updatetime TEXT NOT NULL, funds BLOB NOT NULL);
CREATE INDEX equity_by_time ON equity (account_id, updatetime);
"""
_SAVE = """INSERT INTO account VALUES (?, ?, ?) ON CONFLICT (account_id)
DO UPDATE SET seq = excluded.seq, document = excluded.document WHERE excluded.seq >= account.seq"""
_SAVE_DAY = """INSERT INTO history VALUES (?, ?, ?, ?) ON CONFLICT (account_id, trading_day)
DO UPDATE SET seq = excluded.seq, document = excluded.document WHERE excluded.seq >= history.seq"""
_EQUITY = (
    "SELECT updatetime, funds FROM equity WHERE account_id = ? ORDER BY updatetime DESC, rowid DESC LIMIT ?"
)


class SqliteRepository:
    """As `trade.repository.AccountRepository`. One connection, used by one thread at a time, off the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "documents", initializer=_yield_to_orders)

    @property
    def shown_place(self) -> str:
        """The file."""
        return str(self._path)

    async def open(self) -> None:
        """Open the file, made when it is not there."""
        await self.close()
        await self._off_loop(self._open)

    async def close(self) -> None:
        """Close the file."""
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                await self._in_thread(connection.close)

    async def save(self, document: Parts, seq: int) -> bool:
        """Put the document in place of the account's; False when one of a later `seq` is there."""

        def work() -> int:
            values = (document.head.account_cookie, seq, document.to_json())
            return self._open_connection().execute(_SAVE, values).rowcount

        return await self._off_loop(work) == 1

    async def save_day(self, document: Qifi, seq: int) -> bool:
        """Put the document of its trading day; False when a later one is there."""
        values = (document.account_cookie, document.trading_day, seq, to_json(document))
        return await self._changed(_SAVE_DAY, values) == 1

    async def load(self, account_id: str) -> Qifi | None:
        """Return the account's document."""
        return _document(await self._rows("SELECT document FROM account WHERE account_id = ?", (account_id,)))

    async def day(self, account_id: str, trading_day: str) -> Qifi | None:
        """Return the account's document of a trading day."""
        query = "SELECT document FROM history WHERE account_id = ? AND trading_day = ?"
        return _document(await self._rows(query, (account_id, trading_day)))

    async def seq(self, account_id: str) -> int:
        """Return where the account's document stands, 0 when there is none."""
        rows = await self._rows("SELECT seq FROM account WHERE account_id = ?", (account_id,))
        return int(rows[0][0]) if rows else 0

    async def accounts(self) -> list[str]:
        """Return the names of all accounts with a document, sorted."""
        return [row[0] for row in await self._rows("SELECT account_id FROM account ORDER BY account_id")]

    async def days(self, account_id: str) -> list[str]:
        """Return the trading days there are documents of, sorted."""
        query = "SELECT trading_day FROM history WHERE account_id = ? ORDER BY trading_day"
        return [row[0] for row in await self._rows(query, (account_id,))]

    async def add_equity(self, account_id: str, funds: Account, updatetime: str) -> None:
        """Note the funds at a time."""
        await self._changed(
            "INSERT INTO equity VALUES (?, ?, ?)", (account_id, updatetime, msgspec.json.encode(funds))
        )

    async def equity(self, account_id: str, limit: int = 10_000) -> list[tuple[str, Account]]:
        """Return the newest `limit` points of equity, oldest first."""
        rows = await self._rows(_EQUITY, (account_id, limit))
        return [(time, msgspec.json.decode(funds, type=Account)) for time, funds in reversed(rows)]

    async def trim_equity(self, before: str) -> int:
        """Delete points older than `before`; how many."""
        return await self._changed("DELETE FROM equity WHERE updatetime < ?", (before,))

    def _open(self) -> None:
        self._connection = connect(self._path, _TABLES, 1)
        self._connection.execute("PRAGMA synchronous=NORMAL")  # the journal is the truth

    async def _changed(self, statement: str, values: Sequence[Any]) -> int:
        return await self._off_loop(lambda: self._open_connection().execute(statement, values).rowcount)

    async def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return await self._off_loop(lambda: self._open_connection().execute(statement, values).fetchall())

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError("the account documents are closed")
        return self._connection

    async def _off_loop(self, work: Callable[[], T]) -> T:
        async with self._lock:
            try:
                return await self._in_thread(work)
            except (sqlite3.Error, OSError) as error:
                raise StorageError(f"{self._path.name}: {error}") from None

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)


def _yield_to_orders() -> None:
    """Where both share a core, half a megabyte of document would go before the next order."""
    os.nice(NICENESS)  # on Linux this thread's alone


def _document(rows: list[Any]) -> Qifi | None:
    return from_json(rows[0][0]) if rows else None
