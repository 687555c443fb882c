"""SQLite files of ours: owner-only, in WAL, of a known form; one write transaction at a time. Blocking."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from qautlra.base.errors import StorageError

BUSY_TIMEOUT_S: Final = 5.0
_NONE: Final[Mapping[int, Callable[[sqlite3.Connection], None]]] = MappingProxyType({})


def make_private(path: Path) -> None:
    """Make an empty file only its owner can read, or take everybody else's rights from one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def connect(
    path: Path,
    schema: str,
    version: int,
    upgrades: Mapping[int, Callable[[sqlite3.Connection], None]] = _NONE,
) -> sqlite3.Connection:
    """Open an owner-only database, making it when it is not there; StorageError when it cannot be used.

    `upgrades` bring a former form to the next one, within one transaction.
    """
    try:
        make_private(path)
        database = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA foreign_keys=ON")
        with transaction(database):
            form = found = database.execute("PRAGMA user_version").fetchone()[0]
            if form == 0:
                for statement in schema.split(";\n"):
                    if statement.strip():
                        database.execute(statement)
                form = version
            while form in upgrades:
                upgrades[form](database)
                form += 1
            if form != version:
                raise StorageError(f"{path} has form {found}, this build reads {version}", retryable=False)
            if found != version:
                database.execute(f"PRAGMA user_version={int(version)}")
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
