"""Stored bars in the order answers have them: a file is put in order once and kept, within a bound.

Of a few instruments only the row groups that can hold them are read: a chart reaches over many days.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qautlra.store.catalogue import DataFile
from qautlra.store.direct import SYMBOLS_COUNT, DirectReader
from qautlra.store.footers import Footers
from qautlra.store.mask import passing
from qautlra.store.parquet import Layout, write_partitions
from qautlra.store.plan import Plan
from qautlra.store.predicate import In
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, INSTRUMENT, TIME

KEPT_BYTES = 64 << 20
# Bars of one answer put in order here; more are the engine's.
ROWS_COUNT = 400_000


class BarFiles:
    """Reads in any thread."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._direct = DirectReader(data_dir, Footers(), BAR_SCHEMA)
        self._kept: OrderedDict[str, tuple[pa.Table, np.ndarray[Any, Any]]] = OrderedDict()
        self._kept_bytes = 0
        self._lock = Lock()

    def read(
        self, plan: Plan, files: Iterable[DataFile], low_us: int, stop_us: int, limit: int | None
    ) -> pa.Table:
        """Return the first `limit` bars with low <= time < stop, in order, the plan's columns. Blocking."""
        if plan.symbols is not None and len(plan.symbols) <= SYMBOLS_COUNT:
            table = self._direct.read(plan, files, low_us, stop_us, limit, lambda: False)
            return table.select(plan.read_columns)
        found = []
        for file in files:
            table, times = self._ordered(str(self._data_dir / file.path))
            first, last = np.searchsorted(times, (low_us, stop_us))
            part = table.slice(int(first), int(last - first))
            if plan.symbols is not None:
                part = passing(part, In(INSTRUMENT, tuple(sorted(plan.symbols))))
            found.append(part if plan.rest is None else passing(part, plan.rest))
        table = pa.concat_tables(found) if found else BAR_SCHEMA.empty_table()
        if sum(part.num_rows > 0 for part in found) > 1:
            table = table.sort_by([(TIME, "ascending"), (INSTRUMENT, "ascending")])
        if plan.descending:
            table = table.take(pa.array(np.arange(table.num_rows - 1, -1, -1)))
        return table.slice(0, limit).select(plan.read_columns)

    def close_deleted(self) -> None:
        """As `DirectReader.close_deleted`."""
        self._direct.close_deleted()

    def _ordered(self, path: str) -> tuple[pa.Table, np.ndarray[Any, Any]]:
        """Return a file's bars by time, then instrument, and their times (us)."""
        with self._lock:
            known = self._kept.get(path)
            if known is not None:
                self._kept.move_to_end(path)
                return known
        table = pq.read_table(path, partitioning=None, use_threads=False).select(BAR_SCHEMA.names)
        table = table.cast(BAR_SCHEMA)
        times = table.column(TIME).cast(pa.int64()).to_numpy()
        order = np.argsort(times, kind="stable")  # the file is ordered by instrument, which stays so
        known = table.take(pa.array(order)).combine_chunks(), times[order]
        with self._lock:
            if path not in self._kept:
                self._kept[path] = known
                self._kept_bytes += known[0].nbytes
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= self._kept.popitem(last=False)[1][0].nbytes
        return known


def write_new_bars(
    data_dir: Path, bars: pa.Table, files: Iterable[DataFile], layout: Layout, tag: str
) -> list[DataFile]:
    """Write the bars (by instrument, then time) that `files` do not have; return the new ones. Blocking."""
    keys = [INSTRUMENT, TIME]
    tables = [pq.read_table(data_dir / file.path, columns=keys, partitioning=None) for file in files]
    if tables:
        stored = pa.concat_tables(tables).cast(bars.select(keys).schema)
        bars = bars.join(stored, keys, join_type="left anti").select(bars.column_names)
        bars = bars.sort_by([(key, "ascending") for key in keys])
    if not bars.num_rows:
        return []
    return write_partitions(data_dir, bars, 0, 0, layout, stream=BAR_1M, tag=tag)
