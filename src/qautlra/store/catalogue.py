"""The list of Parquet files that count, and up to which log position they hold everything: `manifest.json`.

A file that is not in the list does not exist for anybody. The list changes as a whole: written aside, synced,
renamed. States are immutable, so whoever holds one keeps a consistent view while the next is made.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from qautlra.base.errors import StorageError
from qautlra.store.names import inside, partition_dir
from qautlra.store.schema import INSTRUMENT, TIME

VERSION = 1
MANIFEST = "manifest.json"
FILES_COUNT = 1_000_000
PIECE_BYTES = 1 << 20

EVER_US = -(2**62)
MADE = "a"
"""In a file's name before its number: what it holds is made of other files, and anew without a manifest."""
_FILE_NAME = re.compile(r"(\d{20})-(\d{20})(?:-(\d+))?\.parquet")
_SERIAL = re.compile(r"\d{20}-\d{20}-[am]?(\d+)\.parquet")


class DataFile(Struct, frozen=True, kw_only=True):
    """One Parquet file. Times are Unix microseconds, both ends included; log positions are 0 for bars."""

    path: str
    stream: str
    day: date
    rows: int
    bytes: int
    first_us: int
    last_us: int
    instruments: int
    first_symbol: str
    last_symbol: str
    first_lsn: int = 0
    last_lsn: int = 0
    crc32: int = 0
    "Of the whole file; 0 in a manifest of before there was one."
    is_made: bool = False
    "Bars made of stored rows, which go when rows of their day come later."


class Progress(Struct, frozen=True, kw_only=True):
    """Up to where a stream was made of its source: log position, generation of its numbers, file of bars."""

    lsn: int = 0
    generation: int = 0
    born_lsn: int = 0
    bar_tag: int = 0
    created_us: int = 0
    "Which stream of the name this is about; 0 in a manifest of before it was noted."
    kept_since_us: int = EVER_US
    "From when on its source has all rows; what retention took before that stays as it was made."


class State(Struct, frozen=True, kw_only=True):
    """Everything the manifest says. Rows up to `watermark_lsn` are in the files, later ones in the log."""

    version: int = VERSION
    watermark_lsn: int = 0
    generation: int = 0
    "Raised when the log's numbers began anew; part of the names made of them."
    serial: int = 0
    "Number of the newest file whose name no log position makes unique; none is given twice."
    latest: str = ""
    "File (Arrow) with the newest row of every instrument as of the watermark; empty when there is none."
    files: tuple[DataFile, ...] = ()
    bar_days: tuple[date, ...] = ()
    "Trading days whose one-minute bars are all in files, made of all their rows."
    derived: dict[str, Progress] = {}
    "How far streams that are made of others have come, with the files that hold them."

    def overlapping(
        self, parts: Iterable[str], start_us: int, stop_us: int, symbols: frozenset[str] | None = None
    ) -> list[DataFile]:
        """Return the files of these streams that may hold rows of `symbols` with start <= time < stop."""
        wanted = frozenset(parts)
        found = [
            file
            for file in self.files
            if file.first_us < stop_us and file.last_us >= start_us and file.stream in wanted
        ]
        if symbols is not None:
            found = [
                file
                for file in found
                if any(file.first_symbol <= symbol <= file.last_symbol for symbol in symbols)
            ]
        return found


class Catalogue:
    """Holds the current state and replaces it durably. Owner: the loop; `store` may run in a thread."""

    def __init__(self, data_dir: Path, rebuild: Callable[[], State] | None = None) -> None:
        self.data_dir = data_dir
        self.state = State()
        self._rebuild = rebuild
        self._stored: State | None = None

    def load(self, log_first_lsns: Iterable[int] = ()) -> bool:
        """Read the manifest, or rebuild it from the files when it is gone; return whether to store it now.

        A new store's is stored before any file: what a crash leaves there is not taken for rows later.
        Raises StorageError when it cannot be understood: guessing would hide rows.
        """
        path = self.data_dir / MANIFEST
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            if self._rebuild is not None:
                self.state = _numbered(self._rebuild())
            else:
                self.state = _numbered(rebuilt(self.data_dir, frozenset(log_first_lsns)))
            return True
        state = _decoded(path, raw)
        for file in state.files:
            if not inside(self.data_dir, self.data_dir / file.path).is_file():
                raise StorageError(
                    f"{self.data_dir / file.path} is in the manifest and not on the disk; put it back, "
                    f"or move {MANIFEST} away to go on without it",
                    retryable=False,
                )
        self.state = self._stored = _numbered(state)
        return False

    def store(self, state: State) -> None:
        """Make `state` durable; the caller makes it current with `adopt`. Blocking."""
        if len(state.files) > FILES_COUNT:
            raise StorageError(f"more than {FILES_COUNT} files in the store", retryable=False)
        self._stored = None
        write_durably(self.data_dir / MANIFEST, msgspec.json.encode(state))
        self._stored = state

    def settle(self) -> None:
        """Let the manifest on the disk say the current state, not one that was stored in vain. Blocking."""
        if self._stored is not self.state:
            self.store(self.state)

    def adopt(self, state: State) -> None:
        """Make `state` what `state` returns from now on; on the loop, between two queries' snapshots."""
        self.state = state

    def paths(self, files: Iterable[DataFile]) -> list[str]:
        """Return absolute paths."""
        return [str(self.data_dir / file.path) for file in files]


