"""The link over a broker that misbehaves, on both event loops; what a real broker does is in `test_bus`."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pamqp import commands

from qautlra.base.errors import LinkError
from qautlra.base.secret import Secret
from qautlra.link import amqp, amqp_socket
from qautlra.link.amqp import AmqpBus, AmqpOptions
from qautlra.link.amqp_socket import TURN_COUNT, Socket
from qautlra.link.bus import Delivery, Message, Queue
from tests.link.amqp_broker import Broker
from tests.link.test_bus import until
from tests.models.amqp import delivery
from tests.services import program

Run = Callable[[Awaitable[None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    loop = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop

    def work(task: Awaitable[None]) -> None:
        async def timed() -> None:
            async with asyncio.timeout(30):
                await task

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(timed())

    return work


@asynccontextmanager
async def linked(
    broker: Broker, on_delivery: Callable[[Delivery], None], url: str = "", **more: Any
) -> AsyncIterator[AmqpBus]:
    options: dict[str, Any] = {"retry_min_s": 0.01, "retry_max_s": 0.02, "probe_s": 20.0} | more
    bus = AmqpBus(AmqpOptions(Secret(url or broker.url), **options))
    bus.serve(Queue("q"), on_delivery)
    task = asyncio.create_task(bus.run())
    try:
        await until(lambda: bus.is_connected or url)
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_delivery_byte_by_byte_and_many_in_one_write(run: Run) -> None:
    async def work() -> None:
        got: list[Delivery] = []
        async with Broker().running() as broker, linked(broker, got.append) as bus:
            for byte in broker.deliver(b"slow"):
                broker.send(bytes((byte,)))
                await asyncio.sleep(0.001)
            broker.send(broker.deliver(*(b"%d" % n for n in range(100))))
            await until(lambda: len(got) == 101)
            assert [one.body for one in got] == [b"slow", *(b"%d" % n for n in range(100))]
            await bus.ack(got)
            await until(lambda: broker.acks == [101])

    run(work())


def test_acknowledgements_go_with_the_next_message(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amqp, "ACK_WAIT_S", 60.0)

    async def work() -> None:
        got: list[Delivery] = []
        async with Broker().running() as broker:
            async with linked(broker, got.append, prefetch_count=16) as bus:
                broker.send(broker.deliver(*(b"%d" % n for n in range(10))))
                await until(lambda: len(got) == 10)
                await bus.ack(got[2:4])
                await asyncio.sleep(0.05)
                assert broker.acks == [] and bus.unacked_count == 8
                await bus.publish([Message("", "q", b"x")])
                assert broker.acks == [3, 4]
                await bus.ack(got[:2])
                await bus.ack(got[4:6])  # that is a quarter of the prefetch
                await until(lambda: broker.acks == [3, 4, 2, 6])
                await bus.ack(got[6:7])
            await until(lambda: broker.acks[-1] == 7)  # what waits when it stops

    run(work())


def test_acknowledgements_do_not_wait_for_long(run: Run) -> None:
    async def work() -> None:
        got: list[Delivery] = []
        async with Broker().running() as broker, linked(broker, got.append) as bus:
            broker.send(broker.deliver(b"x", b"y"))
            await until(lambda: len(got) == 2)
            await bus.ack(got[:1])
            async with asyncio.timeout(0.5):
                await until(lambda: broker.acks == [1])
            await bus.ack(got[1:])
            broker.cut()
            await until(lambda: bus.connects_count == 2)
            await bus.publish([])
            assert broker.acks == [1]  # tags of another connection

    run(work())


def test_many_deliveries_leave_turns_to_others(run: Run) -> None:
    async def work() -> None:
        got: list[int] = []
        turn = 0

        def count() -> None:
            nonlocal turn
            turn += 1
            asyncio.get_running_loop().call_soon(count)

        async with Broker().running() as broker, linked(broker, lambda _: got.append(turn)):
            data = broker.deliver(*(b"x" for _ in range(10 * TURN_COUNT)))
            count()
            broker.send(data)
            await until(lambda: len(got) == 10 * TURN_COUNT)
        assert max(got.count(one) for one in got) <= TURN_COUNT

    run(work())


def test_one_that_fails_harms_no_other(run: Run) -> None:
    async def work() -> None:
        got: list[bytes] = []

        def take(one: Delivery) -> None:
            if one.body == b"bad":
                raise RuntimeError("bad")
            got.append(one.body)

        async with Broker().running() as broker, linked(broker, take) as bus:
            broker.send(broker.deliver(b"a", b"bad", b"b"))
            await until(lambda: len(got) == 2)
            assert got == [b"a", b"b"] and bus.unacked_count == 3 and bus.is_connected

    run(work())


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x01\x00\x01\x7f\xff\xff\xff\x00", bytes(64)]
)
def test_a_broker_that_sends_junk_is_left_and_tried_again(run: Run, junk: bytes) -> None:
    async def work() -> None:
        got: list[bytes] = []
        async with Broker().running() as broker, linked(broker, lambda one: got.append(one.body)) as bus:
            publishing = asyncio.create_task(bus.publish([Message("", "q", b"x")]))
            await publishing
            broker.send(broker.deliver(b"first") + junk)
            await until(lambda: bus.failures_count == 1)
            assert "not AMQP 0-9-1" in bus.error, bus.error
            await until(lambda: bus.connects_count == 2)
            broker.send(broker.deliver(b"again"))
            await until(lambda: got[-1:] == [b"again"])

    run(work())


def test_a_broker_of_another_protocol_is_named(run: Run) -> None:
    async def work() -> None:
        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"AMQP\x00\x01\x00\x00")

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with linked(Broker(), print, f"amqp://guest:guest@127.0.0.1:{port}/") as bus:
            await until(lambda: bus.error)
            assert "not AMQP 0-9-1" in bus.error and not bus.is_connected
        server.close()

    run(work())


def test_a_connection_the_broker_closes_is_made_again(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker, linked(broker, print) as bus:
            broker.tell(commands.Connection.Blocked("low on memory"))
            broker.tell(commands.Connection.Unblocked())
            await bus.publish([Message("", "q", b"x")])
            assert broker.published == [b"x"]
            broker.tell(commands.Connection.Close(320, "CONNECTION_FORCED", 0, 0))
            await until(lambda: bus.failures_count == 1)
            assert "CONNECTION_FORCED" in bus.error, bus.error
            await until(lambda: bus.connects_count == 2)
            broker.cut()
            await until(lambda: bus.connects_count == 3)

    run(work())


def test_a_channel_the_broker_closes_is_noticed_at_once(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker, linked(broker, print) as bus:
            for number, channel in enumerate((broker.consumers[0][0], 1), 2):
                broker.tell(commands.Channel.Close(404, "NOT_FOUND", 60, 40), channel)
                async with asyncio.timeout(2):
                    await until(lambda number=number: bus.connects_count == number)  # type: ignore[misc]

    run(work())


def test_the_declaring_channel_comes_back_when_the_broker_closes_it(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker, linked(broker, print) as bus:
            assert bus._declaring is not None
            broker.tell(commands.Channel.Close(541, "INTERNAL_ERROR", 0, 0), bus._declaring.number)
            await until(lambda: bus._declaring and not bus._declaring._is_open)
            bus.serve(Queue("later"), print)
            await until(lambda: len(broker.consumers) == 2)
            assert bus.connects_count == 1 and not bus.refused_count
            broker.is_silent = True
            bus.serve(Queue("never"), print)
            await asyncio.sleep(0.05)
            broker.cut()
            broker.is_silent = False
            await until(lambda: bus.connects_count == 2 and len(broker.consumers) == 3)

    run(work())


def test_a_connection_that_ends_before_a_probe_is_answered_is_noticed_at_once(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker, linked(broker, print, probe_s=0.05) as bus:
            broker.is_silent = True
            await until(lambda: bus._declaring and bus._declaring._answer)
            broker.cut()
            broker.is_silent = False
            async with asyncio.timeout(2):
                await until(lambda: bus.connects_count == 2)

    run(work())


def test_many_queues_have_their_time(run: Run) -> None:
    """A bound for all together would leave a house of thousands of accounts without its door for ever."""

    async def work() -> None:
        async with Broker().running() as broker:
            broker.delay_s = 0.005
            bus = AmqpBus(
                AmqpOptions(Secret(broker.url), open_timeout_s=0.3, answer_timeout_s=0.3, probe_s=0.1)
            )
            for number in range(60):
                bus.serve(Queue(f"q{number}"), print)
            task = asyncio.create_task(bus.run())
            await until(lambda: bus.is_connected)
            await asyncio.sleep(1.0)  # 60 probes take longer than one may
            assert (bus.connects_count, bus.failures_count, len(broker.consumers)) == (1, 0, 60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(work())


def test_a_stop_while_a_broker_is_left_stops(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker:
            bus = AmqpBus(AmqpOptions(Secret(broker.url), retry_min_s=0.01))
            task = asyncio.create_task(bus.run())
            await until(lambda: bus.is_connected)
            broker.is_silent = True
            broker.tell(commands.Channel.Close(404, "NOT_FOUND", 60, 40), 1)
            await until(lambda: bus.failures_count)  # its goodbye is not answered
            task.cancel()
            await asyncio.wait([task], timeout=3)
            assert task.cancelled() and bus.state == "stopped"

    run(work())


def test_a_broker_of_two_channels_is_told_of(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker:
            broker.channels_count = 2
            async with linked(broker, print, broker.url) as bus:
                await until(lambda: bus.error)
                assert "2 channels" in bus.error and not bus.is_connected

    run(work())


def test_a_consumer_the_broker_cancels_is_noticed_at_once(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker, linked(broker, print) as bus:
            channel, consumer = broker.consumers[0]
            broker.tell(commands.Basic.Cancel(consumer, True), channel)
            async with asyncio.timeout(2):
                await until(lambda: bus.failures_count)
                assert "took a queue" in bus.error
                await until(lambda: bus.connects_count == 2)

    run(work())


def test_what_is_not_answered_fails_all_that_wait_and_ends_the_connection(run: Run) -> None:
    async def work() -> None:
        async with Broker().running() as broker, linked(broker, print, answer_timeout_s=0.3) as bus:
            await bus.publish([Message("", "q", b"a")])
            broker.is_silent = True
            sent = [asyncio.create_task(bus.publish([Message("", "q", b"%d" % n)])) for n in range(3)]
            answers = await asyncio.gather(*sent, return_exceptions=True)
            assert all(isinstance(one, LinkError) and "does not answer" in str(one) for one in answers)
            broker.is_silent = False
            await until(lambda: bus.connects_count == 2)
            await bus.publish([Message("", "q", b"b")])
            assert broker.published == [b"a", b"0", b"1", b"2", b"b"]

    run(work())


def test_a_probe_that_is_not_answered_ends_the_connection(run: Run) -> None:
    async def work() -> None:
        more = {"answer_timeout_s": 0.2, "probe_s": 0.1}
        async with Broker().running() as broker, linked(broker, print, **more) as bus:
            broker.is_silent = True
            await until(lambda: bus.failures_count)
            broker.is_silent = False
            await until(lambda: bus.connects_count == 2)

    run(work())


@pytest.mark.slow
def test_missed_heartbeats_end_it_but_deliveries_are_as_good(run: Run) -> None:
    async def work() -> None:
        got: list[Delivery] = []
        more = {"heartbeat_s": 1, "probe_s": 60.0}
        async with (
            Broker().running() as silent,
            Broker().running() as busy,
            linked(silent, print, **more) as lost,
            linked(busy, got.append, **more) as kept,
        ):
            async with asyncio.timeout(15):
                while not lost.failures_count:
                    busy.send(busy.deliver(b"x"))
                    await asyncio.sleep(0.2)
            for _ in range(10):
                busy.send(busy.deliver(b"x"))
                await asyncio.sleep(0.2)
            assert kept.failures_count == 0 and len(got) > 25
            assert busy.heartbeats_count >= 5 and silent.heartbeats_count >= 5

    run(work())


def test_deliveries_stand_in_for_heartbeats_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(amqp_socket, "monotonic_s", lambda: now_s)

    async def work() -> None:
        nonlocal now_s
        stream = asyncio.StreamReader()
        socket = Socket(stream, asyncio.get_running_loop())
        socket.reader.deliveries = 2
        for _ in range(35):
            socket.data_received(delivery(b"x"))
            now_s += 0.1
        stream.feed_eof()
        assert await stream.read() == amqp_socket._HEARTBEAT * 4

    asyncio.run(work())


def test_nothing_is_read_behind_junk() -> None:
    class Transport(asyncio.Transport):
        is_aborted = False

        def abort(self) -> None:
            self.is_aborted = True

        def is_closing(self) -> bool:
            return self.is_aborted

    async def work() -> None:
        stream, transport = asyncio.StreamReader(), Transport()
        socket = Socket(stream, asyncio.get_running_loop())
        socket.connection_made(transport)
        socket.data_received(b"HTTP/1.1")
        assert transport.is_aborted and not socket.write(b"x")
        with pytest.raises(ConnectionError, match="not AMQP"):
            await stream.readexactly(1)

    asyncio.run(work())


def test_a_broker_by_tls(run: Run, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    async def work() -> None:
        got: list[bytes] = []
        async with Broker().running(context) as broker:
            async with linked(broker, print, broker.url) as bus:  # nobody we know signed it
                await until(lambda: bus.error)
                assert "CERTIFICATE_VERIFY_FAILED" in bus.error and not bus.is_connected
            url = f"{broker.url}?cafile={cert}"
            async with linked(broker, lambda one: got.append(one.body), url, body_bytes=1 << 20) as bus:
                await until(lambda: bus.is_connected)
                await bus.publish([Message("", "q", b"x" * 300_000)])
                broker.send(broker.deliver(b"y" * 300_000, b"z"))
                await until(lambda: got == [b"y" * 300_000, b"z"])
            assert b"".join(broker.published) == b"x" * 300_000

    run(work())
