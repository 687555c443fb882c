from collections.abc import Iterable
from os import PathLike
from typing import Any, Literal

from qautlra._core.journal import Journal
from qautlra._core.market import Instruments, Rows
from qautlra._core.tape import Tape

ROW_COLUMNS: tuple[str, ...]
"""Columns in order: datetime, instrument_id, trading_date, 56 values, source, seq, recv_time."""
NEVER_NS: int
"""cold_max_ts() of what has all its rows in the hot tier: earlier than any event."""

_Mode = Literal["array", "records", "ndjson"]

class HotStore:
    """The newest rows of every instrument in memory, bounded in bytes; the loop thread's.

    Scans take rows with start_ns <= event time < stop_ns and an LSN above `min_lsn`, ordered by (datetime,
    instrument_id, seq) or exactly backwards; `limit` keeps the first so many of that order (0: all).
    `instruments` are table ids, None for all. `fields` chooses columns and their order, None: ROW_COLUMNS.
    """

    def __init__(self, instruments: Instruments, max_bytes: int) -> None: ...
    @property
    def instruments(self) -> Instruments: ...
    def scan(
        self,
        instruments: Iterable[int] | None = None,
        start_ns: int = ...,
        stop_ns: int = ...,
        *,
        min_lsn: int = 0,
        limit: int = 0,
        descending: bool = False,
        fields: Iterable[str] | None = None,
    ) -> Any:
        """Return a pyarrow RecordBatch; instrument_id and source are dictionary<int32, string>."""

    def scan_json(
        self,
        instruments: Iterable[int] | None = None,
        start_ns: int = ...,
        stop_ns: int = ...,
        *,
        min_lsn: int = 0,
        limit: int = 0,
        descending: bool = False,
        fields: Iterable[str] | None = None,
        mode: _Mode = "array",
    ) -> tuple[bytes, int]:
        """Return render_json(scan(...)) and the number of rows, without going through pyarrow."""

    def count(
        self,
        instruments: Iterable[int] | None = None,
        start_ns: int = ...,
        stop_ns: int = ...,
        *,
        min_lsn: int = 0,
    ) -> int: ...
    def latest(self, instruments: Iterable[int] | None = None, *, fields: Iterable[str] | None = None) -> Any:
        """Return the newest row of each instrument that had one, evicted or not, in instrument_id order."""

    def latest_json(
        self,
        instruments: Iterable[int] | None = None,
        start_ns: int = ...,
        stop_ns: int = ...,
        *,
        limit: int = 0,
        fields: Iterable[str] | None = None,
        mode: Literal["array", "records", "ndjson"] = "array",
    ) -> tuple[bytes, int] | None:
        """Return the newest rows with start <= time as text and count; None when one is not before `stop`."""

    def contains(self, instrument: int, ts_event_ns: int, ordinal: int) -> bool: ...
    def load(self, rows: Rows, lsn: int) -> int:
        """Put rows that Parquet already holds, known there up to `lsn` >= 1; how many were new and fitted."""

    def cold_max_ts(self, instruments: Iterable[int] | None = None) -> int:
        """Newest event time (ns) of rows that are not all here any more; a scan from above it is complete."""

    def note_cold(self, instrument: int, ts_event_ns: int) -> None:
        """Say that files hold rows of `instrument` up to `ts_event_ns` which are not here (recovery)."""

    def keep(self, rows: Rows) -> None:
        """Remember rows as the newest of their instruments, where no newer one is known (recovery)."""

    def set_safe_lsn(self, lsn: int) -> None:
        """Say that rows up to `lsn` are in Parquet and may be evicted when room is needed."""

    def evict_through(self, lsn: int) -> int:
        """Evict at once every block of rows at or below `lsn`; the number of rows that went."""

    @property
    def safe_lsn(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def evicted(self) -> int: ...
    @property
    def newest_lsn(self) -> int:
        """Log position of the newest row that was ever put here."""

    @property
    def evicted_lsn(self) -> int:
        """Newest log position of blocks that were evicted: rows stored above it are all here."""

class HotMessages:
    """Rows of some instruments as record batch messages of an Arrow stream, one instrument after the other.

    Times are Unix ns on whole microseconds; texts are plain, as the stream's schema has them. The store may
    change between two messages; a message ends between two moments of an instrument.
    """

    def __init__(
        self,
        hot: HotStore,
        instruments: Iterable[int],
        start_ns: int,
        stop_ns: int,
        fields: Iterable[str] | None = None,
    ) -> None: ...
    def take(self, count: int, most: int) -> tuple[bytes, int] | None:
        """Return about `count` more rows, never more than `most`, and how many.

        None at the end, and where an instrument comes of whose rows some are not in memory any more.
        """

    @property
    def left(self) -> tuple[list[int], int]:
        """The instruments not given to their end, and the moment from which on the first one is missing."""

class TickLog:
    """A holding cursor on the tape that feeds journal and hot store; the journal's only producer."""

    def __init__(self, tape: Tape, journal: Journal, hot: HotStore) -> None: ...
    @property
    def tape(self) -> Tape: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def hot(self) -> HotStore: ...
    def drain(self) -> int:
        """Take up to 4,096 rows from the tape; how many. 0: nothing new, or `held` says why not."""

    def append_rows(self, rows: Rows, start: int = 0) -> int:
        """Log rows from `start` on past the tape (imports); index of the first not taken."""

    def recover(self, directory: str | PathLike[str], from_lsn: int = 1, tape: Tape | None = None) -> int:
        """Read a journal's rows from `from_lsn` on into the hot store and the tape; how many were new there.

        Reading goes on behind damage; `recovery` has the rest of the story. JournalError when the directory
        cannot be listed.
        """

    @property
    def recovery(self) -> dict[str, Any]:
        """Of the last recover(): rows, duplicates, refused, first_refusal, last_lsn, damage (a list)."""

    @property
    def held(self) -> Literal["", "journal", "hot"]:
        """Why the last call stopped early: the journal refuses, or the hot store is full of unsafe rows."""

    @property
    def blocked(self) -> bool: ...
    @property
    def waiting(self) -> int:
        """Rows on the tape that were not taken yet."""

    @property
    def in_hand(self) -> int:
        """Rows waiting on the tape and records not written yet: what a killed process loses."""

    @property
    def position(self) -> int:
        """Rows of the tape taken or given up since it began."""

    def shed(self) -> int:
        """Give up what waits on the tape, so that a live market goes on without the log; return how many."""
    @property
    def rows_shed(self) -> int: ...
    @property
    def rows_logged(self) -> int: ...
    @property
    def duplicates(self) -> int:
        """Rows dropped because the hot store has one of their identity."""

def segment_to_arrow(path: str | PathLike[str], *, allow_damage: bool = False) -> Any:
    """Return a segment's rows as a RecordBatch ordered (instrument_id, datetime, seq), each identity once.

    For any thread; needs no instrument table, a segment names its own. JournalError when the file is damaged,
    unless `allow_damage`, which gives the clean prefix (None when there is not even a header).
    """

class SegmentTail:
    """One segment, read while its writer still adds to it; one thread's. JournalError: it has no header."""

    def __init__(self, path: str | PathLike[str]) -> None: ...
    def read(self, max_rows: int = ...) -> Any:
        """Return the next rows as a RecordBatch, in the order they were logged; None: none yet."""

    @property
    def path(self) -> str: ...
    @property
    def first_lsn(self) -> int: ...
    @property
    def last_lsn(self) -> int:
        """Number of the last record read; one below `first_lsn` when there was none."""

class RecordTail:
    """One segment of any records, read while its writer still adds to it; one thread's."""

    path: str
    def __init__(self, path: str | PathLike[str]) -> None: ...
    def read(self) -> list[tuple[int, int, bytes]]:
        """Return (lsn, kind, payload) of the records added since the last call."""

    @property
    def last_lsn(self) -> int: ...

def rows_not_after(rows: Rows, newest_ns: dict[int, int]) -> list[int]:
    """Places of the rows that are not newer than what is named for their instrument (by number)."""

def rows_from_arrow(batch: Any, instruments: Instruments, *, dated: bool = False) -> Rows:
    """Return the rows of a RecordBatch or Table in the row schema; missing columns have no value.

    `dated`: a row without a trading date has the calendar's.
    ValueError names the column or row that cannot be read.
    """

def render_json(batch: Any, *, mode: _Mode = "array") -> bytes:
    """Return a RecordBatch or Table as JSON: rows as objects in an array, {"fields", "records"}, or lines.

    Null and NaN are null, depth levels 2-10 without a value are left out, datetimes are RFC 3339 with
    microseconds. Columns of other types are rendered as text; TypeError when one cannot be. Lets the
    interpreter lock go.
    """
