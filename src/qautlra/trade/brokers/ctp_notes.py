"""Notes of orders sent to a CTP front, written before they go: after a restart each finds its name again.

A refusal is noted too, for CTP tells it once: no query and no flow has the order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from qautlra.base.errors import StorageError
from qautlra.base.log import get_logger
from qautlra.model.order import InsertOrder, Order
from qautlra.wire.ctp_orders import Key

_log = get_logger("trade")


class Note(msgspec.Struct, frozen=True):
    """One order and how the front was told to name it, of one trading day."""

    day: int
    front: int
    session: int
    ref: str
    sent_ns: int
    order: InsertOrder
    code: int = 0
    text: str = ""
    "Why it was refused; 0 and empty otherwise."

    @property
    def key(self) -> Key:
        """Return the front's name."""
        return Key(self.front, self.session, self.ref)


def refusal(day: int, key: Key, order: Order) -> Note:
    """Return the note that an order was refused: by the front, or before it was sent."""
    names = [name for name in InsertOrder.__struct_fields__ if hasattr(order, name)]
    asked = InsertOrder(**{name: getattr(order, name) for name in names})
    return Note(day, key.front, key.session, key.ref, order.insert_ns, asked, order.code, order.message)


class Notes:
    """A file of lines, appended to; it survives the process. Opening drops the lines of other days."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(Note)
        self._file = -1
        self._bytes = 0  # of whole notes
        self._torn = False  # whether there may be part of one behind them

    def open(self, day: int) -> list[Note]:
        """Return the notes of `day` and be ready to take more; a line that is none is logged and left out."""
        self.close()
        found: dict[Key, Note] = {}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            text = self._path.read_bytes() if self._path.exists() else b""
            is_kept = text.endswith(b"\n")  # as it is: a copy would want room that there may not be
            for number, line in enumerate(text.splitlines(), 1):
                try:
                    note = self._decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    _log.error("note_unreadable", path=str(self._path), line=number, reason=str(error))
                    is_kept = False
                    continue
                if note.day == day:
                    found[note.key] = note
                else:
                    is_kept = False
            if not is_kept:
                fresh = self._path.with_suffix(".new")
                fresh.write_bytes(b"".join(msgspec.json.encode(note) + b"\n" for note in found.values()))
                os.chmod(fresh, 0o600)
                fresh.replace(self._path)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._bytes, self._torn = os.fstat(self._file).st_size, False
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from None
        return list(found.values())

    def write(self, note: Note) -> None:
        """Append one; StorageError when the disk refuses, and then the order must not be sent."""
        if self._file < 0:
            raise StorageError(f"{self._path}: not open, the note was not written")
        line = msgspec.json.encode(note) + b"\n"
        try:
            if self._torn:
                self._mend()
            self._torn = True  # until all of it is there
            written = os.write(self._file, line)
            if written == len(line):
                self._bytes += written
                self._torn = False
                return
            self._mend()
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from None
        raise StorageError(f"{self._path}: the note was not written whole")

    def _mend(self) -> None:
        """Cut off what a full disk left of a note: the next one must not be joined to it."""
        os.ftruncate(self._file, self._bytes)
        self._torn = False

    @property
    def is_open(self) -> bool:
        """Whether notes can be written."""
        return self._file >= 0

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def health(self) -> dict[str, Any]:
        """Return where the notes lie."""
        return {"notes": str(self._path)}
