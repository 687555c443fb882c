"""The front door on a loopback port in a thread of its own, with the real feed and a store of our making."""

import asyncio
import http.client
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import uvloop

from qautlra._core.feed import Hub, text_frame
from qautlra._core.tape import Tape
from qautlra.auth.service import AuthService
from qautlra.base.clock import VirtualClock
from qautlra.base.errors import NotFoundError
from qautlra.config.tree import Cors, Feed, Net
from qautlra.feed import measures
from qautlra.feed.directory import Directory
from qautlra.feed.service import FeedService
from qautlra.model.query import QueryRequest
from qautlra.net.app import NetService
from qautlra.net.deps import Deps
from tests.models.market import MORNING_NS, SYMBOLS, Market

T = TypeVar("T")


@dataclass
class Answer:
    chunks: Any
    content_type: str = "application/json"
    rows: int | None = 1
    elapsed_s: float = 0.0012
    clock: str = "replay"
    truncated: bool = False


class FakeStore:
    """Remembers what was asked; answers one row, a stream, or an error by the stream's name."""

    def __init__(self) -> None:
        self.asked: list[QueryRequest] = []

    def begin(self, request: QueryRequest) -> Coroutine[Any, Any, Answer]:
        return self.run(request)

    async def run(self, request: QueryRequest) -> Answer:
        self.asked.append(request)
        if request.stream == "nosuch":
            raise NotFoundError("no stream named nosuch", streams=["futures_market"])
        if request.stream == "bug":
            raise ZeroDivisionError("a secret detail")
        if request.format.streamed:
            return Answer(self._pieces(request.stream), request.format.content_type, None)
        return Answer(b'[{"last_price":1.5}]', request.format.content_type)

    async def _pieces(self, stream: str) -> AsyncIterator[bytes]:
        for n in range(3):
            if stream == "breaks" and n == 2:
                raise ValueError("disk gone")
            yield b'{"n":%d}\n' % n


class FakeProcess:
    def __init__(self) -> None:
        self.ready = True
        self.source_list: list[dict[str, Any]] = [{"name": "sim", "connected": True, "logged_in": True}]

    def health(self) -> dict[str, Any]:
        state = "running" if self.ready else "starting"
        return {"status": "ok", "services": [{"name": "feed", "state": state}]}

    def sources(self) -> list[dict[str, Any]]:
        return self.source_list

    def uptime_s(self) -> float:
        return 12.5


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Front:
    """Start with settings of the tree's `Net` and `Feed`; use `url`, `call`, `tick`; stop at the end."""

    def __init__(
        self,
        net: dict[str, Any] | None = None,
        feed: dict[str, Any] | None = None,
        modes: tuple[str, ...] = ("all",),
        with_feed: bool = True,
        with_store: bool = True,
        auth: AuthService | None = None,
        require_login: bool = False,
    ) -> None:
        self.market = Market()
        self.tape = Tape(self.market.instruments, self.market.calendar, 1024)
        self.clock = VirtualClock("replay", MORNING_NS)
        self.process = FakeProcess()
        self.store = FakeStore()
        self.now_ns = MORNING_NS
        settings = msgspec.convert({"listen": ["127.0.0.1:0"]} | (net or {}), Net)
        self.feed = FeedService(
            hub=Hub(self.tape),
            directory=Directory(self.market.instruments, self.market.calendar, self.clock),
            settings=msgspec.convert(feed or {}, Feed),
            text_frame=text_frame,
        )
        measures.watch(self.feed)
        self.auth = auth
        self.service = NetService(
            Deps(
                settings=settings,
                clock=self.clock,
                process=self.process,
                modes=modes,
                feed=self.feed if with_feed else None,
                store=self.store if with_store else None,
                auth=auth,
                require_login=require_login,
            )
        )
        self.loop = uvloop.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        self.host, self.port = self.service.addresses[0]

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        if self.auth is not None:
            self.loop.run_until_complete(self.auth.start())
        self.loop.run_until_complete(self.feed.start())
        self.loop.run_until_complete(self.service.start())
        self._started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.feed.stop(1.0))
        self.loop.run_until_complete(self.service.stop(1.0))
        if self.auth is not None:
            self.loop.run_until_complete(self.auth.stop(1.0))
        self.loop.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
        assert not self._thread.is_alive()

    def on_loop(self, call: Callable[[], T]) -> T:
        """Run `call` on the server's thread."""

        async def run() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def tick(self, instrument: int | str = 0, **values: Any) -> None:
        def publish() -> None:
            self.now_ns += 500_000_000
            symbol = SYMBOLS[instrument] if isinstance(instrument, int) else instrument
            self.market.instruments.intern(symbol)
            row = {"instrument_id": symbol, "datetime": self.now_ns, "last_price": 1.0} | values
            assert self.tape.publish(self.market.rows(row)) == 1
            self.feed.on_batch()

        self.on_loop(publish)

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}/ws/market"

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            reply = connection.getresponse()
            return Reply(reply.status, reply.read(), dict(reply.getheaders()))
        finally:
            connection.close()

    def post(self, path: str, value: Any, method: str = "POST") -> Reply:
        return self.call(method, path, json.dumps(value).encode(), Content_Type="application/json")


__all__ = ["Answer", "Cors", "Front", "Reply"]
