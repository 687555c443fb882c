"""A feed without sockets: the real hub on a small market, sinks that remember, a loop whose time is ours."""

import asyncio
import json
from typing import Any

from qautlra._core.feed import Hub, text_frame
from qautlra._core.tape import Tape
from qautlra.config.tree import Feed, Incremental
from qautlra.feed.client import Client
from qautlra.feed.context import Flow
from qautlra.feed.directory import Directory
from qautlra.feed.service import FeedService
from tests.models.market import MORNING_NS, SYMBOLS, Market
from tests.models.wire import merge, messages

IF, AU, AU12, IF03 = range(4)
PEEK = '{"aid":"peek_message"}'


class FakeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock only `advance` moves; nothing ever waits in real time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def turn(self, times: int = 5) -> None:
        for _ in range(times):
            self.call_soon(self.stop)
            self.run_forever()

    def advance(self, seconds: float, step: float = 0.05) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + step)
            self.turn(2)


class FakeSink:
    """A connection that keeps what is written; `stuck` holds bytes back like a client that does not read."""

    outlet = None
    deflate = None

    def __init__(self) -> None:
        self.data = b""
        self.pings = 0
        self.stuck = False
        self.backlog = 0
        self.held = False
        self.closed: tuple[int, str] | None = None

    def write(self, frames: bytes) -> None:
        assert self.closed is None, "written after goodbye"
        self.data += frames
        if self.stuck:
            self.backlog += len(frames)

    def buffered(self) -> int:
        return self.backlog

    def ping(self) -> None:
        self.pings += 1

    def hold(self, held: bool) -> None:
        self.held = held

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


class Peer:
    """A test's client: says things, reads what came since, merges data into `tree`."""

    def __init__(self, rig: "Rig", flow: Flow | None = None, stamp: bool = False) -> None:
        self.rig = rig
        self.sink = FakeSink()
        self.tree: dict[str, Any] = {}

        async def attach() -> Client:
            return rig.feed.attach(self.sink, flow=flow, stamp=stamp)

        self.client = rig.loop.run_until_complete(attach())

    def say(self, message: str | dict[str, Any]) -> list[Any]:
        text = message if isinstance(message, str) else json.dumps(message)

        async def receive() -> None:
            self.rig.feed.receive(self.client, text)

        self.rig.loop.run_until_complete(receive())
        return self.read()

    def read(self) -> list[Any]:
        found = messages(self.sink.data)
        self.sink.data = b""
        for message in found:
            if message.get("aid") == "rtn_data":
                for part in message["data"]:
                    merge(self.tree, part)
        return found

    def aid(self, names: str) -> list[Any]:
        return self.say({"aid": "subscribe_quote", "ins_list": names})

    def legacy(self, *names: str) -> list[Any]:
        return self.say({"type": "subscribe", "payload": {"instruments": list(names)}})

    def quotes(self, found: list[Any]) -> list[dict[str, Any]]:
        return [p["quotes"] for m in found if m.get("aid") == "rtn_data" for p in m["data"] if "quotes" in p]

    def leave(self) -> None:
        self.rig.feed.detach(self.client)


class Rig:
    def __init__(self, *, incremental: bool = True, **settings: Any) -> None:
        self.loop = FakeLoop()
        asyncio.set_event_loop(self.loop)
        self.market = Market()
        self.tape = Tape(self.market.instruments, self.market.calendar, 1024)
        self.hub = Hub(self.tape)
        self.demands: list[frozenset[str]] = []
        self.market_now_ns = 0  # stands still, so that only the loop's time makes flushes due
        self.feed = FeedService(
            hub=self.hub,
            directory=Directory(self.market.instruments),
            settings=Feed(incremental=Incremental(enabled=incremental), **settings),
            text_frame=text_frame,
            market_now_ns=lambda: self.market_now_ns,
            demand_changed=self.demands.append,
        )
        self.now_ns = MORNING_NS
        self.loop.run_until_complete(self.feed.start())

    def peer(self, **options: Any) -> Peer:
        return Peer(self, **options)

    def tick(self, *changes: tuple[int | str, dict[str, Any]]) -> None:
        """Publish one row per change, then let the cursors drain, as the pump does."""
        self.now_ns += 500_000_000
        for instrument, values in changes:
            symbol = SYMBOLS[instrument] if isinstance(instrument, int) else instrument
            self.market.instruments.intern(symbol)
            row = {"instrument_id": symbol, "datetime": self.now_ns, "last_price": 1.0} | values
            assert self.tape.publish(self.market.rows(row)) == 1

        async def drain() -> None:
            self.feed.on_batch()

        self.loop.run_until_complete(drain())

    def close(self) -> None:
        self.loop.run_until_complete(self.feed.cancel_tasks(1.0))
        self.loop.close()
        asyncio.set_event_loop(None)
