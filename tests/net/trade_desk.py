"""The trade doors for tests: real trading, users and front on one loop; the market is the test's."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from websockets.sync.client import ClientConnection, connect

from qautlra._core.feed import Hub, text_frame
from qautlra.auth.rights import Access, Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.config.tree import Feed, Net
from qautlra.feed.directory import Directory
from qautlra.feed.service import FeedService
from qautlra.net.app import NetService
from qautlra.net.deps import Deps
from tests.net.front import FakeProcess
from tests.trade.rig import ACCOUNT, Rig

T = TypeVar("T")
PASSWORD = "Check-pass-1"
BROKER = "paper"


class TradeDesk:
    """`market.tick` moves prices, `log_in` gives a client; users are `acc001` (1,000,000 CNY) and `other`."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.loop = uvloop.new_event_loop()
        self.auth = AuthService(directory, AuthOptions(login_attempts_per_min=100))
        self.market = Rig(directory, **settings)
        self.trade = self.market.trade
        self.feed = FeedService(
            hub=Hub(self.market.tape),
            directory=Directory(self.market.instruments, self.market.calendar, self.market.clock),
            settings=Feed(batch_interval_ms=10),
            text_frame=text_frame,
        )
        self.net = NetService(
            Deps(
                settings=Net(listen=["127.0.0.1:0"]),
                clock=self.market.clock,
                process=FakeProcess(),
                feed=self.feed,
                trade=self.trade,
                auth=self.auth,
            )
        )
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(20)
        self.host, self.port = self.net.addresses[0]

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        for service in (self.auth, self.trade, self.feed, self.net):
            self.loop.run_until_complete(service.start())
        self.loop.run_until_complete(self._people())
        self._started.set()
        self.loop.run_forever()
        for service in (self.net, self.feed, self.trade, self.auth):
            self.loop.run_until_complete(service.stop(1.0))
        self.loop.close()

    async def _people(self) -> None:
        for name in (ACCOUNT, "other"):
            if self.auth.users.get(name) is None:
                await self.auth.add_user(name, PASSWORD, Role.TRADER)
                self.trade.open_account(name, 1_000_000)
                await self.auth.write(self.auth.users.grant, name, name, Access.OWN, broker=BROKER, cash=0.0)
        self.market.quotes()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
        assert not self._thread.is_alive()

    def on_loop(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run `call` on the server's thread."""

        async def run() -> T:
            return call(*arguments, **named)

        return self.wait_for(run())

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def tick(self, symbol: str, last: float, **more: float) -> None:
        """Publish a snapshot."""
        self.on_loop(self.market.tick, symbol, last, **more)
        self.on_loop(self.feed.on_batch)

    @property
    def base(self) -> str:
        return f"ws://{self.host}:{self.port}"

    @contextmanager
    def client(self, query: str = "", path: str = "/ws/trade") -> Iterator[Trader]:
        """A connection."""
        with connect(self.base + path + query, max_size=None) as ws:
            yield Trader(ws)

    @contextmanager
    def log_in(self, user: str = ACCOUNT, query: str = "", password: str = PASSWORD) -> Iterator[Trader]:
        """A connection that is logged in and holds the whole tree."""
        with self.client(query) as trader:
            trader.log_in(user, password)
            yield trader


class Trader:
    """A DIFF trade client that merges what it is sent, as the protocol says."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.packets: list[dict[str, Any]] = []
        self.tree: dict[str, Any] = {}
        self.user = ""
        self.push = False

    def send(self, **message: Any) -> None:
        self.ws.send(json.dumps(message))

    def receive(self, timeout_s: float = 5.0) -> dict[str, Any]:
        packet: dict[str, Any] = json.loads(self.ws.recv(timeout_s))
        self.packets.append(packet)
        for patch in packet.get("data", ()):
            _merge(self.tree, patch)
        return packet

    def log_in(self, user: str, password: str = PASSWORD, bid: str = BROKER) -> None:
        self.user = user
        self.send(aid="req_login", bid=bid, user_name=user, password=password)
        self.send(aid="peek_message")
        self.until(lambda: self.account.get("trade_more_data") is False)

    def until(self, condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
        """Peek and merge until `condition` holds."""
        while not condition():
            if any("trade" in patch for patch in (self.packets[-1].get("data", ()) if self.packets else ())):
                self.send(aid="peek_message")
            self.receive(timeout_s)

    def order(
        self, order_id: str, symbol: str, direction: str, offset: str, volume: float, price: float | None,
        **more: Any,
    ) -> None:  # fmt: skip
        exchange_id, _, instrument_id = symbol.partition(".")
        message = {
            "aid": "insert_order", "user_id": self.user, "order_id": order_id, "exchange_id": exchange_id,
            "instrument_id": instrument_id, "direction": direction, "offset": offset, "volume": volume,
            "price_type": "LIMIT", "limit_price": price, "volume_condition": "ANY", "time_condition": "GFD",
        }  # fmt: skip
        self.send(**(message | more))

    def finish(self, order_id: str) -> dict[str, Any]:
        """Merge until an order is finished; return it."""
        self.until(lambda: self.orders.get(order_id, {}).get("status") == "FINISHED")
        found: dict[str, Any] = self.orders[order_id]
        return found

    @property
    def account(self) -> dict[str, Any]:
        found: dict[str, Any] = self.tree.get("trade", {}).get(self.user, {})
        return found

    @property
    def orders(self) -> dict[str, Any]:
        found: dict[str, Any] = self.account.get("orders", {})
        return found

    @property
    def funds(self) -> dict[str, Any]:
        found: dict[str, Any] = self.account["accounts"]["CNY"]
        return found

    @property
    def notices(self) -> list[tuple[int, str]]:
        return [(n["code"], n["content"]) for n in self.tree.get("notify", {}).values()]


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
