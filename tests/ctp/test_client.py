"""Our CTP client on the drop-in library and the simulated front: ticks there and back, cuts, ends."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qautlra._core.ctp import FRONT_CONNECTED, FRONT_DISCONNECTED, TICK_BYTES, Client, Library, LibraryError
from qautlra._core.ctp_feed import CtpTicks
from qautlra.link.ctp_library import simulated_library
from qautlra.wire.ctp_frames import Kind
from qautlra.wire.ctp_records import layout
from tests.ctp.front import Front
from tests.models.market import MORNING_NS


@pytest.fixture(autouse=True)
def release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAUTLRA__CTP__ABI", "6.7.11")


class Session:
    """A client read by the loop, as the product reads it."""

    def __init__(self, flow: Path, front: str, *, market: bool = True, **bounds: int) -> None:
        flow.mkdir(exist_ok=True)
        library = Library(str(simulated_library()), market)
        self.client = Client(library, flow=f"{flow}/", fronts=[front], **bounds)
        self.ticks = b""
        self.events: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self.client.fd, self._read)
        self.client.start()

    def _read(self) -> None:
        ticks, events = self.client.take()
        self.ticks += ticks
        for event in events:
            self.events.put_nowait(event)

    async def next(self, kind: int) -> tuple[Any, ...]:
        async with asyncio.timeout(5):
            while (event := await self.events.get())[0] != kind:
                pass
            return event

    async def subscribed(self, *codes: str) -> None:
        await self.next(FRONT_CONNECTED)
        login = layout("ReqUserLogin").pack({"BrokerID": "9999", "UserID": "one"})
        assert self.client.request(Kind.LOGIN, login, 1) == 0
        assert (await self.next(Kind.LOGIN))[4] == 0
        assert self.client.subscribe(list(codes)) == 0
        for _ in codes:
            await self.next(Kind.SUBSCRIBE)

    async def wait_ticks(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.ticks) < count * TICK_BYTES:  # noqa: ASYNC110 - filled by a reader callback
                await asyncio.sleep(0.002)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.client.fd)
        self.client.close()


@asynccontextmanager
async def session(tmp_path: Path, front: Front, **words: Any) -> AsyncIterator[Session]:
    assert front.service.address is not None
    one = Session(tmp_path / "flow", f"tcp://127.0.0.1:{front.service.address[1]}", **words)
    try:
        yield one
    finally:
        one.close()


def test_a_tick_of_the_tape_comes_back_as_the_same_row(tmp_path: Path) -> None:
    async def story() -> None:
        async with Front() as front, session(tmp_path, front) as one:
            await one.subscribed("IF2101", "au2106")
            assert one.client.trading_day == "20210104"
            full = {
                **dict.fromkeys(("open", "highest", "lowest", "pre_close", "close", "settlement"), 5200.4),
                "pre_settlement": 5210.0,
                "upper_limit": 5700.0,
                "lower_limit": 4700.0,
                "average": 5190.2,
                "amount": 123456789.0,
                "open_interest": 77.0,
                "pre_open_interest": 78.0,
                "volume": 79,
                **{f"bid_price{n}": 5200.0 - n for n in range(1, 6)},
                **{f"ask_price{n}": 5200.0 + n for n in range(1, 6)},
                **{f"{side}_volume{n}": 10 * n for n in range(1, 6) for side in ("bid", "ask")},
            }
            front.tick(0, last_price=5200.2, **full)
            front.tick(1, last_price=390.02, volume=5)
            front.tick(0, last_price=None, bid_price1=5199.0, bid_volume1=3, volume=6)
            await one.wait_ticks(3)
            normaliser = CtpTicks(front.market.instruments, front.market.calendar)
            rows, refused = normaliser.rows(one.ticks, now_ns=MORNING_NS, recorded=True)
            assert refused == 0
            last = [front.tape.last_row(0).to_dict(0), front.tape.last_row(1).to_dict(0)]
            for got, sent in ((rows.to_dict(2), last[0]), (rows.to_dict(1), last[1])):
                assert got.pop("source") == "ctp"
                assert got.pop("recv_time_ns") != sent.pop("recv_time_ns")
                sent.pop("source")
                assert got == sent
            first = rows.to_dict(0)
            assert {name: first[name] for name in full} == full

    asyncio.run(story())


def test_a_slow_reader_gets_the_latest_of_each_instrument(tmp_path: Path) -> None:
    async def story() -> None:
        async with Front() as front, session(tmp_path, front, ticks=16, instruments=8) as one:
            await one.subscribed("IF2101", "au2106")
            asyncio.get_running_loop().remove_reader(one.client.fd)
            for n in range(100):
                front.tick(0, last_price=float(n + 1), volume=n)
                front.tick(1, last_price=float(n + 1), volume=n)
            async with asyncio.timeout(5):
                while one.client.received < 200:  # noqa: ASYNC110 - counted by another thread
                    await asyncio.sleep(0.005)
            ticks = b""
            while (piece := one.client.take(5)[0]) != b"":
                ticks += piece
            rows, _ = CtpTicks(front.market.instruments, front.market.calendar).rows(
                ticks, now_ns=MORNING_NS, recorded=True
            )
            for instrument in (0, 1):
                seen = [
                    rows.to_dict(i)["volume"] for i in range(len(rows)) if rows.instrument(i) == instrument
                ]
                assert seen == sorted(seen) and seen[-1] == 99
            assert len(ticks) // TICK_BYTES + one.client.coalesced == 200
            assert one.client.dropped == 0

    asyncio.run(story())


def test_a_cut_is_told_and_the_library_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with Front() as front, session(tmp_path, front) as one:
            await one.subscribed("IF2101")
            for connection in list(front.service.connections):
                connection.cut("test")
            assert (await one.next(FRONT_DISCONNECTED))[4] == 0x1001
            await one.subscribed("IF2101")
            front.tick(0)
            await one.wait_ticks(1)

    asyncio.run(story())


def test_a_front_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    async def story() -> None:
        faults = ["silent_after_frames=3"]
        async with Front(silence_ms=300, faults=faults) as front, session(tmp_path, front) as one:
            await one.subscribed("IF2101")
            assert (await one.next(FRONT_DISCONNECTED))[4] == 0x2001

    asyncio.run(story())


def test_garbage_from_the_front_is_a_bad_packet(tmp_path: Path) -> None:
    async def story() -> None:
        async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(range(256)))

        server = await asyncio.start_server(garbage, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        one = Session(tmp_path / "flow", f"tcp://127.0.0.1:{port}")
        assert (await one.next(FRONT_DISCONNECTED))[4] == 0x2003
        one.close()
        server.close()

    asyncio.run(story())


def test_a_request_before_the_front_is_there_and_one_nobody_has(tmp_path: Path) -> None:
    async def story() -> None:
        one = Session(tmp_path / "flow", "tcp://127.0.0.1:1", market=False)
        assert one.client.request(Kind.LOGIN, layout("ReqUserLogin").pack({}), 1) == -1
        assert one.client.request(99, b"", 1) == -100
        one.close()
        assert one.client.request(Kind.LOGIN, layout("ReqUserLogin").pack({}), 1) == -1

    asyncio.run(story())


def test_twenty_sessions_leave_no_thread(tmp_path: Path) -> None:
    async def story() -> None:
        async with Front() as front:
            before = len(os.listdir("/proc/self/task"))
            for _ in range(20):
                async with session(tmp_path, front) as one:
                    await one.next(FRONT_CONNECTED)
            assert len(os.listdir("/proc/self/task")) == before

    asyncio.run(story())


def test_what_is_no_ctp_library_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be loaded"):
        Library(str(tmp_path / "none.so"), True)
    with pytest.raises(LibraryError, match="no CTP trader library"):
        Library("libm.so.6", False)


@pytest.mark.parametrize("abi", ["6.6.9", "6.7.2", "6.7.11", "6.7.13"])
def test_the_library_speaks_every_release_of_the_table(
    tmp_path: Path, abi: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QAUTLRA__CTP__ABI", abi)

    async def story() -> None:
        async with Front() as front, session(tmp_path, front) as one:
            assert one.client.received == 0
            assert Library(str(simulated_library()), False).release == abi
            await one.subscribed("IF2101")
            front.tick(0, last_price=7.0)
            await one.wait_ticks(1)

    asyncio.run(story())
