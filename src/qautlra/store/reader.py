"""Reads planned rows from the hot tier and the files as one table, each row once, in order, piece by piece.

Everything touching the hot tier happens on the loop, in slices short enough that nobody notices; SQL and the
rest happen in threads. A piece is made from one consistent view: the file list and the log position up to
which they hold everything are taken together, and rows above it stay in the hot tier until the piece is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
from msgspec.structs import replace

from qautlra._core.store import HotMessages
from qautlra.store import direct
from qautlra.store.compaction import without_repeats
from qautlra.store.footers import Footers
from qautlra.store.groups import selected
from qautlra.store.mask import passing
from qautlra.store.members import StreamMembers
from qautlra.store.predicate import columns_of
from qautlra.store.scan import Message, Scanner
from qautlra.store.schema import MARKET_DATA, ROW_SCHEMA, STREAMS, TIME, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from qautlra._core.market import Instruments
    from qautlra._core.store import HotStore
    from qautlra.store.catalogue import Catalogue, DataFile, State
    from qautlra.store.engine import SqlEngine
    from qautlra.store.pins import Pins
    from qautlra.store.plan import Plan
    from qautlra.store.scan import GroupTask

TICK_STREAMS = frozenset((MARKET_DATA, *STREAMS[MARKET_DATA].parts))
# Rows of one turn on the loop: copying them out of the hot tier must stay well below 5 ms.
SLICE_ROWS = 8_192
# What copying an instrument's out costs besides, in rows.
ASKED_ROWS = 128
FIRST_SLICE_ROWS = 1_024
# Rows a window of files and hot tier together aims at; what bounds the memory of one statement.
FIRST_WINDOW_ROWS = 50_000
WINDOW_ROWS = 400_000
# Of a scan, which holds no more of a window than AHEAD_COUNT row groups.
SCAN_ROWS = 20_000_000
AHEAD_COUNT = 2


class Reader:
    """Answers plans over tick streams."""

    def __init__(
        self,
        catalogue: Catalogue,
        hot: HotStore,
        instruments: Instruments,
        engine: SqlEngine,
        pins: Pins,
    ) -> None:
        self._catalogue = catalogue
        self._hot = hot
        self._instruments = instruments
        self._members = StreamMembers(instruments)
        self._engine = engine
        self._pins = pins
        footers = Footers()
        self._files_of = direct.DirectReader(catalogue.data_dir, footers, ROW_SCHEMA)
        self._scanner = Scanner(catalogue.data_dir, footers, ROW_SCHEMA)

    def close_deleted(self) -> None:
        """Let go of files whose names are gone."""
        self._files_of.close_deleted()

    async def pieces(self, plan: Plan, timeout_s: float) -> AsyncGenerator[pa.Table, None]:
        """Yield tables of `plan.read_columns`, together at most `plan.limit` rows; none of them is empty.

        `timeout_s` bounds each piece. InputError and LimitError as `SqlEngine.run`.
        """
        if plan.unordered:
            async with aclosing(self._scattered(plan, timeout_s, self._scanner.read)) as tables:
                async for table in tables:
                    yield table
            return
        low, high, left = plan.start_us, plan.stop_us, plan.limit
        aim = FIRST_WINDOW_ROWS if left is None else max(FIRST_WINDOW_ROWS, min(2 * left, WINDOW_ROWS))
        rows = SLICE_ROWS if left is None else min(SLICE_ROWS, max(FIRST_SLICE_ROWS, 2 * left))
        while low < high and (left is None or left > 0):
            numbers = self._members.of(plan)
            if numbers is not None and not numbers and not self._overlapping(plan, low, high):
                return
            # From here on the hot tier has every row there is.
            complete = high if numbers == [] else self._hot.cold_max_ts(numbers) // 1_000 + 1
            if complete < high if plan.descending else complete <= low:
                floor = max(low, complete)
                table, reached = self._slice(plan, numbers, floor, high, rows, left)
                if reached is None:
                    rows *= 2  # more rows of one moment than a slice holds
                    continue
                rows = SLICE_ROWS
                await asyncio.sleep(0)
            else:
                top = high if plan.descending else min(high, complete)
                is_point = plan.symbols is not None and len(plan.symbols) <= direct.SYMBOLS_COUNT
                if is_point and left is not None:
                    bound = low  # no more than `left` rows are read, wherever they are
                else:
                    rows_most = min(aim, direct.ROWS_COUNT) if is_point else aim
                    bound, top = self._window(plan, numbers, low, top, rows_most)
                find = self._point if is_point else self._merged
                table = await find(plan, numbers, bound, top, left, timeout_s)
                reached = bound if plan.descending else top
                aim = min(aim * 4, WINDOW_ROWS)
            if plan.descending:
                high = reached
            else:
                low = reached
            if table.num_rows:
                if left is not None:
                    left -= table.num_rows
                yield table

    async def to_send(self, plan: Plan, timeout_s: float) -> AsyncGenerator[Message | pa.Table, None]:
        """As `pieces` of an unordered plan; what can be sent as it is comes as messages."""
        async with aclosing(self._scattered(plan, timeout_s, self._scanner.read_to_send)) as pieces:
            async for piece in pieces:
                yield piece

    async def _scattered(
        self, plan: Plan, timeout_s: float, read: Callable[[GroupTask, Plan, int, int], Message | pa.Table]
    ) -> AsyncGenerator[Message | pa.Table, None]:
        """Yield the rows of a plan in no order; a row group is read while the ones before it are sent."""
        low, left = plan.start_us, plan.limit
        while low < plan.stop_us and (left is None or left > 0):
            numbers = self._members.of(plan)
            _, top = self._window(plan, numbers, low, plan.stop_us, SCAN_ROWS)
            async with aclosing(self._scanned(plan, numbers, low, top, timeout_s, read)) as pieces:
                async for piece in pieces:
                    if left is not None and piece.num_rows >= left:
                        if piece.num_rows > left:
                            if isinstance(piece, Message):
                                piece = piece.table(narrowed(ROW_SCHEMA, plan.columns))
                            piece = piece.slice(0, left)
                        yield piece
                        return
                    if piece.num_rows:
                        yield piece
                    left = None if left is None else left - piece.num_rows
            low = top

    async def _scanned(
        self,
        plan: Plan,
        numbers: list[int] | None,
        low: int,
        high: int,
        timeout_s: float,
        read: Callable[[GroupTask, Plan, int, int], Message | pa.Table],
    ) -> AsyncGenerator[Message | pa.Table, None]:
        state = self._catalogue.state
        scan, files = self._scanner, self._files(plan, state, low, high)
        with self._pins.hold_above(state.watermark_lsn):
            hot = await self._hot_scattered(numbers, low, high, state.watermark_lsn)

        def planned() -> list[Callable[[], Message | pa.Table]]:
            pieces = scan.unfiled(hot, files) if hot.num_rows else []
            tasks = scan.tasks(plan, files, low, high)
            return [
                *(partial(scan.read_unfiled, piece, plan) for piece in pieces),
                *(partial(read, task, plan, low, high) for task in tasks),
            ]

        ahead: deque[asyncio.Future[Message | pa.Table]] = deque()
        try:
            for work in await self._engine.call(planned, timeout_s=timeout_s):
                ahead.append(asyncio.ensure_future(self._engine.call(work, timeout_s=timeout_s)))
                if len(ahead) > AHEAD_COUNT:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for future in ahead:
                future.cancel()

    def hot_json(self, plan: Plan, shape: Literal["array", "records"]) -> tuple[bytes, int] | None:
        """Return the whole answer as JSON, and its rows; None when it is not all in the hot tier.

        What dashboards ask all day takes this way: a slice of rows at most, nothing to test, no file.
        """
        numbers = self._members.of(plan)
        if (
            plan.rest is not None
            or plan.limit is None
            or plan.limit > SLICE_ROWS
            or not plan.limit
            or numbers == []
        ):
            return None
        if self._hot.cold_max_ts(numbers) // 1_000 >= plan.start_us or plan.start_us >= plan.stop_us:
            return None
        return self._hot.scan_json(
            numbers,
            plan.start_us * 1_000,
            plan.stop_us * 1_000,
            limit=plan.limit,
            descending=plan.descending,
            fields=plan.columns,
            mode=shape,
        )

    def hot_messages(self, plan: Plan) -> HotMessages | None:
        """Return what gives a plan's rows in no order while memory has all of them; None: it has not."""
        numbers = self._members.of(plan)
        if (
            not plan.unordered
            or plan.rest is not None
            or plan.stream.name not in TICK_STREAMS
            or plan.start_us >= plan.stop_us
            or numbers == []
            or self._hot.cold_max_ts(numbers) // 1_000 >= plan.start_us
        ):
            return None
        return HotMessages(
            self._hot,
            range(len(self._instruments)) if numbers is None else numbers,
            plan.start_us * 1_000,
            plan.stop_us * 1_000,
            fields=plan.columns,
        )

    def left_by(self, messages: HotMessages, plan: Plan) -> list[Plan]:
        """Return plans of what `hot_messages` has not given: some rows were put into files meanwhile."""
        numbers, from_ns = messages.left
        names = [self._instruments.symbol(number) for number in numbers]
        one = replace(plan, symbols=frozenset(names[:1]), start_us=from_ns // 1_000)
        return [one, replace(plan, symbols=frozenset(names[1:]))] if names else []

    def filed_arrow(self, plan: Plan, head: bytes, tail: bytes) -> tuple[bytes, int] | None:
        """Return an instrument's rows as an Arrow stream, and their number; None: not without waiting."""
        if (
            plan.rest is not None
            or plan.descending
            or plan.symbols is None
            or len(plan.symbols) != 1
            or plan.start_us >= plan.stop_us
            or plan.read_columns != plan.columns
        ):
            return None
        state = self._catalogue.state
        low_ns, stop_ns = max(plan.start_us * 1_000, -(2**63)), min(plan.stop_us * 1_000, 2**63 - 1)
        numbers = self._members.of(plan)
        if numbers and self._hot.count(numbers, low_ns, stop_ns, min_lsn=state.watermark_lsn):
            return None
        files = self._files(plan, state, plan.start_us, plan.stop_us)
        return self._files_of.message(plan, files, head, tail)

    def latest_json(self, plan: Plan, shape: Literal["array", "records"]) -> tuple[bytes, int] | None:
        """Return the newest row of each instrument as JSON, and how many; None as `latest`."""
        if (
            plan.rest is not None
            or plan.descending
            or not plan.limit
            or plan.stream.name not in TICK_STREAMS
            or plan.start_us >= plan.stop_us
        ):
            return None
        return self._hot.latest_json(
            self._members.of(plan),
            max(plan.start_us * 1_000, -(2**63)),
            min(plan.stop_us * 1_000, 2**63 - 1),
            limit=plan.limit,
            fields=plan.columns,
            mode=shape,
        )

    def latest(self, plan: Plan) -> pa.Table | None:
        """Return the newest row of each instrument in the range; None when memory alone cannot tell.

        It holds the newest row there is of every instrument: only a range that ends before that needs files.
        """
        numbers = self._members.of(plan)
        if plan.rest is not None or plan.descending or plan.stream.name not in TICK_STREAMS:
            return None
        table = pa.Table.from_batches([self._hot.latest(numbers, fields=plan.read_columns)])
        times = table.column(TIME).cast(pa.int64()).to_numpy()
        if table.num_rows and int(times.max()) >= plan.stop_us:
            return None
        if table.num_rows and int(times.min()) < plan.start_us:
            table = table.filter(pa.array(times >= plan.start_us))
        return table.slice(0, plan.limit).select(plan.columns)

    def _slice(
        self, plan: Plan, numbers: list[int] | None, low: int, high: int, rows: int, left: int | None
    ) -> tuple[pa.Table, int | None]:
        """Return the next rows of the hot tier, and how far they reach; None: one moment fills the slice."""
        wanted = rows if left is None or plan.rest is not None else min(rows, left)
        fields = [*plan.read_columns, *(columns_of(plan.rest) - set(plan.read_columns))]
        batch = self._hot.scan(
            numbers,
            low * 1_000,
            high * 1_000,
            limit=wanted,
            descending=plan.descending,
            fields=fields,
        )
        table = pa.Table.from_batches([batch])
        reached = low if plan.descending else high
        if batch.num_rows == wanted and not (plan.rest is None and wanted == left):
            # Rows of the last moment may be missing: the next slice begins with it.
            times = table.column(TIME).cast(pa.int64()).to_numpy()
            last = int(times[-1])
            whole = int((times != last).sum())
            if not whole:
                return table, None
            table = table.slice(0, whole)
            reached = last + 1 if plan.descending else last
        if plan.rest is not None:
            table = passing(table, plan.rest).slice(0, left).select(plan.read_columns)
        return table, reached

    async def _merged(
        self, plan: Plan, numbers: list[int] | None, low: int, high: int, left: int | None, timeout_s: float
    ) -> pa.Table:
        """Return the first `left` rows of a window, from files and hot tier."""
        state = self._catalogue.state
        with self._pins.hold_above(state.watermark_lsn):
            files = self._files(plan, state, low, high)
            hot = await self._hot_window(numbers, low, high, state.watermark_lsn)
            paths = self._catalogue.paths(files)
            if not paths and not hot.num_rows:
                return plan.stream.schema.empty_table().select(plan.read_columns)
            both = bool(paths) and bool(hot.num_rows)
            table, found = await self._select(plan, paths, low, high, hot, left, timeout_s, once=both)
            if left is not None and table.num_rows < left <= found:
                # Copies of rows took the places of others.
                table, _ = await self._select(plan, paths, low, high, hot, None, timeout_s, once=both)
                table = table.slice(0, left)
        return table

    async def _point(
        self, plan: Plan, numbers: list[int] | None, low: int, high: int, left: int | None, timeout_s: float
    ) -> pa.Table:
        """Return the first `left` rows of a few instruments in [low, high), from files and hot tier."""
        state = self._catalogue.state
        order = "descending" if plan.descending else "ascending"
        given_up = Event()
        with self._pins.hold_above(state.watermark_lsn):
            files = self._files(plan, state, low, high)
            hot = await self._hot_point(plan, numbers, low, high, left, state.watermark_lsn)

            def work() -> pa.Table:
                table = self._files_of.read(plan, files, low, high, left, given_up.is_set)
                if hot is not None:
                    mine = hot.select(table.schema.names).cast(table.schema)
                    mine = mine if plan.rest is None else passing(mine, plan.rest)
                    table = pa.concat_tables([table, mine])
                    table = table.sort_by([(name, order) for name in plan.stream.order])
                    table = without_repeats(table, plan.stream.order)
                return selected(table.slice(0, left), plan.read_columns)

            try:
                return await self._engine.call(work, timeout_s=timeout_s)
            finally:
                given_up.set()

    async def _hot_point(
        self, plan: Plan, numbers: list[int] | None, low: int, high: int, left: int | None, above_lsn: int
    ) -> pa.Table | None:
        """Return the rows of the hot tier a point query may need, None when there are none."""
        if not self._hot.count(numbers, low * 1_000, high * 1_000, min_lsn=above_lsn):
            return None
        if left is None or left > SLICE_ROWS or plan.rest is not None:
            return await self._hot_window(numbers, low, high, above_lsn)
        batch = self._hot.scan(
            numbers, low * 1_000, high * 1_000, min_lsn=above_lsn, limit=left, descending=plan.descending
        )
        return pa.Table.from_batches([batch])

    async def _select(
        self,
        plan: Plan,
        paths: list[str],
        low: int,
        high: int,
        hot: pa.Table,
        left: int | None,
        timeout_s: float,
        once: bool,
    ) -> tuple[pa.Table, int]:
        """Return the rows of a window, with `once` each identity once, and how many were found before."""
        sql, values = plan.statement(paths, low, high, hot=bool(hot.num_rows), limit=left)
        schema = pa.schema([plan.stream.schema.field(name) for name in plan.read_columns])
        found = 0

        def finish(table: pa.Table) -> pa.Table:
            nonlocal found
            found = table.num_rows
            table = table.cast(schema)
            return without_repeats(table, plan.stream.order) if once else table

        given = hot if hot.num_rows else None
        table = await self._engine.run(sql, values, timeout_s=timeout_s, hot=given, then=finish)
        return table, found

    async def _hot_window(self, numbers: list[int] | None, low: int, high: int, above_lsn: int) -> pa.Table:
        """Copy the hot rows above a log position out, slice by slice."""
        batches = []
        rows, at = SLICE_ROWS, low * 1_000
        while True:
            batch = self._hot.scan(numbers, at, high * 1_000, min_lsn=above_lsn, limit=rows)
            if batch.num_rows < rows:
                batches.append(batch)
                return pa.Table.from_batches(batches)
            times = batch.column(TIME).cast(pa.int64()).to_numpy()
            whole = int((times != times[-1]).sum())
            if whole:
                batches.append(batch.slice(0, whole))
                at, rows = int(times[-1]) * 1_000, SLICE_ROWS
            else:
                rows *= 2
            await asyncio.sleep(0)

    async def _hot_scattered(
        self, numbers: list[int] | None, low: int, high: int, above_lsn: int
    ) -> pa.Table:
        """Copy them out one instrument after the other, as they lie: no order is made, at half the cost."""
        tables, work = [await self._hot_window([], low, high, above_lsn)], 0
        for number in range(len(self._instruments)) if numbers is None else numbers:
            work += 1
            if self._hot.count([number], low * 1_000, high * 1_000, min_lsn=above_lsn):
                tables.append(await self._hot_window([number], low, high, above_lsn))
                work += tables[-1].num_rows + ASKED_ROWS
            if work >= SLICE_ROWS:
                work = 0
                await asyncio.sleep(0)
        return pa.concat_tables(tables)

    def _overlapping(self, plan: Plan, low: int, high: int) -> bool:
        return bool(self._files(plan, self._catalogue.state, low, high))

    def _files(self, plan: Plan, state: State, low: int, high: int) -> list[DataFile]:
        first, last = plan.days
        return [
            file
            for file in state.overlapping(plan.stream.parts, low, high, plan.symbols)
            if first <= file.day <= last
        ]

    def _window(
        self, plan: Plan, numbers: list[int] | None, low: int, high: int, aim: int
    ) -> tuple[int, int]:
        """Return the first (descending: last) part of [low, high) that holds about `aim` rows or fewer."""
        state = self._catalogue.state
        files = self._files(plan, state, low, high)
        while high - low > 1:
            rows = self._hot.count(numbers, low * 1_000, high * 1_000, min_lsn=state.watermark_lsn)
            rows += sum(_share(file, low, high, plan.symbols) for file in files)
            if rows <= aim:
                break
            middle = low + (high - low) // 2
            if plan.descending:
                low = middle
            else:
                high = middle
        return low, high


def _share(file: DataFile, low: int, high: int, symbols: frozenset[str] | None) -> int:
    """Return about how many rows of a file lie in [low, high), taking them as spread evenly."""
    overlap = min(high, file.last_us + 1) - max(low, file.first_us)
    if overlap <= 0:
        return 0
    part = overlap / (file.last_us + 1 - file.first_us)
    if symbols is not None:
        part *= min(1.0, len(symbols) / file.instruments)
    return int(file.rows * part) + 1
