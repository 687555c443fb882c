"""What the order path remembers beyond a day and beside the journal: `records.db`, SQLite.

Orders of ended days, money moved, announcements, stopped instruments.
Statements of days are `statements`'.

Never the truth about money: that is the journal. Blocking, from any thread; one statement at a time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from qautlra.base.errors import StorageError
from qautlra.base.loop import used_up
from qautlra.base.sqlite import connect, transaction
from qautlra.model.order import Order

FILE_NAME: Final = "records.db"
VERSION: Final = 1
PAGE_COUNT: Final = 1_000
ORDERS_COUNT: Final = 100_000
"""Most orders of ended days that are read at once."""
_SCHEMA: Final = """
CREATE TABLE orders (
    account_id TEXT NOT NULL, trading_day INTEGER NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (account_id, trading_day, number)
) WITHOUT ROWID;
CREATE TABLE money (
    id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, account_id TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX money_account ON money (account_id, id);
CREATE TABLE announcements (id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE kept (
    kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""
_LISTS: Final = frozenset({"money", "announcements"})


class Records:
    """The file of one data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = threading.Lock()
        self._database = connect(self._path, _SCHEMA, VERSION)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    # --- orders of ended days ---

    def put_orders(self, trading_day: int, orders: Iterable[tuple[str, int, str]]) -> None:
        """Keep a day's orders, whole or not at all; the same day again replaces them.

        Each is (account, number, body): `row_of` makes one.
        """
        with self._lock, self._told(), transaction(self._database):
            self._database.executemany(
                "REPLACE INTO orders VALUES (?, ?, ?, ?)",
                ((account_id, trading_day, number, body) for account_id, number, body in orders),
            )

    def orders(
        self, account_id: str, start: int = 0, end: int = 99_999_999, count: int = ORDERS_COUNT
    ) -> list[tuple[int, Order]]:
        """Return (day, order) of ended days, oldest first: the newest `count`."""
        rows = self._all(
            "SELECT trading_day, body FROM orders WHERE account_id = ? AND trading_day BETWEEN ? AND ? "
            "ORDER BY trading_day DESC, number DESC LIMIT ?",
            (account_id, start, end, count),
        )
        rows.reverse()
        return [(day, msgspec.json.decode(body, type=Order)) for day, body in used_up(rows)]

    # --- lists that grow: money, announcements ---

    def add(self, table: str, ts_ns: int, body: dict[str, Any], account_id: str | None = None) -> int:
        """Add a row to a list; return its id."""
        assert table in _LISTS
        values: tuple[Any, ...] = (ts_ns, _text(body))
        text = f"INSERT INTO {table} (ts_ns, body) VALUES (?, ?)"
        if account_id is not None:
            values = (ts_ns, account_id, _text(body))
            text = f"INSERT INTO {table} (ts_ns, account_id, body) VALUES (?, ?, ?)"
        with self._lock, self._told():
            return int(self._database.execute(text, values).lastrowid or 0)

    def listed(
        self, table: str, *, account_id: str | None = None, before: int = 1 << 62, count: int = 100
    ) -> list[dict[str, Any]]:
        """Return rows of a list, newest first; of one account if named."""
        assert table in _LISTS
        count = max(1, min(count, PAGE_COUNT))
        where, values = "id < ?", [before]
        if account_id is not None:
            where, values = "id < ? AND account_id = ?", [before, account_id]  # type: ignore[list-item]
        rows = self._all(
            f"SELECT id, ts_ns, body FROM {table} WHERE {where} ORDER BY id DESC LIMIT ?", (*values, count)
        )
        return [{"id": number, "ts_ns": ts_ns} | orjson.loads(body) for number, ts_ns, body in rows]

    def money_of_day(self, account_id: str, trading_day: str) -> list[dict[str, Any]]:
        """Return the movements of an account's money of one day."""
        query = "SELECT body FROM money WHERE account_id = ? AND json_extract(body, '$.trading_day') = ?"
        return [orjson.loads(body) for (body,) in self._all(query, (account_id, trading_day))]

    def one(self, table: str, number: int) -> dict[str, Any] | None:
        """Return a row of a list."""
        assert table in _LISTS
        rows = self._all(f"SELECT id, ts_ns, body FROM {table} WHERE id = ?", (number,))
        return {"id": rows[0][0], "ts_ns": rows[0][1]} | orjson.loads(rows[0][2]) if rows else None

    def count(self, table: str) -> int:
        """Return how long a list is."""
        assert table in _LISTS
        return int(self._all(f"SELECT count(*) FROM {table}", ())[0][0])

    def delete_announcement(self, number: int) -> bool:
        """Delete an announcement; False when there is none."""
        with self._lock, self._told():
            return self._database.execute("DELETE FROM announcements WHERE id = ?", (number,)).rowcount == 1

    # --- things kept by name: stopped instruments, instruments of our own ---

    def keep(self, kind: str, name: str, body: Any) -> None:
        """Keep something under a name, in the place of what was there."""
        with self._lock, self._told():
            self._database.execute("REPLACE INTO kept VALUES (?, ?, ?)", (kind, name, _text(body)))

    def forget(self, kind: str, *names: str) -> None:
        """Keep it no longer."""
        with self._lock, self._told(), transaction(self._database):
            self._database.executemany(
                "DELETE FROM kept WHERE kind = ? AND name = ?", [(kind, name) for name in names]
            )

    def kept(self, kind: str) -> dict[str, Any]:
        """Return everything kept of a kind."""
        rows = self._all("SELECT name, body FROM kept WHERE kind = ?", (kind,))
        return {name: orjson.loads(body) for name, body in rows}

    # --- the file ---

    def _all(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._lock, self._told():
            return self._database.execute(text, values).fetchall()

    def _told(self) -> _Told:
        return _Told(self._path)


class _Told:
    """Turns SQLite's errors into ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise StorageError(f"{self._path}: {error}") from None


def row_of(order: Order) -> tuple[str, int, str]:
    """Return an order as it is kept."""
    return order.account_id, order.number, msgspec.json.encode(order).decode()


def _text(value: Any) -> str:
    return orjson.dumps(msgspec.to_builtins(value), default=str).decode()
