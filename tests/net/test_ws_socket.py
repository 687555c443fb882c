"""One client's flood and the others: what it sent is taken in slices, in order, and all of it."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import pytest

from qautlra.net import ws_socket
from qautlra.net.ws_socket import Socket
from tests.link.test_bus import until


class Line:
    """A transport: what was written, and whether anything is read."""

    def __init__(self) -> None:
        self.written = b""
        self.is_reading = True
        self.is_closed = False

    def get_extra_info(self, _name: str) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True


class Room:
    """Takes messages, each in its time."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.pauses = 0
        self.is_gone = False

    def receive(self, text: str) -> None:
        self.taken.append(text)
        until_s = perf_counter() + 0.0002
        while perf_counter() < until_s:
            pass

    def paused(self) -> None:
        self.pauses += 1

    def detached(self) -> None:
        self.is_gone = True


def frame(text: str) -> bytes:
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode()


def connected() -> tuple[Any, Room, Socket]:
    line: Any = Line()
    socket = Socket(line, 1 << 16, 1 << 20)
    room: Any = Room()
    socket.receiver = room
    return line, room, socket


def test_a_flood_leaves_the_others_their_turns() -> None:
    async def main() -> None:
        line, room, socket = connected()
        texts = [str(number) for number in range(500)]
        other: list[int] = []
        asyncio.get_running_loop().call_soon(lambda: other.append(len(room.taken)))
        socket.data_received(b"".join(map(frame, texts)) + b"\xff\x00")  # and then what no client may send
        assert 0 < len(room.taken) < 100 and not line.is_reading and not line.written
        await until(lambda: line.is_closed)
        assert room.taken == texts and line.written[:1] == b"\x88"
        assert other and other[0] < 100 and room.pauses > 5

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["pings", "fragments", "one long message"])
def test_one_read_of_a_client_is_not_followed_by_its_next(kind: str) -> None:
    """A loop that finds more to read goes on reading: many times, before it looks at anybody else."""

    async def main() -> None:
        line, room, socket = connected()
        heard: list[int] = []
        room.heard = lambda: bool(heard.append(0)) or False  # type: ignore[attr-defined]
        size = ws_socket.TURN_BYTES
        fragments = b"\x01\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 1000 + b"\x80\x82" + bytes(4) + b"{}"
        sent = {
            "pings": (b"\x89\x80" + bytes(4)) * 40_000,
            "fragments": fragments * 40,
            "one long message": b"\x81\xff" + size.to_bytes(8, "big") + bytes(4) + b"x" * size,
        }[kind]
        socket.data_received(sent)
        assert not line.is_reading
        turns = 0
        while not line.is_reading:
            await asyncio.sleep(0)
            turns += 1
        assert room.taken == {"pings": [], "fragments": ["{}"] * 40, "one long message": ["x" * size]}[kind]
        assert len(heard) == (40_000 if kind == "pings" else 0) and not line.is_closed
        assert turns == 1 if kind == "one long message" else turns > 20

    asyncio.run(main())


def test_a_room_that_holds_a_client_back_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_socket, "SLICE_S", 0.0)

    async def main() -> None:
        line, room, socket = connected()
        socket.data_received(b"".join(frame(str(number)) for number in range(100)))
        socket.hold(True)
        socket.data_received(frame("last"))  # decrypted already when the pause came
        await until(lambda: len(room.taken) == 101)
        assert room.taken[-1] == "last" and not line.is_reading
        socket.hold(False)
        assert line.is_reading
        socket.data_received(b"".join(frame(str(number)) for number in range(100)))
        socket.connection_lost(None)
        count = len(room.taken)
        await asyncio.sleep(0.05)
        assert room.is_gone and len(room.taken) == count

    asyncio.run(main())
