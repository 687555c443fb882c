"""`users.db`: users, accounts, grants and login sessions in SQLite, owner-only, prepared statements only.

Blocking; one thread at a time. Reads return whole tables: they are small and are kept in memory by `users`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from qautlra.base.errors import StorageError
from qautlra.base.sqlite import connect, transaction

FILE_NAME: Final = "users.db"
VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE users (
    user_id TEXT PRIMARY KEY COLLATE NOCASE,
    password_hash TEXT NOT NULL,
    roles INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    created_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE accounts (
    account_id TEXT PRIMARY KEY,
    broker TEXT NOT NULL,
    cash REAL NOT NULL,
    opened INTEGER NOT NULL DEFAULT 0,
    created_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE grants (
    user_id TEXT NOT NULL COLLATE NOCASE REFERENCES users(user_id),
    account_id TEXT NOT NULL REFERENCES accounts(account_id),
    access TEXT NOT NULL CHECK (access IN ('own', 'view')),
    PRIMARY KEY (user_id, account_id)
) WITHOUT ROWID;
CREATE TABLE sessions (
    session TEXT PRIMARY KEY,
    user_id TEXT NOT NULL COLLATE NOCASE REFERENCES users(user_id),
    token_hash BLOB NOT NULL,
    expires_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Database:
    """The tables behind `users`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        self._database = connect(self.path, _SCHEMA, VERSION)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def version(self) -> int:
        """Return a number that changes when another process has written."""
        found: int = self._database.execute("PRAGMA data_version").fetchone()[0]
        return found

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return every row of `users`, `accounts`, `grants` or `sessions`."""
        return self._run(_ALL[table])

    def write(self, *statements: tuple[str, Sequence[Any]]) -> list[int]:
        """Run the statements as one transaction; return how many rows each changed."""
        try:
            with transaction(self._database):
                return [self._database.execute(text, values).rowcount for text, values in statements]
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise StorageError(f"{self.path}: {error}") from None

    def _run(self, text: str) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(text).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"{self.path}: {error}") from None


_ALL: Final = {
    "users": "SELECT user_id, password_hash, roles, disabled, generation, created_ns FROM users",
    "accounts": "SELECT account_id, broker, cash, opened FROM accounts",
    "grants": "SELECT user_id, account_id, access FROM grants",
    "sessions": "SELECT session, user_id, token_hash, expires_ns FROM sessions",
}
