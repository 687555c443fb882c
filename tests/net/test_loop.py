"""Work that gives way: a request that came during one of its slices is answered before the next."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import uvloop
from aiohttp import web

from qautlra.base.loop import give_way


async def answered(pause: Callable[[], Awaitable[None]]) -> bool:
    """Tell whether a request that came while we worked has been handled after a pause."""
    handled = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        handled.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with socket.create_connection(runner.addresses[0][:2]) as client:
            await asyncio.sleep(0.05)  # the connection is known, and its task waits
            client.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\nx")
            await pause()
            return handled.is_set()
    finally:
        await runner.cleanup()


def test_a_request_is_answered_while_work_gives_way_and_not_in_one_turn_of_the_loop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(answered(give_way))
        assert not runner.run(answered(lambda: asyncio.sleep(0)))
