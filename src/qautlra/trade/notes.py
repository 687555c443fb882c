"""Notes: records of the house's own in the exchange's journal, and who takes each kind back after a replay.

A kind is a tagged struct, registered once; what was written by a later build and is not known is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any, TypeVar

import msgspec

from qautlra.base.log import get_logger

_log = get_logger("trade")
_encoder = msgspec.json.Encoder()


class Note(msgspec.Struct, frozen=True, kw_only=True, tag_field="note"):
    """Root of all notes; each has a tag of its own."""


N = TypeVar("N", bound=Note)


class Notes:
    """The kinds of notes of one service. Bound of a note: the journal's 256 KiB."""

    def __init__(self) -> None:
        self._takers: dict[type[Note], Callable[[list[Any]], None]] = {}
        self._keepers: list[Callable[[], Iterable[Note]]] = []

    def register(
        self,
        kind: type[N],
        take: Callable[[list[N]], None],
        keep: Callable[[], Iterable[N]] | None = None,
    ) -> None:
        """Have `take` called after each replay with all notes of this kind, oldest first.

        `keep` gives those that still mean something on a new day: they are written again behind a
        checkpoint. Taking the same note twice must come to the same. Without `keep`: none does.
        """
        self._takers[kind] = take
        if keep is not None:
            self._keepers.append(keep)

    def kept(self) -> list[bytes]:
        """Return what has to be written again behind a checkpoint."""
        return [to_bytes(note) for keep in self._keepers for note in keep()]

    def restore(self, payloads: Iterable[bytes]) -> None:
        """Hand out the notes of a replay; every taker hears, even of none."""
        if not self._takers:
            return
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(reduce(or_, self._takers))
        found: dict[type[Note], list[Any]] = {kind: [] for kind in self._takers}
        unknown = 0
        for payload in payloads:
            try:
                note = decoder.decode(payload)
            except msgspec.DecodeError:
                unknown += 1
            else:
                found[type(note)].append(note)
        if unknown:
            _log.warning("notes_unknown", count=unknown)
        for kind, take in self._takers.items():
            take(found[kind])


def to_bytes(note: Note) -> bytes:
    """Return what the journal keeps of a note."""
    return _encoder.encode(note)
