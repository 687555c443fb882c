"""A client that sends exactly the bytes it is told to, against the running front."""

import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.net.front import Front

PING_JSON = b'{"aid":"ping"}'
PONG_JSON = b"\x81\x0e" + b'{"aid":"pong"}'
HANDSHAKE = (
    "GET /ws/market HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
)


class Raw:
    """A client that sends exactly what it is told."""

    def __init__(self, front: Front, extra: str = "", after: bytes = b"") -> None:
        self.socket = socket.create_connection((front.host, front.port), timeout=5)
        self.socket.sendall(HANDSHAKE.format(extra=extra).encode() + after)
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self._more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        self.status = head.split(b"\r\n")[0].decode()
        self.headers = {
            name.strip().lower(): value.strip()
            for name, value in (line.split(":", 1) for line in head.decode().split("\r\n")[1:])
        }

    def _more(self) -> None:
        chunk = self.socket.recv(65536)
        if not chunk:
            raise EOFError
        self.data += chunk

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def read(self, size: int) -> bytes:
        while len(self.data) < size:
            self._more()
        out, self.data = self.data[:size], self.data[size:]
        return out

    def frame(self) -> tuple[int, bytes]:
        first, length = self.read(2)
        assert first & 0x80
        assert not first & 0x70
        assert length < 126
        return first & 0x0F, self.read(length)

    def any_frame(self) -> tuple[int, bytes]:
        """Return the next frame, of any length."""
        first, length = self.read(2)
        if length >= 126:
            length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
        return first & 0x0F, self.read(length)

    def close_code(self) -> int:
        op, payload = self.any_frame()
        while op != 8:
            op, payload = self.any_frame()
        code: int = struct.unpack("!H", payload[:2])[0] if payload else 1005
        return code

    def ended(self) -> bool:
        try:
            while True:
                self._more()
        except (EOFError, ConnectionResetError):
            return True


@pytest.fixture
def raw(front: Front) -> Iterator[Callable[..., Raw]]:
    made: list[Raw] = []

    def make(extra: str = "", after: bytes = b"") -> Raw:
        made.append(Raw(front, extra, after))
        return made[-1]

    yield make
    for each in made:
        each.socket.close()


MakeRaw = Callable[..., Raw]


@pytest.fixture
def front() -> Iterator[Front]:
    front = Front()
    yield front
    front.stop()
