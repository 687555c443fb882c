"""The RabbitMQ door before a broker that refuses, is full, or takes nothing for a while."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import aiormq
import pytest

from qautlra.base import metrics
from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.amqp_reader import BODY_BYTES
from qautlra.link.bus import Bus
from qautlra.net import amqp_letters
from qautlra.wire.orders import MESSAGE_BYTES
from tests.link.amqp_relay import Relay
from tests.link.test_bus import until
from tests.net.test_trade_amqp import CU, Desk, run
from tests.services import RABBIT_URL, require


def test_an_account_whose_queue_is_somebody_elses_is_alone_without_its_door(tmp_path: Path) -> None:
    require("RabbitMQ", 5672)

    class Taken(Desk):
        async def __aenter__(self) -> Desk:
            connection = await aiormq.connect(RABBIT_URL)
            await (await connection.channel()).queue_declare(f"qautlra.orders.{self.account}", durable=True)
            await connection.close()
            return await super().__aenter__()

    async def body(desk: Desk) -> None:
        other = desk.account + "x"
        await desk.send(desk.order("waits"))
        await desk.send(desk.order("goes", account_cookie=other), key=other)
        await until(lambda: desk.rig.trade.orders(other))
        health = desk.door.health()
        assert health["state"] == "connected" and desk.account in health["error"]
        assert list(health["refused"]) == [f"queue qautlra.orders.{desk.account}"]
        assert b"\nqautlra_net_amqp_refused_count 1.0\n" in metrics.render()
        assert not desk.orders()
        connection = await aiormq.connect(RABBIT_URL)
        await (await connection.channel()).queue_delete(f"qautlra.orders.{desk.account}")
        await connection.close()
        await until(lambda: not desk.bus.refused_count)
        await desk.send(desk.order("mine"))
        await until(lambda: "mine" in desk.orders())
        assert isinstance(desk.bus, AmqpBus) and desk.bus.connects_count == 1
        assert "refused" not in desk.door.health()

    run(Taken("rabbit", tmp_path), body)


def test_a_dead_letter_that_is_not_taken_waits_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue refuses what is beyond its bound; a broker says so only of what is to be confirmed."""
    require("RabbitMQ", 5672)

    async def body(desk: Desk) -> None:
        await desk.send(*(b"junk %d" % n for n in range(30)), desk.order("good"))
        await until(lambda: "good" in desk.orders() and desk.door._letters.refused_count)
        assert "does not take" in desk.door.health()["error"]
        waiting = desk.door.health()["dead_waiting"]
        assert 0 < waiting < 30 and b"\nqautlra_net_amqp_dead_waiting_count" in metrics.render()
        await until(lambda: desk.door.unacked_count == desk.door._letters.waiting_count)
        await desk.send(*(desk.order(f"g{n}") for n in range(100)))  # more than the prefetch
        await until(lambda: len(desk.orders()) == 101)
        got: list[bytes] = []
        connection = await aiormq.connect(RABBIT_URL)
        channel = await connection.channel()

        async def take(message: Any) -> None:
            got.append(message.body)

        await channel.basic_consume(amqp_letters.DEAD_QUEUE, take, no_ack=True)
        await desk.settled()
        await until(lambda: len(set(got)) == 30)
        health = desk.door.health()  # its queue has other arguments than ours, and that is all
        assert "(406)" in health["error"] and "does not take" not in health["error"]
        assert not health["dead_waiting"]
        await connection.close()

    async def main(desk: Desk) -> None:
        desk.names.queues.append(amqp_letters.DEAD_QUEUE)
        connection = await aiormq.connect(RABBIT_URL)
        full = {"x-max-length": 5, "x-overflow": "reject-publish"}
        channel = await connection.channel()
        await channel.queue_declare(amqp_letters.DEAD_QUEUE, durable=True, arguments=full)
        await connection.close()
        async with asyncio.timeout(40), desk:
            await body(desk)

    monkeypatch.setattr(amqp_letters, "DEAD_QUEUE", f"qt.{tmp_path.name}.{os.getpid()}.dead")
    asyncio.run(main(Desk("rabbit", tmp_path)))


