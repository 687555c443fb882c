"""A long answer and a client that does not read it: it is cut, and there is a bound for all such answers."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession, web

from qautlra.base.errors import LimitError
from qautlra.net import store_http
from qautlra.net.store_http import StoreHttp
from tests.link.test_bus import until

BODY = bytes(range(256)) * (64 << 10)
RESULT = SimpleNamespace(
    chunks=BODY, content_type="application/json", elapsed_s=0.0, clock="wall", truncated=False, rows=None
)


def test_an_answer_that_is_not_read_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_http, "SEND_S", 0.5)
    monkeypatch.setattr(store_http, "UNREAD_BYTES", len(BODY) + 1)
    monkeypatch.setattr(store_http, "asker", lambda _deps, _request: "ann")

    async def main() -> None:
        deps: Any = SimpleNamespace(answering=lambda: SimpleNamespace(begin=lambda _asked: RESULT))
        door = StoreHttp(deps)

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await door.query(request)
            except LimitError:
                return web.Response(status=429)

        app = web.Application()
        app.router.add_get("/q", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        path = f"http://{host}:{port}/q?stream=bar_1m"
        try:
            async with ClientSession() as client:
                async with client.get(path) as answer:
                    assert await answer.read() == BODY
                with socket.create_connection((host, port)) as deaf:
                    deaf.sendall(b"GET /q?stream=bar_1m HTTP/1.1\r\nHost: x\r\n\r\n")
                    await until(lambda: door._unread_bytes == len(BODY))
                    async with client.get(path) as answer:
                        assert answer.status == 429
                    await until(lambda: door._unread_bytes == 0)
                async with client.get(path) as answer:
                    assert await answer.read() == BODY
        finally:
            await runner.cleanup()

    asyncio.run(main())
