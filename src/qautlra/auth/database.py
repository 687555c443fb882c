"""`users.db`: users, accounts, grants and login sessions in SQLite, owner-only, prepared statements only.

Blocking; one thread at a time. Reads return whole tables: they are small and are kept in memory by `users`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from qautlra.base.errors import StorageError

FILE_NAME: Final = "users.db"
BUSY_TIMEOUT_S: Final = 5.0
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


def make_private(path: Path) -> None:
    """Make an empty file only its owner can read, or take everybody else's rights from one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def connect(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open an owner-only database, making it when it is not there; StorageError when it cannot be used."""
    try:
        make_private(path)
        database = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA foreign_keys=ON")
        with transaction(database):
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                for statement in schema.split(";\n"):
                    if statement.strip():
                        database.execute(statement)
                database.execute(f"PRAGMA user_version={int(version)}")
            elif found != version:
                raise StorageError(f"{path} has form {found}, this build reads {version}", retryable=False)
    except sqlite3.Error as error:
        raise StorageError(f"{path}: {error}", retryable=False) from None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", retryable=False) from None
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """One write transaction; undone when the block raises."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


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
