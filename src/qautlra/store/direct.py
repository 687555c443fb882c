"""A few instruments' rows straight from Parquet: only the row groups that can hold them, without an engine.

What point queries take: files are sorted by instrument and time, so their statistics say where to look.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qautlra.store.mask import passing
from qautlra.store.plan import microseconds
from qautlra.store.predicate import Predicate
from qautlra.store.schema import INSTRUMENT, TIME

SYMBOLS_COUNT = 4
FILES_COUNT = 16
ROWS_COUNT = 100_000
FOOTERS_COUNT = 256

_Group = tuple[str, str, int, int]


class DirectReader:
    """Reads in any thread; keeps the footers of the files asked for last."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._footers: OrderedDict[str, tuple[pq.FileMetaData, list[_Group]]] = OrderedDict()
        self._lock = Lock()

    def read(
        self,
        paths: Iterable[str],
        columns: Sequence[str],
        symbols: frozenset[str],
        low_us: int,
        stop_us: int,
        rest: Predicate | None,
    ) -> pa.Table:
        """Return the rows of `symbols` with low <= time < stop that pass `rest`, in no order. Blocking."""
        schema = pa.schema([self._schema.field(name) for name in columns])
        moment = self._schema.field(TIME).type
        members = pa.array(sorted(symbols), pa.string())
        found = []
        for path in paths:
            footer, groups = self._footer(path)
            wanted = [
                at
                for at, (first, last, low, high) in enumerate(groups)
                if low < stop_us and high >= low_us and any(first <= name <= last for name in symbols)
            ]
            if not wanted:
                continue
            with pq.ParquetFile(path, metadata=footer) as file:
                table = file.read_row_groups(wanted, columns=list(columns), use_threads=False)
            table = table.select(columns).cast(schema)
            mine = pc.and_(
                pc.is_in(table.column(INSTRUMENT), members),
                pc.and_(
                    pc.greater_equal(table.column(TIME), pa.scalar(low_us, moment)),
                    pc.less(table.column(TIME), pa.scalar(stop_us, moment)),
                ),
            )
            table = table.filter(mine)
            found.append(table if rest is None else passing(table, rest))
        return pa.concat_tables(found) if found else schema.empty_table()

    def _footer(self, path: str) -> tuple[pq.FileMetaData, list[_Group]]:
        with self._lock:
            known = self._footers.get(path)
            if known is not None:
                self._footers.move_to_end(path)
                return known
        footer = pq.read_metadata(path)
        known = footer, [_bounds(footer, at) for at in range(footer.num_row_groups)]
        with self._lock:
            self._footers[path] = known
            while len(self._footers) > FOOTERS_COUNT:
                self._footers.popitem(last=False)
        return known


def _bounds(footer: pq.FileMetaData, at: int) -> _Group:
    """Return first and last instrument and time of a row group; everything where it does not say."""
    names = footer.schema.names
    group = footer.row_group(at)
    texts = group.column(names.index(INSTRUMENT)).statistics
    times = group.column(names.index(TIME)).statistics
    if texts is None or times is None or not texts.has_min_max or not times.has_min_max:
        return "", "\U0010ffff", -(2**63), 2**63
    return texts.min, texts.max, microseconds(times.min), microseconds(times.max)
