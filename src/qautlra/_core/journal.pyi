from collections.abc import Iterator
from os import PathLike
from types import TracebackType
from typing import Literal, NamedTuple, Self

class JournalError(OSError):
    """The log cannot be used, or a file of it is damaged from record `lsn` (byte `offset` of `path`) on."""

    path: str
    offset: int
    lsn: int
    def __init__(self, message: str, path: str = "", offset: int = 0, lsn: int = 0) -> None: ...

class Segment(NamedTuple):
    first_lsn: int
    last_lsn: int
    path: str
    bytes: int
    sealed: bool

class Cut(NamedTuple):
    """What opening had to take off the newest end of the log; `kept`: the file it was put aside in, or ""."""

    path: str
    kept: str
    offset: int
    bytes: int
    reason: str
    records_after: bool

class Damage(NamedTuple):
    path: str
    offset: int
    bytes: int
    lsn: int
    reason: str
    torn_tail: bool

class Verdict(NamedTuple):
    segments: int
    records: int
    bytes: int
    first_lsn: int
    last_lsn: int
    damage: list[Damage]

class Journal:
    """An append-only log in one directory, held by one process; records are numbered (LSN) from 1.

    Opening cuts a torn tail (see `cuts`) and raises JournalError when the directory is in use or cannot be
    repaired. One thread at a time appends and rolls; the rest may be called from anywhere.
    """

    directory: str
    durability: Literal["memory", "process", "power"]
    def __init__(
        self,
        directory: str | PathLike[str],
        segment_bytes: int = ...,
        buffer_bytes: int = ...,
        durability: str = "process",
        create: bool = True,
    ) -> None: ...
    def append(self, kind: int, payload: bytes | bytearray | memoryview) -> int:
        """LSN of the record, never blocking; 0 = refused: the buffer is full or the journal has failed."""

    def roll(self) -> int:
        """Seal the segment behind what was appended; first LSN of the next one, 0 = refused, try again.

        The files follow when the writer thread gets there: watch segments(), or sync().
        """

    def sync(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything appended before is on the disk (fdatasync), whatever the durability."""

    def wait_durable(self, lsn: int, timeout_s: float = 10.0) -> bool:
        """Wait until `lsn` is durable in the journal's own sense; False on failure or timeout."""

    def durable_fd(self) -> int:
        """A descriptor readable whenever durable_lsn moved on or the journal failed; the journal owns it.

        For an event loop's add_reader: read 8 bytes, then look at durable_lsn and failed. Readable at first.
        With durability "memory" records are durable as they are appended; it tells when they are written.
        """

    def drop_through(self, lsn: int) -> int:
        """Delete sealed segments that hold nothing above `lsn`; the number deleted."""

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write and sync what is buffered, and stop; False when records were left behind: see `error`."""

    def segments(self) -> list[Segment]: ...
    @property
    def cuts(self) -> list[Cut]: ...
    @property
    def stats(self) -> dict[str, int]:
        """Counts since opening: groups, bytes, syncs, refused, errors; and buffered_bytes now."""

    @property
    def head_lsn(self) -> int: ...
    @property
    def written_lsn(self) -> int: ...
    @property
    def durable_lsn(self) -> int: ...
    @property
    def next_segment(self) -> int: ...
    @property
    def max_record_bytes(self) -> int: ...
    @property
    def error(self) -> str:
        """What keeps the journal from writing now; "" when nothing does."""

    @property
    def error_number(self) -> int: ...
    @property
    def failed(self) -> bool:
        """True after an error that is final (any but a full disk): nothing more is taken until reopened."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def read(directory: str | PathLike[str], from_lsn: int = 1) -> Iterator[tuple[int, int, bytes]]:
    """(lsn, kind, payload) in order; ends at a torn tail, raises JournalError at any other damage."""

def verify(directory: str | PathLike[str]) -> Verdict:
    """Read every record of every segment and say what is wrong."""
