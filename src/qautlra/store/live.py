"""Rows as they are stored, for whoever follows a stream; too many are dropped and counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core.store import render_json
from qautlra.base.errors import InputError, UnavailableError
from qautlra.model.query import QueryFormat
from qautlra.store.schema import INSTRUMENT, ROW_SCHEMA
from qautlra.store.sqlrender import SqlRenderer
from qautlra.store.tables.files import unite

if TYPE_CHECKING:
    from qautlra.base.clock import Clock
    from qautlra.store.opened import Opened
    from qautlra.store.tables.store import TableStore

# A row that comes later than this after the market's present is stored, but not told to who follows.
LATE_NS = 60 * 10**9


_tails: WeakSet[TableTail] = WeakSet()


def waiting_rows() -> int:
    """Return how many rows wait for the slowest who follows a user's stream."""
    return max((tail.waiting for tail in _tails), default=0)


class MarketTail:
    """Rows of the market's streams logged since the last `take`."""

    def __init__(
        self,
        opened: Callable[[], Opened | None],
        clock: Clock,
        numbers: Callable[[], list[int] | None],
        waiting_rows: int,
    ) -> None:
        self._waiting_rows = waiting_rows
        self._opened = opened
        self._clock = clock
        self._numbers = numbers
        self._lsn = self._need().journal.head_lsn
        self.dropped = 0

    schema = ROW_SCHEMA

    def take(self) -> tuple[bytes, int]:
        """Return some new rows as a JSON array, and how many."""
        batch = self._new()
        return (b"[]", 0) if batch is None else (render_json(batch), batch.num_rows)

    def take_table(self) -> pa.Table | None:
        """Return some new rows, as `take`."""
        batch = self._new()
        return None if batch is None else pa.Table.from_batches([batch]).cast(self.schema)

    def _new(self) -> pa.RecordBatch | None:
        opened = self._need()
        head = opened.journal.head_lsn
        if head == self._lsn:
            return None
        behind = head - self._lsn
        if behind > self._waiting_rows:
            self.dropped += behind - self._waiting_rows
            self._lsn = head - self._waiting_rows
        batch = opened.hot.scan(self._numbers(), self._clock.now_ns() - LATE_NS, min_lsn=self._lsn)
        self._lsn = head
        return batch

    def close(self) -> None:
        """Do nothing: a position in the log holds nothing."""

    def _need(self) -> Opened:
        opened = self._opened()
        if opened is None:
            raise UnavailableError("the store is not running")
        return opened


class TableTail:
    """Rows of a user's stream ingested since the last `take`; with `symbols` those of these instruments.

    NotFoundError: no such stream; InputError: its rows name no instruments.
    """

    def __init__(
        self, tables: TableStore, name: str, waiting_rows: int, symbols: frozenset[str] | None = None
    ) -> None:
        self._waiting_rows = waiting_rows
        self._tables = tables
        self._definition = tables.book.get(name)
        self._symbols = None if symbols is None else pa.array(sorted(symbols), pa.string())
        kinds = {column.name: column.type for column in self._definition.columns}
        if symbols is not None and kinds.get(INSTRUMENT) != "utf8":
            text = f"rows of {self._definition.name!r} have no {INSTRUMENT} to follow them by"
            raise InputError(text, key="instruments")
        self._name = self._definition.name
        self._waiting: deque[pa.Table] = deque()
        self.waiting = 0
        self.dropped = 0
        tables.followers.add(self._heard)
        _tails.add(self)

    def take(self) -> tuple[bytes, int]:
        """Return the waiting rows as a JSON array, and how many."""
        if not self._waiting:
            return b"[]", 0
        parts = []
        rows, self.waiting = self.waiting, 0
        while self._waiting:
            table = self._waiting.popleft()
            render = SqlRenderer(QueryFormat.NDJSON, table.schema, False)
            parts += [render.batch(batch).rstrip(b"\n").replace(b"\n", b",") for batch in table.to_batches()]
        return b"[" + b",".join(parts) + b"]", rows

    @property
    def schema(self) -> pa.Schema:
        """The columns of the stream when it began to be followed."""
        return self._definition.schema

    def take_table(self) -> pa.Table | None:
        """Return the waiting rows, in the columns of `schema`."""
        if not self._waiting:
            return None
        waiting, self.waiting = list(self._waiting), 0
        self._waiting.clear()
        return unite(waiting, self._definition)

    def close(self) -> None:
        """Stop listening."""
        self._tables.followers.discard(self._heard)

    def _heard(self, name: str, table: pa.Table) -> None:
        if name != self._name:
            return
        if self._symbols is not None:
            if INSTRUMENT not in table.column_names:
                return
            table = table.filter(pc.is_in(table.column(INSTRUMENT), self._symbols))
            if not table.num_rows:
                return
        self._waiting.append(table)
        self.waiting += table.num_rows
        while self.waiting > self._waiting_rows and len(self._waiting) > 1:
            gone = self._waiting.popleft()
            self.waiting -= gone.num_rows
            self.dropped += gone.num_rows
