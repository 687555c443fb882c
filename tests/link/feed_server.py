"""A small DIFF server for the client's tests: written from the wire contract, imports nothing of ours."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class FeedServer:
    """Answers peeks with what is new (`pulls`), or lists subscriptions at a peek and pushes."""

    def __init__(self, *, pulls: bool = True, greeting: str = "") -> None:
        self.pulls = pulls
        self.greeting = greeting
        self.port = 0
        self.received: list[dict[str, Any]] = []
        self.authorization: list[str | None] = []
        self.connections: list[ServerConnection] = []
        self.refuse = False
        self._server: Server | None = None
        self._unsent: dict[ServerConnection, list[dict[str, Any]]] = {}
        self._peeked: set[ServerConnection] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/market"

    @property
    def lists(self) -> list[str]:
        return [frame["ins_list"] for frame in self.received if frame.get("aid") == "subscribe_quote"]

    @property
    def peeks(self) -> int:
        return sum(frame.get("aid") == "peek_message" for frame in self.received)

    async def start(self) -> None:
        self._server = await serve(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Vanish as a killed process does: no goodbye."""
        assert self._server is not None
        for connection in self.connections:
            connection.transport.abort()
        self._server.close(close_connections=False)
        await self._server.wait_closed()
        self.connections.clear()

    async def quotes(self, **quotes: Any) -> None:
        """Let every client have these patches."""
        for connection in self.connections:
            self._unsent[connection].append({"quotes": quotes})
            await self._flush(connection)

    async def raw(self, text: str | bytes) -> None:
        for connection in self.connections:
            await connection.send(text)

    async def _flush(self, connection: ServerConnection) -> None:
        if self.pulls and connection not in self._peeked:
            return
        unsent, self._unsent[connection] = self._unsent[connection], []
        if unsent:
            self._peeked.discard(connection)
            await connection.send(json.dumps({"aid": "rtn_data", "data": unsent}))

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.authorization.append(connection.request.headers.get("Authorization"))
        if self.refuse:
            return
        self.connections.append(connection)
        self._unsent[connection] = [{"mdhis_more_data": False, "ins_list": ""}] if self.pulls else []
        try:
            if self.greeting:
                await connection.send(self.greeting)
            async for text in connection:
                frame = json.loads(text)
                self.received.append(frame)
                if frame["aid"] == "peek_message":
                    self._peeked.add(connection)
                    if not self.pulls:
                        await connection.send('{"aid":"rsp_peek_message","ins_list":""}')
                elif self._unsent[connection]:
                    self._unsent[connection][0]["ins_list"] = frame["ins_list"]
                await self._flush(connection)
        except ConnectionClosed:
            pass
        finally:
            if connection in self.connections:
                self.connections.remove(connection)


@asynccontextmanager
async def running(server: FeedServer) -> AsyncIterator[FeedServer]:
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def until(condition: Any, timeout_s: float = 10.0) -> None:
    """Wait until the condition holds; fails with a TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in another task
            await asyncio.sleep(0.005)
