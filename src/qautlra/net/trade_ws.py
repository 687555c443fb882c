"""The trade socket: its routes, and a trade session behind one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from qautlra._core.feed import text_frame
from qautlra.auth.rights import Right
from qautlra.base.clock import monotonic_s
from qautlra.base.errors import LimitError, UnavailableError
from qautlra.base.limits import CLIENT_SEND_BUFFER_BYTES, CLIENTS_COUNT
from qautlra.net.deps import Deps
from qautlra.net.route import Route
from qautlra.net.trade_channel import Channels
from qautlra.net.trade_session import TradeSession
from qautlra.net.ws_codec import text_head
from qautlra.net.ws_socket import Socket, serve_socket

STRANGER_S = 30.0
"So long a socket without a login keeps its place from those who come when all are taken."


class Trader:
    """A trade session as its socket sees it."""

    def __init__(
        self, deps: Deps, channels: Channels, socket: Socket, request: web.Request, *, push: bool = False
    ) -> None:
        assert deps.trade is not None and deps.auth is not None
        self._socket = socket
        self._channels = channels
        channels.clients_count += 1
        self._tasks: set[asyncio.Task[None]] = set()
        self._limit = CLIENT_SEND_BUFFER_BYTES
        self._session = TradeSession(
            deps.trade,
            deps.auth,
            channels,
            self,
            address=request.remote or "",
            spawn=self._spawn,
            push=push or request.query.get("flow") == "push",
            always_whole=request.query.get("tree") == "whole",
        )
        self.receive = self._session.receive
        socket.alone = self._session.receive_alone
        self.paused = self._session.paused

    @property
    def is_stranger(self) -> bool:
        """Whether its client is there and nobody has logged in."""
        return self._socket.receiver is not None and not self._session.is_known

    # --- what the session calls ---

    @property
    def is_full(self) -> bool:
        """Whether as much as may wait for the client waits already."""
        return self._socket.buffered() > self._limit

    def send(self, text: bytes) -> None:
        """Send one packet."""
        self._socket.write(text_frame(text))

    def send_pieces(self, pieces: Sequence[bytes]) -> None:
        """Send one large packet that comes in pieces."""
        self._socket.write(text_head(sum(map(len, pieces))))
        for piece in pieces:
            self._socket.write(piece)

    def close(self, code: int, reason: str) -> None:
        self._socket.close(code, reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, UnavailableError):
                self._socket.close(1012, "trading stops")
            else:
                raise error

    # --- what the socket calls ---

    def opened(self) -> None:
        self._session.opened()

    def receive_binary(self, _payload: bytes) -> None:
        self._socket.close(1003, "text only")

    def heard(self) -> bool:
        return True

    def detached(self) -> None:
        self._channels.clients_count -= 1
        for task in list(self._tasks):
            task.cancel()
        self._session.detached()


def routes(deps: Deps, channels: Channels | None) -> list[Route]:
    """Return the trade socket's routes."""
    waiting: WeakKeyDictionary[Trader, float] = WeakKeyDictionary()  # since when, oldest first

    def may_enter(channels: Channels) -> bool:
        """Tell whether there is a place; when all are taken, of the stranger who has waited longest."""
        if channels.clients_count < CLIENTS_COUNT:
            return True
        for trader, since_s in list(waiting.items()):
            if trader.is_stranger:
                if monotonic_s() - since_s < STRANGER_S:
                    break
                trader.close(1013, "log in sooner: all places are taken")
                del waiting[trader]
                return True
            del waiting[trader]
        return False

    async def trade(request: web.Request) -> web.StreamResponse:
        if channels is None or deps.trade is None:
            raise UnavailableError(f"No trading in mode {','.join(deps.modes)}")
        _ = deps.trade.engine  # says so when trading is not running
        if not may_enter(channels):
            raise LimitError(f"no more than {CLIENTS_COUNT} trade clients")

        def made(socket: Socket) -> Trader:
            trader = Trader(deps, channels, socket, request)
            waiting[trader] = monotonic_s()
            return trader

        return await serve_socket(
            request,
            deps,
            made,
            max_message_bytes=deps.settings.message_bytes,
            send_buffer_bytes=CLIENT_SEND_BUFFER_BYTES,
        )

    return [
        Route(
            "GET",
            "/ws/trade",
            trade,
            "Trade socket: DIFF as open-trade-gateway speaks it; log in with req_login",
            tag="trade",
            right=Right.PUBLIC,
            parameters={
                "flow": "push: data is sent without a peek_message",
                "tree": "whole: every patch carries the whole account",
            },
            statuses={
                101: "switching to WebSocket",
                403: "another site's page",
                426: "not an upgrade",
                429: "too many clients",
            },
        )
    ]
