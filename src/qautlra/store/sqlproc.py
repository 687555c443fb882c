"""The SQL process as the server sees it: started when first needed, asked over one socket per statement.

It is ended when the store closes, ends itself when it cannot stop a statement, and is started again by the
next one. Statements that it had not begun to answer by then are asked again.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from qautlra.base import log
from qautlra.base.errors import AuthError, InputError, LimitError, NotFoundError, QautlraError, StorageError
from qautlra.base.limits import QUERY_QUEUE_COUNT, QUERY_QUEUE_EACH_COUNT
from qautlra.store.kept import KeptProcess
from qautlra.store.sqlask import DATA, DONE, FAILED, HEAD, Ask
from qautlra.store.turns import Turns

LET_GO_S = 5.0
TRIES_COUNT = 3

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
        arguments = [str(data_dir), str(threads), str(memory_bytes)]
        self._process = KeptProcess("SQL", "qautlra.store.sqlworker", arguments)
        self._threads = threads
        self.turns = Turns(threads, QUERY_QUEUE_EACH_COUNT, QUERY_QUEUE_COUNT)
        self.statements = 0

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return self._process.pid

    @property
    def starts(self) -> int:
        """How often it was started."""
        return self._process.starts

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
                    await self._process.gone()
        finally:
            self.turns.give(who)

    async def _asked_once(self, ask: Ask, answer: SqlAnswer) -> AsyncGenerator[bytes, None]:
        number, reader, writer = await self._process.ask()
        pid = self._process.pid
        try:
            request = msgspec.json.encode(ask)
            writer.write(struct.pack("<I", len(request)) + request)
            while True:
                kind, payload = await _frame(reader)
                if kind in (HEAD, DATA):
                    yield payload
                elif kind == DONE:
                    self._process.open.discard(number)
                    facts = json.loads(payload)
                    answer.rows, answer.truncated = facts["rows"], facts["truncated"]
                    return
                elif kind == FAILED:
                    self._process.open.discard(number)
                    raise _WorkerError.told(json.loads(payload))
        finally:
            writer.close()
            if number in self._process.open:
                asyncio.get_running_loop().call_later(LET_GO_S, self._check_let_go, number, pid)

    async def close(self) -> None:
        """End the process."""
        await self._process.close()

    def _check_let_go(self, number: int, pid: int | None) -> None:
        if self._process.kill_if(number, pid):
            _log.error("sql_process_killed", statement=number, cause="a statement did not stop")


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    (size,) = struct.unpack_from("<I", head, 1)
    return head[:1], await reader.readexactly(size)
