"""The SQL process as the server sees it: started when first needed, asked over one socket per statement.

It is ended when the store closes, ends itself when it cannot stop a statement, and is started again by the
next one. Statements that it had not begun to answer by then are asked again.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from qautlra.base import log
from qautlra.base.errors import AuthError, InputError, LimitError, NotFoundError, QautlraError, StorageError
from qautlra.base.limits import QUERY_QUEUE_COUNT, QUERY_QUEUE_EACH_COUNT
from qautlra.store.child import Child
from qautlra.store.sqlworker import DATA, DONE, FAILED, HEAD, Ask
from qautlra.store.turns import Turns

LET_GO_S = 5.0
GONE_S = 1.0
TRIES_COUNT = 3
START_S = 30.0
STDERR_BYTES = 64 << 10

_log = log.get_logger("store")


@dataclass(slots=True)
class SqlAnswer:
    """Pieces of an answer as they come; `rows` and `truncated` are set when the last has."""

    rows: int | None = None
    truncated: bool = False


class _WorkerError(QautlraError):
    """What the process answered, with its own code."""

    _kinds: ClassVar[dict[str, type[QautlraError]]] = {
        kind.code: kind for kind in (InputError, NotFoundError, LimitError, AuthError)
    }

    @classmethod
    def told(cls, facts: dict[str, Any]) -> QautlraError:
        message, status, code = facts.pop("error"), facts.pop("status"), facts.pop("code")
        retryable = facts.pop("retryable", True)
        kind = cls._kinds.get(code)
        if kind is not None:
            return kind(message, status=status, **facts)
        return StorageError(message, status=status, retryable=retryable, **facts)


class SqlProcess:
    """At most `threads` statements run, QUERY_QUEUE_COUNT wait by turns, more are refused. Loop only."""

    def __init__(self, data_dir: Path, threads: int, memory_bytes: int) -> None:
        self._arguments = [str(data_dir), str(threads), str(memory_bytes)]
        self._threads = threads
        self._process: Child | None = None
        self._control: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._asked = 0
        self._open: set[int] = set()
        self.turns = Turns(threads, QUERY_QUEUE_EACH_COUNT, QUERY_QUEUE_COUNT)
        self.statements = 0
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return None if self._process is None else self._process.pid

    @property
    def pending(self) -> int:
        """Statements that run or wait."""
        return self.turns.running + self.turns.waiting

    @property
    def pending_max(self) -> int:
        """How many may."""
        return self._threads + QUERY_QUEUE_COUNT

    async def run(self, ask: Ask, answer: SqlAnswer, who: str) -> AsyncGenerator[bytes, None]:
        """Yield the answer of a statement `who` asks for; closing the generator stops it."""
        await self.turns.take(who)
        self.statements += 1
        try:
            for left in reversed(range(TRIES_COUNT)):
                has_begun = False
                try:
                    async with aclosing(self._asked_once(ask, answer)) as pieces:
                        async for piece in pieces:
                            has_begun = True
                            yield piece
                    return
                except (asyncio.IncompleteReadError, ConnectionError):
                    if has_begun or not left:
                        raise StorageError("the SQL process ended; ask again") from None
                    await self._gone()
        finally:
            self.turns.give(who)

    async def _asked_once(self, ask: Ask, answer: SqlAnswer) -> AsyncGenerator[bytes, None]:
        number, reader, writer = await self._link()
        try:
            request = msgspec.json.encode(ask)
            writer.write(struct.pack("<I", len(request)) + request)
            while True:
                kind, payload = await _frame(reader)
                if kind in (HEAD, DATA):
                    yield payload
                elif kind == DONE:
                    self._open.discard(number)
                    facts = json.loads(payload)
                    answer.rows, answer.truncated = facts["rows"], facts["truncated"]
                    return
                elif kind == FAILED:
                    self._open.discard(number)
                    raise _WorkerError.told(json.loads(payload))
        finally:
            writer.close()
            if number in self._open:
                asyncio.get_running_loop().call_later(LET_GO_S, self._check_let_go, number, self._process)

    async def close(self) -> None:
        """End the process."""
        async with self._starting:
            await self._end()

    async def _link(self) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        async with self._starting:
            if self._process is None or self._process.ended:
                await self._start()
            ours = self._sent()
            if ours is None:  # it has ended, and nobody has told us yet
                await self._start()
                ours = self._sent()
            if ours is None:
                raise ConnectionResetError
            self._asked += 1
            number = self._asked
            self._open.add(number)
        reader, writer = await asyncio.open_connection(sock=ours)
        return number, reader, writer

    async def _gone(self) -> None:
        """Wait until a process that lets go of its sockets has ended, so that the next one is asked."""
        if self._process is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), GONE_S)

    def _sent(self) -> socket.socket | None:
        """Give the process one end of a new pair of sockets; return the other, None when it is not there."""
        assert self._control is not None
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [b"q"], [theirs.fileno()])
        except OSError:
            ours.close()
            return None
        finally:
            theirs.close()
        return ours

    async def _start(self) -> None:
        await self._end()
        ours, theirs = socket.socketpair()
        keep = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
        try:
            self._process = Child(
                [sys.executable, "-m", "qautlra.store.sqlworker", *self._arguments],
                theirs.fileno(),
                {name: os.environ[name] for name in keep if name in os.environ},
                _Report(),
            )
        except OSError as error:
            ours.close()
            raise StorageError(f"the SQL process cannot be started: {error}") from None
        finally:
            theirs.close()
        ours.setblocking(False)
        self._control = ours
        self._asked = 0
        self._open.clear()
        self.restarts += 1
        asyncio.get_running_loop().add_reader(ours.fileno(), self._heard, ours, bytearray())

    def _heard(self, control: socket.socket, kept: bytearray) -> None:
        """Note which statements the process has let go of; numbers come four bytes each."""
        try:
            kept += (got := control.recv(4096))
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            asyncio.get_running_loop().remove_reader(control.fileno())
            self._open.clear()
            return
        while len(kept) >= 4:
            self._open.discard(struct.unpack_from("<I", kept)[0])
            del kept[:4]

    def _check_let_go(self, number: int, process: Child | None) -> None:
        if number in self._open and process is not None and process is self._process:
            _log.error("sql_process_killed", statement=number, cause="a statement did not stop")
            process.kill()

    async def _end(self) -> None:
        process, self._process = self._process, None
        control, self._control = self._control, None
        if control is not None:
            with suppress(OSError, ValueError):
                asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()
        if process is not None:
            process.kill()  # it owns nothing that has to be put away
            await process.wait()
        self._open.clear()


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    (size,) = struct.unpack_from("<I", head, 1)
    return head[:1], await reader.readexactly(size)


class _Report:
    """Logs what the process says before it ends, if anything, within a bound."""

    def __init__(self) -> None:
        self._said = 0

    def __call__(self, line: bytes) -> None:
        self._said += len(line)
        if self._said <= STDERR_BYTES:
            _log.warning("sql_process", says=line.decode("utf-8", "replace").rstrip())
