"""The simulated front's door: greeting, market sessions, and what bad senders and scripted faults get."""

import asyncio
from time import perf_counter

import pytest

from qautlra.base.errors import ConfigError
from qautlra.net.ctp_faults import Faults
from qautlra.wire.ctp_frames import MARKET, TRADER, Frame, Kind, frame
from qautlra.wire.ctp_records import layout
from tests.ctp.front import Front, Program
from tests.link.test_bus import until

LOGIN = {"BrokerID": "9999", "UserID": "anyone", "Password": "any"}


async def logged_in(front: Front) -> Program:
    program = await front.program()
    program.ask(Kind.LOGIN, 1, **LOGIN)
    await program.next(Kind.LOGIN)
    return program


def run(story: object) -> None:
    asyncio.run(story)  # type: ignore[arg-type]


def test_a_market_session_from_hello_to_ticks() -> None:
    async def story() -> None:
        async with Front(query_interval_ms=7) as front:
            program = await front.program()
            assert (await program.next()).kind == Kind.WELCOME
            program.put(Kind.SUBSCRIBE, b"IF2101\0", 3)
            assert (await program.next()).error == 6  # not logged in
            program.ask(Kind.LOGIN, 4, **LOGIN)
            got = await program.next()
            login = layout("RspUserLogin").read(got.record)
            assert (got.request, got.error, login["TradingDay"]) == (4, 0, "20210104")
            program.put(Kind.SUBSCRIBE, b"IF2101\0NOSUCH99\0", 5)
            first, second = await program.next(), await program.next()
            assert [(f.error, f.flags & 1) for f in (first, second)] == [(0, 0), (16, 1)]
            assert second.text.decode("gb18030") == "CTP:找不到合约"
            front.tick(last_price=5.0)
            tick = layout("DepthMarketData").read((await program.next(Kind.TICK)).record)
            assert tick["LastPrice"] == 5.0
            program.put(Kind.UNKNOWN, b"", 9)
            got = await program.next()
            assert (got.kind, got.error, got.request) == (Kind.ERROR, 27, 9)
            program.put(Kind.UNSUBSCRIBE, b"IF2101\0", 5)
            assert (await program.next(Kind.UNSUBSCRIBE)).error == 0
            front.tick(last_price=6.0)
            with pytest.raises(TimeoutError):
                await program.next(Kind.TICK, timeout_s=0.2)
            assert front.service.health()["market_clients"] == 1

    run(story())


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n" * 4, b"\xff" * 64, frame(Kind.LOGIN, b""), frame(Kind.HELLO, b"x" * 32)],
    ids=["http", "ones", "not-hello", "bad-magic"],
)
def test_what_is_no_hello_ends_its_connection_and_no_other(garbage: bytes) -> None:
    async def story() -> None:
        async with Front() as front:
            good = await logged_in(front)
            assert front.service.address is not None
            reader, writer = await asyncio.open_connection(*front.service.address)
            writer.write(garbage)
            assert await Program(reader, writer).ended()
            good.put(Kind.SUBSCRIBE, b"IF2101\0")
            assert (await good.next(Kind.SUBSCRIBE)).error == 0

    run(story())


def test_a_frame_that_is_too_long_or_too_short_ends_the_connection() -> None:
    async def story() -> None:
        async with Front() as front:
            for bad in (b"\xff\xff\xff\x7f" + b"\0" * 20, frame(Kind.LOGIN, b"short")):
                program = await logged_in(front)
                program.writer.write(bad)
                assert await program.ended()
            await asyncio.sleep(0)
            assert not front.service.connections

    run(story())


def test_places_are_bounded_and_a_trader_needs_trading() -> None:
    async def story() -> None:
        async with Front(max_clients=2) as front:
            kept = [await logged_in(front) for _ in range(2)]
            assert await (await front.program()).ended()
            kept[0].writer.close()
            await kept[0].writer.wait_closed()
            await asyncio.sleep(0.05)
            await logged_in(front)
        async with Front() as front:
            assert await (await front.program(TRADER)).ended()

    run(story())


