"""One body of tests for the broker and its embedded twin; then what only a real connection can show."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiormq
import pytest

from qautlra.base.errors import LinkError
from qautlra.base.secret import Secret
from qautlra.link.amqp import AmqpBus, AmqpOptions, check_url
from qautlra.link.amqp_frames import acknowledge, bind, encode
from qautlra.link.bus import Bus, Delivery, Exchange, Message, Queue
from qautlra.link.memory_bus import MemoryBus, _matches
from tests.services import RABBIT_URL, rabbit_url, require

__all__ = ["rabbit_url"]


async def until(true: Callable[[], object], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Names:
    """Names nobody else uses; what was made at a broker is deleted at the end."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex[:8]
        self.exchanges: list[str] = []
        self.queues: list[str] = []

    def exchange(self, kind: Any = "direct", name: str = "x") -> Exchange:
        found = Exchange(f"qt.{self.mark}.{name}", kind)
        self.exchanges.append(found.name)
        return found

    def queue(self, name: str, *bindings: tuple[str, str], **more: Any) -> Queue:
        found = Queue(f"qt.{self.mark}.{name}", bindings, **more)
        self.queues.append(found.name)
        return found

    async def clean_exchange(self, name: str) -> None:
        connection = await aiormq.connect(RABBIT_URL)
        await (await connection.channel()).exchange_delete(name)
        await connection.close()

    async def clean(self) -> None:
        connection = await aiormq.connect(RABBIT_URL)
        channel = await connection.channel()
        for queue in set(self.queues):
            await channel.queue_delete(queue)
        for exchange in set(self.exchanges):
            await channel.exchange_delete(exchange)
        await connection.close()


