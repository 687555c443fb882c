"""All rows of files as they lie in them: a row group after the other, for answers without an order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qautlra.store.catalogue import DataFile
from qautlra.store.compaction import IDENTITY, stored_identities
from qautlra.store.direct import needed_columns
from qautlra.store.footers import Footers
from qautlra.store.groups import GroupFile, selected
from qautlra.store.mask import passing
from qautlra.store.plan import Plan
from qautlra.store.schema import INSTRUMENT, TIME, narrowed

# Of the hot tier's rows, whose batches may be as small as an instrument that seldom trades.
PIECE_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class GroupTask:
    """A row group to read."""

    file: GroupFile
    at: int
    is_inside: bool
    "Whether all its rows are in the range asked for."


@dataclass(frozen=True, slots=True)
class Message:
    """Rows as one record batch message of an Arrow stream."""

    data: bytes
    num_rows: int

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return the rows; `schema` is the stream's."""
        return pa.Table.from_batches([pa.ipc.read_record_batch(pa.py_buffer(self.data), schema)])


class Scanner:
    """Reads in any thread; keeps no rows."""

    def __init__(self, data_dir: Path, footers: Footers, schema: pa.Schema) -> None:
        self._data_dir = data_dir
        self._footers = footers
        self._schema = schema

    def tasks(self, plan: Plan, files: Iterable[DataFile], low_us: int, stop_us: int) -> list[GroupTask]:
        """Return the row groups that can hold rows with low <= time < stop. Blocking."""
        found = []
        for file in files:
            path = str(self._data_dir / file.path)
            footer = self._footers.of(path)
            inside = np.flatnonzero((footer.low < stop_us) & (footer.high >= low_us)).tolist()
            if plan.symbols is not None:
                mine = {at for name in plan.symbols for at in footer.groups_of(name)}
                inside = [at for at in inside if at in mine]
            opened = GroupFile(path, footer)
            for at in inside:
                is_inside = footer.low[at] >= low_us and footer.high[at] < stop_us
                found.append(GroupTask(opened, at, bool(is_inside)))
        return found

    def read(self, task: GroupTask, plan: Plan, low_us: int, stop_us: int) -> pa.Table:
        """Return the plan's rows of a group. Blocking."""
        schema = narrowed(self._schema, needed_columns(plan))
        group = task.file.read(task.at, schema)
        table = group.slice(0, group.rows, schema)
        if not task.is_inside:
            table = table.filter(_within(table, low_us, stop_us))
        footer = task.file.footer
        first, last = footer.first[task.at], footer.last[task.at]
        if plan.symbols is not None and not (first == last and first in plan.symbols):
            members = pa.array(sorted(plan.symbols), pa.string())
            table = table.filter(pc.is_in(table.column(INSTRUMENT), members))
        if plan.rest is not None:
            table = passing(table, plan.rest)
        return selected(table, plan.read_columns)

    def read_to_send(self, task: GroupTask, plan: Plan, low_us: int, stop_us: int) -> Message | pa.Table:
        """Return what `read` does, as a message where the answer has all rows of the group. Blocking."""
        is_all = task.is_inside and plan.rest is None and plan.symbols is None
        if is_all and plan.read_columns == plan.columns:
            found = task.file.all_rows(task.at, plan.columns, self._schema)
            if found is not None:
                return Message(*found)
        return self.read(task, plan, low_us, stop_us)

    def unfiled(self, hot: pa.Table, files: list[DataFile]) -> list[pa.Table]:
        """Return the rows of the hot tier but copies of rows that lie in these files, in pieces. Blocking."""
        newest_us = max((file.last_us for file in files), default=-(2**63))
        moment = self._schema.field(TIME).type
        suspects = hot.filter(pc.less_equal(hot.column(TIME), pa.scalar(newest_us, moment)))
        if not suspects.num_rows:
            return list(_pieces(hot))
        low, high = pc.min_max(suspects.column(TIME).cast(pa.int64())).as_py().values()
        paths = [str(self._data_dir / file.path) for file in files if file.last_us >= low]
        symbols = suspects.column(INSTRUMENT).cast(pa.string()).unique()
        filed = stored_identities(paths, symbols, low, high)
        plain = hot.cast(pa.schema([self._schema.field(name) for name in hot.schema.names]))
        return [plain.join(filed, list(IDENTITY), join_type="left anti")]

    def read_unfiled(self, rows: pa.Table, plan: Plan) -> pa.Table:
        """Return the plan's rows of a piece of `unfiled`. Blocking."""
        names = needed_columns(plan)
        table = selected(rows, names).cast(narrowed(self._schema, names))
        return selected(table if plan.rest is None else passing(table, plan.rest), plan.read_columns)


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """Yield its batches, neighbours together while they have no more than PIECE_ROWS rows."""
    part: list[pa.RecordBatch] = []
    rows = 0
    for batch in table.to_batches():
        if part and rows + batch.num_rows > PIECE_ROWS:
            yield pa.Table.from_batches(part)
            part, rows = [], 0
        part.append(batch)
        rows += batch.num_rows
    if part:
        yield pa.Table.from_batches(part)


def _within(table: pa.Table, low_us: int, stop_us: int) -> pa.ChunkedArray:
    moment = table.schema.field(TIME).type
    return pc.and_(
        pc.greater_equal(table.column(TIME), pa.scalar(low_us, moment)),
        pc.less(table.column(TIME), pa.scalar(stop_us, moment)),
    )
