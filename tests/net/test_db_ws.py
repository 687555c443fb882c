"""The store's socket and a client that asks and does not read: one answer waits for it, not all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from qautlra.net import db_ws
from tests.link.test_bus import until

ROWS = b"[" + b" " * (2 << 20) + b"]"
QUERY = '{"type":"query","stream":"bar_1m","data":{"start_time":"2021-01-01","end_time":"2021-01-02"}}'


class Line:
    """A connection whose client reads when it is told to."""

    def __init__(self) -> None:
        self.waiting = 0
        self.writes = 0
        self.is_held = False
        self.closed = ""

    def write(self, frames: bytes) -> None:
        self.waiting += len(frames)
        self.writes += 1

    def buffered(self) -> int:
        return self.waiting

    def hold(self, held: bool) -> None:
        self.is_held = held

    def ping(self) -> None:
        pass

    def close(self, _code: int, reason: str) -> None:
        self.closed = reason


async def answer(_query: Any) -> Any:
    return SimpleNamespace(chunks=ROWS, truncated=False)


def test_who_does_not_read_is_read_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db_ws, "PUSH_S", 0.01)

    async def main() -> None:
        line: Any = Line()
        deps: Any = SimpleNamespace(
            settings=SimpleNamespace(db_stream=""), answering=lambda: SimpleNamespace(run=answer)
        )
        client = db_ws.Follower(deps, line, None, "ann")
        client.opened()
        try:
            for _ in range(3):
                client.receive(QUERY)
            await until(lambda: line.writes == 1 and line.is_held)
            await asyncio.sleep(0.1)
            assert line.writes == 1 and line.is_held
            for count in (2, 3):
                line.waiting = 0
                await until(lambda count=count: line.writes == count)
            line.waiting = 0
            await until(lambda: not line.is_held)
            assert not line.closed
        finally:
            client.detached()

    asyncio.run(main())