def test_a_broker_that_blocks_its_publishers_is_waited_for(tmp_path: Path) -> None:
    """Orders of the prefetch are executed, nothing is told; then everything once, on the same connection."""
    require("RabbitMQ", 5672)
    relay = Relay(RABBIT_URL)

    class Relayed(Desk):
        def make_bus(self) -> Bus:
            """The door's comes by the relay, the stranger's does not."""
            options = {"retry_max_s": 0.3, "probe_s": 0.1, "answer_timeout_s": 0.3}
            url = RABBIT_URL if hasattr(self, "bus") else relay.url
            return AmqpBus(AmqpOptions(Secret(url), 16, **options))  # type: ignore[arg-type]

    async def body(desk: Desk) -> None:
        desk.rig.tick(CU, 75_000, ask_price1=75_000, ask_volume1=100_000)
        await desk.send(desk.order("before"))
        await until(lambda: len(desk.trades) == 1)
        await desk.settled()
        await asyncio.sleep(0.1)  # what is acknowledged has gone
        told = len(desk.told)
        relay.block()
        await until(lambda: desk.bus.is_blocked)
        await desk.send(*(desk.order(f"o{n}") for n in range(60)), b"junk")
        await until(lambda: len(desk.orders()) == 17)
        await asyncio.sleep(1.0)  # longer than an answer is waited for, and many probes
        health = desk.door.health()
        assert health["state"] == "blocked" and "low on memory" in health["error"]
        assert health["blocked_s"] >= 1.0 and health["connects"] == 1 and desk.bus.is_connected
        assert b"\nqautlra_net_amqp_blocked_count 1.0\n" in metrics.render()
        assert (len(desk.orders()), len(desk.trades), len(desk.told)) == (17, 1, told)
        assert relay.held_bytes < 20_000
        made = desk.account + "made"  # an account that comes meanwhile is served afterwards
        desk.names.queues.append(f"qautlra.orders.{made}")
        assert desk.rig.trade.open_account(made, 1_000_000).ok
        await asyncio.sleep(0.4)
        relay.unblock()
        await until(lambda: len(desk.trades) == 61)
        await desk.settled()
        assert len({trade["trade_id"] for trade in desk.trades}) == 61 and desk.door.dead_count == 1
        await until(lambda: f"qautlra.orders.{made}" in [one.decode() for one in desk.bus._consuming])  # type: ignore[attr-defined]
        health = desk.door.health()
        assert (health["state"], health["connects"], health["redelivered"]) == ("connected", 1, 0)
        assert "error" not in health and not health["dead_waiting"]
        relay.block()
        await until(lambda: desk.bus.is_blocked)
        relay.cut()
        await until(lambda: desk.door.health()["connects"] == 2)
        assert desk.door.health()["state"] == "connected" and not desk.bus.is_blocked

    async def main() -> None:
        async with asyncio.timeout(40), relay.running():
            desk = Relayed("rabbit", tmp_path, cash=1e9)
            async with desk:
                await body(desk)

    asyncio.run(main())


def test_messages_that_are_no_orders_for_their_length_take_little_memory(tmp_path: Path) -> None:
    """A prefetch full of them waits behind an order for an instrument that does not come."""
    require("RabbitMQ", 5672)

    def held() -> float:
        found = [
            line for line in metrics.render().splitlines() if line.startswith(b"qautlra_net_amqp_held_bytes ")
        ]
        return float(found[0].split()[1])

    async def body(desk: Desk) -> None:
        long = desk.order("long", note="x" * 300_000)
        await desk.send(desk.order("first", code="cu2112"), *[long] * 80, desk.order("good"))
        await until(lambda: desk.door.unacked_count == 64)
        assert 63 * MESSAGE_BYTES < held() <= 64 * BODY_BYTES
        await until(lambda: "good" in desk.orders())
        await desk.settled()
        assert list(desk.orders()) == ["good"] and desk.door.dead_count == 80 and held() == 0
        told = [event["text"] for event in desk.events() if "65536" in event["text"]]
        assert len(told) == 80

    assert BODY_BYTES == MESSAGE_BYTES + 1
    run(Desk("rabbit", tmp_path, instrument_wait_s=1.0), body)
