"""The front door: one application, built from the route table, served on every configured address."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from qautlra.base.errors import ConfigError
from qautlra.base.log import get_logger
from qautlra.base.service import Service
from qautlra.net import db_ws, diff_ws, market_ws, openapi, static, trade_http, trade_ws
from qautlra.net.aggregate_http import AggregateHttp
from qautlra.net.audit_http import AuditHttp
from qautlra.net.auth import Guard
from qautlra.net.auth_http import AuthHttp
from qautlra.net.http import cross_origin, middleware, raw_json
from qautlra.net.import_http import ImportHttp
from qautlra.net.ingest_http import IngestHttp
from qautlra.net.market_http import MarketHttp
from qautlra.net.ops_http import OpsHttp
from qautlra.net.route import Route
from qautlra.net.store_http import StoreHttp
from qautlra.net.tls import Certificate
from qautlra.net.trade_channel import Channels
from qautlra.net.ws_socket import close_ended

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.net.deps import Deps

KEEPALIVE_S = 75.0
BACKLOG_COUNT = 1024
LOGINS_S = 1.0
"""So long a socket may outlive the login it was opened with."""
_log = get_logger("net")
# What clients can provoke (garbage for HTTP) is answered, not logged; the middleware logs our own errors.
_quiet = logging.getLogger("qautlra.net.http")
_quiet.setLevel(logging.CRITICAL)


def route_table(deps: Deps) -> list[Route]:
    """Return every route of the front, in the order they are matched."""
    channels = Channels(deps.trade) if deps.trade is not None and deps.auth is not None else None
    table = [
        *market_ws.routes(deps),
        *trade_ws.routes(deps, channels),
        *diff_ws.routes(deps, channels),
        *MarketHttp(deps).routes(),
        *StoreHttp(deps).routes(),
        *IngestHttp(deps).routes(),
        *AggregateHttp(deps).routes(),
        *ImportHttp(deps).routes(),
        *db_ws.routes(deps),
        *OpsHttp(deps).routes(),
        *AuthHttp(deps).routes(),
        *AuditHttp(deps).routes(),
        *trade_http.routes(deps),
    ]
    description: list[bytes] = []

    async def document(_request: web.Request) -> web.Response:
        if not description:
            made = await asyncio.to_thread(openapi.describe, table)
            description.append(await asyncio.to_thread(orjson.dumps, made))
        return raw_json(description[0])

    table.append(Route("GET", "/api/openapi.json", document, "This description", reply=dict[str, Any]))
    return [*table, *static.routes()]


def build(deps: Deps) -> web.Application:
    """Return the application; it owns no service, so it can be made again after a restart."""
    app = web.Application(middlewares=[middleware(deps)], client_max_size=deps.settings.body_bytes)
    guard = Guard(deps)
    for route in route_table(deps):
        handler = guard.wrap(route)
        if route.method == "GET":
            app.router.add_get(route.path, handler)  # and HEAD
        else:
            app.router.add_route(route.method, route.path, handler)

    async def headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(cross_origin(request.headers.get("Origin"), deps))  # of a streamed one too
        response.headers["Server"] = "qautlra"
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")

    app.on_response_prepare.append(headers)
    return app


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[v6]:port`; ConfigError when it is neither."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError("not an address", key="net.listen", value=text, expected="host:port")
    return host, int(port)


class NetService(Service):
    """Listens. A busy address that nobody chose is left out with a warning; a chosen one fails."""

    name = "net"

    def __init__(self, deps: Deps) -> None:
        super().__init__()
        self._deps = deps
        self._runner: web.AppRunner | None = None
        self._certificate: Certificate | None = None
        self.addresses: list[tuple[str, int]] = []

    @property
    def urls(self) -> list[str]:
        """Where the front is reached, `http://host:port` (or https) each."""
        scheme = "https" if self._deps.settings.tls_cert else "http"
        return [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.addresses]

    async def start(self) -> None:
        """Bind every address; on return the doors are open."""
        settings = self._deps.settings
        self._certificate = None
        context = None
        if settings.tls_cert or settings.tls_key:
            self._certificate = Certificate(settings.tls_cert, settings.tls_key)
            context = self._certificate.context
            self.spawn(self._certificate.follow(), "certificate")
        runner = web.AppRunner(
            build(self._deps),
            access_log=None,
            logger=_quiet,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=1.0,
            auto_decompress=False,  # by who reads a body, a piece at a time: what is refused is not unpacked
        )
        self._runner = runner
        await runner.setup()
        if self._deps.auth is not None:
            self.spawn(self._end_logins(self._deps.auth), "logins")
        self.addresses = []
        for text in self._deps.settings.listen:
            host, port = parse_address(text)
            try:
                await web.TCPSite(runner, host, port, backlog=BACKLOG_COUNT, ssl_context=context).start()
            except OSError as error:
                if text in self._deps.may_be_busy and error.errno == errno.EADDRINUSE:
                    _log.warning("address_busy", address=text, action="skipped")
                    continue
                await self.stop(0.1)
                raise ConfigError(
                    f"cannot listen: {error.strerror or error}", key="net.listen", value=text
                ) from None
        self.addresses = [address[:2] for address in runner.addresses]
        if not self.addresses:
            await self.stop(0.1)
            raise ConfigError(
                "every address to listen on is taken by another process",
                key="net.listen",
                expected="an address of this process's own (--port)",
            )

    async def stop(self, grace_s: float) -> None:
        """Close the doors; requests under way get a second."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self.cancel_tasks(grace_s)

    async def _end_logins(self, auth: AuthService) -> None:
        while True:
            await asyncio.sleep(LOGINS_S)
            close_ended(self._deps, auth)

    def health(self) -> dict[str, Any]:
        """Return the addresses served, and why a certificate that has changed is not used."""
        facts: dict[str, Any] = {"addresses": [f"{host}:{port}" for host, port in self.addresses]}
        why = self._certificate.error if self._certificate is not None else ""
        return facts | ({"error": why} if why else {})
