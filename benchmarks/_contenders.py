"""bench: helper. Fan-out by well-known libraries: prepared bodies to every client, flat out or at a rate.

A process of its own: `_contenders.py websockets|aiohttp --port P --clients N --burst B [--rate R] --secs S`.
It starts sending when N clients are there, a frame per quote as these libraries send, and waits for readers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any

import uvloop

HIGH_WATER_BYTES = 256 << 10


def bodies() -> list[bytes]:
    """Return 200 messages like the limit server's, without their end: the stamp is put there."""
    made = []
    for i in range(200):
        quote = {
            "datetime": f"2025-09-01 10:30:{i % 60:02d}.500000",
            "last_price": 3000.0 + i,
            "volume": 1234567 + i * 7,
            "amount": 386123456000.0 + i,
            "open_interest": 1845632 - i,
            "bid_price1": 2999.0 + i,
            "bid_volume1": 215 + i,
            "ask_price1": 3000.0 + i,
            "ask_volume1": 98 + i,
        }
        text = json.dumps(
            {"aid": "rtn_data", "data": [{"quotes": {f"SHFE.rb{2500 + i}": quote}}]}, separators=(",", ":")
        )
        made.append(text[:-1].encode() + b',"_ts":')
    return made


class Load:
    """When what is sent: flat out while readers keep up, or bursts by the clock."""

    def __init__(self, burst: int, rate: float) -> None:
        self.burst = burst
        self.rate = rate
        self._bodies = bodies()
        self._next = 0

    def messages(self) -> list[bytes]:
        """Return the next burst, stamped now."""
        stamp = b"%d}" % time.monotonic_ns()
        chosen = [self._bodies[(self._next + i) % len(self._bodies)] + stamp for i in range(self.burst)]
        self._next += self.burst
        return chosen

    async def turns(self, transports: Iterable[Any]) -> Any:
        """Yield when a burst is due."""
        start, count = time.monotonic(), 0
        while True:
            if self.rate:
                count += 1
                await asyncio.sleep(max(start + count * self.burst / self.rate - time.monotonic(), 0))
            else:
                await asyncio.sleep(0)
                while any(t.get_write_buffer_size() > HIGH_WATER_BYTES for t in transports):  # noqa: ASYNC110
                    await asyncio.sleep(0.0002)
            yield


async def websockets_server(port: int, clients: int, load: Load, end: asyncio.Event) -> None:
    """Serve with `websockets`, sending by its `broadcast`."""
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    there: set[ServerConnection] = set()
    full = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        there.add(connection)
        if len(there) == clients:
            full.set()
        await connection.wait_closed()
        there.discard(connection)

    async with serve(handler, "127.0.0.1", port, compression=None, ping_interval=None):
        await full.wait()
        transports = [connection.transport for connection in there]
        async for _ in load.turns(transports):
            if end.is_set() or len(there) < clients:
                return
            for message in load.messages():
                broadcast(there, message.decode())


async def aiohttp_server(port: int, clients: int, load: Load, end: asyncio.Event) -> None:
    """Serve with aiohttp, sending to one client after another."""
    from aiohttp import web

    there: list[web.WebSocketResponse] = []
    transports: list[Any] = []
    full = asyncio.Event()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        there.append(socket)
        transports.append(request.transport)
        if len(there) == clients:
            full.set()
        async for _ in socket:
            pass
        end.set()
        return socket

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await full.wait()
    async for _ in load.turns(transports):
        if end.is_set():
            break
        for text in [message.decode() for message in load.messages()]:
            for socket in there:
                await socket.send_str(text)


def main() -> None:
    """Serve until the clients leave or the time is up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["websockets", "aiohttp"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--burst", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--secs", type=float, default=60.0)
    chosen = parser.parse_args()
    serve = websockets_server if chosen.library == "websockets" else aiohttp_server

    async def run() -> None:
        end = asyncio.Event()
        asyncio.get_running_loop().call_later(chosen.secs, end.set)
        await serve(chosen.port, chosen.clients, Load(chosen.burst, chosen.rate), end)

    uvloop.run(run())


if __name__ == "__main__":
    main()
