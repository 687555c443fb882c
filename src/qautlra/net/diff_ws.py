"""Market and trade on one socket, as QAX serves them: each message to the half it is for.

A `peek_message` is the market half's; the trade half is pushed, which every DIFF client must take anyway.
"""

from __future__ import annotations

from aiohttp import web

from qautlra.auth.rights import Right
from qautlra.base.errors import UnavailableError
from qautlra.net.deps import Deps
from qautlra.net.market_ws import Guest
from qautlra.net.route import Route
from qautlra.net.trade_channel import Channels
from qautlra.net.trade_ws import Trader
from qautlra.net.ws_socket import Socket, serve_socket
from qautlra.wire.trade_requests import is_trade


class Both:
    """A client of the feed and a trade session behind one connection."""

    def __init__(self, guest: Guest, trader: Trader | None) -> None:
        self._guest = guest
        self._trader = trader

    def opened(self) -> None:
        self._guest.opened()

    def receive(self, text: str) -> None:
        if self._trader is not None and is_trade(text):
            self._trader.receive(text)
        else:
            self._guest.receive(text)

    def receive_binary(self, payload: bytes) -> None:
        self._guest.receive_binary(payload)

    def paused(self) -> None:
        if self._trader is not None:
            self._trader.paused()

    def heard(self) -> bool:
        return self._guest.heard()

    def detached(self) -> None:
        self._guest.detached()
        if self._trader is not None:
            self._trader.detached()


def routes(deps: Deps, channels: Channels | None) -> list[Route]:
    """Return the route of the socket that carries both."""

    async def both(request: web.Request) -> web.StreamResponse:
        feed = deps.feed
        if feed is None:
            raise UnavailableError(f"No market feed in mode {','.join(deps.modes)}")

        def made(socket: Socket) -> Both:
            trader = None if channels is None else Trader(deps, channels, socket, request, push=True)
            return Both(Guest(feed, socket, request.query), trader)

        return await serve_socket(
            request,
            deps,
            made,
            max_message_bytes=deps.settings.message_bytes,
            send_buffer_bytes=feed.settings.send_buffer_bytes,
        )

    return [
        Route(
            "GET",
            "/ws/diff",
            both,
            "Market and trade on one socket: what the market socket takes, and what the trade socket takes",
            tag="trade",
            right=Right.MARKET,
            statuses={101: "switching to WebSocket", 403: "another site's page", 426: "not an upgrade"},
        )
    ]
