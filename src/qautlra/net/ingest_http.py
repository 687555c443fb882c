"""The doors rows and streams of users come in by: `/api/v1/ingest` and `/api/v1/logstream`."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from qautlra import __version__
from qautlra.auth.rights import Right
from qautlra.base.errors import InputError
from qautlra.base.limits import INGEST_BODY_BYTES
from qautlra.model.streams import IngestKey
from qautlra.net.auth import principal
from qautlra.net.deps import Deps
from qautlra.net.http import body_pieces, json_reply
from qautlra.net.route import Route, checked
from qautlra.wire.ingest import (
    decode_events,
    decode_options,
    decode_retention,
    extra_columns,
    header_text,
    retention,
)

KEY_CHARS_COUNT = 255
LARGE_BYTES = 1 << 18
"""A body of so much is read in a thread: some milliseconds."""
_STATUSES = {
    400: "what is wrong with it; nothing of it is stored",
    401: "log in first",
    403: "the login may not, or this mode takes nothing in",
    413: "too large",
    422: "this Idempotency-Key came with other content before",
    429: "more events are being stored than there is room for",
    503: "not ready, no store in this mode, or the disk does not keep up",
    507: "the disk is too full or does not answer; it goes on by itself when it does",
}


class IngestHttp:
    """Handlers of the ingest doors."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        """Return the route table's rows."""
        one = "/api/v1/logstream/{stream}"

        def route(method: str, path: str, handler: Any, summary: str, right: Right, **more: Any) -> Route:
            return checked(
                Route(method, path, handler, summary, "store", statuses=_STATUSES, right=right, **more)
            )

        return [
            route("POST", "/api/v1/ingest", self.ingest, "Store events (X-P-Stream)", Right.INGEST, body=Any),
            route("POST", one, self.ingest_existing, "Store events in a stream", Right.INGEST, body=Any),
            route("PUT", one, self.create, "Make a stream", Right.INGEST),
            route("DELETE", one, self.drop, "Delete a stream and its rows", Right.DELETE_DATA),
            route("GET", "/api/v1/logstream", self.names, "List streams", Right.MARKET, reply=Any),
            route("GET", one, self.info, "How a stream is kept", Right.MARKET, reply=Any),
            route(
                "GET", f"{one}/info", self.info, "How a stream is kept", Right.MARKET, reply=Any, hidden=True
            ),
            route("GET", f"{one}/schema", self.schema, "The columns of a stream", Right.MARKET, reply=Any),
            route("GET", f"{one}/stats", self.stats, "Rows and bytes of a stream", Right.MARKET, reply=Any),
            route(
                "GET", f"{one}/retention", self.retention, "How long rows are kept", Right.MARKET, reply=Any
            ),
            route("PUT", f"{one}/retention", self.retain, "Keep rows for some days", Right.DELETE_DATA),
            route(
                "POST",
                "/api/v1/logstream/schema/detect",
                self.detect,
                "The columns an event makes",
                Right.MARKET,
            ),
            route("GET", "/api/v1/about", self.about, "Version and modes", Right.MARKET, reply=Any),
            Route("GET", "/api/v1/liveness", self.alive, "Whether the process answers", right=Right.PUBLIC),
            Route("GET", "/api/v1/readiness", self.ready, "Whether the store answers", right=Right.PUBLIC),
        ]

    async def ingest(self, request: web.Request) -> web.Response:
        """Store events in the stream the header names, made when it is not there."""
        name = request.headers.get("X-P-Stream", "").strip()
        if not name:
            raise InputError("the header X-P-Stream is missing", key="X-P-Stream")
        return await self._take(request, name, create=True)

    async def ingest_existing(self, request: web.Request) -> web.Response:
        """Store events in a stream there is."""
        return await self._take(request, request.match_info["stream"], create=False)

    async def _take(self, request: web.Request, name: str, *, create: bool) -> web.Response:
        store = self._deps.taking_in()
        body = await _body(request)
        content_type = request.content_type if "Content-Type" in request.headers else ""
        if len(body) < LARGE_BYTES:
            (events, form), key = decode_events(body, content_type), _key(request, body)
        else:
            events, form = await asyncio.to_thread(decode_events, body, content_type, beside_loop=True)
            key = await asyncio.to_thread(_key, request, body)
        extra = extra_columns(request.headers) | {
            "p_user_agent": header_text(request.headers.get("User-Agent", ""))[:256],
            "p_src_ip": request.remote or "",
            "p_format": header_text(request.headers.get("X-P-Log-Source", form))[:64],
        }
        rows = await store.ingest(name, events, extra, create=create, key=key, body_bytes=len(body))
        return web.Response(status=200, headers={"X-Row-Count": str(rows)})

    async def create(self, request: web.Request) -> web.Response:
        """Make a stream, or change how one is kept."""
        options = decode_options(request.headers, await _body(request))
        await self._deps.taking_in().create(request.match_info["stream"], options)
        return web.Response(status=200)

    async def drop(self, request: web.Request) -> web.Response:
        """Delete a stream."""
        await self._deps.taking_in().drop(request.match_info["stream"])
        return web.Response(status=200)

    async def names(self, _request: web.Request) -> web.Response:
        """List the streams."""
        return json_reply([{"name": name} for name in self._deps.stored().names()])

    async def info(self, request: web.Request) -> web.Response:
        """Say how a stream is kept."""
        facts = self._deps.stored().info(request.match_info["stream"])
        created_us = facts.pop("created_us")
        facts["created-at"] = None if created_us is None else _moment(created_us)
        return json_reply(facts)

    async def schema(self, request: web.Request) -> web.Response:
        """Say which columns a stream has."""
        fields = self._deps.stored().schema(request.match_info["stream"])
        return json_reply({"fields": fields, "metadata": {}})

    async def stats(self, request: web.Request) -> web.Response:
        """Say how many rows and bytes a stream has."""
        name = request.match_info["stream"]
        found = self._deps.stored().stats(name)
        return json_reply(
            {
                "stream": name,
                "time": datetime.fromtimestamp(self._deps.clock.now_ns() / 1e9, UTC).isoformat(),
                "ingestion": {"count": found["rows"], "log_count": found["log_rows"], "format": "json"},
                "storage": {"size": found["file_bytes"], "files": found["files"], "format": "parquet"},
            }
        )

    async def retention(self, request: web.Request) -> web.Response:
        """Say how long a stream's rows are kept."""
        facts = self._deps.stored().info(request.match_info["stream"])
        return json_reply(retention(facts["retention_days"], facts.get("retention_description", "")))

    async def retain(self, request: web.Request) -> web.Response:
        """Set how long a stream's rows are kept."""
        kept_days, description = decode_retention(await _body(request))
        await self._deps.taking_in().retain(request.match_info["stream"], kept_days, description)
        return web.Response(status=200)

    async def detect(self, request: web.Request) -> web.Response:
        """Say which columns an event would make."""
        events, _ = decode_events(await _body(request), "application/json")
        if len(events) != 1:
            raise InputError("expected one event", key="body")
        return json_reply({"fields": self._deps.stored().detect(events[0]), "metadata": {}})

    async def about(self, _request: web.Request) -> web.Response:
        """Say which version answers, and what of a store it is."""
        return json_reply({"version": __version__, "mode": ",".join(self._deps.modes)})

    async def alive(self, _request: web.Request) -> web.Response:
        """Answer."""
        return web.Response(status=200)

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 when every service runs."""
        return web.Response(status=200 if self._deps.process.ready else 503)


def _key(request: web.Request, body: bytes) -> IngestKey | None:
    """Return the request's Idempotency-Key, if it has one."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not 0 < len(given) <= KEY_CHARS_COUNT or not given.isprintable():
        raise InputError(f"Idempotency-Key: up to {KEY_CHARS_COUNT} characters", key="Idempotency-Key")
    # All that decides which rows a body becomes.
    said = [f"{name}: {value}" for name, value in sorted(extra_columns(request.headers).items())]
    text = "\n".join([request.content_type, *said]).encode()
    digest = hashlib.sha256(text + b"\n" + body).hexdigest()[:32]
    return IngestKey(user=principal(request).user_id, key=given, digest=digest)


async def _body(request: web.Request) -> bytes:
    """Return the body; InputError 413 when it is larger than an ingest may be."""
    parts, size = [], 0
    async for part in body_pieces(request, 1 << 16):
        size += len(part)
        if size > INGEST_BODY_BYTES:
            raise InputError(f"the body is larger than {INGEST_BODY_BYTES >> 20} MiB", status=413)
        parts.append(part)
    return b"".join(parts)


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat()
