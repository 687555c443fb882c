"""A request made exact: the stream, the moments, the columns, the typed filter. Pure, evaluated once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from qautlra.model.query import QueryFormat, QueryRequest
from qautlra.store.filter import parse_filter
from qautlra.store.predicate import Predicate, narrow, split_members, to_sql
from qautlra.store.schema import BAR_1M, INSTRUMENT, STREAMS, TIME, TRADING_DATE, Stream, stream_named
from qautlra.store.timegrammar import parse_range

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY, _LAST_DAY = date(1, 1, 1), date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class Plan:
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


def make_plan(
    request: QueryRequest, now_ns: int, canonical: Callable[[str], str | None], cap_rows: int
) -> Plan:
    """Return the plan of a request; InputError (NotFoundError: no such stream) says what is wrong with it."""
    stream = stream_named(request.stream)
    start_ns, stop_ns = parse_range(request.start_time, request.end_time, now_ns)
    is_bars = request.verb is not None and request.verb.name == "sample_by"
    columns = (STREAMS[BAR_1M] if is_bars else stream).projection(request.columns)
    predicate = parse_filter(request.filter, stream.columns, now_ns=now_ns, canonical=canonical)
    symbols, rest = split_members(predicate, INSTRUMENT)
    start_us, stop_us = -(-start_ns // 1_000), -(-stop_ns // 1_000)
    low, high = narrow(rest, TIME, moment(start_us), moment(stop_us))
    start_us = max(start_us, microseconds(cast(datetime, low)))
    stop_us = min(stop_us, microseconds(cast(datetime, high)) + 1)
    days = cast(tuple[date, date], narrow(rest, TRADING_DATE, _FIRST_DAY, _LAST_DAY))
    limit, capped = request.limit, False
    if request.format in (QueryFormat.ARRAY, QueryFormat.RECORDS) and (limit is None or limit > cap_rows):
        limit, capped = cap_rows, True
    return Plan(
        stream,
        columns,
        start_us,
        stop_us,
        days,
        symbols,
        rest,
        limit,
        request.descending,
        capped,
        request.unordered,
    )


def moment(us: int) -> datetime:
    """Return Unix microseconds as a UTC datetime."""
    return _EPOCH + timedelta(microseconds=us)


def microseconds(value: datetime) -> int:
    """Return a UTC datetime as Unix microseconds."""
    return (value - _EPOCH) // timedelta(microseconds=1)
