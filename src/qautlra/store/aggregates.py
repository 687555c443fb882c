"""Streams made of other streams: aggregates by period and group, bars of any period, `bar_1d`; kept up with.

Which periods are to be made again is read off log positions: of everything logged since the last time, and of
files that hold such rows. So late rows, and rows that came while nobody looked, count like any others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from qautlra.base import log
from qautlra.base.clock import monotonic_s, wall_ns
from qautlra.base.errors import InputError, NotFoundError, QautlraError, StorageError
from qautlra.model.query import Verb
from qautlra.model.streams import Derived
from qautlra.store.catalogue import EVER_US, Progress, serial_of
from qautlra.store.filter import parse_filter
from qautlra.store.logs import readable_lsn
from qautlra.store.plan import Plan, microseconds, moment
from qautlra.store.predicate import Predicate, to_sql
from qautlra.store.schema import BAR_1M, BAR_SCHEMA, MARKET_DATA, ORDINAL, STREAMS, TIME, Stream
from qautlra.store.sqlbars import day_begin_us
from qautlra.store.sqlverbs import ORIGIN, compile_verb
from qautlra.store.tables.definition import Column, Definition, TypeName, check_columns, check_table_name
from qautlra.store.tables.infer import type_of_arrow
from qautlra.store.tables.store import wall_us
from qautlra.store.timegrammar import BEIJING

if TYPE_CHECKING:
    from qautlra._core.journal import Journal
    from qautlra._core.market import Calendar
    from qautlra._core.store import HotStore
    from qautlra.base.clock import Clock
    from qautlra.store.catalogue import Catalogue
    from qautlra.store.keeping import Keeper
    from qautlra.store.sqldoor import SqlDoor
    from qautlra.store.tables.store import TableStore

BAR_1D: Final = "bar_1d"
EVERY_S = 1.0
DAILY_S = 60.0
SHARE = 10.0
"""What a refresh took, so many times, passes before the next of the same stream."""
RETRY_S = 10.0
TIMEOUT_S = 120.0
STEPS_COUNT = 62
VALUES_COUNT = 64
DAY_US = 86_400_000_000
ZONE_US = 8 * 3_600_000_000
GRACE_US = 1_000_000
EVER: Final = (-(2**62), 2**62)

_FUNCTIONS: Final = {
    "count": "count({column})",
    "sum": "sum({column})::DOUBLE",
    "min": "min({column})",
    "max": "max({column})",
    "avg": "avg({column})",
    "stddev": "stddev_samp({column})",
    "first": "arg_min({column}, {order})",
    "last": "arg_max({column}, {order})",
}
_KEEP_TYPE: Final = frozenset({"min", "max", "first", "last"})
_log = log.get_logger("store")

Spans = list[tuple[int, int]]
"""First and last time (Unix us) of some rows, again and again."""


class Sources(Protocol):
    """What rows are made from, and where they go: Opened."""

    catalogue: Catalogue
    journal: Journal
    hot: HotStore
    tables: TableStore
    keeper: Keeper
    door: SqlDoor


class Aggregates:
    """All made streams of one data directory. On the loop; its statements run in the SQL process."""

    def __init__(
        self, opened: Sources, calendar: Calendar, clock: Clock, canonical: Callable[[str], str | None]
    ) -> None:
        self._opened = opened
        self._calendar = calendar
        self._clock = clock
        self._canonical = canonical
        self._due_s: dict[str, float] = {}
        self._working = asyncio.Lock()
        self.refreshes = 0
        self.rows = 0
        self.errors: dict[str, str] = {}

    async def begin(self) -> None:
        """Find the made streams there are, and make `bar_1d` where it is not."""
        book = self._opened.tables.book
        if BAR_1D not in book:
            await self.create(BAR_1D, Derived(source=BAR_1M, period_s=86_400, bars=True))
        for name in book.names():
            definition = book.find(name)
            if definition is not None and definition.derived is not None:
                self._due_s[name] = monotonic_s() + (DAILY_S if name == BAR_1D else EVERY_S)

    async def run(self) -> None:
        """Refresh what has something new, for ever; each at most a tenth of the time."""
        while True:
            await asyncio.sleep(EVERY_S)
            for name in [name for name, due_s in self._due_s.items() if due_s <= monotonic_s()]:
                began_s = monotonic_s()
                least_s = DAILY_S if name == BAR_1D else EVERY_S
                try:
                    await self.refresh(name)
                    self.errors.pop(name, None)
                except NotFoundError as error:
                    self.errors[name] = str(error)
                    least_s = RETRY_S
                    if name not in self._opened.tables.book:
                        self._due_s.pop(name, None)
                        self.errors.pop(name, None)
                        continue
                except (QautlraError, OSError, pa.ArrowException) as error:
                    if self.errors.get(name) != str(error):
                        _log.error("aggregate_failed", stream=name, error=str(error))
                    self.errors[name] = str(error)
                    least_s = RETRY_S
                took_s = monotonic_s() - began_s
                self._due_s[name] = monotonic_s() + max(least_s, SHARE * took_s)

    # Making and reading definitions

    async def create(self, name: str, derived: Derived) -> None:
        """Make a stream of another one; InputError says what of it cannot be."""
        check_table_name(name)
        source = self._source(derived.source)
        columns = (
            tuple(Column(field.name, _type(field)) for field in BAR_SCHEMA)
            if derived.bars
            else _columns(derived, source)
        )
        parse_filter(derived.filter, source.columns, now_ns=wall_ns(), canonical=self._canonical)
        definition = Definition(
            name=name,
            columns=check_columns(columns),
            created_us=wall_us(),
            is_static=True,
            time_partition=TIME,
            derived=derived,
        )
        await self._opened.tables.create(definition)
        self._due_s[name] = monotonic_s() + (DAILY_S if name == BAR_1D else 0.0)

    def get(self, name: str) -> Derived:
        """Return how a stream is made; NotFoundError when it is none of these."""
        book = self._opened.tables.book
        derived = book.get(name).derived if name in book else None
        if derived is None:
            raise NotFoundError(f"there is no aggregate {name[:80]!r}", key="stream")
        return derived

    def names(self) -> list[str]:
        """Return the made streams."""
        book = self._opened.tables.book
        return sorted(name for name in self._due_s if name in book)

    def error(self) -> str:
        """Return what holds one of them up, or an empty text."""
        return "; ".join(f"{name}: {text}" for name, text in self.errors.items())

    def _source(self, name: str) -> Stream:
        if name.lower() in STREAMS:
            return STREAMS[name.lower()]
        definition = self._opened.tables.book.get(name)
        if definition.derived is not None:
            raise InputError(f"source: {name!r} is made of another stream itself", key="source")
        return definition.stream()

    # Refreshing

    async def refresh(self, name: str) -> int:
        """Make again what has changed since the last time; return how many rows were made."""
        async with self._working:
            definition = self._opened.tables.book.get(name)
            derived = self.get(name)
            source = self._source(derived.source)
            tables = self._opened.tables
            before = tables.catalogue.state.derived.get(definition.name, Progress())
            # What was noted of an earlier stream of the name says nothing of this one.
            is_new = before.created_us not in (0, definition.created_us)
            if is_new:
                before = Progress()
            self._check_logs()
            if source.name in STREAMS:
                found, after = self._market_news(source, before)
            else:
                is_other, found, after = self._table_news(source.name, before)
                is_new |= is_other
            if is_new:
                before = Progress(born_lsn=after.born_lsn)
                await tables.make(definition, EVER, definition.schema.empty_table(), before)
            since_us = max(before.kept_since_us, self._kept_since_us(source, derived))
            after = msgspec.structs.replace(after, kept_since_us=since_us)
            ranges = [
                (max(low, since_us), high)
                for low, high in joined(self._grid(found, derived))
                if high > since_us
            ]
            if not ranges and since_us > before.kept_since_us:  # longer retention later brings nothing back
                noted = msgspec.structs.replace(before, kept_since_us=since_us)
                await tables.make(definition, (0, 0), definition.schema.empty_table(), noted)
            made = 0
            for within in ranges:
                table = await self._made(derived, source, within)
                self._check_logs()
                reached = after if within == ranges[-1] else before
                await tables.make(definition, within, table, reached)
                made += table.num_rows
            if ranges:
                self.refreshes += 1
                self.rows += made
            return made

    def _check_logs(self) -> None:
        """StorageError while a log cannot be written: statements may see less than was taken then."""
        if error := self._opened.journal.error or self._opened.tables.log_error:
            raise StorageError(f"the log cannot be written: {error}")

    def _market_news(self, source: Stream, before: Progress) -> tuple[Spans, Progress]:
        """Return the times of rows that came since, and the progress that is reached with them."""
        opened = self._opened
        state = opened.catalogue.state
        seen_lsn = readable_lsn(opened.journal)
        if before.generation != state.generation or before.lsn > opened.journal.head_lsn:
            before = Progress()
        parts = STREAMS[MARKET_DATA].parts if source.name == BAR_1M else source.parts
        found = [
            (f.first_us, f.last_us) for f in state.files if f.stream in parts and f.last_lsn > before.lsn
        ]
        tag = 0
        if source.name == BAR_1M:
            bars = [(f, serial_of(f.path)) for f in state.files if f.stream == BAR_1M and not f.is_made]
            found += [(f.first_us, f.last_us) for f, number in bars if number > before.bar_tag]
            tag = max((number for _, number in bars), default=0)
        batch = opened.hot.scan(min_lsn=max(before.lsn, state.watermark_lsn), fields=[TIME])
        if batch.num_rows:
            times = batch.column(0).cast(pa.int64())
            days = pc.divide(pc.add(times, ZONE_US), DAY_US)
            spans = pa.table({"day": days, "us": times}).group_by("day").aggregate([("us", "min_max")])
            found += [(row["min"], row["max"]) for row in spans.column("us_min_max").to_pylist()]
        return found, Progress(lsn=max(seen_lsn, before.lsn), generation=state.generation, bar_tag=tag)

    def _table_news(self, name: str, before: Progress) -> tuple[bool, Spans, Progress]:
        """As `_market_news`, and whether the source is another one than before."""
        tables = self._opened.tables
        # What statements see now; what they do not see yet counts as new the next time.
        born_lsn, seen_lsn = tables.book.get(name).born_lsn, tables.readable_lsn
        is_new = before.lsn > tables.head_lsn or (before.lsn > 0 and before.born_lsn != born_lsn)
        since = 0 if is_new else before.lsn
        files = [f for f in tables.catalogue.state.files if f.stream == name and f.last_lsn > since]
        found = [(f.first_us, f.last_us) for f in files]
        found += [(low, high) for lsn, low, high in tables.fresh.get(name, ()) if lsn > since]
        return is_new, found, Progress(lsn=max(seen_lsn, since), born_lsn=born_lsn)

    def _grid(self, found: Spans, derived: Derived) -> Iterator[tuple[int, int]]:
        """Yield the ranges widened to whole periods, of a day or so each; bars to the end of their day."""
        period_us = derived.period_s * 1_000_000
        for low, high in found:
            step = max(DAY_US, -(-(high - low) // STEPS_COUNT // DAY_US) * DAY_US)
            at = low
            while at <= high:
                until = min((at + ZONE_US) // step * step - ZONE_US + step - 1, high)
                if derived.bars:
                    yield self._bar_range(at, until, period_us)
                else:
                    yield _floor(at, period_us), _floor(until, period_us) + period_us
                at = until + 1

    def _kept_since_us(self, source: Stream, derived: Derived) -> int:
        """Return since when the source keeps all rows: of others only what comes late would be left."""
        if source.name in STREAMS:
            day = self._opened.keeper.first_kept()
            if day is None:
                return EVER_US
            since_us = day_begin_us(self._calendar, microseconds(datetime.combine(day, time(12), BEIJING)))
        else:
            since_us = self._opened.tables.kept_since_us(source.name)
        period_us = 1 if derived.bars else derived.period_s * 1_000_000
        return since_us if since_us == EVER_US else _floor(since_us + period_us - 1, period_us)

    def _bar_range(self, low: int, high: int, period_us: int) -> tuple[int, int]:
        begin = day_begin_us(self._calendar, low)
        end = _day_end_us(self._calendar, high)
        # A bar's period begins with its section: at most so long before its rows.
        first = begin if period_us >= DAY_US else max(begin, low - GRACE_US - period_us)
        return first, end

    async def _made(self, derived: Derived, source: Stream, within: tuple[int, int]) -> pa.Table:
        rest = parse_filter(derived.filter, source.columns, now_ns=wall_ns(), canonical=self._canonical)
        door = self._opened.door
        if derived.bars:
            plan = Plan(
                source, tuple(BAR_SCHEMA.names), *within, (date.min, date.max), None, rest, None, False, False
            )
            verb = Verb(name="sample_by", period=f"{derived.period_s}s")
            sql, values = compile_verb(verb, plan, None, whole=True)
        else:
            sql, values = statement(derived, source, self._time_column(source), within, rest)
        return await door.table(
            sql, values, source.name, within, whole_days=derived.bars, timeout_s=TIMEOUT_S
        )

    def _time_column(self, source: Stream) -> str:
        return TIME if source.name in STREAMS else self._opened.tables.book.get(source.name).time_column


def statement(
    derived: Derived, source: Stream, time_column: str, within: tuple[int, int], rest: Predicate | None
) -> tuple[str, list[Any]]:
    """Return one SELECT of a row per period and group of [start, end), and its values."""
    order = f'row("{time_column}", "{ORDINAL}")' if ORDINAL in source.columns else f'"{time_column}"'
    period = f"INTERVAL {derived.period_s} SECOND"
    chosen = [f'time_bucket({period}, "{time_column}", {ORIGIN}) AS "{TIME}"']
    chosen += [f'"{name}"' for name in derived.by]
    for name, (function, column) in derived.values.items():
        place = "*" if column == "*" else f'"{column}"'
        chosen.append(f'{_FUNCTIONS[function].format(column=place, order=order)} AS "{name}"')
    where = f'"{time_column}" >= ? AND "{time_column}" < ?'
    values: list[Any] = [moment(within[0]), moment(within[1])]
    if rest is not None:
        sql, bound = to_sql(rest)
        where += f" AND ({sql})"
        values += bound
    groups = ", ".join(str(at + 1) for at in range(len(derived.by) + 1))
    return f'SELECT {", ".join(chosen)} FROM "{source.name}" WHERE {where} GROUP BY {groups}', values


def joined(ranges: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, those that overlap made one, but no longer than a day when they only touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low < found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def _columns(derived: Derived, source: Stream) -> tuple[Column, ...]:
    """Return the columns of an aggregate; InputError names what the source does not have."""
    if not 0 < len(derived.values) <= VALUES_COUNT:
        raise InputError(f"values: 1 to {VALUES_COUNT}, not {len(derived.values)}", key="values")
    names = source.projection(derived.by)
    if names != derived.by:
        raise InputError(f"by: expected {', '.join(names)}", key="by")
    columns = [Column(TIME, "timestamp_us")]
    columns += [Column(name, _type(source.schema.field(name))) for name in derived.by]
    for name, (function, column) in derived.values.items():
        if function not in _FUNCTIONS:
            known = ", ".join(_FUNCTIONS)
            raise InputError(f"values: no function {function!r}; there are {known}", key=name[:64])
        if column == "*":
            if function != "count":
                raise InputError("values: * is for count", key=name[:64])
            columns.append(Column(name, "int64"))
            continue
        if source.projection((column,)) != (column,):
            raise InputError(f"values: no column {column!r} in {source.name}", key=name[:64])
        kind = _type(source.schema.field(column))
        if function in ("sum", "avg", "stddev") and kind not in ("float64", "int64"):
            raise InputError(f"values: {function} is for numbers, {column!r} is {kind}", key=name[:64])
        made: TypeName = kind if function in _KEEP_TYPE else "int64" if function == "count" else "float64"
        columns.append(Column(name, made))
    return tuple(columns)


def _type(field: pa.Field) -> TypeName:
    found = type_of_arrow(field.type)
    return "utf8" if found is None else found


def _floor(us: int, period_us: int) -> int:
    """Return the beginning of the period of the clock in Beijing a moment lies in."""
    return (us + ZONE_US) // period_us * period_us - ZONE_US


def _day_end_us(calendar: Calendar, us: int) -> int:
    """Return when the trading day of a moment ends: at 18:00."""
    number = calendar.trading_day(us * 1_000)
    day = date(number // 10_000, number // 100 % 100, number % 100)
    return microseconds(datetime.combine(day, time(18), BEIJING))