class Rig:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.names = Names()

    def make(self, prefetch_count: int = 16) -> Bus:
        if self.kind == "memory":
            return MemoryBus(prefetch_count=prefetch_count)
        more = {"body_bytes": 1 << 20, "retry_max_s": 0.5, "probe_s": 0.2}
        return AmqpBus(AmqpOptions(Secret(RABBIT_URL), prefetch_count, **more))  # type: ignore[arg-type]

    async def cut(self, bus: Bus) -> None:
        """Lose the connection without a goodbye."""
        if isinstance(bus, MemoryBus):
            bus.cut()
            return
        assert isinstance(bus, AmqpBus) and bus._incoming is not None
        before = bus.connects_count
        writer = bus._incoming.connection
        await writer.close(ConnectionError("cut"))
        await until(lambda: bus.connects_count > before)

    @asynccontextmanager
    async def running(self, bus: Bus) -> Any:
        task = asyncio.create_task(bus.run())
        try:
            await until(lambda: bus.is_connected)
            yield bus
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=["memory", "rabbit"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    if request.param == "rabbit":
        require("RabbitMQ", 5672)
    made = Rig(request.param)
    yield made
    if request.param == "rabbit":
        asyncio.run(made.names.clean())


def run(work: Awaitable[None]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(30):
            await work

    asyncio.run(timed())


def test_messages_come_in_order_and_are_gone_when_acknowledged(rig: Rig) -> None:
    async def work() -> None:
        bus, got = rig.make(), list[Delivery]()
        exchange = rig.names.exchange()
        bus.declare(exchange)
        bus.serve(rig.names.queue("a", (exchange.name, "acc001")), got.append)
        async with rig.running(bus):
            await bus.publish([Message(exchange.name, "acc001", b"%d" % n, f"m{n}") for n in range(40)])
            await bus.publish([Message(exchange.name, "other", b"not mine")])
            await until(lambda: len(got) == 16)  # the prefetch bound
            await asyncio.sleep(0.05)
            assert len(got) == 16
            while len(got) < 40:
                await bus.ack(got)
                seen = len(got)
                await until(lambda seen=seen: len(got) > seen)  # type: ignore[misc]
            assert [delivery.body for delivery in got] == [b"%d" % n for n in range(40)]
            assert [delivery.message_id for delivery in got] == [f"m{n}" for n in range(40)]
            await bus.ack(got)
            assert not any(delivery.redelivered for delivery in got)

    run(work())


def test_what_was_not_acknowledged_comes_again_after_a_cut(rig: Rig) -> None:
    async def work() -> None:
        bus, got = rig.make(), list[Delivery]()
        exchange = rig.names.exchange("fanout")
        bus.declare(exchange)
        bus.serve(rig.names.queue("a", (exchange.name, "")), got.append)
        async with rig.running(bus):
            await bus.publish([Message(exchange.name, "anything", b"%d" % n) for n in range(10)])
            await until(lambda: len(got) == 10)
            await bus.ack(got[:4])
            await bus.publish([])
            await asyncio.sleep(0.05)
            await rig.cut(bus)
            await until(lambda: len(got) == 16)
            assert [int(delivery.body) for delivery in got[10:]] == [4, 5, 6, 7, 8, 9]
            assert all(delivery.redelivered for delivery in got[10:])
            await bus.ack(got[9:10])  # of the connection that is gone: nothing happens
            await bus.ack(got)
            await bus.publish([Message(exchange.name, "", b"next")])
            await until(lambda: got[-1].body == b"next")

    run(work())


def test_each_is_acknowledged_by_itself_and_a_full_queue_stops_no_other(rig: Rig) -> None:
    async def work() -> None:
        bus, stuck, flows = rig.make(4), list[Delivery](), list[Delivery]()
        exchange = rig.names.exchange()
        bus.declare(exchange)
        bus.serve(rig.names.queue("stuck", (exchange.name, "stuck")), stuck.append)
        bus.serve(rig.names.queue("flows", (exchange.name, "flows")), flows.append)
        async with rig.running(bus):
            await bus.publish([Message(exchange.name, "stuck", b"%d" % n) for n in range(8)])
            await until(lambda: len(stuck) == 4)
            for start in range(0, 12, 4):
                await bus.publish(
                    [Message(exchange.name, "flows", b"%d" % n) for n in range(start, start + 4)]
                )
                await until(lambda start=start: len(flows) == start + 4)  # type: ignore[misc]
                await bus.ack(flows[-4:])
            await bus.ack([*stuck[1:2], *stuck[1:2], *flows])  # once is enough, and twice does no harm
            await until(lambda: len(stuck) == 5)
            assert bus.unacked_count == 4  # type: ignore[attr-defined]
            await bus.publish([])
            await rig.cut(bus)
            await until(lambda: len(stuck) == 9)
            assert [int(one.body) for one in stuck] == [0, 1, 2, 3, 4, 0, 2, 3, 4]
            assert [one.redelivered for one in stuck] == [False] * 5 + [True] * 4
            await bus.ack(stuck)
            await until(lambda: len(stuck) == 12)
            assert len(flows) == 12

    run(work())


def test_topics_reach_whom_they_are_for(rig: Rig) -> None:
    async def work() -> None:
        bus = rig.make()
        exchange = rig.names.exchange("topic")
        got: dict[str, list[bytes]] = {"all": [], "one": [], "words": []}
        bus.declare(exchange)
        for name, key in (("all", "#"), ("one", "acc001.*"), ("words", "*.trade")):
            queue = rig.names.queue(name, (exchange.name, key))
            bus.serve(queue, lambda delivery, name=name: got[name].append(delivery.body))  # type: ignore[misc]
        async with rig.running(bus):
            keys = ("acc001.order", "acc001.trade", "acc002.trade")
            await bus.publish([Message(exchange.name, key, key.encode()) for key in keys])
            await until(lambda: len(got["all"]) == 3 and len(got["words"]) == 2 and len(got["one"]) == 2)
            assert got["one"] == [b"acc001.order", b"acc001.trade"]

    run(work())


def test_a_queue_can_be_added_later_and_bounded(rig: Rig) -> None:
    async def work() -> None:
        bus, got = rig.make(), list[bytes]()
        async with rig.running(bus):
            dead = rig.names.queue("dead", length_count=5, one_consumer=False)
            bus.serve(dead, None)
            await asyncio.sleep(0.2)
            assert all(await bus.keep([Message("", dead.name, b"%d" % n, "", "不是订单") for n in range(9)]))
            bus.serve(dead, lambda delivery: got.append(delivery.body))
            await until(lambda: len(got) == 5)
            assert got == [b"4", b"5", b"6", b"7", b"8"]

    run(work())


def test_an_exchange_of_another_kind_is_reported(rig: Rig) -> None:
    async def work() -> None:
        bus = rig.make()
        bus.declare(rig.names.exchange("direct"))
        async with rig.running(bus):
            if isinstance(bus, MemoryBus):
                with pytest.raises(LinkError, match="406"):
                    bus.declare(rig.names.exchange("fanout"))
                return
            other, got = rig.make(), list[bytes]()
            assert isinstance(other, AmqpBus)
            wrong, right = rig.names.exchange("fanout"), rig.names.exchange("topic", "y")
            other.declare(wrong, right)
            queue = rig.names.queue("in", (wrong.name, "k"), (right.name, "k"))
            other.serve(queue, lambda delivery: got.append(delivery.body))
            async with rig.running(other):
                health = other.health()
                assert (
                    "406" in health["error"] and "fanout" in health["error"] and wrong.name in health["error"]
                )
                assert (list(health["refused"]), other.refused_count) == ([f"exchange {wrong.name}"], 1)
                waits = asyncio.create_task(other.publish([Message(wrong.name, "", b"waits")]))
                await bus.publish([Message(wrong.name, "k", b"not for us: another kind of exchange")])
                await other.publish([Message(right.name, "k", b"of the right one")])
                await until(lambda: got == [b"of the right one"])
                assert not waits.done()
                await rig.names.clean_exchange(wrong.name)
                await until(lambda: got == [b"of the right one", b"waits"])
                await waits
                assert not other.refused_count and "error" not in other.health()

    run(work())


def test_large_and_empty_bodies(rig: Rig) -> None:
    async def work() -> None:
        bus, got = rig.make(), list[bytes]()
        queue = rig.names.queue("big")
        bus.serve(queue, lambda delivery: got.append(delivery.body))
        async with rig.running(bus):
            sent = [b"", b"x" * 500_000, bytes(range(256)) * 512]
            await bus.publish([Message("", queue.name, body) for body in sent])
            await until(lambda: len(got) == 3)
            assert got == sent

    run(work())


def test_only_one_of_two_owners_is_served(rabbit_url: str) -> None:
    async def work() -> None:
        rig = Rig("rabbit")
        queue = rig.names.queue("owned")
        first, second, got = rig.make(), rig.make(), list[tuple[int, Delivery]]()
        first.serve(queue, lambda delivery: got.append((1, delivery)))
        second.serve(queue, lambda delivery: got.append((2, delivery)))
        try:
            async with rig.running(second), rig.running(first):
                await first.publish([Message("", queue.name, b"%d" % n) for n in range(8)])
                await until(lambda: len(got) == 8)
                assert {owner for owner, _ in got} == {2}
                await second.ack([delivery for _, delivery in got[:6]])
                await second.publish([])
        finally:
            await rig.names.clean()

    run(work())


def test_a_consumer_the_broker_lost_is_noticed(rabbit_url: str) -> None:
    """The queue is deleted behind our back: the connection stays, and nothing would ever come."""

    async def work() -> None:
        rig = Rig("rabbit")
        queue = rig.names.queue("lost")
        bus, got = rig.make(), list[bytes]()
        bus.serve(queue, lambda delivery: got.append(delivery.body))
        try:
            async with rig.running(bus):
                assert isinstance(bus, AmqpBus)
                connection = await aiormq.connect(rabbit_url)
                await (await connection.channel()).queue_delete(queue.name)
                await connection.close()
                await until(lambda: bus.connects_count == 2)
                await bus.publish([Message("", queue.name, b"again")])
                await until(lambda: got == [b"again"])
        finally:
            await rig.names.clean()

    run(work())


def test_a_broker_that_is_away_is_waited_for() -> None:
    async def work() -> None:
        bus = AmqpBus(
            AmqpOptions(Secret("amqp://guest:hidden@127.0.0.1:1/"), retry_min_s=0.01, retry_max_s=0.02)
        )
        task = asyncio.create_task(bus.run())
        sending = asyncio.create_task(bus.publish([Message("", "q", b"x")]))
        await until(lambda: bus.failures_count >= 3)
        assert bus.error and not sending.done() and "hidden" not in str(bus.health())
        for one in (sending, task):
            one.cancel()
        await asyncio.gather(task, sending, return_exceptions=True)

    run(work())


def test_a_virtual_host_that_is_not_there_is_named(rabbit_url: str) -> None:
    async def main() -> None:
        bus = AmqpBus(AmqpOptions(Secret(rabbit_url.rstrip("/") + "/no%20such")))
        running = asyncio.create_task(bus.run())
        await until(lambda: "error" in bus.health())
        assert bus.health()["error"].startswith("the broker has no virtual host 'no such'")
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())


def test_urls() -> None:
    assert check_url("amqp://a:b@localhost:5672/")
    for wrong in ("http://x", "amqp://", "amqp://h:0/", "amqp://h:99999/", "localhost:5672"):
        with pytest.raises(LinkError):
            check_url(wrong)


def test_frames_are_what_the_library_would_send() -> None:
    import pamqp.frame
    from pamqp import commands
    from pamqp.header import ContentHeader

    data = encode(
        [Message("QATRANSACTION", "acc001", b"{}" * 30, "t1"), Message("", "q", b"", reason="why")], 3, 64
    )
    frames: list[Any] = []
    while data:
        used, channel, frame = pamqp.frame.unmarshal(data)
        assert channel == 3
        frames.append(frame)
        data = data[used:]
    assert isinstance(frames[0], commands.Basic.Publish) and frames[0].exchange == "QATRANSACTION"
    assert isinstance(frames[1], ContentHeader) and frames[1].body_size == 60
    assert (frames[1].properties.message_id, frames[1].properties.delivery_mode) == ("t1", 1)
    assert b"".join(frame.value for frame in frames[2:4]) == b"{}" * 30
    used, channel, ack = pamqp.frame.unmarshal(acknowledge(3, 1 << 40, all_before=True))
    assert isinstance(ack, commands.Basic.Ack) and (channel, ack.delivery_tag, ack.multiple) == (
        3,
        1 << 40,
        True,
    )
    assert frames[5].properties.headers == {"reason": "why"} and frames[5].properties.delivery_mode == 2
    assert frames[4].mandatory and not frames[0].mandatory  # what is kept has to arrive somewhere
    used, channel, again = pamqp.frame.unmarshal(bind(3, "q", "x", "acc001"))
    assert isinstance(again, commands.Queue.Bind) and again.nowait
    assert (channel, again.queue, again.exchange, again.routing_key) == (3, "q", "x", "acc001")


def test_a_message_id_that_grew_when_it_was_read_is_cut() -> None:
    import pamqp.frame

    read = (b"\xff" * 255).decode("utf-8", "replace")
    data = encode([Message("", "q", b"", read, "why"), Message("", "q", b"", "x" * 255, "why")], 3, 64)
    found = []
    while data:
        used, _, frame = pamqp.frame.unmarshal(data)
        found.append(frame)
        data = data[used:]
    assert [found[at].properties.message_id for at in (1, 3)] == ["\ufffd" * 85, "x" * 255]


def test_topic_patterns() -> None:
    for pattern, key, wanted in (
        ("#", "", True),
        ("a.#", "a", True),
        ("a.#.b", "a.x.y.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
    ):
        assert _matches("topic", pattern, key) is wanted


def test_a_refused_message_fails_at_once_and_not_those_after_it(rabbit_url: str) -> None:
    names = Names()

    async def work() -> None:
        bus = AmqpBus(AmqpOptions(Secret(rabbit_url), retry_min_s=0.01, probe_s=20.0))
        exchange = names.exchange()
        bus.declare(exchange)
        task = asyncio.create_task(bus.run())
        message = Message(exchange.name, "key", b"order")
        await bus.publish([message])
        await names.clean()  # as when somebody deletes it
        sent = [asyncio.create_task(bus.publish([message])) for _ in range(3)]
        async with asyncio.timeout(2):  # neither the probe nor the answer's timeout is waited for
            answers = await asyncio.gather(*sent, return_exceptions=True)
            assert isinstance(answers[0], LinkError)
            await bus.publish([message])
        assert bus.connects_count == 2 and not bus._questions
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await names.clean()

    run(work())


def test_a_queue_of_somebody_else_stops_no_other(rabbit_url: str) -> None:
    """One has other arguments, one is another connection's own; both are served when they are gone."""
    names = Names()

    async def work() -> None:
        connection = await aiormq.connect(rabbit_url)
        channel = await connection.channel()
        got: list[tuple[str, bytes]] = []
        queues = [names.queue(name) for name in ("a", "b", "c", "d", "e")]
        await channel.queue_declare(queues[0].name, durable=True)
        await channel.queue_declare(queues[2].name, exclusive=True)
        await channel.queue_declare(queues[4].name, auto_delete=True)
        bus = AmqpBus(AmqpOptions(Secret(rabbit_url), retry_min_s=0.01, probe_s=0.05))
        for queue in queues[:4]:
            bus.serve(queue, lambda delivery: got.append((delivery.queue[-1], delivery.body)))
        bus.serve(Queue("账户"), print)  # the client library writes no such name
        task = asyncio.create_task(bus.run())
        await until(lambda: bus.is_connected)
        bus.serve(queues[4], lambda delivery: got.append((delivery.queue[-1], delivery.body)))
        refused = {f"queue {queues[at].name}" for at in (0, 2, 4)} | {"queue 账户"}
        await until(lambda: set(bus.health().get("refused", ())) == refused)
        told = str(bus.health())
        assert "PRECONDITION_FAILED" in told and "(406)" in told and "RESOURCE_LOCKED" in told
        await bus.publish([Message("", queue.name, b"order") for queue in queues])
        await until(lambda: len(got) == 2)
        assert sorted(got) == [("b", b"order"), ("d", b"order")]
        await asyncio.sleep(0.5)  # probes pass, and the broker is asked again
        assert bus.connects_count == 1 and bus.state == "connected" and bus.refused_count == 4
        assert all(refusal.wait_s >= 0.2 for refusal in bus._topology._refusals.values()), (
            "asked ever more seldom"
        )
        await channel.queue_delete(queues[0].name)
        await connection.close()  # and with it the exclusive queue
        await until(lambda: bus.refused_count == 2)
        await bus.publish([Message("", queues[at].name, b"again") for at in (0, 2)])
        await until(lambda: {("a", b"again"), ("c", b"again")} <= set(got))
        assert bus.connects_count == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await names.clean()

    run(work())


def test_a_dead_letter_without_a_queue_is_told_and_its_queue_made_again(rabbit_url: str) -> None:
    names = Names()

    async def work() -> None:
        bus = AmqpBus(AmqpOptions(Secret(rabbit_url), retry_min_s=0.01, probe_s=20.0))
        queue = names.queue("dead")
        bus.serve(queue, None)
        task = asyncio.create_task(bus.run())
        letter = Message("", queue.name, b"junk", reason="why")
        assert await bus.keep([letter]) == [True]
        await names.clean()  # as when somebody deletes it
        await bus.publish([Message("", queue.name, b"need not arrive")])
        assert await bus.keep([letter]) == [False]
        assert await bus.keep([letter]) == [True]
        connection = await aiormq.connect(rabbit_url)
        report = await (await connection.channel()).queue_declare(queue.name, passive=True)
        assert (report.message_count, bus.connects_count) == (1, 1)
        await connection.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await names.clean()

    run(work())


def test_a_full_queue_that_rejects_is_told_of_each(rabbit_url: str) -> None:
    names = Names()

    async def work() -> None:
        queue = names.queue("full")
        connection = await aiormq.connect(rabbit_url)
        channel = await connection.channel()
        full = {"x-max-length": 3, "x-overflow": "reject-publish"}
        await channel.queue_declare(queue.name, durable=True, arguments=full)
        bus = AmqpBus(AmqpOptions(Secret(rabbit_url)))
        task = asyncio.create_task(bus.run())
        kept: list[bool] = []
        for n in range(4):
            kept += await bus.keep([Message("", queue.name, b"x" * 200_000, f"m{n}", "why")] * 2)
        held = await channel.queue_declare(queue.name, passive=True)
        assert kept.count(True) == held.message_count and held.message_count < 8 == len(kept), kept
        await channel.queue_purge(queue.name)
        assert await bus.keep([Message("", queue.name, b"x", "", "why")]) == [True]
        assert bus.connects_count == 1 and not bus.error
        await connection.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await names.clean()

    run(work())


@pytest.mark.parametrize("is_made_again", [True, False])
def test_an_exchange_that_was_deleted_brings_messages_again(rabbit_url: str, is_made_again: bool) -> None:
    names = Names()

    async def work() -> None:
        bus = AmqpBus(AmqpOptions(Secret(rabbit_url), retry_min_s=0.01, probe_s=0.2))
        exchange = names.exchange()
        taken: list[bytes] = []
        bus.declare(exchange)
        bus.serve(names.queue("in", (exchange.name, "key")), lambda delivery: taken.append(delivery.body))
        task = asyncio.create_task(bus.run())
        await until(lambda: bus.is_connected)
        connection = await aiormq.connect(rabbit_url)
        channel = await connection.channel()
        await channel.exchange_delete(exchange.name)
        if is_made_again:  # by another program that sends to it
            await channel.exchange_declare(exchange.name, exchange_type=exchange.kind)
        async with asyncio.timeout(5):
            while not taken:
                with suppress(aiormq.exceptions.ChannelNotFoundEntity):
                    channel = await connection.channel()
                    await channel.basic_publish(b"order", exchange=exchange.name, routing_key="key")
                await asyncio.sleep(0.05)
        assert bus.connects_count == (1 if is_made_again else 2)
        await connection.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await names.clean()

    run(work())


def test_a_publisher_that_gives_up_leaves_the_answers_in_order(rabbit_url: str) -> None:
    async def work() -> None:
        bus = AmqpBus(AmqpOptions(Secret(rabbit_url)))
        task = asyncio.create_task(bus.run())
        await until(lambda: bus.is_connected)
        for _ in range(20):
            given_up = asyncio.create_task(bus.publish([Message("", "nobody", b"x")]))
            while not bus._questions:  # noqa: ASYNC110
                await asyncio.sleep(0)
            later = asyncio.create_task(bus.publish([Message("", "nobody", b"y")]))
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            await later
            await until(lambda: not bus._questions)
        assert bus.connects_count == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(work())
