"""What all REST doors share: JSON replies, bodies, the middleware of errors, and who may read a reply."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from qautlra.base import metrics
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import InputError, QautlraError
from qautlra.base.log import Seldom, get_logger
from qautlra.net.deps import Deps
from qautlra.net.origin import is_configured
from qautlra.net.route import Handler
from qautlra.wire import errors

CORS_MAX_AGE_S = 3600
BODY_S = 30.0
BODY_BYTES_PER_S = 4096
"A body is waited for so long, and as long again as what came takes at this rate."
_METHODS = "GET, POST, PUT, DELETE, OPTIONS"
_HEADERS = "Content-Type, Accept, Authorization, X-P-Stream, Idempotency-Key"
_GZIP_OR_ZLIB = 47
"zlib's `wbits`; deflate is zlib's by its standard, some send it bare."
_log = get_logger("net")
_seldom = Seldom()


def json_reply(value: Any, status: int = 200) -> web.Response:
    """Return a JSON reply."""
    return web.Response(body=orjson.dumps(value, default=str), status=status, content_type="application/json")


def raw_json(body: bytes, status: int = 200) -> web.Response:
    """Return a reply of ready JSON."""
    return web.Response(body=body, status=status, content_type="application/json")


async def json_body(request: web.Request) -> bytes:
    """Return the body of a request that must be JSON; InputError 415 when it is said to be something else.

    Pages of other sites cannot send this type without asking first, which is what keeps them out.
    """
    if request.body_exists and request.content_type != "application/json":
        raise InputError("Content-Type: expected application/json", status=415)
    return await whole_body(request)


async def whole_body(request: web.Request) -> bytes:
    """Return the body, up to what the application takes; InputError 408 when it does not come."""
    if request.content.is_eof() and "Content-Encoding" not in request.headers:
        return await request.read()
    most, body = request.client_max_size, bytearray()
    async for piece in body_pieces(request, 1 << 16):
        body += piece
        if len(body) > most:
            raise web.HTTPRequestEntityTooLarge(most)
    return bytes(body)


async def body_pieces(request: web.Request, size: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes, unpacked, up to `size` bytes at a time: nobody unpacks what nobody reads.

    InputError 408 when it stops or trickles, 415 of another packing than gzip and deflate, 400 when it is not
    what it is said to be. What counts is the time its client lets us wait, not that its reader takes.
    """
    packing = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packing in ("identity", ""):
        async for piece in _pieces_as_sent(request, size):
            yield piece
        return
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise InputError("Content-Encoding: gzip and deflate are understood", status=415)
    unpack = None
    try:
        async for piece in _pieces_as_sent(request, size):
            while piece:
                if unpack is None or unpack.eof:  # or one more member of a gzip
                    is_bare = packing == "deflate" and piece[0] & 0x0F != zlib.DEFLATED
                    unpack = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else _GZIP_OR_ZLIB)
                yield unpack.decompress(piece, size)
                piece = unpack.unconsumed_tail or unpack.unused_data
                await asyncio.sleep(0)
    except zlib.error as error:
        raise InputError(f"the body is not {packing}: {error}", key="body") from None
    if unpack is None or not unpack.eof:
        raise InputError(f"the body is not whole {packing}", key="body")


async def _pieces_as_sent(request: web.Request, size: int) -> AsyncIterator[bytes]:
    content, waited_s, received = request.content, 0.0, 0
    while not content.at_eof():
        begun_s = monotonic_s()
        try:
            async with asyncio.timeout(BODY_S + received / BODY_BYTES_PER_S - waited_s):
                piece = await content.read(size)
        except TimeoutError:
            raise InputError("the body does not come", status=408) from None
        waited_s += monotonic_s() - begun_s
        received += len(piece)
        yield piece


def middleware(deps: Deps) -> Middleware:
    """Return the front's one middleware: errors become JSON, all is counted."""
    requests = metrics.counter("qautlra_net_requests", "HTTP requests answered", ["method", "status"])

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = str(CORS_MAX_AGE_S)
        else:
            response = await _answer(request, handler)
        requests.labels(request.method, str(response.status)).inc()
        return response

    return guard


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except QautlraError as error:
        status, body = errors.of(error)
        response = raw_json(body, status)
        if "retry_after_s" in error.details:
            response.headers["Retry-After"] = str(error.details["retry_after_s"])
        if status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="qautlra"'
        if status == 426:
            response.headers["Upgrade"] = "websocket"
        return response
    except web.HTTPRequestEntityTooLarge as error:
        return raw_json(
            errors.body(error.text or "The body is too large", code="limit", retryable=False), 413
        )
    except web.HTTPMethodNotAllowed as error:
        allowed = sorted(error.allowed_methods)
        response = raw_json(
            errors.body(f"{request.path} takes {', '.join(allowed)}", code="input", retryable=False), 405
        )
        response.headers["Allow"] = ", ".join(allowed)
        return response
    except web.HTTPNotFound:
        message = f"Nothing is served at {request.path[:200]}; see /api/docs"
        return raw_json(errors.body(message, code="not_found", retryable=False), 404)
    except web.HTTPException as error:
        return raw_json(errors.body(error.reason), error.status)
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:
        if count := _seldom.due((request.path, type(error))):
            _log.error("request_failed", path=request.path, error=str(error), count=count, exc_info=error)
        return raw_json(errors.body("Internal error; the server's log has the details"), 500)


def cross_origin(origin: str | None, deps: Deps) -> dict[str, str]:
    """Return the CORS headers of a reply: none unless the page's origin is configured."""
    if origin is None or not is_configured(origin, deps):
        return {}
    cors = deps.settings.cors
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if cors.allow_credentials:
        headers["Access-Control-Allow-Credentials"] = "true"
    elif cors.allow_all:
        headers = {"Access-Control-Allow-Origin": "*"}
    return headers
