"""The trade socket on a loopback port: the real service, users and front on one loop, and a DIFF client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from qautlra.auth.rights import Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.config.tree import Net
from qautlra.net.app import NetService
from qautlra.net.deps import Deps
from tests.net.front import FakeProcess
from tests.trade.rig import ACCOUNT, Rig

PASSWORD = "Check-pass-1"


class Client:
    """Merges what the socket says; `tree` is the user's, `notices` every (code, level, content) so far."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.data: dict[str, Any] = {}
        self.notices: list[tuple[int, str, str]] = []
        self.packets: list[dict[str, Any]] = []

    async def send(self, aid: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"aid": aid, **fields}))

    async def login(self, name: str = ACCOUNT, password: str = PASSWORD) -> None:
        await self.send("req_login", bid="paper", user_name=name, password=password)

    async def until(self, done: Callable[[], Any], timeout_s: float = 5.0) -> Any:
        """Peek and merge until `done()` is true; return it."""
        async with asyncio.timeout(timeout_s):
            await self.send("peek_message")
            while not (found := done()):
                await self._take(await self.socket.receive_str())
        return found

    async def notice(self, code: int) -> tuple[int, str, str]:
        """Wait for a notice of that code and take it."""
        found: tuple[int, str, str] = await self.until(
            lambda: next((one for one in self.notices if one[0] == code), None)
        )
        self.notices.remove(found)
        return found

    async def packet(self, aid: str) -> dict[str, Any]:
        """Wait for a packet of that kind and take it."""
        found: dict[str, Any] = await self.until(
            lambda: next((one for one in self.packets if one["aid"] == aid), None)
        )
        self.packets.remove(found)
        return found

    @property
    def tree(self) -> dict[str, Any]:
        found: dict[str, Any] = self.data.get("trade", {}).get(ACCOUNT, {})
        return found

    @property
    def funds(self) -> dict[str, Any]:
        found: dict[str, Any] = self.tree["accounts"]["CNY"]
        return found

    async def _take(self, text: str) -> None:
        packet = json.loads(text)
        if packet["aid"] != "rtn_data":
            self.packets.append(packet)
            return
        for patch in packet["data"]:
            for one in patch.pop("notify", {}).values():
                self.notices.append((one["code"], one["level"], one["content"]))
            _merge(self.data, patch)
        if any("trade" in patch for patch in packet["data"]):
            await self.send("peek_message")


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            known = into.setdefault(key, {})
            _merge(known, value)
        else:
            into[key] = value


class TradeFront(Rig):
    """`async with` starts all of it; `client()` opens a socket."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        super().__init__(directory, **settings)
        self.auth = AuthService(directory, AuthOptions())
        self.net = NetService(
            Deps(
                settings=Net(listen=["127.0.0.1:0"]),
                clock=self.clock,
                process=FakeProcess(),
                trade=self.trade,
                auth=self.auth,
            )
        )

    async def __aenter__(self) -> TradeFront:
        await self.auth.start()
        await super().__aenter__()
        await self.net.start()
        if not self.trade.has(ACCOUNT):
            assert self.trade.open_account(ACCOUNT, 1_000_000).ok
        if self.auth.users.get(ACCOUNT) is None:
            await self.auth.add_user(ACCOUNT, PASSWORD, Role.TRADER)
            await self.auth.give_account(ACCOUNT, ACCOUNT, broker="paper")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.net.stop(1.0)
        await super().__aexit__()
        await self.auth.stop(1.0)

    @property
    def url(self) -> str:
        host, port = self.net.addresses[0]
        return f"http://{host}:{port}"

    @asynccontextmanager
    async def client(self, *, login: bool = True, query: str = "") -> AsyncIterator[Client]:
        """A client, logged in unless told otherwise."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.url}/ws/trade{query}") as socket,
        ):
            client = Client(socket)
            await client.packet("rtn_brokers")
            if login:
                await client.login()
                await client.until(lambda: "accounts" in client.tree)
            yield client


def run(directory: Path, body: Callable[[TradeFront], Any], **settings: Any) -> None:
    """Run `body` against a started front."""

    async def main() -> None:
        async with TradeFront(directory, **settings) as front:
            await asyncio.wait_for(body(front), 30)

    asyncio.run(main())
