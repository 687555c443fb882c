"""A local server that speaks Tencent's and Sina's formats, and misbehaves in every way they do.

`async with QuoteServer() as server` in a test's loop, or `serving()` beside a real process.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.core.quotes import BEIJING, golden

MANNERS = ("ok", "status", "slow", "garbage", "cut", "unterminated", "empty", "huge", "hang_up", "wrong")


class QuoteServer:
    """Answers `/q=` and `/list=` from `lines` ({site's symbol: line}); `manner` says how it behaves."""

    def __init__(self) -> None:
        self.lines: dict[str, bytes] = {}
        self.manner = "ok"
        self.status = 503
        self.retry_after = ""
        self.needs_referer = True
        self.requests: list[tuple[float, str, dict[str, str]]] = []
        self.asked = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._release = asyncio.Event()

    async def __aenter__(self) -> QuoteServer:
        app = web.Application()
        app.router.add_get("/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._release.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def symbols_asked(self) -> list[list[str]]:
        """The symbols of every request so far."""
        return [path.rpartition("=")[2].split(",") for _, path, _ in self.requests]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((asyncio.get_running_loop().time(), request.raw_path, dict(request.headers)))
        self.asked.set()
        is_sina = "list=" in request.raw_path
        if is_sina and self.needs_referer and "sina.com.cn" not in request.headers.get("Referer", ""):
            return web.Response(status=403, text="Forbidden")
        symbols = request.raw_path.rpartition("=")[2].split(",")
        body = b"".join(self._line(symbol, is_sina) for symbol in symbols)
        if not body and not is_sina:
            body = golden("tencent", "none_match")
        if self.manner == "status":
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.Response(status=self.status, body=body, headers=headers)
        if self.manner == "slow":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._release.wait(), 20)
        if self.manner == "garbage":
            body = b"<html><body>\x81\xff\xfe please verify you are human</body></html>"
        if self.manner == "empty":
            body = b""
        if self.manner == "huge":
            body *= (5 << 20) // len(body)
        if self.manner == "wrong":
            body = golden("tencent", "index")
        if self.manner in ("cut", "hang_up"):
            reply = web.StreamResponse(headers={"Content-Length": str(len(body))})
            await reply.prepare(request)
            await reply.write(body[: len(body) // 2] if self.manner == "cut" else b"")
            assert request.transport is not None
            request.transport.abort()
            return reply
        if self.manner == "unterminated":
            body = body[:-40]
        return web.Response(body=body, headers={"Content-Type": "application/javascript; charset=GBK"})

    def _line(self, symbol: str, is_sina: bool) -> bytes:
        unknown = f'var hq_str_{symbol}="";\n'.encode() if is_sina else b""
        return self.lines.get(symbol, unknown)


def tencent_line(symbol: str, last: float, lots: int, at: dt.datetime) -> bytes:
    """The contract's stock line under another symbol, price, volume and time of its exchange."""
    _head, value, tail = golden("tencent", "stock").decode("gb18030").split('"')
    fields = value.split("~")
    fields[2], fields[3], fields[6] = symbol[2:], f"{last:.2f}", str(lots)
    fields[30] = f"{at:%Y%m%d%H%M%S}"
    fields[35], fields[51] = f"{last:.2f}/{lots}/{lots * 100 * last:.0f}", f"{last:.2f}"
    return f'v_{symbol}="{"~".join(fields)}"{tail}'.encode("gb18030")


def sina_stock_line(symbol: str, last: float, volume: int, at: dt.datetime) -> bytes:
    """The contract's stock line under another symbol, price, volume and time."""
    _head, value, tail = golden("sina", "stock").decode("gb18030").split('"')
    fields = value.split(",")
    fields[3], fields[8], fields[9] = f"{last:.3f}", str(volume), f"{volume * last:.3f}"
    fields[30], fields[31] = f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}"
    return f'var hq_str_{symbol}="{",".join(fields)}"{tail}'.encode("gb18030")


def sina_future_line(symbol: str, last: float, volume: int, at: dt.datetime) -> bytes:
    """The contract's commodity line under another symbol, price, volume and time."""
    _head, value, tail = golden("sina", "commodity").decode("gb18030").split('"')
    fields = value.split(",")
    fields[1], fields[17] = f"{at:%H%M%S}", f"{at:%Y-%m-%d}"
    fields[8], fields[14] = f"{last:.3f}", str(volume)
    return f'var hq_str_{symbol}="{",".join(fields)}"{tail}'.encode("gb18030")


def sina_financial_line(symbol: str, last: float, volume: int, at: dt.datetime) -> bytes:
    """The contract's CFFEX line under another symbol, price, volume and moment."""
    _head, value, tail = golden("sina", "financial").decode("gb18030").split('"')
    fields = value.split(",")
    fields[3], fields[4], fields[5] = f"{last:.3f}", str(volume), f"{volume * last:.3f}"
    fields[36], fields[37] = f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}"
    return f'var hq_str_{symbol}="{",".join(fields)}"{tail}'.encode("gb18030")


def beijing_now() -> dt.datetime:
    return dt.datetime.now(BEIJING)


@contextlib.contextmanager
def serving() -> Iterator[QuoteServer]:
    """A server on a loop and thread of its own; its fields may be set from outside."""
    started = threading.Event()
    box: list[Any] = []

    async def main() -> None:
        stop = asyncio.Event()
        async with QuoteServer() as server:
            box.extend((server, asyncio.get_running_loop(), stop))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert started.wait(10)
    server, loop, stop = box
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
