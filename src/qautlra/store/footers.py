"""What Parquet files say of themselves, read once: rows a row group can hold, columns that have none."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qautlra.store.parquet import empty_columns
from qautlra.store.plan import microseconds
from qautlra.store.schema import INSTRUMENT, TIME

# Column chunks of the footers kept: about 0.5 KiB each.
FOOTER_CHUNKS_COUNT = 200_000

_FIRST, _LAST = "", "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says of its row groups: first and last instrument, least and greatest time (us)."""

    meta: pq.FileMetaData
    places: dict[str, int]
    empty: frozenset[str]
    first: list[str]
    last: list[str]
    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]

    def has_types_of(self, schema: pa.Schema) -> bool:
        """Whether its columns are of the types of those of the same name here."""
        mine = self.meta.schema.to_arrow_schema()
        return all(
            name not in self.places or mine.field(self.places[name]).type == kind
            for name, kind in zip(schema.names, schema.types, strict=True)
        )

    def groups_of(self, symbol: str) -> range:
        """Return the groups that can hold rows of an instrument; files are ordered by it."""
        return range(bisect_left(self.last, symbol), bisect_right(self.first, symbol))

    @property
    def weight(self) -> int:
        return int(self.meta.num_row_groups * self.meta.num_columns)


class Footers:
    """Keeps those of the files asked for last. Any thread."""

    def __init__(self) -> None:
        self._footers: OrderedDict[str, Footer] = OrderedDict()
        self._footer_chunks = 0
        self._lock = Lock()

    def of(self, path: str) -> Footer:
        """Return the footer of a file. Blocking; OSError, ArrowException."""
        with self._lock:
            known = self._footers.get(path)
            if known is not None:
                self._footers.move_to_end(path)
                return known
        meta = pq.read_metadata(path)
        bounds = [_bounds(meta, at) for at in range(meta.num_row_groups)]
        if any(bound[1] == _LAST for bound in bounds):  # then nothing is known of the order either
            bounds = [(_FIRST, _LAST, *bound[2:]) for bound in bounds]
        first, last, low, high = zip(*bounds, strict=True) if bounds else ((), (), (), ())
        places = {name: place for place, name in enumerate(meta.schema.names)}
        lows, highs = np.array(low, np.int64), np.array(high, np.int64)
        known = Footer(meta, places, empty_columns(meta), list(first), list(last), lows, highs)
        with self._lock:
            if path not in self._footers:
                self._footers[path] = known
                self._footer_chunks += known.weight
            while self._footer_chunks > FOOTER_CHUNKS_COUNT and len(self._footers) > 1:
                self._footer_chunks -= self._footers.popitem(last=False)[1].weight
        return known


def _bounds(meta: pq.FileMetaData, at: int) -> tuple[str, str, int, int]:
    """Return first and last instrument and time of a row group; everything where it does not say."""
    names = meta.schema.names
    group = meta.row_group(at)
    texts = group.column(names.index(INSTRUMENT)).statistics
    times = group.column(names.index(TIME)).statistics
    if texts is None or times is None or not texts.has_min_max or not times.has_min_max:
        return _FIRST, _LAST, -(2**63), 2**63 - 1
    return texts.min, texts.max, microseconds(times.min), microseconds(times.max)
