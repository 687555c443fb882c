"""The store's socket: a client that asks and does not read, and one whose login has ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qautlra.auth.rights import Role
from qautlra.auth.service import AuthService
from qautlra.base.errors import LimitError
from qautlra.net import db_ws
from tests.auth.test_service import PASSWORD
from tests.auth.test_service import run as with_auth
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
        self.last = b""

    def write(self, frames: bytes) -> None:
        self.last = frames
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


def test_so_much_waits_of_one_client_and_nothing_of_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db_ws, "PUSH_S", 0.01)
    monkeypatch.setattr(db_ws, "PING_S", 0.02)
    monkeypatch.setattr(db_ws, "IDLE_S", 0.1)

    async def main() -> None:
        line: Any = Line()
        turn = asyncio.Semaphore(0)

        async def slow(_query: Any) -> Any:
            await asyncio.wait_for(turn.acquire(), 5)
            return SimpleNamespace(chunks=b"[]", truncated=False)

        deps: Any = SimpleNamespace(
            settings=SimpleNamespace(db_stream=""), answering=lambda: SimpleNamespace(run=slow)
        )
        client = db_ws.Follower(deps, line, None, "ann")
        client.opened()
        try:
            long = QUERY[:-1] + " " * (900 << 10) + "}"
            for count in range(1, 5):
                client.receive(long)
                await asyncio.sleep(0)
                assert line.is_held is (count == 4), "three wait, one is under way"
            assert client.waiting_bytes <= db_ws.WAITING_BYTES + db_ws.MESSAGE_BYTES
            for count in range(1, 5):  # all are answered, each within the time an idle client is given
                await asyncio.sleep(0.06)
                turn.release()
                await until(lambda count=count: line.writes == count)
            assert not line.is_held and not client.waiting_bytes and not line.closed
        finally:
            client.detached()

    asyncio.run(main())


def test_no_more_clients_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        deps: Any = SimpleNamespace(streams=object(), settings=SimpleNamespace(db_path="/ws/db"))
        clients = [db_ws.Follower(deps, Line(), None, "ann") for _ in range(2)]  # type: ignore[arg-type]
        monkeypatch.setattr(db_ws, "CLIENTS_COUNT", len(db_ws._followers))
        request: Any = SimpleNamespace(query={}, headers={})
        with pytest.raises(LimitError, match="no more than") as refused:
            await db_ws.routes(deps)[0].handler(request)
        assert refused.value.status == 429
        clients.pop().detached()
        with pytest.raises(AttributeError):  # it goes on, to what is not there
            await db_ws.routes(deps)[0].handler(request)
        clients.pop().detached()

    asyncio.run(main())


def test_a_question_of_too_many_levels_is_refused_in_words() -> None:
    async def main() -> None:
        line: Any = Line()
        deps: Any = SimpleNamespace(
            settings=SimpleNamespace(db_stream=""), answering=lambda: SimpleNamespace(run=answer)
        )
        client = db_ws.Follower(deps, line, None, "ann")
        client.opened()
        try:
            client.receive('{"type":"query","stream":"app","limit":' + "[" * 300 + "]" * 300 + "}")
            await until(lambda: line.writes == 1)
            assert b"too many levels" in line.last
        finally:
            client.detached()

    asyncio.run(main())


def test_who_may_not_any_more_sends_nothing_more(tmp_path: Path) -> None:
    class Ingest:
        rows = 0

        async def ingest(self, *_args: Any, **_more: Any) -> int:
            self.rows += 1
            return 1

    async def work(auth: AuthService) -> None:
        line: Any = Line()
        store = Ingest()
        deps: Any = SimpleNamespace(
            settings=SimpleNamespace(db_stream=""), taking_in=lambda: store, auth=auth
        )
        await auth.add_user("check", PASSWORD, Role.DATA)
        who = auth.recognise((await auth.login("check", PASSWORD)).access_token)
        client = db_ws.Follower(deps, line, who, "check")
        client.opened()

        async def answered() -> bytes:
            before = line.writes
            client.receive('{"type":"ingest","stream":"app","data":{"n":1}}')
            await until(lambda: line.writes > before)
            return bytes(line.last)

        try:
            assert b'"ack"' in await answered()
            await auth.write(auth.users.set_roles, "check", Role.READ_ONLY)
            assert b"may not ingest" in await answered()
            await auth.write(auth.users.set_roles, "check", Role.DATA)
            assert b'"ack"' in await answered()
            await auth.logout(who)
            assert b"has ended" in await answered()
            await auth.write(auth.users.set_disabled, "check", True)
            assert b"no longer valid" in await answered()
            assert store.rows == 2
        finally:
            client.detached()

    with_auth(tmp_path, work)
