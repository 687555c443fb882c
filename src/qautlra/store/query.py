"""The store's answer to a `QueryRequest`: planned, read, rendered, within its limits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import lru_cache
from typing import Any, Literal

import pyarrow as pa
from msgspec.structs import replace

from qautlra.base.clock import Clock, monotonic_s
from qautlra.base.errors import LimitError
from qautlra.model.query import CountsRequest, QueryFormat, QueryRequest, SqlRequest
from qautlra.store.answer import Chunk, QueryResult
from qautlra.store.bars import BarReader
from qautlra.store.groups import selected
from qautlra.store.plan import Plan, Planner
from qautlra.store.reader import Reader
from qautlra.store.render import ArrowStream, Renderer, renderer
from qautlra.store.scan import Message
from qautlra.store.schema import BAR_1M, STREAMS, narrowed
from qautlra.store.sqldoor import SqlDoor

# Up to here a piece is rendered on the loop: handing it to a thread would take longer.
INLINE_ROWS = 1_500
INLINE_BYTES = 2 << 20
# Rows of one chunk of an answer: what bounds its bytes, and how long rendering it can hold anybody up.
PIECE_ROWS = 8_192
AHEAD_COUNT = 1
# Of a message made of rows in memory: what lies in the caches until it is sent.
MESSAGE_ROWS = 4_096
# What no answer reaches.
LIMIT_COUNT = 2**62
# Looked up once: a name of an enumeration is a call, and its hash another.
_ARRAY, _ARROW = QueryFormat.ARRAY, QueryFormat.ARROW


class StoreQuery:
    """Answers queries; cancel `run` (or close the iterator) and the work behind it stops."""

    def __init__(
        self,
        reader: Reader,
        bars: BarReader,
        clock: Clock,
        canonical: Callable[[str], str | None],
        sql: SqlDoor,
        *,
        timeout_s: float,
        cap_rows: int,
    ) -> None:
        self._reader = reader
        self._bars = bars
        self._clock = clock
        self._canonical = canonical
        self._planner = Planner(canonical, sql.names)
        self._sql = sql
        self._timeout_s = timeout_s
        self._cap_rows = cap_rows
        self._pool = ThreadPoolExecutor(1, "render")
        self.queries = 0

    def close_deleted(self) -> None:
        """Let go of files whose names are gone."""
        self._reader.close_deleted()
        self._bars.close_deleted()

    async def counts(self, request: CountsRequest) -> dict[str, Any]:
        """Return how many rows there are in each part of a range; as `run` for errors."""
        self.queries += 1
        return await self._sql.counts(request)

    async def run(self, request: QueryRequest | SqlRequest) -> QueryResult:
        """Answer one request.

        InputError: the request; NotFoundError: no such stream; LimitError: too slow, too big or too many.
        """
        found = self.begin(request)
        return found if isinstance(found, QueryResult) else await found

    def begin(self, request: QueryRequest | SqlRequest) -> QueryResult | Coroutine[Any, Any, QueryResult]:
        """Return an answer that needs no waiting, else what has to be awaited for it; errors as `run`."""
        started_s = monotonic_s()
        self.queries += 1
        if isinstance(request, SqlRequest):
            return self._sql.run(request)
        if request.stream.lower() not in STREAMS and self._sql.knows(request.stream):
            return self._sql.run_table(request, self._canonical)
        plan = self.plan(request)
        found = self._at_once(plan, request)
        if found is None:
            rest = self._read if request.verb is None else self._verb
            return rest(plan, request, started_s)
        result = QueryResult(request.format.content_type, self._clock.name)
        result.chunks, result.rows = found
        result.truncated = request.verb is None and plan.capped and result.rows == plan.limit
        result.elapsed_s = monotonic_s() - started_s
        return result

    def _at_once(self, plan: Plan, request: QueryRequest) -> tuple[bytes, int] | None:
        """Return the whole answer, and its rows, when nothing has to be waited for."""
        if request.format is _ARROW:
            if (
                request.verb is not None
                or plan.stream.name == BAR_1M
                or not 0 < (plan.limit or 0) <= INLINE_ROWS
            ):
                return None
            return self._reader.filed_arrow(plan, *_arrow_ends(plan.stream.name, plan.columns))
        if request.format.streamed or plan.stream.name == BAR_1M:
            return None
        shape: Literal["array", "records"] = "array" if request.format is _ARRAY else "records"
        if request.verb is None:
            return self._reader.hot_json(plan, shape)
        return self._reader.latest_json(plan, shape) if request.verb.name == "latest_on" else None

    async def _read(self, plan: Plan, request: QueryRequest, started_s: float) -> QueryResult:
        result = QueryResult(request.format.content_type, self._clock.name)
        schema = narrowed(plan.stream.schema, plan.columns)
        render = renderer(request.format, schema)
        chunks = self._chunks(plan, render, result, started_s)
        if request.format.streamed and (plan.limit is None or plan.limit > PIECE_ROWS):
            # The first rows are waited for, so that an error is still a clean one.
            first = [await anext(chunks), await anext(chunks, b"")]
            result.chunks = _after(b"".join(first), chunks)
        else:
            async with aclosing(chunks):
                try:
                    async with asyncio.timeout(self._timeout_s):
                        parts = [chunk async for chunk in chunks]
                        result.chunks = await self._joined(parts)
                except TimeoutError:
                    raise LimitError(
                        f"the query took longer than {self._timeout_s:g} s; ask for less", status=504
                    ) from None
        return result

    async def _verb(self, plan: Plan, request: QueryRequest, started_s: float) -> QueryResult:
        verb = request.verb
        assert verb is not None
        if verb.name == "latest_on" and (found := self._reader.latest(plan)) is not None:
            render = renderer(request.format, narrowed(plan.stream.schema, plan.columns))
            result = QueryResult(request.format.content_type, self._clock.name)
            result.chunks = b"".join((render.head(), render.piece(found), render.tail()))
            result.rows, result.elapsed_s = found.num_rows, monotonic_s() - started_s
            return result
        return await self._sql.run_verb(verb, plan, request)

    async def _joined(self, parts: list[Chunk]) -> bytes:
        if sum(map(len, parts)) < INLINE_BYTES:
            return b"".join(parts)
        return await asyncio.get_running_loop().run_in_executor(self._pool, b"".join, parts)

    def plan(self, request: QueryRequest, capped: bool = True) -> Plan:
        """Return what a request means now; without `capped` nothing but its own limit bounds the rows."""
        cap_rows = self._cap_rows if capped else LIMIT_COUNT
        return self._planner.plan(request, self._clock.now_ns(), cap_rows)

    def close(self) -> None:
        """End the rendering thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def tables(self, plan: Plan) -> AsyncGenerator[pa.Table, None]:
        """Yield the tables of a plan, columns as `plan.read_columns`."""
        source = self._bars if plan.stream.name == BAR_1M else self._reader
        return source.pieces(plan, self._timeout_s)

    async def _chunks(
        self, plan: Plan, render: Renderer, result: QueryResult, started_s: float
    ) -> AsyncGenerator[Chunk, None]:
        yield render.head()
        rows = 0
        left = [plan]
        is_bars = plan.stream.name == BAR_1M
        if isinstance(render, ArrowStream) and (hot := self._reader.hot_messages(plan)) is not None:
            while found := hot.take(MESSAGE_ROWS, LIMIT_COUNT if plan.limit is None else plan.limit - rows):
                rows += found[1]
                result.elapsed_s = monotonic_s() - started_s
                yield found[0]
                await asyncio.sleep(0)
            left = self._reader.left_by(hot, plan)
        loop = asyncio.get_running_loop()
        ahead: deque[asyncio.Future[Chunk]] = deque()  # rendered while the ones before are sent
        for asked in left:
            more = asked if asked.limit is None else replace(asked, limit=asked.limit - rows)
            is_sent_as_it_is = isinstance(render, ArrowStream) and more.unordered and not is_bars
            source = self._reader.to_send(more, self._timeout_s) if is_sent_as_it_is else self.tables(more)
            async with aclosing(source) as tables:
                async for table in tables:
                    if isinstance(table, Message):
                        rows += table.num_rows
                        result.elapsed_s = monotonic_s() - started_s
                        yield table.data
                        continue
                    wanted = selected(table, plan.columns)
                    for at in range(0, table.num_rows, PIECE_ROWS):
                        part = wanted.slice(at, PIECE_ROWS)
                        if part.num_rows <= INLINE_ROWS and not ahead:
                            yield render.piece(part)
                            continue
                        ahead.append(loop.run_in_executor(self._pool, render.piece, part))
                        if len(ahead) > AHEAD_COUNT:
                            yield await ahead.popleft()
                    rows += table.num_rows
                    result.elapsed_s = monotonic_s() - started_s
        while ahead:
            yield await ahead.popleft()
        result.rows = rows
        result.truncated = plan.capped and rows == plan.limit
        result.elapsed_s = monotonic_s() - started_s
        yield render.tail()


@lru_cache(64)
def _arrow_ends(stream: str, columns: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Return what comes before and after the rows of an Arrow stream."""
    render = renderer(QueryFormat.ARROW, narrowed(STREAMS[stream].schema, columns))
    return render.head(), render.tail()


async def _after(first: Chunk, rest: AsyncGenerator[Chunk, None]) -> AsyncIterator[Chunk]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk
