"""Connections to RabbitMQ that end in every way while orders are under way, judged by what went in and came.

No order is lost or executed twice, no trade is missing or another when it is told again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pamqp.frame
import pytest
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.bus import Bus, Delivery, Message
from tests.link.amqp_relay import Relay
from tests.link.test_bus import until
from tests.net.test_trade_amqp import CU, Desk
from tests.services import RABBIT_URL, program, require

BURST = 30
IN_FLIGHT = 20
ROUNDS = 3


class Relayed(Desk):
    """The door's connection goes by a relay; the stranger's does not, and keeps what it is told."""

    def __init__(self, directory: Path, relay: Relay) -> None:
        self.relay = relay
        self.heard: list[tuple[str, str]] = []
        super().__init__("rabbit", directory, cash=1e12)

    def make_bus(self) -> Bus:
        url = RABBIT_URL if hasattr(self, "bus") else self.relay.url
        more: dict[str, Any] = {"retry_min_s": 0.01, "retry_max_s": 0.1, "probe_s": 0.2}
        return AmqpBus(AmqpOptions(Secret(url), 64, **more))

    def listen(self) -> None:
        super().listen()
        name = self.settings.transactions_exchange

        def hear(delivery: Delivery) -> None:
            self.heard.append((delivery.message_id, json.loads(delivery.body)["trade_id"]))

        self.client.serve(self.names.queue("h", (name, self.account), needs_ack=False), hear)

    @property
    def link(self) -> AmqpBus:
        assert isinstance(self.bus, AmqpBus)
        return self.bus

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of the channels by which messages come in and go out."""
        assert self.link._incoming is not None and self.link._outgoing is not None
        return self.link._incoming.number, self.link._outgoing.number

    @property
    def consumer(self) -> str:
        return f"qautlra.orders.{self.account}"


async def cut(desk: Relayed) -> None:
    """Without a goodbye; acknowledgements on their way are lost."""
    desk.relay.cut()


async def closed_by_a_person(desk: Relayed) -> None:
    listed = await _rabbitmqctl("list_connections", "pid", "peer_port")
    (pid,) = [
        line.split("\t")[0] for line in listed.splitlines() if line.endswith(f"\t{desk.relay.broker_port}")
    ]
    desk.relay.flow()
    await _rabbitmqctl("close_connection", pid, "maintenance")


async def half_a_frame(desk: Relayed) -> None:
    desk.relay.put_down(b"\x01\x00\x02\x00\x00\x00\x20\x00\x3c")
    desk.relay.cut()


async def acknowledged_twice(desk: Relayed) -> None:
    """The broker closes the channel of our consumers for it, among acknowledgements that are right."""
    desk.relay.put_up((desk.channels[0], commands.Basic.Ack(1 << 40)))
    desk.relay.flow()


async def published_to_nowhere(desk: Relayed) -> None:
    """The broker closes the channel of results."""
    number = desk.channels[1]
    parts = (commands.Basic.Publish(0, "qt.nowhere", "x"), ContentHeader(body_size=1), ContentBody(b"x"))
    desk.relay.put_up(*((number, part) for part in parts))
    desk.relay.flow()


async def consumer_cancelled(desk: Relayed) -> None:
    """The broker has no consumer of ours any more, and says nothing of it."""
    desk.relay.put_up((desk.channels[0], commands.Basic.Cancel(desk.consumer, True)))
    desk.relay.flow()


async def closed_by_nobody(desk: Relayed) -> None:
    """A close of a channel that the broker knows nothing of."""
    desk.relay.put_down(pamqp.frame.marshal(commands.Channel.Close(541, "ODD", 0, 0), desk.channels[0]))
    desk.relay.flow()


async def _rabbitmqctl(*words: str) -> str:
    tool = program("rabbitmqctl")
    made = await asyncio.create_subprocess_exec(tool, "-q", *words, stdout=asyncio.subprocess.PIPE)
    return (await made.communicate())[0].decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [cut, closed_by_a_person, half_a_frame, acknowledged_twice, published_to_nowhere, consumer_cancelled,
     closed_by_nobody],
)  # fmt: skip
def test_no_order_is_lost_or_executed_twice(
    tmp_path: Path, fault: Callable[[Relayed], Awaitable[None]]
) -> None:
    require("RabbitMQ", 5672)

    async def main() -> None:
        relay = Relay(RABBIT_URL)
        async with asyncio.timeout(55), relay.running():
            desk = Relayed(tmp_path, relay)
            async with desk:
                await story(desk)

    async def story(desk: Relayed) -> None:
        desk.rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=10_000_000)
        sent = 0
        for number in range(1, ROUNDS + 1):
            desk.relay.hold()
            await send(desk, number)
            await until(lambda number=number: len(desk.orders()) >= (number - 1) * BURST + IN_FLIGHT)  # type: ignore[misc]
            await fault(desk)
            await send(desk, -number)
            sent = 2 * number * BURST
            await until(lambda number=number: desk.link.connects_count > number)  # type: ignore[misc]
            await until(lambda sent=sent: len(desk.orders()) == sent)  # type: ignore[misc]
            await desk.settled()
        made = desk.rig.trade.orders(desk.account)
        assert len(made) == sent == len({order.order_id for order in made})
        trades = desk.rig.trade.trades(desk.account)
        assert len(trades) == sent and {trade.volume for trade in trades} == {1}
        await until(lambda: len({trade for _, trade in desk.heard}) == sent)
        await asyncio.sleep(0.2)
        assert len(set(desk.heard)) == sent, "a trade told again has another id, or an id another trade"
        assert not desk.door.dead_count and not desk.door.failed.done()

    async def send(desk: Relayed, number: int) -> None:
        """Send a burst; every second order has its message's id only."""
        bodies = [json.dumps(desk.order(None if n % 2 else f"o{number}.{n}")).encode() for n in range(BURST)]
        await desk.client.publish(
            [
                Message(desk.settings.exchange, desk.account, body, f"m{number}.{n}")
                for n, body in enumerate(bodies)
            ]
        )

    asyncio.run(main())
