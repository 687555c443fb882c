"""RabbitMQ's door before brokers outside that are away: their accounts' queues wait, nobody else's does."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from qautlra.base import metrics
from qautlra.base.secret import Secret
from qautlra.link.bus import Message
from qautlra.link.memory_bus import MemoryBus
from qautlra.link.trade_client import TradeClientOptions
from qautlra.net.amqp_out import Cursor
from qautlra.net.trade_amqp import AmqpSettings, TradeAmqp
from qautlra.trade.brokers.base import AccountBroker
from qautlra.trade.brokers.diff import DiffBroker
from tests.ctp.test_broker import until
from tests.trade.rig import Rig
from tests.trade.test_diff_broker import USER, Gateway, shown
from tests.trade.test_router import House, play, release

__all__ = ["release"]
PREFETCH = 8


class Away(Gateway):
    """A gateway that can be away: whoever knocks then is sent off."""

    is_away = False

    async def talk(self, socket: ServerConnection) -> None:
        if self.is_away:
            await socket.close()
            return
        await super().talk(socket)

    @property
    def inserted(self) -> list[str]:
        return [frame["order_id"] for frame in self.got if frame["aid"] == "insert_order"]


class Desk:
    """One run of the house and its door; `USER` trades at the gateway, `here` on the house's own exchange."""

    def __init__(self, directory: Path, gateway: Away, bus: MemoryBus) -> None:
        self.directory, self.gateway, self.bus = directory, gateway, bus
        self.rig = Rig(directory)
        self.trade = self.rig.trade
        self.trade.router.sites = self
        self.names = ["far"]
        self.door = TradeAmqp(
            trade=self.trade, bus=bus, cursor=Cursor(directory / "cursor"),
            resolve=self.rig.instruments.canonical, now_ns=self.rig.clock.now_ns,
            settings=AmqpSettings(account_interval_ms=20),
        )  # fmt: skip
        self.events: list[tuple[int, str]] = []
        told = self.door._results.event

        def event(account_id: str, data: dict[str, Any]) -> None:
            self.events.append((data["code"], data["order_id"]))
            told(account_id, data)

        self.door._results.event = event  # type: ignore[method-assign]

    def make(self, name: str, account: str) -> AccountBroker:
        options = TradeClientOptions(
            self.gateway.url, "far", account, Secret("pass"), retry_min_s=0.02, retry_max_s=0.05
        )
        return DiffBroker(options, account=account, name=name)

    async def __aenter__(self) -> "Desk":
        await self.rig.__aenter__()
        self.rig.quotes()
        self.trade.open_account("here", 1e9)
        await self.trade.bind(USER, "far")
        await self.trade.router.start()
        if not self.gateway.is_away:
            await until(lambda: self.trade.takes_orders(USER))
        await self.door.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self.door.failed.done()
        await self.door.stop(1.0)
        await self.trade.router.stop(1.0)
        await self.rig.__aexit__()

    async def send(self, account: str, *order_ids: str) -> None:
        await self.bus.publish([order(account, name) for name in order_ids])

    async def others_go_on(self, mark: str) -> None:
        """Send more than the prefetch for the other account: all is executed and acknowledged meanwhile."""
        before = self.bus.unacked_count
        count = len(self.trade.orders("here"))
        await self.send("here", *(f"{mark}{n}" for n in range(5 * PREFETCH)))
        await until(lambda: len(self.trade.orders("here")) == count + 5 * PREFETCH)
        await until(lambda: self.bus.unacked_count == before)


def order(account: str, order_id: str) -> Message:
    data = {"instrument_id": "cu2109", "exchange_id": "SHFE", "price": 74000, "volume": 1}
    data |= {"direction": "BUY", "offset": "OPEN", "order_id": order_id}
    body = {"topic": "order", "action": "send_order", "account_cookie": account, "data": data}
    return Message("QAORDER_ROUTER", account, json.dumps(body).encode())


def tell(tmp_path: Path, story: Callable[[Callable[[str], Desk], Away, MemoryBus], Awaitable[None]]) -> None:
    async def main() -> None:
        gateway, bus = Away(), MemoryBus(prefetch_count=PREFETCH)
        async with asyncio.timeout(40), serve(gateway.talk, "127.0.0.1", 0) as server:
            gateway.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            await story(lambda name: Desk(tmp_path / name, gateway, bus), gateway, bus)

    asyncio.run(main())


def fill(queue: str) -> float:
    head = f'qautlra_base_queue_fill{{queue="{queue}",unit="count",when_full="block"}} '
    (line,) = [one for one in metrics.render().decode().splitlines() if one.startswith(head)]
    return float(line.removeprefix(head))