def test_only_loopback_is_listened_on() -> None:
    async def story() -> None:
        front = Front()
        front.service.settings = type(front.service.settings)(listen="0.0.0.0:0")
        with pytest.raises(ConfigError, match="stays on this machine"):
            await front.service.start()

    run(story())


def test_a_quiet_front_keeps_its_connections_alive() -> None:
    async def story() -> None:
        async with Front(silence_ms=200) as front:
            program = await logged_in(front)
            assert (await program.next(Kind.HEARTBEAT, timeout_s=2.0)).record == b""

    run(story())


def test_what_is_watched_is_asked_of_the_sources() -> None:
    async def story() -> None:
        async with Front() as front:
            asked: list[frozenset[str]] = []
            front.service.demand_changed = asked.append
            one, two = await logged_in(front), await logged_in(front)
            for program, names in ((one, b"IF2101\0NOSUCH99\0"), (two, b"IF2101\0au2106\0")):
                program.put(Kind.SUBSCRIBE, names)
                await program.next(Kind.SUBSCRIBE)
                await program.next(Kind.SUBSCRIBE)
            one.put(Kind.UNSUBSCRIBE, b"IF2101\0")
            await one.next(Kind.UNSUBSCRIBE)
            two.writer.close()
            await asyncio.sleep(0.05)
            both = frozenset({"CFFEX.IF2101", "SHFE.au2106"})
            assert asked == [frozenset({"CFFEX.IF2101"}), both, frozenset()]

    run(story())


def test_scripted_faults() -> None:
    async def story() -> None:
        async with Front(faults=["no_welcome"]) as front:
            program = await front.program(MARKET)
            with pytest.raises(TimeoutError):
                await program.next(timeout_s=0.2)
        async with Front(faults=["cut_every_s=0.2"], silence_ms=400) as front:
            assert await (await logged_in(front)).ended()
        async with Front(faults=["late_ms=150"]) as front:
            program = await front.program()
            before = asyncio.get_running_loop().time()
            program.ask(Kind.LOGIN, 1, **LOGIN)
            await program.next(Kind.LOGIN)
            assert asyncio.get_running_loop().time() - before >= 0.14

    run(story())


def test_a_fault_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="late_ms"):
        Faults.parse(["late=5"])
    with pytest.raises(ConfigError):
        Faults.parse(["late_ms=x"])


def test_a_trade_can_be_said_twice() -> None:
    faults = Faults.parse(["duplicate_trades"])
    trade, order = frame(Kind.RTN_TRADE, b"t"), frame(Kind.RTN_ORDER, b"o")
    assert [frames for _, frames in faults.apply(trade)] == [trade, trade]
    assert [frames for _, frames in faults.apply(order)] == [order]


def test_a_program_that_floods_leaves_the_others_their_turns() -> None:
    async def story() -> None:
        async with Front() as front:
            program = await logged_in(front)
            (connection,) = front.service.connections
            taken: list[int] = []

            class Slow:
                def on_frame(self, got: Frame) -> None:
                    taken.append(got.request)
                    until_s = perf_counter() + 0.0002
                    while perf_counter() < until_s:
                        pass

                def hold(self, _held: bool) -> None:
                    pass

                def close(self) -> None:
                    pass

            connection.session = Slow()  # type: ignore[assignment]
            connection.data_received(b"".join(frame(Kind.UNKNOWN, b"", request=n) for n in range(500)))
            assert 0 < len(taken) < 100
            other: list[int] = []
            asyncio.get_running_loop().call_soon(lambda: other.append(len(taken)))
            program.put(Kind.UNKNOWN, b"", 500)  # read when all of that is done
            await until(lambda: len(taken) == 501)
            assert taken == list(range(501)) and other[0] < 100

    run(story())
