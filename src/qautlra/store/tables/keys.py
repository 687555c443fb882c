"""What was stored under which key: a request that is sent again stores nothing twice.

A key is in the log with the rows it is for, in one record, and in a file once those leave the log. So
whatever ends the process, rows and key are there together or not at all.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
from msgspec import Struct

from qautlra.base.clock import wall_ns
from qautlra.base.errors import InputError, StorageError
from qautlra.model.streams import IngestKey
from qautlra.store.catalogue import write_durably
from qautlra.store.tables.definition import Definition

KEYS: Final = "keys.json"
KEYS_COUNT: Final = 10_000
KEYS_AGE_S: Final = 24 * 3_600
_METADATA: Final = b"qautlra.key"


class Stored(Struct, frozen=True, kw_only=True):
    """How many of a request's rows are stored, up to log position `lsn`; `digest` is of its content."""

    digest: str
    rows: int
    total: int
    at_us: int
    lsn: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all its rows are stored."""
        return self.rows >= self.total


class Keys:
    """The newest KEYS_COUNT keys, of a day at most; older ones are forgotten. On the loop."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / KEYS
        self._known: OrderedDict[str, Stored] = OrderedDict()
        self._is_new = False

    def __len__(self) -> int:
        return len(self._known)

    def load(self) -> None:
        """Read the keys of rows that are in files. Blocking; StorageError when they cannot be read."""
        try:
            self._known = OrderedDict(msgspec.json.decode(self._path.read_bytes(), type=dict[str, Stored]))
        except FileNotFoundError:
            return
        except msgspec.DecodeError as error:
            raise StorageError(f"{self._path} is damaged: {error}; move it away", retryable=False) from None

    def find(self, mark: str, key: IngestKey) -> Stored | None:
        """Return what is stored under a mark; InputError 422 when that was other content."""
        self._forget_old()
        found = self._known.get(mark)
        if found is not None and found.digest != key.digest:
            text = "this Idempotency-Key came with other content before; each request has a key of its own"
            raise InputError(text, key="Idempotency-Key", status=422)
        return found

    def note(self, mark: str, stored: Stored) -> None:
        """Remember what a record of the log stores."""
        self._known[mark] = stored
        self._known.move_to_end(mark)
        self._is_new = True
        self._forget_old()

    def hear(self, table: pa.Table, lsn: int) -> None:
        """Remember what a record says that is read from the log."""
        said = (table.schema.metadata or {}).get(_METADATA)
        if said is not None:
            mark, stored = msgspec.json.decode(said, type=tuple[str, Stored])
            self.note(mark, msgspec.structs.replace(stored, lsn=lsn))

    def keep(self) -> None:
        """Make all durable, as their rows are; before their log goes, and while none comes. Blocking."""
        if self._is_new:
            known = {mark: msgspec.structs.replace(one, lsn=0) for mark, one in self._known.items()}
            write_durably(self._path, msgspec.json.encode(known))
            self._is_new = False

    def _forget_old(self) -> None:
        oldest_us = wall_ns() // 1_000 - KEYS_AGE_S * 1_000_000
        while self._known:
            mark, stored = next(iter(self._known.items()))
            if len(self._known) <= KEYS_COUNT and stored.at_us >= oldest_us:
                return
            del self._known[mark]


def mark_of(key: IngestKey, definition: Definition) -> str:
    """Return what stands for a key of a user in this very stream."""
    text = msgspec.json.encode((key.user, key.key, definition.name, definition.created_us))
    return hashlib.sha256(text).hexdigest()[:32]


def marked(table: pa.Table, mark: str, stored: Stored) -> pa.Table:
    """Return rows that say under which key they are stored."""
    said: Mapping[bytes, Any] = {_METADATA: msgspec.json.encode((mark, stored))}
    return table.replace_schema_metadata(said)
