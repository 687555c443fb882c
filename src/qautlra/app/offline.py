"""The store of a data directory without a server: opened for one command, closed after it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qautlra._core.market import Calendar, Instruments
from qautlra._core.tape import Tape
from qautlra.app.places import data_directory
from qautlra.base.clock import WallClock
from qautlra.base.errors import InputError
from qautlra.config.load import Loaded
from qautlra.model.calendar import load_calendar
from qautlra.source.files import TickFile
from qautlra.store.importer import OwnFile, RecordedFile
from qautlra.store.service import StoreService

CLOSE_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Offline:
    """An open store with the tables it needs."""

    store: StoreService
    instruments: Instruments
    calendar: Calendar


def holder(loaded: Loaded) -> int | None:
    """Return the pid that holds the data directory, 0 when it is not known, None when nobody does."""
    path = data_directory(loaded.config.store.data_dir) / "LOCK"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with suppress(ValueError):
            return int(os.read(descriptor, 32))
        return 0
    finally:
        os.close(descriptor)
    return None


@asynccontextmanager
async def open_store(loaded: Loaded, *, to_write: bool = False) -> AsyncIterator[Offline]:
    """Open the configured store; StorageError when another process holds it.

    Only who comes `to_write` gets a new one made: a mistyped directory is an InputError for who reads.
    """
    data_dir = data_directory(loaded.config.store.data_dir)
    if not to_write and not (data_dir / "log").is_dir():
        raise InputError(f"{data_dir}: there is no store here")
    calendar = load_calendar()
    instruments = Instruments(calendar)
    store = StoreService(
        settings=loaded.config.store,
        data_dir=data_dir,
        instruments=instruments,
        calendar=calendar,
        tape=Tape(instruments, calendar, loaded.config.feed.tape_ticks),
        clock=WallClock(),
    )
    try:
        await store.start()
        yield Offline(store, instruments, calendar)
    finally:
        await store.stop(CLOSE_GRACE_S)


def recorded(path: Path) -> RecordedFile:
    """Return a file to import: in our own columns, else in CTP's; InputError when it is not there."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return OwnFile(path) if OwnFile.recognises(path) else TickFile(path)
