"""Rows of the log that are not in files yet, as Arrow batches, kept by whoever only reads a data directory.

Segments are read while their writer still adds to them. Each row is given once: what is met again, or lies in
the files already, is dropped, as a compaction will drop it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core.journal import JournalError
from qautlra._core.store import SegmentTail
from qautlra.base.errors import LimitError, StorageError
from qautlra.store.catalogue import State
from qautlra.store.compaction import stored_identities
from qautlra.store.schema import INSTRUMENT, MARKET_DATA, ORDINAL, STREAMS, TIME, stream_of

BATCHES_COUNT = 64
READ_ROWS = 65_536
TAIL_BYTES = 1 << 30

_FIRST = (-(2**63), -1)


class MovedError(Exception):
    """Segments went while they were looked for: the manifest has changed, read it again."""


@dataclass(slots=True)
class _Segment:
    first_lsn: int
    source: SegmentTail
    parts: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)
    bytes: int = 0

    def add(self, part: str, batch: pa.RecordBatch) -> None:
        batches = self.parts.setdefault(part, [])
        batches.append(batch)
        self.bytes += batch.nbytes
        if len(batches) >= BATCHES_COUNT:
            table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
            self.parts[part] = table.to_batches()


class LogTail:
    """The log of one data directory from the outside. One thread at a time."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._log = data_dir / "log"
        self._segments: dict[int, _Segment] = {}
        self._newest: dict[str, tuple[int, int]] = {}
        self._watermark_lsn = -1
        self.dropped = 0

    @property
    def last_lsn(self) -> int:
        """Number of the last record read."""
        return max((segment.source.last_lsn for segment in self._segments.values()), default=0)

    def follow(self, state: State) -> None:
        """Read what was logged since, behind the watermark of `state`. MovedError: read that again."""
        self._forget(state)
        expected = state.watermark_lsn + 1
        for first_lsn, path in self._listed(state.watermark_lsn):
            if first_lsn > expected and expected > 1:
                raise MovedError
            segment = self._segments.get(first_lsn)
            if segment is None:
                segment = self._opened(first_lsn, path)
                if segment is None:
                    return
            self._read(segment, state)
            expected = segment.source.last_lsn + 1
        if sum(segment.bytes for segment in self._segments.values()) > TAIL_BYTES:
            raise LimitError(
                f"more than {TAIL_BYTES >> 20} MiB of rows wait to be put into files", retry_after_s=5
            )

    def tables(self) -> dict[str, pa.Table]:
        """Return the rows by stream on disk; a stream without any is not there."""
        found: dict[str, list[pa.RecordBatch]] = {}
        for first_lsn in sorted(self._segments):
            for part, batches in self._segments[first_lsn].parts.items():
                found.setdefault(part, []).extend(batches)
        return {part: pa.Table.from_batches(batches) for part, batches in found.items()}

    def _listed(self, watermark_lsn: int) -> list[tuple[int, Path]]:
        try:
            files = sorted((int(path.stem), path) for path in self._log.glob("*.qlog") if path.stem.isdigit())
        except FileNotFoundError:
            return []
        # A watermark is the end of a segment: one that begins at or below it lies below it.
        return [item for item in files if item[0] > watermark_lsn]

    def _forget(self, state: State) -> None:
        if state.watermark_lsn == self._watermark_lsn:
            return
        for first_lsn in list(self._segments):
            if self._segments[first_lsn].source.last_lsn <= state.watermark_lsn:
                del self._segments[first_lsn]
        if self._watermark_lsn < 0 and state.latest:
            try:
                with pa.memory_map(str(self._data_dir / state.latest)) as file:
                    latest = pa.ipc.open_file(file).read_all()
            except FileNotFoundError:
                raise MovedError from None
            except (OSError, pa.ArrowException) as error:
                raise StorageError(f"{state.latest}: {error}") from None
            keys = (latest.column(TIME).cast(pa.int64()).to_pylist(), latest.column(ORDINAL).to_pylist())
            self._newest = dict(
                zip(latest.column(INSTRUMENT).to_pylist(), zip(*keys, strict=True), strict=True)
            )
        self._watermark_lsn = state.watermark_lsn

    def _opened(self, first_lsn: int, path: Path) -> _Segment | None:
        try:
            segment = _Segment(first_lsn, SegmentTail(path))
        except JournalError as error:
            if not path.exists():
                raise MovedError from None
            if path.stat().st_size < 40:  # its header is being written
                return None
            raise StorageError(f"the log cannot be read: {error}") from None
        self._segments[first_lsn] = segment
        return segment

    def _read(self, segment: _Segment, state: State) -> None:
        while (batch := segment.source.read(READ_ROWS)) is not None:
            fresh = self._fresh(batch, state)
            self.dropped += batch.num_rows - fresh.num_rows
            for part, rows in _by_part(fresh):
                segment.add(part, rows)

    def _fresh(self, batch: pa.RecordBatch, state: State) -> pa.RecordBatch:
        """Leave out rows there are already. Rows newer than all of their instrument need no look."""
        column = batch.column(INSTRUMENT)
        names = column.dictionary.to_pylist()
        codes = column.indices.to_numpy()
        times = batch.column(TIME).cast(pa.int64()).to_numpy()
        ordinals = batch.column(ORDINAL).to_numpy()
        order = np.argsort(codes, kind="stable")
        late: list[int] = []
        bounds = np.flatnonzero(np.diff(codes[order])) + 1
        for run in np.split(order, bounds):
            name = names[codes[run[0]]]
            newest = self._newest.get(name, _FIRST)
            time, ordinal = times[run], ordinals[run]
            rising = (time[1:] > time[:-1]) | ((time[1:] == time[:-1]) & (ordinal[1:] > ordinal[:-1]))
            if (int(time[0]), int(ordinal[0])) > newest and bool(rising.all()):
                self._newest[name] = (int(time[-1]), int(ordinal[-1]))
                continue
            for row, key in zip(run.tolist(), zip(time.tolist(), ordinal.tolist(), strict=True), strict=True):
                if key > newest:
                    newest = key
                else:
                    late.append(row)
            self._newest[name] = newest
        if not late:
            return batch
        return self._without_known(batch, late, names, state)

    def _without_known(
        self, batch: pa.RecordBatch, late: list[int], names: list[str], state: State
    ) -> pa.RecordBatch:
        suspects = [_identity(batch, row, names) for row in late]
        symbols = pa.array(sorted({symbol for symbol, _, _ in suspects}))
        low, high = min(key[1] for key in suspects), max(key[1] for key in suspects)
        files = state.overlapping(STREAMS[MARKET_DATA].parts, low, high + 1, frozenset(symbols.to_pylist()))
        paths = [str(self._data_dir / file.path) for file in files]
        try:
            known = _identities(stored_identities(paths, symbols, low, high))
        except FileNotFoundError:
            raise MovedError from None
        for table in self.tables().values():
            near = table.select([INSTRUMENT, TIME, ORDINAL]).filter(
                pc.field(INSTRUMENT).cast(pa.string()).isin(symbols)
                & (pc.field(TIME).cast(pa.int64()) >= low)
                & (pc.field(TIME).cast(pa.int64()) <= high)
            )
            known |= _identities(near)
        # A row is its own copy: of equal ones in this batch the first stays.
        earlier = {_identity(batch, row, names) for row in set(range(batch.num_rows)) - set(late)}
        drop = []
        for row, key in zip(late, suspects, strict=True):
            if key in known or key in earlier:
                drop.append(row)
            earlier.add(key)
        if not drop:
            return batch
        keep = np.ones(batch.num_rows, bool)
        keep[drop] = False
        return batch.filter(pa.array(keep))


def _identity(batch: pa.RecordBatch, row: int, names: list[str]) -> tuple[str, int, int]:
    symbol = names[batch.column(INSTRUMENT).indices[row].as_py()]
    return symbol, batch.column(TIME)[row].value, batch.column(ORDINAL)[row].as_py()


def _identities(table: pa.Table) -> set[tuple[str, int, int]]:
    columns = (
        table.column(INSTRUMENT).to_pylist(),
        table.column(TIME).cast(pa.int64()).to_pylist(),
        table.column(ORDINAL).to_pylist(),
    )
    return set(zip(*columns, strict=True))


def _by_part(batch: pa.RecordBatch) -> list[tuple[str, pa.RecordBatch]]:
    column = batch.column(INSTRUMENT)
    parts = [stream_of(name) for name in column.dictionary.to_pylist()]
    found = []
    for part in sorted(set(parts)):
        mine = pa.array([p == part for p in parts]).take(column.indices)
        rows = batch if len(set(parts)) == 1 else batch.filter(mine)
        if rows.num_rows:
            found.append((part, rows))
    return found
