"""What Arrow Flight answers with: the rows of a query, and those of a stream from now on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.flight as fl

from qautlra.auth.rights import Principal, Right
from qautlra.net.flight_desk import Desk, peer_host, telling
from qautlra.wire.query import decode_query

ARROW: Final = "application/vnd.apache.arrow.stream"
TAIL_S: Final = 0.1


class Rows:
    """Batches for one caller; counted out when they end, or nobody wants them any more."""

    schema: pa.Schema

    def __init__(self, desk: Desk, context: fl.ServerCallContext) -> None:
        self._desk = desk
        self._context = context
        self._open = True

    def __iter__(self) -> Rows:
        return self

    @telling
    def __next__(self) -> pa.RecordBatch:
        try:
            batch = self._next()
        except StopIteration:
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        self._desk.rows_out += batch.num_rows
        return batch

    def _next(self) -> pa.RecordBatch:
        raise NotImplementedError

    def close(self) -> None:
        """Count the call out; safe to call again."""
        if self._open:
            self._open = False
            self._desk.leave()

    def __del__(self) -> None:
        self.close()


class Answer(Rows):
    """The rows of a query."""

    def __init__(self, desk: Desk, context: fl.ServerCallContext, body: bytes) -> None:
        super().__init__(desk, context)
        self._pieces: AsyncIterator[bytes | memoryview] | None = None
        try:
            asked = decode_query(body, accept=ARROW)
            asked = msgspec.structs.replace(asked, who=f"from {peer_host(context.peer())}")
            result = desk.ask(desk.deps.answering().run(asked), context)
            chunks = result.chunks
            if isinstance(chunks, bytes | memoryview):
                self._reader = pa.ipc.open_stream(chunks)
            else:
                self._pieces = chunks
                self._reader = pa.ipc.open_stream(pa.PythonFile(_Pull(self), mode="r"))
        except BaseException:
            self.close()
            raise
        self.schema = self._reader.schema
        self._rest: Iterator[pa.RecordBatch] = iter(())

    def _next(self) -> pa.RecordBatch:
        most = self._desk.deps.settings.flight_batch_rows
        while True:
            batch = next(self._rest, None)
            if batch is not None:
                return batch
            whole = self._reader.read_next_batch()
            self._rest = (whole.slice(at, most) for at in range(0, whole.num_rows, most))

    def piece(self) -> bytes:
        """Return the next bytes of the answer, none at its end."""
        assert self._pieces is not None
        return self._desk.ask(_next_of(self._pieces), self._context)

    def close(self) -> None:
        pieces, self._pieces = getattr(self, "_pieces", None), None
        if pieces is not None and self._open and (end := getattr(pieces, "aclose", None)) is not None:
            asyncio.run_coroutine_threadsafe(end(), self._desk.loop)
        super().close()


class _Pull:
    """A file whose bytes are asked for as they are read."""

    closed = False

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        parts, have = [self._left], len(self._left)
        while (size < 0 or have < size) and (piece := self._answer.piece()):
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        if size < 0:
            size = len(whole)
        self._left = whole[size:]
        return whole[:size]

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class Tail(Rows):
    """The rows of a stream from now on."""

    def __init__(
        self, desk: Desk, context: fl.ServerCallContext, asked: dict[str, Any], who: Principal | None
    ) -> None:
        super().__init__(desk, context)
        self._who = who
        self._tail: Any = None
        names = asked.get("instruments")
        if not isinstance(asked["stream"], str):
            self.close()
            raise pa.ArrowInvalid("stream: expected the name of a stream")
        if names is not None and not (isinstance(names, list) and all(isinstance(n, str) for n in names)):
            self.close()
            raise pa.ArrowInvalid("instruments: expected a list of texts")

        async def opened() -> Any:
            return desk.deps.stored().live(asked["stream"], names)

        try:
            self._tail = desk.ask(opened())
        except BaseException:
            self.close()
            raise
        self.schema = self._tail.schema

    def _next(self) -> pa.RecordBatch:
        while True:
            found = self._desk.ask(self._take(), self._context)
            if found is not None:
                return found

    async def _take(self) -> pa.RecordBatch | None:
        self._desk.still(self._who, Right.MARKET)
        table = self._tail.take_table()
        if table is None or not table.num_rows:
            await asyncio.sleep(TAIL_S)
            return None
        return table.combine_chunks().to_batches()[0]

    def close(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            self._desk.loop.call_soon_threadsafe(tail.close)
        super().close()


async def _next_of(pieces: AsyncIterator[bytes | memoryview]) -> bytes:
    return bytes(await anext(pieces, b""))
