"""The store's query door: GET with a body or a query string, or POST; the answer in the form asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import msgspec
from aiohttp import web

from qautlra.base import metrics
from qautlra.base.errors import LimitError
from qautlra.net.auth import asker
from qautlra.net.deps import Deps, QueryResult
from qautlra.net.http import json_reply, whole_body
from qautlra.net.route import Route, checked
from qautlra.wire import errors, rest
from qautlra.wire.query import decode_counts, decode_query

LEFT_POLL_S = 0.05
WHOLE_BYTES, PIECE_BYTES = 1 << 20, 256 << 10
"An answer longer than the first goes in pieces, as its client reads."
UNREAD_BYTES = 512 << 20
SEND_S = 30.0
"A client that takes nothing for so long is cut."
_PARAMETERS = {
    "stream": "futures_market, stock_market, market_data or bar_1m",
    "start_time": "1h-ago when left out",
    "end_time": "now when left out; the range is half-open",
    "limit": "the first N rows in the order asked for",
    "filter": "instrument='au2512' AND last_price > 500",
    "order": "asc or desc by time; any: as rows come fastest",
    "fields": "names of columns, or true for {fields, records}",
    "format": "json, records, ndjson, csv, arrow or parquet",
    "sample_by": "bars of a period up to a day, like 5m, inside trading sections; with fill=null or prev",
    "latest_on": "true: the newest row of each instrument",
    "rolling_mean": "a period: the mean of the last price over it, at every row",
    "asof": "another stream: every row with its newest row at that moment",
    "streaming": "true: NDJSON without a row cap",
}


class StoreHttp:
    """Handlers of the store's doors."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._unread_bytes = 0
        metrics.bound(
            "net_answers", lambda: self._unread_bytes, UNREAD_BYTES, unit="bytes", when_full="refuse"
        )

    def routes(self) -> list[Route]:
        """Return the route table's rows."""
        statuses = {
            400: "what is wrong with it",
            403: "this mode does not answer queries",
            404: "no such stream",
            429: "too many statements of this user wait already",
            503: "not ready, or too many statements of all users wait",
        }
        return [
            Route(
                method, "/api/v1/query", self.query, "Query stored rows", "store",
                body=rest.QueryBody,
                reply=list[dict[str, str | int | float | None]], parameters=_PARAMETERS, statuses=statuses,
            )
            for method in ("GET", "POST")
        ] + [
            checked(Route(
                "POST", "/api/v1/counts", self.counts, "Count stored rows over time", "store",
                body=rest.CountsBody, reply=rest.Counts, statuses=statuses,
            ))
        ]  # fmt: skip

    async def counts(self, request: web.Request) -> web.StreamResponse:
        """Answer how many rows there are, over time."""
        store = self._deps.answering()
        asked = msgspec.structs.replace(
            decode_counts(await whole_body(request)), who=asker(self._deps, request)
        )
        return json_reply(await store.counts(asked))

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Answer one query."""
        store = self._deps.answering()
        asked = decode_query(
            await whole_body(request), request.query.items(), request.headers.get("Accept", "*/*")
        )
        asked = msgspec.structs.replace(asked, who=asker(self._deps, request))
        found = store.begin(asked)
        result = await _while_connected(request, found) if isinstance(found, Coroutine) else found
        headers = {
            "Content-Type": result.content_type,
            "p-time-elapsed": f"{result.elapsed_s:.6f}",
            "X-Market-Clock": result.clock,
        }
        if result.truncated:
            headers["X-Truncated"] = "true"  # by the server's cap, not by the limit asked for
        if result.rows is not None:
            headers["X-Row-Count"] = str(result.rows)
        if not isinstance(result.chunks, bytes):
            return await _stream(request, result.chunks, headers)
        if len(result.chunks) <= WHOLE_BYTES:
            return web.Response(body=result.chunks, headers=headers)
        return await self._in_pieces(request, result.chunks, headers)

    async def _in_pieces(
        self, request: web.Request, body: bytes, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Send a long answer as it is read; refused while too much waits for other readers."""
        if self._unread_bytes + len(body) > UNREAD_BYTES:
            raise LimitError("too much waits for clients that do not read it", retry_after_s=5)
        self._unread_bytes += len(body)
        try:
            response = web.StreamResponse(headers=headers)
            response.content_length = len(body)
            await response.prepare(request)
            for at in range(0, len(body), PIECE_BYTES):
                await send_piece(request, response, memoryview(body)[at : at + PIECE_BYTES])
            await response.write_eof()
        finally:
            self._unread_bytes -= len(body)
        return response


async def _while_connected(request: web.Request, work: Coroutine[Any, Any, QueryResult]) -> QueryResult:
    """Await `work`; cancel it when the client has left, so that nobody's query holds up somebody's."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait((task,), timeout=LEFT_POLL_S))[0]:
            if request.transport is None or request.transport.is_closing():
                task.cancel()
        return task.result()
    finally:
        task.cancel()


async def send_piece(request: web.Request, response: web.StreamResponse, piece: bytes | memoryview) -> None:
    """Send a piece; a client that takes none for SEND_S is cut, or its answer would wait here for ever."""
    try:
        async with asyncio.timeout(SEND_S):
            await response.write(piece)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client does not read") from None


async def _stream(
    request: web.Request, chunks: AsyncIterator[bytes | memoryview], headers: dict[str, str]
) -> web.StreamResponse:
    """Send pieces as they come. An error after the first one can only be told by cutting the answer short."""
    first = await anext(chunks, None)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        if first is not None:
            await send_piece(request, response, first)
            async for chunk in chunks:
                await send_piece(request, response, chunk)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        if headers["Content-Type"].startswith("application/x-ndjson"):
            await response.write(errors.body(str(error)) + b"\n")
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from error
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    await response.write_eof()
    return response
