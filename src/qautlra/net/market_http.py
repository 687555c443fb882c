"""The gateway's REST: pinned subscriptions, status, health text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.base.errors import UnavailableError
from qautlra.net.http import json_body, json_reply
from qautlra.net.route import Handler, OneOf, Parameters, Route, check_query
from qautlra.net.trade_http.base import Call, reply_of
from qautlra.net.trade_http.market import details
from qautlra.wire import rest

if TYPE_CHECKING:
    from qautlra.feed.service import FeedService
    from qautlra.net.deps import Deps

HEALTH_TEXT = "QAMD Gateway is running"
_ERRORS = {
    400: "malformed body",
    415: "not JSON",
    422: "no instruments, or some that are none (listed)",
    503: "no source",
}
_DETAILED: Final = ("1", "true")
_SOME: Final[Parameters] = {
    "pattern": "part of the symbol, either case",
    "detail": OneOf((*_DETAILED, "0", "false")),
}
"""With `detail` 1: those that have prices, with their terms."""


class MarketHttp:
    """Handlers of the subscription doors."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        """Return the route table's rows."""

        def write(method: str, path: str, handler: Handler, summary: str) -> Route:
            return Route(
                method, path, handler, summary, "feed", rest.SubscriptionRequest, rest.SubscriptionList,
                statuses=_ERRORS,
            )  # fmt: skip

        return [
            Route(
                "GET", "/health", self.health, "Is the gateway there", "feed", reply_type="text/plain",
                right=Right.PUBLIC,
            ),
            Route(
                "GET", "/api/subscriptions", self.listing, "List wanted instruments", "feed",
                reply=rest.SubscriptionList,
            ),
            write("POST", "/api/subscriptions", self.subscribe, "Pin instruments"),
            write("POST", "/api/subscribe", self.subscribe, "Pin instruments"),
            write("POST", "/api/unsubscribe", self.unsubscribe, "Let instruments go"),
            write("DELETE", "/api/subscriptions", self.unsubscribe, "Let instruments go"),
            Route(
                "GET", "/api/status", self.status, "Sources, clients, subscriptions", "feed",
                reply=rest.GatewayStatus,
            ),
            Route(
                "GET", "/api/market/instruments", self.instruments, "List known instruments", "feed",
                reply=rest.InstrumentList, parameters=_SOME,
            ),
        ]  # fmt: skip

    @property
    def _feed(self) -> FeedService:
        if self._deps.feed is None:
            raise UnavailableError(f"No market feed in mode {','.join(self._deps.modes)}")
        return self._deps.feed

    async def health(self, _request: web.Request) -> web.Response:
        """Answer the seed's own text."""
        return web.Response(text=HEALTH_TEXT)

    async def listing(self, _request: web.Request) -> web.Response:
        """List what anyone wants, as its first owner spelled it."""
        instruments, pending = self._feed.book.listing()
        return json_reply({"instruments": instruments, "pending": pending})

    async def subscribe(self, request: web.Request) -> web.Response:
        """Pin instruments until they are let go; the reply already holds them."""
        names = rest.decode_subscription(await json_body(request))
        feed = self._feed
        if not self._deps.process.sources():
            raise UnavailableError("Failed to subscribe: no market data source is running")
        feed.book.pin(names)
        return await self.listing(request)

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """Let pinned instruments go; what clients want of them stays."""
        names = rest.decode_subscription(await json_body(request))
        self._feed.book.unpin(names)
        return await self.listing(request)

    async def status(self, _request: web.Request) -> web.Response:
        """Tell the true state."""
        deps = self._deps
        sources = deps.process.sources()
        connected = any(source.get("connected") for source in sources)
        return json_reply(
            {
                "status": "connected" if connected else "disconnected",
                "uptime": int(deps.process.uptime_s()),
                "connected_clients": deps.feed.clients_count if deps.feed else 0,
                "active_subscriptions": len(deps.feed.book) if deps.feed else 0,
                "sources": sources,
            }
            | ({"brokers": deps.trade.router.states()} if deps.trade is not None else {})
        )

    async def instruments(self, request: web.Request) -> web.StreamResponse:
        """List or search the instrument table."""
        check_query(request, _SOME)
        directory = self._feed.directory
        pattern = request.query.get("pattern", "")
        found = directory.search(pattern) if pattern else directory.symbols()
        if request.query.get("detail", "").lower() in _DETAILED:
            return await reply_of(request, await details(Call(request, self._deps), found))
        return json_reply({"success": True, "data": found, "error": None})