def read_state(data_dir: Path) -> State:
    """Return what the manifest on the disk says. Blocking. OSError; StorageError when it is damaged."""
    path = data_dir / MANIFEST
    return _decoded(path, path.read_bytes())


def _decoded(path: Path, raw: bytes) -> State:
    try:
        state = msgspec.json.decode(raw, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path} is damaged ({error}); move it away to have it rebuilt from the files",
            retryable=False,
        ) from None
    if state.version != VERSION:
        raise StorageError(
            f"{path} has version {state.version}, this program reads {VERSION}", retryable=False
        )
    return state


def serial_of(path: str) -> int:
    """Return the number in the name of a file, 0 when it has none."""
    match = _SERIAL.fullmatch(path.rpartition("/")[2])
    return int(match[1]) if match else 0


def _numbered(state: State) -> State:
    """Return the state with a serial that no file's name is above."""
    serial = max((serial_of(file.path) for file in state.files), default=0)
    return msgspec.structs.replace(state, serial=max(state.serial, serial))


def unlink_stale(data_dir: Path, state: State, paths: Iterable[str]) -> None:
    """Delete files that went, but never one the manifest names. Blocking, briefly."""
    named = {file.path for file in state.files}
    for path in paths:
        if path not in named:
            (data_dir / path).unlink(missing_ok=True)


class Extent:
    """What a file's entry says of its rows, told of them a table at a time."""

    def __init__(self) -> None:
        self.rows = 0
        self.first_us, self.last_us = 2**63 - 1, -(2**63)
        self.symbols: set[str] = set()

    def add(self, table: pa.Table) -> None:
        """Note rows, at least one."""
        low, high = pa.compute.min_max(table.column(TIME).cast(pa.int64())).as_py().values()
        self.rows += table.num_rows
        self.first_us, self.last_us = min(self.first_us, low), max(self.last_us, high)
        self.symbols.update(table.column(INSTRUMENT).unique().to_pylist())


def describe(
    data_dir: Path, path: Path, table: pa.Table, stream: str, day: date, first_lsn: int = 0, last_lsn: int = 0
) -> DataFile:
    """Return the entry of a file holding `table`, which is not empty and ordered by instrument, then time."""
    extent = Extent()
    extent.add(table)
    return entry(data_dir, path, extent, stream, day, first_lsn, last_lsn)


def entry(
    data_dir: Path, path: Path, extent: Extent, stream: str, day: date, first_lsn: int = 0, last_lsn: int = 0
) -> DataFile:
    """Return the entry of a file that holds such rows."""
    return DataFile(
        path=str(path.relative_to(data_dir)),
        stream=stream,
        day=day,
        rows=extent.rows,
        bytes=path.stat().st_size,
        first_us=extent.first_us,
        last_us=extent.last_us,
        instruments=len(extent.symbols),
        first_symbol=min(extent.symbols),
        last_symbol=max(extent.symbols),
        first_lsn=first_lsn,
        last_lsn=last_lsn,
        crc32=checksum(path),
    )


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file. Blocking."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found = zlib.crc32(piece, found)
    return found


def rebuilt(data_dir: Path, log_first_lsns: frozenset[int]) -> State:
    """Return what the files on the disk say when there is no manifest.

    Files of a log segment that is still there are left out: the segment is compacted again and replaces them.
    """
    files: list[DataFile] = []
    generations: list[tuple[int, int]] = []
    for path in sorted(data_dir.glob("stream=*/date=*/**/*.parquet")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            continue
        first_lsn, last_lsn = int(match[1]), int(match[2])
        if first_lsn and first_lsn in log_first_lsns:
            continue
        first, second = path.relative_to(data_dir).parts[:2]
        stream = first.removeprefix("stream=")
        day = date.fromisoformat(second.removeprefix("date="))
        inside(data_dir, partition_dir(data_dir, stream, day))
        try:
            table = pq.read_table(path, columns=[TIME, INSTRUMENT], partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"{path} cannot be read: {error}", retryable=False) from None
        files.append(describe(data_dir, path, table, stream, day, first_lsn, last_lsn))
        if first_lsn:
            generations.append((int(match[3] or 0), last_lsn))
    generation, watermark_lsn = max(generations, default=(0, 0))
    whole = tuple(file for file in files if not any(_is_merged_into(file, other) for other in files))
    return State(watermark_lsn=watermark_lsn, generation=generation, files=whole)


def _is_merged_into(file: DataFile, other: DataFile) -> bool:
    """Tell whether a crash left `file` beside the one it was merged into."""
    same = Path(file.path).parent == Path(other.path).parent and file.path != other.path
    return same and 0 < other.first_lsn <= file.first_lsn and file.last_lsn <= other.last_lsn


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` so that after a crash it holds the old content or the new, whole."""
    aside = path.with_name(f".{path.name}.tmp")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
