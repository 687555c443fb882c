"""A few instruments' rows straight from Parquet, in order: only the row groups that can hold them, no engine.

What point queries take: files are sorted by instrument and time, so their statistics say where to look, and
when no later group can hold an earlier row.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from qautlra._core.parquet import ParquetFile
from qautlra.base.errors import LimitError
from qautlra.store.catalogue import DataFile
from qautlra.store.footers import Footer, Footers
from qautlra.store.groups import GroupFile, moments
from qautlra.store.mask import passing
from qautlra.store.plan import Plan
from qautlra.store.predicate import columns_of
from qautlra.store.schema import INSTRUMENT, TIME, narrowed

SYMBOLS_COUNT = 16
ROWS_COUNT = 100_000
# What is read without waiting may hold up who asks: up to half a millisecond a group.
AT_ONCE_COUNT, AT_ONCE_ROWS = 4, 65_536
# Files kept open. One that is deleted keeps its place on the disk until it is closed: see `close_deleted`.
FILES_COUNT = 8


class DirectReader:
    """Reads in any thread; keeps the files asked for last open."""

    def __init__(self, data_dir: Path, footers: Footers, schema: pa.Schema) -> None:
        self._data_dir = data_dir
        self._footers = footers
        self._schema = schema
        self._files: OrderedDict[str, GroupFile] = OrderedDict()
        self._lock = Lock()

    def read(
        self,
        plan: Plan,
        files: Iterable[DataFile],
        low_us: int,
        stop_us: int,
        limit: int | None,
        given_up: Callable[[], bool],
    ) -> pa.Table:
        """Return the first `limit` rows with low <= time < stop, in the plan's order, columns as needed.

        `plan.symbols` must be given. LimitError when given up. Blocking.
        """
        schema = narrowed(self._schema, needed_columns(plan))
        symbols = sorted(plan.symbols or ())
        found: list[pa.Table] = []
        times: list[np.ndarray[Any, Any]] = []
        # No row of a file or group lies before its bound (descending: behind it, and bounds are negated).
        sign = -1 if plan.descending else 1
        heap = [
            (-file.last_us if plan.descending else file.first_us, str(self._data_dir / file.path), -1)
            for file in files
        ]
        heapify(heap)
        while heap:
            bound, path, at = heappop(heap)
            if limit is not None and _settled(times, sign * bound, plan.descending) >= limit:
                break
            if given_up():
                raise LimitError("the query was given up")
            if at < 0:
                for place in _places(self._footers.of(path), path, symbols, low_us, stop_us, plan.descending):
                    heappush(heap, place)
                continue
            most = limit if plan.rest is None else None
            for part in self._rows(path, at, schema, symbols, low_us, stop_us, most, plan.descending):
                mine = part if plan.rest is None else passing(part, plan.rest)
                if mine.num_rows:
                    found.append(mine)
                    times.append(moments(mine.column(TIME)))
        return _in_order(found, times, schema, plan, limit)

    def message(
        self, plan: Plan, files: Iterable[DataFile], head: bytes, tail: bytes
    ) -> tuple[bytes, int] | None:
        """Return the plan's rows between `head` and `tail` of an Arrow stream, and their number; never waits.

        For one instrument, a limit, no test and the order of time. None: `read` has to be asked, as it takes
        longer, files are not known or not in memory yet, or rows of two places have to be put in order.
        """
        symbol = next(iter(plan.symbols or ()))
        places: list[tuple[int, str, int]] = []
        opened: dict[str, GroupFile] = {}
        for file in files:
            path = str(self._data_dir / file.path)
            known = self._opened(path)
            if known is None:
                return None
            opened[path] = known
            places += _places(known.footer, path, (symbol,), plan.start_us, plan.stop_us, False)
        places.sort()
        parts: list[bytes] = []
        rows, limit, reached_us = 0, plan.limit or 0, -(2**63)
        for number, (bound_us, path, at) in enumerate(places):
            if rows == limit:
                if bound_us <= reached_us:
                    return None
                break
            group_rows = opened[path].footer.meta.row_group(at).num_rows
            if number == AT_ONCE_COUNT or group_rows > AT_ONCE_ROWS:
                return None
            try:
                found = opened[path].message(
                    at, plan.columns, self._schema, symbol, plan.start_us, plan.stop_us, limit - rows,
                    may_wait=False, head=b"" if parts else head, tail=tail,
                )  # fmt: skip
            except OSError:
                return None
            if found is None:
                return None
            message, count, first_us, last_us = found
            if not count:
                continue
            if parts:
                if first_us <= reached_us:
                    return None
                parts[-1] = parts[-1][: -len(tail)]
            parts.append(message)
            rows += count
            reached_us = last_us
        return b"".join(parts) if parts else head + tail, rows

    def _rows(
        self,
        path: str,
        at: int,
        schema: pa.Schema,
        symbols: Sequence[str],
        low_us: int,
        stop_us: int,
        limit: int | None,
        descending: bool,
    ) -> Iterable[pa.Table]:
        """Yield a group's rows, instrument by instrument, each in order of time; `limit` of each will do."""
        footer = self._footers.of(path)
        file = self._open(path, footer)
        group, times = None, None
        for symbol in symbols:
            if not footer.first[at] <= symbol <= footer.last[at]:
                continue
            found = file.rows(at, schema, symbol, low_us, stop_us, limit, descending)
            if found is not None:
                if found.num_rows:
                    yield found
                continue
            if group is None or times is None:
                group = file.read(at, schema)
                times = moments(group.columns[TIME])
            start, stop = 0, group.rows
            if footer.first[at] != footer.last[at]:
                start, stop = _span(group.columns[INSTRUMENT], symbol)
            inside = times[start:stop]
            first = start + int(np.searchsorted(inside, low_us))
            last = start + int(np.searchsorted(inside, stop_us))
            if first < last:
                yield group.slice(first, last, schema)

    def close_deleted(self) -> None:
        """Let go of files whose names are gone; who still reads one keeps it. Any thread."""
        with self._lock:
            paths = list(self._files)
        gone = [path for path in paths if not Path(path).exists()]
        with self._lock:
            for path in gone:
                self._files.pop(path, None)

    def _opened(self, path: str) -> GroupFile | None:
        """Return a file that is open; None too while another thread looks for one: who asks does not wait."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            file = self._files.get(path)
            if file is not None:
                self._files.move_to_end(path)
            return file
        finally:
            self._lock.release()

    def _open(self, path: str, footer: Footer) -> GroupFile:
        """Return a file, opened if it was not; the disk is waited for without the lock."""
        with self._lock:
            file = self._files.get(path)
            if file is not None:
                self._files.move_to_end(path)
                return file
        self.close_deleted()
        opened = GroupFile(path, footer, ParquetFile(path))
        with self._lock:
            file = self._files.setdefault(path, opened)
            self._files.move_to_end(path)
            if len(self._files) > FILES_COUNT:
                self._files.popitem(last=False)
            return file


def _places(
    footer: Footer, path: str, symbols: Sequence[str], low_us: int, stop_us: int, descending: bool
) -> Iterator[tuple[int, str, int]]:
    """Yield (bound, path, group) of the groups of a file that can hold rows."""
    inside = np.flatnonzero((footer.low < stop_us) & (footer.high >= low_us))
    mine = {at for name in symbols for at in footer.groups_of(name)}
    for at in mine.intersection(inside.tolist()):
        yield int(-footer.high[at] if descending else footer.low[at]), path, at


def _span(symbols: pa.ChunkedArray, symbol: str) -> tuple[int, int]:
    """Return where the rows of an instrument begin and end in a group, which is ordered by it."""
    rows = range(len(symbols))
    start = bisect_left(rows, symbol, key=lambda at: str(symbols[at].as_py()))
    return start, bisect_right(rows, symbol, lo=start, key=lambda at: str(symbols[at].as_py()))


def needed_columns(plan: Plan) -> tuple[str, ...]:
    """Return the columns of an answer, those it is ordered by, and those its test looks at."""
    return (*plan.read_columns, *sorted(columns_of(plan.rest) - set(plan.read_columns)))


def _in_order(
    found: list[pa.Table],
    times: list[np.ndarray[Any, Any]],
    schema: pa.Schema,
    plan: Plan,
    limit: int | None,
) -> pa.Table:
    if not found:
        return schema.empty_table()
    pairs = sorted(zip(times, found, strict=True), key=lambda pair: int(pair[0][0]))
    table = pa.concat_tables([part for _, part in pairs])
    if any(int(a[0][-1]) >= int(b[0][0]) for a, b in pairwise(pairs)):
        table = table.sort_by([(name, "ascending") for name in plan.stream.order])
    if not plan.descending:
        return table.slice(0, limit)
    kept = table.num_rows if limit is None else min(limit, table.num_rows)
    return table.take(pa.array(np.arange(table.num_rows - 1, table.num_rows - kept - 1, -1)))


def _settled(times: list[np.ndarray[Any, Any]], bound: int, descending: bool) -> int:
    """Return how many of the rows there are lie before whatever may still come."""
    if descending:
        return sum(int(one.size - np.searchsorted(one, bound, "right")) for one in times)
    return sum(int(np.searchsorted(one, bound)) for one in times)