@pytest.mark.parametrize("came", [True, False])
def test_an_order_whose_gateway_is_lost_waits_for_it_alone(tmp_path: Path, came: bool) -> None:
    """Until a login shows it, or does not: then it stays unknown and is never sent again."""

    async def story(desk_of: Callable[[str], Desk], gateway: Away, bus: MemoryBus) -> None:
        async with desk_of("first") as desk:
            gateway.silent, gateway.deaf, gateway.is_away = came, not came, True
            await desk.send(USER, "m1")
            await until(lambda: not desk.trade.takes_orders(USER) and gateway.inserted)
            await desk.others_go_on("a")
            assert bus.unacked_count == 1 and fill("net_amqp_waiting") == 1
            assert desk.door.health()["waiting_accounts"] == [USER]
            await desk.send(USER, "m2")  # for the first time: refused, it does not wait
            await until(lambda: (5002, "m2") in desk.events and bus.unacked_count == 1)
            gateway.is_away = False
            await until(lambda: bus.unacked_count == 0)
            assert gateway.inserted == ["m1"] and desk.trade.takes_orders(USER)
            (one,) = desk.trade.orders(USER)
            assert ("状态未知" in one.message) is not came and fill("net_amqp_waiting") == 0

    tell(tmp_path, story)


@pytest.mark.parametrize("came", [True, False])
def test_what_comes_again_waits_until_the_gateway_tells_whether_it_has_it(tmp_path: Path, came: bool) -> None:
    async def story(desk_of: Callable[[str], Desk], gateway: Away, bus: MemoryBus) -> None:
        async with desk_of("first") as desk:
            gateway.silent, gateway.deaf, gateway.is_away = came, not came, True
            await desk.send(USER, "m1")
            await until(lambda: not desk.trade.takes_orders(USER) and gateway.inserted)
        bus.cut()
        async with desk_of("second") as desk:  # of which no memory but the bus's and the gateway's
            await until(lambda: desk.door.unacked_count == 1)
            await desk.others_go_on("b")
            await desk.send(USER, "m2")
            await until(lambda: (5002, "m2") in desk.events and bus.unacked_count == 1)
            assert desk.events == [(5002, "m2")] and fill("net_amqp_waiting") == 1
            gateway.is_away = False
            await until(lambda: bus.unacked_count == 0)
            await until(lambda: len(gateway.inserted) == (1 if came else 2))
            assert set(gateway.inserted) == {"m1"} and desk.door.seen_before_count == came
            assert desk.events == [(5002, "m2")]
            await desk.send(USER, "m3")
            await until(lambda: "m3" in gateway.inserted and bus.unacked_count == 0)

    tell(tmp_path, story)


def test_an_account_may_have_so_much_waiting_and_no_more(tmp_path: Path) -> None:
    """A gateway that takes orders and says nothing: beyond the prefetch they stay in the queue."""

    async def story(desk_of: Callable[[str], Desk], gateway: Away, bus: MemoryBus) -> None:
        async with desk_of("first") as desk:
            gateway.mute = True
            await desk.send(USER, *(f"m{n}" for n in range(3 * PREFETCH)))
            await until(lambda: len(gateway.inserted) == PREFETCH)
            await desk.others_go_on("c")
            assert len(gateway.inserted) == PREFETCH and fill("net_amqp_waiting") == PREFETCH
            gateway.mute = False
            gateway.orders |= {name: shown(name) for name in gateway.inserted}
            for socket in gateway.sockets:
                await socket.close()
            await until(
                lambda: bus.unacked_count == 0 and len(gateway.inserted) + len(desk.events) >= 3 * PREFETCH
            )

    tell(tmp_path, story)


def test_a_ctp_order_that_is_noted_waits_for_nobody(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bus = MemoryBus(prefetch_count=PREFETCH)
        door = TradeAmqp(
            trade=house.trade, bus=bus, cursor=Cursor(house.directory / "cursor"),
            resolve=house.rig.instruments.canonical, now_ns=house.rig.clock.now_ns,
        )  # fmt: skip
        await door.start()
        house.broker._session.request = lambda *_: 0  # type: ignore[method-assign]  # sent, and lost on the way
        await bus.publish([order("one", f"m{n}") for n in range(3 * PREFETCH)])
        await until(lambda: len(house.trade.orders("one")) == 3 * PREFETCH and bus.unacked_count == 0)
        assert house.broker.book.unknown_count == 3 * PREFETCH and not door.failed.done()
        for connection in list(house.venue.service.connections):
            connection.cut("test")
        await until(lambda: not house.broker.is_synced)
        assert not door.failed.done()
        await door.stop(1.0)

    play(tmp_path, story)
