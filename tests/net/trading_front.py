"""A front with users, the trade service, its desk and a market whose clock and prices a test moves."""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from qautlra._core.feed import Hub, text_frame
from qautlra.app.trading import connect
from qautlra.auth.passwords import hash_now
from qautlra.auth.rights import Access, Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.config.tree import Feed, Net
from qautlra.feed.directory import Directory
from qautlra.feed.service import FeedService
from qautlra.net.app import NetService
from qautlra.net.deps import Deps
from qautlra.trade.desk import Desk
from tests.net.front import FakeProcess, FakeStore, Reply
from tests.trade.rig import Rig

T = TypeVar("T")
PASSWORD = "Check-pass-1"
CASH = 1_000_000.0


@cache
def _hash() -> str:
    return hash_now(PASSWORD)


class TradingFront:
    """Users: `root` (admin), `ann` (owns acc001), `bob` (acc002), `eye` (sees acc001), `risk`, `clerk`."""

    def __init__(self, directory: Path, options: AuthOptions | None = None, **settings: Any) -> None:
        self.rig = Rig(directory, **settings)
        self.trade = self.rig.trade
        self.auth = AuthService(directory, options or AuthOptions(reads_burst=10_000, reads_per_s=10_000))
        self.desk = Desk(self.trade, directory, self.rig.tape, self.rig.instruments)
        connect(self.auth, self.trade, self.desk)
        self.feed = FeedService(
            hub=Hub(self.rig.tape),
            directory=Directory(self.rig.instruments, self.rig.calendar, self.rig.clock),
            settings=Feed(),
            text_frame=text_frame,
        )
        self.process = FakeProcess()
        self.store = FakeStore()
        self.service = NetService(
            Deps(
                settings=msgspec.convert({"listen": ["127.0.0.1:0"]}, Net),
                clock=self.rig.clock,
                process=self.process,
                feed=self.feed,
                store=self.store,
                auth=self.auth,
                trade=self.trade,
                desk=self.desk,
            )
        )
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._tokens: dict[str, str] = {}
        self._started = threading.Event()
        self._thread.start()
        assert self._started.wait(20)
        self.host, self.port = self.service.addresses[0]
        if not self.auth.users.all():
            self.wait_for(self._make_users())

    async def _make_users(self) -> None:
        roles = {
            "root": Role.ADMIN, "ann": Role.TRADER, "bob": Role.TRADER, "eye": Role.READ_ONLY,
            "risk": Role.RISK_MANAGER, "clerk": Role.SETTLEMENT,
        }  # fmt: skip
        for name, role in roles.items():
            await self.auth.write(self.auth.users.add, name, _hash(), role)
        await self.auth.give_account("ann", "acc001", broker="paper", cash=CASH)
        await self.auth.give_account("bob", "acc002", broker="paper", cash=CASH)
        await self.auth.give_account("eye", "acc001", Access.VIEW)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        services = (self.auth, self.service, self.feed, self.desk, self.trade)
        for service in services:
            self.loop.run_until_complete(service.start())
        self._started.set()
        self.loop.run_forever()
        for service in reversed(services):
            self.loop.run_until_complete(service.stop(1.0))
        self.loop.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
        assert not self._thread.is_alive()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def on_loop(self, call: Callable[[], T]) -> T:
        async def run() -> T:
            return call()

        return self.wait_for(run())

    def tick(self, symbol: str, last: float, **more: float) -> None:
        self.on_loop(lambda: self.rig.tick(symbol, last, **more))

    def quotes(self) -> None:
        self.on_loop(self.rig.quotes)

    def token(self, name: str) -> str:
        if name not in self._tokens:
            login = self.wait_for(self.auth.login(name, PASSWORD))
            self._tokens[name] = login.access_token
        return self._tokens[name]

    def call(self, name: str | None, method: str, path: str, value: Any = None) -> Reply:
        """Call as a user, None as nobody; `value` is sent as JSON, bytes as they are."""
        body = value if isinstance(value, bytes) else None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if name is not None:
            headers["Authorization"] = f"Bearer {self.token(name)}"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return Reply(reply.status, reply.read(), dict(reply.getheaders()))
        finally:
            connection.close()

    def get(self, name: str | None, path: str) -> Any:
        """Return the data of a GET that must succeed."""
        reply = self.call(name, "GET", path)
        assert reply.status == 200 and reply.json["success"], (path, reply.status, reply.body)
        return reply.json["data"]

    def post(self, name: str, path: str, value: Any = None, method: str = "POST") -> Any:
        """Return the data of a change that must succeed."""
        reply = self.call(name, method, path, value)
        assert reply.status == 200 and reply.json["success"], (path, reply.status, reply.body)
        return reply.json["data"]

    def error(self, name: str | None, method: str, path: str, value: Any = None) -> tuple[int, int]:
        """Return (status, code) of a call that must be refused."""
        reply = self.call(name, method, path, value)
        assert reply.json["success"] is False and reply.json["data"] is None, (path, reply.body)
        return reply.status, reply.json["error"]["code"]
