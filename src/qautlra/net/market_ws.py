"""The market socket: its routes, and the feed's client behind one connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from qautlra.base.errors import InputError, UnavailableError
from qautlra.feed.context import Flow
from qautlra.net.route import Route
from qautlra.net.ws_socket import Socket, serve_socket

if TYPE_CHECKING:
    from qautlra.feed.service import FeedService
    from qautlra.net.deps import Deps

OLDEST = ("/ws/qq/market", "/ws/sina/market")
"""Paths of servers whose clients merge nothing: each change tells the quote whole, in both of their forms."""


class Guest:
    """A client of the feed as its socket sees it."""

    __slots__ = ("_client", "_feed", "_greeting")

    def __init__(
        self, feed: FeedService, socket: Socket, query: Mapping[str, str], *, whole: bool = False
    ) -> None:
        flow = query.get("flow")
        if flow not in (None, "push", "pull"):
            raise InputError("flow: expected push or pull")
        self._feed = feed
        self._greeting = query.get("greeting") == "1"
        self._client = feed.attach(
            socket, flow=Flow(flow) if flow else None, stamp=query.get("stamp") == "1", whole=whole
        )

    def opened(self) -> None:
        if self._greeting:
            self._feed.greet(self._client)

    def receive(self, text: str) -> None:
        self._feed.receive(self._client, text)

    def receive_binary(self, _payload: bytes) -> None:
        self._feed.receive_binary(self._client)

    def paused(self) -> None:
        pass

    def heard(self) -> bool:
        return self._feed.heard(self._client)

    def detached(self) -> None:
        self._feed.detach(self._client)


def routes(deps: Deps) -> list[Route]:
    """Return the market socket's routes: its path, the configured one, and older servers' names for it."""

    async def market(request: web.Request) -> web.StreamResponse:
        return await _serve(request, deps)

    paths = dict.fromkeys(("/ws/market", deps.settings.market_path, *OLDEST))
    return [
        Route(
            "GET",
            path,
            market,
            "Market data socket: DIFF (aid), gateway (type), CORE (op) and QO (action) messages",
            tag="feed",
            parameters={
                "flow": "push or pull: fixes who decides when data is sent",
                "stamp": "1 adds _ts (ns, CLOCK_MONOTONIC) to every data frame",
                "greeting": "1 greets on connect",
                "source": "accepted for older clients; every source serves every client",
            },
            statuses={101: "switching to WebSocket", 403: "another site's page", 426: "not an upgrade"},
        )
        for path in paths
    ]


async def _serve(request: web.Request, deps: Deps) -> web.StreamResponse:
    feed = deps.feed
    if feed is None:
        raise UnavailableError(f"No market feed in mode {','.join(deps.modes)}")
    return await serve_socket(
        request,
        deps,
        lambda socket: Guest(feed, socket, request.query, whole=request.path in OLDEST),
        max_message_bytes=deps.settings.message_bytes,
        send_buffer_bytes=feed.settings.send_buffer_bytes,
        deflate=feed.settings.deflate,
    )
