"""Whether a directory is a whole store: a copy that was cut short has a note in it, and is none. Blocking."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from qautlra.base.errors import StorageError
from qautlra.store.catalogue import sync_directory, write_durably

NOTE: Final = "COPY-UNFINISHED"


def begin_copy(target: Path) -> None:
    """Say durably that what is in a directory is no store yet."""
    write_durably(target / NOTE, b"This copy of a store is not finished. Delete it and copy again.\n")


def end_copy(target: Path) -> None:
    """Say durably that it is one now."""
    sync_directory(target)
    (target / NOTE).unlink()
    sync_directory(target)


def check_whole(directory: Path) -> None:
    """StorageError when a directory is what a copy left that was cut short."""
    if (directory / NOTE).exists():
        raise StorageError(
            f"{directory} is a copy that was cut short, no whole store: delete it and copy again",
            retryable=False,
        )
