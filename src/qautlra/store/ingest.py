"""The store's door for rows and streams of users: what is asked before it runs is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from qautlra._core.store import rows_from_arrow
from qautlra.base.clock import monotonic_s, wall_ns
from qautlra.base.errors import AuthError, InputError, LimitError, StorageError, UnavailableError
from qautlra.base.loop import give_way
from qautlra.model.streams import Derived, IngestKey, StreamOptions
from qautlra.store.aggregates import BAR_1D
from qautlra.store.disk import DiskGuard
from qautlra.store.live import MarketTail, TableTail
from qautlra.store.market_rows import market_table
from qautlra.store.members import StreamMembers
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, ROW_SCHEMA, STREAMS, TIME
from qautlra.store.tables.definition import OWN_COLUMNS, Book, Column, Definition, own_columns
from qautlra.store.tables.infer import static_columns
from qautlra.store.tables.rows import rows_of
from qautlra.store.tables.store import TableStore, wall_us

if TYPE_CHECKING:
    from qautlra._core.market import Instruments, Rows
    from qautlra.base.clock import Clock
    from qautlra.store.opened import Opened

DURABLE_S = 5.0
# Events under way, unpacked where that is known; so long they wait, for others or a disk.
UNDER_WAY_BYTES = 256 << 20
PATIENCE_S = 30.0
# A simulated market may be a holiday ahead of the machine, and its rows may be kept by another process.
AHEAD_DAYS = 31
DAY_US = 86_400_000_000
# Rows of one turn on the loop: about 0.2 ms, so that a large body holds nobody up.
SLICE_ROWS = 512
_ARROW_NAMES = {"float64": "Float64", "int64": "Int64", "boolean": "Boolean", "utf8": "Utf8", "list": "List"}


class Market(Protocol):
    """Where rows and bars of the market go: StoreService."""

    async def flush(self) -> None: ...
    async def import_rows(self, rows: Rows, patience_s: float = ...) -> int: ...
    async def write_bars(self, table: pa.Table) -> None: ...


class IngestDoor:
    """Takes events into streams, makes and drops streams, says what they hold.

    `followed` gives the definitions another process writes where this one only answers (403 for all else).
    """

    def __init__(
        self,
        store: Market,
        opened: Callable[[], Opened | None],
        instruments: Instruments,
        clock: Clock,
        disk: DiskGuard,
        tail_rows: int,
        followed: Callable[[], Book | None] = lambda: None,
    ) -> None:
        self._followed = followed
        self._tail_rows = tail_rows
        self._clock = clock
        self._members = StreamMembers(instruments)
        self._store = store
        self._opened = opened
        self._instruments = instruments
        self._disk = disk
        self._importing = asyncio.Lock()
        self.under_way_bytes = 0
        "Of events that are being taken in."

    async def ingest(
        self,
        name: str,
        events: Sequence[Any] | pa.Table,
        extra: Mapping[str, str],
        *,
        create: bool,
        key: IngestKey | None = None,
        body_bytes: int = 0,
    ) -> int:
        """Store events; return how many were taken. On return they are durable as the store is set to be.

        Sent again with the same `key` they are stored once; rows of the market are so without one. Refused
        while a log cannot be written (507), while UNDER_WAY_BYTES are taken in (429), after PATIENCE_S (503).
        """
        opened = self._need()
        self._disk.check()
        _check_log(opened.journal.error or opened.tables.log_error)
        size = max(body_bytes, events.nbytes if isinstance(events, pa.Table) else 0)
        if self.under_way_bytes and self.under_way_bytes + size > UNDER_WAY_BYTES:
            raise LimitError("more events wait to be stored than there is room for", retry_after_s=1)
        self.under_way_bytes += size
        try:
            async with asyncio.timeout(PATIENCE_S):
                if name.lower() in STREAMS:
                    return await self._market(opened, name.lower(), events)
                return await opened.tables.ingest(name, events, extra, create=create, key=key)
        except TimeoutError:
            raise StorageError(
                f"not stored within {PATIENCE_S:g} s: the disk does not keep up; sent again without an "
                "Idempotency-Key the same events may be stored twice",
                retry_after_s=5,
            ) from None
        finally:
            self.under_way_bytes -= size

    async def _market(self, opened: Opened, name: str, events: Sequence[Any] | pa.Table) -> int:
        if name == BAR_1M:
            bars = market_table(events, BAR_SCHEMA, wall_ns())
            self._check_time(pc.max(bars.column(TIME)).value)
            await self._store.write_bars(_whole(bars, BAR_SCHEMA))
            return len(events)
        await give_way()
        table = market_table(events, ROW_SCHEMA, wall_ns())
        self._check_time(pc.max(table.column(TIME)).value)
        await give_way()
        async with self._importing:
            for batch in table.to_batches(SLICE_ROWS):
                try:
                    rows = rows_from_arrow(batch, self._instruments, dated=True)
                except ValueError as error:
                    raise InputError(str(error), key="body") from None
                await self._store.import_rows(rows, DURABLE_S)
        await _durable(opened)
        return int(table.num_rows)

    async def import_rows(self, rows: Rows) -> int:
        """Log the rows of the market not stored yet; return how many that were."""
        self._disk.check()
        self._check_time(max(map(rows.ts_event_ns, range(len(rows))), default=0) // 1_000)
        async with self._importing:
            return await self._store.import_rows(rows)

    def _check_time(self, newest_us: int | None) -> None:
        """Refuse what lies far ahead: the newest row is what a later start takes for the market's present."""
        now_us = max(wall_ns(), self._clock.now_ns()) // 1_000
        if newest_us is not None and newest_us > now_us + AHEAD_DAYS * DAY_US:
            raise InputError(f"{TIME}: a row lies more than {AHEAD_DAYS} days ahead", key=TIME)

    async def flush(self) -> None:
        """Wait until everything taken so far is on the disk."""
        await self._store.flush()

    async def settle(self) -> None:
        """Wait until what was taken into users' streams is durable: an answer then has all of it."""
        await self._tables().settle()

    def check_room(self) -> None:
        """StorageError 507 while the disk is too full."""
        self._disk.check()

    def live(self, name: str, instruments: Sequence[str] | None) -> MarketTail | TableTail:
        """Return the rows of a stream from now on; NotFoundError when there is none."""
        opened = self._need()
        if name.lower() not in STREAMS:
            spelled = None
            if instruments is not None:  # as they are given, or as the market names them
                names = map(self._instruments.canonical, instruments)
                spelled = frozenset(instruments).union(filter(None, names))
            return TableTail(opened.tables, name, self._tail_rows, spelled)
        stream = STREAMS[name.lower()]
        if name.lower() == BAR_1M:
            raise InputError("bars are not followed here; subscribe to the ticks", key="stream")
        symbols = None
        if instruments is not None:
            found = [self._instruments.canonical(one) for one in instruments]
            if None in found:
                unknown = instruments[found.index(None)]
                raise InputError(f"{unknown[:64]!r} is no instrument", key="instruments")
            symbols = frozenset(str(one) for one in found)

        def numbers() -> list[int] | None:
            return self._members.numbers(stream.parts, symbols)

        return MarketTail(self._opened, self._clock, numbers, self._tail_rows)

    # Streams

    async def create(self, name: str, options: StreamOptions) -> None:
        """Make a stream as its options say."""
        columns = own_columns()
        if options.fields is not None:
            declared = static_columns(options.fields)
            columns = (*columns, *(column for column in declared if column.name not in OWN_COLUMNS))
        if options.is_static and options.fields is None:
            raise InputError("a static schema needs its fields in the body", key="fields")
        known = {column.name for column in columns}
        if options.time_partition and options.time_partition not in known:
            columns = (*columns, Column(options.time_partition, "timestamp_us"))
        elif options.time_partition and dict(_pairs(columns))[options.time_partition] != "timestamp_us":
            raise InputError(f"{options.time_partition!r} is not a time", key="X-P-Time-Partition")
        for field in options.custom_partition:
            if options.is_static and field not in known:
                raise InputError(f"{field!r} is not a column", key="X-P-Custom-Partition")
            if field not in known:
                columns = (*columns, Column(field, "utf8"))
        definition = Definition(
            name=name,
            columns=columns,
            created_us=wall_us(),
            is_static=options.is_static,
            infer_times=options.infer_times,
            time_partition=options.time_partition,
            time_limit_days=options.time_limit_days,
            custom_partition=options.custom_partition,
        )
        await self._tables().create(definition, update=options.update)

    async def derive(self, name: str, derived: Derived) -> None:
        """Make a stream of another one."""
        _refuse_own(name)
        await self._need().aggregates.create(name, derived)

    def derived(self) -> dict[str, Derived]:
        """Return how each stream is made that is made of another one."""
        aggregates = self._need().aggregates
        return {name: aggregates.get(name) for name in aggregates.names()}

    async def refresh(self, name: str) -> int:
        """Make a made stream's rows up to now; return how many were made."""
        return await self._need().aggregates.refresh(name)

    async def drop(self, name: str) -> None:
        """Delete a stream and all its rows."""
        _refuse_own(name)
        if name.lower() == BAR_1D:
            raise InputError(f"{name!r} is a built-in stream", key="stream", status=409)
        await self._tables().drop(name)

    def names(self) -> list[str]:
        """Return every stream there is."""
        return [*STREAMS, *self._book().names()]

    def schema(self, name: str) -> list[dict[str, Any]]:
        """Return the columns of a stream."""
        if name.lower() in STREAMS:
            fields = STREAMS[name.lower()].schema
            return [_field(field.name, str(field.type)) for field in fields]
        columns = self._book().get(name).columns
        return [_field(c.name, _ARROW_NAMES.get(c.type, c.type)) for c in columns]

    def stats(self, name: str) -> dict[str, int]:
        """Return rows and bytes of a stream."""
        if name.lower() not in STREAMS:
            return self._tables().stats(name)
        opened = self._need()
        parts, state = STREAMS[name.lower()].parts, opened.catalogue.state
        files = [file for file in state.files if file.stream in parts]
        logged = 0
        if name.lower() != BAR_1M:  # bars are made of the rows, and logged nowhere
            logged = opened.hot.count(self._members.numbers(parts, None), min_lsn=state.watermark_lsn)
        return {
            "rows": sum(file.rows for file in files) + logged,
            "file_bytes": sum(file.bytes for file in files),
            "files": len(files),
            "log_rows": logged,
        }

    def info(self, name: str) -> dict[str, Any]:
        """Return how a stream is kept; `created_us` is None of one that is always there."""
        if name.lower() in STREAMS:
            opened = self._need()
            return {
                "created_us": None,
                "time_partition": TIME,
                "time_limit_days": None,
                "custom_partition": [] if name.lower() == BAR_1M else list(opened.compactor.layout.fields),
                "is_static": True,
                "retention_days": opened.tables.retention_days,
            }
        found = self._book().get(name)
        return {
            "created_us": found.created_us,
            "time_partition": found.time_partition or None,
            "time_limit_days": found.time_limit_days or None,
            "custom_partition": list(found.custom_partition),
            "is_static": found.is_static,
            "retention_days": found.retention_days,
            "retention_description": found.retention_description,
        }

    async def retain(self, name: str, days: int, description: str = "") -> None:
        """Keep a stream's rows for so many days; `description` is kept with that."""
        _refuse_own(name)
        await self._tables().retain(name, days, description)

    def detect(self, event: Any) -> list[dict[str, Any]]:
        """Return the columns an event would make."""
        empty = Definition(name="x", columns=own_columns(), created_us=0)
        grown = rows_of([event], empty, {}, may_grow=True)
        return [
            _field(c.name, _ARROW_NAMES.get(c.type, c.type)) for c in grown.columns if c not in empty.columns
        ]

    def _book(self) -> Book:
        return self._followed() or self._tables().book

    def _tables(self) -> TableStore:
        return self._need().tables

    def _need(self) -> Opened:
        opened = self._opened()
        if opened is None:
            if self._followed() is not None:
                raise AuthError(
                    "Mode query answers questions: ask this of the process that writes", status=403
                )
            raise UnavailableError("the store is not running yet")
        return opened


def _check_log(error: str) -> None:
    """StorageError while a log cannot be written: nothing is taken that could not be kept."""
    if error:
        raise StorageError(f"nothing is taken now: {error}", status=507, retry_after_s=1)


async def _durable(opened: Opened) -> None:
    journal = opened.journal
    target, give_up_s = journal.head_lsn, monotonic_s() + DURABLE_S
    while journal.durable_lsn < target:
        if journal.failed or monotonic_s() > give_up_s:
            raise StorageError(f"not durable yet: {journal.error or 'the disk is slow'}", retry_after_s=1)
        await asyncio.sleep(0.001)


def _whole(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table.column(field.name) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _refuse_own(name: str) -> None:
    if name.lower() in STREAMS:
        raise InputError(f"{name!r} is a built-in stream", key="stream", status=409)


def _pairs(columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in columns]


def _field(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "data_type": kind, "nullable": True}
