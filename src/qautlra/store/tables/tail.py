"""Users' streams as a reader of the directory sees them: definitions, files, what the log still has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pyarrow as pa

from qautlra._core.journal import JournalError
from qautlra._core.store import RecordTail
from qautlra.base.errors import LimitError, StorageError
from qautlra.store.catalogue import MANIFEST, State
from qautlra.store.tables.definition import Definition, read_definition
from qautlra.store.tables.record import ROWS_RECORD, decode, head

TAIL_BYTES = 512 << 20
HEADER_BYTES = 40


@dataclass(slots=True)
class _Segment:
    source: RecordTail
    rows: dict[str, list[tuple[int, pa.Table]]] = field(default_factory=dict)
    bytes: int = 0


class TableTail:
    """The streams of one directory from outside. One thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segments: dict[int, _Segment] = {}
        self._definitions: dict[str, tuple[tuple[int, int], Definition]] = {}
        self.unreadable: dict[str, StorageError] = {}
        self.state = State()

    def definitions(self) -> dict[str, Definition]:
        """Return what streams there are now, by their names in small letters; `unreadable` has the others."""
        found: dict[str, tuple[tuple[int, int], Definition]] = {}
        self.unreadable = {}
        for path in self._directory.glob("streams/*.json"):
            try:
                facts = path.stat()
                stamp = (facts.st_ino, facts.st_mtime_ns)
                known = self._definitions.get(path.stem.lower())
                found[path.stem.lower()] = (
                    known if known is not None and known[0] == stamp else (stamp, read_definition(path))
                )
            except FileNotFoundError:
                continue
            except StorageError as error:
                if path.exists():
                    self.unreadable[path.stem.lower()] = error
        self._definitions = found
        return {name: definition for name, (_, definition) in found.items()}

    def follow(self) -> int:
        """Read manifest and log as they are now, the two agreeing; return up to which position."""
        while True:
            state = self._manifest()
            self._read(state.watermark_lsn)
            if self._manifest().watermark_lsn == state.watermark_lsn:
                self.state = state
                break
        if sum(segment.bytes for segment in self._segments.values()) > TAIL_BYTES:
            raise LimitError("too many rows wait to be put into files", retry_after_s=5)
        read = (segment.source.last_lsn for segment in self._segments.values())
        return max(self.state.watermark_lsn, *read, 0)

    def tables(self, definition: Definition) -> list[pa.Table]:
        """Return the rows of a stream that no file has."""
        found = []
        for first_lsn in sorted(self._segments):
            rows = self._segments[first_lsn].rows.get(definition.name, ())
            found += [table for lsn, table in rows if lsn > definition.born_lsn]
        return found

    def _read(self, watermark_lsn: int) -> None:
        found = {int(path.stem): path for path in self._directory.glob("log/*.qlog") if path.stem.isdigit()}
        for first_lsn in [known for known in self._segments if known <= watermark_lsn]:
            del self._segments[first_lsn]
        for first_lsn, path in sorted(found.items()):
            if first_lsn <= watermark_lsn:
                continue  # a watermark is the end of a segment
            segment = self._segments.get(first_lsn)
            if segment is None:
                try:
                    segment = self._segments[first_lsn] = _Segment(RecordTail(path))
                except JournalError as error:
                    if not path.exists() or path.stat().st_size < HEADER_BYTES:
                        continue
                    raise StorageError(f"the log of streams cannot be read: {error}") from None
            for lsn, kind, payload in segment.source.read():
                if kind == ROWS_RECORD:
                    table = decode(payload)
                    segment.bytes += table.nbytes
                    segment.rows.setdefault(head(payload)[0], []).append((lsn, table))

    def _manifest(self) -> State:
        path = self._directory / MANIFEST
        try:
            return msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except msgspec.DecodeError as error:
            raise StorageError(f"{path} is damaged: {error}", retryable=False) from None
