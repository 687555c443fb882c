"""Questions that need SQL: a user's SELECT, the verbs of a query, counts. All run in the SQL process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa

from qautlra.base.clock import Clock, monotonic_s, wall_ns
from qautlra.base.errors import InputError, LimitError
from qautlra.model.query import CountsRequest, QueryFormat, QueryRequest, SqlRequest, Verb
from qautlra.store.answer import QueryResult
from qautlra.store.filter import Kind, parse_filter
from qautlra.store.plan import Plan
from qautlra.store.predicate import to_sql
from qautlra.store.schema import INSTRUMENT, TIME, Stream, stream_named
from qautlra.store.sqlask import Ask, bound_values
from qautlra.store.sqlproc import SqlAnswer, SqlProcess
from qautlra.store.sqlverbs import compile_plan, compile_verb
from qautlra.store.tables.definition import Book, Definition
from qautlra.store.timegrammar import check_order, parse_edges, parse_range

BINS_COUNT = 1_000
UNCAPPED_ROWS = 2**62
SERVER = "the server itself"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqlDoor:
    """Asks the SQL process, gives its answers the shape of all others. `position`: what the log has."""

    def __init__(
        self,
        process: SqlProcess,
        clock: Clock,
        position: Callable[[], int],
        book: Book,
        *,
        table_position: Callable[[], int] = lambda: 0,
        timeout_s: float,
        cap_rows: int,
    ) -> None:
        self.process = process
        self._clock = clock
        self._position = position
        self._table_position = table_position
        self._book = book
        self._timeout_s = timeout_s
        self._cap_rows = cap_rows

    async def run(self, request: SqlRequest) -> QueryResult:
        """Answer a user's statement; InputError says what of it is not answered."""
        for key, value in (("startTime", request.start_time), ("endTime", request.end_time)):
            if value is None:
                raise InputError(f"{key}: is missing; with SQL both times are given", key=key)
        # `now` is the market's for its streams, the machine's for others: which are asked is not known yet.
        edges = [
            parse_edges(request.start_time, request.end_time, now_ns)
            for now_ns in (self._clock.now_ns(), wall_ns())
        ]
        if all(start_ns > stop_ns for start_ns, stop_ns in edges):
            check_order(*edges[0])
        (start_us, stop_us), table = (_whole_us(*one) for one in edges)
        ask = self._ask(
            request.sql,
            request.format,
            start_us,
            stop_us,
            omit_null=not request.send_null,
            table_start_us=table[0],
            table_stop_us=table[1],
        )
        return await self._answer(ask, request.format, request.who)

    async def run_plan(self, plan: Plan, request: QueryRequest) -> QueryResult:
        """Answer a plain query about a stream of the market."""
        sql, values = compile_plan(plan)
        ask = self._ask(
            sql,
            request.format,
            plan.start_us,
            plan.stop_us,
            streams=(plan.stream.name,),
            values=bound_values(values),
        )
        result = await self._answer(ask, request.format, request.who)
        result.truncated = plan.capped and result.rows == plan.limit
        return result

    async def run_verb(self, verb: Verb, plan: Plan, request: QueryRequest) -> QueryResult:
        """Answer a query that makes something of its rows."""
        other = self._other(verb)
        sql, values = compile_verb(verb, plan, other)
        streams = (plan.stream.name,) if other is None else (plan.stream.name, other.name)
        ask = self._ask(
            sql,
            request.format,
            plan.start_us,
            plan.stop_us,
            streams=streams,
            values=bound_values(values),
            whole_days=verb.name == "sample_by",
            asof="" if other is None else other.name,
            table_start_us=plan.start_us,
            table_stop_us=plan.stop_us,
        )
        result = await self._answer(ask, request.format, request.who)
        result.truncated = plan.capped and result.rows == plan.limit
        return result

    async def counts(self, request: CountsRequest) -> dict[str, Any]:
        """Return `{"fields", "records"}`: rows in each part of the range, parts without any included."""
        definition = self._definition(request.stream)
        stream = stream_named(request.stream, self.names) if definition is None else definition.stream()
        time = TIME if definition is None else definition.time_column
        if not 1 <= request.bins <= BINS_COUNT:
            raise InputError(f"numBins: expected 1 to {BINS_COUNT}, got {request.bins}", key="numBins")
        now_ns = None if definition is None else wall_ns()
        start_us, stop_us = self._range(request.start_time, request.end_time, now_ns)
        span = max(stop_us - start_us, 1)
        sql = (
            f'SELECT ((epoch_us("{time}") - ?::HUGEINT) * ? // ?)::BIGINT AS bin, count(*) AS n '
            f'FROM "{stream.name}" GROUP BY 1'
        )
        values = bound_values([start_us, request.bins, span])
        ask = self._ask(sql, QueryFormat.NDJSON, start_us, stop_us, streams=(stream.name,), values=values,
            table_start_us=start_us, table_stop_us=stop_us)  # fmt: skip
        found = b"".join([piece async for piece in self.process.run(ask, SqlAnswer(), request.who)])
        counted = {row["bin"]: row["n"] for row in map(json.loads, found.splitlines())}
        edges = [start_us + span * at // request.bins for at in range(request.bins + 1)]
        records = [
            {"start_time": _text(low), "end_time": _text(high), "count": counted.get(at, 0)}
            for at, (low, high) in enumerate(pairwise(edges))
        ]
        return {"fields": ["start_time", "end_time", "count"], "records": records}

    def names(self) -> list[str]:
        """Return the streams that users made."""
        return self._book.names()

    def knows(self, name: str) -> bool:
        """Whether a stream is one that users made."""
        return self._definition(name) is not None

    async def run_table(
        self, request: QueryRequest, canonical: Callable[[str], str | None] = lambda name: name
    ) -> QueryResult:
        """Answer a query about a user's stream; one made of the market's has the market's `now`."""
        definition = self._definition(request.stream)
        assert definition is not None
        if request.verb is not None:
            raise InputError(f"{request.verb.name}: is for the market's own streams", key=request.verb.name)
        follows_market = definition.follows_market
        now_ns = self._clock.now_ns() if follows_market else wall_ns()
        if not follows_market:
            canonical = lambda name: name  # noqa: E731
        start_us, stop_us = self._range(request.start_time, request.end_time, now_ns)
        stream, time = definition.stream(), definition.time_column
        columns = ", ".join(f'"{name}"' for name in stream.projection(request.columns))
        predicate = parse_filter(request.filter, stream.columns, now_ns=now_ns, canonical=canonical)
        where, values = ("true", []) if predicate is None else to_sql(predicate)
        direction = "DESC" if request.descending else "ASC"
        sql = f'SELECT {columns} FROM "{stream.name}" WHERE {where} ORDER BY "{time}" {direction}'
        if request.limit is not None:
            sql += " LIMIT ?"
            values = [*values, request.limit]
        ask = self._ask(
            sql,
            request.format,
            start_us,
            stop_us,
            streams=(stream.name,),
            values=bound_values(values),
            table_start_us=start_us,
            table_stop_us=stop_us,
        )
        result = await self._answer(ask, request.format, request.who)
        result.clock = self._clock.name if follows_market else "wall"
        return result

    def _definition(self, name: str) -> Definition | None:
        return self._book.get(name) if name in self._book else None

    def _other(self, verb: Verb) -> Stream | None:
        """Return the stream whose rows are joined; InputError when they have no moment or no instrument."""
        if verb.name != "asof":
            return None
        definition = self._definition(verb.other)
        if definition is None:
            return stream_named(verb.other, self.names)
        stream = definition.stream()
        if stream.columns.get(TIME) is not Kind.TIME or INSTRUMENT not in stream.columns:
            text = f"asof: {stream.name!r} has no {TIME} or no {INSTRUMENT}, by which rows are joined"
            raise InputError(text, key="asof")
        return stream

    def _range(self, start: Any, stop: Any, now_ns: int | None = None) -> tuple[int, int]:
        return _whole_us(*parse_range(start, stop, self._clock.now_ns() if now_ns is None else now_ns))

    def _ask(self, sql: str, form: QueryFormat, start_us: int, stop_us: int, **more: Any) -> Ask:
        return Ask(
            sql=sql,
            form=form.value,
            start_us=start_us,
            stop_us=stop_us,
            position=self._position(),
            table_position=self._table_position(),
            cap_rows=UNCAPPED_ROWS if form.streamed else self._cap_rows,
            **({"timeout_s": self._timeout_s} | more),
        )

    async def table(
        self,
        sql: str,
        values: list[Any],
        stream: str,
        within: tuple[int, int],
        *,
        whole_days: bool = False,
        timeout_s: float,
    ) -> pa.Table:
        """Return the rows of one statement of the server's own about a stream's rows of [start, end)."""
        ask = self._ask(
            sql,
            QueryFormat.ARROW,
            *within,
            streams=(stream,),
            values=bound_values(values),
            whole_days=whole_days,
            table_start_us=within[0],
            table_stop_us=within[1],
            timeout_s=timeout_s,
        )
        pieces = [piece async for piece in self.process.run(ask, SqlAnswer(), SERVER)]
        return pa.ipc.open_stream(b"".join(pieces)).read_all()

    async def _answer(self, ask: Ask, form: QueryFormat, who: str) -> QueryResult:
        started_s = monotonic_s()
        answer = SqlAnswer()
        result = QueryResult(form.content_type, self._clock.name)
        pieces = self.process.run(ask, answer, who)
        if form.streamed:
            # The first rows are waited for, so that an error is still a clean one.
            first = [await anext(pieces), await anext(pieces, b"")]
            result.chunks = _after(b"".join(first), pieces)
        else:
            async with aclosing(pieces):
                try:
                    # The process keeps the time; this is for waiting behind others and its starting again.
                    async with asyncio.timeout(3 * ask.timeout_s + 15.0):
                        result.chunks = b"".join([piece async for piece in pieces])
                except TimeoutError:
                    raise LimitError(f"the query took longer than {ask.timeout_s:g} s", status=504) from None
            result.rows, result.truncated = answer.rows, answer.truncated
        result.elapsed_s = monotonic_s() - started_s
        return result


async def _after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _whole_us(start_ns: int, stop_ns: int) -> tuple[int, int]:
    return -(-start_ns // 1_000), -(-stop_ns // 1_000)


def _text(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")
