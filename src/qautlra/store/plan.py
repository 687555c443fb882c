"""A request made exact: the stream, the moments, the columns, the typed filter. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from msgspec import Struct

from qautlra.model.query import QueryRequest
from qautlra.store.filter import Kind, parse_filter
from qautlra.store.predicate import Predicate, columns_of, narrow, split_members, to_sql
from qautlra.store.schema import BAR_1M, INSTRUMENT, STREAMS, TIME, TRADING_DATE, Stream, stream_named
from qautlra.store.timegrammar import parse_range

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY, _LAST_DAY = date(1, 1, 1), date(9999, 12, 31)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# Meanings remembered, and how long a filter may be for that.
KNOWN_COUNT = 1_024
KNOWN_CHARS = 256


class Plan(Struct, frozen=True):
    """What to read: rows with start <= time < stop (Unix us) of `symbols` (None: all) that pass `rest`."""

    stream: Stream
    columns: tuple[str, ...]
    start_us: int
    stop_us: int
    days: tuple[date, date]
    symbols: frozenset[str] | None
    rest: Predicate | None
    limit: int | None
    descending: bool
    capped: bool
    "Whether `limit` is the server's and not the caller's."
    unordered: bool = False
    "Rows may leave in any order."

    def statement(
        self, files: list[str], low_us: int, stop_us: int, *, hot: bool, limit: int | None
    ) -> tuple[str, list[Any]]:
        """Return one SELECT over the files and, with `hot`, the table of that name, and its values."""
        names = ", ".join(f'"{name}"' for name in self.stream.columns)
        sources, values = [], list[Any]()
        if files:
            sources.append(f"SELECT {names} FROM read_parquet(?)")
            values.append(files)
        if hot:
            sources.append(f"SELECT {names} FROM hot")
        where = f'"{TIME}" >= ? AND "{TIME}" < ?'
        values += [moment(low_us), moment(stop_us)]
        if self.symbols is not None:
            members = sorted(self.symbols)
            where += f' AND "{INSTRUMENT}" IN ({", ".join("?" * len(members))})' if members else " AND false"
            values += members
        if self.rest is not None:
            sql, bound = to_sql(self.rest)
            where += f" AND ({sql})"
            values += bound
        direction = " DESC" if self.descending else ""
        order = ", ".join(f'"{name}"{direction}' for name in self.stream.order)
        wanted = ", ".join(f'"{name}"' for name in self.read_columns)
        sql = f"SELECT {wanted} FROM ({' UNION ALL '.join(sources)}) WHERE {where} ORDER BY {order}"
        if limit is not None:
            sql += " LIMIT ?"
            values.append(limit)
        return sql, values

    @property
    def read_columns(self) -> tuple[str, ...]:
        """The columns asked for, and those rows are ordered by."""
        return (*self.columns, *(name for name in self.stream.order if name not in self.columns))


class _Meaning(Struct, frozen=True):
    """What a request means but for its range, limit and order."""

    stream: Stream
    columns: tuple[str, ...]
    symbols: frozenset[str] | None
    rest: Predicate | None
    days: tuple[date, date]
    low_us: int
    stop_us: int


class Planner:
    """Makes requests exact; remembers what those that are asked all day mean, but for their range."""

    def __init__(
        self, canonical: Callable[[str], str | None], users: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._canonical = canonical
        self._users = users
        self._known: dict[tuple[str, tuple[str, ...] | None, str, bool], _Meaning] = {}

    def plan(self, request: QueryRequest, now_ns: int, cap_rows: int) -> Plan:
        """Return the plan of a request; InputError (NotFoundError: no such stream) says what is wrong."""
        is_bars = request.verb is not None and request.verb.name == "sample_by"
        key = (request.stream, request.columns, request.filter, is_bars)
        found = self._known.get(key)
        stream = stream_named(request.stream, self._users) if found is None else found.stream
        start_ns, stop_ns = parse_range(request.start_time, request.end_time, now_ns)
        if found is None:
            found = self._meaning(stream, request, now_ns, is_bars)
            is_short = len(request.filter) <= KNOWN_CHARS and len(request.columns or ()) <= len(found.columns)
            if is_short and not _tells_time(found):
                if len(self._known) >= KNOWN_COUNT:
                    self._known.clear()
                self._known[key] = found
        limit, capped = request.limit, False
        if not request.format.streamed and (limit is None or limit > cap_rows):
            limit, capped = cap_rows, True
        return Plan(
            stream,
            found.columns,
            max(-(-start_ns // 1_000), found.low_us),
            min(-(-stop_ns // 1_000), found.stop_us),
            found.days,
            found.symbols,
            found.rest,
            limit,
            request.descending,
            capped,
            request.unordered,
        )

    def _meaning(self, stream: Stream, request: QueryRequest, now_ns: int, is_bars: bool) -> _Meaning:
        columns = (STREAMS[BAR_1M] if is_bars else stream).projection(request.columns)
        predicate = parse_filter(request.filter, stream.columns, now_ns=now_ns, canonical=self._canonical)
        symbols, rest = split_members(predicate, INSTRUMENT)
        low, high = narrow(rest, TIME, _FIRST, _LAST)
        days = cast(tuple[date, date], narrow(rest, TRADING_DATE, _FIRST_DAY, _LAST_DAY))
        low_us, stop_us = microseconds(cast(datetime, low)), microseconds(cast(datetime, high)) + 1
        return _Meaning(stream, columns, symbols, rest, days, low_us, stop_us)


def _tells_time(meaning: _Meaning) -> bool:
    """Tell whether a filter may have meant another moment at another time."""
    kinds = meaning.stream.columns
    return any(kinds[name] is Kind.TIME for name in columns_of(meaning.rest))


def moment(us: int) -> datetime:
    """Return Unix microseconds as a UTC datetime."""
    return _EPOCH + timedelta(microseconds=us)


def microseconds(value: datetime) -> int:
    """Return a UTC datetime as Unix microseconds."""
    return (value - _EPOCH) // timedelta(microseconds=1)
