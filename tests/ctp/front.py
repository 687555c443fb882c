"""The simulated front on a loopback port in this loop, and a raw program that speaks its frames."""

import asyncio
from typing import Any

from qautlra._core.ctp_feed import CtpFeed
from qautlra._core.tape import Tape
from qautlra.config.tree import CtpFront
from qautlra.net.ctp_front import CtpFrontService
from qautlra.wire.ctp_frames import MARKET, RECORDS, Frame, Reader, frame, hello
from qautlra.wire.ctp_login import LoginReply
from qautlra.wire.ctp_records import layout
from tests.models.market import MORNING_NS, SYMBOLS, Market


class Front:
    """A market, its tape and a listening front without trading."""

    def __init__(self, **settings: Any) -> None:
        self.market = Market()
        self.tape = Tape(self.market.instruments, self.market.calendar, 256)
        self.service = CtpFrontService(
            settings=CtpFront(listen="127.0.0.1:0", **settings),
            feed=CtpFeed(self.tape, max_clients=8),
            login=lambda: LoginReply(20210104, "09:30:00"),
            symbol=self.market.instruments.canonical,
            chosen=True,
        )
        self.now_ns = MORNING_NS

    async def __aenter__(self) -> "Front":
        await self.service.start()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.service.stop(1.0)

    def tick(self, instrument: int = 0, /, **values: Any) -> None:
        self.now_ns += 500_000_000
        row = {"instrument_id": SYMBOLS[instrument], "datetime": self.now_ns, "last_price": 1.0} | values
        assert self.tape.publish(self.market.rows(row)) == 1
        self.service.on_batch()

    async def program(self, role: int = MARKET, **words: int) -> "Program":
        assert self.service.address is not None
        reader, writer = await asyncio.open_connection(*self.service.address)
        writer.write(hello(role, "6.7.11", **words))
        return Program(reader, writer)


class Program:
    """One connection, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._frames = Reader(1 << 20)
        self._got: list[Frame] = []
        self.seen: list[Frame] = []
        "All frames so far that `next` has passed."

    def ask(self, kind: int, request: int = 0, /, **values: Any) -> None:
        self.writer.write(frame(kind, layout(RECORDS[kind][0]).pack(values), request=request))

    def put(self, kind: int, record: bytes = b"", request: int = 0) -> None:
        self.writer.write(frame(kind, record, request=request))

    async def next(self, *kinds: int, timeout_s: float = 20.0) -> Frame:
        """The next frame of one of the kinds (any kind when none is named); EOFError at the end."""
        async with asyncio.timeout(timeout_s):
            while True:
                while self._got:
                    got = self._got.pop(0)
                    self.seen.append(got)
                    if not kinds or got.kind in kinds:
                        return got
                data = await self._reader.read(1 << 16)
                if not data:
                    raise EOFError
                self._got += self._frames.feed(data)

    async def ended(self, timeout_s: float = 5.0) -> bool:
        try:
            while True:
                await self.next(timeout_s=timeout_s)
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            return False
