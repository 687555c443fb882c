"""Clients that do not read a long answer, or do not send their body: neither is waited for without end."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession, web

from qautlra.auth.service import AuthService
from qautlra.base.errors import LimitError
from qautlra.net import http, store_http
from qautlra.net.store_http import StoreHttp
from tests.link.test_bus import until
from tests.net.test_auth_http import MakeFront

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


@pytest.mark.parametrize("trickles", [False, True])
@pytest.mark.parametrize("path", ["/api/auth/login", "/api/v1/query"])
def test_a_body_that_does_not_come_is_not_waited_for(
    make_front: MakeFront, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, trickles: bool
) -> None:
    monkeypatch.setattr(http, "BODY_S", 0.5)
    front = make_front(auth=AuthService(tmp_path))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n"
    )
    with socket.create_connection((front.host, front.port)) as client:
        client.sendall(head.encode() + b" " * 80)
        client.settimeout(0.05)
        deadline_s = time.monotonic() + 10
        answer = b""
        while b"\r\n\r\n" not in answer and time.monotonic() < deadline_s:
            if trickles:
                client.sendall(b" ")
            with suppress(TimeoutError):
                answer += client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_slow_body_that_comes_is_taken(make_front: MakeFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_S", 0.4)
    front = make_front()
    body = b'{"stream": "futures_market"}' + b" " * 40_000
    head = f"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((front.host, front.port)) as client:
        client.sendall(head.encode())
        for at in range(0, len(body), 4_000):
            time.sleep(0.1)
            client.sendall(body[at : at + 4_000])
        client.settimeout(10)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
