"""The DIFF client on a real loopback socket: subscribing, both manners of server, coming back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from qautlra.base.errors import LinkError
from qautlra.link.back_off import BackOff
from qautlra.link.diff_client import DiffClient, DiffClientOptions
from qautlra.link.web_socket import check_url
from tests.link.feed_server import FeedServer, running, until

FAST = {"retry_min_s": 0.01, "retry_max_s": 0.05}


@asynccontextmanager
async def client_of(
    server: FeedServer, *names: str, **options: Any
) -> AsyncIterator[tuple[DiffClient, list[Any]]]:
    got: list[Any] = []

    async def take(patches: list[Any]) -> None:
        got.extend(patches)

    client = DiffClient(DiffClientOptions(server.url, **(FAST | options)), take)
    client.want(names)
    task = asyncio.create_task(client.run())
    try:
        yield client, got
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not client.is_connected


def test_a_pulled_server_is_peeked_once_per_answer() -> None:
    async def story() -> None:
        async with (
            running(FeedServer()) as server,
            client_of(server, "au2512", "SHFE.rb2601") as (client, got),
        ):
            await until(lambda: server.peeks == 2)  # the first answer was empty
            assert server.lists == ["au2512,SHFE.rb2601"]
            for number in range(5):
                await server.quotes(au2512={"volume": number})
                await until(lambda number=number: len(got) == number + 1)
            await until(lambda: server.peeks == 7)
            assert [patch["au2512"]["volume"] for patch in got] == list(range(5))
            assert (client.state, client.connects_count, client.conversation.pushes) == (
                "connected",
                1,
                False,
            )

    asyncio.run(story())


def test_a_pushing_server_is_left_alone() -> None:
    async def story() -> None:
        server = FeedServer(pulls=False, greeting='{"type":"system","payload":{"message":"hello"}}')
        async with running(server), client_of(server, "au2512") as (client, got):
            await until(lambda: client.conversation.pushes)
            for number in range(20):
                await server.quotes(au2512={"volume": number})
            await until(lambda: len(got) == 20)
            assert server.peeks == 1

    asyncio.run(story())


def test_it_comes_back_and_asks_for_everything_again() -> None:
    async def story() -> None:
        server = FeedServer()
        await server.start()
        async with client_of(server, "au2512") as (client, got):
            await until(lambda: client.is_connected)
            client.want(["au2512", "IF2512"])
            await until(lambda: server.lists == ["au2512", "au2512,IF2512"])
            await server.stop()
            await until(lambda: not client.is_connected)
            client.want(["IF2512"])
            await asyncio.sleep(0.1)  # some attempts fail
            assert client.error
            server.received.clear()
            await server.start()
            await until(lambda: server.lists == ["IF2512"])
            await server.quotes(IF2512={"volume": 1})
            await until(lambda: len(got) == 1)
            assert client.connects_count == 2
            assert client.error == ""
        await server.stop()

    asyncio.run(story())


def test_a_slow_taker_is_not_overrun() -> None:
    async def story() -> None:
        async with running(FeedServer()) as server:
            gate, got = asyncio.Event(), []

            async def take(patches: list[Any]) -> None:
                await gate.wait()
                got.append(len(patches))

            client = DiffClient(DiffClientOptions(server.url), take)
            client.want(["au2512"])
            task = asyncio.create_task(client.run())
            await until(lambda: server.peeks == 2)
            for number in range(100):
                await server.quotes(au2512={"volume": number})
            await asyncio.sleep(0.05)
            gate.set()
            await until(lambda: sum(got) == 100)
            assert len(got) <= 3  # the first, the one peeked meanwhile, and all that had gathered
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(story())


@pytest.mark.parametrize("frame", ["not json", b"\x00\x01", '{"aid":"rtn_data","data":7}'])
def test_broken_frames_cost_nothing(frame: str | bytes) -> None:
    async def story() -> None:
        async with running(FeedServer()) as server, client_of(server, "au2512") as (client, got):
            await until(lambda: server.peeks == 2)
            await server.raw(frame)
            await server.quotes(au2512={})
            await until(lambda: got == [{"au2512": {}}])
            assert client.connects_count == 1

    asyncio.run(story())


def test_a_message_past_the_bound_ends_the_connection_only() -> None:
    async def story() -> None:
        async with (
            running(FeedServer()) as server,
            client_of(server, "au2512", message_bytes=2000) as (client, got),
        ):
            await until(lambda: client.is_connected)
            await server.raw("x" * 3000)
            await until(lambda: client.connects_count == 2)
            await server.quotes(au2512={})
            await until(lambda: len(got) == 1)

    asyncio.run(story())


def test_silence_is_noticed() -> None:
    async def story() -> None:
        stuck = asyncio.Event()

        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await stuck.wait()
            writer.close()

        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        fake = FeedServer()
        fake.port = port
        async with client_of(fake, "au2512", open_timeout_s=0.1) as (client, _):
            await until(lambda: client.failures_count >= 2)
            assert "time" in client.error
        stuck.set()
        server.close()

    asyncio.run(story())


def test_a_server_that_stops_answering_pings_is_given_up() -> None:
    async def story() -> None:
        async with running(FeedServer()) as server, client_of(server, "au2512", silence_s=0.3) as (client, _):
            await until(lambda: client.is_connected)
            server.connections[0].transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: client.connects_count == 2, 5.0)

    asyncio.run(story())


def test_what_the_taker_raises_is_the_callers() -> None:
    async def story() -> None:
        async with running(FeedServer()) as server:

            async def take(_patches: list[Any]) -> None:
                raise LinkError("full")

            client = DiffClient(DiffClientOptions(server.url), take)
            task = asyncio.create_task(client.run())
            await until(lambda: server.peeks == 2)
            await server.quotes(x={})
            with pytest.raises(LinkError, match="full"):
                await task
            assert client.state == "stopped"

    asyncio.run(story())


def test_login_travels_as_a_header() -> None:
    async def story() -> None:
        async with (
            running(FeedServer()) as server,
            client_of(server, headers=(("Authorization", "Basic eDp5"),)) as (client, _),
        ):
            await until(lambda: client.is_connected)
            assert server.authorization == ["Basic eDp5"]
            assert "@" not in client.shown_url

    asyncio.run(story())


def test_back_off_doubles_with_jitter_up_to_its_bound() -> None:
    steady = BackOff(0.2, 1.0, lambda: 0.0)
    assert [steady.next_s() for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    steady.reset()
    assert steady.next_s() == 0.2
    assert BackOff(0.2, 1.0, lambda: 1.0).next_s() == 0.1


@pytest.mark.parametrize(
    "url", ["", "localhost:8014", "http://x/", "ws://", "ws://x:99999/", "ws://x:0/", "ws://[x/"]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(LinkError):
        check_url(url)
