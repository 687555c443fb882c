"""What a store remembers of its reading of Kafka topics, beside its data: a broker may forget a group."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from qautlra.base.clock import new_token
from qautlra.base.errors import StorageError
from qautlra.link.kafka import Message
from qautlra.store.catalogue import write_durably

NAME = "kafka.json"


class Mark(Struct, frozen=True):
    """The last message of a partition that is stored, told from one of the same offset in another log."""

    offset: int
    time_ms: int
    crc: int

    @classmethod
    def of(cls, message: Message) -> Mark:
        """Return the mark of a message."""
        crc = crc32(message.value or b"", crc32(message.key or b""))
        return cls(message.offset, message.time_ms, crc)


class Notes(Struct, kw_only=True):
    """The store's own name; by `group/topic/partition` since when it reads, and up to where it has stored.

    `stored` is what was written last: rows may be stored of messages after it, none is missing before it.
    """

    id: str
    since_us: dict[str, int] = {}
    stored: dict[str, Mark] = {}
    is_copy: bool = False
    "The group may have committed what only the store has that this is copied from: first marks alone count."

    @property
    def group(self) -> str:
        """The consumer group that is this store's own."""
        return f"qautlra-{self.id}"

    def copied(self) -> Notes:
        """Return the notes of a copy of the store, which has a name and a group of its own."""
        other = Notes(id=new_token(4), is_copy=True)
        for name in ("since_us", "stored"):
            for key, value in getattr(self, name).items():
                group, _, place = key.partition("/")
                getattr(other, name)[f"{other.group if group == self.group else group}/{place}"] = value
        return other

    @classmethod
    def load(cls, directory: Path) -> Notes:
        """Return the notes of a data directory, new ones where there are none. Blocking."""
        path = directory / NAME
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls(id=new_token(4))
        except msgspec.DecodeError as error:
            raise StorageError(f"{path} is damaged: {error}", retryable=False) from None

    def encoded(self) -> bytes:
        """Return the notes as the file has them."""
        return msgspec.json.encode(self)


def write(directory: Path, content: bytes) -> None:
    """Replace the notes of a data directory; StorageError when the disk refuses. Blocking."""
    try:
        write_durably(directory / NAME, content)
    except OSError as error:
        raise StorageError(f"{directory / NAME}: {error.strerror}") from None
